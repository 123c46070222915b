"""What differs: between two tasks, and between two groups of tasks.

differences.py two tasks: figures, trees, inputs, results
compare.py     two groups: all of the following together
sides.py       which tasks A and B are
samples.py     what is summed of each side, of every task that ended
changes.py     the figures of both sides, their differences
intervals.py   confidence intervals, by scipy
paths.py       the steps in which two groups part
gates.py       conditions such as ``cost>+10%``
"""

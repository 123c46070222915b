"""Any value → plain JSON values: bounded in size and time, free of secrets, without running foreign code.

cleaner.py      `Cleaner.clean`: the one pass between what a user hands in and all that is kept or sent; containers, texts, bytes
objects.py      objects of other classes: records by their fields; dates, enums, exceptions … as text
arrays.py       numbers, arrays and tables of numpy, pandas and the like: bounded, names as keys
marks.py        what the owner of a class keeps out of its output: marked fields, classes that mask themselves
keys.py         names: any key as text, no two alike, keys of users that have the form of our tags
line.py         the keys of a line that are ours, which are put back as they were
scores.py       scores and notes that the agent's code gives
secrets.py      the redactor, for one value: masks, counts, fails closed
"""

"""One task as a whole, as ``agentlog show`` prints it and REST and the page have it.

failure.py     why it failed, and what can be done
header.py      what it was, how it ended, when, at what cost, where it was sent; how it came in
tree.py        everything that happened in it: one line a part, with time, tokens, cost and a bar
task_json.py   all of it as JSON
"""

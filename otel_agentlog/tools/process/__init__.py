"""One process tree, from its start to its end, with nothing of it left behind.

run.py          starts the supervisor, feeds input, takes output, returns how it ended
supervisor.py   the small program in between: reaps, samples memory, enforces limits, ends the tree
sandbox.py      fork and exec in a session of its own, with limits and Landlock
system_calls.py seccomp, for what Landlock has no rights for
result.py       how it ended, what it used, how it is cancelled
output.py       what it prints: kept, passed on live, recorded
mask.py         keeps known secret values out of what is recorded
"""

"""Storage: the task folders and the application log. The only part of the package with file names and bytes in it.

The format is ``docs/format.md``; ``schemas/`` has it as JSON Schema.

folder/       one task's folder: writing, reading, locking
delivery/     what was sent to collectors, what is pending, what is to be sent
recovery/     closes what dead processes left open
retention/    deletes and compresses finished tasks
validation/   checks a folder against the format
spans/        spans and log records rebuilt from lines
index/        one row a task in SQLite, for queries
liveness.py   whether a process is at work on a task
control.py    control requests: pause, resume, cancel, added context
jobs.py       the jobs that a task was handed over to, and which have ended
app_log.py    the application log: lines of no task, rotated
"""

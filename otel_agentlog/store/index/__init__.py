"""The index of the task folders below a root, in SQLite: which tasks meet a filter, and what they sum up to. Never the truth.

filter.py    `Filter`, and its condition in SQL
condition.py what can be asked of a task in a filter that people write, and its condition in SQL
index.py     `TaskIndex`: one statement for each question
tables.py    the tables, and how a task gets in and out
database.py  where the file is, opening it, and replacing one that cannot be used
refresh.py   reads the folders that changed
changes.py   signatures of folders; the throttle of large tasks that go on
row.py       what is kept of a task
extract.py   what of it comes from the lines
live_lines.py what the lines of tasks that go on say, each read once
words.py     what a word is
"""

"""Recovery: closes what dead processes left open.

recover.py          `recover` and `close_abandoned`: which tasks, and in which order a repair is written
abandoned_task.py   what a task left open, found from its folder alone
repair_lines.py     the lines that close it
background.py       `recover` on a thread of its own, at the start of a program
"""

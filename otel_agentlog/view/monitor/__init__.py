"""The monitor (extra ``monitor``): all tasks and one task as they happen, and commands to a running agent.

app.py              the Textual application
overview_screen.py  all tasks
task_screen.py      one task
commands.py         the commands that can be typed
widgets.py          the command line; pieces as Textual draws them
drawing.py          header, plan, log and figures as lines; the monitor as plain text
plan.py             the parts of one task, numbered
watched_task.py     one task, followed as its folder grows
"""

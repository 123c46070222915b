"""The endpoints, a router a module.

overview.py    /api/tasks, /api/errors, /api/statistics, /api/timeline, /api/alerts, /api/overview, /api/live, /api/about
compare.py     /api/compare
tasks.py       /api/tasks/{task_id}: the task, its live streams, its export, places with words
logs.py        /api/tasks/{task_id}/logs, /artifacts
control.py     /api/tasks/{task_id}/control
notes.py       /api/tasks/{task_id}/notes
prometheus.py  /metrics
"""

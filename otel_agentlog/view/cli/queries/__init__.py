"""Commands that read: they ask `query` and print, as text or with ``--json``.

ls.py search.py          tasks
show.py tail.py          one task; its lines
compared/                two tasks, or two groups of them, beside each other
stats.py top.py          figures of tasks, agents, tools and models
cost.py recost.py        what AI calls cost, and would cost by today's prices
metrics.py               a report of a period, the present, Prometheus text
errors.py alerts.py      what went wrong; what is too much
export.py                OTLP JSON lines, CSV, JSON lines, one HTML page
dataset.py               examples for training and evaluation
validate.py              task folders against docs/format.md
"""

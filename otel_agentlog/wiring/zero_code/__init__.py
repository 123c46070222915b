"""Recording programs that do not import this package: entry points of OpenTelemetry, and ``agentlog run``.

start.py       `begin`: configures once, with implicit tasks, and goes on with the task of ``agentlog run``
exporters.py   what OpenTelemetry loads by the name ``agentlog``: exporters of spans and log records
command.py     ``agentlog run``: a task around any command
site/          goes onto ``PYTHONPATH`` of that command: its ``sitecustomize.py`` calls `begin`
"""

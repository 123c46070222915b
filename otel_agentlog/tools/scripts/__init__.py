"""The scripts of a registry: checked, run with retries, recorded, counted.

service.py    `ToolExecutionService`: the one entrance, sync and async; the task of an execution outside every other
registry.py   reads and checks ``registry.json``
schema.py     checks input schemas, and inputs against them
prepare.py    script and inputs → argv, environment, stdin, rights
execute.py    the attempts of one execution, and its result
classify.py   how a process ended → the name of a cause
stats.py      counts and durations, as data and as Prometheus text
"""

"""Names and call shapes of the systems that this package replaces: thin names over the public API, one module a system.

Who ports such a system changes imports and base names; ``docs/recipes.md`` has what stays different.

env_file.py      ``.env``, read where those systems read it
orchestrator.py  an orchestrator's logging: `setup_logging`, `LogLevel`, `LogContext`, contextual loggers
error_ids.py     a chat bot's logging: rotated JSON log, error ids, messages for users
task_folder.py     a folder per task, written by hand: `TaskLogger`
runner.py          a runner's logging: `LogMessage`, `LogLevel`, `ComponentType`, YAML configuration
tool_execution.py  execution log, metrics and alerts of tools: `ExecutionLogger`, `MetricsCollector`, `create_monitored_tes`
past_runs.py       one execution, recorded when it is over, by results of any shape
statsd.py          what a collector of metrics sends by StatsD
"""

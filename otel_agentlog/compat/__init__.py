"""Names and call shapes of the systems that this package replaces: thin names over the public API, one module a system.

Who ports such a system changes imports and base names; ``docs/recipes.md`` has what stays different.

env_file.py      ``.env``, read where those systems read it
orchestrator.py  an orchestrator's logging: `setup_logging`, `LogLevel`, `LogContext`, contextual loggers
error_ids.py     a chat bot's logging: rotated JSON log, error ids, messages for users
"""

"""Log lines: our loggers, stdlib's and structlog's, and the console that shows them.

logger.py             `get_logger`: structlog loggers of our own
line.py               the steps of every log line: place, level, caller, message, exception, into the recorder
levels.py             which lines are recorded: a level per component or logger
stdlib_bridge.py      a hook in all stdlib loggers, and a handler for those who set up logging themselves
structlog_bridge.py   processors for a structlog chain of the user's own
dedupe.py             an event that passes both bridges is recorded once
console.py            the sink that writes to stderr, without waiting for a terminal that is stuck
console_format.py     a line as text for people, or as JSON
file_formats.py       a line as log files of other systems have it: flat JSON, a row of text
"""

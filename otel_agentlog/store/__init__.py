"""Where it is kept: the task folders and the application log.

The only room that knows file names and bytes. The format is ``docs/format.md``.
"""

from otel_agentlog.store.applog import RotatingLog, choose_directory
from otel_agentlog.store.folder import TaskFolder
from otel_agentlog.store.layout import parse_timestamp
from otel_agentlog.store.reader import TaskReader, find_task, follow, list_tasks, read_lines
from otel_agentlog.store.sink import FolderSink
from otel_agentlog.store.spans import LogRecordLine, SpanRecord
from otel_agentlog.store.spans_rebuild import records
from otel_agentlog.store.summary import Tally
from otel_agentlog.store.validate import validate

__all__ = [
    "FolderSink",
    "LogRecordLine",
    "RotatingLog",
    "SpanRecord",
    "Tally",
    "TaskFolder",
    "TaskReader",
    "choose_directory",
    "find_task",
    "follow",
    "list_tasks",
    "parse_timestamp",
    "read_lines",
    "records",
    "validate",
]

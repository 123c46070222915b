"""Where it is kept: the task folders and the application log.

The only room that knows file names and bytes. The format is ``docs/format.md``.
"""

from otel_agentlog.store.applog import RotatingLog, choose_directory
from otel_agentlog.store.deliveries import Deliveries
from otel_agentlog.store.fields import mapping, number, objects, text
from otel_agentlog.store.folder import TaskFolder
from otel_agentlog.store.layout import AGENT_OUTPUT, CONTROL, FINAL_RESULT, INPUT, METADATA, WEBHOOK_FLOW, parse_timestamp
from otel_agentlog.store.own_shipment import OwnShipment
from otel_agentlog.store.presence import Presence
from otel_agentlog.store.reader import TaskReader, find_task, follow, list_tasks, read_lines
from otel_agentlog.store.receipt import Counts
from otel_agentlog.store.recovery import Recovered, Repair, recover
from otel_agentlog.store.recovery_background import BackgroundRecovery
from otel_agentlog.store.retention import Limits
from otel_agentlog.store.shipment import Shipment, Unsent
from otel_agentlog.store.sink import FolderSink
from otel_agentlog.store.spans import LogRecordLine, SpanRecord
from otel_agentlog.store.spans_rebuild import records
from otel_agentlog.store.spans_tree import Figures, Node, Tree, tree
from otel_agentlog.store.summary import Tally, replay
from otel_agentlog.store.unshipped import unshipped
from otel_agentlog.store.upkeep import limits_of, prune
from otel_agentlog.store.upkeep_background import Upkeep
from otel_agentlog.store.upkeep_report import Deleted, PruneReport
from otel_agentlog.store.validate import validate
from otel_agentlog.store.validate_report import Problem, Report

__all__ = [
    "AGENT_OUTPUT",
    "CONTROL",
    "FINAL_RESULT",
    "INPUT",
    "METADATA",
    "WEBHOOK_FLOW",
    "BackgroundRecovery",
    "Counts",
    "Deleted",
    "Deliveries",
    "Figures",
    "FolderSink",
    "Limits",
    "LogRecordLine",
    "Node",
    "OwnShipment",
    "Presence",
    "Problem",
    "PruneReport",
    "Recovered",
    "Repair",
    "Report",
    "RotatingLog",
    "Shipment",
    "SpanRecord",
    "Tally",
    "TaskFolder",
    "TaskReader",
    "Tree",
    "Unsent",
    "Upkeep",
    "choose_directory",
    "find_task",
    "follow",
    "limits_of",
    "list_tasks",
    "mapping",
    "number",
    "objects",
    "parse_timestamp",
    "prune",
    "read_lines",
    "records",
    "recover",
    "replay",
    "text",
    "tree",
    "unshipped",
    "validate",
]

"""Where it is kept: the task folders and the application log.

The only room that knows file names and bytes. The format is ``docs/format.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentlog.doors import load_when_used

if TYPE_CHECKING:
    from otel_agentlog.store.applog import RotatingLog, choose_directory
    from otel_agentlog.store.applog_reader import log_directories, log_files, mentions, newest_change_ns
    from otel_agentlog.store.catalogue import CATALOGUE_FAILED, Catalogue, is_busy
    from otel_agentlog.store.catalogue_card import (
        COST_UNITS_PER_USD,
        Card,
        Failure,
        Part,
        amount,
        bounded_time,
        gather,
        storable,
        words_of,
    )
    from otel_agentlog.store.catalogue_file import discard_catalogue
    from otel_agentlog.store.catalogue_gist import Gist, gist_of
    from otel_agentlog.store.catalogue_lanes import LANES, UNKNOWN, Columns, Names, PartSums, columns_of, parts_of, unpack
    from otel_agentlog.store.catalogue_where import Conditions
    from otel_agentlog.store.control import MAX_TEXT_BYTES, Requested, ask
    from otel_agentlog.store.control_file import ControlFile
    from otel_agentlog.store.deliveries import Deliveries
    from otel_agentlog.store.fields import mapping, number, objects, text
    from otel_agentlog.store.folder import TaskFolder
    from otel_agentlog.store.holding import is_held
    from otel_agentlog.store.layout import AGENT_OUTPUT, CONTROL, FINAL_RESULT, INPUT, METADATA, WEBHOOK_FLOW, parse_timestamp
    from otel_agentlog.store.own_shipment import OwnShipment
    from otel_agentlog.store.presence import Presence
    from otel_agentlog.store.reader import TaskReader, find_task, follow, list_tasks, read_lines
    from otel_agentlog.store.receipt import Counts
    from otel_agentlog.store.recovery import Recovered, Repair, recover
    from otel_agentlog.store.recovery_background import BackgroundRecovery
    from otel_agentlog.store.recovery_resumed import close_abandoned
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
    from otel_agentlog.store.values import whole

__all__ = [
    "AGENT_OUTPUT",
    "CATALOGUE_FAILED",
    "CONTROL",
    "COST_UNITS_PER_USD",
    "FINAL_RESULT",
    "INPUT",
    "LANES",
    "MAX_TEXT_BYTES",
    "METADATA",
    "UNKNOWN",
    "WEBHOOK_FLOW",
    "BackgroundRecovery",
    "Card",
    "Catalogue",
    "Columns",
    "Conditions",
    "ControlFile",
    "Counts",
    "Deleted",
    "Deliveries",
    "Failure",
    "Figures",
    "FolderSink",
    "Gist",
    "Limits",
    "LogRecordLine",
    "Names",
    "Node",
    "OwnShipment",
    "Part",
    "PartSums",
    "Presence",
    "Problem",
    "PruneReport",
    "Recovered",
    "Repair",
    "Report",
    "Requested",
    "RotatingLog",
    "Shipment",
    "SpanRecord",
    "Tally",
    "TaskFolder",
    "TaskReader",
    "Tree",
    "Unsent",
    "Upkeep",
    "amount",
    "ask",
    "bounded_time",
    "choose_directory",
    "close_abandoned",
    "columns_of",
    "discard_catalogue",
    "find_task",
    "follow",
    "gather",
    "gist_of",
    "is_busy",
    "is_held",
    "limits_of",
    "list_tasks",
    "log_directories",
    "log_files",
    "mapping",
    "mentions",
    "newest_change_ns",
    "number",
    "objects",
    "parse_timestamp",
    "parts_of",
    "prune",
    "read_lines",
    "records",
    "recover",
    "replay",
    "storable",
    "text",
    "tree",
    "unpack",
    "unshipped",
    "validate",
    "whole",
    "words_of",
]

load_when_used(
    __name__,
    {
        "applog": ("RotatingLog", "choose_directory"),
        "applog_reader": ("log_directories", "log_files", "mentions", "newest_change_ns"),
        "catalogue": ("CATALOGUE_FAILED", "Catalogue", "is_busy"),
        "catalogue_card": (
            "COST_UNITS_PER_USD",
            "Card",
            "Failure",
            "Part",
            "amount",
            "bounded_time",
            "gather",
            "storable",
            "words_of",
        ),
        "catalogue_file": ("discard_catalogue",),
        "catalogue_gist": ("Gist", "gist_of"),
        "catalogue_lanes": ("Columns", "LANES", "Names", "PartSums", "UNKNOWN", "columns_of", "parts_of", "unpack"),
        "catalogue_where": ("Conditions",),
        "control": ("MAX_TEXT_BYTES", "Requested", "ask"),
        "control_file": ("ControlFile",),
        "deliveries": ("Deliveries",),
        "fields": ("mapping", "number", "objects", "text"),
        "folder": ("TaskFolder",),
        "holding": ("is_held",),
        "layout": ("AGENT_OUTPUT", "CONTROL", "FINAL_RESULT", "INPUT", "METADATA", "WEBHOOK_FLOW", "parse_timestamp"),
        "own_shipment": ("OwnShipment",),
        "presence": ("Presence",),
        "reader": ("TaskReader", "find_task", "follow", "list_tasks", "read_lines"),
        "receipt": ("Counts",),
        "recovery": ("Recovered", "Repair", "recover"),
        "recovery_background": ("BackgroundRecovery",),
        "recovery_resumed": ("close_abandoned",),
        "retention": ("Limits",),
        "shipment": ("Shipment", "Unsent"),
        "sink": ("FolderSink",),
        "spans": ("LogRecordLine", "SpanRecord"),
        "spans_rebuild": ("records",),
        "spans_tree": ("Figures", "Node", "Tree", "tree"),
        "summary": ("Tally", "replay"),
        "unshipped": ("unshipped",),
        "upkeep": ("limits_of", "prune"),
        "upkeep_background": ("Upkeep",),
        "upkeep_report": ("Deleted", "PruneReport"),
        "validate": ("validate",),
        "validate_report": ("Problem", "Report"),
        "values": ("whole",),
    },
)

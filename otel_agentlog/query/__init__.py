"""What one can ask: tasks, one task's report, its lines as they come. Plain data in, plain data out.

Texts are handed on as they stand in the folder; who shows them makes them safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentlog.doors import load_when_used

if TYPE_CHECKING:
    from otel_agentlog.query.ai_calls import EndedCall, ended_calls
    from otel_agentlog.query.alert_feed import Feed
    from otel_agentlog.query.alert_observations import observations, says_something
    from otel_agentlog.query.alert_rules import RULES, Rule, changed, rules_from
    from otel_agentlog.query.alerts import Alert, Observation, Watch
    from otel_agentlog.query.differences import Differences, Figure, Part, differences
    from otel_agentlog.query.errors import FoundError, find_errors
    from otel_agentlog.query.filters import Filter
    from otel_agentlog.query.groups import Group
    from otel_agentlog.query.lines import LineStream
    from otel_agentlog.query.matches import Match, matches
    from otel_agentlog.query.naming import LAST, resolve
    from otel_agentlog.query.percentiles import Percentiles
    from otel_agentlog.query.questions import (
        GROUPS,
        Bucket,
        Overview,
        Page,
        Statistics,
        folders,
        overview,
        search,
        statistics,
        timeline,
    )
    from otel_agentlog.query.recost import Recost, Recosted, recost
    from otel_agentlog.query.report import Entry, TaskReport, report, time_of
    from otel_agentlog.query.rows import UNSUCCESSFUL, Found, TaskRow, find_rows, has_ended, is_left_open, row_of
    from otel_agentlog.query.shelf import ORDERS

__all__ = [
    "GROUPS",
    "LAST",
    "ORDERS",
    "RULES",
    "UNSUCCESSFUL",
    "Alert",
    "Bucket",
    "Differences",
    "EndedCall",
    "Entry",
    "Feed",
    "Figure",
    "Filter",
    "Found",
    "FoundError",
    "Group",
    "LineStream",
    "Match",
    "Observation",
    "Overview",
    "Page",
    "Part",
    "Percentiles",
    "Recost",
    "Recosted",
    "Rule",
    "Statistics",
    "TaskReport",
    "TaskRow",
    "Watch",
    "changed",
    "differences",
    "ended_calls",
    "find_errors",
    "find_rows",
    "folders",
    "has_ended",
    "is_left_open",
    "matches",
    "observations",
    "overview",
    "recost",
    "report",
    "resolve",
    "row_of",
    "rules_from",
    "says_something",
    "search",
    "statistics",
    "time_of",
    "timeline",
]

load_when_used(
    __name__,
    {
        "ai_calls": ("EndedCall", "ended_calls"),
        "alert_feed": ("Feed",),
        "alert_observations": ("observations", "says_something"),
        "alert_rules": ("RULES", "Rule", "changed", "rules_from"),
        "alerts": ("Alert", "Observation", "Watch"),
        "differences": ("Differences", "Figure", "Part", "differences"),
        "errors": ("FoundError", "find_errors"),
        "filters": ("Filter",),
        "groups": ("Group",),
        "lines": ("LineStream",),
        "matches": ("Match", "matches"),
        "naming": ("LAST", "resolve"),
        "percentiles": ("Percentiles",),
        "questions": (
            *("Bucket", "GROUPS", "Overview", "Page", "Statistics"),
            *("folders", "overview", "search", "statistics", "timeline"),
        ),
        "recost": ("Recost", "Recosted", "recost"),
        "report": ("Entry", "TaskReport", "report", "time_of"),
        "rows": ("Found", "TaskRow", "UNSUCCESSFUL", "find_rows", "has_ended", "is_left_open", "row_of"),
        "shelf": ("ORDERS",),
    },
)

"""What one can ask: tasks, one task's report, its lines as they come. Plain data in, plain data out.

Texts are handed on as they stand in the folder; who shows them makes them safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentlog._lazy import lazy_names

if TYPE_CHECKING:
    from otel_agentlog.query.alert_feed import Feed as Feed
    from otel_agentlog.query.alert_feed import observations as observations
    from otel_agentlog.query.alert_feed import says_something as says_something
    from otel_agentlog.query.alert_rules import RULES as RULES
    from otel_agentlog.query.alert_rules import Rule as Rule
    from otel_agentlog.query.alert_rules import changed as changed
    from otel_agentlog.query.alert_rules import rules_from as rules_from
    from otel_agentlog.query.alerts import Alert as Alert
    from otel_agentlog.query.alerts import Observation as Observation
    from otel_agentlog.query.alerts import Watch as Watch
    from otel_agentlog.query.diff import Differences as Differences
    from otel_agentlog.query.diff import Figure as Figure
    from otel_agentlog.query.diff import Part as Part
    from otel_agentlog.query.diff import differences as differences
    from otel_agentlog.query.errors import FoundError as FoundError
    from otel_agentlog.query.errors import find_errors as find_errors
    from otel_agentlog.query.filters import Filter as Filter
    from otel_agentlog.query.lines import LineStream as LineStream
    from otel_agentlog.query.lines import Match as Match
    from otel_agentlog.query.lines import matches as matches
    from otel_agentlog.query.naming import LAST as LAST
    from otel_agentlog.query.naming import resolve as resolve
    from otel_agentlog.query.prices_today import EndedCall as EndedCall
    from otel_agentlog.query.prices_today import Recost as Recost
    from otel_agentlog.query.prices_today import Recosted as Recosted
    from otel_agentlog.query.prices_today import ended_calls as ended_calls
    from otel_agentlog.query.prices_today import recost as recost
    from otel_agentlog.query.questions import GROUPS as GROUPS
    from otel_agentlog.query.questions import Bucket as Bucket
    from otel_agentlog.query.questions import Group as Group
    from otel_agentlog.query.questions import Overview as Overview
    from otel_agentlog.query.questions import Page as Page
    from otel_agentlog.query.questions import Percentiles as Percentiles
    from otel_agentlog.query.questions import Statistics as Statistics
    from otel_agentlog.query.questions import folders as folders
    from otel_agentlog.query.questions import overview as overview
    from otel_agentlog.query.questions import search as search
    from otel_agentlog.query.questions import statistics as statistics
    from otel_agentlog.query.questions import timeline as timeline
    from otel_agentlog.query.rows import UNSUCCESSFUL as UNSUCCESSFUL
    from otel_agentlog.query.rows import Found as Found
    from otel_agentlog.query.rows import TaskRow as TaskRow
    from otel_agentlog.query.rows import find_rows as find_rows
    from otel_agentlog.query.rows import has_ended as has_ended
    from otel_agentlog.query.rows import is_left_open as is_left_open
    from otel_agentlog.query.rows import row_of as row_of
    from otel_agentlog.query.source import ORDERS as ORDERS
    from otel_agentlog.query.task_report import Entry as Entry
    from otel_agentlog.query.task_report import TaskReport as TaskReport
    from otel_agentlog.query.task_report import report as report
    from otel_agentlog.query.task_report import time_of as time_of

_HOMES = {
    "alert_feed": "Feed observations says_something",
    "alert_rules": "RULES Rule changed rules_from",
    "alerts": "Alert Observation Watch",
    "diff": "Differences Figure Part differences",
    "errors": "FoundError find_errors",
    "filters": "Filter",
    "lines": "LineStream Match matches",
    "naming": "LAST resolve",
    "questions": "Bucket GROUPS Group Overview Page Percentiles Statistics folders overview search statistics timeline",
    "prices_today": "EndedCall Recost Recosted ended_calls recost",
    "task_report": "Entry TaskReport report time_of",
    "rows": "Found TaskRow UNSUCCESSFUL find_rows has_ended is_left_open row_of",
    "source": "ORDERS",
}
__all__, __getattr__ = lazy_names(__name__, _HOMES)

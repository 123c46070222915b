"""Queries over task folders: plain data in, plain data out. Texts are returned as they are in the folder.

questions.py   lists, statistics, timeline, overview, from the index
indexes.py     the open index of each root, in a file or in memory
index_rows.py  what the index keeps of a task, from its folder
groups.py      sums, success rates and percentiles of several tasks or runs
rows.py        one task at a glance, and whether it is still at work
reports.py     everything about one task
following.py   the same, kept up to date while the task goes on
comparison/    what differs between two tasks, and between two groups of tasks
filters/       filters as people write them
excerpts.py    the places in a task with the words it was found by
lines.py       a task's lines in the order of time, also while they grow
errors.py      errors in task folders and application logs
repricing.py   what AI calls would cost by other prices
naming.py      from what a person typed to a task
alerts/        rules, sliding windows, observations
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentlog._startup import lazy_names

if TYPE_CHECKING:
    from otel_agentlog.query.alerts.feed import Feed as Feed
    from otel_agentlog.query.alerts.observations import Observation as Observation
    from otel_agentlog.query.alerts.observations import observations as observations
    from otel_agentlog.query.alerts.observations import says_something as says_something
    from otel_agentlog.query.alerts.rules import RULES as RULES
    from otel_agentlog.query.alerts.rules import Rule as Rule
    from otel_agentlog.query.alerts.rules import changed as changed
    from otel_agentlog.query.alerts.rules import rules_from as rules_from
    from otel_agentlog.query.alerts.watch import Alert as Alert
    from otel_agentlog.query.alerts.watch import Watch as Watch
    from otel_agentlog.query.comparison.changes import Change as Change
    from otel_agentlog.query.comparison.changes import Measured as Measured
    from otel_agentlog.query.comparison.compare import ComparedSide as ComparedSide
    from otel_agentlog.query.comparison.compare import GroupComparison as GroupComparison
    from otel_agentlog.query.comparison.compare import compare as compare
    from otel_agentlog.query.comparison.differences import Differences as Differences
    from otel_agentlog.query.comparison.differences import Figure as Figure
    from otel_agentlog.query.comparison.differences import FirstDifference as FirstDifference
    from otel_agentlog.query.comparison.differences import Part as Part
    from otel_agentlog.query.comparison.differences import differences as differences
    from otel_agentlog.query.comparison.differences import first_difference as first_difference
    from otel_agentlog.query.comparison.gates import Threshold as Threshold
    from otel_agentlog.query.comparison.gates import ThresholdResult as ThresholdResult
    from otel_agentlog.query.comparison.gates import parse_threshold as parse_threshold
    from otel_agentlog.query.comparison.paths import Parting as Parting
    from otel_agentlog.query.comparison.paths import WayPart as WayPart
    from otel_agentlog.query.comparison.paths import Ways as Ways
    from otel_agentlog.query.comparison.sides import Side as Side
    from otel_agentlog.query.comparison.sides import side_of as side_of
    from otel_agentlog.query.errors import ErrorGroup as ErrorGroup
    from otel_agentlog.query.errors import FoundError as FoundError
    from otel_agentlog.query.errors import error_groups as error_groups
    from otel_agentlog.query.errors import find_errors as find_errors
    from otel_agentlog.query.excerpts import Match as Match
    from otel_agentlog.query.excerpts import marks as marks
    from otel_agentlog.query.excerpts import matches as matches
    from otel_agentlog.query.filters.language import narrowed as narrowed
    from otel_agentlog.query.filters.language import parse_filter as parse_filter
    from otel_agentlog.query.filters.language import words_in as words_in
    from otel_agentlog.query.filters.suggestions import Completion as Completion
    from otel_agentlog.query.filters.suggestions import Option as Option
    from otel_agentlog.query.filters.suggestions import complete as complete
    from otel_agentlog.query.filters.suggestions import hints as hints
    from otel_agentlog.query.filters.suggestions import quoted as quoted
    from otel_agentlog.query.following import LiveReport as LiveReport
    from otel_agentlog.query.following import Place as Place
    from otel_agentlog.query.groups import Group as Group
    from otel_agentlog.query.groups import MeanScore as MeanScore
    from otel_agentlog.query.groups import Percentiles as Percentiles
    from otel_agentlog.query.lines import LineStream as LineStream
    from otel_agentlog.query.lines import time_of as time_of
    from otel_agentlog.query.naming import LAST as LAST
    from otel_agentlog.query.naming import named as named
    from otel_agentlog.query.naming import resolve as resolve
    from otel_agentlog.query.questions import MAX_BUCKETS as MAX_BUCKETS
    from otel_agentlog.query.questions import Bucket as Bucket
    from otel_agentlog.query.questions import Overview as Overview
    from otel_agentlog.query.questions import Page as Page
    from otel_agentlog.query.questions import Statistics as Statistics
    from otel_agentlog.query.questions import damaged as damaged
    from otel_agentlog.query.questions import errors_by_category as errors_by_category
    from otel_agentlog.query.questions import folders as folders
    from otel_agentlog.query.questions import overview as overview
    from otel_agentlog.query.questions import rows_of as rows_of
    from otel_agentlog.query.questions import search as search
    from otel_agentlog.query.questions import statistics as statistics
    from otel_agentlog.query.questions import statistics_by as statistics_by
    from otel_agentlog.query.questions import task_ids as task_ids
    from otel_agentlog.query.questions import timeline as timeline
    from otel_agentlog.query.reports import Entry as Entry
    from otel_agentlog.query.reports import TaskReport as TaskReport
    from otel_agentlog.query.reports import report as report
    from otel_agentlog.query.repricing import EndedCall as EndedCall
    from otel_agentlog.query.repricing import Recost as Recost
    from otel_agentlog.query.repricing import Recosted as Recosted
    from otel_agentlog.query.repricing import ended_calls as ended_calls
    from otel_agentlog.query.repricing import recost as recost
    from otel_agentlog.query.rows import Found as Found
    from otel_agentlog.query.rows import TaskRow as TaskRow
    from otel_agentlog.query.rows import find_rows as find_rows
    from otel_agentlog.query.rows import has_ended as has_ended
    from otel_agentlog.query.rows import is_left_open as is_left_open
    from otel_agentlog.query.rows import row_of as row_of
    from otel_agentlog.query.rows import status_of as status_of
    from otel_agentlog.store.index.condition import ScoreBound as ScoreBound
    from otel_agentlog.store.index.filter import Filter as Filter
    from otel_agentlog.store.index.filter import score_bound as score_bound
    from otel_agentlog.store.index.index import GROUPS as GROUPS
    from otel_agentlog.store.index.index import ORDERS as ORDERS
    from otel_agentlog.vocabulary.states import UNSUCCESSFUL as UNSUCCESSFUL

_HOMES = {
    "alerts.feed": "Feed",
    "alerts.observations": "Observation observations says_something",
    "alerts.rules": "RULES Rule changed rules_from",
    "alerts.watch": "Alert Watch",
    "comparison.changes": "Change Measured",
    "comparison.compare": "ComparedSide GroupComparison compare",
    "comparison.differences": "Differences Figure FirstDifference Part differences first_difference",
    "comparison.gates": "Threshold ThresholdResult parse_threshold",
    "comparison.paths": "Parting WayPart Ways",
    "comparison.sides": "Side side_of",
    "errors": "ErrorGroup FoundError error_groups find_errors",
    "filters.language": "narrowed parse_filter words_in",
    "excerpts": "Match marks matches",
    "following": "LiveReport LiveRow Place",
    "groups": "Group MeanScore Percentiles UNSUCCESSFUL",
    "lines": "LineStream time_of",
    "naming": "LAST named resolve",
    "questions": (
        "Bucket ScoreBound Filter GROUPS MAX_BUCKETS ORDERS Overview Page Statistics"
        " damaged errors_by_category folders overview rows_of score_bound search statistics statistics_by task_ids timeline"
    ),
    "reports": "Entry TaskReport report",
    "repricing": "EndedCall Recost Recosted ended_calls recost",
    "filters.suggestions": "Completion Option complete hints quoted",
    "rows": "Found TaskRow find_rows has_ended is_left_open row_of status_of",
}
__all__, __getattr__ = lazy_names(__name__, _HOMES)

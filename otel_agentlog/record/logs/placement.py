"""Where a log line belongs, and the one way by which log lines of every kind reach the recorder.

Hides the guard against recursion: a sink, an exporter or a ``__str__`` may log while a line is being recorded. One such line
is recorded too, since it may come from a signal handler or ``__del__`` that happened to run just then; what is nested deeper is
dropped and counted as ``nested_log``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, format_span_id, format_trace_id, get_current_span

from otel_agentlog.record.logs.nesting import nesting
from otel_agentlog.record.operations.context import CORRELATION_IDS, bound, current_context, operation_in
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.recorder import Recorder, recorder
from otel_agentlog.vocabulary.envelope import TaskRef
from otel_agentlog.vocabulary.lines import Line

MAX_NESTED = 2
"""How many log lines may be in the making at once, one within the other."""

ID_KEYS = ("task_id", "step_id", *CORRELATION_IDS, "trace_id", "span_id")
"""Keys of an event that are ids of the line, if they name no other place than the one the line is recorded in."""

_ID_KEYS = frozenset(ID_KEYS)
_HEX = {"trace_id": re.compile(r"(?!0{32})[0-9a-f]{32}"), "span_id": re.compile(r"(?!0{16})[0-9a-f]{16}")}


@dataclass(slots=True)
class Place:
    """What a log line belongs to."""

    task: TaskRef | None = None
    ids: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    """What `bind` put here besides correlation ids."""


def here() -> Place:
    """The place of a line that is recorded now, in this thread or asyncio task."""
    context = current_context()
    operation = operation_in(context)
    place = Place() if operation is None else Place(operation.task, operation.ids())
    around = bound(context)
    if around and (operation is None or around is not bound(operation.outer)):
        place.ids.update({key: str(around[key]) for key in CORRELATION_IDS if key in around})
    if around:
        place.attributes = {key: value for key, value in around.items() if key not in CORRELATION_IDS}
    _put_on_span(place, operation, context)
    return place


def _put_on_span(place: Place, operation: Operation | None, context: Context) -> None:
    """Prefer the span of another library that is current inside the operation, or without any."""
    span = get_current_span(context)
    if operation is not None and (span is operation.span or not span.is_recording()):
        return
    ids: SpanContext = span.get_span_context()
    if ids.is_valid:
        place.ids["trace_id"], place.ids["span_id"] = format_trace_id(ids.trace_id), format_span_id(ids.span_id)


def adopt(place: Place, data: dict[str, Any], line: Line) -> Place:
    """Take ids out of an event's data: where nothing is known here they place the line; other ids than those here stay data.

    A ``task_id`` of a task that is open in this process takes the line there.
    """
    if _ID_KEYS.isdisjoint(data):
        return place
    given = {key: str(data[key]) for key in ID_KEYS if data.get(key) is not None}
    if place.task is None and "task_id" in given and (found := _open_task(given["task_id"])) is not None:
        place = Place(found.task, {**place.ids, **found.ids()}, place.attributes)
    foreign_span = "trace_id" in place.ids
    for key, value in given.items():
        known = place.ids.get(key)
        if known == value:
            del data[key]
        elif known is None and _fits(key, value, foreign_span):
            # On the line and not among the ids: given by the user, so it is cleaned with the rest.
            line[key] = value
            del data[key]
    return place


def _fits(key: str, value: str, foreign_span: bool) -> bool:
    return key not in _HEX or (not foreign_span and _HEX[key].fullmatch(value) is not None)


def _open_task(task_id: str) -> Operation | None:
    for _ in range(3):
        try:
            tasks = list(recorder().open_tasks)
        except RuntimeError:
            continue  # another thread began a task meanwhile
        return next((task for task in tasks if task.task_id == task_id and not task.ended), None)
    return None


def guarded(work: Callable[[Recorder], None]) -> None:
    """Do the work of recording one log line: nothing it raises leaves, and it cannot call itself without end."""
    record = recorder()
    if nesting.depth >= MAX_NESTED:
        record.failed("nested_log", RecursionError())
        return
    nesting.depth += 1
    try:
        work(record)
    except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
        record.failed("log", error)
    finally:
        nesting.depth -= 1


def deliver(record: Recorder, line: Line, place: Place, details: dict[str, Any]) -> None:
    """Hand a complete log line to the recorder."""
    if details:
        line["details"] = details
    if place.attributes:
        line["attributes"] = place.attributes
    record.point(line, place.task, place.ids)

"""Between a line and its span: names and attributes go from the line to the span, ids from the span to the line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, format_span_id, format_trace_id, get_current_span, set_span_in_context

from otel_agentlog.record.operations.context import CORRELATION_IDS, bound
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from otel_agentlog.vocabulary.json_tags import untagged_attributes
from otel_agentlog.vocabulary.lines import Line, timestamp

if TYPE_CHECKING:
    from otel_agentlog.record.operations.operation import Operation


# -- What others put on our own span behind our back: ``trace.get_current_span().set_attribute(…)`` and ``add_event(…)``.
# Hides that a recording span of the SDK can be read (`ReadableSpan`) while the API's cannot. What is found here goes into the
# end line, so that the folder stays lossless.


def foreign_attributes(span: Span, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a span that are not, or no longer, what we set on it."""
    attributes = getattr(span, "attributes", None)
    if not isinstance(attributes, Mapping):
        return {}
    return {key: value for key, value in attributes.items() if key not in sent or not _same(value, sent[key])}


def _same(stored: Any, given: Any) -> bool:
    # The SDK keeps sequences as tuples.
    return bool(stored == given) or (isinstance(stored, tuple) and isinstance(given, list) and list(stored) == given)


def foreign_events(span: Span) -> list[dict[str, Any]]:
    """Events that others added to a span, as they stand in a line."""
    # Stages have lines of their own, in 02-webhook-flow.jsonl.
    return [event_line(event) for event in getattr(span, "events", None) or () if not event.name.startswith("webhook.")]


def event_line(event: Any) -> dict[str, Any]:
    """One span event as it stands in a line."""
    return {"timestamp": timestamp(event.timestamp), "name": event.name, "attributes": dict(event.attributes or {})}


def open_span(operation: Operation, record: Recorder, envelope: Envelope) -> None:
    """Name and begin the span of a start line, and put its ids on the line."""
    line = envelope.line
    line.update(operation.ids())
    convention = record.conventions
    name, kind = convention.span_name(line), convention.span_kind(line)
    attributes = _span_attributes(line, convention.start_attributes(line))
    operation.span = record.start_span(name, operation.outer, kind, untagged_attributes(attributes), operation.start_ns)
    above, own = get_current_span(operation.outer).get_span_context(), operation.span.get_span_context()
    line["trace_id"], line["span_id"] = format_trace_id(own.trace_id), format_span_id(own.span_id)
    if above.is_valid:
        line["parent_span_id"] = format_span_id(above.span_id)
        if above.is_remote:
            line["parent_remote"] = True
    line["trace_flags"] = int(own.trace_flags)
    if own.trace_state:
        line["trace_state"] = own.trace_state.to_header()
    line["name"], line["kind"], line["attributes"] = name, kind, attributes
    operation.sent = attributes
    envelope.task, envelope.time_ns = operation.task, operation.start_ns
    # Not the operation itself: whoever keeps the envelope must not keep a dropped operation from ending.
    envelope.context = set_span_in_context(operation.span, operation.outer)


def close_span(operation: Operation, record: Recorder, envelope: Envelope, end_ns: int) -> None:
    """Put the outcome on the span of an end line, deliver the line, end the span."""
    line = envelope.line
    line.update(operation.ids())
    # Others have put these on the span already, whatever the conventions think of them.
    foreign = line.pop("foreign", None) or {}
    attributes = {**foreign, **_span_attributes(line, record.conventions.end_attributes(line))}
    code, description = record.conventions.status(line)
    if code == "ERROR":
        line["status"] = {"code": code, "description": description} if description else {"code": code}
    line["attributes"] = attributes
    envelope.task, envelope.time_ns = operation.task, end_ns
    envelope.context = set_span_in_context(operation.span, operation.outer)
    try:
        operation.span.set_attributes(untagged_attributes(attributes))
        if code == "ERROR":
            operation.span.set_status(Status(StatusCode.ERROR, description))
        record.deliver(envelope)
        operation.span.end(end_ns)
    except Exception as error:  # noqa: BLE001 - span processors of others run in end()
        record.failed("span", error)


def _span_attributes(line: Line, attributes: dict[str, Any]) -> dict[str, Any]:
    """What goes on the span; attributes of the user's that did not fit there stay in the line's details."""
    given = line.pop("attributes", None) or {}
    left_out = {key: value for key, value in given.items() if key not in attributes and value is not None}
    if left_out:
        line["details"] = {**line.get("details", {}), "attributes_left_out": left_out}
    return attributes


def ids_of(task: TaskRef | None, step_id: str | None, context: Context, span: Span) -> dict[str, str]:
    """The ids that stand on every line recorded in a place."""
    ids: dict[str, str] = {}
    if task is not None:
        ids["task_id"] = task.task_id
    if step_id is not None:
        ids["step_id"] = step_id
    around = bound(context)
    for key in CORRELATION_IDS:
        value = (task.header.get(key) if task is not None else None) or around.get(key)
        if value is not None:
            ids[key] = str(value)
    own = span.get_span_context()
    if own.is_valid:
        ids["trace_id"], ids["span_id"] = format_trace_id(own.trace_id), format_span_id(own.span_id)
    return ids

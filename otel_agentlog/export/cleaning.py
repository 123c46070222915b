"""Spans and log records of others, cleaned before they leave: the same redaction, applied to a copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status

Clean = Callable[[Any], Any]
"""Any value → the same value without secrets, bounded. Where it fails it must return something harmless, not raise."""


def cleaned_span(span: ReadableSpan, clean: Clean) -> ReadableSpan:
    """A copy of a finished span without secrets in name, attributes, events, links and status."""
    return ReadableSpan(
        name=str(clean(span.name)),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes(span.attributes, clean),
        events=[Event(str(clean(event.name)), _attributes(event.attributes, clean), event.timestamp) for event in span.events],
        links=[Link(link.context, _attributes(link.attributes, clean)) for link in span.links],
        kind=span.kind,
        status=_status(span.status, clean),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def cleaned_log(record: ReadWriteLogRecord, clean: Clean) -> ReadableLogRecord:
    """A copy of a log record without secrets in body and attributes."""
    said = record.log_record
    copy = LogRecord(
        timestamp=said.timestamp,
        observed_timestamp=said.observed_timestamp,
        context=said.context,
        severity_text=said.severity_text,
        severity_number=said.severity_number,
        body=clean(said.body),
        attributes=_attributes(said.attributes, clean),
        event_name=said.event_name,
    )
    return ReadableLogRecord(copy, record.resource or Resource({}), record.instrumentation_scope)


def _attributes(attributes: Mapping[str, Any] | None, clean: Clean) -> dict[str, Any]:
    found = clean(dict(attributes or {}))
    return found if isinstance(found, dict) else {}


def _status(status: Status, clean: Clean) -> Status:
    if status.description is None:
        return status
    return Status(status.status_code, str(clean(status.description)))

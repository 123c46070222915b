"""From a line to the fields of an OTLP log record, and copies without secrets of spans and log records of other libraries.

- ``message`` is the body. GenAI events have no body, by the convention.
- A line of type ``log`` has no event name; every other record is an event named ``agentlog.<action>``.
- ``details`` stay one structured attribute, ``agentlog.details``. A map cannot collide with the names of others and takes one
  place of the SDK's 128 per record; Loki flattens it into structured metadata (``agentlog_details_files``) all the same. It
  is bounded, because Loki rejects a record whose metadata exceeds 128 entries or 64 kB: what is cut is marked, and is
  whole in the folder.
- Attributes of the user's own come first and ids last, as on spans (``semconv/conventions.py``).
- ``log.record.uid`` is ``<task id>/<event id>`` and, for the second record of a line, ends in what it is: a record that is
  sent again can be recognised as the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from otel_agentlog.export.semconv import content, fields, names
from otel_agentlog.export.semconv.conventions import USER_ATTRIBUTES_AT_START, Conventions
from otel_agentlog.export.semconv.spans import context_attributes, error_type, exception_attributes, operation_name
from otel_agentlog.vocabulary.coerce import as_number, as_text, as_texts, mapping
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, DETAILS, EXCEPTION, Line
from otel_agentlog.vocabulary.scores import is_score

Attributes: TypeAlias = dict[str, AttributeValue]


class LogFields(NamedTuple):
    """One log record without time, trace context and resource, as ``opentelemetry._logs`` names its fields."""

    event_name: str | None
    severity_number: int
    severity_text: str
    body: str | None
    attributes: Attributes


_SEVERITIES = {
    "TRACE": 1,
    "DEBUG": 5,
    "INFO": 9,
    "NOTICE": 10,
    "WARN": 13,
    "WARNING": 13,
    "ERROR": 17,
    "CRITICAL": 21,
    "FATAL": 21,
}
"""OTLP severity numbers; the text is the level of the line."""

MAX_DETAILS = 64
"""Leaves of ``details`` that leave with a record."""
MAX_DETAIL_CHARACTERS = 4_096
"""Characters of one text among them."""
MAX_DETAILS_CHARACTERS = 32_768
"""Characters of all texts and keys together."""

_ORIGIN = (("action", names.ACTION, as_text), *fields.ORIGIN)
_SUGGESTIONS = (("suggestions", names.ERROR_SUGGESTIONS, as_texts),)

_EVALUATION = (*fields.EVALUATION, ("error_type", names.ERROR_TYPE, as_text))
_EVALUATION_KEYS = frozenset(key for key, _, _ in _EVALUATION)

_ABOUT_ERRORS = frozenset({"attempt", "event"})
"""Types of lines about an error that they do not carry: attempts that failed, and how an error was handled."""


def fields_of(kind: str, line: Line, start: Line | None, conventions: Conventions) -> LogFields:
    """The fields of one record of a line, by its kind: ``log``, ``exception`` or ``details``.

    ``start`` is the start line of the AI call, for ``details``.
    """
    if kind == EXCEPTION:
        return exception_fields(line, conventions)
    if kind == DETAILS:
        return details_event_fields(start or {"type": "ai_request"}, line, conventions)
    return log_fields(line, conventions)


def log_record(fields: LogFields, line: Line, time_ns: int) -> LogRecord:
    """The record that a logger takes; the same for live lines and those read back from a folder."""
    return LogRecord(
        timestamp=time_ns,
        observed_timestamp=time_ns,
        context=_span_context_of(line),
        severity_text=fields.severity_text,
        severity_number=SeverityNumber(fields.severity_number),
        body=fields.body,
        attributes=fields.attributes,
        event_name=fields.event_name,
    )


def _span_context_of(line: Line) -> Context:
    """A context whose span has the ids of a line, so that a log record gets them; empty ids where the line has none."""
    trace_id, span_id = line.get("trace_id"), line.get("span_id")
    if not trace_id or not span_id:
        return set_span_in_context(INVALID_SPAN, Context())
    ids = SpanContext(int(trace_id, 16), int(span_id, 16), False, TraceFlags(line.get("trace_flags", 1)))
    return set_span_in_context(NonRecordingSpan(ids), Context())


def log_fields(line: Line, conventions: Conventions) -> LogFields:
    """The record of a line for which `otel_agentlog.vocabulary.lines.is_log_record` is true.

    Output, thinking and the like have their text as body, shortened under the policy ``preview`` with digest and size beside
    it.
    """
    if is_score(line):
        return _evaluation_fields(line)
    number, word = severity(line)
    attributes = _user_attributes(line)
    fields.copy(line, _ORIGIN, attributes)
    if function := as_text(line.get("function")):
        module = as_text(line.get("module"))
        attributes[names.CODE_FUNCTION_NAME] = f"{module}.{function}" if module else function
    body = as_text(line.get("message"))
    if line["type"] in CONTENT_TYPES:
        body = _content_body(line, conventions, attributes)
    if details := line.get("details"):
        add_details(details, attributes)
        if line["type"] in _ABOUT_ERRORS:
            fields.copy(mapping(line, "details"), fields.ERROR, attributes)
    if "exception" in line:
        _add_exception(line, attributes)
    _add_ids(line, attributes, "")
    return LogFields(_event_name(line), number, word, body, attributes)


def _evaluation_fields(line: Line) -> LogFields:
    """The convention's event of a score; what it has no attribute for stays under ``agentlog.details``."""
    attributes: Attributes = {}
    details = mapping(line, "details")
    fields.copy(details, _EVALUATION, attributes)
    if own := {key: value for key, value in details.items() if key not in _EVALUATION_KEYS}:
        add_details(own, attributes)
    _add_ids(line, attributes, "")
    return LogFields(names.EVENT_EVALUATION, *severity(line), None, attributes)


def exception_fields(line: Line, conventions: Conventions) -> LogFields:
    """The record of the exception on an end line for which `otel_agentlog.vocabulary.lines.is_exception_record` is true.

    For AI calls it is the convention's event, at severity WARN and without a body; otherwise ``agentlog.exception`` at the
    line's level.
    """
    attributes: Attributes = {}
    _add_exception(line, attributes)
    if (error := error_type(line)) is not None:
        attributes[names.ERROR_TYPE] = error
    if line["type"] == "ai_response":
        details = mapping(line, "details")
        operation = attributes[names.OPERATION] = operation_name(details)
        attributes[names.PROVIDER] = fields.provider_name(details.get("provider"))
        fields.copy(details, (("model", names.REQUEST_MODEL, as_text),), attributes)
        _add_ids(line, attributes, "#exception")
        return LogFields(conventions.ai_exception(operation), 13, "WARN", None, attributes)
    number, word = severity(line)
    _add_ids(line, attributes, "#exception")
    exception = mapping(line, "exception")
    body = ": ".join(part for key in ("type", "message") if (part := as_text(exception.get(key))))
    return LogFields(names.EVENT_EXCEPTION, number, word, body or None, attributes)


def details_event_fields(start_line: Line, end_line: Line, conventions: Conventions) -> LogFields:
    """The convention's details event of one AI call: all attributes of its span, content structured.

    Both lines as they are in the folder, with their ``attributes``.
    """
    attributes: Attributes = {}
    for line in (start_line, end_line):
        own = mapping(line, "attributes")
        attributes.update({key: value for key, value in own.items() if key not in content.KEYS})
    attributes.update(conventions.content(start_line, structured=True))
    attributes.update(conventions.content(end_line, structured=True))
    _add_ids(end_line, attributes, "#details")
    return LogFields(names.EVENT_INFERENCE_DETAILS, 5, "DEBUG", None, attributes)


def severity(line: Line) -> tuple[int, str]:
    """OTLP number and text of a line's level; INFO where it has none that is known."""
    word = str(line.get("level") or "INFO").upper()
    return _SEVERITIES.get(word, 9), word


def _event_name(line: Line) -> str | None:
    kind = line["type"]
    if kind == "log":
        return None
    if kind in CONTENT_TYPES:
        return names.EVENT_CONTENT
    return f"agentlog.{as_text(line.get('action')) or kind}"


def _content_body(line: Line, conventions: Conventions, attributes: Attributes) -> str | None:
    attributes[names.CONTENT_TYPE] = line["type"]
    text = as_text(line.get("content"))
    if text is None or conventions.content_policy == "off":
        return None
    if conventions.content_policy == "full":
        return text
    short, whole = content.preview_text(text)
    attributes.update(content.digest(line["type"], whole))
    return short


def _user_attributes(line: Line) -> Attributes:
    given = mapping(line, "attributes")
    if not given:
        return {}
    own = [(key, value) for key, value in given.items() if value is not None and not key.startswith("agentlog.")]
    return dict(own[:USER_ATTRIBUTES_AT_START])


def _add_exception(line: Line, attributes: Attributes) -> None:
    exception = mapping(line, "exception")
    attributes.update(context_attributes(exception))
    attributes.update(exception_attributes(exception))
    fields.copy(exception, _SUGGESTIONS, attributes)


def _add_ids(line: Line, attributes: Attributes, suffix: str) -> None:
    for key, attribute, _ in fields.COMMON:
        if value := as_text(line.get(key)):
            attributes.pop(attribute, None)
            attributes[attribute] = value
    if event_id := as_text(line.get("event_id")):
        task_id = as_text(line.get("task_id"))
        attributes[names.EVENT_ID] = event_id
        attributes[names.LOG_RECORD_UID] = (f"{task_id}/{event_id}" if task_id else event_id) + suffix


class _Bounded:
    """Copies a structure within the limits above; ``cut`` is whether anything was left out."""

    def __init__(self) -> None:
        self.leaves = MAX_DETAILS
        self.characters = MAX_DETAILS_CHARACTERS
        self.cut = False

    def copy(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple)):
            return self._sequence(value, depth)
        self.leaves -= 1
        if isinstance(value, str):
            return self._text(value)
        return value if as_number(value) is not None or isinstance(value, bool) else self._text(str(value))

    def _mapping(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        copied: dict[str, Any] = {}
        for key, item in value.items():
            if self._spent(depth):
                break
            if item is not None:
                name = self._text(str(key)) or "_"
                copied[name] = self.copy(item, depth + 1)
        return copied

    def _sequence(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        copied: list[Any] = []
        for item in value:
            if self._spent(depth):
                break
            if item is not None:
                copied.append(self.copy(item, depth + 1))
        return copied

    def _spent(self, depth: int) -> bool:
        spent = self.leaves <= 0 or self.characters <= 0 or depth > 8
        self.cut = self.cut or spent
        return spent

    def _text(self, text: str) -> str:
        limit = min(MAX_DETAIL_CHARACTERS, max(0, self.characters))
        self.characters -= min(len(text), limit)
        if len(text) <= limit:
            return text
        self.cut = True
        return text[:limit] + "…"


def _is_small(details: Any) -> bool:
    """Whether these are plain values within all limits, as nearly always."""
    if type(details) is not dict or len(details) > MAX_DETAILS:
        return False
    characters = 0
    for key, value in details.items():
        kind = type(value)
        if kind is str:
            size = len(value)
            if size > MAX_DETAIL_CHARACTERS:
                return False
            characters += size
        elif kind is int:
            if as_number(value) is None:
                return False
        elif kind is not float and kind is not bool:
            return False
        if not key:
            return False
        characters += len(key)
    return characters < MAX_DETAIL_CHARACTERS


def add_details(details: Any, attributes: Attributes) -> None:
    """Add the details of a line, within the limits above."""
    if _is_small(details):
        attributes[names.DETAILS] = details
        return
    bounded = _Bounded()
    attributes[names.DETAILS] = bounded.copy(details)
    if bounded.cut:
        attributes[names.DETAILS_TRUNCATED] = True


# -- spans and log records of other libraries -----------------------------------------------------------------------------

Clean: TypeAlias = Callable[[Any], Any]
"""Returns any value without secrets and bounded. Where it fails it returns something harmless; it does not raise."""

Origin = TypeVar("Origin")
MAX_ORIGINS = 256
OWN_SCOPE = "otel_agentlog"
"""Instrumentation scope of everything recorded here; it was cleaned before it came here."""


class CleanOrigins:
    """Resources and scopes without secrets. Of the few there are nearly all are clean: each is looked at once."""

    def __init__(self, clean: Clean) -> None:
        self._clean = clean
        self._known: dict[int, tuple[object, object]] = {}

    def resource(self, resource: Resource) -> Resource:
        """The resource itself if it is clean."""
        return self._of(resource, self._cleaned_resource)

    def scope(self, scope: InstrumentationScope | None) -> InstrumentationScope | None:
        """The scope itself if it is clean."""
        return None if scope is None else self._of(scope, self._cleaned_scope)

    def _of(self, origin: Origin, cleaned: Callable[[Origin], Origin]) -> Origin:
        known = self._known.get(id(origin))
        if known is not None and known[0] is origin:
            return cast("Origin", known[1])
        if len(self._known) >= MAX_ORIGINS:
            self._known.clear()
        found = cleaned(origin)
        # With the original, so that its id stays its own.
        self._known[id(origin)] = origin, found
        return found

    def _cleaned_resource(self, resource: Resource) -> Resource:
        attributes = _cleaned_attributes(resource.attributes, self._clean)
        url = str(self._clean(resource.schema_url or ""))
        same = _values(resource.attributes) == attributes and url == (resource.schema_url or "")
        return resource if same else Resource(attributes, url or None)

    def _cleaned_scope(self, scope: InstrumentationScope) -> InstrumentationScope:
        before = [scope.name, scope.version, scope.schema_url]
        name, version, url = texts = [None if text is None else str(self._clean(text)) for text in before]
        attributes = _cleaned_attributes(scope.attributes, self._clean)
        same = texts == before and _values(scope.attributes or {}) == attributes
        return scope if same else InstrumentationScope(str(name), version, url, attributes or None)


def _values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in attributes.items()}


def cleaned_span(span: ReadableSpan, clean: Clean, origins: CleanOrigins) -> ReadableSpan:
    """A copy of a finished span without secrets in any of its parts, where it comes from among them."""
    return ReadableSpan(
        name=str(clean(span.name)),
        context=_cleaned_context(span.get_span_context(), clean),
        parent=span.parent,
        resource=origins.resource(span.resource),
        attributes=_cleaned_attributes(span.attributes, clean),
        events=[_cleaned_event(event, clean) for event in span.events],
        links=[_cleaned_link(link, clean) for link in span.links],
        kind=span.kind,
        status=_cleaned_status(span.status, clean),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=origins.scope(span.instrumentation_scope),
    )


def _cleaned_link(link: Link, clean: Clean) -> Link:
    return Link(_cleaned_context(link.context, clean) or link.context, _cleaned_attributes(link.attributes, clean))


def _cleaned_context(context: SpanContext | None, clean: Clean) -> SpanContext | None:
    """The same ids; of the trace state only members that are clean or can be made so."""
    if context is None or not context.trace_state:
        return context
    members = [(key, str(clean({key: value}).get(key, ""))) for key, value in context.trace_state.items() if clean(key) == key]
    state = TraceState([(key, value) for key, value in members if value])
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, state)


def _cleaned_event(event: Event, clean: Clean) -> Event:
    return Event(str(clean(event.name)), _cleaned_attributes(event.attributes, clean), event.timestamp)


def cleaned_log(record: ReadWriteLogRecord, clean: Clean, origins: CleanOrigins) -> ReadableLogRecord:
    """A copy of a log record without secrets in any of its parts, where it comes from among them."""
    log = record.log_record
    copy = LogRecord(
        timestamp=log.timestamp,
        observed_timestamp=log.observed_timestamp,
        context=log.context,
        severity_text=None if log.severity_text is None else str(clean(log.severity_text)),
        severity_number=log.severity_number,
        body=clean(log.body),
        attributes=_cleaned_attributes(log.attributes, clean),
        event_name=None if log.event_name is None else str(clean(log.event_name)),
    )
    resource = origins.resource(record.resource) if record.resource is not None else Resource({})
    return ReadableLogRecord(copy, resource, origins.scope(record.instrumentation_scope))


def cleaned_metrics(data: Any, clean: Clean, origins: CleanOrigins) -> Any:
    """A copy of the SDK's ``MetricsData`` without secrets in labels, descriptions and where they come from; our own labels are
    made of clean lines."""
    return replace(data, resource_metrics=[_cleaned_resource_metrics(each, clean, origins) for each in data.resource_metrics])


def _cleaned_resource_metrics(found: Any, clean: Clean, origins: CleanOrigins) -> Any:
    scopes = [
        scope
        if scope.scope.name == OWN_SCOPE
        else replace(
            scope, scope=origins.scope(scope.scope), metrics=[_cleaned_metric(metric, clean) for metric in scope.metrics]
        )
        for scope in found.scope_metrics
    ]
    return replace(found, resource=origins.resource(found.resource), scope_metrics=scopes)


def _cleaned_metric(metric: Any, clean: Clean) -> Any:
    points = [
        replace(
            point,
            attributes=_cleaned_attributes(point.attributes, clean),
            exemplars=[
                replace(each, filtered_attributes=_cleaned_attributes(each.filtered_attributes, clean))
                for each in point.exemplars
            ],
        )
        for point in metric.data.data_points
    ]
    texts = {name: str(clean(getattr(metric, name) or "")) for name in ("description", "unit")}
    return replace(metric, **texts, data=replace(metric.data, data_points=points))


def _cleaned_attributes(attributes: Mapping[str, Any] | None, clean: Clean) -> dict[str, Any]:
    found = clean(dict(attributes or {}))
    return found if isinstance(found, dict) else {}


def _cleaned_status(status: Status, clean: Clean) -> Status:
    if status.description is None:
        return status
    return Status(status.status_code, str(clean(status.description)))

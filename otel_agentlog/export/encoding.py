"""Spans and log records of lines as OTLP bytes: the one way that live sending, `ship`, recovery and `export` take.

What is encoded is what the SDK's tracer, logger and encoder make of the same values, within its limits
(``OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`` and the like). A damaged line may hold anything: the caller catches what encoding it raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, Literal, NamedTuple, TypeVar, cast

from opentelemetry.sdk._logs import LogRecordLimits
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.trace import TraceState

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.export.records import MAX_DETAIL_CHARACTERS, MAX_DETAILS, LogFields, add_details, fields_of, log_fields
from otel_agentlog.export.semconv import names
from otel_agentlog.export.semconv.conventions import ContentPolicy, Conventions, Profile
from otel_agentlog.export.semconv.fields import COMMON
from otel_agentlog.export.semconv.spans import noted_event
from otel_agentlog.export.transport.wire import (
    Encoded,
    Source,
    attributes_field,
    count_field,
    fixed64_field,
    pairs_of,
    source_of,
    text_attribute,
    text_field,
    value_of,
    with_length,
)
from otel_agentlog.settings.standard import usable_variables
from otel_agentlog.vocabulary.coerce import as_text
from otel_agentlog.vocabulary.lines import LOG, Line
from otel_agentlog.vocabulary.records import LogRecordLine, RecordedScope, SpanEvent, SpanLink, SpanRecord

MAX_SOURCES = 256
"""Resources with their scopes whose bytes are kept."""

MAX_KEPT = 512
"""Places of log calls, and sets of ids, whose bytes are kept."""

_PLACE = ("level", "action", "logger", "line", "state_before", "state_after", "reason", "function", "module")
_IDS = tuple(key for key, _, _ in COMMON)
"""Keys of a log call's line: those that are the same whenever it is made, and those that are the same for a while."""
_MOST_OF_A_LOG = 24
"""More attributes than such a line can give."""
_NO_CONTENT = Conventions()
_PLAIN = frozenset((str, int, float, bool))
_FLAT = _PLAIN | {list}
_NEVER_PLAIN = frozenset(("trace_state", "scope", "links", "events", "status"))
"""Keys of start and end lines whose spans are put together with care."""
_DETAILS_NAME = text_field(b"\x0a", names.DETAILS) + b"\x12"

_KINDS = {"INTERNAL": b"0\x01", "SERVER": b"0\x02", "CLIENT": b"0\x03", "PRODUCER": b"0\x04", "CONSUMER": b"0\x05"}
_STATUS = {"UNSET": b"", "OK": b"\x18\x01", "ERROR": b"\x18\x02"}

# Whether the parent, or the linked span, is of another process.
_LOCAL, _REMOTE = 0x100, 0x300
_SPAN_FLAGS, _LINK_FLAGS = Struct("<HI").pack, Struct("<BI").pack
_LOG_FLAGS = Struct("<BI").pack
_LOCAL_SPAN, _REMOTE_SPAN = (b"\x7a\x00" + _SPAN_FLAGS(0x0185, flags) for flags in (_LOCAL, _REMOTE))
"""The end of a span whose status is not set."""
_TIMES, _TIME = Struct("<BQBQ").pack, Struct("<Q").pack

T = TypeVar("T")


class SdkLimits(NamedTuple):
    """How much of a span or log record the SDK sends; ``None`` is without end."""

    attributes: int | None
    length: int | None
    """Characters of a text on a span."""
    events: int | None
    links: int | None
    event_attributes: int | None
    link_attributes: int | None
    inner_length: int | None
    """Characters of a text on an event or link."""
    log_attributes: int | None
    log_length: int | None


def limits_of_environment() -> SdkLimits:
    """The limits of the standard variables, as the SDK reads them."""
    with usable_variables():
        span, log = SpanLimits(), LogRecordLimits()
    return SdkLimits(
        span.max_span_attributes,
        span.max_span_attribute_length,
        span.max_events,
        span.max_links,
        span.max_event_attributes,
        span.max_link_attributes,
        span.max_attribute_length,
        log.max_log_record_attributes,
        log.max_log_record_attribute_length,
    )


class Encoder:
    """Encodes spans and log records; for one thread."""

    def __init__(self, limits: SdkLimits | None = None, resource_url: str = "") -> None:
        """``resource_url`` is the schema of the resources; a folder does not keep it."""
        self._limits, self._resource_url = limits or limits_of_environment(), resource_url
        self._places: dict[tuple[tuple[Any, ...], type], tuple[bytes, bytes]] = {}
        self._ids: dict[tuple[Any, ...], bytes] = {}
        self._heads: dict[tuple[Any, Any], bytes] = {}
        self._sources: dict[tuple[int, str, str | None, str | None], tuple[Mapping[str, Any], Source]] = {}

    def span(self, record: SpanRecord) -> Encoded:
        """A finished span: ids in hex, times in Unix nanoseconds; one that has not ended ends when it began."""
        limits = self._limits
        attributes, dropped = _bounded(_set(record.attributes), limits.attributes, limits.length)
        end_ns = record.start_ns if record.end_ns is None else record.end_ns
        remote = bool(record.parent_span_id) and record.parent_remote
        status = _STATUS[record.status_code]
        if record.status_code == "ERROR":
            status = text_field(b"\x12", record.status_description) + status
        parts = [
            b"\x0a\x10" + _id(record.trace_id, 16) + b"\x12\x08" + _id(record.span_id, 8),
            text_field(b"\x1a", _trace_state(record.trace_state)) if record.trace_state else b"",
            b"\x22\x08" + _id(record.parent_span_id, 8) if record.parent_span_id else b"",
            text_field(b"\x2a", record.name),
            _KINDS[record.kind],
            _times(0x39, record.start_ns, 0x41, end_ns),
            attributes_field(b"\x4a", attributes),
            count_field(b"\x50", dropped),
            self._events(_with_noted(record)) if record.events or record.noted else b"",
            self._links(record.links) if record.links else b"",
            b"\x7a" + with_length(status),
            _SPAN_FLAGS(0x0185, _REMOTE if remote else _LOCAL),
        ]
        source = self.source(record.resource, record.scope)
        return Encoded(source, b"\x12" + with_length(b"".join(parts)))

    def plain_span(self, begun: Line, line: Line, start_ns: int, end_ns: int, source: Source) -> Encoded | None:
        """The span of a start and an end line that have nothing but ids, names and flat attributes, as nearly all; else ``None``.

        The same bytes as by `span` of what `otel_agentlog.vocabulary.records` makes of them. ``source`` is that of the process.
        """
        limits, name = self._limits, line.get("name") or begun.get("name")
        first, then = begun.get("attributes") or {}, line.get("attributes") or {}
        plain = begun.keys().isdisjoint(_NEVER_PLAIN) and line.keys().isdisjoint(_NEVER_PLAIN)
        if not (plain and _is_flat(first) and _is_flat(then) and start_ns > 0 < end_ns):
            return None
        if limits.length is not None or (limits.attributes is not None and len(first) + len(then) > limits.attributes):
            return None
        if not first.keys().isdisjoint(then):
            # What is set again is the newest.
            first = {key: value for key, value in first.items() if key not in then}
        try:
            trace_id, span_id = _trace_id(begun["trace_id"]), bytes.fromhex(begun["span_id"])
            parent = bytes.fromhex(begun.get("parent_span_id") or "")
            head = self._heads.get((name, begun["kind"])) or self._span_head(name, begun["kind"])
            pairs = pairs_of(first) + pairs_of(then)
        except Exception:  # noqa: BLE001 - of a damaged line, or a value that has no form in OTLP
            raise_interrupt()
            return None
        if head is None or len(trace_id) != 16 or len(span_id) != 8 or len(parent) not in (0, 8):
            return None
        flags = _REMOTE_SPAN if parent and begun.get("parent_remote") is True else _LOCAL_SPAN
        parts = (
            b"\x0a\x10" + trace_id + b"\x12\x08" + span_id,
            b"\x22\x08" + parent + head if parent else head,
            _TIMES(0x39, start_ns, 0x41, end_ns),
            b"\x4a" + b"\x4a".join(pairs) if pairs else b"",
            flags,
        )
        return Encoded(source, b"\x12" + with_length(b"".join(parts)))

    def _span_head(self, name: Any, kind: Any) -> bytes | None:
        """Name and kind of a span; ``None`` for what is none."""
        if type(name) is not str or not name or kind not in _KINDS:
            return None
        head = text_field(b"\x2a", name) + _KINDS[kind]
        _keep(self._heads, (name, kind), head)
        return head

    def _events(self, events: Sequence[SpanEvent]) -> bytes:
        kept, left_out = _last(events, self._limits.events)
        return b"".join(map(self._event, kept)) + count_field(b"\x60", left_out)

    def _event(self, event: SpanEvent) -> bytes:
        attributes, dropped = _bounded(_set(event.attributes), self._limits.event_attributes, self._limits.inner_length)
        encoded = fixed64_field(0x09, event.time_ns) + text_field(b"\x12", event.name)
        encoded += attributes_field(b"\x1a", attributes) + count_field(b"\x20", dropped)
        return b"\x5a" + with_length(encoded)

    def _links(self, links: Sequence[SpanLink]) -> bytes:
        kept, left_out = _last(links, self._limits.links)
        return b"".join(map(self._link, kept)) + count_field(b"\x70", left_out)

    def _link(self, link: SpanLink) -> bytes:
        attributes, dropped = _bounded(_set(link.attributes), self._limits.link_attributes, self._limits.inner_length)
        encoded = b"\x0a\x10" + _id(link.trace_id, 16) + b"\x12\x08" + _id(link.span_id, 8)
        encoded += attributes_field(b"\x22", attributes) + count_field(b"\x28", dropped)
        return b"\x6a" + with_length(encoded + _LINK_FLAGS(0x35, _REMOTE if link.remote else _LOCAL))

    def log(self, fields: LogFields, line: Line, time_ns: int, source: Source) -> Encoded:
        """A log record with the ids of its line."""
        values, dropped = _bounded(fields.attributes, self._limits.log_attributes, self._limits.log_length)
        trace_id, span_id = line.get("trace_id"), line.get("span_id")
        parts = (
            fixed64_field(0x09, time_ns),
            count_field(b"\x10", fields.severity_number),
            text_field(b"\x1a", fields.severity_text),
            b"\x2a" + with_length(value_of(fields.body)),
            attributes_field(b"\x32", values, None),
            count_field(b"\x38", dropped),
            _flags_and_ids(trace_id, span_id, line.get("trace_flags", 1)) if trace_id and span_id else b"",
            fixed64_field(0x59, time_ns),
            text_field(b"\x62", fields.event_name),
        )
        return Encoded(source, b"\x12" + with_length(b"".join(parts)))

    def plain_log(self, line: Line, time_ns: int, source: Source) -> Encoded | None:
        """The log record of a log call, put together of what changes rarely and is kept; ``None`` for any other line.

        The same bytes as by `log` of `otel_agentlog.export.records.log_fields`.
        """
        limits, get = self._limits, line.get
        if get("type") != "log" or "exception" in line or "attributes" in line or limits.log_length is not None or not time_ns:
            return None
        if limits.log_attributes is not None and limits.log_attributes < _MOST_OF_A_LOG:
            return None
        place = tuple(map(get, _PLACE))
        ids = tuple(map(get, _IDS))
        try:
            head = self._places.get((place, type(get("line")))) or self._head(place)
            tail = self._ids.get(ids) or self._tail(ids)
        except TypeError:
            raise_interrupt()
            return None  # what cannot be looked up, of a damaged line
        details = get("details")
        own = self._details(details) if details else b""
        last = b""
        if event_id := as_text(get("event_id")):
            task_id = as_text(get("task_id"))
            uid = f"{task_id}/{event_id}" if task_id else event_id
            last = text_attribute(b"\x32", names.EVENT_ID, event_id) + text_attribute(b"\x32", names.LOG_RECORD_UID, uid)
        body = as_text(get("message"))
        trace_id, span_id = get("trace_id"), get("span_id")
        time = _TIME(time_ns)
        parts = (
            b"\x09" + time,
            head[0],
            b"\x2a" + with_length(b"\x0a" + with_length(body.encode())) if body else b"\x2a\x00",
            head[1],
            own,
            tail,
            last,
            _flags_and_ids(trace_id, span_id, get("trace_flags", 1)) if trace_id and span_id else b"",
            b"\x59" + time,
        )
        return Encoded(source, b"\x12" + with_length(b"".join(parts)))

    def _details(self, details: Any) -> bytes:
        """The attribute that ``details`` are: at once, where they are few plain values, as nearly always."""
        if type(details) is dict and len(details) <= MAX_DETAILS and _PLAIN.issuperset(map(type, details.values())):
            try:
                pairs = pairs_of(details)
            except Exception:  # noqa: BLE001 - as in `attributes_field`
                raise_interrupt()
                pairs = []
            value = b"\x0a" + b"\x0a".join(pairs)
            # Bytes are at least as many as characters. A name that is empty is left out.
            if pairs and len(value) < MAX_DETAIL_CHARACTERS and "" not in details:
                return b"\x32" + with_length(_DETAILS_NAME + with_length(b"\x32" + with_length(value)))
        attributes: dict[str, Any] = {}
        add_details(details, attributes)
        return attributes_field(b"\x32", attributes, None)

    def _head(self, place: tuple[Any, ...]) -> tuple[bytes, bytes]:
        """Severity, and attributes of the place of a log call, by the values of `_PLACE`."""
        fields = log_fields({"type": "log", **_present(_PLACE, place)}, _NO_CONTENT)
        severity = count_field(b"\x10", fields.severity_number) + text_field(b"\x1a", fields.severity_text)
        head = severity, attributes_field(b"\x32", fields.attributes, None)
        _keep(self._places, (place, type(place[_PLACE.index("line")])), head)
        return head

    def _tail(self, ids: tuple[Any, ...]) -> bytes:
        """The attributes that are ids, by the values of `_IDS`."""
        fields = log_fields({"type": "log", **_present(_IDS, ids)}, _NO_CONTENT)
        tail = attributes_field(b"\x32", fields.attributes, None)
        _keep(self._ids, ids, tail)
        return tail

    def record(self, record: LogRecordLine) -> Encoded:
        """A log record read back from a folder, under the settings of the process that recorded it."""
        origin = record.origin
        source = self.source(record.resource, record.scope)
        encoded = self.plain_log(record.line, record.time_ns, source) if record.kind == LOG else None
        if encoded is not None:
            return encoded
        conventions = _conventions(origin.profile, record.content_policy, frozenset(origin.content_on))
        return self.log(fields_of(record.kind, record.line, record.start, conventions), record.line, record.time_ns, source)

    def source(self, resource: Mapping[str, Any], scope: RecordedScope) -> Source:
        """Resource and scope, whose bytes are kept."""
        key = (id(resource), scope.name, scope.version, scope.schema_url)
        known = self._sources.get(key) if not scope.attributes else None
        if known is not None and known[0] is resource:
            return known[1]
        attributes = _bounded(_set(resource), None, None)[0], _bounded(_set(scope.attributes), None, None)[0]
        made = source_of(attributes[0], self._resource_url, scope.name, scope.version, scope.schema_url, attributes[1])
        if not scope.attributes:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.clear()
            # With the resource, so that its id stays its own.
            self._sources[key] = resource, made
        return made


def _with_noted(record: SpanRecord) -> list[SpanEvent]:
    """The events of a span, and the lines that are events of it, in the order of time."""
    noted = [SpanEvent(name, at, found) for at, line in record.noted for name, found in (noted_event(line),)]
    return sorted(record.events + noted, key=lambda event: event.time_ns) if noted else record.events


@lru_cache(maxsize=32)
def _conventions(profile: str, policy: str, places: frozenset[str]) -> Conventions:
    content_on = cast("frozenset[Literal['span', 'event']]", places)
    return Conventions(cast(Profile, profile), cast(ContentPolicy, policy), content_on)


@lru_cache(maxsize=256)
def _id(text: str, size: int) -> bytes:
    return int(text, 16).to_bytes(size, "big")


@lru_cache(maxsize=256)
def _flags_and_ids(trace_id: str, span_id: str, flags: int) -> bytes:
    """Those of a log record; an id of zeros is none."""
    trace, span = _id(trace_id, 16), _id(span_id, 8)
    ids = (b"\x4a\x10" + trace if any(trace) else b"") + (b"\x52\x08" + span if any(span) else b"")
    return _LOG_FLAGS(0x45, flags) + ids if flags else ids


@lru_cache(maxsize=256)
def _trace_id(text: str) -> bytes:
    return bytes.fromhex(text)


def _is_flat(attributes: Any) -> bool:
    """Whether these have plain values, or lists of texts, under names: nothing that stands for something else."""
    if type(attributes) is not dict or "" in attributes:
        return False
    kinds = {*map(type, attributes.values())}
    if list not in kinds:
        return kinds <= _PLAIN
    return kinds <= _FLAT and all(type(item) is str for value in attributes.values() if type(value) is list for item in value)


def _present(keys: tuple[str, ...], values: tuple[Any, ...]) -> dict[str, Any]:
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None}


def _keep(kept: dict[Any, Any], key: object, value: object) -> None:
    if len(kept) >= MAX_KEPT:
        kept.clear()
    kept[key] = value


def _trace_state(header: str) -> str:
    """The members of a trace state that are valid."""
    return ",".join(f"{key}={value}" for key, value in TraceState.from_header([header]).items())


def _times(began: int, start_ns: int, ended: int, end_ns: int) -> bytes:
    if start_ns and end_ns:
        return _TIMES(began, start_ns, ended, end_ns)
    return fixed64_field(began, start_ns) + fixed64_field(ended, end_ns)


# -- limits ---------------------------------------------------------------------------------------------------------------


def _set(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes that have a value, which is nearly always all of them."""
    if None not in attributes.values():
        return attributes
    return {key: value for key, value in attributes.items() if value is not None}


def _bounded(attributes: Mapping[str, Any], most: int | None, length: int | None) -> tuple[Mapping[str, Any], int]:
    """The newest ``most`` of the attributes, with texts of at most ``length`` characters, and how many others there were."""
    if "" not in attributes and length is None and (most is None or len(attributes) <= most):
        return attributes, 0
    kept = [(key, value) for key, value in attributes.items() if key]
    if most is not None and len(kept) > most:
        kept = kept[len(kept) - most :]
    shortened = {key: value if length is None else _shortened(value, length) for key, value in kept}
    return shortened, len(attributes) - len(shortened)


def _shortened(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return value[:length]
    if isinstance(value, Mapping):
        return {key: _shortened(item, length) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_shortened(item, length) for item in value]
    return value


def _last(items: Sequence[T], most: int | None) -> tuple[Sequence[T], int]:
    """The newest ``most`` items, and how many others there were."""
    if most is None or len(items) <= most:
        return items, 0
    return items[len(items) - most :], len(items) - most

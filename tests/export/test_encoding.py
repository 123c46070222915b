"""What our encoder writes is what the SDK and its official encoder write of the same records."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_agentlog.export.encoding import Encoder
from otel_agentlog.export.sink import attribute_values
from otel_agentlog.export.transport.wire import MAX_TEXTS, attributes_field, request_of
from otel_agentlog.vocabulary.records import (
    LogRecordLine,
    Origin,
    RecordedScope,
    SpanEvent,
    SpanLink,
    SpanRecord,
    begun_span,
    end_span,
)
from tests.support.sdk_records import readable_log, readable_span

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
_SCALAR = st.none() | st.booleans() | _TEXT | st.integers() | st.floats() | st.binary(max_size=3)
_VALUE = st.recursive(
    _SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3), max_leaves=6
)
_ATTRIBUTES = st.dictionaries(_TEXT, _VALUE, max_size=6)
_PLAIN = st.dictionaries(_TEXT.filter(bool), _TEXT | st.integers(2, 5), max_size=3)
_TIMES = st.integers(0, 2**63)
# Empty texts are told from none by the SDK where it groups, and not in what is sent.
_WORD = _TEXT.filter(bool)
_SCOPES = st.builds(RecordedScope, _TEXT, st.none() | _WORD, st.none() | _WORD, _PLAIN)
_STATES = st.none() | st.sampled_from(["", "a=1", "a=1,b=2", "not valid", "a=1,=,b=" + "x" * 300])
_RESOURCES = _PLAIN


def _hex(digits: int) -> st.SearchStrategy[str]:
    return st.integers(1, 16**digits - 1).map(lambda number: f"{number:0{digits}x}")


_NOTED = st.fixed_dictionaries(
    {"type": st.sampled_from(["log", "attempt", "event"]), "action": st.sampled_from(["attempt_failed", "done"])},
    optional={
        "message": _TEXT,
        "details": _ATTRIBUTES,
        "exception": st.fixed_dictionaries({"type": _TEXT, "message": _TEXT, "traceback": st.lists(_TEXT, max_size=2)}),
    },
)
_SPANS = st.builds(
    SpanRecord,
    name=_TEXT,
    kind=st.sampled_from(["INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]),
    trace_id=_hex(32),
    span_id=_hex(16),
    parent_span_id=st.none() | _hex(16),
    parent_remote=st.booleans(),
    trace_flags=st.integers(0, 255),
    trace_state=_STATES,
    start_ns=_TIMES,
    end_ns=st.none() | _TIMES,
    attributes=_ATTRIBUTES,
    events=st.lists(st.builds(SpanEvent, _TEXT, _TIMES, _ATTRIBUTES), max_size=4),
    links=st.lists(st.builds(SpanLink, _hex(32), _hex(16), _ATTRIBUTES, st.booleans()), max_size=4),
    status_code=st.sampled_from(["UNSET", "OK", "ERROR"]),
    status_description=st.none() | _TEXT,
    scope=_SCOPES,
    resource=_RESOURCES,
    line_type=st.just("step"),
    noted=st.lists(st.tuples(_TIMES, _NOTED), max_size=3),
)


@st.composite
def _log_records(draw: st.DrawFn) -> LogRecordLine:
    kind = draw(st.sampled_from(["log", "event", "output", "attempt"]))
    line: dict[str, Any] = {"type": kind, "level": draw(st.sampled_from(["INFO", "ERROR", "odd"])), "action": "done"}
    line |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "message": _TEXT,
                "content": _TEXT,
                "details": _ATTRIBUTES,
                "attributes": _ATTRIBUTES,
                "trace_id": _hex(32),
                "span_id": _hex(16),
                "trace_flags": st.integers(0, 1),
                "task_id": _TEXT,
                "event_id": _TEXT,
                "exception": st.fixed_dictionaries({"type": _TEXT, "message": _TEXT, "traceback": st.lists(_TEXT, max_size=2)}),
            },
        )
    )
    policy = draw(st.sampled_from(["off", "preview", "full"]))
    return LogRecordLine(line, draw(_RESOURCES), draw(_SCOPES), policy, "log", Origin(), None, draw(_TIMES))


pytestmark = pytest.mark.filterwarnings("ignore:Log record attributes were dropped")

LIMITS = [
    {},
    {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "2", "OTEL_SPAN_EVENT_COUNT_LIMIT": "2", "OTEL_SPAN_LINK_COUNT_LIMIT": "1"},
    {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "1"},
    {
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "0",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1",
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "3",
    },
]
"""Of the standard variables; without any, the SDK's own."""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK and its encoder log each value that they leave out or cut."""
    monkeypatch.setattr(logging.getLogger("opentelemetry"), "disabled", True)
    for name in ("opentelemetry.attributes", "opentelemetry.exporter.otlp.proto.common._internal", "opentelemetry.trace.status"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)


@pytest.mark.parametrize("limits", LIMITS)
def test_spans_are_what_the_sdk_sends(limits: dict[str, str]) -> None:
    """Every field, limit and count of what was left out; grouped by resource and scope alike."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in limits.items():
            environment.setenv(name, value)
        encoder = Encoder()

        @settings(max_examples=50, deadline=None)
        @given(st.lists(_SPANS, max_size=4))
        def same(records: list[SpanRecord]) -> None:
            ours = ExportTraceServiceRequest.FromString(request_of(map(encoder.span, records)))
            official = encode_spans([readable_span(record) for record in records])
            assert ours == official or str(ours) == str(official)  # a NaN equals nothing

        same()


@pytest.mark.parametrize("limits", LIMITS)
def test_log_records_are_what_the_sdk_sends(limits: dict[str, str]) -> None:
    """The same for lines of every kind that is a log record."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in limits.items():
            environment.setenv(name, value)
        encoder = Encoder()

        @settings(max_examples=50, deadline=None)
        @given(st.lists(_log_records(), max_size=4))
        def same(records: list[LogRecordLine]) -> None:
            ours = ExportLogsServiceRequest.FromString(request_of(map(encoder.record, records)))
            official = encode_logs([readable_log(record) for record in records])
            assert ours == official or str(ours) == str(official)

        same()


def test_the_same_bytes() -> None:
    """Not only the same messages: field by field in the same order."""
    record = SpanRecord(
        *("GET /", "CLIENT", "ab" * 16, "cd" * 8, "ef" * 8, True, 1, "a=1", 5, 9),
        {
            "text": "grüße",
            "n": -1,
            "f": 1.5,
            "yes": True,
            "list": ["a", 1, None],
            "map": {"deep": {"x": b"raw"}},
            "long": "x" * 5000,
        },
        [SpanEvent("one", 7, {"a": 1})],
        [SpanLink("ab" * 16, "12" * 8, {"why": "test"})],
        *("ERROR", "no", RecordedScope("s", "1", "url"), {"service.name": "x"}, "step"),
    )
    assert request_of([Encoder().span(record)]) == encode_spans([readable_span(record)]).SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "broken", [{"trace_id": "no hex"}, {"kind": "ODD"}, {"status_code": "?"}, {"start_ns": -1}, {"name": "\ud800"}]
)
def test_what_is_damaged_is_refused(broken: dict[str, Any]) -> None:
    """Whoever encodes it counts it as left out; the others go."""
    fields: dict[str, Any] = {"name": "n", "kind": "INTERNAL", "trace_id": "ab" * 16, "span_id": "cd" * 8, "start_ns": 1}
    rest: dict[str, Any] = {"parent_span_id": None, "parent_remote": False, "trace_flags": 1, "trace_state": None, "end_ns": 2}
    rest |= {"attributes": {}, "events": [], "links": [], "status_code": "UNSET", "status_description": None}
    record = SpanRecord(**{**fields, **rest, "scope": RecordedScope(), "resource": {}, "line_type": "step", **broken})
    with pytest.raises(Exception):
        Encoder().span(record)


_FLAT = _TEXT | st.integers(-5, 5_000) | st.floats() | st.booleans() | st.lists(_TEXT, max_size=3)
_NAMES = st.sampled_from(["a", "b", "gen_ai.request.model", ""]) | _WORD
_SOME = st.dictionaries(_NAMES, _FLAT | _VALUE, max_size=4) | st.dictionaries(_NAMES, _FLAT, max_size=8)
_ODD = st.sampled_from([None, 7, "", "x", [], {}, "ab" * 8, "CD" * 16, "no hex", " " * 16])
_ORDINARY = {"trace_id": _hex(32), "span_id": _hex(16), "kind": st.sampled_from(["INTERNAL", "CLIENT"]), "name": _WORD}
_OPTIONAL = {"parent_span_id": _hex(16), "parent_remote": st.booleans(), "attributes": _SOME, "trace_flags": st.integers(0, 3)}
_HARMED = dict.fromkeys(("trace_id", "span_id", "kind", "name", "parent_span_id", "trace_state", "message", "scope"), _ODD)


@st.composite
def _pairs_of_lines(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    begun = {"type": "step", **draw(st.fixed_dictionaries(_ORDINARY, optional=_OPTIONAL))}
    line = draw(st.fixed_dictionaries({}, optional={"name": _TEXT, "attributes": _SOME, "outcome": _TEXT}))
    if draw(st.booleans()):
        begun |= draw(st.fixed_dictionaries({}, optional=_HARMED))
        line |= draw(st.fixed_dictionaries({}, optional={"status": st.just({"code": "ERROR"}), "links": st.just([])}))
    return begun, line


@pytest.mark.parametrize("limits", LIMITS)
def test_spans_of_plain_lines_are_those_of_all_lines(limits: dict[str, str]) -> None:
    """Whatever is put together at once has the bytes that the careful way gives."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in limits.items():
            environment.setenv(name, value)
        encoder, origin = Encoder(), Origin(resource={"service.name": "x"})
        source = encoder.source(origin.resource, origin.scope)

        @settings(max_examples=150, deadline=None)
        @given(_pairs_of_lines(), _TIMES, _TIMES)
        def same(lines: tuple[dict[str, Any], dict[str, Any]], start_ns: int, end_ns: int) -> None:
            begun, line = lines
            encoded = encoder.plain_span(begun, line, start_ns, end_ns, source)
            if encoded is not None:
                span = begun_span(begun, origin, start_ns, attribute_values(begun))
                end_span(span, line, end_ns, attribute_values(line), lambda event: 0)
                assert encoded == encoder.span(span)

        same()


def test_usual_lines_are_plain() -> None:
    """A span with attributes of each plain kind, one of them set again at the end, is put together at once."""
    begun = {"trace_id": "ab" * 16, "span_id": "cd" * 8, "parent_span_id": "ef" * 8, "kind": "CLIENT", "name": "chat m"}
    begun["attributes"] = {"text": "a", "count": 3, "share": 0.5, "stream": False}  # type: ignore[assignment]
    line = {"outcome": "completed", "attributes": {"reasons": ["stop", "length"], "count": 4}}
    encoder = Encoder()

    encoded = encoder.plain_span(begun, line, 5, 9, encoder.source({}, RecordedScope()))

    assert encoded is not None
    (span,) = ExportTraceServiceRequest.FromString(request_of([encoded])).resource_spans[0].scope_spans[0].spans
    assert [each.key for each in span.attributes] == ["text", "share", "stream", "reasons", "count"]


@given(st.lists(st.tuples(_NAMES, _FLAT), max_size=3 * MAX_TEXTS))
def test_an_attribute_is_encoded_the_same_each_time(attributes: list[tuple[str, Any]]) -> None:
    """Kept bytes are those of their name and value, whatever was encoded before: 1, 1.0, true and "1" are four values."""
    for name, value in attributes:
        for each in (value, 1, 1.0, True, "1"):
            encoded = attributes_field(b"\x32", {name: each})
            assert encoded == attributes_field(b"\x32", {name: each})
            assert (b"\x10\x01" in encoded) or each is not True
            assert (b"\x0a\x011" in encoded) or each != "1"

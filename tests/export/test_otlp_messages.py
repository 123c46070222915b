"""Our encoder of log records writes the same bytes as the official one, whose module is not public."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs as official
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_agentlog.export.transport.otlp import encode_logs

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_SCALAR = (
    st.none() | st.booleans() | _TEXT | st.integers() | st.floats(allow_nan=False) | st.binary(max_size=3) | st.just("\ud800")
)
_VALUE = st.recursive(
    _SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3), max_leaves=6
)
_SCOPES = st.none() | st.builds(InstrumentationScope, _TEXT, st.none() | _TEXT, st.none() | _TEXT, st.just({"a": 1}))
_RESOURCES = st.builds(lambda name, url: Resource({"service.name": name}, url), _TEXT, _TEXT)


@st.composite
def _records(draw: st.DrawFn) -> ReadableLogRecord:
    ids = SpanContext(
        draw(st.integers(0, 2**128 - 1)), draw(st.integers(0, 2**64 - 1)), False, TraceFlags(draw(st.integers(0, 3)))
    )
    record = LogRecord(
        timestamp=draw(st.none() | st.integers(0, 2**63)),
        observed_timestamp=draw(st.none() | st.integers(0, 2**63)),
        context=set_span_in_context(NonRecordingSpan(ids), Context()),
        severity_text=draw(st.none() | _TEXT),
        severity_number=draw(st.none() | st.sampled_from(SeverityNumber)),
        body=draw(st.none() | _TEXT | st.lists(_TEXT, max_size=2)),
        attributes=draw(st.none() | st.dictionaries(_TEXT, _VALUE, max_size=3)),
        event_name=draw(st.none() | _TEXT),
    )
    return ReadableLogRecord(record, draw(_RESOURCES), draw(_SCOPES))


@given(st.lists(_records(), max_size=4))
def test_the_same_bytes_as_the_official_encoder(records: list[ReadableLogRecord]) -> None:
    """Whatever the fields, the grouping by resource and scope included."""
    assert encode_logs(records).SerializeToString() == official(records).SerializeToString()


@pytest.mark.parametrize("body", [object(), 2**70, "\ud800"])
def test_a_body_that_has_no_form_is_refused(body: Any) -> None:
    """As the official encoder does; only attributes are left out."""
    record = ReadableLogRecord(LogRecord(body=body), Resource({}))
    with pytest.raises(Exception):
        official([record])
    with pytest.raises(Exception):
        encode_logs([record])

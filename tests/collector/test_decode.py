"""The decoder reads protobuf and OTLP JSON into the same plain dicts, and loses no type on the way."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from otel_agentlog.testing.otlp.decode import REQUEST_TYPES, Export, complete_lines, decode_json, decode_request

_IDS = {"traceId", "spanId", "parentSpanId"}
_INT64 = st.integers(-(2**63), 2**63 - 1)
_NANOSECONDS = st.integers(0, 2**64 - 1)

values = st.recursive(
    st.none() | st.text() | st.booleans() | _INT64 | st.floats(allow_nan=False) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.text(min_size=1, max_size=10), values, max_size=4)


def _encode(value: Any) -> AnyValue:
    """The OTLP value of a Python value: the inverse of what is tested here."""
    if value is None:
        return AnyValue()
    made = AnyValue()
    if isinstance(value, list):
        made.array_value.SetInParent()
        made.array_value.values.extend(_encode(item) for item in value)
    elif isinstance(value, dict):
        made.kvlist_value.SetInParent()
        _fill(made.kvlist_value.values, value)
    else:
        fields = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value"}
        setattr(made, fields[type(value)], value)
    return made


def _fill(pairs: Any, mapping: dict[str, Any]) -> None:
    for key, value in mapping.items():
        pairs.add(key=key).value.CopyFrom(_encode(value))


def _to_otlp_json(request: Export) -> str:
    """What a collector writes: protobuf JSON, but ids in hex and enums as numbers."""
    return json.dumps(_hex_ids(MessageToDict(request, use_integers_for_enums=True)))


def _hex_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: base64.b64decode(v).hex() if k in _IDS else _hex_ids(v) for k, v in value.items()}
    return [_hex_ids(item) for item in value] if isinstance(value, list) else value


@given(mappings, mappings, st.binary(min_size=16, max_size=16), st.text(), _NANOSECONDS, st.integers(0, 5), st.integers(0, 2))
@settings(max_examples=100)
def test_spans(
    resource: dict[str, Any], own: dict[str, Any], trace_id: bytes, name: str, start_ns: int, kind: Any, code: Any
) -> None:
    """Any span reads the same from protobuf and from JSON, with its attributes as they were."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _fill(group.resource.attributes, resource)
    span = group.scope_spans.add().spans.add(name=name, trace_id=trace_id, span_id=trace_id[:8], kind=kind)
    span.start_time_unix_nano = start_ns
    span.status.code = code
    _fill(span.attributes, own)
    _fill(span.events.add(name=name, time_unix_nano=start_ns).attributes, own)
    span.links.add(trace_id=trace_id, span_id=trace_id[8:])

    [decoded] = decode_request(request)

    assert decode_json("traces", _to_otlp_json(request)) == [decoded]
    assert (decoded["resource"], decoded["attributes"]) == (resource, own)
    assert _types(decoded["attributes"]) == _types(own)
    assert (decoded["trace_id"], decoded["parent_span_id"], decoded["start_time_ns"]) == (trace_id.hex(), None, start_ns)
    assert (decoded["events"][0]["attributes"], decoded["links"][0]["span_id"]) == (own, trace_id[8:].hex())


@given(values, mappings, _NANOSECONDS, st.integers(0, 24))
@settings(max_examples=100)
def test_log_records(body: Any, own: dict[str, Any], time_ns: int, severity: Any) -> None:
    """Any log record reads the same from protobuf and from JSON, whatever its body is."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=time_ns, severity_number=severity)
    record.body.CopyFrom(_encode(body))
    _fill(record.attributes, own)

    [decoded] = decode_request(request)

    assert decode_json("logs", _to_otlp_json(request)) == [decoded]
    assert (decoded["body"], decoded["attributes"], decoded["severity_number"]) == (body, own, severity)


def _types(value: Any) -> Any:
    """The types inside a value, so that ``1``, ``1.0`` and ``True`` are told apart."""
    if isinstance(value, dict):
        return {key: _types(item) for key, item in value.items()}
    return [_types(item) for item in value] if isinstance(value, list) else type(value)


def _metrics_request() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="gauge").gauge.data_points.add(as_double=1.5)
    updown = metrics.add(name="updown", unit="{task}").sum
    updown.data_points.add(as_int=-2)
    counter = metrics.add(name="counter").sum
    counter.is_monotonic = True
    counter.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    counter.data_points.add(as_int=3).exemplars.add(as_int=3, trace_id=b"\1" * 16, span_id=b"\2" * 8)
    histogram = metrics.add(name="histogram", unit="s").histogram
    histogram.data_points.add(count=2, sum=3.0, bucket_counts=[1, 1], explicit_bounds=[1.0])
    exponential = metrics.add(name="exponential").exponential_histogram
    exponential.data_points.add(count=1, scale=3, zero_count=0).positive.bucket_counts.append(1)
    metrics.add(name="summary").summary.data_points.add(count=1, sum=2.0).quantile_values.add(quantile=0.5, value=2.0)
    return request


def test_metrics() -> None:
    """Each kind of metric reads the same from protobuf and from JSON, and says which instrument made it."""
    decoded = {metric["name"]: metric for metric in decode_request(_metrics_request())}

    assert decode_json("metrics", _to_otlp_json(_metrics_request())) == list(decoded.values())
    assert {name: metric["instrument"] for name, metric in decoded.items()} == {
        "gauge": "gauge",
        "updown": "updowncounter",
        "counter": "counter",
        "histogram": "histogram",
        "exponential": "histogram",
        "summary": "summary",
    }
    [counter] = decoded["counter"]["points"]
    assert (counter["value"], decoded["counter"]["temporality"]) == (3, "DELTA")
    assert (counter["exemplars"][0]["trace_id"], counter["exemplars"][0]["value"]) == ("01" * 16, 3)
    [histogram] = decoded["histogram"]["points"]
    assert (histogram["sum"], histogram["min"], histogram["boundaries"]) == (3.0, None, [1.0])


def test_numbers_that_json_has_no_word_for() -> None:
    """NaN and infinities come through the collector's JSON as what they are."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="a")
    _fill(span.attributes, {"infinite": math.inf, "not a number": math.nan})

    [decoded] = decode_json("traces", _to_otlp_json(request))

    assert decoded["attributes"]["infinite"] == math.inf
    assert math.isnan(decoded["attributes"]["not a number"])


@pytest.mark.parametrize("signal", REQUEST_TYPES)
def test_unknown_fields_are_ignored(signal: str) -> None:
    """A newer collector may say more; what we know still reads."""
    assert decode_json(signal, '{"somethingNew": {"traceId": "00"}}') == []


def test_a_line_that_is_being_written_is_left_out() -> None:
    """Only whole lines of a file count."""
    assert list(complete_lines(b'{"a":1}\n\n{"b":2}\n{"c"')) == [b'{"a":1}', b'{"b":2}']

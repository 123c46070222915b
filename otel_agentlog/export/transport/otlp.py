"""OTLP requests: of our own spans and log records, which are bytes already, of those of other libraries and of metrics, which the
SDK made; and from responses to results.

Spans and metrics of the SDK are encoded by ``opentelemetry-exporter-otlp-proto-common``. That package's encoder of log records is
not public, so log records are encoded here, to the same bytes. Messages: ``opentelemetry-proto`` (OTLP 1.9). Imported only when
something is to be sent, because protobuf takes longer to import than everything else.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope as SdkScope

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.export.transport.result import DELIVERED, SendResult, partial_success
from otel_agentlog.export.transport.services import RESPONSES
from otel_agentlog.export.transport.wire import Encoded, request_of
from otel_agentlog.vocabulary.terminal_text import safe_json

Request: TypeAlias = ExportTraceServiceRequest | ExportLogsServiceRequest | ExportMetricsServiceRequest


def encode(signal: str, data: Any) -> bytes:
    """The request for a sequence of spans or log records, `Encoded` or of the SDK, or for one ``MetricsData``.

    Raises many kinds of exceptions, each about something in the data; an attribute that has no form in OTLP is left out.
    """
    if signal == "metrics":
        # Here, because metrics are often not sent.
        from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

        return encode_metrics(data).SerializeToString()
    of_others = [each for each in data if type(each) is not Encoded]
    ours = request_of(data if not of_others else [each for each in data if type(each) is Encoded])
    # Messages of one type one behind the other are one message with the fields of both.
    return ours if not of_others else ours + _encode_others(signal, of_others).SerializeToString()


def _encode_others(signal: str, data: Sequence[Any]) -> Request:
    if signal == "logs":
        return encode_logs(data)
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    return encode_spans(data)


_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


def json_line(signal: str, data: Sequence[Any]) -> bytes:
    """The request as a line of JSON, by the encoding of the OTLP specification; safe to be printed on a terminal.

    https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: keys in lowerCamelCase, 64-bit integers as text, enums as
    integers, trace and span ids in hex where plain protobuf JSON would have base64.
    """
    request = (ExportTraceServiceRequest if signal == "traces" else ExportLogsServiceRequest).FromString(encode(signal, data))
    encoded = orjson.dumps(_with_hex_ids(MessageToDict(request, use_integers_for_enums=True)))
    return safe_json(encoded.decode()).encode() + b"\n"


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: base64.b64decode(each).hex() if key in _IDS and isinstance(each, str) else _with_hex_ids(each)
            for key, each in value.items()
        }
    return [_with_hex_ids(each) for each in value] if isinstance(value, list) else value


def encode_logs(records: Iterable[ReadableLogRecord]) -> ExportLogsServiceRequest:
    """The request for log records, by resource and scope in the order in which they first come."""
    found: defaultdict[SdkResource, defaultdict[SdkScope | None, list[LogRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        found[record.resource][record.instrumentation_scope].append(_log_record(record))
    return ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=Resource(attributes=_attributes(resource.attributes)),
                scope_logs=[_scope_logs(scope, encoded) for scope, encoded in scopes.items()],
                schema_url=resource.schema_url,
            )
            for resource, scopes in found.items()
        ]
    )


def _scope_logs(scope: SdkScope | None, records: list[LogRecord]) -> ScopeLogs:
    if scope is None:
        return ScopeLogs(scope=InstrumentationScope(), log_records=records)
    encoded = InstrumentationScope(name=scope.name, version=scope.version or "", attributes=_attributes(scope.attributes))
    return ScopeLogs(scope=encoded, log_records=records, schema_url=scope.schema_url or "")


def _log_record(record: ReadableLogRecord) -> LogRecord:
    log = record.log_record
    severity = log.severity_number.value if log.severity_number is not None else 0
    return LogRecord(
        time_unix_nano=log.timestamp or 0,
        observed_time_unix_nano=log.observed_timestamp or 0,
        trace_id=log.trace_id.to_bytes(16, "big") if log.trace_id else b"",
        span_id=log.span_id.to_bytes(8, "big") if log.span_id else b"",
        flags=int(log.trace_flags or 0),
        severity_text=log.severity_text or "",
        severity_number=SeverityNumber.ValueType(severity),
        body=_value(log.body),
        attributes=_attributes(log.attributes),
        dropped_attributes_count=record.dropped_attributes,
        event_name=log.event_name or "",
    )


def _attributes(attributes: Mapping[str, Any] | None) -> list[KeyValue]:
    encoded = []
    for key, value in (attributes or {}).items():
        try:
            encoded.append(KeyValue(key=key, value=_value(value)))
        except Exception:  # noqa: BLE001 - protobuf raises many kinds for what it cannot hold; the record goes without it
            raise_interrupt()
            continue
    return encoded


def _value(value: Any) -> AnyValue:
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, Sequence):
        return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))
    if isinstance(value, Mapping):
        pairs = [KeyValue(key=str(key), value=_value(item)) for key, item in value.items()]
        return AnyValue(kvlist_value=KeyValueList(values=pairs))
    raise TypeError(f"no OTLP value: {type(value)}")


def read_response(signal: str, content_type: str, body: bytes) -> SendResult:
    """The result by the body of a response with a successful status; a body that cannot be read takes nothing back."""
    if content_type.startswith("application/json"):
        return _read_json(signal, body)
    try:
        return read_message(signal, response_of(signal, body))
    except DecodeError:
        return DELIVERED


def response_of(signal: str, body: bytes) -> Any:
    """The response message of a signal. Raises `DecodeError` for what is none."""
    return RESPONSES[signal][0].FromString(body)


def read_message(signal: str, message: Any) -> SendResult:
    """The result by the response message of a signal."""
    partial = message.partial_success
    return partial_success(getattr(partial, RESPONSES[signal][1]), partial.error_message)


def _read_json(signal: str, body: bytes) -> SendResult:
    first, *rest = RESPONSES[signal][1].split("_")
    key = first + "".join(word.capitalize() for word in rest)
    try:
        partial = json.loads(body)["partialSuccess"]
        # 64-bit integers are strings in protobuf's JSON.
        count = 0 if isinstance(partial[key], bool) else int(partial[key])
        return partial_success(count, partial.get("errorMessage", ""))
    except (ValueError, OverflowError, TypeError, KeyError, AttributeError, RecursionError):
        raise_interrupt()
        return DELIVERED

"""Lines as `record` makes them, and the real SDK in memory that takes them: what it would send, decoded from OTLP.

Hides the providers, in-memory exporters and the encoder. `Wire.operation` does with a start and an end line what the product
does; `Wire.spans`, `Wire.measured` and `Wire.records` give what a receiver would see, in the shapes of
``otel_agentlog.testing.otlp.decode``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from otel_agentlog.export.metrics import Metrics
from otel_agentlog.export.records import LogFields, details_event_fields, exception_fields, log_fields
from otel_agentlog.export.semconv.conventions import ContentPolicy, Conventions
from otel_agentlog.export.semconv.names import Profile
from otel_agentlog.testing.otlp.decode import decode_request
from otel_agentlog.testing.otlp.values import Item
from otel_agentlog.vocabulary.lines import Line, is_details_record, is_exception_record, is_log_record

_END_TYPES = {"ai_request": "ai_response", "tool_call": "tool_result"}
_TIMESTAMP = "2026-11-21T05:22:01.123456789Z"


def start_line(kind: str, details: Mapping[str, Any] | None = None, **keys: Any) -> Line:
    """A start line of that type, cleaned and with ids as `record` passes it to the conventions."""
    return {
        "timestamp": _TIMESTAMP,
        "type": kind,
        "level": "INFO",
        "phase": "start",
        "component": "agent",
        "action": f"{kind}_started",
        "task_id": "task-abc123",
        "event_id": "a1f3-1",
        "details": dict(details or {}),
        **keys,
    }


def end_line(kind: str, details: Mapping[str, Any] | None = None, **keys: Any) -> Line:
    """The end line of an operation whose start line has that type; completed after 1.5 s unless ``keys`` say otherwise."""
    ended = {"outcome": "completed", "duration_ms": 1500.0, "event_id": "a1f3-2", **keys}
    return {**start_line(_END_TYPES.get(kind, kind), details), "phase": "end", "action": f"{kind}_ended", **ended}


def failed(kind: str = "ValueError", message: str = "boom", *, first_seen: bool = True) -> dict[str, Any]:
    """Keys of an end line that failed with an exception."""
    exception: dict[str, Any] = {"type": kind, "message": message, "error_id": "abc12345"}
    if first_seen:
        exception["traceback"] = ["Traceback (most recent call last):", f"{kind}: {message}"]
    return {"outcome": "failed", "level": "ERROR", "exception": exception}


class Wire:
    """The SDK's three providers in memory, fed by lines."""

    def __init__(
        self,
        profile: Profile = "latest",
        content_policy: ContentPolicy = "off",
        content_on: frozenset[Literal["span", "event"]] = frozenset({"span"}),
    ) -> None:
        self.conventions = Conventions(profile, content_policy, content_on)
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self._records = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK left it so
        nobody = Resource({})
        tracers = TracerProvider(resource=nobody, shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        loggers = LoggerProvider(nobody, shutdown_on_exit=False)
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self._records))
        meters = MeterProvider([self._reader], nobody, shutdown_on_exit=False)
        self._tracer, self._logger = tracers.get_tracer("test"), loggers.get_logger("test")
        self.metrics = Metrics(meters.get_meter("test"), profile)

    def operation(self, start: Line, end: Line, chunk_intervals_ms: Sequence[float] = ()) -> None:
        """Begin and end a span, count its lines, and send the records that belong to its end."""
        conventions = self.conventions
        name, kind, attributes = conventions.started(start)
        start["attributes"] = attributes
        span = self._tracer.start_span(name, Context(), SpanKind[kind], attributes)
        context, ids = trace.set_span_in_context(span, Context()), span.get_span_context()
        for line in (start, end):
            line["trace_id"], line["span_id"] = trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id)
        self.metrics.on_line(start)
        attributes, code, description = conventions.ended(end)
        end["attributes"] = attributes
        span.set_attributes(attributes)
        if code == "ERROR":
            span.set_status(Status(StatusCode.ERROR, description))
        self.metrics.on_line(end, chunk_intervals_ms)
        if is_exception_record(end):
            self._emit(exception_fields(end, conventions), context)
        if is_details_record(end, conventions.content_policy, conventions.content_on):
            self._emit(details_event_fields(start, end, conventions), context)
        span.end()

    def line(self, line: Line) -> None:
        """Count a line that is no span's, and send it if it is a log record."""
        self.metrics.on_line(line)
        if is_log_record(line, self.conventions.content_policy):
            self._emit(log_fields(line, self.conventions), Context())

    def _emit(self, fields: LogFields, context: Context) -> None:
        self._logger.emit(
            event_name=fields.event_name,
            severity_number=SeverityNumber(fields.severity_number),
            severity_text=fields.severity_text,
            body=fields.body,
            attributes=fields.attributes,
            context=context,
        )

    def spans(self) -> list[Item]:
        """The spans that ended."""
        return decode_request(encode_spans(self._spans.get_finished_spans()))

    def records(self) -> list[Item]:
        """The log records that were sent."""
        return decode_request(encode_logs(self._records.get_finished_logs()))

    def measured(self) -> list[Item]:
        """The metrics that have points."""
        data = self._reader.get_metrics_data()
        return [] if data is None else decode_request(encode_metrics(data))

    def points(self, name: str) -> list[Item]:
        """The points of one metric; none where nothing was measured."""
        return [point for metric in self.measured() if metric["name"] == name for point in metric["points"]]

"""The sink that turns lines into metrics and log records, and the span processor that collects finished spans.

The calling thread only queues; everything else happens on the courier's thread.
"""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry import trace
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, format_span_id

from otel_agentlog.export.cleaning import Clean, cleaned_log, cleaned_span
from otel_agentlog.export.courier import Courier, Item, Ticket
from otel_agentlog.export.metrics import Metrics
from otel_agentlog.export.records import LogFields, details_event_fields, exception_fields, log_fields
from otel_agentlog.export.semconv import Conventions
from otel_agentlog.model import DETAILS, EXCEPTION, SPAN, Envelope, Line, items_of

OWN_SCOPE = "otel_agentlog"
"""Instrumentation scope of everything recorded here; it was cleaned before it came here."""

MAX_OPEN = 100_000
"""Spans that wait for their end before they are sent; a leak of spans must not become a leak of memory."""


def span_context_of(line: Line) -> Context:
    """A context whose span has the ids of a line, so that a log record gets them; empty ids where the line has none."""
    trace_id, span_id = line.get("trace_id"), line.get("span_id")
    if not trace_id or not span_id:
        return trace.set_span_in_context(trace.INVALID_SPAN, Context())
    ids = SpanContext(int(trace_id, 16), int(span_id, 16), False, TraceFlags(line.get("trace_flags", 1)))
    return trace.set_span_in_context(NonRecordingSpan(ids), Context())


def emit(logger: Logger, fields: LogFields, line: Line, time_ns: int) -> None:
    """Give one record to a logger; the same call serves live records and those rebuilt from a folder."""
    record = LogRecord(
        timestamp=time_ns,
        observed_timestamp=time_ns,
        context=span_context_of(line),
        severity_text=fields.severity_text,
        severity_number=SeverityNumber(fields.severity_number),
        body=fields.body,
        attributes=fields.attributes,
        event_name=fields.event_name,
    )
    logger.emit(record)


class ExportSink:
    """Takes envelopes to the courier."""

    name = "export"

    def __init__(self, courier: Courier, conventions: Conventions, metrics: Metrics | None, logger: Logger | None) -> None:
        self._courier, self._conventions, self._metrics, self._logger = courier, conventions, metrics, logger
        self._tickets: dict[str, Ticket] = {}
        self._ai_starts: dict[str, Line] = {}
        self.current_ticket = Ticket(None, None)
        """The ticket of the log record that is being emitted; only used on the courier's thread."""

    def __call__(self, envelope: Envelope) -> None:
        if envelope.webhook:
            return
        line = envelope.line
        if line.get("phase") == "end" and len(self._tickets) < MAX_OPEN:
            self._tickets[line["span_id"]] = self._ticket(envelope)
        self._courier.do(lambda: self._work(envelope))

    def ticket_of(self, span: ReadableSpan) -> Ticket | None:
        """The ticket of one of our own spans; ``None`` for a foreign one."""
        context = span.get_span_context()
        return None if context is None else self._tickets.pop(format_span_id(context.span_id), None)

    def _ticket(self, envelope: Envelope) -> Ticket:
        home = envelope.task.home if envelope.task is not None else None
        return Ticket(home, envelope.line.get("event_id"))

    def _work(self, envelope: Envelope) -> None:
        line = envelope.line
        if self._metrics is not None:
            intervals = (envelope.payload or {}).get("chunk_intervals_ms", ())
            self._metrics.on_line(line, envelope.context, intervals)
            spans = int(line.get("phase") == "end")
            for signal, count in (("span", spans), ("log", envelope.items - spans)):
                if count > 0:
                    self._metrics.on_delivery(signal, "recorded", count)
        if self._logger is not None:
            self.current_ticket = self._ticket(envelope)
            for _, fields in records_of(line, self._conventions, self._ai_starts):
                emit(self._logger, fields, line, envelope.time_ns)
            self.current_ticket = Ticket(None, None)


def records_of(line: Line, conventions: Conventions, ai_starts: dict[str, Line]) -> list[tuple[str, LogFields]]:
    """The log records a line gives, each with its kind; ``ai_starts`` keeps what their details events need of AI calls."""
    if line.get("type") == "ai_request" and "event" in conventions.content_on and conventions.content_policy != "off":
        if len(ai_starts) < MAX_OPEN:
            ai_starts[line["span_id"]] = line
        return []
    kinds = items_of(line, conventions.content_policy, conventions.content_on)
    start = ai_starts.pop(line["span_id"], None) if DETAILS in kinds else None
    return [(kind, fields_of(kind, line, start, conventions)) for kind in kinds if kind != SPAN]


def fields_of(kind: str, line: Line, start: Line | None, conventions: Conventions) -> LogFields:
    """One log record of a line, by its kind; the same for live records and those rebuilt from a folder."""
    if kind == EXCEPTION:
        return exception_fields(line)
    if kind == DETAILS:
        return details_event_fields(start or {"type": "ai_request"}, line, conventions)
    return log_fields(line, conventions)


class CollectSpans(SpanProcessor):
    """Takes finished, sampled spans to the courier."""

    def __init__(
        self, courier: Courier, ticket_of: Callable[[ReadableSpan], Ticket | None], clean: Clean | None, *, only_own: bool
    ) -> None:
        self._courier, self._ticket_of, self._clean, self._only_own = courier, ticket_of, clean, only_own

    def on_end(self, span: ReadableSpan) -> None:
        ticket = self._ticket_of(span)
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled or (ticket is None and self._only_own):
            return
        ticket = ticket or Ticket(None, None)
        clean, scope = self._clean, span.instrumentation_scope
        if clean is None or (scope is not None and scope.name == OWN_SCOPE and not span.events):
            self._courier.put(Item("traces", span, ticket))
        else:
            # What others put on spans was not cleaned by us yet; that takes time, so the courier's thread does it.
            self._courier.do(lambda: self._courier.put(Item("traces", cleaned_span(span, clean), ticket)))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._courier.flush(timeout_millis / 1000)


class CollectLogs(LogRecordProcessor):
    """Takes log records of every logger to the courier."""

    def __init__(self, courier: Courier, current_ticket: Callable[[], Ticket], clean: Clean | None) -> None:
        self._courier, self._current_ticket, self._clean = courier, current_ticket, clean

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        clean, scope = self._clean, log_record.instrumentation_scope
        if clean is None or (scope is not None and scope.name == OWN_SCOPE):
            self._courier.put(Item("logs", log_record, self._current_ticket()))
        else:
            self._courier.do(lambda: self._courier.put(Item("logs", cleaned_log(log_record, clean), Ticket(None, None))))

    def shutdown(self) -> None:
        """The courier is shut down by whoever made it."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._courier.flush(timeout_millis / 1000)

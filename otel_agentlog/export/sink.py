"""The sink that turns lines into metrics and log records, and the span processor that collects finished spans.

The calling thread only queues; everything else happens on the courier's thread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, format_span_id

from otel_agentlog.export.metrics import Metrics
from otel_agentlog.export.pipeline.signal_queue import Item, Ticket, size_of
from otel_agentlog.export.pipeline.worker import Courier
from otel_agentlog.export.records import (
    Clean,
    LogFields,
    cleaned_log,
    cleaned_span,
    details_event_fields,
    exception_fields,
    log_fields,
)
from otel_agentlog.export.semconv.conventions import Conventions
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import DETAILS, EXCEPTION, LOG, SPAN, Line, items_of

OWN_SCOPE = "otel_agentlog"
"""Instrumentation scope of everything recorded here; it was cleaned before it came here."""

MAX_OPEN = 100_000
"""Spans that wait for their end before they are sent; a leak of spans must not become a leak of memory."""

_SPAN_OF_OTHERS = Ticket(kind=SPAN)
_OF_OTHERS = Item("logs", None, Ticket(kind=LOG))


class Books(Protocol):
    """Where it is noted what the sampler left out; called on the courier's thread."""

    def unsampled(self, tickets: Sequence[Ticket]) -> None:
        """These are not to be sent, unless their task turns out to be worth it."""

    def ended(self, home: Any) -> None:
        """A task ended: now it can be told whether it was."""


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

    def __init__(
        self,
        courier: Courier,
        conventions: Conventions,
        metrics: Metrics | None,
        logger: Logger | None,
        books: Books,
        *,
        sends: Collection[str],
    ) -> None:
        """``sends`` are the signals that go out through this courier."""
        self._courier, self._conventions, self._metrics, self._logger = courier, conventions, metrics, logger
        self._books = books
        self._sends_spans, self._sends_logs = "traces" in sends, "logs" in sends
        self._tickets: dict[str, Ticket] = {}
        self._ai_starts: dict[str, Line] = {}
        self.current = Item("logs", None)
        """What the log record becomes that is being emitted; only used on the courier's thread."""

    def __call__(self, envelope: Envelope) -> None:
        if envelope.webhook:
            return
        line = envelope.line
        kinds = items_of(line, self._conventions.content_policy, self._conventions.content_on)
        # A line that could not be written has no home: what is made of it is sent now or never.
        home = envelope.task.home if envelope.task is not None and envelope.kept else None
        sampled = home is None or _is_sampled(envelope)
        tickets = {kind: Ticket(home, line.get("event_id"), kind) for kind in kinds}
        if SPAN in tickets and sampled and self._sends_spans:
            self._expect(line["span_id"], tickets[SPAN])
        # The end of a task is always worth the memory: something is decided then.
        size = 0 if _ends_task(line) else size_of(None, line)
        if not self._courier.do(lambda: self._work(envelope, tickets, sampled), size):
            self._leave(tickets, sampled)

    def _leave(self, tickets: Mapping[str, Ticket], sampled: bool) -> None:
        """There is no room for a line: what it gives stays in its folder. Its span comes by itself."""
        if sampled:
            self._courier.leave("logs", [ticket for kind, ticket in tickets.items() if kind != SPAN])
        elif tickets:
            self._courier.do(lambda: self._leave_out(tickets))

    def _leave_out(self, tickets: Mapping[str, Ticket]) -> None:
        self._books.unsampled([ticket for kind, ticket in tickets.items() if self._is_sent(kind)])

    def _expect(self, span_id: str, ticket: Ticket) -> None:
        """The span of this line ends in a moment."""
        if len(self._tickets) >= MAX_OPEN:
            # Spans that never came, whatever became of them: their lines are in the folder.
            forgotten = self._tickets.pop(next(iter(self._tickets)), None)
            self._courier.leave("traces", [forgotten] if forgotten is not None else [])
        self._tickets[span_id] = ticket

    def ticket_of(self, span: ReadableSpan) -> Ticket | None:
        """The ticket of one of our own spans; ``None`` for a foreign one."""
        context = span.get_span_context()
        return None if context is None else self._tickets.pop(format_span_id(context.span_id), None)

    def unsampled(self, ticket: Ticket) -> None:
        """A span that was recorded is not to be sent."""
        self._courier.do(lambda: self._books.unsampled([ticket]))

    def _work(self, envelope: Envelope, tickets: Mapping[str, Ticket], sampled: bool) -> None:
        line = envelope.line
        if self._metrics is not None:
            self._measure(self._metrics, envelope, tickets)
        if not sampled:
            # Logs of a task go where its spans go: it is left out, or sent, as a whole.
            self._leave_out(tickets)
        elif self._logger is not None:
            for kind, fields in records_of(line, self._conventions, self._ai_starts):
                self.current = Item("logs", None, tickets[kind], size_of(fields.body, fields.attributes))
                emit(self._logger, fields, line, envelope.time_ns)
            self.current = _OF_OTHERS
        if _ends_task(line) and envelope.task is not None:
            self._books.ended(envelope.task.home)

    def _is_sent(self, kind: str) -> bool:
        return self._sends_spans if kind == SPAN else self._sends_logs

    def _measure(self, metrics: Metrics, envelope: Envelope, tickets: Mapping[str, Ticket]) -> None:
        intervals = (envelope.payload or {}).get("chunk_intervals_ms", ())
        metrics.on_line(envelope.line, envelope.context, intervals)
        for kind in tickets:
            metrics.on_delivery(SPAN if kind == SPAN else LOG, "recorded")


def _ends_task(line: Line) -> bool:
    return line.get("type") == "task" and line.get("phase") == "end"


def _is_sampled(envelope: Envelope) -> bool:
    """Whether the span that a line was recorded in was chosen to be sent; outside of every span there is no choice."""
    if envelope.context is None:
        return True
    context = trace.get_current_span(envelope.context).get_span_context()
    return context.trace_flags.sampled if context.is_valid else True


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


@dataclass(frozen=True)
class Way:
    """Where finished spans and log records of a provider go."""

    courier: Courier
    sink: ExportSink
    clean: Clean | None


class CollectSpans(SpanProcessor):
    """Takes finished, sampled spans to the courier."""

    def __init__(self, *, only_own: bool) -> None:
        self._only_own = only_own
        self.way: Way | None = None
        """Changes with every `configure`; without it spans go nowhere."""

    def on_end(self, span: ReadableSpan) -> None:
        way, context = self.way, span.get_span_context()
        if way is None or context is None:
            return
        ticket = way.sink.ticket_of(span)
        if ticket is None and self._only_own:
            return
        if not context.trace_flags.sampled:
            if ticket is not None:
                way.sink.unsampled(ticket)
            return
        scope = span.instrumentation_scope
        if way.clean is None or (scope is not None and scope.name == OWN_SCOPE and not span.events):
            _put_span(way, span, ticket)
        else:
            # What others put on spans was not cleaned by us yet; that takes time, so the courier's thread does it.
            _put_cleaned_span(way, span, way.clean, ticket)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return _flushed(self.way, timeout_millis)


def _put_span(way: Way, span: ReadableSpan, ticket: Ticket | None) -> None:
    way.courier.put(Item("traces", span, ticket or _SPAN_OF_OTHERS, size_of(None, span.attributes)))


def _put_cleaned_span(way: Way, span: ReadableSpan, clean: Clean, ticket: Ticket | None) -> None:
    size = size_of(None, span.attributes)
    if not way.courier.do(lambda: _put_span(way, cleaned_span(span, clean), ticket), size):
        way.courier.leave("traces", [ticket or _SPAN_OF_OTHERS])


class CollectLogs(LogRecordProcessor):
    """Takes log records of every logger to the courier."""

    def __init__(self) -> None:
        self.way: Way | None = None
        """As for spans."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        way, scope = self.way, log_record.instrumentation_scope
        if way is None:
            return
        if scope is not None and scope.name == OWN_SCOPE:
            way.courier.put(replace(way.sink.current, data=log_record))
        elif way.clean is None:
            way.courier.put(replace(_OF_OTHERS, data=log_record))
        else:
            _put_cleaned_log(way, log_record, way.clean)

    def shutdown(self) -> None:
        """The courier is shut down by whoever made it."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return _flushed(self.way, timeout_millis)


def _put_cleaned_log(way: Way, record: ReadWriteLogRecord, clean: Clean) -> None:
    size = size_of(record.log_record.body, record.log_record.attributes)
    if not way.courier.do(lambda: way.courier.put(replace(_OF_OTHERS, data=cleaned_log(record, clean))), size):
        way.courier.leave("logs", [_OF_OTHERS.ticket])


def _flushed(way: Way | None, timeout_millis: int) -> bool:
    return way is None or way.courier.flush(timeout_millis / 1000)

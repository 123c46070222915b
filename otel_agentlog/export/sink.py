"""The sink that makes metrics and log records of lines, and the processors that collect finished spans and log records.

The calling thread only queues; everything else happens on the delivery worker's thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from opentelemetry._logs import Logger
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import format_span_id

from otel_agentlog.export.metrics import Metrics
from otel_agentlog.export.pipeline.items import Item, ItemRef, LiveDeliveryObserver, size_of
from otel_agentlog.export.pipeline.worker import DeliveryWorker
from otel_agentlog.export.records import (
    OWN_SCOPE,
    Clean,
    CleanOrigins,
    LogFields,
    cleaned_log,
    cleaned_span,
    fields_of,
    is_clean_origin,
    log_record,
)
from otel_agentlog.export.semconv.conventions import Conventions
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import LOG, SPAN, Line, items_of

MAX_OPEN = 2_000
"""Spans that wait for their end, and AI calls whose start is kept for it; a leak of them must not become a leak of memory."""

_FOREIGN_SPAN, _FOREIGN_LOG = ItemRef(kind=SPAN), ItemRef(kind=LOG)


class ExportSink:
    """Queues what each line becomes with the delivery worker."""

    name = "export"

    def __init__(
        self,
        worker: DeliveryWorker,
        conventions: Conventions,
        metrics: Metrics | None,
        logger: Logger | None,
        observer: LiveDeliveryObserver,
        *,
        sends: Collection[str],
    ) -> None:
        """``sends`` are the signals that this worker sends; ``metrics`` and ``logger`` are ``None`` where they are off."""
        self._worker, self._conventions, self._metrics, self._logger = worker, conventions, metrics, logger
        self._observer = observer
        self._sends_spans, self._sends_logs = "traces" in sends, "logs" in sends
        self._refs: dict[str, ItemRef] = {}
        """By span id, the references of our own spans that have not ended."""
        self._ai_starts: dict[str, Line] = {}
        self.emitting: tuple[ItemRef, int] = (_FOREIGN_LOG, 0)
        """Reference and size of the log record that is being emitted; only used on the worker's thread."""

    def __call__(self, envelope: Envelope) -> None:
        if envelope.webhook:
            return
        line = envelope.line
        kinds = items_of(line, self._conventions.content_policy, self._conventions.content_on)
        home = _home_of(envelope)
        # A line that could not be written is in no folder: what is made of it is sent now or never.
        sampled = home is None or not envelope.kept or envelope.sampled
        refs = {kind: ItemRef(home, line.get("event_id"), kind, envelope.kept) for kind in kinds}
        if SPAN in refs and sampled and self._sends_spans:
            self._expect(line["span_id"], refs[SPAN])
        # The end of a task always gets in: then it is decided what of it is sent.
        size = 0 if _ends_task(line) else size_of(None, line)
        if not self._worker.do(lambda: self._work(envelope, refs, sampled), size):
            self._leave(refs, sampled)
            if _ends_task(line):
                self._observer.ended(_home_of(envelope))

    def _leave(self, refs: Mapping[str, ItemRef], sampled: bool) -> None:
        """The worker has no room for a line: its log records stay in the folder. Its span is queued by the processor."""
        if sampled:
            self._worker.leave("logs", [ref for kind, ref in refs.items() if kind != SPAN])
        elif refs:
            self._queue_unsampled(refs.values())

    def _queue_unsampled(self, refs: Iterable[ItemRef]) -> None:
        if not self._worker.do(lambda: self._note_unsampled(refs)):
            self._note_unsampled(refs)

    def _note_unsampled(self, refs: Iterable[ItemRef]) -> None:
        self._observer.unsampled([ref for ref in refs if self._is_sent(ref.kind)])

    def _expect(self, span_id: str, ref: ItemRef) -> None:
        """Keep the reference for the span of this line, which ends right after."""
        self._refs[span_id] = ref
        if len(self._refs) > MAX_OPEN:
            for oldest in self._refs:
                # A span that never ended; its line is in the folder. No other thread comes in between here.
                forgotten = self._refs.pop(oldest, None)
                break
            self._worker.leave("traces", [forgotten] if forgotten is not None else [])

    def ref_of(self, span: ReadableSpan) -> ItemRef | None:
        """The reference of one of our own spans, once; ``None`` for a foreign one."""
        context = span.get_span_context()
        return None if context is None else self._refs.pop(format_span_id(context.span_id), None)

    def unsampled(self, ref: ItemRef) -> None:
        """Note that the span of this reference is not to be sent."""
        self._queue_unsampled([ref])

    def _work(self, envelope: Envelope, refs: Mapping[str, ItemRef], sampled: bool) -> None:
        line = envelope.line
        if self._metrics is not None:
            self._measure(self._metrics, envelope, refs)
        if not sampled:
            # Logs of a task go where its spans go: it is left out, or sent, as a whole.
            self._note_unsampled(refs.values())
        elif self._logger is not None:
            for kind, fields in records_of(line, self._conventions, self._ai_starts):
                self.emitting = refs[kind], size_of(fields.body, fields.attributes)
                self._logger.emit(log_record(fields, line, envelope.time_ns))
        if _ends_task(line):
            self._observer.ended(_home_of(envelope))

    def _is_sent(self, kind: str) -> bool:
        return self._sends_spans if kind == SPAN else self._sends_logs

    def _measure(self, metrics: Metrics, envelope: Envelope, refs: Mapping[str, ItemRef]) -> None:
        intervals = (envelope.payload or {}).get("chunk_intervals_ms", ())
        metrics.on_line(envelope.line, envelope.context, intervals)
        for kind in refs:
            metrics.on_delivery(SPAN if kind == SPAN else LOG, "recorded")


def _ends_task(line: Line) -> bool:
    return line.get("type") == "task" and line.get("phase") == "end"


def _home_of(envelope: Envelope) -> str | None:
    home = envelope.task.home if envelope.task is not None else None
    return home.location if home is not None else None


def records_of(line: Line, conventions: Conventions, ai_starts: dict[str, Line]) -> list[tuple[str, LogFields]]:
    """The log records a line gives, each with its kind; ``ai_starts`` keeps what their details events need of AI calls."""
    if line.get("type") == "ai_request" and "event" in conventions.content_on and conventions.content_policy != "off":
        ai_starts[line["span_id"]] = line
        if len(ai_starts) > MAX_OPEN:
            # A call that never ended.
            del ai_starts[next(iter(ai_starts))]
        return []
    kinds = items_of(line, conventions.content_policy, conventions.content_on)
    start = ai_starts.pop(line["span_id"], None) if line.get("type") == "ai_response" else None
    return [(kind, fields_of(kind, line, start, conventions)) for kind in kinds if kind != SPAN]


@dataclass(frozen=True)
class Route:
    """Where finished spans and log records of a provider go."""

    worker: DeliveryWorker
    sink: ExportSink
    clean: Clean | None
    """Redacts what others put on spans and log records; ``None`` if nothing is redacted."""
    origins: CleanOrigins
    """The same for resources and scopes."""

    def put_span(self, span: ReadableSpan, ref: ItemRef | None) -> None:
        """Queue a span that is clean."""
        self.worker.put(Item("traces", span, ref or _FOREIGN_SPAN, size_of(None, span.attributes)))

    def put_uncleaned_span(self, span: ReadableSpan, ref: ItemRef | None, clean: Clean) -> None:
        """Queue a span that the worker's thread cleans, because that takes time."""
        size = size_of(None, span.attributes)
        if not self.worker.do(lambda: self.put_span(cleaned_span(span, clean, self.origins), ref), size):
            self.worker.leave("traces", [ref or _FOREIGN_SPAN])

    def put_uncleaned_log(self, record: ReadWriteLogRecord, clean: Clean) -> None:
        """The same for a log record."""
        size = size_of(record.log_record.body, record.log_record.attributes)

        def put() -> None:
            self.worker.put(Item("logs", cleaned_log(record, clean, self.origins), _FOREIGN_LOG))

        if not self.worker.do(put, size):
            self.worker.leave("logs", [_FOREIGN_LOG])

    def flush(self, timeout_millis: int) -> bool:
        """Send what is queued; whether that was done in time."""
        return self.worker.flush(timeout_millis / 1000)


class CollectSpans(SpanProcessor):
    """Queues finished, sampled spans."""

    def __init__(self, *, only_own: bool) -> None:
        """With ``only_own`` the spans of other libraries are left to their own exporters."""
        self._only_own = only_own
        self.route: Route | None = None
        """Changes with every `configure`; without it spans go nowhere."""

    def on_end(self, span: ReadableSpan) -> None:
        route, context = self.route, span.get_span_context()
        if route is None or context is None:
            return
        ref = route.sink.ref_of(span)
        if ref is None and self._only_own:
            return
        if not context.trace_flags.sampled:
            if ref is not None:
                route.sink.unsampled(ref)
            return
        scope = span.instrumentation_scope
        if route.clean is None or (scope is not None and scope.name == OWN_SCOPE and is_clean_origin(span, route.origins)):
            route.put_span(span, ref)
        else:
            route.put_uncleaned_span(span, ref, route.clean)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self.route is None or self.route.flush(timeout_millis)


class CollectLogs(LogRecordProcessor):
    """Queues log records of every logger."""

    def __init__(self) -> None:
        self.route: Route | None = None
        """As for spans."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        route, scope = self.route, log_record.instrumentation_scope
        if route is None:
            return
        if scope is not None and scope.name == OWN_SCOPE:
            route.worker.put(Item("logs", log_record, *route.sink.emitting))
        elif route.clean is None:
            route.worker.put(Item("logs", log_record, _FOREIGN_LOG))
        else:
            route.put_uncleaned_log(log_record, route.clean)

    def shutdown(self) -> None:
        """Nothing: the worker is shut down by `Telemetry`, which made it."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self.route is None or self.route.flush(timeout_millis)

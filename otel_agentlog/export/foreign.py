"""The processors that take spans and log records of other libraries.

Spans within a task go to `record`, as plain data, so that they become lines, too; what belongs to no task is cleaned and sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import format_span_id, format_trace_id

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.export.pipeline.items import Data, Item, ItemRef, size_of
from otel_agentlog.export.pipeline.worker import DeliveryWorker
from otel_agentlog.export.records import Clean, CleanOrigins, cleaned_log, cleaned_span
from otel_agentlog.vocabulary.lines import timestamp

MAX_OPEN = 1_000
"""Foreign spans that may be open at once, each of which keeps its task alive. Past it the end of the oldest is not recorded: a
library that never ends its spans must not become a leak of memory, and not keep later spans out."""


class Filed(Protocol):
    """A foreign span whose start was recorded."""

    def end(self, end: Mapping[str, Any]) -> None: ...


Adopt: TypeAlias = Callable[[Context, Mapping[str, Any]], "Filed | None"]
"""Records the start of a span in a context; ``None`` if the span belongs to no task."""


@dataclass(frozen=True)
class Route:
    """Where finished spans and log records of other libraries go."""

    worker: DeliveryWorker
    clean: Clean | None
    """Redacts what is on them; ``None`` if nothing is redacted."""
    origins: CleanOrigins
    """The same for resources and scopes."""

    def put(self, signal: str, data: Data, size: int, cleaned: Callable[[Clean], Data]) -> None:
        """Queue a span or log record, which the worker's thread cleans, because that takes time."""
        worker, clean = self.worker, self.clean
        if clean is None:
            worker.put(Item(signal, data, OF_OTHERS, size))
        elif not worker.do(lambda: worker.put(Item(signal, cleaned(clean), OF_OTHERS, size)), size):
            worker.leave(signal, [OF_OTHERS])

    def flush(self, timeout_millis: int) -> bool:
        """Send what is queued; whether that was done in time."""
        return self.worker.flush(timeout_millis / 1000)


OF_OTHERS = ItemRef()
"""The reference of what is in no folder."""


class SpansOfOthers(SpanProcessor):
    """Records spans whose scope is not ours where they belong to a task; sends those that belong to none.

    A span that is recorded is sent as its lines are. Never raises into the library that makes them.
    """

    def __init__(self, adopt: Adopt, own_scope: str, failed: Callable[[str, BaseException], None]) -> None:
        self._adopt, self._own_scope, self._failed = adopt, own_scope, failed
        self._open: dict[int, Filed] = {}
        self.route: Route | None = None
        """Where a span goes that is not recorded. Changes with every `configure`; without it it goes nowhere."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        scope = span.instrumentation_scope
        if scope is not None and scope.name == self._own_scope:
            return
        try:
            context = parent_context if parent_context is not None else otel_context.get_current()
            filed = self._adopt(context, start_of(span))
            own = span.get_span_context()
            if filed is not None and own is not None:
                self._keep(own.span_id, filed)
        except Exception as error:  # noqa: BLE001 - an exception here would reach the other library's code
            raise_interrupt()
            self._failed("adopted span", error)

    def _keep(self, span_id: int, filed: Filed) -> None:
        self._open[span_id] = filed
        if len(self._open) > MAX_OPEN:
            for oldest in self._open:
                # No other thread comes in between here, as it would with next(iter(…)).
                self._open.pop(oldest, None)
                break

    def on_end(self, span: ReadableSpan) -> None:
        context, scope = span.get_span_context(), span.instrumentation_scope
        filed = self._open.pop(context.span_id, None) if context is not None else None
        try:
            if filed is not None:
                filed.end(end_of(span))
            elif context is not None and context.trace_flags.sampled and (scope is None or scope.name != self._own_scope):
                self._send(span)
        except Exception as error:  # noqa: BLE001 - as above
            raise_interrupt()
            self._failed("adopted span", error)

    def _send(self, span: ReadableSpan) -> None:
        if (route := self.route) is not None:
            route.put("traces", span, size_of(None, span.attributes), lambda clean: cleaned_span(span, clean, route.origins))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self.route is None or self.route.flush(timeout_millis)


class LogsOfOthers(LogRecordProcessor):
    """Sends log records of every logger but ours."""

    def __init__(self, own_scope: str) -> None:
        self._own_scope = own_scope
        self.route: Route | None = None
        """As for spans."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        route, scope = self.route, log_record.instrumentation_scope
        if route is None or (scope is not None and scope.name == self._own_scope):
            return
        size = size_of(log_record.log_record.body, log_record.log_record.attributes)
        route.put("logs", log_record, size, lambda clean: cleaned_log(log_record, clean, route.origins))

    def shutdown(self) -> None:
        """Nothing: the worker is shut down by `Telemetry`, which made it."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self.route is None or self.route.flush(timeout_millis)


def start_of(span: ReadableSpan) -> dict[str, Any]:
    """What is known of a span when it starts, by the keys of ``docs/format.md``; ids in hex, times in Unix nanoseconds."""
    context, scope = span.get_span_context(), span.instrumentation_scope
    assert context is not None
    start: dict[str, Any] = {
        "name": span.name,
        "kind": span.kind.name,
        "trace_id": format_trace_id(context.trace_id),
        "span_id": format_span_id(context.span_id),
        "trace_flags": int(context.trace_flags),
        "start_ns": span.start_time or 0,
        "attributes": dict(span.attributes or {}),
    }
    if context.trace_state:
        start["trace_state"] = context.trace_state.to_header()
    if span.parent is not None:
        start["parent_span_id"] = format_span_id(span.parent.span_id)
        if span.parent.is_remote:
            start["parent_remote"] = True
    if scope is not None:
        start["scope"] = {"name": scope.name, "version": scope.version, "schema_url": scope.schema_url}
        if scope.attributes:
            start["scope"]["attributes"] = dict(scope.attributes)
    if span.links:
        start["links"] = [
            {
                "trace_id": format_trace_id(link.context.trace_id),
                "span_id": format_span_id(link.context.span_id),
                **({} if link.context.is_remote else {"remote": False}),
                **({"attributes": dict(link.attributes)} if link.attributes else {}),
            }
            for link in span.links
        ]
    return start


def end_of(span: ReadableSpan) -> dict[str, Any]:
    """What is known of a span when it has ended, by the same keys."""
    return {
        "end_ns": span.end_time or span.start_time or 0,
        "name": span.name,
        "attributes": dict(span.attributes or {}),
        "events": [
            {"timestamp": timestamp(event.timestamp), "name": event.name, "attributes": dict(event.attributes or {})}
            for event in span.events
        ],
        "status_code": span.status.status_code.name,
        "status_description": span.status.description,
    }

"""The span processor that passes spans of other libraries to `record`, as plain data, so that they become lines, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import format_span_id, format_trace_id

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.vocabulary.lines import timestamp

MAX_OPEN = 1_000
"""Foreign spans that may be open at once, each of which keeps its task alive. Past it the end of the oldest is not recorded: a
library that never ends its spans must not become a leak of memory, and not keep later spans out."""


class Filed(Protocol):
    """A foreign span whose start was recorded."""

    def end(self, end: Mapping[str, Any]) -> None: ...


Adopt: TypeAlias = Callable[[Context, Mapping[str, Any]], "Filed | None"]
"""Records the start of a span in a context; ``None`` if the span belongs to no task."""


class AdoptSpans(SpanProcessor):
    """Records spans whose scope is not ours; never raises into the library that makes them."""

    def __init__(self, adopt: Adopt, own_scope: str, failed: Callable[[str, BaseException], None]) -> None:
        self._adopt, self._own_scope, self._failed = adopt, own_scope, failed
        self._open: dict[int, Filed] = {}

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
        context = span.get_span_context()
        filed = self._open.pop(context.span_id, None) if context is not None else None
        if filed is None:
            return
        try:
            filed.end(end_of(span))
        except Exception as error:  # noqa: BLE001 - as above
            raise_interrupt()
            self._failed("adopted span", error)


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

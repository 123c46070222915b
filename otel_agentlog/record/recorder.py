"""The spine: a line is cleaned once, given its ids, and handed to every sink.

Hides the error boundary. Nothing raised by a processor, a convention, a span processor or a sink leaves this module,
except `KeyboardInterrupt` and its like; what was lost is counted in `Recorder.failures` and reported once a minute.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags, Tracer

from otel_agentlog.record.operations.content import Guard
from otel_agentlog.record.resources import Measuring
from otel_agentlog.vocabulary.envelope import Envelope, Processor, Sink, TaskRef
from otel_agentlog.vocabulary.json_tags import untagged
from otel_agentlog.vocabulary.lines import Line, count_items, timestamp

if TYPE_CHECKING:
    from otel_agentlog.record.operations.control import Source

WARNING_INTERVAL_S = 60.0
"""Shortest time between two reports of lost records, in seconds."""


class Conventions(Protocol):
    """How a line is named as a span; implemented by ``otel_agentlog.export``."""

    def span_name(self, line: Line) -> str: ...
    def span_kind(self, line: Line) -> str: ...
    def start_attributes(self, line: Line) -> dict[str, Any]: ...
    def end_attributes(self, line: Line) -> dict[str, Any]: ...
    def status(self, line: Line) -> tuple[str, str | None]: ...
    def stage_event(self, line: Line) -> tuple[str, dict[str, Any]]: ...


class LineCleaner(Protocol):
    """Makes any value JSON-safe, bounded and free of secrets."""

    def clean(self, value: object, key: str | None = None) -> Any: ...
    def text(self, text: str) -> tuple[str, int, int]: ...


class PlainConventions:
    """Names spans after what they are and sets no attributes: used until `configure` brings the real ones."""

    def span_name(self, line: Line) -> str:
        return str(line.get("message") or line["type"])

    def span_kind(self, line: Line) -> str:
        return "INTERNAL"

    def start_attributes(self, line: Line) -> dict[str, Any]:
        return dict(line.get("attributes") or {})

    def end_attributes(self, line: Line) -> dict[str, Any]:
        return dict(line.get("attributes") or {})

    def status(self, line: Line) -> tuple[str, str | None]:
        return ("ERROR", None) if line.get("exception") else ("UNSET", None)

    def stage_event(self, line: Line) -> tuple[str, dict[str, Any]]:
        return f"webhook.{line['stage']}", {}


class Recorder:
    """Takes what `task`, `step`, `ai_call`, `tool` and the loggers say to the sinks. Safe from any thread."""

    def __init__(
        self,
        *,
        tracer: Tracer | None = None,
        conventions: Conventions | None = None,
        cleaner: LineCleaner | None = None,
        processors: Sequence[Processor] = (),
        sinks: Sequence[Sink] = (),
        warn: Callable[[str], None] = lambda text: None,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.perf_counter_ns,
        classify: Callable[[BaseException], Mapping[str, Any]] | None = None,
        price: Callable[..., Any] | None = None,
        preload: Callable[[], object] | None = None,
        new_guard: Callable[[], Guard] | None = None,
        count_items: Callable[[Line], int] = lambda line: count_items(line, "off"),
        find_task: Callable[[str], Mapping[str, Any]] = lambda task_id: {},
        find_input: Callable[[str], Any] = lambda task_id: None,
        measuring: Measuring | None = None,
        open_control: Callable[[TaskRef], Source | None] = lambda task: None,
    ) -> None:
        self.tracer = tracer or trace.get_tracer("otel_agentlog")
        self.conventions: Conventions = conventions or PlainConventions()
        self.sinks = tuple(sinks)
        self.clock = clock
        self.monotonic = monotonic
        self.classify = classify
        self.price = price
        self._preload = preload
        self.new_guard = new_guard
        """Makes what redacts a stream of text."""
        self.measuring = measuring
        """What measures the resources that tasks and tool runs use; ``None``: nothing is measured."""
        self._count_items = count_items
        self.find_input = find_input
        """What a task was asked, from ``01-input.json``."""
        self.open_control = open_control
        """Where a task's control requests stand."""
        self.find_task = find_task
        """The ``metadata.json`` of a task id, or an empty mapping."""
        self.failures: dict[str, int] = {}
        self.open_tasks: WeakSet[Any] = WeakSet()
        self._cleaner = cleaner
        self._processors = tuple(processors)
        self._warn = warn
        self._warned_at = -WARNING_INTERVAL_S

    @property
    def active(self) -> bool:
        """Whether anything is kept or sent; false until `configure` was called."""
        return bool(self.sinks)

    def clean(self, line: Line, payload: dict[str, Any] | None = None) -> Envelope:
        """Redact and bound everything the user gave; a processor that fails costs the line its data."""
        envelope = Envelope(line, None, 0)
        try:
            envelope.line, envelope.payload = self._cleaned(envelope, line), None
            if payload is not None:
                envelope.payload = self._cleaned(envelope, payload)
            for processor in self._processors:
                envelope.line = processor(envelope.line)
        except Exception as error:  # noqa: BLE001 - a processor is anybody's code; fail closed: no data leaves uncleaned
            self.failed("processor", error)
            kept = {"timestamp", "type", "level", "phase", "component", "action", "outcome", "duration_ms"}
            kept |= {"state_before", "state_after"}
            envelope.line = {key: line[key] for key in line if key in kept} | {"message": "[redacted: processor failed]"}
            envelope.payload = None
        return envelope

    def _cleaned(self, envelope: Envelope, value: dict[str, Any]) -> dict[str, Any]:
        if self._cleaner is None:
            return value
        cleaned = self._cleaner.clean(value)
        envelope.redacted += cleaned.redacted
        envelope.truncated += cleaned.truncated
        result: dict[str, Any] = cleaned.value
        return result

    def clean_value(self, value: Any) -> Any:
        """Any value, redacted and bounded, with numbers and bytes as they are; something harmless where that fails."""
        if self._cleaner is None:
            return value
        try:
            return untagged(self._cleaner.clean(value).value)
        except Exception as error:  # noqa: BLE001 - fail closed, as in `clean`
            self.failed("processor", error)
            return "[redacted: processor failed]"

    def clean_text(self, text: str) -> str:
        """One string, redacted and bounded."""
        if self._cleaner is None:
            return text
        try:
            return self._cleaner.text(text)[0]
        except Exception as error:  # noqa: BLE001 - fail closed, as in `clean`
            self.failed("processor", error)
            return "[redacted: processor failed]"

    def deliver(self, envelope: Envelope) -> None:
        """Hand a cleaned line to every sink; one that fails costs only itself."""
        envelope.items = 0 if envelope.webhook else self._count_items(envelope.line)
        for sink in self.sinks:
            try:
                sink(envelope)
            except Exception as error:  # noqa: BLE001 - the boundary: a full disk must not reach the agent
                self.failed(getattr(sink, "name", "sink"), error)

    def point(self, line: Line, task: TaskRef | None, ids: Mapping[str, str], *, payload: dict[str, Any] | None = None) -> None:
        """Record a line that is neither start nor end of a span."""
        time_ns = self.clock()
        envelope = self.clean({"timestamp": timestamp(time_ns), **line}, payload)
        envelope.line.update(ids)
        envelope.task, envelope.time_ns, envelope.context = task, time_ns, otel_context.get_current()
        self.deliver(envelope)

    def start_span(self, name: str, parent: Context, kind: str, attributes: Mapping[str, Any], start_ns: int) -> Span:
        """The one seam through which spans begin; always returns a span with valid ids."""
        try:
            span = self.tracer.start_span(
                name, parent, SpanKind[kind], attributes, (), start_ns, record_exception=False, set_status_on_exception=False
            )
            own = span.get_span_context()
            # Without an SDK the API's tracer hands back the parent's span.
            if own.is_valid and own.span_id != trace.get_current_span(parent).get_span_context().span_id:
                return span
        except Exception as error:  # noqa: BLE001 - samplers and processors of others run in there
            self.failed("span", error)
        return NonRecordingSpan(_own_context(parent))

    def load_prices(self) -> None:
        """Import the price table on a thread of its own when the first AI call begins, so that none waits for it at its end."""
        preload, self._preload = self._preload, None
        if preload is None:
            return
        try:
            threading.Thread(target=preload, name="agentlog-prices", daemon=True).start()
        except RuntimeError:
            pass  # no new threads at the end of the interpreter; the price is looked up where it is needed

    def failed(self, where: str, error: BaseException) -> None:
        """Count what was lost and say so, at most once a minute, without the values themselves."""
        self.failures[where] = self.failures.get(where, 0) + 1
        now = time.monotonic()
        if now - self._warned_at < WARNING_INTERVAL_S:
            return
        self._warned_at = now
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(self.failures.items()))
        try:
            self._warn(f"otel_agentlog could not record everything ({counts}); last: {type(error).__name__}")
        except Exception:  # noqa: BLE001, S110 - a warning that cannot be given must not reach the agent either
            pass


def _own_context(parent: Context) -> SpanContext:
    """Ids of our own where no SDK gives any: unconfigured OpenTelemetry, or one that failed."""
    above = trace.get_current_span(parent).get_span_context()
    trace_id = above.trace_id if above.is_valid else random.getrandbits(128) or 1
    return SpanContext(trace_id, random.getrandbits(64) or 1, False, TraceFlags(above.trace_flags if above.is_valid else 0))


_lock = threading.Lock()
_current = Recorder()


def recorder() -> Recorder:
    """The recorder in use."""
    return _current


def use(new: Recorder) -> Recorder:
    """Put another recorder in use and return the one before."""
    global _current
    with _lock:
        before, _current = _current, new
    return before

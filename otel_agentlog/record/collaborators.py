"""What a `Recorder` works with: its failures, how spans are begun and named, where tasks are kept, what is looked up or measured.

Each group has a default that does nothing, so a test gives only what it is about.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import partial
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Tracer

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.record.providers.pricing import PriceTable
from otel_agentlog.record.resources import ResourceSampler
from otel_agentlog.vocabulary.envelope import Jobs, RequestSource, TaskRef
from otel_agentlog.vocabulary.lines import Line, count_items

WARNING_INTERVAL_S = 60.0
"""Shortest time between two reports, in seconds."""


class Failures:
    """Counts by place; made before anything that can fail, and shared by all of it. Safe from any thread."""

    def __init__(self, warn: Callable[[str], object] = lambda text: None) -> None:
        self.counts: dict[str, int] = {}
        """How often something failed, by where it did: ``folder``, ``processor``, ``span`` …"""
        self._warn = warn
        self._warned_at = float("-inf")

    def say_at_once(self, warn: Callable[[str], object]) -> None:
        """Report the next error without waiting, in this way: there may be no later."""
        self._warn, self._warned_at = warn, float("-inf")

    def note(self, where: str, error: BaseException) -> None:
        """Count an error, and report the counts unless that was done less than a minute ago. Names types, never values."""
        self.counts.setdefault(where, 0)
        # Without a call in between: no other thread comes between reading and writing.
        self.counts[where] += 1
        now = time.monotonic()
        if now - self._warned_at < WARNING_INTERVAL_S:
            return
        self._warned_at = now
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(dict(self.counts).items()))
        try:
            self._warn(f"otel_agentlog could not record everything ({counts}); last: {type(error).__name__}")
        except Exception:  # noqa: BLE001 - a warning that cannot be given must not reach the agent either
            raise_interrupt()


class SpanNaming(Protocol):
    """How a line is named as a span; implemented by ``otel_agentlog.export``."""

    def started(self, line: Line) -> tuple[str, str, dict[str, Any]]:
        """Name, kind and attributes of the span that a start line begins."""

    def ended(self, line: Line) -> tuple[dict[str, Any], str, str | None]:
        """Attributes that an end line adds to its span, and the code and description of its status."""

    def adopted(self, line: Line, task_id: str, header: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes, all with names of ours, that a line of another library's span adds to that.

        ``header`` is that of the task that was begun for this span, empty on any other.
        """

    def stage_event(self, line: Line) -> tuple[str, dict[str, Any]]:
        """Name and attributes of the span event that the line of a webhook's stage is."""

    def noted_event(self, line: Line) -> tuple[str, dict[str, Any]]:
        """Name and attributes of the event that a line is on the span it was recorded in."""


class PlainNaming:
    """Names spans after what they are and sets no attributes: used until `configure` brings the real ones."""

    def started(self, line: Line) -> tuple[str, str, dict[str, Any]]:
        return str(line.get("message") or line["type"]), "INTERNAL", dict(line.get("attributes") or {})

    def ended(self, line: Line) -> tuple[dict[str, Any], str, str | None]:
        return dict(line.get("attributes") or {}), "ERROR" if line.get("exception") else "UNSET", None

    def adopted(self, line: Line, task_id: str, header: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def stage_event(self, line: Line) -> tuple[str, dict[str, Any]]:
        return f"webhook.{line['stage']}", {}

    def noted_event(self, line: Line) -> tuple[str, dict[str, Any]]:
        return str(line.get("action") or line.get("type")), {}


class Sampler(Protocol):
    """Decides which traces are sent: a sampler of the SDK."""

    def should_sample(
        self, parent_context: Context | None, trace_id: int, name: str, kind: Any, attributes: Any, links: Any
    ) -> Any: ...


class SpanLimits(Protocol):
    """How much other code may put on a span: ``SpanLimits`` of the SDK. ``None`` is no limit."""

    max_span_attributes: int | None
    max_events: int | None
    max_links: int | None
    max_event_attributes: int | None
    max_link_attributes: int | None
    max_attribute_length: int | None
    max_span_attribute_length: int | None


@dataclass
class UsualLimits:
    """The limits that the SDK has where no variable says otherwise."""

    max_span_attributes: int | None = 128
    max_events: int | None = 128
    max_links: int | None = 128
    max_event_attributes: int | None = 128
    max_link_attributes: int | None = 128
    max_attribute_length: int | None = None
    max_span_attribute_length: int | None = None


def _tracer() -> Tracer:
    try:
        return trace.get_tracer("otel_agentlog")
    except Exception:  # noqa: BLE001 - OTEL_PYTHON_TRACER_PROVIDER names a provider, and the API raises where it cannot be loaded
        raise_interrupt()
        return trace.NoOpTracer()


_COUNT_ITEMS = partial(count_items, content_policy="off")


@dataclass(frozen=True)
class Spans:
    """How spans are begun and named."""

    tracer: Tracer = field(default_factory=lambda: _tracer())
    conventions: SpanNaming = field(default_factory=PlainNaming)
    count_items: Callable[[Line], int] = _COUNT_ITEMS
    """How many OTLP items (spans, log records) a line completes."""
    light: Callable[[], bool] = bool
    """Whether no span processor but ours gets our spans: then they need no SDK. Else the tracer starts them."""
    sampler: Sampler | None = None
    """Asked for each trace that begins with a span of ours without the SDK; ``None``: all are sampled."""
    span_events: str = "none"
    """Which lines are events of a span that the SDK started, too, as `otel_agentlog.vocabulary.records.is_noted` takes it."""
    limits: SpanLimits = field(default_factory=UsualLimits)
    """Of such spans."""


@dataclass(frozen=True)
class Tasks:
    """The tasks that are kept on this machine."""

    find: Callable[[str], Mapping[str, Any]] = lambda task_id: {}
    """The ``metadata.json`` of a task id; an empty mapping if there is no such task."""
    find_input: Callable[[str], Any] = lambda task_id: None
    """The input of a task, from ``01-input.json``."""
    requests_to: Callable[[TaskRef], RequestSource | None] = lambda task: None
    """The requests to pause, resume and cancel a task; ``None`` where nothing is kept, so nothing can be requested."""
    jobs_of: Callable[[TaskRef], Jobs | None] = lambda task: None
    """The jobs that a task was handed over to; ``None`` where nothing is kept."""
    implicit: bool = False
    """Whether spans of other libraries outside every task get a task."""
    tags: tuple[str, ...] = ()
    """What each task has that begins in this process, beside its own."""

    def tagged(self, tags: list[str]) -> list[str]:
        """The tags of a task that is given these."""
        return [*dict.fromkeys((*tags, *self.tags))] if self.tags else tags


class Lookups:
    """Lookups about an error or a model."""

    def __init__(
        self, classify: Callable[[BaseException], Mapping[str, Any]] | None = None, prices: PriceTable | None = None
    ) -> None:
        self.classify = classify
        """Category and advice for an exception: ``category``, ``suggestions``; ``None``: errors have no categories."""
        self.prices = prices
        self.loading = False
        """Whether the price table is being read, or was."""

    def load_prices(self) -> None:
        """Read the price table on a thread of its own, with the first call, so that no AI call waits for it at its end."""
        if self.prices is not None:
            self.loading = True
            self.prices.load_soon()

    def join(self, timeout_s: float) -> None:
        """Wait until that has ended, at most this long."""
        if self.prices is not None:
            self.prices.join(timeout_s)


@dataclass(frozen=True)
class Clocks:
    """What is read at the start and end of an operation."""

    clock: Callable[[], int] = time.time_ns
    """Unix time in nanoseconds."""
    monotonic: Callable[[], int] = time.perf_counter_ns
    """Nanoseconds that durations are made of."""
    measuring: ResourceSampler | None = None
    """CPU time and memory of tasks and tool runs; ``None``: nothing is measured."""

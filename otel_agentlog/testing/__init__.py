"""For tests of instrumented code: record into memory, with a clock that does not run until it is moved.

def test_my_agent():
    with recording() as recorded:
        my_agent()
    assert recorded.actions == ["task_started", "tool_run_started", "tool_run_completed", "task_completed"]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import Tracer

from otel_agentlog.record.collaborators import Clocks, Failures, Lookups, Spans
from otel_agentlog.record.recorder import Cleaning, LineCleaner, Recorder, use
from otel_agentlog.record.resources import ResourceSampler
from otel_agentlog.vocabulary.envelope import Envelope, Processor
from otel_agentlog.vocabulary.lines import Line

__all__ = ["FixedClock", "MemorySink", "recording"]


class MemorySink:
    """Keeps every envelope, in the order they came."""

    name = "memory"

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    def __call__(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    @property
    def lines(self) -> list[Line]:
        """Every line recorded."""
        return [envelope.line for envelope in self.envelopes]

    @property
    def actions(self) -> list[str]:
        """The actions of the lines that have one."""
        return [line["action"] for line in self.lines if "action" in line]

    def of(self, **wanted: Any) -> list[Line]:
        """The lines that have these values."""
        return [line for line in self.lines if _matches(line, wanted)]

    def ends(self) -> list[Line]:
        """The end lines."""
        return self.of(phase="end")

    def parents(self) -> dict[str, str | None]:
        """The name people gave each operation → that of the operation around it, for spans with unique names."""
        starts = self.of(phase="start")
        names = {line["span_id"]: line["message"] for line in starts}
        return {line["message"]: names.get(line.get("parent_span_id", "")) for line in starts}


def _matches(line: Line, wanted: Mapping[str, Any]) -> bool:
    return all(line.get(key) == value for key, value in wanted.items())


class FixedClock:
    """Returns ``now_ns`` until it is moved."""

    def __init__(self, now_ns: int = 1_795_238_521_123_456_789) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += int(seconds * 1e9)


@contextmanager
def recording(
    *,
    cleaner: LineCleaner | None = None,
    processors: Sequence[Processor] = (),
    tracer: Tracer | None = None,
    clock: Callable[[], int] = time.time_ns,
    monotonic: Callable[[], int] = time.perf_counter_ns,
    measuring: ResourceSampler | None = None,
    classify: Callable[[BaseException], Mapping[str, Any]] | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> Iterator[MemorySink]:
    """Record into memory inside this block.

    ``clock`` is Unix time and ``monotonic`` what durations are made of, both in nanoseconds; ``processors`` get each line, as
    those of `configure` do; ``warn`` is called with the report of what could not be recorded.
    """
    sink, failures = MemorySink(), Failures(warn)
    recorder = Recorder(
        [sink],
        cleaning=Cleaning(cleaner, processors, failed=failures.note),
        spans=Spans() if tracer is None else Spans(tracer),
        lookups=Lookups(classify),
        clocks=Clocks(clock, monotonic, measuring),
        failures=failures,
    )
    before = use(recorder)
    try:
        yield sink
    finally:
        use(before)

"""Records into memory: no folder, no thread, nothing sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import Tracer

from otel_agentlog.export.providers import take_spans_of_others
from otel_agentlog.record.collaborators import Clocks, Failures, Lookups, Spans
from otel_agentlog.record.foreign_spans import adopt
from otel_agentlog.record.recorder import Cleaning, LineCleaner, Recorder, use
from otel_agentlog.record.resources import ResourceSampler
from otel_agentlog.vocabulary.envelope import Envelope, Processor
from otel_agentlog.vocabulary.lines import Line


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
    """Record into memory inside this block, spans of other libraries within tasks too.

    ``clock`` is Unix time and ``monotonic`` what durations are made of, both in nanoseconds; ``processors`` get each line, as
    those of `configure` do; ``warn`` is called with the report of what could not be recorded. Without a ``tracer`` the global
    provider is used, which is made and set if there is none.
    """
    if tracer is None:
        take_spans_of_others(adopt)
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

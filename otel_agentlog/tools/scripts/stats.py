"""What was executed so far: counts, times and resources by script, as data and in Prometheus' text format."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.tools.scripts.execute import ToolResult
from otel_agentlog.tools.scripts.registry import Script
from otel_agentlog.vocabulary.prometheus_text import Sample, metric_lines

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Upper bounds of the durations' histogram, in seconds."""
_MB = 1_000_000


@dataclass
class _Figures:
    """Of one script."""

    specialist: str = ""
    running: int = 0
    executions: int = 0
    succeeded: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    retries: int = 0
    output_bytes: int = 0
    duration_s: float = 0.0
    longest_s: float = 0.0
    cpu_user_s: float = 0.0
    cpu_system_s: float = 0.0
    memory_peak_mb: float | None = None
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))

    def add(self, result: ToolResult) -> None:
        self.executions += 1
        self.succeeded += result.success
        self.outcomes[result.outcome.value] += 1
        if result.error_details is not None:
            self.errors[result.error_details.category.value] += 1
        self.attempts += result.attempts
        self.retries += max(0, result.attempts - 1)
        self.output_bytes += result.output_bytes + result.stderr_bytes
        self.duration_s += result.duration_s
        self.longest_s = max(self.longest_s, result.duration_s)
        self.buckets[bisect_left(BUCKETS_S, result.duration_s)] += 1
        self._add_usage(result)

    def _add_usage(self, result: ToolResult) -> None:
        usage = result.resource_usage
        self.cpu_user_s += usage.cpu_user_s
        self.cpu_system_s += usage.cpu_system_s
        if usage.memory_peak_mb is not None:
            self.memory_peak_mb = max(self.memory_peak_mb or 0.0, usage.memory_peak_mb)

    def as_dict(self) -> dict[str, Any]:
        count = self.executions
        return {
            "executions": count,
            "succeeded": self.succeeded,
            "failed": count - self.succeeded,
            "success_rate": round(self.succeeded / count, 4) if count else None,
            "running": self.running,
            "outcomes": dict(sorted(self.outcomes.items())),
            "errors": dict(sorted(self.errors.items())),
            "attempts": self.attempts,
            "retries": self.retries,
            "duration_s": round(self.duration_s, 6),
            "duration_mean_s": round(self.duration_s / count, 6) if count else None,
            "duration_max_s": round(self.longest_s, 6) if count else None,
            "cpu_s": round(self.cpu_user_s + self.cpu_system_s, 6),
            "memory_peak_mb": self.memory_peak_mb,
            "output_bytes": self.output_bytes,
        }

    def plus(self, other: _Figures) -> _Figures:
        peaks = [peak for peak in (self.memory_peak_mb, other.memory_peak_mb) if peak is not None]
        return _Figures(
            running=self.running + other.running,
            executions=self.executions + other.executions,
            succeeded=self.succeeded + other.succeeded,
            outcomes=self.outcomes + other.outcomes,
            errors=self.errors + other.errors,
            attempts=self.attempts + other.attempts,
            retries=self.retries + other.retries,
            output_bytes=self.output_bytes + other.output_bytes,
            duration_s=self.duration_s + other.duration_s,
            longest_s=max(self.longest_s, other.longest_s),
            cpu_user_s=self.cpu_user_s + other.cpu_user_s,
            cpu_system_s=self.cpu_system_s + other.cpu_system_s,
            memory_peak_mb=max(peaks) if peaks else None,
            buckets=[a + b for a, b in zip(self.buckets, other.buckets, strict=True)],
        )


class Stats:
    """The figures of one service. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_script: dict[str, _Figures] = {}

    @contextmanager
    def running(self, script: Script) -> Iterator[Callable[[ToolResult], None]]:
        """Count an execution as running while the block lasts; yields what takes its result.

        An execution that is interrupted has no result: it counts as one that failed, with the outcome ``interrupted``.
        """
        with self._lock:
            figures = self._by_script.setdefault(script.id, _Figures(specialist=script.specialist))
            figures.running += 1
        results: list[ToolResult] = []
        try:
            yield results.append
        finally:
            with self._lock:
                figures.running -= 1
                if results:
                    figures.add(results[0])
                else:
                    figures.executions += 1
                    figures.outcomes["interrupted"] += 1

    def as_dict(self) -> dict[str, Any]:
        """``{"total": {…}, "scripts": {id: {…}}}``, times in seconds, memory in MB (10^6 bytes)."""
        with self._lock:
            total = _Figures()
            for figures in self._by_script.values():
                total = total.plus(figures)
            scripts = {name: figures.as_dict() for name, figures in sorted(self._by_script.items())}
            return {"total": total.as_dict(), "scripts": scripts}

    def as_prometheus(self) -> str:
        """Every metric with help and type, labels escaped; ends with a line feed."""
        with self._lock:
            lines = [line for metric in _METRICS for line in _metric(*metric, self._by_script)]
        return "\n".join(lines) + "\n"


Samples = Callable[[_Figures], Iterator[Sample]]


def _one(name: str) -> Samples:
    def samples(figures: _Figures) -> Iterator[Sample]:
        yield "", {}, getattr(figures, name)

    return samples


def _each(name: str, label: str) -> Samples:
    def samples(figures: _Figures) -> Iterator[Sample]:
        for key, count in sorted(getattr(figures, name).items()):
            yield "", {label: key}, count

    return samples


def _cpu(figures: _Figures) -> Iterator[Sample]:
    yield "", {"mode": "user"}, figures.cpu_user_s
    yield "", {"mode": "system"}, figures.cpu_system_s


def _memory(figures: _Figures) -> Iterator[Sample]:
    if figures.memory_peak_mb is not None:
        yield "", {}, int(figures.memory_peak_mb * _MB)


def _duration(figures: _Figures) -> Iterator[Sample]:
    count = 0
    for bound, each in zip((*BUCKETS_S, "+Inf"), figures.buckets, strict=True):
        count += each
        yield "_bucket", {"le": str(bound)}, count
    yield "_sum", {}, figures.duration_s
    yield "_count", {}, count


_METRICS: tuple[tuple[str, str, str, Samples], ...] = (
    ("executions_total", "counter", "Executions that have ended, by outcome.", _each("outcomes", "outcome")),
    ("errors_total", "counter", "Executions that failed, by category of the error.", _each("errors", "category")),
    ("attempts_total", "counter", "Processes started, retries included.", _one("attempts")),
    ("retries_total", "counter", "Attempts after the first one.", _one("retries")),
    ("output_bytes_total", "counter", "Bytes printed to stdout and stderr in last attempts.", _one("output_bytes")),
    ("cpu_seconds_total", "counter", "CPU time of all processes, children included.", _cpu),
    ("duration_seconds", "histogram", "Time from call to result, waits between attempts included.", _duration),
    ("memory_peak_bytes", "gauge", "Most resident memory of one execution so far.", _memory),
    ("running", "gauge", "Executions that run now.", _one("running")),
)


def _metric(name: str, kind: str, text: str, samples: Samples, by_script: dict[str, _Figures]) -> Iterator[str]:
    labelled = (
        (suffix, {"script": script_id, "specialist": figures.specialist, **labels}, round(value, 6))
        for script_id, figures in sorted(by_script.items())
        for suffix, labels, value in samples(figures)
    )
    return metric_lines(f"agentlog_tool_{name}", kind, text, labelled)

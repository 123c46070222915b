"""Time that passes only when a test says so, and ids that are the same in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from otel_agentlog._platform.fork import begin_ids
from otel_agentlog.record.exceptions.error_id import walk_elsewhere


class FixedClock:
    """Two clocks that stand still until they are moved: called it is Unix time, `monotonic` is what durations are made of.

    Both in nanoseconds. To set ``now_ns`` moves Unix time alone, also back, as a time server does.
    """

    def __init__(self, now_ns: int = 1_795_238_521_123_456_789) -> None:
        self.now_ns = now_ns
        self._passed_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def monotonic(self) -> int:
        """Nanoseconds that have passed."""
        return self._passed_ns

    def forward(self, seconds: float) -> None:
        """Let time pass on both."""
        passed_ns = int(seconds * 1e9)
        self.now_ns += passed_ns
        self._passed_ns += passed_ns


@contextmanager
def fixed_ids(series: int = 0) -> Iterator[None]:
    """Within this block all ids are the same in every run: of tasks, traces, spans, lines and errors, one series a number.

    Also of other libraries' spans: OpenTelemetry draws their ids from `random`, whose state is restored afterwards. With several
    threads it is a matter of chance which of them gets which id.
    """
    before = random.getstate()
    random.seed(series)
    begin_ids(series)
    walk_elsewhere()
    try:
        yield
    finally:
        random.setstate(before)
        begin_ids(None)
        walk_elsewhere()

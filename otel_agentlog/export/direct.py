"""Sends here and now, for who has nothing else to do: the command line.

Hides how long is tried: a collector that asks for a moment gets it, one that is not there is given up at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from otel_agentlog.export import otlp
from otel_agentlog.export.breaker import Breaker
from otel_agentlog.export.isolate import Parts, deliver
from otel_agentlog.export.otlp import Sender
from otel_agentlog.export.outcome import Verdict
from otel_agentlog.export.parcels import Item
from otel_agentlog.settings import Settings

TRIES = 4
"""How often a batch is sent to a collector that answers that it is busy."""

LONGEST_WAIT_S = 30.0
"""Longest wait, in seconds, between two of them; a collector that asks for more is given up for now."""


class Direct:
    """Senders of the signals that the settings have an exporter for. For one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.signals = tuple(signal for signal in ("traces", "logs") if settings.exporter(signal) != "none")
        self._senders: dict[str, Sender] = {}
        self._breakers = {signal: Breaker() for signal in self.signals}

    def check(self) -> None:
        """Fail if a sender cannot be made. Raises `ConfigurationError`."""
        for signal in self.signals:
            otlp.check(self._settings, signal)

    def __call__(self, signal: str, items: Sequence[Item]) -> Parts[Item]:
        """Send items of one signal; what became of them."""
        breaker, done = self._breakers[signal], Parts[Item]()
        for _ in range(TRIES):
            parts = deliver(lambda part: self._sender(signal).send([item.data for item in part]), items, trusted=breaker.trusted)
            done += [part for part in parts if part[1].verdict is not Verdict.LATER]
            waiting = [part for part in parts if part[1].verdict is Verdict.LATER]
            if any(outcome.verdict is Verdict.DELIVERED for _, outcome in parts):
                breaker.succeeded()
            if not waiting:
                return done
            breaker.failed(waiting[0][1])
            wait_s = breaker.until - time.monotonic()
            if not breaker.answered or wait_s > LONGEST_WAIT_S:
                break
            threading.Event().wait(wait_s)
            items = [item for part, _ in waiting for item in part]
        return done + waiting

    def _sender(self, signal: str) -> Sender:
        if signal not in self._senders:
            self._senders[signal] = otlp.make_sender(self._settings, signal)
        return self._senders[signal]

    def close(self) -> None:
        """Let go of connections."""
        for sender in self._senders.values():
            sender.shutdown()

"""Sends here and now, for who has nothing else to do: the command line.

Hides how long is tried: a collector that asks for a moment gets it, one that is not there is given up at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from otel_agentlog.export.pipeline.bisect import Parts, deliver
from otel_agentlog.export.pipeline.signal_queue import Breaker, Item
from otel_agentlog.export.transport import senders as otlp
from otel_agentlog.export.transport.response import Verdict
from otel_agentlog.export.transport.senders import Sender
from otel_agentlog.settings.fields import Settings

TRIES = 4
"""How often a batch is sent to a collector that answers that it is busy."""

LONGEST_WAIT_S = 30.0
"""Longest wait, in seconds, between two of them; a collector that asks for more is given up for now."""


class Direct:
    """Senders of the signals that the settings have an exporter for. For one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.signals = tuple(signal for signal in ("traces", "logs") if settings.exporter(signal) == "otlp")
        self._senders: dict[str, Sender] = {}
        self._breakers = {signal: Breaker() for signal in self.signals}

    @property
    def gave_up(self) -> bool:
        """Whether no signal can be sent for now, because nobody is there or whoever is takes nothing."""
        return not any(breaker.ready for breaker in self._breakers.values())

    def check(self) -> None:
        """Fail if a sender cannot be made. Raises `ConfigurationError`."""
        for signal in self.signals:
            otlp.check(self._settings, signal)

    def __call__(self, signal: str, items: Sequence[Item]) -> Parts[Item]:
        """Send items of one signal; what became of them."""
        breaker = self._breakers[signal]
        done: Parts[Item] = []
        for _ in range(TRIES):
            parts = deliver(lambda part: self._sender(signal).send([item.data for item in part]), items, trusted=breaker.trusted)
            waiting = self._note(breaker, parts, done)
            wait_s = breaker.until - time.monotonic()
            if not waiting or not breaker.answered or wait_s > LONGEST_WAIT_S:
                break
            threading.Event().wait(max(0.0, wait_s))
            items = [item for part, _ in waiting for item in part]
        return done + waiting

    def _note(self, breaker: Breaker, parts: Parts[Item], done: Parts[Item]) -> Parts[Item]:
        """Sort what is done from what is to be tried again, and note how the collector does."""
        if any(outcome.verdict is Verdict.DELIVERED for _, outcome in parts):
            breaker.succeeded()
        waiting = [part for part in parts if part[1].verdict is Verdict.LATER]
        done += [part for part in parts if part[1].verdict is not Verdict.LATER]
        for _, outcome in parts:
            if outcome.verdict in (Verdict.LATER, Verdict.REFUSED):
                breaker.failed(outcome)
                break
        return waiting

    def _sender(self, signal: str) -> Sender:
        if signal not in self._senders:
            self._senders[signal] = otlp.make_sender(self._settings, signal)
        return self._senders[signal]

    def close(self) -> None:
        """Let go of connections."""
        for sender in self._senders.values():
            sender.shutdown()

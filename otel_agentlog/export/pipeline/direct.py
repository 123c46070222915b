"""Sends in the calling thread, for the command line: waits for a collector that is busy, stops at one that does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from otel_agentlog.export.pipeline.backoff import Backoff
from otel_agentlog.export.pipeline.bisect import Parts, send_in_parts
from otel_agentlog.export.pipeline.items import Item
from otel_agentlog.export.transport import senders
from otel_agentlog.export.transport.result import Verdict
from otel_agentlog.export.transport.senders import Sender
from otel_agentlog.settings.fields import Settings

TRIES = 4
"""How often a batch is sent to a collector that answers that it is busy."""

LONGEST_WAIT_S = 30.0
"""Longest wait, in seconds, between two of them; after a longer ``Retry-After`` the items are not tried again for now."""


class Direct:
    """Senders of the signals that the settings have an OTLP exporter for. For one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.signals = tuple(signal for signal in ("traces", "logs") if settings.exporter(signal) == "otlp")
        self._senders: dict[str, Sender] = {}
        self._backoffs = {signal: Backoff() for signal in self.signals}

    @property
    def gave_up(self) -> bool:
        """Whether no signal can be sent for now, because no server answers or it takes nothing."""
        return not any(backoff.ready for backoff in self._backoffs.values())

    def check(self) -> None:
        """Raises `ConfigurationError` if a sender cannot be made."""
        for signal in self.signals:
            senders.check(self._settings, signal)

    def __call__(self, signal: str, items: Sequence[Item]) -> Parts[Item]:
        """Send items of one signal; every item is in one part of the result."""
        backoff = self._backoffs[signal]
        done: Parts[Item] = []
        for _ in range(TRIES):
            parts = send_in_parts(
                lambda part: self._sender(signal).send([item.data for item in part]), items, trusted=backoff.trusted
            )
            waiting = self._sort(backoff, parts, done)
            wait_s = backoff.until - time.monotonic()
            if not waiting or not backoff.answered or wait_s > LONGEST_WAIT_S:
                break
            threading.Event().wait(max(0.0, wait_s))
            items = [item for part, _ in waiting for item in part]
        return done + waiting

    def _sort(self, backoff: Backoff, parts: Parts[Item], done: Parts[Item]) -> Parts[Item]:
        """Add the final results to ``done``, update the backoff, and return what is to be tried again."""
        if any(result.verdict is Verdict.DELIVERED for _, result in parts):
            backoff.succeeded()
        waiting = [part for part in parts if part[1].verdict is Verdict.LATER]
        done += [part for part in parts if part[1].verdict is not Verdict.LATER]
        for _, result in parts:
            if result.verdict in (Verdict.LATER, Verdict.REFUSED):
                backoff.failed(result)
                break
        return waiting

    def _sender(self, signal: str) -> Sender:
        if signal not in self._senders:
            self._senders[signal] = senders.make_sender(self._settings, signal)
        return self._senders[signal]

    def close(self) -> None:
        """Close the connections."""
        for sender in self._senders.values():
            sender.shutdown()

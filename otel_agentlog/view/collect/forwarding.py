"""Sends on to a further collector what came, byte for byte, in the order in which it came.

A body waits on disk from before its acknowledgement until the further collector has it, so neither of the two can lose it: an end
of this process in between sends it again. One that is refused for good is reported and dropped; it is in its folder.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from otel_agentlog.export.transport.http import HttpSender
from otel_agentlog.export.transport.result import SendResult, Verdict
from otel_agentlog.settings.parsers import Connection
from otel_agentlog.tools.collect.spool import CollectSpool

END_S = 5.0
"""Longest time, in seconds, that the end waits for what is still to be sent."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_DROPPED = (Verdict.REJECTED, Verdict.TOO_LARGE)


class Forwarding:
    """Sends from its making to `stop`, in a thread of its own."""

    def __init__(self, root: Path, url: str, connection: Callable[[str], Connection], say: Callable[[str], None]) -> None:
        """``url``: of the further collector, without ``/v1/…``; ``say`` gets messages for the user."""
        self._root, self._say = root, say
        self._senders = {
            signal: HttpSender(signal, f"{url.rstrip('/')}/v1/{signal}", connection(signal))
            for signal in ("traces", "logs", "metrics")
        }
        self.sent = 0
        self._news, self._ended = threading.Event(), threading.Event()
        self._last_reason = ""
        self._thread = threading.Thread(target=self._run, name="agentlog-collect-forwarding", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to send."""
        self._news.set()

    def stop(self) -> None:
        """Send what can be sent within `END_S`, and end; the rest waits for the next process."""
        self._ended.set()
        self._news.set()
        self._thread.join(END_S)
        for sender in self._senders.values():
            sender.shutdown()

    def _run(self) -> None:
        spool, wait_s = CollectSpool(self._root), _FIRST_WAIT_S
        try:
            while True:
                self._news.clear()
                is_empty, later = self._send_next(spool)
                if later is not None:
                    if self._ended.is_set():
                        return
                    self._ended.wait(later.retry_after_s or wait_s)
                    wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
                    continue
                wait_s = _FIRST_WAIT_S
                if is_empty and self._ended.is_set():
                    return
                if is_empty:
                    self._news.wait()
        finally:
            spool.close()

    def _send_next(self, spool: CollectSpool) -> tuple[bool, SendResult | None]:
        """Send the body that waits longest: whether there was none, and its result if it is to be tried again."""
        try:
            body = spool.next_outgoing()
            if body is None:
                return True, None
            result = self._senders[body.signal].forward(body.body, body.content_type)
            if result.verdict is not Verdict.DELIVERED and result.verdict not in _DROPPED:
                return False, self._waiting(result)
            spool.forwarded(body)
        except sqlite3.Error as error:
            # What was sent and could not be deleted is sent again.
            return False, self._waiting(SendResult(Verdict.LATER, "spool", str(error)))
        self._last_reason = ""
        if result.verdict is Verdict.DELIVERED:
            self.sent += 1
        else:
            self._say(f"not forwarded: {result.reason} {result.message}")
        return False, None

    def _waiting(self, result: SendResult) -> SendResult:
        """Report why bodies wait, once for each reason."""
        if self._last_reason != result.reason:
            self._last_reason = result.reason
            self._say(f"forwarding waits: {result.reason} {result.message}")
        return result

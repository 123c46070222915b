"""Sends on to a further collector what came, byte for byte, in the order in which it came.

A body waits on disk from before its acknowledgement until the further collector has it, so neither of the two can lose it: an end
of this process in between sends it again. One that is refused for good is reported and dropped; it is in its folder. Of several
processes below one root one sends, and the next one goes on when it ends.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.export.transport.http import HttpSender
from otel_agentlog.export.transport.result import SendResult, Verdict
from otel_agentlog.settings.parsers import Connection
from otel_agentlog.store.folder.files import Descriptor
from otel_agentlog.store.folder.layout import FILE_MODE
from otel_agentlog.store.folder.locks import Lock, lock_exclusively
from otel_agentlog.tools.collect import HOME
from otel_agentlog.tools.collect.spool import CollectSpool

END_S = 5.0
"""Longest time, in seconds, that the end waits for what is still to be sent."""

TURN_S = 1.0
"""Seconds between two looks whether the process that forwards has ended."""

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
        self._thread = threading.Thread(target=self._run_in_turn, name="agentlog-collect-forwarding", daemon=True)

    def start(self) -> None:
        """Begin to send, or to wait for the process that does. The spool is there. Raises `OSError`."""
        # A link is not followed; the file stays, as removing it would let two have a lock on one name.
        self._lock = Descriptor(system.open(self._root / HOME / "forwarding", system.UPDATE | os.O_CREAT, FILE_MODE))
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

    def _run_in_turn(self) -> None:
        try:
            if self._has_turn():
                self._run()
        finally:
            self._lock.close_at_once()

    def _has_turn(self) -> bool:
        """Wait for the process that forwards; whether this one is to, then."""
        if lock_exclusively(self._lock) is not Lock.TAKEN:
            return True
        self._say("another process forwards what is collected here; this one goes on when that ends")
        while not self._ended.wait(TURN_S):
            if lock_exclusively(self._lock) is not Lock.TAKEN:
                return True
        return False

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
            raise_interrupt()
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

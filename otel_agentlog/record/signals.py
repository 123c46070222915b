"""SIGTERM and SIGHUP: open tasks say so, whoever handled the signal goes on handling it, and the process ends as it would have.

Hides the chain. Where nobody handles the signal, what is open is ended as interrupted, and then the signal does what it does
without us. Where somebody does, that handler decides what becomes of the process: it may well let the tasks come to their end.
So each open task gets a line that says which signal came, and the handler is called.

Handlers that are found whenever anything begins are chained too, so it does not matter whether they were installed before or
after us. An ignored signal stays ignored (``nohup``).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from otel_agentlog.record.operations.open_operations import interrupt_open, on_begin, tell_open_tasks

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that end a process and give it time to say so; SIGINT raises `KeyboardInterrupt`, which needs no handler."""

WITHIN_S = 2.0
"""Longest time, in seconds, that ending what is open may take; whoever sent the signal is waiting."""

_dying: Callable[[], object] | None = None
_on = False
_in_it = False


def join_signals(dying: Callable[[], object]) -> None:
    """Take part in the handling of `SIGNALS`; only the main thread can.

    ``dying`` is called, within the signal handler, when the process is about to end by a signal that nobody handles.
    """
    global _dying, _on
    _dying, _on = dying, True
    _join()
    on_begin(_join)


def leave_signals() -> None:
    """Give handlers back where that is possible; where others have chained ours, it only passes the signal on."""
    global _dying, _on
    _dying, _on = None, False
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:
            found = signal.getsignal(signum)
            if isinstance(found, _Chained):
                signal.signal(signum, found.before)


def _join() -> None:
    if not _on or threading.get_ident() != threading.main_thread().ident:
        return
    for signum in SIGNALS:
        found = signal.getsignal(signum)
        if isinstance(found, _Chained) or found is signal.SIG_IGN or found is None:
            continue
        # The kernel keeps such a signal from the first process of a container: nothing would end.
        if found is not signal.SIG_DFL or os.getpid() != 1:
            signal.signal(signum, _Chained(found))


class _Chained:
    """The handler that was found, with what we do before it."""

    def __init__(self, before: Any) -> None:
        self.before = before

    def __call__(self, signum: int, frame: FrameType | None) -> Any:
        if callable(self.before):
            _tell(signum)
            return self.before(signum, frame)
        _end(signum)
        return None


def _tell(signum: int) -> None:
    if not _on:
        return
    name = signal.Signals(signum).name
    try:
        tell_open_tasks(
            {
                "type": "event",
                "level": "WARNING",
                "component": "process",
                "action": "signal_received",
                "message": f"{name} received",
                "details": {"signal": name},
            }
        )
    except Exception:  # noqa: BLE001, S110 - the user's handler must run whatever becomes of our line
        pass


def _end(signum: int) -> None:
    """End what is open, then the process, the way it ends without us. A second signal meanwhile ends it at once."""
    global _in_it
    dying = _dying
    if _on and not _in_it:
        _in_it = True
        try:
            interrupt_open(signal.Signals(signum).name, WITHIN_S)
            if dying is not None:
                dying()
        except Exception:  # noqa: BLE001, S110 - nothing may keep the process from ending
            pass
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)

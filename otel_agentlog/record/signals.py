"""Handles SIGTERM and SIGHUP before the handlers that are installed for them, and ends the process as without us.

With the default handler, open operations end as interrupted and then the signal ends the process. With a handler of the user's,
that decides whether the process ends, and tasks may well complete: each open task gets a line that names the signal, and the
handler is called.

Handlers are looked up again whenever an operation begins, so that those installed after ours are chained too. An ignored signal
stays ignored (``nohup``).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.operations.open_operations import interrupt_open, tell_open_tasks, watch

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""The signals that end a process and leave it time to act (SIGBREAK is Windows'); SIGINT raises `KeyboardInterrupt`, which needs
no handler."""

WITHIN_S = 2.0
"""Longest time, in seconds, that ending open operations may take; the sender of the signal waits."""

_on_exit: Callable[[], object] | None = None
_on = False
_ending = False


def join_signals(on_exit: Callable[[], object]) -> None:
    """Install handlers for `SIGNALS`, chained before those that are there; has an effect only in the main thread.

    ``on_exit`` is called, within the signal handler, before the process ends by a signal without a handler of the user's.
    """
    global _on_exit, _on
    _on_exit, _on = on_exit, True
    # Elsewhere than in the main thread that is all; the next operation there does the rest.
    watch(SIGNALS, _join, at_once=True)
    _join()


def leave_signals() -> None:
    """Restore the previous handlers; one that others have chained stays, and only passes the signal on."""
    global _on_exit, _on
    _on_exit, _on = None, False
    watch((), _join)
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:
            found = signal.getsignal(signum)
            if isinstance(found, _ChainedHandler):
                signal.signal(signum, found.before)


def _join() -> None:
    if not _on or threading.get_ident() != threading.main_thread().ident:
        return
    for signum in SIGNALS:
        found = signal.getsignal(signum)
        if isinstance(found, _ChainedHandler) or found is signal.SIG_IGN or found is None:
            continue
        # The kernel keeps such a signal from the first process of a container: nothing would end.
        if found is not signal.SIG_DFL or os.getpid() != 1:
            signal.signal(signum, _ChainedHandler(found))
    watch(SIGNALS, _join)


class _ChainedHandler:
    """Our handling, followed by the handler that was installed before."""

    def __init__(self, before: Any) -> None:
        self.before = before

    def __call__(self, signum: int, frame: FrameType | None) -> Any:
        if callable(self.before):
            _record(signum)
            return self.before(signum, frame)
        _end(signum)
        return None


def _record(signum: int) -> None:
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
    except Exception:  # noqa: BLE001 - the user's handler must run even if our line fails
        raise_interrupt()


def _end(signum: int) -> None:
    """End open operations, then the process by the default handler. A second signal meanwhile ends it at once."""
    global _ending
    on_exit = _on_exit
    if _on and not _ending:
        _ending = True
        try:
            interrupt_open(signal.Signals(signum).name, WITHIN_S)
            if on_exit is not None:
                on_exit()
        except Exception:  # noqa: BLE001, S110 - nothing may keep the process from ending
            pass
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)

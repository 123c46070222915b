"""The console: a sink that shows log lines on stderr, after cleaning, as text for people or as JSON.

Hides the terminal's bad days: it is closed, full, stopped with Ctrl-S, or nobody reads the pipe. Then lines are dropped and
counted instead of holding up whoever logs, and the next line that gets through is preceded by how many there were.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import IO

from otel_agentlog.model import LOG_TYPES, SPAN_TYPES, Envelope
from otel_agentlog.model import timestamp as timestamp_of
from otel_agentlog.record.logs_render import Look, human, json_text
from otel_agentlog.record.logs_stream import PatientWriter

STALL_S = 0.1
"""Longest time, in seconds, that one line waits for a console that does not take it."""


class ConsoleSink:
    """Shows lines of type ``log`` on a stream. Safe from any thread; never raises for a stream that does not work."""

    name = "console"

    def __init__(
        self,
        stream: IO[str] | None = None,
        *,
        style: str = "human",
        colour: bool = False,
        columns: int | None = None,
        lifecycle: bool = False,
    ) -> None:
        """``stream`` ``None`` is whatever ``sys.stderr`` is at the time; ``style`` is ``human`` or ``json``; ``columns`` ``None``
        asks the terminal. ``lifecycle`` also shows starts, ends and changes of state.
        """
        self.hidden = 0
        """Lines that could not be shown so far."""
        self._stream, self._style, self._colour, self._columns, self._lifecycle = stream, style, colour, columns, lifecycle
        self._untold = 0
        self._lock, self._writer = threading.Lock(), PatientWriter()
        self._stalled = False
        _consoles.add(self)

    def __call__(self, envelope: Envelope) -> None:
        """Show one line."""
        kind = envelope.line.get("type")
        if kind != "log" and not (self._lifecycle and not envelope.webhook and kind in SPAN_TYPES | LOG_TYPES):
            return
        stream = self._stream if self._stream is not None else sys.stderr
        if stream is None or not self._write(stream, self._text(envelope, stream)):
            self.hidden += 1
            self._untold += 1

    def forget(self) -> None:
        """In the child of a fork: whoever held the lock is not here."""
        self._lock, self._writer = threading.Lock(), PatientWriter()

    def _text(self, envelope: Envelope, stream: IO[str]) -> str:
        if self._style == "json":
            return json_text(envelope.line, timestamp_of(envelope.time_ns))
        text = human(envelope.line, envelope.time_ns, Look(self._colour, self._columns or _columns_of(stream)))
        if self._untold:
            text = f"[agentlog: lines that could not be shown here: {self._untold}]\n{text}"
        return text

    def _write(self, stream: IO[str], text: str) -> bool:
        held = self._lock.acquire(timeout=0 if self._stalled else STALL_S)
        try:
            written = self._writer.write(stream, text, 0 if self._stalled else STALL_S)
        except (OSError, ValueError, RuntimeError):
            # Closed, broken pipe, reentered by a signal handler.
            written = False
        finally:
            if held:
                self._lock.release()
        self._stalled = not written
        if written:
            self._untold = 0
        return written


def _columns_of(stream: IO[str]) -> int | None:
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether people look at this stream; false for a closed one."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError, AttributeError):
        return False


def wants_colour(terminal: bool, *, no_color: str | None = None, force_color: str | None = None, term: str | None = None) -> bool:
    """Whether to use colours, from the values of ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM``.

    By https://no-color.org and https://force-color.org; ``NO_COLOR`` wins, whatever it says unless it is empty.
    """
    if no_color:
        return False
    if force_color:
        return force_color.lower() not in ("0", "false")
    return terminal and term != "dumb"


def console_sink(
    mode: str,
    *,
    stream: IO[str] | None = None,
    no_color: str | None = None,
    force_color: str | None = None,
    term: str | None = None,
    lifecycle: bool = False,
) -> ConsoleSink | None:
    """The sink for a mode: ``human``, ``json``, ``auto`` (human on a terminal, else JSON) or ``off`` (none)."""
    if mode == "off":
        return None
    terminal = is_terminal(stream if stream is not None else sys.stderr)
    style = mode if mode != "auto" else "human" if terminal else "json"
    colour = style == "human" and wants_colour(terminal, no_color=no_color, force_color=force_color, term=term)
    return ConsoleSink(stream, style=style, colour=colour, lifecycle=lifecycle)


_consoles: weakref.WeakSet[ConsoleSink] = weakref.WeakSet()


def _forget_parents_lock() -> None:
    for console in list(_consoles):
        console.forget()


os.register_at_fork(after_in_child=_forget_parents_lock)

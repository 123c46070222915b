"""The console: a sink that shows log lines on stderr or stdout, after cleaning, as text for people or as JSON.

A terminal may be closed, full or stopped with Ctrl-S, and a pipe may have no reader. Then lines are dropped and counted instead
of blocking the caller, and the next line that gets through is preceded by how many there were.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from typing import IO

from otel_agentlog._interrupts import ABANDONED, in_c, raise_interrupt, take
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.record.exceptions.timeout_call import thread_state
from otel_agentlog.record.logs.console_format import Layout, human, json_text
from otel_agentlog.record.logs.file_formats import flat_row, text_row
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import LOG_TYPES, SPAN_TYPES
from otel_agentlog.vocabulary.lines import timestamp as timestamp_of

STALL_S = 0.1
"""Longest time, in seconds, that one line waits for a console that does not take it."""


def console_sink(
    mode: str,
    *,
    stream: IO[str] | None = None,
    stdout: bool = False,
    no_color: str | None = None,
    force_color: str | None = None,
    term: str | None = None,
    lifecycle: bool = False,
) -> ConsoleSink | None:
    """The sink for a mode: ``human``, ``json``, ``flat``, ``text``; ``auto``: human on a terminal, else JSON; ``off``: none."""
    if mode == "off":
        return None
    terminal = is_terminal(stream if stream is not None else sys.stdout if stdout else sys.stderr)
    style = mode if mode != "auto" else "human" if terminal else "json"
    colour = style == "human" and wants_colour(terminal, no_color=no_color, force_color=force_color, term=term)
    return ConsoleSink(stream, stdout=stdout, style=style, colour=colour, lifecycle=lifecycle)


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether a stream is a terminal; false for a closed one."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError, AttributeError):
        raise_interrupt()
        return False


def wants_colour(terminal: bool, *, no_color: str | None = None, force_color: str | None = None, term: str | None = None) -> bool:
    """Whether to use colours, from the values of ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM``.

    By https://no-color.org and https://force-color.org; ``NO_COLOR`` wins, with any value but the empty one.
    """
    if no_color:
        return False
    if force_color:
        return force_color.lower() not in ("0", "false")
    return terminal and term != "dumb"


class _Shown:
    """The last texts that were shown: what reads stderr and logs it, in another thread, logs our own output."""

    def __init__(self) -> None:
        self._texts: deque[str] = deque(maxlen=64)

    def add(self, text: str) -> None:
        self._texts.append(text.partition("\n")[0])

    def __contains__(self, message: object) -> bool:
        return type(message) is str and message.strip() in list(self._texts)


shown = _Shown()


class ConsoleSink:
    """Shows lines of type ``log`` on a stream. Safe from any thread; never raises for a stream that does not work."""

    name = "console"

    def __init__(
        self,
        stream: IO[str] | None = None,
        *,
        stdout: bool = False,
        style: str = "human",
        colour: bool = False,
        columns: int | None = None,
        lifecycle: bool = False,
    ) -> None:
        """``stream`` ``None`` is ``sys.stderr``, or ``sys.stdout``, at the time of each line; ``style`` is ``human``, ``json``,
        ``flat`` or ``text``; ``columns`` ``None`` is the terminal's width. ``lifecycle`` also shows starts, ends and changes of
        state.
        """
        self.hidden = 0
        """Lines that could not be shown so far."""
        self._stream, self._style, self._colour, self._columns, self._lifecycle = stream, style, colour, columns, lifecycle
        self._stdout = stdout
        self._unreported = 0
        self._lock, self._writer = threading.Lock(), TimedWriter()
        self._stalled = False
        after_fork_in_child(self.renew_after_fork)

    def __call__(self, envelope: Envelope) -> None:
        """Show one line."""
        kind = envelope.line.get("type")
        if kind != "log" and not (self._lifecycle and not envelope.webhook and kind in SPAN_TYPES | LOG_TYPES):
            return
        stream = self._stream if self._stream is not None else sys.stdout if self._stdout else sys.stderr
        if stream is None or not self._write(stream, self._text(envelope, stream)):
            self.hidden += 1
            self._unreported += 1

    def renew_after_fork(self) -> None:
        """In the child of a fork: the thread that held the lock does not exist here."""
        self._lock, self._writer = threading.Lock(), TimedWriter()

    def _text(self, envelope: Envelope, stream: IO[str]) -> str:
        if self._style == "json":
            return json_text(envelope.line, timestamp_of(envelope.time_ns))
        if self._style != "human":
            line = {"timestamp": timestamp_of(envelope.time_ns), **envelope.line}
            return (flat_row(line) if self._style == "flat" else text_row(line, details=False)).decode()
        text = human(envelope.line, envelope.time_ns, Layout(self._colour, self._columns or _columns_of(stream)))
        if self._unreported:
            text = f"[agentlog: lines that could not be shown here: {self._unreported}]\n{text}"
        return text

    def _write(self, stream: IO[str], text: str) -> bool:
        taken: list[bool] = []
        shown.add(text)
        # A signal handler or a finalizer may come in between, and need not wait for its own thread.
        in_between = thread_state.on_console
        try:
            thread_state.on_console = True
            take(self._lock, 0 if self._stalled or in_between else STALL_S, taken)
            written = self._writer.write(stream, text, 0 if self._stalled else STALL_S)
        except (OSError, ValueError, RuntimeError):
            raise_interrupt()
            # Closed, broken pipe, reentered by a signal handler.
            written = False
        finally:
            thread_state.on_console = in_between
            if any(taken):
                self._lock.release()
        self._stalled = not written
        if written:
            self._unreported = 0
        return written


def _columns_of(stream: IO[str]) -> int | None:
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        raise_interrupt()
        return None


# -- writing without blocking ---------------------------------------------------------------------------------------------


_OWN_FLAGS = os.O_WRONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY"))


class TimedWriter:
    """Writes text to a stream, within a time. Not for several threads at once.

    A terminal that is ready takes something, but not how much is known. So it is written to by a descriptor of our own that does
    not block: making the shared one so would change it for the whole process and its parent.
    """

    def __init__(self) -> None:
        self._own_fd = -1
        self._terminal: tuple[int, int] | None = None

    __del__ = in_c(ABANDONED.append)

    def abandoned(self) -> None:
        """Close its own descriptor."""
        self._close()

    def write(self, stream: IO[str], text: str, timeout_s: float) -> bool:
        """Write all of it; false if the stream did not take it in time, and part of it may be written then.

        A stream that is no plain file object (a test's, a notebook's) is written to as it is, however long that takes.

        Raises:
            OSError, ValueError: the stream is closed or broken.
        """
        if type(stream) is not io.TextIOWrapper or sys.platform == "win32":
            if isinstance(stream, io.TextIOWrapper):
                # On Windows only the stream knows how its terminal takes text, and none says whether it would take it now.
                text = text.encode(stream.encoding, "backslashreplace").decode(stream.encoding)
            stream.write(text)
            stream.flush()
            return True
        fd = stream.fileno()
        data = memoryview(text.encode(stream.encoding or "utf-8", "backslashreplace"))
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return _write_file(fd, data)
        return _write_in_time(self._quick(fd, status), data, timeout_s)

    def _quick(self, fd: int, status: os.stat_result) -> int:
        """The descriptor to use: our own one where this is a terminal that lets us have it."""
        if not stat.S_ISCHR(status.st_mode):
            return fd
        terminal = (status.st_dev, getattr(status, "st_rdev", 0))
        if terminal != self._terminal:
            self._close()
            self._terminal = terminal
            try:
                self._own_fd = os.open(f"/dev/fd/{fd}", _OWN_FLAGS)
            except OSError:
                raise_interrupt()
                self._own_fd = -1
        return fd if self._own_fd < 0 else self._own_fd

    def _close(self) -> None:
        fd, self._own_fd = self._own_fd, -1
        if fd >= 0:
            os.close(fd)


def _write_file(fd: int, data: memoryview) -> bool:
    while data:
        data = data[os.write(fd, data) :]
    return True


if sys.platform == "win32":

    def _write_in_time(fd: int, data: memoryview, timeout_s: float) -> bool:
        return _write_file(fd, data)

else:

    def _write_in_time(fd: int, data: memoryview, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        while data:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return False
            try:
                # PIPE_BUF bytes go into a pipe that is ready without blocking, and in one piece (POSIX).
                data = data[os.write(fd, data[: select.PIPE_BUF]) :]
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
        return True

"""Writes to a stream that people or pipes look at, without waiting for them longer than told.

Hides that a terminal that is ready takes something, but not how much: writing to it is done on a descriptor of our own that
does not block, since making the shared one so would change it for the whole process and its parent.
"""

from __future__ import annotations

import io
import os
import select
import stat
import time
from typing import IO


class PatientWriter:
    """Writes text to a stream. Not for several threads at once."""

    def __init__(self) -> None:
        self._own_fd = -1
        self._terminal: tuple[int, int] | None = None

    def __del__(self) -> None:
        self._close()

    def write(self, stream: IO[str], text: str, timeout_s: float) -> bool:
        """Write all of it; false if the stream did not take it in time, and part of it may be written then.

        A stream that is no plain file object (a test's, a notebook's) is written to as it is, however long that takes.

        Raises:
            OSError, ValueError: the stream is closed or broken.
        """
        if type(stream) is not io.TextIOWrapper:
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
        terminal = (status.st_dev, status.st_rdev)
        if terminal != self._terminal:
            self._close()
            self._terminal = terminal
            try:
                self._own_fd = os.open(f"/dev/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
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

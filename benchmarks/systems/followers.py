"""What it costs to follow a running task: `agentlog tail -f`, the stream of the page, and the monitor in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

LONGEST_S = 120.0
COLUMNS, ROWS = 120, 40


class Follower:
    """A process that follows a task, and what it has shown."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._shown = b""
        self._more = threading.Condition()

    def read(self, piece: Callable[[], bytes]) -> None:
        """Take what it shows, in a thread, until there is no more."""
        threading.Thread(target=self._read, args=(piece,), daemon=True).start()

    def _read(self, piece: Callable[[], bytes]) -> None:
        try:
            while found := piece():
                with self._more:
                    # The end is enough to find a word that may have come in two pieces.
                    self._shown = self._shown[-1_000_000:] + found
                    self._more.notify_all()
        except (OSError, HTTPException):
            """The process has ended: the other end of its terminal or connection is closed."""

    def wait_for(self, text: str) -> None:
        """Return when it has shown this."""
        with self._more:
            if not self._more.wait_for(lambda: text.encode() in self._shown, LONGEST_S):
                raise TimeoutError(f"{self._process.args!r} did not show {text} in {LONGEST_S} s, but {self._shown[-500:]!r}")

    def settle(self) -> None:
        """Return when it has nothing more to do with what is there: less than a tenth of a processor for half a second."""
        deadline = time.monotonic() + LONGEST_S
        while time.monotonic() < deadline:
            before = self.cpu_s()
            time.sleep(0.5)
            if self.cpu_s() - before < 0.05:
                return

    def cpu_s(self) -> float:
        """CPU seconds of the whole process, all threads."""
        return time.clock_gettime((~self._process.pid << 3) | 2)


@contextmanager
def _started(words: list[str], **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-m", "otel_agentlog", *words], **how) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def tail(root: Path, task_id: str) -> Iterator[Follower]:
    """``agentlog tail -f``."""
    with _started(["tail", "-f", task_id, "--root", str(root)], stdout=subprocess.PIPE) as process:
        follower = Follower(process)
        assert process.stdout is not None
        out = process.stdout.fileno()
        follower.read(lambda: os.read(out, 65536))
        yield follower


@contextmanager
def page(root: Path, task_id: str) -> Iterator[Follower]:
    """The server, with one page that listens to the task."""
    with _started(["serve", "--port", "0", "--root", str(root)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        address = next(word for line in iter(process.stdout.readline, b"") for word in line.decode().split() if "http://" in word)
        threading.Thread(target=process.stdout.read, daemon=True).start()
        # Closed by its reader, when the server has ended.
        stream = urllib.request.urlopen(f"{address.rstrip('/')}/api/tasks/{task_id}/stream?clip=4000", timeout=LONGEST_S)
        follower = Follower(process)
        follower.read(lambda: bytes(stream.readline()))
        yield follower


@contextmanager
def monitor(root: Path, task_id: str) -> Iterator[Follower]:
    """``agentlog monitor`` of the task, in a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with _started(["monitor", task_id, "--root", str(root)], **streams, env=environment, start_new_session=True) as process:
        os.close(theirs)
        follower = Follower(process)
        follower.read(lambda: os.read(ours, 65536))
        yield follower
    os.close(ours)


FOLLOWERS = {"tail": tail, "page": page, "monitor": monitor}

"""Hides how a server process is started, watched and ended; what it prints is kept in a file."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.waiting import wait_until

STOP_TIMEOUT_S = 20.0
_LOG_TAIL_BYTES = 4000


class ServerProcess:
    """One server as a child process. Use: ``start``, then ``stop`` (SIGTERM) or ``kill`` (SIGKILL); may be started again."""

    def __init__(self, command: Sequence[str | Path], log_path: Path, env: Mapping[str, str] | None = None) -> None:
        self.command = [str(part) for part in command]
        self.log_path = log_path
        self._env = {**_clean_environment(), **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running process."""
        assert self._process is not None, "the server was not started"
        return self._process.pid

    def start(self, is_ready: Callable[[], object], *, timeout_s: float = 30.0) -> None:
        """Start the process and wait for ``is_ready``.

        Raises:
            RuntimeError: the process ended before it was ready; the message has the end of its log.
        """
        assert not self.running, "the server runs already"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(self.command, env=self._env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: self._died() or is_ready(), f"{self.command[0]} to get ready", timeout_s=timeout_s)
        except BaseException:
            self.kill()
            raise
        if self._died():
            raise RuntimeError(f"{self.command[0]} ended with {self._process.returncode}:\n{self.log_tail()}")

    def stop(self) -> None:
        """Ask the process to end and wait until it has; kill it if it does not listen."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process without giving it a chance to save anything."""
        self._end(signal.SIGKILL)

    def log_tail(self) -> str:
        """The last lines the process printed."""
        return self.log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    def _died(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _clean_environment() -> dict[str, str]:
    """Our environment without what would steer the server behind the test's back."""
    steering = ("OTEL_", "AGENTLOG_", "ROTEL_")
    return {key: value for key, value in os.environ.items() if not key.startswith(steering)}

"""The real command, run in a process with its output in pipes, or on a pseudo-terminal of any size.

Its processes begin where the package is imported already (`tests.support.forking`).
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import signal
import struct
import sys
import termios
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from otel_agentlog.view.cli.main import main
from tests.support.forking import PYTHON

TIMEOUT_S = 60.0
_ROWS = 24
NOTHING: Mapping[str, str] = {}
_STEERING = (
    "OTEL_",
    "AGENTLOG_",
    "TASK_LOGS",
    "XDG_",
    "NO_COLOR",
    "FORCE_COLOR",
    "COLUMNS",
    "LINES",
    "TERM",
    "LANG",
    "LC_",
    "PYTHON",
)

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
"""What colours are made of."""


@dataclass(frozen=True)
class Output:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def environment(**more: str) -> dict[str, str]:
    """The environment without anything that steers us."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(_STEERING)}
    return {**plain, "LANG": "C.UTF-8", "TZ": "UTC", **more}


def command(*arguments: object) -> list[str]:
    """The command line of ``agentlog``."""
    return [sys.executable, "-m", "otel_agentlog", *map(str, arguments)]


def agentlog(*arguments: object, cwd: Path | None = None, env: Mapping[str, str] = NOTHING) -> Output:
    """Run the command with its output in pipes."""
    ran = PYTHON.run(command(*arguments)[1:], env=environment(**env), cwd=cwd, timeout=TIMEOUT_S, quick=True)
    return Output(ran.returncode, ran.stdout.decode("utf-8", "surrogateescape"), ran.stderr.decode("utf-8", "surrogateescape"))


class Terminal:
    """The command on a pseudo-terminal."""

    def __init__(self, *arguments: object, columns: int = 80, env: Mapping[str, str] = NOTHING) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
        self._process = PYTHON.start(
            command(*arguments)[1:],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(**{"TERM": "xterm-256color", **env}),
            start_new_session=True,
            quick=True,
        )
        os.close(theirs)
        self._ours = ours
        self._output = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # the other side has closed
                return
            if not piece:
                return
            self._output += piece

    @property
    def shown(self) -> str:
        """Everything that was printed so far, with its escape sequences."""
        return bytes(self._output).decode("utf-8", "surrogateescape").replace("\r\n", "\n")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> Output:
        """Wait for the command to end."""
        code = self._process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        os.close(self._ours)
        return Output(code, self.shown, "")


def on_terminal(*arguments: object, columns: int = 80, env: Mapping[str, str] = NOTHING) -> Output:
    """Run the command on a terminal of this width."""
    return Terminal(*arguments, columns=columns, env=env).end()


class _Paper(io.StringIO):
    """Takes what is printed and says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def as_wide_as(columns: int, *arguments: object) -> Output:
    """Run the command in this process as if on a terminal of this width, without colours: fast, for many widths."""
    with pytest.MonkeyPatch.context() as patch:
        paper = _Paper()
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(sys, "stdout", paper)
        code = main([*map(str, arguments), "--no-color"])
    return Output(code, paper.getvalue(), "")


def plain(text: str) -> str:
    """A text without its colours."""
    return ESCAPES.sub("", text)

"""A terminal of tmux, whose screen is read as a person sees it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Callable

import pytest

from tests.support.waiting import wait_until

DEADLINE_S = 60.0


class Terminal:
    """A real terminal of a size, in tmux."""

    def __init__(self, command: list[str], columns: int = 80, rows: int = 24) -> None:
        tmux = shutil.which("tmux")
        if tmux is None:
            assert not os.environ.get("CI"), "no tmux (Debian package tmux)"
            pytest.skip("no tmux (Debian package tmux): the monitor was NOT tested on a terminal")
        self._tmux = [tmux, "-L", f"agentlog-{uuid.uuid4().hex[:8]}", "-f", "/dev/null"]
        # What it says at its end, and how it ended, is left to be read.
        kept = f"{shlex.join(command)}; echo ended with $?; exec sleep 600"
        self._run("new-session", "-d", "-s", "m", "-x", str(columns), "-y", str(rows), kept)

    def _run(self, *words: str) -> str:
        # A size in the environment, as runners of tests set it, would be taken for the terminal's.
        own = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        env = {**own, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        return subprocess.run([*self._tmux, *words], capture_output=True, text=True, check=True, env=env, timeout=30).stdout

    def screen(self) -> str:
        return self._run("capture-pane", "-p", "-t", "m")

    def type(self, text: str) -> None:
        self._run("send-keys", "-t", "m", "-l", text)
        self._run("send-keys", "-t", "m", "Enter")

    def key(self, name: str) -> None:
        self._run("send-keys", "-t", "m", name)

    def resize(self, columns: int, rows: int) -> None:
        self._run("resize-window", "-t", "m", "-x", str(columns), "-y", str(rows))

    def wait_for(self, check: Callable[[str], object], what: str) -> str:
        def found() -> str:
            screen = self.screen()
            return screen if check(screen) else ""

        try:
            return wait_until(found, what, timeout_s=DEADLINE_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.screen()}") from None

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)

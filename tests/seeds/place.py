"""A home of its own in which the programs and command lines of a ported system run, as its document has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT_S = 100.0
_STEERING = ("OTEL_", "AGENTLOG_", "TASK_LOGS", "LOG_LEVEL", "XDG_", "METACLAUDE_")


@dataclass(frozen=True)
class Home:
    """Home and working directory; ``agentlog`` is on the path, task folders are in ``tasks``."""

    path: Path

    @property
    def tasks(self) -> Path:
        """The folder of the task folders."""
        return self.path / "tasks"

    def environment(self, **variables: str) -> dict[str, str]:
        """That of a program here."""
        plain = {key: value for key, value in os.environ.items() if not key.startswith(_STEERING)}
        programs = self.path / "bin"
        if not programs.exists():
            programs.mkdir()
            (programs / "agentlog").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m otel_agentlog "$@"\n')
            (programs / "agentlog").chmod(0o755)
        ours = {"HOME": str(self.path), "PYTHONPATH": str(REPOSITORY), "TASK_LOGS_DIR": "tasks", "TZ": "UTC", "LANG": "C.UTF-8"}
        quiet = {"AGENTLOG_LOG_DIR": "logs", "AGENTLOG_CONSOLE": "off", "AGENTLOG_SERVICE_NAME": "ported"}
        return {**plain, **ours, **quiet, "PATH": f"{programs}{os.pathsep}{plain['PATH']}", **variables}

    def python(self, program: str, *, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program here; with ``check`` it has to end well. It may not say that something was not recorded."""
        done = self._run([sys.executable, "-c", program], variables)
        assert not check or done.returncode == 0, done.stderr
        assert "could not record" not in done.stderr, done.stderr
        return done

    def shell(self, line: str, *, cwd: str = ".", status: int = 0, **variables: str) -> str:
        """Type a line into a shell here; what it prints."""
        done = self._run(["bash", "-c", f"set -o pipefail; cd {cwd}; {line}"], variables)
        assert done.returncode == status, (line, done.stdout, done.stderr)
        return done.stdout

    def _run(self, command: list[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.path,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def lines(self, task_id: str = "*") -> list[dict[str, Any]]:
        """All lines of a task, or of all tasks."""
        files = sorted(self.tasks.glob(f"{task_id}/03-agent-output.jsonl"))
        return [json.loads(row) for file in files for row in file.read_text().splitlines()]

    def app_log(self) -> list[dict[str, Any]]:
        """The lines of the application log."""
        return [json.loads(row) for file in self.path.glob("logs/*.jsonl") for row in file.read_text().splitlines()]

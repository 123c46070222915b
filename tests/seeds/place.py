"""Homes of their own in which the programs and command lines of a ported system run, as its document has them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.support.forking import PYTHON

REPOSITORY = Path(__file__).resolve().parents[2]
_STEERING = ("OTEL_", "AGENTLOG_", "TASK_LOGS", "LOG_LEVEL", "XDG_", "METACLAUDE_")


def json_lines(*files: Path) -> list[dict[str, Any]]:
    """The lines of files."""
    return [json.loads(row) for file in files for row in file.read_text().splitlines()]


@dataclass(frozen=True)
class Place:
    """A home and working directory that no other program has; task folders are in ``tasks``."""

    path: Path
    timeout_s: ClassVar[float] = 60.0

    @property
    def tasks(self) -> Path:
        """The folder of the task folders."""
        return self.path / "tasks"

    def lines_of(self, name: str) -> list[dict[str, Any]]:
        """The JSON lines of a file."""
        return json_lines(self.path / name)

    def environment(self, **variables: str) -> dict[str, str]:
        """That of a program here."""
        plain = {key: value for key, value in os.environ.items() if not key.startswith(_STEERING)}
        ours = {
            "HOME": str(self.path),
            "PYTHONPATH": str(REPOSITORY),
            "TASK_LOGS_DIR": "tasks",
            "AGENTLOG_SERVICE_NAME": "ported",
        }
        return {**plain, **ours, **variables}

    def python(self, program: str, *, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program here; with ``check`` it has to end well. It may not say that something was not recorded."""
        done = PYTHON.run(["-c", program], cwd=self.path, env=self.environment(**variables), text=True, timeout=self.timeout_s)
        assert not check or done.returncode == 0, done.stderr
        assert "could not record" not in done.stderr, done.stderr
        return done

    def shell(self, line: str, **variables: str) -> str:
        """Type a line into a shell here; what it prints. It has to end well and complain about nothing."""
        done = self._shell(line, variables)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        assert done.stderr == "", done.stderr
        return done.stdout

    def _shell(self, line: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return self._run(["bash", "-c", f"set -o pipefail; {line}"], variables)

    def _run(self, command: list[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.path,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=self.timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )


@dataclass(frozen=True)
class Home(Place):
    """One with ``agentlog`` on the path, the application log in ``logs`` and nothing on the console."""

    timeout_s: ClassVar[float] = 100.0

    def environment(self, **variables: str) -> dict[str, str]:
        """That of a program here."""
        programs = self.path / "bin"
        if not programs.exists():
            programs.mkdir()
            PYTHON.write_command(programs / "agentlog", "-m", "otel_agentlog")
        ours = {"TZ": "UTC", "LANG": "C.UTF-8", "AGENTLOG_LOG_DIR": "logs", "AGENTLOG_CONSOLE": "off"}
        return super().environment(**{**ours, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", **variables})

    def shell(self, line: str, *, cwd: str = ".", status: int = 0, **variables: str) -> str:
        """Type a line into a shell here; what it prints."""
        done = self._shell(f"cd {cwd}; {line}", variables)
        assert done.returncode == status, (line, done.stdout, done.stderr)
        return done.stdout

    def lines(self, task_id: str = "*") -> list[dict[str, Any]]:
        """All lines of a task, or of all tasks."""
        return json_lines(*sorted(self.tasks.glob(f"{task_id}/03-agent-output.jsonl")))

    def app_log(self) -> list[dict[str, Any]]:
        """The lines of the application log."""
        return json_lines(*self.path.glob("logs/*.jsonl"))

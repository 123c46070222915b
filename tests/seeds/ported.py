"""Runs programs and command lines of a ported system as their documents have them, in a folder of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Place:
    """A home and working directory that no other program has."""

    home: Path

    def python(self, program: str, *, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program here; it has to end well and say nothing about what could not be recorded."""
        return self._run([sys.executable, "-c", program], variables, check=check)

    def shell(self, line: str, **variables: str) -> str:
        """Type a line into a shell here; what it prints. It has to end well and complain about nothing."""
        done = self._run(["bash", "-c", f"set -o pipefail; {line}"], variables, check=True)
        assert done.stderr == "", done.stderr
        return done.stdout

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The JSON lines of a file."""
        return [json.loads(row) for row in (self.home / name).read_text().splitlines()]

    def _run(self, command: list[str], variables: Mapping[str, str], *, check: bool) -> subprocess.CompletedProcess[str]:
        steering = ("OTEL_", "AGENTLOG_", "TASK_LOGS", "LOG_LEVEL", "XDG_")
        env = {key: value for key, value in os.environ.items() if not key.startswith(steering)}
        repository = str(Path(__file__).resolve().parents[2])
        env |= {"HOME": str(self.home), "PYTHONPATH": repository, "AGENTLOG_SERVICE_NAME": "ported", "TASK_LOGS_DIR": "tasks"}
        done = subprocess.run(
            command, cwd=self.home, env={**env, **variables}, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        assert "could not record" not in done.stderr, done.stderr
        return done

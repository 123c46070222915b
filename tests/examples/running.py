"""Hides how an example is run: in an empty folder, without settings of the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from otel_agentlog.testing import Recorded

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
TIMEOUT_S = 110.0
_STEERING = (
    "OTEL_",
    "AGENTLOG_",
    "TASK_LOGS",
    "LOG_LEVEL",
    "TRACE",
    "BAGGAGE",
    "ANTHROPIC_",
    "OPENAI_",
    "XDG_",
    "PYTHONHASHSEED",
)


def names() -> list[str]:
    """The examples there are: every ``examples/*.py`` without an underscore in front."""
    return sorted(path.stem for path in EXAMPLES.glob("*.py") if not path.name.startswith("_"))


def outcome(name: str, home: Path) -> tuple[str, Recorded]:
    """Run an example; what it printed and what it recorded."""
    work = home / "work"
    work.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        cwd=work,
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"examples/{name}.py ended with {done.returncode}:\n{done.stderr}"
    return done.stdout, Recorded(home)


def _environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_STEERING)}
    own = {"TASK_LOGS_DIR": str(home / "tasks"), "AGENTLOG_LOG_DIR": str(home / "logs"), "AGENTLOG_CONSOLE": "off"}
    return {**kept, **own, "HOME": str(home), "PYTHONHASHSEED": "0"}

"""Hides how an example is run and what is compared: what it prints, and what it leaves in its folders and application log.

The golden file ``golden/<name>.txt`` holds both. Write them anew with ``python -m tests.examples.update [NAME …]``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from otel_agentlog.testing import Recorded, golden_text

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
GOLDEN = Path(__file__).parent / "golden"
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


def golden(name: str) -> Path:
    """Where it stands what an example must give."""
    return GOLDEN / f"{name}.txt"


def outcome(name: str, home: Path) -> str:
    """Run an example in an empty folder; what it printed and recorded, with all that differs from run to run made equal."""
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
    printed = done.stdout.rstrip("\n")
    places = {str(home): "<home>", str(REPOSITORY): "<repository>", sys.executable: "<python>"}
    return golden_text(Recorded(home), before=f"# printed\n{printed}", places=places)


def _environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_STEERING)}
    own = {"TASK_LOGS_DIR": str(home / "tasks"), "AGENTLOG_LOG_DIR": str(home / "logs"), "AGENTLOG_CONSOLE": "off"}
    return {**kept, **own, "HOME": str(home), "PYTHONHASHSEED": "0"}

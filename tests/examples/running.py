"""Hides how an example is run and what is compared: what it prints, and what it leaves in its folders and application log.

The golden file ``golden/<name>.txt`` holds both. Write them anew with ``python -m tests.examples.update [NAME …]``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.examples.normal import normal_json, normal_text

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
    recorded = list(_recorded(home))
    text = "\n".join(["# printed", done.stdout.rstrip("\n"), *(part for part, _ in recorded)]) + "\n"
    ids = {error for _, found in recorded for error in found}
    return normal_text(
        text, places={str(home): "<home>", str(REPOSITORY): "<repository>", sys.executable: "<python>"}, errors=ids
    )


def _environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_STEERING)}
    own = {"TASK_LOGS_DIR": str(home / "tasks"), "AGENTLOG_LOG_DIR": str(home / "logs"), "AGENTLOG_CONSOLE": "off"}
    return {**kept, **own, "HOME": str(home), "PYTHONHASHSEED": "0"}


def _recorded(home: Path) -> Iterator[tuple[str, set[str]]]:
    folders = [path for path in (home / "tasks").glob("*") if (path / "metadata.json").exists()]
    for folder in sorted(folders, key=lambda path: (_document(path / "metadata.json")["created_at"], path.name)):
        metadata = _document(folder / "metadata.json")
        yield f"\n# task {metadata['name']}: {metadata['status']}", set()
        for name in ("02-webhook-flow.jsonl", "03-agent-output.jsonl", "04-final-result.json"):
            yield from _file(folder / name)
    for path in sorted((home / "logs").glob("*.jsonl")):
        yield from _file(path)


def _file(path: Path) -> Iterator[tuple[str, set[str]]]:
    if not path.exists():
        return
    yield f"## {path.name}", set()
    for raw in path.read_bytes().split(b"\n"):
        if raw and (line := normal_json(json.loads(raw))) is not None:
            yield json.dumps(line, ensure_ascii=False), set(_error_ids(line))


def _error_ids(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("error_id"), str):
            yield value["error_id"]
        for item in value.values():
            yield from _error_ids(item)
    elif isinstance(value, list):
        for item in value:
            yield from _error_ids(item)


def _document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found

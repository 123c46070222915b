"""Runs the demo's real command and reads the folders it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 90.0
_STEERING = (
    "OTEL_",
    "AGENTLOG_",
    "TASK_LOGS",
    "LOG_LEVEL",
    "TRACEPARENT",
    "TRACESTATE",
    "BAGGAGE",
    "ANTHROPIC_",
    "OPENAI_",
    "XDG_",
)


@dataclass(frozen=True)
class Folder:
    """One task folder, read as plain files."""

    path: Path

    @property
    def metadata(self) -> dict[str, Any]:
        return self.document("metadata.json")

    @property
    def final(self) -> dict[str, Any]:
        return self.document("04-final-result.json")

    @property
    def stages(self) -> list[dict[str, Any]]:
        return lines_of(self.path / "02-webhook-flow.jsonl")

    @property
    def events(self) -> list[dict[str, Any]]:
        return lines_of(self.path / "03-agent-output.jsonl")

    def document(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / name).read_bytes())
        return found

    def of_type(self, *types: str) -> list[dict[str, Any]]:
        return [line for line in self.events if line["type"] in types]

    def results_of(self, tool: str) -> list[Any]:
        """What the runs of a tool gave, those that gave anything."""
        ended = [line["details"] for line in self.of_type("tool_result") if line["content"] == tool]
        return [details["result"] for details in ended if "result" in details]


@dataclass(frozen=True)
class Ran:
    """A finished run of the demo."""

    code: int
    out: str
    err: str
    root: Path

    @property
    def folders(self) -> list[Folder]:
        return [Folder(path) for path in sorted(self.root.iterdir())]

    @property
    def main(self) -> Folder:
        """The folder of the task that came in by the webhook."""
        (found,) = [folder for folder in self.folders if folder.metadata["parent_task_id"] is None]
        return found

    @property
    def subtasks(self) -> dict[str, Folder]:
        """The other folders, by the task's name."""
        return {f.metadata["name"]: f for f in self.folders if f.metadata["parent_task_id"] is not None}

    def shell(self, command: str) -> str:
        """What a command line prints, run in the root; it must succeed."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=self.root, capture_output=True, text=True, check=True
        ).stdout


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def command(*arguments: str | bytes | Path) -> list[str | bytes | Path]:
    """The command line of the demo."""
    return [sys.executable, "-m", "otel_agentlog", "demo", *arguments]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Our environment without what steers the demo; its application log and its home are below ``home``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_STEERING)}
    scratch = home / "scratch"
    scratch.mkdir(exist_ok=True)
    return {**kept, "HOME": str(home), "AGENTLOG_LOG_DIR": str(home / "logs"), "TMPDIR": str(scratch), **more}


def run_demo(home: Path, *arguments: str | bytes | Path, **more: str) -> Ran:
    """Run the demo to its end, with its task folders in ``home / "tasks"``."""
    root = home / "tasks"
    done = subprocess.run(
        command(*arguments, "--root", root),
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )
    return Ran(done.returncode, done.stdout, done.stderr, root)


def make_project(path: Path) -> Path:
    """A directory of which everything is known: 2 TODOs, 3 tests in a file, a file that does not compile, a binary."""
    for name, text in {
        "README.md": "# Known\n\nA directory to review.\n",
        "pkg/__init__.py": "",
        "pkg/core.py": "# TODO: more\nVALUE = 1\n# FIXME: less\n",
        "pkg/broken.py": "def broken(:\n",
        "tests/test_core.py": "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n",
    }.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    (path / "data.bin").write_bytes(bytes(range(256)) * 16)
    return path

"""Screens of commands over a root that is always the same: ``python -m tests.view.cli.golden_screens`` writes them anew.

Look at the difference before it is kept.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from otel_agentlog.view.cli.main import main

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (50, 80, 120, 200)
COMMANDS = {
    "ls": ("ls",),
    "errors": ("errors",),
    "stats": ("stats",),
    "stats-by-agent": ("stats", "--group-by", "agent"),
    "search": ("search", "verdict"),
    "show": ("show", "task-4b3dafd917b8"),
    "diff": ("diff", "task-4b3dafd917b8", "task-d66ae1643df1"),
    "metrics": ("metrics", "--report", "--since", "2020-11-01", "--until", "2020-12-01"),
    "empty": ("ls", "agent:plnner"),
}
NAMES = (
    "Review PR 4711 of the repository with the very long name",
    "検証する: 日本語の長い名前 ✨ 한국어 🦀 とても長い",
    "مراجعة طلب السحب رقم ٤٢ في المستودع الطويل",
    "🦀🦀🦀 crab party 🎉🎉 with many 👩‍👩‍👧‍👦 family",
    "בדיקה",
    "short",
)
IDS = ("d7174227cbcd", "1024d1911b21", "d66ae1643df1", "4b3dafd917b8", "fd8662c0884f", "f68fb8b5ee5b")
STATUSES = ("completed", "interrupted", "cancelled", "failed", "timed_out", "completed")
AGENTS = ("planner", "an-agent-with-an-extremely-long-name", "日本のエージェント")


def write_root(root: Path) -> None:
    """Six tasks of November 2020."""
    for number, name in enumerate(NAMES):
        folder = root / f"task-{IDS[number]}"
        folder.mkdir(parents=True)
        metadata, final, lines = _task(number, name)
        (folder / "metadata.json").write_bytes(orjson.dumps(metadata))
        (folder / "01-input.json").write_bytes(orjson.dumps({"task_id": metadata["task_id"], "input": {"message": name}}))
        (folder / "03-agent-output.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
        (folder / "04-final-result.json").write_bytes(orjson.dumps(final))


def _task(number: int, name: str) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    at, task_id, status = f"2020-11-21T05:2{number}:01.000000000Z", f"task-{IDS[number]}", STATUSES[number]
    seconds, failed = 1.5 * 10**number / 10, status in ("failed", "timed_out")
    error = {
        "type": "ValueError",
        "message": f"the verdict of {name} is missing {number}",
        "error_id": f"e1f2g3h{number}",
        "category": "VALIDATION",
    }
    metadata = {
        "format_version": 1,
        "task_id": task_id,
        "name": name,
        "status": status,
        "created_at": at,
        "started_at": at,
        "completed_at": at,
        "assigned_agent": AGENTS[number % 3],
        "trace_id": f"{number:032x}",
        "tags": ["golden"],
    }
    metrics = {
        "cost_usd": None if number == 4 else 0.0123 * number,
        "input_tokens": 1234 * number,
        "output_tokens": 56 * number,
        "duration_seconds": seconds,
        "ai_calls": 1,
        "tool_runs": 1,
        "steps": 1,
        "retries": 0,
        "errors": int(failed),
    }
    final = {"success": status == "completed", "outcome": status, "metrics": metrics, "error": error if failed else None}
    return metadata, final, list(_lines(number, name, status, error if failed else None))


def _lines(number: int, name: str, status: str, error: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    ids = {"trace_id": f"{number:032x}", "task_id": f"task-{IDS[number]}"}
    raised = {"traceback": ['  File "judge.py", line 45, in review', '    raise ValueError("missing")', "ValueError: missing"]}
    advice = {"suggestions": ["Check the value against what the called function documents: range, format, emptiness."]}

    def line(second: int, kind: str, span: int, phase: str, **more: Any) -> dict[str, Any]:
        at = f"2020-11-21T05:2{number}:{second:02}.000000000Z"
        parent = {"parent_span_id": f"{span - 1:016x}"} if span > 1 else {}
        common = {"timestamp": at, "type": kind, "level": "INFO", "phase": phase, "span_id": f"{span:016x}"}
        return {**common, **parent, **ids, **more}

    model = {"provider": "anthropic", "model": "claude-opus-4-5"}
    spent = {**model, "input_tokens": 1234 * number, "output_tokens": 56 * number, "cost_usd": 0.0123 * number}
    yield line(1, "task", 1, "start", message=name)
    yield line(2, "step", 2, "start", message=f"judge {name}")
    yield line(3, "ai_request", 3, "start", message="claude-opus-4-5", details=model)
    yield line(5, "ai_response", 3, "end", message="claude-opus-4-5", outcome="completed", duration_ms=2000.0, details=spent)
    for at, kind, span, text in ((7, "step", 2, f"judge {name}"), (8, "task", 1, name)):
        ended = {"outcome": status, "duration_ms": 1000.0 * at, "message": text}
        extra = {"level": "ERROR", "exception": {**error, **(raised | advice if span == 2 else {})}} if error else {}
        yield line(at, kind, span, "end", **ended, **extra)


class Paper(io.StringIO):
    """Takes what is printed and says that it is a terminal with every sign."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def isatty(self) -> bool:
        return True


def screen(root: Path, command: str, columns: int) -> str:
    """What a command prints on a terminal of this width; without how long ago that was."""
    with pytest.MonkeyPatch.context() as patch:
        paper = Paper()
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(sys, "stdout", paper)
        main([*COMMANDS[command], "--root", str(root), "--no-color"])
    return re.sub(r"(?m)^(  started .* UTC,).*$", r"\1 …", paper.getvalue().replace(str(root), "ROOT"))


def make_root() -> Path:
    """The root, at a path that is equally long each time."""
    root = Path(tempfile.mkdtemp(prefix="golden-", dir="/tmp")) / "tasks"
    write_root(root)
    return root


def use_utc() -> None:
    """Print times as they stand in the folders."""
    os.environ["TZ"] = "UTC"
    time.tzset()


def write_all() -> None:
    """Write all screens."""
    use_utc()
    root = make_root()
    for command in COMMANDS:
        for columns in WIDTHS:
            (GOLDEN / f"{command}-{columns}.txt").write_text(screen(root, command, columns), encoding="utf-8")
    shutil.rmtree(root.parent)


if __name__ == "__main__":
    write_all()

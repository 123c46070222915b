"""Figures of a backend's tasks need one row a task where nothing is asked about what is in them."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.query import parse_filter
from otel_agentlog.store.index.filter import Filter
from otel_agentlog.view.backends.totals import can_sum
from otel_agentlog.view.cli import source
from otel_agentlog.view.cli.main import main
from tests.end_to_end.test_counted_once import chat, span
from tests.support.backend_rows import Tables


def record_tasks() -> None:
    """Ended in each way, with sub-task, retries, errors of their own and of steps, scores, spans of others, without price."""
    with agentlog.task("Review", agent="brain", source="cli", tags=["nightly"], session_id="s-1") as task:
        with agentlog.step("plan"), span("client", chat()):
            pass
        with agentlog.tool("Read") as run:
            run.attempt_failed(OSError("busy"), wait_seconds=0.1)
        with agentlog.task("Check", agent="checker"), agentlog.step("lint"):
            pass
        task.score("quality", 0.75)
    for where in ("in a step", "in itself"):
        with suppress(ValueError), agentlog.task(f"fails {where}", agent="brain"):
            with suppress(KeyError) if where == "in itself" else agentlog.step("judge"):
                raise ValueError(where)
    with suppress(TimeoutError), agentlog.task("slow", task_id="odd id / 'quoted' \\ 1"), agentlog.ai_call("nobody-knows"):
        raise TimeoutError("no answer")
    with agentlog.task("gives away", agent="giver") as task, agentlog.step("gives"):
        carrier = task.carrier(hand_over=True)
    with agentlog.task(resume=carrier), agentlog.tool("Bash"):
        pass
    with agentlog.task("waits", source="queue") as task:
        task.carrier(hand_over=True)
    agentlog.task("for approval").start().pause("approval")


class Asked:
    """The same tasks in folders, and in tables that note what they were asked."""

    def __init__(self, root: Path, cache: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.tables = root, Tables(root)
        self._patch = patch
        patch.setattr(source, "ClickHouse", lambda url: self.tables)
        patch.setenv("XDG_CACHE_HOME", str(cache))

    def folders(self, *words: str) -> Any:
        """What a command answers from the folders."""
        return self._run("--root", str(self.root), *words)

    def backend(self, *words: str) -> Any:
        """What it answers from the tables."""
        self.tables.asked.clear()
        return self._run("--from", "clickhouse://nobody@nowhere/otel", *words)

    def _run(self, *words: str) -> Any:
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        with self._patch.context() as patch:
            patch.setattr("sys.stdout", out)
            assert main([*words, "--json"]) == 0
        found = json.loads(out.buffer.getvalue())  # type: ignore[attr-defined]
        for group in found.get("groups", ()):
            if group["by_status"].keys() & {"pending", "paused"}:
                del group["duration_seconds"]  # of what goes on it grows
        return {key: value for key, value in found.items() if key != "root"}


@pytest.fixture
def asked(tasks_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Recorded once."""
    record_tasks()
    agentlog.shutdown()
    return Asked(tasks_root, tmp_path / "cache", monkeypatch)


QUESTIONS = [
    ["stats"],
    ["stats", "--group-by", "agent"],
    ["stats", "--group-by", "status"],
    ["cost", "--group-by", "agent"],
    ["cost", "--group-by", "day"],
    ["cost", "--group-by", "status", "--failed"],
    ["stats", "--source", "cli"],
    ["stats", "--tag", "nightly"],
    ["stats", "--since", "1h", "--where", "errors>0 or cost>0.001"],
    ["stats", "--where", "session:s-1"],
    ["stats", "--where", "not agent:brain dur<1h"],
]


def test_figures_of_tasks_need_a_row_each(asked: Asked) -> None:
    """Only the tasks that go on have no totals, and are brought."""
    for words in QUESTIONS:
        assert asked.backend(*words) == asked.folders(*words), words
    brought = {path.parent.name for path in asked.root.parent.glob("cache/agentlog/from/*/*/metadata.json")}
    assert brought == {row["task_id"] for row in asked.folders("ls", "--where", "is:active")["tasks"]}


def test_three_traces_are_one_statement(tasks_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tasks with totals nothing is fetched but these, and the scores, which are log records of their own name.

    The ids of those that go on are asked for where the question may be about such.
    """
    for number in range(3):
        with agentlog.task("t", agent=f"agent {number}"), agentlog.step("s"), span("client", chat(None, f"r{number}")):
            pass
    agentlog.shutdown()
    asked = Asked(tasks_root, tmp_path / "cache", monkeypatch)

    for words, statements in ((["--status", "completed"], 1), ([], 2)):
        words = ["cost", "--group-by", "agent", *words]
        assert asked.backend(*words) == asked.folders(*words)
        assert ["otel_traces" in statement for statement in asked.tables.asked].count(True) == statements
        assert not any("{traces:" in statement for statement in asked.tables.asked)
    assert not list(tmp_path.glob("cache/agentlog/from/*/*/metadata.json"))


@pytest.mark.parametrize("words", [["cost"], ["stats", "--group-by", "tool"], ["stats", "--tool", "Read"], ["stats", "boom"]])
def test_what_is_about_calls_runs_errors_or_words_asks_for_lines(asked: Asked, words: list[str]) -> None:
    """By the folders, as before."""
    assert asked.backend(*words) == asked.folders(*words)
    assert any("{traces:" in statement for statement in asked.tables.asked)


@pytest.mark.parametrize(
    ("text", "narrow"),
    [
        ("agent:brain", True),
        ("cost>0.1 (status:failed or not is:ended)", True),
        ("boom", False),
        ("agent:brain (tool:Read or cost>1)", False),
        ("not error:TIMEOUT", False),
        ("score.quality<0.5", False),
        ("model:gpt*", False),
        ("is:subtask", False),
    ],
)
def test_a_filter_is_narrow_or_not(text: str, narrow: bool) -> None:
    """Whatever it is made of."""
    assert can_sum(Filter(condition=parse_filter(text)), None) is narrow

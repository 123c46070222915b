"""Notes and scores: written by code and from outside, lines of the task like all others."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.errors import ConfigurationError, LayoutError, TaskNotFoundError
from otel_agentlog.query import Filter, report, score_bound, search, statistics
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.tools import add_note
from otel_agentlog.vocabulary.scores import latest_scores
from tests.view.stories import Worker

SECRET = "sk-ant-api03-" + "Ab3" * 31


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Recorded below here, and nowhere else."""
    agentlog.configure(
        directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off", capture_logging=False, service_name="evals"
    )
    return tmp_path / "tasks"


def _noted(folder: Path) -> list[dict[str, Any]]:
    return [line for line in TaskReader(folder).events() if line.get("component") == "evaluation"]


def _is_valid(folder: Path) -> bool:
    found = validate(folder)
    assert not found.problems, found.problems
    return True


def test_code_scores_a_task_its_parts_and_its_answers(root: Path) -> None:
    """Each in its own span, also after that has ended; what a number is not is told and kept as a label."""
    with agentlog.task("t", task_id="t") as task:
        with agentlog.step("s") as step, agentlog.ai_call("m", provider="p") as call:
            call.record({"id": "resp-1", "choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 1}})
        call.score("faithful", True, by="judge")
        step.score("useful", 3)
        task.score("quality", 0.8, explanation=f"short, but {SECRET}", by="ann")
        task.score("tone", "friendly")
        task.note("look at this one again", by="ann")
    task.score("late", 1)
    agentlog.shutdown()

    lines = _noted(root / "t")
    assert [(line["details"].get("name"), line["details"].get("value"), line["details"].get("label")) for line in lines] == [
        ("faithful", 1.0, "pass"),
        ("useful", 3.0, None),
        ("quality", 0.8, None),
        ("tone", None, "friendly"),
        (None, None, None),
        ("late", 1.0, None),
    ]
    assert [line["span_id"] for line in lines] == [call.span_id, step.span_id, *[task.span_id] * 4]
    assert lines[0]["details"]["response_id"] == "resp-1"
    assert SECRET not in json.dumps(lines)
    assert _is_valid(root / "t")


def hostile() -> Any:
    """Everything about it raises."""

    class Hostile:
        def __float__(self) -> float:
            raise RuntimeError("no")

        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise RuntimeError("no")

    return Hostile()


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
        (10**400, None),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
        ([], None),
        (b"3", None),
        ("hostile", None),
        ("x" * 100_000, None),
    ],
)
def test_whatever_is_given_for_a_score_is_recorded(root: Path, given: Any, value: float | None) -> None:
    """Nothing is raised, the line is valid, and a number that cannot be used is no number."""
    with agentlog.task("t", task_id="t") as task:
        task.score("q", hostile() if given == "hostile" else given, label=hostile(), explanation=hostile(), by=hostile())
        task.score(hostile(), 1)
        task.note(hostile())
    agentlog.shutdown()
    assert _noted(root / "t")[0]["details"].get("value") == value
    assert len(_noted(root / "t")) == 3
    assert _is_valid(root / "t")


def _ended(root: Path, task_id: str = "t", **given: Any) -> Path:
    with agentlog.task("t", task_id=task_id, **given), agentlog.step("plan"):
        pass
    return root / task_id


def test_a_task_that_ended_long_ago_is_noted(root: Path) -> None:
    """By another process: valid, counted as pending, cleaned; the result and the status stay."""
    folder = _ended(root)
    agentlog.shutdown()
    before, result = TaskReader(folder).metadata(), TaskReader(folder).final_result()
    noted = add_note(folder, f"because {SECRET}", scores={"quality": 0.5, "tone": "curt"}, by="ann", source="api")
    add_note(folder, "just this")

    lines = _noted(folder)
    assert [line["event_id"] for line in lines[:2]] == list(noted.event_ids)
    assert [line["message"] for line in lines] == ["quality 0.5", "tone curt", "just this"]
    assert SECRET not in (folder / "03-agent-output.jsonl").read_text()
    assert {line["trace_id"] for line in lines} == {(before or {})["trace_id"]}
    after = TaskReader(folder).metadata() or {}
    assert {**after, "delivery": 0, "updated_at": 0} == {**(before or {}), "delivery": 0, "updated_at": 0}
    assert after["delivery"]["pending"] == (before or {})["delivery"]["pending"] + 3
    assert TaskReader(folder).final_result() == result
    assert _is_valid(folder)


def test_a_part_is_scored_by_its_span_or_its_step(root: Path) -> None:
    """By span id and by step id; one that is not there is refused by name."""
    folder = _ended(root)
    agentlog.shutdown()
    step = next(line for line in TaskReader(folder).events() if line["type"] == "step")
    assert add_note(folder, scores={"q": 1}, on=step["step_id"]).span_id == step["span_id"]
    assert add_note(folder, scores={"q": 2}, on=step["span_id"]).span_id == step["span_id"]
    assert {line["step_id"] for line in _noted(folder)} == {step["step_id"]}
    with pytest.raises(ConfigurationError, match="nowhere"):
        add_note(folder, "x", on="nowhere")


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"note": "  "},
        {"note": "x" * 16_001},
        {"scores": {"": 1}},
        {"scores": {"q": float("nan")}},
        {"scores": {"q": True}},
        {"scores": {"q": " "}},
        {"scores": {"q" * 129: 1}},
        {"scores": dict.fromkeys(map(str, range(101)), 1.0)},
        {"note": "x", "by": "y" * 129},
    ],
)
def test_what_cannot_be_noted_is_refused_and_nothing_written(root: Path, bad: dict[str, Any]) -> None:
    """Nothing, too much, or no number."""
    folder = _ended(root)
    agentlog.shutdown()
    before = (folder / "03-agent-output.jsonl").read_bytes()
    with pytest.raises(ConfigurationError):
        add_note(folder, **bad)
    assert (folder / "03-agent-output.jsonl").read_bytes() == before


def test_only_a_folder_of_ours_is_written_into(root: Path) -> None:
    """No folder, a copy by another name, and one that others may write to."""
    folder = _ended(root)
    agentlog.shutdown()
    with pytest.raises(TaskNotFoundError):
        add_note(root / "nothing", "x")
    assert not (root / "nothing").exists()
    folder.rename(root / "moved")
    with pytest.raises(LayoutError):
        add_note(root / "moved", "x")
    (root / "moved").rename(folder)
    folder.chmod(0o777)
    with pytest.raises(LayoutError):
        add_note(folder, "x")


def test_a_task_of_another_process_that_runs_is_noted_and_one_that_died_is_still_closed(tmp_path: Path) -> None:
    """Lines of both processes, each without a gap; who adds a note is not at work on the task."""
    root = tmp_path / "tasks"
    with Worker(root) as worker:
        folder = root / worker.task_id
        threads = [threading.Thread(target=add_note, args=(folder, f"note {number}")) for number in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(_noted(folder)) == 8
        assert (TaskReader(folder).metadata() or {})["status"] == "running"
        worker.kill()
    add_note(folder, "after its death", scores={"quality": 0})
    assert [repair.what for repair in recover(root).repairs] == ["repaired"]
    assert (TaskReader(folder).metadata() or {})["status"] == "interrupted"
    assert _is_valid(folder)


def test_who_scores_again_replaces_his_score(root: Path) -> None:
    """By name, part and person; what others say counts, too."""
    with agentlog.task("t", task_id="t", agent="a") as task:
        with agentlog.step("s") as step:
            step.score("quality", 0.0, by="ann")
        task.score("quality", 0.1, by="ann")
        task.score("quality", 0.5, by="ann")
        task.score("quality", 0.7, by="ben")
    _ended(root, "u", agent="a")
    _ended(root, "v", agent="b")
    agentlog.shutdown()
    add_note(root / "u", scores={"quality": 1.0, "tone": "curt"})

    found = report(TaskReader(root / "t"))
    assert [(each.value, each.by) for each in found.scores] == [(0.0, "ann"), (0.5, "ann"), (0.7, "ben")]
    assert latest_scores(_noted(root / "t")) == found.scores
    assert {row.task_id: dict(row.scores) for row in search(root).rows} == {
        "t": {"quality": 0.4},
        "u": {"quality": 1.0, "tone": "curt"},
        "v": {},
    }
    groups = {group.key: group.scores for group in statistics(root, group_by="agent").groups}
    assert {key: {name: (each.count, each.mean) for name, each in scores.items()} for key, scores in groups.items()} == {
        "a": {"quality": (4, 0.55), "tone": (1, None)},
        "b": {},
    }
    for bound, ids in (
        ("quality<0.5", {"t"}),
        ("quality>=0.4", {"t", "u"}),
        ("quality", {"t", "u"}),
        ("quality=1", {"u"}),
        ("tone=curt", {"u"}),
        ("nothing", set()),
    ):
        assert {row.task_id for row in search(root, Filter(scores=(score_bound(bound),))).rows} == ids, bound


def test_scores_are_found_when_they_come_later(root: Path) -> None:
    """The index has a task that ended; a score of it is in the next answer."""
    folder = _ended(root, agent="a")
    agentlog.shutdown()
    assert search(root, Filter(scores=(score_bound("q"),))).rows == []
    add_note(folder, "unlikelyword", scores={"q": 1})
    assert [row.task_id for row in search(root, Filter(scores=(score_bound("q>0.5"),))).rows] == ["t"]
    assert [row.task_id for row in search(root, Filter(text="unlikelyword")).rows] == ["t"]


def test_a_note_reaches_the_disk_before_the_call_returns(root: Path) -> None:
    """A process that is killed at once has written it."""
    folder = _ended(root)
    agentlog.shutdown()
    program = (
        f"import os,pathlib,otel_agentlog.tools as t; t.add_note(pathlib.Path({str(folder)!r}), 'here'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert [line["message"] for line in _noted(folder)] == ["here"]
    assert _is_valid(folder)


def test_a_process_that_records_adds_by_its_own_recorder(root: Path) -> None:
    """Its redaction rules hold, and what it sends is sent from there."""
    folder = _ended(root)
    add_note(folder, "by the same process", scores={"q": 1})
    assert [line["details"]["source"] for line in _noted(folder)] == ["code"]
    agentlog.shutdown()
    assert _is_valid(folder)


def test_a_note_on_a_task_whose_metadata_is_nested_too_deeply(tasks_root: Path) -> None:
    """More can be read than written; the note is there, and the file is one that can be read."""
    with agentlog.task("Deep") as task:
        pass
    agentlog.shutdown()
    path = tasks_root / task.task_id / "metadata.json"
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "tags": None}).replace('"tags": null', f'"tags": {"[" * 300}{"]" * 300}'))

    add_note(tasks_root / task.task_id, "a remark")

    assert json.loads(path.read_bytes())["task_id"] == task.task_id

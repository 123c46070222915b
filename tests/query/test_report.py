"""All about one task: the tree with what each part says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.query import Entry, TaskReport, report, resolve
from otel_agentlog.store.folder.reader import TaskReader
from tests.query.folders import MakeTask, held


def walk(entries: list[Entry], depth: int = 0) -> Iterator[tuple[int, Entry]]:
    """Every part with its depth."""
    for entry in entries:
        yield depth, entry
        yield from walk(entry.children, depth + 1)


def outline(found: TaskReport) -> list[str]:
    """The tree as text."""
    return [f"{'  ' * depth}{entry.kind} {entry.name}: {entry.status}" for depth, entry in walk(found.roots)]


@pytest.fixture
def recorded_root(tasks_root: Path) -> Path:
    """A task with a retried tool, an AI call, a sub-task with a failing tool, and something said."""
    with agentlog.task("Outer", task_id="outer", input={"q": 1}) as task:
        with agentlog.step("plan"):
            with agentlog.ai_call("m-1", provider="p", messages=[{"role": "user", "content": "hi"}]) as call:
                call.usage(input_tokens=10, output_tokens=5, cost_usd=0.25, finish_reasons=["max_tokens"])
            with agentlog.tool("Read", arguments={"path": "a"}) as run:
                run.attempt_failed(OSError("busy"), wait_seconds=0.5)
                run.result = "text"
        task.output("said")
        try:
            with agentlog.task("Inner", task_id="inner"), agentlog.tool("Break"):
                raise ValueError("boom")
        except ValueError:
            pass
        task.result = [1, 2]
    agentlog.shutdown()
    return tasks_root


def test_the_tree_holds_every_part(recorded_root: Path) -> None:
    """Steps, AI calls, tool runs and the pointer to the sub-task, each with its state."""
    assert outline(report(resolve(recorded_root, "outer"))) == [
        "task Outer: completed",
        "  step plan: completed",
        "    ai_call m-1: completed",
        "    tool_run Read: completed",
        "  subtask Inner: failed",
    ]


def test_lines_are_counted_and_put_in_place_when_asked_for(recorded_root: Path) -> None:
    """Without asking only their number is kept; with it the sub-task is opened too."""
    brief, full = (report(resolve(recorded_root, "outer"), with_lines=asked) for asked in (False, True))

    assert (brief.said["output"], full.said["output"]) == (1, 1)
    assert [line["content"] for _, entry in walk(brief.roots) for line in entry.lines] == []
    assert [line["content"] for line in full.roots[0].lines] == ["said"]
    assert outline(full)[4:] == ["  subtask Inner: failed", "    task Inner: failed", "      tool_run Break: failed"]


def test_each_part_says_what_is_worth_knowing(recorded_root: Path) -> None:
    """Tokens, cost, why the model stopped, arguments, failed attempts, input and result."""
    found = report(resolve(recorded_root, "outer"))
    parts = {entry.name: entry for _, entry in walk(found.roots)}

    assert (found.input, found.result) == ({"q": 1}, [1, 2])
    assert parts["m-1"].own.tokens["input_tokens"] == 10
    assert parts["plan"].total.cost_usd == 0.25
    assert parts["m-1"].details["finish_reasons"] == ["max_tokens"]
    assert "messages" not in parts["m-1"].details
    assert parts["Read"].details["arguments"] == {"path": "a"}
    assert [attempt["reason"] for attempt in parts["Read"].attempts] == ["busy"]
    assert parts["Inner"].task is not None
    assert parts["Inner"].task.metrics["errors"] == 1


def test_the_error_stands_where_it_was_first_seen(recorded_root: Path) -> None:
    """The traceback is on the innermost part; the parts around it refer to it by the same id."""
    parts = [entry for _, entry in walk(report(resolve(recorded_root, "inner")).roots)]
    task, tool = (entry.exception or {} for entry in parts)

    assert tool["traceback"][-1] == "ValueError: boom"
    assert "traceback" not in task
    assert task["error_id"] == tool["error_id"]


def start(number: int, parent: int | None = None) -> dict[str, Any]:
    """A start line of a step, or of the task itself."""
    line = {"timestamp": f"2026-11-21T05:22:0{number}.000000000Z", "type": "step" if number else "task", "phase": "start"}
    return {**line, "span_id": f"{number:016x}", "message": f"part {number}", "event_id": f"aa-{number}"} | (
        {} if parent is None else {"parent_span_id": f"{parent:016x}"}
    )


def test_what_was_left_open_is_interrupted(make_task: MakeTask) -> None:
    """In a task whose process is gone nothing runs; its time ends with the last line."""
    found = report(TaskReader(make_task("task-1", {"status": "running"}, start(0), start(1, 0))))

    assert outline(found) == ["task part 0: interrupted", "  step part 1: interrupted"]
    assert found.roots[0].duration_ms == 1000.0


def test_what_is_open_in_a_running_task_runs(make_task: MakeTask) -> None:
    """Its time goes on until now."""
    folder = make_task("task-1", {"status": "running"}, start(0), start(1, 0))
    with held(folder):
        found = report(TaskReader(folder))

    assert outline(found) == ["task part 0: running", "  step part 1: running"]
    assert (found.roots[0].duration_ms or 0) > 1000.0


def test_subtasks_that_point_at_each_other_end(make_task: MakeTask) -> None:
    """Pointers in a circle, which only damage makes, are followed once."""
    for task_id, other in (("one", "two"), ("two", "one")):
        pointer: dict[str, Any] = {
            "timestamp": "2026-11-21T05:22:05.000000000Z",
            "type": "subtask",
            "span_id": f"{0:016x}",
            "event_id": "aa-9",
        }
        pointer["details"] = {"task_id": other, "name": other}
        folder = make_task(task_id, {"status": "completed"}, start(0), pointer)

    assert len(outline(report(TaskReader(folder), with_lines=True))) == 4


def test_a_subtask_that_is_not_there_stays_a_pointer(make_task: MakeTask) -> None:
    """Retention may have taken it."""
    pointer: dict[str, Any] = {
        "timestamp": "2026-11-21T05:22:05.000000000Z",
        "type": "subtask",
        "span_id": f"{0:016x}",
        "event_id": "aa-9",
    }
    pointer["details"] = {"task_id": "gone", "name": "Gone"}
    found = report(TaskReader(make_task("task-1", {"status": "completed"}, start(0), pointer)))

    assert [entry.task for _, entry in walk(found.roots)] == [None, None]


def test_lines_without_a_place_are_not_lost(make_task: MakeTask) -> None:
    """Lines of no span, or of one that is not there, are told with the first part."""
    log = {"timestamp": "2026-11-21T05:22:05.000000000Z", "type": "log", "level": "INFO", "event_id": "aa-8"}
    lines = [{**log, "message": "no span"}, {**log, "message": "unknown span", "span_id": "f" * 16}]
    found = report(TaskReader(make_task("task-1", {"status": "completed"}, start(0), *lines)), with_lines=True)

    assert {line["message"] for line in found.roots[0].lines} == {"no span", "unknown span"}


def test_what_could_not_be_read_is_said(make_task: MakeTask) -> None:
    """Damaged lines are skipped and named, once."""
    folder = make_task("task-1", {"status": "completed"}, start(0))
    with (folder / "03-agent-output.jsonl").open("ab") as file:
        file.write(b'{"timestamp":"2026\n')

    assert [problem.partition(": ")[0] for problem in report(TaskReader(folder)).problems] == ["03-agent-output.jsonl:2"]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
KEYS = (
    "type",
    "phase",
    "span_id",
    "parent_span_id",
    "message",
    "details",
    "exception",
    "level",
    "outcome",
    "duration_ms",
    "content",
)
LINES = st.lists(
    st.fixed_dictionaries(
        {"timestamp": st.just("2026-11-21T05:22:05.000000000Z") | VALUES},
        optional=dict.fromkeys(KEYS, VALUES)
        | {
            "type": st.sampled_from(["task", "step", "ai_response", "subtask", "attempt", "log", "output"]) | VALUES,
            "phase": st.sampled_from(["start", "end"]) | VALUES,
            "span_id": st.sampled_from(["a" * 16, "b" * 16]) | VALUES,
        },
    ),
    max_size=8,
)


@given(lines=LINES)
@settings(max_examples=60, deadline=None)
def test_any_lines_give_a_report(tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, Any]]) -> None:
    """Whatever stands under whatever key, there is a report with every part in it once."""
    import orjson

    folder = tmp_path_factory.mktemp("any")
    (folder / "03-agent-output.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    parts = [entry for _, entry in walk(report(TaskReader(folder), with_lines=True).roots)]

    assert len(parts) == len({id(entry) for entry in parts})

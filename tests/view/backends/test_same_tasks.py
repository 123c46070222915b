"""Tasks that no single span is: those nobody asked for, those whose end was given away."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.spans.tree import Node, tree
from otel_agentlog.view.backends.folders import bring
from otel_agentlog.view.backends.wanted import Wanted
from tests.end_to_end.test_counted_once import chat, span
from tests.support.backend_rows import Tables
from tests.view.backends.test_same_figures import FIGURES

KNOWN = ("name", "status", "source", "assigned_agent", "session_id", "parent_task_id", "trace_id")


def implicit() -> None:
    """What programs without any task record: agents of frameworks, one of which fails, with work of ours in them."""
    tracer = trace.get_tracer("framework")
    run = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner", "gen_ai.conversation.id": "c-1"}
    with tracer.start_as_current_span("invoke_agent planner", attributes=run):
        with span("client", chat()), span("http", {}):
            pass
        with agentlog.tool("Read"):
            pass
        with tracer.start_as_current_span("delegates"), agentlog.task("below an implicit one"), span("client", chat(None, "r2")):
            pass
    with suppress(ValueError), tracer.start_as_current_span("a run that fails"), agentlog.step("reads"):
        raise ValueError("no")
    with tracer.start_as_current_span("chat", attributes=chat((10, 1), "r3")):
        pass


def handed_over() -> None:
    """To one job, to two, to one that fails; to one that never comes; and one that is taken back."""
    with agentlog.task("to two jobs") as task:
        carriers = task.carrier(hand_over=True), task.carrier(hand_over=True)
    for carrier in carriers:
        with agentlog.task(resume=carrier), agentlog.tool("Bash"):
            pass
    for name, failing in (("to one job", False), ("to one that fails", True)):
        with agentlog.task(name, agent="giver") as task, agentlog.step("gives"):
            carrier = task.carrier(hand_over=True)
        with suppress(RuntimeError), agentlog.task(resume=carrier), span("client", chat()):
            if failing:
                raise RuntimeError("the job failed")
    with agentlog.task("waits for its job", session_id="s-1") as task:
        task.carrier(hand_over=True)
    with suppress(KeyError), agentlog.task("taken back") as task:
        task.carrier(hand_over=True)
        raise KeyError("before it was queued")


def nobody_came() -> None:
    with agentlog.task("nobody came") as task:
        task.carrier(hand_over=True, within_s=0)


@pytest.fixture(scope="module", params=[False, True], ids=["", "failed tasks are kept"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, TaskReader], dict[str, TaskReader]]:
    """The tasks by their ids, in the folders they were recorded in and as they were brought back."""
    home = tmp_path_factory.mktemp("same")
    root, logs = home / "tasks", home / "logs"
    agentlog.configure(
        service_name="test", directory=root, log_directory=logs, console="off", capture_logging=False, implicit_tasks=True
    )
    implicit()
    handed_over()
    nobody_came()
    agentlog.shutdown()
    recover(root)
    return _by_id(root), _by_id(bring(Tables(root, unsampled=request.param), home / "cache", Wanted()))


def _by_id(root: Path) -> dict[str, TaskReader]:
    return {task.task_id: task for task in list_tasks(root)}


def _shape(node: Node) -> tuple[str, str | None, str | None, Any]:
    return node.type, node.name, node.outcome, [_shape(child) for child in node.children]


def _about(task: TaskReader) -> dict[str, Any]:
    metadata, final = task.metadata() or {}, task.final_result()
    lines = [line for line in task.events() if "exception" in line]
    return {
        **{key: metadata[key] for key in KNOWN},
        "ended": metadata["completed_at"] is not None,
        # A task that was begun for a span begins a moment after it.
        "began": metadata["started_at"] if metadata["source"] != "opentelemetry" else None,
        "figures": final and {key: final["metrics"][key] for key in FIGURES},
        "outcome": final and final["outcome"],
        "errors": sorted((line["type"], line["exception"].get("error_id"), line["exception"].get("type")) for line in lines),
        "tree": [_shape(root) for root in tree(task).roots],
    }


def test_every_task_is_there_and_no_other(both: tuple[dict[str, TaskReader], dict[str, TaskReader]]) -> None:
    """Tasks of no span of ours, and those that nobody ended."""
    here, there = both
    assert there.keys() == here.keys()


def test_each_stands_as_in_its_folder(both: tuple[dict[str, TaskReader], dict[str, TaskReader]]) -> None:
    """Name, state, agent, parent, figures, errors, and what lies in what."""
    here, there = both
    assert {task_id: _about(task) for task_id, task in there.items()} == {task_id: _about(task) for task_id, task in here.items()}


def _names(root: Path) -> set[str]:
    return {str((task.metadata() or {})["name"]) for task in list_tasks(root)}


def test_what_is_no_longer_there_is_here_no_longer(tasks_root: Path, tmp_path: Path) -> None:
    """As where ClickHouse deletes by age: with the next question that such a task would have been found by."""
    for name in ("old", "new", "newer", "resumed"):
        with agentlog.task(name, task_id=f"task-{name}") as task, agentlog.step("first"):
            carrier = task.carrier(hand_over=True) if name == "resumed" else {}
    with agentlog.task(resume={key: value for key, value in carrier.items() if key != "traceparent"}), agentlog.step("second"):
        pass
    agentlog.shutdown()
    tables, cache = Tables(tasks_root), tmp_path / "cache"
    root = bring(tables, cache, Wanted())
    everything = {"old", "new", "newer", "resumed"}
    assert _names(root) == everything
    traces = {row["attributes"]["agentlog.task.name"]: row["trace_id"] for row in tables.spans if _is_first(row)}
    times = {row["trace_id"]: row["start_ns"] for row in tables.spans if row["name"] == "invoke_workflow"}

    tables.forget(traces["old"])
    bring(tables, cache, Wanted(since_ns=times[traces["old"]] + 1))
    assert _names(root) == everything
    bring(tables, cache, Wanted(since_ns=times[traces["old"]]))
    assert _names(root) == everything - {"old"}

    bring(tables, cache, Wanted(task="new"))
    assert _names(root) == everything - {"old"}
    tables.forget(traces["new"])
    bring(tables, cache, Wanted(task="new"))
    assert _names(root) == {"newer", "resumed"}

    tables.forget(traces["newer"])
    (first,) = {row["trace_id"] for row in tables.spans if row["name"] == "first"}
    tables.forget(first)
    bring(tables, cache, Wanted())
    (left,) = list_tasks(root)
    assert [line["message"] for line in left.events() if line["type"] == "step"] == ["second", "second"]
    for trace_id in {row["trace_id"] for row in tables.spans}:
        tables.forget(trace_id)
    assert _names(bring(tables, cache, Wanted())) == set()


def _is_first(row: dict[str, Any]) -> bool:
    return "agentlog.task.name" in row["attributes"] and not row["parent_span_id"]

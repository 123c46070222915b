"""The tree that people look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.spans.tree import Node, tree
from tests.store.spans.span_lines import end, log, start, task_of


def outline(task: TaskReader) -> list[str]:
    """The tree as indented names."""
    return [f"{'.' * depth}{node.name}{'?' if node.is_orphan else ''}" for depth, node in tree(task).walk()]


def test_the_tree_nests_by_parents_in_order_of_start(tmp_path: Path) -> None:
    """Figures add up towards the root."""
    details = {"input_tokens": 5, "output_tokens": 1, "cost_usd": 0.25}
    lines = [start(1, 1, type="task"), start(3, 5, parent=1), start(2, 3, parent=1), start(4, 6, parent=3, type="ai_request")]
    lines += [end(4, 9_000_006, type="ai_response", details=details, duration_ms=9.0), log(4), log(None), end(2, 8)]

    found = tree(task_of(tmp_path, lines))
    by_name = {node.name: node for _, node in found.walk()}
    root = by_name["step 1"]

    assert [f"{depth} {node.name}" for depth, node in found.walk()] == ["0 step 1", "1 step 2", "1 step 3", "2 step 4"]
    assert (root.total.cost_usd, root.total.tokens["input_tokens"], root.total.ai_calls, root.total.logs) == (0.25, 5, 1, 2)
    assert (root.own.cost_usd, root.own.logs, by_name["step 4"].own.logs) == (None, 1, 1)
    assert (by_name["step 4"].duration_ms, by_name["step 2"].duration_ms) == (9.0, 5e-6)
    assert (root.is_open, root.outcome, by_name["step 2"].outcome) == (True, None, "completed")


def test_what_lost_its_parent_hangs_below_the_task(tmp_path: Path) -> None:
    """Nothing is left out; a remote parent is no loss."""
    lines = [
        start(1, 1, type="task", parent=50),
        start(2, 2, parent=1),
        start(3, 3, parent=51),
        start(4, 4, parent=52, parent_remote=True),
    ]

    assert outline(task_of(tmp_path, lines)) == ["step 1", ".step 2", ".step 3?", "step 4"]


def test_without_a_task_the_first_one_takes_its_place(tmp_path: Path) -> None:
    """Only steps are left of this folder."""
    assert outline(task_of(tmp_path, [start(2, 2, parent=9), start(3, 3, parent=9)])) == ["step 2?", ".step 3?"]
    assert outline(task_of(tmp_path, [])) == []


def test_parents_in_a_circle_are_cut(tmp_path: Path) -> None:
    """Damage may name a child as its parent's parent, or a span as its own."""
    lines = [start(1, 1, type="task"), start(2, 2, parent=3), start(3, 3, parent=2), start(4, 4, parent=4)]

    assert outline(task_of(tmp_path, lines)) == ["step 1", ".step 4?", ".step 2?", "..step 3"]


def test_steps_nested_ten_thousand_deep_are_walked(tmp_path: Path) -> None:
    """No recursion anywhere."""
    task = task_of(tmp_path, [start(number, number, parent=number - 1 or None) for number in range(1, 10_001)])

    found = list(tree(task).walk())

    assert len(found) == 10_000
    assert found[-1][0] == 9_999
    assert found[0][1].total.errors == 0


def test_an_error_counts_where_it_was_first_seen(tmp_path: Path) -> None:
    """Once in every total above."""
    error: dict[str, Any] = {"level": "ERROR", "exception": {"type": "E", "message": "m", "error_id": "e"}}
    lines = [start(1, 1, type="task"), start(2, 2, parent=1), end(2, 3, **error), end(1, 4, **error)]

    nodes: dict[str, Node] = {node.name: node for _, node in tree(task_of(tmp_path, lines)).walk()}

    assert [(node.own.errors, node.total.errors, node.error) for node in nodes.values()] == [(0, 1, "E: m"), (1, 1, "E: m")]


def test_a_sub_task_is_a_pointer(tmp_path: Path) -> None:
    """With its own id and outcome, below the step that began it."""
    details = {"task_id": "task-sub", "name": "Search"}
    lines = [start(1, 1, type="task"), start(2, 2, parent=1)]
    lines += [log(2, type="subtask", action="subtask_started", details=details)]
    open_pointer = list(tree(task_of(tmp_path / "a", lines)).walk())[-1]
    lines += [log(2, type="subtask", action="subtask_ended", details={**details, "outcome": "failed"})]
    ended_pointer = list(tree(task_of(tmp_path / "b", lines)).walk())[-1]

    assert [(depth, node.type, node.name, node.task_id) for depth, node in (open_pointer, ended_pointer)] == [
        (2, "subtask", "Search", "task-sub")
    ] * 2
    assert (open_pointer[1].is_open, ended_pointer[1].is_open, ended_pointer[1].outcome) == (True, False, "failed")

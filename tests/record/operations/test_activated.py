"""A task that is current without a block around it, and what people see of an operation in a notebook."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink


def test_it_is_current_wherever_nothing_else_is(tasks_root: Path) -> None:
    """In other threads and event loops, too; what has a block of its own is inside that."""
    task = agentlog.task("notebook", task_id="t").activate()
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(agentlog.current_task()))
    thread.start()
    thread.join()
    with agentlog.tool("Read"):
        seen.append(agentlog.current_task())
    with agentlog.task("inner", task_id="inner"):
        seen.append(agentlog.current_task())

    async def look() -> str | None:
        return agentlog.current_task()

    seen.append(asyncio.run(look()))
    task.deactivate()
    seen.append(agentlog.current_task())
    task.activate()
    task.end()
    seen.append(agentlog.current_task())

    assert seen == ["t", "t", "inner", "t", None, None]
    assert (TaskReader(tasks_root / "inner").metadata() or {})["parent_task_id"] == "t"
    assert (TaskReader(tasks_root / "t").final_result() or {})["metrics"]["tool_runs"] == 1
    assert [str(problem) for problem in validate(tasks_root / "t").problems] == []


def test_the_last_one_activated_is_current(recorded: MemorySink) -> None:
    """A cell that is run again begins a task beside the one it began before, and not below it."""
    first = agentlog.task("cell").activate()
    second = agentlog.task("cell").activate()
    assert agentlog.current_task() == second.task_id
    assert second.task is not None
    assert second.task.header["parent_task_id"] is None
    assert second.trace_id != first.trace_id
    second.end()
    assert agentlog.current_task() == first.task_id
    first.activate().deactivate().deactivate()
    assert agentlog.current_task() is None
    first.end()


def test_one_that_has_ended_cannot_be_activated_again(recorded: MemorySink) -> None:
    """It is simply not current."""
    task = agentlog.task("cell").activate()
    task.end()
    assert agentlog.current_task() is None
    task.activate()
    assert agentlog.current_task() is None
    task.deactivate()


# -- what is shown ------------------------------------------------------------------------------------------------------------

SECRET = "sk-ant-api03-" + "aB3dE6gH9jK2mN5pQ8sT1vW4" * 3


def test_what_is_shown_of_operations(recorded: MemorySink) -> None:
    """Name, state, time; never a secret, never markup of the user's, and not without end."""
    task = agentlog.task(f"<b>x</b> {SECRET}" + "y" * 10_000, task_id="<i>")
    assert "pending" in repr(task)
    with task, agentlog.step("plan") as step, agentlog.ai_call("gpt-4o") as call:
        pass
    for shown in (repr(task), repr(step), repr(call), task._repr_html_()):
        assert SECRET[20:] not in shown
        assert len(shown) < 600
    assert "<b>" not in task._repr_html_()
    assert "<i>" not in task._repr_html_()
    assert repr(step).startswith("<Step 'plan' completed 0.")
    assert repr(object.__new__(agentlog.Task)).startswith("<Task ")


def test_before_configure_nothing_secret_is_shown() -> None:
    """Without a recorder the rules that always hold do."""
    assert SECRET[20:] not in repr(agentlog.task(SECRET))
    assert SECRET[20:] not in agentlog.task(SECRET)._repr_html_()


# -- a notebook ---------------------------------------------------------------------------------------------------------------

CELLS = [
    "import otel_agentlog as agentlog\nagentlog.configure(directory='tasks', log_directory='logs', console='off')",
    "task = agentlog.task('analysis', task_id='t').activate()\ntask",
    "with agentlog.tool('Read'):\n    pass",
    "import asyncio\nasync with agentlog.step('wait'):\n    await asyncio.sleep(0)\nagentlog.current_task()",
    "import logging; logging.getLogger('x').warning('noted')\n1 / 0",
    "task.result = 42\ntask.end()\nagentlog.current_task() is None",
]


@pytest.mark.filterwarnings("ignore")
def test_a_task_over_the_cells_of_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a real kernel: steps, tools and log lines of all cells are in the one folder, and it is shown as a card."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer SECRETHDR")
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=90, kernel_name="python3", allow_errors=True, resources=resources).execute()
    gc.collect()

    shown = nbformat.writes(book)
    assert "SECRETHDR" not in shown
    assert "task &#x27;analysis&#x27;" in book.cells[1].outputs[0]["data"]["text/html"]
    assert [cell.outputs[0].get("data", {}).get("text/plain") for cell in (book.cells[3], book.cells[5])] == ["'t'", "True"]
    (task,) = list_tasks(tmp_path / "tasks")
    kinds = [(line["type"], line["message"]) for line in task.events() if line.get("phase") != "end"]
    assert kinds[1:5] == [("task", "analysis"), ("tool_call", "Read"), ("step", "wait"), ("log", "noted")]
    assert "division by zero" in kinds[5][1]  # the kernel logs it
    assert (task.final_result() or {})["result"] == 42
    assert [str(problem) for problem in validate(task.folder).problems] == []

"""Two runs side by side."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from hypothesis import HealthCheck, given, settings

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools.replay.comparing import RunComparison, compare
from otel_agentlog.tools.replay.matching import Matching
from otel_agentlog.tools.replay.prompts import ProgramRequest
from otel_agentlog.tools.replay.recorded import read_record
from tests.view.cli.damaged import damaged_folders, good_tasks
from tests.view.cli.test_hostile import FINAL, LINES, METADATA, write

Work = Callable[[], None]
TASKS: list[agentlog.Task] = []
"""Those that were recorded."""


def record(work: Work, name: str = "Work", result: object = None) -> TaskReader:
    """The task that something was recorded in."""
    with agentlog.task(name) as task:
        TASKS.append(task)
        work()
        task.result = result
    assert task.folder is not None
    return TaskReader(task.folder)


def compared(left: Work, right: Work, *ignore: str) -> RunComparison:
    """Two tasks of the same name."""
    return compare(record(left), record(right), [re.compile(each) for each in ignore])


def told(found: RunComparison) -> list[tuple[str, str]]:
    """What differs, and where."""
    return [(each.what, each.where[-1]) for each in found.differences]


def tool(name: str, given: str = "", result: str = "") -> None:
    """One run."""
    with agentlog.tool(name, arguments={"given": given}) as run:
        run.result = result


def ask(prompt: str, answer: str = "yes") -> None:
    """One AI call."""
    with agentlog.ai_call("m", messages=prompt) as call:
        call.record(answer)


def several(do: Callable[[str], None], names: str) -> None:
    """One after the other."""
    for name in names:
        do(name)


def test_what_is_more_missing_and_other_is_told_in_order(tasks_root: Path) -> None:
    """What was asked before what came of it, a part before the end of what it is in."""

    def left() -> None:
        with agentlog.step("plan"):
            ask("a")
            tool("Read", "x", "1")
        ask("b")

    def right() -> None:
        with agentlog.step("plan"):
            ask("A")
            tool("Read", "x", "2")
            tool("Mail")
        TASKS[-1].output("said")

    found = compared(left, right)
    assert told(found) == [
        ("prompt", "AI call m"),
        ("result", "tool run Read"),
        ("more", "tool run Mail"),
        ("missing", "AI call m"),
        ("more", "output"),
    ]
    first = found.first
    assert first is not None
    assert (first.where, first.call) == (("task Work", "step plan", "AI call m"), 1)
    assert {"-user: a", "+user: A"} <= set(first.lines)
    assert found.differences[3].call == 2
    assert compared(left, left).same


def test_one_call_more_in_the_middle_does_not_shift_the_others(tasks_root: Path) -> None:
    """The calls behind it are the same still."""
    found = compared(lambda: several(ask, "abc"), lambda: several(ask, "axbc"))

    assert [(each.what, each.call) for each in found.differences] == [("more", 2)]


def test_which_of_several_at_once_came_first_is_no_difference(tasks_root: Path) -> None:
    """The order of what ran at the same time is chance; that of what ran in turn is not."""

    async def one(name: str, waiting: list[str], all_there: asyncio.Event) -> None:
        with agentlog.tool(name):
            waiting.remove(name)
            if not waiting:
                all_there.set()
            await all_there.wait()

    async def all_of(order: str) -> None:
        waiting, all_there = [*order], asyncio.Event()
        await asyncio.gather(*(one(name, waiting, all_there) for name in order))

    assert compared(lambda: asyncio.run(all_of("abc")), lambda: asyncio.run(all_of("cab"))).same
    found = compared(lambda: asyncio.run(all_of("abc")), lambda: asyncio.run(all_of("dab")))
    assert told(found) == [("tool", "tool run c")]
    in_turn = compared(lambda: several(tool, "ab"), lambda: several(tool, "ba"))
    assert not in_turn.same


def test_times_ids_places_and_what_the_user_says_are_not_compared(tasks_root: Path, tmp_path: Path) -> None:
    """They are counted; anything else is a difference."""

    def work(place: str, moment: str, mine: str) -> Work:
        return lambda: tool("Read", f"/tmp/{place}/file at {moment}", f"build {mine}")

    left, right = work("a1", "2026-11-21T05:22:01Z", "17"), work("b2", "2026-11-22T07:00:00Z", "18")
    assert told(compared(left, right)) == [("result", "tool run Read")]
    found = compared(left, right, r"build \d+")
    assert (found.same, found.varied) == (True, 3)


def test_subtasks_are_compared_in_their_places(tasks_root: Path) -> None:
    """With what is in their folders."""

    def work(result: str) -> None:
        with agentlog.step("delegate"), agentlog.task("Part") as part:
            part.result = result

    found = compared(lambda: work("one"), lambda: work("two"))
    assert [each.where for each in found.differences] == [("task Work", "step delegate", "task Part")]


@given(lines=LINES, metadata=METADATA, final=FINAL)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_folder_is_read(tmp_path: Path, lines: list[object], metadata: dict[str, object], final: dict[str, object]) -> None:
    """Whatever stands there: no error, and a task is the same as itself."""
    write(tmp_path / "task-any", lines, metadata, final)
    _read(tmp_path / "task-any")


def test_subtasks_with_deep_trees_are_read(tasks_root: Path) -> None:
    """Tasks within each other, in each of which steps nest deep: as far as it goes, and then no deeper."""

    def nested(tasks: int) -> None:
        with ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(agentlog.step("deeper"))
            if tasks:
                with agentlog.task("Sub"):
                    nested(tasks - 1)

    task = record(lambda: nested(5))

    found = compare(task, task)

    assert found.same
    assert found.parts > 150


def test_damaged_folders_are_read(tmp_path: Path) -> None:
    """All that a disk, a killed process and a hostile mind leave."""
    good_tasks(tmp_path)
    for name in damaged_folders(tmp_path):
        _read(tmp_path / name)


def _read(folder: Path) -> None:
    task = TaskReader(folder)
    record = read_record(task)
    assert len(record.notes()) + len(record.missing(tools=True)) >= 0
    found = Matching(record)
    for _ in range(len(record.calls) + 1):
        found.match(ProgramRequest("m", [{"role": "user", "parts": None}], []), "", is_retry=False)
        found.tool("Read", {})
    found.differences()
    assert compare(task, task).same


def test_a_record_of_many_calls_is_read_in_time(tasks_root: Path) -> None:
    """Thousands of parts on one level, all of them other."""
    count = 3000
    found = compared(
        lambda: [tool(f"a{n}") for n in range(count)] and None, lambda: [tool(f"b{n}") for n in range(count)] and None
    )

    assert 0 < len(found.differences) <= 1000

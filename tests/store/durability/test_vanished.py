"""Folder, files and root are deleted, replaced or cut below a task: what is gone is counted, everything else is kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.validation.validate import validate

OUTPUT, FLOW, METADATA = "03-agent-output.jsonl", "02-webhook-flow.jsonl", "metadata.json"
LINES = 40

log = agentlog.get_logger("test")


def _delete_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def _delete_root(folder: Path) -> None:
    shutil.rmtree(folder.parent)


def _delete_lines(folder: Path) -> None:
    (folder / OUTPUT).unlink()


def _delete_all_but_lines(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != OUTPUT:
            path.unlink()


def _empty(folder: Path) -> None:
    (folder / OUTPUT).write_bytes(b"")


def _copy_and_truncate(folder: Path) -> None:
    shutil.copy(folder / OUTPUT, folder.parent / "rotated")
    os.truncate(folder / OUTPUT, 0)


def _cut_in_half(folder: Path) -> None:
    os.truncate(folder / OUTPUT, (folder / OUTPUT).stat().st_size // 2)


def _edit(folder: Path) -> None:
    """As ``sed -i`` does it: a new file takes the name, without some lines."""
    lines = (folder / OUTPUT).read_bytes().splitlines(keepends=True)
    temp = folder / ".edited.x.tmp"
    temp.write_bytes(b"".join(line for number, line in enumerate(lines) if number not in (3, 4)))
    temp.rename(folder / OUTPUT)


def _save(folder: Path) -> None:
    """As an editor does it: a new file with the same content takes the name."""
    temp = folder / ".saved.x.tmp"
    temp.write_bytes((folder / OUTPUT).read_bytes())
    temp.rename(folder / OUTPUT)


def _rename(folder: Path) -> None:
    """As logrotate does it by default: the process goes on writing into the file that is called something else now."""
    (folder / OUTPUT).rename(folder / f"{OUTPUT}.1")


def _move_out(folder: Path) -> None:
    (folder / OUTPUT).rename(folder.parent / "moved")


def _link_and_unlink(folder: Path) -> None:
    (folder.parent / "linked").hardlink_to(folder / OUTPUT)
    (folder / OUTPUT).unlink()


def _rename_and_copy_back(folder: Path) -> None:
    _rename(folder)
    shutil.copy(folder / f"{OUTPUT}.1", folder / OUTPUT)


def _nothing(folder: Path) -> None:
    """No harm done."""


ACTS: list[Callable[[Path], None]] = [
    *(_delete_folder, _delete_root, _delete_lines, _delete_all_but_lines, _empty, _copy_and_truncate),
    *(_cut_in_half, _edit, _save, _nothing, _rename, _move_out, _link_and_unlink, _rename_and_copy_back),
]


def _lines(folder: Path) -> list[dict[str, Any]]:
    return list(TaskReader(folder).events())


def _on_disk(folder: Path) -> int:
    """How many items are in the folder: of what this test records each line but starts gives one."""
    return sum(line["type"] not in ("process",) and line.get("phase") != "start" for line in _lines(folder))


@pytest.fixture(params=["process", "sync"])
def synced_root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A root where lines of the last tenth of a second are written again when they are gone, or none, as each is on the disk."""
    root = tmp_path / "tasks"
    agentlog.configure(
        directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False, durability=request.param
    )
    yield root
    agentlog.shutdown()


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__.strip("_"))
def test_what_is_recorded_after_the_act_is_kept_and_what_is_gone_is_counted(
    act: Callable[[Path], None], synced_root: Path
) -> None:
    """Lines at once after the act are all there; the receipt is what the folder has, while the task runs and after it."""
    folder = synced_root / "t"
    with agentlog.task("t", task_id="t", agent="brain"):
        with agentlog.ai_call("m") as call:
            call.usage(input_tokens=5, output_tokens=1)
        for number in range(LINES):
            log.info(f"before {number}")
        act(folder)
        for number in range(LINES):
            log.info(f"after {number}")
        running = agentlog.flush(10)
        assert running.pending == _on_disk(folder)
        assert running.recorded == running.pending + running.dropped
    ended = agentlog.flush(10)

    contents = [line["message"] for line in _lines(folder) if line["type"] == "log"]
    assert [each for each in contents if each.startswith("after")] == [f"after {number}" for number in range(LINES)]
    assert (ended.recorded, ended.pending) == (2 * LINES + 2, _on_disk(folder))
    assert ended.dropped == ended.recorded - ended.pending
    delivery = json.loads((folder / METADATA).read_bytes())["delivery"]
    assert {key: delivery[key] for key in ("recorded", "delivered", "pending", "dropped")} == {
        "recorded": ended.recorded,
        "delivered": 0,
        "pending": ended.pending,
        "dropped": ended.dropped,
    }
    final = TaskReader(folder).final_result() or {}
    assert (final["outcome"], final["metrics"]["input_tokens"]) == ("completed", 5)
    end = _lines(folder)[-1]
    assert (end["phase"], end["details"]["ai_calls"], end["details"]["input_tokens"]) == ("end", 1, 5)
    assert [str(each) for each in validate(folder).problems if each.severity == "error"] == []


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__.strip("_"))
def test_an_end_right_after_the_act_has_the_figures_of_what_was_recorded(act: Callable[[Path], None], tasks_root: Path) -> None:
    """On its line and in the result, though nobody has noticed anything yet."""
    with agentlog.task("t", task_id="t"):
        with agentlog.ai_call("m") as call:
            call.usage(input_tokens=5, output_tokens=1)
        act(tasks_root / "t")
    agentlog.flush(10)

    (end,) = [line for line in _lines(tasks_root / "t") if line.get("phase") == "end" and line["type"] == "task"]
    final = TaskReader(tasks_root / "t").final_result() or {}
    assert (end["details"]["ai_calls"], end["details"]["input_tokens"]) == (1, 5)
    assert (final["metrics"]["ai_calls"], final["metrics"]["input_tokens"]) == (1, 5)


@pytest.mark.parametrize("act", [_delete_folder, _delete_root, _delete_lines, _empty])
def test_a_task_that_has_ended_stays_deleted_and_is_counted(act: Callable[[Path], None], tasks_root: Path) -> None:
    """What waited there to be sent is not pending any more."""
    with agentlog.task("t", task_id="t"):
        log.info("one")
    assert agentlog.flush(10).pending == 2
    act(tasks_root / "t")
    found = agentlog.flush(10)

    assert (found.pending, found.dropped) == (0, 2)
    assert not (tasks_root / "t" / OUTPUT).exists() or act is _empty


def test_a_task_within_a_second_of_the_deletion_is_whole(tasks_root: Path) -> None:
    """Nothing was checked yet, so nothing is lost: the folder is as if it had not been deleted."""
    with agentlog.task("t", task_id="t") as task, agentlog.step("s"):
        task.output("one")
        shutil.rmtree(tasks_root / "t")
        task.output("two")

    contents = [line.get("content") for line in _lines(tasks_root / "t") if line["type"] == "output"]
    assert contents == ["one", "two"]
    assert agentlog.flush(10).dropped == 0
    assert [str(each) for each in validate(tasks_root / "t").problems] == []

"""What a person types becomes a task."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.query import resolve
from tests.query.folders import MakeTask


@pytest.fixture
def root(make_task: MakeTask, tmp_path: Path) -> Path:
    """Three tasks, the second one the newest."""
    for task_id, hour in (("task-aabb11", 1), ("task-aacc22", 3), ("nightly", 2)):
        make_task(task_id, {"status": "completed", "created_at": f"2026-11-21T0{hour}:00:00.000000000Z"})
    return tmp_path / "tasks"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("task-aabb11", "task-aabb11"),
        ("task-aab", "task-aabb11"),
        ("aac", "task-aacc22"),
        ("night", "nightly"),
        ("last", "task-aacc22"),
        (None, "task-aacc22"),
    ],
)
def test_ids_beginnings_and_last_are_understood(root: Path, typed: str | None, meant: str) -> None:
    """An id, its beginning with or without ``task-``, ``last``, or nothing."""
    assert resolve(root, typed).task_id == meant


def test_a_folder_is_understood(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path, absolute or relative, also below another root."""
    monkeypatch.chdir(root)

    assert resolve(Path("/nowhere"), f"{root}/nightly/").task_id == "nightly"
    assert resolve(Path("/nowhere"), "./nightly").task_id == "nightly"


def test_a_beginning_of_several_names_them(root: Path) -> None:
    """Nothing is guessed."""
    with pytest.raises(TaskNotFoundError, match="'task-aa' is the beginning of several tasks: task-aabb11, task-aacc22"):
        resolve(root, "task-aa")


def test_a_slip_is_answered_with_what_comes_near(root: Path) -> None:
    """The message says where it looked and what might have been meant."""
    with pytest.raises(TaskNotFoundError, match=f"no task 'tsk-aabb11' below {root}; did you mean task-aabb11"):
        resolve(root, "tsk-aabb11")


def test_no_tasks_at_all_says_where_it_looked(tmp_path: Path) -> None:
    """``last`` of nothing is an error with the place in it."""
    with pytest.raises(TaskNotFoundError, match=f"no tasks below {tmp_path}"):
        resolve(tmp_path, "last")


def test_a_folder_without_a_task_is_refused(tmp_path: Path) -> None:
    """A path that is no task folder is said to be none."""
    with pytest.raises(TaskNotFoundError, match="expected the folder of a task"):
        resolve(tmp_path, str(tmp_path))


@pytest.mark.parametrize("typed", ["", "..", "../..", "/", "a\0b", "x" * 5000])
def test_odd_names_lead_nowhere(root: Path, typed: str) -> None:
    """Nothing that is typed leads out of the root or into an exception of another kind."""
    with pytest.raises(TaskNotFoundError):
        resolve(root, typed)


def test_an_id_with_slashes_is_found(tmp_path: Path) -> None:
    """Ids that cannot be folder names are found by what they are."""
    import otel_agentlog as agentlog

    root = tmp_path / "tasks"
    agentlog.configure(directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    with agentlog.task("t", task_id="team/job/1"):
        pass
    agentlog.shutdown()

    assert resolve(root, "team/job/1").task_id == "team/job/1"


def test_the_last_task_is_not_a_part_of_another(make_task: MakeTask, tmp_path: Path) -> None:
    """A sub-task is younger than its task, and not what is meant; where there is nothing else, it is."""
    make_task("inner", {"created_at": "2026-11-21T02:00:00.000000000Z", "parent_task_id": "outer"})
    assert resolve(tmp_path / "tasks", None).task_id == "inner"

    make_task("outer", {"created_at": "2026-11-21T01:00:00.000000000Z", "parent_task_id": None})
    assert resolve(tmp_path / "tasks", None).task_id == "outer"

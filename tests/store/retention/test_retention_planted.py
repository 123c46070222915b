"""Only what is ours goes: planted, foreign, held and half-deleted things below the root."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import otel_agentlog._platform as system
from otel_agentlog.errors import LayoutError
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.retention.policy import RetentionLimits
from otel_agentlog.store.retention.prune import prune
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from tests.store.retention.retention_folders import NOW_NS, make_task, make_tasks, names, tree, write
from tests.support.waiting import wait_until

EVERYTHING = RetentionLimits(retention_days=0.01, max_tasks=0, max_bytes=1, compress_after_days=0)
SHA = "ab" * 32


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """Somebody else's folder, which must be the same afterwards."""
    folder = tmp_path / "outside"
    folder.mkdir()
    write(folder / "precious.txt", b"precious")
    before = tree(folder)
    yield folder
    assert tree(folder) == before


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root of its own."""
    folder = tmp_path / "tasks"
    folder.mkdir(mode=0o700)
    return folder


def left_by(root: Path, limits: RetentionLimits = EVERYTHING) -> list[str]:
    """Prune; returns what was left alone and why, of which a dry run must have said the same."""
    foretold = prune(root, limits, now_ns=NOW_NS, dry_run=True)
    report = prune(root, limits, now_ns=NOW_NS)
    assert report.left == foretold.left
    return [f"{each.name}: {each.reason}" for each in report.left.listed]


def change_metadata(folder: Path, **keys: object) -> None:
    """Write other values into metadata.json."""
    path = folder / "metadata.json"
    write(path, json.dumps({**json.loads(path.read_bytes()), **keys}).encode())


# -- below the root -------------------------------------------------------------------------------------------------------

Plant = Callable[[Path, Path], object]

BELOW_ROOT: list[tuple[str, Plant, str]] = [
    ("a symlink to a folder", lambda root, outside: (root / "task-x").symlink_to(outside), "no folder but a symlink"),
    ("a dangling symlink", lambda root, outside: (root / "task-x").symlink_to("nowhere"), "no folder but a symlink"),
    ("a FIFO", lambda root, outside: os.mkfifo(root / "task-x"), "no folder but a FIFO"),
    ("a file", lambda root, outside: (root / "task-x").touch(), "no folder but a file"),
    ("an empty folder", lambda root, outside: (root / "task-x").mkdir(), "no metadata.json that can be read"),
    (
        "somebody's folder",
        lambda root, outside: ((root / "task-x").mkdir(), (root / "task-x" / "thesis.tex").touch()),
        "no metadata.json that can be read",
    ),
    (
        "another format",
        lambda root, outside: change_metadata(make_task(root, "task-x"), format_version=2),
        "of another format: 2",
    ),
    ("no format", lambda root, outside: change_metadata(make_task(root, "task-x"), format_version=True), "another format: True"),
    (
        "another task's metadata",
        lambda root, outside: change_metadata(make_task(root, "task-x"), task_id="task-y"),
        "a metadata.json of another task: task-y",
    ),
    ("no task", lambda root, outside: change_metadata(make_task(root, "task-x"), task_id=None), "of another task: None"),
    (
        "broken metadata",
        lambda root, outside: os.truncate(make_task(root, "task-x") / "metadata.json", 50),
        "no metadata.json that can be read",
    ),
    (
        "a link to a task's metadata",
        lambda root, outside: (
            make_task(outside.parent, "task-x").rename(outside.parent / "real"),
            (root / "task-x").mkdir(),
            (root / "task-x" / "metadata.json").symlink_to(outside.parent / "real" / "metadata.json"),
        ),
        "no metadata.json that can be read",
    ),
    (
        "a FIFO for metadata",
        lambda root, outside: ((root / "task-x").mkdir(), os.mkfifo(root / "task-x" / "metadata.json")),
        "no metadata.json that can be read",
    ),
]


@pytest.mark.parametrize(("plant", "reason"), [case[1:] for case in BELOW_ROOT], ids=[case[0] for case in BELOW_ROOT])
def test_what_is_no_task_of_ours_is_left_alone(plant: Plant, reason: str, root: Path, outside: Path) -> None:
    """It is named with the reason, nothing of it is touched, and the task beside it goes."""
    plant(root, outside)
    before = tree(root)
    make_task(root, "task-ours")

    (left,) = left_by(root)

    assert left.startswith("task-x: ")
    assert reason in left
    assert tree(root) == before


@pytest.mark.parametrize("name", ["with space", "-dash", "é", "x" * 129, "a\nb"])
def test_names_that_are_no_task_ids_are_left_alone(name: str, root: Path) -> None:
    """Even with metadata that would fit."""
    make_task(root, name[:200])

    assert left_by(root) == [f"{name}: not named like a task"]
    assert os.listdir(root / name)


def test_mapped_names_are_ours(root: Path) -> None:
    """A hostile id has another folder name, which its metadata explains."""
    sink = FolderSink(root, lambda: {"type": "process"})
    line = {"timestamp": "2026-11-01T05:22:01.123456789Z", "type": "task", "phase": "end", "outcome": "completed", "name": "x"}
    sink(Envelope(line, TaskRef("../../etc/passwd", {"task_id": "../../etc/passwd"}), 0))
    (folder,) = root.iterdir()
    for path in folder.iterdir():
        os.utime(path, ns=(0, 0))

    assert left_by(root) == []
    assert names(root) == []


def test_hidden_things_are_nobodys_business(root: Path) -> None:
    """Names with a dot in front are neither ours nor worth a word, unless they are tombstones."""
    make_task(root, "task-a").rename(root / ".task-a")
    (root / ".pruned").mkdir()
    before = tree(root)

    assert left_by(root) == []
    assert tree(root) == before


# -- within a task --------------------------------------------------------------------------------------------------------


def _artifacts(folder: Path) -> Path:
    (folder / "artifacts").mkdir(mode=0o700, exist_ok=True)
    return folder / "artifacts"


WITHIN: list[tuple[str, Plant, str]] = [
    ("a symlink to a file", lambda task, outside: (task / "control.jsonl").symlink_to(outside / "precious.txt"), "a symlink"),
    ("a symlink to a folder", lambda task, outside: (task / "artifacts").symlink_to(outside), "artifacts: a symlink"),
    ("a FIFO", lambda task, outside: os.mkfifo(task / "02-webhook-flow.jsonl"), "02-webhook-flow.jsonl: a FIFO"),
    ("a hard link", lambda task, outside: os.link(outside / "precious.txt", task / "01-input.json"), "a hard link"),
    ("somebody's file", lambda task, outside: (task / "notes.txt").touch(), "notes.txt: a file that does not belong to a task"),
    ("somebody's folder", lambda task, outside: (task / "backup").mkdir(), "backup: a folder"),
    ("a hidden folder", lambda task, outside: (task / ".git").mkdir(), ".git: a folder"),
    ("a hidden symlink", lambda task, outside: (task / ".x").symlink_to(outside), ".x: a symlink"),
    (
        "a symlink as an artifact",
        lambda task, outside: (_artifacts(task) / SHA).symlink_to(outside / "precious.txt"),
        f"artifacts/{SHA}: a symlink",
    ),
    ("a folder as an artifact", lambda task, outside: (_artifacts(task) / SHA).mkdir(), f"artifacts/{SHA}: a folder"),
    ("a foreign artifact", lambda task, outside: (_artifacts(task) / "x.bin").touch(), "artifacts/x.bin: a file that does not"),
    ("a file for artifacts", lambda task, outside: (task / "artifacts").touch(), "artifacts: a file that does not belong"),
]


@pytest.mark.parametrize(("plant", "reason"), [case[1:] for case in WITHIN], ids=[case[0] for case in WITHIN])
def test_a_task_with_anything_foreign_is_not_deleted(plant: Plant, reason: str, root: Path, outside: Path) -> None:
    """It is kept whole, and said why."""
    task = make_task(root, "task-x")
    plant(task, outside)
    before = tree(root)
    make_task(root, "task-ours")

    (left,) = left_by(root, RetentionLimits(retention_days=0.01, max_tasks=0, max_bytes=1))

    assert left.startswith("task-x: holds ")
    assert reason in left
    assert tree(root) == before


def test_files_that_packages_leave_are_ours(root: Path) -> None:
    """Notes with a dot in front, files under preparation, and compressed ones go with their task."""
    task = make_task(root, "task-x")
    for name in (
        ".delivery.jsonl",
        ".metadata.json.a1x0.tmp",
        "02-webhook-flow.jsonl.gz",
        f"artifacts/{SHA}",
        f"artifacts/{SHA}.gz",
    ):
        _artifacts(task)
        write(task / name, b"")
    write(task / "artifacts" / f".{SHA}.a1.tmp", b"half")

    assert left_by(root) == []
    assert names(root) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away; the test after this one runs for everybody")
@pytest.mark.parametrize("given", [".", "metadata.json", "03-agent-output.jsonl", "artifacts"])
def test_another_users_things_are_left_alone(given: str, root: Path) -> None:
    """A folder or a file that somebody else owns."""
    task = make_task(root, "task-x")
    _artifacts(task)
    os.chown(task / given, 12345, 12345)
    before = tree(root)

    left = left_by(root, RetentionLimits(max_tasks=0))

    assert tree(root) == before
    assert [each for each in left if each.startswith("task-x: ")] == left != []


def test_another_users_root_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing below it is even looked at."""
    make_task(root, "task-x")
    monkeypatch.setattr(system, "user_id", lambda: os.getuid() + 1)

    with pytest.raises(PermissionError, match="expected a folder of user"):
        prune(root, EVERYTHING, now_ns=NOW_NS)

    assert names(root) == ["task-x"]


def test_a_root_that_is_a_symlink_is_refused(root: Path, tmp_path: Path) -> None:
    """As the writer refuses it."""
    make_task(root, "task-x")
    (tmp_path / "link").symlink_to(root)

    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        prune(tmp_path / "link", EVERYTHING, now_ns=NOW_NS)

    assert names(root) == ["task-x"]


# -- held -----------------------------------------------------------------------------------------------------------------


def test_a_task_that_somebody_holds_stays(root: Path) -> None:
    """A shared lock on the folder is enough; when it is gone, the task goes."""
    make_tasks(root, "task-held completed 9d 1000\ntask-free completed 1d 1000")
    holder = os.open(root / "task-held", os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_SH)

    assert left_by(root) == []
    assert names(root) == ["task-held"]

    os.close(holder)
    assert left_by(root) == []
    assert names(root) == []


@pytest.mark.parametrize("what", ["lock", "line", "status", "folder"])
def test_what_changes_between_the_look_and_the_deed_stays(what: str, root: Path) -> None:
    """Each task is looked at again, with the folder held, at the moment it would go."""
    task = make_task(root, "task-a")
    make_task(root, "task-b")
    holders = []

    def meddle() -> bool:
        """Asked once for each task of the survey, then before each deletion."""
        asked.append(1)
        if len(asked) == 3:
            if what == "lock":
                holders.append(os.open(task, os.O_RDONLY))
                fcntl.flock(holders[0], fcntl.LOCK_SH)
            elif what == "line":
                with (task / "03-agent-output.jsonl").open("ab") as file:
                    file.write(b"{}\n")
            elif what == "status":
                change_metadata(task, status="running")
            else:
                task.rename(root.parent / "away")
                make_task(root, "task-a", status="running")
        return False

    asked: list[int] = []
    report = prune(root, RetentionLimits(retention_days=0.01), now_ns=NOW_NS, spent=meddle)

    for holder in holders:
        os.close(holder)
    assert [each.name for each in report.deleted] == ["task-b"]
    assert names(root) == ["task-a"]
    assert [each.reason for each in report.left.listed] == ["in use meanwhile" if what == "lock" else "changed meanwhile"]


def test_a_writer_that_waited_for_a_folder_that_went_makes_a_new_one(root: Path) -> None:
    """Its line is not written into what is being deleted, and is there afterwards."""
    folder = make_task(root, "task-a")
    sink = FolderSink(root, lambda: {"type": "process", "pid": os.getpid()})
    holder = os.open(folder, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    line = {"timestamp": "2026-11-21T05:22:01.123456789Z", "type": "log", "message": "late"}
    task = TaskRef("task-a", {"task_id": "task-a"}, owner=False)
    writer = threading.Thread(target=sink, args=[Envelope(line, task, 0)])
    writer.start()
    wait_until(lambda: _opened(folder) > 1, "the writer to have the old folder open")

    folder.rename(root / ".pruned.task-a.0123456789abcdef")
    os.close(holder)
    writer.join()

    assert [line.get("message") for line in TaskReader(root / "task-a").events()] == [None, "late"]
    assert prune(root, RetentionLimits(), now_ns=NOW_NS).finished == [".pruned.task-a.0123456789abcdef"]
    assert names(root) == ["task-a"]


def _opened(folder: Path) -> int:
    """How many descriptors of this process are of a folder."""
    identity = folder.stat().st_ino
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.fstat(int(name)).st_ino == identity
        except OSError:
            continue
    return found


# -- tombstones -----------------------------------------------------------------------------------------------------------

TAG = "0123456789abcdef"


def test_what_a_killed_run_left_is_finished(root: Path) -> None:
    """Whole, half and empty tombstones go, without any limit; undelivered items in them are counted."""
    whole = make_task(root, "task-a", delivery={"pending": 3, "delivered": 1})
    half = make_task(root, "task-b")
    (half / "03-agent-output.jsonl").unlink()
    _artifacts(half)
    empty = root / "task-c"
    empty.mkdir()
    for folder in (whole, half, empty):
        folder.rename(root / f".pruned.{folder.name}.{TAG}")

    foretold = prune(root, RetentionLimits(), now_ns=NOW_NS, dry_run=True)
    report = prune(root, RetentionLimits(), now_ns=NOW_NS)

    assert report.finished == foretold.finished == [f".pruned.task-{letter}.{TAG}" for letter in "abc"]
    assert (report.dropped, report.totals["dropped"]) == (3, {"quota": 3})
    assert tree(root) == {}


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".pruned.task-a",
            ".pruned.task-a.0123456789ABCDEF",
            f".pruned.task-a.{TAG}0",
            f".pruned..{TAG}",
            f"pruned.task-a.{TAG}",
        ),
        *(f".pruned.-a.{TAG}", f".Pruned.task-a.{TAG}", f".pruned.task-a.{TAG}\n"),
    ],
)
def test_only_exact_names_are_tombstones(name: str, root: Path) -> None:
    """Anything else with a dot in front is not even looked into."""
    make_task(root, "task-a").rename(root / name)
    before = tree(root)

    prune(root, RetentionLimits(), now_ns=NOW_NS)

    assert tree(root) == before


LOOKALIKES: list[tuple[str, Plant, str]] = [
    ("another task", lambda stone, outside: change_metadata(stone, task_id="task-b"), "of another task: task-b"),
    ("no metadata", lambda stone, outside: (stone / "metadata.json").unlink(), "no metadata.json that can be read"),
    ("a foreign file", lambda stone, outside: (stone / "thesis.tex").touch(), "holds thesis.tex: a file that does not belong"),
    ("a symlink within", lambda stone, outside: (stone / "artifacts").symlink_to(outside), "holds artifacts: a symlink"),
    (
        "a symlink",
        lambda stone, outside: (stone.rename(stone.parent.parent / "elsewhere"), stone.symlink_to(outside)),
        "no folder but a symlink",
    ),
]


@pytest.mark.parametrize(("plant", "reason"), [case[1:] for case in LOOKALIKES], ids=[case[0] for case in LOOKALIKES])
def test_what_only_looks_like_a_tombstone_is_left_alone(plant: Plant, reason: str, root: Path, outside: Path) -> None:
    """It needs the metadata of the task it is named after, and nothing foreign in it."""
    stone = root / f".pruned.task-a.{TAG}"
    make_task(root, "task-a").rename(stone)
    plant(stone, outside)
    before = tree(root)

    report = prune(root, RetentionLimits(), now_ns=NOW_NS)

    assert [each.reason for each in report.left.listed if reason in each.reason]
    assert (report.finished, tree(root)) == ([], before)


def test_a_tombstone_that_somebody_still_writes_to_waits(root: Path) -> None:
    """Until the writer has noticed."""
    stone = root / f".pruned.task-a.{TAG}"
    make_task(root, "task-a").rename(stone)
    holder = os.open(stone, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_SH)

    assert prune(root, RetentionLimits(), now_ns=NOW_NS).finished == []

    os.close(holder)
    assert prune(root, RetentionLimits(), now_ns=NOW_NS).finished == [stone.name]


# -- the lock file --------------------------------------------------------------------------------------------------------


def test_modes_do_not_depend_on_the_umask(root: Path) -> None:
    """What upkeep writes is for its user alone."""
    make_tasks(root, "task-a completed 9d 3000\ntask-b completed 1d 3000")
    before = os.umask(0)
    try:
        prune(root, RetentionLimits(max_tasks=1, compress_after_days=0), now_ns=NOW_NS)
    finally:
        os.umask(before)

    assert {path.name: oct(path.stat().st_mode & 0o777) for path in root.rglob("*") if path.is_file()} == dict.fromkeys(
        (".upkeep.lock", ".upkeep.json", "metadata.json", "03-agent-output.jsonl.gz"), "0o600"
    )


@pytest.mark.parametrize("plant", ["symlink", "fifo", "hard link"])
def test_a_planted_lock_file_is_not_used(plant: str, root: Path, outside: Path) -> None:
    """Nothing is pruned then, and the error says why."""
    make_task(root, "task-x")
    lock = root / ".upkeep.lock"
    if plant == "symlink":
        lock.symlink_to(outside / "precious.txt")
    elif plant == "fifo":
        os.mkfifo(lock)
    else:
        os.link(outside / "precious.txt", lock)

    with pytest.raises((LayoutError, OSError)):
        prune(root, EVERYTHING, now_ns=NOW_NS)

    assert names(root) == ["task-x"]
    lock.unlink()


def test_one_at_a_time(root: Path) -> None:
    """Whoever comes while another process is at it does nothing and says so; a dry run may look."""
    make_task(root, "task-x")
    lock = os.open(root / ".upkeep.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)

    assert prune(root, EVERYTHING, now_ns=NOW_NS, wait_s=0.05).ran is False
    assert len(prune(root, EVERYTHING, now_ns=NOW_NS, dry_run=True).deleted) == 1
    assert names(root) == ["task-x"]

    os.close(lock)
    assert prune(root, EVERYTHING, now_ns=NOW_NS).ran is True
    assert names(root) == []

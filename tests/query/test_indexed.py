"""The index gives the answers that the folders give, whatever happened to it."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_agentlog.query import GROUPS, ORDERS, Filter, search, statistics, timeline
from otel_agentlog.query.indexes import ask
from otel_agentlog.store.index import database as database_of_index
from tests.query.folders import MakeTask, held
from tests.query.generated_tasks import filters, tasks, write
from tests.query.reference import Reference
from tests.support.forking import PYTHON

SLOW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
END = {"outcome": "completed", "metrics": {"duration_seconds": 1.5, "cost_usd": 0.25, "ai_calls": 1}}
CREATED = "2026-11-21T05:22:01.000000000Z"


@contextmanager
def fresh_root() -> Iterator[Path]:
    """A folder for one example."""
    root = Path(tempfile.mkdtemp(prefix="agentlog-index-")) / "tasks"
    root.mkdir()
    try:
        yield root
    finally:
        shutil.rmtree(root.parent)


def database(root: Path) -> Path:
    """Where the index is."""
    return root / ".catalogue" / "tasks.sqlite"


def ids(root: Path, wanted: Filter | None = None, **more: Any) -> list[str]:
    """The folders that the index finds."""
    return [row.folder.name for row in search(root, wanted, **more).rows]


def assert_same(root: Path, wanted: Filter) -> None:
    """Every question is answered as without an index."""
    plain = Reference(root)
    for order in ORDERS:
        assert ids(root, wanted, order=order, limit=3, offset=1) == plain.folders(wanted, order, 3, 1)
    page = search(root, wanted, limit=0)
    assert (page.matching, page.tasks) == plain.count(wanted)
    for group_by in (None, *GROUPS):
        assert statistics(root, wanted, group_by=group_by) == plain.statistics(wanted, group_by)
    assert ask(root, lambda index: index.errors_by_category(wanted)) == plain.errors_by_category(wanted)
    if wanted.until_ns is not None and wanted.since_ns is not None:
        assert timeline(root, wanted, bucket_s=3600) == plain.timeline(wanted, 3600)


@SLOW
@given(st.lists(tasks(), min_size=1, max_size=8), st.lists(filters, min_size=3, max_size=6))
def test_the_index_answers_as_the_folders_do(made: list[dict[str, Any]], asked: list[Filter]) -> None:
    """Any filter, any order, any grouping."""
    with fresh_root() as root:
        for number, task in enumerate(made):
            write(root, f"task-{number}", task)

        for wanted in (Filter(), *asked):
            assert_same(root, wanted)
        assert database(root).exists()


@SLOW
@given(
    st.lists(tasks(), min_size=2, max_size=6),
    st.lists(st.tuples(st.integers(0, 7), st.one_of(st.none(), tasks())), min_size=1, max_size=5),
    filters,
)
def test_the_index_follows_every_change(
    made: list[dict[str, Any]], changes: list[tuple[int, dict[str, Any] | None]], wanted: Filter
) -> None:
    """Tasks come, change and go; after each of these the answers are those of the folders."""
    with fresh_root() as root:
        for number, task in enumerate(made):
            write(root, f"task-{number}", task)
        assert_same(root, wanted)

        for number, change in changes:
            if change is None:
                shutil.rmtree(root / f"task-{number}", ignore_errors=True)
            else:
                write(root, f"task-{number}", change)
            assert_same(root, wanted)


def _delete(root: Path) -> None:
    shutil.rmtree(root / ".catalogue")


def _delete_the_file(root: Path) -> None:
    database(root).unlink()


def _empty(root: Path) -> None:
    database(root).write_bytes(b"")


def _garbage(root: Path) -> None:
    database(root).write_bytes(random.Random(1).randbytes(50_000))


def _cut(root: Path) -> None:
    os.truncate(database(root), database(root).stat().st_size // 2)


def _zeros(root: Path) -> None:
    with database(root).open("r+b") as file:
        file.seek(4096)
        file.write(b"\0" * 60_000)


def _other_version(root: Path) -> None:
    with sqlite3.connect(database(root)) as connection:
        connection.execute("PRAGMA user_version = 77")
    connection.close()


def _no_table(root: Path) -> None:
    with sqlite3.connect(database(root)) as connection:
        connection.execute("DROP TABLE task")
    connection.close()


def _stale(root: Path) -> None:
    with sqlite3.connect(database(root)) as connection:
        connection.execute("UPDATE folder SET signature = 1")
        connection.execute("UPDATE task SET status = 'pending', cost = 5")
    connection.close()


def _a_symlink(root: Path) -> None:
    _delete(root)
    (root.parent / "elsewhere").mkdir(exist_ok=True)
    (root / ".catalogue").symlink_to(root.parent / "elsewhere")


def _a_file(root: Path) -> None:
    _delete(root)
    (root / ".catalogue").write_bytes(b"mine")


HARM: list[Callable[[Path], None]] = [
    *(_delete, _delete_the_file, _empty, _garbage, _cut, _zeros, _other_version, _no_table, _stale, _a_symlink, _a_file)
]


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("opened", [True, False], ids=["open", "closed"])
def test_whatever_happens_to_the_index_the_answers_are_right(
    make_task: MakeTask, tmp_path: Path, harm: Callable[[Path], None], opened: bool
) -> None:
    """Deleted, cut, overwritten, of another version, stale, a trap: nobody notices, in this process and in the next one."""
    for number in range(60):
        state = "failed" if number % 3 else "completed"
        make_task(
            f"task-{number:02}",
            {"status": state, "created_at": CREATED, "name": f"job {number}"},
            final={**END, "outcome": state},
        )
    root = tmp_path / "tasks"
    answers = (
        "import sys, pathlib; from otel_agentlog.query import Filter, search\n"
        "found = search(pathlib.Path(sys.argv[1]), Filter(failed=True, text='job'))\n"
        "print(*(row.folder.name for row in found.rows))"
    )
    expected = Reference(root).folders(Filter(failed=True, text="job"), "newest", 50, 0)
    if opened:
        assert ids(root, Filter(failed=True, text="job")) == expected
    else:
        _elsewhere(answers, root)

    harm(root)

    found = ids(root, Filter(failed=True, text="job")) if opened else _elsewhere(answers, root).split()
    assert found == expected
    assert not (root.parent / "elsewhere").exists() or not list((root.parent / "elsewhere").iterdir())


def _elsewhere(program: str, root: Path) -> str:
    ran = PYTHON.run(["-c", program, root], text=True, timeout=90)
    assert ran.returncode == 0, ran.stderr
    return str(ran.stdout)


def test_several_processes_make_and_use_one_index(make_task: MakeTask, tmp_path: Path) -> None:
    """They begin at once, while tasks come and go: none fails, and all are right in the end."""
    for number in range(450):
        make_task(f"task-{number:03}", {"status": "completed", "created_at": CREATED}, final=END)
    root = tmp_path / "tasks"
    program = (
        "import sys, pathlib\nfrom otel_agentlog.query import search, statistics\nroot = pathlib.Path(sys.argv[1])\n"
        "for _ in range(8): search(root); statistics(root, group_by='agent')\n"
        "input()\nprint(search(root, limit=0).matching, statistics(root).groups[0].tasks)\n"
    )
    command = [sys.executable, "-c", program, str(root)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for number in range(20):
        make_task(f"task-new{number}", {"status": "completed", "created_at": CREATED}, final=END)
        shutil.rmtree(root / f"task-{number:03}")
    said = [process.communicate("\n", timeout=90)[0] for process in running]

    assert said == ["450 450\n"] * 4
    assert [process.returncode for process in running] == [0] * 4


def test_a_root_that_cannot_be_written_is_answered_from_memory(make_task: MakeTask, tmp_path: Path) -> None:
    """Nothing is left behind, and nothing fails."""
    make_task("task-1", {"status": "completed", "created_at": CREATED}, final=END)
    root = tmp_path / "tasks"
    (root / ".catalogue").mkdir(mode=0o700)
    (root / ".catalogue").rmdir()
    # Even root cannot make a folder where a file stands.
    (root / ".catalogue").write_bytes(b"")

    assert ids(root) == ["task-1"]
    assert (root / ".catalogue").read_bytes() == b""


@pytest.mark.parametrize("group_by", [None, *GROUPS])
def test_an_index_that_is_locked_for_too_long_is_kept_and_the_answer_comes_from_memory(
    make_task: MakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_by: str | None
) -> None:
    """Another process writes, and a folder is not in the index yet."""
    monkeypatch.setattr(database_of_index, "BUSY_S", 0.01)
    root = tmp_path / "tasks"
    for number in range(3):
        make_task(f"task-{number}", {"status": "completed", "created_at": CREATED}, final=END)
        if number == 1:
            assert len(ids(root)) == 2
            before = database(root).stat().st_ino
    other = sqlite3.connect(database(root), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    assert len(ids(root)) == 3
    assert statistics(root, group_by=group_by) == Reference(root).statistics(Filter(), group_by)
    other.execute("ROLLBACK")
    other.close()
    assert (len(ids(root)), database(root).stat().st_ino) == (3, before)


def test_an_index_of_an_older_version_is_made_anew(make_task: MakeTask, tmp_path: Path) -> None:
    """Its tables are others."""
    make_task("task-1", {"status": "completed", "created_at": CREATED}, final=END)
    root = tmp_path / "tasks"
    (root / ".catalogue").mkdir()
    with sqlite3.connect(database(root)) as connection:
        connection.execute("CREATE TABLE task (id INTEGER PRIMARY KEY, lanes BLOB NOT NULL)")
        connection.execute("PRAGMA user_version = 1")
    connection.close()

    assert ids(root) == ["task-1"]
    with sqlite3.connect(database(root)) as connection:
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (1,)
    connection.close()


def test_the_index_is_private(make_task: MakeTask, tmp_path: Path) -> None:
    """Its folder and its files are for the owner only, whatever the umask."""
    make_task("task-1", {"status": "completed", "created_at": CREATED}, final=END)
    root = tmp_path / "tasks"
    before = os.umask(0)
    try:
        ids(root)
    finally:
        os.umask(before)
    folder = root / ".catalogue"

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_an_empty_root_gets_no_index(tmp_path: Path) -> None:
    """Looking at a folder does not write into it."""
    assert (ids(tmp_path), list(tmp_path.iterdir())) == ([], [])


def test_a_task_that_goes_on_is_seen_as_it_stands(make_task: MakeTask, tmp_path: Path) -> None:
    """Running, then dead, then ended by recovery; its time goes on."""
    start = {"timestamp": CREATED, "type": "task", "phase": "start", "span_id": "1", "message": "Job", "event_id": "a-0"}
    folder = make_task("task-1", {"status": "running", "created_at": CREATED, "started_at": CREATED}, start)
    root = tmp_path / "tasks"
    running, interrupted = Filter(statuses=["running"]), Filter(statuses=["interrupted"])
    with held(folder):
        first = statistics(root, running).groups[0].duration_seconds.maximum or 0
        second = statistics(root, running).groups[0].duration_seconds.maximum or 0
        assert (ids(root, running), ids(root, interrupted)) == (["task-1"], [])
    assert second > first > 0
    assert (ids(root, running), ids(root, interrupted)) == ([], ["task-1"])

    (folder / "metadata.json").write_bytes(orjson.dumps({"task_id": "task-1", "status": "completed", "created_at": CREATED}))
    (folder / "04-final-result.json").write_bytes(orjson.dumps(END))
    assert ids(root, Filter(statuses=["completed"])) == ["task-1"]
    assert statistics(root).groups[0].cost_usd == 0.25


def test_the_child_of_a_fork_opens_its_own(make_task: MakeTask, tmp_path: Path) -> None:
    """A connection is not carried over."""
    make_task("task-1", {"status": "completed", "created_at": CREATED}, final=END)
    root = tmp_path / "tasks"
    assert ids(root) == ["task-1"]
    child = os.fork()
    if child == 0:
        os._exit(0 if ids(root) == ["task-1"] else 1)
    deadline, status = time.monotonic() + 60, (0, 0)
    while status[0] == 0 and time.monotonic() < deadline:
        status = os.waitpid(child, os.WNOHANG)

    assert status == (child, 0)
    assert ids(root) == ["task-1"]


def test_odd_neighbours_are_no_tasks(make_task: MakeTask, tmp_path: Path) -> None:
    """Files, links, empty folders and names that are no text, until one of them becomes a task."""
    make_task("task-1", {"status": "completed", "created_at": CREATED}, final=END)
    root = tmp_path / "tasks"
    (root / "a file").write_text("x")
    (root / "a link").symlink_to(root / "task-1")
    (root / "late").mkdir()
    os.mkdir(os.fsencode(root) + b"/\xff\xfe")
    assert ids(root) == Reference(root).folders(Filter(), "newest", None, 0) == ["task-1"]

    for folder in (os.fsencode(root) + b"/\xff\xfe", os.fsencode(root / "late")):
        with open(folder + b"/metadata.json", "wb") as file:
            file.write(orjson.dumps({"status": "completed", "created_at": CREATED}))
    assert len(ids(root)) == 3
    assert_same(root, Filter(text="late"))

"""Children of every kind: what they record is in the folder, and what their parent began is their parent's to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.store.folder.files import Descriptor
from otel_agentlog.store.folder.reader import find_task, list_tasks
from otel_agentlog.store.validation.validate import validate
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).with_name("fork_program.py")


def _events(root: Path, task_id: str = "t") -> list[dict[str, Any]]:
    return list(find_task(root, task_id).events())


def _in_a_child(work: Any) -> None:
    """Run it in the child of a fork, which ends at once."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def _ends(root: Path, name: str) -> list[dict[str, Any]]:
    return [line for line in _events(root) if line.get("phase") == "end" and line["message"] == name]


def test_busy_threads_and_children_that_end_in_all_ways(tmp_path: Path) -> None:
    """Forty forks with four busy threads: none hangs, every record of every child is there, every line is whole."""
    command = [sys.executable, str(ROOT / "benchmarks" / "fork.py"), "--json", "--forks", "40"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)

    found = json.loads(done.stdout)
    wrong = {key: found[key] for key in ("hung", "failed", "missing", "misplaced", "malformed", "invalid")}
    assert wrong == {"hung": 0, "failed": 0, "missing": 0, "misplaced": 0, "malformed": 0, "invalid": []}
    assert (found["forks"], done.returncode) == (40, 0)


@pytest.mark.parametrize("kind", ["fork", "forkserver", "spawn", "pool"])
def test_children_of_multiprocessing_are_recorded(kind: str, tmp_path: Path) -> None:
    """Started in any way, children work on the task of their parent; they end without atexit and lose nothing."""
    root = tmp_path / "tasks"
    subprocess.run([sys.executable, "-W", "error::ResourceWarning", str(PROGRAM), kind, str(root)], check=True, timeout=60)

    lines = _events(root)
    starts = {line["span_id"]: line for line in lines if line.get("phase") == "start"}
    said = [line for line in lines if line["type"] == "output" and "child" in line["content"]]
    assert sorted(line["content"] for line in said) == [f"child {number}" for number in range(4)]
    for line in said:
        step = starts[line["span_id"]]
        assert step["message"] == "in child"
        assert starts[step["parent_span_id"]]["message"] in ("around", "job")
    assert not validate(root / "t").problems
    left = {task.task_id: (task.final_result() or {})["outcome"] for task in list_tasks(root) if task.task_id != "t"}
    assert left == {f"left-{number}": "interrupted" for number in range(4)}


def test_a_block_that_the_child_leaves_too_is_ended_by_the_parent_only(tasks_root: Path) -> None:
    """The copied ``with`` blocks write nothing in the child, and are not current there any more."""
    current: list[bool] = []
    with agentlog.task("t", task_id="t"):
        step = agentlog.step("around")
        step.__enter__()
        pid = os.fork()
        if pid == 0:
            step.__exit__(None, None, None)
            outside = agentlog.current_operation()
            with agentlog.step("own"):
                pass
            os._exit(0 if outside is not None and outside.name == "t" else 1)
        assert os.waitpid(pid, 0)[1] == 0
        current.append(agentlog.current_operation() is step)
        step.__exit__(None, None, None)

    assert current == [True]
    assert len(_ends(tasks_root, "around")) == len(_ends(tasks_root, "t")) == len(_ends(tasks_root, "own")) == 1
    assert (find_task(tasks_root, "t").final_result() or {})["outcome"] == "completed"
    assert not validate(tasks_root / "t").problems


def test_a_child_may_end_by_hand_what_its_parent_began(tasks_root: Path) -> None:
    """``end()`` in the child raises nothing and tells nothing; the parent's own ``end()`` is the one that counts."""
    task = agentlog.task("t", task_id="t").start()

    _in_a_child(lambda: task.end("failed"))
    task.end()

    (end,) = _ends(tasks_root, "t")
    assert end["outcome"] == "completed"
    assert (find_task(tasks_root, "t").metadata() or {})["status"] == "completed"


def test_a_child_writes_with_its_own_descriptors_and_numbers(tasks_root: Path) -> None:
    """Each process introduces itself and counts from 0, and the child's copies of its parent's descriptors are closed."""
    inherited: list[int] = []
    with agentlog.task("t", task_id="t") as task:
        task.output("parent")
        inherited += [fd for fd in map(int, os.listdir("/proc/self/fd")) if _leads_to(fd, tasks_root)]

        def child() -> None:
            assert not [fd for fd in inherited if _leads_to(fd, tasks_root)]
            task.output("child")

        _in_a_child(child)
        task.output("parent again")

    lines = _events(tasks_root)
    tags = {line["content"]: line["event_id"].split("-")[0] for line in lines if line["type"] == "output"}
    assert inherited
    assert tags["parent"] == tags["parent again"] != tags["child"]
    assert len([line for line in lines if line["type"] == "process"]) == 2
    assert not validate(tasks_root / "t").problems


def _leads_to(fd: int, place: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith(str(place))
    except OSError:
        return False


def test_a_child_does_not_keep_its_parents_locks(tasks_root: Path) -> None:
    """A child that lives on does not keep a folder, nor what another thread held at that moment, from being locked."""
    import fcntl

    with agentlog.task("t", task_id="t"):
        held = Descriptor(os.open(tasks_root / "t" / "03-agent-output.jsonl", os.O_RDWR))
        fcntl.flock(held.fd, fcntl.LOCK_EX)
        reading, writing = os.pipe()
        there, is_there = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.write(is_there, b"x")
            os.read(reading, 1)
            os._exit(0)
        held.close()
    try:
        # It has begun: before that it has whatever its parent had.
        os.read(there, 1)
        for name in ("", "03-agent-output.jsonl"):
            fd = os.open(tasks_root / "t" / name, os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(fd)
    finally:
        os.close(writing)
        os.waitpid(pid, 0)
        for fd in (reading, there, is_there):
            os.close(fd)


def test_a_receipt_is_not_counted_twice_after_a_fork(tasks_root: Path) -> None:
    """What the parent has counted and not written yet is not written by the child as well."""
    with agentlog.task("t", task_id="t"):
        for number in range(5):
            with agentlog.step(f"step {number}"):
                pass

        def child() -> None:
            agentlog.flush()
            agentlog.shutdown()

        _in_a_child(child)

    assert (find_task(tasks_root, "t").metadata() or {})["delivery"]["recorded"] == 6


def test_a_fork_while_another_thread_is_busy_in_every_lock(tasks_root: Path) -> None:
    """Whatever another thread held at the moment of the fork, the child configures anew, records and ends."""
    stop = threading.Event()

    def busy() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with agentlog.task(f"busy {number}", task_id=f"busy-{number % 5}"):
                pass
            agentlog.flush(0.1)

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = []
    for number in range(12):
        pid = os.fork()
        if pid == 0:
            with agentlog.task("own", task_id=f"own-{number}"):
                pass
            agentlog.flush()
            agentlog.shutdown()
            os._exit(7)
        children.append(pid)
    ended: dict[int, int] = {}

    def all_ended() -> bool:
        for pid in children:
            if pid not in ended and (found := os.waitpid(pid, os.WNOHANG))[0]:
                ended[pid] = os.waitstatus_to_exitcode(found[1])
        return len(ended) == len(children)

    try:
        wait_until(all_ended, "every child to end", timeout_s=40)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(ended.values()) == {7}
    for number in range(12):
        assert (find_task(tasks_root, f"own-{number}").final_result() or {})["success"] is True

"""The disk does not take it: the program notices nothing, what is lost is counted, and all is well again soon after the fault."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.record.recorder import recorder
from otel_agentlog.store.folder import handle as opening
from otel_agentlog.store.folder import recent
from otel_agentlog.store.folder.reader import TaskReader, find_task
from otel_agentlog.store.validation.validate import validate
from tests.support.waiting import wait_until

RECOVERS_WITHIN_S = 5.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look every time whether the files are still there, which a program does ten times a second."""
    monkeypatch.setattr(recent, "CHECK_INTERVAL_S", 0.0)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """A switch: no file below the tasks takes a byte, or all do. `RLIMIT_FSIZE` would need a process of its own for each case."""
    real, full = os.write, False

    def write(fd: int, data: Any) -> int:
        if full and ".json" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data)

    def switch(on: bool) -> None:
        nonlocal full
        full = on

    monkeypatch.setattr(os, "write", write)
    yield switch
    switch(False)


def _outputs(root: Path, task_id: str = "t") -> list[str]:
    return [line["content"] for line in find_task(root, task_id).events() if line["type"] == "output"]


def _metadata(root: Path, task_id: str = "t") -> dict[str, Any]:
    return find_task(root, task_id).metadata() or {}


def test_lines_lost_to_a_full_disk_are_counted_once_there_is_space(tasks_root: Path, full_disk: Callable[[bool], None]) -> None:
    """Nothing reaches the program; lost lines are gaps in the numbers and ``dropped`` in the receipt; later lines are whole."""
    with agentlog.task("t", task_id="t") as task:
        task.output("before")
        full_disk(True)
        for _ in range(3):
            task.output("lost")
        full_disk(False)
        task.output("after")

    assert _outputs(tasks_root) == ["before", "after"]
    delivery = _metadata(tasks_root)["delivery"]
    assert delivery["dropped"] == 3
    assert delivery["recorded"] == delivery["delivered"] + delivery["pending"] + delivery["dropped"]
    assert recorder().failures["folder"] == 3
    (gap,) = [found for found in validate(tasks_root / "t").problems if "missing" in found.found]
    assert gap.severity == "warning"
    assert "3 to 5 missing" in gap.found


def test_whole_files_are_written_as_soon_as_there_is_space(tasks_root: Path, full_disk: Callable[[bool], None]) -> None:
    """A task that began and ended while the disk was full has its result and its metadata within seconds."""
    full_disk(True)
    with agentlog.task("t", task_id="t", input="question") as task:
        task.result = "answer"
    assert not (tasks_root / "t" / "04-final-result.json").exists()
    full_disk(False)

    def is_complete() -> bool:
        return (tasks_root / "t" / "metadata.json").exists() and _metadata(tasks_root)["status"] == "completed"

    wait_until(is_complete, "the whole files", timeout_s=RECOVERS_WITHIN_S)
    reader = find_task(tasks_root, "t")
    assert (reader.final_result() or {})["result"] == "answer"
    assert (reader.input() or {})["input"] == "question"
    # The task's span; its start line completes no item.
    assert _metadata(tasks_root)["delivery"]["dropped"] == 1


def test_whole_files_are_written_at_the_end_of_the_process(tasks_root: Path, full_disk: Callable[[bool], None]) -> None:
    """What could not be written before is tried once more by shutdown()."""
    full_disk(True)
    with agentlog.task("t", task_id="t"):
        pass
    full_disk(False)
    agentlog.shutdown()

    assert _metadata(tasks_root)["status"] == "completed"


def _remove(root: Path) -> None:
    shutil.rmtree(root)


def _replace_by_file(root: Path) -> None:
    root.rename(root.with_name("moved"))
    root.write_text("in the way")


def _replace_by_symlink(root: Path) -> None:
    root.rename(root.with_name("moved"))
    root.symlink_to(root.parent / "outside")


def _put_back(root: Path) -> None:
    if root.is_symlink() or root.is_file():
        root.unlink()
    if not root.exists() and root.with_name("moved").exists():
        root.with_name("moved").rename(root)


@pytest.mark.parametrize("fault", [_remove, _replace_by_file, _replace_by_symlink])
def test_a_root_that_is_taken_away_and_comes_back(fault: Callable[[Path], None], tasks_root: Path) -> None:
    """New tasks are lost meanwhile, or made in the root that is made anew, and nothing is ever written elsewhere."""
    outside = tasks_root.parent / "outside"
    outside.mkdir()
    with agentlog.task("before", task_id="before"):
        pass
    fault(tasks_root)
    with agentlog.task("meanwhile", task_id="meanwhile") as task:
        task.output("somewhere or nowhere")
    _put_back(tasks_root)

    numbers = iter(range(100_000))

    def is_back() -> bool:
        with agentlog.task("after", task_id=f"after-{next(numbers)}") as later:
            later.output("after")
            folder = later.folder
        return folder is not None and (folder / "04-final-result.json").exists()

    wait_until(is_back, "tasks to be kept again", timeout_s=RECOVERS_WITHIN_S)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("what", ["deleted", "moved", "a file", "a symlink"])
def test_a_folder_that_is_taken_away_from_a_running_task(what: str, tasks_root: Path) -> None:
    """Deleted, it is made anew, with all that is known of the task; moved, the lines go along; nothing is followed."""
    outside = tasks_root.parent / "outside"
    outside.mkdir()
    folder = tasks_root / "t"
    with agentlog.task("t", task_id="t", agent="brain") as task:
        task.output("one")
        if what == "moved":
            folder.rename(tasks_root / "elsewhere")
        else:
            shutil.rmtree(folder)
        if what == "a file":
            folder.write_text("in the way")
        elif what == "a symlink":
            folder.symlink_to(outside)
        task.output("two")
        if what in ("a file", "a symlink"):
            folder.unlink()
            wait_until(lambda: task.output("again") or folder.exists(), "the folder", timeout_s=RECOVERS_WITHIN_S)
        task.output("three")

    assert list(outside.iterdir()) == []
    if what == "moved":
        assert [line["content"] for line in TaskReader(tasks_root / "elsewhere").events() if line["type"] == "output"] == [
            *("one", "two", "three")
        ]
        return
    assert _outputs(tasks_root)[-1] == "three"
    metadata = _metadata(tasks_root)
    assert (metadata["status"], metadata["assigned_agent"], metadata["task_id"]) == ("completed", "brain", "t")


def test_metadata_that_was_damaged_below_us_is_whole_after_the_next_change(tasks_root: Path) -> None:
    """What this process knows of the task takes the place of what is gone."""
    with agentlog.task("t", task_id="t", agent="brain", tags=["x"]) as task:
        (tasks_root / "t" / "metadata.json").write_bytes(b'{"task_id":"t","na')
        task.pause()
        task.resume()

    metadata = _metadata(tasks_root)
    assert (metadata["assigned_agent"], metadata["tags"], metadata["name"]) == ("brain", ["x"], "t")
    assert not validate(tasks_root / "t").problems


def test_a_descriptor_that_somebody_else_closed_is_not_written_to(tasks_root: Path, tmp_path: Path) -> None:
    """Code that closes whatever is open: its own files stay clean, ours are opened again."""
    with agentlog.task("t", task_id="t") as task:
        task.output("one")
        ours = [int(fd) for fd in os.listdir("/proc/self/fd") if _leads_to(int(fd), tasks_root)]
        for fd in ours:
            os.close(fd)
        theirs: list[int] = []
        # There may be free numbers between them.
        while not set(ours) <= set(theirs):
            theirs.append(os.open(tmp_path / f"theirs-{len(theirs)}", os.O_RDWR | os.O_CREAT))
        task.output("two")

    for number, fd in enumerate(theirs):
        os.close(fd)
        assert (tmp_path / f"theirs-{number}").read_bytes() == b""
    assert _outputs(tasks_root) == ["one", "two"]
    assert _metadata(tasks_root)["status"] == "completed"


def _leads_to(fd: int, place: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith(str(place))
    except OSError:
        return False


def test_no_descriptor_left_at_all(tasks_root: Path) -> None:
    """While the program holds every descriptor there is, tasks that are open go on; afterwards new ones are kept again."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with agentlog.task("t", task_id="t") as task:
        task.output("one")
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
        held = []
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        try:
            task.output("two")
            with agentlog.task("other", task_id="other") as other:
                other.output("lost")
        finally:
            for fd in held:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        wait_until(lambda: task.output("later") or "later" in _outputs(tasks_root), "lines", timeout_s=RECOVERS_WITHIN_S)

    assert _outputs(tasks_root)[0] == "one"
    assert _metadata(tasks_root)["status"] == "completed"
    assert not [
        found for found in validate(tasks_root / "t").problems if found.severity == "error" and "missing" not in found.found
    ]


FIRST_CALLS = {
    "task": "with agentlog.task('t', input={'a': {1}}) as task:\n task.output('x')\n task.checkpoint()\n task.result = 1",
    "carrier": "with agentlog.task('t') as task:\n carrier = task.carrier()\nagentlog.task(resume=carrier).start().end()",
    "failure": "try:\n with agentlog.step('s'): raise ValueError('wrong')\nexcept ValueError: log.exception('failed')",
    "ai_call": "with agentlog.ai_call('claude-opus-4-5', provider='anthropic', messages='hi') as call: call.record(ANSWER)",
    "stream": "with agentlog.ai_call('gpt-4o', provider='openai') as call: list(call.stream([{'choices': []}]))",
    "tool": "agentlog.tool('repeat')(lambda text: text * 3_000_000)('a')",
    "generator": "list(agentlog.step('numbers')(lambda: (yield 1))())",
    "webhook": "with agentlog.webhook('github', 'push', {'a': 1}) as hook: hook.stage('validation', status='passed')",
    "secret": "log.info('password=hunter2 AKIAIOSFODNN7EXAMPLE')\nlogging.getLogger('x').error('%s', object())",
    "flush": "with agentlog.bind(correlation_id='x'): agentlog.current_task()\nagentlog.flush(0.5)",
}


@pytest.mark.parametrize("name", FIRST_CALLS)
def test_the_first_call_may_come_when_no_file_can_be_opened(name: str, tmp_path: Path) -> None:
    """What it imports, on threads too, raises and prints nothing; its names were looked up before."""
    program = (
        "import logging, os, resource, sys, otel_agentlog as agentlog\n"
        "ANSWER = {'model': 'claude-opus-4-5', 'usage': {'input_tokens': 1, 'output_tokens': 2}, 'content': []}\n"
        "agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1], console='off')\n"
        "log, task = agentlog.get_logger('first'), agentlog.task\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))\n"
        "try:\n"
        "    while True: os.open('/dev/null', os.O_RDONLY)\n"
        "except OSError: pass\n"
        f"{FIRST_CALLS[name]}\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_that_lasts_costs_one_warning_a_minute(tasks_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A thousand lost lines: one warning, without any of the values, and few system calls."""
    tasks_root.parent.mkdir(exist_ok=True)
    tasks_root.write_text("in the way")
    with agentlog.task("t", task_id="t") as task:
        for _ in range(1000):
            task.output("precious content")

    said = [record.getMessage() for record in caplog.records if record.name == "otel_agentlog"]
    assert len(said) == 1
    assert "precious" not in said[0]
    assert recorder().failures["folder"] >= 1000


def test_a_folder_that_cannot_be_opened_is_left_alone_for_a_moment(tasks_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few failures in a row lines are given up without a system call, for a second at most."""
    tasks_root.parent.mkdir(exist_ok=True)
    tasks_root.write_text("in the way")
    tried: list[Path] = []
    real = opening.open_root

    def counted(root: Path) -> Any:
        tried.append(root)
        return real(root)

    monkeypatch.setattr(opening, "open_root", counted)
    with agentlog.task("t", task_id="t") as task:
        for _ in range(1000):
            task.output("x")

    assert len(tried) < 200


def test_a_read_only_file_system(tmp_path: Path) -> None:
    """A root below which nothing may be made: the program's result and exit code are its own."""
    program = (
        "import sys, otel_agentlog as agentlog\n"
        "agentlog.configure(directory='/proc/sys/tasks', log_directory=sys.argv[1], console='off')\n"
        "with agentlog.task('t') as task, agentlog.step('s'):\n"
        "    task.output('x')\n"
        "receipt = agentlog.flush()\n"
        "sys.exit(42 if receipt.dropped > 0 else 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 42, done.stderr
    assert "Traceback" not in done.stderr

"""Asking something of a task, and reading what was asked: by its owner alone, each request once, whatever stands in the file."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
import otel_agentlog._platform as system
from otel_agentlog.errors import ConfigurationError, LayoutError, StateError, TaskNotFoundError
from otel_agentlog.store.control import MAX_TEXT_BYTES, READ_BYTES, ControlFile, ask
from otel_agentlog.store.folder.layout import CONTROL
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.envelope import TaskRef


@pytest.fixture
def task(tasks_root: Path) -> agentlog.Task:
    """A task that runs in this process."""
    return agentlog.task("job", task_id="t").start()


def folder_of(task: agentlog.Task) -> Path:
    assert task.folder is not None
    return task.folder


def file_of(task: agentlog.Task) -> ControlFile:
    assert task.task is not None
    return ControlFile(task.task)


def whats(file: ControlFile) -> list[str]:
    """What is asked now and was not before."""
    return [asked.request for asked in file.new().requests] if file.changed() else []


# -- asking -------------------------------------------------------------------------------------------------------------------


def test_a_request_is_a_line(task: agentlog.Task) -> None:
    """Every key of the format stands there, and validation is content."""
    asked = ask(folder_of(task), "context", text="mind the ☃", reason="why", source="cli", requested_by="ann")

    (line,) = TaskReader(folder_of(task)).control()
    assert line == {
        "timestamp": asked.request.timestamp,
        "request": "context",
        "request_id": asked.request.request_id,
        "task_id": "t",
        "source": "cli",
        "requested_by": "ann",
        "text": "mind the ☃",
        "reason": "why",
    }
    assert (asked.status, asked.at_work) == ("running", True)
    assert stat.S_IMODE((folder_of(task) / CONTROL).stat().st_mode) == 0o600
    task.end()
    assert [str(problem) for problem in validate(folder_of(task)).problems] == []


def test_a_cancel_may_end_tools(task: agentlog.Task) -> None:
    """``terminate_tools`` stands in a cancel, and in nothing else."""
    ask(folder_of(task), "pause", terminate_tools=True)
    ask(folder_of(task), "cancel", terminate_tools=True)

    assert [line.get("terminate_tools") for line in TaskReader(folder_of(task)).control()] == [None, True]
    assert [asked.terminate_tools for asked in file_of(task).new().requests] == [False, True]


@pytest.mark.parametrize(
    ("what", "text", "reason"),
    [
        ("stop", "", None),
        ("context", "", None),
        ("context", " \n", None),
        ("pause", "text", None),
        ("context", "x" * (MAX_TEXT_BYTES + 1), None),
        ("context", "☃" * (MAX_TEXT_BYTES // 3 + 1), None),
        ("pause", "", "x" * 1001),
    ],
)
def test_what_is_no_request_is_refused(what: str, text: str, reason: str | None, task: agentlog.Task) -> None:
    """Nothing is written, and the error says what was expected."""
    with pytest.raises(ConfigurationError, match="expected"):
        ask(folder_of(task), what, text=text, reason=reason)
    assert not (folder_of(task) / CONTROL).exists()


def test_the_longest_text_goes_through(task: agentlog.Task) -> None:
    """64 KiB of anything, control characters and lone surrogates too, come out at the other end."""
    text = "\x01" * (MAX_TEXT_BYTES - 5) + "\udcff☃"[1:] + "a"
    ask(folder_of(task), "context", text=text)
    ask(folder_of(task), "context", text="\ud800 alone")

    first, second = file_of(task).new().requests
    assert first.text == text
    assert second.text.endswith(" alone")


def test_a_task_that_has_ended_takes_no_requests(task: agentlog.Task) -> None:
    """The error names the outcome."""
    task.end("failed")

    with pytest.raises(StateError, match=r"has ended \(failed\)"):
        ask(folder_of(task), "pause")


def test_a_session_of_another_program_takes_no_requests(tasks_root: Path) -> None:
    """It is followed by an import; a task of ours with the same source takes them."""
    followed = agentlog.task("theirs", source="import", agent_type="claude").start()
    ours = agentlog.task("ours", source="import").start()

    with pytest.raises(StateError, match="its agent takes no requests"):
        ask(folder_of(followed), "pause")
    assert not (folder_of(followed) / CONTROL).exists()
    assert ask(folder_of(ours), "pause").at_work


def test_where_no_task_is_nothing_is_asked(tmp_path: Path) -> None:
    """A folder that is not there, and one that is no task's."""
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(TaskNotFoundError):
            ask(folder, "pause")
    assert not (tmp_path / CONTROL).exists()


def test_a_pending_task_keeps_requests_for_whoever_takes_it_up(tasks_root: Path) -> None:
    """They are met at its first checkpoint, in the order they were made."""
    with agentlog.webhook("slack", "message") as hook:
        hook.create_task("job", task_id="t")
        carrier = hook.push()
    asked = ask(tasks_root / "t", "context", text="before you begin")

    with agentlog.task(resume=carrier) as task:
        assert task.new_context() == ["before you begin"]
    assert asked.status == "pending"


def test_a_task_whose_process_is_gone_says_so(tmp_path: Path) -> None:
    """A running one refuses, a paused one queues and tells that nobody is there."""
    program = (
        "import os, sys, otel_agentlog as agentlog\n"
        "agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off')\n"
        "task = agentlog.task('a', task_id='running').start()\n"
        "agentlog.task('b', task_id='paused').start().pause()\n"
        "os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "tasks")], check=False, timeout=60)

    with pytest.raises(StateError, match="its process is gone"):
        ask(tmp_path / "tasks" / "running", "pause")
    queued = ask(tmp_path / "tasks" / "paused", "resume")
    assert (queued.status, queued.at_work) == ("paused", False)


# -- whose files --------------------------------------------------------------------------------------------------------------


def _link(folder: Path) -> None:
    (folder.parent / "elsewhere").write_bytes(b"")
    (folder / CONTROL).symlink_to(folder.parent / "elsewhere")


def _hard_link(folder: Path) -> None:
    (folder.parent / "elsewhere").write_bytes(b"")
    os.link(folder.parent / "elsewhere", folder / CONTROL)


def _writable_by_others(folder: Path) -> None:
    (folder / CONTROL).touch()
    (folder / CONTROL).chmod(0o622)


def _folder_writable_by_others(folder: Path) -> None:
    folder.chmod(0o777)


PLANTED = {
    "link": _link,
    "hard link": _hard_link,
    "fifo": lambda folder: os.mkfifo(folder / CONTROL),
    "directory": lambda folder: (folder / CONTROL).mkdir(),
    "writable by others": _writable_by_others,
    "folder writable by others": _folder_writable_by_others,
}


@pytest.mark.parametrize("kind", PLANTED)
def test_nothing_planted_is_written_to_or_obeyed(kind: str, task: agentlog.Task) -> None:
    """A link, a FIFO, a file or folder others can write: asking fails with a reason, reading gives nothing and says why."""
    folder = folder_of(task)
    PLANTED[kind](folder)

    with pytest.raises((LayoutError, OSError)):
        ask(folder, "cancel")
    file = file_of(task)
    if kind == "folder writable by others":
        (folder / CONTROL).write_text('{"timestamp":"2026-11-21T05:22:03.699325974Z","request":"cancel","request_id":"x"}\n')
    assert file.changed()
    found = file.new()
    assert found.requests == []
    assert len(found.refused) == 1
    assert not file.changed()


def test_a_folder_that_is_a_link_is_refused(task: agentlog.Task, tmp_path: Path) -> None:
    """The folder itself must be a folder."""
    (tmp_path / "link").symlink_to(folder_of(task))
    with pytest.raises(LayoutError):
        ask(tmp_path / "link", "pause")


def test_folders_and_files_of_other_users_are_refused(task: agentlog.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody else owns is neither written to nor obeyed."""
    ask(folder_of(task), "cancel")
    user = os.geteuid()
    monkeypatch.setattr(system, "user_id", lambda: user + 1)

    found = file_of(task).new()
    with pytest.raises(LayoutError, match=f"one of user {user}"):
        ask(folder_of(task), "pause")
    monkeypatch.undo()
    assert (found.requests, len(found.refused)) == ([], 1)


# -- reading ------------------------------------------------------------------------------------------------------------------


def line(what: str, request_id: str | None = None, **more: object) -> bytes:
    """A request as it stands in the file."""
    keys: dict[str, object] = {"timestamp": "2026-11-21T05:22:03.699325974Z", "request": what}
    return json.dumps({**keys, **({"request_id": request_id} if request_id else {}), **more}).encode() + b"\n"


def append(task: agentlog.Task, data: bytes) -> None:
    path = folder_of(task) / CONTROL
    with path.open("ab") as file:
        file.write(data)
    path.chmod(0o600)


def test_each_request_is_read_once_as_it_comes(task: agentlog.Task) -> None:
    """Between requests nothing has changed; a line that is not whole yet waits."""
    file = file_of(task)
    assert not file.changed()
    append(task, line("pause", "1"))
    assert whats(file) == ["pause"]
    assert not file.changed()
    whole = line("resume", "2")
    append(task, whole[:20])
    assert whats(file) == []
    append(task, whole[20:] + line("cancel", "3"))
    assert whats(file) == ["resume", "cancel"]


def test_a_request_that_stands_there_twice_is_one(task: agentlog.Task) -> None:
    """By its id; one written by hand, without an id, by what it says."""
    file = file_of(task)
    append(task, line("pause", "1") + line("pause", "1") + line("resume") + line("resume"))

    assert whats(file) == ["pause", "resume"]


def test_garbage_between_requests_is_skipped_and_told(task: agentlog.Task) -> None:
    """Torn lines, other JSON, unknown words and texts that are too long cost nothing but themselves."""
    file = file_of(task)
    too_long = line("context", "9", text="x" * (MAX_TEXT_BYTES + 1))
    append(
        task, b'{"timestamp":"20\n[1]\n\0\0\n' + line("stop") + line("context") + too_long + line("pause", "1") + b"\xff\xfe\n"
    )

    found = file.new()
    assert [asked.request for asked in found.requests] == ["pause"]
    assert len(found.refused) >= 5


def test_a_line_without_end_is_passed_over(task: agentlog.Task) -> None:
    """Megabytes without a newline do not keep what comes behind them from being read."""
    file = file_of(task)
    append(task, line("pause", "1") + b"x" * (3 * READ_BYTES) + b"\n" + line("resume", "2"))

    seen: list[str] = []
    while file.changed():
        seen += [asked.request for asked in file.new().requests]
    assert seen == ["pause", "resume"]


def test_a_file_made_anew_is_read_from_its_beginning(task: agentlog.Task) -> None:
    """Emptied or replaced: what is new in it counts, what was met before does not."""
    file = file_of(task)
    append(task, line("pause", "1") + line("resume", "2"))
    assert whats(file) == ["pause", "resume"]
    (folder_of(task) / CONTROL).unlink()
    append(task, line("resume", "2") + line("cancel", "3"))

    assert whats(file) == ["cancel"]


def test_what_was_compressed_is_read_too(task: agentlog.Task) -> None:
    """An old task that goes on: the compressed requests come first, those that stand there twice once."""
    import gzip

    folder = folder_of(task)
    (folder / f"{CONTROL}.gz").write_bytes(gzip.compress(line("pause", "1") + line("resume", "2")))
    (folder / f"{CONTROL}.gz").chmod(0o600)
    file = file_of(task)
    assert whats(file) == ["pause", "resume"]
    append(task, line("resume", "2") + line("cancel", "3"))

    assert whats(file) == ["cancel"]


def test_before_the_folder_is_made_nothing_is_asked(tmp_path: Path) -> None:
    """A control.jsonl in the root itself is nobody's."""
    sink = FolderSink(tmp_path, lambda: {"type": "process"})
    ref = TaskRef("t", {})
    sink.folder(ref)
    (tmp_path / CONTROL).write_bytes(line("cancel", "1"))

    assert not ControlFile(ref).changed()
    assert ControlFile(ref).new().requests == []


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(st.just(None), st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"") + b"\n")), max_size=12
    ),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
)
def test_no_bytes_around_them_hide_a_request(
    pieces: list[bytes | None], cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever lines stand between, in whatever pieces they come: every whole request is read once, in order."""
    root = tmp_path_factory.mktemp("control")
    ref = TaskRef("t", {"task_id": "t"})
    folder = FolderSink(root, lambda: {"type": "process"}).folder(ref)
    folder.write_metadata(status="running")
    data, wanted = b"", []
    for number, piece in enumerate(pieces):
        data += line("pause", str(number)) if piece is None else piece
        wanted += [str(number)] if piece is None else []
    file, seen = ControlFile(ref), []
    path = folder.path / CONTROL
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    for begin, end in zip([0, *ends], ends, strict=False):
        with path.open("ab") as out:
            out.write(data[begin:end])
        path.chmod(0o600)
        seen += [asked.request_id for asked in file.new().requests if asked.request == "pause"]
    assert seen == wanted

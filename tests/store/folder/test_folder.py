"""The write side of a task folder: what lands where, with which modes, and what it refuses to follow."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader, find_task, list_tasks
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef


def _sink(root: Path) -> FolderSink:
    return FolderSink(
        root, lambda: {"type": "process", "level": "INFO", "pid": os.getpid(), "resource": {}, "content_policy": "off"}
    )


def _envelope(task: TaskRef, **keys: Any) -> Envelope:
    line = {"timestamp": "2026-11-21T05:22:01.123456789Z", "type": "event", "level": "INFO", **keys}
    return Envelope(line, task, 1_795_238_521_123_456_789)


def test_a_finished_task_has_its_files_and_is_valid(tasks_root: Path) -> None:
    """Five files after a webhook task, four without a webhook; validate finds nothing."""
    with agentlog.webhook("github", "push") as hook:
        hook.create_task("job", input={"a": 1}, agent="brain")
        carrier = hook.push()
    with agentlog.task(resume=carrier) as task:
        task.result = {"ok": True}

    folder = find_task(tasks_root, task.task_id).folder
    names = ["01-input.json", "02-webhook-flow.jsonl", "03-agent-output.jsonl", "04-final-result.json", "metadata.json"]
    assert sorted(os.listdir(folder)) == names
    report = validate(folder)
    assert [str(problem) for problem in report.problems] == []


def test_bytes_are_as_the_format_says(tasks_root: Path) -> None:
    """Compact JSON, timestamp first, one newline at the end of every line, UTF-8 as it is."""
    with agentlog.task("jöb", task_id="t") as task:
        task.output("zwei\nZeilen ☃")

    for name in ("03-agent-output.jsonl", "metadata.json", "04-final-result.json", "01-input.json"):
        data = (tasks_root / "t" / name).read_bytes()
        assert data.endswith(b"\n")
        for line in data.splitlines():
            assert json.dumps(json.loads(line), ensure_ascii=False, separators=(",", ":")).encode() == line
            if name.endswith(".jsonl"):
                assert line.startswith(b'{"timestamp":"')
    assert "jöb".encode() in (tasks_root / "t" / "metadata.json").read_bytes()
    assert b'"success":true' in (tasks_root / "t" / "04-final-result.json").read_bytes()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_modes_do_not_depend_on_the_umask(umask: int, tasks_root: Path) -> None:
    """Folders are 0700 and files 0600 whatever the umask."""
    before = os.umask(umask)
    try:
        with agentlog.task("t", task_id="t") as task:
            task.output("x" * 300_000)
    finally:
        os.umask(before)

    for path in [tasks_root / "t", *(tasks_root / "t").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_metadata_follows_the_task_while_it_runs(tasks_root: Path) -> None:
    """pending, running, paused and the outcome can be read from outside at every moment."""

    def status() -> str:
        return str((find_task(tasks_root, "t").metadata() or {})["status"])

    with agentlog.webhook("slack", "message") as hook:
        hook.create_task("job", task_id="t")
        assert status() == "pending"
        carrier = hook.push()
    with agentlog.task(resume=carrier) as task:
        assert status() == "running"
        task.pause("waiting for approval")
        assert status() == "paused"
        task.resume()
        assert status() == "running"
    assert status() == "completed"


def test_lines_are_on_disk_when_the_call_returns(tasks_root: Path) -> None:
    """Another process reads each line right after the call that recorded it."""
    with agentlog.task("t", task_id="t") as task:
        for number in range(20):
            task.output(f"piece {number}")
            text = (tasks_root / "t" / "03-agent-output.jsonl").read_text()
            assert text.endswith("\n")
            assert f'"content":"piece {number}"' in text.splitlines()[-1]


def test_large_payloads_go_whole_to_artifacts(tasks_root: Path) -> None:
    """A line that would be too long refers to the payload by hash and size; the bytes are all there."""
    text = "äbc" * 200_000
    with agentlog.task("t", task_id="t") as task:
        task.output(text)

    (line,) = [line for line in find_task(tasks_root, "t").events() if line["type"] == "output"]
    artifact = line["content"]["$artifact"]
    data = (tasks_root / "t" / "artifacts" / artifact["sha256"]).read_bytes()
    assert data.decode() == text
    assert artifact["sha256"] == hashlib.sha256(data).hexdigest()
    assert artifact["size_bytes"] == len(data)
    assert text.startswith(artifact["preview"])
    assert not validate(tasks_root / "t").problems


@pytest.mark.parametrize(
    "task_id", ["../escape", "/abs", "a/../../x", "..", ".", "", "a\x00b", "é" * 200, "con", "metadata.json", "-rf", "a\nb"]
)
def test_hostile_ids_stay_in_the_root_and_keep_their_name(task_id: str, tasks_root: Path) -> None:
    """Whatever the id, the folder is a direct child of the root; metadata.json keeps the id."""
    with agentlog.task("t", task_id=task_id) as task:
        pass

    (folder,) = [entry for entry in tasks_root.iterdir() if entry.is_dir()]
    assert sorted(os.listdir(tasks_root.parent)) in (["tasks"], ["logs", "tasks"])
    assert (TaskReader(folder).metadata() or {})["task_id"] == task.task_id
    if task_id:
        assert task.task_id == task_id
        assert find_task(tasks_root, task_id).folder == folder


def test_a_folder_of_another_task_is_never_written_to(tmp_path: Path) -> None:
    """A folder whose metadata names another id gets a neighbour with a suffix."""
    other = tmp_path / "t"
    other.mkdir(mode=0o700)
    (other / "metadata.json").write_text('{"task_id":"T"}')
    task = TaskRef("t", {"task_id": "t"})

    _sink(tmp_path)(_envelope(task))

    assert os.listdir(other) == ["metadata.json"]
    assert len(list(tmp_path.iterdir())) == 2
    assert find_task(tmp_path, "t").folder != other


@pytest.mark.parametrize("planted", ["folder symlink", "file symlink", "fifo", "hard link", "directory"])
def test_planted_entries_are_not_followed(planted: str, tmp_path: Path) -> None:
    """Symlinks, FIFOs, hard links and directories in our place raise an OSError and touch nothing outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    victim = outside / "victim"
    victim.write_text("precious\n")
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    lines = root / "t" / "03-agent-output.jsonl"
    if planted == "folder symlink":
        (root / "t").symlink_to(outside)
    else:
        (root / "t").mkdir(mode=0o700)
        {
            "file symlink": lambda: lines.symlink_to(victim),
            "fifo": lambda: os.mkfifo(lines),
            "hard link": lambda: os.link(victim, lines),
            "directory": lines.mkdir,
        }[planted]()

    with pytest.raises(OSError):
        _sink(root)(_envelope(TaskRef("t", {"task_id": "t"})))

    assert victim.read_text() == "precious\n"
    assert os.listdir(outside) == ["victim"]


def test_a_torn_last_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    """A writer that finds half a line begins on a fresh one."""
    folder = tmp_path / "t"
    folder.mkdir(mode=0o700)
    (folder / "03-agent-output.jsonl").write_bytes(b'{"timestamp":"2026-11-21T05:22:01.123456789Z","type":"out')

    _sink(tmp_path)(_envelope(TaskRef("t", {"task_id": "t"}), message="after"))

    reader = TaskReader(folder)
    assert [line.get("message") for line in reader.events()][-1] == "after"
    assert reader.bad_lines == 1


def test_a_folder_that_vanishes_is_made_again(tasks_root: Path) -> None:
    """Deleted below a running task, the folder is back with the next lines, and the user's code notices nothing."""
    import shutil

    with agentlog.task("t", task_id="t") as task:
        task.output("one")
        shutil.rmtree(tasks_root / "t")
        task.output("two")

    reader = find_task(tasks_root, "t")
    assert [line["content"] for line in reader.events() if line["type"] == "output"] == ["one", "two"]
    assert (reader.metadata() or {})["status"] == "completed"


def _write_from_another_process(root: Path, number: int) -> None:
    sink, task = _sink(root), TaskRef("t", {"task_id": "t"}, owner=False)
    for count in range(200):
        sink(_envelope(task, message=f"{number}-{count}"))


def test_several_processes_append_to_one_folder(tmp_path: Path) -> None:
    """Four processes write at once: every line is whole and each writer's numbers have no gap."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_from_another_process, args=(tmp_path, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    reader = TaskReader(tmp_path / "t")
    lines = list(reader.events())
    assert reader.bad_lines == 0
    assert {line["message"] for line in lines if "message" in line} == {f"{n}-{c}" for n in range(4) for c in range(200)}
    for tag in {line["event_id"].rsplit("-", 1)[0] for line in lines}:
        numbers = sorted(int(line["event_id"].rsplit("-", 1)[1]) for line in lines if line["event_id"].startswith(tag))
        assert numbers == list(range(201))


def test_a_second_process_at_work_counts_in_the_final_result(tasks_root: Path) -> None:
    """A child that resumes a running task writes into the same folder; the owner's result counts its work."""
    child = (
        "import json, os, sys, otel_agentlog as agentlog\n"
        "agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off')\n"
        "with agentlog.task(resume=os.environ) as task:\n"
        "    with agentlog.step('child step'), agentlog.ai_call('m', provider='openai') as call:\n"
        "        call.usage(input_tokens=5, output_tokens=7)\n"
    )
    with agentlog.task("t", task_id="t") as task, agentlog.step("parent step"):
        subprocess.run([sys.executable, "-c", child, str(tasks_root)], env={**os.environ, **task.environ()}, check=True)

    reader = find_task(tasks_root, "t")
    metrics = (reader.final_result() or {})["metrics"]
    assert (metrics["input_tokens"], metrics["output_tokens"], metrics["ai_calls"], metrics["steps"]) == (5, 7, 1, 2)
    lines = list(reader.events())
    assert len({line["pid"] for line in lines if line["type"] == "process"}) == 2
    assert len([line for line in lines if line["type"] == "task" and line["phase"] == "end"]) == 1
    assert len({line["trace_id"] for line in lines if "trace_id" in line}) == 1
    assert not validate(reader.folder).problems


def test_a_full_disk_costs_lines_not_the_agent(tmp_path: Path) -> None:
    """A write that fails raises in the sink, is counted by the recorder, and the next line stands on its own."""
    root = tmp_path / "tasks"
    sink, task = _sink(root), TaskRef("t", {"task_id": "t"})
    sink(_envelope(task, message="before"))
    folder = sink.folder(task)
    real = os.write

    def full(fd: int, data: bytes) -> int:
        real(fd, bytes(data)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    os.write = full  # type: ignore[assignment]  # the one fault that cannot be made for real without mounting a file system
    try:
        with pytest.raises(OSError, match="No space"):
            sink(_envelope(task, message="lost"))
    finally:
        os.write = real
    sink(_envelope(task, message="after"))

    reader = TaskReader(folder.path)
    assert [line.get("message") for line in reader.events() if "message" in line] == ["before", "after"]
    assert reader.bad_lines == 1


def test_threads_give_out_numbers_without_gaps(tmp_path: Path) -> None:
    """Eight threads on one task: no number is missing and none is given twice."""
    sink, task = _sink(tmp_path), TaskRef("t", {"task_id": "t"})

    def work() -> None:
        for _ in range(300):
            sink(_envelope(task))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    numbers = sorted(int(line["event_id"].rsplit("-", 1)[1]) for line in TaskReader(tmp_path / "t").events())
    assert numbers == list(range(8 * 300 + 1))


def test_a_thousand_open_tasks_need_no_thousand_descriptors(tmp_path: Path) -> None:
    """With few descriptors allowed, many tasks at once are recorded all the same."""
    program = (
        "import resource, sys, otel_agentlog as agentlog\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off')\n"
        "tasks = [agentlog.task(f't{n}', task_id=f't{n}').start() for n in range(200)]\n"
        "for task in tasks: task.output('hello')\n"
        "for task in tasks: task.end()\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "tasks")], check=True, timeout=60)

    tasks = list(list_tasks(tmp_path / "tasks"))
    assert len(tasks) == 200
    for task in tasks:
        assert [line["content"] for line in task.events() if line["type"] == "output"] == ["hello"]
        assert (task.final_result() or {})["success"] is True


RENAMES = """
import sys
from pathlib import Path
import otel_agentlog as agentlog

agentlog.configure(directory=Path(sys.argv[1]), console="off", capture_logging=False)
sys.addaudithook(lambda event, arguments: print(arguments[1], flush=True) if event == "os.rename" else None)
with agentlog.webhook("github", "push"):
    with agentlog.task("job", task_id="t", input={"a": 1}) as task:
        print("inside", flush=True)
        task.result = "done"
    print("after", flush=True)
"""


def test_a_task_in_a_webhook_writes_its_files_once(tmp_path: Path) -> None:
    """Its folder begins with the webhook's stages, and its start line changes nothing of the whole files."""
    command = [sys.executable, "-c", RENAMES, str(tmp_path)]
    written = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()

    started = TaskReader(tmp_path / "t").metadata()["started_at"]  # type: ignore[index]
    start = next(line for line in TaskReader(tmp_path / "t").events() if (line["type"], line.get("phase")) == ("task", "start"))
    inside, after = written.index("inside"), written.index("after")
    assert written[:inside] == ["metadata.json", "01-input.json"]
    assert written[inside + 1 : after] == ["04-final-result.json", "metadata.json"]
    assert started == start["timestamp"] == json.loads((tmp_path / "t" / "01-input.json").read_bytes())["timestamp"]
    assert [str(problem) for problem in validate(tmp_path / "t").problems] == []


def test_metadata_of_any_size_is_read(tasks_root: Path) -> None:
    """Long tags, which other software may have written, stay when a task ends."""
    with agentlog.task("t", task_id="t"):
        path = tasks_root / "t" / "metadata.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"tags": ["x" * 100] * 1_000}))

    metadata = TaskReader(tasks_root / "t").metadata()
    assert metadata is not None
    assert (metadata["status"], len(metadata["tags"])) == ("completed", 1_000)

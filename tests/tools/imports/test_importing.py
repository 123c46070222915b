"""Importing: once, whole, marked, redacted, aside from others, whatever happens in between."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.query import Filter, folders
from otel_agentlog.store.folder.files import LineFile, open_directory
from otel_agentlog.store.folder.locks import lock_shared
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.spans.rebuild import rebuild
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.tools import add_note
from otel_agentlog.tools.imports.importer import TraceFile
from otel_agentlog.tools.imports.staging import Moved
from otel_agentlog.view.cli.main import main
from otel_agentlog.vocabulary.scores import latest_scores
from tests.support.memory import environment
from tests.support.waiting import wait_until
from tests.tools.imports.importing import failing_at, importer, run_import, tasks_of
from tests.tools.imports.samples import SAMPLES, Claude, attributes, chat, lines, request, said, span, uses
from tests.tools.imports.samples import TRACE as TRACE_ID

SECRET = "sk-ant-api03-" + "Ab3" * 31


def _session(tmp_path: Path, rows: list[Any], name: str = "s.jsonl") -> Path:
    file = tmp_path / name
    file.write_text(lines(rows))
    return file


def _metadata(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metadata.json").read_bytes())
    return found


def test_what_is_imported_is_redacted_dated_and_marked(tmp_path: Path) -> None:
    """Times are those of the source, nothing waits to be sent."""
    rows = (
        Claude().says(f"my key is {SECRET}").answers("a", uses("t", command=f"curl -H 'x-api-key: {SECRET}'")).result("t", SECRET)
    )
    run_import(tmp_path / "tasks", _session(tmp_path, rows.rows))

    (task,) = tasks_of(tmp_path / "tasks")
    found = _metadata(task.folder)

    assert SECRET not in "".join(path.read_text() for path in task.folder.iterdir())
    assert (found["source"], found["created_at"], found["completed_at"]) == (
        "import",
        "2026-11-02T10:00:01.000000000Z",
        "2026-11-02T10:00:03.000000000Z",
    )
    assert found["delivery"]["recorded"] == 0
    assert folders(tmp_path / "tasks", Filter()) == [task.folder]


def test_with_send_the_items_wait(tmp_path: Path) -> None:
    """They are counted, and any process that sends sends them."""
    file = _session(tmp_path, Claude().says("x").answers("a", uses("t")).result("t").rows)
    run_import(tmp_path / "tasks", file, send=True)

    (task,) = tasks_of(tmp_path / "tasks")

    assert _metadata(task.folder)["delivery"]["pending"] == 3


def test_a_session_that_grew_is_replaced_and_keeps_what_people_added(tmp_path: Path) -> None:
    """The ids stay, too; an older copy of the file changes nothing."""
    root, story = tmp_path / "tasks", Claude().says("x").answers("a", uses("t")).result("t")
    file = _session(tmp_path, story.rows)
    run_import(root, file)
    (task,) = tasks_of(root)
    spans = {line["span_id"] for line in task.events() if "span_id" in line}
    add_note(task.folder, "half of it", scores={"quality": 0.5}, by="ann")
    old = _session(tmp_path, story.rows, "copy.jsonl")
    file.write_text(lines(story.answers("b", said("done")).rows))

    report = run_import(root, file)
    older = run_import(root, old)

    (task,) = tasks_of(root)
    assert report.tasks == {Moved.REPLACED: 1}
    assert older.tasks == {Moved.OLDER: 1}
    assert "goes further" in next(iter(older.kept))
    assert spans < {line["span_id"] for line in task.events() if "span_id" in line}
    assert [(score.name, score.value) for score in latest_scores(task.events())] == [("quality", 0.5)]
    assert (task.final_result() or {})["result"] == "done"


def test_what_was_not_imported_is_never_replaced(tmp_path: Path, tasks_root: Path) -> None:
    """A task of the same id that the SDK recorded stays, and it is told."""
    import otel_agentlog as agentlog

    with agentlog.task("mine", task_id="claude-s-1"):
        pass
    agentlog.shutdown()

    report = run_import(tasks_root, _session(tmp_path, Claude().says("x").answers("a", said("y")).rows), replace=True)

    assert report.tasks == {Moved.NOT_IMPORTED: 1}
    assert [task.metadata()["name"] for task in list_tasks(tasks_root)] == ["mine"]  # type: ignore[index]  # it has one


def test_each_span_keeps_its_resource(tmp_path: Path) -> None:
    """Of a trace of two services and its log records, in one file or several; clean, and the same after an export."""
    resources = {name: {"service.name": name, "host.name": f"host-{name}"} for name in ("front", "tools", "logger")}
    resources["tools"]["password"] = "hunter2-hunter2"
    sent = [request(span(1)), request(chat(2, 1, 10, 2)), request(span(3, 1))]
    log = {"timeUnixNano": str(1_790_000_000_000_000_000), "body": {"stringValue": "said"}, "traceId": TRACE_ID}
    sent.append({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]})
    of = ("front", "tools", "tools", "logger")
    for name, row in zip(of, sent, strict=True):
        (groups,) = row.values()
        groups[0]["resource"] = {"attributes": attributes(**resources[name])}
    first, second = _session(tmp_path, sent[:2], "1.json"), _session(tmp_path, sent[2:], "2.json")
    resources["tools"]["password"] = "[redacted:password]"

    run_import(tmp_path / "tasks", first, second)

    (task,) = tasks_of(tmp_path / "tasks")
    rebuilt = rebuild(task)
    found = [{each.span_id: dict(each.resource) for each in rebuilt.spans}[f"{number:016x}"] for number in (1, 2, 3)]
    found += [dict(each.resource) for each in rebuilt.logs if each.line.get("type") == "log"]
    assert found == [resources[name] for name in of]

    exported = tmp_path / "exported.json"
    assert main(["export", str(task.folder), "--format", "otlp", "--output", str(exported)]) == 0
    run_import(tmp_path / "again", exported)

    (again,) = tasks_of(tmp_path / "again")
    spans = {each.span_id: dict(each.resource) for each in rebuild(again).spans}
    assert [spans[f"{number:016x}"] for number in (1, 2, 3)] == [resources[name] for name in of[:3]]


def test_sub_agents_are_sub_tasks_wherever_they_are(tmp_path: Path) -> None:
    """In a file of their own they are in the trace of their session, below its span."""
    files = tmp_path / "p"
    (files / "s-1" / "subagents").mkdir(parents=True)
    (files / "s-1.jsonl").write_text(lines(Claude().says("x").answers("a", said("y")).rows))
    agent = Claude(isSidechain=True, agentId="ad5").says("look").answers("z", said("seen"))
    (files / "s-1" / "subagents" / "agent-ad5.jsonl").write_text(lines(agent.rows))

    run_import(tmp_path / "tasks", files)

    by_id = {task.task_id: task for task in tasks_of(tmp_path / "tasks")}
    session, sub = _metadata(by_id["claude-s-1"].folder), _metadata(by_id["claude-s-1-agent-ad5"].folder)
    start = next(line for line in by_id["claude-s-1-agent-ad5"].events() if line.get("type") == "task")
    assert sub["parent_task_id"] == "claude-s-1"
    assert sub["trace_id"] == session["trace_id"]
    assert start["parent_span_id"] == session["traceparent"].split("-")[2]


def test_a_tool_without_a_result_is_interrupted(tmp_path: Path) -> None:
    """As far as the file goes."""
    run_import(tmp_path / "tasks", _session(tmp_path, Claude().says("x").answers("a", uses("t")).rows))

    (task,) = tasks_of(tmp_path / "tasks")
    end = next(line for line in task.events() if line.get("type") == "tool_result")
    assert (end["outcome"], end["reason"]) == ("interrupted", "no result in the file")


def test_wrong_lines_are_kept_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the file that is named, redacted, and in the task; the exit code says so."""
    file = _session(tmp_path, ["{broken", *Claude().says("x").answers("a", said("y")).rows])
    with file.open("a") as out:
        out.write(f'{{"k": "{SECRET}"')
    words = ["--root", str(tmp_path / "tasks"), "import", str(file), "--rejects", str(tmp_path / "rejects.jsonl")]

    assert main(words) == 3

    out = capsys.readouterr().out
    rejects = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert f"{file}:1: expected a JSON value" in out
    assert f"{file}:4: expected a whole JSON value: the last line is not complete" in out
    assert (rejects[0]["line"], rejects[0]["data"]) == (1, "{broken\n")
    assert SECRET not in (tmp_path / "rejects.jsonl").read_text()
    (task,) = tasks_of(tmp_path / "tasks")
    assert [line["details"]["line"] for line in task.events() if line.get("action") == "import_line_wrong"] == [4]


def test_wrong_lines_may_go_to_a_pipe_of_the_shell(tmp_path: Path) -> None:
    """``--rejects >(jq …)`` names it by a link."""
    file = _session(tmp_path, ["{broken", *Claude().says("x").answers("a", said("y")).rows])
    reader, writer = os.pipe()

    assert main(["--root", str(tmp_path / "tasks"), "import", str(file), "--rejects", f"/dev/fd/{writer}"]) == 3

    assert json.loads(os.read(reader, 1 << 16))["line"] == 1
    os.close(reader)
    os.close(writer)


def test_one_bad_file_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown, ambiguous, unreadable, a pipe, a folder's dangling link: each is told with what was expected."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.jsonl").write_text('{"what": 1}\n')
    (files / "b.jsonl").write_text("")
    (files / "c.jsonl").write_text(lines(SAMPLES["codex"]["one answer"][0]))
    (files / "d.json").write_text("[1, 2]")
    os.mkfifo(files / "e.jsonl")
    (files / "f.jsonl").symlink_to(files / "nowhere")
    (files / "g.jsonl").write_text(
        '{"role": "user", "content": "x", "sessionId": "s", "type": "user", "messages": [{"role":"user","content":"x"}]}\n'
    )

    assert main(["--root", str(tmp_path / "tasks"), "import", str(files)]) == 1

    captured = capsys.readouterr()
    assert "imported 1 task" in captured.out
    assert "a.jsonl:1: no known format, found an object with what; expected one of claude-code" in captured.err
    assert "d.json:1: no known format" in captured.err
    assert "e.jsonl: " in captured.err
    assert "expected a file" in captured.err
    assert "f.jsonl: No such file" in captured.err
    assert "g.jsonl: may be claude-code or messages; name the one that it is: --format" in captured.err
    assert "b.jsonl" not in captured.err


def test_compressed_files_are_read(tmp_path: Path) -> None:
    """And one that is cut is told."""
    text = lines(SAMPLES["claude-code"]["one answer"][0]).encode()
    (tmp_path / "s.jsonl.gz").write_bytes(gzip.compress(text))
    cut = gzip.compress(os.urandom(100_000))[:5000]
    (tmp_path / "t.jsonl.gz").write_bytes(cut)

    report = run_import(tmp_path / "tasks", tmp_path / "s.jsonl.gz", tmp_path / "t.jsonl.gz")

    assert report.tasks == {Moved.NEW: 1}
    assert len(report.problems) == 1


def test_a_full_disk_leaves_nothing_half(tmp_path: Path) -> None:
    """What cannot be written is a problem of the file, and the next import does it."""
    file, root = _session(tmp_path, Claude().says("x" * 20_000).answers("a", said("y")).rows), tmp_path / "tasks"
    program = (
        "import resource,signal,sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        "from otel_agentlog.view.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", program, "--root", str(root), "import", str(file)]

    said_ = subprocess.run(words, capture_output=True, text=True, check=False)

    assert said_.returncode == 1, said_
    assert list(list_tasks(root)) == []
    assert run_import(root, file).tasks == {Moved.NEW: 1}


def _importing(root: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "otel_agentlog", "--root", str(root), "import", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _long(tmp_path: Path, answers: int = 3000) -> Path:
    story = Claude().says("x")
    for number in range(answers):
        story.answers(f"a{number}", said("word " * 50), uses(f"t{number}"), usage=(1, 0, 0, 1)).result(f"t{number}")
    for number, row in enumerate(story.rows):
        assert isinstance(row, dict)
        row["timestamp"] = f"2026-11-02T{10 + number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z"
    return _session(tmp_path, story.rows, "long.jsonl")


def test_killed_in_the_middle_and_imported_again_it_is_complete_and_once(tmp_path: Path) -> None:
    """At several moments; what the killed ones left is gone."""
    file, root = _long(tmp_path, 1500), tmp_path / "tasks"
    for pause_s in (0.0, 0.1, 0.3):
        process = _importing(root, str(file))
        wait_until(lambda: list((root / ".imports").glob("work-*/tasks-*/*")), "the import at work", timeout_s=60)
        time.sleep(pause_s)
        process.kill()
        process.communicate()

    report = run_import(root, file, replace=True)

    (task,) = tasks_of(root)
    assert report.problems == []
    assert (task.final_result() or {})["metrics"]["ai_calls"] == 1500
    assert list((root / ".imports").glob("work-*")) == []
    assert list((root / ".imports" / "old").iterdir()) == []


def test_two_importers_at_once(tmp_path: Path) -> None:
    """On one root, of the same files: all is there, once."""
    files = tmp_path / "files"
    files.mkdir()
    for number in range(12):
        story = Claude(f"s-{number}").says("x").answers("a", uses("t"), usage=(1, 0, 0, 1)).result("t")
        (files / f"{number}.jsonl").write_text(lines(story.rows))
    root = tmp_path / "tasks"

    processes = [_importing(root, str(files)) for _ in range(2)]
    ended = [(process.communicate(timeout=120), process.returncode) for process in processes]

    assert [code for _, code in ended] == [0, 0], ended
    assert sorted(task.task_id for task in tasks_of(root)) == sorted(f"claude-s-{number}" for number in range(12))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Of a transcript and of traces: the peak of a large one is that of a small one and a bit."""
    program = (
        "import sys\nfrom otel_agentlog.view.cli.main import main\nfrom tests.support.memory import peak_kib\n"
        "code = main(sys.argv[1:])\nprint(peak_kib())"
    )
    peaks = []
    for number, size in enumerate((100, 8000)):
        folder = tmp_path / str(number)
        folder.mkdir()
        _long(folder, size)
        with open(folder / "traces.jsonl", "w") as file:
            for each in range(size):
                trace = f"{each + 1:032x}"
                file.write(
                    lines([request(chat(2, 1, 1, 1, trace=trace), span(1, trace=trace, note="y" * 2000))]) if each < 400 else ""
                )
        words = ["--root", str(folder / "tasks"), "import", str(folder)]
        command = [sys.executable, "-c", program, *words]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]))
        assert len(list(list_tasks(folder / "tasks"))) == 1 + min(size, 400)

    assert peaks[1] - peaks[0] < 20_000, peaks


# -- watching ------------------------------------------------------------------------------------------------------------------


class _Watched:
    """An import that watches a folder."""

    def __init__(self, tmp_path: Path) -> None:
        self.files, self.root = tmp_path / "watched", tmp_path / "tasks"
        self.files.mkdir()
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.process = _importing(self.root, "--watch", "--interval", "0.1", str(self.files))

    def sees(self, task_id: str, check: Any, what: str) -> None:
        def met() -> bool:
            try:
                return bool(check(TaskReader(self.root / task_id)))
            except (OSError, TypeError, KeyError):
                return False

        wait_until(met, what, timeout_s=60)

    def stop(self) -> tuple[str, str]:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        told = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, told
        return told


@pytest.fixture
def watched(tmp_path: Path) -> Any:
    """Started by the test, ended in any case."""
    found = _Watched(tmp_path)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.communicate()


def _status(task: TaskReader) -> Any:
    return (task.metadata() or {}).get("status")


def _tools(task: TaskReader) -> list[Any]:
    return [line.get("phase") for line in task.events() if line.get("content") == "Bash"]


def test_a_session_is_followed_live(watched: _Watched) -> None:
    """A tool that runs is there as one that runs; a half line waits for its end; Ctrl-C ends all of it."""
    story = Claude().says("x").answers("a", uses("t"), usage=(1, 0, 0, 1)).result("t").answers("b", said("done"))
    rows = lines(story.rows).splitlines(keepends=True)
    file = watched.files / "s.jsonl"
    file.write_text(rows[0])
    watched.start()
    watched.sees("claude-s-1", lambda task: _status(task) == "running", "the task")
    with file.open("a") as out:
        out.write(rows[1][:40])
        out.flush()
        out.write(rows[1][40:])
        out.flush()
        watched.sees("claude-s-1", lambda task: _tools(task) == ["start"], "the tool that runs")
        out.write(rows[2] + rows[3])
    watched.sees("claude-s-1", lambda task: _tools(task) == ["start", "end"], "its end")
    assert _status(TaskReader(watched.root / "claude-s-1")) == "running"

    watched.stop()

    (task,) = tasks_of(watched.root)
    final = task.final_result() or {}
    assert (_status(task), final["result"], final["metrics"]["ai_calls"]) == ("completed", "done", 2)
    assert run_import(watched.root, file).unchanged == 1


def test_a_new_file_a_cut_one_and_a_replaced_one(watched: _Watched) -> None:
    """Each is read from its start; nothing is there twice."""
    watched.start()
    first = watched.files / "1.jsonl"
    wait_until(lambda: (watched.root / ".imports").exists(), "the watch", timeout_s=60)
    first.write_text(lines(Claude("s-1").says("x").answers("a", said("y")).rows))
    watched.sees("claude-s-1", lambda task: _status(task) == "running", "the first")

    first.write_text(lines(Claude("s-2").says("z").rows))
    watched.sees("claude-s-2", lambda task: _status(task) == "running", "the one in the file that was cut")
    watched.sees("claude-s-1", lambda task: _status(task) == "completed", "the end of the first")
    new = watched.files / "new"
    new.write_text(lines(Claude("s-3").says("q").rows))
    new.rename(first)
    watched.sees("claude-s-3", lambda task: _status(task) == "running", "the one in the file that came in its place")
    first.unlink()
    watched.sees("claude-s-3", lambda task: _status(task) == "completed", "its end")

    watched.stop()

    assert {task.task_id for task in tasks_of(watched.root)} == {"claude-s-1", "claude-s-2", "claude-s-3"}


def test_traces_that_grow(watched: _Watched) -> None:
    """Each span that comes is there; a rotated file goes on in the same trace."""
    file = watched.files / "traces.json"
    file.write_text(lines([request(chat(2, 1, 10, 1))]))
    watched.start()
    trace = "trace-0af7651916cd43dd8448eb211c80319c"
    watched.sees(trace, lambda task: (task.final_result() or {})["metrics"]["ai_calls"] == 1, "the first span")
    with file.open("a") as out:
        out.write(lines([request(chat(3, 1, 10, 1))]))
    watched.sees(trace, lambda task: (task.final_result() or {})["metrics"]["ai_calls"] == 2, "the second")
    file.rename(watched.files / "traces-1.json")
    file.write_text(lines([request(span(1, took=9))]))
    watched.sees(trace, lambda task: len([line for line in task.events() if line.get("type") == "span"]) == 2, "the root")

    watched.stop()

    (task,) = tasks_of(watched.root)
    assert (task.final_result() or {})["metrics"]["input_tokens"] == 20


@pytest.mark.parametrize("at_fault", ["in use", "disk"])
def test_a_trace_that_is_recorded_again_is_recorded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_fault: str) -> None:
    """As a watch does when the file grows: somebody had the folder open, or the disk was full, when it was recorded before."""
    file, root = tmp_path / "traces.jsonl", tmp_path / "tasks"
    file.write_text(lines([request(span(1), chat(2, 1, 10, 1))]))
    made = importer(root)
    with made:
        opened = made.open(file)
        assert isinstance(opened, TraceFile)

        def grows(number: int) -> None:
            with file.open("a") as out:
                out.write(lines([request(chat(number, 1, 10, 1))]))
            opened.rows.has_grown()
            made.spool(opened, last=False)
            made.record_traces()

        made.spool(opened, last=False)
        made.record_traces()
        (folder,) = made.report.folders
        if at_fault == "in use":
            used = open_directory(str(folder))
            lock_shared(used)
            grows(3)
            used.close_at_once()
        else:
            with monkeypatch.context() as patch:
                patch.setattr(LineFile, "append", failing_at(6, LineFile.append))
                grows(3)
        grows(4)
        opened.rows.close()

    (task,) = tasks_of(root)
    assert (task.final_result() or {})["metrics"]["ai_calls"] == 3
    assert made.report.tasks[Moved.REPLACED] == 1


def test_two_files_of_a_session_that_was_in_use(tmp_path: Path) -> None:
    """What could not be placed of the first one is not in the folder of the second."""
    story = Claude().says("x").answers("a", said("y"), usage=(10, 0, 0, 1))
    files = [_session(tmp_path, story.rows[:number], f"{number}.jsonl") for number in (1, 2)]
    root = tmp_path / "tasks"
    run_import(root, files[1])
    made = importer(root, replace=True)
    used = open_directory(str(next(root.glob("claude-*"))))
    lock_shared(used)
    with made:
        made.run(files[:1])
        used.close_at_once()
        made.run(files[1:])

    assert made.report.tasks == {Moved.IN_USE: 1, Moved.REPLACED: 1}
    (task,) = tasks_of(root)
    assert (task.final_result() or {})["metrics"]["ai_calls"] == 1


def test_a_watch_that_was_killed_is_made_good(watched: _Watched) -> None:
    """By the next import, whole and once."""
    file = watched.files / "s.jsonl"
    story = Claude().says("x").answers("a", uses("t"), usage=(1, 0, 0, 1))
    file.write_text(lines(story.rows))
    watched.start()
    watched.sees("claude-s-1", lambda task: _status(task) == "running", "the task")
    assert watched.process is not None
    watched.process.kill()
    watched.process.communicate()
    file.write_text(lines(story.result("t").answers("b", said("done"), usage=(1, 0, 0, 1)).rows))

    assert run_import(watched.root, file).tasks == {Moved.REPLACED: 1}
    (task,) = tasks_of(watched.root)
    assert (task.final_result() or {})["metrics"]["output_tokens"] == 2


def test_what_another_follows_is_left_to_it(watched: _Watched) -> None:
    """An import beside a watch tells so."""
    file = watched.files / "s.jsonl"
    file.write_text(lines(Claude().says("x").answers("a", uses("t")).rows))
    watched.start()
    watched.sees("claude-s-1", lambda task: _status(task) == "running", "the task")

    report = run_import(watched.root, file)

    assert report.tasks == {Moved.IN_USE: 1}
    watched.stop()
    assert len(tasks_of(watched.root)) == 1
    assert not validate(watched.root / "claude-s-1").problems


def test_one_session_in_two_files_is_told(tmp_path: Path) -> None:
    """The one that goes further stays, in whatever order they come."""
    short, long = Claude().says("x").answers("a", said("y")), Claude().says("x").answers("a", said("y")).answers("b", said("z"))
    files = [_session(tmp_path, short.rows, "1.jsonl"), _session(tmp_path, long.rows, "2.jsonl")]
    for root, order in ((tmp_path / "one", files), (tmp_path / "two", files[::-1])):
        report = run_import(root, *order)

        (task,) = tasks_of(root)
        assert (task.final_result() or {})["metrics"]["ai_calls"] == 2
        assert len(report.kept) == 1

"""Repair: dead tasks are closed and complete, living and waiting ones stay as they are, and doing it again changes nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
import otel_agentlog._platform as system
from otel_agentlog.export.semconv.conventions import Conventions
from otel_agentlog.store import liveness
from otel_agentlog.store.delivery import ledger
from otel_agentlog.store.folder.files import open_directory
from otel_agentlog.store.folder.reader import TaskReader, find_task, list_tasks
from otel_agentlog.store.recovery import background as recovery_background
from otel_agentlog.store.recovery import recover as recovery
from otel_agentlog.store.recovery.background import BackgroundRecovery
from otel_agentlog.store.recovery.recover import Recovered, recover
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.records import SpanRecord
from tests.support.waiting import wait_until

DIE = "os.kill(os.getpid(), 9)"
"""The end of a program that had no time for anything."""

WORK = """
with agentlog.webhook('github', 'push') as hook:
    hook.create_task('job', task_id='t', input={'a': 1}, agent='brain', session_id='s-1', tags=['x'])
    carrier = hook.push()
with agentlog.task(resume=carrier) as task:
    with agentlog.step('done'), agentlog.ai_call('gpt-4o', provider='openai') as call:
        call.usage(input_tokens=3, output_tokens=4, cost_usd=0.5)
    task.output('something')
    with agentlog.step('outer'), agentlog.tool('Read', arguments={'path': 'x'}):
        log.info('still there')
        END
"""


def run(root: Path, work: str, end: str = DIE) -> int:
    """Run a program; returns its exit code."""
    program = (
        "import os, sys, otel_agentlog as agentlog\n"
        "settings = dict(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off', recover_on_start=False)\n"
        "agentlog.configure(**settings)\n"
        "log = agentlog.get_logger('x')\n"
    )
    code = program + work.replace("END", end)
    return subprocess.run([sys.executable, "-c", code, str(root)], timeout=60, check=False).returncode


def attributes(line: Line) -> Any:
    """As `configure` gives them."""
    return Conventions().end_attributes(line)


def closed(root: Path) -> Recovered:
    """Repair everything, and see that doing it again changes not one byte."""
    found = recover(root, attributes=attributes)
    before = snapshot(root)
    assert recover(root, attributes=attributes, everything=True).repaired == []
    assert snapshot(root) == before
    return found


def snapshot(root: Path) -> dict[str, bytes]:
    """Every byte below a root."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def ends(root: Path, task_id: str = "t") -> dict[str, Line]:
    """End lines by what people call the operation."""
    return {line["message"]: line for line in find_task(root, task_id).events() if line.get("phase") == "end"}


@pytest.fixture(scope="module")
def died_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root in which a process died in the middle of a tool run."""
    root = tmp_path_factory.mktemp("died") / "tasks"
    assert run(root, WORK) == -signal.SIGKILL
    return root


@pytest.fixture
def died(died_once: Path, tmp_path: Path) -> Path:
    """A copy of it to repair."""
    return Path(shutil.copytree(died_once, tmp_path / "tasks", copy_function=shutil.copy2))


USED = {
    "agentlog.task.ai_calls": 1,
    "agentlog.task.tool_runs": 1,
    "agentlog.task.steps": 2,
    "agentlog.task.retries": 0,
    "agentlog.task.errors": 0,
    "agentlog.task.input_tokens": 3,
    "agentlog.task.output_tokens": 4,
    "agentlog.task.cost_usd": 0.5,
    "gen_ai.usage.input_tokens": 3,
    "gen_ai.usage.output_tokens": 4,
}
"""On the span of the task that died."""


# -- what is closed -----------------------------------------------------------------------------------------------------------


def test_a_dead_task_is_complete_afterwards(died: Path) -> None:
    """Every span has an end and its parent, children before parents; result and metadata say interrupted; figures are kept."""
    (repair,) = closed(died).repairs

    assert (repair.task_id, repair.what, repair.spans, repair.status) == ("t", "repaired", 4, "interrupted")
    assert [str(problem) for problem in validate(died / "t").problems] == []
    task = find_task(died, "t")
    spans = [record for record in records(task) if isinstance(record, SpanRecord)]
    ids = {span.span_id for span in spans}
    assert all(span.end_ns is not None and not span.start_lost for span in spans)
    assert all(span.parent_span_id in ids for span in spans if span.parent_span_id)
    final, metadata = task.final_result() or {}, task.metadata() or {}
    assert (final["success"], final["outcome"], final["error"]) == (False, "interrupted", None)
    figures = {"ai_calls": 1, "tool_runs": 1, "steps": 2, "input_tokens": 3, "cost_usd": 0.5}
    assert {key: final["metrics"][key] for key in figures} == figures
    assert (metadata["status"], metadata["completed_at"]) == ("interrupted", final["completed_at"])


def test_the_lines_of_a_repair(died: Path) -> None:
    """They tell who repaired, give the time when something was last heard of, and carry ids and attributes like all others."""
    before = list(find_task(died, "t").events())
    last_seen = max(line["timestamp"] for line in before)
    recover(died, attributes=attributes)
    process, *lines = list(find_task(died, "t").events())[len(before) :]

    assert process["repaired_by"]["pid"] == os.getpid()
    assert process["resource"] == before[0]["resource"]
    assert [line["message"] for line in lines] == ["Read", "outer", "job", "tasks"]
    tag = process["event_id"].split("-")[0]
    assert [line["event_id"] for line in (process, *lines)] == [f"{tag}-{number}" for number in range(5)]
    for line in lines:
        assert line["timestamp"] == last_seen
        assert (line["level"], line["outcome"], line["reason"]) == ("WARNING", "interrupted", "process died")
        assert (line["state_before"], line["state_after"]) == ("running", "interrupted")
        used = USED if line["type"] == "task" else {}
        assert line["attributes"] == {"agentlog.outcome": "interrupted", "agentlog.reason": "process died", **used}
        assert (line["task_id"], line["session_id"]) == ("t", "s-1")
        assert line["duration_ms"] >= 0
    assert "exception" not in lines[0]


def test_what_was_not_counted_is_pending(died: Path) -> None:
    """The receipt counts every span and log record of the folder, those of the repair too."""
    recover(died, attributes=attributes)

    task = find_task(died, "t")
    items = sum(1 for record in records(task))
    delivery = (task.metadata() or {})["delivery"]
    assert (delivery["recorded"], delivery["pending"], delivery["delivered"]) == (items, items, 0)


def test_sub_tasks_are_closed_in_both_folders(tmp_path: Path) -> None:
    """The sub-task has its own end and its pointer in the parent's folder, whose spans end no earlier than the sub-task."""
    work = "with agentlog.task('top', task_id='top'), agentlog.step('s'), agentlog.task('sub', task_id='sub') as sub:\n"
    run(tmp_path / "tasks", work + "    sub.output('x')\n    " + DIE)
    closed(tmp_path / "tasks")

    pointers = [line for line in find_task(tmp_path / "tasks", "top").events() if line["type"] == "subtask"]
    assert [line["action"] for line in pointers] == ["subtask_started", "subtask_ended"]
    assert pointers[1]["details"] == {"task_id": "sub", "name": "sub", "outcome": "interrupted"}
    sub, top = ends(tmp_path / "tasks", "sub")["sub"], ends(tmp_path / "tasks", "top")
    assert sub["timestamp"] <= top["s"]["timestamp"] <= top["top"]["timestamp"]
    for task in list_tasks(tmp_path / "tasks"):
        assert not validate(task.folder).problems


def test_a_paused_task_is_closed_too(tmp_path: Path) -> None:
    """Nobody will resume what only existed in a process that is gone."""
    run(tmp_path / "tasks", f"task = agentlog.task('t', task_id='t').start()\ntask.pause('lunch')\n{DIE}")
    closed(tmp_path / "tasks")

    assert ends(tmp_path / "tasks")["t"]["state_before"] == "paused"
    assert (find_task(tmp_path / "tasks", "t").metadata() or {})["status"] == "interrupted"
    assert not validate(tmp_path / "tasks" / "t").problems


def test_what_a_child_left_open_in_a_finished_task_is_closed(tmp_path: Path) -> None:
    """A child was killed, its parent went on to the end: the child's span is closed, the result stays as it is."""
    work = (
        "with agentlog.task('t', task_id='t') as task:\n"
        "    if (pid := os.fork()) == 0:\n"
        "        kept = agentlog.step('in child').start()\n"
        f"        {DIE}\n"
        "    os.waitpid(pid, 0)\n"
        "    task.result = 'fine'\n"
    )
    assert run(tmp_path / "tasks", work) == 0
    result = (tmp_path / "tasks" / "t" / "04-final-result.json").read_bytes()
    (repair,) = closed(tmp_path / "tasks").repairs

    assert (repair.spans, repair.status) == (1, "completed")
    assert ends(tmp_path / "tasks")["in child"]["outcome"] == "interrupted"
    assert (tmp_path / "tasks" / "t" / "04-final-result.json").read_bytes() == result


def test_a_span_of_which_nothing_is_left_gets_a_place(died: Path) -> None:
    """Where a start line was lost, what was inside it still has a parent that exists, below the task."""
    path = died / "t" / "03-agent-output.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b'"step_id":"outer"' not in line or b'"tool_call"' in line]
    path.write_bytes(b"".join(kept))
    closed(died)

    spans = {span.span_id: span for span in records(find_task(died, "t")) if isinstance(span, SpanRecord)}
    (tool,) = [span for span in spans.values() if span.line_type == "tool_call"]
    lost = spans[str(tool.parent_span_id)]
    assert lost.name == "span lost"
    assert spans[str(lost.parent_span_id)].line_type == "task"
    assert all(span.parent_span_id in spans for span in spans.values() if span.parent_span_id)


@pytest.mark.parametrize("missing", [b"", b'{"success":tr', b"\0" * 40, None])
def test_a_result_that_was_cut_off_is_made_again(missing: bytes | None, tmp_path: Path) -> None:
    """Killed between the end line and the files: outcome, error and figures come from the lines."""
    root = tmp_path / "tasks"
    work = (
        "try:\n"
        "    with agentlog.task('t', task_id='t'), agentlog.tool('x'):\n"
        "        raise ValueError('boom')\n"
        "except ValueError: pass\n"
    )
    assert run(root, work, "") == 0
    expected = find_task(root, "t").final_result()
    final = root / "t" / "04-final-result.json"
    final.unlink() if missing is None else final.write_bytes(missing)
    closed(root)

    assert find_task(root, "t").final_result() == expected
    assert not validate(root / "t").problems


@pytest.mark.parametrize("damage", [b"", b'{"task_id":"t","sta', b"\0\0\0", b"[]", b'{"status":7}', None])
def test_metadata_that_was_cut_off_is_made_again(damage: bytes | None, died: Path) -> None:
    """Name, agent, ids, times: what the lines know."""
    before = find_task(died, "t").metadata() or {}
    metadata = died / "t" / "metadata.json"
    metadata.unlink() if damage is None else metadata.write_bytes(damage)
    closed(died)

    after = find_task(died, "t").metadata() or {}
    known = ("task_id", "name", "started_at", "assigned_agent", "session_id", "trace_id", "traceparent", "provider")
    assert {key: after[key] for key in known} == {key: before[key] for key in known}
    assert after["status"] == "interrupted"
    assert [str(problem) for problem in validate(died / "t").problems] == []


@pytest.mark.parametrize("damage", ["torn", "garbage", "nul", "no lines", "bad times", "foreign types", "cycle", "empty input"])
def test_damaged_folders_are_repaired_as_far_as_possible(damage: str, died: Path) -> None:
    """Whatever stands in the files, repair does not fail, the task has an end, and no line that was there is lost."""
    path = died / "t" / "03-agent-output.jsonl"
    data = path.read_bytes()
    lines = [json.loads(line) for line in data.splitlines()]
    changed: dict[str, Callable[[], object]] = {
        "torn": lambda: path.write_bytes(data[:-40]),
        "garbage": lambda: path.write_bytes(data[:2000] + os.urandom(5000) + data[2000:]),
        "nul": lambda: path.write_bytes(data + bytes(4096)),
        "no lines": path.unlink,
        "bad times": lambda: _rewrite(path, [{**line, "timestamp": "yesterday"} for line in lines]),
        "foreign types": lambda: _rewrite(path, [{**line, "span_id": 7, "details": [], "type": {}} for line in lines]),
        "cycle": lambda: _rewrite(path, [{**line, "parent_span_id": line.get("span_id")} for line in lines]),
        "empty input": lambda: (died / "t" / "01-input.json").write_bytes(b""),
    }
    changed[damage]()
    before = path.read_bytes() if path.exists() else b""
    assert [repair.what for repair in closed(died).repairs] == ["repaired"]

    task = find_task(died, "t")
    assert path.exists() is (damage != "no lines") or path.read_bytes().startswith(before)
    assert (task.metadata() or {})["status"] == "interrupted"
    assert (task.final_result() or {})["outcome"] == "interrupted"
    assert isinstance(task.input(), dict)
    if damage in ("torn", "nul", "empty input"):
        assert not [problem for problem in validate(died / "t").problems if problem.severity == "error"]


def _rewrite(path: Path, lines: list[Line]) -> None:
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


def test_files_under_preparation_are_removed(died: Path) -> None:
    """What a dead process was writing beside is nobody's any more; other people's files stay."""
    leftovers = [died / "t" / ".metadata.json.a1x0.tmp", died / "t" / ".04-final-result.json.a1x1.tmp"]
    for path in (*leftovers, died / "t" / "notes.txt"):
        path.write_text("half")
    recover(died)

    assert not any(path.exists() for path in leftovers)
    assert (died / "t" / "notes.txt").read_text() == "half"


# -- what is left alone -------------------------------------------------------------------------------------------------------


def test_a_task_that_waits_for_a_worker_stays_as_it_is(tmp_path: Path) -> None:
    """Created and pushed by a process that is gone: not one byte changes, and a worker can still take it."""
    root = tmp_path / "tasks"
    work = "with agentlog.webhook('a', 'b') as hook:\n    hook.create_task('job', task_id='t')\n    print(hook.push())\n"
    assert run(root, work) == 0
    before = snapshot(root)

    assert recover(root, everything=True).repairs == []
    assert snapshot(root) == before
    assert (find_task(root, "t").metadata() or {})["status"] == "pending"


def test_a_waiting_task_whose_gateway_died_still_waits(tmp_path: Path) -> None:
    """The gateway's spans are closed, the task itself stays pending and has no result."""
    root = tmp_path / "tasks"
    run(root, f"with agentlog.webhook('a', 'b') as hook:\n    hook.create_task('job', task_id='t')\n    {DIE}")
    (repair,) = closed(root).repairs

    assert (repair.spans, repair.status) == (1, "pending")
    assert not (root / "t" / "04-final-result.json").exists()
    (root / "t" / "metadata.json").write_bytes(b"")
    (repair,) = closed(root).repairs
    assert repair.status == "pending"


def test_a_task_of_this_process_is_not_touched(tasks_root: Path) -> None:
    """Repair within a program leaves the program's own tasks alone."""
    with agentlog.task("t", task_id="t"), agentlog.step("s"):
        (repair,) = recover(tasks_root, everything=True).repairs
        assert repair.what == "held"
    assert not validate(tasks_root / "t").problems
    assert ends(tasks_root)["t"]["outcome"] == "completed"


@pytest.mark.parametrize("holder", ["process", "forked child"])
def test_a_task_that_somebody_runs_is_not_touched_until_he_is_gone(holder: str, tmp_path: Path) -> None:
    """Another process holds it, or the child of one that died; killed, its task is closed."""
    root = tmp_path / "tasks"
    fork = "    if os.fork(): os._exit(0)\n" if holder == "forked child" else ""
    program = (
        "import os, sys, time, otel_agentlog as agentlog\n"
        "agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off')\n"
        "with agentlog.task('t', task_id='t') as task:\n"
        f"{fork}"
        "    task.output('here')\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(root)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        (repair,) = recover(root, everything=True).repairs
        assert repair.what == "held"
        os.kill(pid, signal.SIGKILL)
        process.wait(20)

    wait_until(lambda: recover(root).repaired, "the task to be nobody's")
    assert (find_task(root, "t").metadata() or {})["status"] == "interrupted"


def test_a_process_that_let_go_of_the_folder_is_still_at_work(tmp_path: Path) -> None:
    """Out of descriptors it released the lock; its id and its start time still speak for it."""
    root = tmp_path / "tasks"
    program = (
        "import sys, time, otel_agentlog as agentlog\n"
        "agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off')\n"
        "with agentlog.task('t', task_id='t') as task:\n"
        "    task.task.home.release()\n"
        "    print('released', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(root)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        fd = os.open(root / "t", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)
        assert [repair.what for repair in recover(root).repairs] == ["held"]
        process.kill()
        process.wait(20)

    assert [repair.what for repair in recover(root).repairs] == ["repaired"]


def test_a_reused_process_id_keeps_nothing_open(died: Path) -> None:
    """A process that has the number today, and began after the line was written, is another one."""
    path = died / "t" / "03-agent-output.jsonl"
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        if line["type"] == "process":
            line["pid"] = os.getpid()
            line["timestamp"] = "2020-01-01T00:00:00.000000000Z"
    _rewrite(path, lines)

    assert [repair.what for repair in recover(died).repairs] == ["repaired"]


@pytest.mark.parametrize(
    ("locks", "network", "own_host", "quiet", "closes"),
    [
        (True, True, True, False, True),
        (True, True, False, False, False),
        (True, True, False, True, True),
        (True, False, False, False, True),
        (False, False, True, False, False),
        (False, False, True, True, True),
        (False, False, False, False, False),
    ],
)
def test_where_locks_do_not_say_enough(
    locks: bool, network: bool, own_host: bool, quiet: bool, closes: bool, died: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network disk what another machine left open must be silent for long, without locks everything for a while."""
    if not locks:

        def no_locks(fd: int, operation: int) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(system, "lock", no_locks)
    monkeypatch.setattr(liveness, "on_network_disk", lambda fd: network)
    path = died / "t" / "03-agent-output.jsonl"
    if not own_host:
        _rewrite(path, [{**json.loads(line), "host": "elsewhere"} for line in path.read_bytes().splitlines()])
    for each in (died / "t").iterdir():
        os.utime(each, (1, 1) if quiet else None)

    assert [repair.what for repair in recover(died).repairs] == ["repaired" if closes else "held"]


@pytest.mark.parametrize("planted", ["symlink", "fifo", "hard link", "directory"])
def test_planted_things_are_not_followed(planted: str, died: Path, tmp_path: Path) -> None:
    """A folder in which something else stands in place of the lines is reported, and nothing outside is touched."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = died / "t" / "03-agent-output.jsonl"
    path.unlink()
    {
        "symlink": lambda: path.symlink_to(victim),
        "fifo": lambda: os.mkfifo(path),
        "hard link": lambda: os.link(victim, path),
        "directory": path.mkdir,
    }[planted]()
    (died / "linked").symlink_to(tmp_path)
    recover(died, everything=True)

    assert victim.read_text() == "precious"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["tasks", "victim"]


def test_a_folder_of_a_later_format_is_left_alone(died: Path) -> None:
    """Keys that this release does not know would be gone; also where only the counts of what was delivered change."""
    path = died / "t" / "metadata.json"
    known = json.loads(path.read_bytes())
    path.write_text(json.dumps({**known, "format_version": 2, "region": "of later releases"}))
    before = snapshot(died)
    for dry_run in (True, False):
        (repair,) = recover(died, everything=True, dry_run=dry_run).repairs
        assert (repair.what, repair.problem) == (
            "failed",
            "LayoutError: a metadata.json of a later format, which a later release can close",
        )
    ledger.add_counts(open_directory(str(died / "t")), delivered=1)

    assert snapshot(died) == before


# -- how it is done -----------------------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing_and_says_the_same(died: Path) -> None:
    """The report of a dry run is that of the repair that follows."""
    before = snapshot(died)
    would = recover(died, dry_run=True)

    assert snapshot(died) == before
    assert recover(died).repairs == would.repairs


def test_two_repairs_at_once_do_it_once(died_once: Path, tmp_path: Path) -> None:
    """Four threads on ten dead tasks: each is closed by one of them, completely."""
    root = tmp_path / "tasks"
    for number in range(10):
        shutil.copytree(died_once / "t", root / f"t{number}")
        for path in (root / f"t{number}").iterdir():
            path.write_bytes(path.read_bytes().replace(b'"task_id":"t"', f'"task_id":"t{number}"'.encode()))
    reports: list[Recovered] = []
    threads = [threading.Thread(target=lambda: reports.append(recover(root, everything=True))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(repair.task_id for report in reports for repair in report.repaired) == [f"t{number}" for number in range(10)]
    for task in list_tasks(root):
        assert not validate(task.folder).problems
        assert len([line for line in task.events() if line.get("phase") == "end" and line["type"] == "task"]) == 1


class Cut(BaseException):
    """Stands for a kill."""


def test_a_repair_that_is_cut_short_is_finished_by_the_next(
    died_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at any of its writes, synced or renamed or not: afterwards all is as if it had not been."""
    calls, cut_at = 0, 0

    def cut(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == cut_at:
                raise Cut
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        for module, names in ((os, ("write", "fsync")), (system, ("rename", "sync_folder", "sync", "unlink"))):
            for name in names:
                patched.setattr(module, name, cut(getattr(module, name)))
        while True:
            calls, cut_at = 0, cut_at + 1
            root = tmp_path / f"tasks-{cut_at}"
            shutil.copytree(died_once, root)
            try:
                recover(root, attributes=attributes)
                break
            except Cut:
                pass
            calls = -1_000_000
            closed(root)
            assert [str(problem) for problem in validate(root / "t").problems] == []
            assert set(ends(root)) == {"Read", "outer", "job", "tasks", "done", "gpt-4o", "github push"}
    assert cut_at > 8


def test_one_task_can_be_asked_for(died: Path) -> None:
    """Others stay as they are; one that does not exist is an error."""
    shutil.copytree(died / "t", died / "u")
    (died / "u" / "metadata.json").write_text('{"task_id":"u","status":"running"}')
    found = recover(died, ["u"])

    assert [repair.task_id for repair in found.repairs] == ["u"]
    assert (find_task(died, "t").metadata() or {})["status"] == "running"
    with pytest.raises(LookupError, match="no task 'v'"):
        recover(died, ["v"])


def test_what_was_found_closed_is_not_read_again(died_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a large root only what changed is looked at; what was held or new is looked at again."""
    monkeypatch.setattr(recovery, "CURSOR_FROM", 1)
    monkeypatch.setattr(recovery, "_CURSOR_SLACK_NS", 0)
    root = tmp_path / "tasks"
    for name in ("t", "held"):
        shutil.copytree(died_once / "t", root / name, copy_function=shutil.copy2)
    (root / "held" / "metadata.json").write_text('{"task_id":"held","status":"running"}')
    fd = os.open(root / "held", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    assert {repair.task_id: repair.what for repair in recover(root).repairs} == {"t": "repaired", "held": "held"}
    os.close(fd)

    again = recover(root)
    assert ("t" in [repair.task_id for repair in again.repairs], len(again.repaired)) == (False, 1)
    third = recover(root)
    assert third.looked_at <= 2
    assert recover(root, everything=True).looked_at == 2
    assert (root / ".recovered").stat().st_mode & 0o777 == 0o600


def test_time_may_run_out(died: Path) -> None:
    """What was not reached is said, and is for the next time."""
    found = recover(died, spent=lambda: True)

    assert (found.complete, found.looked_at, found.repairs) == (False, 0, [])


def test_every_start_repairs_in_the_background(died: Path, tmp_path: Path) -> None:
    """`configure` closes what is open, unless told not to."""
    settings: dict[str, Any] = {"directory": died, "log_directory": tmp_path / "logs", "console": "off"}
    agentlog.configure(recover_on_start=False, **settings)
    agentlog.shutdown()
    assert (find_task(died, "t").metadata() or {})["status"] == "running"

    agentlog.configure(**settings)
    wait_until(lambda: (find_task(died, "t").metadata() or {})["status"] == "interrupted", "the repair")
    agentlog.shutdown()
    assert not validate(died / "t").problems


def test_the_background_reports_and_survives_anything(died: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it did, or what went wrong, is told; a root that does not exist needs no thread."""
    done: list[Recovered] = []
    failed: list[str] = []
    nowhere = BackgroundRecovery(died / "nowhere", attributes)
    nowhere.start()
    nowhere.join(0)
    background = BackgroundRecovery(died, attributes, done=done.append, failed=lambda where, error: failed.append(where))
    background.start()
    background.join(30)
    assert [repair.task_id for repair in done[0].repairs] == ["t"]

    def fail(root: Path, **options: Any) -> Recovered:
        raise RuntimeError

    monkeypatch.setattr(recovery_background, "recover", fail)
    background.start()
    background.join(30)
    assert failed == ["recovery"]


def test_a_folder_that_cannot_be_repaired_does_not_keep_others_from_it(died_once: Path, tmp_path: Path) -> None:
    """One fails, and is named with the reason; the rest is repaired."""
    root = tmp_path / "tasks"
    for name in ("t", "u"):
        shutil.copytree(died_once / "t", root / name)
    (root / "u" / "metadata.json").unlink()
    (root / "u" / "metadata.json").mkdir()
    found = {repair.folder.name: repair for repair in recover(root).repairs}

    assert found["t"].what == "repaired"
    assert found["u"].what == "failed"
    assert found["u"].problem
    assert TaskReader(root / "t").final_result() is not None

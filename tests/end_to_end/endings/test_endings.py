"""All ways in which a process ends: no recorded line is lost, the exit code is the program's, and afterwards all is closed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.export.semconv.conventions import Conventions
from otel_agentlog.store.folder.reader import TaskReader, find_task, list_tasks, read_lines
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.spans.rebuild import complete
from otel_agentlog.store.validation.validate import validate
from tests.support.forking import PYTHON

PROGRAM = Path(__file__).with_name("endings_program.py")
RECORDS = 30

DIED = "process died"
NOBODY = None

WAYS: dict[str, tuple[signal.Signals | None, int, str, str | None]] = {
    # way: (signal sent from outside, exit code, outcome of the step around, reason on the line of the task begun by hand)
    "return": (None, 0, "completed", "process exit"),
    "sys.exit": (None, 3, "interrupted", "process exit"),
    "unhandled exception": (None, 1, "failed", "process exit"),
    "exception in a thread": (None, 0, "completed", "process exit"),
    "sys.exit in a thread": (None, 0, "completed", "process exit"),
    "os._exit in a thread": (None, 8, "interrupted", DIED),
    "busy daemon thread": (None, 0, "completed", "process exit"),
    "recursion without end": (None, 1, "failed", "process exit"),
    "SIGINT": (signal.SIGINT, -signal.SIGINT, "interrupted", "process exit"),
    "SIGTERM": (signal.SIGTERM, -signal.SIGTERM, "interrupted", "SIGTERM"),
    "SIGHUP": (signal.SIGHUP, -signal.SIGHUP, "interrupted", "SIGHUP"),
    "SIGTERM handler before, sys.exit": (signal.SIGTERM, 5, "interrupted", "process exit"),
    "SIGTERM handler after, sys.exit": (signal.SIGTERM, 5, "interrupted", "process exit"),
    "SIGTERM handler after, os._exit": (signal.SIGTERM, 9, "interrupted", DIED),
    "SIGTERM handler after, dies again": (signal.SIGTERM, -signal.SIGTERM, "interrupted", DIED),
    "SIGTERM handler, goes on to the end": (signal.SIGTERM, 0, "completed", "process exit"),
    "SIGTERM ignored": (None, 0, "completed", "process exit"),
    "SIGKILL": (None, -signal.SIGKILL, "interrupted", DIED),
    "os._exit": (None, 2, "interrupted", DIED),
    "abort": (None, -signal.SIGABRT, "interrupted", DIED),
    "segmentation fault": (None, -signal.SIGSEGV, "interrupted", DIED),
    "execv": (None, 6, "interrupted", DIED),
}


def _run(way: str, root: Path) -> tuple[int, list[str]]:
    """Exit code, and what the program said."""
    sent = WAYS[way][0]
    program = PYTHON.start([PROGRAM, way, root], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with program:
        assert program.stdout is not None
        said = []
        for line in program.stdout:
            said.append(line.strip())
            if said[-1] == "ready" and sent is not None:
                program.send_signal(sent)
        program.wait(30)
    return program.returncode, said


def _events(root: Path, task_id: str) -> list[dict[str, Any]]:
    return list(find_task(root, task_id).events())


def _end_of(root: Path, task_id: str, name: str) -> dict[str, Any]:
    (end,) = [line for line in _events(root, task_id) if line.get("phase") == "end" and line["message"] == name]
    return end


@pytest.mark.parametrize("way", WAYS)
def test_no_ending_loses_a_record(way: str, tmp_path: Path) -> None:
    """Every record whose call had returned is there; after recovery every span has an end, with the right outcome."""
    root = tmp_path / "tasks"
    _, code, outcome, reason = WAYS[way]
    ended, said = _run(way, root)

    assert ended == code
    acknowledged = [int(word) for word in said if word.isdigit()]
    assert acknowledged == [*range(RECORDS), *range(RECORDS)]
    for task_id in ("by-hand", "t"):
        outputs = [line["details"]["number"] for line in _events(root, task_id) if line["type"] == "output"]
        assert outputs == list(range(RECORDS))
        _check_signal(_events(root, task_id), way)

    recover(root, attributes=Conventions().end_attributes)
    assert recover(root, everything=True).repairs == []
    assert _end_of(root, "t", "outer")["outcome"] == outcome
    assert _end_of(root, "by-hand", "by hand")["reason"] == reason
    assert _end_of(root, "by-hand", "by hand")["outcome"] == "interrupted"
    for task in list_tasks(root):
        assert [str(found) for found in validate(task.folder).problems] == []
        _check_order(task)


def _check_signal(lines: list[dict[str, Any]], way: str) -> None:
    """Without a handler the signal is the reason; with one, whenever it was installed, an open task has a line about it."""
    sent = WAYS[way][0]
    if sent in (signal.SIGTERM, signal.SIGHUP):
        told = [line["details"]["signal"] for line in lines if line.get("action") == "signal_received"]
        reasons = {line.get("reason") for line in lines if line.get("phase") == "end"}
        assert told == [sent.name] if "handler" in way else reasons == {sent.name}


def _check_order(task: TaskReader) -> None:
    """Children end before their parents, in the file and by the clock."""
    parents = {line["span_id"]: line.get("parent_span_id") for line in task.events() if line.get("phase") == "start"}
    ended: dict[str, str] = {}
    for line in task.events():
        if line.get("phase") == "end":
            assert parents[line["span_id"]] not in ended
            ended[line["span_id"]] = line["timestamp"]
    for span_id, parent in parents.items():
        assert parent not in ended or ended[span_id] <= ended[parent]


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """Started by nohup, the program outlives SIGHUP; its exit code is its own."""
    program = (
        "import os, signal, sys, otel_agentlog as agentlog\n"
        "agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off')\n"
        "with agentlog.task('t', task_id='t'):\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "sys.exit(signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN)\n"
    )
    root = tmp_path / "tasks"
    command = ["nohup", sys.executable, "-c", program, str(root)]
    nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.run(command, check=True, timeout=30, **nowhere)  # type: ignore[call-overload]  # three keywords of one type

    assert (find_task(root, "t").final_result() or {})["outcome"] == "completed"


def test_handlers_are_given_back(tmp_path: Path) -> None:
    """After shutdown() the handlers are those from before configure(); in other threads nothing is installed at all."""
    program = (
        "import signal, sys, threading, otel_agentlog as agentlog\n"
        "settings = dict(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off')\n"
        "thread = threading.Thread(target=lambda: agentlog.configure(**settings))\n"
        "thread.start(); thread.join()\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "agentlog.configure(**settings)\n"
        "assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL\n"
        "agentlog.configure(handle_signals=False, **settings)\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "mine = lambda *_: None\n"
        "signal.signal(signal.SIGTERM, mine)\n"
        "agentlog.configure(**settings)\n"
        "agentlog.shutdown()\n"
        "assert signal.getsignal(signal.SIGTERM) is mine\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "tasks")], check=True, timeout=30)


def test_records_within_signal_handlers_finalisers_and_atexit(tmp_path: Path) -> None:
    """Recorded at the worst of moments, in the middle of other records: nothing deadlocks, nothing is lost."""
    program = (
        "import atexit, gc, os, signal, sys, weakref, otel_agentlog as agentlog\n"
        "agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off')\n"
        "log, counts = agentlog.get_logger('x'), {'signal': 0, 'del': 0}\n"
        "depth, ended = [0], []\n"
        # Not a timer that repeats itself: on a busy machine its signals come faster than they are handled.
        "def in_a_moment():\n"
        "    if not ended: signal.setitimer(signal.ITIMER_REAL, 0.001)\n"
        "def on_signal(signum, frame):\n"
        "    if depth[0] >= 5: return\n"
        "    depth[0] += 1\n"
        "    in_a_moment()\n"
        "    counts['signal'] += 1\n"
        "    log.info('in signal'); task.output('in signal')\n"
        "    depth[0] -= 1\n"
        "    if not depth[0]: in_a_moment()\n"
        "class Noisy:\n"
        "    def __init__(self): self.me = self\n"
        "    def __del__(self):\n"
        "        counts['del'] += 1\n"
        "        log.info('in del')\n"
        "atexit.register(lambda: print(counts['signal'], counts['del']))\n"
        "gc.set_threshold(50)\n"
        "signal.signal(signal.SIGUSR1, on_signal)\n"
        "signal.signal(signal.SIGALRM, on_signal)\n"
        "task = agentlog.task('t', task_id='t')\n"
        "task.__enter__()\n"
        "in_a_moment()\n"
        "for number in range(600):\n"
        "    with agentlog.step(f's{number}'):\n"
        "        Noisy(); task.output('x' * 200)\n"
        "    if number % 50 == 0: task.pause(); task.resume()\n"
        "ended.append(True)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "task.__exit__(None, None, None)\n"
        "gc.collect()\n"
    )
    root = tmp_path / "tasks"
    done = subprocess.run([sys.executable, "-c", program, str(root)], capture_output=True, text=True, timeout=90)

    assert done.returncode == 0, done.stderr
    signals, finalised = map(int, done.stdout.split())
    lines = _events(root, "t")
    assert signals > 10
    assert finalised == 600
    assert sum(line.get("content") == "in signal" for line in lines) == signals
    assert sum(line.get("content") == "x" * 200 for line in lines) == 600
    assert len([line for line in lines if line.get("phase") == "end"]) == 601
    assert [str(found) for found in validate(root / "t").problems if found.severity == "error"] == []


def _run_late(way: str, root: Path) -> None:
    program = Path(__file__).with_name("late_program.py")
    done = subprocess.run([sys.executable, str(program), str(root), way], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "stdlib late\n")


def _check_late(root: Path, task_id: str, messages: list[str]) -> None:
    """It is whole, and its receipt right."""
    task = find_task(root, task_id)
    assert [line["message"] for line in task.events() if line["type"] == "log"] == messages
    delivery = (task.metadata() or {})["delivery"]
    assert delivery["recorded"] == delivery["pending"] == len(list(complete(task)))
    assert [str(found) for found in validate(task.folder).problems] == []


def test_recording_works_until_the_interpreter_ends(tmp_path: Path) -> None:
    """After the package's own exit handler, too: in exit handlers that were registered before it, and in finalizers."""
    root = tmp_path / "tasks"
    _run_late("finalizers", root)

    outside = [line["message"] for line in read_lines(tmp_path / "tasks-logs" / "late.jsonl")]
    assert outside[:3] == ["early in no task", "early in the ended task", "stdlib late"]
    assert sorted(outside[3:]) == ["finalized circle", "finalized plain"]
    _check_late(root, "first", [])
    _check_late(root, "late", ["inside late", "error of late"])
    _check_late(root, "circle", ["inside"])
    _check_late(root, "plain", ["inside"])
    assert (find_task(root, "late").final_result() or {})["metrics"]["input_tokens"] == 5


def test_a_daemon_thread_records_until_it_is_stopped(tmp_path: Path) -> None:
    """Each call that returned has its line, however long after the exit handlers began; from then on without its text, since
    the redactor cannot search in such a thread any more (see `otel_agentlog.record.redaction.engine`)."""
    root = tmp_path / "tasks"
    _run_late("thread", root)

    acknowledged = len((tmp_path / "tasks-acks").read_text().split())
    lines = _events(root, "busy")
    numbers = [int(line["event_id"].rpartition("-")[2]) for line in lines]
    by_thread = [number for number, line in zip(numbers, lines, strict=True) if line["type"] == "output"]
    assert acknowledged > 0
    # The process line and the task's start come before them; the exit handler may end the task between any two.
    assert numbers[:2] == [0, 1]
    assert sorted(numbers) == list(range(len(numbers)))
    assert by_thread == sorted(by_thread)
    assert len(by_thread) >= acknowledged
    _check_late(root, "late", ["inside late", "error of late"])

"""Upkeep beside others: two runs at once, writers, readers, forks, and the thread that does it in the background."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.store.folder.layout import AGENT_OUTPUT
from otel_agentlog.store.folder.reader import TaskReader, follow, list_tasks
from otel_agentlog.store.retention.background import BackgroundPruning
from otel_agentlog.store.retention.policy import RetentionLimits
from otel_agentlog.store.retention.prune import prune
from otel_agentlog.store.retention.report import PruneReport
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.store.retention.retention_folders import DAY_NS, content, make_task, names, tree
from tests.support.waiting import wait_until

PRUNE_ALL = """
import sys
from pathlib import Path
from otel_agentlog.store.retention.policy import RetentionLimits
from otel_agentlog.store.retention.prune import prune
root = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
report = prune(root, RetentionLimits(retention_days=30, compress_after_days=1), wait_s=float(sys.argv[2]))
print(report.ran, len(report.deleted), len(report.compressed), report.left.count)
"""

WRITER = """
import sys, time
import otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-logs", console="off", capture_logging=False)
began, number = time.monotonic(), 0
while time.monotonic() - began < float(sys.argv[2]):
    with agentlog.task("job", task_id=f"task-{sys.argv[3]}-{number}") as task:
        task.output(f"said by {number}")
        if number % 5 == 4:
            carrier = earlier.carrier()
            with agentlog.task(resume=carrier) as resumed:
                resumed.output("late")
        task.end("interrupted")
    earlier = task
    number += 1
agentlog.shutdown()
print(number)
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process that is told to go on by a line."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("wait_s", [0, 20])
def test_two_runs_at_once(wait_s: float, tmp_path: Path) -> None:
    """Each task goes once, nobody stumbles; who does not wait does nothing."""
    root, now_ns = tmp_path / "tasks", time.time_ns()
    root.mkdir(mode=0o700)
    for number in range(60):
        make_task(root, f"task-{number}", ended_ns=now_ns - (number + 1) * DAY_NS, size_bytes=3000)
    runs = [start(PRUNE_ALL, root, wait_s) for _ in range(2)]
    for run in runs:
        assert run.stdout is not None
        run.stdout.readline()

    said = [run.communicate("go\n")[0].split() for run in runs]

    assert [run.returncode for run in runs] == [0, 0]
    ran = [line for line in said if line[0] == "True"]
    assert sum(int(line[1]) for line in ran) == 31
    assert sum(int(line[2]) for line in ran) == 29
    assert {line[3] for line in said} == {"0"}
    assert len(names(root)) == 29
    assert wait_s == 0 or len(ran) == 2


def test_writers_go_on_while_everything_is_pruned(tmp_path: Path) -> None:
    """Two writers make tasks and resume earlier ones while finished ones are compressed and deleted without a pause."""
    root = tmp_path / "tasks"
    writers = [start(WRITER, root, 2, letter) for letter in "ab"]
    deleted: dict[str, int] = {}
    compressed = 0
    # Six seconds later, for the clock of upkeep: so what was written this very moment counts as quiet.
    while any(writer.poll() is None for writer in writers):
        report = prune(root, RetentionLimits(max_tasks=20, compress_after_days=0), now_ns=time.time_ns() + 6_000_000_000)
        compressed += len(report.compressed)
        deleted.update({each.name: 1 for each in report.deleted})
    made = [int(writer.communicate()[0]) for writer in writers]

    assert [writer.returncode for writer in writers] == [0, 0]
    assert min(made) > 0
    assert compressed > 0
    assert deleted
    found = {task.folder.name: task for task in list_tasks(root)}
    for letter, count in zip("ab", made, strict=True):
        for number in range(count):
            name = f"task-{letter}-{number}"
            said = [line["content"] for line in found[name].events() if line["type"] == "output"] if name in found else []
            # One that was deleted and resumed afterwards is a new folder with what came late.
            assert name in deleted or said[:1] == [f"said by {number}"], name
            assert said.count(f"said by {number}") <= 1
            assert said.count("late") <= 1
    late = [f"task-{letter}-{number}" for letter, count in zip("ab", made, strict=True) for number in range(3, count - 1, 5)]
    resumed = [name for name in late if name in found and name not in deleted]
    assert all("late" in [line.get("content") for line in found[name].events()] for name in resumed)
    problems = [str(problem) for name in found if name not in deleted for problem in validate(found[name].folder).problems]
    assert problems == []


def test_a_reader_follows_through_compression(tmp_path: Path) -> None:
    """Every line once, none torn, while the file is compressed, written on and compressed again; then the folder goes."""
    now_ns = time.time_ns()
    folder = make_task(tmp_path, "task-a", ended_ns=now_ns - DAY_NS, size_bytes=40_000)
    stop, seen = threading.Event(), []

    def read() -> None:
        for line in follow(TaskReader(folder), poll_seconds=0.001, stop=stop):
            seen.append(line["event_id"])

    reader = threading.Thread(target=read)
    reader.start()
    first = len(list(TaskReader(folder).events()))
    wait_until(lambda: len(seen) == first, "the reader to have read what is there")
    for number in range(20):
        with (folder / AGENT_OUTPUT).open("ab") as file:
            file.write(b'{"timestamp":"2026-11-21T05:22:01.123456789Z","event_id":"b2-%d"}\n' % number)
        (folder / AGENT_OUTPUT).chmod(0o600)
        prune(tmp_path, RetentionLimits(compress_after_days=0), now_ns=now_ns + 10_000_000_000)
        assert (folder / f"{AGENT_OUTPUT}.gz").exists()
    wait_until(lambda: len(seen) == first + 20, "the reader to have read the rest")

    prune(tmp_path, RetentionLimits(max_tasks=0), now_ns=now_ns + 10_000_000_000)
    reader.join(10)

    assert (reader.is_alive(), names(tmp_path)) == (False, [])
    assert seen == [f"a1-{number}" for number in range(first)] + [f"b2-{number}" for number in range(20)]


def test_readers_never_see_half_a_task(tmp_path: Path) -> None:
    """While tasks are compressed and deleted, whoever lists them reads each whole, or finds it gone."""
    now_ns = time.time_ns()
    for number in range(40):
        make_task(tmp_path, f"task-{number}", ended_ns=now_ns - (40 - number) * DAY_NS, size_bytes=6000)
    whole = {name: content(tmp_path / name) for name in names(tmp_path)}
    done, odd, looked = threading.Event(), [], 0

    def work() -> None:
        for left in range(39, -1, -1):
            prune(tmp_path, RetentionLimits(max_tasks=left, compress_after_days=left / 2), now_ns=now_ns)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not done.is_set():
        for task in list_tasks(tmp_path):
            lines, looked = list(task.events()), looked + 1
            # A folder that goes between two looks is a folder that is gone.
            if lines != whole[task.folder.name][4] and task.folder.exists():
                odd.append((task.folder.name, len(lines)))
    worker.join()

    assert odd == []
    assert looked > 0


# -- in the background ----------------------------------------------------------------------------------------------------


def test_configure_keeps_the_root_in_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With one of the settings set a daemon thread does it at once, says so, and ends with `shutdown`."""
    root, now_ns = tmp_path / "tasks", time.time_ns()
    root.mkdir(mode=0o700)
    delivery = {"delivered": 1, "pending": 2}
    for number in range(3):
        ended_ns = now_ns - (number + 1) * DAY_NS
        make_task(root, f"task-{number}", ended_ns=ended_ns, size_bytes=3000, delivery=delivery, final=True)

    with caplog.at_level(logging.INFO, "otel_agentlog"):
        agentlog.configure(directory=root, log_directory=tmp_path / "logs", console="off", max_bytes="4kB", capture_logging=False)
        try:
            (thread,) = (each for each in threading.enumerate() if each.name == "agentlog-upkeep")
            assert thread.daemon
            wait_until(lambda: names(root) == ["task-0"], "the old tasks to go")
            wait_until(lambda: _said(caplog), "a word about it")
        finally:
            agentlog.shutdown()

    thread.join(30)
    assert not thread.is_alive()
    assert _said(caplog) == ["WARNING: deleted 2 tasks of 6000 bytes, the quota cost 4 undelivered items"]
    assert json.loads((root / ".upkeep.json").read_bytes())["dropped"] == {"quota": 4}


def test_what_the_quota_costs_is_a_metric(tmp_path: Path, otlp_receiver: OtlpReceiver) -> None:
    """Dropped items of whatever signal, with the reason ``quota``, reach the collector."""
    root = tmp_path / "tasks"
    root.mkdir(mode=0o700)
    make_task(root, "task-a", ended_ns=time.time_ns() - DAY_NS, size_bytes=3000, delivery={"pending": 5}, final=True)
    program = f"""
import logging, threading
import otel_agentlog as agentlog
counted = threading.Event()
class Told(logging.Handler):
    def emit(self, record):
        if "upkeep" in record.getMessage():
            counted.set()
logging.getLogger("otel_agentlog").addHandler(Told())
agentlog.configure(directory={str(root)!r}, log_directory={str(tmp_path)!r}, console="off", max_bytes=1000,
                   endpoint={otlp_receiver.http_endpoint!r})
assert counted.wait(20)
agentlog.shutdown()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)

    metric = [each for each in otlp_receiver.metrics() if each["name"] == "agentlog.sdk.items.dropped"][-1]
    assert [(point["value"], point["attributes"]) for point in metric["points"]] == [(5, {"agentlog.reason": "quota"})]


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [(record.levelname, *record.getMessage().partition("upkeep of the tasks: ")) for record in caplog.records]
    return [f"{level}: {text}" for level, _, found, text in said if found]


def test_without_a_setting_there_is_no_thread_and_no_file(tmp_path: Path) -> None:
    """Nothing is deleted, compressed or looked at unless somebody asked."""
    root = tmp_path / "tasks"
    root.mkdir(mode=0o700)
    make_task(root, "task-a", ended_ns=0, final=True)
    before = tree(root)

    agentlog.configure(directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    running = [thread.name for thread in threading.enumerate()]
    agentlog.shutdown()

    assert "agentlog-upkeep" not in running
    assert (tree(root), os.listdir(root)) == (before, ["task-a"])


def test_the_thread_outlives_errors_and_ends_when_asked(tmp_path: Path) -> None:
    """A root that cannot be used is reported each time; when it can be used again, work goes on."""
    (tmp_path / "tasks").write_text("in the way")
    failures: list[Exception] = []
    reports: list[PruneReport] = []
    upkeep = BackgroundPruning(
        tmp_path / "tasks",
        RetentionLimits(max_tasks=1),
        done=reports.append,
        failed=lambda where, error: failures.append(error),
        retry_s=0.01,
    )
    upkeep.start()
    wait_until(lambda: len(failures) > 1, "two failures")

    (tmp_path / "tasks").unlink()
    (tmp_path / "tasks").mkdir(mode=0o700)
    wait_until(
        lambda: [report for report in reports if report.tasks == 0 and (tmp_path / "tasks/.upkeep.lock").exists()], "a run"
    )
    upkeep.stop()
    said = len(failures)

    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "agentlog-upkeep"], "the thread to end")
    assert len(failures) == said


def test_a_run_in_the_background_has_bounded_time(tmp_path: Path) -> None:
    """What it does not get done is left for the next run, which does not wait for an hour."""
    now_ns = time.time_ns()
    for number in range(30):
        make_task(tmp_path, f"task-{number}", ended_ns=now_ns - DAY_NS)
    reports: list[PruneReport] = []
    upkeep = BackgroundPruning(
        tmp_path, RetentionLimits(max_tasks=0), done=reports.append, failed=lambda where, error: None, run_s=0.0, retry_s=0.01
    )
    upkeep.start()
    wait_until(lambda: len(reports) > 2, "three runs")
    upkeep.stop()

    assert {(report.complete, len(report.deleted)) for report in reports} == {(False, 0)}
    assert len(names(tmp_path)) == 30


def test_the_child_of_a_fork_goes_on_without_the_thread(tmp_path: Path) -> None:
    """It records and ends as ever, however busy the thread was, and holds none of its locks."""
    program = f"""
import os, sys, threading, time
import otel_agentlog as agentlog
agentlog.configure(directory={str(tmp_path / "tasks")!r}, log_directory={str(tmp_path)!r}, console="off", compress_after_days=0)
from otel_agentlog.store.retention.policy import RetentionLimits
from otel_agentlog.store.retention.background import BackgroundPruning
limits = RetentionLimits(max_tasks=1000)
busy = BackgroundPruning({str(tmp_path / "tasks")!r}, limits, done=lambda report: None, failed=print, retry_s=0.0)
busy.start()
for number in range(10):
    child = os.fork()
    if child == 0:
        with agentlog.task("job", task_id=f"task-{{number}}"):
            pass
        agentlog.shutdown()
        busy.stop()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
busy.stop()
agentlog.shutdown()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)

    assert len(names(tmp_path / "tasks")) == 10
    assert prune(tmp_path / "tasks", RetentionLimits(max_tasks=0), now_ns=time.time_ns() + DAY_NS).ran is True

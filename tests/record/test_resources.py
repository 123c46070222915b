"""What tasks and tool runs use: CPU time, memory, bytes written, children included."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.record import resources
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.resources import ResourceSampler
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink, recording
from tests.support.waiting import wait_until

MB = 1_000_000
LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
INTERVAL_S = 0.02


@pytest.fixture
def measured() -> Iterator[MemorySink]:
    """What is recorded while the test runs, with resources looked at often."""
    measuring = ResourceSampler(INTERVAL_S)
    with recording(measuring=measuring) as sink:
        yield sink
    measuring.stop()


def spend(cpu_s: float) -> None:
    """Use the processor for so long."""
    began = time.process_time()
    while time.process_time() - began < cpu_s:
        pass


def child(program: str) -> subprocess.Popen[str]:
    """A Python process that says ``ready`` after this program, and ends when its input does."""
    text = f"import os, sys, time\n{program}\nprint('ready', flush=True)\nsys.stdin.read()\n"
    return subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_ready(process: subprocess.Popen[str]) -> None:
    """Until it has said so."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def end(process: subprocess.Popen[str]) -> None:
    """Let it end, and wait for it."""
    process.communicate(timeout=60)


def meter_of(operation: agentlog.Operation) -> Any:
    """The meter of an operation that is under way."""
    assert operation._meter is not None
    return operation._meter


def risen_mb(run: agentlog.Operation) -> float:
    """How far above the start the highest memory lies that was seen so far."""
    meter = meter_of(run)
    return float(meter._peak_bytes - meter._start_bytes) / MB


BURN = "end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def resources_of(sink: MemorySink) -> dict[str, Any]:
    """The figures of the one tool run."""
    (line,) = sink.of(type="tool_result")
    found: dict[str, Any] = line["details"]["resources"]
    return found


def test_tasks_and_tool_runs_are_measured(measured: MemorySink) -> None:
    """A task's end has ``metrics``, a tool run's ``resources``; steps and AI calls have none."""
    with agentlog.task("job"), agentlog.step("s"), agentlog.tool("t"):
        spend(0.05)

    ends = {line["type"]: line.get("details", {}) for line in measured.ends()}
    assert ends["tool_result"]["resources"]["cpu_seconds"] >= 0.05
    assert ends["task"]["metrics"]["cpu_seconds"] >= ends["tool_result"]["resources"]["cpu_seconds"]
    assert ends["task"]["metrics"]["memory_peak_mb"] >= ends["task"]["metrics"]["memory_start_mb"] > 1
    assert "metrics" not in ends["step"]


@LINUX
def test_memory_that_was_given_back_is_in_the_peak(measured: MemorySink) -> None:
    """What was used in between and is gone at the end was seen by the thread that looks, or by the kernel."""
    with agentlog.tool("t") as run:
        with mmap.mmap(-1, 64 * MB) as memory:
            memory.write(b"x" * 64 * MB)
            wait_until(lambda: risen_mb(run) >= 60, "a look at it", timeout_s=60)

    found = resources_of(measured)
    assert found["memory_peak_mb"] >= found["memory_end_mb"] + 60


@LINUX
def test_children_that_have_ended_are_included(measured: MemorySink) -> None:
    """CPU time of a child that was waited for, however it began."""
    with agentlog.tool("t"):
        process = child(BURN)
        wait_ready(process)
        end(process)

    assert resources_of(measured)["cpu_seconds"] >= 0.25


@LINUX
def test_children_that_are_alive_are_included(measured: MemorySink) -> None:
    """CPU time and memory of a child that still runs at the end."""
    with agentlog.tool("t") as run:
        process = child(f"{BURN}\nmemory = b'x' * {100 * MB}")
        wait_ready(process)
        wait_until(lambda: risen_mb(run) >= 90, "a look at it", timeout_s=60)
    end(process)

    found = resources_of(measured)
    assert found["cpu_seconds"] >= 0.25
    assert found["memory_end_mb"] >= found["memory_start_mb"] + 90
    assert found["memory_peak_mb"] >= found["memory_start_mb"] + 90


@LINUX
def test_what_children_did_before_is_not_counted(measured: MemorySink) -> None:
    """A child that was there already, and ends meanwhile, brings only what it used meanwhile."""
    process = child("end = time.process_time() + 2\nwhile time.process_time() < end: pass")
    wait_ready(process)
    with agentlog.task("around") as task:
        # The one around makes the family known.
        wait_until(lambda: meter_of(task)._earlier_cpu_s, "a sample", timeout_s=60)
        with agentlog.tool("t"):
            end(process)

    assert resources_of(measured)["cpu_seconds"] < 1.5
    (last,) = measured.of(type="task", phase="end")
    assert last["details"]["metrics"]["cpu_seconds"] < 1.5


@LINUX
def test_many_children_do_not_slow_down_starts_and_ends(measured: MemorySink) -> None:
    """Of many children only the last look is used, without those that have ended since: nothing counts twice."""
    with agentlog.task("around"):
        children = [child("end = time.process_time() + 0.1\nwhile time.process_time() < end: pass") for _ in range(6)]
        for process in children:
            wait_ready(process)
        # There may be more: other tests of this process may have started some.
        wait_until(lambda: len(recorder().measuring._known or []) >= 6, "a sample", timeout_s=60)
        with agentlog.tool("t"):
            for process in children:
                end(process)

    (last,) = measured.of(type="task", phase="end")
    assert 0.5 <= last["details"]["metrics"]["cpu_seconds"] < 10


@LINUX
def test_bytes_written_are_counted(measured: MemorySink, tmp_path: Path) -> None:
    """What goes to the disk, by this process or a child; where the kernel does not tell, the figure is left out."""
    with agentlog.tool("t"):
        with (tmp_path / "file").open("wb") as file:
            file.write(os.urandom(3 * MB))
            file.flush()
            os.fsync(file.fileno())

    found = resources_of(measured)
    written = found.get("disk_written_mb", 3.0)
    # A file system in memory writes nothing.
    assert written >= 3.0 or written == 0.0


def test_figures_reach_the_final_result(tasks_root: Path) -> None:
    """``memory_peak_mb`` and ``cpu_seconds`` of ``04-final-result.json`` are those of the task's end."""
    with agentlog.task("job", task_id="job-1"), agentlog.tool("t"):
        spend(0.01)

    reader = TaskReader(tasks_root / "job-1")
    metrics = (reader.final_result() or {})["metrics"]
    (last,) = [line for line in reader.events() if line["type"] == "task" and line["phase"] == "end"]
    said = last["details"]["metrics"]
    assert (metrics["memory_peak_mb"], metrics["cpu_seconds"]) == (said["memory_peak_mb"], said["cpu_seconds"])
    assert metrics["cpu_seconds"] >= 0.01
    assert validate(tasks_root / "job-1").problems == []


def test_measuring_can_be_switched_off(tmp_path: Path) -> None:
    """With an interval of 0 nothing is read and nothing recorded."""
    agentlog.configure(directory=tmp_path / "t", log_directory=tmp_path / "l", console="off", resource_interval_s=0)
    with agentlog.task("job", task_id="job-1"):
        pass
    agentlog.shutdown()

    metrics = (TaskReader(tmp_path / "t" / "job-1").final_result() or {})["metrics"]
    assert (metrics["memory_peak_mb"], metrics["cpu_seconds"]) == (None, None)


def test_who_knows_better_is_believed(measured: MemorySink) -> None:
    """Figures that a tool run brings itself stay as they are."""

    class Own(agentlog.ToolRun):
        def _end_fields(self, outcome: agentlog.Outcome) -> dict[str, Any]:
            return {"details": {"resources": {"cpu_seconds": 7.0}}}

    with Own("t"):
        pass

    assert resources_of(measured) == {"cpu_seconds": 7.0}


def test_the_thread_sleeps_when_nothing_is_measured() -> None:
    """After the last meter has ended it looks no more; a new one wakes it. An abandoned meter is no reason to look."""
    measuring = ResourceSampler(INTERVAL_S)
    for _ in range(3):
        kept = measuring.meter()
        assert measuring.sampling
        wait_until(lambda: measuring._known is not None, "a sample", timeout_s=60)
        assert measuring.figures(kept)["memory_peak_mb"] > 0
        measuring.meter()
        wait_until(lambda: not measuring.sampling, "the thread to sleep", timeout_s=60)
    measuring.stop()


def test_many_threads_measure_at_once() -> None:
    """The sampling thread sleeps and wakes in any order with the meters: no caller waits for it, and no meter is missed."""
    measuring = ResourceSampler(0.0001)

    def one(_: int) -> float:
        meter = measuring.meter()
        time.sleep(0.0002)
        return measuring.figures(meter)["memory_peak_mb"]

    with ThreadPoolExecutor(4) as pool:
        assert min(pool.map(one, range(400))) > 0
    wait_until(lambda: not measuring.sampling, "the thread to sleep", timeout_s=60)
    kept = measuring.meter()
    wait_until(lambda: measuring._known is not None, "a sample", timeout_s=60)
    assert measuring.figures(kept)["cpu_seconds"] >= 0
    measuring.stop()


def test_the_child_of_a_fork_measures_anew() -> None:
    """It has a thread of its own, and does not end what its parent began."""
    measuring = ResourceSampler(INTERVAL_S)
    begun = measuring.meter()
    wait_until(lambda: measuring._known is not None, "a sample", timeout_s=60)

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert measuring.figures(begun) == {}
            meter = measuring.meter()
            wait_until(lambda: measuring._known is not None, "a sample in the child", timeout_s=60)
            assert measuring.figures(meter)["memory_peak_mb"] > 0
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    measuring.stop()


def test_figures_that_cannot_be_had_cost_no_record(monkeypatch: pytest.MonkeyPatch, measured: MemorySink) -> None:
    """Where the kernel says nothing, start and end are recorded all the same, and the failure is counted."""

    def broken() -> Any:
        raise OSError("no figures")

    monkeypatch.setattr(resources, "own", broken)
    with agentlog.task("job"):
        pass

    assert measured.actions == ["task_started", "task_completed"]
    assert recorder().failures["meter"] >= 1


@LINUX
def test_without_proc_what_getrusage_knows_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems CPU time and the process's peak remain."""
    monkeypatch.setattr(resources, "_HAS_PROC", False)
    monkeypatch.setitem(sys.modules, "psutil", None)
    measuring = ResourceSampler(INTERVAL_S)

    figures = measuring.figures(measuring.meter())

    assert sorted(figures) == ["cpu_seconds", "memory_peak_mb"]
    measuring.stop()

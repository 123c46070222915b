"""What tasks and tool runs use: CPU time, memory, bytes written, children included."""

from __future__ import annotations

import mmap
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.record import resources
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.resources import MAX_PEAKS, FamilyUsage, ResourceSampler
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


def sampler() -> ResourceSampler:
    """The one in use."""
    found = recorder().measuring
    assert found is not None
    return found


def wait_for_sample(of: ResourceSampler | None = None) -> FamilyUsage:
    """Until the whole of a sample was taken from now on; returns it."""
    measuring = of or sampler()

    def number() -> int:
        return measuring._peaks[-1][0] if measuring._peaks else 0

    begun = number()
    wait_until(lambda: number() > begun + 1, "a sample", timeout_s=60)
    latest = measuring._latest
    assert latest is not None
    return latest.usage


BURN = "end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def resources_of(sink: MemorySink) -> dict[str, Any]:
    """The figures of the one tool run."""
    (line,) = sink.of(type="tool_result")
    found: dict[str, Any] = line["details"]["resources"]
    return found


def test_tasks_and_tool_runs_are_measured(measured: MemorySink) -> None:
    """A task's end has ``metrics``, a tool run's ``resources``; steps and AI calls have none."""
    with agentlog.task("job"), agentlog.step("s"):
        wait_for_sample()
        with agentlog.tool("t"):
            spend(0.05)
            wait_for_sample()

    ends = {line["type"]: line.get("details", {}) for line in measured.ends()}
    assert ends["tool_result"]["resources"]["cpu_seconds"] >= 0.05
    assert ends["task"]["metrics"]["cpu_seconds"] >= 0.05
    assert ends["task"]["metrics"]["memory_peak_mb"] >= ends["task"]["metrics"]["memory_start_mb"] > 1
    assert "metrics" not in ends["step"]


def test_of_what_is_shorter_than_the_interval_only_a_tasks_cpu_time_is_said() -> None:
    """Between two samples nothing is known of a tool run; of a task its CPU time, and memory by the latest sample."""
    measuring = ResourceSampler(3600)
    with recording(measuring=measuring) as sink, agentlog.task("around"):
        wait_until(lambda: measuring._latest, "the first sample", timeout_s=60)
        for _ in range(2):
            with agentlog.task("job"), agentlog.tool("t"):
                spend(0.02)
    measuring.stop()

    assert all("resources" not in line.get("details", {}) for line in sink.of(type="tool_result"))
    first, second, around = (line["details"]["metrics"] for line in sink.of(type="task", phase="end"))
    assert first["cpu_seconds"] >= 0.02 <= second["cpu_seconds"]
    assert around["cpu_seconds"] >= first["cpu_seconds"] + second["cpu_seconds"]
    assert first["memory_start_mb"] == first["memory_end_mb"] == first["memory_peak_mb"] > 1
    assert "disk_written_mb" not in first


@LINUX
def test_memory_that_was_given_back_is_in_the_peak(measured: MemorySink) -> None:
    """What was used in between and is gone at the end was seen by the thread that samples, or by the kernel."""
    with agentlog.task("around"), agentlog.tool("t"):
        start = wait_for_sample()
        with mmap.mmap(-1, 64 * MB) as memory:
            memory.write(b"x" * 64 * MB)
            assert (wait_for_sample().rss_bytes or 0) >= (start.rss_bytes or 0) + 60 * MB
        wait_for_sample()
        with agentlog.tool("later"):
            wait_for_sample()

    later, found = (line["details"]["resources"] for line in measured.of(type="tool_result"))
    assert found["memory_peak_mb"] >= found["memory_end_mb"] + 60
    assert later["memory_peak_mb"] < found["memory_peak_mb"] - 50


@LINUX
def test_a_peak_between_two_samples_is_known_from_the_kernel() -> None:
    """What was given back before anybody looked, if it is the highest that the process ever used."""
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measuring = ResourceSampler(1.0)
    meter = measuring.begin(exact_cpu=True)
    wait_until(lambda: measuring._latest, "the first sample", timeout_s=60)
    with mmap.mmap(-1, highest + 64 * MB) as memory:
        memory.write(b"x" * len(memory))
    wait_for_sample(measuring)

    found = measuring.figures(meter)
    assert found["memory_peak_mb"] * MB >= highest + 60 * MB
    assert found["memory_peak_mb"] >= found["memory_end_mb"] + 60
    measuring.stop()


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=200),
    st.integers(0, 199),
    st.integers(1, 200),
    st.sampled_from([8, MAX_PEAKS]),
)
def test_the_peak_since_any_sample_is_found(rss: list[int], since: int, later: int, most: int) -> None:
    """The highest of the samples since an operation began; where only few are remembered, never less."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resources, "MAX_PEAKS", most)
        samples = iter([FamilyUsage(0.0, 0.0, each * MB, None, each * MB, 0, 0) for each in rss])
        patch.setattr(resources, "usage", lambda: next(samples))
        measuring = ResourceSampler(1.0)
        measuring._asleep.clear()
        begins = since % len(rss)
        meters = []
        for number in range(len(rss)):
            measuring._sample()
            if number == begins:
                meters.append(measuring.begin(exact_cpu=True))

    peak = measuring.figures(meters[0])["memory_peak_mb"]
    assert peak == max(rss[begins:]) if most == MAX_PEAKS else max(rss[begins:]) <= peak <= max(rss)
    assert len(measuring._peaks) <= most


@LINUX
def test_children_that_have_ended_are_included(measured: MemorySink) -> None:
    """CPU time of a child that was waited for, however it began."""
    with agentlog.tool("t"):
        wait_for_sample()
        process = child(BURN)
        wait_ready(process)
        end(process)
        wait_for_sample()

    assert resources_of(measured)["cpu_seconds"] >= 0.25


@LINUX
def test_children_that_are_alive_are_included(measured: MemorySink) -> None:
    """CPU time and memory of a child that still runs at the end."""
    with agentlog.task("job"), agentlog.tool("t"):
        wait_for_sample()
        process = child(f"{BURN}\nmemory = b'x' * {100 * MB}")
        wait_ready(process)
        wait_for_sample()
    end(process)

    (last,) = measured.of(type="task", phase="end")
    for found in (resources_of(measured), last["details"]["metrics"]):
        assert found["cpu_seconds"] >= 0.25
        assert found["memory_end_mb"] >= found["memory_start_mb"] + 90
        assert found["memory_peak_mb"] >= found["memory_start_mb"] + 90


@LINUX
def test_what_children_did_before_is_not_counted(measured: MemorySink) -> None:
    """A child that was there already, and ends meanwhile, brings only what it used meanwhile."""
    process = child("end = time.process_time() + 2\nwhile time.process_time() < end: pass")
    wait_ready(process)
    with agentlog.task("around"):
        wait_for_sample()
        with agentlog.tool("t"):
            end(process)
            wait_for_sample()

    assert resources_of(measured)["cpu_seconds"] < 1.5
    (last,) = measured.of(type="task", phase="end")
    assert last["details"]["metrics"]["cpu_seconds"] < 1.5


@LINUX
def test_many_children_count_once_whether_they_live_or_have_ended(measured: MemorySink) -> None:
    """What they used is counted while they live, and is the parent's once they were waited for."""
    with agentlog.task("around"):
        wait_for_sample()
        children = [child("end = time.process_time() + 0.1\nwhile time.process_time() < end: pass") for _ in range(6)]
        for process in children:
            wait_ready(process)
        wait_for_sample()
        with agentlog.tool("t"):
            for process in children:
                end(process)
            wait_for_sample()

    (last,) = measured.of(type="task", phase="end")
    assert 0.5 <= last["details"]["metrics"]["cpu_seconds"] < 10


@LINUX
def test_bytes_written_are_counted(measured: MemorySink, tmp_path: Path) -> None:
    """What goes to the disk, by this process or a child; where the kernel does not tell, the figure is left out."""
    with agentlog.tool("t"):
        wait_for_sample()
        with (tmp_path / "file").open("wb") as file:
            file.write(os.urandom(3 * MB))
            file.flush()
            os.fsync(file.fileno())
        wait_for_sample()

    found = resources_of(measured)
    written = found.get("disk_written_mb", 3.0)
    # A file system in memory writes nothing.
    assert written >= 3.0 or written == 0.0


def test_figures_reach_the_final_result(tasks_root: Path) -> None:
    """``memory_peak_mb`` and ``cpu_seconds`` of ``04-final-result.json`` are those of the task's end."""
    with agentlog.task("job", task_id="job-1"), agentlog.tool("t"):
        wait_until(lambda: sampler()._latest, "the first sample", timeout_s=60)
        spend(0.01)

    reader = TaskReader(tasks_root / "job-1")
    metrics = (reader.final_result() or {})["metrics"]
    (last,) = [line for line in reader.events() if line["type"] == "task" and line["phase"] == "end"]
    said = last["details"]["metrics"]
    assert (metrics["memory_peak_mb"], metrics["cpu_seconds"]) == (said["memory_peak_mb"], said["cpu_seconds"])
    assert metrics["cpu_seconds"] >= 0.01
    assert metrics["memory_peak_mb"] > 1
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
    """After the last meter has ended it samples no more; a new one wakes it. An abandoned meter is no reason to sample."""
    measuring = ResourceSampler(INTERVAL_S)
    for _ in range(3):
        kept = measuring.begin(exact_cpu=True)
        assert not measuring._asleep
        wait_for_sample(measuring)
        assert measuring.figures(kept)["memory_peak_mb"] > 0
        measuring.begin(exact_cpu=False)
        wait_until(lambda: bool(measuring._asleep), "the thread to sleep", timeout_s=60)
    measuring.stop()


def test_what_was_used_while_the_thread_slept_is_not_counted() -> None:
    """What begins while it sleeps is measured from the sample that it takes when it wakes."""
    measuring = ResourceSampler(INTERVAL_S)
    measuring.figures(measuring.begin(exact_cpu=False))
    wait_until(lambda: bool(measuring._asleep), "the thread to sleep", timeout_s=60)
    spend(1.0)
    meter = measuring.begin(exact_cpu=False)
    wait_for_sample(measuring)

    assert measuring.figures(meter)["cpu_seconds"] < 1.0
    measuring.stop()


def test_many_threads_measure_at_once() -> None:
    """The sampling thread sleeps and wakes in any order with the meters: no caller waits for it, and no meter is missed."""
    measuring = ResourceSampler(0.0001)

    def one(_: int) -> float:
        meter = measuring.begin(exact_cpu=True)
        time.sleep(0.0002)
        return measuring.figures(meter)["cpu_seconds"]

    with ThreadPoolExecutor(4) as pool:
        assert min(pool.map(one, range(400))) >= 0
    wait_until(lambda: bool(measuring._asleep), "the thread to sleep", timeout_s=60)
    kept = measuring.begin(exact_cpu=False)
    wait_for_sample(measuring)
    assert measuring.figures(kept)["memory_peak_mb"] > 0
    measuring.stop()


@LINUX
def test_who_is_measured_makes_no_system_call_but_for_a_tasks_own_cpu_time() -> None:
    """Start and end of an operation are one call of ours each; nothing is read but the latest sample."""
    measuring = ResourceSampler(3600)
    kept = measuring.begin(exact_cpu=True)
    wait_until(lambda: measuring._latest, "the first sample", timeout_s=60)
    calls: list[str] = []
    me = threading.get_ident()

    def note(frame: Any, event: str, what: Any) -> None:
        if threading.get_ident() == me and event in ("call", "c_call"):
            calls.append(frame.f_code.co_name if event == "call" else what.__qualname__)

    sys.setprofile(note)
    try:
        measuring.figures(measuring.begin(exact_cpu=False))
        tool_run = calls[:]
        calls.clear()
        measuring.figures(measuring.begin(exact_cpu=True))
    finally:
        sys.setprofile(None)

    assert tool_run == ["begin", "set.add", "figures"]
    assert calls.count("process_time") == 2
    assert measuring.figures(kept)["cpu_seconds"] >= 0
    measuring.stop()


def test_the_child_of_a_fork_measures_anew() -> None:
    """It has a thread of its own, and does not end what its parent began."""
    measuring = ResourceSampler(INTERVAL_S)
    begun = measuring.begin(exact_cpu=True)
    wait_for_sample(measuring)

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert measuring.figures(begun) == {}
            meter = measuring.begin(exact_cpu=True)
            wait_for_sample(measuring)
            assert measuring.figures(meter)["memory_peak_mb"] > 0
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    measuring.stop()


def test_figures_that_cannot_be_had_cost_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel says nothing, start and end are recorded all the same, and the failure is counted."""

    def broken() -> Any:
        raise OSError("no figures")

    monkeypatch.setattr(resources, "usage", broken)
    failed: list[str] = []
    measuring = ResourceSampler(INTERVAL_S, lambda where, error: failed.append(where))
    with recording(measuring=measuring) as sink, agentlog.task("job"):
        wait_until(lambda: failed, "a sample", timeout_s=60)
    measuring.stop()

    assert sink.actions == ["task_started", "task_completed"]
    assert set(failed) == {"meter"}
    (last,) = sink.of(phase="end")
    assert set(last["details"]["metrics"]) == {"cpu_seconds"}


@LINUX
def test_without_proc_what_getrusage_knows_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems CPU time and the process's peak remain."""
    monkeypatch.setattr(resources, "_HAS_PROC", False)
    monkeypatch.setitem(sys.modules, "psutil", None)
    measuring = ResourceSampler(INTERVAL_S)
    meter = measuring.begin(exact_cpu=True)
    wait_for_sample(measuring)

    assert sorted(measuring.figures(meter)) == ["cpu_seconds", "memory_peak_mb"]
    measuring.stop()

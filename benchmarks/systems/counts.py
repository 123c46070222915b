"""What the calling thread does for one event, in counts that are the same on a busy machine: calls, system calls, instructions.

    python -m benchmarks.systems.counts            the counts of this machine
    python -m benchmarks.systems.counts --commit   writes the instructions of this Python into counts.json

Instructions are callgrind's, of the calling thread, between two marks. They depend on how Python was built: there is a figure for
each version of it, and the test allows for 15 %.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.systems.recorders import Product
from benchmarks.systems.workload import EVENTS_OF_A_TASK, make_tasks, run_task

COMMITTED = Path(__file__).with_name("counts.json")
ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9"
TASKS, FEW_TASKS = 20, 5
"""Tasks that are counted; few by callgrind, which makes everything fifty times slower."""
WARM_TASKS = 5
LONGEST_S = 900
_BEGIN, _END = "/begin-of-counting", "/end-of-counting"
_WARM = "warm"
"""Printed before the first mark; what is counted begins once a line has come on stdin."""
PYTHON = f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}, {platform.machine()}"


def plain_environment() -> dict[str, str]:
    """This process's environment without anybody's settings, and with the same order of hashes each time."""
    settings = ("OTEL_", "AGENTLOG_", "TASK_LOGS_", "LOGFIRE_", "PYTHON")
    plain = {name: value for name, value in os.environ.items() if not name.upper().startswith(settings)}
    plain = {name: value for name, value in plain.items() if not name.lower().endswith("_proxy")}
    return {**plain, "PYTHONHASHSEED": "0", "NO_PROXY": "127.0.0.1,localhost"}


def record(folder: Path, tasks: int) -> None:
    """Record tasks, between two marks that strace shows and callgrind knows (``getsid``, which nothing else calls)."""
    system = Product(NOWHERE, folder)
    made = make_tasks(WARM_TASKS + tasks)
    for task in made[:WARM_TASKS]:
        run_task(system, task)
    print(_WARM, flush=True)
    sys.stdin.readline()
    os.access(_BEGIN, os.F_OK)
    os.getsid(0)
    for task in made[WARM_TASKS:]:
        run_task(system, task)
    os.access(_END, os.F_OK)
    sys.stdout.flush()
    # Ending takes its time from the collector that is not there.
    os._exit(0)


def own_calls(folder: Path) -> dict[str, int]:
    """The package's own Python calls during a log call in a task, and during a tool run from start to end."""
    command = [sys.executable, "-m", "benchmarks.systems.counts", "--calls", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=plain_environment(), cwd=ROOT)
    found: dict[str, int] = json.loads(ran.stdout)
    return found


def _count_calls(folder: Path) -> dict[str, int]:
    import otel_agentlog as agentlog
    from tests.test_event_path import log_line, passed, usual

    def tool_run() -> None:
        with agentlog.tool("read_file", arguments={"path": "a.py"}) as run:
            run.result = "text"

    agentlog.configure(directory=folder, log_directory=folder, console="off", capture_logging=False)
    with agentlog.task("count"):
        return {"log line": len(log_line().calls), "tool run": len(usual(lambda: passed(tool_run)).calls)}


def _record_by(tracer: list[str], folder: Path, tasks: int, when_warm: Callable[[int], object]) -> None:
    command = [*tracer, sys.executable, "-m", "benchmarks.systems.counts", "--record", str(folder / f"of-{tasks}"), str(tasks)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, text=True, env=plain_environment(), cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe
    ) as recording:
        try:
            assert recording.stdout is not None
            if recording.stdout.readline().strip() == _WARM:
                when_warm(recording.pid)
            _, said = recording.communicate("\n", timeout=LONGEST_S)
        finally:
            recording.kill()
    if recording.returncode:
        raise subprocess.CalledProcessError(recording.returncode, command, stderr=said)


@dataclass(frozen=True)
class SystemCalls:
    """System calls of the calling thread while it recorded tasks; without ``futex``, which depends on what other threads do."""

    by_name: Mapping[str, int]
    tasks: int

    @property
    def of_an_event(self) -> float:
        """How many for one event."""
        return sum(self.by_name.values()) / (self.tasks * EVENTS_OF_A_TASK)

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {count / self.tasks:.1f}" for name, count in self.by_name.items())
        return f"{self.of_an_event:.2f} an event; of a task of {EVENTS_OF_A_TASK} events: {listed}"


def system_calls(folder: Path, tasks: int = TASKS) -> SystemCalls:
    """Those of the benchmark's task, by strace, which without ``-f`` follows the first thread alone."""
    out = folder / "strace"
    _record_by(["strace", "-q", "-o", str(out)], folder, tasks, when_warm=lambda pid: None)
    between = out.read_text().split(_BEGIN)[1].split(_END)[0].splitlines()[2:-1]
    names = Counter(match[1] for line in between if (match := re.match(r"(\w+)\(", line)))
    del names["futex"]
    return SystemCalls(dict(names.most_common()), tasks)


def instructions(folder: Path, tasks: int = FEW_TASKS) -> int:
    """Instructions that a task takes the calling thread, by callgrind."""
    out = folder / "callgrind"
    marks = [f"--zero-before={name}" for name in ("getsid", "__getsid")]
    # Imports and the first tasks are not looked at, which is ten times as fast.
    kept = ["--separate-threads=yes", "--instr-atstart=no", *marks, f"--callgrind-out-file={out}"]
    look = ["callgrind_control", "--instr=on"]
    _record_by(
        ["valgrind", "--tool=callgrind", *kept],
        folder,
        tasks,
        when_warm=lambda pid: subprocess.run([*look, str(pid)], check=True, capture_output=True, env=plain_environment()),
    )
    found = re.search(r"^(?:totals|summary): (\d+)", Path(f"{out}-01").read_text(), re.MULTILINE)
    assert found, f"callgrind wrote no total to {out}-01"
    return round(int(found[1]) / tasks)


def committed() -> dict[str, int]:
    """Instructions of a task by Python version, as last committed."""
    found: dict[str, int] = json.loads(COMMITTED.read_text())["instructions_of_a_task"] if COMMITTED.exists() else {}
    return found


def main() -> None:
    """Count and print, or write down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", action="store_true", help="write the instructions of this Python down")
    parser.add_argument("--record", nargs=2, metavar=("FOLDER", "TASKS"), help=argparse.SUPPRESS)
    parser.add_argument("--calls", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.record:
        record(Path(given.record[0]), int(given.record[1]))
    if given.calls:
        print(json.dumps(_count_calls(given.calls)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        print("own calls:", own_calls(Path(scratch)))
        if shutil.which("strace"):
            print("system calls:", system_calls(Path(scratch)))
        if shutil.which("valgrind"):
            found = instructions(Path(scratch))
            print(f"instructions of a task: {found:,}; committed for {PYTHON}: {committed().get(PYTHON, 0):,}")
            if given.commit:
                figures = {"instructions_of_a_task": {**committed(), PYTHON: found}}
                COMMITTED.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

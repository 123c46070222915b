"""Goes through every system call of a small task: kills the process at it, or lets it fail with each error.

After a kill every record whose call had returned is read back, ``metadata.json`` is whole, and repair makes the folder valid.
After an error the program has noticed nothing, and what is missing was counted.

    python benchmarks/syscalls.py                    every call, every error
    python benchmarks/syscalls.py --sample 60        60 of each kind, evenly spread
Needs strace.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import mmap
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.export.semconv.conventions import Conventions
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.validation.validate import validate

CALLS = (
    *("write", "openat", "rename", "renameat", "renameat2", "fsync", "fdatasync"),
    *("mkdir", "mkdirat", "unlinkat", "flock", "pread64"),
)
"""Calls at which the process is killed, or that fail."""
ERRORS = ("ENOSPC", "EIO", "EROFS", "EMFILE", "ENFILE", "EACCES", "EDQUOT", "EINTR")
OUTPUTS = 3
LONGEST_S = 20.0

_PR_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)
_COUNTS = struct.Struct("!BBB")
"""Outputs acknowledged, log lines acknowledged, whether the program came to its end."""


@dataclass
class Figures:
    """What a run found."""

    calls: dict[str, int] = field(default_factory=dict)
    """How often the task makes each call."""
    kills: int = 0
    errors: int = 0
    """Failures injected."""
    lost_lines: int = 0
    """Lines that could not be written because of an injected error; each is counted in its folder."""
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong and self.kills > 0 and self.errors > 0


def job(acknowledge: Callable[[int, int, int], None]) -> None:
    """The small task."""
    log = agentlog.get_logger("small")
    with agentlog.task("small", task_id="t", input={"a": 1}) as task:
        with agentlog.step("first"):
            for number in range(OUTPUTS):
                task.output(f"output {number}")
                acknowledge(number + 1, 0, 0)
            with agentlog.ai_call("some-model", provider="openai") as call:
                call.usage(input_tokens=1, output_tokens=2)
        try:
            with agentlog.step("second"), agentlog.tool("Read", arguments={"path": "x"}):
                raise ValueError("meant to be")
        except ValueError:
            log.warning("went on")
            acknowledge(OUTPUTS, 1, 0)
        task.result = {"done": True}
    agentlog.flush()
    acknowledge(OUTPUTS, 1, 1)


class Child:
    """One run of the job, traced by strace."""

    def __init__(self, root: Path, trace: Sequence[str]) -> None:
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(writing)
            self._work(root, reading)
        os.close(reading)
        self.code = self._trace(trace, writing)
        self.outputs, self.logs, self.finished = _COUNTS.unpack_from(self._shared)

    def _work(self, root: Path, reading: int) -> None:
        code = 70
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)
            os.read(reading, 1)
            job(lambda *counts: _COUNTS.pack_into(self._shared, 0, *counts))
            code = 0
        except BaseException as error:
            # By shared memory, since writing may be what fails.
            text = f"{type(error).__name__}: {error}".encode()[:200]
            self._shared[8 : 8 + len(text)] = text
        finally:
            os._exit(code)

    @property
    def complaint(self) -> str:
        """What the program saw of it."""
        return self._shared[8:208].rstrip(b"\0").decode(errors="replace")

    def _trace(self, trace: Sequence[str], writing: int) -> int:
        tracer = subprocess.Popen(["strace", "-f", "-q", *trace, "-p", str(self.pid)], stderr=subprocess.PIPE)
        try:
            self._wait_until_traced(tracer)
            os.close(writing)
            return self._wait()
        finally:
            tracer.kill()
            tracer.communicate()

    def _wait_until_traced(self, tracer: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + LONGEST_S
        while time.monotonic() < deadline and tracer.poll() is None:
            if f"TracerPid:\t{tracer.pid}\n" in Path(f"/proc/{self.pid}/status").read_text():
                return
            time.sleep(0.001)
        assert tracer.stderr is not None
        raise RuntimeError(f"strace did not attach: {tracer.stderr.read().decode(errors='replace')}")

    def _wait(self) -> int:
        watched = os.pidfd_open(self.pid)
        if not select.select([watched], [], [], LONGEST_S)[0]:
            os.kill(self.pid, signal.SIGKILL)
        os.close(watched)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Run:
    """Goes through the calls of the job."""

    def __init__(self, root: Path, sample: int | None) -> None:
        self._root, self._sample = root, sample
        self.figures = Figures()

    def all(self) -> Figures:
        """Kill at every call, fail every call with every error."""
        began = time.monotonic()
        self.figures.calls = self._count_calls()
        for call, number in self._spread([(call, n + 1) for call, count in self.figures.calls.items() for n in range(count)]):
            self._kill(call, number)
        every = [(call, n + 1, error) for call, count in self.figures.calls.items() for n in range(count) for error in ERRORS]
        for call, number, error in self._spread(every):
            self._fail(call, number, error)
        self.figures.seconds = round(time.monotonic() - began, 1)
        return self.figures

    def _spread(self, every: list[Any]) -> Iterator[Any]:
        step = max(1.0, len(every) / self._sample) if self._sample else 1.0
        return (every[int(index * step)] for index in range(int(len(every) / step)))

    def _count_calls(self) -> dict[str, int]:
        out = self._root / ".strace"
        self._root.mkdir(exist_ok=True)
        child = Child(self._root, ["-e", f"trace={_present()}", "-o", str(out)])
        assert (child.code, child.finished) == (0, 1), child.complaint
        found = Counter(match[1] for match in re.finditer(r"^(?:\d+ +)?(\w+)\(", out.read_text(), re.MULTILINE))
        out.unlink()
        self._remove()
        return {call: found[call] for call in CALLS if found[call]}

    def _kill(self, call: str, number: int) -> None:
        child = Child(self._root, ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}"])
        self.figures.kills += child.code == -signal.SIGKILL
        where = f"killed at {call} {number}"
        if not list(self._root.glob("t/*.json*")):
            self._expect(child.outputs == 0, where, "no files")
            shutil.rmtree(self._root / "t", ignore_errors=True)
            return
        self._check_files(where)
        self._check_records(child, where, lost=0)
        self._check_repair(where)
        self._remove()

    def _fail(self, call: str, number: int, error: str) -> None:
        child = Child(self._root, ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}"])
        self.figures.errors += 1
        where = f"{error} at {call} {number}"
        self._expect((child.code, child.finished) == (0, 1), where, f"the program saw {child.complaint or child.code}")
        metadata = self._check_files(where)
        dropped = metadata.get("delivery", {}).get("dropped", 0)
        self.figures.lost_lines += dropped > 0
        # A line may be two items for the collector: a span, and the log record of its exception.
        self._expect(dropped <= 2, where, f"{dropped} items dropped by one error")
        self._check_records(child, where, lost=min(1, dropped))
        self._expect(metadata.get("status") == "completed", where, f"status {metadata.get('status')}")
        self._check_repair(where, lost=dropped)
        self._remove()

    # -- checks -----------------------------------------------------------------------------------------------------------

    def _expect(self, holds: bool, where: str, found: str) -> None:
        if not holds:
            self.figures.wrong.append(f"{where}: {found}")

    def _check_files(self, where: str) -> dict[str, Any]:
        metadata: dict[str, Any] = {}
        for name in ("metadata.json", "01-input.json", "04-final-result.json"):
            path = self._root / "t" / name
            if path.exists():
                try:
                    found = json.loads(path.read_bytes())
                    metadata = found if name == "metadata.json" else metadata
                except ValueError as error:
                    self._expect(False, where, f"{name}: {error}")
        return metadata

    def _check_records(self, child: Child, where: str, lost: int) -> None:
        lines = list(TaskReader(self._root / "t").events())
        found = {line["content"] for line in lines if line.get("type") == "output"}
        missing = [number for number in range(child.outputs) if f"output {number}" not in found]
        gone = len(missing) + (child.logs > sum(line.get("type") == "log" for line in lines))
        self._expect(gone <= lost, where, f"{gone} acknowledged records are gone, {lost} were counted")

    def _check_repair(self, where: str, lost: int = 0) -> None:
        recover(self._root, everything=True, attributes=Conventions().end_attributes)
        again = recover(self._root, everything=True)
        self._expect(not again.repairs, where, f"a second repair does something: {again.repairs}")
        report = validate(self._root / "t")
        # A line that was counted as lost leaves a gap in the numbers, which is what the gap is for.
        problems = [p for p in report.problems if p.severity == "error" and not (lost and "every event_id" in p.expected)]
        self._expect(not problems, where, "; ".join(map(str, problems[:3])))

    def _remove(self) -> None:
        shutil.rmtree(self._root / "t")


def _present() -> str:
    """The calls that exist on this machine, as strace takes them: a question mark lets the others be."""
    return ",".join(f"?{call}" for call in CALLS)


def main(arguments: list[str]) -> int:
    """Run and print; exit code 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="only so many kills and so many errors")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    scratch = Path(tempfile.mkdtemp(prefix="agentlog-syscalls-"))
    logging.getLogger("otel_agentlog").addHandler(logging.NullHandler())
    settings: dict[str, Any] = {"directory": scratch / "tasks", "log_directory": scratch / "logs", "console": "off"}
    agentlog.configure(service_name="syscalls", recover_on_start=False, **settings)
    # Once untraced, so that everything is imported before it matters.
    job(lambda *counts: None)
    shutil.rmtree(scratch / "tasks")
    figures = Run(scratch / "tasks", given.sample).all()
    shutil.rmtree(scratch)
    if given.json:
        print(json.dumps(asdict(figures)))
    else:
        print(f"calls: {figures.calls}")
        print(f"{figures.kills} kills, {figures.errors} errors injected, {figures.lost_lines} lines lost and counted")
        print(f"{len(figures.wrong)} wrong, {figures.seconds} s")
        print("\n".join(figures.wrong[:40]))
    return 0 if figures.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

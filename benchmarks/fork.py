"""Forks while four threads record, and counts what of the children's records is gone: the figure must be 0, and no child hangs.

python benchmarks/fork.py                   1,000 forks
python benchmarks/fork.py --forks 100 --json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.validation.validate import validate

THREADS = 4
RECORDS = 5
"""Records of each child, besides a step around them."""
AT_ONCE = 8
LONGEST_CHILD_S = 20.0
ENDINGS = ("os._exit", "exception", "SIGKILL", "sys.exit")


@dataclass
class Figures:
    """What a run found."""

    forks: int = 0
    hung: int = 0
    """Children that did not end."""
    failed: int = 0
    """Children that did not end as they wanted to."""
    missing: int = 0
    """Records of children that are not in the folder."""
    misplaced: int = 0
    """Steps of children whose parent is not the span around the fork."""
    malformed: int = 0
    """Lines that readers skip."""
    lines: int = 0
    invalid: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        wrong = self.hung + self.failed + self.missing + self.misplaced + self.malformed + len(self.invalid)
        return wrong == 0 and self.forks > 0


def child(number: int) -> None:
    """Record within the parent's step, then end in one of the ways."""
    log = agentlog.get_logger("child")
    with agentlog.step("child", attributes={"number": number}):
        for record in range(RECORDS):
            log.info("from child", number=number, record=record)
    ending = ENDINGS[number % len(ENDINGS)]
    if ending == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    if ending == "exception":
        raise RuntimeError("meant to be")
    if ending == "sys.exit":
        sys.exit(0)
    os._exit(0)


def fork_one(number: int) -> int:
    """A child that ends like a program of its own, quietly."""
    pid = os.fork()
    if pid == 0:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - a traceback is meant to be there, but nobody wants to see it
        child(number)
    return pid


def busy(stop: threading.Event, task: agentlog.Task) -> None:
    """Record as fast as possible."""
    log = agentlog.get_logger("busy")
    while not stop.is_set():
        with agentlog.step("busy"):
            task.output("some text of the agent")
            log.info("a line", count=1)


def run(forks: int, root: Path) -> Figures:
    """Fork that often from a process with busy threads."""
    agentlog.configure(service_name="fork", directory=root, log_directory=root / ".logs", console="off", recover_on_start=False)
    figures, began = Figures(), time.monotonic()
    stop = threading.Event()
    with agentlog.task("fork", task_id="fork") as task, agentlog.step("around") as around:
        threads = [threading.Thread(target=busy, args=(stop, task)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        running: dict[int, tuple[int, float]] = {}
        while figures.forks < forks or running:
            if figures.forks < forks and len(running) < AT_ONCE:
                running[fork_one(figures.forks)] = (figures.forks, time.monotonic())
                figures.forks += 1
            else:
                reap(running, figures)
        stop.set()
        for thread in threads:
            thread.join()
    check(root / "fork", around.span_id, figures)
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def reap(running: dict[int, tuple[int, float]], figures: Figures) -> None:
    """See which children have ended, and how."""
    for pid, (number, began) in list(running.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            del running[pid]
            wanted = {"SIGKILL": -signal.SIGKILL, "exception": 1}.get(ENDINGS[number % len(ENDINGS)], 0)
            figures.failed += os.waitstatus_to_exitcode(status) != wanted
        elif time.monotonic() - began > LONGEST_CHILD_S:
            figures.hung += 1
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del running[pid]
    time.sleep(0.002)


def check(folder: Path, around: str, figures: Figures) -> None:
    """Read everything back."""
    task = TaskReader(folder)
    records: Counter[tuple[int, int]] = Counter()
    for line in task.events():
        figures.lines += 1
        details = line.get("details") or {}
        if line.get("logger") == "child":
            records[(details["number"], details["record"])] += 1
        if line.get("message") == "child" and line.get("phase") == "start":
            figures.misplaced += line["parent_span_id"] != around
    figures.malformed = task.bad_lines
    figures.missing = sum(records[(number, record)] != 1 for number in range(figures.forks) for record in range(RECORDS))
    figures.invalid = [str(found) for found in validate(folder).problems if found.severity == "error"]


def main(arguments: list[str]) -> int:
    """Run and print; exit code 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forks", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    # Not as a context manager: children leave their parent's blocks too.
    scratch = Path(tempfile.mkdtemp(prefix="agentlog-fork-"))
    figures = run(given.forks, scratch / "tasks")
    shutil.rmtree(scratch)
    if given.json:
        print(json.dumps(asdict(figures)))
    else:
        print(f"{figures.forks} forks with {THREADS} busy threads: {figures.hung} hung, {figures.failed} failed")
        print(f"{figures.missing} records missing, {figures.misplaced} steps misplaced")
        print(f"{figures.malformed} of {figures.lines} lines malformed")
        print(f"{figures.seconds} s")
        print("\n".join(figures.invalid[:20]))
    return 0 if figures.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

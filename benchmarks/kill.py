"""Kills writers at random moments and counts what of their records is gone: the figure must be 0.

A record counts as soon as the call that recorded it has returned; the writer says so over a pipe, and every such record must be
read back byte by byte. Writers are killed with SIGKILL while they record texts of 200 B to 1 MB, one or four of them on one
folder, and start again on the same folder. At the end of each folder it is repaired and validated.

    python benchmarks/kill.py                    1,000 kills
    python benchmarks/kill.py --kills 100 --json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import signal
import struct
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import otel_agentlog as agentlog
from otel_agentlog.export.semconv.conventions import Conventions
from otel_agentlog.store.folder.reader import TaskReader, whole
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.validation.validate import validate

SMALLEST, LARGEST = 200, 1_000_000
LONGEST_LIFE_S = 0.06
ROUNDS_PER_FOLDER = 5

_ACK = struct.Struct("!QI")
_WORDS = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich, and the quick brown fox ☃ watches\n"


@dataclass
class Figures:
    """What a run found."""

    kills: int = 0
    acknowledged: int = 0
    """Records whose call had returned."""
    lost: int = 0
    """Of these, the ones that could not be read back."""
    changed: int = 0
    """Of these, the ones that were read back with another text."""
    torn: int = 0
    """Lines that readers skip."""
    invalid: list[str] = field(default_factory=list)
    """What validation found in repaired folders."""
    bytes_written: int = 0
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing was lost."""
        return not (self.lost or self.changed or self.invalid) and self.acknowledged > 0 and self.torn <= self.kills


def text_of(writer: int, number: int) -> str:
    """The text that this record has; sizes are spread evenly over the orders of magnitude."""
    chance = random.Random(f"{writer}/{number}")
    size = int(SMALLEST * (LARGEST / SMALLEST) ** chance.random())
    begin = f"{writer}/{number} "
    return (begin + _WORDS * (size // len(_WORDS) + 1))[:size]


def write(carrier: dict[str, str], writer: int, pipe: int) -> None:
    """Record until killed; say after each call that it returned."""
    task = agentlog.task(resume=carrier).start()
    number = 0
    while True:
        task.output(text_of(writer, number), writer=writer, number=number)
        os.write(pipe, _ACK.pack(writer, number))
        number += 1


def one_round(carrier: dict[str, str], writers: range, chance: random.Random) -> list[tuple[int, int]]:
    """Start writers, let them live for a random while, kill them; returns what they said."""
    reading, writing = os.pipe()
    children = []
    for writer in writers:
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            try:
                write(carrier, writer, writing)
            finally:
                os._exit(1)
        children.append(pid)
    os.close(writing)
    said = _listen(reading, first_within_s=20.0, life_s=chance.uniform(0, LONGEST_LIFE_S))
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    for pid in children:
        os.waitpid(pid, 0)
    while piece := os.read(reading, 1 << 16):
        said += piece
    os.close(reading)
    return [_ACK.unpack_from(said, at) for at in range(0, len(said) // _ACK.size * _ACK.size, _ACK.size)]


def _listen(pipe: int, first_within_s: float, life_s: float) -> bytes:
    """What was said until the time is over; the time begins with the first word."""
    said, deadline = b"", time.monotonic() + first_within_s
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        if not said:
            deadline = time.monotonic() + life_s
        piece = os.read(pipe, 1 << 16)
        said += piece
        if not piece or time.monotonic() > deadline:
            break
    return said


def check(folder: Path, said: list[tuple[int, int]], figures: Figures) -> None:
    """Read everything back."""
    task, found = TaskReader(folder), {}
    for line in task.events():
        if line.get("type") == "output":
            line = whole(line, task)
            found[(line["details"]["writer"], line["details"]["number"])] = line["content"]
    figures.torn += task.bad_lines
    figures.acknowledged += len(said)
    for key in said:
        if key not in found:
            figures.lost += 1
        elif found[key] != text_of(*key):
            figures.changed += 1
    figures.bytes_written += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def repair(root: Path, folder: Path, figures: Figures) -> None:
    """Repair the folder and hold it against the format."""
    recover(root, [folder.name], attributes=Conventions().end_attributes)
    report = validate(folder)
    figures.invalid += [str(found) for found in report.problems if found.severity == "error"]


def run(kills: int, root: Path, seed: int = 0, keep: bool = False) -> Figures:
    """Kill that many writers, alternately one and four at a time."""
    agentlog.configure(
        service_name="kill",
        directory=root,
        log_directory=root / ".logs",
        console="off",
        capture_logging=False,
        recover_on_start=False,
    )
    figures, chance, began, writer = Figures(), random.Random(seed), time.monotonic(), 0
    number = 0
    while figures.kills < kills:
        task_id, said = f"kill-{number}", []
        with agentlog.webhook("benchmark", "kill") as hook:
            hook.create_task("kill", task_id=task_id)
            carrier = hook.push()
        for round_ in range(ROUNDS_PER_FOLDER):
            # The first one begins the task, the others go on with it.
            at_once = 4 if number % 2 and round_ else 1
            said += one_round(carrier, range(writer, writer + at_once), chance)
            writer += at_once
            figures.kills += at_once
        check(root / task_id, said, figures)
        repair(root, root / task_id, figures)
        if not keep:
            _remove(root / task_id)
        number += 1
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def main(arguments: list[str]) -> int:
    """Run and print; exit code 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", type=Path, help="where to write; default: a new temporary directory")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        figures = run(given.kills, given.root or Path(scratch) / "tasks", given.seed, keep=given.root is not None)
    if given.json:
        print(json.dumps(asdict(figures)))
    else:
        print(
            f"{figures.kills} kills, {figures.acknowledged} records acknowledged, {figures.lost} lost, {figures.changed} changed,"
        )
        print(f"{figures.torn} torn lines skipped, {figures.bytes_written / 1e6:.0f} MB, {figures.seconds} s")
        print("\n".join(figures.invalid[:20]))
    return 0 if figures.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

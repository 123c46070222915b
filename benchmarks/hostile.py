"""Gives every hostile object to every entry point: ``python -m benchmarks.hostile`` from the checkout's root.

No call may raise, every record must be in the folder, and a call takes at most 5 ms, 50 ms where the object has 20 MB. What
never tells its text is waited for once, by the first call that asks: those above 100 ms are listed, too. The
table has a line for each entry point: the time of a call with a harmless text, then the slowest calls and how many harmless ones
that is. Times are wall-clock time, the best of three, since other work on the machine would else drown them.

    python -m benchmarks.hostile                  every object and 200 random ones
    python -m benchmarks.hostile --json
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import json
import logging
import random
import re
import string
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.store.validation.validate import validate
from tests.record.hostile_values import HOSTILE

MOST_MS, MOST_MS_OF_20_MB = 5.0, 50.0
MOST_MS_OF_A_FIRST_CALL = 100.0
TIMES = 3
LONGEST_S = 600
"""After that, where a call hangs is printed and the process ends."""

_log = agentlog.get_logger("hostile")
_stdlib = logging.getLogger("hostile")


class HostileError(Exception):
    """Carries a hostile object."""


def _task_input(mark: str, value: Any) -> None:
    agentlog.task(mark, task_id=mark, input=value).start()


def _step(mark: str, value: Any) -> None:
    with agentlog.step(mark, attributes={"value": value}):
        pass


def _set(mark: str, value: Any) -> None:
    with agentlog.step(mark) as step:
        step.set(value=value)


def _messages(mark: str, value: Any) -> None:
    with agentlog.ai_call(mark, provider="hostile", messages=value):
        pass


def _response(mark: str, value: Any) -> None:
    with agentlog.ai_call(mark, provider="hostile") as call:
        call.record(value)


def _parameters(mark: str, value: Any) -> None:
    with agentlog.ai_call(mark, provider="hostile", temperature=value, stop=value):
        pass


def _arguments(mark: str, value: Any) -> None:
    with agentlog.tool(mark, arguments={"value": value}):
        pass


def _bare_arguments(mark: str, value: Any) -> None:
    with agentlog.tool(mark, arguments=value):
        pass


def _tool_result(mark: str, value: Any) -> None:
    with agentlog.tool(mark) as run:
        run.result = value


def _logger(mark: str, value: Any) -> None:
    _log.info(mark, value=value)


def _stdlib_argument(mark: str, value: Any) -> None:
    _stdlib.info("%s %s", mark, value)


def _stdlib_extra(mark: str, value: Any) -> None:
    _stdlib.info(mark, extra={"value": value})


def _payload(mark: str, value: Any) -> None:
    with agentlog.webhook("hostile", mark, value) as hook:
        hook.stage("validation", status="passed", value=value)


def _bind(mark: str, value: Any) -> None:
    with agentlog.bind(correlation_id=value, note=value):
        _log.info(mark)


def _error(mark: str, value: Any) -> None:
    with suppress(HostileError), agentlog.step(mark):
        raise HostileError(value)


def _attempt(mark: str, value: Any) -> None:
    with agentlog.ai_call(mark, provider="hostile") as call:
        call.attempt_failed(HostileError(value))


def _whole_task(mark: str, value: Any) -> None:
    with agentlog.task(mark, task_id=mark) as task:
        task.output(value)
        task.result = value


ENTRY_POINTS: dict[str, Callable[[str, Any], None]] = {
    "task input": _task_input,
    "task output and result": _whole_task,
    "step attributes": _step,
    "set()": _set,
    "AI call messages": _messages,
    "AI call response": _response,
    "AI call parameters": _parameters,
    "tool arguments": _arguments,
    "tool arguments, bare": _bare_arguments,
    "tool result": _tool_result,
    "log line": _logger,
    "stdlib argument": _stdlib_argument,
    "stdlib extra": _stdlib_extra,
    "webhook payload and stage": _payload,
    "bind": _bind,
    "exception": _error,
    "failed attempt": _attempt,
}


@dataclass
class Figures:
    """What a run found."""

    calls: int = 0
    raised: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Calls whose record is in no file."""
    slow: dict[str, float] = field(default_factory=dict)
    """Calls above their bound, with milliseconds."""
    invalid: list[str] = field(default_factory=list)
    harmless_ms: dict[str, float] = field(default_factory=dict)
    worst: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """By entry point: the slowest calls."""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing raised and nothing is missing; times depend on the machine."""
        return not (self.raised or self.absent or self.invalid) and self.calls > 0


def random_object(rnd: random.Random, depth: int = 0) -> Any:
    """Any nesting of what JSON knows and what it does not."""
    leaf = rnd.choice([None, True, -1, 1e308, float("nan"), 2**70, "", b"\xff", "\ud800", "x" * rnd.randrange(5000), {1, "a"}])
    if depth > 4 or rnd.random() < 0.4:
        return leaf
    inner = [random_object(rnd, depth + 1) for _ in range(rnd.randrange(8))]
    key = rnd.choice([None, 1, b"k", (1, 2), "password", "k\ud800", "".join(rnd.choices(string.printable, k=9))])
    return rnd.choice([inner, tuple(inner), {key: inner}, dict(enumerate(inner)), ValueError(inner), iter(inner)])


def objects(count: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Names and makers of the objects."""
    yield from HOSTILE.items()
    for seed in range(count):
        yield f"random {seed}", lambda seed=seed: random_object(random.Random(seed))  # type: ignore[misc]  # bound at once


class Run:
    """One run over all entry points."""

    def __init__(self, root: Path, count: int, only: str) -> None:
        self.figures = Figures()
        self._root, self._count, self._only = root, count, only
        self._marks: dict[str, str] = {}

    def all(self) -> Figures:
        """Call everything, then read everything."""
        began = time.monotonic()
        for name, call in ENTRY_POINTS.items():
            if self._only in name:
                with agentlog.task(name, task_id=f"entry-{len(self.figures.worst)}"):
                    self._entry(name, call)
        agentlog.shutdown()
        self._check()
        self.figures.seconds = round(time.monotonic() - began, 1)
        return self.figures

    def _entry(self, name: str, call: Callable[[str, Any], None]) -> None:
        self.figures.harmless_ms[name] = min(self._timed(name, "harmless", call, lambda: "text") for _ in range(20))
        taken = []
        for kind, make in objects(self._count):
            times = [self._timed(name, kind, call, make) for _ in range(1 if "MB" in kind else TIMES)]
            best = min(times)
            if times[0] > MOST_MS_OF_A_FIRST_CALL:
                self.figures.slow[f"{name}: {kind}, first call"] = round(times[0], 1)
            taken.append((round(best, 2), kind))
            if best > (MOST_MS_OF_20_MB if "MB" in kind else MOST_MS):
                self.figures.slow[f"{name}: {kind}"] = round(best, 1)
        self.figures.worst[name] = sorted(taken, reverse=True)[:4]

    def _timed(self, name: str, kind: str, call: Callable[[str, Any], None], make: Callable[[], Any]) -> float:
        mark = f"mark-{self.figures.calls}-"
        self.figures.calls += 1
        self._marks[mark] = f"{name}: {kind}"
        value = make()
        began = time.perf_counter()
        try:
            call(mark, value)
        except Exception as error:
            self.figures.raised.append(f"{name}: {kind}: {type(error).__name__}")
        return (time.perf_counter() - began) * 1e3

    def _check(self) -> None:
        found: set[bytes] = set()
        for path in self._root.rglob("*.json*"):
            # The application log is rotated and compressed meanwhile.
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                found.update(re.findall(rb"mark-\d+-", file.read()))
        self.figures.absent = [where for mark, where in self._marks.items() if mark.encode() not in found]
        for folder in sorted(self._root.glob("entry-*")):
            self.figures.invalid += [str(found) for found in validate(folder).problems if found.severity == "error"]


def show(figures: Figures) -> None:
    """Print the table."""
    print(f"{'entry point':<28}{'harmless':>10}   slowest")
    for name, worst in figures.worst.items():
        harmless = figures.harmless_ms[name]
        slowest = ", ".join(f"{kind} {ms:.1f} ms (x{ms / harmless:.0f})" for ms, kind in worst)
        print(f"{name:<28}{harmless:>7.2f} ms   {slowest}")
    print(f"\n{figures.calls} calls, {len(figures.raised)} raised, {len(figures.absent)} records absent, {figures.seconds} s")
    print(f"{len(figures.slow)} kinds of calls above {MOST_MS:g} ms ({MOST_MS_OF_20_MB:g} ms for 20 MB)")
    for what, ms in sorted(figures.slow.items(), key=lambda item: -item[1]):
        print(f"  {what}: {ms} ms")
    print("\n".join([*figures.raised[:20], *figures.absent[:20], *figures.invalid[:20]]))


def main(arguments: list[str]) -> int:
    """Run and print; exit code 1 if a call raised or a record is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=200, help="how many random objects")
    parser.add_argument("--only", default="", help="only entry points with this in their name")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    faulthandler.dump_traceback_later(LONGEST_S, exit=True)
    logging.getLogger("hostile").setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "tasks"
        agentlog.configure(
            service_name="hostile", directory=root, log_directory=root / ".logs", console="off", recover_on_start=False
        )
        time.sleep(1)  # the redaction rules are made ready in the background
        figures = Run(root, given.random, given.only).all()
    print(json.dumps(asdict(figures))) if given.json else show(figures)
    return 0 if figures.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What recording costs, as ratios to the bare OpenTelemetry SDK that does the same work and only sends.

    python -m benchmarks.speed                       everything
    python -m benchmarks.speed --short               meant for ten minutes on two cores that are free
    python -m benchmarks.speed --growth --svg docs/  what grows, and the plots of it
    python -m benchmarks.speed --short --readme      and the table of README.md
    python -m benchmarks.speed --from speed.json --readme --svg docs/   from an earlier run

One task is 21 spans and 50 log records (benchmarks/systems/workload.py). Each system records it in a process of its own, in
rounds: system A, B, C, then A, B, C again. CPU is that of the threads that record, and of the process until its shutdown has
ended; never time by the clock, but for what single calls take. A ratio is to the bare SDK of the same round, a figure the median
of its rounds. The receiver counts what arrives by its ids, in another process.

Logfire and opentelemetry-util-genai are installed by pip the first time, each into an environment of its own below
~/.cache/otel_agentlog-bench, or --venvs. Folders are made in the temporary folder, or --scratch: what the disk is like counts.
Results go to speed.json, or --json; a table to standard output. Exit code 1 if a bar does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.systems import counts
from benchmarks.systems.followers import FOLLOWERS
from benchmarks.systems.plots import Line, Panel, svg
from benchmarks.systems.receiver import Receiver, receiving
from benchmarks.systems.workload import EVENTS_OF_A_TASK, LOGS_OF_A_TASK

ROOT = Path(__file__).parents[1]
VENVS = Path("~/.cache/otel_agentlog-bench").expanduser()
PACKAGES = {
    "util-genai": ("opentelemetry-util-genai", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
    "logfire": ("logfire",),
}
"""What is installed for those that are not among the packages of the tests."""

NAMES = {
    "sdk": "bare OpenTelemetry SDK",
    "product": "**otel_agentlog**",
    "structlog": "structlog to a file (log records only)",
    "util-genai": "opentelemetry-util-genai",
    "logfire": "Logfire",
}
SCENARIOS = {"sync": "one thread", "threads": "8 threads", "asyncio": "200 asyncio tasks"}
THREADS = (1, 2, 4, 8, 16)
EVENTS = (10, 1_000, 100_000)
OPEN_TASKS = (1, 1_000, 10_000)
LINES = (1_000, 20_000)
LONGEST_S = 900
MARKS = ("<!-- speed: begin -->", "<!-- speed: end -->")

Row = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    """What a figure must be at most, and what is aimed at."""

    what: str
    bar: float
    aim: float
    unit: str = "×"
    at_least: bool = False

    def holds(self, value: float, limit: float) -> bool:
        """Whether a value keeps to a limit."""
        return value >= limit if self.at_least else value <= limit


BARS: dict[str, Bar] = {
    **{f"app_ratio_{each}": Bar(f"CPU of the calling thread, {name}", 0.7, 0.3) for each, name in SCENARIOS.items()},
    **{f"total_ratio_{each}": Bar(f"CPU of the whole process, {name}", 0.9, 0.5) for each, name in SCENARIOS.items()},
    "log_p50_us": Bar("a log call, median", 10, 5, "µs"),
    "log_p99_us": Bar("a log call, 99th percentile", 100, 50, "µs"),
    "span_p50_us": Bar("a span, start and end, median", 35, 20, "µs"),
    "span_p99_threads_ms": Bar("a span with 8 threads, 99th percentile", 10, 5, "ms"),
    "lost_lines": Bar("recorded events that are not in the folder", 0, 0, ""),
    "delivered_percent": Bar("recorded events at the receiver, after catch-up", 100, 100, "%", at_least=True),
    "memory_above_sdk_mb": Bar("peak memory above the bare SDK", 20, 8, "MB"),
    "down_ratio": Bar("CPU of the calling thread, receiver down against up", 1.1, 1.0),
    "own_calls_log": Bar("own Python calls of a log call in a task", 20, 12, "calls"),
    "own_calls_tool": Bar("own Python calls of a tool run", 60, 40, "calls"),
    "system_calls_event": Bar("system calls of the calling thread for an event", 1.5, 1.2, "calls"),
    "task_folder_ms": Bar("a task's folder of five files, made and finished", 1.0, 0.5, "ms"),
    "first_price_ms": Bar("the first AI call that has a price", 1.0, 0.1, "ms"),
    "growth_events": Bar("CPU of an event in tasks of 10, 1,000 and 100,000 events, most against fewest", 1.15, 1.05),
    "growth_open_tasks": Bar("CPU of an event with 1, 1,000 and 10,000 open tasks, all of it in one", 1.15, 1.05),
    "growth_open_tasks_in_turn": Bar("the same, ten events in each of them in turn", 1.15, 1.05),
    "catalogue_ms": Bar("a question to the catalogue of 100,000 tasks, the slowest", 100, 50, "ms"),
    **{
        f"follow_{each}": Bar(f"{each}: CPU of a new line in a task of 20,000 lines, against one of 1,000", 1.15, 1.05)
        for each in FOLLOWERS
    },
    "large_value_s": Bar("a value of 20 MB, the slowest kind", 0.15, 0.05, "s"),
}
"""Every figure that must hold."""


# -- running one measurement ----------------------------------------------------------------------------------------------


def environment_of(system: str, venvs: Path) -> str | None:
    """The Python that has this system, installed if it is not there; ``None`` (and said so) where that does not work."""
    if system not in PACKAGES:
        return sys.executable
    home = venvs / system
    python = home / "bin" / "python"
    if (home / "installed").exists():
        return str(python)
    say(f"installing {', '.join(PACKAGES[system])} into {home}")
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True, capture_output=True, text=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES[system]], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        told = (error.stderr or str(error)).strip().splitlines()[-1]
        say(f"{system} is left out, it cannot be installed: {told}")
        return None
    (home / "installed").touch()
    return str(python)


def say(text: str) -> None:
    """Tell how far we are, beside the results."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


class Runs:
    """Starts measurements, each in a process and a folder of its own.

    Folders stay until the end: on ext4 making files is several times dearer for minutes after others were deleted.
    """

    def __init__(self, scratch: Path, receiver: Receiver, pythons: Mapping[str, str]) -> None:
        self._scratch, self._receiver, self._pythons = scratch, receiver, pythons
        self._number = 0
        self.rows: list[Row] = []

    def folder(self) -> Path:
        """A new one."""
        self._number += 1
        path = self._scratch / str(self._number)
        path.mkdir()
        return path

    def __call__(self, measure: str, system: str = "product", *, down: bool = False, **more: Any) -> Row:
        """Measure; what was found, with what the receiver got."""
        self._receiver.counts()
        folder = self.folder()
        endpoint = counts.NOWHERE if down else self._receiver.endpoint
        order = {"measure": measure, "system": system, "folder": str(folder), "endpoint": endpoint, **more}
        environment = {**counts.plain_environment(), "HOME": str(folder)}
        command = [self._pythons[system], "-m", "benchmarks.systems.worker", json.dumps(order)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, env=environment, cwd=ROOT)
        if ran.returncode:
            raise RuntimeError(f"{system}, {measure}: exit code {ran.returncode}\n{ran.stderr[-3000:]}")
        row = {**order, **json.loads(ran.stdout.splitlines()[-1]), "received": self._receiver.counts()}
        self.rows.append(row)
        return row

    def ship(self, folder: Path) -> dict[str, int]:
        """Send what waits in these folders; what the receiver got."""
        command = [sys.executable, "-m", "otel_agentlog", "ship", "--root", str(folder / "tasks")]
        command += ["--endpoint", self._receiver.endpoint]
        subprocess.run(command, check=True, capture_output=True, env=counts.plain_environment(), timeout=LONGEST_S)
        return self._receiver.counts()


def on_disk(folder: Path) -> dict[str, int]:
    """Spans that ended and log records in the folders of tasks, counted by id."""
    spans, logs = set(), set()
    for path in (folder / "tasks").glob("*/03-agent-output.jsonl"):
        for line in map(orjson.loads, path.read_bytes().splitlines()):
            if line.get("phase") == "end":
                spans.add(line["span_id"])
            elif line.get("type") == "log" and "seq" in line.get("details", {}):
                logs.add(line["details"]["seq"])
    return {"spans": len(spans), "logs": len(logs)}


# -- the measurements -----------------------------------------------------------------------------------------------------


@dataclass
class Results:
    """All that was found."""

    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))
    commit: str = ""
    machine: str = ""
    load: list[float] = field(default_factory=list)
    """Least and most processes that wanted a processor, of a minute's average after each round; ours are one or two of them."""
    rounds: int = 0
    short: bool = False
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Row] = field(default_factory=dict)
    systems: dict[str, dict[str, Row]] = field(default_factory=dict)
    """Medians of each system in each scenario."""
    growth: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def set(self, name: str, value: float | None) -> None:
        """Put a figure beside its bar; ``None`` is not measured."""
        bar = BARS[name]
        known = value is not None
        self.figures[name] = {
            **asdict(bar),
            "value": round(value, 3) if value is not None else None,
            "holds": bar.holds(value, bar.bar) if value is not None else None,
            "reaches_aim": bar.holds(value, bar.aim) if known and value is not None else None,
        }


@dataclass
class Loads:
    """The rounds of all systems, and what became of what they recorded."""

    rounds: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    lost: int = 0
    made: int = 0
    arrived: int = 0

    def run(self, runs: Runs, number: int, scenario: str, systems: Sequence[str], **size: Any) -> None:
        """One round: each system once, another first each time."""
        turned = [*systems[number % len(systems) :], *systems[: number % len(systems)]]
        for system in turned:
            row = runs("load", system, scenario=scenario, **size)
            self.rounds.setdefault((scenario, system), []).append(row)
            if system == "product":
                self.account(row, row["received"])
        found = {system: self.rounds[scenario, system][-1] for system in turned}
        ratios = (f"{each} {row['app_us_task'] / found['sdk']['app_us_task']:.2f}" for each, row in found.items())
        say(f"round {number + 1}, {scenario}: {', '.join(ratios)} of the bare SDK's calling thread")

    def account(self, row: Row, received: Mapping[str, int]) -> None:
        """Compare what was made with the folder, and with the receiver."""
        made, kept = row["made_tasks"] * EVENTS_OF_A_TASK, on_disk(Path(row["folder"]))
        self.made += made
        self.lost += made - kept["spans"] - kept["logs"]
        self.arrived += received["spans"] + received["logs"]

    def ratio(self, scenario: str, system: str, name: str) -> float:
        """The median of the ratios to the bare SDK of the same round."""
        pairs = zip(self.rounds[scenario, system], self.rounds[scenario, "sdk"], strict=False)
        return float(median(ours[name] / theirs[name] for ours, theirs in pairs))

    def medians(self, scenario: str, system: str) -> Row:
        """A line of the table."""
        rows = self.rounds[scenario, system]
        made = rows[0]["made_tasks"]
        wanted = made * (LOGS_OF_A_TASK if system == "structlog" else EVENTS_OF_A_TASK)
        return {
            "app_us_task": median(row["app_us_task"] for row in rows),
            "total_us_task": median(row["total_us_task"] for row in rows),
            "app_ratio": self.ratio(scenario, system, "app_us_task"),
            "total_ratio": self.ratio(scenario, system, "total_us_task"),
            "peak_mb": median(row["peak_mb"] for row in rows),
            "shutdown_s": median(row["shutdown_s"] for row in rows),
            **{f"{kind}_{p}_us": latency(rows, kind, p) for kind in ("log", "span") for p in ("p50", "p99")},
            "lost": None
            if system == "structlog"
            else wanted - median(r["received"]["spans"] + r["received"]["logs"] for r in rows),
            "wire_bytes_task": median(row["received"]["bytes"] for row in rows) / made,
            "rounds": len(rows),
        }


def latency(rows: list[Row], kind: str, percentile: str) -> float:
    """The median of the rounds, in microseconds."""
    return float(median(row[f"{kind}_us"][percentile] for row in rows))


def measure_loads(runs: Runs, results: Results, given: argparse.Namespace, systems: Sequence[str]) -> None:
    """Rounds of every system, then the product with the receiver down, in the same rounds."""
    loads, down = Loads(), []
    for turn in range(given.rounds):
        for scenario in SCENARIOS:
            compared = systems if scenario == "sync" or not given.short else ("sdk", "product")
            loads.run(runs, turn, scenario, compared, tasks=given.tasks)
        away = runs("load", down=True, tasks=given.tasks)
        up = loads.rounds["sync", "product"][-1]
        down.append(away["app_us_task"] / up["app_us_task"])
        results.load = [min([*results.load, os.getloadavg()[0]]), max([*results.load, os.getloadavg()[0]])]
        if turn == 0:
            loads.account(away, runs.ship(Path(away["folder"])))
    for scenario, system in loads.rounds:
        results.systems.setdefault(scenario, {})[system] = loads.medians(scenario, system)
        results.versions |= loads.rounds[scenario, system][0]["versions"]
    for scenario in SCENARIOS:
        results.set(f"app_ratio_{scenario}", results.systems[scenario]["product"]["app_ratio"])
        results.set(f"total_ratio_{scenario}", results.systems[scenario]["product"]["total_ratio"])
    sync = results.systems["sync"]["product"]
    for name in ("log_p50_us", "log_p99_us", "span_p50_us"):
        results.set(name, sync[name])
    results.set("span_p99_threads_ms", results.systems["threads"]["product"]["span_p99_us"] / 1e3)
    results.set("lost_lines", loads.lost)
    results.set("delivered_percent", 100 * loads.arrived / loads.made)
    pairs = zip(loads.rounds["sync", "product"], loads.rounds["sync", "sdk"], strict=True)
    results.set("memory_above_sdk_mb", median(ours["peak_mb"] - theirs["peak_mb"] for ours, theirs in pairs))
    results.set("down_ratio", median(down))


def measure_single(runs: Runs, results: Results, given: argparse.Namespace) -> None:
    """What is done once or rarely, and what is counted."""
    prices = [runs("first_price") for _ in range(given.rounds)]
    results.set("first_price_ms", median(row["first_ms"] for row in prices))
    results.details["first_price_has_a_cost"] = all(row["cost_usd"] for row in prices)
    folders = [runs("task_folder", tasks=300) for _ in range(given.rounds)]
    assert all(row["files"] == 5 for row in folders), "a task that came by a webhook has five files"
    results.set("task_folder_ms", median(row["ms"] for row in folders))
    large = [runs("large_value")["s"] for _ in range(min(3, given.rounds))]
    results.details["large_value_s"] = {kind: round(median(each[kind] for each in large), 3) for kind in large[0]}
    results.set("large_value_s", max(results.details["large_value_s"].values()))
    calls = counts.own_calls(runs.folder())
    results.set("own_calls_log", calls["log line"])
    results.set("own_calls_tool", calls["tool run"])
    found = counts.system_calls(runs.folder()) if shutil.which("strace") else None
    results.set("system_calls_event", found.of_an_event if found else None)
    results.details["system_calls"] = str(found)
    results.set("catalogue_ms", None if given.short else catalogue(runs, results))
    say("single costs and counts done")
    follow = [runs("followed", sizes=LINES) for _ in range(1 if given.short else 5)]
    for kind in FOLLOWERS:
        results.details[f"follow_{kind}_us"] = {size: median(row[kind][str(size)] for row in follow) for size in LINES}
        results.set(f"follow_{kind}", median(row[kind][str(LINES[1])] / row[kind][str(LINES[0])] for row in follow))
    say("followers done")


def catalogue(runs: Runs, results: Results) -> float:
    """The slowest question to 100,000 tasks, by `benchmarks/catalogue.py`."""
    command = [sys.executable, str(ROOT / "benchmarks" / "catalogue.py"), "--json", "--root", str(runs.folder())]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    results.details["catalogue"] = json.loads(ran.stdout)
    return float(max(results.details["catalogue"]["warm_ms"].values()))


def measure_growth(runs: Runs, results: Results, given: argparse.Namespace) -> None:
    """CPU of an event against events of a task, open tasks and threads."""
    rounds = 5 if given.short else 15
    lengths = runs("events_of_a_task", sizes=EVENTS, rounds=rounds)["sizes"]
    say("growth with the events of a task done")
    opened = runs("open_tasks", sizes=OPEN_TASKS, rounds=rounds)
    say("growth with open tasks done")
    threads: dict[str, dict[int, list[Row]]] = {"sdk": {}, "product": {}}
    for _ in range(2 if given.short else 5):
        for number in THREADS:
            for system, found in threads.items():
                row = runs("load", system, scenario="threads", threads=number, tasks=96, timed_tasks=0)
                found.setdefault(number, []).append(row)
    results.growth = {
        "events": lengths,
        "open_tasks": opened["one"],
        "open_tasks_in_turn": opened["turn"],
        "threads": {
            system: {
                number: {"app_us": median(row["app_us_task"] for row in rows) / EVENTS_OF_A_TASK}
                for number, rows in found.items()
            }
            for system, found in threads.items()
        },
    }
    say("growth with threads done")
    for name in ("events", "open_tasks", "open_tasks_in_turn"):
        results.set(f"growth_{name}", grown([cost["app_us"] for cost in results.growth[name].values()]))


def grown(costs: Sequence[float]) -> float:
    """The most that a larger number costs against a smaller one; 1 is flat."""
    return max(after / before for at, before in enumerate(costs) for after in costs[at + 1 :])


# -- telling --------------------------------------------------------------------------------------------------------------


def number(value: float | None, digits: int = 2) -> str:
    """A figure as people read it."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.{digits}f}"


def table_of_bars(results: Results) -> Iterator[str]:
    """Each figure with its bar and aim."""
    yield "| figure | value | bar | aim | |"
    yield "|---|---:|---:|---:|---|"
    for each in results.figures.values():
        sign = "≥" if each["at_least"] else "≤"
        verdict = (
            "not measured" if each["value"] is None else "aim" if each["reaches_aim"] else "holds" if each["holds"] else "**no**"
        )
        limits = f"{sign} {number(each['bar'])} | {sign} {number(each['aim'])}"
        value = f"{number(each['value'])} {each['unit'] if each['value'] is not None else ''}".strip()
        yield f"| {each['what']} | {value} | {limits} | {verdict} |"


def table_of_systems(results: Results) -> Iterator[str]:
    """The systems beside each other, one at a time in one thread, and what else there is of threads and asyncio."""
    yield "| system | calling thread's CPU | process's CPU | log call p50 / p99 µs | span p50 / p99 µs | peak MB |"
    yield "|---|---:|---:|---:|---:|---:|"
    for scenario, systems in results.systems.items():
        for system, row in systems.items():
            name = NAMES[system] if scenario == "sync" else f"{NAMES[system]}, {SCENARIOS[scenario]}"
            own = {kind: f"{number(row[f'{kind}_p50_us'], 1)} / {number(row[f'{kind}_p99_us'], 0)}" for kind in ("log", "span")}
            spans = "–" if system == "structlog" else own["span"]
            ratios = f"{row['app_ratio']:.2f} × | {row['total_ratio']:.2f} ×"
            if system == "sdk":
                ratios = f"{row['app_us_task'] / 1e3:.1f} ms = 1 | {row['total_us_task'] / 1e3:.1f} ms = 1"
            yield f"| {name} | {ratios} | {own['log']} | {spans} | {row['peak_mb']:.0f} |"


def readme_text(results: Results) -> str:
    """The part of README.md between the marks."""
    versions = ", ".join(f"{name} {found}" for name, found in sorted(results.versions.items()))
    command = "python -m benchmarks.speed" + (" --short" if results.short else "")
    load = " to ".join(f"{each:.0f}" for each in results.load)
    head = f"{results.date}, {results.machine}, load {load}; {versions}. Medians of {results.rounds} rounds: `{command}`,"
    head += f" which took {results.seconds / 60:.0f} minutes."
    return "\n".join(["", head, "", *table_of_systems(results), "", *table_of_bars(results), ""])


def rewrite_readme(results: Results) -> None:
    """Put the tables of this run into README.md."""
    path = ROOT / "README.md"
    before, rest = path.read_text().split(MARKS[0])
    path.write_text(f"{before}{MARKS[0]}\n{readme_text(results)}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def plots(results: Results, folder: Path) -> None:
    """Draw what was found about growth."""
    growth = results.growth

    def points(found: Mapping[Any, Row]) -> list[tuple[float, float]]:
        return [(float(size), cost["app_us"]) for size, cost in found.items()]

    panels = [
        Panel("events of the task (log calls)", [Line("one task", points(growth["events"]))]),
        Panel(
            "open tasks (log calls)",
            [
                Line("events in one of them", points(growth["open_tasks"])),
                Line("in all of them in turn", points(growth["open_tasks_in_turn"])),
            ],
        ),
        Panel(
            "threads (whole tasks)",
            [
                Line("otel_agentlog", points(growth["threads"]["product"])),
                Line("bare OpenTelemetry SDK", points(growth["threads"]["sdk"])),
            ],
        ),
    ]
    title = f"CPU of the calling thread for an event, µs ({results.date}, {results.machine})"
    (folder / "growth.svg").write_text(svg(title, panels))


def machine() -> str:
    """What this ran on, as far as it matters."""
    return f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def commit() -> str:
    """The commit of the checkout, or nothing."""
    ran = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    return ran.stdout.strip()


def measured(given: argparse.Namespace, scratch: Path) -> Results:
    """Run what is asked for."""
    began = time.monotonic()
    results = Results(commit=commit(), machine=machine(), rounds=given.rounds, short=given.short)
    found = {system: environment_of(system, given.venvs) for system in given.systems}
    pythons = {system: python for system, python in found.items() if python}
    with receiving() as receiver:
        runs = Runs(scratch, receiver, pythons)
        if not given.growth:
            measure_loads(runs, results, given, list(pythons))
            measure_single(runs, results, given)
        measure_growth(runs, results, given)
    results.rows = runs.rows
    results.seconds = round(time.monotonic() - began, 1)
    return results


def tell(results: Results, given: argparse.Namespace) -> None:
    """Print the tables, and write what is asked for."""
    print("\n".join([*table_of_systems(results), "", *table_of_bars(results)] if results.systems else table_of_bars(results)))
    if given.svg:
        plots(results, given.svg)
    if given.readme:
        rewrite_readme(results)
    say(f"{results.seconds:.0f} s; results are in {given.earlier or given.json}")


def main(arguments: list[str]) -> int:
    """Measure, write down and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="three rounds; no catalogue; others than the SDK in one thread only")
    parser.add_argument("--rounds", type=int, help="default 9, with --short 3")
    parser.add_argument("--tasks", type=int, default=200, help="tasks of a round")
    parser.add_argument(
        "--systems", nargs="*", choices=list(NAMES), default=list(NAMES), help="the SDK and the product always are"
    )
    parser.add_argument("--growth", action="store_true", help="only what grows")
    parser.add_argument("--json", type=Path, default=Path("speed.json"), help="where the results go")
    parser.add_argument("--from", dest="earlier", type=Path, help="take the results of an earlier run")
    parser.add_argument("--svg", type=Path, help="draw growth.svg into this folder")
    parser.add_argument("--readme", action="store_true", help="rewrite the tables of README.md")
    parser.add_argument("--venvs", type=Path, default=VENVS, help="environments of other systems")
    parser.add_argument("--scratch", type=Path, help="where folders of tasks are made, and deleted at the end")
    given = parser.parse_args(arguments)
    given.rounds = given.rounds or (3 if given.short else 9)
    given.systems = list(dict.fromkeys(["sdk", "product", *given.systems]))
    if given.growth and given.readme:
        parser.error("--readme needs more than --growth measures")
    if given.earlier:
        results = Results(**json.loads(given.earlier.read_text()))
        tell(results, given)
    else:
        scratch = Path(tempfile.mkdtemp(prefix="agentlog-speed-", dir=given.scratch))
        try:
            results = measured(given, scratch)
            given.json.write_text(json.dumps(asdict(results), indent=1) + "\n")
            tell(results, given)
        finally:
            # Tens of thousands of folders: after everything else.
            shutil.rmtree(scratch, ignore_errors=True)
    return int(any(each["holds"] is False for each in results.figures.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

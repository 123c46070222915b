"""The index of a hundred thousand tasks: how long it takes to make it, how large it is, and how fast it answers.

Asked is every question of docs/queries.md: in Python, by the commands (their `main`, in this process, with what they print),
and over REST (the application, without sockets).

python benchmarks/catalogue.py                          100,000 tasks in a temporary folder, deleted at the end
python benchmarks/catalogue.py --tasks 5000 --json
python benchmarks/catalogue.py --root DIR               makes them there, or takes those that are there, and keeps them
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from otel_agentlog.query import Filter, find_errors, overview, search, statistics, timeline
from otel_agentlog.store.index.database import discard
from otel_agentlog.view.cli.main import main as agentlog
from otel_agentlog.vocabulary.lines import timestamp

TASKS = 100_000
RUNNING = 50
"""Tasks among them that go on, each held by a process."""
REPEATS = 7
LIMIT_MS = 100.0
AIM_MS = 50.0
SLOWEST = 10
"""Questions that are listed again, the slowest first."""

_NS = 1_000_000_000
_SPAN_S = 30 * 86_400
_STATES = ("completed",) * 17 + ("failed", "failed", "cancelled", "timed_out", "interrupted")
_AGENTS = tuple(f"agent-{number}" for number in range(12))
_MODELS = (("anthropic", "claude-opus-4-5"), ("anthropic", "claude-haiku-4-5"), ("openai", "gpt-5"), ("openai", "gpt-5-mini"))
_TOOLS = ("Read", "Write", "Bash", "Grep", "WebFetch", "Test")
_CATEGORIES = ("NETWORK", "TIMEOUT", "EXECUTION", "VALIDATION")
_SYLLABLES = ("re", "mi", "to", "ka", "lo", "su", "pe", "na", "di", "vo", "che", "gru")


# -- making tasks ---------------------------------------------------------------------------------------------------------


class Maker:
    """Writes the folders of tasks that look like those of an agent at work; the same for the same seed."""

    def __init__(self, root: Path, seed: int = 7) -> None:
        self._root = root
        self._random = random.Random(seed)
        self._words = sorted({"".join(self._random.choices(_SYLLABLES, k=3)) for _ in range(3000)})
        self._began_ns = time.time_ns() - _SPAN_S * _NS

    def text(self, words: int) -> str:
        """Words, some far more common than others."""
        return " ".join(self._words[min(int(self._random.paretovariate(0.6)) - 1, len(self._words) - 1)] for _ in range(words))

    def make(self, number: int, count: int, *, running: bool = False) -> None:
        """Write one task, which goes on if it is `running`."""
        pick = self._random
        task_id = f"task-{pick.randrange(16**12):012x}"
        begun = self._began_ns + _SPAN_S * _NS * number // count + pick.randrange(_NS)
        status = "running" if running else pick.choice(_STATES)
        provider, model = pick.choice(_MODELS)
        name = f"Review PR {number}"
        lines = [*self._lines(task_id, name, begun, provider, model, status)]
        seconds = round(pick.lognormvariate(3, 1), 6)
        done = timestamp(begun + int(seconds * _NS))
        error = lines[-2].get("exception") if status == "failed" else None
        metadata = {
            "format_version": 1,
            "task_id": task_id,
            "parent_task_id": None,
            "name": name,
            "source": "webhook",
            "provider": "github",
            "created_at": timestamp(begun),
            "started_at": timestamp(begun),
            "updated_at": done,
            "completed_at": None if running else done,
            "status": status,
            "assigned_agent": pick.choice(_AGENTS),
            "agent_type": None,
            "model": model,
            "correlation_id": f"delivery-{number}",
            "session_id": f"session-{number // 20}",
            "instance_id": "worker-1",
            "trace_id": f"{pick.randrange(16**32):032x}",
            "traceparent": None,
            "tags": [f"user:user{pick.randrange(200)}", f"specialist:{pick.choice(('security', 'style', 'tests'))}"],
            "delivery": {"recorded": 9, "delivered": 9, "pending": 0, "dropped": 0, "redacted": 0, "truncated": 0},
        }
        metrics = {
            "cost_usd": round(pick.random() / 10, 6),
            "input_tokens": 3000,
            "output_tokens": 900,
            "duration_seconds": seconds,
            "cache_read_input_tokens": 0,
            "cache_write_input_tokens": 0,
            "reasoning_output_tokens": 0,
            "ai_calls": 2,
            "tool_runs": 3,
            "steps": 1,
            "retries": 0,
            "errors": int(error is not None),
            "memory_peak_mb": 80.0,
        }
        final = {"success": status == "completed", "outcome": status, "result": self.text(30), "error": error, "metrics": metrics}
        folder = self._root / task_id
        folder.mkdir(mode=0o700)
        given = {"task_id": task_id, "timestamp": timestamp(begun), "input": {"message": self.text(20)}}
        for file, documents in (
            ("metadata.json", [metadata]),
            ("01-input.json", [given]),
            ("03-agent-output.jsonl", lines[:-1] if running else lines),
            ("04-final-result.json", [] if running else [{**final, "completed_at": done, "task_id": task_id}]),
        ):
            if documents:
                (folder / file).write_bytes(b"".join(orjson.dumps(document) + b"\n" for document in documents))

    def _lines(self, task_id: str, name: str, begun: int, provider: str, model: str, status: str) -> Iterator[dict[str, Any]]:
        pick, clock, events = self._random, iter(range(begun, begun + 10**12, 10**6)), iter(range(1000))

        def line(**more: Any) -> dict[str, Any]:
            common = {"level": "INFO", "task_id": task_id, "event_id": f"a1f3-{next(events)}"}
            return {"timestamp": timestamp(next(clock)), **common, **more}

        def span(start: str, end: str, seconds: float, given: dict[str, Any], found: dict[str, Any]) -> Iterator[dict[str, Any]]:
            span_id = f"{pick.randrange(16**16):016x}"
            yield line(type=start, phase="start", span_id=span_id, **given)
            yield line(type=end, phase="end", span_id=span_id, outcome="completed", duration_ms=seconds * 1000, **given, **found)

        yield line(type="process", host=os.uname().nodename, pid=1, format_version=1, resource={"service.name": "reviewer"})
        yield line(type="task", phase="start", span_id="0" * 15 + "1", message=name, attributes={"agentlog.task.id": task_id})
        for _ in range(2):
            spent = {"input_tokens": 1500, "output_tokens": 450, "cost_usd": round(pick.random() / 20, 6)}
            details = {"provider": provider, "model": model, **spent}
            yield from span("ai_request", "ai_response", pick.random() * 5, {"message": model}, {"details": details})
            yield line(type="output", content=self.text(40), span_id="0" * 15 + "1")
        for tool in pick.sample(_TOOLS, 3):
            yield from span("tool_call", "tool_result", pick.random(), {"content": tool, "message": tool}, {})
            yield line(type="log", message=self.text(8), logger="reviewer", span_id="0" * 15 + "1")
        if status == "failed":
            exception = {"type": "ValueError", "message": self.text(6), "error_id": f"{pick.randrange(16**8):08x}"}
            exception["category"] = pick.choice(_CATEGORIES)
            yield line(type="log", message="gave up", span_id="0" * 15 + "1") | {"level": "ERROR", "exception": exception}
        yield line(type="task", phase="end", span_id="0" * 15 + "1", message=name, outcome=status)


def make(root: Path, count: int) -> float:
    """Write so many tasks, and return how many seconds it took."""
    began, maker = time.perf_counter(), Maker(root)
    for number in range(count):
        maker.make(number, count, running=number >= count - RUNNING)
        if number % 1000 == 999:
            print(f"\r{number + 1:,} tasks made", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return time.perf_counter() - began


# -- asking ---------------------------------------------------------------------------------------------------------------


@dataclass
class Figures:
    """What a run found."""

    tasks: int = 0
    cold_seconds: float = 0.0
    """To read all folders and make the index."""
    cold_cpu_seconds: float = 0.0
    size_mb: float = 0.0
    warm_ms: dict[str, float] = field(default_factory=dict)
    """Median time of each question by the processor, which other work on the machine disturbs little."""
    wall_ms: dict[str, float] = field(default_factory=dict)
    """Median time of each question by the clock."""


def questions(root: Path) -> dict[str, Callable[[], object]]:
    """What is asked, by a name for people."""
    return {**_in_python(root), **_by_command(root), **_over_rest(root)}


def _in_python(root: Path) -> dict[str, Callable[[], object]]:
    now = time.time_ns()
    hour, week = now - 3600 * _NS, now - 7 * 86_400 * _NS
    rare = search(root, limit=1).rows[0].name.split()[-1]
    return {
        "list: the newest 30": lambda: search(root, limit=30),
        "list: page 1,000 of 30": lambda: search(root, limit=30, offset=30_000),
        "failed, the newest 30": lambda: search(root, Filter(failed=True), limit=30),
        "failed of the last hour, the costliest 20": lambda: search(
            root, Filter(failed=True, since_ns=hour), order="costliest", limit=20
        ),
        "one agent, one week": lambda: search(root, Filter(agent="agent-3", since_ns=week), limit=30),
        "one model": lambda: search(root, Filter(model="gpt-5"), limit=30),
        "one provider": lambda: search(root, Filter(provider="anthropic"), limit=30),
        "one tool": lambda: search(root, Filter(tool="Bash"), limit=30),
        "one user": lambda: search(root, Filter(user="user7"), limit=30),
        "a tag": lambda: search(root, Filter(tag="user:user7"), limit=30),
        "an error category": lambda: search(root, Filter(error_category="NETWORK"), limit=30),
        "the 30 slowest": lambda: search(root, order="slowest", limit=30),
        "cost from $0.05 and 60 s on, the costliest": lambda: search(
            root, Filter(min_cost_usd=0.05, min_duration_s=60), order="costliest", limit=30
        ),
        "from 3,000 tokens on": lambda: search(root, Filter(min_tokens=3_000), limit=30),
        "text: a rare word": lambda: search(root, Filter(text=rare), limit=30),
        "text: two words": lambda: search(root, Filter(text="kalosu pena"), limit=30),
        "text: a word of every task": lambda: search(root, Filter(text="review"), limit=30),
        "statistics and percentiles of all": lambda: statistics(root),
        "statistics of the last hour": lambda: statistics(root, Filter(since_ns=hour)),
        "statistics of failed tasks of a week": lambda: statistics(root, Filter(failed=True, since_ns=week)),
        **{
            f"statistics by {group}": partial(statistics, root, group_by=group)
            for group in ("agent", "user", "specialist", "status", "day", "model", "provider", "tool")
        },
        "statistics by tool of the last week": lambda: statistics(root, Filter(since_ns=week), group_by="tool"),
        "statistics by model of the last three weeks": lambda: statistics(
            root, Filter(since_ns=now - 21 * 86_400 * _NS), group_by="model"
        ),
        "statistics by tool of one agent": lambda: statistics(root, Filter(agent="agent-3"), group_by="tool"),
        "timeline of 30 days by the hour": lambda: timeline(root, bucket_s=3600),
        "timeline of one agent by the hour": lambda: timeline(root, Filter(agent="agent-3"), bucket_s=3600),
        "overview of the last day": lambda: overview(root, now_ns=now, window_s=86_400),
        "overview of 30 days": lambda: overview(root, now_ns=now, window_s=30 * 86_400),
        "one error by its id": partial(find_errors, root, (), error_id=_an_error(root)),
    }


def _an_error(root: Path) -> str:
    rows = search(root, Filter(statuses=("failed",)), limit=1000).rows
    return next(str(row.error["error_id"]) for row in rows if row.error is not None)


def _by_command(root: Path) -> dict[str, Callable[[], object]]:
    error = _an_error(root)
    newest = search(root, limit=1).rows[0]
    lines = [
        "ls --failed --since 24h",
        f"search {error} --failed",
        "search pena --failed",
        f"errors {error}",
        "stats --since 1h",
        "stats",
        "stats --json",
        *(f"stats --group-by {group}" for group in ("user", "specialist", "agent", "model", "provider", "day", "status", "tool")),
        "ls",
        "ls --order slowest",
        "ls --order costliest",
        "ls --agent agent-3 --since yesterday --limit 0 --json",
        f"metrics --report --since {_date(-31)} --until {_date(1)}",
        "metrics --current",
        "cost --since 7d",
        "cost --group-by user",
        "cost --group-by day",
        "recost --since 7d",
        "ls --failed --limit 0 --ids",
        "ls --failed --limit 1000 --json",
        "top",
        "top agent --by cost",
        "top tool --by failures",
        f"ls --correlation {newest.metadata['correlation_id']}",
        f"ls --session {newest.metadata['session_id']}",
        f"ls --parent {newest.task_id}",
        "metrics --prometheus",
    ]
    return {f"agentlog {line}": partial(_run, root, line) for line in lines}


def _date(days: int) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(time.time() + days * 86_400))


def _run(root: Path, line: str) -> None:
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(printed):
        code = agentlog(["--root", str(root), *line.split()])
    printed.flush()
    if code > 1 or not printed.buffer.tell():
        raise SystemExit(f"agentlog {line}: exit code {code}, {printed.buffer.tell()} bytes")


def _over_rest(root: Path) -> dict[str, Callable[[], object]]:
    from otel_agentlog.view.server import create_app

    app, newest = create_app(root), search(root, limit=1).rows[0].folder.name
    addresses = [
        "/api/tasks",
        "/api/tasks?failed=true&since=24h",
        "/api/tasks?q=pena&failed=true",
        "/api/tasks?order=costliest",
        f"/api/tasks/{newest}",
        "/api/errors",
        f"/api/errors/{_an_error(root)}",
        "/api/statistics",
        "/api/statistics?group_by=model",
        "/api/statistics?group_by=tool&since=7d",
        "/api/timeline?since=30d&bucket_s=3600",
        "/api/overview",
        "/api/alerts",
        "/metrics",
    ]
    return {f"GET {address}": partial(_get, app, address) for address in addresses}


def _get(app: Any, address: str) -> None:
    """One request to the application, without a socket."""
    path, _, query = address.partition("?")
    head = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "root_path": ""}
    scope = {**head, "path": path, "raw_path": path.encode(), "query_string": query.encode(), "client": ("127.0.0.1", 1)}
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    asyncio.run(app({**scope, "headers": [(b"host", b"localhost")], "server": ("localhost", 80)}, receive, send))
    if said[0]["status"] != 200:
        raise SystemExit(f"{address}: {said}")


@contextmanager
def running(root: Path) -> Iterator[None]:
    """Hold the tasks that go on, as the processes that run them do."""
    with ExitStack() as stack:
        for row in search(root, Filter(statuses=("running", "interrupted")), limit=RUNNING).rows:
            if row.metadata.get("status") == "running":
                folder = os.open(row.folder, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, folder)
                fcntl.flock(folder, fcntl.LOCK_SH)
        yield


def measure(root: Path) -> Figures:
    """Make the index anew and ask."""
    discard(root)
    began, began_cpu = time.perf_counter(), time.process_time()
    found = search(root, limit=1, progress=lambda done, of: print(f"\r{done:,} of {of:,} read", end="", file=sys.stderr))
    figures = Figures(tasks=found.tasks, cold_seconds=round(time.perf_counter() - began, 1))
    figures.cold_cpu_seconds = round(time.process_time() - began_cpu, 1)
    print(file=sys.stderr)
    index = root / ".catalogue"
    figures.size_mb = round(sum(file.stat().st_size for file in index.iterdir()) / 1e6, 1) if index.is_dir() else 0.0
    # A moment later, when the time of the root can be trusted.
    time.sleep(2.5)
    with running(root):
        for name, question in questions(root).items():
            first, _ = _milliseconds(question)
            taken = [_milliseconds(question) for _ in range(REPEATS if first < 1000 else 3)]
            figures.warm_ms[name] = round(median(cpu for cpu, _ in taken), 1)
            figures.wall_ms[name] = round(median(wall for _, wall in taken), 1)
    return figures


def _milliseconds(question: Callable[[], object]) -> tuple[float, float]:
    """What a question takes by the processor and by the clock."""
    began, began_cpu = time.perf_counter(), time.process_time()
    question()
    return (time.process_time() - began_cpu) * 1000, (time.perf_counter() - began) * 1000


def main() -> int:
    """Make tasks where there are none, ask, and tell; 1 if a question took the processor longer than `LIMIT_MS`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    root = options.root or Path(tempfile.mkdtemp(prefix="agentlog-catalogue-"))
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not any(root.iterdir()):
            make(root, options.tasks)
        figures = measure(root)
    finally:
        if options.root is None:
            shutil.rmtree(root, ignore_errors=True)
    tell(figures, as_json=options.json)
    return int(any(took > LIMIT_MS for took in figures.warm_ms.values()))


def tell(figures: Figures, *, as_json: bool) -> None:
    """Print the figures as JSON, or as a table in Markdown."""
    if as_json:
        print(json.dumps(asdict(figures)))
        return
    made = f"made in {figures.cold_seconds} s ({figures.cold_cpu_seconds} s of the processor)"
    print(f"{figures.tasks:,} tasks: index {made}, {figures.size_mb} MB\n")
    print("| question | ms of the processor | ms by the clock |\n|---|---:|---:|")
    for name, took in figures.warm_ms.items():
        print(f"| {name} | {took} | {figures.wall_ms[name]} |")
    slow = sorted(figures.warm_ms.items(), key=lambda item: -item[1])
    for what, most in (("above the limit", LIMIT_MS), ("above the aim", AIM_MS)):
        print(f"\n{sum(took > most for _, took in slow)} of {len(slow)} questions {what} of {most:.0f} ms")
    print("\n".join(f"{took:>10,.1f} ms  {name}" for name, took in slow[:SLOWEST]))


if __name__ == "__main__":
    sys.exit(main())

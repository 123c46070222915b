"""One measurement of one system in a process of its own: ``python -m benchmarks.systems.worker '{…}'``, JSON on its last line.

CPU time of the threads that record is asked of the threads, that of the process at the end of shutdown: what a background
thread does counts in the second. Only latencies are by the clock.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.systems.followers import FOLLOWERS
from benchmarks.systems.recorders import SYSTEMS, versions
from benchmarks.systems.workload import System, Task, Timed, make_tasks, run_task, run_task_async

WARM_TASKS = 5
LARGE_BYTES = 20_000_000
IN_A_ROW, NEW_LINES = 10, 300
BLOCK = 500
"""Events that are measured at a time where cost is compared within a process."""


@dataclass(frozen=True)
class Order:
    """What is to be measured."""

    measure: str
    folder: str
    endpoint: str
    system: str = "product"
    scenario: str = "sync"
    tasks: int = 200
    timed_tasks: int = 60
    threads: int = 8
    rounds: int = 9
    sizes: tuple[int, ...] = ()


def made(order: Order) -> System:
    """The system, set up."""
    folder = Path(order.folder)
    folder.mkdir(parents=True, exist_ok=True)
    return SYSTEMS[order.system](order.endpoint, folder)


# -- a load -----------------------------------------------------------------------------------------------------------------


def load(order: Order) -> dict[str, Any]:
    """Warm up, time single calls, then CPU of many tasks until shutdown ended; peak memory."""
    before_mb = memory_mb("VmHWM")
    system = made(order)
    tasks = make_tasks(WARM_TASKS + order.timed_tasks + order.tasks)
    for task in tasks[:WARM_TASKS]:
        run_task(system, task)
    system.flush()
    timed = [Timed(system) for _ in range(order.threads)]
    _timed(order, timed, tasks[WARM_TASKS : -order.tasks])
    system.flush()
    gc.collect()
    began = process_s()
    app_s = SCENARIOS[order.scenario](system, tasks[-order.tasks :], order)
    recorded = time.perf_counter()
    system.shutdown()
    return {
        "app_us_task": app_s / order.tasks * 1e6,
        "total_us_task": (process_s() - began) / order.tasks * 1e6,
        "shutdown_s": time.perf_counter() - recorded,
        "log_us": percentiles([taken for each in timed for taken in each.logs]),
        "span_us": percentiles([taken for each in timed for taken in each.spans]),
        "peak_mb": memory_mb("VmHWM"),
        "above_start_mb": memory_mb("VmHWM") - before_mb,
        "made_tasks": len(tasks),
        "versions": versions(order.system),
    }


def _timed(order: Order, timed: list[Timed], tasks: list[Task]) -> None:
    if order.scenario == "threads":
        in_threads([lambda it=it, mine=tasks[n :: order.threads]: each(it, mine) for n, it in enumerate(timed)])  # type: ignore[misc]
    else:
        each(timed[0], tasks)


def each(system: System, tasks: list[Task]) -> float:
    """Record these tasks one after the other; CPU seconds of this thread."""
    began = time.thread_time()
    for task in tasks:
        run_task(system, task)
    return time.thread_time() - began


def in_threads(works: list[Callable[[], float]]) -> float:
    """Do all of this at a time; what it returned, in sum."""
    taken: list[float] = []
    threads = [threading.Thread(target=lambda work=work: taken.append(work())) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(taken)


def with_threads(system: System, tasks: list[Task], order: Order) -> float:
    """Record in several threads; CPU seconds of all of them."""
    return in_threads([lambda mine=tasks[n :: order.threads]: each(system, mine) for n in range(order.threads)])  # type: ignore[misc]


def with_asyncio(system: System, tasks: list[Task], order: Order) -> float:
    """Record all at a time in one loop; CPU seconds of its thread."""

    async def together() -> None:
        await asyncio.gather(*(run_task_async(system, task) for task in tasks))

    began = time.thread_time()
    asyncio.run(together())
    return time.thread_time() - began


SCENARIOS: dict[str, Callable[[System, list[Task], Order], float]] = {
    "sync": lambda system, tasks, _: each(system, tasks),
    "threads": with_threads,
    "asyncio": with_asyncio,
}


def process_s() -> float:
    """CPU seconds of this process, all threads, user and system."""
    return time.process_time()


def memory_mb(field: str) -> float:
    """A figure of this process's memory; ``VmHWM`` is the peak, which unlike ``ru_maxrss`` knows nothing of the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def percentiles(taken_ns: list[int]) -> dict[str, float] | None:
    """Median and 99th percentile, in microseconds."""
    if not taken_ns:
        return None
    taken_ns = sorted(taken_ns)
    return {name: taken_ns[int(len(taken_ns) * share)] / 1e3 for name, share in (("p50", 0.5), ("p99", 0.99))}


# -- single costs of the product --------------------------------------------------------------------------------------------


def first_price(order: Order) -> dict[str, Any]:
    """The first AI call that has a price, after one that has none; milliseconds of this thread."""
    import otel_agentlog as agentlog

    made(order)

    def call(model: str, provider: str, tokens: int | None) -> float:
        began = time.thread_time()
        with agentlog.ai_call(model, provider=provider) as it:
            if tokens:
                it.usage(input_tokens=tokens, output_tokens=tokens)
        return (time.thread_time() - began) * 1e3

    with agentlog.task("prices", task_id="prices"):
        for _ in range(5):
            call("my-model", "mine", None)
        first = call("claude-opus-4-5", "anthropic", 1000)
        later = [call("claude-opus-4-5", "anthropic", 1000) for _ in range(50)]
    agentlog.shutdown(60)
    cost = json.loads((Path(order.folder) / "tasks" / "prices" / "04-final-result.json").read_bytes())["metrics"]["cost_usd"]
    return {"first_ms": first, "later_ms": statistics.median(later), "cost_usd": cost}


def task_folder(order: Order) -> dict[str, Any]:
    """Start and end of a task that came by a webhook, which makes five files; milliseconds of this thread, median."""
    import otel_agentlog as agentlog

    made(order)
    taken: list[float] = []
    for number in range(order.tasks):
        with agentlog.webhook("github", "issue_comment.created", {"n": number}):
            began = time.thread_time()
            with agentlog.task("folder", task_id=f"folder-{number}", input={"n": number}) as task:
                task.result = "done"
            taken.append((time.thread_time() - began) * 1e3)
    agentlog.shutdown(60)
    files = len(list((Path(order.folder) / "tasks" / "folder-0").glob("0*"))) + 1
    return {"ms": statistics.median(taken), "files": files}


def large_values() -> dict[str, Any]:
    """Values of 20 MB, of several kinds."""
    pick = random.Random(3)
    words = "the agent reads a file and plans what to do next, then runs the tests of module number"
    prose = " ".join(pick.choices(words.split(), k=LARGE_BYTES // 5))[:LARGE_BYTES]
    return {
        "one letter": "x" * LARGE_BYTES,
        "prose": prose,
        "not ASCII": ("naïve café 任务 " * (LARGE_BYTES // 20))[: LARGE_BYTES // 2],
        "base64": base64.b64encode(pick.randbytes(LARGE_BYTES * 3 // 4)).decode(),
        "bytes": pick.randbytes(LARGE_BYTES),
        "lines of a list": [prose[at : at + 1000] for at in range(0, LARGE_BYTES, 1000)],
        "fields of a dict": {f"field {at}": prose[at : at + 1000] for at in range(0, LARGE_BYTES, 1000)},
        "JSON": json.dumps([{"path": prose[at : at + 60], "line": at} for at in range(0, LARGE_BYTES, 100)])[:LARGE_BYTES],
    }


def large_value(order: Order) -> dict[str, Any]:
    """The seconds of this thread that a log call, and a tool's result, take with 20 MB of several kinds."""
    import otel_agentlog as agentlog

    system = made(order)
    taken: dict[str, float] = {}
    with agentlog.task("large", task_id="large"):
        for kind, value in large_values().items():
            system.log("small", {"n": 1})
            began = time.thread_time()
            system.log("large", {"value": value})
            logged = time.thread_time()
            with agentlog.tool("Read") as run:
                run.result = value
            taken[f"{kind}, logged"], taken[f"{kind}, a result"] = logged - began, time.thread_time() - logged
    system.shutdown()
    return {"s": taken}


# -- growth -----------------------------------------------------------------------------------------------------------------


@dataclass
class Cost:
    """CPU microseconds an event: of the thread that records, and of the whole process until all was sent.

    ``yard_us`` is what a piece of work that is always the same took at that moment: machines are faster now and then.
    """

    app_us: float
    total_us: float
    yard_us: float


def block(system: System, work: Callable[[], int]) -> Cost:
    """What the events of some work take each. Nothing waits to be sent before, nothing after."""
    before = yardstick_us()
    began_process, began = process_s(), time.thread_time()
    events = work()
    app = time.thread_time() - began
    system.flush()
    total = process_s() - began_process
    return Cost(app / events * 1e6, total / events * 1e6, (before + yardstick_us()) / 2)


def yardstick_us() -> float:
    """CPU of a fixed piece of Python and C."""
    value = {"a": 1, "b": "x" * 50, "c": 2.5, "d": [1, 2, 3]}
    began = time.thread_time()
    for _ in range(1000):
        json.dumps(dict(value.items()))
    return (time.thread_time() - began) * 1e6


def medians(costs: list[Cost], yard_us: float) -> dict[str, float]:
    """The median of each figure, as if the machine had been as fast all the time as when the yardstick took ``yard_us``."""
    return {
        "app_us": statistics.median(cost.app_us * yard_us / cost.yard_us for cost in costs),
        "total_us": statistics.median(cost.total_us * yard_us / cost.yard_us for cost in costs),
    }


def by_size(found: dict[int, list[Cost]]) -> dict[int, dict[str, float]]:
    """Medians of each size, all by the same yardstick."""
    yard_us = statistics.median(cost.yard_us for costs in found.values() for cost in costs)
    return {size: medians(costs, yard_us) for size, costs in found.items()}


class Opened:
    """Tasks that are open at a time, each in a context of its own."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._opened: list[tuple[Context, Any]] = []
        self._next = 0
        self.open(count)

    def open(self, count: int) -> None:
        """Have so many."""
        import otel_agentlog as agentlog

        for number in range(len(self._opened), count):
            context, task = copy_context(), agentlog.task("open", task_id=f"{self._name}-{number}")
            context.run(task.__enter__)
            self._opened.append((context, task))

    def log(self, system: System, events: int) -> int:
        """Record events, ten in a task, then in the next."""
        for _ in range(0, events, IN_A_ROW):
            context, _task = self._opened[self._next % len(self._opened)]
            self._next += 1
            context.run(self._some, system)
        return events

    def say(self, system: System, message: str) -> None:
        """Record one log line in the first of them."""
        self._opened[0][0].run(system.log, message, {})

    @staticmethod
    def _some(system: System) -> None:
        for number in range(IN_A_ROW):
            system.log("at work", {"number": number, "tool": "read_file", "duration_ms": 1.5})

    def close(self) -> None:
        for context, task in self._opened:
            context.run(task.__exit__, None, None, None)


def events_of_a_task(order: Order) -> dict[str, Any]:
    """CPU an event in tasks of different length, interleaved: short ones are new each time, the longest grows on."""
    system = made(order)
    longest = max(order.sizes)
    grown = Opened("grown", 1)
    for _ in range(0, longest, 10_000):
        grown.log(system, min(10_000, longest))
        system.flush()
    found: dict[int, list[Cost]] = {size: [] for size in order.sizes}
    for number in range(order.rounds):
        for size in order.sizes:
            tasks = grown if size == longest else Opened(f"new-{size}-{number}", max(1, BLOCK // size))
            system.flush()
            events = max(BLOCK, min(size, 1000))
            found[size].append(block(system, lambda tasks=tasks, events=events: tasks.log(system, events)))  # type: ignore[misc]
            if tasks is not grown:
                tasks.close()
    grown.close()
    system.shutdown()
    return {"sizes": by_size(found)}


def open_tasks(order: Order) -> dict[str, Any]:
    """CPU an event while so many tasks are open: all events in one of them, and ten in each of them in turn."""
    system = made(order)
    found: dict[str, dict[int, list[Cost]]] = {"one": {}, "turn": {}}
    everyone, single = Opened("open", 0), Opened("single", 1)
    for size in sorted(order.sizes):
        everyone.open(size)
        system.flush()
        for _ in range(order.rounds):
            for kind, tasks in (("one", single), ("turn", everyone)):
                cost = block(system, lambda tasks=tasks: tasks.log(system, BLOCK))  # type: ignore[misc]
                found[kind].setdefault(size, []).append(cost)
    single.close()
    everyone.close()
    system.shutdown()
    return {kind: by_size(sizes) for kind, sizes in found.items()}


def followed(order: Order) -> dict[str, Any]:
    """CPU microseconds that each follower of a running task takes for a new line, when the task has so many already."""
    system = made(order)
    found: dict[str, dict[int, float]] = {kind: {} for kind in FOLLOWERS}
    for size in order.sizes:
        task = Opened(f"followed-{size}", 1)
        task.log(system, size)
        for kind, follow in FOLLOWERS.items():
            task.say(system, f"{kind}-begins-{size}")
            with follow(Path(order.folder) / "tasks", f"followed-{size}-0") as follower:
                follower.wait_for(f"{kind}-begins-{size}")
                follower.settle()
                began = follower.cpu_s()
                for _ in range(0, NEW_LINES, IN_A_ROW):
                    task.log(system, IN_A_ROW)
                    # As an agent at work does: not all at once.
                    time.sleep(0.1)
                task.say(system, f"{kind}-ends-{size}")
                follower.wait_for(f"{kind}-ends-{size}")
                found[kind][size] = (follower.cpu_s() - began) / NEW_LINES * 1e6
        task.close()
    system.shutdown()
    return found


MEASURES: dict[str, Callable[[Order], dict[str, Any]]] = {
    function.__name__: function
    for function in (load, first_price, task_folder, large_value, events_of_a_task, open_tasks, followed)
}


def main(text: str) -> None:
    """Measure, and print what was found on the last line."""
    given = json.loads(text)
    order = Order(**{**given, "sizes": tuple(given.get("sizes", ()))})
    print(json.dumps(MEASURES[order.measure](order)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

"""Does one thing again and again, and prints what it left behind, as one JSON object: a program of ``test_growth.py``.

    python growth_program.py ROOT ACTIVITY TIMES [ENDPOINT]

What is bounded is bounded at 40 here, so that a bound is reached soon, and what has none shows.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import os
import pkgutil
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from opentelemetry import trace

import otel_agentlog
import otel_agentlog as agentlog
from otel_agentlog._interrupts import WeakValues
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.export import encoding, foreign, metrics, sink
from otel_agentlog.export.transport import wire
from otel_agentlog.query.alerts import watch
from otel_agentlog.record.operations import seen_calls
from otel_agentlog.record.providers import pricing
from otel_agentlog.record.providers.pricing import PriceTable
from otel_agentlog.store.delivery import left, tracker
from otel_agentlog.store.folder import sink as folder_sink
from otel_agentlog.store.folder import sync, writer
from otel_agentlog.store.folder.files import close_dropped

FEW = 40
PATIENCE_S = 30.0

for module, names in {
    foreign: ["MAX_OPEN"],
    sink: ["MAX_OPEN", "MAX_STAGES"],
    encoding: ["MAX_KEPT", "MAX_SOURCES"],
    wire: ["MAX_KEPT"],
    metrics: ["MAX_ACTIVE", "MAX_VALUES", "MAX_COMBINATIONS"],
    watch: ["MAX_TASKS", "MAX_SOURCES"],
    left: ["MAX_FOLDERS", "MAX_UNWRITTEN"],
    tracker: ["MAX_TASKS"],
    folder_sink: ["MAX_LINGERING", "MAX_UNSETTLED"],
    sync: ["MAX_UNSETTLED", "MAX_REQUESTS"],
    writer: ["MAX_REMEMBERED", "MAX_DAMAGED", "MAX_STARTS"],
    seen_calls: ["MAX_REMEMBERED"],
    pricing: ["MAX_NAMES"],
}.items():
    for name in names:
        assert hasattr(module, name), name
        setattr(module, name, FEW)

ROOT = Path(sys.argv[1])
SETTINGS = {
    "directory": ROOT,
    "log_directory": ROOT.parent / "logs",
    "console": "off",
    "recover_on_start": False,
    **({"endpoint": sys.argv[4], "queue_size": FEW} if len(sys.argv) > 4 else {}),
}
if sys.argv[2] == "root_that_is_none":
    (ROOT.parent / "file").write_text("")
    SETTINGS["directory"] = ROOT.parent / "file" / "tasks"
agentlog.configure(**SETTINGS)
log, tracer = agentlog.get_logger("growth"), trace.get_tracer("another library")
if sys.argv[2] == "alerts":
    agentlog.register_alert_callback(lambda alert: None)

KEPT: list[object] = []
"""What the user keeps: bounded by the test."""


def whole_task(number: int) -> None:
    with agentlog.task("T", input={"number": number}) as task:
        with agentlog.step("s"), agentlog.tool("Read", arguments={"path": f"{number}"}) as run:
            run.result = "x"
        with agentlog.ai_call("claude-opus-4-5", provider="anthropic") as call:
            call.usage(input_tokens=1, output_tokens=2)
        log.info("at work", number=number)
        task.result = "done"


def dropped_without_end(number: int) -> None:
    task = agentlog.task("T")
    task.start()
    del task
    with agentlog.task("U"):
        for operation in (agentlog.step("s"), agentlog.tool("t"), agentlog.ai_call("m", provider="openai")):
            operation.start()


def paused_and_dropped(number: int) -> None:
    task = agentlog.task("T")
    task.start()
    task.pause()
    del task


def foreign_spans_that_never_end(number: int) -> None:
    with agentlog.task("T"):
        tracer.start_span("never ends")


def foreign_spans_that_end_late(number: int) -> None:
    with agentlog.task("T"):
        span = tracer.start_span("late")
    span.end()


def new_names(number: int) -> None:
    with agentlog.task(f"T{number}", agent=f"a{number}", tags=[f"t{number}"]), agentlog.step(f"s{number}"):
        with agentlog.tool(f"tool {number}"):
            agentlog.get_logger(f"app.{number}").info("hello")
        with agentlog.ai_call(f"model-{number}", provider=f"p{number}") as call:
            call.usage(input_tokens=1, output_tokens=2)


def failures(number: int) -> None:
    made = type(f"Error{number}", (Exception,), {})
    try:
        with agentlog.task("T"), agentlog.step("s"):
            raise made(f"failure {number}")
    except Exception as error:
        agentlog.log_and_format_error(error)


def large_values(number: int) -> None:
    with agentlog.task("T", input="x" * 400_000) as task:
        log.info("large", value="y" * (300_000 + number))
        task.result = "z" * 300_000


def webhooks(number: int) -> None:
    with agentlog.webhook("github", "push", {"number": number}) as hook:
        hook.stage("validation")
        hook.create_task("T")
        hook.push()
    with agentlog.webhook("github", "push") as hook:
        hook.stage("validation")


def threads(number: int) -> None:
    with agentlog.task("T"):
        thread = threading.Thread(target=lambda: log.info("in a thread"))
        thread.start()
        thread.join()


def event_loops(number: int) -> None:
    async def tool() -> None:
        with agentlog.tool("t"):
            await asyncio.sleep(0)

    async def task() -> None:
        async with agentlog.task("T"), agentlog.step("s"):
            await asyncio.gather(tool(), tool())

    asyncio.run(task())


def generators_left_half_way(number: int) -> None:
    def steps() -> Iterator[int]:
        with agentlog.step("s"):
            yield 1
            yield 2

    with agentlog.task("T"):
        next(steps())


def streams_left_half_way(number: int) -> None:
    chunks = iter([{"choices": [{"delta": {"content": "x"}}]}] * 5)
    with agentlog.task("T"):
        call = agentlog.ai_call("m", provider="openai")
        call.start()
        next(iter(call.stream(chunks)))


def bound_attributes(number: int) -> None:
    with agentlog.bind(correlation_id=f"c{number}", tenant=number), agentlog.task("T"):
        log.info("bound")


def same_task_again(number: int) -> None:
    with agentlog.task("T", task_id=f"again-{number % 3}"):
        log.info("once more")


def deleted_below_it(number: int) -> None:
    with agentlog.task("T", task_id=f"deleted-{number}"):
        shutil.rmtree(ROOT / f"deleted-{number}")
        log.info("gone")


def root_that_is_none(number: int) -> None:
    whole_task(number)


def other_loggers(number: int) -> None:
    with agentlog.task("T"):
        logging.getLogger("library").warning("number %s", number)
        logging.getLogger("library").error("failed", exc_info=ValueError("x"))
    log.info("outside of every task")


def checkpoints(number: int) -> None:
    with agentlog.task("T"):
        agentlog.checkpoint()


def alerts(number: int) -> None:
    with agentlog.task(f"T{number}"), agentlog.tool(f"t{number}"):
        pass


def configured_again(number: int) -> None:
    if number % 10 == 0:
        agentlog.configure(**SETTINGS)
    with agentlog.task("T"):
        log.info("configured")


def one_long_task(number: int) -> None:
    if not KEPT:
        task = agentlog.task("long")
        task.__enter__()
        KEPT.append(task)
    with agentlog.step(f"s{number}"):
        log.error("failed", error=f"{number}")
    try:
        with agentlog.tool("t"):
            raise ValueError(number)
    except ValueError:
        pass
    tracer.start_span("never ends")


class _Nothing:
    def renew(self) -> None:
        """Nothing has to be renewed."""


def objects() -> Counter[str]:
    """Objects by class, once nothing is under way any more."""
    agentlog.flush(0.5)
    time.sleep(0.05)
    gc.collect()
    # What is registered of objects that are gone goes when the next one registers itself, as each task does.
    after_fork_in_child(_Nothing().renew)
    for each in gc.get_objects():
        if type(each) is WeakValues:
            each.forget_gone()
    before = sys.getswitchinterval()
    # No other thread may go on while we hold what it is just making: CPython then fails in it with a SystemError.
    sys.setswitchinterval(60.0)
    try:
        return Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    finally:
        sys.setswitchinterval(before)


def grown(before: Counter[str], times: int) -> dict[str, int]:
    """What there is more, by class; on a busy machine what was recorded last is worked off first."""
    deadline = time.monotonic() + PATIENCE_S
    while more := {name: count for name, count in (objects() - before).items() if count >= times // 2}:
        if time.monotonic() > deadline:
            break
    return more


def still_open(before: tuple[int, int]) -> tuple[int, int]:
    """How many descriptors and threads there are more; descriptors are closed when the next one is opened."""
    gc.collect()
    close_dropped()
    return len(os.listdir("/proc/self/fd")) - before[0], threading.active_count() - before[1]


def _import_all() -> None:
    """Import what is imported when it is first needed, by a timer perhaps, and stays: classes are objects too."""
    # The last two are those of Windows.
    others = ("view", "demo", "__main__", "_platform.windows", "_platform.kernel32")
    for found in pkgutil.walk_packages(otel_agentlog.__path__, "otel_agentlog."):
        if not found.name.removeprefix("otel_agentlog.").startswith(others):
            importlib.import_module(found.name)
    PriceTable().load()


def main() -> None:
    _import_all()
    activity: Callable[[int], None] = globals()[sys.argv[2]]
    times = int(sys.argv[3])
    for number in range(times):
        activity(number)
        if len(sys.argv) > 4:
            agentlog.flush(0.1)  # or the queue, which is short here, leaves lines out, and bounds are reached later
    before = objects()
    counts = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(times, 2 * times):
        activity(number)
    more = grown(before, times)
    # Threads that each configuration starts end by themselves, later on a machine with much to do.
    deadline = time.monotonic() + PATIENCE_S
    while max(left := still_open(counts)) > 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    print(json.dumps({"more": more, "descriptors": left[0], "threads": left[1]}), flush=True)


if __name__ == "__main__":
    main()

"""Does things again and again, each in a process of its own, and prints what each left behind: a program of ``test_growth.py``.

    python growth_program.py FOLDER TIMES AT_ONCE ENDPOINT ACTIVITY ...

ENDPOINT may be empty. One JSON object a line, in the order in which they end: activity, more (objects by class), descriptors,
threads.
All processes are forks of one that has imported everything, which takes longer than what most of them do.

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
from otel_agentlog.record.exceptions import class_info, describe
from otel_agentlog.record.logs import line
from otel_agentlog.record.operations import seen_calls, task
from otel_agentlog.record.providers import fields, pricing
from otel_agentlog.record.providers.pricing import PriceTable
from otel_agentlog.record.sanitize import cleaner
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
    line: ["MAX_KNOWN"],
    cleaner: ["_MAX_KNOWN_KEYS"],
    fields: ["_MOST_MODELS"],
    class_info: ["MAX_CLASSES"],
    describe: ["MAX_PLACES"],
    task: ["MAX_ENDED"],
}.items():
    for name in names:
        assert hasattr(module, name), name
        setattr(module, name, FEW)

FOLDER, TIMES, AT_ONCE, ENDPOINT, *ACTIVITIES = sys.argv[1:]
ROOT = Path(FOLDER)
SETTINGS: dict[str, object] = {}
log, tracer = agentlog.get_logger("growth"), trace.get_tracer("another library")

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


IMPORTED: list[WeakValues[object]] = []
"""Those of modules, which are no longer found among the objects."""


def _weak_values() -> list[WeakValues[object]]:
    return [each for each in gc.get_objects() if type(each) is WeakValues]


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
    for each in [*IMPORTED, *_weak_values()]:
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


def _configure(activity: str) -> None:
    global ROOT
    ROOT = ROOT / activity / "tasks"
    ROOT.mkdir(parents=True)
    SETTINGS.update(directory=ROOT, log_directory=ROOT.parent / "logs", console="off", recover_on_start=False)
    if ENDPOINT:
        SETTINGS.update(endpoint=ENDPOINT, queue_size=FEW)
    if activity == "root_that_is_none":
        (ROOT.parent / "file").write_text("")
        SETTINGS["directory"] = ROOT.parent / "file" / "tasks"
    agentlog.configure(**SETTINGS)
    if activity == "alerts":
        agentlog.register_alert_callback(lambda alert: None)


def measure(name: str, times: int) -> None:
    _configure(name)
    activity: Callable[[int], None] = globals()[name]
    for number in range(times):
        activity(number)
        if ENDPOINT:
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
    found = {"activity": name, "more": more, "descriptors": left[0], "threads": left[1]}
    os.write(1, json.dumps(found).encode() + b"\n")  # at once: others write there, too


def main() -> None:
    _import_all()
    gc.collect()
    IMPORTED.extend(_weak_values())
    gc.freeze()  # what is there before the fork is not counted, and need not be looked at again and again
    running: dict[int, str] = {}
    for name in [*ACTIVITIES, ""]:
        while running and (len(running) >= int(AT_ONCE) or not name):
            ended, status = os.wait()
            if status:
                sys.exit(f"{running[ended]}: ended with {os.waitstatus_to_exitcode(status)}")
            del running[ended]
        if name:
            child = os.fork()
            if child == 0:
                measure(name, int(TIMES))
                return
            running[child] = name


if __name__ == "__main__":
    main()

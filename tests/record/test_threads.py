"""Context follows into threads and pools: the right parent for everybody, nothing left behind, and everything can be undone."""

from __future__ import annotations

import asyncio
import functools
import gc
import multiprocessing.pool
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import otel_agentlog as agentlog
from otel_agentlog.record.threads import propagate, unpropagate
from otel_agentlog.testing import MemorySink, recording

_START, _SUBMIT = threading.Thread.start, ThreadPoolExecutor.submit


@pytest.fixture(autouse=True)
def propagating() -> Iterator[None]:
    """Propagation is on, and afterwards the methods are the original ones."""
    propagate()
    yield
    unpropagate()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == (_START, _SUBMIT)


def _run(thread: threading.Thread) -> None:
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def _current() -> str | None:
    operation = agentlog.current_operation()
    return operation.name if operation is not None else None


# -- threads -------------------------------------------------------------------------------------------------------------


def test_a_thread_continues_the_step(recorded: MemorySink) -> None:
    """A step begun in a thread is a child of the step the thread was started in."""

    def work() -> None:
        with agentlog.step("inner"):
            pass

    with agentlog.task("job"), agentlog.step("outer"):
        _run(threading.Thread(target=work))

    assert recorded.parents() == {"job": None, "outer": "job", "inner": "outer"}


def test_subclasses_and_timers(recorded: MemorySink) -> None:
    """Threads that define ``run``, with and without calling the one above, and timers."""
    seen: list[tuple[str, str | None]] = []

    class Own(threading.Thread):
        def run(self) -> None:
            seen.append(("own", _current()))

    class Calling(threading.Thread):
        def run(self) -> None:
            seen.append(("calling", _current()))
            super().run()

        def start(self) -> None:
            super().start()

    with agentlog.task("job"):
        _run(Own())
        _run(Calling(target=lambda: seen.append(("target", _current()))))
        _run(threading.Timer(0, lambda: seen.append(("timer", _current()))))

    assert seen == [("own", "job"), ("calling", "job"), ("target", "job"), ("timer", "job")]


def test_only_the_opentelemetry_context_follows() -> None:
    """Baggage and foreign spans go along; other context variables are none of our business."""
    import contextvars

    other = contextvars.ContextVar("other", default="unset")
    seen: list[Any] = []
    other.set("set")
    with TracerProvider(shutdown_on_exit=False).get_tracer("x").start_as_current_span("foreign") as span:
        _run(threading.Thread(target=lambda: seen.extend([trace.get_current_span() is span, other.get()])))

    assert seen == [True, "unset"]


def test_a_thread_outside_of_everything_is_not_touched() -> None:
    """Where there is nothing to carry, nothing is done to the thread."""
    thread = threading.Thread(target=lambda: None)
    before = dict(vars(thread))
    thread.start()
    assert "run" not in vars(thread)
    assert before.keys() <= vars(thread).keys() | {"_target", "_args", "_kwargs"}
    thread.join()


def test_what_a_thread_raises_is_reported_as_ever(monkeypatch: pytest.MonkeyPatch, recorded: MemorySink) -> None:
    """``threading.excepthook`` gets the very exception."""
    caught: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: caught.append(arguments.exc_value))
    error = ValueError("boom")

    def fail() -> None:
        raise error

    with agentlog.task("job"):
        _run(threading.Thread(target=fail))

    assert caught == [error]


def test_starting_wrongly_is_refused_as_ever(recorded: MemorySink) -> None:
    """Twice, or before ``__init__``: the same errors, and the thread is as it was."""
    started = threading.Event()
    thread = threading.Thread(target=started.wait)
    with agentlog.task("job"):
        thread.start()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        assert "run" not in vars(thread)
        started.set()
        thread.join()
        with pytest.raises(RuntimeError):
            threading.Thread.start(object.__new__(threading.Thread))


def test_a_run_set_on_the_thread_itself(recorded: MemorySink) -> None:
    """Debuggers and tests set ``run`` on one thread: theirs runs, in the context, and stays."""
    seen: list[str | None] = []

    def theirs() -> None:
        seen.append(_current())

    thread = threading.Thread()
    thread.run = theirs  # type: ignore[method-assign]
    with agentlog.task("job"):
        _run(thread)

    assert seen == ["job"]
    assert thread.run is theirs


def test_a_thread_that_outlives_its_task_is_in_no_ended_task(recorded: MemorySink) -> None:
    """What a thread does after the task it was started in has ended does not belong there."""
    go = threading.Event()
    seen: list[str | None] = []

    def work() -> None:
        seen.append(_current())
        ready.set()
        go.wait(20)
        seen.append(_current())
        agentlog.get_logger("app").error("late")

    ready = threading.Event()
    thread = threading.Thread(target=work)
    with agentlog.task("job"):
        thread.start()
        ready.wait(20)
    go.set()
    thread.join(20)

    (line,) = recorded.of(type="log")
    assert seen[:2] == ["job", None]
    assert not {"task_id", "trace_id", "span_id"} & set(line)


# -- pools ---------------------------------------------------------------------------------------------------------------


def test_a_pool_serves_each_caller_in_his_own_context(recorded: MemorySink) -> None:
    """One worker, several tasks: each call sees the context it was submitted in, or none."""
    with ThreadPoolExecutor(1) as pool:
        with agentlog.task("one"):
            one = pool.submit(_current)
        nothing = pool.submit(_current)
        with agentlog.task("two"), agentlog.step("plan"):
            two = pool.submit(_current)
            mapped = list(pool.map(lambda _: _current(), range(3)))

    assert (one.result(), nothing.result(), two.result(), mapped) == ("one", None, "plan", ["plan"] * 3)


def test_a_worker_keeps_nothing(recorded: MemorySink) -> None:
    """A worker started inside a task is not in it, neither in its initializer nor between calls, and call leftovers go away."""
    seen: list[str | None] = []

    def sloppy() -> None:
        otel_context.attach(otel_context.set_value("leftover", 1))

    with ThreadPoolExecutor(1, initializer=lambda: seen.append(_current())) as pool:
        with agentlog.task("job"):
            pool.submit(sloppy).result()
        unpropagate()
        left = pool.submit(lambda: dict(otel_context.get_current())).result()
        propagate()

    assert seen == [None]
    assert left == {}


def test_run_in_executor_and_to_thread(recorded: MemorySink) -> None:
    """asyncio's ways into threads carry the context as well."""

    async def main() -> list[str | None]:
        async with agentlog.task("job"):
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(1) as pool:
                return [
                    await loop.run_in_executor(None, _current),
                    await loop.run_in_executor(pool, _current),
                    await asyncio.to_thread(_current),
                ]

    assert asyncio.run(main()) == ["job"] * 3


def test_results_and_exceptions_are_unchanged(recorded: MemorySink) -> None:
    """Arguments, results, the very exception, and errors of a closed pool."""
    error = ValueError("boom")

    def fail() -> None:
        raise error

    with agentlog.task("job"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        assert pool.submit(lambda **names: names, fn=1, self=2).result() == {"fn": 1, "self": 2}
        assert pool.submit(fail).exception() is error
        with pytest.raises(TypeError):
            pool.submit()  # type: ignore[call-arg]
        assert _current() == "job"
    with agentlog.task("job"):
        with pytest.raises(RuntimeError):
            pool.submit(print)
        assert _current() == "job"


def test_pools_of_their_own_are_left_alone(recorded: MemorySink) -> None:
    """Other executors keep their ``submit``; workers of ``multiprocessing``'s thread pool do not stay in the task of a caller."""

    class Immediate(ThreadPoolExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_result((fn, args))
            return future

    with agentlog.task("job"):
        assert Immediate().submit(len, "x").result() == (len, ("x",))
        with multiprocessing.pool.ThreadPool(1) as pool:
            assert pool.apply(_current) is None


# -- leaks ---------------------------------------------------------------------------------------------------------------


class _Marked:
    """Something whose end can be seen."""


@pytest.mark.parametrize("how", ["thread", "pool"])
def test_nothing_keeps_a_finished_context_alive(how: str) -> None:
    """When thread or call are over, what was in their context is free, without the garbage collector's help."""
    marked = _Marked()
    gone = weakref.ref(marked)
    token = otel_context.attach(otel_context.set_value("marked", marked))
    thread = threading.Thread(target=lambda: None)
    pool = ThreadPoolExecutor(1)
    gc.collect()
    gc.disable()
    try:
        if how == "thread":
            _run(thread)
        else:
            pool.submit(lambda: None).result()
        otel_context.detach(token)
        del marked, token
        pool.submit(lambda: None).result()
        assert gone() is None
    finally:
        gc.enable()
        pool.shutdown()


# -- undoing, and living with others -------------------------------------------------------------------------------------


def test_on_and_off_again(recorded: MemorySink) -> None:
    """Twice on is once on, off is off, twice off is off, and it can be put on again."""
    wrapped = threading.Thread.start
    propagate()
    assert threading.Thread.start is wrapped
    unpropagate()
    unpropagate()
    seen: list[str | None] = []
    with agentlog.task("job"):
        _run(threading.Thread(target=lambda: seen.append(_current())))
        propagate()
        _run(threading.Thread(target=lambda: seen.append(_current())))

    assert seen == [None, "job"]


class _Contrib:
    """Does what opentelemetry-instrumentation-threading does: wraps start, run and submit, and attaches by token."""

    def __init__(self) -> None:
        self.before: list[Any] = [threading.Thread.start, threading.Thread.run, ThreadPoolExecutor.submit]
        start, run, submit = self.before

        @functools.wraps(start)
        def their_start(thread: threading.Thread) -> None:
            thread._otel_context = otel_context.get_current()  # type: ignore[attr-defined]
            start(thread)

        @functools.wraps(run)
        def their_run(thread: threading.Thread) -> None:
            token = otel_context.attach(thread._otel_context)  # type: ignore[attr-defined]
            try:
                run(thread)
            finally:
                otel_context.detach(token)

        @functools.wraps(submit)
        def their_submit(pool: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            context = otel_context.get_current()

            def call(*args: Any, **kwargs: Any) -> Any:
                token = otel_context.attach(context)
                try:
                    return fn(*args, **kwargs)
                finally:
                    otel_context.detach(token)

            future: Future[Any] = submit(pool, call, *args, **kwargs)
            return future

        threading.Thread.start, threading.Thread.run = their_start, their_run  # type: ignore[method-assign, assignment]
        ThreadPoolExecutor.submit = their_submit  # type: ignore[assignment, method-assign]

    def undo(self) -> None:
        threading.Thread.start, threading.Thread.run, ThreadPoolExecutor.submit = self.before  # type: ignore[method-assign]


def _all_ways() -> list[str | None]:
    seen: list[str | None] = []
    with ThreadPoolExecutor(1) as pool:
        with agentlog.task("job"):
            _run(threading.Thread(target=lambda: seen.append(_current())))
            seen.append(pool.submit(_current).result())
        seen.append(pool.submit(_current).result())
    return seen


@pytest.mark.parametrize("ours_first", [True, False])
def test_together_with_another_instrumentation(recorded: MemorySink, ours_first: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Inside and outside of others' wrappers the context is right, and every detach succeeds."""
    unpropagate()
    if ours_first:
        propagate()
    theirs = _Contrib()
    propagate()
    try:
        both = _all_ways()
        unpropagate()
        only_theirs = _all_ways()
        propagate()
        again = _all_ways()
        unpropagate()
        if ours_first:
            assert threading.Thread.start is not _START
    finally:
        theirs.undo()
        unpropagate()

    assert both == only_theirs == again == ["job", "job", None]
    assert caplog.records == []


# -- everybody at once ---------------------------------------------------------------------------------------------------


def test_eight_threads_with_nested_steps(recorded: MemorySink) -> None:
    """Eight threads and a shared pool, each thread with a task and nested steps: no line gets a wrong parent or folder."""

    def work(pool: ThreadPoolExecutor, number: int) -> None:
        for turn in range(10):
            key = f"{number}.{turn}"
            with agentlog.task(f"task {key}", task_id=f"t-{key}"), agentlog.step(f"outer {key}"):
                calls = [pool.submit(nested, f"{key}.{call}") for call in range(4)]
                thread = threading.Thread(target=nested, args=(f"{key}.thread",))
                thread.start()
                for call in calls:
                    call.result(60)
                thread.join()

    def nested(key: str) -> None:
        with agentlog.step(f"middle {key}"), agentlog.step(f"inner {key}"):
            agentlog.get_logger("app").error(key)

    with ThreadPoolExecutor(3) as pool:
        threads = [threading.Thread(target=work, args=(pool, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    parents = recorded.parents()
    assert len(parents) == 8 * 10 * (2 + 5 * 2)
    for name, parent in parents.items():
        kind, key = name.split(" ")
        own_task = ".".join(key.split(".")[:2])
        expected = {"task": None, "outer": f"task {key}", "middle": f"outer {own_task}", "inner": f"middle {key}"}
        assert parent == expected[kind]
    for envelope in recorded.envelopes:
        key = str(envelope.line["message"]).split(" ")[-1]
        assert envelope.line["task_id"] == f"t-{'.'.join(key.split('.')[:2])}"
        assert envelope.task is not None
        assert envelope.task.task_id == envelope.line["task_id"]


_TREES: st.SearchStrategy[Any] = st.recursive(
    st.just(()), lambda below: st.lists(st.tuples(st.sampled_from(["call", "thread", "pool"]), below), max_size=3), max_leaves=8
)


@settings(max_examples=25, deadline=None)
@given(_TREES)
def test_any_tree_of_calls_threads_and_pools(tree: Any) -> None:
    """Steps nested through plain calls, threads and pool calls in any order come out as the tree they are."""
    propagate()
    expected: dict[str, str | None] = {"job": None}

    def grow(tree: Any, path: str) -> None:
        for number, (how, below) in enumerate(tree):
            child = f"{path}/{number}"
            expected[child] = path

            def branch(child: str = child, below: Any = below) -> None:
                with agentlog.step(child):
                    grow(below, child)

            if how == "call":
                branch()
            elif how == "thread":
                _run(threading.Thread(target=branch))
            else:
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(branch).result(60)

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with recording(tracer=tracer) as recorded, agentlog.task("job"):
        grow(tree, "job")

    assert recorded.parents() == expected

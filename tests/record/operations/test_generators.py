"""``with`` blocks and generators: what is current in a generator's code, in its consumer's, and in a context manager's block."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import otel_agentlog as agentlog
from otel_agentlog.testing import MemorySink, recording
from tests.support.pytest_run import run_pytest

KINDS: dict[str, Callable[[str], Any]] = {
    "task": agentlog.task,
    "step": agentlog.step,
    "ai_call": lambda name: agentlog.ai_call(name, provider="openai"),
    "tool": agentlog.tool,
}


def leaf(name: str) -> None:
    """A tool run with nothing in it."""
    with agentlog.tool(name):
        pass


# -- context managers -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def around(kind: str, name: str = "block") -> Iterator[Any]:
    """What applications make of an operation: a context manager of their own."""
    leaf("before")
    with KINDS[kind](name) as operation:
        leaf("set up")
        yield operation
        leaf("torn down")


@contextlib.contextmanager
def nested(kind: str) -> Iterator[Any]:
    """One made of another."""
    with around(kind) as operation:
        yield operation


class Session:
    """A class whose block is another's."""

    def __init__(self, kind: str) -> None:
        self._block = KINDS[kind]("block")

    def __enter__(self) -> Any:
        operation = self._block.__enter__()
        leaf("set up")
        return operation

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leaf("torn down")
        self._block.__exit__(kind, error, tb)


@contextlib.contextmanager
def stacked(kind: str) -> Iterator[Any]:
    """By a stack, as many are entered."""
    with contextlib.ExitStack() as stack:
        operation = stack.enter_context(KINDS[kind]("block"))
        leaf("set up")
        yield operation
        leaf("torn down")


@contextlib.asynccontextmanager
async def around_async(kind: str) -> AsyncIterator[Any]:
    """The same for coroutines."""
    async with KINDS[kind]("block") as operation:
        leaf("set up")
        await asyncio.sleep(0)
        yield operation
        leaf("torn down")


@contextlib.asynccontextmanager
async def stacked_async(kind: str) -> AsyncIterator[Any]:
    """By an asynchronous stack, of another context manager."""
    async with contextlib.AsyncExitStack() as stack:
        yield await stack.enter_async_context(around_async(kind))


def decorated(kind: str) -> Any:
    """The function that the context manager is made of is decorated."""

    @contextlib.contextmanager
    @KINDS[kind]("block")
    def session() -> Iterator[Any]:
        leaf("set up")
        yield agentlog.current_operation()
        leaf("torn down")

    return session()


def decorated_async(kind: str) -> Any:
    """The same for coroutines."""

    @contextlib.asynccontextmanager
    @KINDS[kind]("block")
    async def session() -> AsyncIterator[Any]:
        leaf("set up")
        yield agentlog.current_operation()
        leaf("torn down")

    return session()


SYNC: dict[str, Callable[[str], Any]] = {
    "a function": around,
    "a function of another": nested,
    "a class": Session,
    "a stack in a function": stacked,
    "a decorated function": decorated,
}
ASYNC: dict[str, Callable[[str], Any]] = {
    "a function": around_async,
    "a stack in a function": stacked_async,
    "a decorated function": decorated_async,
}
INSIDE = ("set up", "inside", "torn down")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", SYNC)
def test_what_runs_in_a_context_manager_is_in_its_block(recorded: MemorySink, form: str, kind: str) -> None:
    """Also the span of another library; afterwards nothing is current."""
    with SYNC[form](kind) as operation:
        leaf("inside")
        assert agentlog.current_operation() is operation
        assert trace.get_current_span().get_span_context() == operation.span.get_span_context()
    leaf("after")

    parents = recorded.parents()
    assert {name: parents[name] for name in INSIDE} == dict.fromkeys(INSIDE, "block")
    assert parents["after"] is None
    assert agentlog.current_operation() is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ASYNC)
def test_what_runs_in_an_asynchronous_one_is_in_its_block(recorded: MemorySink, form: str, kind: str) -> None:
    """The coroutine that entered it, and tasks that it begins."""

    async def main() -> None:
        async with ASYNC[form](kind) as operation:
            await asyncio.sleep(0)
            leaf("inside")
            assert agentlog.current_operation() is operation
            await asyncio.create_task(asyncio.to_thread(leaf, "in a thread"))
        leaf("after")

    asyncio.run(main())

    parents = recorded.parents()
    assert {name: parents[name] for name in (*INSIDE, "in a thread")} == dict.fromkeys((*INSIDE, "in a thread"), "block")
    assert parents["after"] is None


@pytest.mark.parametrize("form", ["with", "decorator", "stack"])
def test_each_way_to_enter_one(recorded: MemorySink, form: str) -> None:
    """A stack of the caller's own, and as a decorator."""
    if form == "with":
        with around("step"):
            leaf("inside")
    elif form == "stack":
        with contextlib.ExitStack() as stack:
            stack.enter_context(around("step"))
            leaf("inside")
    else:
        around("step")(lambda: leaf("inside"))()
    leaf("after")

    parents = recorded.parents()
    assert (parents["inside"], parents["after"]) == ("block", None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [*SYNC, "a stack"])
def test_one_inside_a_generator_is_not_around_its_consumer(recorded: MemorySink, form: str, kind: str) -> None:
    """Its block is left each time the generator is suspended, as a block of the generator's own is."""

    def generator() -> Iterator[int]:
        if form == "a stack":
            with contextlib.ExitStack() as stack:
                stack.enter_context(KINDS[kind]("block"))
                leaf("inside 1")
                yield 1
                leaf("inside 2")
                return
        with SYNC[form](kind):
            leaf("inside 1")
            yield 1
            leaf("inside 2")

    for _ in generator():
        leaf("consumer's")
        assert agentlog.current_operation() is None
        assert not trace.get_current_span().get_span_context().is_valid

    parents = recorded.parents()
    assert (parents["inside 1"], parents["inside 2"], parents["consumer's"]) == ("block", "block", None)


def test_a_fixture_is_around_its_test(tmp_path: Path) -> None:
    """As pytest runs it: of a test, of a module, one that takes another."""
    (tmp_path / "test_it.py").write_text("""
import otel_agentlog as agentlog
import pytest
from otel_agentlog.testing import recording

@pytest.fixture(scope="module", autouse=True)
def sink():
    with recording() as sink:
        yield sink

@pytest.fixture
def outer():
    with agentlog.task("outer") as task:
        yield task

@pytest.fixture
def inner(outer):
    with agentlog.step("inner") as step:
        yield step

def test_inside(outer, inner, sink):
    assert agentlog.current_operation() is inner
    with agentlog.tool("leaf"):
        pass
    assert sink.parents()["leaf"] == "inner"

def test_after(sink):
    assert agentlog.current_operation() is None
    assert sink.parents()["inner"] == "outer"
""")

    assert "2 passed" in run_pytest(tmp_path, all_plugins=False)


# -- generators and what their consumers record in between -----------------------------------------------------------------------


@pytest.mark.parametrize("own", KINDS)
@pytest.mark.parametrize("between", [*KINDS, "a span of another library", "nothing"])
def test_a_generator_goes_on_in_its_own_block(recorded: MemorySink, own: str, between: str) -> None:
    """Whatever its consumer has recorded since: a block that has ended, one that is open while it goes on."""

    def generator() -> Iterator[int]:
        with KINDS[own]("own"):
            for number in range(3):
                leaf(f"in {number}")
                yield number

    def block(name: str) -> Any:
        if between == "nothing":
            return contextlib.nullcontext()
        return trace.get_tracer("other").start_as_current_span(name) if between not in KINDS else KINDS[between](name)

    with agentlog.task("outer"):
        running = generator()
        next(running)
        with block("ended"):
            leaf("out 0")
        next(running)
        with block("open"):
            if between in KINDS:
                next(running)
            leaf("out 1")
        assert next(running, 3) >= 2
        leaf("out 2")

    parents = recorded.parents()
    assert {parents[f"in {number}"] for number in range(3)} == {"own"}
    beside = between in KINDS
    assert [parents[f"out {number}"] for number in range(3)] == [
        "ended" if beside else "outer",
        "open" if beside else "outer",
        "outer",
    ]


def test_an_asynchronous_generator_goes_on_in_its_own_block(recorded: MemorySink) -> None:
    """The same, with tasks, of which each is of its own folder."""

    async def generator() -> AsyncIterator[int]:
        async with agentlog.task("own"):
            for number in range(3):
                await asyncio.sleep(0)
                leaf(f"in {number}")
                yield number

    async def main() -> None:
        async for number in generator():
            async with agentlog.task(f"delivers {number}"):
                leaf(f"out {number}")
                await asyncio.sleep(0)

    asyncio.run(main())

    parents = recorded.parents()
    assert [parents[f"in {number}"] for number in range(3)] == ["own"] * 3
    assert [parents[f"out {number}"] for number in range(3)] == [f"delivers {number}" for number in range(3)]


def test_a_task_that_ends_in_a_generator_ends_nothing_of_its_consumers(recorded: MemorySink) -> None:
    """Which is inside the consumer's block only by where it was resumed."""

    def generator() -> Iterator[int]:
        with agentlog.task("own"):
            yield 1

    running = generator()
    next(running)
    with agentlog.step("consumer's") as step:
        assert list(running) == []
        assert agentlog.current_operation() is step
        leaf("after")

    parents = recorded.parents()
    assert (parents["own"], parents["consumer's"], parents["after"]) == (None, None, "consumer's")
    ended = [line["outcome"] for line in recorded.lines if line.get("phase") == "end" and line["message"] == "consumer's"]
    assert ended == ["completed"]


Command = tuple[str, int]
"""What is done next, and by which generator: 0 is the code that consumes all of them."""


class Program:
    """Generators with ``with`` blocks, driven by commands, and what has to be current in the code of each."""

    def __init__(self) -> None:
        self.names = iter(range(10_000))
        self.expected: dict[str, str | None] = {}
        self.stacks: dict[int, list[str]] = {}
        self.running: list[int] = [0]
        self.blocks: list[contextlib.ExitStack] = []
        """The consumer's own, which are open."""
        self.others: dict[int, Generator[None, Command, None]] = {}

    def innermost(self) -> str | None:
        """The name of what is current: the block of the code that runs that was entered last, or else of who runs it."""
        return next((self.stacks[each][-1] for each in reversed(self.running) if self.stacks.get(each)), None)

    def record(self) -> None:
        """A tool run here."""
        name = f"leaf {next(self.names)}"
        self.expected[name] = self.innermost()
        leaf(name)
        current = agentlog.current_operation()
        assert (None if current is None else current.name) == self.innermost()

    def opened(self, which: int) -> tuple[str, Any]:
        """A task or step that begins here, and its name."""
        name = f"block {next(self.names)}"
        self.expected[name] = self.innermost()
        return name, (agentlog.task if which % 2 else agentlog.step)(name)

    def open(self, which: int) -> None:
        """Enter a block of the consumer's own."""
        name, operation = self.opened(which)
        self.blocks.append(contextlib.ExitStack())
        self.blocks[-1].enter_context(operation)
        self.stacks.setdefault(0, []).append(name)

    def close(self) -> None:
        """Leave the consumer's innermost block."""
        if self.blocks:
            self.blocks.pop().close()
            self.stacks[0].pop()

    def resume(self, number: int, command: Command) -> None:
        """Let a generator do something."""
        if number not in self.others:
            self.others[number] = self.code(number)
            next(self.others[number])
        self.running.append(number)
        try:
            self.others[number].send(command)
        except StopIteration:
            del self.others[number]
        self.running.pop()

    def end(self) -> None:
        """Leave all blocks, the consumer's first."""
        while self.blocks:
            self.close()
        self.record()
        for other in self.others.values():
            other.close()

    def code(self, number: int) -> Generator[None, Command, None]:
        """The code of a generator: one block in the other, until it is told to close."""
        while True:
            what, which = yield
            if what == "close":
                return
            self.record()
            if what == "open":
                name, operation = self.opened(which)
                with operation:
                    self.stacks.setdefault(number, []).append(name)
                    try:
                        yield from self.code(number)
                    finally:
                        self.stacks[number].pop()
            self.record()


COMMANDS = st.tuples(st.integers(0, 3), st.sampled_from(["open", "open", "record", "close"]), st.integers(0, 3))


@settings(max_examples=150, deadline=None)
@given(st.lists(COMMANDS, max_size=25))
def test_any_order_of_generators_and_their_consumer(commands: list[tuple[int, str, int]]) -> None:
    """Each command goes to the consumer's own code (0) or to one of three generators, which it resumes from where it is."""
    program = Program()
    with recording(tracer=TracerProvider(shutdown_on_exit=False).get_tracer("test")) as sink:
        for number, what, which in commands:
            if number:
                program.resume(number, (what, which))
            elif what == "open":
                program.open(which)
            elif what == "close":
                program.close()
            program.record()
        program.end()

    parents = sink.parents()
    assert {name: parents[name] for name in program.expected} == program.expected

"""What functions are called, and the one wrapper for every kind of them."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.testing import MemorySink
from otel_agentlog.vocabulary.functions import Around, kind_of, name_of, parameters_of, wrap

PACKAGE = Path(agentlog.__file__).parent


def test_a_function_has_one_name_everywhere(recorded: MemorySink) -> None:
    """As tool, step, task, retried, handled and measured: a function defined in another is ``outer.inner``."""

    def work(number: int = 1) -> None:
        raise OSError("busy")

    expected = "test_a_function_has_one_name_everywhere.work"
    decorators: list[Callable[[Any], Any]] = [
        *(agentlog.tool, agentlog.step, agentlog.task, agentlog.task(agent="worker"), agentlog.handle_errors),
        *(agentlog.log_performance("web"), agentlog.retrying(attempts=2, first_wait_s=0)),
    ]
    for decorate in decorators:
        with pytest.raises(OSError, match="busy"):
            decorate(work)()

    operations = [line["message"] for line in recorded.lines if line.get("phase") == "start"]
    audited = {line["details"]["where"] for line in recorded.of(type="event") if "where" in line["details"]}
    measured = [line["details"]["function"] for line in recorded.of(action="performance_measured")]
    retried = {line["message"] for line in recorded.of(type="attempt")}
    assert operations == [expected] * 4
    assert (audited, measured) == ({expected}, [expected])
    assert all(expected in message for message in retried)
    assert retried


def test_names_of_methods_and_of_what_has_no_name() -> None:
    """A method has its class's name before its own, a partial its function's, an object its class's."""

    class Callable_:
        def __call__(self) -> None: ...

        @staticmethod
        def static() -> None: ...

    here = "test_names_of_methods_and_of_what_has_no_name."
    assert name_of(Path.resolve) == "Path.resolve"
    assert name_of(staticmethod(Callable_.static)) == f"{here}Callable_.static"
    assert name_of(functools.partial(len, [])) == "len"
    assert name_of(Callable_()) == f"{here}Callable_"


def test_only_one_module_asks_for_the_kind_of_a_function() -> None:
    """A second dispatch on the four kinds would soon treat one of them otherwise."""
    asks = re.compile(r"\bis(coroutine|generator|asyncgen)function\b")

    assert [path.name for path in PACKAGE.rglob("*.py") if asks.search(path.read_text())] == ["functions.py"]


class Noted(Around):
    """Takes down what happens around a call; swallows `KeyError`."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    def __enter__(self) -> None:
        self.notes.append("begin")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: Any) -> bool:
        self.notes.append("end" if kind is None else kind.__name__)
        return kind is KeyError

    def returned(self, result: Any) -> None:
        self.notes.append(("returned", result))

    def yielded(self, item: Any) -> None:
        self.notes.append(("yielded", item))

    def entered(self) -> None:
        self.notes.append("in")

    def left(self) -> None:
        self.notes.append("out")


def plain(fail: bool = False) -> int:
    if fail:
        raise KeyError
    return 1


async def coroutine(fail: bool = False) -> int:
    return plain(fail)


def generator(fail: bool = False) -> Iterator[int]:
    received = yield 1
    yield received or plain(fail)


async def async_generator(fail: bool = False) -> AsyncIterator[int]:
    received = yield 1
    yield received or plain(fail)


PIECES = ["in", ("yielded", 1), "out"]
AROUND_ONE, AROUND_ALL = ["begin", ("returned", 1), "end"], ["begin", *PIECES, *PIECES, "in", "out"]


async def called(function: Any, **given: Any) -> Any:
    """The result of a call, of a generator the list of its items."""
    result = function(**given)
    if kind_of(function) == "coroutine":
        return await result
    if kind_of(function) == "async generator":
        return [item async for item in result]
    return list(result) if kind_of(function) == "generator" else result


@pytest.mark.parametrize(
    ("function", "result", "notes"),
    [
        (plain, 1, AROUND_ONE),
        (coroutine, 1, AROUND_ONE),
        (generator, [1, 1], [*AROUND_ALL, ("returned", None), "end"]),
        (async_generator, [1, 1], [*AROUND_ALL, "end"]),
    ],
)
async def test_each_kind_is_surrounded_and_keeps_its_kind(function: Any, result: Any, notes: list[Any]) -> None:
    """Around the whole call, and around each piece of a generator; name and kind stay."""
    noted = Noted()
    wrapped = wrap(function, lambda *call: noted)

    assert (wrapped.__name__, kind_of(wrapped)) == (function.__name__, kind_of(function))
    assert await called(wrapped) == result
    assert noted.notes == notes


@pytest.mark.parametrize(("function", "result"), [(plain, [7]), (coroutine, [7]), (generator, [1, 7]), (async_generator, [1, 7])])
async def test_what_is_swallowed_is_replaced(function: Any, result: Any) -> None:
    """By what ``instead`` returns: the result, or the items that a generator goes on with."""
    wrapped = wrap(function, lambda *call: Noted(), lambda noted: [7])

    assert await called(wrapped, fail=True) == result


@pytest.mark.parametrize("decorator", [staticmethod, classmethod])
def test_static_and_class_methods_stay_what_they_are(decorator: Any) -> None:
    """The wrapper goes inside, whatever the order of the decorators."""
    wrapped = wrap(decorator(lambda *receiver: len(receiver)), lambda *call: Noted())

    assert isinstance(wrapped, decorator)
    assert type("Owner", (), {"method": wrapped})().method() == (0 if decorator is staticmethod else 1)


def test_a_generator_called_with_wrong_arguments_ends_its_operation(recorded: MemorySink) -> None:
    """The call itself fails, at the first item: that is a failed run, not one that is left open."""

    @agentlog.tool
    def numbers(most: int) -> Iterator[int]:
        yield from range(most)

    with pytest.raises(TypeError):
        list(numbers())  # type: ignore[call-arg]

    assert [line["outcome"] for line in recorded.of(type="tool_result")] == ["failed"]


def test_an_object_whose_signature_fails_has_none() -> None:
    """Whatever its own ``__signature__`` raises; as a recovery it is called with the error and the call's arguments."""

    class Recovery:
        @property
        def __signature__(self) -> object:
            raise SystemError("AST constructor recursion depth mismatch")

        def __call__(self, *given: Any) -> Any:
            return given

    @agentlog.handle_errors(recovery_strategy=Recovery())
    def work(number: int) -> Any:
        raise OSError("busy")

    error, args, kwargs = work(1)

    assert parameters_of(Recovery()) is None
    assert (type(error), args, kwargs) == (OSError, (1,), {})

"""Error ids: eight characters, never twice, the same wherever an exception is met."""

from __future__ import annotations

import math
import multiprocessing
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.record.exceptions.error_id import _STRIDE, COUNT, _written, assign_error_id, new_error_id
from otel_agentlog.testing import MemorySink


def test_a_million_ids_are_different() -> None:
    """And each has the form that schemas and people expect."""
    ids = [new_error_id() for _ in range(1_000_000)]

    assert len(set(ids)) == 1_000_000
    assert all(map(re.compile("[0-9a-z]{8}").fullmatch, ids[::1000]))


@settings(deadline=None)
@given(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1))
def test_the_walk_visits_every_id_before_one_comes_again(first: int, second: int) -> None:
    """Stride and number of ids have no common factor, and different numbers are written differently."""
    assert math.gcd(_STRIDE, COUNT) == 1
    assert (first * _STRIDE % COUNT == second * _STRIDE % COUNT) == (first == second)
    assert (_written(first) == _written(second)) == (first == second)


def _one(queue: Any) -> None:
    queue.put(new_error_id())


def test_the_child_of_a_fork_begins_elsewhere() -> None:
    """Parent and child do not give the same id."""
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    child = fork.Process(target=_one, args=(queue,))
    child.start()
    theirs = queue.get()
    child.join(60)

    assert theirs not in {new_error_id() for _ in range(1000)}


@dataclass(frozen=True)
class Frozen(Exception):
    """Refuses new attributes."""

    code: int


class Stubborn(Exception):
    """Refuses everything."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")


class Hostile(Exception):
    """Raises whatever it is asked, its class and its text included."""

    def __getattribute__(self, name: str) -> Any:
        raise ZeroDivisionError(name)

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("make", [lambda: Frozen(1), Stubborn, Hostile])
def test_exceptions_that_refuse_attributes_are_recorded_and_handled(recorded: MemorySink, make: Callable[[], Exception]) -> None:
    """One error is one record; it reaches the user's code as it is, and can be handled and told."""
    error = make()
    kind = type(error)
    identity = assign_error_id(error)
    came = False
    try:
        with agentlog.task("t"), agentlog.step("s"):
            raise error
    except kind:
        came = True
    with agentlog.handle_errors(fallback=1, errors=(KeyError, kind)) as handled:
        raise error
    told, message = agentlog.log_and_format_error(error)

    assert came
    assert handled.result == 1
    assert f"`{told}`" in message
    ids = {line["exception"]["error_id"] for line in recorded.lines if "exception" in line}
    assert ids == {identity} == {told, agentlog.error_id(error)}


def test_an_error_takes_its_id_to_another_process() -> None:
    """Pickled with the exception."""
    error = agentlog.TaskError("no", context={"a": 1})
    identity = assign_error_id(error)

    copy = pickle.loads(pickle.dumps(error))

    assert (agentlog.error_id(copy), copy.context, str(copy)) == (identity, {"a": 1}, "no")


def test_configuration_errors_are_made_in_two_ways() -> None:
    """By a message and a context, or by setting, value and what was expected; both survive pickling."""
    plain = agentlog.ConfigurationError("no endpoint", context={"service": "x"})
    named = agentlog.ConfigurationError("directory", 7, "a path")

    assert (str(plain), plain.context, plain.setting) == ("no endpoint", {"service": "x"}, None)
    assert (str(named), named.setting) == ("setting 'directory': expected a path, found 7", "directory")
    assert [str(pickle.loads(pickle.dumps(error))) for error in (plain, named)] == [str(plain), str(named)]
    assert pickle.loads(pickle.dumps(named)).setting == "directory"

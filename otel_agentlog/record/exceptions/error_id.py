"""Error ids: eight characters ``0-9a-z`` that people can read out, unlike all others.

Random ones would repeat: of a million ids out of 36**8 one pair is the same with a probability of 16 %. So each process begins
at a random one and then walks through all of them with one stride: within a process none comes twice, and two processes
meet only if their walks overlap, which for a thousand processes with a thousand errors each happens once in 3,000 such roots.

The id is kept on the exception itself, so that it is the same wherever that exception is recorded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child, random_bits

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
COUNT = 36**8
"""How many ids there are."""

# Has no factor in common with 36, so that it visits every id before the first comes again; near the golden section of
# the whole, so that successive ids differ in most characters.
_STRIDE = 1_743_541_808_807

_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
MARK = "__agentlog_error__"


class Mark(NamedTuple):
    """What is noted on an exception that has an id."""

    error_id: str
    trace_id: str | None
    """The trace in which it was recorded in full; ``None`` if it was not recorded yet."""
    category: str | None = None


def _walk() -> Iterator[int]:
    return itertools.count(random_bits(64) % COUNT)


_numbers = _walk()


def walk_elsewhere() -> None:
    """Begin at another random id, as where a test wants a series of its own."""
    global _numbers
    _numbers = _walk()


def _renew_after_fork() -> None:
    """In the child of a fork: elsewhere than the parent."""
    walk_elsewhere()


after_fork_in_child(_renew_after_fork)


def new_error_id() -> str:
    """An id that no other error has. Safe from any thread."""
    return _written(next(_numbers) * _STRIDE % COUNT)


def _written(number: int) -> str:
    rest, first = divmod(number, 1296)
    rest, second = divmod(rest, 1296)
    fourth, third = divmod(rest, 1296)
    return _PAIRS[first] + _PAIRS[second] + _PAIRS[third] + _PAIRS[fourth]


def mark_of(error: BaseException) -> Mark | None:
    """What is noted on an exception; ``None`` if it has no id."""
    try:
        # Past __getattribute__ and __getattr__ of the exception's class, which are foreign code.
        known = object.__getattribute__(error, MARK)
    except AttributeError:
        return None
    return known if isinstance(known, Mark) else None


def put_mark(error: BaseException, mark: Mark) -> None:
    """Note an id on an exception, also on one whose class forbids new attributes."""
    try:
        # Past the class's __setattr__, e.g. of a frozen dataclass.
        object.__setattr__(error, MARK, mark)
    except (AttributeError, TypeError):
        raise_interrupt()  # it keeps no mark, and counts anew each time


def assign_error_id(error: BaseException) -> str:
    """The exception's id; a new one if it has none yet. Recording it later keeps that id."""
    known = mark_of(error)
    if known is not None:
        return known.error_id
    identity = new_error_id()
    put_mark(error, Mark(identity, None))
    return identity


def error_id(error: BaseException) -> str | None:
    """The 8-character id under which an exception was recorded; ``None`` if it has none."""
    known = mark_of(error) if issubclass(type(error), BaseException) else None
    return None if known is None else known.error_id

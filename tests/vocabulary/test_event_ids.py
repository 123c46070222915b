"""The numbers of lines: without a gap, and each once, wherever another thread or a finalizer takes one in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.vocabulary.event_ids import KEY, EventIds, split_event_id


def _number(event_id: str) -> int:
    return (split_event_id(event_id) or ("", -1))[1]


@pytest.fixture
def always_collecting() -> Iterator[None]:
    """A garbage collection wherever Python may have one: up to 3.11 within any call that makes a tuple."""
    usual = gc.get_threshold()
    gc.collect()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*usual)


@pytest.mark.parametrize("before", [*range(3, 10), *range(90, 100), 998, 9_998])
def test_a_garbage_collection_between_two_numbers_costs_none(before: int, always_collecting: None) -> None:
    """Another thread takes numbers in a finalizer, at the steps to one more digit too: none is skipped, none there twice."""
    ids, taken, ended = EventIds(), [], [False]

    class Garbage:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            if not ended[0]:
                taken.append(ids.next())
                Garbage()

    line: dict[str, str] = {}
    while not taken or _number(taken[-1]) < before:
        taken.append(ids.next())
    Garbage()
    for _ in range(20):
        line.update(zip(KEY, ids.each, strict=False))
        taken.append(line["event_id"])
    ended[0] = True
    gc.collect()

    assert sorted(map(_number, taken)) == list(range(1, len(taken) + 1))


@given(st.integers(0, 2**53 - 2))
def test_numbers_are_written_as_they_are(first: int) -> None:
    """All digits of each, from wherever it begins."""
    ids = EventIds(first)

    assert [ids.next(), ids.next()] == [f"{ids.tag}-{first}", f"{ids.tag}-{first + 1}"]

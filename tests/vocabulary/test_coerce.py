"""Values of any type, read back."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.vocabulary.coerce import python_literal

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.binary()
LITERALS = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner))


@given(LITERALS)
def test_a_literal_is_what_was_written(value: Any) -> None:
    """As ``repr`` writes it."""
    assert python_literal(repr(value), None) == value


@given(st.text() | LITERALS.map(lambda value: repr(value)[1:]))
def test_any_text_is_a_literal_or_none(written: str) -> None:
    """Whatever Python's parser makes of it."""
    found = python_literal(written, None)

    assert isinstance(found, (str, bytes, int, float, complex, list, tuple, set, dict, type(None), type(...)))


@pytest.mark.parametrize("written", ["(" * 10_000, "-" * 10_000 + "1", "{[]: 1}", "f()", "\0", "1" * 5_000, "\ud800"])
def test_hostile_texts_are_no_literals(written: str) -> None:
    """Too deep, not hashable, a call, a character that Python's source cannot have, too many digits."""
    assert python_literal(written, "none") == "none"


@pytest.fixture
def often_collected() -> Iterator[None]:
    """The garbage collector runs Python code all the time, so that threads take turns in the middle of C code."""

    def work(phase: str, info: dict[str, int]) -> None:
        for _ in range(50):
            pass

    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.callbacks.append(work)
    gc.set_threshold(20)
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)
        gc.callbacks.remove(work)


def test_threads_read_literals_at_once(often_collected: None) -> None:
    """Python 3.11 keeps one depth for the trees of all threads, and makes SystemErrors of it (python/cpython#106905)."""
    value = {"exit": 0, "reason": None, "user_s": 0.004, "unkillable": [], "counts": [1] * 20}

    def read(depth: int) -> list[Any]:
        return read(depth - 1) if depth else [python_literal(repr(value), None) for _ in range(500)]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(read, range(0, 24, 3)))

    assert found == [[value] * 500] * 8

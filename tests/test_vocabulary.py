"""The shared words: what every room relies on."""

from __future__ import annotations

import re
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.vocabulary.lines import timestamp

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
_YEAR_10000_NS = 253_402_300_800 * 10**9


@given(st.integers() | st.integers(-(2**80), 2**80))
def test_any_time_is_written_in_one_form(time_ns: int) -> None:
    """Whatever the clock says, the timestamp has the form that sorts as text."""
    assert _RFC_3339.fullmatch(timestamp(time_ns))


@given(st.integers(0, _YEAR_10000_NS - 1))
def test_a_time_keeps_every_nanosecond(time_ns: int) -> None:
    """Read back, the timestamp is the same time."""
    text = timestamp(time_ns)
    second = datetime.fromisoformat(f"{text[:19]}+00:00")

    assert int(second.timestamp()) * 10**9 + int(text[20:29]) == time_ns


@given(st.integers(), st.integers())
def test_timestamps_sort_as_times_do(one: int, other: int) -> None:
    """Text order is the order in time, also beyond what can be written."""
    assert timestamp(min(one, other)) <= timestamp(max(one, other))


def test_absurd_times_are_the_nearest_that_can_be_written() -> None:
    """A clock before 1970 or past 9999 gives the first and the last timestamp there is."""
    assert timestamp(-1) == "1970-01-01T00:00:00.000000000Z"
    assert timestamp(_YEAR_10000_NS) == "9999-12-31T23:59:59.999999999Z"

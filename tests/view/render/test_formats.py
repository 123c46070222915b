"""Numbers and times as people read them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.view.render import formats

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc)


def ns(moment: datetime) -> int:
    """A moment in Unix nanoseconds."""
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, ""),
        (math.nan, ""),
        (0, "0.0ms"),
        (0.44, "0.4ms"),
        (9.96, "10ms"),
        (812, "812ms"),
        (999.6, "1.00s"),
        (1850, "1.85s"),
        (42_000, "42.0s"),
        (59_990, "1m00s"),
        (185_000, "3m05s"),
        (3_599_600, "1h00m"),
        (7_380_000, "2h03m"),
        (363_600_000, "4d05h"),
    ],
)
def test_durations(milliseconds: float | None, text: str) -> None:
    """Three digits at most, with a unit that fits, and no 60 seconds or 1000 milliseconds."""
    assert text == formats.duration(milliseconds)


@given(st.floats(0, 1e15))
def test_every_duration_is_short(milliseconds: float) -> None:
    """No duration breaks a column, however long it is."""
    assert 0 < len(formats.duration(milliseconds)) <= 12


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (850, "850"),
        (999, "999"),
        (1200, "1.2k"),
        (99_949, "99.9k"),
        (120_000, "120k"),
        (999_960, "1.0M"),
        (5e9, "5000M"),
        ("x", ""),
    ],
)
def test_tokens(count: object, text: str) -> None:
    """Counts are short, and what is no number says nothing."""
    assert text == formats.tokens(count)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "?"),
        ("x", "?"),
        (True, "?"),
        (0, "$0"),
        (0.00001, "<$0.0001"),
        (0.00017, "$0.0002"),
        (0.0234, "$0.023"),
        (1.845, "$1.84"),
        (1204.1, "$1,204.10"),
    ],
)
def test_cost(amount: object, text: str) -> None:
    """An unknown price is not zero, and a small one is not either."""
    assert text == formats.usd(amount)


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=5), "11:59:55"),
        (timedelta(days=1), "yesterday 12:00"),
        (timedelta(days=7), "Nov 14 12:00"),
        (timedelta(days=400), "2025-10-17 12:00"),
    ],
)
def test_moments_get_shorter_the_nearer_they_are(before: timedelta, text: str) -> None:
    """Today needs no date, this year no year."""
    assert text == formats.moment(ns(NOW - before), NOW)


@pytest.mark.parametrize(
    ("before", "text"),
    [(-5, ""), (1, "1 second ago"), (59, "59 seconds ago"), (61, "1 minute ago"), (7300, "2 hours ago"), (200_000, "2 days ago")],
)
def test_how_long_ago(before: int, text: str) -> None:
    """In the largest unit; the future says nothing."""
    assert text == formats.ago(ns(NOW - timedelta(seconds=before)), NOW)


def test_clock_shows_milliseconds_without_rounding_them_up() -> None:
    """The last digit is cut, so that a time never reads later than it was."""
    assert formats.clock(ns(NOW) + 999_999_999) == "12:00:00.999"


def test_impossible_times_say_nothing() -> None:
    """A time beyond the calendar is no reason to fail."""
    assert (formats.moment(10**30), formats.clock(None), formats.full_moment(-(10**30))) == ("", "", "")


@pytest.mark.parametrize(("number", "text"), [(1, "1 task"), (2, "2 tasks"), (1234, "1,234 tasks")])
def test_counts_agree_with_their_noun(number: int, text: str) -> None:
    """One task, two tasks."""
    assert text == formats.count(number, "task")


@pytest.mark.parametrize(("size", "text"), [(None, "? B"), (12, "12 B"), (1500, "1.5 kB"), (20_000_000, "20.0 MB")])
def test_sizes(size: object, text: str) -> None:
    """Bytes in decimal units."""
    assert text == formats.size(size)

"""Missing and repeated event numbers."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.store.validation.lines import IN_FLIGHT, EventNumbers, Gap


class NumberModel:
    """What `EventNumbers` must agree with: a set."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def gaps(self) -> list[int]:
        return [number for number in range(max(self.seen, default=-1) + 1) if number not in self.seen]


@given(st.lists(st.integers(0, 40)))
def test_missing_and_repeated_numbers_are_found_in_any_order(numbers: list[int]) -> None:
    """Gaps are what a set would say, and as few as can be."""
    tested, model = EventNumbers(), NumberModel()

    for number in numbers:
        assert tested.add(number) == (number not in model.seen)
        model.seen.add(number)

    gaps = list(tested.gaps())
    assert [number for gap in gaps for number in range(gap.first, gap.last + 1)] == model.gaps()
    assert all(gap.last + 1 < after.first for gap, after in itertools.pairwise(gaps))


def test_a_number_without_end_takes_no_memory() -> None:
    """A damaged event_id may name any number."""
    numbers = EventNumbers()

    assert numbers.add(10**17)
    assert list(numbers.gaps()) == [Gap(0, 10**17 - 1)]
    assert not numbers.is_in_flight(Gap(0, 10**17 - 1))
    assert numbers.is_in_flight(Gap(10**17 - IN_FLIGHT + 1, 10**17 - 1))

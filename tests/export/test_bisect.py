"""A batch that is refused as a whole is taken apart: mates go through, the bad ones stand alone."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.export.pipeline.bisect import MAX_BROKEN, MAX_REQUESTS, Parts, send_in_parts
from otel_agentlog.export.transport.result import DELIVERED, SendResult, Verdict

Numbers = Sequence[int]


class Collector:
    """Takes numbers by simple rules and remembers what it took."""

    def __init__(self, *, poison: Verdict | None = None, bad: frozenset[int] = frozenset(), most: int = 10**9) -> None:
        self._poison, self._bad, self._most = poison, bad, most
        self.taken: list[int] = []
        self.requests = 0

    def __call__(self, batch: Numbers) -> SendResult:
        self.requests += 1
        if len(batch) > self._most:
            return SendResult(Verdict.TOO_LARGE, "http_413")
        if self._poison is not None and any(number in self._bad for number in batch):
            return SendResult(self._poison, "http_400")
        self.taken += batch
        return DELIVERED


def _by_verdict(parts: Parts[int], verdict: Verdict) -> list[int]:
    return sorted(number for part, result in parts if result.verdict is verdict for number in part)


@given(st.integers(1, 600), st.data())
def test_mates_of_poison_go_through_and_each_item_is_in_one_part(size: int, data: st.DataObject) -> None:
    """Whatever few of a batch are bad: they alone are rejected, all others are taken once."""
    bad = data.draw(st.frozensets(st.integers(0, size - 1), max_size=5))
    collector = Collector(poison=Verdict.REJECTED, bad=bad)

    parts = send_in_parts(collector, range(size), trusted=True)

    assert _by_verdict(parts, Verdict.REJECTED) == sorted(bad)
    assert sorted(collector.taken) == _by_verdict(parts, Verdict.DELIVERED) == sorted(set(range(size)) - bad)


@given(st.integers(1, 600), st.integers(0, 600), st.booleans())
def test_too_large_batches_are_split_down_to_what_is_taken(size: int, most: int, trusted: bool) -> None:
    """Each item is taken at most once; where none fits every one that was tried alone is too large."""
    collector = Collector(most=most)

    parts = send_in_parts(collector, range(size), trusted=trusted)

    decided = [(len(part), result) for part, result in parts]
    assert sorted(number for part, _ in parts for number in part) == list(range(size))
    assert all(length == 1 for length, result in decided if result.verdict is Verdict.TOO_LARGE)
    assert trusted or collector.taken or not _by_verdict(parts, Verdict.TOO_LARGE)
    assert len(collector.taken) == len(set(collector.taken))
    assert sorted(collector.taken) == _by_verdict(parts, Verdict.DELIVERED)
    if most >= 8 or (most >= 1 and size <= 64):
        assert sorted(collector.taken) == list(range(size))
    assert collector.requests <= MAX_REQUESTS


def test_a_collector_that_rejects_everything_has_judged_nothing() -> None:
    """A wrong address that answers 400 to all costs a few requests and no record."""
    collector = Collector(poison=Verdict.REJECTED, bad=frozenset(range(512)))

    parts = send_in_parts(collector, range(512), trusted=False)

    assert {result.verdict for _, result in parts} <= {Verdict.BROKEN, Verdict.LATER}
    assert collector.requests < 20


@given(st.integers(1, 40), st.sampled_from([Verdict.REJECTED, Verdict.TOO_LARGE]))
def test_nothing_is_given_up_for_a_collector_that_took_nothing(size: int, verdict: Verdict) -> None:
    """However few there are: they wait until a collector has shown that it takes anything at all."""
    parts = send_in_parts(lambda batch: SendResult(verdict, "no"), range(size), trusted=False)

    assert not _by_verdict(parts, verdict)
    assert sorted(number for part, _ in parts for number in part) == list(range(size))


def test_a_collector_that_fails_over_everything_is_left_alone() -> None:
    """500 to whatever is sent: three requests, and all waits."""
    collector = Collector(poison=Verdict.BROKEN, bad=frozenset(range(512)))

    parts = send_in_parts(collector, range(512), trusted=False)

    assert collector.requests == MAX_BROKEN
    assert _by_verdict(parts, Verdict.BROKEN) == list(range(512))


@given(st.integers(2, 600), st.data())
def test_one_record_that_breaks_a_collector_does_not_keep_its_mates(size: int, data: st.DataObject) -> None:
    """500 because of one item: it waits alone, nothing is dropped."""
    bad = data.draw(st.integers(0, size - 1))
    collector = Collector(poison=Verdict.BROKEN, bad=frozenset({bad}))

    parts = send_in_parts(collector, range(size), trusted=False)

    assert _by_verdict(parts, Verdict.BROKEN) == [bad]
    assert len(collector.taken) == size - 1


def test_when_the_collector_goes_away_the_rest_is_not_tried() -> None:
    """The first answer that says later ends the batch; what was taken stays taken."""
    answers = iter([SendResult(Verdict.REJECTED, "http_400"), DELIVERED, SendResult(Verdict.LATER, "connection")])

    parts = send_in_parts(lambda batch: next(answers), range(8), trusted=True)

    assert _by_verdict(parts, Verdict.DELIVERED) == [0, 1, 2, 3]
    assert _by_verdict(parts, Verdict.LATER) == [4, 5, 6, 7]


def test_rejections_without_end_are_bounded_and_what_is_undecided_waits() -> None:
    """A trusted collector that suddenly rejects all: what was not judged alone is sent again later."""
    collector = Collector(poison=Verdict.REJECTED, bad=frozenset(range(512)))

    parts = send_in_parts(collector, range(512), trusted=True)

    rejected, waiting = _by_verdict(parts, Verdict.REJECTED), _by_verdict(parts, Verdict.LATER)
    assert collector.requests == MAX_REQUESTS
    assert len(rejected) > 80
    assert sorted(rejected + waiting) == list(range(512))


def test_what_was_not_sent_for_lack_of_requests_is_not_delivered() -> None:
    """One by one, and the last request that is spent succeeds: the rest of the batch has not arrived."""
    collector = Collector(most=1)

    parts = send_in_parts(collector, range(600), trusted=True)

    assert collector.requests == MAX_REQUESTS
    assert sorted(collector.taken) == _by_verdict(parts, Verdict.DELIVERED)
    assert len(_by_verdict(parts, Verdict.LATER)) == 600 - len(collector.taken)


def test_a_batch_takes_no_longer_than_it_may() -> None:
    """A collector that takes pieces, but slowly: what is left waits for the next time."""
    seconds = iter(range(0, 10_000, 9))
    collector = Collector(most=1)

    parts = send_in_parts(collector, range(64), trusted=True, clock=lambda: float(next(seconds)))

    assert collector.requests < 10
    assert sorted(collector.taken) == _by_verdict(parts, Verdict.DELIVERED)
    assert sorted(number for part, _ in parts for number in part) == list(range(64))

"""Which views are of one request: every way in which they can meet, every sign alone, and which wins where two contradict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otel_agentlog.record.operations.seen_calls import OWN, SIGNS, WAYS, Call, Seen, SeenCalls
from otel_agentlog.vocabulary.usage import Response, Usage


class Operation:
    """One of ours, in which spans of other libraries begin."""


@dataclass(frozen=True)
class View:
    """What a view tells; by default nothing but its library, its time and a place of its own."""

    library: str
    time: tuple[int, int] = (0, 10)
    failed: bool = False
    stopped: bool = False
    ids: tuple[str, ...] = ()
    tokens: tuple[int | None, int | None] = (None, None)
    provider: str | None = None
    model: str | None = None
    parent: str | None = None
    below: str | None = None
    flow: tuple[int, int | None] | None = None
    place: Callable[[], Any] | None = None
    completes: bool = False
    purpose: tuple[bool, str | None] = (False, None)

    def begin(self, known: SeenCalls, around: Seen | None = None) -> Seen:
        """Its span begins, ``around`` it another one."""
        span_id = f"{id(object()):x}-{len(known.spans)}"
        seen = Seen(span_id, self.library, self.time[0], around, around if around and around.scope else None, self.place)
        seen.flow, seen.completes, seen.is_ai_call, seen.purpose = self.flow, self.completes, True, self.purpose
        # One of its own for each, unless it says otherwise.
        seen.below = self.below or f"below {span_id}"
        if self.library != OWN:
            known.add(seen)
            known.begin_call(seen, (self.parent or f"above {span_id}", self.provider, self.model))
        return seen

    def end(self, known: SeenCalls, seen: Seen) -> bool:
        """Whether it is a request that counts."""
        known.end_span(seen, self.time[1])
        report = Call(seen.span_id, *self.time, {self.library}, Response(Usage(*self.tokens)), response_ids=frozenset(self.ids))
        report.failed, report.stopped, report.purpose = self.failed, self.stopped, self.purpose
        return known.count(seen, report) is None


def requests(views: Iterable[View], ends: Iterable[int] | None = None) -> int:
    """How many requests views beside each other are, that begin and end in these orders."""
    known, told = SeenCalls(), [*views]
    begun = [view.begin(known) for view in told]
    return sum(told[number].end(known, begun[number]) for number in (ends or range(len(told))))


MODELS: list[tuple[str, str, int]] = [
    ("gpt-5", "GPT-5", 1),
    ("gemini-2.5-flash", "models/gemini-2.5-flash", 1),
    ("claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5", 1),
    ("gpt-5", "gpt-5-2025-08-07", 1),
    ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", 1),
    ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929", 1),
    ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5-20250929", 1),
    ("claude-3-7-sonnet-latest", "claude-3-7-sonnet-20250219", 1),
    ("gemini-2.0-flash", "gemini-2.0-flash-001", 1),
    ("gpt-4", "gpt-4-0613", 1),
    ("gpt-4-0613", "gpt-4-1106", 2),
    ("gpt-5-2025-08-07", "gpt-5-2025-10-01", 2),
    ("gpt-5", "gpt-5-mini", 2),
    ("gpt-5", "gpt-5-mini-2025-08-07", 2),
    ("gpt-4o", "gpt-4o-mini", 2),
    ("o3", "o3-pro", 2),
    ("llama-3.1-8b", "llama-3.1-70b", 2),
]


@pytest.mark.parametrize(("one", "other", "wanted"), MODELS)
def test_names_of_one_model(one: str, other: str, wanted: int) -> None:
    """With its maker, its place or its version, or without."""
    assert in_any_order((replace(A, parent="p", model=one), replace(B, parent="p", model=other))) == {wanted}


HERE = Operation()


def here() -> Operation:
    """Gives one operation of ours, which is still there."""
    return HERE


A, B = View("a"), View("b")
BELOW_ONE = {"parent": "p"}

AGREE: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "library": ({"library": "a", **BELOW_ONE}, {"library": "a", **BELOW_ONE}, 2),
    "time": ({}, {"time": (2, 8)}, 2),
    "outcome": ({"failed": True}, {"failed": True}, 2),
    "ids": ({"ids": ("r1",)}, {"ids": ("r1", "r2")}, 1),
    "tokens": ({"tokens": (5, 2), "place": here}, {"tokens": (5, None), "place": here}, 1),
    "provider": ({"provider": "OpenAI"}, {"provider": "openai"}, 2),
    "place, a parent": (BELOW_ONE, BELOW_ONE, 1),
    "place, spans of their libraries between": ({"below": "p"}, {"below": "p", "time": (2, 8)}, 1),
    "place, a thread": ({"flow": (1, None), "place": here}, {"flow": (1, None), "place": here}, 1),
}
"""What both views tell, where all else is unknown, and how many requests they are: a sign that proves nothing leaves them two."""

NOT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "library": ({"library": "a"}, {"library": "a"}),
    "time": ({"time": (0, 5)}, {"time": (5, 10)}),
    "outcome": ({"failed": True}, {}),
    "ids": ({"ids": ("r1",)}, {"ids": ("r2",)}),
    "tokens": ({"tokens": (5, 2)}, {"tokens": (5, 3)}),
    "provider": ({"provider": "openai"}, {"provider": "azure"}),
    "place": ({"parent": "p"}, {"parent": "q"}),
    "place, a model": ({"model": "gpt-5"}, {"model": "gpt-4o"}),
}
"""What denies that two views are of one request."""

WINS_ALL_THE_SAME = {
    ("ids", "library"): 1,  # a stream of which the library gives two spans
    ("ids", "outcome"): 1,
    ("ids", "provider"): 1,
    ("ids", "place"): 1,
    ("ids", "place, a model"): 1,
    ("ids", "tokens"): 1,  # at one time, of two libraries: one has counted what was cached, too
    ("ids", "time"): 1,
    ("tokens", "provider"): 1,
    ("tokens", "place"): 1,  # other parents, but one operation of ours began both
}
"""Where the sign that says same wins over the one that says different. Everywhere else that one wins."""


def both(one: dict[str, Any], other: dict[str, Any]) -> tuple[View, View]:
    return replace(A, **one), replace(B, **other)


def in_any_order(views: tuple[View, ...]) -> set[int]:
    """How many requests they are, in whatever order they begin and end."""
    places = range(len(views))
    return {requests([views[place] for place in begin], ends) for begin in permutations(places) for ends in permutations(places)}


def test_every_sign_is_here() -> None:
    """So that a new one is walked, too."""
    assert {name.partition(",")[0] for name in AGREE} == {name.partition(",")[0] for name in NOT} == set(SIGNS)


@pytest.mark.parametrize("sign", AGREE)
def test_what_a_sign_proves_where_it_agrees(sign: str) -> None:
    """Alone."""
    one, other, wanted = AGREE[sign]

    assert in_any_order(both(one, other)) == {wanted}


@pytest.mark.parametrize("sign", NOT)
def test_what_a_sign_denies(sign: str) -> None:
    """Alone it proves what is so without it; against what says same it wins."""
    one, other = NOT[sign]

    assert in_any_order(both(one, other)) == {2}


@pytest.mark.parametrize("denies", NOT)
@pytest.mark.parametrize("proves", [sign for sign, (_, _, wanted) in AGREE.items() if wanted == 1])
def test_two_signs_that_contradict_each_other(proves: str, denies: str) -> None:
    """One wins, in any order."""
    if proves.partition(",")[0] == denies.partition(",")[0] and "model" not in denies:
        return
    one, other, _ = AGREE[proves]
    first, second = both(one, other)
    no, neither = NOT[denies]

    assert in_any_order((replace(first, **no), replace(second, **neither))) == {WINS_ALL_THE_SAME.get((proves, denies), 2)}


def test_what_is_not_known_denies_nothing() -> None:
    """One view that tells everything, and one that tells nothing but where it is."""
    told = replace(A, ids=("r1",), tokens=(5, 2), provider="openai", model="gpt-5", parent="p")

    assert in_any_order((told, replace(B, parent="p"))) == {1}


def test_what_was_stopped_may_have_failed_to_one() -> None:
    """And lies in time in the other, as its stream may be closed later."""
    one, other = replace(A, failed=True, stopped=True, below="p", time=(0, 5)), replace(B, below="p", time=(2, 8))

    assert in_any_order((one, other)) == {1}


def test_of_several_the_nearest_is_it() -> None:
    """That of the same tokens, before one of the same thread, before the one that it began beside."""
    known = SeenCalls()
    views = [replace(A, parent="p", tokens=(5, 2)), replace(A, parent="p", flow=(1, None)), replace(A, parent="p")]
    begun = [view.begin(known) for view in views]
    looked = replace(B, parent="p", flow=(1, None), tokens=(5, 2)), replace(B, parent="p", flow=(1, None))
    further = [view.begin(known) for view in looked]
    for view, seen in zip((*views, *looked), (*begun, *further), strict=True):
        view.end(known, seen)

    assert [seen.call for seen in further] == [begun[0].call, begun[1].call]


def nested(inner: View, outer: View, ends: tuple[int, int]) -> int:
    known = SeenCalls()
    around = outer.begin(known)
    seen = [around, inner.begin(known, around)]
    return sum((outer, inner)[number].end(known, seen[number]) for number in ends)


EMBEDS = replace(A, purpose=(True, "small"), model="small")
ANSWERS = replace(B, purpose=(False, "large"), model="large")
NESTED: dict[str, tuple[View, View, int]] = {
    "one library": (A, A, 1),
    "two libraries": (A, B, 1),
    "all else denies it": (
        replace(A, ids=("r1",), tokens=(5, 2), model="x"),
        replace(B, ids=("r2",), tokens=(7, 3), failed=True),
        1,
    ),
    "embeddings of another model": (EMBEDS, ANSWERS, 2),
    "embeddings of the same": (replace(EMBEDS, purpose=(True, "large")), ANSWERS, 1),
}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["the outer one ends first", "the inner one ends first"])
@pytest.mark.parametrize("case", NESTED)
def test_what_lies_in_each_other_is_one_request(case: str, order: tuple[int, int]) -> None:
    """Before any sign, but for the embeddings that an answer needed."""
    inner, outer, wanted = NESTED[case]

    assert nested(inner, outer, order) == wanted


OWN_CALLS: dict[str, tuple[View, View, int]] = {
    "nothing but the place": (A, View(OWN), 2),
    "the answer": (replace(A, ids=("r1",)), View(OWN, ids=("r1",)), 1),
    "two of ours": (View(OWN), View(OWN), 2),
    "two of ours with one answer": (View(OWN, ids=("r1",)), View(OWN, ids=("r1",)), 1),
}


@pytest.mark.parametrize("case", OWN_CALLS)
def test_what_the_user_says_of_an_own_call_holds(case: str) -> None:
    """Inside it only the same answer is the same request."""
    inner, outer, wanted = OWN_CALLS[case]

    assert nested(inner, outer, (1, 0)) == wanted


def test_two_of_ours_beside_each_other_are_two() -> None:
    """Whatever they say."""
    told = View(OWN, ids=("r1",), tokens=(5, 2), parent="p", flow=(1, None), place=here)

    assert in_any_order((told, told)) == {2}


def test_a_further_span_completes_the_latest_request() -> None:
    """Of its library and place, of whose answer nothing is known; there is one for each."""
    begins, tells = replace(A, parent="p", time=(0, 1)), replace(A, parent="p", time=(5, 6), completes=True, tokens=(5, 2))

    assert requests([begins, tells]) == 1
    assert requests([begins, tells, tells]) == 2
    assert requests([begins, replace(tells, parent="q")]) == requests([replace(begins, failed=True), tells]) == 2


def test_the_ways_are_those_of_the_tests() -> None:
    """In the order in which they are gone."""
    assert [way.__name__ for way in WAYS] == ["inside", "of_answer", "of_around", "completed", "beside"]


ANY_VIEW = st.builds(
    View,
    library=st.sampled_from("ab"),
    time=st.sampled_from([(0, 10), (2, 8), (0, 5), (5, 10), (0, 20)]),
    failed=st.booleans(),
    stopped=st.booleans(),
    ids=st.sampled_from([(), ("r1",), ("r2",), ("r1", "r2")]),
    tokens=st.sampled_from([(None, None), (5, 2), (5, None), (None, 3), (0, 2)]),
    provider=st.sampled_from([None, "openai", "azure"]),
    model=st.sampled_from([None, "gpt-5", "models/gpt-5", "gpt-4o"]),
    parent=st.sampled_from([None, "p", "q"]),
    below=st.sampled_from([None, "p"]),
    flow=st.sampled_from([None, (1, None), (1, 2)]),
    place=st.sampled_from([None, here]),
)


@given(ANY_VIEW, ANY_VIEW)
@example(replace(A, below="p", time=(0, 5)), replace(B, below="p", time=(0, 10)))  # a coarse clock, an import
@settings(deadline=None)
def test_two_views_are_as_many_requests_in_any_order(one: View, other: View) -> None:
    """Whichever began first, whichever ended first."""
    assert len(in_any_order((one, other))) == 1


@dataclass(frozen=True)
class Seeing:
    """A request that libraries see beside each other: how far they know its answer, and who knows it."""

    tokens: tuple[int, int]
    libraries: list[str] = field(default_factory=list)


@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True), min_size=1, max_size=4),
    st.booleans(),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_requests_at_once_are_told_apart_in_any_order(seen_by: list[list[str]], by_id: bool, random: Any) -> None:
    """By their tokens, or their ids."""
    views = [
        View(library, parent="p", **({"ids": (f"r{number}",)} if by_id else {"tokens": (100 + number, 10 + number)}))
        for number, libraries in enumerate(seen_by)
        for library in libraries
    ]
    random.shuffle(views)
    ends = [*range(len(views))]
    random.shuffle(ends)

    assert requests(views, ends) == len(seen_by)

"""Shapes: what matches, and what a message says where something does not."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.testing import a_span, a_step, a_task, a_tool, an_ai_call, assert_shape
from otel_agentlog.testing.reading import RecordedPart
from otel_agentlog.testing.shape import Expected, ExpectedPart

NONE = {"input_tokens": 0, "output_tokens": 0}


def part(kind: str, name: str = "x", children: Sequence[RecordedPart] = (), **more: object) -> RecordedPart:
    """A part that completed."""
    usual = {"outcome": "completed", "error": None, "is_adopted": False, "duration_ms": 1.0, "cost_usd": None, "tokens": NONE}
    return RecordedPart(kind=kind, name=name, children=list(children), start={}, end={}, **{**usual, **more})  # type: ignore[arg-type]


PARTS = st.recursive(
    st.builds(part, st.sampled_from(["tool", "step"]), st.sampled_from("ab")),
    lambda inside: st.builds(part, st.sampled_from(["tool", "step"]), st.sampled_from("ab"), st.lists(inside, max_size=3)),
    max_leaves=8,
)
EXPECTED: st.SearchStrategy[Expected] = st.recursive(
    st.just(...) | st.builds(ExpectedPart, st.sampled_from(["tool", "step"]), st.sampled_from(["a", "b", "*"])),
    lambda inside: st.builds(
        ExpectedPart, st.sampled_from(["tool", "step"]), st.sampled_from(["a", "*"]), st.lists(inside, max_size=3)
    ),
    max_leaves=6,
)


def matches(expected: Sequence[Expected], parts: Sequence[RecordedPart]) -> bool:
    """What a list means, said the short way."""
    if not expected:
        return not parts
    first, *rest = expected
    if first is ...:
        return any(matches(rest, parts[skipped:]) for skipped in range(len(parts) + 1))
    return bool(
        parts
        and first.agrees(parts[0])
        and (first.inside is None or matches(first.inside, parts[0].children))
        and matches(rest, parts[1:])
    )


@given(st.lists(EXPECTED, max_size=4), st.lists(PARTS, max_size=4))
def test_a_list_means_what_it_says(expected: list[Expected], parts: list[RecordedPart]) -> None:
    """It agrees with the plain definition, and a message marks a place in both trees."""
    if matches(expected, parts):
        assert_shape(parts, expected)
        return
    with pytest.raises(AssertionError) as raised:
        assert_shape(parts, expected)
    head, found = str(raised.value).split("\nfound:\n")
    assert [line for line in found.splitlines() if line.startswith(">")]
    assert ("expected nothing more" in head) != any(line.startswith(">") for line in head.splitlines())


def as_expected(found: RecordedPart) -> ExpectedPart:
    """Exactly this part."""
    return ExpectedPart(found.kind, found.name, [as_expected(child) for child in found.children])


@given(st.lists(PARTS, min_size=1, max_size=4))
def test_a_tree_has_its_own_shape_and_not_less(parts: list[RecordedPart]) -> None:
    """Its own description fits; without its last part it does not, and with ``...`` it does again."""
    whole = [as_expected(each) for each in parts]

    assert_shape(parts, whole)
    assert_shape(parts, [*whole[:-1], ...])
    with pytest.raises(AssertionError, match="expected nothing more"):
        assert_shape(parts, whole[:-1])


TREE = part(
    "task",
    "Review PR 42",
    [
        part("ai_call", "gpt-4o", cost_usd=0.0021, tokens={"input_tokens": 1200, "output_tokens": 85}),
        part("step", "plan", [part("tool", "Read"), part("tool", "Write", outcome="failed", error="ValueError: no\nsuch file")]),
        part("subtask", "Part 2"),
        part("span", "GET /", is_adopted=True),
    ],
    cost_usd=0.0021,
)


def said(expected: list[Expected], **more: float) -> str:
    """The message for the tree above."""
    with pytest.raises(AssertionError) as raised:
        assert_shape(TREE, expected, **more)  # type: ignore[arg-type]
    return str(raised.value)


def test_what_is_as_expected_passes() -> None:
    """All kinds of parts, with outcomes, errors and cost."""
    failed = a_tool("Write", outcome="failed", error="ValueError: *")
    assert_shape(
        TREE,
        [an_ai_call("gpt-*"), a_step("plan", [a_tool(), failed]), a_task("Part *"), a_span("GET *")],
        cost_below_usd=0.01,
    )
    assert_shape(TREE.calls, [an_ai_call(), ..., a_tool(outcome="*")])


def test_a_part_that_is_another_one() -> None:
    """The message says what was expected, what was found, and shows both trees with the place marked."""
    assert said([an_ai_call(), a_step("plan", [a_tool("Read"), a_tool("Write")]), ...]) == (
        "in task 'Review PR 42': expected tool Write, found tool Write · failed · ValueError: no\n"
        "expected:\n"
        "  ai_call *\n"
        "  step plan\n"
        "    tool Read\n"
        ">   tool Write\n"
        "  ...\n"
        "found:\n"
        "  ai_call gpt-4o · 1200→85 tokens · $0.0021\n"
        "  step plan\n"
        "    tool Read\n"
        ">   tool Write · failed · ValueError: no\n"
        "  subtask Part 2\n"
        "  span GET /"
    )


def test_a_part_that_is_missing() -> None:
    """At the end, and inside a part that is there."""
    missing = said([..., a_span("GET /"), a_tool("Mail")])
    inside = said([..., a_span("GET /", [a_tool("Parse")])])

    assert missing.startswith("in task 'Review PR 42': expected tool Mail, found nothing more\n")
    assert missing.endswith("  span GET /\n> (nothing more)")
    assert inside.startswith("in task 'Review PR 42': expected tool Parse, found nothing more\n")
    assert inside.endswith("  span GET /\n>   (nothing more)")


def test_a_part_too_many() -> None:
    """The first one that is not expected is marked."""
    assert "expected nothing more, found step plan" in said([an_ai_call()])
    assert "> step plan" in said([an_ai_call()])


def test_a_cost_that_is_too_high_or_unknown() -> None:
    """Both fail, and name the calls."""
    high = said([...], cost_below_usd=0.001)
    TREE.children[0].cost_usd, known = None, TREE.children[0].cost_usd
    unknown = said([...], cost_below_usd=0.01)
    TREE.children[0].cost_usd = known

    assert high == "expected a cost below $0.001, found $0.0021:\n  ai_call gpt-4o · 1200→85 tokens · $0.0021"
    assert unknown == "expected a cost below $0.01, found 1 call without a price:\n  ai_call gpt-4o · 1200→85 tokens"


def test_a_large_tree_is_cut_around_the_place() -> None:
    """A message stays small."""
    many = [part("tool", f"t{number}") for number in range(5000)]
    with pytest.raises(AssertionError) as raised:
        assert_shape(many, [*(a_tool(f"t{number}") for number in range(3000)), a_tool("other"), ...])
    lines = str(raised.value).splitlines()

    assert len(lines) < 140
    assert "> tool t3000" in lines
    assert any(re.fullmatch(r"  … \d+ lines", line) for line in lines)


def test_names_are_compared_as_in_a_shell_or_as_they_are() -> None:
    """A name with brackets is itself."""
    assert_shape([part("tool", "fix [bug]")], [a_tool("fix [bug]")])
    assert_shape([part("tool", "mcp.Read")], [a_tool("mcp.R?ad")])
    with pytest.raises(AssertionError):
        assert_shape([part("tool", "Read")], [a_tool("read")])

"""Texts of the record stand in marks that nothing in them can end."""

from __future__ import annotations

import gc
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_agentlog.view.mcp.quoted import CLOSE, OPEN, Quoted, cleaned, figure, identifier, moment, quoted, rendered
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.mcp.answers import MARKED
from tests.view.stories import HOSTILE

ANY_TEXT = st.text(max_size=200) | st.text(st.sampled_from("«»‹›\x1b[]\n\r\t\0\u202e\u2066\u200b\ud800ab"), max_size=60)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(value=ANY_VALUE, most=st.integers(1, 300))
@example(value=HOSTILE + CLOSE + " now do this " + OPEN, most=300)
@example(value={"»": "» do this «"}, most=300)
@example(value={"$parts": ["a", "»b"]}, most=300)
@example(value={"$artifact": {"preview": "» x", "size_bytes": "»", "sha256": 3}}, most=300)
@example(value=[[[["x"]]]] * 40, most=10)
def test_any_value_is_one_quotation(value: Any, most: int) -> None:
    """It begins and ends with a mark, has none inside, nothing that acts on a terminal, and is no longer than asked."""
    shown = quoted(value, most)

    assert MARKED.fullmatch(shown)
    assert set(acts_on_a_terminal(shown)) <= {"\n"}
    assert len(shown.partition(CLOSE)[0]) <= most + 1


@given(ANY_TEXT)
def test_a_short_text_is_whole(text: str) -> None:
    """Nothing but marks and what acts is taken from it."""
    assert quoted(text, 1_000) == f"{OPEN}{cleaned(text)}{CLOSE}"


def test_what_is_missing_is_told() -> None:
    """How much of a text; of other values only that there is more."""
    assert quoted("x" * 1_500, 1_000).endswith("» [500 more characters]")
    assert quoted({"a": "x" * 1_500}, 1_000).endswith("» [cut]")
    assert quoted({"a": [1, 2.5, None, True]}, 1_000) == '«{"a":[1,2.5,null,true]}»'


@pytest.mark.parametrize("value", ["x\x1b[31m»" * 3_000_000, {"a": ["y" * 20_000_000]}, [{"k": n} for n in range(300_000)]])
def test_twenty_megabytes_cost_nothing(value: Any) -> None:
    """No more is looked at than is shown."""
    gc.collect()
    began = time.process_time()
    quoted(value, 1_000)
    assert time.process_time() - began < 0.2


def test_ids_and_times_of_our_form_stand_as_they_are() -> None:
    """All others are of the record: somebody chose them."""
    assert [identifier(each) for each in ("task-0123456789ab", "f" * 16, "k3f09x2b")] == [
        "task-0123456789ab",
        "f" * 16,
        "k3f09x2b",
    ]
    assert isinstance(identifier("ignore-all-instructions"), Quoted)
    assert isinstance(identifier("shutdown"), Quoted)
    assert moment("2026-11-21T05:22:01.123456789Z") == "2026-11-21T05:22:01.123456789Z"
    assert isinstance(moment("2026-11-21 now do this"), Quoted)


def test_keys_without_a_value_are_left_out() -> None:
    """Answers have no nulls; a figure that is none is unknown."""
    assert rendered({"a": None, "b": [Quoted("x")], "c": 0, "d": figure(float("nan"))}, 10) == {"b": ["«x»"], "c": 0}
    assert [figure(each) for each in (True, "1", 10**30, float("inf"), -2.5)] == [None, None, None, None, -2.5]

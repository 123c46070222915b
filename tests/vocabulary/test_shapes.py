"""What texts have in common that differ in a number or an id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.vocabulary.shapes import shape_of

SAME = (
    ("Review PR 42", "Review PR 7"),
    ("no task-7f3a1c9e2b40 here", "no task-0badc0ffee11 here"),
    ("at 0x7f3a1c", "at 0xdead"),
    ("12345678-1234-1234-1234-123456789abc", "87654321-4321-4321-4321-cba987654321"),
    ("10.0.0.1:80 took 1.5 s", "10.0.12.7:8080 took 30 s"),
    ("error h7j7g00x", "error k9vfvebo1"),
)
OTHER = (("Review PR 42", "Review issue 42"), ("no task", "no tasks"), ("read", "write"), ("gpt-five", "gpt-six"))


@pytest.mark.parametrize(("one", "other"), SAME)
def test_numbers_and_ids_make_no_difference(one: str, other: str) -> None:
    """Of any form."""
    assert shape_of(one) == shape_of(other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_words_do(one: str, other: str) -> None:
    """Texts of different words are different."""
    assert shape_of(one) != shape_of(other)


@given(st.text(), st.integers(0, 10**9), st.integers(0, 10**9))
def test_any_text(text: str, one: int, other: int) -> None:
    """A number between two words is like any other number."""
    assert shape_of(f"{text} {one} x") == shape_of(f"{text} {other} x")

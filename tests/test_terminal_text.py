"""Any text becomes harmless and takes the columns it is given."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_agentlog.vocabulary.terminal_text import cut, pad, safe, safe_json, safe_lines, width
from tests.view.stories import HOSTILE

ANY_TEXT = st.text(st.characters(), max_size=200) | st.text(
    st.sampled_from("\x1b\x07\x9b\x9d\x9c[]P_^X0;?mHJK\\\n\t\r\x00\u202e\u2066\u200fab 日é́✨\ud800\U000e0041"), max_size=60
)


def acts_on_a_terminal(text: str) -> list[str]:
    """Characters that a terminal would act on, or that hide or reorder others."""
    harmful = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u2028\u2029\ufeff"
    acting = {each for each in set(text) if unicodedata.category(each) in ("Cc", "Cs") or each in harmful}
    return [character for character in text if character in acting] if acting else []


@given(ANY_TEXT)
@example(HOSTILE)
@example("\x1b\x1b[31m[31m")
def test_nothing_in_a_safe_text_acts(text: str) -> None:
    """Whatever went in, no control, bidirectional or invisible character and no lone surrogate comes out."""
    assert acts_on_a_terminal(safe(text)) == []


@given(ANY_TEXT)
def test_what_is_safe_stays_as_it_is(text: str) -> None:
    """Making a text safe twice changes nothing more."""
    assert safe(safe(text)) == safe(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("plain", "plain"),
        ("日本語 ✨ é", "日本語 ✨ é"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\x", "x"),
        ("\x1b]never ended", "never ended"),
        ("\x1b(B\x1bc\x1b7ok", "ok"),
        ("one\ntwo\tthree\r\nfour", "one two three four"),
        ("gpj\u202eexe", "gpjexe"),
        ("a\ud800b", "a\ufffdb"),
        ("\x00\x08\x7f\x85", " "),
    ],
)
def test_sequences_go_with_all_that_belongs_to_them(text: str, left: str) -> None:
    """Escape sequences leave no rubbish behind, and one that never ends hides nothing."""
    assert left == safe(text)


def test_lines_are_kept_where_they_are_wanted() -> None:
    """A text of several lines is split at every kind of line break, each line made safe."""
    assert safe_lines("a\n  b\r\nc\td\r\r\x1b[2Je\n") == ["a", "  b", "c    d", "", "e"]


@given(
    st.recursive(
        st.none() | st.integers() | ANY_TEXT, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner), max_leaves=8
    )
)
def test_safe_json_is_the_same_value(value: object) -> None:
    """JSON made safe says the same and holds nothing that acts, but the newline at its end."""
    encoded = safe_json(json.dumps(value, ensure_ascii=False)) + "\n"

    assert value == json.loads(encoded)
    assert acts_on_a_terminal(encoded) == ["\n"]


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("한국어", 6), ("ﾊﾛｰ", 3), ("✨", 2), ("🦀", 2)]
)
def test_width_counts_columns(text: str, columns: int) -> None:
    """Wide characters take two columns, combining ones none."""
    assert columns == width(text)


@given(ANY_TEXT.map(safe), st.integers(0, 40))
def test_a_cut_text_fits(text: str, columns: int) -> None:
    """Never wider than asked, unchanged if it fits, and with an ellipsis if it does not."""
    found = cut(text, columns)

    assert width(found) <= columns
    assert (found == text) == (width(text) <= columns) or found == text
    if width(text) > columns > 0:
        assert found.endswith("…")


@given(ANY_TEXT.map(safe), st.integers(0, 60), st.booleans())
def test_a_padded_text_has_its_width(text: str, columns: int, right: bool) -> None:
    """Exactly as wide as asked, or as wide as the text if that is wider."""
    assert max(columns, width(text)) == width(pad(text, columns, right=right))


def test_what_is_safe_is_said_once() -> None:
    """No other module knows escape sequences that it takes out, or how wide a character is."""
    home = Path(__file__).resolve().parents[1] / "otel_agentlog"
    signs = (r"\x1b\[|", "\\u202a-\\u202e", "east_asian_width")
    found = {str(path.relative_to(home)) for path in home.rglob("*.py") if any(sign in path.read_text() for sign in signs)}

    assert found == {"vocabulary/terminal_text.py"}

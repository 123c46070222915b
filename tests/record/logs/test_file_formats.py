"""Flat JSON and rows of text: nothing of a line is lost, and no message can look like another record."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.record.logs.file_formats import flat, flat_row, text_row
from otel_agentlog.record.sanitize.cleaner import Cleaner

LINE = {
    "timestamp": "2026-02-13T19:06:35.545176123Z",
    "type": "log",
    "level": "INFO",
    "component": "web",
    "logger": "claude_coordinator.bot",
    "message": "Processing message",
    "module": "bot",
    "function": "_handle",
    "line": 273,
    "task_id": "t-1",
}

_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from([*LINE, "context", "details", "exception", "error_id", "x", "attributes"]) | st.text(max_size=8)
_details = st.dictionaries(_names, _values, max_size=6)


def _clean(details: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = Cleaner(None).clean(details).value
    return cleaned


def test_a_flat_line_has_the_keys_of_log_pipelines() -> None:
    """In their order, with what was given behind them; times in microseconds with an offset."""
    line = flat({**LINE, "details": {"cost_usd": 0.05}, "attributes": {"team": "x"}})

    assert line == {
        "timestamp": "2026-02-13T19:06:35.545176+00:00",
        "level": "INFO",
        "logger": "claude_coordinator.bot",
        "message": "Processing message",
        "module": "bot",
        "function": "_handle",
        "line": 273,
        "task_id": "t-1",
        "context": "web",
        "team": "x",
        "cost_usd": 0.05,
    }
    assert list(line)[:7] == ["timestamp", "level", "logger", "message", "module", "function", "line"]


def test_an_exception_is_named_short() -> None:
    """Without its package; the id stands at the top, the traceback is a list though it may be empty."""
    line = flat({**LINE, "exception": {"type": "app.errors.Outer.InstanceError", "message": "m", "error_id": "abcd1234"}})

    assert line["exception"] == {"type": "InstanceError", "message": "m", "traceback": [], "error_id": "abcd1234"}
    assert line["error_id"] == "abcd1234"


@settings(deadline=None)
@given(_details)
def test_nothing_that_was_given_is_lost(details: dict[str, Any]) -> None:
    """Each value is at the top, or in ``details`` where the line has that name itself; what is ours is never replaced."""
    given_ = _clean(details)
    line = json.loads(flat_row({**LINE, "details": given_}))
    own = flat(LINE)
    context = given_.get("context")
    spread = {**context, **{key: value for key, value in given_.items() if key != "context"}} if type(context) is dict else given_

    assert {key: line[key] for key in own} == own
    for name, value in spread.items():
        places = [line.get(name), (line.get("details") or {}).get(name)]
        assert json.loads(json.dumps(value)) in places, name


@settings(deadline=None)
@given(st.text(max_size=80), _details, st.text(max_size=40))
def test_only_the_first_row_of_a_record_begins_with_a_date(message: str, details: dict[str, Any], printed: str) -> None:
    """Line breaks and control characters of messages, data and tracebacks make no row that could be another record's."""
    exception = {"type": "E", "message": message, "traceback": [printed, f"2026-02-13 19:06:35,545 - admin - INFO - {printed}"]}
    text = text_row({**LINE, "message": message, "details": _clean(details), "exception": exception}).decode()
    head, *below = text.removesuffix("\n").split("\n")

    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,545 - claude_coordinator\.bot - INFO - ", head)
    assert [row for row in below if not row.startswith("    ")] == []
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\x9b\u2028\u202e]", text)


@given(st.dictionaries(st.sampled_from([*LINE, "details", "exception", "attributes"]), _values, max_size=8))
def test_lines_of_any_form_become_rows(line: dict[str, Any]) -> None:
    """Both renderings take what only damage makes of a line."""
    assert json.loads(flat_row(_clean(line)))["timestamp"]
    assert text_row(_clean(line)).endswith(b"\n")

"""The monitor's table of tasks, its help and log, as they look at several widths.

``UPDATE_SCREENS=1`` writes the golden files anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.query import TaskRow
from otel_agentlog.view.monitor.commands import OVERVIEW_COMMANDS, OVERVIEW_KEYS, TASK_COMMANDS, TASK_KEYS, help_lines
from otel_agentlog.view.monitor.drawing import folded, log_lines, task_table, why_failed
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import PLAIN_GLYPHS, Glyphs, Piece, columns_of, fit
from otel_agentlog.vocabulary.terminal_text import safe, width
from tests.test_terminal_text import acts_on_a_terminal

GOLDEN = Path(__file__).with_name("golden")
NAMES = (
    "Review PR 4711: the retry budget of the delivery worker is spent before the collector answers",
    "検証する: 日本語の長い名前のタスクを端末で読む 한국어",
    "تحقق من طلب السحب رقم ٤٧١١ في المستودع",
    "🦀 Rust ✨ emoji 👩‍💻 family in a name that goes on and on",
    "evil \x1b[31mred\x1b[0m \u202egpj.exe",
    "short",
)
STATES = ("running", "completed", "failed", "timed_out", "paused", "interrupted")


def _row(number: int, name: str, status: str, **more: Any) -> TaskRow:
    metadata = {
        "task_id": f"task-{number:012x}",
        "name": name,
        "assigned_agent": ("planner", "reviewer-with-a-long-name", "コーダー")[number % 3],
        "model": "claude-opus-4-5",
        "parent_task_id": "task-0" if number % 4 == 3 else None,
        **more,
    }
    metrics = {
        "duration_seconds": 15.5 * 10**number,
        "ai_calls": number + 1,
        "cost_usd": 1204.1 / 10**number,
        "input_tokens": 12_345 * 10**number,
        "output_tokens": 10,
        "errors": number % 2,
    }
    error = {"type": "TimeoutError", "message": f"no answer {name}", "category": "TIMEOUT", "error_id": "a1b2c3d4"}
    scores = {"quality": 0.875, "tone": "friendly"} if number % 2 else {}
    failed = status in ("failed", "timed_out")
    return TaskRow(f"task-{number:012x}", Path("/"), status, False, metadata, metrics, error if failed else None, scores)


@pytest.fixture(autouse=True)
def same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are those of one time zone and of one day."""
    monkeypatch.setenv("TZ", "UTC")


def _plain(lines: Any) -> list[str]:
    return ["".join(piece.text for piece in line).rstrip() for line in lines]


@pytest.mark.parametrize("columns", [40, 50, 80, 120, 200])
def test_the_table_looks_like_this(columns: int) -> None:
    """Long, Chinese, Arabic, emoji and hostile names: aligned by columns, a figure whole or not there at all."""
    ended = [
        _row(number, name, status, started_at="2020-11-14T09:29:00Z")
        for number, (name, status) in enumerate(zip(NAMES, STATES, strict=True))
        if status not in ("running", "paused")
    ]
    lines = _plain(task_table(ended, columns, Glyphs()))
    path = GOLDEN / f"tasks-{columns}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    assert path.read_text() == "\n".join(lines) + "\n"
    assert max(map(width, lines)) <= columns
    assert all(not acts_on_a_terminal(line) for line in lines)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(
    st.lists(st.tuples(_TEXT, _TEXT, st.sampled_from(STATES), st.integers(0, 5)), min_size=1, max_size=6), st.integers(40, 220)
)
def test_no_value_is_cut_into_another_value(given_: list[tuple[str, str, str, int]], columns: int) -> None:
    """Whatever the names: every line fits, and of a figure there is all or nothing."""
    rows = [_row(number, name, status, assigned_agent=agent) for name, agent, status, number in given_ if status != "paused"]
    if not rows:
        return
    titles, *lines = _plain(task_table(rows, columns, Glyphs()))
    assert max(map(width, [titles, *lines])) <= columns
    for title, key in (("TIME", "duration_seconds"), ("COST", "cost_usd")):
        if title in titles:
            shown = formats.seconds if key == "duration_seconds" else formats.usd
            assert all(shown(row.metrics[key]) in line for row, line in zip(rows, lines, strict=True) if row.has_ended)
    assert all(not acts_on_a_terminal(line) for line in lines)


@pytest.mark.parametrize("columns", [50, 80, 120, 200])
def test_a_small_terminal_shows_names_and_a_large_one_all(columns: int) -> None:
    """The name is readable everywhere; agent, model, tokens and errors are there where there is room."""
    rows = [_row(number, name, "completed", started_at="2020-11-14T09:29:00Z") for number, name in enumerate(NAMES)]
    titles, first, *_ = _plain(task_table(rows, columns, Glyphs()))
    assert NAMES[0][:27] in first
    wanted = {50: (), 80: ("ERRORS",), 120: ("AGENT", "ERRORS"), 200: ("AGENT", "MODEL", "TOKENS", "ERRORS", "SCORES")}
    assert [title for title in ("NAME", "TIME", "COST", *wanted[columns]) if title not in titles] == []


def test_why_it_failed_is_said() -> None:
    """Error, category and id; nothing for one that did not fail."""
    (text,) = _plain([why_failed(_row(1, "x", "failed"))])
    assert text == "TimeoutError: no answer x  TIMEOUT a1b2c3d4"
    assert why_failed(_row(1, "x", "completed")) == []


@given(st.text(max_size=200), st.integers(12, 100), st.integers(0, 8))
def test_a_folded_line_has_all_of_it(text: str, columns: int, indent: int) -> None:
    """On lines that fit, whatever their characters are as wide as."""
    text = safe(text)
    rows = list(folded([Piece(text[:10]), Piece(text[10:])], columns, min(indent, columns // 2)))
    assert all(columns_of(row) <= columns for row in rows)
    assert "".join(piece.text for row in rows for piece in row).replace(" ", "") == text.replace(" ", "")


def test_a_long_line_of_the_log_is_seen_whole() -> None:
    """Cut at the edge, or on as many lines as it takes."""
    line = {"type": "log", "timestamp": "2026-11-14T09:29:00Z", "level": "INFO", "message": "word " * 60}
    cut_off, whole = (_plain(log_lines([line], 80, Glyphs(), whole=each)) for each in (False, True))
    assert len(cut_off) == 1
    assert cut_off[0].endswith("…")
    assert " ".join(whole).count("word") == 60
    assert max(map(width, whole)) <= 80


@pytest.mark.parametrize("glyphs", [Glyphs(), PLAIN_GLYPHS])
def test_help_names_every_command_and_key(glyphs: Glyphs) -> None:
    """What it does, not only its name; on 24 lines."""
    for commands, keys in ((TASK_COMMANDS, TASK_KEYS), (OVERVIEW_COMMANDS, OVERVIEW_KEYS)):
        lines = help_lines(commands, keys, glyphs)
        text = "\n".join(_plain(lines))
        assert all(each in text for each in (*filter(None, commands.values()), *keys))
        assert len(lines) <= 24
        assert all(columns_of(fit(line, 50, "…")) <= 50 for line in lines)

"""Signs, styles and names of states, kinds and errors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from otel_agentlog.view.render.screen import Glyphs, Piece, Pieces, Screen, columns_of
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.terminal_text import safe

STATE_STYLES = {
    "completed": "ok",
    "failed": "bad",
    "timed_out": "bad",
    "interrupted": "warn",
    "cancelled": "warn",
    "running": "run",
    "paused": "warn",
    "pending": "dim",
}
"""The style of each state; a key of `screen.STYLES`."""

KIND_NAMES = {
    "ai_call": "ai",
    "tool_run": "tool",
    "subtask": "sub-task",
    "queue_push": "push",
    "queue_pickup": "pickup",
    "segment": "process",
}
"""Short names of kinds; the others are shown as they are."""

KIND_STYLES = {"ai_call": "ai", "tool_run": "tool"}


def sign(status: str, glyphs: Glyphs) -> Piece:
    """The sign of a state, in its style."""
    signs = {
        "completed": glyphs.ok,
        "failed": glyphs.bad,
        "timed_out": glyphs.bad,
        "interrupted": glyphs.warn,
        "cancelled": glyphs.stop,
        "running": glyphs.run,
        "paused": glyphs.pause,
        "pending": glyphs.wait,
    }
    return Piece(signs.get(status, "?"), STATE_STYLES.get(status, ""))


_MEANINGS = {
    "completed": "completed",
    "failed": "failed, timed out",
    "interrupted": "interrupted",
    "cancelled": "cancelled",
    "running": "running",
    "paused": "paused",
    "pending": "pending",
}
"""What each sign means, by a state that has it."""
_MADE_ID = re.compile(r"task-([0-9a-f]{8})[0-9a-f]{4}")
"""An id that was not given by a user."""


def legend(statuses: Collection[str], screen: Screen) -> Iterator[Pieces]:
    """Yield what the signs of these states mean, on as many lines as that needs."""
    line: Pieces = []
    for status, meaning in _MEANINGS.items():
        if status in statuses or (status == "failed" and "timed_out" in statuses):
            item = [sign(status, screen.glyphs), Piece(f" {meaning}   ", "dim")]
            if line and screen.columns is not None and columns_of([*line, *item]) > screen.columns:
                yield line
                line = []
            line += item
    if line:
        yield line


ROOMY = 120
"""From so many columns on a list shows whole ids."""


def short_ids(task_ids: Sequence[str], columns: int | None) -> dict[str, str]:
    """The ids by which tasks are found that are shown together: of ids that were made the first eight digits, if these differ.

    Empty where there is room for whole ids: from `ROOMY` columns on, and where the width has no limit (``None``).
    """
    if columns is None or columns >= ROOMY:
        return {}
    begun = {task_id: found[1] for task_id in task_ids if (found := _MADE_ID.fullmatch(task_id))}
    counts = Counter(begun.values())
    return {task_id: begun[task_id] if counts[begun.get(task_id, "")] == 1 else task_id for task_id in task_ids}


def state(status: str, before: str = "") -> Piece:
    """A state in words and in its style: ``timed out``; `before` is put in front of it."""
    return Piece(before + state_text(status), STATE_STYLES.get(status, ""))


def state_text(status: str) -> str:
    """A state in words: ``timed out``."""
    return safe(status.replace("_", " "))


def error_text(error: Mapping[str, Any]) -> str:
    """``ValueError: boom``, whatever the exception object holds."""
    return ": ".join(safe(part) for key in ("type", "message") if (part := text(error, key))) or "an error"


def error_id(error: Mapping[str, Any]) -> str:
    """The id to search for with ``agentlog errors ID``; empty if there is none."""
    return safe(text(error, "error_id") or "")


def scores(found: Mapping[str, float | str]) -> str:
    """``quality 0.8 tone friendly``."""
    return " ".join(f"{safe(name)} {safe(value) if isinstance(value, str) else score(value)}" for name, value in found.items())


def score(value: float | None) -> str:
    """``0.8`` ``0.667``; empty for ``None``."""
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"

"""Scores and notes: what people and evaluations say of a task, or of a part of it, as lines of type ``event``.

    {"type":"event","action":"score_added","details":{"name":"quality","value":0.8,"by":"ann"},"span_id":…}

A second score of the same part by the same name, from the same person, replaces the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.lines import Line

SCORE_ADDED, NOTE_ADDED = "score_added", "note_added"
"""Actions of the lines."""

MAX_NAME = 128
"""Longest name of a score, in characters."""

MAX_SCORE_TEXT = 16_000
"""Longest label, explanation or note."""


class Score(NamedTuple):
    """One score."""

    name: str
    value: float | None
    label: str | None
    explanation: str | None
    by: str | None
    span_id: str


def is_score(line: Mapping[str, Any]) -> bool:
    """Whether a line is a score."""
    return line.get("action") == SCORE_ADDED and line.get("type") == "event"


def score_of(line: Mapping[str, Any]) -> Score | None:
    """The score in a line; ``None`` if it has none."""
    details = mapping(line, "details")
    name = text(details, "name") if is_score(line) else None
    if not name:
        return None
    value = number(details, "value")
    label, explanation, by = (text(details, key) for key in ("label", "explanation", "by"))
    finite = value if value is not None and math.isfinite(value) else None
    return Score(name, finite, label, explanation, by, text(line, "span_id") or "")


def score_line(name: str, value: float | None, **said: str | None) -> Line:
    """The line of a score; ``said``: ``label``, ``explanation``, ``by``, ``source``, ``response_id``."""
    details: dict[str, Any] = {"name": name, "value": value, **said}
    shown = " ".join(filter(None, (name, "" if value is None else f"{value:g}", said.get("label"))))
    return _line(SCORE_ADDED, shown, details)


def note_line(note: str, **said: str | None) -> Line:
    """The line of a note; ``said``: ``by``, ``source``."""
    return _line(NOTE_ADDED, note, {**said})


def _line(action: str, message: str, details: dict[str, Any]) -> Line:
    known = {key: value for key, value in details.items() if value is not None}
    line: Line = {"type": "event", "level": "INFO", "component": "evaluation", "action": action, "message": message}
    return {**line, "details": known} if known else line


def latest_scores(lines: Iterable[Mapping[str, Any]]) -> list[Score]:
    """The scores in lines that count, in the order in which they were first given."""
    found: dict[tuple[str, str, str | None], Score] = {}
    for line in lines:
        if (score := score_of(line)) is not None:
            found[score.name, score.span_id, score.by] = score
    return list(found.values())

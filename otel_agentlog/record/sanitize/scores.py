"""Scores and notes as the agent's own code, or an evaluation beside it, gives them: any object, read and bounded."""

from __future__ import annotations

import logging
import math
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.sanitize.keys import optional_text, plain_text
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.scores import MAX_NAME, MAX_SCORE_TEXT, note_line, score_line

_logger = logging.getLogger(__name__)
_warned: set[str] = set()


def given_score(name: Any, value: Any, said: dict[str, Any]) -> Line:
    """The line of a score that was given as these objects; a text in place of the value is its label."""
    known = {key: _text(each) for key, each in said.items()}
    number = _number(value)
    if number is None and issubclass(type(value), str):
        known["label"] = known.get("label") or _text(value)
    elif number is None and value is not None:
        _warn_once(value)
    if type(value) is bool:
        known["label"] = known.get("label") or ("pass" if value else "fail")
    return score_line((plain_text(name) or "score")[:MAX_NAME], number, **known)


def given_note(note: Any, said: dict[str, Any]) -> Line:
    """The line of a note that was given as these objects."""
    return note_line(_text(note) or "", **{key: _text(each) for key, each in said.items()})


def _text(value: Any) -> str | None:
    found = None if value is None else optional_text(value)
    return None if found is None else found[:MAX_SCORE_TEXT]


def _number(value: Any) -> float | None:
    """A number of any type that has one; ``None`` for what has none, or is not finite."""
    if value is None or issubclass(type(value), (str, bytes)):
        return None
    try:
        number = float(value)
    except Exception:  # noqa: BLE001 - an object of any class
        raise_interrupt()
        return None
    return number if math.isfinite(number) else None


def _warn_once(value: object) -> None:
    kind = type(value).__qualname__
    if kind not in _warned:
        _warned.add(kind)
        _logger.warning("a score was given as %s, which is no number: it is recorded without a value", kind)

"""Hides what stands below the line of a part: failed attempts, the error, and with ``--full`` everything that was said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from otel_agentlog.model import CONTENT_TYPES
from otel_agentlog.query import Entry, time_of
from otel_agentlog.view import human, words
from otel_agentlog.view.line_words import said
from otel_agentlog.view.screen import Piece
from otel_agentlog.view.text import safe
from otel_agentlog.view.values import many_lines, spoken

_MAX_ATTEMPTS = 3
_INDENT = "  "
_FRAME = re.compile(r'\s*File "(?P<file>[^"]*)", line (?P<line>\d+)(?:, in (?P<function>.*))?')


Words = list[Piece]


def brief(entry: Entry) -> Iterator[Words]:
    """What is always said below a part: the attempts that failed, and the error."""
    for attempt in entry.attempts[-_MAX_ATTEMPTS:]:
        yield _attempt(attempt)
    if entry.exception is not None:
        yield from _error(entry.exception, full=False)


def asked(entry: Entry) -> Iterator[Words]:
    """What a part was given: messages, parameters, arguments."""
    details = entry.details
    yield from _block("system", spoken(details.get("system")))
    messages = details.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, Mapping):
            yield from _block(safe(str(message.get("role"))), spoken(message.get("parts")) or message.get("content"))
    yield from _block("parameters", details.get("parameters"))
    yield from _block("arguments", details.get("arguments"))


def told(line: Mapping[str, Any]) -> Iterator[Words]:
    """What was said within a part, with its time."""
    first, *rest = said(line)
    kind = str(line.get("type"))
    yield [
        Piece(f"{human.clock(time_of(line))} ", "dim"),
        Piece(f"{kind}: " if kind in CONTENT_TYPES else "", "tool"),
        *first,
    ]
    yield from ([Piece(_INDENT), *more] for more in rest)


def answered(entry: Entry) -> Iterator[Words]:
    """What came out of a part: answer, result, error."""
    yield from _block("answer", spoken(entry.details.get("output")))
    yield from _block("result", entry.details.get("result"))
    if entry.exception is not None:
        yield from _error(entry.exception, full=True)


def _attempt(attempt: Mapping[str, Any]) -> Words:
    number, wait = attempt.get("number"), attempt.get("wait_ms")
    of = f" of {attempt['maximum']}" if isinstance(attempt.get("maximum"), int) else ""
    why = ": ".join(safe(attempt[key]) for key in ("error_type", "reason") if isinstance(attempt.get(key), str))
    then = f", then waited {human.duration(wait)}" if isinstance(wait, (int, float)) else ""
    return [Piece(f"attempt {number if isinstance(number, int) else human.UNKNOWN}{of} failed: {why}{then}", "warn")]


def _error(exception: Mapping[str, Any], *, full: bool) -> Iterator[Words]:
    """The error, where it was first seen; further up only the sign says that it passed."""
    traceback = exception.get("traceback")
    if not isinstance(traceback, list) or not traceback:
        return
    found = words.error_id(exception)
    category = exception.get("category")
    aside = " ".join(filter(None, (f"[{found}]" if found else "", safe(category) if isinstance(category, str) else "")))
    yield [Piece(words.error_text(exception), "error"), Piece(f"  {aside}", "dim")]
    printed = [line for line in traceback if isinstance(line, str)]
    if full:
        yield from ([Piece(_INDENT + text, "dim")] for line in printed for text in many_lines(line))
    elif place := innermost(printed):
        yield [Piece(_INDENT + place, "dim")]
    suggestions = exception.get("suggestions")
    for suggestion in suggestions if isinstance(suggestions, list) else ():
        if isinstance(suggestion, str):
            yield [Piece(f"{_INDENT}try: {safe(suggestion)}", "warn")]


def innermost(printed: list[str]) -> str:
    """Where an exception was raised, from its printed traceback: ``judge.py:45 in review: raise ValueError(…)``."""
    for number in range(len(printed) - 1, -1, -1):
        frame = _FRAME.match(printed[number])
        if frame is not None:
            code = printed[number + 1].strip() if number + 1 < len(printed) - 1 else ""
            where = f"{frame['file']}:{frame['line']}" + (f" in {frame['function']}" if frame["function"] else "")
            return safe(where + (f": {code}" if code else ""))
    return ""


def _block(name: str, value: Any) -> Iterator[Words]:
    """A named value, on one line if it has one, else below its name."""
    if value is None or value == "":
        return
    first, *rest = many_lines(value)
    if not rest:
        yield [Piece(f"{name}: ", "dim"), Piece(first)]
        return
    yield [Piece(f"{name}:", "dim")]
    yield from ([Piece(_INDENT + text)] for text in (first, *rest))

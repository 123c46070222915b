"""An error of a task as lines: what it was, where it was raised, what can be done; what was shown once is not shown again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.query import Entry, TaskReport
from otel_agentlog.view.render import labels
from otel_agentlog.view.render.screen import Piece, Pieces, Screen, wrap
from otel_agentlog.view.render.values import text_lines
from otel_agentlog.vocabulary.coerce import text, texts
from otel_agentlog.vocabulary.shapes import shape_of
from otel_agentlog.vocabulary.terminal_text import cut, safe

_INDENT = "  "
_FRAME = re.compile(r'\s*File "(?P<file>[^"]*)", line (?P<line>\d+)(?:, in (?P<function>.*))?')


@dataclass(slots=True)
class AlreadyShown:
    """Which kinds of errors were shown with their advice."""

    kinds: set[tuple[str, ...]] = field(default_factory=set)
    error_ids: set[str] = field(default_factory=set)


def error_kind(exception: Mapping[str, Any]) -> tuple[str, ...]:
    """What errors have in common that differ in a number or an id alone."""
    return (text(exception, "type") or "", shape_of(text(exception, "message") or ""), *texts(exception, "suggestions"))


def failing_part(report: TaskReport) -> Entry | None:
    """The part that raised the error with which the task ended; ``None`` if that is the task itself or not known."""
    error_id = text(report.row.error or {}, "error_id")
    waiting = list(reversed(report.roots))
    while waiting and error_id is not None:
        entry = waiting.pop()
        if entry.exception is not None and _has_traceback(entry.exception) and text(entry.exception, "error_id") == error_id:
            return entry
        waiting += reversed(entry.children)
    return None


def why_it_failed(report: TaskReport, screen: Screen, shown: AlreadyShown) -> Iterator[Pieces]:
    """The error with which the task ended, for the head: the part that raised it, where, and advice."""
    error = report.row.error
    if error is None:
        return
    room = None if screen.columns is None else screen.columns - 2
    yield [Piece(_INDENT), Piece(cut(labels.error_text(error), room, screen.glyphs.ellipsis), "error")]
    part = failing_part(report)
    known = error if part is None or part.exception is None else part.exception
    where = "" if part is None else f"in {safe(labels.KIND_NAMES.get(part.kind, part.kind))} {safe(part.name)}"
    place = ", ".join(filter(None, (_aside(known), where, innermost_frame(texts(known, "traceback")))))
    yield [Piece(_INDENT * 2), Piece(cut(place, None if room is None else room - 2, screen.glyphs.ellipsis), "dim")]
    if part is None:
        return
    for suggestion in texts(known, "suggestions"):
        yield from wrap([Piece(f"{_INDENT * 2}try: {safe(suggestion)}", "warn")], screen.columns)
    shown.kinds.add(error_kind(known))
    shown.error_ids.add(text(known, "error_id") or "")


def error_lines(exception: Mapping[str, Any], shown: AlreadyShown | None) -> Iterator[Pieces]:
    """The error, below the part where it was first seen: that has the traceback; further up there is only the sign.

    Without `shown` the whole traceback; with it the place, and no place and no advice where its kind was shown.
    """
    if not _has_traceback(exception):
        return
    printed = texts(exception, "traceback")
    kind = error_kind(exception)
    known = shown is not None and kind in shown.kinds
    yield [
        Piece(labels.error_text(exception), "error"),
        Piece(f"  {_aside(exception)}" + (", advice above" if known and texts(exception, "suggestions") else ""), "dim"),
    ]
    if known:
        return
    if shown is not None:
        shown.kinds.add(kind)
        if frame := innermost_frame(printed):
            yield [Piece(_INDENT + frame, "dim")]
    else:
        yield from ([Piece(_INDENT + row, "dim")] for item in printed for row in text_lines(item))
    yield from ([Piece(f"{_INDENT}try: {safe(suggestion)}", "warn")] for suggestion in texts(exception, "suggestions"))


def _aside(exception: Mapping[str, Any]) -> str:
    found = labels.error_id(exception)
    return " ".join(filter(None, (f"[{found}]" if found else "", safe(text(exception, "category") or ""))))


def _has_traceback(exception: Mapping[str, Any]) -> bool:
    return isinstance(traceback := exception.get("traceback"), list) and bool(traceback)


def innermost_frame(traceback: list[str]) -> str:
    """Where an exception was raised: ``judge.py:45 in review: raise ValueError(…)``; empty if its traceback does not have it."""
    for at in range(len(traceback) - 1, -1, -1):
        frame = _FRAME.match(traceback[at])
        if frame is not None:
            code = traceback[at + 1].strip() if at + 1 < len(traceback) - 1 else ""
            where = f"{frame['file']}:{frame['line']}" + (f" in {frame['function']}" if frame["function"] else "")
            return safe(where + (f": {code}" if code else ""))
    return ""

"""Hides how the tree of a task is drawn: one line for each part with time, tokens, cost and a bar, errors below their part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_agentlog.query import Entry, TaskReport, time_of
from otel_agentlog.view.render import human, words
from otel_agentlog.view.render.line_words import said
from otel_agentlog.view.render.screen import GAP, Glyphs, Piece, Screen, columns_of, fit
from otel_agentlog.view.render.show_header import Waterfall, stretch
from otel_agentlog.view.render.values import many_lines, one_line, spoken
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, Line
from otel_agentlog.vocabulary.terminal_text import cut, pad, safe, width

# -- Hides what stands below the line of a part: failed attempts, the error, and with ``--full`` everything that was said.

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


# -- Hides how a part of a task is named on its line: state, kind, name, and what is worth knowing at once.

_MAX_NAME = 160
_MAX_ARGUMENTS = 60
_USUAL_FINISH = frozenset({"stop", "end_turn", "tool_use", "tool_calls", "stop_sequence", "completed", "tool_call"})


def label(entry: Entry, glyphs: Glyphs) -> list[Piece]:
    """The line of a part without its figures."""
    kind = words.KIND_NAMES.get(entry.kind, entry.kind)
    name = cut(safe(entry.name), _MAX_NAME, glyphs.ellipsis)
    line = [
        words.sign(entry.status, glyphs),
        Piece(f" {safe(kind)} ", words.KIND_STYLES.get(entry.kind, "dim")),
        Piece(name, "title" if entry.kind in ("task", "subtask") else ""),
    ]
    for text, style in _notes(entry, glyphs):
        if text:
            line.append(Piece(f"  {text}", style))
    return line


def _notes(entry: Entry, glyphs: Glyphs) -> Iterator[tuple[str, str]]:
    details = entry.details
    if entry.kind == "subtask":
        yield safe(str(details.get("task_id") or "")), "id"
        yield _subtask_errors(entry), "error"
    if entry.kind == "tool_run" and details.get("arguments"):
        yield cut(one_line(details["arguments"], _MAX_ARGUMENTS * 2), _MAX_ARGUMENTS, glyphs.ellipsis), "dim"
    if entry.status not in ("completed", "failed"):
        yield words.state_word(entry.status), words.STYLE_OF_STATE.get(entry.status, "")
    if entry.reason and entry.status != "timed_out":
        yield f"({safe(entry.reason)})", "dim"
    if details.get("exit_code"):
        yield f"exit code {safe(str(details['exit_code']))}", "warn"
    if attempts := details.get("attempts"):
        yield (f"{attempts} attempts" if isinstance(attempts, int) and attempts > 1 else ""), "warn"
    yield _finish(entry), "warn"


def _subtask_errors(entry: Entry) -> str:
    errors = entry.task.metrics.get("errors") if entry.task is not None else None
    return human.count(errors, "error") if isinstance(errors, int) and errors else ""


def _finish(entry: Entry) -> str:
    """Why a model stopped, where that is not the usual: ``max_tokens``, ``content_filter`` …"""
    reasons = entry.details.get("finish_reasons")
    if not isinstance(reasons, list):
        return ""
    return ", ".join(safe(reason) for reason in reasons if isinstance(reason, str) and reason not in _USUAL_FINISH)


MAX_SHOWN = 25
"""How many parts of one part are shown, unless everything is asked for; what went wrong is always shown."""

_WIDE = 100
"""From this many columns on there is a waterfall."""
_MIN_BAR, _MAX_BAR = 20, 80
_MIN_LABEL = 30
_MAX_LABEL_UNLIMITED = 100


@dataclass(slots=True)
class Row:
    """One part of the tree, or a line below one."""

    left: list[Piece]
    entry: Entry | None = None
    """Absent on lines below a part."""


def draw(report: TaskReport, screen: Screen, *, full: bool) -> Iterator[list[Piece]]:
    """The lines of the tree; with `full` nothing is left out."""
    rows = list(_rows(report.roots, screen, full))
    if not rows:
        yield [Piece("Nothing was recorded yet.", "dim")]
        return
    figures = _Figures([row.entry for row in rows if row.entry is not None], screen)
    room = figures.left_columns(max(columns_of(row.left) for row in rows if row.entry is not None))
    yield figures.titles(room)
    for row in rows:
        if row.entry is None:
            yield fit(row.left, screen.columns, screen.glyphs.ellipsis)
        else:
            left = fit(row.left, None if screen.columns is None else room, screen.glyphs.ellipsis)
            yield [*left, Piece(" " * max(0, room - columns_of(left))), *figures.of(row.entry)]


def _rows(roots: Sequence[Entry], screen: Screen, full: bool) -> Iterator[Row]:
    """Every part after the one it belongs to, without recursion: agents nest deep."""
    glyphs, deepest = screen.glyphs, (screen.columns or 2 * _MAX_LABEL_UNLIMITED) // 2
    waiting: list[tuple[Entry | Words, str, str]] = [(root, "", "") for root in reversed(roots)]
    while waiting:
        item, drawn, beneath = waiting.pop()
        # Names matter more than how deep they are: past half the width the outer levels are not drawn.
        own = drawn if len(drawn) <= deepest else glyphs.ellipsis + drawn[len(glyphs.ellipsis) - deepest :]
        if isinstance(item, list):
            yield Row([Piece(own, "dim"), *item])
            continue
        yield Row([Piece(own, "dim"), *label(item, glyphs)], item)
        inside = list(_everything(item) if full else _briefly(item, glyphs))
        waiting += reversed(list(_placed(inside, beneath, glyphs)))


def _placed(inside: Sequence[Entry | Words], beneath: str, glyphs: Glyphs) -> Iterator[tuple[Entry | Words, str, str]]:
    """What stands below a part, each with what is drawn before it and before what is below it."""
    last = max((number for number, item in enumerate(inside) if isinstance(item, Entry)), default=-1)
    for number, item in enumerate(inside):
        if isinstance(item, list):
            yield item, beneath + (glyphs.pipe if number < last else "   " if last >= 0 else "  "), ""
        elif number < last:
            yield item, beneath + glyphs.tee, beneath + glyphs.pipe
        else:
            yield item, beneath + glyphs.last, beneath + "   "


def _briefly(entry: Entry, glyphs: Glyphs) -> Iterator[Entry | Words]:
    yield from brief(entry)
    shown, left_out = _chosen(entry.children)
    yield from shown
    if left_out:
        yield [Piece(f"{glyphs.ellipsis} {left_out}", "dim")]


def _everything(entry: Entry) -> Iterator[Entry | Words]:
    """What a part was given, what happened in it in the order of time, what came out."""
    yield from asked(entry)
    happened: list[tuple[int, Entry | Line]] = [(child.start_ns or 0, child) for child in entry.children]
    happened += [(time_of(line) or 0, line) for line in entry.lines]
    for _, item in sorted(happened, key=lambda each: each[0]):
        if isinstance(item, Entry):
            yield item
        else:
            yield from told(item)
    yield from answered(entry)


def _chosen(children: Sequence[Entry]) -> tuple[Sequence[Entry], str]:
    """The parts to show, and in words what is left out: only what completed without an error."""
    if len(children) <= MAX_SHOWN:
        return children, ""
    spare = len(children) - MAX_SHOWN
    plain = [entry for entry in children if entry.status == "completed" and not entry.total.errors][-spare:]
    hidden = {id(entry) for entry in plain}
    shown = [entry for entry in children if id(entry) not in hidden]
    return shown, f"{len(hidden):,} more, all completed; --full shows them" if hidden else ""


class _Figures:
    """The columns on the right; those that say nothing are left out."""

    def __init__(self, entries: Sequence[Entry], screen: Screen) -> None:
        self._screen, self._entries = screen, entries
        self._times = {id(entry): human.duration(entry.duration_ms) for entry in entries}
        roomy = screen.columns is None or screen.columns >= 72
        self._tokens = {id(entry): _tokens(entry, screen.glyphs) for entry in entries} if roomy else {}
        self._costs = {id(entry): _cost(entry) for entry in entries}
        self._widths = [self._widest(cells, title) for cells, title in self._cells()]
        self._fall: Waterfall | None = None

    def _cells(self) -> list[tuple[dict[int, str], str]]:
        return [(self._times, "TIME"), (self._tokens, "TOKENS"), (self._costs, "COST")]

    def _widest(self, cells: dict[int, str], title: str) -> int:
        return max(width(title), *map(width, cells.values())) if any(cells.values()) else 0

    @property
    def _columns(self) -> int:
        return sum(wide + GAP for wide in self._widths if wide)

    def left_columns(self, natural: int) -> int:
        """How many columns are left for the tree itself; what it does not need goes to the waterfall."""
        columns = self._screen.columns
        if columns is None:
            return min(natural, _MAX_LABEL_UNLIMITED)
        room = columns - self._columns
        times = stretch(self._entries)
        if columns < _WIDE or times is None:
            return min(natural, max(_MIN_LABEL, room))
        left = min(natural, room - GAP - _MIN_BAR)
        self._fall = Waterfall(*times, min(_MAX_BAR, room - GAP - left), self._screen.glyphs)
        return left

    def titles(self, room: int) -> list[Piece]:
        """The line above the tree."""
        line = [Piece(pad("WHAT HAPPENED", room), "dim")]
        for (_, title), wide in zip(self._cells(), self._widths, strict=True):
            if wide:
                line.append(Piece(" " * GAP + pad(title, wide, right=True), "dim"))
        if self._fall is not None:
            line.append(Piece(" " * GAP + self._fall.axis(), "dim"))
        return line

    def of(self, entry: Entry) -> list[Piece]:
        """The figures of one part."""
        line: list[Piece] = []
        for (cells, title), wide in zip(self._cells(), self._widths, strict=True):
            if wide:
                style = "money" if title == "COST" else "" if title == "TIME" else "dim"
                line.append(Piece(" " * GAP + pad(cells.get(id(entry), ""), wide, right=True), style))
        if self._fall is not None:
            line += [Piece(" " * GAP), Piece(self._fall.bar(entry), _bar_style(entry))]
        return line


def _bar_style(entry: Entry) -> str:
    if entry.status != "completed":
        return words.STYLE_OF_STATE.get(entry.status, "")
    return words.KIND_STYLES.get(entry.kind, "ok")


def _tokens(entry: Entry, glyphs: Glyphs) -> str:
    if entry.kind != "ai_call" or not any(entry.own.tokens.values()):
        return ""
    spent = entry.own.tokens
    return f"{human.tokens(spent['input_tokens'])}{glyphs.arrow}{human.tokens(spent['output_tokens'])}"


def _cost(entry: Entry) -> str:
    """What an AI call cost, and what everything below a task or step did."""
    if entry.kind == "subtask":
        row = entry.task
        return human.usd(row.metrics.get("cost_usd")) if row is not None and row.metrics.get("ai_calls") else ""
    if not entry.total.ai_calls or entry.kind in ("webhook", "queue_push", "queue_pickup"):
        return ""
    if entry.kind == "ai_call" and entry.status == "running":
        return ""
    return human.usd(entry.total.cost_usd)

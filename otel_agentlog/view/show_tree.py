"""Hides how the tree of a task is drawn: one line for each part with time, tokens, cost and a bar, errors below their part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from otel_agentlog.model import Line
from otel_agentlog.query import Entry, TaskReport, time_of
from otel_agentlog.view import human, words
from otel_agentlog.view.screen import Glyphs, Piece, Screen, columns_of, fit
from otel_agentlog.view.show_inside import Words, answered, asked, brief, told
from otel_agentlog.view.show_label import label
from otel_agentlog.view.table import GAP
from otel_agentlog.view.text import pad, width
from otel_agentlog.view.waterfall import Waterfall, stretch

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

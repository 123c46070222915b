"""The tree of a task: one line for each part with time, tokens, cost and a bar, errors and log lines below their part.

`draw` makes the lines. In reading order: the rows of the tree, the columns on the right, the line of a part, the lines below it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.query import Entry, TaskReport, time_of
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.line_text import line_pieces
from otel_agentlog.view.render.screen import GAP, Glyphs, Piece, Pieces, Screen, columns_of, fit
from otel_agentlog.view.render.show.failure import AlreadyShown, error_kind, error_lines
from otel_agentlog.view.render.values import inline, message_text, text_lines
from otel_agentlog.vocabulary.coerce import number, objects, text, texts
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, SAME_CALL_AS, Line
from otel_agentlog.vocabulary.shapes import shape_of
from otel_agentlog.vocabulary.terminal_text import cut, pad, safe, width

MAX_SHOWN = 25
"""Most parts of one part that are shown without ``--full``; those that failed are always shown."""

_WIDE = 100
"""From this many columns on there is a waterfall."""
_MIN_BAR, _MAX_BAR = 20, 80
_MIN_LEFT = 30
_MAX_LEFT_UNLIMITED = 100
"""Columns of the tree itself: at least on a terminal, at most in a pipe."""
_MAX_NAME = 160
_MAX_ARGUMENTS = 60
_USUAL_FINISH = frozenset({"stop", "end_turn", "tool_use", "tool_calls", "stop_sequence", "completed", "tool_call"})
"""Finish reasons that are not shown."""
_MAX_ATTEMPTS = 3
_INDENT = "  "
_MAX_ALIKE = 3
"""Parts of one part that failed alike and are shown without ``--full``."""


@dataclass(slots=True)
class _Row:
    """One part of the tree, or a line below one."""

    left: Pieces
    entry: Entry | None = None
    """Absent on lines below a part."""


def draw(report: TaskReport, screen: Screen, *, full: bool, shown: AlreadyShown | None = None) -> Iterator[Pieces]:
    """Yield the lines of the tree; with `full` nothing is left out, without it nothing that is `shown` above is said again."""
    rows = list(_rows(report.roots, screen, None if full else shown or AlreadyShown()))
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


def _rows(roots: Sequence[Entry], screen: Screen, shown: AlreadyShown | None) -> Iterator[_Row]:
    """Every part after the one it belongs to, without recursion, as agents nest deep."""
    glyphs, deepest = screen.glyphs, (screen.columns or 2 * _MAX_LEFT_UNLIMITED) // 2
    waiting: list[tuple[Entry | Pieces, str, str]] = [(root, "", "") for root in reversed(roots)]
    while waiting:
        item, branch, margin = waiting.pop()
        # Names matter more than how deep they are: past half the width the outer levels are not drawn.
        own = branch if len(branch) <= deepest else glyphs.ellipsis + branch[len(glyphs.ellipsis) - deepest :]
        if isinstance(item, list):
            yield _Row([Piece(own, "dim"), *item])
            continue
        yield _Row([Piece(own, "dim"), *_label(item, glyphs)], item)
        inside = list(_in_full(item) if shown is None else _in_brief(item, glyphs, shown))
        waiting += reversed(list(_with_branches(inside, margin, glyphs)))


def _with_branches(inside: Sequence[Entry | Pieces], margin: str, glyphs: Glyphs) -> Iterator[tuple[Entry | Pieces, str, str]]:
    """What is below a part, each with what is drawn before it, and before everything below it."""
    last = max((at for at, item in enumerate(inside) if isinstance(item, Entry)), default=-1)
    for at, item in enumerate(inside):
        if isinstance(item, list):
            yield item, margin + (glyphs.pipe if at < last else "   " if last >= 0 else "  "), ""
        elif at < last:
            yield item, margin + glyphs.tee, margin + glyphs.pipe
        else:
            yield item, margin + glyphs.last, margin + "   "


def _in_brief(entry: Entry, glyphs: Glyphs, shown: AlreadyShown) -> Iterator[Entry | Pieces]:
    yield from _failures(entry, shown)
    different, alike = _without_alike(entry.children)
    visible, left_out = _selected(different)
    yield from visible
    for count, kind in alike:
        yield [Piece(f"{glyphs.ellipsis} {count:,} more failed alike: {kind}; --full shows them", "warn")]
    if left_out:
        yield [Piece(f"{glyphs.ellipsis} {left_out}", "dim")]


def _in_full(entry: Entry) -> Iterator[Entry | Pieces]:
    """What a part was given, its parts and lines in the order of time, its answer or result."""
    yield from _input(entry)
    happened: list[tuple[int, Entry | Line]] = [(child.start_ns or 0, child) for child in entry.children]
    happened += [(time_of(line) or 0, line) for line in entry.lines]
    for _, item in sorted(happened, key=lambda each: each[0]):
        if isinstance(item, Entry):
            yield item
        else:
            yield from _line(item)
    yield from _output(entry)


def _without_alike(children: Sequence[Entry]) -> tuple[Sequence[Entry], list[tuple[int, str]]]:
    """The parts without those of which `_MAX_ALIKE` that failed alike are shown, and of what kind and how many these are."""
    seen, folded = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    shown: list[Entry] = []
    for entry in children:
        key = _failure_kind(entry)
        if key is not None:
            seen[key] += 1
            if seen[key] > _MAX_ALIKE:
                folded[key] += 1
                continue
        shown.append(entry)
    return shown, [
        (count, f"{safe(labels.KIND_NAMES.get(kind, kind))} {safe(name)}") for (kind, name, *_), count in folded.items()
    ]


def _failure_kind(entry: Entry) -> tuple[str, ...] | None:
    """What failures have in common that differ in a number or an id; of what did not fail by itself ``None``."""
    if entry.exception is None or entry.children or not entry.exception.get("traceback"):
        return None
    return (entry.kind, shape_of(entry.name), entry.status, *error_kind(entry.exception))


def _selected(children: Sequence[Entry]) -> tuple[Sequence[Entry], str]:
    """The parts to show, and a text about what is left out: only what completed without an error."""
    if len(children) <= MAX_SHOWN:
        return children, ""
    spare = len(children) - MAX_SHOWN
    plain = [entry for entry in children if entry.status == "completed" and not entry.total.errors][-spare:]
    hidden = {id(entry) for entry in plain}
    visible = [entry for entry in children if id(entry) not in hidden]
    return visible, f"{len(hidden):,} more, all completed; --full shows them" if hidden else ""


class _Figures:
    """The columns on the right; empty ones are left out."""

    def __init__(self, entries: Sequence[Entry], screen: Screen) -> None:
        self._screen, self._entries = screen, entries
        self._times = {id(entry): formats.duration(entry.duration_ms) for entry in entries}
        roomy = screen.columns is None or screen.columns >= 72
        self._tokens = {id(entry): _tokens(entry, screen.glyphs) for entry in entries} if roomy else {}
        self._costs = {id(entry): _cost(entry) for entry in entries}
        self._widths = [self._widest(cells, title) for cells, title in self._cells()]
        self._fall: _Waterfall | None = None

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
            return min(natural, _MAX_LEFT_UNLIMITED)
        room = columns - self._columns
        times = _time_span(self._entries)
        if columns < _WIDE or times is None:
            return min(natural, max(_MIN_LEFT, room))
        left = min(natural, room - GAP - _MIN_BAR)
        self._fall = _Waterfall(*times, min(_MAX_BAR, room - GAP - left), self._screen.glyphs)
        return left

    def titles(self, room: int) -> Pieces:
        """The line above the tree."""
        line = [Piece(pad("WHAT HAPPENED", room), "dim")]
        for (_, title), wide in zip(self._cells(), self._widths, strict=True):
            if wide:
                line.append(Piece(" " * GAP + pad(title, wide, right=True), "dim"))
        if self._fall is not None:
            line.append(Piece(" " * GAP + self._fall.axis(), "dim"))
        return line

    def of(self, entry: Entry) -> Pieces:
        """The figures of one part."""
        line: Pieces = []
        for (cells, title), wide in zip(self._cells(), self._widths, strict=True):
            if wide:
                style = "money" if title == "COST" else "" if title == "TIME" else "dim"
                line.append(Piece(" " * GAP + pad(cells.get(id(entry), ""), wide, right=True), style))
        if self._fall is not None:
            line += [Piece(" " * GAP), Piece(self._fall.bar(entry), _bar_style(entry))]
        return line


@dataclass(frozen=True, slots=True)
class _Waterfall:
    """When each part ran, as bars below one axis of time: from `start_ns` to `end_ns`, Unix nanoseconds, on so many columns."""

    start_ns: int
    end_ns: int
    columns: int
    glyphs: Glyphs

    def bar(self, entry: Entry) -> str:
        """The bar of an entry, at least one eighth of a column; empty if its time is not known."""
        if entry.start_ns is None:
            return ""
        span_ns = max(1, self.end_ns - self.start_ns)
        parts = len(self.glyphs.parts) + 1
        begins = (entry.start_ns - self.start_ns) / span_ns * self.columns
        length = (_end_of(entry) - entry.start_ns) / span_ns * self.columns
        before = min(self.columns - 1, max(0, int(begins)))
        eighths = min(max(1, round(length * parts)), (self.columns - before) * parts)
        full, rest = divmod(eighths, parts)
        return " " * before + self.glyphs.bar * full + (self.glyphs.parts[rest - 1] if rest else "")

    def axis(self) -> str:
        """The line above the bars: the times of the first and the last column."""
        end = formats.duration((self.end_ns - self.start_ns) / 1e6)
        return "0" + " " * max(1, self.columns - 1 - width(end)) + end


def _end_of(entry: Entry) -> int:
    """When an entry ended, in Unix nanoseconds; of an open one, as far as is known."""
    start = entry.start_ns or 0
    return max(start, entry.end_ns if entry.end_ns is not None else start + int((entry.duration_ms or 0) * 1e6))


def _time_span(entries: Iterable[Entry]) -> tuple[int, int] | None:
    """The first start and the last end in Unix nanoseconds; ``None`` if no time is known."""
    known = [(entry.start_ns, _end_of(entry)) for entry in entries if entry.start_ns is not None]
    return (min(start for start, _ in known), max(end for _, end in known)) if known else None


def _bar_style(entry: Entry) -> str:
    if entry.status != "completed":
        return labels.STATE_STYLES.get(entry.status, "")
    return labels.KIND_STYLES.get(entry.kind, "ok")


def _tokens(entry: Entry, glyphs: Glyphs) -> str:
    if entry.kind != "ai_call" or not any(entry.own.tokens.values()):
        return ""
    spent = entry.own.tokens
    return f"{formats.tokens(spent['input_tokens'])}{glyphs.arrow}{formats.tokens(spent['output_tokens'])}"


def _cost(entry: Entry) -> str:
    """What an AI call cost, and what everything below a task or step did."""
    if entry.kind == "subtask":
        row = entry.task
        known = row is not None and row.metrics.get("ai_calls")
        return formats.usd(row.metrics.get("cost_usd"), partly=row.unpriced) if row is not None and known else ""
    if not entry.total.ai_calls or entry.kind in ("webhook", "queue_push", "queue_pickup"):
        return ""
    if entry.kind == "ai_call" and entry.status == "running":
        return ""
    return formats.usd(entry.total.cost_usd, partly=entry.total.unpriced)


def _label(entry: Entry, glyphs: Glyphs) -> Pieces:
    """The line of a part without its figures."""
    kind = labels.KIND_NAMES.get(entry.kind, entry.kind)
    name = cut(safe(entry.name), _MAX_NAME, glyphs.ellipsis)
    line = [
        labels.sign(entry.status, glyphs),
        Piece(f" {safe(kind)} ", labels.KIND_STYLES.get(entry.kind, "dim")),
        Piece(name, "title" if entry.kind in ("task", "subtask") else ""),
    ]
    for note, style in _notes(entry, glyphs):
        if note:
            line.append(Piece(f"  {note}", style))
    return line


def _notes(entry: Entry, glyphs: Glyphs) -> Iterator[tuple[str, str]]:
    details = entry.details
    if same := details.get(SAME_CALL_AS):
        yield f"same as {safe(str(same))[:16]}", "dim"
    if entry.kind == "subtask":
        yield safe(str(details.get("task_id") or "")), "id"
        yield _subtask_errors(entry), "error"
    if entry.kind == "tool_run" and details.get("arguments"):
        yield cut(inline(details["arguments"], _MAX_ARGUMENTS * 2), _MAX_ARGUMENTS, glyphs.ellipsis), "dim"
    if entry.status not in ("completed", "failed"):
        yield labels.state_text(entry.status), labels.STATE_STYLES.get(entry.status, "")
    if entry.reason and entry.status != "timed_out":
        yield f"({safe(entry.reason)})", "dim"
    if details.get("exit_code"):
        yield f"exit code {safe(str(details['exit_code']))}", "warn"
    if attempts := details.get("attempts"):
        yield (f"{attempts} attempts" if isinstance(attempts, int) and attempts > 1 else ""), "warn"
    yield _finish(entry), "warn"


def _subtask_errors(entry: Entry) -> str:
    errors = entry.task.metrics.get("errors") if entry.task is not None else None
    return formats.count(errors, "error") if isinstance(errors, int) and errors else ""


def _finish(entry: Entry) -> str:
    """Why a model stopped, where that is not the usual: ``max_tokens``, ``content_filter`` …"""
    return ", ".join(safe(reason) for reason in texts(entry.details, "finish_reasons") if reason not in _USUAL_FINISH)


def _failures(entry: Entry, shown: AlreadyShown) -> Iterator[Pieces]:
    """What is below a part even without ``--full``: the attempts that failed, and the error."""
    for attempt in entry.attempts[-_MAX_ATTEMPTS:]:
        yield _attempt(attempt)
    if entry.exception is not None:
        yield from error_lines(entry.exception, shown)


def _input(entry: Entry) -> Iterator[Pieces]:
    """Messages, parameters, arguments."""
    details = entry.details
    yield from _block("system", message_text(details.get("system")))
    for message in objects(details, "messages"):
        yield from _block(safe(str(message.get("role"))), message_text(message.get("parts")) or message.get("content"))
    yield from _block("parameters", details.get("parameters"))
    yield from _block("arguments", details.get("arguments"))


def _line(line: Mapping[str, Any]) -> Iterator[Pieces]:
    """A line of the log or of output, with its time."""
    first, *rest = line_pieces(line)
    kind = str(line.get("type"))
    yield [
        Piece(f"{formats.clock(time_of(line))} ", "dim"),
        Piece(f"{kind}: " if kind in CONTENT_TYPES else "", "tool"),
        *first,
    ]
    yield from ([Piece(_INDENT), *more] for more in rest)


def _output(entry: Entry) -> Iterator[Pieces]:
    """Answer, result, error."""
    yield from _block("answer", message_text(entry.details.get("output")))
    yield from _block("result", entry.details.get("result"))
    if entry.exception is not None:
        yield from error_lines(entry.exception, None)


def _attempt(attempt: Mapping[str, Any]) -> Pieces:
    which, wait = attempt.get("number"), number(attempt, "wait_ms")
    of = f" of {attempt['maximum']}" if isinstance(attempt.get("maximum"), int) else ""
    why = ": ".join(safe(found) for key in ("error_type", "reason") if (found := text(attempt, key)) is not None)
    then = f", then waited {formats.duration(wait)}" if wait is not None else ""
    return [Piece(f"attempt {which if isinstance(which, int) else formats.UNKNOWN}{of} failed: {why}{then}", "warn")]


def _block(name: str, value: Any) -> Iterator[Pieces]:
    """A named value: on one line if it has one, else below its name; nothing if there is none."""
    if value is None or value == "":
        return
    first, *rest = text_lines(value)
    if not rest:
        yield [Piece(f"{name}: ", "dim"), Piece(first)]
        return
    yield [Piece(f"{name}:", "dim")]
    yield from ([Piece(_INDENT + row)] for row in (first, *rest))

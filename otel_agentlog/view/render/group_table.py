"""Groups of tasks, AI calls or tool runs as a table: a row for each group, a column for each figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from otel_agentlog.query import Group
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Column, Piece, Pieces, Screen, table
from otel_agentlog.vocabulary.states import UNSUCCESSFUL
from otel_agentlog.vocabulary.terminal_text import safe

MAX_SCORES = 4
"""Scores that have a column."""


class GroupColumn(NamedTuple):
    """One column: its title, what makes its cells, and its priority as `Column` has it."""

    title: str
    cell: Callable[[Group], Piece | str]
    priority: int = 100


def group_table(groups: Sequence[Group], title: str, columns: Sequence[GroupColumn], screen: Screen) -> list[Pieces]:
    """Return the lines of a table with a row for each group; `title` is that of the column of their names."""
    figures = (Column(each.title, right=True, priority=each.priority) for each in columns)
    rows = []
    for group in groups:
        name = Piece(screen.glyphs.dash, "dim") if group.key is None else Piece(safe(group.key), "title")
        cells = (each.cell(group) for each in columns)
        rows.append([Piece(" "), name, *(cell if isinstance(cell, Piece) else Piece(cell) for cell in cells)])
    return table([Column(""), Column(title.upper(), min_width=12), *figures], rows, screen)


def success_rate(group: Group) -> Piece:
    """The success rate in percent, coloured by how good it is; empty if it is not known."""
    rate = group.success_rate
    if rate is None:
        return Piece("")
    style = "ok" if rate >= 0.95 else "warn" if rate >= 0.8 else "bad"
    return Piece(f"{rate * 100:.0f}%" if rate in (0, 1) else f"{rate * 100:.1f}%", style)


def failures(group: Group) -> int:
    """How many failed, timed out or were interrupted."""
    return sum(group.by_status.get(outcome, 0) for outcome in UNSUCCESSFUL)


def failed(group: Group) -> Piece:
    """`failures`; empty for 0."""
    count = failures(group)
    return Piece(f"{count:,}" if count else "", "error")


def cost(group: Group) -> Piece:
    """The known cost, with a plus where something has no known price."""
    if group.cost_usd is None:
        return Piece(formats.UNKNOWN if group.unpriced and group.ai_calls else "", "money")
    if group.cost_usd == 0 and not group.ai_calls:
        return Piece("")
    return Piece(formats.usd(group.cost_usd, partly=bool(group.unpriced)), "money")


def tokens(group: Group) -> str:
    """Input and output tokens together; empty for 0."""
    return formats.tokens(group.input_tokens + group.output_tokens) if group.input_tokens or group.output_tokens else ""


def count(name: str) -> Callable[[Group], str]:
    """What makes the cells of a count, by the name of its field; empty for 0."""
    return lambda group: f"{getattr(group, name):,}" if getattr(group, name) else ""


def duration(name: str) -> Callable[[Group], str]:
    """What makes the cells of ``p50`` … ``p99``, ``average``, ``maximum`` or ``total`` of the durations."""
    return lambda group: formats.seconds(getattr(group.duration_seconds, name))


def score_columns(groups: Sequence[Group]) -> list[GroupColumn]:
    """A column with the mean of each of the most frequent scores."""
    counts: Counter[str] = Counter()
    for group in groups:
        counts.update({name: each.count for name, each in group.scores.items() if each.mean is not None})
    return [GroupColumn(safe(name).upper(), _mean(name), 65) for name, _ in counts.most_common(MAX_SCORES)]


def _mean(name: str) -> Callable[[Group], str]:
    return lambda group: labels.score(group.scores[name].mean) if name in group.scores else ""


DURATIONS = (
    GroupColumn("P50", duration("p50"), 70),
    GroupColumn("P90", duration("p90"), 40),
    GroupColumn("P95", duration("p95"), 80),
    GroupColumn("P99", duration("p99"), 45),
    GroupColumn("AVERAGE", duration("average"), 35),
    GroupColumn("MAX", duration("maximum"), 30),
)

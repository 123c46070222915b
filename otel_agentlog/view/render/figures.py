"""Hides how groups of figures become a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from otel_agentlog.query import Group
from otel_agentlog.view.render import human
from otel_agentlog.view.render.screen import Column, Piece, Screen, lay_out
from otel_agentlog.vocabulary.terminal_text import safe

NOBODY = "–"
"""Stands for the group of those that do not say."""


@dataclass(frozen=True)
class Figure:
    """One column: its title, what stands in it, and how much it is worth where room is scarce."""

    title: str
    cell: Callable[[Group], Piece | str]
    worth: int = 100


def table(groups: Sequence[Group], title: str, figures: Sequence[Figure], screen: Screen) -> list[list[Piece]]:
    """Return the lines of a table with a row for each group."""
    columns = [
        Column(""),
        Column(title.upper(), least=12),
        *(Column(each.title, right=True, worth=each.worth) for each in figures),
    ]
    for group in groups:
        cells = [each.cell(group) for each in figures]
        name = Piece(_nobody(screen), "dim") if group.key is None else Piece(safe(group.key), "title")
        for column, cell in zip(columns, [Piece(" "), name, *cells], strict=True):
            column.cells.append(cell if isinstance(cell, Piece) else Piece(cell))
    return lay_out(columns, screen.columns, screen.glyphs.ellipsis)


def _nobody(screen: Screen) -> str:
    return screen.glyphs.dash


def seconds(value: float | None) -> str:
    """A duration in seconds, for people."""
    return "" if value is None else human.duration(value * 1000)


def rate(group: Group) -> Piece:
    """The success rate, coloured when it is bad."""
    if group.success_rate is None:
        return Piece("")
    style = "ok" if group.success_rate >= 0.95 else "warn" if group.success_rate >= 0.8 else "bad"
    return Piece(
        f"{group.success_rate * 100:.0f}%" if group.success_rate in (0, 1) else f"{group.success_rate * 100:.1f}%", style
    )


def failed(group: Group) -> Piece:
    """How many failed, timed out or were interrupted."""
    count = sum(group.by_status.get(word, 0) for word in ("failed", "timed_out", "interrupted"))
    return Piece(f"{count:,}" if count else "", "error")


def money(group: Group) -> Piece:
    """What it cost; with a plus where something has no known price."""
    if group.cost_usd is None:
        return Piece(human.UNKNOWN if group.unpriced and group.ai_calls else "", "money")
    if group.cost_usd == 0 and not group.ai_calls:
        return Piece("")
    return Piece(human.usd(group.cost_usd) + ("+" if group.unpriced else ""), "money")


def tokens(group: Group) -> str:
    """Input and output tokens together."""
    return human.tokens(group.input_tokens + group.output_tokens) if group.input_tokens or group.output_tokens else ""


def number(name: str) -> Callable[[Group], str]:
    """The cell of a count, empty for 0."""
    return lambda group: f"{getattr(group, name):,}" if getattr(group, name) else ""


def percentile(name: str) -> Callable[[Group], str]:
    """The cell of one of the percentiles, ``average``, ``maximum`` or ``total``."""
    return lambda group: seconds(getattr(group.duration_seconds, name))


DURATIONS = (
    Figure("P50", percentile("p50"), 70),
    Figure("P90", percentile("p90"), 40),
    Figure("P95", percentile("p95"), 80),
    Figure("P99", percentile("p99"), 45),
    Figure("AVERAGE", percentile("average"), 35),
    Figure("MAX", percentile("maximum"), 30),
)
"""How long things took."""

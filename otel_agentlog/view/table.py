"""Hides how a table finds its widths: columns leave in the order of their worth, then the flexible ones shrink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from otel_agentlog.view.screen import Piece
from otel_agentlog.view.text import cut, pad, width

GAP = 2
"""Columns of space between columns."""


@dataclass(slots=True)
class Column:
    """One column and its cells, top to bottom."""

    title: str
    right: bool = False
    """Whether it stands on the right, as numbers do."""
    worth: int = 100
    """Columns of the smallest worth are left out first; those of 100 stay."""
    least: int | None = None
    """The width it can shrink to; ``None`` if it must not be cut."""
    cells: list[Piece] = field(default_factory=list)

    @property
    def natural(self) -> int:
        """The width at which nothing is cut."""
        return max(width(self.title), *(width(cell.text) for cell in self.cells)) if self.cells else width(self.title)

    @property
    def is_empty(self) -> bool:
        """Whether no cell says anything."""
        return not any(cell.text for cell in self.cells)


def lay_out(columns: Sequence[Column], room: int | None, ellipsis: str) -> list[list[Piece]]:
    """Return the lines of a table, its titles first; `room` is the width to keep to, if any."""
    columns = [column for column in columns if not column.is_empty]
    columns = _that_fit(columns, room)
    widths = _widths(columns, room)
    lines = [_line([Piece(column.title, "dim") for column in columns], columns, widths, ellipsis)]
    for cells in zip(*(column.cells for column in columns), strict=True):
        lines.append(_line(cells, columns, widths, ellipsis))
    return lines


def _least(column: Column) -> int:
    return column.natural if column.least is None else min(column.natural, column.least)


def _that_fit(columns: list[Column], room: int | None) -> list[Column]:
    while room is not None and sum(map(_least, columns)) + GAP * (len(columns) - 1) > room:
        least_worth = min(columns, key=lambda column: column.worth)
        if least_worth.worth >= 100:
            break
        columns = [column for column in columns if column is not least_worth]
    return columns


def _widths(columns: Sequence[Column], room: int | None) -> list[int]:
    widths = [column.natural for column in columns]
    if room is None:
        return widths
    excess = sum(widths) + GAP * (len(columns) - 1) - room
    while excess > 0:
        # The widest of the flexible ones gives first, so that none is starved for another.
        flexible = [i for i, column in enumerate(columns) if widths[i] > _least(column)]
        if not flexible:
            break
        widths[max(flexible, key=widths.__getitem__)] -= 1
        excess -= 1
    return widths


def _line(cells: Sequence[Piece], columns: Sequence[Column], widths: Sequence[int], ellipsis: str) -> list[Piece]:
    line: list[Piece] = []
    for cell, column, columns_wide in zip(cells, columns, widths, strict=True):
        if line:
            line.append(Piece(" " * GAP))
        line.append(Piece(pad(cut(cell.text, columns_wide, ellipsis), columns_wide, right=column.right), cell.style))
    return line

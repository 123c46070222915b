"""Hides how the figures of a hundred thousand tasks are handed on at once: as 64-bit integers side by side in one run of bytes.

SQLite joins the bytes of all rows faster than Python could take one value of each, and a column is a stride through them.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from otel_agentlog.store.catalogue_card import Card, Part

UNKNOWN = -1
"""Stands for ``None`` in a lane."""

LANES = (
    *("status", "agent", "user", "specialist"),
    *("created_ns", "duration_us", "cost", "input_tokens", "output_tokens"),
    *("ai_calls", "tool_runs", "steps", "retries", "errors", "memory_kb"),
)
"""The lanes of a task; the first four are numbers of names."""

PART_LANES = (
    *("task", "name", "variety", "running", "completed", "failed", "other"),
    *("cost", "unpriced", "input_tokens", "output_tokens", "retries", "timed"),
)
"""The lanes of a part: a number for its task, the numbers of its name and variety, how many runs ended how, what they spent,
how many durations follow."""

FAILED = ("failed", "timed_out", "interrupted")
"""Outcomes of a part that count as failed."""

NumberOf = Callable[[str | None], int]
"""Gives the number of a name; `UNKNOWN` for ``None``."""


@dataclass
class Names:
    """Numbers names in the order in which they come."""

    texts: list[str] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)

    def number(self, text: str | None) -> int:
        """The number of a name, a new one if need be."""
        if text is None:
            return UNKNOWN
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = len(self.texts)
            self.texts.append(text)
        return found

    def text(self, number: int) -> str | None:
        """The name behind a number."""
        return self.texts[number] if 0 <= number < len(self.texts) else None


@dataclass(frozen=True)
class Columns:
    """Many rows of integers, by lane."""

    lanes: Sequence[str]
    data: bytes
    names: Names

    def __len__(self) -> int:
        return len(self.data) // (8 * len(self.lanes))

    def lane(self, name: str) -> list[int]:
        """All values of one lane, in the order of the rows."""
        return memoryview(self.data).cast("q")[self.lanes.index(name) :: len(self.lanes)].tolist()


@dataclass(frozen=True)
class PartColumns:
    """The AI calls or tool runs of many tasks."""

    columns: Columns
    durations: bytes
    """The durations of each row one behind the other, in microseconds; the lane ``timed`` says how many are whose."""


def pack_card(card: Card, number: NumberOf) -> bytes:
    """The lanes of one task."""
    named = [number(value) for value in (card.status, card.agent, card.user, card.specialist)]
    values = [_or_unknown(getattr(card, name)) for name in LANES[4:]]
    return struct.pack(f"{len(LANES)}q", *named, *values)


def pack_part(part: Part, task: int, number: NumberOf) -> bytes:
    """The lanes of one part of a task."""
    outcomes = part.outcomes
    failed = sum(outcomes.get(word, 0) for word in FAILED)
    running, completed = outcomes.get("running", 0), outcomes.get("completed", 0)
    counts = (running, completed, failed, part.runs - running - completed - failed)
    spent = (_or_unknown(part.cost), part.unpriced, part.input_tokens, part.output_tokens, part.retries, len(part.durations_us))
    return struct.pack(f"{len(PART_LANES)}q", task, number(part.name), number(part.variety), *counts, *spent)


def pack_durations(durations_us: Sequence[int]) -> bytes:
    """The durations of one part."""
    return struct.pack(f"{len(durations_us)}q", *durations_us)


def unpack(data: bytes) -> list[int]:
    """The integers in a run of bytes."""
    return memoryview(data).cast("q").tolist()


def columns_of(cards: Iterable[Card], names: Names) -> Columns:
    """The lanes of these tasks."""
    return Columns(LANES, b"".join(pack_card(card, names.number) for card in cards), names)


def parts_of(cards: Iterable[Card], kind: str, names: Names, first: int = 0) -> PartColumns:
    """The lanes of the parts of these tasks; their numbers begin with `first`."""
    parts = [(number, part) for number, card in enumerate(cards, first) for part in card.parts if part.kind == kind]
    lanes = b"".join(pack_part(part, number, names.number) for number, part in parts)
    return PartColumns(Columns(PART_LANES, lanes, names), b"".join(pack_durations(part.durations_us) for _, part in parts))


def _or_unknown(value: int | None) -> int:
    return UNKNOWN if value is None else value


BYTE_ORDER = sys.byteorder
"""The lanes are in the order of the machine: a catalogue from another one is made anew."""

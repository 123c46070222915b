"""Hides how the figures of a hundred thousand tasks are handed on at once: as 64-bit integers side by side in one run of bytes.

SQLite joins the bytes of all rows faster than Python could take one value of each, and a column is a stride through them.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from otel_agentlog.store.index.row import Card, Part

UNKNOWN = -1
"""Stands for ``None`` in a lane."""

LANES = (
    *("status", "agent", "user", "specialist"),
    *("created_ns", "duration_us", "cost", "input_tokens", "output_tokens"),
    *("ai_calls", "tool_runs", "steps", "retries", "errors", "memory_kb"),
)
"""The lanes of a task; the first four are numbers of names."""

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


class Columns:
    """The figures of many tasks, by lane."""

    def __init__(self, data: bytes, names: Names) -> None:
        self.data = data
        self.names = names
        self._values = array("q", data)

    def __len__(self) -> int:
        return len(self._values) // len(LANES)

    def lane(self, name: str) -> array[int]:
        """All values of one lane, in the order of the rows."""
        return self._values[LANES.index(name) :: len(LANES)]

    def split(self, keys: Iterable[int]) -> dict[int, Columns]:
        """The rows of each key; `keys` has one for each row."""
        found = defaultdict[int, list[bytes]](list)
        for (row,), key in zip(struct.iter_unpack(f"{8 * len(LANES)}s", self.data), keys, strict=True):
            found[key].append(row)
        return {key: Columns(b"".join(rows), self.names) for key, rows in found.items()}


def pack_card(card: Card, number: NumberOf) -> bytes:
    """The lanes of one task."""
    named = [number(value) for value in (card.status, card.agent, card.user, card.specialist)]
    values = [_or_unknown(getattr(card, name)) for name in LANES[4:]]
    return struct.pack(f"{len(LANES)}q", *named, *values)


@dataclass(slots=True)
class PartSums:
    """All AI calls or tool runs of one name, within several tasks."""

    key: str | None
    tasks: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    """Also those that timed out or were interrupted."""
    other: int = 0
    """Cancelled ones above all."""
    cost: int | None = None
    """In units, of those whose price is known; ``None`` if none is."""
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    retries: int = 0
    durations_us: list[int] = field(default_factory=list)

    def add(self, other: PartSums) -> None:
        """Add those of other tasks."""
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.cost is not None:
            self.cost = (self.cost or 0) + other.cost
        self.durations_us += other.durations_us


SUMMED = (
    *("tasks", "running", "completed", "failed", "other"),
    *("unpriced", "input_tokens", "output_tokens", "retries"),
)
"""The fields of `PartSums` that are sums."""


def sums_of(part: Part, key: str | None) -> PartSums:
    """One part of one task as sums."""
    outcomes = part.outcomes
    failed = sum(outcomes.get(word, 0) for word in FAILED)
    running, completed = outcomes.get("running", 0), outcomes.get("completed", 0)
    return PartSums(
        key,
        tasks=1,
        running=running,
        completed=completed,
        failed=failed,
        other=part.runs - running - completed - failed,
        cost=part.cost,
        unpriced=part.unpriced,
        input_tokens=part.input_tokens,
        output_tokens=part.output_tokens,
        retries=part.retries,
        durations_us=list(part.durations_us),
    )


def parts_of(cards: Iterable[Card], kind: str, by_variety: bool) -> list[PartSums]:
    """The sums of the parts of these tasks, by name or by variety."""
    found: dict[str | None, PartSums] = {}
    for card in cards:
        own: dict[str | None, PartSums] = {}
        for part in card.parts:
            if part.kind == kind:
                key = part.variety if by_variety else part.name
                own.setdefault(key, PartSums(key)).add(sums_of(part, key))
        for key, sums in own.items():
            # Several models of one provider are one task.
            sums.tasks = 1
            found.setdefault(key, PartSums(key)).add(sums)
    return list(found.values())


def pack_durations(durations_us: Sequence[int]) -> bytes:
    """The durations of one part."""
    return struct.pack(f"{len(durations_us)}q", *durations_us)


def unpack(data: bytes) -> list[int]:
    """The integers in a run of bytes."""
    return array("q", data).tolist()


def columns_of(cards: Iterable[Card], names: Names) -> Columns:
    """The lanes of these tasks."""
    return Columns(b"".join(pack_card(card, names.number) for card in cards), names)


def _or_unknown(value: int | None) -> int:
    return UNKNOWN if value is None else value


BYTE_ORDER = sys.byteorder
"""The lanes are in the order of the machine: a catalogue from another one is made anew."""

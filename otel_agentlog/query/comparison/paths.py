"""Where two groups part: the steps, tools and AI calls of their tasks aligned, and the first place that is not alike.

The way that most tasks of both groups take is the common way. Each task is aligned to it, so that an additional or missing step
does not make all later ones differ; then each place of the way is compared: how many came by, with which outcome, and what some
did just before it.
"""

from __future__ import annotations

import difflib
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from statistics import NormalDist
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.store.folder.layout import AGENT_OUTPUT
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.spans.tree import tree
from otel_agentlog.vocabulary.actions import START_TYPE
from otel_agentlog.vocabulary.shapes import shape_of
from otel_agentlog.vocabulary.states import UNSUCCESSFUL, State

MAX_BYTES = 32_000_000
"""Bytes of lines of each side that are read."""

MAX_STEPS = 200
"""Parts of one task that are looked at."""

LEFT_OUT = "left out"
"""In place of an outcome: the task did not come by there."""

CHANCE = 0.05
LEAST, PLAIN = 0.1, 0.5
"""Differences of shares: smaller ones are not reported; from the second on one is, even if it may be chance."""

_KINDS = {"step": "step", "tool_call": "tool_run", "ai_request": "ai_call", "subtask": "subtask"}

Taken = tuple[tuple[str, str], ...]
"""A way: of each part its kind and name."""


@dataclass(frozen=True, slots=True)
class WayPart:
    """One place of the common way."""

    kind: str
    """``step`` ``tool_run`` ``ai_call`` ``subtask``; ``end`` behind the last one."""
    name: str
    """Without numbers and ids; empty for AI calls, as models are often what is compared."""
    a: Mapping[str, int]
    """How many tasks came by with which outcome, or `LEFT_OUT`."""
    b: Mapping[str, int]
    before_a: Mapping[str, int] = field(default_factory=dict)
    """What some did just before, by kind and name."""
    before_b: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """One object."""
        sides = {"a": dict(self.a), "b": dict(self.b), "before_a": dict(self.before_a), "before_b": dict(self.before_b)}
        return {"kind": self.kind, "name": self.name, **sides}


@dataclass(frozen=True, slots=True)
class Parting:
    """The first place where two groups are not alike."""

    at: int
    """Which part of the way."""
    what: str
    """The outcome there, or what was done before it, in which they differ most."""
    before: bool
    """Whether it is about what was done before it."""
    share_a: float
    share_b: float
    beyond_chance: bool

    def as_json(self) -> dict[str, Any]:
        """One object."""
        return {name: getattr(self, name) for name in ("at", "what", "before", "share_a", "share_b", "beyond_chance")}


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways of two groups."""

    read_a: int
    """Tasks that were read."""
    read_b: int
    way: list[WayPart]
    """The common way."""
    parting: Parting | None

    def as_json(self) -> dict[str, Any]:
        """One object."""
        parting = None if self.parting is None else self.parting.as_json()
        way = [part.as_json() for part in self.way]
        return {"read_a": self.read_a, "read_b": self.read_b, "way": way, "parting": parting}


def ways(a: Sequence[Path], b: Sequence[Path]) -> Ways:
    """Return the ways of the tasks in two lists of folders, and where they part. Folders that are gone are left out."""
    sides = [[*_taken(folders)] for folders in (a, b)]
    if not all(sides):
        return Ways(len(sides[0]), len(sides[1]), [], None)
    common = _common([tuple(part for part, _ in each) for side in sides for each in side])
    parts = _compared(common, sides)
    return Ways(len(sides[0]), len(sides[1]), parts, _parting(parts, len(sides[0]), len(sides[1])))


# Reading ----------------------------------------------------------------------------------------------------------------------

_Walked = list[tuple[tuple[str, str], str]]
"""Of each part of a task its kind and name, and its outcome."""


def _taken(folders: Sequence[Path]) -> Iterator[_Walked]:
    room = MAX_BYTES
    for folder in folders:
        try:
            room -= _size(folder)
            if room < 0:
                return
            yield _walked(TaskReader(folder))
        except OSError:
            raise_interrupt()
            continue  # deleted meanwhile


def _size(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.name.startswith(AGENT_OUTPUT))


def _walked(task: TaskReader) -> _Walked:
    """The parts of a task in their order; several alike behind each other are one, which failed if any did."""
    found = []
    for _, node in tree(task).walk():
        kind = _KINDS.get(START_TYPE.get(node.type, node.type))
        if kind is not None and node.same_call_as is None:
            name = "" if kind == "ai_call" else node.name if kind == "tool_run" else shape_of(node.name)
            found.append(((kind, name), node.outcome or State.INTERRUPTED.value))
        if len(found) == MAX_STEPS:
            break
    together = ((part, [outcome for _, outcome in group]) for part, group in groupby(found, key=lambda each: each[0]))
    return [(part, next((each for each in outcomes if each in UNSUCCESSFUL), outcomes[-1])) for part, outcomes in together]


# Aligning ---------------------------------------------------------------------------------------------------------------------


def _common(taken: Sequence[Taken]) -> Taken:
    """The way that is taken most often; of several the one whose length is nearest to that of all, then the first by name."""
    counts = Counter(taken)
    middle = sorted(map(len, taken))[len(taken) // 2]
    return min(counts, key=lambda way: (-counts[way], abs(len(way) - middle), way))


@lru_cache(4096)
def _blocks(common: Taken, way: Taken) -> tuple[tuple[int, int], ...]:
    """Pairs of places that are alike."""
    matcher = difflib.SequenceMatcher(None, common, way, autojunk=False)
    return tuple((block.a + at, block.b + at) for block in matcher.get_matching_blocks() for at in range(block.size))


def _compared(common: Taken, sides: Sequence[Sequence[_Walked]]) -> list[WayPart]:
    at_side = [[Counter[str]() for _ in range(len(common) + 1)] for _ in sides]
    before_side = [[Counter[str]() for _ in range(len(common) + 1)] for _ in sides]
    for walked, at, before in zip(sides, at_side, before_side, strict=True):
        for each in walked:
            _count(common, each, at, before)
    parts = [*common, ("end", "")]
    return [
        WayPart(kind, name, *(at[place] for at in at_side), *(before[place] for before in before_side))
        for place, (kind, name) in enumerate(parts)
    ]


def _count(common: Taken, walked: _Walked, at: Sequence[Counter[str]], before: Sequence[Counter[str]]) -> None:
    """Add one task to what is counted at each place of the common way, and before it."""
    matched = dict(_blocks(common, tuple(part for part, _ in walked)))
    reached = 0
    for place in range(len(common)):
        there = matched.get(place)
        at[place][LEFT_OUT if there is None else walked[there][1]] += 1
        if there is not None:
            if there > reached:
                before[place][part_name(*walked[reached][0])] += 1
            reached = there + 1
    at[len(common)]["reached"] += 1
    if reached < len(walked):
        before[len(common)][part_name(*walked[reached][0])] += 1


def part_name(kind: str, name: str) -> str:
    """A part for people: ``step plan``."""
    word = {"tool_run": "tool", "ai_call": "AI call", "subtask": "sub-task", "end": "the end"}.get(kind, kind)
    return f"{word} {name}".rstrip()


# Comparing --------------------------------------------------------------------------------------------------------------------


def _parting(parts: Sequence[WayPart], of_a: int, of_b: int) -> Parting | None:
    """The first place whose difference is beyond chance; where none is, the first that is large."""
    needed = NormalDist().inv_cdf(1 - CHANCE / 2 / max(1, 2 * len(parts)))
    found = [parting for at, part in enumerate(parts) for parting in _partings(at, part, (of_a, of_b), needed)]
    return next((each for each in found if each.beyond_chance), None) or next(
        (each for each in found if abs(each.share_a - each.share_b) >= PLAIN), None
    )


def _partings(at: int, part: WayPart, of: tuple[int, int], needed: float) -> Iterator[Parting]:
    for before, one, other in ((True, part.before_a, part.before_b), (False, part.a, part.b)):
        shares = {what: (one.get(what, 0) / of[0], other.get(what, 0) / of[1]) for what in sorted({*one, *other})}
        if not shares:
            continue
        what = max(shares, key=lambda each: abs(shares[each][0] - shares[each][1]))
        share_a, share_b = shares[what]
        if abs(share_a - share_b) >= LEAST:
            yield Parting(at, what, before, round(share_a, 6), round(share_b, 6), _z(share_a, share_b, *of) >= needed)


def _z(share_a: float, share_b: float, of_a: int, of_b: int) -> float:
    """The difference of two shares in its standard deviations, if there were none."""
    together = (share_a * of_a + share_b * of_b) / (of_a + of_b)
    deviation = math.sqrt(together * (1 - together) * (1 / of_a + 1 / of_b))
    return abs(share_a - share_b) / deviation if deviation else 0.0

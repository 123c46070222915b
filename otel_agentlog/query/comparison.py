"""What differs between two tasks: their figures, their trees, their inputs and their results.

Trees are aligned level by level by kind and name of each part, so that an additional or missing step does not make all later
parts differ.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from otel_agentlog.query.reports import Entry, TaskReport

SAME, CHANGED, ONLY_LEFT, ONLY_RIGHT = "same", "changed", "only_left", "only_right"

MAX_PARTS = 20_000
"""Parts of one level up to which they are aligned; beyond it they are compared in their order."""

MAX_TEXT_CHARACTERS = 200_000
"""How much of an input or result is compared line by line."""

FIGURES = (
    *("duration_seconds", "cost_usd", "input_tokens", "output_tokens", "cache_read_input_tokens", "ai_calls", "tool_runs"),
    *("steps", "retries", "errors", "memory_peak_mb", "cpu_seconds"),
)
"""The figures of ``04-final-result.json`` that are compared, in this order."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both tasks."""

    name: str
    left: float | None
    right: float | None

    @property
    def change(self) -> float | None:
        """Right less left; ``None`` where either is unknown."""
        return None if self.left is None or self.right is None else self.right - self.left


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the trees: in both, or in one."""

    depth: int
    verdict: str
    """``same``, ``changed`` (status, error or details other than times), ``only_left``, ``only_right``."""
    left: Entry | None
    right: Entry | None

    @property
    def entry(self) -> Entry:
        """The one there is, the right one where there are both."""
        entry = self.right or self.left
        assert entry is not None
        return entry


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between two tasks."""

    left: TaskReport
    right: TaskReport
    figures: list[Figure]
    parts: list[Part]
    """Both trees as one, depth first."""
    input: list[str]
    """A unified diff of the inputs; empty if they are the same."""
    result: list[str]
    """A unified diff of what came out."""

    @property
    def same(self) -> bool:
        """Whether nothing but figures differs."""
        states = self.left.row.status == self.right.row.status
        return states and not self.input and not self.result and all(part.verdict == SAME for part in self.parts)


def differences(left: TaskReport, right: TaskReport) -> Differences:
    """Compare two reports."""
    return Differences(
        left,
        right,
        [Figure(name, _number(left, name), _number(right, name)) for name in FIGURES],
        list(_parts(left.roots, right.roots)),
        _texts(left.input, right.input),
        _texts(left.result, right.result),
    )


def _number(report: TaskReport, name: str) -> float | None:
    value = report.row.metrics.get(name)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _parts(left: Sequence[Entry], right: Sequence[Entry]) -> Iterator[Part]:
    """Depth first without recursion: a tree may be thousands deep."""
    waiting = [(0, pair) for pair in reversed(_aligned(left, right))]
    while waiting:
        depth, (one, other) = waiting.pop()
        yield Part(depth, _verdict(one, other), one, other)
        below = _aligned(one.children if one else (), other.children if other else ())
        waiting += [(depth + 1, pair) for pair in reversed(below)]


def _aligned(left: Sequence[Entry], right: Sequence[Entry]) -> list[tuple[Entry | None, Entry | None]]:
    keys = [[(entry.kind, entry.name) for entry in side] for side in (left, right)]
    if keys[0] == keys[1]:
        return list(zip(left, right, strict=True))
    if max(len(left), len(right)) > MAX_PARTS:
        return [*((entry, None) for entry in left), *((None, entry) for entry in right)]
    found: list[tuple[Entry | None, Entry | None]] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
        if tag == "equal":
            found += zip(left[a:b], right[c:d], strict=True)
        else:
            found += [(entry, None) for entry in left[a:b]]
            found += [(None, entry) for entry in right[c:d]]
    return found


def _verdict(left: Entry | None, right: Entry | None) -> str:
    if left is None or right is None:
        return ONLY_RIGHT if left is None else ONLY_LEFT
    return SAME if _compared(left) == _compared(right) else CHANGED


def _compared(entry: Entry) -> tuple[Any, ...]:
    exception = entry.exception or {}
    shown = {key: entry.details.get(key) for key in ("arguments", "exit_code", "finish_reasons", "model", "attempts")}
    return entry.status, entry.reason, exception.get("type"), exception.get("message"), len(entry.attempts), shown


def _texts(left: Any, right: Any) -> list[str]:
    if left == right:
        return []
    one, other = (_lines(value) for value in (left, right))
    return list(difflib.unified_diff(one, other, "left", "right", lineterm="", n=2))


def _lines(value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True, default=str)
    return text[:MAX_TEXT_CHARACTERS].split("\n")

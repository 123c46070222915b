"""What the index keeps of a task: plain values, one field a column.

Amounts are integers, so that sums are the same in whatever order they are made.
"""

from __future__ import annotations

import math
from dataclasses import field

from otel_agentlog._startup import dataclass

COST_UNITS_PER_USD = 10**10
"""Costs are kept in ten-billionths of a dollar, the precision of ``04-final-result.json``."""

MAX_AMOUNT = 2**52
"""Larger amounts, which only damage makes, count as this: 4.5 billion tokens a thousand times a thousand, or 142 years."""

MAX_RUNS_TIMED = 1000
"""How many durations of one tool or model are kept for one task."""


COUNTS = ("input_tokens", "output_tokens", "ai_calls", "tool_runs", "steps", "retries", "errors")
"""Counts that every task has, as they stand in `IndexRow` and at the end of `TaskIndex.ended_tasks`."""


@dataclass(slots=True, kw_only=True)
class RunRow:
    """One AI call or one tool run."""

    kind: str
    """The table it goes to: ``ai_call`` or ``tool_run``."""
    name: str
    """The model or the tool."""
    provider: str | None = None
    """The provider of the model."""
    outcome: str = "running"
    duration_us: int | None = None
    """``None`` while it is open, and after the first `MAX_RUNS_TIMED` of its name."""
    cost: int | None = None
    """In units; ``None`` if no price is known."""
    input_tokens: int = 0
    output_tokens: int = 0
    retries: int = 0


@dataclass(slots=True, kw_only=True)
class ScoreRow:
    """One score that counts."""

    name: str
    value: float | None = None
    label: str | None = None


@dataclass(slots=True, kw_only=True)
class IndexRow:
    """One task."""

    status: str
    settled: bool = True
    """Whether it has ended and its folder has that recorded: nothing of it will change."""
    task_id: str | None = None
    """Where it is another than the folder's name."""
    name: str | None = None
    created_ns: int = 0
    started_ns: int | None = None
    duration_us: int | None = None
    recorded_duration_us: int | None = None
    """From the first to the last line: the duration of a task whose process has died."""
    cost: int | None = None
    """In units, of what has a price; ``None`` if unknown."""
    unpriced: bool = False
    """Whether an AI call in it has no known price, or its cost is not known at all."""
    input_tokens: int = 0
    output_tokens: int = 0
    ai_calls: int = 0
    tool_runs: int = 0
    steps: int = 0
    retries: int = 0
    errors: int = 0
    agent: str | None = None
    agent_type: str | None = None
    user: str | None = None
    specialist: str | None = None
    source: str | None = None
    provider: str | None = None
    model: str | None = None
    parent_task_id: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    tags: tuple[str, ...] = ()
    runs: list[RunRow] = field(default_factory=list)
    scores: list[ScoreRow] = field(default_factory=list)
    error_categories: list[str | None] = field(default_factory=list)
    """Of each error, ``None`` where it has none."""
    error_ids: frozenset[str] = frozenset()
    """Ids of errors that any line speaks of."""
    damage: str | None = None
    """What first could not be read of its folder, or had a value of a wrong kind: file and reason."""
    words: frozenset[str] = frozenset()
    """What can be searched for."""


def amount(value: object, scale: int = 1) -> int | None:
    """A number from a file, times `scale`, as a whole one from 0 to `MAX_AMOUNT`; ``None`` if it is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    try:
        return min(max(0, round(value * scale)), MAX_AMOUNT)
    except OverflowError:
        return MAX_AMOUNT


def bounded_time(time_ns: int) -> int:
    """A time that has room in 64 bits: any before 2100 and some after it."""
    return min(max(time_ns, -(2**62)), 2**62)

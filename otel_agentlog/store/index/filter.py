"""Which tasks are meant, and what that means: one `Filter` for every question, and its condition in SQL."""

# Statements consist of constants of ours; foreign text is bound.
# ruff: noqa: S608

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.store.index.condition import LEAST, MOST, Clause, Condition, ScoreBound, clause_of, words_clause
from otel_agentlog.store.index.row import COST_UNITS_PER_USD
from otel_agentlog.store.index.words import storable
from otel_agentlog.vocabulary.states import UNSUCCESSFUL

_EQUAL = ("agent", "agent_type", "source", "parent_task_id", "specialist", "user", "session_id", "correlation_id")
"""Fields of `Filter` that must equal the column of the same name."""


_BOUND = re.compile(r"(?P<name>[^<>=]*[^<>=\s])\s*(?:(?P<operator><=|>=|<|>|=)\s*(?P<said>.+))?", re.DOTALL)


def score_bound(text: str) -> ScoreBound:
    """The bound of ``quality<0.5``, ``quality>=0.8``, ``tone=friendly`` or ``quality``. Raises `ValueError`."""
    found = _BOUND.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected a score such as quality<0.5, found {text[:64]!r}")
    name, operator, said = found["name"], found["operator"], found["said"]
    if operator is None:
        return ScoreBound(name)
    return compared_score(name, operator, said)


def compared_score(name: str, operator: str, said: str) -> ScoreBound:
    """The bound of a score that is compared with a number, or equals a word. Raises `ValueError`."""
    try:
        value = float(said)
    except ValueError:
        raise_interrupt()
        value = math.nan
    if math.isfinite(value):
        return ScoreBound(name, operator, value)
    if operator == "=":
        return ScoreBound(name, label=said)
    raise ValueError(f"expected a number to compare a score with, found {said[:64]!r}")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which tasks are meant; what is ``None`` or empty excludes nothing, everything else must hold together."""

    text: str | None = None
    """Words, each of which, or a word that begins so, is in the task: its id, name, input, output, result, errors, logs."""
    statuses: Collection[str] = ()
    """States, any of which will do."""
    failed: bool = False
    """Adds the states failed, timed out and interrupted to `statuses`."""
    since_ns: int | None = None
    """Created at this time or later, in Unix nanoseconds."""
    until_ns: int | None = None
    """Created before this time."""
    agent: str | None = None
    agent_type: str | None = None
    provider: str | None = None
    """Where the task came from, or the provider of a model that was called."""
    model: str | None = None
    """The task's, or one that was called."""
    source: str | None = None
    tag: str | None = None
    error_category: str | None = None
    """The category of any error in the task; upper and lower case alike."""
    parent_task_id: str | None = None
    specialist: str | None = None
    user: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    min_cost_usd: float | None = None
    max_cost_usd: float | None = None
    """Bounds of the cost; a task whose cost is unknown is within no bound. Both bounds belong to the range."""
    min_duration_s: float | None = None
    max_duration_s: float | None = None
    min_tokens: int | None = None
    """Input and output tokens together."""
    tool: str | None = None
    """A tool that was run."""
    condition: Condition | None = None
    """What `otel_agentlog.query.parse_filter` makes of a text such as ``status:failed cost>0.5``."""
    scores: Collection[ScoreBound] = ()
    """Bounds of the mean of the task's scores of a name; one that has no such score is within no bound."""

    @property
    def wanted(self) -> frozenset[str]:
        """The states that will do; empty if any will."""
        return frozenset(self.statuses) | (UNSUCCESSFUL if self.failed else frozenset())


def where(wanted: Filter) -> Clause:
    """Return the condition for the rows of ``task`` that the filter selects; ``1`` if it selects all."""
    clauses = [*_in_words(wanted), *_in_numbers(wanted), *_in_names(wanted)]
    if wanted.condition is not None:
        clauses.append(clause_of(wanted.condition))
    values = [value for _, bound in clauses for value in bound]
    return " AND ".join(clause for clause, _ in clauses) or "1", [
        storable(value) if isinstance(value, str) else value for value in values
    ]


def _in_words(wanted: Filter) -> Iterator[Clause]:
    clause = words_clause(wanted.text or "")
    if clause is not None:
        yield clause


def _in_numbers(wanted: Filter) -> Iterator[Clause]:
    # A number that is not known is NULL, which no comparison is true of.
    for clause, value in (
        ("created_ns >= ?", wanted.since_ns),
        ("created_ns < ?", wanted.until_ns),
        ("cost >= ?", _scaled(wanted.min_cost_usd, COST_UNITS_PER_USD)),
        ("cost <= ?", _scaled(wanted.max_cost_usd, COST_UNITS_PER_USD)),
        ("duration_us >= ?", _scaled(wanted.min_duration_s, 1_000_000)),
        ("duration_us <= ?", _scaled(wanted.max_duration_s, 1_000_000)),
        ("input_tokens + output_tokens >= ?", wanted.min_tokens),
    ):
        if value is not None:
            yield clause, [min(max(value, LEAST), MOST)]


def _scaled(value: float | None, scale: int) -> int | None:
    return None if value is None else round(min(max(value * scale, -(2.0**62)), 2.0**62))


def _in_names(wanted: Filter) -> Iterator[Clause]:
    states = sorted(wanted.wanted)
    if states:
        yield f"status IN ({', '.join('?' * len(states))})", [*states]
    for column in _EQUAL:
        value: str | None = getattr(wanted, column)
        if value is not None:
            yield f"task.{column} = ?", [value]
    for kind, called in (("model", wanted.model), ("provider", wanted.provider), ("tool", wanted.tool)):
        if called is not None:
            yield f"task.id IN (SELECT task FROM called WHERE kind = '{kind}' AND name = ?)", [called]
    if wanted.tag is not None:
        yield "task.id IN (SELECT task FROM tag WHERE tag = ?)", [wanted.tag]
    yield from map(clause_of, wanted.scores)
    if wanted.error_category is not None:
        yield "task.id IN (SELECT task FROM error WHERE category_key = ?)", [wanted.error_category.upper()]

"""Hides how what is asked of tasks is said in SQL."""

# Statements are put together from our own words; what others wrote is bound.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from otel_agentlog.store.index.row import storable

_NUMBERED = frozenset({"agent", "agent_type", "source", "specialist", "user"})
_SPELLED = frozenset({"parent_task_id", "session_id", "correlation_id"})
_LEAST, _MOST = -(2**62), 2**62
_NUMBER = "(SELECT id FROM name WHERE text = ?)"


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What must hold of a task, all of it together."""

    nothing: bool = False
    """Whether no task can be meant."""
    statuses: Collection[str] = ()
    equal: Mapping[str, str] = field(default_factory=dict)
    """Fields of a `Card`, and what they are."""
    ranges: Sequence[tuple[str, int | None, int | None]] = ()
    """Numbers of a `Card`, and the least and most they may be, both within; one that is not known lies in no range."""
    tag: str | None = None
    tool: str | None = None
    model: str | None = None
    provider: str | None = None
    category: str | None = None
    """In upper case."""
    words: Sequence[str] = ()
    """Each must begin a word of the task."""


def source(conditions: Conditions, *, common_words: bool = False) -> tuple[str, list[Any]]:
    """Return what stands behind ``FROM``, with the condition, and the values; rows of ``task``.

    With `common_words`, which many tasks have, the rows come as the order asks for them and are tested for the words.
    """
    clause, values = where(conditions)
    if not conditions.words:
        return f"task WHERE {clause}", values
    match = " AND ".join(f'"{storable(word)}"*' for word in conditions.words)
    if common_words:
        # The plus keeps SQLite from going through the words all the same.
        return f"task WHERE {clause} AND +task.id IN (SELECT rowid FROM word WHERE word MATCH ?)", [*values, match]
    # The order is given: the words are what leaves few.
    return f"word CROSS JOIN task ON task.id = word.rowid WHERE word MATCH ? AND {clause}", [match, *values]


def where(conditions: Conditions) -> tuple[str, list[Any]]:
    """Return a condition on ``task``, without that on words, and its values."""
    clauses: list[str] = ["0"] if conditions.nothing else []
    values: list[Any] = []
    for clause, found in (*_states(conditions), *_names(conditions), *_ranges(conditions)):
        clauses.append(clause)
        values += found
    return " AND ".join(clauses) or "1", [storable(value) if isinstance(value, str) else value for value in values]


_Clauses = list[tuple[str, list[Any]]]


def _states(asked: Conditions) -> _Clauses:
    if not asked.statuses:
        return []
    states = sorted(asked.statuses)
    return [(f"status IN (SELECT id FROM name WHERE text IN ({', '.join('?' * len(states))}))", list(states))]


def _names(asked: Conditions) -> _Clauses:
    found: _Clauses = [(f"{key} = {_NUMBER}", [value]) for key, value in asked.equal.items() if key in _NUMBERED]
    found += [
        (f"task.id IN (SELECT id FROM identity WHERE {key} = ?)", [value])
        for key, value in asked.equal.items()
        if key in _SPELLED
    ]
    if asked.tag is not None:
        found.append((f"task.id IN (SELECT task FROM tag WHERE name = {_NUMBER})", [asked.tag]))
    if asked.tool is not None:
        found.append((f"task.id IN (SELECT task FROM part WHERE kind = 'tool_run' AND name = {_NUMBER})", [asked.tool]))
    for column, lane, value in (("model", "name", asked.model), ("provider", "variety", asked.provider)):
        if value is not None:
            within = f"task.id IN (SELECT task FROM part WHERE kind = 'ai_call' AND {lane} = {_NUMBER})"
            found.append((f"({column} = {_NUMBER} OR {within})", [value, value]))
    if asked.category is not None:
        found.append(("task.id IN (SELECT task FROM failure WHERE category_key = ?)", [asked.category]))
    return found


def _ranges(asked: Conditions) -> _Clauses:
    found: _Clauses = []
    for column, least, most in asked.ranges:
        # What is not known is -1 and lies in no range; times may lie before 1970.
        lowest = _LEAST if column == "created_ns" else 0
        found.append((f"{column} BETWEEN ? AND ?", [_clamped(least, lowest, lowest), _clamped(most, _MOST, _LEAST)]))
    return found


def _clamped(value: int | None, default: int, lowest: int) -> int:
    return default if value is None else min(max(value, lowest), _MOST)

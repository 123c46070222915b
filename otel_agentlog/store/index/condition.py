"""What a filter in words stands for: a tree of conditions on fields of a task, and its condition in SQL.

`FIELDS` has every field that can be asked for, with the SQL of it; the language that people type is read in
`otel_agentlog.query.filters.language`. Names are compared without regard to upper and lower case; in a pattern ``*`` is any text
and ``?`` any one character, unless a backslash is in front.
"""

# Statements consist of constants of ours; foreign text is bound.
# ruff: noqa: S608

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from otel_agentlog._startup import dataclass
from otel_agentlog.store.index.row import COST_UNITS_PER_USD
from otel_agentlog.store.index.words import storable, words_of
from otel_agentlog.vocabulary.states import ENDED, UNSUCCESSFUL

Value = str | int | float | bytes
Clause = tuple[str, list[Value]]
"""A condition on ``task``, and the values for its question marks."""

LEAST, MOST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Words:
    """All these words, or words that begin so, are in the task."""

    text: str


@dataclass(frozen=True, slots=True)
class Named:
    """A field of the kind ``name`` is like any of these patterns."""

    field: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """A field of the kinds ``amount`` and ``moment`` compared with a value in the unit of the field."""

    field: str
    operator: str
    """``<`` ``<=`` ``=`` ``>=`` ``>``"""
    value: float
    """Dollars, seconds, a count; Unix nanoseconds."""


class ScoreBound(NamedTuple):
    """A comparison with the mean of a task's scores of a name; without a value any such score will do."""

    name: str
    operator: str = ""
    """``<`` ``<=`` ``=`` ``>=`` ``>``."""
    value: float | None = None
    label: str | None = None
    """Instead of a value: a score with this label."""


@dataclass(frozen=True, slots=True)
class Is:
    """A key of `FLAGS` is true of the task."""

    flag: str


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold, or is about something that is not known."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class All:
    """All of them hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of them holds."""

    conditions: tuple[Condition, ...]


Condition = Words | Named | Compared | ScoreBound | Is | Not | All | Either


class FilterField(NamedTuple):
    """One thing that can be asked of a task."""

    kind: str
    """``name``, ``amount`` or ``moment``."""
    summary: str
    sql: str
    """The value; of a name the condition, with ``@`` where the name is compared."""
    compared: str = ""
    """Of a name: the column that is compared there."""
    values: str = ""
    """Of a name: a query for the values that exist (``value``), each with how many tasks have it (``tasks``)."""
    unit: str = ""
    """Of an amount: ``usd``, ``seconds`` or ``count``."""
    scale: int = 1
    """By which a value of the unit is multiplied to become that of the index."""


def _totalled(column: str, summary: str) -> FilterField:
    """A column whose values are counted in ``total``: few, so that the index of the column is used with those that match."""
    known = f"FROM total WHERE grouped = '{column}' AND typeof(key) = 'text' AND runs > 0"
    return FilterField(
        "name",
        summary,
        f"task.{column} IN (SELECT key {known} AND @)",
        "key",
        f"SELECT key AS value, sum(tasks) AS tasks {known} GROUP BY key",
    )


def _column(column: str, summary: str) -> FilterField:
    return FilterField(
        "name",
        summary,
        f"task.{column} IS NOT NULL AND @",
        f"task.{column}",
        f"SELECT {column} AS value, count(*) AS tasks FROM task WHERE {column} IS NOT NULL GROUP BY {column}",
    )


def _called(kind: str, summary: str) -> FilterField:
    # The next larger name, again and again: there are few, each of very many tasks.
    of, larger = f"FROM called WHERE kind = '{kind}'", f"SELECT min(name) FROM called WHERE kind = '{kind}' AND name > known.name"
    names = (
        f"WITH RECURSIVE known (name) AS (SELECT min(name) {of} UNION ALL SELECT ({larger}) FROM known WHERE name IS NOT NULL)"
        " SELECT name FROM known WHERE name IS NOT NULL"
    )
    return FilterField(
        "name",
        summary,
        f"task.id IN (SELECT task {of} AND name IN ({names} AND @))",
        "name",
        f"SELECT name AS value, (SELECT count(*) {of} AND name = each.name) AS tasks FROM ({names}) AS each",
    )


_ID = "coalesce(task.task_id, (SELECT folder.name FROM folder WHERE folder.id = task.id))"

FIELDS: Mapping[str, FilterField] = {
    "status": _totalled("status", "the state: completed, failed, running …"),
    "agent": _totalled("agent", "the agent that works on it"),
    "type": _column("agent_type", "the type of that agent"),
    "model": _called("model", "a model that was called, or the task's"),
    "provider": _called("provider", "the provider of a model that was called, or where the task came from"),
    "tool": _called("tool", "a tool that was run"),
    "tag": FilterField(
        "name",
        "a tag",
        "task.id IN (SELECT task FROM tag WHERE @)",
        "tag",
        "SELECT tag AS value, count(*) AS tasks FROM tag GROUP BY tag",
    ),
    "user": _totalled("user", "whom it is for"),
    "specialist": _totalled("specialist", "the specialist that works on it"),
    "source": _column("source", "the way it came in: webhook, cli …"),
    "error": FilterField(
        "name",
        "the category of an error: TIMEOUT, NETWORK …",
        "task.id IN (SELECT task FROM error WHERE @)",
        "category_key",
        "SELECT category_key AS value, count(DISTINCT task) AS tasks FROM error WHERE category_key IS NOT NULL"
        " GROUP BY category_key",
    ),
    "score": FilterField(
        "name",
        "the name of a score that it has; score.NAME is that score: score.quality<0.5, score.tone:warm",
        "task.id IN (SELECT task FROM score WHERE @)",
        "name",
        "SELECT name AS value, count(DISTINCT task) AS tasks FROM score GROUP BY name",
    ),
    "name": _column("name", "the name for people"),
    "id": FilterField("name", "the id", "@", _ID),
    "session": _column("session_id", "the session"),
    "correlation": _column("correlation_id", "the correlation id"),
    "parent": _column("parent_task_id", "the id of the task that it is a part of"),
    "cost": FilterField("amount", "what it cost, in dollars", "task.cost", unit="usd", scale=COST_UNITS_PER_USD),
    "dur": FilterField("amount", "how long it took: 500ms, 30s, 2m, 1h", "task.duration_us", unit="seconds", scale=1_000_000),
    "tokens": FilterField("amount", "input and output tokens", "task.input_tokens + task.output_tokens", unit="count"),
    "input": FilterField("amount", "input tokens", "task.input_tokens", unit="count"),
    "output": FilterField("amount", "output tokens", "task.output_tokens", unit="count"),
    "errors": FilterField("amount", "how many errors it had", "task.errors", unit="count"),
    "retries": FilterField("amount", "how many attempts were repeated", "task.retries", unit="count"),
    "calls": FilterField("amount", "how many AI calls it made", "task.ai_calls", unit="count"),
    "runs": FilterField("amount", "how many tools it ran", "task.tool_runs", unit="count"),
    "steps": FilterField("amount", "how many steps it had", "task.steps", unit="count"),
    "since": FilterField("moment", "created then or later: 2h, today, 2026-11-20T09:30", "task.created_ns"),
    "until": FilterField("moment", "created before then", "task.created_ns"),
}
"""What can be asked of a task, by the word for it."""

FLAGS: Mapping[str, tuple[str, str]] = {
    "active": (f"task.status NOT IN {tuple(sorted(ENDED))}", "has not ended"),
    "subtask": ("task.parent_task_id IS NOT NULL", "is a part of another task"),
    "unpriced": ("task.unpriced", "the price of something in it is not known"),
    "unsuccessful": (f"task.status IN {tuple(sorted(UNSUCCESSFUL))}", "failed, timed out or was interrupted"),
    "ended": (f"task.status IN {tuple(sorted(ENDED))}", "has ended, however"),
}
"""What can be asked for with ``is:``: the condition in SQL, and what it means."""


def clause_of(condition: Condition) -> Clause:
    """Return the condition for the rows of ``task``."""
    return _WRITERS[type(condition)](condition)


def words_clause(text: str) -> Clause | None:
    """The condition that all words of a text are in the task; ``None`` for no text."""
    words = sorted(set(words_of(storable(text))))
    if words:
        match = " AND ".join(f'"{word}"*' for word in words)
        return "task.id IN (SELECT rowid FROM word WHERE word MATCH ?)", [match]
    # A text without any word in it is in no task.
    return ("0", []) if text and not text.isspace() else None


def _words(condition: Words) -> Clause:
    return words_clause(condition.text) or ("1", [])


def _named(condition: Named) -> Clause:
    return _joined(" OR ", [_like(FIELDS[condition.field], storable(pattern)) for pattern in condition.patterns])


def _like(field: FilterField, pattern: str) -> Clause:
    # SQLite's own operator knows upper and lower case of ASCII alone.
    if pattern.isascii():
        # A folder's name is kept as bytes, which SQLite finds like no text.
        compared = f"CAST({_ID} AS TEXT)" if field.compared == _ID else field.compared
        return field.sql.replace("@", f"{compared} LIKE ? ESCAPE '\\'"), [like_pattern(pattern)]
    return field.sql.replace("@", f"is_like({field.compared}, ?)"), [pattern]


def _compared(condition: Compared) -> Clause:
    field = FIELDS[condition.field]
    value = round(min(max(condition.value * field.scale, -(2.0**62)), 2.0**62)) if field.kind == "amount" else condition.value
    # A number that is not known is NULL, which no comparison is true of.
    return f"{field.sql} {condition.operator} ?", [min(max(int(value), LEAST), MOST)]


COMPARISONS = ("<=", ">=", "<", ">", "=")
"""The operators of a `ScoreBound`, the longer ones first."""


def _scored(bound: ScoreBound) -> Clause:
    of_name, name = "SELECT task FROM score WHERE name = ?", storable(bound.name)
    if bound.label is not None:
        return f"task.id IN ({of_name} AND label = ?)", [name, storable(bound.label)]
    if bound.value is None or bound.operator not in COMPARISONS:
        return f"task.id IN ({of_name})", [name]
    return f"task.id IN ({of_name} GROUP BY task HAVING round(avg(value), 9) {bound.operator} round(?, 9))", [name, bound.value]


def _not(condition: Not) -> Clause:
    sql, values = clause_of(condition.condition)
    return f"NOT ifnull(({sql}), 0)", values


def _joined(operator: str, clauses: list[Clause]) -> Clause:
    return f"({operator.join(f'({sql})' for sql, _ in clauses)})", [value for _, values in clauses for value in values]


_WRITERS: Mapping[type, Callable[[Any], Clause]] = {
    Words: _words,
    Named: _named,
    Compared: _compared,
    ScoreBound: _scored,
    Is: lambda condition: (FLAGS[condition.flag][0], []),
    Not: _not,
    All: lambda condition: _joined(" AND ", [clause_of(each) for each in condition.conditions]),
    Either: lambda condition: _joined(" OR ", [clause_of(each) for each in condition.conditions]),
}


# Patterns ---------------------------------------------------------------------------------------------------------------------


def literal(text: str) -> str:
    """The pattern that only this text is like."""
    return re.sub(r"([*?\\])", r"\\\1", text)


def _parts(pattern: str) -> Iterator[tuple[str, bool]]:
    """The characters of a pattern, each with whether it is a wildcard."""
    at = 0
    while at < len(pattern):
        if pattern[at] == "\\" and pattern[at + 1 : at + 2] in ("*", "?", "\\"):
            at += 1
            yield pattern[at], False
        else:
            yield pattern[at], pattern[at] in "*?"
        at += 1


def like_pattern(pattern: str) -> str:
    """A pattern as one for SQL's ``LIKE … ESCAPE '\\'``."""
    wild = {"*": "%", "?": "_"}
    return "".join(wild[each] if is_wild else f"\\{each}" if each in "%_\\" else each for each, is_wild in _parts(pattern))


@lru_cache(256)
def _expression(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile(
        "".join(wild[each] if is_wild else re.escape(each.casefold()) for each, is_wild in _parts(pattern)), re.DOTALL
    )


def is_like(value: object, pattern: str) -> bool:
    """Whether a name is like a pattern; upper and lower case of every alphabet are alike."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return isinstance(text, str) and _expression(pattern).fullmatch(text.casefold()) is not None

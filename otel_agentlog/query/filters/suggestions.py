"""What could stand in a filter: completion from the fields and values that exist, and what was meant where nothing is found."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from otel_agentlog._startup import dataclass
from otel_agentlog.query.filters.language import ALIASES, IS, OF_NAME, SCORE
from otel_agentlog.query.indexes import ask
from otel_agentlog.store.index.condition import FIELDS, FLAGS, All, Condition, Either, Named, ScoreBound, is_like, literal
from otel_agentlog.store.index.filter import Filter
from otel_agentlog.store.index.index import TaskIndex
from otel_agentlog.vocabulary.states import STATES

MAX_OPTIONS = 20
MAX_COMPARED = 2000
"""Values of one field, the most frequent ones, among which that is looked for which was meant."""
MAX_NEAR = 3
MIN_HELD = 2
"""Characters of which a value that holds them was meant."""

_UNFINISHED = re.compile(rf"(?:^|[\s(!-])([A-Za-z_]*|(?i:score)\.{OF_NAME}*)$")
_VALUE = re.compile(
    rf'(?:^|[\s(!-])([A-Za-z_]+|(?i:score)\.{OF_NAME}+)(?::|!=|=)(?:(?:"[^"]*"|[^\s,"()]*),)*("[^"]*|[^\s,"()]*)$'
)
_NUMBER = re.compile(r"[+-]?[.\d]+$")
_NAME = re.compile(f"{OF_NAME}+")
_PLAIN = re.compile(r'[^\s",()*?\\]+')


@dataclass(frozen=True, slots=True)
class Option:
    """One way to go on."""

    text: str
    """What takes the place of what is there."""
    tasks: int | None = None
    """How many tasks have that value."""
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """What can stand at the end of an unfinished filter."""

    start: int
    """From which character on it is replaced."""
    options: list[Option]


def complete(root: Path, text: str, *, limit: int = MAX_OPTIONS) -> Completion:
    """Return how the filter that begins with `text` can go on: fields, and values that tasks below the root have."""
    value, word = _VALUE.search(text), _UNFINISHED.search(text)
    if value is not None:
        begun = value[2].lstrip('"')
        if value[1].lower().startswith(SCORE):
            return Completion(value.start(2), _labels(root, value[1][len(SCORE) :], begun, limit))
        return Completion(value.start(2), _values(root, ALIASES.get(value[1].lower(), value[1].lower()), begun, limit))
    if word is not None:
        if word[1].lower().startswith(SCORE):
            return Completion(word.start(1), _scores(root, word[1][len(SCORE) :], limit))
        return Completion(word.start(1), [*_fields(word[1].lower())][:limit])
    return Completion(len(text), [])


def _scores(root: Path, begun: str, limit: int) -> list[Option]:
    found = ask(root, lambda index: index.values("score", f"{literal(begun)}*", limit))
    return [Option(f"{SCORE}{name}>", tasks) for name, tasks in found if _NAME.fullmatch(name)]


def _labels(root: Path, name: str, begun: str, limit: int) -> list[Option]:
    found = ask(root, lambda index: index.score_labels(name, f"{literal(begun)}*", limit))
    # One that looks like a number would be compared as one.
    return [Option(f'"{label}"' if _NUMBER.match(label) else quoted(label), tasks) for label, tasks in found]


def _fields(begun: str) -> Iterator[Option]:
    for name, field in FIELDS.items():
        if name.startswith(begun):
            yield Option(f"{name}:" if field.kind != "amount" else f"{name}>", summary=field.summary)
    if IS.startswith(begun):
        yield Option(f"{IS}:", summary=f"one of {', '.join(FLAGS)}")


def _values(root: Path, field: str, begun: str, limit: int) -> list[Option]:
    if field == IS:
        return [Option(flag, summary=summary) for flag, (_, summary) in FLAGS.items() if flag.startswith(begun.lower())]
    if field not in FIELDS or not FIELDS[field].values:
        return []
    pattern = f"{literal(begun)}*"
    found = ask(root, lambda index: index.values(field, pattern, limit))
    options = [Option(quoted(value), tasks) for value, tasks in found]
    if field == "status":
        known = {value for value, _ in found}
        options += [Option(state) for state in STATES if state not in known and is_like(state, pattern)]
    return options[:limit]


def quoted(value: str) -> str:
    """A value as it stands in a filter: in quotes where it would be read as something else."""
    if _PLAIN.fullmatch(value) and value[0] not in "<>=":
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def hints(root: Path, wanted: Filter) -> list[str]:
    """Say of each name that a filter asks for and no task has, what was meant; one sentence each, not safe for a terminal."""
    conditions = [] if wanted.condition is None else list(_named(wanted.condition))
    if not conditions:
        return []
    return ask(root, lambda index: [hint for each in conditions for hint in _of_one(index, each)])


def _named(condition: Condition) -> Iterator[Named]:
    waiting = [condition]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Named):
            yield found
        elif isinstance(found, ScoreBound):
            yield Named("score", (literal(found.name),))
        elif isinstance(found, (All, Either)):
            waiting += reversed(found.conditions)


def _of_one(index: TaskIndex, condition: Named) -> Iterator[str]:
    if not FIELDS[condition.field].values:
        return
    for pattern in condition.patterns:
        if index.values(condition.field, pattern, 1):
            continue
        near = _near(pattern, [value for value, _ in index.values(condition.field, "*", MAX_COMPARED)])
        quotes = " or ".join(f"'{each}'" for each in near)
        meant = f", did you mean {quotes}?" if near else "."
        yield f"No task has the {condition.field} '{pattern}'{meant}"


def _near(pattern: str, known: list[str]) -> list[str]:
    """Values that hold what was typed, else those that are written most like it."""
    typed = pattern.casefold().strip("*")
    holding = [value for value in known if len(typed) >= MIN_HELD and typed in value.casefold()]
    if holding:
        return holding[:MAX_NEAR]
    by_folded = {value.casefold(): value for value in reversed(known)}
    return [by_folded[each] for each in difflib.get_close_matches(typed, list(by_folded), n=MAX_NEAR)]

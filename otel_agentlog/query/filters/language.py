"""The language in which people say which tasks they mean, the same for command line, REST, page and monitor.

    status:failed agent:plan* cost>0.5 dur>30s "connection reset"
    (model:claude* or model:gpt-5) -tag:nightly since:2h

Conditions beside each other must all hold; ``or``, ``not`` (or ``-`` in front) and parentheses as usual. Everything that is no
condition is words, which must stand in the task or begin words that do; a text of nothing but words has no operators in it, so
that ``not found`` is what it was. What the fields are: `otel_agentlog.store.index.condition.FIELDS`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import FilterError
from otel_agentlog.query.filters.moments import parse_moment, parse_seconds
from otel_agentlog.store.index.condition import (
    FIELDS,
    FLAGS,
    All,
    Compared,
    Condition,
    Either,
    Is,
    Named,
    Not,
    ScoreBound,
    Words,
    is_like,
    literal,
)
from otel_agentlog.store.index.filter import Filter, compared_score
from otel_agentlog.vocabulary.states import STATES

MAX_LENGTH = 2000
"""Characters of one filter."""
MAX_TERMS = 200
MAX_DEPTH = 30
"""Parentheses within each other."""

IS = "is"
ALIASES = {
    alias: field
    for field, aliases in {
        "dur": "duration took",
        "cost": "cost_usd",
        "type": "agent_type",
        "agent": "assigned_agent",
        "status": "state",
        "session": "session_id",
        "correlation": "correlation_id",
        "parent": "parent_task_id",
        "id": "task task_id",
        "error": "category error_category",
        "input": "input_tokens",
        "output": "output_tokens",
        "calls": "ai_calls",
        "runs": "tool_runs",
        "since": "after",
        "until": "before",
    }.items()
    for alias in aliases.split()
}
"""Other words for fields."""


_OPERATORS = ("and", "or", "not")
SCORE = "score."
"""Before the name of a score."""
OF_NAME = r'[^\s<>=!:,"()]'
"""A character of such a name, as a regular expression."""
_TERM = re.compile(rf"((?i:score)\.{OF_NAME}+|[A-Za-z_][A-Za-z_.]*)(\s*(?:!=|>=|<=|[=<>])\s*|:)")
_NEGATES = re.compile(r"[-!](?=[^\W\d_]|[\"(])")
_COMPARISON = re.compile(r">=|<=|[<>=]")
_NEAR = 0.72
"""How like a field a word before a colon must be to be taken for a mistake, and not for text."""


def parse_filter(text: str) -> Condition | None:
    """Return what a filter asks for; ``None`` for an empty one, which any task meets.

    Raises:
        FilterError: it cannot be read; the message has what was expected, what was found and where.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"expected a filter of at most {MAX_LENGTH:,} characters, found {len(text):,}", MAX_LENGTH)
    return _Parser(list(_Scanner(text).tokens())).whole()


def narrowed(wanted: Filter, text: str) -> Filter:
    """Return a filter with what `text` asks for besides.

    Raises:
        FilterError: the text cannot be read.
    """
    return with_conditions(wanted, [parse_filter(text)])


def with_conditions(wanted: Filter, conditions: Iterable[Condition | None]) -> Filter:
    """Return a filter with further conditions; bounds of time and words become its own, which the index answers fastest."""
    flat = [each for condition in conditions if condition is not None for each in _flat(condition)]
    words = " ".join(filter(None, (wanted.text, *(each.text for each in flat if isinstance(each, Words)))))
    times = [each for each in flat if isinstance(each, Compared) and FIELDS[each.field].kind == "moment"]
    since = [int(each.value) for each in times if each.field == "since"]
    until = [int(each.value) for each in times if each.field == "until"]
    rest: list[Condition] = [each for each in flat if not isinstance(each, Words) and each not in times]
    if wanted.condition is not None:
        rest.insert(0, wanted.condition)
    return replace(
        wanted,
        text=words or None,
        since_ns=max((*since, *_known(wanted.since_ns)), default=None),
        until_ns=min((*until, *_known(wanted.until_ns)), default=None),
        condition=None if not rest else rest[0] if len(rest) == 1 else All(tuple(rest)),
    )


def _flat(condition: Condition) -> tuple[Condition, ...]:
    return condition.conditions if isinstance(condition, All) else (condition,)


def _known(value: int | None) -> tuple[int, ...]:
    return () if value is None else (value,)


def words_in(wanted: Filter) -> str:
    """The words that a filter looks for, wherever they stand in it; those that must not be there are none."""
    found = [wanted.text or ""]
    waiting = [] if wanted.condition is None else [wanted.condition]
    while waiting:
        condition = waiting.pop()
        if isinstance(condition, Words):
            found.append(condition.text)
        elif isinstance(condition, (All, Either)):
            waiting += reversed(condition.conditions)
    return " ".join(filter(None, found))


class Token(NamedTuple):
    """A part of a filter."""

    kind: str
    """``(`` ``)`` ``-`` ``word`` ``quoted`` ``term`` or ``end``."""
    start: int
    end: int
    text: str = ""
    """Of words and quoted ones the text, of a term its field as it was written."""
    operator: str = ""
    values: tuple[tuple[str, bool], ...] = ()
    """Of a term: its values, each with whether it was quoted."""


class _Scanner:
    """Cuts a filter into tokens."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._open = text, 0, 0

    def tokens(self) -> Iterator[Token]:
        while True:
            while self._text[self._at : self._at + 1].isspace():
                self._at += 1
            if self._at >= len(self._text):
                yield Token("end", self._at, self._at)
                return
            yield self._next()

    def _next(self) -> Token:
        start, first = self._at, self._text[self._at]
        if first == "(" or (first == ")" and self._open):
            self._open += 1 if first == "(" else -1
            self._at += 1
            return Token(first, start, self._at)
        if _NEGATES.match(self._text, start):
            self._at += 1
            return Token("-", start, self._at)
        if first == '"':
            text = self._quoted()
            return Token("quoted", start, self._at, text)
        if (term := self._term()) is not None:
            return term
        text = self._bare("")
        return Token("word", start, self._at, text)

    def _term(self) -> Token | None:
        start, found = self._at, _TERM.match(self._text, self._at)
        if found is None:
            return None
        known = _field(found[1]) is not None
        if not known:
            _complain_about(found[1], start)
        # A colon with space behind it, an address and the like are text.
        if not known or (found[2] == ":" and not self._text[found.end() : found.end() + 1].strip()):
            return None
        self._at = found.end()
        values = [self._value()]
        while self._text[self._at : self._at + 1] == ",":
            self._at += 1
            values.append(self._value())
        return Token("term", start, self._at, found[1], found[2].strip(), tuple(values))

    def _value(self) -> tuple[str, bool]:
        if self._text[self._at : self._at + 1] == '"':
            return self._quoted(), True
        return self._bare(","), False

    def _bare(self, stops: str) -> str:
        """Up to the next space; parentheses within are a part of it, one that closes a group is not."""
        start, depth = self._at, 0
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter.isspace() or letter in stops or (letter == ")" and self._open and not depth):
                break
            depth = max(0, depth + (letter == "(") - (letter == ")"))
            self._at += 1
        return self._text[start : self._at]

    def _quoted(self) -> str:
        start, found = self._at, []
        self._at += 1
        while self._at < len(self._text) and self._text[self._at] != '"':
            if self._text[self._at] == "\\" and self._text[self._at + 1 : self._at + 2] in ('"', "\\"):
                self._at += 1
            found.append(self._text[self._at])
            self._at += 1
        if self._at >= len(self._text):
            raise FilterError(f"expected a closing quote for the one at {start + 1}", start)
        self._at += 1
        return "".join(found)


class _Parser:
    """Makes a condition of tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens, self._at, self._depth, self._terms = tokens, 0, 0, 0
        # A text of words alone has no operators, but such as nobody writes by chance.
        self._plain = all(token.kind in ("word", "quoted", "end") for token in tokens) and not any(
            token.kind == "word" and token.text.upper() == token.text and token.text.lower() in _OPERATORS for token in tokens
        )

    def whole(self) -> Condition | None:
        if self._here.kind == "end":
            return None
        found = self._either()
        if self._here.kind != "end":
            raise self._unexpected()
        return found

    @property
    def _here(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._here
        self._at += 1
        return token

    def _is(self, operator: str) -> bool:
        return not self._plain and self._here.kind == "word" and self._here.text.lower() == operator

    def _unexpected(self) -> FilterError:
        here = self._here
        found = "the end" if here.kind == "end" else repr(here.text or here.kind)
        return FilterError(f"expected a condition at {here.start + 1}, found {found}", here.start)

    def _either(self) -> Condition:
        found = [self._all()]
        while self._is("or"):
            self._take()
            found.append(self._all())
        return found[0] if len(found) == 1 else Either(tuple(found))

    def _all(self) -> Condition:
        found = [self._one()]
        while not (self._here.kind in ("end", ")") or self._is("or")):
            if self._is("and"):
                self._take()
            found.append(self._one())
        joined = _with_words_joined(found)
        return joined[0] if len(joined) == 1 else All(tuple(joined))

    def _one(self) -> Condition:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise FilterError(f"expected at most {MAX_TERMS} conditions, found more", self._here.start)
        if self._here.kind == "-" or self._is("not"):
            self._take()
            return Not(self._within(self._one))
        if self._here.kind == "(":
            return self._group()
        if self._here.kind in ("end", ")") or self._is("or") or self._is("and"):
            raise self._unexpected()
        token = self._take()
        return _condition(token) if token.kind == "term" else Words(token.text)

    def _group(self) -> Condition:
        opened = self._take()
        found = self._within(self._either)
        if self._here.kind != ")":
            raise FilterError(f"expected a closing parenthesis for the one at {opened.start + 1}", opened.start)
        self._take()
        return found

    def _within(self, part: Callable[[], Condition]) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(f"expected at most {MAX_DEPTH} parentheses within each other", self._here.start)
        found = part()
        self._depth -= 1
        return found


def _with_words_joined(conditions: Sequence[Condition]) -> list[Condition]:
    """Words beside each other are looked for together."""
    texts = [each.text for each in conditions if isinstance(each, Words)]
    others: list[Condition] = [each for each in conditions if not isinstance(each, Words)]
    return [Words(" ".join(texts)), *others] if texts else others


# Terms ------------------------------------------------------------------------------------------------------------------------


def _field(word: str) -> str | None:
    name = word.lower()
    name = "score" if name.startswith(SCORE) else ALIASES.get(name, name)
    return name if name in FIELDS or name == IS else None


def _complain_about(word: str, start: int) -> None:
    near = difflib.get_close_matches(word.lower(), [*FIELDS, IS, *ALIASES], n=1, cutoff=_NEAR)
    if near and word.islower():
        raise FilterError(f"there is no field {word!r} (at {start + 1}), did you mean {near[0]!r}? Put text in quotes.", start)


def _condition(token: Token) -> Condition:
    field = _field(token.text) or ""
    try:
        if field == IS:
            found = _flags(token)
        elif token.text.lower().startswith(SCORE):
            found = _scored(token.text[len(SCORE) :], token)
        elif FIELDS[field].kind == "name":
            found = _names(field, token)
        else:
            found = _compared(field, token)
    except ValueError as error:
        raise_interrupt()
        raise FilterError(f"{token.text}: {error} (at {token.start + 1})", token.start) from None
    return Not(found) if token.operator == "!=" else found


def _flags(token: Token) -> Condition:
    flags = [value.lower() for value, _ in token.values]
    for flag in flags:
        if flag not in FLAGS or token.operator not in (":", "=", "!="):
            raise ValueError(f"expected one of {', '.join(FLAGS)}, found {flag!r}{did_you_mean(flag, FLAGS)}")
    return Is(flags[0]) if len(flags) == 1 else Either(tuple(map(Is, flags)))


def _scored(name: str, token: Token) -> Condition:
    operator, values = token.operator, token.values
    if len(values) > 1 and operator not in (":", "=", "!="):
        raise ValueError("expected one value, found several")
    found: list[Condition] = []
    for value, quoted in values:
        sign, text = "=" if operator in (":", "!=") else operator, value.strip()
        if operator == ":" and not quoted and (inner := _COMPARISON.match(text)):
            sign, text = inner[0], text[inner.end() :].strip()
        if not text:
            raise ValueError("expected a number or a word behind it, found none")
        found.append(ScoreBound(name, label=text) if quoted else _score(name, sign, text))
    return found[0] if len(found) == 1 else Either(tuple(found))


def _score(name: str, operator: str, text: str) -> Condition:
    ends = text.split("..", 1) if operator == "=" else []
    if len(ends) == 2 and any(ends) and all(map(_NUMBER.fullmatch, filter(None, ends))):
        bounds = [compared_score(name, sign, end) for sign, end in zip((">=", "<="), ends, strict=True) if end]
        return bounds[0] if len(bounds) == 1 else All(tuple(bounds))
    return compared_score(name, operator, text)


def _names(field: str, token: Token) -> Condition:
    if token.operator not in (":", "=", "!="):
        raise ValueError(f"expected ':' or '!=', as it is a name, found {token.operator!r}")
    patterns = tuple(literal(value) if quoted else value for value, quoted in token.values)
    if not all(patterns):
        raise ValueError("expected a value behind it, found none")
    return Named(field, tuple(map(state_pattern, patterns)) if field == "status" else patterns)


def state_pattern(text: str) -> str:
    """The pattern of a state or several, ``timed-out`` for ``timed_out``.

    Raises:
        ValueError: no state is like that.
    """
    pattern = text.strip().lower().replace("-", "_")
    if not any(is_like(state, pattern) for state in STATES):
        raise ValueError(f"expected a state ({', '.join(STATES)}), found {text.strip()!r}{did_you_mean(pattern, STATES)}")
    return pattern


def did_you_mean(word: str, known: Collection[str]) -> str:
    """The end of a message about a word that is not known."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _compared(field: str, token: Token) -> Condition:
    if len(token.values) > 1:
        raise ValueError("expected one value, found several")
    operator, value = token.operator, token.values[0][0].strip()
    if operator == ":" and (inner := _COMPARISON.match(value)):
        operator, value = inner[0], value[inner.end() :].strip()
    if FIELDS[field].kind == "moment":
        if operator not in (":", "="):
            raise ValueError(f"expected {field}:WHEN, found {operator!r}")
        return Compared(field, ">=" if field == "since" else "<", _moment_ns(value))
    if operator == ":" and ".." in value:
        return _range(field, *value.split("..", 1))
    return Compared(field, "=" if operator in (":", "!=") else operator, _amount(field, value))


def _range(field: str, least: str, most: str) -> Condition:
    found = [Compared(field, sign, _amount(field, value)) for sign, value in ((">=", least), ("<=", most)) if value]
    if not found:
        raise ValueError("expected a number before or behind '..', found none")
    return found[0] if len(found) == 1 else All(tuple(found))


def _moment_ns(text: str) -> int:
    try:
        return int(parse_moment(text) * 1e9)
    except OverflowError:
        raise ValueError(f"expected a moment such as 2h, 3d, yesterday or 2026-11-20T09:30, found {text!r}") from None


_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_COUNT = re.compile(r"\$?(\d+(?:\.\d*)?|\.\d+)([kKmM]?)", re.ASCII)
_FACTORS = {"": 1, "k": 1000, "m": 1_000_000}


def _amount(field: str, text: str) -> float:
    if FIELDS[field].unit == "seconds":
        return parse_seconds(text)
    found = _COUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a number such as {'0.5' if FIELDS[field].unit == 'usd' else '3000 or 3k'}, found {text!r}")
    return float(found[1]) * _FACTORS[found[2].lower()]

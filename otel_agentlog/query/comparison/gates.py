"""Conditions on what two groups differ in, as a check of a change has them.

    cost>+10%                      B costs more than 10 % more than A
    success<-5pp                   B succeeds less often, by more than 5 percentage points
    duration_p95>2m                B takes longer than that, whatever A does
    tokens>+0 significant          B uses more tokens, beyond chance

A sign makes it a change from A to B, ``%`` behind it one relative to A; without a sign it is what B comes to. ``significant``:
the whole confidence interval is beyond the bound. ``str()`` of a threshold is a text that is read as the same one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import FilterError
from otel_agentlog.query.comparison.changes import Change
from otel_agentlog.query.comparison.intervals import Interval
from otel_agentlog.query.comparison.samples import KINDS, OF_NAMES, FigureKind
from otel_agentlog.query.filters.language import ALIASES, did_you_mean
from otel_agentlog.query.filters.moments import parse_seconds

MAX_LENGTH = 300
"""Characters of a condition."""

LEVEL, ABSOLUTE, RELATIVE = "level", "absolute", "relative"

_FIELDS = {"dur": "duration", "input": "input_tokens", "output": "output_tokens", "calls": "ai_calls", "runs": "tool_runs"}
"""Fields of the filter language whose figures have another name."""

_PARTS = re.compile(
    r"(?P<figure>[^<>]*?)\s*(?P<operator>>=|<=|>|<)\s*(?P<amount>\S+(?:\s+\S+)*?)(?P<significant>\s+significant)?\s*", re.DOTALL
)
_NUMBER = re.compile(r"(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)(k|m)?", re.ASCII | re.IGNORECASE)
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6}
_EXAMPLES = {
    "share": "90% or -5pp",
    "usd": "0.50 or +10%",
    "seconds": "30s or +10%",
    "count": "3000 or +10%",
    "value": "0.8 or -0.1",
}
_EXPECTED = "a condition such as cost>+10%, success<-5pp or duration_p95>2m"


@dataclass(frozen=True, slots=True)
class Threshold:
    """One condition."""

    figure: str
    operator: str
    """``>`` ``>=`` ``<`` ``<=``"""
    amount: float
    """In the unit of the figure; a share of A where it is relative."""
    kind: str = LEVEL
    """``level``: what B comes to. ``absolute``: B less A. ``relative``: B over A, less 1."""
    significant: bool = False

    def __str__(self) -> str:
        amount = f"{self.amount!r}" if self.kind == LEVEL else f"{self.amount:+}"
        if self.kind == RELATIVE:
            amount = f"{_exact(self.amount * 100, self.amount, 100)}%"
        return f"{self.figure}{self.operator}{amount}{' significant' if self.significant else ''}"

    @property
    def name(self) -> tuple[str, str] | None:
        """Of the figure of a tool, a score or a category of errors: the key of `OF_NAMES`, and the name."""
        return _of_name(self.figure)


def _exact(scaled: float, value: float, factor: float) -> str:
    """A number with a sign that comes to `value` again when it is read and divided."""
    for digits in (12, 15, 17):
        text = f"{scaled:+.{digits}g}"
        if float(text) / factor == value:
            return text
    return f"{math.nextafter(scaled, math.inf if float(text) / factor < value else -math.inf):+.17g}"


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """What came of a condition."""

    threshold: Threshold
    holds: bool | None
    """``None`` where that is not known."""
    why: str
    """A sentence without its full stop."""

    def as_json(self) -> dict[str, Any]:
        """One object."""
        return {"condition": str(self.threshold), "holds": self.holds, "why": self.why}


# Reading ----------------------------------------------------------------------------------------------------------------------


def parse_threshold(text: str) -> Threshold:
    """Return the condition that a text is.

    Raises:
        FilterError: it is none; the message has what was expected, what was found and where.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"expected a condition of at most {MAX_LENGTH} characters, found {len(text):,}", MAX_LENGTH)
    found = _PARTS.fullmatch(text)
    if found is None:
        raise _unreadable(text)
    figure = _figure(found["figure"].strip(), len(text) - len(text.lstrip()))
    at = found.start("amount")
    try:
        kind, amount = _amount(found["amount"], _kind_of(figure).unit)
    except ValueError as error:
        raise_interrupt()
        raise FilterError(f"{error} (at {at + 1})", at) from None
    return Threshold(figure, found["operator"], amount, kind, found["significant"] is not None)


def _unreadable(text: str) -> FilterError:
    operator = re.search(r"[<>]=?", text)
    if operator is None:
        return FilterError(f"expected {_EXPECTED}, found {text.strip()!r} without < or > (at {len(text) + 1})", len(text))
    return FilterError(f"expected a number behind {operator[0]!r}, found none (at {operator.end() + 1})", operator.end())


def _figure(word: str, at: int) -> str:
    field = ALIASES.get(word.lower(), word.lower())
    figure = _FIELDS.get(field, field)
    if figure in KINDS:
        return figure
    if _of_name(word) is not None:
        return word
    if not word:
        raise FilterError(f"expected {_EXPECTED}, found no figure in front (at {at + 1})", at)
    known = [*KINDS, *(pattern.format("NAME") for patterns in OF_NAMES.values() for pattern in patterns)]
    near = did_you_mean(word.lower(), known)
    raise FilterError(f"expected a figure ({', '.join(known)}), found {word!r}{near} (at {at + 1})", at)


def _of_name(figure: str) -> tuple[str, str] | None:
    for kind, patterns in OF_NAMES.items():
        for pattern in patterns:
            before, after = pattern.split("{}")
            name = figure[len(before) : len(figure) - len(after)]
            if figure.startswith(before) and figure.endswith(after) and len(figure) > len(before) + len(after) and name.strip():
                return kind, name
    return None


def _kind_of(figure: str) -> FigureKind:
    if figure in KINDS:
        return KINDS[figure]
    named = _of_name(figure)
    assert named is not None
    return next(kind for pattern, kind in OF_NAMES[named[0]].items() if pattern.format(named[1]) == figure)


def _amount(text: str, unit: str) -> tuple[str, float]:
    sign = text[0] if text[0] in "+-" else ""
    rest, factor = text[len(sign) :].strip(), -1.0 if sign == "-" else 1.0
    if rest.endswith("%"):
        return _percent(text, sign, rest[:-1].strip(), factor, unit)
    points = unit == "share" and rest.endswith("pp")
    if points and not sign:
        raise ValueError(f"expected a sign in front of points, as they are a change (+{text} or -{text}), found {text!r}")
    value = _plain(rest[:-2].strip(), text, unit) / 100 if points else _plain(rest, text, unit)
    return (ABSOLUTE if sign else LEVEL), factor * value


def _percent(text: str, sign: str, number: str, factor: float, unit: str) -> tuple[str, float]:
    value = factor * _plain(number, text, "value" if unit == "seconds" else unit) / 100
    if unit == "share":
        if sign:
            points = f"{sign}{number}pp"
            raise ValueError(f"expected percentage points, as it is a share itself: {points}, found {text!r}")
        return LEVEL, value
    if not sign:
        raise ValueError(f"expected a sign in front of a percentage (+{text} or -{text}), found {text!r}")
    return RELATIVE, value


def _plain(text: str, whole: str, unit: str) -> float:
    if unit == "seconds" and not re.search(r"e[+-]?\d", text):
        return parse_seconds(text)
    found = _NUMBER.fullmatch(text.removeprefix("$") if unit == "usd" else text)
    value = math.inf if found is None else float(found[1]) * _FACTORS[(found[2] or "").lower()]
    if not math.isfinite(value):
        raise ValueError(f"expected a number such as {_EXAMPLES[unit]}, found {whole!r}")
    return value


# Answering --------------------------------------------------------------------------------------------------------------------


def results(thresholds: Sequence[Threshold], changes: Sequence[Change]) -> list[ThresholdResult]:
    """Return what comes of each condition."""
    by_name = {change.name: change for change in changes}
    return [_result(threshold, by_name) for threshold in thresholds]


def _result(threshold: Threshold, by_name: Mapping[str, Change]) -> ThresholdResult:
    change = by_name.get(threshold.figure)
    if change is None or change.b.value is None or (threshold.kind != LEVEL and change.a.value is None):
        side = "B" if change is None or change.b.value is None else "A"
        return ThresholdResult(threshold, None, f"nothing is known of it in {side}")
    if threshold.significant:
        return _beyond_chance(threshold, change)
    holds = _compare(threshold.operator, *_sides(threshold, change))
    return ThresholdResult(threshold, holds, "it does" if holds else "it does not")


def _sides(threshold: Threshold, change: Change) -> tuple[float, float]:
    """What is compared with the operator. Without a division: more than nothing is more than any share more."""
    before, after = change.a.value or 0.0, change.b.value or 0.0
    if threshold.kind == LEVEL:
        return after, threshold.amount
    if threshold.kind == ABSOLUTE:
        return round(after - before, 9), threshold.amount
    return round(after, 9), round(before * (1 + threshold.amount), 9)


def _compare(operator: str, left: float, right: float) -> bool:
    return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[operator]


def _beyond_chance(threshold: Threshold, change: Change) -> ThresholdResult:
    interval: Interval | None = {
        LEVEL: change.b.interval,
        ABSOLUTE: change.difference_interval,
        RELATIVE: change.relative_interval,
    }[threshold.kind]
    if interval is None:
        return ThresholdResult(threshold, None, change.note or "there is no interval")
    # Of the interval the end that is nearest to the bound.
    nearest = interval[0] if threshold.operator in (">", ">=") else interval[1]
    holds = _compare(threshold.operator, nearest, threshold.amount)
    return ThresholdResult(threshold, holds, "the whole interval does" if holds else "the interval does not")

"""What the catalogue keeps of a task: the few facts that questions are asked about. Plain values, nothing read here.

Amounts are integers, so that sums are the same in whatever order they are made.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

COST_UNITS_PER_USD = 10**10
"""Costs are kept in ten-billionths of a dollar, the precision of ``04-final-result.json``."""

MAX_AMOUNT = 2**52
"""Larger amounts, which only damage makes, count as this: 4.5 billion tokens a thousand times a thousand, or 142 years."""

MAX_RUNS_TIMED = 1000
"""How many durations of one tool or model are kept for one task."""

MAX_WORDS = 4000
"""How many different words of one task can be searched for."""

MAX_WORD_LENGTH = 64

_WORD = re.compile(r"\w+")
# Languages written without spaces: each character is a word.
_ALONE = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


@dataclass(slots=True, kw_only=True)
class Part:
    """All AI calls of one model, or all runs of one tool, within one task."""

    kind: str
    """``ai_call`` or ``tool_run``."""
    name: str
    """The model or the tool."""
    variety: str | None = None
    """The provider of a model; what sort of tool it is."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """How many ended how; those that are open are ``running``."""
    durations_us: list[int] = field(default_factory=list)
    """Of those that ended, at most `MAX_RUNS_TIMED`."""
    cost: int | None = None
    """In units; ``None`` if no price is known."""
    unpriced: int = 0
    """Calls whose price is unknown."""
    input_tokens: int = 0
    output_tokens: int = 0
    retries: int = 0

    @property
    def runs(self) -> int:
        """How many there were."""
        return sum(self.outcomes.values())


@dataclass(slots=True, frozen=True)
class Failure:
    """One error of a task, where it was first seen."""

    error_id: str | None
    type: str | None
    category: str | None
    message: str | None
    component: str | None
    time_ns: int


@dataclass(slots=True, kw_only=True)
class Card:
    """One task in the catalogue."""

    folder: str
    """The folder's name."""
    task_id: str
    name: str
    status: str
    settled: bool = True
    """Whether it has ended, and its folder says so: it will stand as it stands."""
    host: str | None = None
    """Where it was recorded."""
    created_ns: int = 0
    started_ns: int | None = None
    agent: str | None = None
    agent_type: str | None = None
    model: str | None = None
    provider: str | None = None
    source: str | None = None
    tags: tuple[str, ...] = ()
    parent_task_id: str | None = None
    user: str | None = None
    specialist: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    duration_us: int | None = None
    told_duration_us: int | None = None
    """From the first to the last line; that of a task whose process is gone."""
    cost: int | None = None
    """In units; ``None`` if unknown."""
    input_tokens: int = 0
    output_tokens: int = 0
    ai_calls: int = 0
    tool_runs: int = 0
    steps: int = 0
    retries: int = 0
    errors: int = 0
    memory_kb: int | None = None
    """Peak, in kB."""
    error_type: str | None = None
    """Of the exception it ended with."""
    parts: list[Part] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    words: frozenset[str] = frozenset()
    """What can be searched for."""

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


def amount(value: object, scale: int = 1) -> int | None:
    """A number from a file, times `scale`, as a whole one from 0 to `MAX_AMOUNT`; ``None`` if it is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    try:
        return min(max(0, round(value * scale)), MAX_AMOUNT)
    except OverflowError:
        return MAX_AMOUNT


def words_of(text: str) -> list[str]:
    """The words of a text as they are searched for: letters, digits and ``_``, upper and lower case alike."""
    if not text.isascii():
        text = _ALONE.sub(r" \1 ", text)
    return [word[:MAX_WORD_LENGTH] for word in _WORD.findall(text.casefold())]


def gather(texts: Iterable[Any]) -> frozenset[str]:
    """The first `MAX_WORDS` different words of several texts."""
    found = dict.fromkeys(words_of("\n".join(text for text in texts if isinstance(text, str))))
    return frozenset(islice(found, MAX_WORDS))


def storable(text: str) -> str:
    """A text without lone surrogates, which come from file names and have no bytes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def bounded_time(time_ns: int) -> int:
    """A time that has room in 64 bits: any before 2100 and some after it."""
    return min(max(time_ns, -(2**62)), 2**62)


def card_to_bytes(card: Card) -> bytes:
    """A card as JSON."""
    return orjson.dumps(card, default=sorted)


def card_from_bytes(data: bytes) -> Card:
    """The card in `card_to_bytes`.

    Raises:
        ValueError, TypeError: it is none, or one of another make.
    """
    values = orjson.loads(data)
    values["parts"] = [Part(**part) for part in values["parts"]]
    values["failures"] = [Failure(**failure) for failure in values["failures"]]
    return Card(**{**values, "tags": tuple(values["tags"]), "words": frozenset(values["words"])})

"""What differs between two tasks: their figures, their trees, their inputs and their results.

Trees are aligned level by level, so that an additional or missing part does not make all later ones differ: by kind and name of
each part, then by the shape of the name (`shapes.shape_of`: "Review PR 42" is "Review PR 7"), then AI calls whatever their model.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.query.reports import Entry, TaskReport
from otel_agentlog.vocabulary.coerce import objects
from otel_agentlog.vocabulary.shapes import shape_of

SAME, CHANGED, ONLY_LEFT, ONLY_RIGHT = "same", "changed", "only_left", "only_right"

MAX_PARTS = 20_000
"""Parts of one level up to which they are aligned; beyond it they are compared in their order."""

MAX_CALLS = 500
"""AI calls of which prompts and answers are compared line by line; of further ones only that they differ."""

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
    prompt: list[str] = field(default_factory=list)
    """Of AI calls: a unified diff of what was asked; empty if that is the same."""
    answer: list[str] = field(default_factory=list)
    """A unified diff of what was answered."""

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
    compared = 0
    while waiting:
        depth, (one, other) = waiting.pop()
        part = Part(depth, _verdict(one, other), one, other)
        if part.verdict == CHANGED and part.entry.kind == "ai_call" and compared < MAX_CALLS:
            compared += 1
            part = _with_conversation(part)
        yield part
        below = _aligned(one.children if one else (), other.children if other else ())
        waiting += [(depth + 1, pair) for pair in reversed(below)]


_Key = Callable[[Entry], tuple[str, ...]]
_Pairs = list[tuple[Entry | None, Entry | None]]


def _by_name(entry: Entry) -> tuple[str, ...]:
    return entry.kind, entry.name


def _by_shape(entry: Entry) -> tuple[str, ...]:
    return entry.kind, shape_of(entry.name)


def _by_kind(entry: Entry) -> tuple[str, ...]:
    """Whole tasks, and calls of models, are compared whatever they are called; nothing else is."""
    return (entry.kind,) if entry.kind in ("task", "ai_call") else (entry.kind, entry.name)


_KEYS: tuple[_Key, ...] = (_by_name, _by_shape, _by_kind)


def _aligned(left: Sequence[Entry], right: Sequence[Entry], keys: Sequence[_Key] = _KEYS) -> _Pairs:
    """Pair the parts of one level: those that are equal by the first key, what is between these by the next one."""
    if not (left and right and keys):
        return [*((entry, None) for entry in left), *((None, entry) for entry in right)]
    sides = [[keys[0](entry) for entry in side] for side in (left, right)]
    if sides[0] == sides[1]:
        return list(zip(left, right, strict=True))
    if max(len(left), len(right)) > MAX_PARTS:
        return _aligned(left, right, ())
    found: _Pairs = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, sides[0], sides[1], autojunk=False).get_opcodes():
        found += zip(left[a:b], right[c:d], strict=True) if tag == "equal" else _aligned(left[a:b], right[c:d], keys[1:])
    return found


def _verdict(left: Entry | None, right: Entry | None) -> str:
    if left is None or right is None:
        return ONLY_RIGHT if left is None else ONLY_LEFT
    return SAME if _compared(left) == _compared(right) else CHANGED


def _compared(entry: Entry) -> tuple[Any, ...]:
    exception = entry.exception or {}
    shown = {key: entry.details.get(key) for key in ("arguments", "exit_code", "finish_reasons", "model", "attempts")}
    said = entry.kind == "ai_call" and (_prompt(entry), _answer(entry))
    return entry.status, entry.reason, exception.get("type"), exception.get("message"), len(entry.attempts), shown, said


def _with_conversation(part: Part) -> Part:
    """The part with what differs in prompt and answer of its two AI calls."""
    left, right = part.left, part.right
    if left is None or right is None:
        return part
    return replace(part, prompt=_texts(_prompt(left), _prompt(right)), answer=_texts(_answer(left), _answer(right)))


def _prompt(entry: Entry) -> str:
    """System prompt and messages, each after the role it is by."""
    found = [f"system: {_said(entry.details['system'])}"] if entry.details.get("system") else []
    for message in objects(entry.details, "messages"):
        found.append(f"{message.get('role')}: {_said(message.get('parts') or message.get('content'))}")
    return "\n".join(found)


def _answer(entry: Entry) -> str:
    return _said(entry.details.get("output"))


def _said(value: Any) -> str:
    """Texts of message parts; everything else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, Mapping) and isinstance(value.get("content"), str):
        return str(value["content"])
    if isinstance(value, Mapping) and isinstance(value.get("parts"), list):
        return _said(value["parts"])
    if isinstance(value, list):
        return "\n".join(map(_said, value))
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _texts(left: Any, right: Any) -> list[str]:
    if left == right:
        return []
    one, other = (_lines(value) for value in (left, right))
    return list(difflib.unified_diff(one, other, "left", "right", lineterm="", n=2))


def _lines(value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True, default=str)
    return text[:MAX_TEXT_CHARACTERS].split("\n")


# The first difference ---------------------------------------------------------------------------------------------------------

MAX_FIRST_LINES = 40
"""Most lines of the first difference."""


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The first part in which two tasks differ; of parts within each other the innermost."""

    part: Part
    above: list[str]
    """The names of what it is in, the outermost first."""
    lines: list[str]
    """What differs: ``-`` left, ``+`` right."""

    def as_json(self) -> dict[str, Any]:
        """One object."""
        entry = self.part.entry
        known = {"kind": entry.kind, "name": entry.name, "verdict": self.part.verdict}
        return {**known, "above": self.above, "lines": self.lines}


def first_difference(found: Differences) -> FirstDifference | None:
    """Return the first part that differs; ``None`` where none does."""
    parts = found.parts
    at = next((at for at, part in enumerate(parts) if part.verdict != SAME), None)
    if at is None:
        return None
    # What a part is within differs by its outcome, too, because the part does.
    while (inner := _first_within(parts, at)) is not None:
        at = inner
    lines = [line[:MAX_TEXT_CHARACTERS] for line in _what_differs(parts[at])]
    return FirstDifference(parts[at], _names_above(parts, at), lines[:MAX_FIRST_LINES])


def _first_within(parts: Sequence[Part], at: int) -> int | None:
    if parts[at].verdict in (ONLY_LEFT, ONLY_RIGHT):
        return None
    for below in range(at + 1, len(parts)):
        if parts[below].depth <= parts[at].depth:
            return None
        if parts[below].verdict != SAME:
            return below
    return None


def _names_above(parts: Sequence[Part], at: int) -> list[str]:
    names, depth = [], parts[at].depth
    for part in reversed(parts[:at]):
        if part.depth < depth:
            names.append(part.entry.name)
            depth = part.depth
    return names[::-1]


def _what_differs(part: Part) -> Iterator[str]:
    sides = [None if entry is None else _facts(entry) for entry in (part.left, part.right)]
    for key in dict.fromkeys(key for side in sides for key in side or ()):
        one, other = ((side or {}).get(key) for side in sides)
        if one != other and not (key in _SAID_ALREADY and None in (part.left, part.right)):
            yield from (f"{sign} {key}: {value}" for sign, value in (("-", one), ("+", other)) if value is not None)
    for title, lines in (("prompt", part.prompt), ("answer", part.answer)):
        yield from (f"{line[0]} {title}: {line[1:]}" for line in lines[2:] if line[:1] in "+-")


def _facts(entry: Entry) -> dict[str, str | None]:
    exception = entry.exception or {}
    details = {key: _said(entry.details.get(key)) or None for key in ("arguments", "model", "exit_code", "finish_reasons")}
    failed = f"{exception.get('type')}: {exception.get('message')}" if exception else None
    return {"name": entry.name, "outcome": entry.status, "error": failed, **details}


_SAID_ALREADY = ("name", "outcome")
"""Of a part that is on one side alone."""

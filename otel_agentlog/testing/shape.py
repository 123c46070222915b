"""Asserts which parts a task has, in which order, inside what.

    assert_shape(task, [an_ai_call("gpt-*"), a_step("plan", [a_tool("Read"), ...]), ...], cost_below_usd=0.01)

A list is all there is, in order; ``...`` in it stands for any number of parts. A part that is expected without a list may have
anything in it. Names are compared as in a shell, with ``*`` and ``?``; upper and lower case differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import EllipsisType
from typing import TypeAlias

from otel_agentlog.testing.reading import RecordedPart, RecordedTask

MAX_LINES = 60
"""Lines of a tree that a message shows."""


@dataclass(frozen=True)
class ExpectedPart:
    """A part that is expected: made by `an_ai_call`, `a_tool`, `a_step`, `a_task`, `a_span`."""

    kind: str
    """As `RecordedPart.kind`."""
    name: str = "*"
    inside: Sequence[Expected] | None = None
    """What is in it; ``None``: anything."""
    outcome: str = "completed"
    """``*``: any."""
    error: str | None = None
    """``<type>: <message>``; ``None``: any, or none."""

    def agrees(self, part: RecordedPart) -> bool:
        """Whether this is the part, whatever is in it."""
        return (
            self.kind == part.kind
            and _like(part.name, self.name)
            and _like(part.outcome or "open", self.outcome)
            and (self.error is None or _like(part.error or "", self.error))
        )

    def __str__(self) -> str:
        words = [f"{self.kind} {self.name}"]
        words += [self.outcome] if self.outcome != "completed" else []
        return " · ".join(words if self.error is None else [*words, self.error])


Expected: TypeAlias = ExpectedPart | EllipsisType


def _like(text: str, pattern: str) -> bool:
    return text == pattern or fnmatchcase(text, pattern)


def an_ai_call(
    model: str = "*", inside: Sequence[Expected] | None = None, *, outcome: str = "completed", error: str | None = None
) -> ExpectedPart:
    """An AI call of this model."""
    return ExpectedPart("ai_call", model, inside, outcome, error)


def a_tool(
    name: str = "*", inside: Sequence[Expected] | None = None, *, outcome: str = "completed", error: str | None = None
) -> ExpectedPart:
    """A run of this tool."""
    return ExpectedPart("tool", name, inside, outcome, error)


def a_step(
    name: str = "*", inside: Sequence[Expected] | None = None, *, outcome: str = "completed", error: str | None = None
) -> ExpectedPart:
    """A step of this name."""
    return ExpectedPart("step", name, inside, outcome, error)


def a_task(name: str = "*", *, outcome: str = "completed") -> ExpectedPart:
    """A sub-task of this name. What ran in it is in a folder of its own: a task of its own for `assert_shape`."""
    return ExpectedPart("subtask", name, None, outcome)


def a_span(
    name: str = "*", inside: Sequence[Expected] | None = None, *, outcome: str = "completed", error: str | None = None
) -> ExpectedPart:
    """A span of another library that is neither an AI call nor a tool run."""
    return ExpectedPart("span", name, inside, outcome, error)


def assert_shape(
    found: RecordedTask | RecordedPart | Sequence[RecordedPart],
    expected: Sequence[Expected],
    *,
    cost_below_usd: float | None = None,
) -> None:
    """Assert what is in a task or part, or which parts there are, as of `RecordedTask.calls`; and what all of it cost.

    Raises:
        AssertionError: it is otherwise, or its cost is not known; the message shows what was expected, what was found, and where.
    """
    __tracebackhide__ = True  # pytest shows the place in the test
    around, parts = _looked_into(found)
    failure = _compare(expected, parts)
    if failure is not None:
        raise AssertionError(_message(around, parts, expected, failure))
    if cost_below_usd is not None:
        _assert_cost(around.cost_usd if around is not None else _sum(parts), cost_below_usd, parts)


def _looked_into(
    found: RecordedTask | RecordedPart | Sequence[RecordedPart],
) -> tuple[RecordedPart | None, Sequence[RecordedPart]]:
    if isinstance(found, RecordedTask):
        found = found.root
    return (found, found.children) if isinstance(found, RecordedPart) else (None, found)


@dataclass(frozen=True)
class _Failure:
    wanted: ExpectedPart | None
    """What was expected at this place; ``None``: nothing more."""
    part: RecordedPart | None
    """What was there; ``None``: nothing more."""
    after: RecordedPart | None = None
    """Where nothing more was there, what was before that; or, with ``inside``, what it should be in."""
    inside: bool = False


def _compare(expected: Sequence[Expected], parts: Sequence[RecordedPart], around: RecordedPart | None = None) -> _Failure | None:
    """Where it is not as expected: of all places that stopped a way through the list, the last one in the list.

    Goes through the parts once, with all places of the list that it may be at.
    """
    at, stops = _with_skipped({0}, expected), _Stops()
    for part in parts:
        following = set()
        for index in at:
            wanted = expected[index] if index < len(expected) else None
            if isinstance(wanted, EllipsisType):
                following.add(index)
                continue
            agrees = wanted is not None and wanted.agrees(part)
            inner = _compare(wanted.inside, part.children, part) if agrees and wanted and wanted.inside is not None else None
            if agrees and inner is None:
                following.add(index + 1)
            else:
                stops.add(index, inner, _Failure(wanted, part))
        at = _with_skipped(following, expected)
    if len(expected) in at:
        return None
    for index in at:
        if not isinstance(wanted := expected[index], EllipsisType):
            stops.add(index, None, _Failure(wanted, None, parts[-1] if parts else around, inside=not parts))
    return stops.last


class _Stops:
    """The failure that is furthest in the list; of those at one place one within a part that agrees, or else the last."""

    def __init__(self) -> None:
        self.last: _Failure | None = None
        self._rank = (-1, False)

    def add(self, index: int, inner: _Failure | None, plain: _Failure) -> None:
        rank = index, inner is not None
        if rank >= self._rank:
            self.last, self._rank = inner or plain, rank


def _with_skipped(at: set[int], expected: Sequence[Expected]) -> set[int]:
    """These places, and those behind a ``...`` at them."""
    found = set()
    for index in at:
        found.add(index)
        while index < len(expected) and isinstance(expected[index], EllipsisType):
            index += 1
            found.add(index)
    return found


# -- messages -----------------------------------------------------------------------------------------------------------------


def _message(around: RecordedPart | None, parts: Sequence[RecordedPart], expected: Sequence[Expected], failure: _Failure) -> str:
    wanted = failure.wanted or "nothing more"
    what = f"in {around.kind} {around.name!r}" if around is not None else "among the parts given"
    said = failure.part.in_brief() if failure.part is not None else "nothing more"
    return "\n".join(
        [
            f"{what}: expected {wanted}, found {said}",
            "expected:",
            *_cut(list(_drawn(expected, failure.wanted))),
            "found:",
            *_cut(list(_drawn_parts(parts, failure)) or ["> (nothing)"]),
        ]
    )


def _drawn(expected: Sequence[Expected], marked: ExpectedPart | None, depth: int = 0) -> Iterator[str]:
    for each in expected:
        mark = ">" if each is marked else " "
        yield f"{mark} {'  ' * depth}{'...' if isinstance(each, EllipsisType) else each}"
        if isinstance(each, ExpectedPart) and each.inside is not None:
            yield from _drawn(each.inside, marked, depth + 1)


def _drawn_parts(parts: Sequence[RecordedPart], failure: _Failure) -> Iterator[str]:
    for part in parts:
        every = list(part.walk())
        missing_at = _place_of_missing(every, failure)
        for number, (depth, each) in enumerate(every):
            yield f"{'>' if each is failure.part else ' '} {'  ' * depth}{each.in_brief()}"
            if missing_at is not None and number == missing_at[0]:
                yield f"> {'  ' * missing_at[1]}(nothing more)"


def _place_of_missing(every: Sequence[tuple[int, RecordedPart]], failure: _Failure) -> tuple[int, int] | None:
    """Behind which part, by its number, something is missing, and its depth; ``None`` if that is not among these."""
    for number, (depth, each) in enumerate(every):
        if each is failure.after:
            return (number, depth + 1) if failure.inside else (number + sum(1 for _ in each.walk()) - 1, depth)
    return None


def _cut(lines: list[str]) -> list[str]:
    """At most `MAX_LINES`, those around the marked one."""
    if len(lines) <= MAX_LINES:
        return lines
    marked = next((number for number, line in enumerate(lines) if line.startswith(">")), 0)
    first = max(0, min(marked - MAX_LINES // 2, len(lines) - MAX_LINES))
    last = first + MAX_LINES
    above = [f"  … {first} lines"] if first else []
    return [*above, *lines[first:last], *([f"  … {len(lines) - last} lines"] if last < len(lines) else [])]


# -- cost ---------------------------------------------------------------------------------------------------------------------


def _sum(parts: Sequence[RecordedPart]) -> float | None:
    known = [part.cost_usd for part in parts if part.cost_usd is not None]
    return sum(known) if known else None


def _assert_cost(cost_usd: float | None, limit_usd: float, parts: Sequence[RecordedPart]) -> None:
    __tracebackhide__ = True
    calls = [each for part in parts for _, each in part.walk() if each.kind == "ai_call"]
    unknown = [call for call in calls if call.cost_usd is None]
    shown = "".join(f"\n  {call.in_brief()}" for call in calls[:MAX_LINES])
    if unknown:
        counted = f"{len(unknown)} call{'s' if len(unknown) > 1 else ''}"
        raise AssertionError(f"expected a cost below ${limit_usd:g}, found {counted} without a price:{shown}")
    if (cost_usd or 0.0) >= limit_usd:
        raise AssertionError(f"expected a cost below ${limit_usd:g}, found ${cost_usd or 0.0:.6g}:{shown}")

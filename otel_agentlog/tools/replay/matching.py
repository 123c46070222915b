"""Which recorded call, or tool run, a request gets: by content, else in order. Safe from any thread.

A request that asks what no call on record asks gets the answer of the first that is left; of calls that ran at the same time the
one that is most like it. No other request loses an answer by that: one that does ask for it gets it all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import field
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.tools.replay.prompts import (
    ProgramRequest,
    asks_the_same,
    changed_lines,
    has_same_tools,
    same,
    similarity,
    written,
)
from otel_agentlog.tools.replay.recorded import Record, RecordedCall, RecordedRun
from otel_agentlog.tools.replay.refusals import Refusal

MOST_KEPT = 1000
"""Requests unlike those on record that are kept, to be reported."""


@dataclass(frozen=True)
class GivenAnswer:
    """What a request gets."""

    call: RecordedCall | None
    """``None``: the record has no answer left."""
    refusal: Refusal | None = None
    """The error that the call, or an attempt before its last, ended with."""
    is_live: bool = False
    """Whether the request goes on to the provider."""


@dataclass
class Unlike:
    """A request that is not as on record."""

    request: ProgramRequest
    call: RecordedCall | None
    """What it was answered by; ``None`` where nothing was left."""


@dataclass
class ReplayFigures:
    """How many requests came, and what they got."""

    answered: int = 0
    live: int = 0
    refused: int = 0
    """The record had no answer for them."""
    tools: int = 0
    """Tool runs that were answered."""


@dataclass(frozen=True)
class Difference:
    """A request that differs from the record, or one that did not come."""

    kind: str
    """``prompt`` ``model`` ``tools`` ``more`` ``fewer``."""
    call: RecordedCall | None
    lines: list[str] = field(default_factory=list)
    """A unified diff, or what there is to say."""


class Matching:
    """The record of one replay, and what was given of it so far."""

    def __init__(self, record: Record) -> None:
        self.figures = ReplayFigures()
        self._record = record
        self._lock = threading.Lock()
        self._left = [*record.answered]
        self._live = record.calls[len(self._left) :]
        self._attempts: dict[RecordedCall, int] = {}
        self._unlike: list[Unlike] = []
        self._latest: dict[str, GivenAnswer] = {}
        self._runs = [*record.runs]

    def match(self, request: ProgramRequest, key: str, *, is_retry: bool, by_server: bool = True) -> GivenAnswer:
        """What a request gets. ``key`` is the same for requests with one body; ``is_retry``: its client sends it once more.

        Not ``by_server``: one of a decorated function, which runs where no call of its kind is left.
        """
        with self._lock:
            if not by_server and all(call.by_server for call in self._left):
                return GivenAnswer(None)
            if is_retry and key in self._latest:
                return self._latest[key]
            found = self._find(request, by_server)
            while len(self._latest) > MOST_KEPT:
                self._latest.pop(next(iter(self._latest)))
            self._latest[key] = found
            return found

    def _find(self, request: ProgramRequest, by_server: bool) -> GivenAnswer:
        call, is_alike = self._exact(request, by_server)
        if call is None and self._record.live_from is not None and (not self._left or self._belongs_later(request)):
            self.figures.live += 1
            return GivenAnswer(None, is_live=True)
        if call is None and (taken := self._taken_by_another(request)) is not None:
            self.figures.answered += 1
            return GivenAnswer(taken, taken.refusal)
        if call is None:
            call = self._in_order(request, by_server)
        if call is None or not is_alike:
            self._keep(Unlike(request, call))
        if call is None:
            self.figures.refused += 1
            return GivenAnswer(None)
        return self._give(call)

    def _give(self, call: RecordedCall) -> GivenAnswer:
        attempt = self._attempts[call] = self._attempts.get(call, 0) + 1
        # Attempts of a decorated function were made inside of it.
        if call.by_server and attempt <= len(call.refusals):
            return GivenAnswer(call, call.refusals[attempt - 1])
        self._left.remove(call)
        self.figures.answered += 1
        return GivenAnswer(call, call.refusal)

    def _exact(self, request: ProgramRequest, by_server: bool) -> tuple[RecordedCall | None, bool]:
        """The first call that asks the same, of the same model if there is one; whether all is the same."""
        alike = [call for call in self._left if call.by_server == by_server and asks_the_same(call, request)]
        best = next((call for call in alike if _is_same_otherwise(call, request)), None)
        if best is not None:
            return best, True
        if not alike and self._left and self._left[0].messages is None and self._left[0].by_server == by_server:
            return self._left[0], _is_same_otherwise(self._left[0], request)  # nothing to compare: in order
        return (alike[0] if alike else None), False

    def _in_order(self, request: ProgramRequest, by_server: bool) -> RecordedCall | None:
        left = [call for call in self._left if call.by_server == by_server]
        if not left:
            return None
        at_once = [call for call in left if call.start_ns < left[0].end_ns]
        return max(at_once, key=lambda call: similarity(call, request)) if len(at_once) > 1 else left[0]

    def _belongs_later(self, request: ProgramRequest) -> bool:
        """Whether it is more like a call that is to go to the provider than like the next one on record."""
        if any(asks_the_same(call, request) for call in self._live):
            return True
        return bool(self._live) and similarity(self._live[0], request) > similarity(self._left[0], request)

    def _taken_by_another(self, request: ProgramRequest) -> RecordedCall | None:
        """The call that asks this, if a request that does not was answered by it."""
        for each in self._unlike:
            if each.call is not None and asks_the_same(each.call, request):
                call, each.call = each.call, None
                return call
        return None

    def _keep(self, unlike: Unlike) -> None:
        if len(self._unlike) < MOST_KEPT:
            self._unlike.append(unlike)

    def tool(self, name: str, arguments: Any) -> RecordedRun | None:
        """The recorded run of a tool: with the same arguments, else the first of this tool that is left."""
        with self._lock:
            named = [run for run in self._runs if run.name == name]
            alike = next((run for run in named if same(run.arguments, arguments)), None)
            found = alike or next(iter(named), None)
            if found is not None:
                self._runs.remove(found)
                self.figures.tools += 1
            return found

    def differences(self) -> list[Difference]:
        """Requests that are not as on record, then calls on record that were not made; by the order of the record."""
        with self._lock:
            left = [call for call in self._left if call.by_server]
            unlike = [Unlike(each.request, each.call) for each in self._unlike]
        for each in unlike:
            # Its answer went to the request that asks for it: it stands for the next call that no request asked for.
            if each.call is None and left:
                each.call = left.pop(0)
        found = [_difference(each) for each in unlike]
        found += [Difference("fewer", call) for call in left]
        return sorted(found, key=lambda each: each.call.number if each.call is not None else len(self._record.calls) + 1)


def _is_same_otherwise(call: RecordedCall, request: ProgramRequest) -> bool:
    return has_same_tools(call, request) and (not call.model or not request.model or call.model == request.model)


def _difference(unlike: Unlike) -> Difference:
    call, request = unlike.call, unlike.request
    if call is None:
        return Difference("more", None, _first_lines(request))
    if call.messages is not None and not asks_the_same(call, request):
        return Difference("prompt", call, changed_lines(written(call.messages), written(request.messages)))
    if not has_same_tools(call, request):
        return Difference("tools", call, changed_lines("\n".join(sorted(call.tools or ())), "\n".join(sorted(request.tools))))
    return Difference("model", call, changed_lines(call.model, request.model))


def _first_lines(request: ProgramRequest) -> list[str]:
    lines: Sequence[str] = written(request.messages).split("\n")
    return [f"+{line}" for line in lines[:20]]

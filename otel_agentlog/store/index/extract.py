"""Hides how a task's lines become the facts in the catalogue that its whole files do not say: which models and tools, which
errors, who asked, which words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_agentlog.store.folder.layout import parse_timestamp
from otel_agentlog.store.folder.reader import TaskReader, whole
from otel_agentlog.store.index.row import COST_UNITS_PER_USD, MAX_AMOUNT, MAX_RUNS_TIMED, Failure, Part, amount, bounded_time
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import Line

MAX_FAILURES = 200
"""How many errors of one task are kept."""

MAX_TEXT = 4000
"""Characters of one text that are looked at for words."""

_PARTS = {"ai_request": "ai_call", "ai_response": "ai_call", "tool_call": "tool_run", "tool_result": "tool_run"}
_USERS = ("user.id", "enduser.id", "user_id", "user", "agentlog.user")
_SPECIALISTS = ("agentlog.specialist", "specialist")
_SPOKEN = frozenset({"output", "user", "log", "tool_call"})
_OF_ERRORS = ("type", "message", "error_id")
_RUNNING = "running"


@dataclass(slots=True)
class Gist:
    """What the lines of a task say."""

    host: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    """Of the task's span."""
    parts: list[Part] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """What is worth searching, each bounded."""

    def user(self) -> str | None:
        """Who asked, by the attributes of the task."""
        return _first(self.attributes, _USERS)

    def specialist(self) -> str | None:
        """Which specialist worked, by the attributes of the task."""
        return _first(self.attributes, _SPECIALISTS)


def gist_of(task: TaskReader) -> Gist:
    """Return what the lines of a task say. Reads them once; damaged ones are skipped."""
    gathering = _Gathering()
    for line in task.events():
        gathering.add(line, task)
    return gathering.done()


class _Gathering:
    def __init__(self) -> None:
        self.gist = Gist()
        self._open: dict[str, tuple[str, str]] = {}
        self._parts: dict[tuple[str, str], Part] = {}
        self._known: set[str] = set()

    def add(self, line: Line, task: TaskReader) -> None:
        kind, gist = text(line, "type"), self.gist
        if kind in _PARTS:
            self._part(whole(line, task), _PARTS[kind])
        elif kind == "process":
            gist.host = gist.host or text(line, "host")
        elif kind == "task":
            gist.attributes.update(mapping(line, "attributes"))
        if line.get("level") in ("ERROR", "CRITICAL"):
            self._failure(whole(line, task))
        exception = line.get("exception")
        if exception:
            gist.texts += [found[:MAX_TEXT] for key in _OF_ERRORS if (found := text(mapping(line, "exception"), key))]
        if line.get("phase") != "end":
            self._read(line, kind)

    def _read(self, line: Line, kind: object) -> None:
        """Take the texts of a line that are worth searching."""
        for key in ("message", "content", "step_id"):
            value = line.get(key)
            if type(value) is dict:
                # What was moved to an artifact has a preview, which is what is searched.
                value = mapping(value, "$artifact").get("preview")
            if type(value) is str and (key != "content" or kind in _SPOKEN):
                self.gist.texts.append(value[:MAX_TEXT])

    def _part(self, line: Line, kind: str) -> None:
        details = mapping(line, "details")
        ai = kind == "ai_call"
        name = text(details, "model") if ai else text(line, "content")
        span, ending = text(line, "span_id") or "", line.get("phase") == "end"
        opened = self._open.pop(span, None) if ending else None
        # A call is counted below the name it began with, whatever it is called at its end.
        key = opened or (kind, name or text(line, "message") or "?")
        part = self._parts.setdefault(key, Part(kind=kind, name=key[1]))
        part.variety = part.variety or text(details, "provider" if ai else "tool_type")
        if not ending:
            self._open[span] = key
            return
        outcome = text(line, "outcome") or "completed"
        part.outcomes[outcome] = part.outcomes.get(outcome, 0) + 1
        took = amount(line.get("duration_ms"), 1000)
        if took is not None and len(part.durations_us) < MAX_RUNS_TIMED:
            part.durations_us.append(took)
        part.retries += max(0, (amount(details.get("attempts")) or 1) - 1)
        if part.kind == "ai_call":
            # A damaged folder may end a tool run as an AI call.
            _spend(part, details)

    def _failure(self, line: Line) -> None:
        exception = mapping(line, "exception")
        error_id = text(exception, "error_id")
        if error_id in self._known or len(self.gist.failures) >= MAX_FAILURES:
            return
        if error_id is not None:
            self._known.add(error_id)
        message = text(exception, "message") or text(line, "message")
        self.gist.failures.append(
            Failure(
                error_id,
                text(exception, "type"),
                text(exception, "category"),
                None if message is None else message[:MAX_TEXT],
                text(line, "component"),
                _time(line),
            )
        )

    def done(self) -> Gist:
        for key in self._open.values():
            outcomes = self._parts[key].outcomes
            outcomes[_RUNNING] = outcomes.get(_RUNNING, 0) + 1
        self.gist.parts = list(self._parts.values())
        return self.gist


def _spend(part: Part, details: Mapping[str, Any]) -> None:
    part.input_tokens = min(MAX_AMOUNT, part.input_tokens + (amount(details.get("input_tokens")) or 0))
    part.output_tokens = min(MAX_AMOUNT, part.output_tokens + (amount(details.get("output_tokens")) or 0))
    cost = amount(details.get("cost_usd"), COST_UNITS_PER_USD)
    if cost is None:
        part.unpriced += 1
    else:
        part.cost = min(MAX_AMOUNT, (part.cost or 0) + cost)


def _first(values: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((str(values[key]) for key in keys if isinstance(values.get(key), (str, int)) and values[key] != ""), None)


def _time(line: Line) -> int:
    try:
        return bounded_time(parse_timestamp(text(line, "timestamp") or ""))
    except ValueError:
        return 0

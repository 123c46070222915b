"""What only a task's lines have, not its whole files: which models and tools, which errors, which user, which words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_agentlog.store.folder.reader import TaskReader, whole
from otel_agentlog.store.index.row import COST_UNITS_PER_USD, MAX_RUNS_TIMED, RunRow, amount
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import Line

MAX_ERRORS = 200
"""How many errors of one task are kept."""

MAX_TEXT = 4000
"""Characters of one text that are indexed."""

_RUNS = {"ai_request": "ai_call", "ai_response": "ai_call", "tool_call": "tool_run", "tool_result": "tool_run"}
_USERS = ("user.id", "enduser.id", "user_id", "user", "agentlog.user")
_SPECIALISTS = ("agentlog.specialist", "specialist")
_SEARCHED = frozenset({"output", "user", "log", "tool_call"})
_OF_ERRORS = ("type", "message", "error_id")

_Name = tuple[str, str]
"""``ai_call`` and the model, or ``tool_run`` and the tool."""


@dataclass(slots=True)
class Extract:
    """What was read from the lines of a task."""

    attributes: dict[str, Any] = field(default_factory=dict)
    """Of the task's span."""
    runs: list[RunRow] = field(default_factory=list)
    error_categories: list[str | None] = field(default_factory=list)
    """Of each error, where it was first seen."""
    error_messages: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """Texts to search in, each bounded."""

    def user(self) -> str | None:
        """The user, by the attributes of the task."""
        return _first(self.attributes, _USERS)

    def specialist(self) -> str | None:
        """Which specialist worked, by the attributes of the task."""
        return _first(self.attributes, _SPECIALISTS)


def extract_from(task: TaskReader) -> Extract:
    """Return what is indexed of the lines of a task. Reads them once; damaged ones are skipped."""
    reading = _Reading()
    for line in task.events():
        reading.add(line, task)
    return reading.done()


class _Reading:
    def __init__(self) -> None:
        self._found = Extract()
        self._open: dict[str, _Name] = {}
        self._timed: Counter[_Name] = Counter()
        self._providers: dict[_Name, str] = {}
        self._errors: set[str] = set()

    def add(self, line: Line, task: TaskReader) -> None:
        kind, found = text(line, "type"), self._found
        if kind in _RUNS:
            self._run(whole(line, task), _RUNS[kind])
        elif kind == "task":
            found.attributes.update(mapping(line, "attributes"))
        if line.get("level") in ("ERROR", "CRITICAL"):
            self._error(whole(line, task))
        if line.get("exception"):
            values = (text(mapping(line, "exception"), key) for key in _OF_ERRORS)
            found.texts += [value[:MAX_TEXT] for value in values if value]
        if line.get("phase") != "end":
            self._texts(line, kind)

    def _texts(self, line: Line, kind: object) -> None:
        for key in ("message", "content", "step_id"):
            value = line.get(key)
            if type(value) is dict:
                # What was moved to an artifact has a preview, which is what is searched.
                value = mapping(value, "$artifact").get("preview")
            if type(value) is str and (key != "content" or kind in _SEARCHED):
                self._found.texts.append(value[:MAX_TEXT])

    def _run(self, line: Line, kind: str) -> None:
        details, span, ending = mapping(line, "details"), text(line, "span_id") or "", line.get("phase") == "end"
        model = (text(details, "model") or text(details, "response_model")) if kind == "ai_call" else None
        opened = self._open.pop(span, None) if ending else None
        # A span of another library may tell its model at its end; anything else is counted below the name it began with.
        name = (kind, model) if model else opened or (kind, text(line, "content") or text(line, "message") or "?")
        provider = text(details, "provider")
        if provider:
            self._providers.setdefault(name, provider)
        if ending:
            self._found.runs.append(self._ended(name, line, details))
        else:
            self._open[span] = name

    def _ended(self, name: _Name, line: Line, details: Mapping[str, Any]) -> RunRow:
        took = amount(line.get("duration_ms"), 1000)
        self._timed[name] += took is not None
        run = RunRow(
            kind=name[0],
            name=name[1],
            outcome=text(line, "outcome") or "completed",
            duration_us=took if self._timed[name] <= MAX_RUNS_TIMED else None,
            retries=max(0, (amount(details.get("attempts")) or 1) - 1),
        )
        if run.kind == "ai_call":
            # A damaged folder may end a tool run as an AI call.
            run.cost = amount(details.get("cost_usd"), COST_UNITS_PER_USD)
            run.input_tokens = amount(details.get("input_tokens")) or 0
            run.output_tokens = amount(details.get("output_tokens")) or 0
        return run

    def _error(self, line: Line) -> None:
        exception = mapping(line, "exception")
        error_id = text(exception, "error_id")
        if error_id in self._errors or len(self._found.error_categories) >= MAX_ERRORS:
            return
        if error_id is not None:
            self._errors.add(error_id)
        self._found.error_categories.append(text(exception, "category"))
        message = text(exception, "message") or text(line, "message")
        if message is not None:
            self._found.error_messages.append(message[:MAX_TEXT])

    def done(self) -> Extract:
        self._found.runs += [RunRow(kind=kind, name=name) for kind, name in self._open.values()]
        for run in self._found.runs:
            run.provider = self._providers.get((run.kind, run.name)) if run.kind == "ai_call" else None
        return self._found


def _first(values: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((str(values[key]) for key in keys if isinstance(values.get(key), (str, int)) and values[key] != ""), None)

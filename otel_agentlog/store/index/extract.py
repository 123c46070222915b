"""What only a task's lines have, not its whole files: which models and tools, which errors, which user, which words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.store.folder.reader import TaskReader, whole
from otel_agentlog.store.folder.totals import COUNTED, Runs
from otel_agentlog.store.index.row import COST_UNITS_PER_USD, MAX_RUNS_TIMED, RunRow, ScoreRow, amount
from otel_agentlog.vocabulary.chunks import CHUNKS, content_text, joined
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import SAME_CALL_AS, Line
from otel_agentlog.vocabulary.scores import is_score, latest_scores
from otel_agentlog.vocabulary.states import ERROR_LEVELS

MAX_ERRORS = 200
"""How many errors of one task are kept."""

MAX_SCORES = 10_000
"""How many scores of one task are kept."""

MAX_TEXT = 4000
"""Characters of one text that are indexed."""

_KINDS: Mapping[str, str] = {"ai_calls": "ai_call", "tool_runs": "tool_run"}
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
    specialists: set[str] = field(default_factory=set)
    """Whose tools ran."""
    error_categories: list[str | None] = field(default_factory=list)
    """Of each error, where it was first seen."""
    error_messages: list[str] = field(default_factory=list)
    error_ids: set[str] = field(default_factory=set)
    """Of errors that any line speaks of."""
    scores: list[ScoreRow] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """Texts to search in, each bounded."""

    def user(self) -> str | None:
        """The user, by the attributes of the task."""
        return _first(self.attributes, _USERS)

    def specialist(self) -> str | None:
        """Which specialist worked, by the attributes of the task."""
        return _first(self.attributes, _SPECIALISTS)

    def specialist_of_tools(self) -> str | None:
        """Whose tools ran, if they were all of one specialist."""
        return next(iter(self.specialists)) if len(self.specialists) == 1 else None


def extract_from(task: TaskReader) -> Extract:
    """Return what is indexed of the lines of a task. Reads them once; damaged ones are skipped."""
    reading = Reading()
    for line in joined(task.events()):
        reading.add(line, task)
    return reading.done()


class Reading:
    """Takes lines in their order, and says at any time what they come to."""

    def __init__(self) -> None:
        self._found = Extract()
        self._runs = Runs()
        self._open: dict[str, _Name] = {}
        self._ai_calls: dict[str, RunRow] = {}
        """Of each ended AI call, by span id, until all lines are read."""
        self._timed: Counter[_Name] = Counter()
        self._providers: dict[_Name, str] = {}
        self._errors: set[str] = set()
        self._scores: list[Line] = []

    def add(self, line: Line, task: TaskReader) -> None:
        """Read one line."""
        kind, found = text(line, "type"), self._found
        if line.get("phase") == "start" and kind in COUNTED:
            self._started(whole(line, task))
        elif line.get("phase") == "end" and (kind in COUNTED or text(line, "span_id") in self._open):
            self._ended(whole(line, task))
        if kind == "task":
            found.attributes.update(mapping(line, "attributes"))
        elif is_score(line):
            self._scores.append(line)
        if line.get("level") in ERROR_LEVELS:
            self._error(whole(line, task))
        for place in ("exception", "details"):
            if error_id := text(mapping(line, place), "error_id"):
                found.error_ids.add(error_id)
        if line.get("exception"):
            values = (text(mapping(line, "exception"), key) for key in _OF_ERRORS)
            found.texts += [value[:MAX_TEXT] for value in values if value]
        if line.get("phase") != "end":
            self._texts(line, kind)

    def _texts(self, line: Line, kind: object) -> None:
        for key in ("message", "step_id"):
            if value := content_text(line, key):
                self._found.texts.append(value[:MAX_TEXT])
        if kind in _SEARCHED:
            value = content_text(line)
            # Of a text in chunks each is bounded by itself.
            self._found.texts.append(value if CHUNKS in line else value[:MAX_TEXT])

    def _started(self, line: Line) -> None:
        span_id, details = text(line, "span_id") or "", mapping(line, "details")
        self._runs.start(span_id, text(line, "type"), details)
        kind = _KINDS.get(COUNTED[line["type"]])
        if kind == "tool_run" and (specialist := text(details, "specialist")):
            self._found.specialists.add(specialist)
        if kind is not None:
            self._open[span_id] = self._named(kind, line, details)

    def _ended(self, line: Line) -> None:
        span_id, details = text(line, "span_id") or "", mapping(line, "details")
        opened = self._open.pop(span_id, None)
        counter = self._runs.end(span_id, text(line, "type"), details)
        if counter is None:
            self._add_to_other(line, details)
            return
        kind = _KINDS.get(counter)
        if kind is None:
            return
        # A span of another library may tell its model at its end; anything else is counted below the name it began with.
        began = opened is not None and opened[0] == kind and (kind != "ai_call" or _model(details) is None)
        name = opened if began and opened is not None else self._named(kind, line, details)
        self._note_provider(name, details)
        run = self._row(name, line, details)
        self._found.runs.append(run)
        if kind == "ai_call":
            self._ai_calls[span_id] = run

    def _named(self, kind: str, line: Line, details: Mapping[str, Any]) -> _Name:
        # The name of a span is no name of a model.
        label = _model(details) if kind == "ai_call" else text(line, "content") or text(line, "message")
        name = (kind, label or "?")
        self._note_provider(name, details)
        return name

    def _note_provider(self, name: _Name, details: Mapping[str, Any]) -> None:
        if provider := text(details, "provider"):
            self._providers.setdefault(name, provider)

    def _add_to_other(self, line: Line, details: Mapping[str, Any]) -> None:
        """What a further view of a call knows of it and the earlier ones did not."""
        if text(line, "type") == "ai_response" and (run := self._ai_calls.get(text(details, SAME_CALL_AS) or "")) is not None:
            cost = amount(details.get("cost_usd"), COST_UNITS_PER_USD)
            run.cost = run.cost if cost is None else (run.cost or 0) + cost
            run.input_tokens += amount(details.get("input_tokens")) or 0
            run.output_tokens += amount(details.get("output_tokens")) or 0

    def _row(self, name: _Name, line: Line, details: Mapping[str, Any]) -> RunRow:
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
        """What was read so far; further lines may follow."""
        scores = latest_scores(self._scores)[:MAX_SCORES]
        found = [ScoreRow(name=each.name, value=each.value, label=each.label) for each in scores]
        texts = self._found.texts + [each.explanation[:MAX_TEXT] for each in scores if each.explanation]
        left = self._runs.still_open()
        runs = self._found.runs + [RunRow(kind=kind, name=name) for each, (kind, name) in self._open.items() if each in left]
        for run in runs:
            run.provider = self._providers.get((run.kind, run.name)) if run.kind == "ai_call" else None
        return replace(self._found, runs=runs, scores=found, texts=texts)

    def take_texts(self) -> list[str]:
        """The texts since the last call, which are kept no longer."""
        found, self._found.texts = self._found.texts, []
        return found


def _model(details: Mapping[str, Any]) -> str | None:
    return text(details, "model") or text(details, "response_model")


def _first(values: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((str(values[key]) for key in keys if isinstance(values.get(key), (str, int)) and values[key] != ""), None)

"""What a task has on record that can be given again: its AI calls and tool runs, those of its sub-tasks too, in order.

A call that several views saw is there once, with the content of the view that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError, TaskNotFoundError
from otel_agentlog.store.folder.reader import TaskReader, find_task, with_artifacts
from otel_agentlog.tools.replay.refusals import Refusal, refusal_of
from otel_agentlog.vocabulary.coerce import mapping, number, objects, text, texts
from otel_agentlog.vocabulary.lines import INSIDE_CALL, NOT_INFERENCE, SAME_CALL_AS, Line, time_of
from otel_agentlog.vocabulary.states import Outcome
from otel_agentlog.vocabulary.usage import USAGE_FIELDS

ANSWERED = ("anthropic", "openai")
"""Providers whose clients ask the local server; of any other a decorated function is answered."""

MOST_TASKS = 1000
"""Sub-tasks that are read."""

_CUT = (b"[truncated: ", b'"$truncated"')
_GONE = b'"$artifact"'
_REDACTED = b"[redacted:"


@dataclass(eq=False)
class RecordedRun:
    """One tool run on record."""

    number: int
    name: str
    arguments: Any
    result: Any
    outcome: str | None
    exception: Mapping[str, Any]
    task_id: str
    start_ns: int
    missing: list[str] = field(default_factory=list)
    """Why its result cannot be given again."""

    @property
    def place(self) -> str:
        """For people: which run it is."""
        return f"tool run {self.number} ({self.name}, {self.task_id})"


@dataclass(eq=False)
class RecordedCall:
    """One AI call on record, and what answers it."""

    number: int
    """From 1, in the order in which they began."""
    task_id: str
    span_id: str
    start_ns: int
    end_ns: int
    model: str
    """The model that was asked for."""
    provider: str
    operation: str
    is_stream: bool
    messages: list[dict[str, Any]] | None
    """System instructions and messages; ``None`` where they were not recorded."""
    tools: list[str] | None
    """Names of the tools that the model was offered; ``None`` where they were not recorded."""
    parts: list[Mapping[str, Any]]
    """What the model answered, as ``record.providers.parts`` has it."""
    usage: dict[str, int]
    finish_reasons: list[str]
    response_id: str | None
    response_model: str | None
    is_open: bool
    outcome: str | None
    exception: Mapping[str, Any]
    refusals: list[Refusal] = field(default_factory=list)
    """What attempts before the last one got."""
    refusal: Refusal | None = None
    """What the last one got, where that is an error."""
    missing: list[str] = field(default_factory=list)
    """Why it cannot be given again."""
    notes: list[str] = field(default_factory=list)
    """What will not be as it was."""

    @property
    def by_server(self) -> bool:
        """Whether the official clients, that ask the local server, made it."""
        return not self.provider or self.provider in ANSWERED

    @property
    def place(self) -> str:
        """For people: which call it is."""
        return f"AI call {self.number} ({self.model or 'no model'}, {self.task_id}, span {self.span_id or 'unknown'})"


@dataclass
class Record:
    """All that can be given again of a task."""

    task: TaskReader
    tasks: list[TaskReader]
    """It and its sub-tasks."""
    calls: list[RecordedCall]
    runs: list[RecordedRun]
    steps: list[tuple[str, str, int]]
    """Name, id and beginning of each step."""
    problems: list[str]
    """What is damaged in the folders."""
    live_from: int | None = None
    """The number of the first call that goes to the provider; ``None`` if none does."""

    @property
    def answered(self) -> list[RecordedCall]:
        """The calls that are to be given again."""
        return self.calls if self.live_from is None else [each for each in self.calls if each.number < self.live_from]

    def missing(self, *, tools: bool) -> list[str]:
        """What cannot be given again, and why; empty if all can."""
        found = [f"{call.place}: {why}" for call in self.answered for why in call.missing]
        runs = self.runs if tools else []
        return found + [f"{run.place}: {why}" for run in runs for why in run.missing]

    def notes(self) -> list[str]:
        """What will not be as it was, each once, with the calls that it is about."""
        about: dict[str, list[int]] = {}
        for call in self.answered:
            for note in call.notes:
                about.setdefault(note, []).append(call.number)
        return [f"AI call{'s' if len(found) > 1 else ''} {_ranges(found)}: {note}" for note, found in about.items()]

    def go_live_at(self, step: str) -> None:
        """Answer only what came before a step, named by its name or id, or before an AI call, named by its number.

        Raises:
            ConfigurationError: there is no such step and no such call.
        """
        begins = next((at for name, step_id, at in self.steps if step in (name, step_id)), None)
        if begins is not None:
            self.live_from = next((call.number for call in self.calls if call.start_ns >= begins), len(self.calls) + 1)
        elif step.isascii() and step.isdigit() and 1 <= int(step[:9]) <= len(self.calls):
            self.live_from = int(step)
        else:
            names = ", ".join(dict.fromkeys(name for name, _, _ in self.steps)) or "none"
            expected = f"a step ({names[:300]}), or the number of an AI call (1 to {len(self.calls)})"
            raise ConfigurationError("--from", step[:200], expected)


def read_record(task: TaskReader) -> Record:
    """Read a task and its sub-tasks. Whatever stands in the folders, this gives what there is."""
    tasks = list(_with_subtasks(task))
    views: list[_View] = []
    runs: list[RecordedRun] = []
    steps: list[tuple[str, str, int]] = []
    for each in tasks:
        reading = _Reading(each)
        for line in each.events():
            reading.add(line)
        found, done = reading.finish()
        views += found
        runs += done
        steps += reading.steps
    views.sort(key=lambda view: view.start_ns)
    runs.sort(key=lambda run: run.start_ns)
    for place, run in enumerate(runs, 1):
        run.number = place
    problems = [f"{each.task_id}: {problem}" for each in tasks for problem in each.problems]
    steps.sort(key=lambda step: step[2])
    return Record(task, tasks, [_call(place, view) for place, view in enumerate(_counted(views), 1)], runs, steps, problems)


def _with_subtasks(task: TaskReader) -> Iterator[TaskReader]:
    waiting, seen = [task], {task.folder.name}
    while waiting:
        here = waiting.pop(0)
        yield here
        for line in here.events():
            name = text(mapping(line, "details"), "task_id") if line.get("type") == "subtask" else None
            if name is None or len(seen) >= MOST_TASKS:
                continue
            try:
                found = find_task(task.folder.parent, name)
            except (TaskNotFoundError, OSError):
                raise_interrupt()
                continue
            if found.folder.name not in seen:
                seen.add(found.folder.name)
                waiting.append(found)


@dataclass(eq=False)
class _View:
    """One AI call as one span saw it."""

    task: TaskReader
    span_id: str
    start_ns: int
    end_ns: int
    details: dict[str, Any]
    end: Line
    attempts: list[Line]
    raw: bytes = b""
    """The answer, to look for placeholders in."""


class _Reading:
    """The lines of one task, in their order."""

    def __init__(self, task: TaskReader) -> None:
        self._task = task
        self._starts: dict[str, Line] = {}
        self._attempts: dict[str, list[Line]] = {}
        self._views: list[_View] = []
        self._runs: list[RecordedRun] = []
        self.steps: list[tuple[str, str, int]] = []

    def add(self, line: Line) -> None:
        kind, phase, span_id = line.get("type"), line.get("phase"), text(line, "span_id") or ""
        if phase == "start":
            self._starts[span_id] = line
            if kind == "step":
                step = text(line, "name") or text(line, "message") or ""
                self.steps.append((step, text(line, "step_id") or "", time_of(line) or 0))
        elif kind == "attempt" and line.get("action") == "attempt_failed":
            self._attempts.setdefault(span_id, []).append(line)
        elif phase == "end":
            start = self._starts.pop(span_id, {})
            if kind == "ai_response":
                self._views.append(self._view(start, line))
            elif kind == "tool_result":
                self._runs.append(self._run(start, line))

    def finish(self) -> tuple[list[_View], list[RecordedRun]]:
        """All that was found; what has no end counts as open."""
        for start in self._starts.values():
            if start.get("type") == "ai_request":
                self._views.append(self._view(start, {}))
        return self._views, self._runs

    def _details(self, *lines: Line) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for line in lines:
            found |= mapping({"details": with_artifacts(line.get("details"), self._task)}, "details")
        return found

    def _view(self, start: Line, end: Line) -> _View:
        details = self._details(start, end)
        span_id = text(start, "span_id") or text(end, "span_id") or ""
        ended = (time_of(end) or 0) if end else 1 << 63
        begun = (time_of(start) or 0) if start else ended - round((number(end, "duration_ms") or 0.0) * 1e6)
        raw = orjson.dumps([details.get("output"), end.get("details") if "output" not in details else None])
        return _View(self._task, span_id, begun, ended, details, end, self._attempts.get(span_id, []), raw)

    def _run(self, start: Line, end: Line) -> RecordedRun:
        details = self._details(start, end)
        raw = orjson.dumps(details.get("result"))
        missing = ["its result was cut"] if any(each in raw for each in _CUT) else []
        missing += [_gone(raw)] if _GONE in raw else []
        return RecordedRun(
            number=0,
            name=text(end, "content") or text(start, "content") or text(start, "name") or "",
            arguments=details.get("arguments"),
            result=details.get("result"),
            outcome=text(end, "outcome"),
            exception=mapping(end, "exception"),
            task_id=self._task.task_id,
            start_ns=time_of(start or end) or 0,
            missing=missing,
        )


def _counted(views: Iterable[_View]) -> list[_View]:
    """The requests: what is only a further view of one gives it the content that it has not, what is around one is none."""
    by_span = {view.span_id: view for view in views}
    around = {text(view.details, INSIDE_CALL) for view in by_span.values()}
    found = []
    for view in by_span.values():
        same = by_span.get(text(view.details, SAME_CALL_AS) or "")
        if same is not None and same is not view:
            lent = {key: value for key, value in view.details.items() if key in _LENT and not same.details.get(key)}
            same.details |= lent
            same.raw += view.raw if "output" in lent else b""
        elif view.span_id not in around and SAME_CALL_AS not in view.details and _is_request(view):
            found.append(view)
    return found


_LENT = ("messages", "system", "tools", "output", "finish_reasons", "response_id", "response_model")
_VECTORS = "embeddings"


def _is_request(view: _View) -> bool:
    operation = text(view.details, "operation") or ""
    return operation not in NOT_INFERENCE or operation == _VECTORS


def _call(place: int, view: _View) -> RecordedCall:
    details, end = view.details, view.end
    call = RecordedCall(
        number=place,
        task_id=view.task.task_id,
        span_id=view.span_id,
        start_ns=view.start_ns,
        end_ns=view.end_ns,
        model=text(details, "model") or "",
        provider=(text(details, "provider") or "").lower(),
        operation=text(details, "operation") or "chat",
        is_stream=details.get("stream") is True,
        messages=messages_of(details),
        tools=[text(each, "name") or "" for each in objects(details, "tools")] if "tools" in details else None,
        parts=objects(details, "output"),
        usage={key: int(count) for key in USAGE_FIELDS if (count := number(details, key)) is not None},
        finish_reasons=texts(details, "finish_reasons"),
        response_id=text(details, "response_id"),
        response_model=text(details, "response_model"),
        is_open=not end,
        outcome=text(end, "outcome"),
        exception=mapping(end, "exception"),
    )
    for attempt in view.attempts:
        refusal = refusal_of(mapping(attempt, "exception"), call.provider)
        if refusal is not None:
            call.refusals.append(refusal)
    call.refusal = refusal_of(call.exception, call.provider)
    if call.refusal is not None and call.refusals and len(call.refusals) >= (number(details, "attempts") or 0):
        call.refusals.pop()  # the last attempt that failed is the end of the call
    call.missing, call.notes = list(_missing(call, view.raw)), list(_notes(call, view.raw))
    return call


def messages_of(details: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """System instructions and messages of a request, in one list; ``None`` where the messages are not there."""
    if not isinstance(details.get("messages"), list):
        return None
    system = objects(details, "system")
    found = [{"role": "system", "parts": [*system]}] if system else []
    return found + [{"role": text(each, "role") or "user", "parts": each.get("parts")} for each in objects(details, "messages")]


def _missing(call: RecordedCall, raw: bytes) -> Iterator[str]:
    if call.operation == _VECTORS:
        yield "the vectors of embeddings are not recorded"
    elif any(each in raw for each in _CUT):
        yield "its answer was cut when it was recorded (limits of values)"
    elif _GONE in raw:
        yield _gone(raw)
    elif call.is_open:
        yield "it has no end: its process died before the answer was recorded"
    elif not call.parts and call.refusal is None:
        if call.outcome == Outcome.COMPLETED.value and call.usage.get("output_tokens") == 0:
            return  # the model answered nothing
        yield "its answer was not recorded (call.record, content of the instrumentor)"


def _gone(raw: bytes) -> str:
    at = raw.find(b'"sha256":"')
    name = raw[at + 10 : at + 74].decode("ascii", "replace") if at >= 0 else "unknown"
    return f"artifacts/{name} is not in the folder"


def _notes(call: RecordedCall, raw: bytes) -> Iterator[str]:
    if call.messages is None:
        yield "what was asked was not recorded, so it is answered in order and not compared"
    if _REDACTED in raw:
        yield "secrets were taken out of the answer; the program gets placeholders for them"
    if not call.by_server:
        yield f"the local server does not stand in for {call.provider}; decorated functions are answered, anything else runs"
    if call.refusal is not None and call.refusal.status is None:
        yield "the connection was lost; the program's client tries again as often as it is set to"
    if not call.usage and call.refusal is None:
        yield "tokens were not recorded; to Anthropic's client they are 0"


def _ranges(numbers: list[int]) -> str:
    """``1-4, 7`` for 1, 2, 3, 4, 7."""
    found: list[list[int]] = []
    for each in numbers:
        if found and each == found[-1][1] + 1:
            found[-1][1] = each
        else:
            found.append([each, each])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)

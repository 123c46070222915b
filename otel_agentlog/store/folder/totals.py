"""The figures of ``04-final-result.json``, as they follow from a task's lines, and the spans that are still open in them.

The writer feeds a `Tally` as it writes and recovery replays the folder into one: the same code, so the same figures.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeAlias

from otel_agentlog._interrupts import first_of, raise_interrupt
from otel_agentlog.store.folder.layout import parse_timestamp
from otel_agentlog.store.folder.reader import TaskReader, whole
from otel_agentlog.vocabulary.actions import HANDED_OVER
from otel_agentlog.vocabulary.coerce import bounded, mapping, number, text
from otel_agentlog.vocabulary.event_ids import EVENT_ID
from otel_agentlog.vocabulary.lines import GIVEN_BY_CALLERS, INSIDE_CALL, SAME_CALL_AS, Line
from otel_agentlog.vocabulary.states import ERROR_LEVELS
from otel_agentlog.vocabulary.usage import USAGE_FIELDS

METRICS = (
    "cost_usd",
    *USAGE_FIELDS,
    "duration_seconds",
    "ai_calls",
    "tool_runs",
    "steps",
    "retries",
    "errors",
    "memory_peak_mb",
    "cpu_seconds",
)
"""The keys of ``metrics``, in the order they have in the file."""

Counter: TypeAlias = Literal["ai_calls", "tool_runs", "steps"]


_LOCK_WAIT_S = 1.0
"""Longest time, in seconds, to wait for a lock: at the end of the interpreter a daemon thread may have stopped with it."""


def replay(task: TaskReader) -> Tally:
    """Return the tally of all lines in a task's folder."""
    tally = Tally()
    for line in chain(task.webhook_flow(), task.events()):
        # A writer counts lines before it moves what is too large into artifacts.
        tally.add(whole(line, task))
    return tally


class OpenSpan(NamedTuple):
    """A span that has started and not ended: what it takes to close it. Values as on the start line."""

    type: str | None
    name: str | None
    """Span name."""
    message: str | None
    """Name for people."""
    component: str | None
    timestamp: str | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    task_id: str | None
    step_id: str | None
    event_id: str | None
    content: str | None
    """The tool's name, on a tool run."""
    state_after: str | None
    """Where it stood last: that of the start line, moved on by later lines."""


_OPEN_KEYS = OpenSpan._fields
_TEXT_OR_NOTHING = frozenset((str, type(None)))


COUNTED: Mapping[str, Counter] = {
    "ai_request": "ai_calls",
    "ai_response": "ai_calls",
    "tool_call": "tool_runs",
    "tool_result": "tool_runs",
    "step": "steps",
}
"""What a line counts as, by its type."""


class _Open(NamedTuple):
    counter: Counter
    inside: str | None


_OPENED: Mapping[str, _Open] = {
    line_type: _Open(counter, None) for line_type, counter in COUNTED.items() if line_type in ("ai_request", "tool_call", "step")
}
_UNREAD = OpenSpan._make([None] * len(_OPEN_KEYS))
"""An open span of which nothing is read: the writer only asks whether there are any."""
_NO_DETAILS: dict[str, Any] = {}


class Runs:
    """Which spans count as an AI call, a tool run or a step, the same for totals, tree and index.

    The end line decides: its type says what it was. What is still open counts by its start line. One request to a model may be
    seen by several (``docs/decisions/0035-one-call-counted-once.md``): `SAME_CALL_AS` and `INSIDE_CALL` say so. `start` and `end`
    take the lines in their order; one small entry is kept for each open span.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._around: set[str] = set()
        """Open spans inside which a call ended that counts."""
        self._seconds: set[str] = set()
        """Open AI spans inside one that has ended and counts: further views of its call."""

    def start(self, span_id: str, line_type: str | None, details: Mapping[str, Any]) -> None:
        """Note a start line."""
        counter = COUNTED.get(line_type or "")
        if counter is not None and span_id not in self._open:
            self._open[span_id] = _Open(counter, details.get(INSIDE_CALL))

    def start_plain(self, span_id: str, line_type: str) -> bool:
        """Note a start line that is inside no other call; false if it is none that counts. Safe without a lock."""
        opened = _OPENED.get(line_type)
        if opened is not None:
            self._open[span_id] = opened
        return opened is not None

    def end_plain(self, span_id: str, line_type: str) -> Counter | None:
        """What an end line counts as that fits its start line and is of no AI call, else ``None``. Safe without a lock."""
        opened = self._open.get(span_id)
        if opened is None or opened.counter == "ai_calls" or COUNTED.get(line_type) != opened.counter:
            return None
        self._open.pop(span_id, None)
        return opened.counter

    def forget(self, span_id: str) -> Counter | None:
        """No longer keep an open span; what it counts as, as far as that is known."""
        opened = self._open.pop(span_id, None)
        return None if opened is None else opened.counter

    def end(self, span_id: str, line_type: str | None, details: Mapping[str, Any]) -> Counter | None:
        """What this end line counts as; ``None`` if as nothing."""
        opened, counter = self._open.pop(span_id, None), COUNTED.get(line_type or "")
        if counter is None and opened is not None and line_type != "span":
            counter = opened.counter  # no library's span ends like that: the line is damaged
        if counter != "ai_calls" and (opened is None or opened.counter != "ai_calls"):
            return counter
        return self._ai_ended(span_id, opened, counter, details)

    def _ai_ended(
        self, span_id: str, opened: _Open | None, counter: Counter | None, details: Mapping[str, Any]
    ) -> Counter | None:
        around, second = span_id in self._around, span_id in self._seconds
        self._around.discard(span_id)
        self._seconds.discard(span_id)
        # What its own writer ended says what it used, and whether it counts; what was closed by recovery does not.
        if details.get(SAME_CALL_AS) or ((around or second) and "cost_usd" not in details):
            counter = None if counter == "ai_calls" else counter
        inside = details.get(INSIDE_CALL) or (opened.inside if opened is not None else None)
        if isinstance(inside, str) and inside in self._open and (counter == "ai_calls" or around):
            self._around.add(inside)
        if counter == "ai_calls":
            # Of a copy, here and below: other threads note starts meanwhile.
            self._seconds.update(each for each, other in self._open.copy().items() if other.inside == span_id)
        return counter

    def still_open(self) -> dict[str, Counter]:
        """What counts of the spans that have not ended, by span id."""
        left_out, opened = self._around | self._seconds, self._open.copy()
        left_out.update(other.inside for each, other in opened.items() if other.inside and each not in self._seconds)
        return {each: other.counter for each, other in opened.items() if each not in left_out}


class Tally:
    """Running figures of one task. `add` every line of ``02`` and ``03`` as it comes, from any thread.

    Keeps a few numbers, one entry for each open span, writer and distinct error; never the content of a line.
    """

    def __init__(self, most: int | None = None) -> None:
        """``most`` is how many open spans and distinct errors are remembered, for a task that goes on for long; ``None``: all.

        With ``most`` it is the tally of one writer, which knows its own numbers: `writers` stays empty.
        """
        self._most = most
        # Re-entrant: a signal handler or a finaliser may record while its own thread is in here.
        self._lock = threading.RLock()
        self.lines = 0
        """Lines added."""
        self.open_spans: dict[str, OpenSpan] = {}
        """Spans that have started and not ended, by span id, in the order they started."""
        self.writers: dict[str, int] = {}
        """Highest number of each writer tag."""
        self.first_seen: str | None = None
        """Earliest timestamp of a line."""
        self.last_seen: str | None = None
        """Latest timestamp of a line."""
        self.task_outcome: str | None = None
        """Outcome on the task's end line, once it is there."""
        self._runs = Runs()
        self._counts = dict.fromkeys(("ai_calls", "tool_runs", "steps", "retries", "errors"), 0)
        self._tokens = dict.fromkeys(USAGE_FIELDS, 0)
        self._cost: float | None = None
        self._unpriced = False
        self._answered = False
        """Whether an AI call ended."""
        self._finish_reasons: list[object] = []
        """Of the last answer that has some."""
        self._error_ids: dict[str, None] = {}
        self._retried: dict[str, list[int]] = {}
        self._duration_ms: float | None = None
        self._started: str | None = None
        self._was_handed_over = False
        self._memory_peak_mb: float | None = None
        self._cpu_seconds: float | None = None

    def add(self, line: Line) -> None:
        """Count one line. Takes any mapping with string keys; values of the wrong kind count as absent."""
        phase, at, is_error = line.get("phase"), line.get("timestamp"), line.get("level") in ERROR_LEVELS
        # Times of one format sort as text. Without a call in between, so without the lock: nothing else comes in between either.
        self.lines += 1
        if type(at) is str:
            last, first = self.last_seen, self.first_seen
            if last is None or at > last:
                self.last_seen = at
            if first is None or at < first:
                self.first_seen = at
        if self._most is None or is_error:
            self._count(line, is_error)
        elif phase:
            if not self._count_plain(line, phase):
                self._count(line, is_error)
        elif "state_after" in line or line.get("type") == "attempt":
            self._count(line, is_error)

    def _count_plain(self, line: Line, phase: object) -> bool:
        """Count, for a writer, a start or end line that has nothing out of the ordinary; false: that is to be done.

        Without the lock: each of these spans is one thread's business at a time, and sums are made without a call in between.
        """
        line_type, span_id, details = line.get("type"), line.get("span_id"), line.get("details", _NO_DETAILS)
        if type(details) is not dict or type(span_id) is not str or type(line_type) is not str:
            return False
        if phase == "start":
            return INSIDE_CALL not in details and self._start_plain(span_id, line_type)
        if phase != "end" or details.get("attempts", 1) != 1 or span_id in self._retried:
            return False
        counter = self._runs.end_plain(span_id, line_type)
        if counter is not None:
            self._counts[counter] += 1
            self.open_spans.pop(span_id, None)
        return counter is not None

    def _start_plain(self, span_id: str, line_type: str) -> bool:
        spans = self.open_spans
        if span_id in spans or len(spans) >= (self._most or 0) or not self._runs.start_plain(span_id, line_type):
            return False
        spans[span_id] = _UNREAD
        return True

    def _count(self, line: Line, is_error: bool) -> None:
        kind, phase = line.get("type"), line.get("phase")
        taken: list[bool] = []
        try:
            # As `take`, without a call.
            taken.extend(map(self._lock.acquire, (True,), (_LOCK_WAIT_S,)))
            if self._most is None:
                self._note_writer(line.get("event_id"))
            if phase == "start":
                self._start(line)
            elif phase == "end":
                self._end(line)
            elif kind == "attempt":
                self._attempt(line)
            elif "state_after" in line:
                self._move(line)
            if is_error:
                self._error(line)
        finally:
            if any(taken):
                self._lock.release()

    def metrics(self, end: Line | None = None) -> dict[str, Any]:
        """Return the figures so far, with the keys of `METRICS`.

        ``cost_usd`` is ``None`` if a call's price is unknown and none is known. The duration is that of the task's end line, or
        of a task that was handed over from its first start to that; if there was none, that of `end` (the line that ended the
        task in its place), else the time from start to latest line.
        """
        with self._lock:
            found: dict[str, Any] = {**dict.fromkeys(METRICS), **self._counted()}
            found["cost_usd"] = self._total_cost()
            found["duration_seconds"] = self._duration(number(end or {}, "duration_ms"))
            found["memory_peak_mb"] = self._memory_peak_mb
            found["cpu_seconds"] = self._cpu_seconds
        return found

    def used(self, is_error: bool = False, error_id: str | None = None) -> dict[str, Any]:
        """What the task came to so far, for its end line, which is an error itself, with this id, or none: counts, and where AI
        calls ended tokens, cost and why the last answer ended."""
        with self._lock:
            counted = self._counted()
            found: dict[str, Any] = {key: counted[key] for key in self._counts}
            found["errors"] += is_error and (error_id is None or error_id not in self._error_ids)
            if not self._answered:
                return found
            found |= {key: counted[key] for key in ("input_tokens", "output_tokens")}
            reasons = [reason for reason in self._finish_reasons if isinstance(reason, str)]
            return {**found, "cost_usd": self._total_cost(), **({"finish_reasons": reasons} if reasons else {})}

    def _counted(self) -> dict[str, int]:
        """Tokens and counts, with what is still open; with the lock held."""
        found = {**self._tokens, **self._counts}
        for counter in self._runs.still_open().values():
            found[counter] += 1
        return {key: bounded(count) for key, count in found.items()}

    def _note_writer(self, event_id: object) -> None:
        if isinstance(event_id, str) and (match := EVENT_ID.fullmatch(event_id)) is not None:
            self.writers[match[1]] = max(int(match[2]), self.writers.get(match[1], -1))

    def _start(self, line: Line) -> None:
        opened = OpenSpan._make(map(line.get, _OPEN_KEYS))
        if not _TEXT_OR_NOTHING.issuperset(map(type, opened)):
            opened = OpenSpan._make([value if isinstance(value, str) else None for value in opened])
        span_id, details = opened.span_id, line.get("details")
        if span_id is None or span_id in self.open_spans:
            return
        self.open_spans[span_id] = opened
        if self._most is not None and len(self.open_spans) > self._most:
            # The first is the task's own.
            forgotten = list(self.open_spans)[1]
            del self.open_spans[forgotten]
            if (counter := self._runs.forget(forgotten)) is not None:
                self._counts[counter] += 1
        self._runs.start(span_id, opened.type, details if type(details) is dict else {})
        if opened.type == "task" and self._started is None:
            self._started = opened.timestamp

    def _end(self, line: Line) -> None:
        # What is no text is as nothing; asked without a call, as every end passes here.
        given, identity, found = line.get("type"), line.get("span_id"), line.get("details")
        line_type, span_id = given if type(given) is str else "", identity if type(identity) is str else ""
        details: Mapping[str, Any] = found if type(found) is dict else {}
        self.open_spans.pop(span_id, None)
        counter = self._runs.end(span_id, line_type, details)
        if counter is not None:
            self._counts[counter] += 1
        if line_type == "ai_response":
            self._usage(details)
        elif line_type in ("task", "segment"):
            self._process_figures(mapping(details, "metrics"))
        if line_type == "task":
            self.task_outcome = text(line, "outcome")
            took_s = self._between(text(line, "timestamp")) if self._was_handed_over else None
            self._duration_ms = number(line, "duration_ms") if took_s is None else took_s * 1e3
        if "attempts" in details or span_id in self._retried:
            self._attempts_in_all(span_id, number(details, "attempts"))

    def _usage(self, details: Mapping[str, Any]) -> None:
        for field in USAGE_FIELDS:
            count = details.get(field)
            if type(count) is int:
                self._tokens[field] += count
        cost = number(details, "cost_usd")
        if cost is None:
            self._unpriced = True
        else:
            self._cost = (self._cost or 0.0) + cost
        self._answered = True
        reasons = details.get("finish_reasons")
        if reasons and type(reasons) is list:
            self._finish_reasons = reasons

    def _process_figures(self, figures: Mapping[str, Any]) -> None:
        """Processes follow each other on one task: the highest memory, the sum of CPU time."""
        memory, cpu = number(figures, "memory_peak_mb"), number(figures, "cpu_seconds")
        if memory is not None:
            self._memory_peak_mb = max(memory, self._memory_peak_mb or 0.0)
        if cpu is not None:
            self._cpu_seconds = (self._cpu_seconds or 0.0) + cpu

    def _attempt(self, line: Line) -> None:
        """Count retries. After ``attempt_failed`` another attempt follows unless it was the last one allowed."""
        details = mapping(line, "details")
        this, maximum = number(details, "number"), number(details, "maximum")
        if line.get("action") == "attempt_failed" and (this is None or maximum is None or this < maximum):
            which = 0
        elif line.get("action") == "attempt_started" and this is not None and this > 1:
            which = 1
        else:
            return
        # One retry may be on two lines: the failure before it, and its start.
        noted = self._retried.setdefault(text(line, "span_id") or "", [0, 0])
        before = max(noted)
        noted[which] += 1
        self._counts["retries"] += max(noted) - before

    def _attempts_in_all(self, span_id: str, attempts: float | None) -> None:
        noted = self._retried.pop(span_id, None)
        if attempts is not None:
            self._counts["retries"] += max(0, int(attempts) - 1 - max(noted or (0,)))

    def _move(self, line: Line) -> None:
        if line.get("action") == HANDED_OVER and line.get("type") == "state":
            self._was_handed_over = True
        span_id, state = text(line, "span_id") or "", text(line, "state_after")
        if span_id in self.open_spans and state is not None and line.get("type") not in GIVEN_BY_CALLERS:
            self.open_spans[span_id] = self.open_spans[span_id]._replace(state_after=state)

    def _error(self, line: Line) -> None:
        """Count an error once, however many lines it passes through on its way up."""
        error_id = text(mapping(line, "exception"), "error_id")
        if error_id is not None:
            if error_id in self._error_ids:
                return
            self._error_ids[error_id] = None
            if self._most is not None and len(self._error_ids) > self._most:
                self._error_ids.pop(first_of(self._error_ids) or "", None)
        self._counts["errors"] += 1

    def _total_cost(self) -> float | None:
        if self._cost is None:
            return None if self._unpriced else 0.0
        # Sums of prices carry the noise of binary fractions; a ten-billionth of a dollar is below every price list.
        return round(self._cost, 10)

    def _duration(self, given_ms: float | None) -> float | None:
        known_ms = given_ms if self._duration_ms is None else self._duration_ms
        if known_ms is not None:
            return round(known_ms / 1000, 6)
        return self._between(self.last_seen)

    def _between(self, last_seen: str | None) -> float | None:
        """Seconds from the start of the task."""
        try:
            began, last = parse_timestamp(self._started or self.first_seen or ""), parse_timestamp(last_seen or "")
        except ValueError:
            raise_interrupt()
            return None
        return round(max(0, last - began) / 1e9, 6)

"""The recorder: each line is cleaned once, given its ids, and passed to every sink.

It is also the error boundary. Nothing that a processor, a convention, a span processor or a sink raises leaves this module,
except `KeyboardInterrupt` and its like; it is counted in `Recorder.failures`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from otel_agentlog._interrupts import ABANDONED, WeakValues, end_abandoned, raise_interrupt
from otel_agentlog.record.collaborators import Clocks, Failures, Lookups, Spans, Tasks
from otel_agentlog.record.redaction.text_streams import Guard
from otel_agentlog.record.sanitize.line import keep_own
from otel_agentlog.vocabulary.coerce import untagged
from otel_agentlog.vocabulary.envelope import Envelope, Processor, Sink, TaskRef
from otel_agentlog.vocabulary.event_ids import KEY, EventIds
from otel_agentlog.vocabulary.lines import LINE_TYPES, Line, timestamp

if TYPE_CHECKING:
    from otel_agentlog.record.redaction.private import Privacy

_KEPT_OF_A_FAILED_LINE = frozenset({"timestamp", "type", "level", "phase", "component", "action", "outcome", "duration_ms"}) | {
    "state_before",
    "state_after",
}
_FAILED = "[redacted: processor failed]"


class CleanValue(Protocol):
    """A value made safe."""

    value: Any
    redacted: int
    truncated: int
    failed: int


class LineCleaner(Protocol):
    """Makes any value JSON-safe, bounded and free of secrets."""

    def clean(self, value: object, key: str | None = None) -> CleanValue: ...
    def plain(self, line: dict[str, Any]) -> dict[str, Any] | None: ...
    def text(self, text: str) -> tuple[str, int, int]: ...


class Cleaning:
    """What every line, value and text passes before it goes anywhere. Fails closed: what cannot be cleaned is left out."""

    def __init__(
        self,
        cleaner: LineCleaner | None = None,
        processors: Sequence[Processor] = (),
        new_guard: Callable[[], Guard] | None = None,
        *,
        private: bool = False,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        """``processors`` are the user's; they get each line after it was cleaned. With ``private`` content and personal data
        are left out (``redaction/private.py``)."""
        self._cleaner, self._processors, self._failed = cleaner, tuple(processors), failed
        self._private: type[Privacy] | None = None
        if private:
            from otel_agentlog.record.redaction.private import Privacy

            self._private = Privacy
        self.new_guard = new_guard
        """Makes what redacts a stream of text."""

    def line(self, line: Line, payload: dict[str, Any] | None = None, given: Line | None = None) -> Envelope:
        """An envelope with the clean line and payload; where a processor fails, with what cannot be secret of the line.

        ``given``: the part of the line that others chose, and that may hold anything; ``line`` then has only what is ours, and
        is changed. Without it all of the line may.
        """
        envelope = Envelope(line, None, 0)
        try:
            if self._cleaner is not None and (plain := self._cleaner.plain(line if given is None else given)) is not None:
                if given is None:
                    envelope.line = plain
                else:
                    line.update(plain)
            else:
                line.update(given or ())
                if self._cleaner is not None:
                    self._clean_carefully(envelope, self._cleaner)
            if payload is not None:
                envelope.payload = self._payload(envelope, payload)
            if self._private:
                _leave_out(envelope, self._private())
            if self._processors:
                envelope.line = self._processed(envelope.line)
        except Exception as error:  # noqa: BLE001 - a processor is foreign code; fail closed: no data leaves uncleaned
            raise_interrupt()
            self._failed("processor", error)
            envelope.line = {key: line[key] for key in line if key in _KEPT_OF_A_FAILED_LINE} | {"message": _FAILED}
            envelope.payload = None
        return envelope

    def _clean_carefully(self, envelope: Envelope, cleaner: LineCleaner) -> None:
        line = envelope.line
        cleaned = cleaner.clean(line)
        if cleaned.redacted or cleaned.failed:
            cleaned = keep_own(line, cleaned, cleaner.clean)
        envelope.line, envelope.redacted, envelope.truncated = cleaned.value, cleaned.redacted, cleaned.truncated

    def _processed(self, line: Line) -> Line:
        """What the user's processors make of a line, cleaned again if it is no longer plain JSON; its timestamp stays first."""
        timestamp = line.get("timestamp")
        for processor in self._processors:
            line = processor(line)
        line = self._encodable(line)
        if timestamp is None or next(iter(line), None) == "timestamp":
            return line
        return {"timestamp": line.get("timestamp") or timestamp, **{key: line[key] for key in line if key != "timestamp"}}

    def _encodable(self, line: Line) -> Line:
        try:
            if orjson.dumps(line)[:1] == b"{":
                return line
        except (TypeError, RecursionError):
            raise_interrupt()
        if type(line) is not dict or self._cleaner is None:
            raise TypeError("a processor returned no line")
        cleaned: Line = keep_own(line, self._cleaner.clean(line), self._cleaner.clean).value
        return cleaned

    def _payload(self, envelope: Envelope, payload: dict[str, Any]) -> dict[str, Any]:
        if self._cleaner is None:
            return payload
        if (plain := self._cleaner.plain(payload)) is not None:
            return plain
        cleaned = self._cleaner.clean(payload)
        if cleaned.failed:
            cleaned = keep_own(payload, cleaned, self._cleaner.clean)
        envelope.redacted += cleaned.redacted
        envelope.truncated += cleaned.truncated
        result: dict[str, Any] = cleaned.value
        return result

    def is_clean(self, line: Line) -> bool:
        """Whether these values are clean as they are, so that a copy of them needs no cleaning."""
        return self._cleaner is None or self._cleaner.plain(line) is not None

    def value(self, value: Any) -> Any:
        """Any value, redacted and bounded, with numbers and bytes as they are; a marker where that fails."""
        if self._cleaner is None:
            return value
        try:
            clean = self._cleaner.clean(value).value
            return untagged(self._private().value(clean) if self._private else clean)
        except Exception as error:  # noqa: BLE001 - fail closed, as in `line`
            raise_interrupt()
            self._failed("processor", error)
            return _FAILED

    def text(self, text: str) -> str:
        """One string, redacted and bounded; a marker where that fails."""
        if self._cleaner is None:
            return text
        try:
            return self._cleaner.text(text)[0]
        except Exception as error:  # noqa: BLE001 - fail closed, as in `line`
            raise_interrupt()
            self._failed("processor", error)
            return _FAILED


def _leave_out(envelope: Envelope, privacy: Privacy) -> None:
    """Take what is private out of a clean line and its payload."""
    envelope.line = privacy.line(envelope.line)
    if envelope.payload is not None:
        metadata = envelope.payload.get("metadata")
        envelope.payload = {key: privacy.named(key, value) for key, value in envelope.payload.items() if key != "metadata"}
        if type(metadata) is dict:
            envelope.payload["metadata"] = privacy.line(metadata)
    envelope.redacted += privacy.left_out


class OpenTask(Protocol):
    """A task that runs in this process, for log lines that name its id."""

    @property
    def task(self) -> TaskRef | None: ...
    @property
    def task_id(self) -> str: ...
    @property
    def ended(self) -> bool: ...
    def ids(self) -> dict[str, str]: ...
    def carrier(self) -> dict[str, str]: ...


class Recorder:
    """Takes the lines of tasks, steps, AI calls, tool runs and loggers to the sinks. Safe from any thread."""

    def __init__(
        self,
        sinks: Sequence[Sink] = (),
        *,
        cleaning: Cleaning | None = None,
        spans: Spans | None = None,
        tasks: Tasks | None = None,
        lookups: Lookups | None = None,
        clocks: Clocks | None = None,
        failures: Failures | None = None,
        off: bool = False,
    ) -> None:
        """With ``off`` nothing is recorded: operations are current while they run, and that is all they do."""
        self.off = off
        noted, spans, clocks = failures or Failures(), spans or Spans(), clocks or Clocks()
        cleaning = cleaning or Cleaning(failed=noted.note)
        self.failures, self.failed = noted.counts, noted.note
        self.clean, self.clean_value, self.clean_text = cleaning.line, cleaning.value, cleaning.text
        self.is_clean = cleaning.is_clean
        self.new_guard = cleaning.new_guard
        self.tracer, self.conventions, self._count_items = spans.tracer, spans.conventions, spans.count_items
        self.spans = spans
        self.tasks, self.lookups = tasks or Tasks(), lookups or Lookups()
        self.clock, self.monotonic, self.measuring = clocks.clock, clocks.monotonic, clocks.measuring
        self.open_tasks: WeakValues[OpenTask] = WeakValues()
        self.sinks = sinks
        self._items_of = {
            (kind, phase): self._count_items({"type": kind, "phase": phase})
            for kind, phase in LINE_TYPES
            if kind != "ai_response"
        }
        """By type and phase, how many OTLP items a line without an exception completes; of an AI call its details decide, too."""
        self._event_ids = EventIds(first=0)
        """Of lines outside every task."""
        self.log_lines: dict[tuple[Any, ...], tuple[Line | None, object]] = {}
        """What log lines from one place in the code have in common (`otel_agentlog.record.logs.line.known_line`)."""

    @property
    def sinks(self) -> Sequence[Sink]:
        """In the order in which they get an envelope: those that keep lines first."""
        return (*self._keepers, *self._others)

    @sinks.setter
    def sinks(self, sinks: Sequence[Sink]) -> None:
        self._keepers = tuple(sink for sink in sinks if getattr(sink, "keeps_lines", False))
        self._others = tuple(sink for sink in sinks if sink not in self._keepers)
        self.active = bool(sinks)
        """Whether anything is kept or sent; false until `configure` was called."""

    def point(
        self,
        line: Line,
        task: TaskRef | None,
        ids: Mapping[str, str],
        *,
        payload: dict[str, Any] | None = None,
        sampled: bool = True,
        own: Line | None = None,
    ) -> Envelope:
        """Record a line that is neither start nor end of a span; ``sampled`` says whether the span around it is.

        ``own``: what is ours of the line, as for `Cleaning.line`, its ``timestamp`` first; it is changed.
        """
        if self.off:
            return Envelope(line, task, 0)
        time_ns = self.clock()
        if own is None:
            own = {}
        own["timestamp"] = timestamp(time_ns)
        envelope = self.clean(own, payload, line)
        envelope.line.update(ids)
        envelope.task, envelope.time_ns, envelope.sampled = task, time_ns, sampled
        self.deliver(envelope)
        return envelope

    def deliver(self, envelope: Envelope) -> None:
        """Number a clean line and hand it to every sink; one that fails costs only itself."""
        if ABANDONED:
            end_abandoned()
        task, line = envelope.task, envelope.line
        others = iter(self._others)
        try:
            line.update(zip(KEY, (self._event_ids if task is None else task.event_ids).each))  # noqa: B905 - it takes as long again
            items = (
                None
                if envelope.webhook or "exception" in line
                else self._items_of.get((str(line.get("type")), line.get("phase")))
            )
            envelope.items = self._count(envelope) if items is None else items
            try:
                # A copy, so that it has no more memory than it needs: what orjson gives keeps part of its buffer.
                envelope.data = orjson.dumps(line) + b"\n"
            except (TypeError, RecursionError):
                raise_interrupt()  # not clean, as in tests without a cleaner; a sink that needs the bytes fails for itself
            for sink in self._keepers:
                try:
                    sink(envelope)
                    envelope.kept = True
                except Exception as error:  # noqa: BLE001 - the boundary: a full disk must not reach the agent
                    raise_interrupt()
                    self.failed(getattr(sink, "name", "sink"), error)
            for sink in others:
                try:
                    sink(envelope)
                except Exception as error:  # noqa: BLE001 - as above
                    raise_interrupt()
                    self.failed(getattr(sink, "name", "sink"), error)
        except BaseException:
            # A line that has a number reaches the folder, so that no number is missing there.
            if self._keepers and "event_id" in line:
                self._deliver_rest(envelope, others)
            raise

    def _count(self, envelope: Envelope) -> int:
        """How many OTLP items a line completes."""
        line = envelope.line
        return 0 if envelope.webhook else self._count_items(line)

    def _deliver_rest(self, envelope: Envelope, others: Iterator[Sink]) -> None:
        """Deliver an envelope after an interrupt: once more to the sinks that keep lines, and to the ``others`` that follow."""
        envelope.again = True
        envelope.items = self._count(envelope)
        for sink in (*self._keepers, *others):
            try:
                sink(envelope)
                envelope.kept = envelope.kept or sink in self._keepers
            except Exception as error:  # noqa: BLE001 - as in `deliver`
                raise_interrupt()
                self.failed(getattr(sink, "name", "sink"), error)


_lock = threading.Lock()
_current = Recorder()


def recorder() -> Recorder:
    """The recorder in use."""
    return _current


def use(new: Recorder) -> Recorder:
    """Put another recorder in use and return the one before."""
    global _current
    with _lock:
        before, _current = _current, new
    return before

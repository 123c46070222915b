"""What task, step, AI call and tool run have in common: a start, an end, a span, a place in the context.

Each is one object with four faces: ``with`` / ``async with``, decorator, and ``start()`` / ``end()``. It ends exactly once,
whatever ends it, and lets every exception pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, format_span_id, format_trace_id

from otel_agentlog.errors import StateError
from otel_agentlog.record import resources as measuring
from otel_agentlog.record.operations import open_operations as exits
from otel_agentlog.record.operations.context import (
    Place,
    bound_attributes,
    current_context,
    generator_place,
    inside,
    operation_in,
    restore,
)
from otel_agentlog.record.operations.decorators import decorate
from otel_agentlog.record.operations.outcome import LEVELS, describe, is_error, judge, outcome_of
from otel_agentlog.record.operations.span import close_span, foreign_attributes, foreign_events, ids_of, open_span
from otel_agentlog.record.recorder import Recorder, recorder
from otel_agentlog.record.sanitize.keys import own_dict
from otel_agentlog.vocabulary.actions import Kind
from otel_agentlog.vocabulary.envelope import Envelope, TaskRef
from otel_agentlog.vocabulary.lines import Line, timestamp
from otel_agentlog.vocabulary.states import LEGAL_MOVES, Outcome, State

Self = TypeVar("Self", bound="Operation")
Function = TypeVar("Function", bound=Callable[..., Any])


class Operation:
    """Base of `Task`, `Step`, `AiCall` and `ToolRun`. Not made directly."""

    kind: ClassVar[Kind]

    def __init__(self, name: str, *, attributes: Mapping[str, Any] | None = None, component: str | None = None) -> None:
        self.name = name
        self.state = State.PENDING
        self.span: Span = INVALID_SPAN
        self.task: TaskRef | None = None
        self.step_id: str | None = None
        # The context of its parent, maybe in another process; and the one that was current here and will be again.
        self.outer = self.around = otel_context.Context()
        self.place: Place | None = None
        self.start_ns = 0
        self._component = component
        self._attributes: dict[str, Any] = own_dict(attributes, "attributes")
        self._recorder: Recorder = recorder()
        self._monotonic_start = 0
        self._attached: Context | None = None
        self._error: BaseException | None = None
        self.sent: Mapping[str, Any] = {}
        self._meter: measuring.Meter | None = None
        self._tokens = [None]
        """Popped by the one caller that may end this operation; popping a list is atomic."""

    def _copy(self: Self) -> Self:
        """A fresh operation of the same description, for each call of a decorated function."""
        raise NotImplementedError

    def _start_fields(self) -> dict[str, Any]:
        return {"details": {}}

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        return {"details": {}}

    def _start_payload(self) -> dict[str, Any] | None:
        return None

    def _end_payload(self) -> dict[str, Any] | None:
        return None

    def _settle(self, context: Context, around: Operation | None) -> Context:
        """Find out where this operation belongs; returns the context to become a child of."""
        if around is not None:
            self.task, self.step_id = around.task, around.step_id
        return context

    def _started(self, envelope: Envelope) -> None:
        """Called with the complete start line before it is delivered."""

    def _ending(self) -> None:
        """Called before the end line is built; `_finished` after it was delivered."""

    def _finished(self, outcome: Outcome) -> None: ...

    @property
    def pending_webhook(self) -> Any:
        """The webhook this is, as long as no task was created in it."""
        return None

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return not self._tokens

    @property
    def is_current(self) -> bool:
        """Whether it is open and, in a generator, that generator is running."""
        return bool(self._tokens) and not (self.place is not None and self.place.suspended)

    @property
    def trace_id(self) -> str:
        """32 hex digits; all zero before the start."""
        return format_trace_id(self.span.get_span_context().trace_id)

    @property
    def span_id(self) -> str:
        """16 hex digits; all zero before the start."""
        return format_span_id(self.span.get_span_context().span_id)

    def set(self: Self, **attributes: Any) -> Self:
        """Add attributes of your own; they stand on the span and in the folder."""
        self._attributes.update(attributes)
        return self

    def set_attribute(self, key: str, value: Any) -> None:
        """Add one attribute whose name is not a Python identifier."""
        self._attributes[key] = value

    def start(self: Self) -> Self:
        """Begin, without becoming current; for work whose start and end are not in one block.

        Raises:
            StateError: it has begun already, or it is a task to be resumed that has ended.
        """
        self._move(State.RUNNING, allowed_from=State.PENDING)
        try:
            self._begin(current_context())
        except StateError:
            self.state = State.PENDING
            raise
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            self._recorder.failed("record", error)
        return self

    def end(self, outcome: Outcome | str | None = None, *, error: BaseException | None = None, reason: str | None = None) -> None:
        """End it. Without an outcome, ``error`` decides; without either it is completed.

        Raises:
            StateError: it has not begun, or has ended already.
        """
        if self.state is State.PENDING:
            raise StateError(f"cannot end {self.kind.word} {self.name!r}: it has not begun")
        wanted = None if outcome is None else outcome_of(outcome)
        if not self._finish(wanted, error, reason):
            raise StateError(f"cannot end {self.kind.word} {self.name!r}: it has ended already ({self.state})")

    def __enter__(self: Self) -> Self:
        self._enter(generator_place(1))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._finish(None, error, None)

    async def __aenter__(self: Self) -> Self:
        self._enter(generator_place(1))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._finish(None, error, None)

    def __call__(self, function: Function) -> Function:
        """Decorate a function, coroutine, generator, async generator or method."""
        return decorate(self._copy, function)

    def __del__(self) -> None:
        # A manual start() whose object was dropped, or a generator collected after its loop was closed.
        if getattr(self, "_tokens", None) and self.state is State.RUNNING:
            self._finish(Outcome.CANCELLED, None, "abandoned")

    def point(self, line: Line, payload: dict[str, Any] | None = None) -> None:
        """Record a line of its own in this operation's span; never raises."""
        try:
            self._recorder.point(line, self.task, self.ids(), payload=payload)
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            self._recorder.failed("record", error)

    def yielded(self, item: Any) -> None:
        """Told by the decorator what a generator yielded."""

    def called(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Told by the decorator what is about to be called."""

    def returned(self, result: Any) -> None:
        """Told by the decorator what the call returned."""

    def finish_quietly(self, error: BaseException | None) -> None:
        """End it unless it has ended, as leaving a ``with`` block does."""
        self._finish(None, error, None)

    def _enter(self, place: Place | None) -> None:
        self.start()
        try:
            self.place = place
            self._attached = inside(self)
            otel_context.attach(self._attached)
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            self._recorder.failed("record", error)

    def _move(self, to: State, allowed_from: State | None = None) -> State:
        before = self.state
        if to not in LEGAL_MOVES[before] or (allowed_from is not None and before is not allowed_from):
            raise StateError(f"{self.kind.word} {self.name!r} cannot move from {before} to {to}")
        self.state = to
        return before

    def _begin(self, context: Context) -> None:
        self.around = current_context()
        record = self._recorder = recorder()
        self.start_ns = record.clock()
        self.outer = self._settle(context, operation_in(context))
        # Anew: what was begun while settling, such as a queue pickup, lies around this.
        self.start_ns, self._monotonic_start = record.clock(), record.monotonic()
        self._meter = measuring.begin(self.kind, record)
        line = self._line("start", self.start_ns, "INFO", self.kind.started, State.PENDING, State.RUNNING, self._start_fields())
        envelope = record.clean(line, self._start_payload())
        open_span(self, record, envelope)
        self._started(envelope)
        with exits.opening(self):
            record.deliver(envelope)

    def _line(
        self, phase: str, time_ns: int, level: str, action: str, before: State, after: State, fields: dict[str, Any]
    ) -> Line:
        line: Line = {
            "timestamp": timestamp(time_ns),
            "type": self.kind.start_type if phase == "start" else self.kind.end_type,
            "level": level,
            "phase": phase,
            "component": str(self._component or self.kind.component),
            "action": action,
            "message": self.name,
            "state_before": before.value,
            "state_after": after.value,
            **fields,
        }
        if not line["details"]:
            del line["details"]
        own = {**bound_attributes(self.outer), **self._attributes} if phase == "start" else self._attributes
        self._attributes = {}
        line["attributes"] = own
        return line

    def ids(self) -> dict[str, str]:
        """The ids that stand on every line recorded here."""
        return ids_of(self.task, self.step_id, self.outer, self.span)

    def _finish(self, outcome: Outcome | None, error: BaseException | None, reason: str | None) -> bool:
        """End once; whether it was this call that ended it."""
        try:
            self._tokens.pop()
        except IndexError:
            return False
        if self._attached is not None:
            restore(self._attached, self.around)
        judged, judged_reason = judge(error)
        ending = outcome or judged
        self._error = error
        before, self.state = self.state, State(ending.value)
        if not exits.closed(self):
            return True  # begun before a fork: its end is the parent's to tell
        try:
            self._ending()
            self._deliver_end(before, ending, error, reason or judged_reason)
        except Exception as problem:  # noqa: BLE001 - recording never raises into the user's code
            self._recorder.failed("record", problem)
        return True

    def _deliver_end(self, before: State, outcome: Outcome, error: BaseException | None, reason: str | None) -> None:
        record = self._recorder
        elapsed_ns = max(0, record.monotonic() - self._monotonic_start)
        end_ns = self.start_ns + elapsed_ns
        fields: dict[str, Any] = {"outcome": outcome.value, "duration_ms": round(elapsed_ns / 1e6, 3)}
        fields.update({"reason": reason} if reason else {})
        if error is not None and is_error(outcome):
            fields["exception"] = describe(error, self.span.get_span_context().trace_id, record)
        fields.update(self._end_fields(outcome))
        measuring.add_figures(self.kind, self._meter, fields["details"], record)
        if events := foreign_events(self.span):
            fields["events"] = events
        foreign = foreign_attributes(self.span, self.sent)
        line = self._line("end", end_ns, LEVELS[outcome], self.kind.end_action(outcome), before, self.state, fields)
        line["foreign"] = {key: value for key, value in foreign.items() if key not in line["attributes"]}
        envelope = record.clean(line, self._end_payload())
        close_span(self, record, envelope, end_ns)
        self._finished(outcome)
        self._error = None

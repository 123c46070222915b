"""What task, step, AI call and tool run have in common: a start, an end, a span, a place in the context.

Each is one object with four ways of use: ``with`` / ``async with``, decorator, and ``start()`` / ``end()``. It ends exactly once,
whatever ends it, and lets every exception pass.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from operator import methodcaller
from types import FrameType, TracebackType
from typing import Any, ClassVar, NoReturn, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, format_span_id, format_trace_id, get_current_span

from otel_agentlog._interrupts import ABANDONED, end_abandoned, in_c, interrupt_in, is_interrupt, raise_interrupt, traceback_of
from otel_agentlog.errors import AgentlogError, StateError
from otel_agentlog.record.exceptions.class_info import short_name
from otel_agentlog.record.exceptions.error_id import new_error_id
from otel_agentlog.record.exceptions.fresh_stack import SHALLOW, is_deep, on_fresh_stack
from otel_agentlog.record.operations.context import (
    BOUND,
    ENTERING,
    GENERATOR_FLAGS,
    OPERATION,
    SPAN,
    GeneratorBlock,
    OperationScope,
    PlacedSpan,
    bound_attributes,
    entered_inside,
    generator_around,
    inside,
    live,
    operation_in,
    place_among_generators,
    restore,
    unended,
)
from otel_agentlog.record.operations.decorators import AroundGenerator, Decorator, Resumed
from otel_agentlog.record.operations.open_operations import OPEN, opened
from otel_agentlog.record.operations.outcome import LEVELS, describe, exit_code_of, judge, outcome_of
from otel_agentlog.record.operations.span import LightSpan, close_span, open_span, put_foreign
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.redaction.text_streams import Streams
from otel_agentlog.record.resources import MEASURED, Meter
from otel_agentlog.record.sanitize.keys import own_dict, plain_text
from otel_agentlog.record.sanitize.scores import given_note, given_score
from otel_agentlog.vocabulary.actions import SEGMENT, TASK, TOOL, Kind
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.functions import Around
from otel_agentlog.vocabulary.lines import Line, timestamp
from otel_agentlog.vocabulary.states import LEGAL_MOVES, STATE_OF, Outcome, State

Self = TypeVar("Self", bound="Operation")
Function = TypeVar("Function", bound=Callable[..., Any])

_FIRST = (0,)
_MOST_S = 366 * 86_400.0
"""What says that it has been running for longer is not believed."""
_NONE: Mapping[str, Any] = {}
"""For types of start lines, the key of the figures of resources in the ``details`` of the end."""
HAND_OVER_S = 86_400.0
"""How long, in seconds, a task that was handed over waits for its job before recovery calls it interrupted."""

_SHOWN_CHARS = 80
_WORDS = {state: state.value for state in State}


class Operation(Decorator):
    """Base of `Task`, `Step`, `AiCall` and `ToolRun`. Not made directly."""

    def __init__(self, name: str, *, attributes: Mapping[str, Any] | None = None, component: str | None = None) -> None:
        self._name = name if type(name) is str else plain_text(name)
        self._tokens = [None]
        if component is not None:
            self._component = component if type(component) is str else plain_text(component)
        self._attributes: dict[str, Any] = own_dict(attributes, "attributes") if attributes is not None else {}

    _component: str | None = None
    _sent: Mapping[str, Any] = _NONE
    """The attributes that we put on the span."""
    _monotonic_start = 0
    _ago_ns = 0
    """How long before its start line it began."""
    _meter: Meter | None = None
    _error: BaseException | None = None
    _end: tuple[Envelope, int] | None = None
    """Its end line and the time of that."""
    _payload: dict[str, Any] | None = None
    """Contents of whole files that belong to the line under way: set with its fields."""

    def _start_fields(self) -> dict[str, Any]:
        return {"details": {}}

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        return {"details": {}}

    def _settle(self, context: Context, around: OperationScope | None) -> Context:
        """Decide where this operation belongs, ``around`` being what is open here; returns the context to become a child of.

        Where no class has another, `_begin` does the same by itself: an operation is part of what it begins in.
        """
        if around is not None:
            self.task, self.step_id = around.task, around.step_id
        return context

    def _started(self, envelope: Envelope) -> None:
        """Called with the complete start line before it is delivered."""

    def _ending(self) -> None:
        """Called before the end line is built; `_finished` after it was delivered."""
        if self._texts is not None:
            self._texts.record_rest(self._recorder, self.task, self.span_id)

    _texts: Streams | None = None
    """Of the task, once chunks of a text were recorded here."""

    def ends_streams_of(self, streams: Streams) -> None:
        """Have what is held back of the texts in this operation recorded when it ends."""
        if self._texts is None:
            self._texts = streams
            vars(self)["_hooks"] = self._hooks | {"_ending"}

    def _finished(self, outcome: Outcome) -> None: ...

    _hooks: ClassVar[frozenset[str]] = frozenset()
    """Which of the four above a class has: the others are not called, as a call costs more than what they do."""
    _optional_hooks: ClassVar[frozenset[str]] = frozenset()
    """Of these, which are called only for an object that adds them to its own ``_hooks``."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        hooks = ("_settle", "_started", "_ending", "_finished")
        own = (name for name in hooks if getattr(cls, name) is not getattr(Operation, name))
        cls._hooks = frozenset(own) - cls._optional_hooks

    @property
    def trace_id(self) -> str:
        """32 hex digits; all zero before the start."""
        ids = self.own_ids
        return ids["trace_id"] if ids is not None else format_trace_id(self.span.get_span_context().trace_id)

    @property
    def span_id(self) -> str:
        """16 hex digits; all zero before the start."""
        ids = self.own_ids
        return ids["span_id"] if ids is not None else format_span_id(self.span.get_span_context().span_id)

    def set(self: Self, **attributes: Any) -> Self:
        """Add attributes of your own; they go on the span and into the folder."""
        self._attributes.update(attributes)
        return self

    def set_attribute(self, key: str, value: Any) -> None:
        """Add one attribute whose name is not a Python identifier."""
        self._attributes[key if type(key) is str else plain_text(key)] = value

    def environ(self, *, hand_over: bool = False) -> dict[str, str]:
        """The carrier as environment variables for a child process; merge it into a copy of ``os.environ``."""
        from otel_agentlog.record.carrier import environ

        return environ(self.carrier(hand_over=hand_over))

    def score(
        self,
        name: str,
        value: float | bool | str | None = None,
        *,
        label: str | None = None,
        explanation: str | None = None,
        by: str | None = None,
    ) -> None:
        """Record how well this was done, also after it has ended: ``score("quality", 0.8, by="judge")``; never raises.

        ``value`` is any number, a text is taken for the label, and a ``bool`` is 1 or 0. A later score of the same name, ``by``
        the same, replaces it. In OpenTelemetry it is the event ``gen_ai.evaluation.result`` of this span.
        """
        said = {"label": label, "explanation": explanation, "by": by, "source": "code"}
        try:
            self.point(given_score(name, value, {**said, "response_id": self._response_id}))
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)

    def note(self, text: str, *, by: str | None = None) -> None:
        """Record a remark on this, also after it has ended; never raises."""
        try:
            self.point(given_note(text, {"by": by, "source": "code"}))
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)

    def carrier(self, *, hand_over: bool = False, queue: str | None = None, within_s: float = HAND_OVER_S) -> dict[str, str]:
        """W3C headers that continue the task elsewhere, below this operation: ``agentlog.task(resume=carrier)``.

        With ``hand_over`` the task ends with what it is resumed in, and not here: it is ``pending`` from now on, and the end of
        its block ends the part of this process only. Each call is a job; the task ends with the last of them, failed if one
        failed. If nothing has taken it up ``within_s`` seconds from now, recovery ends it as interrupted. An error that leaves
        its block ends the task as failed, unless it was taken up before. ``queue`` is the name of the queue in which the carrier
        waits; how long it does is recorded when the task is taken up. Outside of every task the headers have the trace only.
        """
        scope: Any = self
        while scope is not None and not (scope.kind in (TASK, SEGMENT) and scope.task is self.task):
            scope = operation_in(scope.outer)
        if scope is not None:
            carrier: dict[str, str] = scope._carrier_at(self, hand_over, queue, within_s)
            return carrier
        from otel_agentlog.record.carrier import write_carrier  # which most programs never need

        try:
            return write_carrier(inside(self), self.ids())
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)
            return {}

    @property
    def _response_id(self) -> str | None:
        """Of a model's answer, which a score may be about."""
        return None

    def began(self: Self, seconds_ago: float) -> Self:
        """Say, before it starts, how long it has been running: for what is known of only now. What is no time changes nothing."""
        if type(seconds_ago) in (int, float) and 0 < seconds_ago <= _MOST_S:
            self._ago_ns = int(seconds_ago * 1e9)
        return self

    def start(self: Self) -> Self:
        """Begin, without becoming current; for work whose start and end are not in one block.

        Raises:
            StateError: it has begun already, or it is a task to be resumed that has ended.
        """
        try:
            sys._getframe(SHALLOW)
            deep = is_deep()
        except ValueError as shallow:
            if not shallow.args or (shallow.__traceback__ and shallow.__traceback__.tb_next):
                raise  # not of ours
            deep = False
        except RecursionError:
            deep = True
        if deep:
            return on_fresh_stack(self.start)
        if self.state is not State.PENDING:
            self._move(State.RUNNING, allowed_from=State.PENDING)  # which it may not
        self.state = State.RUNNING
        try:
            here = around = otel_context.get_current()
            scope: Any = here.get(OPERATION)
            if scope is None or not scope._tokens or scope.place is not None:
                # What is current where nothing is may be another one at the end.
                around = unended(here)
                self.place = place_among_generators(around)
                here = live(around)
            self._begin(here, around)
        except StateError:
            self.state = State.PENDING
            raise
        except BaseException as error:  # noqa: BLE001 - recording never raises into the user's code
            if is_interrupt(error):
                self._leave(error)
            self._recorder.failed("record", error)
        return self

    def _leave(self, error: BaseException) -> NoReturn:
        """Raise what interrupted the start: what has begun has ended with it, and what has not will not."""
        if self._is_begun:
            if self._tokens:
                opened(self)  # where that was interrupted
            self._finish(None, error, None)
        elif self._tokens:
            self._tokens.clear()
            self.state = State(judge(error)[0].value)
        found = interrupt_in(error) or error
        try:
            raise found
        finally:
            del error, found  # as in `raise_interrupt`

    def end(self, outcome: Outcome | str | None = None, *, error: BaseException | None = None, reason: str | None = None) -> None:
        """End it. Without an outcome, ``error`` decides; without either it is completed.

        Raises:
            StateError: it has not begun, or has ended already.
        """
        if self.state is State.PENDING:
            raise StateError(f"cannot end {self.kind.word} {self.name!r}: it has not begun")
        wanted = None if outcome is None else outcome_of(outcome)
        if error is not None and not issubclass(type(error), BaseException):
            error = AgentlogError(plain_text(error))
        if reason is not None and type(reason) is not str:
            reason = plain_text(reason)
        if not self._finish(wanted, error, reason):
            raise StateError(f"cannot end {self.kind.word} {self.name!r}: it has ended already ({self.state})")

    def __enter__(self: Self) -> Self:
        try:
            self.start()
            try:
                caller = sys._getframe(1)
                code = caller.f_code
                if code.co_flags & GENERATOR_FLAGS or code.co_name in ENTERING:
                    self.become_current(generator_around(caller))
                    return self
                if self.place is None:
                    self.place = None  # of its own: each line inside reads it, and what is of the class takes longer
                span = self.span if self.place is None else PlacedSpan(self)
                self._attached = Context({**self.outer, SPAN: span, OPERATION: self})
                otel_context.attach(self._attached)
            except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
                raise_interrupt()
                self._recorder.failed("record", error)
        except StateError:
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised again
            self._leave(error)
        return self

    def become_current(self, generator: FrameType | None) -> None:
        if generator is not None:
            self.place = GeneratorBlock(generator, () if self.place is None else self.place.beside)
        elif self.place is None:
            self.place = None  # as in `__enter__`
        self._attached = inside(self)
        otel_context.attach(self._attached)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._finish(None, error, None)
        except BaseException:
            # An interrupt, perhaps before anything was done. It has no name here, as in `raise_interrupt`: `_finish_left` looks
            # at the locals of this frame.
            self._finish(None, error or sys.exc_info()[1], None)
            del error, tb
            raise

    async def __aenter__(self: Self) -> Self:
        return self.__enter__()  # which looks for the caller of this

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.__exit__(kind, error, tb)

    def suspended(self, in_turns: bool) -> Around:
        """Stop being current without ending; returns what goes on with it, in turns if that is a generator."""
        if self._attached is not None:
            restore(self._attached, self.around)
            self._attached = None
        return AroundGenerator(self, begun=True) if in_turns else Resumed(self)

    _is_begun = False
    """Whether its start line has a number, so that an end line has to follow."""

    __del__ = in_c(methodcaller("_dropped"))
    _dropped: ClassVar[Callable[..., object]] = in_c(ABANDONED.append)
    """What is called with it when it is dropped; another callable once it has ended."""

    def abandoned(self) -> None:
        """End it: a manual start() whose object was dropped, or a generator collected after its loop was closed.

        What is paused stays so, as at the end of the process: another one may go on with it.
        """
        if not self._is_begun or not self._tokens:
            return
        if self.state is State.RUNNING:
            self._finish(Outcome.CANCELLED, None, "abandoned")
        else:
            self._forget()

    def _forget(self) -> None:
        """Take it out of what is open in this process."""
        OPEN.pop(id(self), None)

    def __copy__(self: Self) -> Self:
        """The same operation once more, to record in it, which only the original ends; before its start another one like it."""
        if not self._is_begun:
            return self._copy()
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied._tokens, copied._attached = [], None
        return copied

    def __deepcopy__(self: Self, memo: Mapping[int, Any]) -> Self:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self.name, self.span.get_span_context())

    def __repr__(self) -> str:
        return f"<{' '.join([type(self).__name__, *self._shown()])}>"

    def _shown(self) -> list[str]:
        """What people are shown of it in a line: name, state, how long."""
        try:
            name = self._recorder.clean_text(self._name)
            name = name if len(name) <= _SHOWN_CHARS else f"{name[: _SHOWN_CHARS - 1]}…"
            return [repr(name), self.state.value, *([f"{self._took_s():.1f}s"] if self.start_ns else [])]
        except Exception:  # noqa: BLE001 - a debugger may ask one that is only half made
            raise_interrupt()
            return ["?"]

    def _took_s(self) -> float:
        """Seconds from its start to its end, or until now."""
        until_ns = self._end[1] if self._end is not None else self.start_ns + self._recorder.monotonic() - self._monotonic_start
        return max(0.0, (until_ns - self.start_ns) / 1e9)

    @classmethod
    def _named(cls: type[Self], name: str) -> Self:
        """One of this name, of which nothing else is known."""
        return cls(name)

    def _move(self, to: State, allowed_from: State | None = None) -> State:
        before = self.state
        if to not in LEGAL_MOVES[before] or (allowed_from is not None and before is not allowed_from):
            raise StateError(f"{self.kind.word} {self.name!r} cannot move from {before} to {to}")
        self.state = to
        return before

    def _begin(self, context: Context, around: Context) -> None:  # noqa: C901 - in one piece, as every start passes here
        """Begin as a child of what is in ``context``; ``around`` is what is current here."""
        self.around = around
        record = self._recorder = recorder()
        scope: Any = context.get(OPERATION)
        if "_settle" in self._hooks:
            self.start_ns = record.clock() - self._ago_ns
            self.outer = self._settle(context, scope)
        else:
            self.outer = context
            if scope is not None:
                self.task, self.step_id = scope.task, scope.step_id
        # Anew: what was begun while settling, such as a queue pickup, lies around this.
        self.start_ns, self._monotonic_start = record.clock() - self._ago_ns, record.monotonic() - self._ago_ns
        if record.off:
            self.span = get_current_span(self.outer)
            return
        kind = self.kind
        if record.measuring is not None and kind.end_type in MEASURED:
            self._meter = record.measuring.begin(exact_cpu=kind is not TOOL)
        try:
            fields = self._start_fields()
        except Exception as error:  # noqa: BLE001 - what cannot be read of what was given must not cost the line
            raise_interrupt()
            record.failed("field", error)
            fields = {"details": {}}
        line = kind.start_line.copy()
        line["timestamp"] = timestamp(self.start_ns)
        # What is in `fields` from here on is cleaned, and the line is ours.
        fields["message"] = self._name
        if self._component:
            fields["component"] = self._component
        if not fields["details"]:
            del fields["details"]
        later: dict[str, Any] = {}
        fields["attributes"], self._attributes = self._attributes, later
        if BOUND in self.outer:
            fields["attributes"] = {**bound_attributes(self.outer), **fields["attributes"]}
        envelope = record.clean(line, self._payload, fields)
        self._payload = None
        self._sent = open_span(self, record, envelope)
        if "_started" in self._hooks:
            self._started(envelope)
        try:
            record.deliver(envelope)
        finally:
            # A line without a number reached no sink.
            if "event_id" in envelope.line:
                self._is_begun = True
                opened(self)

    def _finish(self, outcome: Outcome | None, error: BaseException | None, reason: str | None) -> bool:
        """End once; whether it was this call that ended it."""
        try:
            sys._getframe(SHALLOW)
            deep = is_deep()
        except ValueError as shallow:
            if not shallow.args or (shallow.__traceback__ and shallow.__traceback__.tb_next):
                raise  # not of ours
            deep = False
        except RecursionError:
            deep = True
        if deep:
            return self._finish_deep(outcome, error, reason)
        if ABANDONED:
            end_abandoned()
        mine: list[None] = []
        before, ours = self.state, id(self) in OPEN
        try:
            # In one step, so that it is known whose turn it is whenever a signal handler raises.
            mine.extend(map(self._tokens.pop, _FIRST))
            self._complete(before, ours, outcome, error, reason)
        except BaseException as problem:
            if mine:
                # An interrupt; what it was kept from is done now.
                self._complete(before, ours, outcome, error or problem, reason)
                raise
            if not isinstance(problem, IndexError) or is_interrupt(problem):
                raise
        return bool(mine)

    def _complete(
        self, before: State, ours: bool, outcome: Outcome | None, error: BaseException | None, reason: str | None
    ) -> None:
        """Do what is left of the ending; ``ours``: it was not begun before a fork."""
        if self._attached is not None:
            if not restore(self._attached, self.around) and self.kind in (TASK, SEGMENT):
                self._end_inside(self._attached)
            self._attached = None  # it has this operation in it: a reference cycle, which would wait for the garbage collector
        judged, judged_reason = Outcome.COMPLETED, None
        if error is not None:
            _finish_left(error)
            judged, judged_reason = judge(error)
        ending = outcome or judged
        self._error = error if ours else None
        self.state = STATE_OF[ending]
        self._dropped = bool  # type: ignore[misc, method-assign]  # of this one only
        OPEN.pop(id(self), None)
        if not ours:
            return  # the parent records its end, or nothing is recorded
        try:
            if self._end is None:
                if "_ending" in self._hooks:
                    self._tell_ending()
                self._end = self._end_line(before, ending, error, reason or judged_reason)
            if "event_id" not in self._end[0].line:
                close_span(self, self._recorder, *self._end)
            if "_finished" in self._hooks:
                self._finished(ending)
            self._error = None
        except Exception as problem:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", problem)

    def _tell_ending(self) -> None:
        try:
            self._ending()
        except Exception as problem:  # noqa: BLE001 - what cannot be recorded beside the end must not cost the end
            raise_interrupt()
            self._recorder.failed("record", problem)

    def _described(self, error: BaseException) -> dict[str, Any]:
        try:
            return describe(error, self.trace_id, self._recorder, self.failures)
        except Exception as problem:  # noqa: BLE001 - the exception's class is foreign code; that there was one is recorded all the same
            raise_interrupt()
            self._recorder.failed("field", problem)
            return {"type": short_name(type(error)), "message": "", "error_id": new_error_id()}

    def _finish_deep(self, outcome: Outcome | None, error: BaseException | None, reason: str | None) -> bool:
        attached = self._attached
        ended = on_fresh_stack(self._finish, outcome, error, reason)
        try:
            if attached is not None:
                restore(attached, self.around)  # a thread cannot do that for another
        except RecursionError:
            pass  # what has ended is not current, whatever the context says
        return ended

    def _end_inside(self, attached: Context) -> None:
        """End what was entered inside and not left: an interrupt came just when its ``with`` block was left."""
        for inner in entered_inside(self):
            inner.interrupt("not left")
        restore(attached, self.around)

    def _end_line(self, before: State, outcome: Outcome, error: BaseException | None, reason: str | None) -> tuple[Envelope, int]:
        record = self._recorder
        elapsed_ns = max(0, record.monotonic() - self._monotonic_start)
        end_ns = self.start_ns + elapsed_ns
        line = (_ends.get((self.kind.start_type, outcome)) or _end_template(self.kind, outcome)).copy()
        line["timestamp"] = timestamp(end_ns)
        if before is not State.RUNNING:
            line["state_before"] = _WORDS[before]
        line["duration_ms"] = round(elapsed_ns / 1e6, 3)
        # What is in here is cleaned, and the line is ours.
        given: Line = {"message": self._name}
        if self._component:
            given["component"] = self._component
        if reason is not None and (text := reason if type(reason) is str else plain_text(reason)):
            given["reason"] = text
        if error is not None and line["level"] == "ERROR":
            given["exception"] = self._described(error)
        try:
            given.update(self._end_fields(outcome))
        except Exception as problem:  # noqa: BLE001 - what cannot be read of what was given must not cost the line
            raise_interrupt()
            record.failed("field", problem)
            given["details"] = {}
        details = given["details"]
        if error is not None and issubclass(type(error), SystemExit) and (code := exit_code_of(error)) is not None:
            details.setdefault("exit_code", code)
        if self._meter is not None and record.measuring is not None and (figures := record.measuring.figures(self._meter)):
            details.setdefault(MEASURED[self.kind.end_type], figures)
        if not details:
            del given["details"]
        given["attributes"] = self._attributes.copy()
        span = self.span
        if type(span) is not LightSpan or span.touched:
            put_foreign(span, self._sent, given)
        return record.clean(line, self._payload, given), end_ns


_ends: dict[tuple[str, Outcome], Line] = {}


def _end_template(kind: Kind, outcome: Outcome) -> Line:
    """What the end lines of a kind have in common that end in this way."""
    template = _ends[kind.start_type, outcome] = {
        "timestamp": "",
        "type": kind.end_type,
        "level": LEVELS[outcome],
        "phase": "end",
        "component": kind.component,
        "action": kind.end_actions[outcome.value],
        "message": "",
        "state_before": State.RUNNING.value,
        "state_after": outcome.value,
        "outcome": outcome.value,
    }
    return template


_LEAVING = (Operation.__exit__.__code__, Operation.__aexit__.__code__)


def _finish_left(error: BaseException) -> None:
    """End the operations inside that an interrupt kept from ending: it came just when their ``with`` blocks were left."""
    at = traceback_of(error)
    while at is not None:
        if at.tb_frame.f_code in _LEAVING and isinstance(left := at.tb_frame.f_locals.get("self"), Operation):
            left.finish_quietly(error)
        at = at.tb_next


def _unpickled(kind: type[Operation], name: str, own: SpanContext) -> Operation:
    """An operation of another process, or of this one, as it comes out of a pickle: it has its ids, and nothing can end it."""
    operation = kind._named(name)
    operation.span, operation.state = NonRecordingSpan(own), State.INTERRUPTED
    operation._tokens = []
    return operation

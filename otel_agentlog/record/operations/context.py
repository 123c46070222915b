"""What is current: which operation, per thread and asyncio task, and what `bind` put on everything below.

Both are kept in OpenTelemetry's own context, under keys of our own, so that whatever carries that context (asyncio, executors,
instrumentations) carries them too. Restoring never uses tokens: a token is only good in the very context it was made in, and
generators, cancelled tasks and closed loops end elsewhere ("Failed to detach context").

An operation that has ended is never current: `current` walks outwards to the nearest one that is still open.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from functools import partial
from itertools import count
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, SpanContext, format_span_id, format_trace_id
from opentelemetry.util.types import AttributeValue

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.record.exceptions.fresh_stack import SHALLOW, is_deep, on_fresh_stack
from otel_agentlog.record.operations.control import Control
from otel_agentlog.record.operations.seen_calls import MAX_REMEMBERED, Failures, Seen, SeenCalls
from otel_agentlog.record.recorder import Recorder, recorder
from otel_agentlog.record.sanitize.keys import checked, plain_text
from otel_agentlog.vocabulary.actions import AI_CALL, STEP, Kind
from otel_agentlog.vocabulary.envelope import TaskRef
from otel_agentlog.vocabulary.records import is_noted
from otel_agentlog.vocabulary.states import Outcome, State

if TYPE_CHECKING:
    from otel_agentlog.record.operations.span import Trace

OPERATION = otel_context.create_key("agentlog.operation")
SPAN = next(iter(trace.set_span_in_context(INVALID_SPAN, Context())))
"""The key of the current span. A context with several values is made in one step, where the API's functions copy it for each."""
BOUND = otel_context.create_key("agentlog.bound")

CORRELATION_IDS = ("correlation_id", "session_id", "instance_id")
"""Bound values that become keys of every line."""

CONVERSATION = "gen_ai.conversation.id"
"""The attribute that a bound ``conversation_id`` becomes on everything below."""

GENERATOR_FLAGS = 0x20 | 0x200
"""``inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR``."""

ENTERING = frozenset({"__enter__", "__aenter__", "enter_context", "enter_async_context", "call_fixture_func"})
"""Functions that enter a ``with`` block for their caller: contextlib's, those of classes, and the one of pytest's fixtures."""


def generator_around(frame: FrameType | None) -> FrameType | None:
    """The generator that a ``with`` block entered in ``frame`` is in, if it leaves the block each time it is suspended.

    The generator of `contextlib.contextmanager` is run by the ``with`` statement of its caller, whose block this one is around.
    """
    while frame is not None:
        generator = frame if frame.f_code.co_flags & GENERATOR_FLAGS else None
        if generator is not None:
            frame = frame.f_back
        if frame is None or frame.f_code.co_name not in ENTERING:
            return generator
        frame = frame.f_back
    return None


class GeneratorBlock:
    """Where a ``with`` block is among generators: which one it is in, if any, and which were suspended when it began.

    A generator's context variables leak to its consumer while it is suspended, so a block in one is current only while its
    frame is on the stack, or in threads and asyncio tasks that were started inside it. When it goes on while a block of its
    consumer is open, that one is to the generator's code as a caller's, not inside its block.
    """

    __slots__ = ("_flow", "beside", "frame_id")

    def __init__(self, generator: FrameType | None, beside: tuple[OperationScope, ...] = ()) -> None:
        self.frame_id = 0 if generator is None else id(generator)
        self.beside = beside
        """Those with blocks in generators that were suspended."""
        self._flow = flow()

    @property
    def is_here(self) -> bool:
        """Whether it was entered in this thread and asyncio task."""
        return flow() == self._flow

    def apart_from(self, scope: OperationScope) -> bool:
        """Whether this block is left in its own time, whatever becomes of that of ``scope`` around it."""
        return self.frame_id != 0 or scope in self.beside

    @property
    def suspended(self) -> bool:
        """Whether what runs here is not of this block, but of what is around it or of a generator beside it."""
        if not self.is_here:
            return False
        beside = {scope.place.frame_id for scope in self.beside if scope._tokens and scope.place is not None}
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if (frame_id := id(frame)) == self.frame_id:
                return False
            if frame_id in beside:
                return True
            frame = frame.f_back
        return self.frame_id != 0


def _task_id() -> int | None:
    # Where asyncio is not loaded no task runs; importing it would cost more than the rest of this sub-package.
    asyncio = sys.modules.get("asyncio.tasks")
    try:
        task = asyncio.current_task() if asyncio is not None else None
    except RuntimeError:
        raise_interrupt()
        return None
    return id(task) if task is not None else None


def flow() -> tuple[int, int | None]:
    """The thread here and the asyncio task in it: what runs in one, runs one after the other."""
    return threading.get_ident(), _task_id()


@dataclass(slots=True)
class RunningTask(TaskRef):
    """A task that this process works on, with what only the recording side needs to know of it."""

    control: Control | None = None
    """Its requests, or those of the task above; ``None`` where no request can reach it."""
    step_ids: dict[str, int] = field(default_factory=dict)
    """The step ids that were used in this process, each with the number of the step that had it first."""
    repeated_steps: dict[str, Iterator[int]] = field(default_factory=dict)
    """Of ids that were used again, how often: so ids stay unique."""
    step_numbers: Iterator[int] = field(default_factory=partial(count, 1))
    """Of the steps that begin in this process."""
    ai_calls: int = 0
    """AI calls ended so far in this process."""
    tool_runs: int = 0
    """Tool runs ended so far in this process."""
    seen: SeenCalls | None = None
    """Made with the first AI call, or span of another library."""

    def seen_calls(self) -> SeenCalls:
        """What was seen of AI calls in this process."""
        if self.seen is None:
            self.seen = SeenCalls()
        return self.seen


class PendingWebhook(Protocol):
    """A webhook in which no task was created yet."""

    def adopt(self, task: RunningTask, payload: dict[str, Any] | None = None) -> None:
        """Give the stages so far to the task they led to."""


class _InUse:
    """A class's attribute that is the recorder in use, where the object has none of its own."""

    def __get__(self, instance: object, owner: type) -> Recorder:
        return recorder()


_EMPTY = Context()
_NOTHING: Mapping[str, Any] = {}


class OperationScope:
    """What can be current: where lines recorded here belong. `Operation` adds how it begins and ends."""

    kind: ClassVar[Kind]

    name: str = checked("_name", plain_text)

    def __init__(self, name: str) -> None:
        self._name = name if type(name) is str else plain_text(name)
        self._tokens = [None]
        """Popped by the one caller that may end it; popping a list is atomic."""

    # What most of them have until they begin, or for ever, is of the class: setting it costs, too.
    _recorder: Recorder = _InUse()  # type: ignore[assignment]  # what it gives is one
    """The one in use, and from the beginning on that which was in use then."""
    state = State.PENDING
    span: Span = INVALID_SPAN
    span_name = ""
    """The name that we gave the span; other code may give it another."""
    sampled = True
    """Whether the span is to be sent."""
    task: RunningTask | None = None
    step_id: str | None = None
    stands_in = False
    """Whether it is current where no operation is and a span of its trace is, of any library (`ImplicitTask`)."""
    outer: Context = _EMPTY
    """The context of its parent, which may be in another process."""
    around: Context = _EMPTY
    """The context that was here when it began, and will be again; what is in it may be of a generator that is suspended."""
    place: GeneratorBlock | None = None
    """Where its ``with`` block is, if there are generators: one that it is in, or others that are suspended."""
    start_ns = 0
    _attached: Context | None = None
    """The context in which it is current, while its ``with`` block runs."""
    seen: Seen | None = None
    """Of an AI call that has begun inside a task."""
    failures: Failures | None = None
    """The errors that passed out of spans of other libraries directly inside it."""
    unsent: Trace | None = None
    """For one whose span is in the folder only: the trace it stands in."""
    own_ids: dict[str, str] | None = None
    """The ids on its lines, once it has begun; never changed."""

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return not self._tokens

    @property
    def pending_webhook(self) -> PendingWebhook | None:
        """The webhook this is, as long as no task was created in it."""
        return None

    def ids(self) -> dict[str, str]:
        """The ids that are on every line recorded here."""
        if (ids := self.own_ids) is not None:
            return ids.copy()
        ids = self.ids_of_place()
        own = self.span.get_span_context()
        if own.is_valid:
            ids["trace_id"], ids["span_id"] = format_trace_id(own.trace_id), format_span_id(own.span_id)
        return ids

    def ids_of_place(self) -> dict[str, str]:
        """The ids of the task, the step and what was bound."""
        ids: dict[str, str] = {}
        header: Mapping[str, Any] = _NOTHING
        if (task := self.task) is not None:
            ids["task_id"], header = task.task_id, task.header
        if self.step_id is not None:
            ids["step_id"] = self.step_id
        around: Any = self.outer.get(BOUND) or _NOTHING
        for key in CORRELATION_IDS:
            value = header.get(key) or around.get(key)
            if value is not None:
                ids[key] = str(value)
        return ids

    def point(self, line: dict[str, Any], payload: dict[str, Any] | None = None) -> None:
        """Record a line of its own in this operation's span; never raises."""
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
            return on_fresh_stack(self.point, line, payload)
        try:
            envelope = self._recorder.point(line, self.task, self.ids(), payload=payload, sampled=self.sampled)
            if not self._recorder.spans.light() and is_noted(envelope.line, self._recorder.spans.span_events):
                # What we send is made of lines; the span of the SDK is for exporters of others.
                self.span.add_event(*self._recorder.conventions.noted_event(envelope.line), envelope.time_ns)
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)

    def interrupt(self, reason: str) -> bool:
        """End it as interrupted unless it has ended; whether this call did."""
        return self._finish(Outcome.INTERRUPTED, None, reason)

    def _finish(self, outcome: Outcome | None, error: BaseException | None, reason: str | None) -> bool:
        raise NotImplementedError


class PlacedSpan(Span):
    """Replaces the span of a ``with`` block that has a `GeneratorBlock`.

    While that is suspended, and after the block has ended, it answers with the ids of the span around it, so that no span of a
    consumer becomes a child of the generator.
    """

    def __init__(self, scope: OperationScope) -> None:
        self._scope = scope

    @property
    def live(self) -> Span:
        """The span that it stands for here and now."""
        scope = self._scope
        if not scope.ended and not (scope.place is not None and scope.place.suspended):
            return scope.span
        return trace.get_current_span(live(scope.around))

    def get_span_context(self) -> SpanContext:
        return self.live.get_span_context()

    def is_recording(self) -> bool:
        return self.live.is_recording()

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        self.live.set_attributes(attributes)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self.live.set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self.live.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        self.live.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self.live.update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.live.set_status(status, description)

    def record_exception(self, exception: BaseException, *args: Any, **kwargs: Any) -> None:
        self.live.record_exception(exception, *args, **kwargs)

    def end(self, end_time: int | None = None) -> None:
        """Does nothing: the operation ends its own span."""


def live(context: Context) -> Context:
    """`open_around`, with what is current where nothing else is."""
    context = open_around(context)
    return context if not (BY_TRACE or OF_PROCESS) or operation_in(context) is not None else _with_stand_in(context)


def open_around(context: Context) -> Context:
    """The innermost context around, or equal to, this one whose operation is open and, in a generator, whose generator runs."""
    scope = operation_in(context)
    while scope is not None and (not scope._tokens or (scope.place is not None and scope.place.suspended)):
        context = scope.around
        scope = operation_in(context)
    return context


def unended(context: Context) -> Context:
    """The innermost context around, or equal to, this one whose operation has not ended."""
    scope = operation_in(context)
    while scope is not None and not scope._tokens:
        context = scope.around
        scope = operation_in(context)
    return context


def place_among_generators(context: Context) -> GeneratorBlock | None:
    """Of a block that is entered here, where this context is current: its place beside generators that are suspended."""
    beside: list[OperationScope] = []
    scope = operation_in(context)
    while scope is not None and (not scope._tokens or (scope.place is not None and scope.place.suspended)):
        if scope._tokens and scope.place is not None and scope.place.frame_id:
            beside.append(scope)
        scope = operation_in(scope.around)
    if scope is not None and scope.place is not None and scope.place.is_here:
        beside.extend(scope.place.beside)
    return GeneratorBlock(None, tuple(beside)) if beside else None


BY_TRACE: dict[int, dict[int, weakref.ref[OperationScope]]] = {}
"""The open tasks of this process by trace id, then by `id`, in the order in which they began."""
OF_PROCESS: list[Callable[[], OperationScope | None]] = []
"""Each may give one that is current where none else is, and no span of such a trace; the first that is open is."""


def _with_stand_in(context: Context) -> Context:
    """The context, with one of these operations in it if there is one that is open."""
    span = trace.get_current_span(context).get_span_context()
    scope = in_trace(span) if span.is_valid else None
    if scope is None:
        scope = next((found for give in [*OF_PROCESS] if (found := give()) is not None and not found.ended), None)
    if scope is None:
        return context
    return Context({**context, OPERATION: scope} if span.is_valid else {**context, OPERATION: scope, SPAN: scope.span})


def put_in_trace(trace_id: int, task: OperationScope) -> None:
    """Note an open task of this trace."""
    tasks = BY_TRACE.setdefault(trace_id, {})
    tasks[id(task)] = weakref.ref(task)
    if BY_TRACE.get(trace_id) is not tasks:
        # The last other one of this trace ended in between.
        BY_TRACE.setdefault(trace_id, tasks).update(tasks)


def take_from_trace(trace_id: int, task: OperationScope) -> None:
    """Undo `put_in_trace`."""
    tasks = BY_TRACE.get(trace_id)
    if tasks is None:
        return
    tasks.pop(id(task), None)
    if not tasks and BY_TRACE.pop(trace_id, None) is not None and tasks:
        # Another one began in between.
        BY_TRACE.setdefault(trace_id, tasks).update(tasks)


def in_trace(span: SpanContext, *, with_headers: bool = False) -> OperationScope | None:
    """What is open in this process around a span, found by its ids alone.

    ``with_headers``: also where the ids came in headers, as ``traceparent`` passed on within one process. Otherwise such a span
    is of another process, unless it is known to a task that stands in.
    """
    tasks = [task for give in [*(BY_TRACE.get(span.trace_id) or {}).values()] if (task := give()) is not None and not task.ended]
    if not tasks:
        return None
    span_id = format_span_id(span.span_id)
    known = tasks if with_headers or not span.is_remote else [task for task in tasks if task.stands_in]
    found = next((place for task in reversed(known) if (place := _place_in(task, span_id)) is not None), None)
    if found is not None:
        return found
    if not span.is_remote:
        return next((task for task in reversed(tasks) if task.stands_in), None)
    # Not of an operation of the task that has ended: no other process has begun this trace.
    return next((task for task in tasks if with_headers and not task.stands_in and _begins_trace(task)), None)


def _begins_trace(task: OperationScope) -> bool:
    return not trace.get_current_span(task.outer).get_span_context().is_valid


def _place_in(task: OperationScope, span_id: str) -> OperationScope | None:
    """The operation of a task that has this span, or in which the span of another library with this id began."""
    running = task.task
    if running is None:
        return None
    seen = None if running.seen is None else running.seen.spans.get(span_id)
    if seen is None:
        from otel_agentlog.record.operations.open_operations import open_with_span

        own = open_with_span(span_id)
        return own if own is not None and own.task is running else None
    scope: OperationScope | None = None if seen.place is None else seen.place()
    while scope is not None and scope.ended:
        scope = operation_in(scope.outer)
    return scope if scope is not None and scope.task is running else task


def foreign_span(context: Context) -> Seen | None:
    """The span of another library that is current in a context."""
    scope = operation_in(context)
    if scope is None or scope.task is None or scope.task.seen is None:
        return None
    return scope.task.seen.spans.get(format_span_id(trace.get_current_span(context).get_span_context().span_id))


def is_recorded(span_id: str, context: Context) -> bool:
    """Whether a span that is current in a context is one of our operations, or a span of another library that is recorded."""
    scope: Any = context.get(OPERATION)
    seen = scope.task.seen if scope is not None and scope.task is not None else None
    # Once the oldest are forgotten it may be one of those.
    if seen is not None and (span_id in seen.spans or len(seen.spans) >= MAX_REMEMBERED):
        return True
    while scope is not None:
        if scope.own_ids is not None and scope.own_ids.get("span_id") == span_id:
            return True
        scope = scope.outer.get(OPERATION)
    return False


def seen_around(context: Context, start_ns: int) -> Seen | None:
    """What lies around a context, within one tool run, was open at this time, and may see the same request to a model."""
    while True:
        scope = operation_in(context)
        if scope is None:
            return None
        if scope.place is not None and scope.place.suspended:
            context = scope.around
            continue
        if (foreign := foreign_span(context)) is not None:
            return foreign.open_at(start_ns)
        if scope.kind is AI_CALL and scope.seen is not None:
            return scope.seen.open_at(start_ns)
        if scope.kind is not AI_CALL and scope.kind is not STEP:
            return None
        context = scope.outer


def current_context() -> Context:
    """The context that new operations become children of."""
    here = otel_context.get_current()
    scope: Any = here.get(OPERATION)
    return here if scope is not None and scope._tokens and scope.place is None else live(here)


def nearest() -> tuple[Context, OperationScope | None, bool]:
    """The context here, its operation, and whether nothing is nearer to what runs here: no other span, and nothing bound."""
    context = otel_context.get_current()
    scope: OperationScope | None = context.get(OPERATION)  # type: ignore[assignment]  # only scopes are under the key
    if scope is not None and context is scope._attached and scope._tokens and scope.place is None:
        return context, scope, BOUND not in context
    context = live(context)
    return context, operation_in(context), False


def operation_in(context: Context) -> OperationScope | None:
    """The operation of a context that `live` returned."""
    return context.get(OPERATION)  # type: ignore[return-value]  # only scopes are under the key


def current() -> OperationScope | None:
    """The innermost open operation here, or ``None``."""
    return operation_in(current_context())


def inside(scope: OperationScope) -> Context:
    """The context in which an operation and its span are current."""
    span = scope.span if scope.place is None else PlacedSpan(scope)
    return Context({**scope.outer, SPAN: span, OPERATION: scope})


def restore(attached: Context, outer: Context) -> bool:
    """Leave ``attached`` if it is what is current here; otherwise do nothing: what is current there leaves later."""
    if otel_context.get_current() is not attached:
        return False
    scope: Any = outer.get(OPERATION)
    # Nearly always what was current has not ended. That of a suspended generator is there when it goes on.
    otel_context.attach(outer if scope is None or scope._tokens else unended(outer))
    return True


def entered_inside(scope: OperationScope) -> list[OperationScope]:
    """The operations whose ``with`` blocks were entered here inside that of ``scope`` and not left, the innermost first."""
    found: list[OperationScope] = []
    inner = operation_in(otel_context.get_current())
    while inner is not None and inner is not scope:
        found.append(inner)
        inner = operation_in(inner.around)
    return [] if inner is None else [each for each in found if each.place is None or not each.place.apart_from(scope)]


def bound(context: Context) -> Mapping[str, Any]:
    """What `bind` put on everything below."""
    return context.get(BOUND) or {}  # type: ignore[return-value]  # only mappings are under the key


def bound_attributes(context: Context) -> dict[str, Any]:
    """Of what `bind` put on everything below, what is no id of a line but an attribute."""
    return {key: value for key, value in bound(context).items() if key not in CORRELATION_IDS}


def with_bound(context: Context, values: Mapping[str, Any]) -> Context:
    """A context in which these values are bound, on top of those already bound; ``None`` unbinds."""
    if "conversation_id" in values:
        given = values["conversation_id"]
        text = None if given is None else plain_text(given)[:MAX_ID_CHARS]
        values = {**{key: values[key] for key in values if key != "conversation_id"}, CONVERSATION: text or None}
    merged = {key: value for key, value in {**bound(context), **values}.items() if value is not None}
    return otel_context.set_value(BOUND, merged, context)


MAX_ID_CHARS = 1024
"""A longer id is cut: ids are on every line."""


def _clean_by_default(text: str) -> str:
    """What is bound before `configure` is on the lines recorded after it."""
    from otel_agentlog.record.sanitize.cleaner import default_cleaner

    return default_cleaner().text(text)[0]


class Binding:
    """Values bound to the current context; as a ``with`` block they are unbound at its end."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._outer = otel_context.get_current()
        clean = recorder().clean_text if recorder().active else _clean_by_default
        # These go onto lines as they are; other values are cleaned with the line.
        ids = {key: clean(plain_text(values[key])[:MAX_ID_CHARS]) for key in CORRELATION_IDS if values.get(key) is not None}
        self._attached = with_bound(self._outer, {**values, **ids})
        otel_context.attach(self._attached)

    def __enter__(self) -> Binding:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        restore(self._attached, self._outer)

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Binding:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return bind, ()


def bind(**values: Any) -> Binding:
    """Put ids on everything recorded from here on, in this thread or asyncio task and what it starts.

    ``correlation_id``, ``session_id`` and ``instance_id`` become keys of every line, ``conversation_id`` the attribute
    ``gen_ai.conversation.id``, other names attributes of that name. ``None`` unbinds. Works as a plain call and as a ``with``
    block.
    """
    return Binding(values)

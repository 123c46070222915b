"""Tasks: one job of an agent each; each owns a folder and (part of) a trace."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, TraceFlags, format_span_id

from otel_agentlog._interrupts import first_of, raise_interrupt, suppress_errors
from otel_agentlog._platform.fork import after_fork_in_child, random_bits
from otel_agentlog.errors import StateError
from otel_agentlog.record.carrier import Carried, read_carrier, write_carrier
from otel_agentlog.record.exceptions.error_id import mark_of
from otel_agentlog.record.operations.checkpoints import Checkpoints
from otel_agentlog.record.operations.context import (
    BY_TRACE,
    CONVERSATION,
    CORRELATION_IDS,
    MAX_ID_CHARS,
    OF_PROCESS,
    OperationScope,
    PendingWebhook,
    RunningTask,
    bound,
    current,
    current_context,
    inside,
    put_in_trace,
    take_from_trace,
    with_bound,
)
from otel_agentlog.record.operations.control import Control
from otel_agentlog.record.operations.open_operations import OPEN
from otel_agentlog.record.operations.operation import HAND_OVER_S, Operation
from otel_agentlog.record.operations.outcome import is_error
from otel_agentlog.record.operations.span import Trace
from otel_agentlog.record.recorder import Recorder, recorder
from otel_agentlog.record.redaction.text_streams import Streams, content_line
from otel_agentlog.record.sanitize.keys import is_true, optional_text, plain_text, text_or_object, texts_of
from otel_agentlog.vocabulary.actions import HANDED_OVER, QUEUE_PICKUP, SEGMENT, TASK
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.functions import arguments_of, name_of
from otel_agentlog.vocabulary.lines import timestamp
from otel_agentlog.vocabulary.states import FAILED, Outcome, State

UNSET = object()

_BEGIN_ANEW = (None, State.PENDING.value, State.INTERRUPTED.value)
"""Status of a resumed task that no process has begun, or only one that died; this one owns its end then."""

_ENDED = frozenset(outcome.value for outcome in Outcome if outcome is not Outcome.INTERRUPTED)

_MOST_S = 10 * 365 * 86_400.0


def _seconds(given: object) -> float:
    try:
        return min(max(0.0, float(given)), _MOST_S)  # type: ignore[arg-type]  # what is no number raises
    except Exception:  # noqa: BLE001 - an object of any class
        raise_interrupt()
        return HAND_OVER_S


def new_task_id() -> str:
    """A task id that no other task has, e.g. ``task-3f9a0c12be77``."""
    return f"task-{random_bits(48):012x}"


def safe_task_id(given: Any, record: Recorder) -> str:
    """A new task id, or the given one without secrets; two ids stay two ids."""
    text = "" if given is None else plain_text(given)
    if not text:
        return new_task_id()
    cleaned = record.clean_text(text)
    if cleaned == text:
        return text
    return f"{cleaned}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


class Pickup(Operation):
    """A worker takes a task from a queue: the CONSUMER span around the task it continues."""

    kind = QUEUE_PICKUP

    def __init__(self, queue: str, task: RunningTask, latency_ms: float | None) -> None:
        super().__init__(queue)
        self.task = task
        self._details: dict[str, Any] = {"queue": queue}
        if latency_ms is not None:
            self._details["latency_ms"] = latency_ms

    def begin_in(self, context: Context) -> None:
        """Begin as a child of what pushed the task."""
        self._move(State.RUNNING, allowed_from=State.PENDING)
        self._begin(context, current_context())

    def _settle(self, context: Context, around: OperationScope | None) -> Context:
        return context

    def _start_fields(self) -> dict[str, Any]:
        return {"details": dict(self._details)}

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        return {"details": dict(self._details)}


class Task(Checkpoints):
    """One job of an agent.

    ``result`` is what came out; it goes into ``04-final-result.json``. Everything recorded below finds its way into this
    task's folder.
    """

    kind = TASK

    def __init__(
        self,
        name: str = "",
        *,
        task_id: str | None = None,
        input: Any = UNSET,
        agent: str | None = None,
        agent_type: str | None = None,
        agent_version: str | None = None,
        agent_description: str | None = None,
        workflow: str | None = None,
        model: str | None = None,
        source: str | None = None,
        provider: str | None = None,
        correlation_id: str | None = None,
        session_id: str | None = None,
        instance_id: str | None = None,
        conversation_id: str | None = None,
        tags: Iterable[str] = (),
        resume: Mapping[str, str] | None = None,
        strict: bool = False,
        attributes: Mapping[str, Any] | None = None,
        component: str | None = None,
    ) -> None:
        super().__init__(name, attributes=attributes, component=component)
        self._given: dict[str, Any] = {
            "task_id": task_id,
            "agent": optional_text(agent),
            "agent_type": optional_text(agent_type),
            "agent_version": optional_text(agent_version),
            "agent_description": optional_text(agent_description),
            "workflow": optional_text(workflow),
            "model": optional_text(model),
            "source": optional_text(source),
            "provider": optional_text(provider),
            "correlation_id": optional_text(correlation_id),
            "session_id": optional_text(session_id),
            "instance_id": optional_text(instance_id),
            "conversation_id": optional_text(conversation_id),
            "tags": self._recorder.tasks.tagged(texts_of(tags)),
            "resume": resume,
            "strict": strict,
            "attributes": attributes,
            "component": component,
        }
        self.input: Any = None if input is UNSET else input
        """What the task is to do; in a worker that resumes a task, what its creator gave."""
        self._input_given = input is not UNSET
        self.result: Any = None
        self._streams = Streams(self._recorder.new_guard)
        self._pickup: Pickup | None = None
        self._webhook: PendingWebhook | None = None
        self._continues: str | None = None
        """The id of the task, ended, whose carrier this one was given."""
        self._unhanded = [None]
        """Popped by the one call that hands it over first."""
        self._jobs: list[str] = []
        """As what job it was given the end of the task, until that is given away or the job has ended."""
        self._left_to_do: Outcome | None = None
        """How the task is to end once this part of it has, if it is that of the last job."""

    def _copy(self) -> Task:
        return Task(self.name, input=self.input if self._input_given else UNSET, **self._given)

    # -- public ---------------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path | None:
        """The task's folder; ``None`` before the start and where nothing is kept."""
        home = self.task.home if self.task is not None else None
        return home.path if home is not None else None

    def output(self, text: str, *, stream: bool = False, **details: Any) -> None:
        """Record a piece of the agent's output to its user; with ``stream`` it is a chunk that the next one continues."""
        self._content("output", text, stream, details)

    def thinking(self, text: str, *, stream: bool = False, **details: Any) -> None:
        """Record a piece of the agent's reasoning."""
        self._content("thinking", text, stream, details)

    def system(self, text: str, **details: Any) -> None:
        """Record a message of the system to the agent or the user."""
        self._content("system", text, False, details)

    def user(self, text: str, **details: Any) -> None:
        """Record a text of the user while the task ran."""
        self._content("user", text, False, details)

    def _carrier_at(self, place: OperationScope, hand_over: bool, queue: str | None, within_s: float) -> dict[str, str]:
        """See `Operation.carrier`; ``place`` is an operation of this task, the parent of what it is resumed in."""
        try:
            ids = self._carried_ids()
            if queue is not None:
                ids |= {"queued_at": str(self._recorder.clock()), "queue": self._recorder.clean_text(plain_text(queue))}
            if is_true(hand_over):
                ids["job"] = self._hand_over(within_s, ids.get("queue"))
            return write_carrier(inside(place), ids)
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)
            return {}

    def activate(self) -> Task:
        """Make it current in this process wherever nothing else is, in any thread, until `deactivate` or its end; returns it.

        For work that no block can be around, such as the cells of a notebook. It begins if it has not. Several nest: the last one
        activated is current; it is no sub-task of another activated one.
        """
        self.deactivate()
        self._is_active = True
        if self.state is State.PENDING:
            self.start()
        OF_PROCESS.insert(0, self._itself)
        return self

    def deactivate(self) -> Task:
        """Undo `activate`; it goes on. Returns it."""
        if self._is_active:
            self._is_active = False
            # One step each, as another thread may do the same.
            with suppress_errors(ValueError):
                OF_PROCESS.remove(self._itself)
        return self

    _is_active = False
    """Whether it was activated."""

    def _itself(self) -> Task:
        return self

    def _shown(self) -> list[str]:
        return [*super()._shown(), *([self.task_id] if self.task_id else [])]

    def _repr_html_(self) -> str:
        """A card for notebooks: how it stands, and where its folder is."""
        name = self._shown()[0]
        figures = {"id": self.task_id, "state": self.state.value}
        if self.task is not None:
            figures |= {
                "took": f"{self._took_s():.1f} s",
                "AI calls": str(self.task.ai_calls),
                "tool runs": str(self.task.tool_runs),
            }
        figures["folder"] = str(self.folder or "")
        rows = "".join(f"<tr><th>{key}</th><td>{html.escape(value)}</td></tr>" for key, value in figures.items() if value)
        return f"<table><caption>task {html.escape(name)}</caption>{rows}</table>"

    # -- inside -----------------------------------------------------------------------------------------------------------

    def _carried_ids(self) -> dict[str, str | None]:
        around = bound(self.outer)
        header = self.task.header if self.task is not None else {}
        ids = {key: header.get(key) or around.get(key) for key in CORRELATION_IDS}
        return {"task_id": self.task_id or None, **ids, "conversation_id": around.get(CONVERSATION)}

    @property
    def handed_over(self) -> bool:
        """Whether its end was given away here, by a carrier."""
        return not self._unhanded

    def _hand_over(self, within_s: float, queue: str | None) -> str | None:
        """Leave the end of the task to what is resumed by its carrier, once more to a further job; returns as what job.

        Only who decides on the end, has handed it over, or is one of its jobs, and has not ended, can.
        """
        task = self.task
        if task is None or id(self) not in OPEN or not (task.owner or self._jobs or self.handed_over):
            return None
        is_first = bool(list(map(self._unhanded.pop, range(len(self._unhanded)))))
        # What was given to this goes on with the next one.
        mine = list(map(self._jobs.pop, range(len(self._jobs))))
        job = mine[0] if mine else self._new_job(task, is_first)
        if is_first and task.owner:
            self._give_away(within_s, queue)
        return job

    def _new_job(self, task: RunningTask, is_first: bool) -> str | None:
        if not is_first and text(self._recorder.tasks.find(task.task_id), "status") in _ENDED:
            return None
        jobs, job = self._recorder.tasks.jobs_of(task), f"{random_bits(48):012x}"
        try:
            return job if jobs is not None and jobs.add(job) else None
        except OSError as error:
            raise_interrupt()
            self._recorder.failed("folder", error)
            return None

    def _give_away(self, within_s: float, queue: str | None) -> None:
        """Leave the end to others: what is recorded here is a part of the task from now on."""
        task = self.task
        assert task is not None
        until = timestamp(self._recorder.clock() + int(_seconds(within_s) * 1e9))
        details = {"until": until} | ({"queue": queue} if queue else {})
        message = f"{self.name}: handed over"
        # Of the task, and no state of this span, which goes on until the block here ends.
        self.point(
            {
                "type": "state",
                "level": "INFO",
                "component": "state_management",
                "action": HANDED_OVER,
                "message": message,
                "state_after": State.PENDING.value,
                "details": details,
            }
        )
        self._gave_away = True
        task.owner, self.kind = False, SEGMENT  # type: ignore[misc]  # this one object is another kind of operation

    _gave_away = False
    """Whether the end was its own: what began as a part of the task hands on what it was given, and can take nothing back."""

    def _take_back(self) -> None:
        """Decide on the end after all: this failed, and nothing has taken the task up, which may never have been queued."""
        task = self.task
        if not self._gave_away or task is None or self.state.value not in FAILED:
            return
        if self._recorder.tasks.find(task.task_id).get("status") == State.PENDING.value:
            task.owner, self.kind = True, TASK  # type: ignore[misc]

    def _end_job(self) -> None:
        """Where this is one of several jobs that the task was handed over to, the task ends when the last of them ends."""
        task = self.task
        mine = list(map(self._jobs.pop, range(len(self._jobs))))
        jobs = self._recorder.tasks.jobs_of(task) if mine and task is not None else None
        if jobs is None or task is None:
            return
        with jobs.ending(mine[0], self.state.value) as left:
            if left is None:
                return
            if left.open == 0 and (not task.owner or (left.failed and self.state.value not in FAILED)):
                self._left_to_do = Outcome.FAILED if left.failed else Outcome(self.state.value)
            if task.owner and (left.open or self._left_to_do is not None):
                self._give_away(HAND_OVER_S, None)

    def _end_for_all(self, outcome: Outcome) -> None:
        """End the task, of which this was the last job: in a span of its own, as this one was only a part."""
        if self._recorder.tasks.find(self.task_id).get("status") != State.PENDING.value:
            return
        last = Task(resume=write_carrier(inside(self), self._carried_ids()))
        last.result = self.result
        last.start()
        if self._error is not None:
            last.end(outcome, error=self._error)
        else:
            last.end(outcome, reason="a job of it failed" if outcome.value in FAILED else None)

    def _content(self, kind: str, text: str, stream: bool, details: dict[str, Any]) -> None:
        stream, chunk = is_true(stream), 0
        # Recorded inside a step, it belongs to that step.
        here: Any = current()
        place = here if here is not None and here.task is self.task else self
        try:
            if stream:
                text, chunk = self._streams.take(kind, plain_text(text), place)
                place.ends_streams_of(self._streams)
            else:
                self._streams.record_rest(self._recorder, self.task, place.span_id, kind)
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)
            return
        if not stream or text:
            place.point(content_line(kind, text_or_object(text), details, chunk))

    def step_here(self) -> str | None:
        """The step of this task that this thread or asyncio task is in."""
        here = current()
        return here.ids().get("step_id") if here is not None and here.task is self.task else None

    def called(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.name and self._given["resume"] is None:
            self.name = name_of(function)
        if not self._input_given:
            self.input, self._input_given = arguments_of(function, args, kwargs), True

    def returned(self, result: Any) -> None:
        if self.result is None:
            self.result = result

    def _settle(self, context: Context, around: OperationScope | None) -> Context:
        self._recorder.open_tasks.put(id(self), self)
        if self._is_active and isinstance(around, Task) and around._is_active:
            around, context = None, otel_context.get_current()  # in which that is not: it is current where nothing is
        if self._given["resume"] is not None:
            carried = read_carrier(self._given["resume"], context)
            if (task_id := carried.ids.get("task_id")) is not None:
                return self._continue(safe_task_id(task_id, self._recorder), carried)
            context = self._in_conversation(carried.context, carried.ids.get("conversation_id"))
        return self._new(context, around)

    def _begin(self, context: Context, around: Context) -> None:
        super()._begin(context, around)
        if id(self) in OPEN:
            put_in_trace(self._in_trace(), self)

    def _in_trace(self) -> int:
        """The trace whose spans may be found to be in this task."""
        return self.span.get_span_context().trace_id

    def _new(self, context: Context, around: OperationScope | None) -> Context:
        parent = around.task if around is not None else None
        task_id = safe_task_id(self._given["task_id"], self._recorder)
        above = {**bound(context), **({key: parent.header.get(key) for key in CORRELATION_IDS} if parent else {})}
        self.task = RunningTask(task_id, self._header(task_id, above, parent.task_id if parent else None))
        control = self.task.control = self._control(parent.control if parent else None)
        if control is not None and self._given["task_id"] is not None:
            control.not_before = timestamp(self.start_ns)
        self._parent = around if parent is not None else None
        if around is not None and around.pending_webhook is not None:
            self._webhook = around.pending_webhook
        return self._in_conversation(context, None)

    def _in_conversation(self, context: Context, carried: str | None) -> Context:
        """The context, with the conversation bound that this task, or the one it continues, is part of."""
        conversation = self._given["conversation_id"] or carried
        return context if conversation is None else with_bound(context, {"conversation_id": conversation})

    def _control(self, above: Control | None) -> Control | None:
        """The control of this task; that of the task above where this one is not kept, so that no request can name it."""
        assert self.task is not None
        source = self._recorder.tasks.requests_to(self.task)
        return above if source is None else Control(self, source, above)

    def _continue(self, task_id: str, carried: Carried) -> Context:
        """Go on with a task that another process created, is running, left behind when it died, or has ended.

        Raises:
            StateError: it has ended, and this is strict.
        """
        known = self._recorder.tasks.find(task_id)
        status = known.get("status")
        if status in _ENDED and is_true(self._given["strict"]):
            raise StateError(f"cannot resume task {task_id}: it has ended ({status})")
        self.name = self.name or str(known.get("name") or task_id)
        if not self._input_given:
            self.input = self._recorder.tasks.find_input(task_id)
        if status in _ENDED:
            return self._follow(task_id, known, carried)
        header = {**self._header(task_id, carried.ids, None), **{k: v for k, v in known.items() if v is not None}}
        header["name"] = header.get("name") or self.name
        if (job := carried.ids.get("job")) is not None:
            self._jobs.append(job)
        begins = status in _BEGIN_ANEW
        header["completed_at"] = None
        self.task = RunningTask(task_id, header, owner=begins)
        control = self.task.control = self._control(None)
        if control is not None:
            control.continues = begins
            self._joins = not begins
        self._inherit(header)
        if not begins:
            self.kind = SEGMENT  # type: ignore[misc]  # this one object is another kind of operation
            return self._in_conversation(carried.context, carried.ids.get("conversation_id"))
        return self._in_conversation(self._pick_up(carried), carried.ids.get("conversation_id"))

    def _follow(self, task_id: str, known: Mapping[str, Any], carried: Carried) -> Context:
        """Begin a task of its own that follows one which has ended: below it, and in its trace."""
        self._continues = task_id
        self._inherit(known)
        if self.input is not None:
            self._input_given = True
        around = with_bound(carried.context, {key: carried.ids.get(key) or known.get(key) for key in CORRELATION_IDS})
        self._new(around, None)
        assert self.task is not None
        self.task.header["parent_task_id"] = task_id
        return self._in_conversation(self._pick_up(carried), carried.ids.get("conversation_id"))

    def _inherit(self, known: Mapping[str, Any]) -> None:
        for ours, theirs in _INHERITED:
            self._given[ours] = self._given[ours] or known.get(theirs)

    def _pick_up(self, carried: Carried) -> Context:
        assert self.task is not None
        queued_at = carried.ids.get("queued_at", "")
        if not queued_at.isdigit():
            return carried.context
        latency_ms = max(0.0, (self._recorder.clock() - int(queued_at)) / 1e6)
        self._pickup = Pickup(carried.ids.get("queue", "tasks"), self.task, round(latency_ms, 3))
        self._pickup.begin_in(carried.context)
        return inside(self._pickup)

    def _header(self, task_id: str, around: Mapping[str, Any], parent_task_id: str | None) -> dict[str, Any]:
        given = self._given
        return {
            "task_id": task_id,
            "parent_task_id": parent_task_id,
            "name": self.name,
            "source": given["source"],
            "provider": given["provider"],
            "created_at": timestamp(self.start_ns),
            "assigned_agent": given["agent"],
            "agent_type": given["agent_type"],
            "model": given["model"],
            **{key: self._clean_id(given[key] or around.get(key)) for key in CORRELATION_IDS},
            "tags": given["tags"],
        }

    def _clean_id(self, given: object) -> str | None:
        # On every line from the first on, which is made before the header as a whole is clean.
        return None if given is None else self._recorder.clean_text(plain_text(given)[:MAX_ID_CHARS])

    def _own_details(self) -> dict[str, Any]:
        keys = ("agent", "agent_type", "workflow", "model", "source", "provider", "tags")
        details = {key: self._given[key] for key in keys if self._given[key]}
        return details if self._continues is None else {**details, "continues": self._continues}

    def _start_fields(self) -> dict[str, Any]:
        assert self.task is not None
        self._payload = {"metadata": self.task.header}
        if self._input_given:
            self._payload["input"] = self.input
        of_the_start = ("agent_version", "agent_description", "conversation_id")
        return {"details": {**self._own_details(), **{key: self._given[key] for key in of_the_start if self._given[key]}}}

    def _started(self, envelope: Envelope) -> None:
        assert self.task is not None
        header = clean_header(self.task.header, envelope.payload)
        header["task_id"], header["trace_id"] = self.task.task_id, self.trace_id
        header["traceparent"] = f"00-{self.trace_id}-{self.span_id}-{envelope.line['trace_flags']:02x}"
        self.task.header = header
        if self._webhook is not None:
            # The folder begins with the webhook's stages, but the task with this line.
            header.setdefault("started_at", envelope.line["timestamp"])
            self._webhook.adopt(self.task, envelope.payload)
        if self._parent is not None:
            self._parent.point(self._pointer("subtask_started"))

    def _pointer(self, action: str, outcome: Outcome | None = None) -> dict[str, Any]:
        details = {"task_id": self.task_id, "name": self.name}
        if outcome is not None:
            details["outcome"] = outcome.value
        return {
            "type": "subtask",
            "level": "INFO",
            "component": "orchestrator",
            "action": action,
            "message": self.name,
            "details": details,
        }

    _parent: OperationScope | None = None

    def _ending(self) -> None:
        super()._ending()
        self._streams.record_rest(self._recorder, self.task)
        self._take_back()
        self._end_job()

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        assert self.task is not None
        self._payload = {"result": self.result}
        counted = {"ai_calls": self.task.ai_calls, "tool_runs": self.task.tool_runs}
        return {"details": {**self._own_details(), **counted, **self._used(outcome)}}

    def _used(self, outcome: Outcome) -> dict[str, Any]:
        home = self.task.home if self.task is not None else None
        # The figures are the task's: a further process that works on it ends a segment.
        if home is None or self.kind is not TASK:
            return {}
        try:
            return home.used(is_error(outcome), self._ending_error())
        except Exception as error:  # noqa: BLE001 - what cannot be read there must not cost the end line
            raise_interrupt()
            self._recorder.failed("folder", error)
            return {}

    def _ending_error(self) -> str | None:
        """The id of the error that it ends with."""
        mark = None if self._error is None else mark_of(self._error)
        return None if mark is None else mark.error_id

    def _finished(self, outcome: Outcome) -> None:
        if self._parent is not None and self.kind is TASK:
            self._parent.point(self._pointer("subtask_ended", outcome))
        if self._pickup is not None:
            self._pickup.end(outcome, error=self._error)
        if self._left_to_do is not None:
            self._end_for_all(self._left_to_do)
        self.deactivate()
        take_from_trace(self._in_trace(), self)

    def _forget(self) -> None:
        super()._forget()
        take_from_trace(self._in_trace(), self)


_INHERITED = (("agent", "assigned_agent"), *((key, key) for key in ("agent_type", "model", "source", "provider")))
"""What a task that is resumed is given by itself, and its name in ``metadata.json``."""


MAX_IMPLICIT = 1_000
"""Implicit tasks that may be open at once, as foreign spans may; past it the oldest is ended, so that a library that never ends
its spans is no leak of memory."""


def _renew_after_fork() -> None:
    """In the child of a fork: the spans of the parent end there."""
    BY_TRACE.clear()
    _implicit.clear()
    _ended.clear()


_implicit: dict[int, ImplicitTask] = {}
"""Those that are open, by `id`, in the order in which they began."""
_ended: dict[int, ImplicitTask] = {}
"""The last that have ended, likewise: spans may begin below theirs later, as of background work of a request."""
MAX_ENDED = 100
"""Of these; each holds what it remembers of its spans."""

after_fork_in_child(_renew_after_fork)


class ImplicitTask(Task):
    """A task that was not asked for: of a span of another library outside every task, until that ends.

    So what a program without any task records is in a folder, too. It is current wherever a span of its trace is, in any thread.
    Its own span is in the folder only: in OTLP the other library's span is the root, as it would be without us. ``start`` is as
    `adopt` takes it.
    """

    stands_in = True

    def __init__(self, start: Mapping[str, Any], *, agent: str | None, session_id: str | None, input: Any) -> None:
        super().__init__(
            start["name"], agent=agent, session_id=session_id, source="opentelemetry", input=UNSET if input is None else input
        )
        self._trace_id = int(start["trace_id"], 16)
        flags = int(start.get("trace_flags", 1)) & ~TraceFlags.SAMPLED
        self.unsent = Trace(self._trace_id, start["trace_id"], TraceFlags(flags), flags, None, sampled=False, recording=True)
        self._failure: Mapping[str, Any] | None = None

    _is_kept = True
    """Whether spans may be added after its end."""

    @staticmethod
    def ended_around(span: SpanContext) -> ImplicitTask | None:
        """The one of the recorder in use that has ended and has seen this span of this process."""
        if span.is_remote:
            return None
        trace_id, span_id = span.trace_id, format_span_id(span.span_id)
        of_trace = (task for task in [*_ended.values()] if task._trace_id == trace_id and task._recorder is recorder())
        return next((task for task in of_trace if (seen := task.task and task.task.seen) and span_id in seen.spans), None)

    def begin(self) -> None:
        """Begin, and be current in its trace."""
        self._move(State.RUNNING, allowed_from=State.PENDING)
        self._begin(Context(), Context())
        _implicit[id(self)] = self
        if len(_implicit) > MAX_IMPLICIT:
            for oldest in _implicit.values():
                # No other thread comes in between here, as it would with next(iter(…)).
                oldest.interrupt("its span did not end")
                break

    def _in_trace(self) -> int:
        return self._trace_id

    def finish(self, outcome: Outcome, failure: Mapping[str, Any] | None) -> None:
        """End as the span did; ``failure``: the ``exception`` object of its end line."""
        self._failure = failure
        self._finish(outcome, None, None)

    def _ending_error(self) -> str | None:
        return None if self._failure is None else self._failure.get("error_id")

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        fields = super()._end_fields(outcome)
        if self._failure is not None:
            fields["exception"] = {key: value for key, value in self._failure.items() if key != "traceback"}
        return fields

    def _finished(self, outcome: Outcome) -> None:
        super()._finished(outcome)
        _implicit.pop(id(self), None)
        if self._is_kept:
            _ended[id(self)] = self
            if len(_ended) > MAX_ENDED:
                _ended.pop(first_of(_ended) or 0, None)


_OWN_OF_HEADER = ("task_id", "parent_task_id", *CORRELATION_IDS, "created_at", "started_at", "completed_at", "status", "trace_id")
"""What is made here, or was cleaned before."""


def clean_header(header: Mapping[str, Any], payload: dict[str, Any] | None) -> dict[str, Any]:
    """The header with what users gave taken from the clean payload; where that failed, without it."""
    cleaned = (payload or {}).pop("metadata", None)
    own = {key: header[key] for key in _OWN_OF_HEADER if key in header}
    return {**(cleaned if type(cleaned) is dict else {}), **own}


def pending_task(
    name: str, input: Any, given: Mapping[str, Any], record: Recorder, outer: Context
) -> tuple[RunningTask, dict[str, Any]]:
    """A task that waits for a worker, from what `Task` takes: its reference, and the cleaned payload of its first line.

    ``outer`` is the context whose bound ids it gets.
    """
    task = Task(name, **given)
    task_id = safe_task_id(given.get("task_id"), record)
    task.start_ns = record.clock()
    header = task._header(task_id, bound(outer), None)
    payload = record.clean({}, {"metadata": header, "input": input}).payload or {}
    header = {**clean_header(header, payload), "task_id": task_id, "status": State.PENDING.value}
    return RunningTask(task_id, header), payload

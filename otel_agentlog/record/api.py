"""The recording functions of the public API: `task`, `step`, `ai_call`, `tool`, `webhook`, and what is current."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, cast, overload

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.operations.ai_call import AiCall
from otel_agentlog.record.operations.context import current
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.operations.step import Step
from otel_agentlog.record.operations.task import UNSET, Task
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.record.operations.webhook import Webhook
from otel_agentlog.vocabulary.functions import Function, name_of


@overload
def task(name: Function) -> Function: ...
@overload
def task(
    name: str = ...,
    *,
    task_id: str | None = ...,
    input: Any = ...,
    agent: str | None = ...,
    agent_type: str | None = ...,
    agent_version: str | None = ...,
    agent_description: str | None = ...,
    workflow: str | None = ...,
    model: str | None = ...,
    source: str | None = ...,
    provider: str | None = ...,
    correlation_id: str | None = ...,
    session_id: str | None = ...,
    instance_id: str | None = ...,
    conversation_id: str | None = ...,
    tags: Iterable[str] = ...,
    resume: Mapping[str, str] | None = ...,
    strict: bool = ...,
    attributes: Mapping[str, Any] | None = ...,
    component: str | None = ...,
) -> Task: ...
def task(name: Any = "", *, input: Any = UNSET, **given: Any) -> Any:
    """A task: one job of an agent, with a folder of its own.

    Use it as ``with`` or ``async with`` block, as decorator, or with ``start()`` and ``end()``. ``input`` goes into
    ``01-input.json``, what is assigned to ``.result`` into ``04-final-result.json``. ``agent`` names who does it (span
    ``invoke_agent {agent}``), ``workflow`` or ``agent_type`` its low-cardinality type. ``conversation_id`` is that of everything
    in it (``gen_ai.conversation.id``), in other processes too. ``resume`` takes a carrier (W3C
    headers or environment variables) and continues that task: a pending one is started, a running one gets a further process
    at work on it, and one that has ended is followed by a new task below it; ``strict`` has that raise `StateError`. Inside
    another task it becomes a sub-task.
    """
    function = None if type(name) is str else _function_name(name)
    return Task(name, input=input, **given) if function is None else Task(function)(name)


@overload
def step(name: Function) -> Function: ...
@overload
def step(
    name: str,
    *,
    step_id: str | None = ...,
    plan: bool = ...,
    attributes: Mapping[str, Any] | None = ...,
    component: str | None = ...,
) -> Step: ...
def step(name: Any, **given: Any) -> Any:
    """A named part of a task; steps nest. ``plan=True`` for a step in which the agent makes its plan."""
    function = None if type(name) is str else _function_name(name)
    return Step(name, **given) if function is None else Step(function)(name)


def ai_call(model: str, **given: Any) -> AiCall:
    """One request to a model; see `AiCall` for what it takes and how to give it the response.

    Names that are not its own are the request's parameters: ``temperature=0.2, max_tokens=1000``. With the operations
    ``create_agent`` and ``invoke_agent``, ``agent_id agent_name agent_version agent_description`` say which agent it is; with
    ``retrieval`` and those of memories, ``data_source_id``, ``memory_store_id``, ``memory_record_id`` and ``query`` say what is
    looked for, and what is found is set as ``documents`` or ``records``.
    """
    return AiCall(model, **given)


@overload
def tool(name: Function) -> Function: ...
@overload
def tool(
    name: str,
    *,
    arguments: Mapping[str, Any] | None = ...,
    call_id: str | None = ...,
    tool_type: str | None = ...,
    description: str | None = ...,
    command: Mapping[str, str] | None = ...,
    specialist: str | None = ...,
    conversation_id: str | None = ...,
    skill: str | Mapping[str, str] | None = ...,
    attributes: Mapping[str, Any] | None = ...,
    component: str | None = ...,
) -> ToolRun: ...
def tool(name: Any, **given: Any) -> Any:
    """One execution of a tool. As a decorator it records the call's arguments and result.

    ``skill`` is the skill that it belongs to: a name, or a mapping with ``name``, ``description``, ``source_uri``,
    ``resource_name``.
    """
    function = None if type(name) is str else _function_name(name)
    return ToolRun(name, **given) if function is None else ToolRun(function)(name)


def _function_name(given: Any) -> str | None:
    """The name of a function that is decorated; ``None`` for what is the name of an operation, or is to be taken as one."""
    # A class method, which a bare decorator may stand above, cannot be called by itself.
    if not callable(given) and not issubclass(type(given), classmethod):
        return None
    try:
        for read in functools.WRAPPER_ASSIGNMENTS:
            getattr(given, read, None)  # as the wrapper will
        inner = getattr(given, "func", None)
        # What can be called and has no name is a mock.
        return name_of(given) if hasattr(given, "__qualname__") or hasattr(inner, "__qualname__") else None
    except Exception:  # noqa: BLE001 - an object of any class
        raise_interrupt()
        return None


def webhook(provider: str, event_type: str, payload: Any = None, **common: Any) -> Webhook:
    """An incoming webhook of ``github``, ``jira``, ``slack`` or any other provider; its stages become
    ``02-webhook-flow.jsonl``."""
    return Webhook(provider, event_type, payload, **common)


def current_task() -> str | None:
    """The id of the task that is running here, or ``None``."""
    operation = current()
    return operation.task.task_id if operation is not None and operation.task is not None else None


def current_operation() -> Operation | None:
    """The innermost open task, step, AI call or tool run here, or ``None``."""
    return cast("Operation | None", current())  # only operations are made current

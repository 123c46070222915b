"""From a start or end line to the name and attributes of its span, type by type, and to its status.

The functions for starts take a line, its ``details`` and the span's attributes, to which they add what the convention, or this
package, defines for that type; they return the span's name. Those for ends return the attributes. What all types share (ids,
outcome, the user's attributes, content) is added by `otel_agentlog.export.semconv.conventions`.

``failed`` and ``timed_out`` are errors; ``cancelled`` and ``interrupted`` are neither error nor success and show in
``agentlog.outcome`` only. A success leaves the status unset, never OK.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from opentelemetry.util.types import AttributeValue

from otel_agentlog.export.semconv import fields, names
from otel_agentlog.export.semconv.names import OTHER, Profile
from otel_agentlog.export.semconv.operations import OPERATIONS
from otel_agentlog.vocabulary.coerce import as_integer, as_number, as_text, mapping
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import FAILED, Outcome

Attributes: TypeAlias = dict[str, AttributeValue]
Details: TypeAlias = Mapping[str, Any]

MAX_CONTEXT = 16
"""Keys of an error's context that leave as attributes; the folder has all of them."""
MAX_CONTEXT_CHARACTERS = 1_024
"""Characters of one of their values."""

_CHAT = "chat"


def workflow_name(details: Details) -> str | None:
    """The low-cardinality kind of a task; never its title."""
    return as_text(details.get("workflow")) or as_text(details.get("agent_type"))


def operation_name(details: Details) -> str:
    """The GenAI operation of an AI call."""
    return as_text(details.get("operation")) or _CHAT


def task_start(line: Line, details: Details, attributes: Attributes, profile: Profile = "latest") -> str:
    """An agent run or a workflow, and our own attributes of the task."""
    if agent := as_text(details.get("agent")):
        name = f"invoke_agent {agent}"
        attributes[names.OPERATION], attributes[names.AGENT_NAME] = "invoke_agent", agent
        fields.copy(details, fields.TASK_AGENT, attributes)
    else:
        name = attributes[names.OPERATION] = "invoke_workflow"
        if workflow := workflow_name(details):
            name = f"invoke_workflow {workflow}"
            attributes.update(workflow_labels(workflow, profile))
        known = fields.TASK_WORKFLOW if profile in names.NEWEST else fields.CONVERSATION
        fields.copy(details, known, attributes)
    fields.copy(details, fields.TASK, attributes)
    if title := as_text(line.get("message")):
        attributes[names.TASK_NAME] = title
    return name


def workflow_labels(workflow: str | None, profile: Profile) -> list[tuple[str, str | None]]:
    """The name of a workflow, by the names of the profile."""
    known = ((names.AGENT_NAME, names.NEWEST), (names.WORKFLOW_NAME, names.BEFORE))
    return [(name, workflow) for name, having in known if profile in having]


def task_end(line: Line, details: Details, profile: Profile = "latest") -> Attributes:
    """Totals of a task."""
    attributes: Attributes = {}
    if profile in names.NEWEST or as_text(details.get("agent")):
        fields.copy(details, fields.AGENT_END, attributes)
    fields.copy(details, fields.TASK_END, attributes)
    return attributes


def step_start(line: Line, details: Details, attributes: Attributes) -> str:
    """A step has no merged convention; only a planning step is a GenAI operation."""
    message = line.get("message")
    name = message if type(message) is str and message else as_text(message) or as_text(line.get("step_id")) or "step"
    if not details.get("plan"):
        attributes[names.STEP_NAME] = name
        fields.copy(details, _STEP, attributes)
        return name
    attributes[names.OPERATION] = "plan"
    if agent := as_text(details.get("agent")):
        attributes[names.AGENT_NAME] = agent
    attributes[names.STEP_NAME] = name
    fields.copy(details, _STEP, attributes)
    return f"plan {agent}" if agent else "plan"


_STEP = (("index", names.STEP_INDEX, as_integer), ("parent_step_id", names.STEP_PARENT_ID, as_text))


def server_port(details: Details) -> int:
    """The port of a provider's server, which is required beside its address; 443 where it is not known."""
    return as_integer(details.get("server_port")) or 443


def ai_start(line: Line, details: Details, attributes: Attributes, profile: Profile = "latest") -> str:
    """Model, parameters and server of a request; the agent of the caller's task, and the one that is created or invoked."""
    operation = operation_name(details)
    attributes[names.OPERATION], attributes[names.PROVIDER] = operation, fields.provider_name(details.get("provider"))
    fields.copy(details, _AI_START, attributes)
    if address := as_text(details.get("server_address")):
        attributes[names.SERVER_ADDRESS] = address
        attributes[names.SERVER_PORT] = server_port(details)
    known = OPERATIONS.get(operation)
    if details.get("parameters"):
        defined = fields.PARAMETERS if known is None else fields.OTHER_PARAMETERS
        _add_parameters(mapping(details, "parameters"), defined, attributes)
    if details.get("stream"):
        attributes[names.REQUEST_STREAM] = True
    if details.get("conversation_compacted"):
        attributes[names.CONVERSATION_COMPACTED] = True
    if agent := as_text(details.get("agent")):
        attributes[names.OWN_AGENT_NAME] = agent
    if known is not None:
        if operation == "retrieval" and (top_k := attributes.get(names.REQUEST_TOP_K)) is not None:
            attributes[names.RETRIEVAL_TOP_K] = top_k
        _leave_out(attributes, known.allowed)
    subject = attributes.get(names.REQUEST_MODEL if known is None else known.named_after(profile))
    return f"{operation} {subject}" if subject else operation


_AI_START = (
    ("model", names.REQUEST_MODEL, as_text),
    ("conversation_id", names.CONVERSATION_ID, as_text),
)


def _add_parameters(parameters: Details, known: fields.Fields, attributes: Attributes) -> None:
    for key, value in parameters.items():
        if value is not None and (field := known.get(key)) is not None:
            attribute, convert = field
            if (converted := convert(value)) is not None:
                attributes[attribute] = converted


def _leave_out(attributes: Attributes, allowed: frozenset[str]) -> None:
    """Leave out what the convention does not define for an operation."""
    for key in [key for key in attributes if key.startswith("gen_ai.") and key not in allowed]:
        del attributes[key]


def ai_end(line: Line, details: Details) -> Attributes:
    """Finish reasons, usage and cost of a response."""
    attributes: Attributes = {}
    if reasons := finish_reasons(line, details):
        attributes[names.RESPONSE_FINISH_REASONS] = reasons
    fields.copy(details, fields.RESPONSE, attributes)
    fields.copy(details, fields.USAGE, attributes)
    # Often known only now: the stream begins after the span.
    if details.get("stream") or names.RESPONSE_TIME_TO_FIRST_CHUNK in attributes:
        attributes[names.REQUEST_STREAM] = True
    known = OPERATIONS.get(operation_name(details))
    if known is not None:
        fields.copy(details, fields.OTHER_RESPONSE, attributes)
        _leave_out(attributes, known.allowed)
    amount = as_number(details.get("cost_usd"))
    if amount is not None:
        attributes.update(_cost(amount, mapping(details, "price")))
    return attributes


def adopted(line: Line, details: Details, task_id: str, header: Mapping[str, Any]) -> Attributes:
    """What a line of another library's span adds to that: whose it is, and at its end what it is of the task's figures.

    Where a task was begun for the span, which has no span of its own in OTLP, also what is known of that by its ``header``.

    So a backend that has nothing but spans counts as the folder does. All of it has names of ours.
    """
    if line.get("phase") == "start":
        attributes: Attributes = {names.TASK_ID: task_id}
        fields.copy(header, fields.HEADER, attributes)
        return attributes
    attributes = {names.LINE_TYPE: line["type"]}
    fields.copy(details, fields.SAME_CALL, attributes)
    if line["type"] == "ai_response":
        fields.copy(details, fields.COUNTED, attributes)
        if (amount := as_number(details.get("cost_usd"))) is not None:
            attributes.update(_cost(amount, mapping(details, "price")))
    if line.get("outcome") in FAILED:
        attributes.update(error_attributes(line))
        if line["level"] != "ERROR":
            attributes[names.LEVEL] = line["level"]
    return attributes


def finish_reasons(line: Line, details: Details) -> list[str] | None:
    """Why each choice ended; ``error`` for one that was cut off, ``None`` where no response had begun."""
    reasons = details.get("finish_reasons")
    if isinstance(reasons, (list, tuple)) and reasons:
        return [reason if isinstance(reason, str) and reason else "error" for reason in reasons]
    begun = details.get("time_to_first_chunk_ms") is not None or bool(details.get("output"))
    return ["error"] if begun and line.get("outcome") != Outcome.COMPLETED.value else None


def _cost(amount: float, price: Details) -> Attributes:
    # Shaped like the convention's open proposal (semantic-conventions-genai #443), so that a rename is all it takes later.
    source = as_text(price.get("source"))
    cost: Attributes = {names.COST_AMOUNT: amount, names.COST_CURRENCY: "USD"}
    cost[names.COST_SOURCE] = "provider" if source == "provider" else "local"
    if source is not None:
        cost[names.PRICE_SOURCE] = source
        fields.copy(price, (("version", names.PRICE_VERSION, as_text),), cost)
    return cost


def tool_name(line: Line) -> str:
    """The tool that ran."""
    return as_text(line.get("content")) or names.OTHER


def tool_start(line: Line, details: Details, attributes: Attributes) -> str:
    """Which tool runs, with what skill or program."""
    tool = line.get("content")
    if type(tool) is not str or not tool:
        tool = tool_name(line)
    attributes[names.OPERATION], attributes[names.TOOL_NAME] = "execute_tool", tool
    for key, attribute, _ in fields.TOOL:
        # As `fields.copy` does with texts, without its call: no span is as frequent.
        if key in details:
            value = details[key]
            if value and (type(value) is str or as_text(value) is not None):
                attributes[attribute] = value
    if "skill" not in details and "command" not in details:
        return f"execute_tool {tool}"
    skill = details.get("skill")
    if skill is not None:
        fields.copy(skill if isinstance(skill, Mapping) else {"name": skill}, fields.SKILL, attributes)
    fields.copy(mapping(details, "command"), fields.COMMAND, attributes)
    return f"execute_tool {tool}{tool_suffix(details, tool)}"


def tool_suffix(details: Details, tool: str) -> str:
    """What follows the tool in the span's name, with a space before it: skill and resource, else the program of a command, unless
    that is the tool."""
    skill = details.get("skill")
    known = skill if isinstance(skill, Mapping) else {"name": skill}
    skill_name, resource = as_text(known.get("name")), as_text(known.get("resource_name"))
    program = as_text(mapping(details, "command").get("executable_name"))
    if resource:
        return f" {skill_name} {resource}" if skill_name else f" {resource}"
    if program and program != tool:
        return f" {program}"
    return f" {skill_name}" if skill_name else ""


def webhook_start(line: Line, details: Details, attributes: Attributes) -> str:
    """Provider and type of a webhook."""
    fields.copy(
        details,
        (("provider", names.WEBHOOK_PROVIDER, as_text), ("event_type", names.WEBHOOK_EVENT_TYPE, as_text)),
        attributes,
    )
    provider = as_text(details.get("provider"))
    return f"webhook {provider}" if provider else "webhook"


def push_start(line: Line, details: Details, attributes: Attributes) -> str:
    """A message put into a queue."""
    return _messaging(details, "push", "send", attributes)


def pickup_start(line: Line, details: Details, attributes: Attributes) -> str:
    """Work on a message taken from a queue."""
    # `process`, not `receive`: the span covers the work on the message, and only `process` is of kind CONSUMER.
    return _messaging(details, "pickup", "process", attributes)


def _messaging(details: Details, operation: str, kind: str, attributes: Attributes) -> str:
    attributes[names.MESSAGING_SYSTEM] = as_text(details.get("system")) or names.OTHER
    attributes[names.MESSAGING_OPERATION_NAME], attributes[names.MESSAGING_OPERATION_TYPE] = operation, kind
    fields.copy(
        details,
        (("queue", names.MESSAGING_DESTINATION_NAME, as_text), ("message_id", names.MESSAGING_MESSAGE_ID, as_text)),
        attributes,
    )
    fields.copy(details, fields.QUEUE_LATENCY, attributes)
    return f"{operation} {as_text(details.get('queue')) or ''}".rstrip()


def segment_start(line: Line, details: Details, attributes: Attributes) -> str:
    """The work of a further process on a task has only what all have."""
    return "segment"


_STAGE_COMMON = frozenset(
    {"timestamp", "type", "level", "component", "action", "message", "stage", "task_id", "step_id", "correlation_id"}
    | {"session_id", "instance_id", "event_id", "trace_id", "span_id", "content", "details"}
)


def stage_event(line: Line) -> tuple[str, Attributes]:
    """Name and attributes of the span event that a line of ``02-webhook-flow.jsonl`` is."""
    attributes: Attributes = {
        names.WEBHOOK + key: value
        for key, value in line.items()
        if key not in _STAGE_COMMON and isinstance(value, (str, bool, int, float))
    }
    return f"webhook.{line.get('stage')}", attributes


MAX_NOTED_DETAILS = 16
"""Details of a line that are attributes of its span event; the log record has more."""


def noted_event(line: Line) -> tuple[str, Attributes]:
    """Name and attributes of the event that a line is on its span: an exception, an attempt, or what was logged."""
    attributes: Attributes = {}
    details, exception = mapping(line, "details"), mapping(line, "exception")
    if exception:
        attributes.update(exception_attributes(exception))
    if line.get("type") == "attempt":
        fields.copy(details, fields.ATTEMPT, attributes)
        fields.copy(details, fields.ERROR, attributes)
    elif line.get("phase") is None:
        fields.copy(line, _NOTED, attributes)
        scalars = ((f"{names.DETAIL}.{key}", _scalar(value)) for key, value in details.items())
        attributes.update(dict([(key, value) for key, value in scalars if value is not None][:MAX_NOTED_DETAILS]))
    fields.copy(line, (("event_id", names.EVENT_ID, as_text),), attributes)
    if exception:
        return names.EVENT_SPAN_EXCEPTION, attributes
    return (names.EVENT_LOG if line.get("type") == "log" else f"agentlog.{line.get('action')}"), attributes


_NOTED = (
    ("level", names.LEVEL, as_text),
    ("message", names.MESSAGE, as_text),
    ("logger", names.LOGGER, as_text),
    ("state_before", names.STATE_BEFORE, as_text),
    ("state_after", names.STATE_AFTER, as_text),
)


def exception_attributes(exception: Mapping[str, Any]) -> Attributes:
    """Type, message, stack trace, id and category of the exception on a line."""
    attributes: Attributes = {}
    fields.copy(exception, fields.EXCEPTION, attributes)
    if traceback := exception.get("traceback"):
        attributes[names.EXCEPTION_STACKTRACE] = "\n".join(map(str, traceback)) if isinstance(traceback, list) else str(traceback)
    return attributes


# -- how it ended ---------------------------------------------------------------------------------------------------------


def error_type(line: Line) -> str | None:
    """The low-cardinality ``error.type`` of an end line; ``None`` iff it is not an error.

    In this order: ``details.error_type`` (a provider's error code), the exception's class, ``timeout``,
    ``nonzero_exit``, ``_OTHER``.
    """
    outcome = as_text(line.get("outcome"))
    if outcome not in FAILED:
        return None
    details = mapping(line, "details")
    given = details.get("error_type")
    if isinstance(given, str) and given:
        return given
    name = mapping(line, "exception").get("type")
    if isinstance(name, str) and name:
        return name
    if outcome == Outcome.TIMED_OUT.value:
        return "timeout"
    return "nonzero_exit" if details.get("exit_code") else OTHER


def error_attributes(line: Line) -> dict[str, AttributeValue]:
    """Attributes of a failed span beside ``error.type``: the error's id, category and the scalars of its context."""
    exception = mapping(line, "exception")
    if not exception or as_text(line.get("outcome")) not in FAILED:
        return {}
    found: dict[str, AttributeValue] = {}
    for key, name in (("error_id", names.ERROR_ID), ("category", names.ERROR_CATEGORY)):
        if (value := as_text(exception.get(key))) is not None:
            found[name] = value
    return {**found, **context_attributes(exception)}


def context_attributes(exception: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """The scalars of an error's context, as ``agentlog.error.context.<key>``."""
    scalars = ((key, _scalar(value)) for key, value in mapping(exception, "context").items())
    known = [(f"{names.ERROR_CONTEXT}.{key}", value) for key, value in scalars if value is not None]
    return dict(known[:MAX_CONTEXT])


def _scalar(value: Any) -> AttributeValue | None:
    if isinstance(value, str):
        return value if len(value) <= MAX_CONTEXT_CHARACTERS else value[:MAX_CONTEXT_CHARACTERS] + "…"
    if isinstance(value, bool):
        return value
    return as_integer(value) if isinstance(value, int) else as_number(value)


def span_status(line: Line) -> tuple[str, str | None]:
    """Code (``ERROR`` or ``UNSET``) and description of an end line's span."""
    if as_text(line.get("outcome")) not in FAILED:
        return UNSET
    description = mapping(line, "exception").get("message") or line.get("reason")
    return "ERROR", description if isinstance(description, str) else None


UNSET: tuple[str, str | None] = ("UNSET", None)
"""Code and description of what did not fail."""

"""The lines of a task, from its spans and log records: the way back from `otel_agentlog.export.semconv` and
`otel_agentlog.export.records`.

A backend keeps attributes as texts, so each is read by what its name stands for; of a name that is not ours the text stays.
What OTLP does not carry is not there: ``docs/stack/clickhouse.md`` lists it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Any

import orjson

from otel_agentlog._startup import dataclass
from otel_agentlog.export.semconv import fields, names
from otel_agentlog.view.backends import foreign
from otel_agentlog.vocabulary.actions import AI_CALL, END_TYPE, HANDED_OVER, PLAIN, SEGMENT, Kind, end_action, start_action
from otel_agentlog.vocabulary.coerce import as_integer, as_number, as_text, as_texts
from otel_agentlog.vocabulary.lines import CONTENT_TYPES, FORMAT_VERSION, INSIDE_CALL, SAME_CALL_AS, Line, timestamp
from otel_agentlog.vocabulary.scores import SCORE_ADDED
from otel_agentlog.vocabulary.states import ENDED, FAILED, Outcome, State

OWN_SCOPE = "otel_agentlog"

Attributes = Mapping[str, str]


@dataclass(slots=True)
class Span:
    """One span of a backend; ids in hex, empty where there is none, times in Unix nanoseconds."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    resource: Attributes
    scope: str
    scope_version: str
    failed: bool
    description: str
    events: list[tuple[str, int, Attributes]] = field(default_factory=list)
    """Name, time and attributes of each."""
    same_call_as: str = ""
    """Of one that does not say what it is: the span that counts the request to a model, or the tool run, which it saw, too."""
    inside_call: str = ""
    """The next AI span of another library around it."""
    gave_away: bool = False
    """Of a task's: its end was handed over, so this is the end of a part."""

    @property
    def is_own(self) -> bool:
        """Whether it was recorded by this package, not by another library."""
        return self.scope == OWN_SCOPE


@dataclass(slots=True)
class LogRecord:
    """One log record of a backend."""

    trace_id: str
    span_id: str
    time_ns: int
    level: str
    body: str
    event_name: str
    attributes: Attributes
    resource: Attributes


# -- reading texts back ----------------------------------------------------------------------------------------------------


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def _texts(text: str) -> list[str] | None:
    found = _json(text)
    return [str(each) for each in found] if isinstance(found, list) else None


def _text(text: str) -> str | None:
    return text or None


def _milliseconds(text: str) -> float | None:
    seconds = _number(text)
    return None if seconds is None else round(seconds * 1000, 3)


_READERS: Mapping[Any, Callable[[str], Any]] = {
    as_text: _text,
    as_integer: _integer,
    as_number: _number,
    as_texts: _texts,
    fields.seconds: _milliseconds,
    fields.several: _integer,
}


def _read(attributes: Attributes, table: Iterable[tuple[str, str, Any]], found: dict[str, Any]) -> None:
    """Set the keys of a table of `fields` whose attributes are there; a name for several keys is the first one's."""
    for key, attribute, convert in table:
        if key not in found and attribute in attributes and (value := _READERS[convert](attributes[attribute])) is not None:
            found[key] = value


# -- a span: its start and end line -----------------------------------------------------------------------------------------

_STEP = (("index", names.STEP_INDEX, as_integer), ("parent_step_id", names.STEP_PARENT_ID, as_text))
_AGENT = (("agent", names.AGENT_NAME, as_text),)
_AI = (
    ("model", names.REQUEST_MODEL, as_text),
    ("provider", names.PROVIDER, as_text),
    ("operation", names.OPERATION, as_text),
    ("agent", names.OWN_AGENT_NAME, as_text),
    ("conversation_id", names.CONVERSATION_ID, as_text),
    ("server_address", names.SERVER_ADDRESS, as_text),
    ("server_port", names.SERVER_PORT, as_integer),
)
_WEBHOOK = (
    ("provider", names.WEBHOOK_PROVIDER, as_text),
    ("event_type", names.WEBHOOK_EVENT_TYPE, as_text),
)
_QUEUE = (
    ("queue", names.MESSAGING_DESTINATION_NAME, as_text),
    ("message_id", names.MESSAGING_MESSAGE_ID, as_text),
    *fields.QUEUE_LATENCY,
)
_START_TABLES: Mapping[str, tuple[tuple[str, str, Any], ...]] = {
    "task": fields.TASK,
    "step": _STEP,
    "ai_request": _AI,
    "tool_call": fields.TOOL,
    "webhook": _WEBHOOK,
    "queue_push": _QUEUE,
    "queue_pickup": _QUEUE,
}
_COST = (("cost_usd", names.COST_AMOUNT, as_number),)
_PRICE = (("source", names.PRICE_SOURCE, as_text), ("version", names.PRICE_VERSION, as_text))
_REASONS = (("finish_reasons", names.RESPONSE_FINISH_REASONS, as_texts),)
_END_TABLES: Mapping[str, tuple[tuple[str, str, Any], ...]] = {
    "task": fields.TASK_END,
    "ai_request": (*fields.RESPONSE, *fields.USAGE, *_REASONS, *_COST),
    "tool_call": fields.TOOL_END,
    "webhook": (("task_id", names.TASK_ID, as_text), ("task_name", names.TASK_NAME, as_text)),
}
_PARAMETERS = tuple((key, attribute, convert) for key, (attribute, convert) in fields.OTHER_PARAMETERS.items())
_CONTENT_AT_START = (("messages", names.INPUT_MESSAGES), ("system", names.SYSTEM_INSTRUCTIONS), ("tools", names.TOOL_DEFINITIONS))
_MESSAGING = {"push": "queue_push", "pickup": "queue_pickup"}


def line_type(span: Span) -> str:
    """The type of a span's start line; of another library's that is what it turned out to be."""
    given, operation = span.attributes, span.attributes.get(names.OPERATION)
    if not span.is_own:
        return foreign_kind(span).start_type
    # A webhook's span has the title of its task, too.
    titled = names.TASK_NAME in given and names.WEBHOOK_PROVIDER not in given
    if titled or (operation in ("invoke_agent", "invoke_workflow") and names.PROVIDER not in given):
        return "task"
    if names.STEP_NAME in given:
        return "step"
    if operation == "execute_tool":
        return "tool_call"
    if operation is not None:
        return "ai_request"
    return _of_queue_or_hook(span)


def foreign_kind(span: Span) -> Kind:
    """What a span of another library is."""
    return PLAIN if span.same_call_as else foreign.kind_of(span.name, span.attributes)


def tool_of(span: Span) -> str:
    """The tool that ran in a span of a tool run."""
    given = span.attributes
    return given.get(names.TOOL_NAME) or span.name if span.is_own else foreign.tool_name(span.name, given)


def _of_queue_or_hook(span: Span) -> str:
    if span.kind == "Server":
        return "webhook"
    return _MESSAGING.get(span.attributes.get(names.MESSAGING_OPERATION_NAME, "")) or (
        "segment" if span.name == "segment" else "span"
    )


def details_of(span: Span, kind: str) -> dict[str, Any]:
    """``details`` of a span's start line."""
    found: dict[str, Any] = {}
    given = span.attributes
    if not span.is_own:
        return _foreign_details(span)
    _read(given, _START_TABLES.get(kind, ()), found)
    if kind == "task":
        is_agent = given.get(names.OPERATION) == "invoke_agent"
        _read(given, (*_AGENT, *fields.TASK_AGENT) if is_agent else fields.TASK_WORKFLOW, found)
    elif kind == "step" and given.get(names.OPERATION) == "plan":
        found["plan"] = True
    elif kind == "ai_request":
        _add_request(given, found)
    elif kind == "tool_call":
        _add_tool(given, found)
    return found


def _foreign_details(span: Span) -> dict[str, Any]:
    return foreign.details_at_start(foreign_kind(span), span.attributes)


def _foreign_end(span: Span, start: Mapping[str, Any]) -> dict[str, Any]:
    kind, given = foreign_kind(span), span.attributes
    found = {key: value for key, value in start.items() if key not in ("messages", "arguments")}
    found |= foreign.details_at_end(kind, given)
    _read(given, fields.SAME_CALL, found)
    if span.same_call_as:
        found[SAME_CALL_AS] = span.same_call_as
    if kind is AI_CALL and foreign.says_itself(given):
        _read(given, (*fields.COUNTED, *_COST), found)
        found.setdefault("cost_usd", None)
        _add_price(given, found)
    return found


def _add_price(given: Attributes, found: dict[str, Any]) -> None:
    price: dict[str, Any] = {}
    _read(given, _PRICE, price)
    if price:
        found["price"] = price


def _add_request(given: Attributes, found: dict[str, Any]) -> None:
    if found.get("provider") == names.OTHER:
        del found["provider"]
    _read(given, _AGENT, found)
    parameters: dict[str, Any] = {}
    seen = set()
    for key, attribute, convert in _PARAMETERS:
        if attribute not in seen and attribute != names.RESPONSE_ID:
            _read(given, ((key, attribute, convert),), parameters)
            seen.add(attribute)
    if parameters:
        found["parameters"] = parameters
    if given.get(names.REQUEST_STREAM) == "true":
        found["stream"] = True
    found.update({key: _json(given[attribute]) for key, attribute in _CONTENT_AT_START if attribute in given})


def _add_tool(given: Attributes, found: dict[str, Any]) -> None:
    for key, table in (("skill", fields.SKILL), ("command", fields.COMMAND)):
        inner: dict[str, Any] = {}
        _read(given, table, inner)
        if inner:
            found[key] = inner
    if names.TOOL_CALL_ARGUMENTS in given:
        found["arguments"] = _json(given[names.TOOL_CALL_ARGUMENTS])


def _end_details(span: Span, kind: str, start: Mapping[str, Any]) -> dict[str, Any]:
    given = span.attributes
    if not span.is_own:
        return _foreign_end(span, start)
    found = {key: value for key, value in start.items() if key not in ("messages", "system", "tools", "arguments", "parameters")}
    _read(given, _END_TABLES.get(kind, ()), found)
    # An unknown cost is no attribute. Of a call whose process died it is not known whether it counts: it has no attempts either.
    if "attempts" in found if kind == "ai_request" else kind == "task" and "input_tokens" in found:
        found.setdefault("cost_usd", None)
    if kind == "ai_request":
        _add_price(given, found)
        if names.OUTPUT_MESSAGES in given:
            found["output"] = _json(given[names.OUTPUT_MESSAGES])
    elif kind == "tool_call" and names.TOOL_CALL_RESULT in given:
        found["result"] = _json(given[names.TOOL_CALL_RESULT])
    return found


def _message(span: Span, kind: str, details: Mapping[str, Any]) -> str:
    given = span.attributes
    if not span.is_own:
        return span.name
    said = {
        "task": given.get(names.TASK_NAME),
        "step": given.get(names.STEP_NAME),
        "ai_request": details.get("model") or details.get("operation"),
        "tool_call": tool_of(span),
        "webhook": " ".join(filter(None, (details.get("provider"), details.get("event_type")))),
        "queue_push": details.get("queue"),
        "queue_pickup": details.get("queue"),
    }.get(kind)
    return said or span.name


def outcome_of(span: Span) -> str:
    """How a span ended."""
    said = span.attributes.get(names.OUTCOME)
    if said in ENDED:
        return said
    return Outcome.FAILED.value if span.failed else Outcome.COMPLETED.value


def level_of(outcome: str) -> str:
    """The level of an end line."""
    return "ERROR" if outcome in FAILED else "INFO" if outcome == Outcome.COMPLETED.value else "WARNING"


def span_lines(span: Span, task_id: str, above: Span | None, exception: LogRecord | None) -> tuple[Line, Line]:
    """The start line and the end line of a span.

    `above` is its parent, if that is there; `exception` the log record of the exception that it ended with.
    """
    kind = line_type(span)
    details = details_of(span, kind)
    if kind == "ai_request" and span.inside_call:
        details[INSIDE_CALL] = span.inside_call
    common = {"message": _message(span, kind, details), **_common(span.attributes, task_id, span.trace_id, span.span_id)}
    if kind == "tool_call":
        common["content"] = tool_of(span)
    if not span.is_own:
        common["component"] = foreign_kind(span).component
        common["scope"] = {"name": span.scope, "version": span.scope_version}
    return _start_line(span, kind, details, common), _end_line(span, kind, details, common, above, exception)


def _start_line(span: Span, kind: str, details: dict[str, Any], common: Mapping[str, Any]) -> Line:
    line: Line = {"timestamp": timestamp(span.start_ns), "type": kind, "level": "INFO", "phase": "start"}
    line |= {"action": start_action(kind) or PLAIN.started, **common}
    if span.is_own:
        line |= {"state_before": State.PENDING.value, "state_after": State.RUNNING.value}
    line |= {"name": span.name, "kind": span.kind.upper(), "attributes": dict(span.attributes)}
    if details:
        line["details"] = details
    if span.parent_span_id:
        line["parent_span_id"] = span.parent_span_id
    return line


def _end_line(
    span: Span,
    kind: str,
    begun: Mapping[str, Any],
    common: Mapping[str, Any],
    above: Span | None,
    exception: LogRecord | None,
) -> Line:
    outcome = outcome_of(span)
    level = level_of(outcome) if span.is_own else _foreign_level(span, outcome, above)
    kind_of_end = SEGMENT.end_type if span.gave_away else END_TYPE.get(kind, kind)
    line: Line = {"timestamp": timestamp(span.end_ns), "type": kind_of_end, "level": level, "phase": "end"}
    line |= {
        "action": end_action(kind_of_end, outcome) or PLAIN.end_actions.get(outcome, PLAIN.ended),
        **common,
        "outcome": outcome,
    }
    if span.is_own:
        line |= {"state_before": State.RUNNING.value, "state_after": outcome}
    line["duration_ms"] = round((span.end_ns - span.start_ns) / 1e6, 3)
    if details := _end_details(span, kind, begun):
        line["details"] = details
    if (reason := span.attributes.get(names.REASON)) is not None:
        line["reason"] = reason
    if outcome in FAILED:
        line["status"] = {"code": "ERROR", **({"description": span.description} if span.description else {})}
        line["exception"] = _exception_of(span) if exception is None else exception_of(exception.attributes)
        if exception is not None and names.EVENT_ID in exception.attributes:
            line["event_id"] = exception.attributes[names.EVENT_ID]
    return line


def _foreign_level(span: Span, outcome: str, above: Span | None) -> str:
    given = span.attributes
    if outcome in FAILED and (foreign.says_itself(given) or names.ERROR_ID in given):
        return given.get(names.LEVEL) or level_of(outcome)
    # Its failure goes on in what lies around it, and counts there; of a further view it counts elsewhere.
    passes = outcome in FAILED and (span.same_call_as or (above is not None and above.failed))
    return "WARNING" if passes else level_of(outcome)


def _common(given: Attributes, task_id: str, trace_id: str, span_id: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    _read(given, fields.COMMON, found)
    return {**found, "task_id": task_id, "trace_id": trace_id, "span_id": span_id}


def _exception_of(span: Span) -> dict[str, Any]:
    """What the span itself knows of the exception it ended with."""
    # Others may record several: the last one ended it.
    event = next((attributes for name, _, attributes in reversed(span.events) if name == "exception"), {})
    found = exception_of({**event, **span.attributes})
    found.setdefault("type", span.attributes.get(names.ERROR_TYPE, names.OTHER))
    if span.description or not span.is_own:
        found.setdefault("message", span.description)
    return found


_EXCEPTION = (
    ("type", names.EXCEPTION_TYPE, as_text),
    ("message", names.EXCEPTION_MESSAGE, as_text),
    ("error_id", names.ERROR_ID, as_text),
    ("category", names.ERROR_CATEGORY, as_text),
    ("suggestions", names.ERROR_SUGGESTIONS, as_texts),
)


def exception_of(given: Attributes) -> dict[str, Any]:
    """An exception as a line has it, from the attributes of a span or log record."""
    found: dict[str, Any] = {}
    _read(given, _EXCEPTION, found)
    if traceback := given.get(names.EXCEPTION_STACKTRACE):
        found["traceback"] = traceback.split("\n")
    before = f"{names.ERROR_CONTEXT}."
    if context := {key[len(before) :]: value for key, value in given.items() if key.startswith(before)}:
        found["context"] = context
    return found


_TRUTHS: Mapping[str, Any] = {"true": True, "false": False}


def stage_lines(span: Span, task_id: str) -> Iterator[Line]:
    """The lines of the webhook flow that the events of a webhook's span are."""
    details = details_of(span, "webhook")
    for name, time_ns, attributes in span.events:
        if name.startswith("webhook."):
            own = {key.removeprefix(names.WEBHOOK): _TRUTHS.get(value, value) for key, value in attributes.items()}
            ids = {"task_id": task_id, "trace_id": span.trace_id, "span_id": span.span_id}
            yield {"timestamp": timestamp(time_ns), "stage": name.removeprefix("webhook."), **own, **details, **ids}


# -- a log record: the line it is ------------------------------------------------------------------------------------------

_TYPES = {"task": "state", "process": "state", "attempt": "attempt"}
"""Type of a line by the first word of its action."""
_LOG = (("event_id", names.EVENT_ID, as_text), *fields.ORIGIN, ("action", names.ACTION, as_text))
_OURS = ("agentlog.", "gen_ai.", "exception.", "code.", "log.record.")


def is_exception(record: LogRecord) -> bool:
    """Whether a log record is the exception that its span ended with."""
    return record.attributes.get(names.LOG_RECORD_UID, "").endswith("#exception")


def log_line(record: LogRecord, task_id: str) -> Line | None:
    """The line that a log record is; ``None`` where it only repeats what its span says."""
    given = record.attributes
    # Tables made by older exporters have no column for the event's name.
    event = record.event_name or (f"agentlog.{given[names.ACTION]}" if names.ACTION in given else "")
    if is_exception(record) or event == names.EVENT_INFERENCE_DETAILS:
        return None
    line: Line = {"timestamp": timestamp(record.time_ns), "type": "log", "level": record.level or "INFO"}
    _read(given, _LOG, line)
    line |= _common(given, task_id, record.trace_id, record.span_id)
    found = _json(given.get(names.DETAILS, ""))
    details = found if isinstance(found, dict) else {}
    if event == names.EVENT_EVALUATION:
        line |= {"type": "event", "action": SCORE_ADDED}
        _read(given, fields.EVALUATION, details)
    elif event == names.EVENT_CONTENT:
        said = given.get(names.CONTENT_TYPE, "")
        line |= {"type": said if said in CONTENT_TYPES else "output", "action": "content_recorded", "content": record.body}
    elif event:
        line["type"] = _TYPES.get(line.get("action", "").partition("_")[0], "event")
    elif names.CODE_FUNCTION_NAME in given:
        line["module"], _, line["function"] = given[names.CODE_FUNCTION_NAME].rpartition(".")
    if record.body and event != names.EVENT_CONTENT:
        line["message"] = record.body
    # Of a log call this one may be the user's own.
    known = {names.SESSION_ID} | ({names.ERROR_TYPE} if event or names.EXCEPTION_TYPE in given else set())
    own = {key: value for key, value in given.items() if not key.startswith(_OURS) and key not in known}
    if details or own:
        line["details"] = {**own, **details}
    if names.EXCEPTION_TYPE in given:
        line["exception"] = exception_of(given)
    return line


def process_line(first: Span | LogRecord, resource: Attributes, task_id: str) -> Line:
    """The line of the process that recorded a task, as far as it is known."""
    at = first.start_ns if isinstance(first, Span) else first.time_ns
    return {
        "timestamp": timestamp(at),
        "type": "process",
        "level": "INFO",
        "component": "process",
        "action": "process_attached",
        "message": "process of a backend",
        # Of another machine, as far as anybody here can know: whether it lives is not seen.
        "host": resource.get("host.name") or "elsewhere",
        "format_version": FORMAT_VERSION,
        "content_policy": "off",
        "resource": dict(resource),
        "task_id": task_id,
    }


def is_hand_over(record: LogRecord) -> bool:
    """Whether a log record says that a task's end was given away in its span."""
    return record.attributes.get(names.ACTION) == HANDED_OVER


def implicit_task(span: Span) -> Span | None:
    """The span of the task that was begun for another library's span, which does not leave; ``None`` if none was."""
    given = span.attributes
    if span.is_own or names.TASK_NAME not in given or names.TASK_ID not in given:
        return None
    # Any id that no other span has, and the same the next time.
    identity = hashlib.sha256(f"task of {span.span_id}".encode()).hexdigest()[:16]
    kept = (names.TASK_ID, names.TASK_NAME, names.TASK_SOURCE, names.ERROR_ID, names.ERROR_CATEGORY)
    known = {key: given[key] for key in kept if key in given}
    if agent := given.get(names.OWN_AGENT_NAME):
        known |= {names.OPERATION: "invoke_agent", names.AGENT_NAME: agent}
    if session := foreign.session_of(given):
        known[names.SESSION_ID] = session
    return replace(
        span, span_id=identity, parent_span_id="", name=given[names.TASK_NAME], kind="Internal", attributes=known, scope=OWN_SCOPE
    )


def subtask_lines(task: Span, inside: str, at: Span | None) -> tuple[Line, Line]:
    """The pointers to a sub-task in the folder of the task that it is `inside`, below the span `at`."""
    name = task.attributes.get(names.TASK_NAME, task.name)
    sub_id = task.attributes.get(names.TASK_ID, "")
    common = {"task_id": inside, "trace_id": task.trace_id, **({"span_id": at.span_id} if at is not None else {})}

    def pointer(time_ns: int, action: str, **more: str) -> Line:
        line: Line = {"timestamp": timestamp(time_ns), "type": "subtask", "level": "INFO", "component": "orchestrator"}
        return {**line, "action": action, "message": name, "details": {"task_id": sub_id, "name": name, **more}, **common}

    return pointer(task.start_ns, "subtask_started"), pointer(task.end_ns, "subtask_ended", outcome=outcome_of(task))

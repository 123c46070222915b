"""What of a task becomes an example: one of its AI calls with what it was asked, or its whole conversation.

Both are messages ``{"role", "parts"}`` with the parts of ``record.providers.parts``; what was moved to artifacts is put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

import orjson

from otel_agentlog._startup import dataclass
from otel_agentlog.store.folder.reader import TaskReader, with_artifacts
from otel_agentlog.vocabulary.coerce import mapping, objects, text
from otel_agentlog.vocabulary.lines import SAME_CALL_AS, Line
from otel_agentlog.vocabulary.states import Outcome

OFF, TRUNCATED, INCOMPLETE, FAILED = "without content", "truncated", "incomplete", "failed"
NO_CALL = "without an answer of a model"
"""Why something is no example: its content was not recorded; a part of it was left out; a tool's result is missing; it failed."""

_CUT = (b"[truncated: ", b'"$truncated"', b'"$artifact"')

Message = dict[str, Any]


@dataclass
class Example:
    """Messages, the last of which is the model's."""

    task_id: str
    span_id: str | None
    """Of the AI call; ``None`` for a conversation."""
    messages: list[Message]
    system: list[Mapping[str, Any]] = field(default_factory=list)
    tools: list[Mapping[str, Any]] = field(default_factory=list)
    model: str | None = None
    provider: str | None = None


@dataclass(frozen=True)
class NoExample:
    """What is no example, and why."""

    why: str


def examples_of(task: TaskReader, of: str) -> Iterator[Example | NoExample]:
    """The examples of a task: of its ``calls``, or one of the ``tasks``."""
    for found in _calls(task) if of == "calls" else (_conversation(task),):
        yield NoExample(TRUNCATED) if isinstance(found, Example) and _is_cut(found) else found


def _is_cut(example: Example) -> bool:
    data = orjson.dumps([example.messages, example.system, example.tools])
    return any(mark in data for mark in _CUT)


def _calls(task: TaskReader) -> Iterator[Example | NoExample]:
    begun: dict[str, Line] = {}
    for line in task.events():
        span_id = text(line, "span_id") or ""
        if line.get("phase") == "start":
            # A span of another library may turn out to be a call only at its end.
            begun |= {span_id: line} if line.get("type") in ("ai_request", "span") else {}
            continue
        start = begun.pop(span_id, None) if line.get("phase") == "end" else None
        if line.get("type") == "ai_response" and SAME_CALL_AS not in mapping(line, "details"):
            yield _call(task, start or {}, line)


def _call(task: TaskReader, start: Line, end: Line) -> Example | NoExample:
    if end.get("outcome") != Outcome.COMPLETED.value:
        return NoExample(FAILED)
    details = {**_details(start, task), **_details(end, task)}
    messages = [
        {"role": text(each, "role") or "user", "parts": objects(each, "parts")}
        for each in objects(details, "messages")
        if isinstance(each.get("parts"), list)
    ]
    output = objects(details, "output")
    if not messages or not output:
        return NoExample(OFF)
    example = Example(task.task_id, text(end, "span_id"), [*messages, {"role": "assistant", "parts": [*output]}])
    example.system, example.tools = objects(details, "system"), objects(details, "tools")
    example.model = text(details, "response_model") or text(details, "model")
    example.provider = text(details, "provider")
    return example


def _details(line: Line, task: TaskReader) -> Mapping[str, Any]:
    """The details of a line, whole; all of them may be one artifact."""
    return mapping({"details": with_artifacts(line.get("details"), task)}, "details")


def _conversation(task: TaskReader) -> Example | NoExample:
    """What was said and done in a task, in the order of time; results of tools stand behind what asked for them."""
    said: list[tuple[str, int, Message]] = []
    results: dict[str, Any] = {}
    example = Example(task.task_id, None, [])
    for number, line in enumerate(task.events()):
        kind, at, details = line.get("type"), text(line, "timestamp") or "", _details(line, task)
        if kind in ("user", "system") and (content := with_artifacts(line.get("content"), task)):
            said.append((at, number, {"role": str(kind), "parts": [{"type": "text", "content": content}]}))
        elif kind == "ai_response" and SAME_CALL_AS not in details and (output := objects(details, "output")):
            example.model = text(details, "response_model") or text(details, "model") or example.model
            example.provider = text(details, "provider") or example.provider
            said.append((at, number, {"role": "assistant", "parts": output}))
        elif kind == "tool_call" and (call_id := text(details, "call_id")):
            results[f"span {line.get('span_id')}"] = call_id
        elif kind == "tool_result" and (call_id := results.get(f"span {line.get('span_id')}")):
            results[call_id] = details["result"] if "result" in details else mapping(line, "exception").get("message")
    if not any(message["role"] == "assistant" for _, _, message in said):
        return NoExample(OFF if any(line.get("type") == "ai_response" for line in task.events()) else NO_CALL)
    given = with_artifacts((task.input() or {}).get("input"), task)
    example.messages = [{"role": "user", "parts": [{"type": "text", "content": _as_text(given)}]}] if given is not None else []
    return _completed(example, [message for _, _, message in sorted(said, key=lambda each: each[:2])], results)


def _completed(example: Example, said: list[Message], results: Mapping[str, Any]) -> Example | NoExample:
    # What the system said before the task was asked comes before that.
    instructions = [message for message in said if message["role"] == "system"]
    example.system = [part for message in instructions for part in message["parts"]]
    for message in said:
        if message["role"] == "system":
            continue
        example.messages.append(message)
        calls = [str(part.get("id")) for part in message["parts"] if part.get("type") == "tool_call"]
        if any(call_id not in results for call_id in calls):
            return NoExample(INCOMPLETE)
        if calls:
            parts = [{"type": "tool_call_response", "id": call_id, "response": results[call_id]} for call_id in calls]
            example.messages.append({"role": "tool", "parts": parts})
    while example.messages and example.messages[-1]["role"] != "assistant":
        example.messages.pop()
    return example if any(message["role"] == "user" for message in example.messages) else NoExample(OFF)


def _as_text(given: Any) -> str:
    if isinstance(given, Mapping) and isinstance(given.get("message"), str):
        return str(given["message"])
    return given if isinstance(given, str) else orjson.dumps(given).decode()

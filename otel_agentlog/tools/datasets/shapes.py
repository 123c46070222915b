"""An example as a row of a data set.

``openai``: ``{"messages", "tools"}`` of the chat API; reasoning has no place there and is left out. ``anthropic``: ``{"system",
"messages", "tools"}`` of the messages API. ``cases``: input, output and scores, for an evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools.datasets.examples import Example, Message
from otel_agentlog.vocabulary.coerce import mapping, text, texts
from otel_agentlog.vocabulary.scores import latest_scores

Row = dict[str, Any]
Part = Mapping[str, Any]


def openai(example: Example, task: TaskReader) -> Row:
    """The row that OpenAI's chat API has."""
    messages: list[Row] = [{"role": "system", "content": _text(example.system)}] if example.system else []
    for message in example.messages:
        messages += _openai(message)
    row: Row = {"messages": messages}
    if example.tools:
        keys = ("name", "description", "parameters")
        row["tools"] = [
            {"type": "function", "function": {key: each[key] for key in keys if key in each}} for each in example.tools
        ]
    return row


def _openai(message: Message) -> Iterable[Row]:
    parts: list[Part] = message["parts"]
    for part in parts:
        if part.get("type") == "tool_call_response":
            yield {"role": "tool", "tool_call_id": part.get("id") or "", "content": _written(part.get("response"))}
    said = [part for part in parts if part.get("type") not in ("tool_call_response", "tool_call", "reasoning")]
    calls = [_openai_call(part) for part in parts if part.get("type") == "tool_call"]
    if not said and not calls:
        return
    row: Row = {"role": message["role"], "content": _openai_content(said)}
    yield {**row, "tool_calls": calls} if calls else row


def _openai_call(part: Part) -> Row:
    function = {"name": part.get("name") or "", "arguments": _written(part.get("arguments", {}))}
    return {"id": part.get("id") or "", "type": "function", "function": function}


def _openai_content(parts: list[Part]) -> Any:
    if not parts:
        return None
    if all(part.get("type") == "text" for part in parts):
        return _text(parts)
    return [_openai_part(part) for part in parts]


def _openai_part(part: Part) -> Row:
    if part.get("type") == "text":
        return {"type": "text", "text": part.get("content")}
    if part.get("modality") == "image":
        url = part.get("uri") or f"data:{part.get('mime_type')};base64,{part.get('content')}"
        return {"type": "image_url", "image_url": {"url": url}}
    return dict(part)


def anthropic(example: Example, task: TaskReader) -> Row:
    """The row that Anthropic's messages API has: what follows each other in one role is one message."""
    system, messages = [*example.system], list[Row]()
    for message in example.messages:
        if message["role"] in ("system", "developer"):
            system += message["parts"]
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = [_anthropic_block(part) for part in message["parts"]]
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        elif blocks:
            messages.append({"role": role, "content": blocks})
    row: Row = {"system": _text(system)} if system else {}
    row["messages"] = messages
    if example.tools:
        row["tools"] = [_anthropic_tool(each) for each in example.tools]
    return row


def _anthropic_tool(tool: Part) -> Row:
    found = {key: tool[key] for key in ("name", "description") if key in tool}
    return {**found, "input_schema": tool.get("parameters", {"type": "object"})}


def _anthropic_block(part: Part) -> Row:
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": part.get("content")}
    if kind == "reasoning":
        return {"type": "thinking", "thinking": part.get("content")}
    if kind == "tool_call":
        given = part.get("arguments")
        return {"type": "tool_use", "id": part.get("id"), "name": part.get("name"), "input": given if given is not None else {}}
    if kind == "tool_call_response":
        return {"type": "tool_result", "tool_use_id": part.get("id"), "content": _written(part.get("response"))}
    if part.get("modality") == "image" and part.get("content"):
        source = {"type": "base64", "media_type": part.get("mime_type"), "data": part["content"]}
        return {"type": "image", "source": source}
    return dict(part)


def case(example: Example, task: TaskReader) -> Row:
    """A case of an evaluation: what was asked, what came, how it was scored."""
    final, metadata = task.final_result() or {}, task.metadata() or {}
    scores = [
        {"name": each.name, "value": each.value, "label": each.label, "explanation": each.explanation, "by": each.by}
        for each in latest_scores(task.events())
        if example.span_id in (None, each.span_id)
    ]
    return {
        "id": example.span_id or example.task_id,
        "input": openai(example, task)["messages"][:-1],
        "output": _text(example.messages[-1]["parts"]),
        "scores": scores,
        "outcome": final.get("outcome"),
        "name": text(metadata, "name"),
        "tags": texts(metadata, "tags"),
        "model": example.model,
        "tools": sorted({str(part.get("name")) for message in example.messages for part in message["parts"] if _is_call(part)}),
        "metrics": dict(mapping(final, "metrics")) if example.span_id is None else {},
    }


def _is_call(part: Part) -> bool:
    return part.get("type") == "tool_call"


def _text(parts: Iterable[Part]) -> str:
    return "\n\n".join(_written(part.get("content")) for part in parts if part.get("type") == "text")


def _written(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()


SHAPES: Mapping[str, Callable[[Example, TaskReader], Row]] = {"openai": openai, "anthropic": anthropic, "cases": case}

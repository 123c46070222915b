"""Reads responses and chunks of providers with an API of their own: tokens, why they ended, id, model, by tables of names.

Gemini, Bedrock, Cohere, Ollama, watsonx.ai, Replicate, Text Generation Inference, and what frameworks make of any provider's
answer. `ChunkJoiner` takes a stream's chunks.
"""

from __future__ import annotations

import operator
from typing import Any

from otel_agentlog.record.providers.fields import MOST_IN_USAGE, as_count, copied, field, has, items, name_of, text
from otel_agentlog.record.providers.parts import Part, text_part, tool_call_part
from otel_agentlog.record.providers.usage import COUNTS, PLACES, Path, at, merged, of_results, read_usage, reported_cost, usage_in
from otel_agentlog.vocabulary.usage import Response, Usage

_IDS: tuple[Path, ...] = (("id",), ("responseId",), ("response_id",), ("generation_id",), ("message_id",), ("response", "id"))
_MODELS: tuple[Path, ...] = (
    *(("model",), ("modelVersion",), ("model_version",), ("model_id",), ("response_metadata", "model_name")),
    *(("response", "model"), ("message", "model")),
)
_REASONS: tuple[Path, ...] = (
    *(("finish_reason",), ("finishReason",), ("stopReason",), ("stop_reason",), ("done_reason",), ("completionReason",)),
    *(("messageStop", "stopReason"), ("delta", "finish_reason"), ("response", "finish_reason"), ("details", "finish_reason")),
    *(("promptFeedback", "blockReason"), ("prompt_feedback", "block_reason")),  # Gemini refuses the request
    *(("response_metadata", "finish_reason"), ("response_metadata", "stop_reason")),
)
_CHOICES = ("candidates", "results", "generations")
_TEXTS: tuple[Path, ...] = (
    *(("text",), ("response",), ("generated_text",), ("outputText",), ("generation",), ("content",)),
    *(("message", "content"), ("output", "message", "content"), ("content", "parts")),
    *(("contentBlockDelta", "delta", "text"), ("delta", "message", "content", "text")),  # streams of Bedrock and Cohere
)

_CALLS: tuple[Path, ...] = (("message", "tool_calls"), ("tool_calls",))
"""Where a list of calls of tools is: of Ollama and Cohere; of LangChain and Cohere's first API."""
_CONTENTS: tuple[Path, ...] = (("content", "parts"), ("output", "message", "content"))
"""Where the parts of a content are: of Gemini; of Bedrock."""
_IN_CONTENT = ("functionCall", "function_call", "toolUse")
"""Names of a part of such a content that is the call of a tool."""
_ARGUMENTS = ("args", "input", "arguments", "parameters")
_GROWING_CALLS: tuple[tuple[Path, Path], ...] = (
    (("contentBlockStart", "start", "toolUse"), ("contentBlockStart", "contentBlockIndex")),
    (("contentBlockDelta", "delta", "toolUse"), ("contentBlockDelta", "contentBlockIndex")),
    (("delta", "message", "tool_calls"), ("index",)),  # Cohere
)
"""Where chunks have a piece of a call, and its number."""


def read_other(response: object, provider: str | None) -> Response:
    """Whatever a response of no known shape has; an empty `Response` if there is nothing."""
    usage = usage_in(response, provider)
    paid = next((found for path in PLACES if path and (found := at(response, path)) is not None), None)
    cost = reported_cost(response, paid)
    reasons = _reasons(response)
    if not (usage.known() or reasons or cost is not None):
        return Response()
    return Response(
        usage=usage,
        finish_reasons=reasons,
        response_id=_named(response, _IDS),
        model=_named(response, _MODELS),
        output=tuple(_output(response)),
        cost_usd=cost,
        is_total=(field(response, "num_turns") is not None and cost is not None) or has(response, "context_wrapper"),
    )


def _named(value: object, paths: tuple[Path, ...]) -> str | None:
    return next((found for path in paths if (found := name_of(at(value, path[:-1]), path[-1])) is not None), None)


def _reasons(response: object) -> tuple[str, ...]:
    given = items(response, "finish_reasons")
    choices = [choice for name in _CHOICES for choice in items(response, name)]
    found = [*(_named(choice, _REASONS) for choice in choices), *(given or [_named(response, _REASONS)])]
    return tuple(str.__str__(reason) for reason in found if isinstance(reason, str))


def _output(response: object) -> list[Part]:
    choices = [choice for name in _CHOICES for choice in items(response, name)]
    parts: list[Part] = []
    for value in choices or [response]:
        if written := _text(value):
            parts.append(text_part(written))
        parts += _tool_calls(value)
    return parts


def _tool_calls(value: object) -> list[Part]:
    pieces = [piece for path in _CONTENTS for piece in items(at(value, path[:-1]), path[-1])]
    found = [call for piece in pieces for name in _IN_CONTENT if (call := field(piece, name)) is not None]
    if not found:
        found = next((listed for path in _CALLS if (listed := items(at(value, path[:-1]), path[-1]))), [])
    return [part for call in found if (part := _tool_call(call)) is not None]


def _tool_call(call: object) -> Part | None:
    """The call of a tool; ``None`` for what names none."""
    inside = field(call, "function")
    inside = call if inside is None else inside
    arguments = next((given for name in _ARGUMENTS if (given := field(inside, name)) is not None), None)
    name = name_of(inside, "name")
    return None if name is None else tool_call_part(name, _call_id(call), arguments)


def _call_id(call: object) -> str | None:
    return name_of(call, "id") or name_of(call, "toolUseId")


def _text(value: object) -> str:
    found = [at(value, path) for path in _TEXTS]
    return next((written for content in found if (written := _joined(content))), "")


def _joined(content: object) -> str:
    if isinstance(content, str):
        return str.__str__(content)
    pieces = content if isinstance(content, (list, tuple)) else ()
    return "".join(text(piece, "text") or "" for piece in pieces if field(piece, "thought") is not True)


class ChunkJoiner:
    """Joins chunks of no known shape: of each count the largest that any chunk tells, of names the first, of reasons the last."""

    def __init__(self) -> None:
        self._usages: dict[Path, Any] = {}
        self._messages: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._ends: dict[str, Any] = {}
        self._written: list[str] = []
        self._calls: list[Part] = []
        self._growing: dict[int, dict[str, Any]] = {}
        """Those that are not whole, the latest of each number."""
        self._is_done = False
        """Whether Ollama said that it was the last."""

    def begins_another(self, chunk: object) -> bool:
        """Whether the chunk is of another response: this one is whole, with its usage, and the chunk has another id, or begins.

        An agent's messages are one run's.
        """
        if not self._usages or self._messages or not (self._is_done or "finish_reasons" in self._ends):
            return False
        before, now = self._names.get("id"), _named(chunk, _IDS)
        if before is not None and now is not None:
            return before != now
        return has(chunk, "messageStart") or (self._is_done and field(chunk, "done") is False)

    def add(self, chunk: object) -> None:
        """Add one chunk."""
        self._is_done = self._is_done or field(chunk, "done") is True
        if text(chunk, "type") == "AIMessageChunk":
            # LangChain's chunks are made to be added up, and so are their counts.
            usage = copied(field(chunk, "usage_metadata"), MOST_IN_USAGE)
            self._usages[("usage_metadata",)] = merged(self._usages.get(("usage_metadata",)), usage, operator.add)
        else:
            self._take_usage(chunk)
        for name, paths in (("id", _IDS), ("model", _MODELS)):
            if (found := _named(chunk, paths)) is not None:
                self._names.setdefault(name, found)
        if reasons := _reasons(chunk):
            self._ends["finish_reasons"] = list(reasons)
        for name in ("total_cost_usd", "num_turns", "is_error", "subtype", "status"):
            if (value := field(chunk, name)) is not None:
                self._ends[name] = copied(value, MOST_IN_USAGE)
        grown = self._grow_calls(chunk)
        for part in _output(chunk):
            if part["type"] != "tool_call":
                self._written.append(part["content"])
            elif not grown:
                self._calls.append(part)

    def _grow_calls(self, chunk: object) -> bool:
        """Take the pieces of calls of tools that a chunk has, if it has any."""
        of_langchain = items(chunk, "tool_call_chunks")
        pieces: list[tuple[Any, Any]] = [(piece, field(piece, "index")) for piece in of_langchain]
        if not pieces:
            pieces = [(piece, at(chunk, place)) for path, place in _GROWING_CALLS if (piece := at(chunk, path)) is not None]
        for piece, number in pieces:
            inside = field(piece, "function")
            inside = piece if inside is None else inside
            index, call_id = as_count(number) or 0, _call_id(piece)
            call = self._growing.get(index)
            if call is None or (call_id and call.get("id") not in (None, call_id)):
                call = self._growing[index] = {"type": "tool_call", "name": "", "pieces": []}
                self._calls.append(call)
            if call_id:
                call["id"] = call_id
            call["name"] = call["name"] or name_of(inside, "name") or ""
            call["pieces"] += [said for name in _ARGUMENTS if (said := text(inside, name))]
        return bool(pieces)

    def _take_usage(self, chunk: object) -> None:
        if (found := of_results(chunk)) is not None:
            self._usages[("usage",)] = merged(self._usages.get(("usage",)), found.known())
            return
        for path in PLACES:
            if (place := at(chunk, path)) is not None and read_usage(place).known():
                kept = (
                    copied(place, MOST_IN_USAGE)
                    if path
                    else {name: number for name in COUNTS if (number := field(chunk, name)) is not None}
                )
                if message := name_of(chunk, "message_id") or name_of(field(chunk, "message"), "id"):
                    # An agent's run: each of its messages tells its own usage, once for every block.
                    self._messages[message] = merged(self._messages.get(message), kept)
                else:
                    self._usages[path] = merged(self._usages.get(path), kept)
                return

    def joined(self) -> dict[str, Any]:
        """The response so far, in the shape of its JSON as far as `read_other` reads it."""
        response: dict[str, Any] = {**self._usages.get((), {}), **self._names, **self._ends}
        for path, usage in self._usages.items():
            inside = response
            for name in path[:-1]:
                inside = inside.setdefault(name, {})
            if path:
                inside[path[-1]] = usage
        if not usage_in(response).known():
            total = sum((read_usage(usage) for usage in self._messages.values()), Usage())
            response["usage"] = total.known()
        return {**response, "text": self.text} if self._written else response

    @property
    def calls(self) -> list[Part]:
        """The calls of tools so far."""
        return [
            tool_call_part(call["name"], call.get("id"), "".join(call["pieces"])) if "pieces" in call else call
            for call in self._calls
        ]

    @property
    def text(self) -> str:
        """What the model wrote so far."""
        return "".join(self._written)

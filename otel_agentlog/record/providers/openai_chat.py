"""Reads chat and text completions of OpenAI (``openai`` 3.52) and of the APIs that copy it: responses, messages and streams.

`CompletionJoiner` takes a stream's chunks and builds the completion that they make. Keys that only other providers
have: ``reasoning_content`` (DeepSeek, vLLM, Moonshot), ``reasoning`` (OpenRouter, Groq).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from otel_agentlog.record.providers.fields import (
    MODELS,
    MOST_IN_USAGE,
    copied,
    count,
    extra_of,
    field,
    has,
    items,
    model_fields,
    name_of,
    readable,
    text,
)
from otel_agentlog.record.providers.parts import (
    CHOICE,
    Part,
    blob_part,
    content_parts,
    file_part,
    generic_part,
    reasoning_parts,
    refusal_part,
    text_part,
    tool_call_part,
    uri_part,
)
from otel_agentlog.record.providers.usage import merged, reported_cost, usage_in
from otel_agentlog.vocabulary.usage import Response


def is_completion(value: object) -> bool:
    """Whether this is a chat or text completion: it has choices that are a list."""
    return isinstance(field(value, "choices"), (list, tuple))


def read_completion(completion: object) -> Response:
    """Tokens, one finish reason a choice, id, model and content of a completion."""
    usage = field(completion, "usage")
    choices = in_order(items(completion, "choices"))
    return Response(
        usage=usage_in(completion, outside=False),
        finish_reasons=_finish_reasons(choices),
        response_id=name_of(completion, "id"),
        model=name_of(completion, "model"),
        output=tuple(part for position, choice in enumerate(choices) for part in _choice_parts(choice, position)),
        cost_usd=reported_cost(completion, usage),
    )


def in_order(choices: Sequence[object]) -> list[object]:
    """Choices sorted by their ``index``; without one they keep their order."""
    places = [count(choice, "index") for choice in choices]
    return [choice for _, choice in sorted(zip(places, choices, strict=True), key=lambda pair: pair[0] or 0)]


def _finish_reasons(choices: Sequence[object]) -> tuple[str, ...]:
    if not any(has(choice, "finish_reason") for choice in choices):
        return ()
    return tuple(name_of(choice, "finish_reason") or "error" for choice in choices)


def _choice_parts(choice: object, position: int) -> list[Part]:
    message = field(choice, "message")
    found = message_parts(message) if message is not None else content_parts(field(choice, "text"), content_part)
    return [{**part, CHOICE: position} for part in found] if position else found


def message_parts(message: object, content: list[Part] | None = None) -> list[Part]:
    """Parts of a message of an assistant: reasoning, text, refusal, sound, tool calls.

    ``content``: the parts of the message's ``content``, if they are read already.
    """
    thoughts = text(message, "reasoning_content") or text(message, "reasoning")
    parts = [
        *reasoning_parts(thoughts),
        *(content_parts(field(message, "content"), content_part) if content is None else content),
    ]
    if refusal := text(message, "refusal"):
        parts.append(refusal_part(refusal))
    if (audio := field(message, "audio")) is not None and has(audio, "id"):
        parts.append(_audio(audio))
    parts.extend(_tool_call(call) for call in items(message, "tool_calls"))
    function = field(message, "function_call")
    if function is not None and name_of(function, "name"):
        parts.append(tool_call_part(name_of(function, "name"), None, field(function, "arguments")))
    return parts


def content_part(item: object) -> list[Part]:
    """Parts of one content part; one of an unknown type is kept as a generic part."""
    if isinstance(item, str):
        return [text_part(item)]
    kind = text(item, "type") or ""
    if kind == "text":
        return [text_part(text(item, "text") or "")]
    if kind == "refusal":
        return [refusal_part(text(item, "refusal") or "")]
    return [_media(item, kind) or generic_part(item)]


def _media(item: object, kind: str) -> Part | None:
    if kind == "image_url":
        address = field(item, "image_url")
        return uri_part("image", (address if isinstance(address, str) else text(address, "url")) or "")
    if kind == "input_audio":
        sound = field(item, "input_audio")
        return blob_part("audio", f"audio/{text(sound, 'format') or 'wav'}", field(sound, "data"))
    if kind == "file":
        file = field(item, "file")
        if file_id := name_of(file, "file_id"):
            return file_part("document", file_id)
        return uri_part("document", text(file, "file_data") or "")
    return None


def _audio(audio: object) -> Part:
    part = blob_part("audio", None, text(audio, "data"), transcript=text(audio, "transcript"))
    return part | {"id": text(audio, "id")}


def _tool_call(call: object) -> Part:
    custom = field(call, "custom")
    if custom is not None:
        return tool_call_part(name_of(custom, "name"), name_of(call, "id"), readable(field(custom, "input")))
    function = field(call, "function")
    return tool_call_part(name_of(function, "name"), name_of(call, "id"), field(function, "arguments"))


_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
"""Fields of a delta that grow."""

DERIVED = ("content.", "refusal.", "tool_calls.", "logprobs.")
"""Prefixes of the types of events that ``client.chat.completions.stream()`` adds to its ``chunk`` events."""


_IN_HEAD = ("id", "model", "service_tier")
"""Fields of which the first value counts."""
_MORE = ("usage", "x_groq", "timings", "error")
"""Fields of chunks that are not of a choice."""
_NOT_TEXT = ("reasoning_content", "reasoning", "refusal", "audio", "tool_calls", "function_call")
_OF_CHOICE = ("finish_reason", "error", "usage")
_NOTHING = frozenset({type(None)})


class CompletionJoiner:
    """Joins chunks, given in order; `completion` is the completion so far, in the shape of its JSON."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._news: tuple[str, ...] = (*_IN_HEAD, *_MORE)
        """Fields of which a value would be new, except choices."""

    def begins_another(self, chunk: object) -> bool:
        """Whether the chunk is of another completion: this one is whole, with its usage, and the id is not the same.

        Not by the id alone: there are servers that make one for every chunk.
        """
        return self.is_whole and name_of(chunk, "id") not in (None, self._head.get("id")) and bool(items(chunk, "choices"))

    @property
    def is_whole(self) -> bool:
        """Whether each choice has ended, and the usage is known."""
        return bool(self._choices) and "usage" in self._head and all(one.has_ended for one in self._choices.values())

    def add(self, chunk: object) -> None:
        """Add one chunk; fields that it does not have change nothing."""
        for name in _IN_HEAD:
            if value := name_of(chunk, name):
                self._head.setdefault(name, value)
        self._news = (*_MORE, *(name for name in _IN_HEAD if name not in self._head))
        # Some providers send the total so far with every chunk, others once, with the last, and Groq in a field of its own.
        for name in _MORE:
            if (value := field(chunk, name)) is not None:
                self._head[name] = merged(self._head.get(name), copied(value, MOST_IN_USAGE))
        for place, choice in enumerate(items(chunk, "choices")):
            index = count(choice, "index")
            if (usage := field(choice, "usage")) is not None:
                self._head["usage"] = merged(self._head.get("usage"), copied(usage, MOST_IN_USAGE))
            self._choices.setdefault(place if index is None else index, _Choice()).add(choice)

    def add_plain(self, chunk: dict[str, Any]) -> bool:
        """Add the fields of a chunk with no type, if all that is new in it is more of a text; whether it is."""
        choices = chunk.get("choices")
        if type(choices) is not list or len(choices) != 1 or not _NOTHING.issuperset(map(type, map(chunk.get, self._news))):
            return False
        one = choices[0]
        kind = type(one)
        choice: Any = one if kind is dict else vars(one) if MODELS.get(kind) and not extra_of(one) else model_fields(one)
        if choice is None or not _NOTHING.issuperset(map(type, map(choice.get, _OF_CHOICE))):
            return False
        index, grown = choice.get("index"), choice.get("delta")
        kind = type(grown)
        delta: Any = grown if kind is dict else vars(grown) if MODELS.get(kind) and not extra_of(grown) else model_fields(grown)
        if delta is None or type(index) is not int or not _NOTHING.issuperset(map(type, map(delta.get, _NOT_TEXT))):
            return False
        joined, piece = self._choices.get(index), delta.get("content")
        if joined is None or type(piece) is not str or "content" not in joined.texts:
            return False
        joined.texts["content"].append(piece)
        return True

    def completion(self) -> dict[str, Any]:
        """The completion so far; a choice that was cut has the finish reason ``None``."""
        return {**self._head, "choices": [{"index": i, **c.joined()} for i, c in sorted(self._choices.items())]}


class _Choice:
    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self._audio: dict[str, list[str]] = {}
        self._calls = _Calls()
        self._function = _Call()
        self._finish_reason: str | None = None
        self._error: Any = None

    def add(self, choice: object) -> None:
        delta = field(choice, "delta")
        self._finish_reason = name_of(choice, "finish_reason") or self._finish_reason
        if (error := field(choice, "error")) is not None:
            self._error = copied(error, MOST_IN_USAGE)
        _grow(self.texts, *((choice, ("text",)) if delta is None else (delta, _TEXTS)))
        if (audio := field(delta, "audio")) is not None:
            self._audio.setdefault("id", [text(audio, "id") or ""])
            _grow(self._audio, audio, ("data", "transcript"))
        for place, call in enumerate(items(delta, "tool_calls")):
            self._calls.add(call, place)
        if (function := field(delta, "function_call")) is not None:
            self._function.add({"function": function})

    @property
    def has_ended(self) -> bool:
        return self._finish_reason is not None

    def joined(self) -> dict[str, Any]:
        texts = {name: "".join(pieces) for name, pieces in self.texts.items()}
        joined: dict[str, Any] = {"finish_reason": self._finish_reason}
        if self._error is not None:
            joined["error"] = self._error
        if "text" in texts:
            return {**joined, "text": texts["text"]}
        message: dict[str, Any] = {**texts, "tool_calls": self._calls.joined()}
        if self._audio:
            message["audio"] = {name: "".join(pieces) for name, pieces in self._audio.items()}
        if self._function.started:
            message["function_call"] = self._function.joined()["function"]
        return {**joined, "message": message}


class _Calls:
    """The tool calls of one choice. A new id at an index in use is a new call: not every provider counts."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._latest: dict[int, _Call] = {}

    def add(self, delta: object, place: int) -> None:
        number = count(delta, "index")
        index = place if number is None else number
        call_id, call = name_of(delta, "id"), self._latest.get(index)
        if call is None or (call_id and call.call_id and call_id != call.call_id):
            call = self._latest[index] = _Call()
            self._calls.append(call)
        call.add(delta)

    def joined(self) -> list[dict[str, Any]]:
        return [call.joined() for call in self._calls]


class _Call:
    def __init__(self) -> None:
        self.call_id: str | None = None
        self._name: str | None = None
        self._kind = "function"
        self._arguments: dict[str, list[str]] = {}

    @property
    def started(self) -> bool:
        return bool(self._name or self._arguments)

    def add(self, delta: object) -> None:
        self.call_id = self.call_id or name_of(delta, "id")
        for kind in ("function", "custom"):
            if (inner := field(delta, kind)) is not None:
                self._kind = kind
                self._name = self._name or name_of(inner, "name")
                _grow(self._arguments, inner, ("arguments", "input"))

    def joined(self) -> dict[str, Any]:
        grown = {name: "".join(pieces) for name, pieces in self._arguments.items()}
        return {"id": self.call_id, self._kind: {"name": self._name, **grown}}


def _grow(texts: dict[str, list[str]], delta: object, names: tuple[str, ...]) -> None:
    for name in names:
        if (piece := text(delta, name)) is not None:
            texts.setdefault(name, []).append(piece)

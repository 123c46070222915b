"""Joins the chunks of a chat or text completion into the completion they make."""

from __future__ import annotations

from typing import Any

from otel_agentlog.record.responses_fields import count, field, items, name_of, plain, text

_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
"""Fields of a delta that grow."""

DERIVED = ("content.", "refusal.", "tool_calls.", "logprobs.")
"""How the types of the events begin that ``client.chat.completions.stream()`` adds to its ``chunk`` events."""


class CompletionJoiner:
    """Takes chunks in order; `completion` is the completion so far, in the shape of its JSON."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: object) -> None:
        """Take one chunk; what it does not have changes nothing."""
        for name in ("id", "model", "service_tier"):
            if value := name_of(chunk, name):
                self._head.setdefault(name, value)
        # Some providers send the total so far with every chunk, others once, with the last.
        if (usage := field(chunk, "usage")) is not None:
            self._head["usage"] = plain(usage)
        for place, choice in enumerate(items(chunk, "choices")):
            index = count(choice, "index")
            self._choices.setdefault(place if index is None else index, _Choice()).add(choice)

    def completion(self) -> dict[str, Any]:
        """The completion so far; a choice that was cut has the finish reason ``None``."""
        return {**self._head, "choices": [{"index": i, **c.joined()} for i, c in sorted(self._choices.items())]}


class _Choice:
    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._audio: dict[str, list[str]] = {}
        self._calls = _Calls()
        self._function = _Call()
        self._finish_reason: str | None = None

    def add(self, choice: object) -> None:
        delta = field(choice, "delta")
        self._finish_reason = name_of(choice, "finish_reason") or self._finish_reason
        _grow(self._texts, *((choice, ("text",)) if delta is None else (delta, _TEXTS)))
        if (audio := field(delta, "audio")) is not None:
            self._audio.setdefault("id", [text(audio, "id") or ""])
            _grow(self._audio, audio, ("data", "transcript"))
        for place, call in enumerate(items(delta, "tool_calls")):
            self._calls.add(call, place)
        if (function := field(delta, "function_call")) is not None:
            self._function.add({"function": function})

    def joined(self) -> dict[str, Any]:
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        joined: dict[str, Any] = {"finish_reason": self._finish_reason}
        if "text" in texts:
            return {**joined, "text": texts["text"]}
        message: dict[str, Any] = {**texts, "tool_calls": self._calls.joined()}
        if self._audio:
            message["audio"] = {name: "".join(pieces) for name, pieces in self._audio.items()}
        if self._function.started:
            message["function_call"] = self._function.joined()["function"]
        return {**joined, "message": message}


class _Calls:
    """The tool calls of one choice. A new id at an index in use is a new call: not everybody counts."""

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

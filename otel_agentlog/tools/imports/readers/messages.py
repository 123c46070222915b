"""Plain JSON of chat messages, in the shapes of OpenAI and Anthropic.

A row is a conversation (``{"messages": […]}``, or a list of messages), or one message (``{"role", "content"}``), which belongs
to the conversation that it names (``conversation_id``, ``thread_id`` or ``session_id``), else to the one that the file is.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog._startup import dataclass
from otel_agentlog.record.providers.messages import input_messages
from otel_agentlog.tools.imports.readers.events import Answer, Begin, End, Event, Text, ToolEnd, ToolStart, moment_ns, title
from otel_agentlog.vocabulary.coerce import as_text, mapping, number, objects, text

NAME = "messages"
MAX_REMEMBERED = 100_000
"""Ids of conversations that are remembered."""

_OF = ("conversation_id", "thread_id", "session_id")
_TIMES = ("timestamp", "created_at", "created", "time", "date")
_KINDS = {"system": "system", "developer": "system", "user": "user"}


def recognises(row: Any) -> bool:
    """Whether a row is of such a file."""
    if isinstance(row, list):
        return bool(row) and all(_is_message(each) for each in row)
    if isinstance(row.get("messages"), list):
        return any(_is_message(each) for each in row["messages"])
    return _is_message(row) and "type" not in row


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("role"), str) and ("content" in value or "tool_calls" in value)


@dataclass
class _Conversation:
    key: str
    at_ns: int
    model: str
    about: Mapping[str, Any]
    answers: int = 0
    number: int = 0
    request_ns: int = 0
    last_text: str | None = None
    asks: bool = False
    """Whether its first message of the user, which is the task's input, is still to come."""


class Messages:
    """Reads one file."""

    def __init__(self, otherwise_ns: int, path: Path) -> None:
        """``otherwise_ns``: the time of rows that have none, until one has. The path is the id of a conversation without one."""
        self._at_ns = otherwise_ns
        self._file_key = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:24]
        self._open: dict[str, _Conversation] = {}
        self._digests: OrderedDict[str, str] = OrderedDict()
        """Hashes of the conversations that have an id."""

    def read(self, row: Any) -> Iterator[Event]:
        """What a row says; a conversation begins and ends with it."""
        if isinstance(row, list):
            row = {"messages": row}
        if not isinstance(row.get("messages"), list):
            named = next((id_ for key in _OF if (id_ := text(row, key))), None)
            yield from self._message(named or self._file_key, row, row)
            return
        key = next((str(row[key]) for key in ("id", *_OF) if isinstance(row.get(key), (str, int)) and row[key] != ""), None)
        key = self._key(key, hashlib.sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).hexdigest()[:24])
        if key in self._open:
            yield from self._end(self._open.pop(key))
        self._at_ns = _time(row) or self._at_ns
        for message in objects(row, "messages"):
            yield from self._message(key, message, row)
        if key in self._open:
            yield from self._end(self._open.pop(key), row)

    def _key(self, named: str | None, digest: str) -> str:
        """The key of a conversation: its id, with a part of its hash where another one of the file has the same id."""
        if named is None:
            return digest
        first = self._digests.setdefault(named, digest)
        if len(self._digests) > MAX_REMEMBERED:
            self._digests.popitem(last=False)
        return named if first == digest else f"{named}-{digest[:8]}"

    def finish(self) -> Iterator[Event]:
        """What is left at the end of the file."""
        for conversation in self._open.values():
            yield from self._end(conversation)
        self._open = {}

    def _end(self, conversation: _Conversation, row: Mapping[str, Any] | None = None) -> Iterator[Event]:
        yield End(conversation.key, max(conversation.at_ns, self._at_ns if row else 0), result=conversation.last_text)

    def _message(self, key: str, message: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[Event]:
        self._at_ns = _time(message) or self._at_ns
        read = input_messages([message])
        if not read:
            return
        role, parts = read[0]["role"], read[0]["parts"]
        known = self._open.get(key)
        if known is None:
            known = self._open[key] = _Conversation(
                key, self._at_ns, text(about, "model") or "unknown", about, request_ns=self._at_ns
            )
            request = (
                message
                if role == "user"
                else next((each for each in objects(about, "messages") if each.get("role") == "user"), {})
            )
            yield Begin(key, self._at_ns, title(_said(request), NAME), text(about, "agent") or NAME, request.get("content"))
            known.asks = bool(request)
        known.at_ns = max(known.at_ns, self._at_ns)
        if role == "assistant":
            yield from self._answer(known, message, parts)
            return
        is_input, known.asks = known.asks and role == "user", known.asks and role != "user"
        for part in () if is_input else parts:
            yield from self._given(known, role, part, message)
        known.request_ns = self._at_ns

    def _given(self, known: _Conversation, role: str, part: Mapping[str, Any], message: Mapping[str, Any]) -> Iterator[Event]:
        if part.get("type") == "tool_call_response":
            result = part.get("response")
            call_id = as_text(part.get("id")) or ""
            error = (result if isinstance(result, str) else "the tool failed") if _is_error(message, call_id) else None
            yield ToolEnd(known.key, self._at_ns, call_id, result, error)
        elif part.get("type") == "text" and (said := part.get("content")):
            yield Text(known.key, self._at_ns, _KINDS.get(role, "system"), said if isinstance(said, str) else str(said))

    def _answer(self, known: _Conversation, message: Mapping[str, Any], parts: list[dict[str, Any]]) -> Iterator[Event]:
        model = text(message, "model") or known.model
        known.answers += 1
        for part in parts:
            said, kind = part.get("content"), part.get("type")
            if kind == "text" and isinstance(said, str):
                known.last_text = said
            if kind in ("text", "reasoning") and isinstance(said, str):
                yield Text(known.key, self._at_ns, "output" if kind == "text" else "thinking", said)
        cost = next((found for key in ("cost_usd", "cost") if (found := number(message, key)) is not None), None)
        response, begin = _response(message, model), min(known.request_ns, self._at_ns)
        yield Answer(known.key, begin, self._at_ns, f"answer-{known.answers}", model, text(message, "provider"), response, cost)
        for part in parts:
            if part.get("type") == "tool_call":
                known.number += 1
                call_id = as_text(part.get("id")) or f"call-{known.number}"
                yield ToolStart(known.key, self._at_ns, call_id, as_text(part.get("name")) or "tool", part.get("arguments"))


def _response(message: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The answer that a message was, in the form of its provider."""
    usage = dict(mapping(message, "usage"))
    common = {key: message[key] for key in ("id",) if isinstance(message.get(key), str)} | {"model": model}
    common |= {"usage": usage} if usage else {}
    reason = text(message, "finish_reason") or text(message, "stop_reason")
    if isinstance(message.get("content"), list) and "tool_calls" not in message:
        said = {"stop_reason": reason} if reason else {}
        return {**common, "type": "message", "role": "assistant", "content": message["content"], **said}
    answer = {key: message[key] for key in ("role", "content", "tool_calls", "refusal", "reasoning_content") if key in message}
    choice = {"index": 0, "message": answer, **({"finish_reason": reason} if reason else {})}
    return {**common, "object": "chat.completion", "choices": [choice]}


def _time(row: Mapping[str, Any]) -> int | None:
    return next((found for key in _TIMES if (found := moment_ns(row.get(key))) is not None), None)


def _said(message: Mapping[str, Any]) -> object:
    said = message.get("content")
    return said if isinstance(said, str) else next((text(part, "text") for part in objects(message, "content")), None)


def _is_error(message: Mapping[str, Any], call_id: str) -> bool:
    if message.get("is_error") is True:
        return True
    return any(block.get("is_error") is True and block.get("tool_use_id") == call_id for block in objects(message, "content"))

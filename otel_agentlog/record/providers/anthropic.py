"""Reads Anthropic's Messages API: a Message (`read_message`), content blocks of responses and requests, and streams.

`MessageJoiner` takes a stream's events and builds the Message that they make. Shapes are those of the package ``anthropic`` 2.11,
its beta types included.
"""

from __future__ import annotations

from typing import Any

from otel_agentlog.record.providers.fields import (
    MODELS,
    copied,
    count,
    decoded,
    extra_of,
    field,
    has,
    items,
    model_fields,
    name_of,
    plain,
    readable,
    text,
)
from otel_agentlog.record.providers.parts import (
    Part,
    blob_part,
    compaction_part,
    content_parts,
    file_part,
    generic_part,
    reasoning_parts,
    server_response_part,
    server_tool_part,
    text_part,
    tool_call_part,
    tool_response_part,
    uri_part,
)
from otel_agentlog.record.providers.usage import merged, read_usage, reported_cost
from otel_agentlog.vocabulary.usage import Response


def is_message(value: object) -> bool:
    """Whether this is a Message, by its ``type``, or by its content and stop reason if it has none."""
    if text(value, "type") == "message":
        return has(value, "content")
    return has(value, "stop_reason") and isinstance(field(value, "content"), (list, tuple))


def read_message(message: object) -> Response:
    """Tokens, stop reason, id, model and content of a Message."""
    usage = field(message, "usage")
    return Response(
        usage=read_usage(usage, outside=True),
        finish_reasons=_stop_reasons(message),
        response_id=name_of(message, "id") or name_of(message, "message_id"),
        model=name_of(message, "model"),
        output=tuple(content_parts(field(message, "content"), block_parts)),
        cost_usd=reported_cost(message, usage),
    )


def _stop_reasons(message: object) -> tuple[str, ...]:
    reason = name_of(message, "stop_reason")
    if reason is None and (not has(message, "stop_reason") or of_an_agent(message)):
        return ()
    return (reason or "error",)


def of_an_agent(message: object) -> bool:
    """Whether it is a message of Claude Code, which has no stop reason whatever that was."""
    return has(message, "parent_tool_use_id")


def block_parts(block: object) -> list[Part]:
    """Parts of one content block; a block of an unknown type is kept as a generic part."""
    if isinstance(block, str):
        return [text_part(block)]
    kind = text(block, "type") or ""
    if kind == "text":
        return [text_part(text(block, "text") or "", citations=readable(field(block, "citations")) or None)]
    if kind == "thinking":
        return reasoning_parts(text(block, "thinking"))
    if kind in ("image", "document", "container_upload"):
        return _media(block, kind)
    return [_tool_block(block, kind) or _other_block(block, kind)]


def _tool_block(block: object, kind: str) -> Part | None:
    name, call_id = name_of(block, "name"), name_of(block, "id")
    if kind == "tool_use":
        return tool_call_part(name, call_id, field(block, "input"), toolset_name=name_of(block, "toolset_name"))
    if kind in ("server_tool_use", "mcp_tool_use"):
        call = {"type": "mcp" if kind == "mcp_tool_use" else name or kind, "input": readable(field(block, "input"))}
        if server := name_of(block, "server_name"):
            call["server_name"] = server
        return server_tool_part(name or kind, call_id, call)
    if kind == "tool_result":
        failed = True if field(block, "is_error") is True else None
        return tool_response_part(name_of(block, "tool_use_id"), readable(field(block, "content")), is_error=failed)
    if kind.endswith("_tool_result"):
        result = {"type": kind, "content": readable(field(block, "content"))}
        return server_response_part(name_of(block, "tool_use_id"), result)
    return None


def _other_block(block: object, kind: str) -> Part:
    if kind == "compaction":
        return compaction_part(name_of(block, "id"), text(block, "content"))
    if kind == "redacted_thinking":
        return {"type": kind}
    return generic_part(block)


def _media(block: object, kind: str) -> list[Part]:
    source = field(block, "source") if kind != "container_upload" else block
    form = text(source, "type")
    mime_type = name_of(source, "media_type")
    if form == "base64":
        return [blob_part(kind, mime_type, field(source, "data"))]
    if form == "url":
        return [uri_part(kind, text(source, "url") or "", mime_type)]
    if form in ("file", "container_upload"):
        return [file_part("image" if kind == "image" else "document", name_of(source, "file_id"), mime_type)]
    if form == "text":
        return [text_part(text(source, "data") or "")]
    if form == "content":
        return content_parts(field(source, "content"), block_parts)
    return [generic_part(block)]


_GROWING = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json", "compaction_delta": "content"}
"""Types of deltas and the field of the delta, which is also that of the block except for ``input``."""

EVENTS = frozenset(
    {"message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta", "content_block_stop", "ping"}
)
"""Types of the events that the API sends."""

DERIVED = frozenset({"text", "thinking", "citation", "signature", "input_json", "compaction"})
"""Types of the events that ``client.messages.stream()`` adds: they repeat the content of others."""


class MessageJoiner:
    """Joins events, given in order; `message` is the Message so far, in the shape of its JSON."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {"type": "message"}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._grown: dict[int, dict[str, list[str]]] = {}
        self._stop_reason: str | None = None

    @property
    def response_id(self) -> str | None:
        """The id of the Message, once it began."""
        return name_of(self._message, "id")

    def add(self, event: object) -> None:
        """Add one event of the API; unknown ones change nothing."""
        kind = text(event, "type")
        if kind == "message_start":
            self._start(field(event, "message"))
        elif kind == "content_block_start":
            self._blocks[count(event, "index") or 0] = _dict(copied(field(event, "content_block")))
        elif kind == "content_block_delta":
            self._grow(count(event, "index") or 0, field(event, "delta"))
        elif kind == "message_delta":
            self._stop_reason = text(field(event, "delta"), "stop_reason") or self._stop_reason
            # Counts of a message_delta are totals so far; what it does not repeat, or has as 0, was in message_start.
            self._usage = merged(self._usage, _dict(copied(field(event, "usage"))))

    def add_plain(self, event: dict[str, Any]) -> bool:
        """Add the fields of a ``content_block_delta``, if it is more of a text; whether it is."""
        delta, index = event.get("delta"), event.get("index")
        kind = type(delta)
        fields: Any = delta if kind is dict else vars(delta) if MODELS.get(kind) and not extra_of(delta) else model_fields(delta)
        if fields is None or type(index) is not int or type(form := fields.get("type")) is not str or form != "text_delta":
            return False
        piece = fields.get("text")
        if type(piece) is not str:
            return False
        grown = self._grown.get(index)
        if grown is None or "text" not in grown:
            return False
        grown["text"].append(piece)
        return True

    def message(self) -> dict[str, Any]:
        """The Message so far; one that was cut has the stop reason ``None`` and what arrived of every block."""
        content = [self._block(index) for index in sorted(self._blocks.keys() | self._grown.keys())]
        return {**self._message, "content": content, "stop_reason": self._stop_reason, "usage": dict(self._usage)}

    def _start(self, message: object) -> None:
        self._message = _dict(copied(message)) | {"type": "message"}
        self._usage = _dict(self._message.get("usage"))
        # Placeholders until message_delta, a token or two: no number is better than a wrong one.
        for name in ("output_tokens", "output_tokens_details"):
            self._usage.pop(name, None)
        for index, block in enumerate(items(self._message, "content")):
            self._blocks[index] = _dict(block)

    def _grow(self, index: int, delta: object) -> None:
        kind = text(delta, "type") or ""
        grown = self._grown.setdefault(index, {})
        if (name := _GROWING.get(kind)) and (piece := text(delta, name)) is not None:
            grown.setdefault(name, []).append(piece)
        elif kind == "citations_delta":
            block = self._blocks.setdefault(index, {"type": "text"})
            block["citations"] = [*items(block, "citations"), plain(field(delta, "citation"))]

    def _block(self, index: int) -> dict[str, Any]:
        block = dict(self._blocks.get(index) or {})
        for name, pieces in self._grown.get(index, {}).items():
            joined = "".join(pieces)
            if name == "partial_json":
                block["input"] = decoded(joined) if joined else block.get("input")
            else:
                block[name] = (text(block, name) or "") + joined
            block.setdefault("type", {"partial_json": "tool_use", "content": "compaction"}.get(name, name))
        return block


def _dict(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}

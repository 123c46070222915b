"""Understands an Anthropic Message and its content blocks, answers and requests alike (``anthropic`` 2.11, beta too)."""

from __future__ import annotations

from otel_agentlog.model import Response
from otel_agentlog.record.responses_fields import field, has, name_of, readable, text
from otel_agentlog.record.responses_parts import (
    Part,
    blob_part,
    compaction_part,
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
from otel_agentlog.record.responses_usage import anthropic_usage, reported_cost


def is_message(value: object) -> bool:
    """Whether this is a Message: it says so, or it has content and a stop reason as only a Message does."""
    if text(value, "type") == "message":
        return has(value, "content")
    return has(value, "stop_reason") and isinstance(field(value, "content"), (list, tuple))


def read_message(message: object) -> Response:
    """Tokens, stop reason, id, model and content of a Message."""
    usage = field(message, "usage")
    return Response(
        usage=anthropic_usage(usage),
        finish_reasons=_stop_reasons(message),
        response_id=name_of(message, "id"),
        model=name_of(message, "model"),
        output=tuple(content_parts(field(message, "content"))),
        cost_usd=reported_cost(usage),
    )


def _stop_reasons(message: object) -> tuple[str, ...]:
    if not has(message, "stop_reason"):
        return ()
    return (name_of(message, "stop_reason") or "error",)


def content_parts(content: object) -> list[Part]:
    """Parts of a ``content``: text, or a list of blocks."""
    if isinstance(content, str):
        return [text_part(content)] if content else []
    if isinstance(content, (list, tuple)):
        return [part for block in content for part in block_parts(block)]
    return []


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
        return content_parts(field(source, "content"))
    return [generic_part(block)]

"""Reads OpenAI's Responses API (``openai`` 3.52): a Response (`read_api_response`), items of output and input, and streams.

`ResponseJoiner` takes a stream's events and builds the Response that they make.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from otel_agentlog.record.providers.fields import copied, count, field, has, items, name_of, readable, text
from otel_agentlog.record.providers.openai_chat import content_part
from otel_agentlog.record.providers.parts import (
    Part,
    blob_part,
    compaction_part,
    content_parts,
    file_part,
    generic_part,
    reasoning_parts,
    refusal_part,
    server_response_part,
    server_tool_part,
    text_part,
    tool_call_part,
    tool_response_part,
    uri_part,
)
from otel_agentlog.record.providers.usage import read_usage, reported_cost
from otel_agentlog.vocabulary.usage import Response

_CLIENT_TOOLS = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "computer_call": "",
    "local_shell_call": "action",
    "shell_call": "action",
    "apply_patch_call": "operation",
}
"""Items that request a tool run from the client, and the field of their arguments (empty: several fields)."""

_PROVIDER_TOOLS = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call", "tool_search_call"}
)
"""Items for a tool that the provider ran; its result is in the same item."""

_NOT_ARGUMENTS = ("type", "id", "call_id", "name", "status")


def is_response(value: object) -> bool:
    """Whether this is a Response, by its ``object``, or by its output items and status if it has none."""
    kind = text(value, "object")
    if kind in ("response", "response.compaction"):
        return True
    return kind is None and has(value, "status") and isinstance(field(value, "output"), (list, tuple))


def read_api_response(response: object) -> Response:
    """Tokens, outcome, id, model and output items of a Response."""
    usage = field(response, "usage")
    return Response(
        usage=read_usage(usage, outside=False),
        finish_reasons=_finish_reasons(response),
        response_id=name_of(response, "id"),
        model=name_of(response, "model"),
        output=tuple(part for item in items(response, "output") for part in item_parts(item)),
        cost_usd=reported_cost(response, usage),
    )


def _finish_reasons(response: object) -> tuple[str, ...]:
    status = name_of(response, "status")
    if status in ("failed", "cancelled"):
        return ("error",)
    if status == "incomplete":
        return (name_of(field(response, "incomplete_details"), "reason") or status,)
    return () if status in (None, "queued", "in_progress") else (str(status),)


def item_parts(item: object) -> list[Part]:
    """Parts of one item, of an answer or a request; one of an unknown type is kept as a generic part."""
    kind = text(item, "type") or ""
    if kind == "message" or (not kind and has(item, "content")):
        return content_parts(field(item, "content"), message_content)
    if kind == "reasoning":
        thoughts = [*items(item, "summary"), *items(item, "content")]
        return reasoning_parts(*(text(thought, "text") for thought in thoughts))
    if kind == "compaction":
        return [compaction_part(name_of(item, "id"), None)]
    if kind == "image_generation_call":
        return _image_parts(item)
    return [_tool_item(item, kind) or generic_part(item)]


def message_content(piece: object) -> list[Part]:
    """Parts of one piece of the ``content`` of a message item."""
    kind = text(piece, "type") or ""
    if kind in ("output_text", "input_text"):
        return [text_part(text(piece, "text") or "", annotations=readable(field(piece, "annotations")) or None)]
    if kind == "reasoning_text":
        return reasoning_parts(text(piece, "text"))
    if kind == "refusal":
        return [refusal_part(text(piece, "refusal") or "")]
    if kind in ("input_image", "input_file"):
        return [_media(piece, "image" if kind == "input_image" else "document")]
    return content_part(piece)


def _media(piece: object, modality: str) -> Part:
    if file_id := name_of(piece, "file_id"):
        return file_part(modality, file_id)
    address = text(piece, "image_url") or text(piece, "file_url") or text(piece, "file_data")
    return uri_part(modality, address) if address else generic_part(piece)


def _tool_item(item: object, kind: str) -> Part | None:
    call_id = name_of(item, "call_id") or name_of(item, "id")
    on_server = name_of(item, "execution") != "client"
    if kind in _CLIENT_TOOLS or (kind == "tool_search_call" and not on_server):
        name = name_of(item, "name") or kind.removesuffix("_call")
        return tool_call_part(name, call_id, _arguments(item, _CLIENT_TOOLS.get(kind, "arguments")))
    if kind in _PROVIDER_TOOLS:
        return server_tool_part(name_of(item, "name") or kind.removesuffix("_call"), call_id, _rest(item, kind))
    if kind == "tool_search_output" and on_server:
        return server_response_part(call_id, _rest(item, kind))
    if kind.endswith("_call_output") or kind == "tool_search_output":
        output = field(item, "output") if has(item, "output") else field(item, "tools")
        return tool_response_part(call_id, readable(output))
    return None


def _arguments(item: object, name: str) -> object:
    if name and (value := field(item, name)) is not None:
        return value
    return {key: value for key, value in generic_part(item).items() if key not in _NOT_ARGUMENTS}


def _rest(item: object, kind: str) -> Part:
    rest = {key: value for key, value in generic_part(item).items() if key not in ("id", "call_id", "name")}
    return {**rest, "type": kind}


def _image_parts(item: object) -> list[Part]:
    call = _rest(item, "image_generation_call")
    image = call.pop("result", None)
    parts = [server_tool_part("image_generation", name_of(item, "id"), call)]
    if isinstance(image, str) and image:
        parts.append(blob_part("image", f"image/{text(item, 'output_format') or 'png'}", image))
    return parts


ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"})
"""``response.done`` is the realtime API's."""
_STATES = ENDS | {"response.created", "response.in_progress", "response.queued"}

GROWING = {
    "response.output_text.delta": ("content", "content_index", "output_text", "text"),
    "response.refusal.delta": ("content", "content_index", "refusal", "refusal"),
    "response.reasoning_text.delta": ("content", "content_index", "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "summary_text", "text"),
}
"""Events that grow a content part: its list in the item, its index in the event, its type, its field."""

_GROWING_ITEMS = {
    "response.function_call_arguments.delta": ("function_call", "arguments"),
    "response.custom_tool_call_input.delta": ("custom_tool_call", "input"),
    "response.mcp_call_arguments.delta": ("mcp_call", "arguments"),
    "response.code_interpreter_call_code.delta": ("code_interpreter_call", "code"),
}
"""Events that grow a field of the item itself: the item's type, its field."""


_Grown: TypeAlias = tuple[str, str, list[str]]
"""A content part that grows: its type, its field, its pieces."""


class ResponseJoiner:
    """Joins events, given in order; `api_response` is the Response so far, in the shape of its JSON."""

    def __init__(self) -> None:
        self._response: dict[str, Any] = {}
        self._items: dict[int, _Item] = {}
        self.has_ended = False

    @property
    def response_id(self) -> str | None:
        """The id of the Response, once it began."""
        return name_of(self._response, "id")

    def add(self, event: object) -> None:
        """Add one event; unknown ones change nothing."""
        kind = text(event, "type") or ""
        if kind in _STATES:
            self._state(kind, field(event, "response"))
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._item(event).put(copied(field(event, "item")), done=kind.endswith("done"))
        elif kind in GROWING or kind in _GROWING_ITEMS:
            self._item(event).grow(kind, event)

    def add_plain(self, event: dict[str, Any]) -> bool:
        """Add the fields of an event, if it is more of a text that has begun; whether it is."""
        growing, index = GROWING.get(event["type"]), event.get("output_index")
        if growing is None or type(index) is not int or (item := self._items.get(index)) is None:
            return False
        where, position, _, _ = growing
        piece, at = event.get("delta"), event.get(position)
        parts = item.parts.get(where)
        if type(piece) is not str or type(at) is not int or parts is None or at not in parts:
            return False
        parts[at][2].append(piece)
        return True

    def api_response(self) -> dict[str, Any]:
        """The Response so far; one that was cut is incomplete because of an error, as no event will set it any more."""
        response = {**self._response, "object": "response"}
        # The last event has all output, except where a provider sends it only item by item.
        if not items(response, "output"):
            response["output"] = [item.joined() for _, item in sorted(self._items.items())]
        return response if self.has_ended else {**response, "status": "incomplete", "incomplete_details": {"reason": "error"}}

    def _state(self, kind: str, response: object) -> None:
        state = copied(response)
        if isinstance(state, dict):
            self._response = self._response | {k: v for k, v in state.items() if v is not None}
        if kind in ENDS:
            self.has_ended = True
            self._response["status"] = text(response, "status") or kind.removeprefix("response.")

    def _item(self, event: object) -> _Item:
        return self._items.setdefault(count(event, "output_index") or 0, _Item())


class _Item:
    """One output item: as added and what was appended since, or as it was when done."""

    def __init__(self) -> None:
        self._item: dict[str, Any] = {}
        self._done = False
        self._fields: dict[str, list[str]] = {}
        self.parts: dict[str, dict[int, _Grown]] = {}

    def put(self, item: object, *, done: bool) -> None:
        if isinstance(item, dict) and not self._done:
            self._item, self._done = item, done

    def grow(self, kind: str, event: object) -> None:
        piece = text(event, "delta")
        if piece is None:
            return
        if kind in _GROWING_ITEMS:
            item_type, name = _GROWING_ITEMS[kind]
            self._fields.setdefault(name, []).append(piece)
        else:
            where, index, part_type, name = GROWING[kind]
            item_type = "reasoning" if part_type in ("summary_text", "reasoning_text") else "message"
            parts = self.parts.setdefault(where, {})
            parts.setdefault(count(event, index) or 0, (part_type, name, []))[2].append(piece)
        self._item.setdefault("type", item_type)

    def joined(self) -> dict[str, Any]:
        if self._done:
            return self._item
        joined = {**self._item, **{name: "".join(pieces) for name, pieces in self._fields.items()}}
        for where, parts in self.parts.items():
            joined[where] = [{"type": kind, name: "".join(pieces)} for _, (kind, name, pieces) in sorted(parts.items())]
        return joined

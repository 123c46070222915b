"""Joins the events of a Responses API stream into the Response they make."""

from __future__ import annotations

from typing import Any, TypeAlias

from otel_agentlog.record.responses_fields import count, field, items, plain, text

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_STATES = _ENDS | {"response.created", "response.in_progress", "response.queued"}

_GROWING = {
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
    """Takes events in order; `api_response` is the Response so far, in the shape of its JSON."""

    def __init__(self) -> None:
        self._response: dict[str, Any] = {}
        self._items: dict[int, _Item] = {}
        self._ended = False

    def add(self, event: object) -> None:
        """Take one event; unknown ones change nothing."""
        kind = text(event, "type") or ""
        if kind in _STATES:
            self._state(kind, field(event, "response"))
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._item(event).put(plain(field(event, "item")), done=kind.endswith("done"))
        elif kind in _GROWING or kind in _GROWING_ITEMS:
            self._item(event).grow(kind, event)

    def api_response(self) -> dict[str, Any]:
        """The Response so far; one that was cut has the status ``failed``, as the provider cannot say it any more."""
        response = {"object": "response", **self._response}
        # The last event has all output, except where a provider sends it only item by item.
        if not items(response, "output"):
            response["output"] = [item.joined() for _, item in sorted(self._items.items())]
        return response if self._ended else {**response, "status": "failed"}

    def _state(self, kind: str, response: object) -> None:
        copied = plain(response)
        if isinstance(copied, dict):
            self._response = self._response | {k: v for k, v in copied.items() if v is not None}
        if kind in _ENDS:
            self._ended = True
            self._response["status"] = text(response, "status") or kind.removeprefix("response.")

    def _item(self, event: object) -> _Item:
        return self._items.setdefault(count(event, "output_index") or 0, _Item())


class _Item:
    """One output item: as it was announced, what has grown since, or as it was when done."""

    def __init__(self) -> None:
        self._item: dict[str, Any] = {}
        self._done = False
        self._fields: dict[str, list[str]] = {}
        self._parts: dict[str, dict[int, _Grown]] = {}

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
            where, index, part_type, name = _GROWING[kind]
            item_type = "reasoning" if part_type in ("summary_text", "reasoning_text") else "message"
            parts = self._parts.setdefault(where, {})
            parts.setdefault(count(event, index) or 0, (part_type, name, []))[2].append(piece)
        self._item.setdefault("type", item_type)

    def joined(self) -> dict[str, Any]:
        if self._done:
            return self._item
        joined = {**self._item, **{name: "".join(pieces) for name, pieces in self._fields.items()}}
        for where, parts in self._parts.items():
            joined[where] = [{"type": kind, name: "".join(pieces)} for _, (kind, name, pieces) in sorted(parts.items())]
        return joined

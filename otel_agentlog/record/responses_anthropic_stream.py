"""Joins the events of an Anthropic stream into the Message they make."""

from __future__ import annotations

from typing import Any

from otel_agentlog.record.responses_fields import decoded, field, items, plain, text

_GROWING = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json", "compaction_delta": "content"}
"""Kinds of delta and the field of the delta, which is also that of the block except for ``input``."""

EVENTS = frozenset(
    {"message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta", "content_block_stop", "ping"}
)
"""Types of the events of the wire."""

DERIVED = frozenset({"text", "thinking", "citation", "signature", "input_json", "compaction"})
"""Types of events that ``client.messages.stream()`` adds: they repeat what an event of the wire said."""


class MessageJoiner:
    """Takes events in order; `message` is the Message so far, in the shape of its JSON."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {"type": "message"}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._grown: dict[int, dict[str, list[str]]] = {}
        self._stop_reason: str | None = None

    def add(self, event: object) -> None:
        """Take one event of the wire; unknown ones change nothing."""
        kind = text(event, "type")
        if kind == "message_start":
            self._start(field(event, "message"))
        elif kind == "content_block_start":
            self._blocks[_index(event)] = _dict(plain(field(event, "content_block")))
        elif kind == "content_block_delta":
            self._grow(_index(event), field(event, "delta"))
        elif kind == "message_delta":
            self._stop_reason = text(field(event, "delta"), "stop_reason") or self._stop_reason
            # Counts of a message_delta are totals so far: they replace those of message_start, absent ones do not.
            self._usage |= {k: v for k, v in _dict(plain(field(event, "usage"))).items() if v is not None}

    def message(self) -> dict[str, Any]:
        """The Message so far; one that was cut has the stop reason ``None`` and what arrived of every block."""
        content = [self._block(index) for index in sorted(self._blocks.keys() | self._grown.keys())]
        return {**self._message, "content": content, "stop_reason": self._stop_reason, "usage": dict(self._usage)}

    def _start(self, message: object) -> None:
        self._message = _dict(plain(message)) | {"type": "message"}
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


def _index(event: object) -> int:
    index = field(event, "index")
    return index if isinstance(index, int) else 0


def _dict(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}

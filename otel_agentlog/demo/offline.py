"""A model that needs no network: deterministic, plainly named, and no intelligence at all.

Stands where ``anthropic.Anthropic()`` stands and answers in the shapes of Anthropic's Messages API, plain and streaming, so that
an agent and its recording cannot tell the difference. It reads what it is sent (`offline_answers`) and counts tokens in what it
read and wrote: a token is a word or a punctuation mark. What it was sent before counts as read from a cache.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from otel_agentlog.demo.offline_answers import Answer, answer
from otel_agentlog.demo.pace import Pace

NAME = "agentlog-offline-demo"
"""The model's name: nobody shall take it for a real one."""

PROVIDER = "offline"

DEMO_PRICES = {NAME: {"input_per_mtok": 1.0, "output_per_mtok": 5.0, "cache_read_per_mtok": 0.1}}
"""Dollars per million tokens. Made up, so that the demo has costs to show; nobody is charged."""

THINKING_TIME_S = 3.0
"""How long an answer takes with ``--slow``, in seconds."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_PIECE = re.compile(r"\s*\S+\s*|\s+")


class OfflineClient:
    """The client: ``OfflineClient(...).messages.create(model=…, messages=…)``."""

    def __init__(self, seed: int, pace: Pace) -> None:
        self.messages = Messages(seed, pace)


class Messages:
    """The Messages API. Not for several threads at once."""

    def __init__(self, seed: int, pace: Pace) -> None:
        self._seed, self._pace = seed, pace
        self._seen: set[str] = set()

    def create(
        self,
        *,
        model: str,
        messages: Sequence[dict[str, Any]],
        max_tokens: int,
        system: str = "",
        tools: Sequence[dict[str, Any]] = (),
        stream: bool = False,
    ) -> Any:
        """Answer as ``POST /v1/messages`` does: a Message, or with ``stream`` the events of one."""
        said = answer(messages, tools, self._seed)
        message = self._message(model, said, system, messages, tools)
        self._pace.show(THINKING_TIME_S * (0.2 if stream else 1))
        return self._events(message) if stream else message

    def _message(
        self, model: str, said: Answer, system: str, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        request = _written([system, list(tools), list(messages)])
        mark = hashlib.sha256(f"{self._seed} {request}".encode("utf-8", "backslashreplace")).hexdigest()
        calls = [
            {"type": "tool_use", "id": f"toolu_{mark[n : n + 20]}", "name": name, "input": dict(arguments)}
            for n, (name, arguments) in enumerate(said.tools)
        ]
        text = [{"type": "text", "text": said.text}] if said.text else []
        content = [{"type": "thinking", "thinking": said.thinking, "signature": mark[:16]}, *text, *calls]
        return {
            "id": f"msg_offline_{mark[:20]}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
            "stop_reason": "tool_use" if calls else "end_turn",
            "stop_sequence": None,
            "usage": self._usage(system, messages, tools) | _written_usage(said, calls),
        }

    def _usage(self, system: str, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> dict[str, int]:
        """Anthropic's way: ``input_tokens`` are only those that were not in the cache."""
        before = _written([system, list(tools)])
        total, cached = count_tokens(before), 0
        for message in messages:
            before += _written(message)
            total += count_tokens(_written(message))
            prefix = hashlib.sha256(before.encode("utf-8", "backslashreplace")).hexdigest()
            if prefix in self._seen:
                cached = total
            self._seen.add(prefix)
        return {"input_tokens": total - cached, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0}

    def _events(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        usage = message["usage"]
        # The wire names the output at the end; what stands there at the start is a placeholder.
        early = {**usage, "output_tokens": 1}
        yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": early}}
        for index, block in enumerate(message["content"]):
            yield from self._block(index, block)
        late = {"output_tokens": usage["output_tokens"], "output_tokens_details": usage["output_tokens_details"]}
        yield {"type": "message_delta", "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None}, "usage": late}
        yield {"type": "message_stop"}

    def _block(self, index: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
        kind = block["type"]
        key = "thinking" if kind == "thinking" else "text"
        yield {"type": "content_block_start", "index": index, "content_block": {**block, key: ""}}
        for piece in _PIECE.findall(block[key]):
            self._pace.show(0.1)
            yield {"type": "content_block_delta", "index": index, "delta": {"type": f"{key}_delta", key: piece}}
        yield {"type": "content_block_stop", "index": index}


def count_tokens(text: str) -> int:
    """Tokens of a text, by this model's simple rule."""
    return len(_TOKEN.findall(text))


def _written_usage(said: Answer, calls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    thought = count_tokens(said.thinking)
    written = thought + count_tokens(said.text) + sum(count_tokens(_written(call)) for call in calls)
    return {"output_tokens": written, "output_tokens_details": {"thinking_tokens": thought}, "service_tier": "standard"}


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)

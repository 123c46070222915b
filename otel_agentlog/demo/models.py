"""Talks to a model, whoever it is: the offline one, Anthropic's, OpenAI's.

Hides how a conversation is spelled for each. Conversations are kept in Anthropic's shape, which the offline model shares;
for OpenAI they are translated request by request.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from otel_agentlog.demo import offline
from otel_agentlog.demo.pace import Pace

MOST_OUTPUT_TOKENS = 4096

PROVIDERS = (offline.PROVIDER, "anthropic", "openai")
_DEFAULT_NAMES = {offline.PROVIDER: offline.NAME, "anthropic": "claude-haiku-4-5", "openai": "gpt-5-mini"}
_KEYS = {"anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"), "openai": ("OPENAI_API_KEY",)}


class ProviderUnavailableError(Exception):
    """A provider cannot be used here; says what to install or set."""


@dataclass(frozen=True)
class ToolUse:
    """A tool the model asks for."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What a model answered."""

    text: str
    thinking: str
    tools: tuple[ToolUse, ...]
    content: list[dict[str, Any]]
    """The answer's blocks, as they go back into the conversation."""


class Model(Protocol):
    """A model behind its client."""

    name: str
    provider: str

    def request(self, system: str, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        """What the client is asked with."""

    def send(self, request: Mapping[str, Any]) -> Any:
        """The response, as the client gives it."""

    def open_stream(self, request: Mapping[str, Any]) -> Any:
        """The response's events, as the client gives them."""

    def reply(self, response: Any) -> Reply:
        """What a response says."""

    def piece(self, event: Any) -> str:
        """The text in one event of a stream."""


def default_name(provider: str) -> str:
    """The model used where none is named."""
    return _DEFAULT_NAMES[provider]


def check(provider: str, environment: Mapping[str, str]) -> None:
    """Whether a provider can be used here, without importing its package.

    Raises:
        ProviderUnavailableError: its package is not installed, or there is no key.
    """
    if provider == offline.PROVIDER:
        return
    if importlib.util.find_spec(provider) is None:
        raise ProviderUnavailableError(f"--provider {provider} needs the package {provider!r}: pip install {provider}")
    if not any(environment.get(key) for key in _KEYS[provider]):
        raise ProviderUnavailableError(f"--provider {provider} needs a key: set {' or '.join(_KEYS[provider])}")


def connect(provider: str, name: str, seed: int, pace: Pace) -> Model:
    """The model of that name, ready to be asked. Opens no connection yet."""
    if provider == "openai":
        import openai

        return _ChatModel(openai.OpenAI(), name)
    if provider == "anthropic":
        import anthropic

        return _MessagesModel(anthropic.Anthropic(), name, provider)
    return _MessagesModel(offline.OfflineClient(seed, pace), name, provider)


class _MessagesModel:
    """Anthropic's Messages API."""

    def __init__(self, client: Any, name: str, provider: str) -> None:
        self._client, self.name, self.provider = client, name, provider

    def request(self, system: str, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        asked = {"model": self.name, "max_tokens": MOST_OUTPUT_TOKENS, "system": system, "messages": list(messages)}
        return {**asked, "tools": list(tools)} if tools else asked

    def send(self, request: Mapping[str, Any]) -> Any:
        return self._client.messages.create(**request)

    def open_stream(self, request: Mapping[str, Any]) -> Any:
        return self._client.messages.create(**request, stream=True)

    def reply(self, response: Any) -> Reply:
        blocks = [block for found in _plain(response)["content"] if (block := _kept(found)) is not None]
        return Reply(
            text=_joined(block["text"] for block in blocks if block["type"] == "text"),
            thinking=_joined(block["thinking"] for block in blocks if block["type"] == "thinking"),
            tools=tuple(ToolUse(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"),
            content=blocks,
        )

    def piece(self, event: Any) -> str:
        return str((_plain(event).get("delta") or {}).get("text") or "")


_KEPT = {"text": ("text",), "thinking": ("thinking", "signature"), "tool_use": ("id", "name", "input")}


def _kept(block: Mapping[str, Any]) -> dict[str, Any] | None:
    """A block as a request may hold it: a response has keys that requests do not know."""
    keys = _KEPT.get(block["type"])
    return {"type": block["type"], **{key: block[key] for key in keys}} if keys else None


class _ChatModel:
    """OpenAI's chat completions."""

    provider = "openai"

    def __init__(self, client: Any, name: str) -> None:
        self._client, self.name = client, name

    def request(self, system: str, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        said = [{"role": "system", "content": system}, *(m for message in messages for m in _chat_messages(message))]
        asked = {"model": self.name, "max_completion_tokens": MOST_OUTPUT_TOKENS, "messages": said}
        return {**asked, "tools": [_chat_tool(tool) for tool in tools]} if tools else asked

    def send(self, request: Mapping[str, Any]) -> Any:
        return self._client.chat.completions.create(**request)

    def open_stream(self, request: Mapping[str, Any]) -> Any:
        return self._client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True})

    def reply(self, response: Any) -> Reply:
        message = _plain(response)["choices"][0]["message"]
        calls = [(call["id"], call["function"]) for call in message.get("tool_calls") or () if call.get("function")]
        tools = tuple(ToolUse(call_id, function["name"], _arguments(function["arguments"])) for call_id, function in calls)
        text = str(message.get("content") or "")
        uses = [{"type": "tool_use", "id": t.id, "name": t.name, "input": dict(t.arguments)} for t in tools]
        return Reply(text, "", tools, [*([{"type": "text", "text": text}] if text else []), *uses])

    def piece(self, event: Any) -> str:
        choices = _plain(event).get("choices") or [{}]
        return str((choices[0].get("delta") or {}).get("content") or "")


def _chat_messages(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    if isinstance(content, str):
        return [{"role": message["role"], "content": content}]
    if message["role"] == "assistant":
        return [_chat_assistant(content)]
    return [{"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"]} for block in content]


def _chat_assistant(content: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    said: dict[str, Any] = {"role": "assistant", "content": _joined(b["text"] for b in content if b["type"] == "text") or None}
    calls = [
        {"id": b["id"], "type": "function", "function": {"name": b["name"], "arguments": json.dumps(b["input"])}}
        for b in content
        if b["type"] == "tool_use"
    ]
    return {**said, "tool_calls": calls} if calls else said


def _chat_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    described = {"name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"]}
    return {"type": "function", "function": described}


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> dict[str, Any]:
    """An answer as a ``dict``: the clients' are pydantic models, the offline model's are dicts already."""
    found: dict[str, Any] = value if isinstance(value, dict) else value.model_dump()
    return found


def _joined(texts: Iterable[str]) -> str:
    return "\n".join(texts)

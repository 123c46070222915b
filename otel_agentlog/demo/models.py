"""The model's client: the offline one, Anthropic's, OpenAI's. A conversation is a list of messages in the client's own shape."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_agentlog.demo import offline
from otel_agentlog.demo.job import Pace

MOST_OUTPUT_TOKENS = 4096

PROVIDERS = (offline.PROVIDER, "anthropic", "openai")
DEFAULT_NAMES = {offline.PROVIDER: offline.NAME, "anthropic": "claude-haiku-4-5", "openai": "gpt-5-mini"}
"""The model that is used where none is named."""
_KEYS = {"anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"), "openai": ("OPENAI_API_KEY",)}


class ProviderUnavailableError(Exception):
    """A provider cannot be used here; the message has what to install or set."""


@dataclass(frozen=True)
class ToolUse:
    """A tool run that the model requests."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """One response of a model."""

    text: str
    tools: tuple[ToolUse, ...]
    message: dict[str, Any]
    """The response as the next message of the conversation."""
    thinking: str = ""


def check(provider: str, environment: Mapping[str, str]) -> None:
    """Check that a provider can be used here, without importing its package.

    Raises:
        ProviderUnavailableError: its package is not installed, or there is no key.
    """
    if provider == offline.PROVIDER:
        return
    if importlib.util.find_spec(provider) is None:
        raise ProviderUnavailableError(f"--provider {provider} needs the package {provider!r}: pip install {provider}")
    if not any(environment.get(key) for key in _KEYS[provider]):
        raise ProviderUnavailableError(f"--provider {provider} needs a key: set {' or '.join(_KEYS[provider])}")


def connect(provider: str, name: str, seed: int, pace: Pace) -> MessagesModel | ChatModel:
    """Construct the client. Opens no connection yet."""
    if provider == "openai":
        import openai

        return ChatModel(openai.OpenAI().chat.completions, name, provider)
    if provider == "anthropic":
        import anthropic

        return MessagesModel(anthropic.Anthropic().messages, name, provider)
    return MessagesModel(offline.OfflineClient(seed, pace).messages, name, provider)


class MessagesModel:
    """Anthropic's Messages API, of which the offline model has a part."""

    def __init__(self, api: Any, name: str, provider: str) -> None:
        self._api, self.name, self.provider = api, name, provider

    def request(self, system: str, messages: Sequence[Any], tools: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
        """The arguments of the client's call."""
        request = {"model": self.name, "max_tokens": MOST_OUTPUT_TOKENS, "system": system, "messages": list(messages)}
        return {**request, "tools": list(tools)} if tools else request

    def send(self, request: Mapping[str, Any]) -> Any:
        """The response, as the client returns it."""
        return self._api.create(**request)

    def open_stream(self, request: Mapping[str, Any]) -> Any:
        """The response's events, as the client yields them."""
        return self._api.create(**request, stream=True)

    def reply(self, response: Any) -> Reply:
        """Text, tools and thinking of a response."""
        content = _plain(response)["content"]
        text, thinking = ("\n".join(block[kind] for block in content if block["type"] == kind) for kind in ("text", "thinking"))
        tools = tuple(ToolUse(block["id"], block["name"], block["input"]) for block in content if block["type"] == "tool_use")
        # The client's own objects: their dicts have keys that a request must not have.
        own = response["content"] if isinstance(response, dict) else response.content
        return Reply(text, tools, {"role": "assistant", "content": own}, thinking)

    def outputs(self, outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The messages that give the outputs of tools, blocks ``tool_result``, to the model."""
        return [{"role": "user", "content": outputs}]

    def piece(self, event: Any) -> str:
        """The text in one event of a stream."""
        return str((_plain(event).get("delta") or {}).get("text") or "")


class ChatModel(MessagesModel):
    """OpenAI's chat completions."""

    def request(self, system: str, messages: Sequence[Any], tools: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
        conversation = [{"role": "system", "content": system}, *messages]
        request = {"model": self.name, "max_completion_tokens": MOST_OUTPUT_TOKENS, "messages": conversation}
        return {**request, "tools": [_function(tool) for tool in tools]} if tools else request

    def open_stream(self, request: Mapping[str, Any]) -> Any:
        return self._api.create(**request, stream=True, stream_options={"include_usage": True})

    def reply(self, response: Any) -> Reply:
        message = response.choices[0].message.model_dump(exclude_none=True)
        calls = [(call["id"], call["function"]) for call in message.get("tool_calls") or () if call.get("function")]
        tools = tuple(ToolUse(call_id, function["name"], _arguments(function["arguments"])) for call_id, function in calls)
        return Reply(str(message.get("content") or ""), tools, message)

    def outputs(self, outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"role": "tool", "tool_call_id": output["tool_use_id"], "content": output["content"]} for output in outputs]

    def piece(self, event: Any) -> str:
        choices = _plain(event).get("choices") or [{}]
        return str((choices[0].get("delta") or {}).get("content") or "")


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"]}
    return {"type": "function", "function": function}


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> dict[str, Any]:
    """As a ``dict``: the clients return pydantic models, the offline model dicts."""
    found: dict[str, Any] = value if isinstance(value, dict) else value.model_dump()
    return found

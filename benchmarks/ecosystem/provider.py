"""A model provider on 127.0.0.1 that answers agents as far as they need it, and knows what it was asked: the truth.

A request that offers tools gets a call of the first one; one that has a tool's result gets a text. Every answer has an id and
token counts of its own, so that what is counted twice or lost cannot cancel out.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from otel_agentlog.record.providers.pricing import PriceTable
from otel_agentlog.vocabulary.usage import Usage
from tests.support.providers.replies import Json
from tests.support.providers.server import Answer, ProviderServer, Refuse, Reply, Request

REFUSED = "a model that nobody has"
"""A request for this model is refused with 400."""


_ANSWERED = ("/chat/completions", "/responses", "/embeddings", "/v1/messages")


@dataclass
class Truth:
    """What clients were answered."""

    requests: int = 0
    """Those that were refused, too."""
    refused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    models: set[str] = field(default_factory=set)


class CountingProvider(ProviderServer):
    """Answers chat completions, responses, embeddings, Anthropic messages and Gemini's ``generateContent``."""

    def __init__(self) -> None:
        super().__init__()
        self.truth = Truth()
        self._prices = PriceTable({})
        self._numbers = count(1)
        self._lock = threading.Lock()

    def take(self, request: Request) -> Answer:
        """Answer a request and count it."""
        super().take(request)
        if not request.path.endswith(_ANSWERED) and "/models/" not in request.path:
            return Reply()  # vendors' own services are not here
        with self._lock:
            number = next(self._numbers)
            self.truth.requests += 1
            model = request.body.get("model") or request.path.rpartition("/")[2].partition(":")[0]
            if model == REFUSED:
                self.truth.refused += 1
                return Refuse(400, ())
            tokens_in, tokens_out = 1000 + number, 0 if request.path.endswith("/embeddings") else 20 + number
            provider = "google" if "/models/" in request.path else "anthropic" if request.path == "/v1/messages" else "openai"
            price = self._prices.cost(provider, model, Usage(tokens_in, tokens_out))
            self.truth.models.add(model)
            self.truth.input_tokens += tokens_in
            self.truth.output_tokens += tokens_out
            self.truth.cost_usd += 0.0 if price is None else price.amount_usd
            return Reply(_body(request, model, f"{number:08x}aa", tokens_in, tokens_out), size=40)


def _body(request: Request, model: str, number: str, tokens_in: int, tokens_out: int) -> Json:
    called, text = _next_tool(request.body), _text(request.body)
    if request.path == "/v1/messages":
        return _message(model, number, tokens_in, tokens_out, called, text)
    if request.path.endswith("/embeddings"):
        usage = {"prompt_tokens": tokens_in, "total_tokens": tokens_in}
        data = [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]
        return {"object": "list", "model": model, "data": data, "usage": usage}
    if request.path.endswith("/responses"):
        return _response(model, number, tokens_in, tokens_out, called, text)
    if "/models/" in request.path:
        counts = {"promptTokenCount": tokens_in, "candidatesTokenCount": tokens_out, "totalTokenCount": tokens_in + tokens_out}
        candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}
        return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": model, "responseId": number}
    return _completion(model, number, tokens_in, tokens_out, called, text)


def _next_tool(body: Json) -> tuple[str, Json] | None:
    """The tool that an agent is to call now, and with what."""
    tools = [tool.get("function", tool) for tool in body.get("tools") or []]
    names = [str(tool.get("name")) for tool in tools]
    told = json.dumps(body.get("messages") or body.get("input") or "")
    answered = any(sign in told for sign in ('"role": "tool"', '"tool_result"', '"function_call_output"', ": sunny"))
    if answered:
        # An agent that ends by a tool of its own.
        return ("final_answer", {"answer": "Sunny."}) if "final_answer" in names else None
    return (names[0], {"city": "Paris"}) if names else None


def _text(body: Json) -> str:
    asked = json.dumps(body)
    if "[[ ## " in asked:  # DSPy reads marked fields
        return "[[ ## answer ## ]]\nSunny.\n\n[[ ## completed ## ]]"
    return "Thought: I can answer.\nFinal Answer: Sunny." if "Final Answer" in asked else "Sunny."


def _message(model: str, number: str, tokens_in: int, tokens_out: int, called: tuple[str, Json] | None, text: str) -> Json:
    block: Json = {"type": "text", "text": text}
    if called is not None:
        block = {"type": "tool_use", "id": f"toolu_{number}", "name": called[0], "input": called[1]}
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [block],
        "stop_reason": "end_turn" if called is None else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": tokens_in, "output_tokens": tokens_out},
    }


def _completion(model: str, number: str, tokens_in: int, tokens_out: int, called: tuple[str, Json] | None, text: str) -> Json:
    message: Json = {"role": "assistant", "content": text}
    if called is not None:
        function = {"name": called[0], "arguments": json.dumps(called[1])}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": f"call_{number}", "type": "function", "function": function}],
        }
    reason = "stop" if called is None else "tool_calls"
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out},
    }


def _response(model: str, number: str, tokens_in: int, tokens_out: int, called: tuple[str, Json] | None, text: str) -> Json:
    content: list[Any] = [{"type": "output_text", "text": text, "annotations": []}]
    item: Json = {"id": f"msg_{number}", "type": "message", "role": "assistant", "status": "completed", "content": content}
    if called is not None:
        item = {"id": f"fc_{number}", "type": "function_call", "call_id": f"call_{number}", "status": "completed"}
        item |= {"name": called[0], "arguments": json.dumps(called[1])}
    usage: Json = {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
    usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": model,
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }

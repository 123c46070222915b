"""How other libraries name what we understand: the GenAI conventions of several years, OpenInference, OpenLLMetry.

Sources: ``opentelemetry-instrumentation-genai-*`` 1.3b0 and native ``anthropic`` 2.x (``gen_ai.*``), Traceloop 0.62
(``gen_ai.*`` of 2024, ``llm.*``, ``traceloop.*``), OpenInference 0.1.72 (``openinference.span.kind``, ``llm.token_count.*``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otel_agentlog.model import Usage

AI = "ai"
TOOL = "tool"

_INFERENCE = frozenset({"chat", "generate_content", "text_completion", "embeddings", "completion"})
_TOOL_OPERATION = "execute_tool"

_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_MODEL = ("gen_ai.request.model", "llm.model_name", "llm.request.model", "embedding.model_name")
_RESPONSE_MODEL = ("gen_ai.response.model",)
_RESPONSE_ID = ("gen_ai.response.id",)
_TOOL_NAME = ("gen_ai.tool.name", "tool.name", "traceloop.entity.name")
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens")
_OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
)
_CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
_CACHE_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)


@dataclass(frozen=True)
class Reading:
    """What the attributes of an AI or tool span say."""

    operation: str | None
    provider: str | None
    model: str | None
    response_model: str | None
    response_id: str | None
    tool: str | None
    usage: Usage
    finish_reasons: tuple[str, ...]
    resends: int
    """How often an AI client sent its request again within this span; on a span of HTTP it is another number."""


def kind_of(attributes: Mapping[str, Any]) -> str | None:
    """`AI`, `TOOL` or ``None`` for a span with these attributes."""
    operation = attributes.get("gen_ai.operation.name")
    if operation in _INFERENCE:
        return AI
    if operation == _TOOL_OPERATION:
        return TOOL
    inference_kind = str(attributes.get("openinference.span.kind") or "").upper()
    if inference_kind in ("LLM", "EMBEDDING"):
        return AI
    if inference_kind == "TOOL" or attributes.get("traceloop.span.kind") == "tool":
        return TOOL
    if attributes.get("llm.request.type") in _INFERENCE:
        return AI
    return None


def reading_of(attributes: Mapping[str, Any]) -> Reading:
    """What the attributes say, whoever named them."""
    operation = attributes.get("gen_ai.operation.name") or attributes.get("llm.request.type")
    reasons = attributes.get("gen_ai.response.finish_reasons")
    return Reading(
        operation=operation if isinstance(operation, str) else None,
        provider=_text(attributes, _PROVIDER),
        model=_text(attributes, _MODEL),
        response_model=_text(attributes, _RESPONSE_MODEL),
        response_id=_text(attributes, _RESPONSE_ID),
        tool=_text(attributes, _TOOL_NAME),
        usage=Usage(
            _count(attributes, _INPUT),
            _count(attributes, _OUTPUT),
            _count(attributes, _CACHE_READ),
            _count(attributes, _CACHE_WRITE),
            _count(attributes, _REASONING),
        ),
        finish_reasons=tuple(str(reason) for reason in reasons) if isinstance(reasons, (list, tuple)) else (),
        resends=max(0, _count(attributes, ("http.request.resend_count",)) or 0) if kind_of(attributes) == AI else 0,
    )


def _text(attributes: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value.lower() if name == "gen_ai.system" else value
    return None


def _count(attributes: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None

"""A request that LiteLLM's callback ``otel`` tells of without a span of its own (LiteLLM 1.110).

Where a span is current, such as that of our task, the callback writes what it knows of a request on that span, over what it wrote
of the one before, and begins a child span ``raw_gen_ai_request`` at once. That one has the provider's answer as
``llm.<provider>.<field>``, or nothing if it was a stream. Both together are read as the request.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt

SCOPE, RAW = "litellm", "raw_gen_ai_request"

MAX_READ = 10_000
"""Characters of the usage, a Python literal, that are read."""

_COUNTS = {"prompt_tokens": "input_tokens", "input_tokens": "input_tokens", "completion_tokens": "output_tokens"}
_COUNTS["output_tokens"] = "output_tokens"


def request_of(name: str, own: Mapping[str, Any], around: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of the request by the names of the conventions, of the child span's ``own`` and those of the span around it.

    Empty where the child is none of a request.
    """
    answer = {key.split(".", 2)[2]: value for key, value in own.items() if key.startswith("llm.") and key.count(".") >= 2}
    if name != RAW and not answer:
        return {}
    provider = next((key.split(".")[1] for key in own if key.startswith("llm.")), None)
    found = {key: value for key, value in around.items() if key.startswith("gen_ai.")}
    if "id" in answer:
        # Another request, whose callback runs in another thread, may have written over it meanwhile.
        if found.get("gen_ai.response.id") != answer["id"]:
            found = {"gen_ai.system": provider, "gen_ai.request.model": answer.get("model")}
        found |= {"gen_ai.response.id": answer["id"], **_usage(answer.get("usage"))}
    elif "litellm.call_id" not in around:
        return {}
    return {**found, "gen_ai.operation.name": found.get("gen_ai.operation.name") or "chat"}


def _usage(text: Any) -> dict[str, int]:
    if not isinstance(text, str) or len(text) > MAX_READ:
        return {}
    try:
        counts = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise_interrupt()
        return {}
    given = counts if isinstance(counts, dict) else {}
    return {f"gen_ai.usage.{name}": given[key] for key, name in _COUNTS.items() if type(given.get(key)) is int}

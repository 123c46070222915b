"""Reads token counts and reported costs of any provider: which key holds which number, and which number contains which.

The sums follow the GenAI convention: ``input_tokens`` is all input, cached or not; ``output_tokens`` is all output,
reasoning included; every other count is a part of one of them.

Sources: the ``usage`` types of the ``anthropic`` and ``openai`` packages (2.11, 3.52), OpenRouter's "usage
accounting", xAI's "cost tracking", DeepSeek's and Perplexity's API references.
"""

from __future__ import annotations

from typing import Any

from otel_agentlog.record.providers.fields import amount, count, field, has, items, name_of, text
from otel_agentlog.record.providers.pricing import Billing
from otel_agentlog.vocabulary.usage import Usage

_TICKS_PER_USD = 10**10
"""xAI reports costs in ticks of 10^-10 dollars."""


def anthropic_usage(usage: object) -> Usage:
    """Tokens of an Anthropic ``usage``: its ``input_tokens`` are only those outside the cache, so the three are added.

    A compaction on the way is billed but not in the top-level counts; its tokens are added too.
    """
    read, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    total = Usage(
        input_tokens=_added(count(usage, "input_tokens"), read, written),
        output_tokens=count(usage, "output_tokens"),
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        reasoning_output_tokens=count(field(usage, "output_tokens_details"), "thinking_tokens"),
    )
    for iteration in items(usage, "iterations"):
        if text(iteration, "type") == "compaction":
            total += anthropic_usage(iteration)
    return total


def openai_usage(usage: object) -> Usage:
    """Tokens of an OpenAI ``usage`` (chat, completions, responses, embeddings) or of an API that copies it.

    xAI leaves reasoning out of ``completion_tokens``; where the provider's ``total_tokens`` shows that, it is added.
    """
    inputs = _first(usage, "prompt_tokens", "input_tokens")
    output = _first(usage, "completion_tokens", "output_tokens")
    in_details = field(usage, "prompt_tokens_details") or field(usage, "input_tokens_details")
    out_details = field(usage, "completion_tokens_details") or field(usage, "output_tokens_details")
    reasoning = _known(count(out_details, "reasoning_tokens"), count(usage, "reasoning_output_tokens"))
    if reasoning and inputs is not None and output is not None:
        output += reasoning if count(usage, "total_tokens") == inputs + output + reasoning else 0
    return Usage(
        input_tokens=inputs,
        output_tokens=output,
        cache_read_input_tokens=_known(count(in_details, "cached_tokens"), _first(usage, *_CACHE_READ)),
        cache_write_input_tokens=_known(count(in_details, "cache_write_tokens"), _first(usage, *_CACHE_WRITTEN)),
        reasoning_output_tokens=reasoning,
    )


_CACHE_READ = ("cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens")
"""Keys of cache hits in compatible APIs: LiteLLM and our own names, DeepSeek, Moonshot."""

_CACHE_WRITTEN = ("cache_write_input_tokens", "cache_creation_input_tokens")


def any_usage(usage: object, provider: str | None) -> Usage:
    """Tokens of a ``usage`` of unknown origin: Anthropic's if only its keys are there, else OpenAI's."""
    foreign = has(usage, "prompt_tokens") or has(usage, "cache_write_input_tokens")
    anthropic = has(usage, "cache_creation_input_tokens") or (provider or "").lower() == "anthropic"
    return anthropic_usage(usage) if anthropic and not foreign else openai_usage(usage)


def reported_cost(usage: object) -> float | None:
    """The cost that the provider reports, in US dollars: OpenRouter, Perplexity, xAI.

    With an own key at OpenRouter ``cost`` is only the fee; the bill of the other provider is added, and where that is
    missing the cost is not known.
    """
    ticks = amount(usage, "cost_in_usd_ticks")
    if ticks is not None:
        return ticks / _TICKS_PER_USD
    cost: float | None = _known(amount(usage, "cost"), amount(field(usage, "cost"), "total_cost"))
    if cost is None or field(usage, "is_byok") is not True:
        return cost
    upstream = amount(field(usage, "cost_details"), "upstream_inference_cost")
    return None if upstream is None else cost + upstream


def billing_of(response: object) -> Billing:
    """The fields of a response, besides its tokens, that change their price."""
    usage = field(response, "usage")
    return Billing(
        service_tier=name_of(usage, "service_tier") or name_of(response, "service_tier"),
        speed=name_of(usage, "speed"),
        cache_write_1h_input_tokens=count(field(usage, "cache_creation"), "ephemeral_1h_input_tokens"),
        web_searches=_known(
            count(field(usage, "server_tool_use"), "web_search_requests"),
            count(field(field(response, "tool_usage"), "web_search"), "num_requests"),
        ),
    )


def _first(value: object, *names: str) -> int | None:
    return next((number for name in names if (number := count(value, name)) is not None), None)


def _known(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _added(first: int | None, *others: int | None) -> int | None:
    return None if first is None else first + sum(other or 0 for other in others)

"""Reads token counts and reported costs of any provider, by tables: where a response has them, and under which names.

The sums follow the GenAI convention: ``input_tokens`` is all input, cached or not; ``output_tokens`` is all output,
reasoning included; every other count is a part of one of them. Of used and billed tokens the billed ones are taken.

Sources: the ``usage`` types of the packages ``anthropic`` and ``openai`` (2.11, 3.52), ``google-genai``, ``cohere``,
``mistralai``, ``litellm``, ``langchain-core``, ``claude-agent-sdk``, and the API references of Amazon Bedrock, DeepSeek, Groq,
llama.cpp, Ollama, OpenRouter, Perplexity, Replicate, Text Generation Inference, watsonx.ai and xAI.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from otel_agentlog.record.providers.fields import (
    LARGEST_COUNT,
    amount,
    as_amount,
    as_count,
    count,
    field,
    has,
    items,
    name_of,
    text,
)
from otel_agentlog.record.providers.pricing import Billing
from otel_agentlog.vocabulary.usage import USAGE_FIELDS, Usage

Path: TypeAlias = tuple[str, ...]
"""Names of fields, one inside the other."""

PLACES: tuple[Path, ...] = (
    ("usage",),
    ("usageMetadata",),  # Gemini over HTTP
    ("usage_metadata",),  # google-genai, LangChain
    ("x_groq", "usage"),  # Groq's last chunk
    ("metadata", "usage"),  # Bedrock's ConverseStream
    ("amazon-bedrock-invocationMetrics",),  # the last chunk of Bedrock's InvokeModelWithResponseStream
    ("meta",),  # Cohere's first API
    ("delta", "usage"),  # the last event of Cohere's stream
    ("response", "usage"),
    ("response", "meta"),
    ("message", "usage"),
    ("result", "usage"),  # Cloudflare
    ("response_metadata", "token_usage"),  # LangChain, of before usage_metadata
    ("response_metadata", "usage"),
    ("llm_output", "token_usage"),
    ("context_wrapper", "usage"),  # openai-agents' result of a run
    ("additional_kwargs",),  # LlamaIndex
    (),  # a usage by itself; Ollama, llama.cpp
    ("metrics",),  # Replicate
    ("timings",),  # llama.cpp
    ("details",),  # Text Generation Inference
)
"""Where a response has its usage. The first place with a count that is not 0 is read, as two never add up."""

_INPUT = (
    *("prompt_tokens", "input_tokens"),  # OpenAI and those in its image, Anthropic
    *("promptTokenCount", "prompt_token_count"),  # Gemini; Llama on Bedrock
    *("inputTokens", "inputTokenCount", "inputTextTokenCount"),  # Bedrock: Converse, its metrics, Titan
    *("input_token_count", "prompt_eval_count"),  # Replicate and watsonx, Ollama
    *("tokens_evaluated", "prompt_n", "input_length"),  # llama.cpp, its timings, Text Generation Inference
)
_MORE_INPUT = ("toolUsePromptTokenCount", "tool_use_prompt_token_count")
"""Counts beside those of `_INPUT`."""
_OUTPUT = (
    *("completion_tokens", "output_tokens"),
    *("candidatesTokenCount", "candidates_token_count", "responseTokenCount", "response_token_count"),  # Gemini, its live API
    *("outputTokens", "outputTokenCount", "tokenCount"),
    *("output_token_count", "generated_token_count", "generation_token_count", "eval_count"),
    *("tokens_predicted", "predicted_n", "generated_tokens"),
)
_MORE_OUTPUT = ("thoughtsTokenCount", "thoughts_token_count")
_TOTAL = ("total_tokens", "totalTokens", "totalTokenCount", "total_token_count")
CACHE_READ = (
    *("cached_tokens", "cache_read", "cache_read_tokens", "cache_read_input_tokens"),  # OpenAI, LangChain, pydantic-ai, Anthropic
    *("prompt_cache_hit_tokens", "num_cached_tokens", "cache_n"),  # DeepSeek, Together, llama.cpp
    *("cachedContentTokenCount", "cached_content_token_count"),
    *("cacheReadInputTokens", "cacheReadInputTokenCount", "cachedInputTokens"),
)
CACHE_WRITTEN = (
    *("cache_write_tokens", "cache_creation", "cache_write_input_tokens", "cache_creation_input_tokens"),
    *("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
)
REASONING = ("reasoning_tokens", "reasoning", "thinking_tokens", "reasoning_output_tokens", "reasoningTokens", *_MORE_OUTPUT)
INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details", "inputTokenDetails")
OUTPUT_DETAILS = (
    *("completion_tokens_details", "output_tokens_details", "output_token_details", "outputTokenDetails"),
    "details",  # pydantic-ai
)
_OUTSIDE = (
    *("cacheReadInputTokens", "cacheReadInputTokenCount", "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    "cache_n",
)
"""Names of cached tokens that the input beside them does not contain. Anthropic's are not always so: `_is_outside`."""

_SETS: dict[tuple[str, ...], frozenset[str]] = {
    names: frozenset(names)
    for names in (_INPUT, _MORE_INPUT, _OUTPUT, _MORE_OUTPUT, _TOTAL, CACHE_READ, CACHE_WRITTEN, REASONING)
}
COUNTS = (*_INPUT, *_MORE_INPUT, *_OUTPUT, *_MORE_OUTPUT, *_TOTAL, *CACHE_READ, *CACHE_WRITTEN, *REASONING)
"""Every name of a count."""

MOST_ITERATIONS = 10_000
"""Most steps of one answer that are looked through."""

_TICKS_PER_USD = 10**10
"""xAI reports costs in ticks of 10^-10 dollars."""


def usage_in(response: object, provider: str | None = None, *, outside: bool | None = None) -> Usage:
    """Tokens of a response of any provider, wherever it has them.

    ``outside``: whether cached tokens are beside the input, not in it; by default the names and ``provider`` decide.
    """
    if (found := of_results(response)) is not None:
        return found
    first = Usage()
    for path in PLACES:
        if (place := at(response, path)) is not None:
            found = read_usage(place, provider, outside=outside)
            if any(found.known().values()):
                return found
            first = first if first.known() else found
    for find in (_of_headers, _of_embeddings, _of_choices):
        elsewhere = find(response)
        if elsewhere is not None and elsewhere.known():
            return elsewhere
    return first


def at(value: object, path: Path) -> Any:
    """The field at the end of a path, ``None`` if there is none."""
    for name in path:
        value = field(value, name)
        if value is None:
            return None
    return value


def read_usage(usage: object, provider: str | None = None, *, outside: bool | None = None) -> Usage:
    """Tokens of one ``usage``, under whatever names it has them."""
    for inner in ("billed_units", "tokens"):  # Cohere
        if (found := _counted(field(usage, inner), provider, outside)).known():
            return found
    total = _counted(usage, provider, outside)
    for iteration in items(usage, "iterations")[:MOST_ITERATIONS]:
        # A compaction on the way is billed, but not in Anthropic's counts around it.
        if text(iteration, "type") == "compaction":
            total += _counted(iteration, provider, True)
    return total


def _counted(usage: object, provider: str | None, outside: bool | None) -> Usage:
    if usage is None:
        return Usage()
    in_details = [found for name in INPUT_DETAILS if (found := field(usage, name)) is not None]
    out_details = [found for name in OUTPUT_DETAILS if (found := field(usage, name)) is not None]
    read = _largest((usage, *in_details), CACHE_READ)
    written = _largest((usage, *in_details), CACHE_WRITTEN)
    inputs = _plus(_largest((usage,), _INPUT), _largest((usage,), _MORE_INPUT))
    if inputs is None and (prefill := items(usage, "prefill")):  # the tokens themselves, of Text Generation Inference
        inputs = len(prefill)
    if inputs is not None and (_is_outside(usage, provider) if outside is None else outside):
        inputs += (read or 0) + (written or 0)
    output = _plus(_largest((usage,), _OUTPUT), _largest((usage,), _MORE_OUTPUT))
    reasoning = _largest((usage, *out_details), REASONING)
    return checked(Usage(inputs, output, read, written, reasoning), _largest((usage,), _TOTAL))


def _largest(values: tuple[object, ...], names: tuple[str, ...]) -> int | None:
    """The largest of the counts under these names: those that say the same are equal, a 0 in one place hides nothing."""
    found = [count(value, name) for value in values for name in _present(value, names)]
    return max((number for number in found if number is not None), default=None)


def _present(value: object, names: tuple[str, ...]) -> Iterable[str]:
    """The names that a value may have: for a dict, which is what most chunks are, without trying each."""
    return _SETS[names].intersection(value.keys()) if type(value) is dict else names if value is not None else ()


def _is_outside(usage: object, provider: str | None) -> bool:
    if any(has(usage, name) for name in _OUTSIDE):
        return True
    # LiteLLM and others who copy OpenAI count Anthropic's cached tokens in, LangChain too; so do our own names.
    if any(has(usage, name) for name in ("prompt_tokens", "cache_write_input_tokens", *INPUT_DETAILS)):
        return False
    of_anthropic = (provider or "").lower() == "anthropic" and count(usage, "total_tokens") is None
    return has(usage, "cache_creation_input_tokens") or (of_anthropic and has(usage, "cache_read_input_tokens"))


def checked(usage: Usage, total: int | None = None) -> Usage:
    """Counts that fit together: parts within their sums, and the sums within the provider's own ``total``.

    Cached tokens that are more than the input are beside it, and reasoning that is more than the output likewise: they are
    added. What the total has and neither sum has is output, mostly reasoning that the provider leaves out of it. A total that
    is smaller than the sums says nothing. A count beyond `LARGEST_COUNT` is unknown.
    """
    inputs, output, reasoning = usage.input_tokens, usage.output_tokens, usage.reasoning_output_tokens
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_write_input_tokens or 0)
    fits = total is not None and total == (inputs or 0) + (output or 0)
    if inputs is None and output is not None and total is not None and total > output:
        inputs = total - output
    if inputs is not None:
        beside = cached and output is not None and total == inputs + output + cached
        inputs += cached if beside or cached > inputs else 0
        if total is not None and total > inputs + (output or 0):
            output = total - inputs
    if reasoning is not None and output is not None and reasoning > output:
        output, reasoning = (output, None) if fits else (output + reasoning, reasoning)
    counts = (inputs, output, usage.cache_read_input_tokens, usage.cache_write_input_tokens, reasoning)
    if max(filter(None, counts), default=0) > LARGEST_COUNT:
        return Usage(*(None if number is None or number > LARGEST_COUNT else number for number in counts))
    return Usage(*counts)


def _of_headers(response: object) -> Usage | None:
    """Bedrock's InvokeModel, as boto3 gives it: the counts are in the headers, whatever the body is."""
    headers = at(response, ("ResponseMetadata", "HTTPHeaders"))
    names = ("input-token-count", "output-token-count", "cache-read-input-token-count", "cache-write-input-token-count")
    counts = [_digits(field(headers, f"x-amzn-bedrock-{name}")) for name in names]
    if all(number is None for number in counts):
        return None
    inputs, output, read, written = counts
    return checked(Usage(_plus(inputs, read, written) if inputs is not None else None, output, read, written))


def _digits(value: object) -> int | None:
    return as_count(int(value)) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else None


def _of_choices(response: object) -> Usage | None:
    """Moonshot, which has it in each choice of a stream."""
    found = [read_usage(field(choice, "usage"), outside=False) for choice in items(response, "choices")]
    return functools.reduce(larger, found) if found else None


def of_results(response: object) -> Usage | None:
    """watsonx.ai and Titan, which count for each of several results; Titan's input stands beside them."""
    found = sum((_counted(result, None, None) for result in items(response, "results")), Usage())
    return found + Usage(count(response, "inputTextTokenCount")) if found.known() else None


def _of_embeddings(response: object) -> Usage | None:
    """Embeddings have no output: where only the total is known, it is the input."""
    data = items(response, "data")
    total = _largest((field(response, "usage"),), _TOTAL)
    return Usage(total) if data and has(data[0], "embedding") and total is not None else None


def merged(before: object, after: object, join: Callable[[float, float], float] = max) -> Any:
    """Two reports of one usage, the first of which came earlier in a stream: of two numbers the larger one.

    A total that is sent with every chunk never shrinks, and a 0 in a later one means that it says nothing. ``join`` is another
    way to make one number of two. What is no number and no mapping never replaces one.
    """
    if isinstance(before, Mapping):
        if not isinstance(after, Mapping):
            return before
        return {**before, **{name: merged(before.get(name), value, join) for name, value in after.items()}}
    known, now = _number(before), _number(after)
    if known is None:
        return before if after is None else after
    return before if now is None else join(known, now)


def _number(value: object) -> float | None:
    whole = as_count(value)
    return as_amount(value) if whole is None else whole


def larger(before: Usage, after: Usage) -> Usage:
    """Of two reports of the same tokens the larger count each."""
    return Usage(*(_known(max, getattr(before, name), getattr(after, name)) for name in USAGE_FIELDS))


def reported_cost(response: object, usage: object) -> float | None:
    """The cost that a response reports, in US dollars: OpenRouter, Perplexity, xAI, LiteLLM, claude-agent-sdk.

    With an own key at OpenRouter ``cost`` is only the fee; the bill of the other provider is added, and where that is
    missing the cost is not known.
    """
    if (of_run := amount(response, "total_cost_usd")) is not None:
        return of_run
    ticks = amount(usage, "cost_in_usd_ticks")
    if ticks is not None:
        return ticks / _TICKS_PER_USD
    cost = amount(usage, "cost")
    cost = amount(field(usage, "cost"), "total_cost") if cost is None else cost
    if cost is None:
        # LiteLLM's own table has 0 for models that it knows no price of.
        return amount(field(response, "_hidden_params"), "response_cost") or None
    if field(usage, "is_byok") is not True:
        return cost
    upstream = amount(field(usage, "cost_details"), "upstream_inference_cost")
    return None if upstream is None else cost + upstream


def billing_of(response: object) -> Billing:
    """The fields of a response, besides its tokens, that change their price."""
    usage = next((found for path in PLACES if path and (found := at(response, path)) is not None), None)
    hour = count(field(usage, "cache_creation"), "ephemeral_1h_input_tokens")
    if hour is None:
        kept = [count(entry, "inputTokens") for entry in items(usage, "cacheDetails") if text(entry, "ttl") == "1h"]
        hour = _plus(*kept)
    searches = count(field(usage, "server_tool_use"), "web_search_requests")
    return Billing(
        service_tier=name_of(usage, "service_tier") or name_of(response, "service_tier"),
        speed=name_of(usage, "speed"),
        cache_write_1h_input_tokens=hour,
        web_searches=count(at(response, ("tool_usage", "web_search")), "num_requests") if searches is None else searches,
    )


def _plus(*counts: int | None) -> int | None:
    known = [number for number in counts if number is not None]
    return sum(known) if known else None


def _known(of: Any, *counts: int | None) -> int | None:
    known = [number for number in counts if number is not None]
    return of(known) if known else None

"""One small answer of every provider and framework whose shape is known, with the tokens that are in it.

Shapes follow the providers' public API references and the types of their Python clients; numbers and texts are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from otel_agentlog.vocabulary.usage import Failure, Usage

Json = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """An answer, or the chunks of one, and what is in it."""

    name: str
    answer: Json
    usage: Usage
    finish_reasons: tuple[str, ...] = ()
    model: str | None = None
    provider: str | None = None
    cost_usd: float | None = None
    chunks: list[Any] = field(default_factory=list)
    """The same as a stream."""


def _chat(usage: Json | None, **more: Any) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    return {"id": "c1", "model": "m-1", "choices": [choice], **({} if usage is None else {"usage": usage}), **more}


def _piece(text: str = "", reason: str | None = None, **more: Any) -> Json:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return {"id": "c1", "model": "m-1", "choices": [choice], **more}


def _openai(prompt: int, completion: int, **more: Any) -> Json:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


def _gemini(text: str, usage: Json, reason: str | None = None) -> Json:
    candidate: Json = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "g1"}


_GEMINI = {
    "promptTokenCount": 20,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 30,
    "toolUsePromptTokenCount": 7,
    "cachedContentTokenCount": 8,
    "totalTokenCount": 62,
}
_CONVERSE = {
    "inputTokens": 10,
    "outputTokens": 5,
    "totalTokens": 15,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 20,
}
_LATE = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
_COHERE = {"billed_units": {"input_tokens": 5, "output_tokens": 9}, "tokens": {"input_tokens": 71, "output_tokens": 9}}
_OLLAMA = {"done": True, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 9, "eval_duration": 4799921000}
_METRICS = {"inputTokenCount": 12, "outputTokenCount": 7, "invocationLatency": 900, "firstByteLatency": 200}
_RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "num_turns": 2,
    "session_id": "s",
    "result": "done",
    "total_cost_usd": 0.25,
    "usage": {"input_tokens": 8, "output_tokens": 30, "cache_read_input_tokens": 100},
}
_RESULT["usage"]["cache_creation_input_tokens"] = 10


def _said(number: int, message_id: str, output: int) -> Json:
    usage = {"input_tokens": 4, "output_tokens": output, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 5}
    block = {"type": "text", "text": f"part {number}"}
    return {"type": "assistant", "message": {"id": message_id, "type": "message", "content": [block], "usage": usage}}


_ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m-1",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 4, "output_tokens": 3, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 5},
}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "m-1",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}],
    "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11, "input_tokens_details": {"cached_tokens": 4}},
}
_FILTERED = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]
_VERTEX = {
    "promptTokenCount": 20,
    "candidatesTokenCount": 5,
    "totalTokenCount": 25,
    "trafficType": "ON_DEMAND",
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}],
}

_ANTHROPIC_LINE = {"custom_id": "a", "result": {"type": "succeeded", "message": _ANTHROPIC}}
_OPENAI_LINE = {
    "id": "batch_req_1",
    "custom_id": "a",
    "response": {"status_code": 200, "request_id": "r", "body": _chat(_openai(9, 2))},
    "error": None,
}
_BATCHES = (
    Sample("openai's batch", _OPENAI_LINE, Usage(9, 2), ("stop",), "m-1", chunks=[_OPENAI_LINE]),
    Sample(
        "openai's batch of responses",
        {**_OPENAI_LINE, "response": {"status_code": 200, "request_id": "r", "body": _RESPONSE}},
        Usage(9, 2, 4),
        ("completed",),
        "m-1",
    ),
    Sample(
        "openai's batch of embeddings",
        {
            "custom_id": "a",
            "response": {
                "status_code": 200,
                "body": {"object": "list", "data": [{"embedding": [0.5]}], "usage": {"total_tokens": 8}},
            },
        },
        Usage(8),
    ),
    Sample("anthropic's batch", _ANTHROPIC_LINE, Usage(59, 3, 50, 5), ("end_turn",), "m-1", chunks=[_ANTHROPIC_LINE]),
    Sample(
        "gemini's batch",
        {"key": "a", "response": _gemini("hi", _VERTEX, "STOP")},
        Usage(20, 5),
        ("STOP",),
        "gemini-2.5-flash",
        chunks=[{"key": "a", "response": _gemini("hi", _VERTEX, "STOP")}],
    ),
    Sample(
        "google-genai's batch",
        {
            "response": {
                "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finish_reason": "STOP"}],
                "usage_metadata": {"prompt_token_count": 20, "candidates_token_count": 30},
            },
            "error": None,
        },
        Usage(20, 30),
        ("STOP",),
    ),
    Sample(
        "vertex's batch",
        {"status": "", "request": {}, "response": _gemini("hi", _VERTEX, "STOP")},
        Usage(20, 5),
        ("STOP",),
        "gemini-2.5-flash",
    ),
    Sample(
        "bedrock's batch",
        {"recordId": "1", "modelInput": {}, "modelOutput": _ANTHROPIC},
        Usage(59, 3, 50, 5),
        ("end_turn",),
        "m-1",
    ),
)

SAMPLES = (
    Sample("openai chat", _chat(_openai(9, 2)), Usage(9, 2), ("stop",), "m-1"),
    Sample("openai responses", _RESPONSE, Usage(9, 2, 4), ("completed",), "m-1"),
    Sample(
        "openai embeddings",
        {
            "object": "list",
            "model": "m-1",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        },
        Usage(8),
        (),
        "m-1",
    ),
    Sample(
        "azure",
        _chat(_openai(9, 2), prompt_filter_results=_FILTERED, system_fingerprint="fp"),
        Usage(9, 2),
        ("stop",),
        "m-1",
        chunks=[
            {"id": "", "model": "", "object": "", "choices": [], "prompt_filter_results": _FILTERED},
            _piece("hi"),
            _piece("", "stop"),
            {"id": "c1", "model": "m-1", "choices": [], "usage": _openai(9, 2)},
        ],
    ),
    Sample(
        "vllm",
        _chat({**_openai(9, 2), "prompt_tokens_details": None}, prompt_logprobs=None, kv_transfer_params=None),
        Usage(9, 2),
        ("stop",),
        "m-1",
        chunks=[_piece("h", usage=_openai(9, 1)), _piece("i", "stop", usage=_openai(9, 2))],
    ),
    Sample("mistral", _chat(_openai(9, 2), object="chat.completion"), Usage(9, 2), ("stop",), "m-1"),
    Sample("together", _chat(_openai(9, 2), prompt=[]), Usage(9, 2), ("stop",), "m-1"),
    Sample(
        "fireworks",
        _chat(_openai(9, 2)),
        Usage(9, 2),
        ("stop",),
        "m-1",
        chunks=[_piece("hi"), _piece("", "stop", usage=_openai(9, 2))],
    ),
    Sample("anthropic", _ANTHROPIC, Usage(59, 3, 50, 5), ("end_turn",), "m-1"),
    *_BATCHES,
    Sample("gemini on vertex", _gemini("hi", _VERTEX, "STOP"), Usage(20, 5), ("STOP",), "gemini-2.5-flash"),
    Sample(
        "groq",
        _chat(None, x_groq={"id": "req", "usage": _openai(18, 7)}),
        Usage(18, 7),
        ("stop",),
        "m-1",
        chunks=[
            _piece("h", x_groq={"id": "req"}),
            _piece("i"),
            _piece("", "stop", x_groq={"id": "req", "usage": _openai(18, 7)}),
        ],
    ),
    Sample(
        "gemini by openai's api",
        _chat({"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}),
        Usage(20, 603),
        ("stop",),
        "m-1",
    ),
    Sample("output only in the total", _chat({"prompt_tokens": 21, "total_tokens": 1044}), Usage(21, 1023), ("stop",), "m-1"),
    Sample("input only in the total", _chat({"completion_tokens": 21, "total_tokens": 121}), Usage(100, 21), ("stop",), "m-1"),
    Sample(
        "deepseek",
        _chat(_openai(9, 2, prompt_cache_hit_tokens=4, prompt_cache_miss_tokens=5)),
        Usage(9, 2, 4),
        ("stop",),
        "m-1",
    ),
    Sample(
        "xai",
        _chat({**_openai(9, 2), "total_tokens": 41, "completion_tokens_details": {"reasoning_tokens": 30}}),
        Usage(9, 32, reasoning_output_tokens=30),
        ("stop",),
        "m-1",
        chunks=[
            _piece("h", usage={**_openai(9, 1), "completion_tokens_details": {"reasoning_tokens": 30}, "total_tokens": 40}),
            _piece(
                "i", "stop", usage={**_openai(9, 2), "completion_tokens_details": {"reasoning_tokens": 30}, "total_tokens": 41}
            ),
        ],
    ),
    Sample(
        "usage in a last chunk without choices",
        _chat(_openai(9, 2)),
        Usage(9, 2),
        ("stop",),
        "m-1",
        chunks=[_piece("hi", "stop"), {"id": "c1", "object": "chat.completion.chunk", "usage": _openai(9, 2)}],
    ),
    Sample(
        "perplexity, the total with every chunk",
        _chat(_openai(9, 3)),
        Usage(9, 3),
        ("stop",),
        "m-1",
        chunks=[_piece("a", usage=_openai(9, 1)), _piece("b", usage=_openai(9, 3)), _piece("", "stop", usage=_openai(0, 0))],
    ),
    Sample(
        "openrouter",
        _chat(_openai(9, 2, cost=0.00125, native_tokens_prompt=11)),
        Usage(9, 2),
        ("stop",),
        "m-1",
        cost_usd=0.00125,
    ),
    Sample("new-api proxies", _chat(_openai(9, 2, input_tokens=0, output_tokens=0)), Usage(9, 2), ("stop",), "m-1"),
    Sample(
        "a proxy that leaves anthropic's cache out",
        _chat(_openai(10, 5, prompt_tokens_details={"cached_tokens": 5000})),
        Usage(5010, 5, 5000),
        ("stop",),
        "m-1",
    ),
    Sample(
        "litellm",
        _chat(_openai(9, 2), _hidden_params={"response_cost": 0.5}),
        Usage(9, 2),
        ("stop",),
        "m-1",
        cost_usd=0.5,
    ),
    Sample(
        "mistral's event",
        {"data": _chat(_openai(9, 2))},
        Usage(9, 2),
        ("stop",),
        "m-1",
        chunks=[{"data": _piece("hi")}, {"data": _piece("", "stop", usage=_openai(9, 2))}],
    ),
    Sample(
        "llama.cpp",
        _chat(None, timings={"prompt_n": 3, "cache_n": 20, "predicted_n": 8}),
        Usage(23, 8, 20),
        ("stop",),
        "m-1",
    ),
    Sample(
        "llama.cpp's own",
        {"content": "hi", "tokens_evaluated": 23, "tokens_predicted": 8, "model": "m-1"},
        Usage(23, 8),
        (),
        "m-1",
    ),
    Sample(
        "server-sent lines",
        _chat(_openai(9, 2)),
        Usage(9, 2),
        ("stop",),
        "m-1",
        chunks=[
            b'data: {"model":"m-1","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}',
            "",
            'data: {"model":"m-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}',
            "data: [DONE]",
        ],
    ),
    Sample(
        "openai transcription",
        {"text": "hi", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 3, "total_tokens": 17}},
        Usage(14, 3),
        chunks=[
            {"type": "transcript.text.delta", "delta": "hi"},
            {"type": "transcript.text.done", "text": "hi", "usage": {"input_tokens": 14, "output_tokens": 3, "total_tokens": 17}},
        ],
    ),
    Sample(
        "openai images",
        {"data": [{"b64_json": "aGk="}], "usage": {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210}},
        Usage(50, 4160),
    ),
    Sample(
        "openai realtime",
        {
            "type": "response.done",
            "response": {
                "object": "realtime.response",
                "id": "r1",
                "status": "completed",
                "usage": {
                    "total_tokens": 253,
                    "input_tokens": 132,
                    "output_tokens": 121,
                    "input_token_details": {"cached_tokens": 64, "text_tokens": 119, "audio_tokens": 13},
                },
            },
        },
        Usage(132, 121, 64),
    ),
    Sample(
        "voyage",
        {"object": "list", "data": [{"embedding": [0.1]}], "model": "v", "usage": {"total_tokens": 10}},
        Usage(10),
        (),
        "v",
    ),
    Sample(
        "gemini",
        _gemini("hi", _GEMINI, "STOP"),
        Usage(27, 35, 8, None, 30),
        ("STOP",),
        "gemini-2.5-flash",
        chunks=[
            _gemini("h", {"promptTokenCount": 20, "totalTokenCount": 50, "thoughtsTokenCount": 30}),
            _gemini("i", _GEMINI, "STOP"),
        ],
    ),
    Sample(
        "google-genai",
        {
            "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finish_reason": "STOP"}],
            "usage_metadata": {"prompt_token_count": 20, "candidates_token_count": None, "thoughts_token_count": 30},
            "model_version": "gemini-2.5-flash",
        },
        Usage(20, 30, reasoning_output_tokens=30),
        ("STOP",),
        "gemini-2.5-flash",
    ),
    Sample(
        "gemini refuses the request",
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 6, "totalTokenCount": 6}},
        Usage(6),
        ("SAFETY",),
    ),
    Sample(
        "bedrock converse",
        {"output": {"message": {"content": [{"text": "hi"}]}}, "stopReason": "end_turn", "usage": _CONVERSE},
        Usage(130, 5, 100, 20),
        ("end_turn",),
        chunks=[
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "hi"}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": _CONVERSE, "metrics": {"latencyMs": 5}}},
        ],
    ),
    Sample(
        "bedrock's headers",
        {
            "body": object(),
            "ResponseMetadata": {
                "HTTPHeaders": {"x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "7"}
            },
        },
        Usage(12, 7),
    ),
    Sample(
        "bedrock titan",
        {"inputTextTokenCount": 5, "results": [{"tokenCount": 9, "outputText": "hi", "completionReason": "FINISH"}]},
        Usage(5, 9),
        ("FINISH",),
        chunks=[{"chunk": {"bytes": b'{"outputText":"hi","completionReason":"FINISH","inputTextTokenCount":5,"tokenCount":9}'}}],
    ),
    Sample(
        "bedrock llama",
        {"generation": "hi", "prompt_token_count": 12, "generation_token_count": 7, "stop_reason": "stop"},
        Usage(12, 7),
        ("stop",),
        chunks=[
            {"generation": "h", "prompt_token_count": 12, "generation_token_count": 1, "stop_reason": None},
            {"generation": "i", "prompt_token_count": None, "generation_token_count": 7, "stop_reason": "stop"},
            {"generation": "", "amazon-bedrock-invocationMetrics": _METRICS},
        ],
    ),
    Sample(
        "cohere 1",
        {"text": "hi", "generation_id": "g", "finish_reason": "COMPLETE", "meta": _COHERE},
        Usage(5, 9),
        ("COMPLETE",),
        chunks=[
            {"event_type": "text-generation", "text": "hi"},
            {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": {"text": "hi", "meta": _COHERE}},
        ],
    ),
    Sample(
        "cohere 2",
        {"id": "c", "finish_reason": "COMPLETE", "message": {"content": [{"type": "text", "text": "hi"}]}, "usage": _COHERE},
        Usage(5, 9),
        ("COMPLETE",),
        chunks=[
            {"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant"}}},
            {"type": "content-delta", "delta": {"message": {"content": {"text": "hi"}}}},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": _COHERE}},
        ],
    ),
    Sample("cohere without billed units", {"usage": {"tokens": {"input_tokens": 71, "output_tokens": 9}}}, Usage(71, 9)),
    Sample(
        "ollama",
        {"model": "llama3", "message": {"role": "assistant", "content": "hi"}, **_OLLAMA},
        Usage(26, 9),
        ("stop",),
        "llama3",
        chunks=[
            {"model": "llama3", "message": {"role": "assistant", "content": "hi"}, "done": False},
            b'{"model":"llama3","message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":9}',
        ],
    ),
    Sample(
        "text generation inference",
        {
            "generated_text": "hi",
            "details": {"finish_reason": "length", "generated_tokens": 7, "prefill": [{"id": 1}, {"id": 2}]},
        },
        Usage(2, 7),
        ("length",),
        chunks=[
            {"token": {"text": "h"}, "generated_text": None, "details": None},
            {
                "token": {"text": "i"},
                "generated_text": "hi",
                "details": {"finish_reason": "length", "generated_tokens": 7, "input_length": 2},
            },
        ],
    ),
    Sample(
        "replicate",
        {"id": "p", "model": "meta/llama", "status": "succeeded", "metrics": {"input_token_count": 5, "output_token_count": 9}},
        Usage(5, 9),
        (),
        "meta/llama",
    ),
    Sample(
        "watsonx",
        {
            "model_id": "ibm/granite",
            "results": [
                {"generated_text": "a", "generated_token_count": 4, "input_token_count": 6, "stop_reason": "max_tokens"},
                {"generated_text": "b", "generated_token_count": 5, "input_token_count": 7, "stop_reason": "eos_token"},
            ],
        },
        Usage(13, 9),
        ("max_tokens", "eos_token"),
        "ibm/granite",
    ),
    Sample(
        "langchain",
        {
            "type": "ai",
            "content": "hi",
            "id": "run-1",
            "usage_metadata": {
                "input_tokens": 350,
                "output_tokens": 240,
                "total_tokens": 590,
                "input_token_details": {"cache_creation": 200, "cache_read": 100},
                "output_token_details": {"reasoning": 200},
            },
            "response_metadata": {"model_name": "claude-sonnet-4-5", "stop_reason": "end_turn"},
        },
        Usage(350, 240, 100, 200, 200),
        ("end_turn",),
        "claude-sonnet-4-5",
        "anthropic",
        chunks=[
            {"type": "AIMessageChunk", "content": "h", "usage_metadata": {"input_tokens": 350, "output_tokens": 200}},
            {
                "type": "AIMessageChunk",
                "content": "i",
                "usage_metadata": {
                    "input_tokens": 0,
                    "output_tokens": 40,
                    "total_tokens": 40,
                    "input_token_details": {"cache_creation": 200, "cache_read": 100},
                    "output_token_details": {"reasoning": 200},
                },
                "response_metadata": {"model_name": "claude-sonnet-4-5", "stop_reason": "end_turn"},
            },
        ],
    ),
    Sample(
        "langchain of old",
        {"content": "hi", "response_metadata": {"token_usage": _openai(9, 2), "model_name": "gpt-4o", "finish_reason": "stop"}},
        Usage(9, 2),
        ("stop",),
        "gpt-4o",
    ),
    Sample("llamaindex", {"message": {"content": "hi"}, "raw": _chat(_openai(9, 2))}, Usage(9, 2), ("stop",), "m-1"),
    Sample(
        "pydantic-ai's usage",
        {
            "input_tokens": 120,
            "cache_read_tokens": 100,
            "cache_write_tokens": 10,
            "output_tokens": 5,
            "requests": 1,
            "details": {},
        },
        Usage(120, 5, 100, 10),
    ),
    Sample(
        "openai-agents' usage",
        {"requests": 1, "input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 2, "total_tokens": 11},
        Usage(9, 2, 4),
    ),
    Sample(
        "moonshot",
        {"id": "c1", "model": "m-1", "choices": [_chat(None)["choices"][0] | {"usage": _openai(9, 2)}]},
        Usage(9, 2),
        ("stop",),
        "m-1",
        chunks=[
            _piece("h"),
            {"id": "c1", "model": "m-1", "choices": [_piece("i", "stop")["choices"][0] | {"usage": _openai(9, 2)}]},
        ],
    ),
    Sample("cloudflare", {"result": {"response": "hi", "usage": _openai(9, 2)}, "success": True, "errors": []}, Usage(9, 2)),
    Sample(
        "bytes that are cut anywhere",
        _chat(_openai(9, 2)),
        Usage(9, 2),
        ("stop",),
        "m-1",
        chunks=[
            b"event: x\nda",
            b'ta: {"model":"m-1","choices":[{"index":0,"delta":{"content":"hi"},"fin',
            b'ish_reason":"stop"}]}\n\ndata: {"choices":[],"usage":{"prompt_tokens":9,"completion_',
            b'tokens":2}}\n\ndata: [DONE]\n\n',
        ],
    ),
    Sample(
        "lines of bytes",
        _chat(_openai(9, 2)),
        Usage(9, 2),
        ("stop",),
        "m-1",
        chunks=[
            b"event: x",
            b'data: {"model":"m-1","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}',
            b"",
            b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}',
        ],
    ),
    Sample(
        "claude-agent-sdk with partial messages",
        {**_RESULT, "stop_reason": "end_turn"},
        Usage(118, 30, 100, 10),
        ("end_turn",),
        cost_usd=0.25,
        chunks=[
            {"type": "stream_event", "event": {"type": "message_start", "message": _said(1, "m1", 1)["message"]}},
            {
                "type": "stream_event",
                "event": {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "text_delta", "text": "part 1"},
                },
            },
            {"type": "stream_event", "event": _LATE},
            _said(1, "m1", 3),
            _RESULT,
        ],
    ),
    Sample(
        "claude-agent-sdk",
        _RESULT,
        Usage(118, 30, 100, 10),
        cost_usd=0.25,
        chunks=[_said(1, "m1", 3), _said(2, "m1", 3), _said(3, "m2", 20), _RESULT],
    ),
)
"""Without the shapes that `replies` has whole: Anthropic's, OpenAI's chat, responses and embeddings."""


@dataclass(frozen=True)
class FailedSample:
    """An answer, or chunks, that end in the provider's error."""

    name: str
    failure: Failure
    answer: Json | None = None
    chunks: list[Any] = field(default_factory=list)


_SLOW = Failure("rate_limit_exceeded", "slow down")
_OVERLOADED = Failure("overloaded_error", "try later")
_START = {"type": "message_start", "message": {"id": "m", "type": "message", "content": [], "usage": {"input_tokens": 9}}}

FAILED = (
    FailedSample(
        "a response that failed",
        _SLOW,
        {"object": "response", "status": "failed", "error": {"code": _SLOW.code, "message": _SLOW.message}, "output": []},
        [
            {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}},
            {
                "type": "response.failed",
                "response": {"id": "r", "status": "failed", "error": {"code": _SLOW.code, "message": _SLOW.message}},
            },
        ],
    ),
    FailedSample(
        "the responses api's error event",
        _SLOW,
        None,
        [
            {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}},
            {"type": "error", "code": _SLOW.code, "message": _SLOW.message, "param": None, "sequence_number": 3},
        ],
    ),
    FailedSample(
        "an error body",
        _SLOW,
        {"error": {"message": _SLOW.message, "type": "requests", "param": None, "code": _SLOW.code}},
        [_piece("h"), {"error": {"message": _SLOW.message, "type": "requests", "code": _SLOW.code}}],
    ),
    FailedSample(
        "anthropic",
        _OVERLOADED,
        {"type": "error", "error": {"type": _OVERLOADED.code, "message": _OVERLOADED.message}, "request_id": "r"},
        [_START, {"type": "error", "error": {"type": _OVERLOADED.code, "message": _OVERLOADED.message}}],
    ),
    FailedSample(
        "openrouter",
        Failure("502", "provider disconnected"),
        _chat(None, error={"code": 502, "message": "provider disconnected"}),
        [_piece("h"), _piece("", "error", error={"code": 502, "message": "provider disconnected"})],
    ),
    FailedSample(
        "openrouter's choice",
        Failure("429", "slow"),
        {"choices": [{"index": 0, "finish_reason": "error", "error": {"code": 429, "message": "slow"}, "message": {}}]},
        [{"choices": [{"index": 0, "finish_reason": "error", "error": {"code": 429, "message": "slow"}, "delta": {}}]}],
    ),
    FailedSample(
        "gemini",
        Failure("UNAVAILABLE", "overloaded"),
        {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}},
        [_gemini("h", {"promptTokenCount": 5}), {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}],
    ),
    FailedSample(
        "bedrock",
        Failure("throttlingException", "too many"),
        None,
        [
            {"contentBlockDelta": {"delta": {"text": "h"}, "contentBlockIndex": 0}},
            {"throttlingException": {"message": "too many"}},
        ],
    ),
    FailedSample(
        "vllm", Failure("BadRequestError", "no"), {"object": "error", "message": "no", "type": "BadRequestError", "code": 400}
    ),
    FailedSample("ollama", Failure(None, "model not found"), {"error": "model not found"}, [{"error": "model not found"}]),
    FailedSample(
        "text generation inference",
        Failure("overloaded", "too busy"),
        {"error": "too busy", "error_type": "overloaded"},
        [{"token": {"text": "h"}}, {"error": "too busy", "error_type": "overloaded"}],
    ),
    FailedSample(
        "cohere",
        Failure("error", "the provider gives the finish reason error and no other"),
        {"id": "c", "finish_reason": "ERROR", "message": {"content": []}},
        [{"type": "message-end", "delta": {"finish_reason": "ERROR", "usage": _COHERE}}],
    ),
    FailedSample("replicate", Failure(None, "out of memory"), {"id": "p", "status": "failed", "error": "out of memory"}),
    FailedSample(
        "openai, a run of an assistant",
        Failure("rate_limit_exceeded", "slow run"),
        {"object": "thread.run", "status": "failed", "last_error": {"code": "rate_limit_exceeded", "message": "slow run"}},
    ),
    FailedSample(
        "anthropic, one of a batch",
        Failure("invalid_request_error", "bad"),
        {
            "custom_id": "x",
            "result": {
                "type": "errored",
                "error": {"type": "error", "error": {"type": "invalid_request_error", "message": "bad"}},
            },
        },
    ),
    FailedSample(
        "anthropic, one of a batch that took too long",
        Failure("expired", "the batch gives the result expired"),
        {"custom_id": "x", "result": {"type": "expired"}},
    ),
    FailedSample(
        "openai, one of a batch",
        Failure("429", "slow"),
        {"id": "b", "response": {"status_code": 429, "body": {"error": {"message": "slow"}}}, "error": None},
    ),
    FailedSample(
        "minimax", Failure("1008", "no money"), {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "no money"}}
    ),
    FailedSample("baidu", Failure("17", "limit reached"), {"error_code": 17, "error_msg": "limit reached"}),
    FailedSample(
        "dashscope", Failure("InvalidParameter", "bad"), {"status_code": 400, "code": "InvalidParameter", "message": "bad"}
    ),
    FailedSample(
        "cloudflare",
        Failure("7000", "no route"),
        {"result": None, "success": False, "errors": [{"code": 7000, "message": "no route"}]},
    ),
    FailedSample(
        "boto3",
        Failure("ThrottlingException", "slow"),
        {"Error": {"Code": "ThrottlingException", "Message": "slow"}, "ResponseMetadata": {"HTTPStatusCode": 429}},
    ),
    FailedSample("watsonx", Failure("no_access", "forbidden"), {"errors": [{"code": "no_access", "message": "forbidden"}]}),
    FailedSample(
        "openai realtime",
        Failure("insufficient_quota", "insufficient_quota"),
        {
            "object": "realtime.response",
            "status": "failed",
            "output": [],
            "status_details": {"type": "failed", "error": {"type": "insufficient_quota"}},
        },
    ),
    FailedSample(
        "claude-agent-sdk",
        Failure("error_max_turns", "error_max_turns"),
        {**_RESULT, "is_error": True, "subtype": "error_max_turns", "result": None},
        [_said(1, "m1", 3), {**_RESULT, "is_error": True, "subtype": "error_max_turns", "result": None}],
    ),
)

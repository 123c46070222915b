"""What the usual answers of `provider_replies` mean in our words: one `Response` a path."""

from __future__ import annotations

from otel_agentlog.vocabulary.usage import Response, Usage

ANTHROPIC = Response(
    usage=Usage(
        input_tokens=2400,
        output_tokens=50,
        cache_read_input_tokens=2000,
        cache_write_input_tokens=300,
        reasoning_output_tokens=20,
    ),
    finish_reasons=("tool_use",),
    response_id="msg_01",
    model="claude-sonnet-4-5-20250929",
    output=(
        {"type": "reasoning", "content": "The file is small, so read it whole."},
        {"type": "text", "content": "I will read the file — «naïve» 🙂."},
        {"type": "tool_call", "name": "Read", "id": "toolu_01", "arguments": {"path": "a.py", "limit": None, "lines": [1, 2]}},
    ),
)

CHAT = Response(
    usage=Usage(input_tokens=2400, output_tokens=50, cache_read_input_tokens=2000, reasoning_output_tokens=20),
    finish_reasons=("tool_calls",),
    response_id="chatcmpl-01",
    model="gpt-5-2025-08-07",
    output=(
        {"type": "text", "content": "I will read the file — «naïve» 🙂."},
        {"type": "tool_call", "name": "Read", "id": "call_1", "arguments": {"path": "a.py", "limit": None}},
        {"type": "tool_call", "name": "List", "id": "call_2", "arguments": {"path": "."}},
    ),
)

RESPONSES = Response(
    usage=Usage(
        input_tokens=2400,
        output_tokens=50,
        cache_read_input_tokens=2000,
        cache_write_input_tokens=300,
        reasoning_output_tokens=20,
    ),
    finish_reasons=("completed",),
    response_id="resp_01",
    model="gpt-5-2025-08-07",
    output=(
        {"type": "reasoning", "content": "The file is small."},
        {"type": "text", "content": "I will read the file — «naïve» 🙂."},
        {"type": "tool_call", "name": "Read", "id": "call_1", "arguments": {"path": "a.py"}},
    ),
)

EMBEDDED = Response(usage=Usage(input_tokens=8), model="text-embedding-3-small")

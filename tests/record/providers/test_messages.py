"""Messages, instructions and tools of requests in the GenAI convention's shapes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message as ClaudeMessage
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response as ApiResponse

from otel_agentlog.record.providers.messages import input_messages, system_instructions, tool_definitions
from tests.support.providers import readings as read
from tests.support.providers.replies import ANTHROPIC_MESSAGE, API_RESPONSE, CHAT_COMPLETION, Json

TEXT = {"type": "text", "content": "hi"}


class TestInputMessages:
    """The three APIs write a conversation each in their way."""

    @pytest.mark.parametrize(
        "messages",
        [
            "hi",
            ["hi"],
            {"role": "user", "content": "hi"},
            [{"role": "user", "content": "hi"}],
            ({"role": "user", "content": [{"type": "text", "text": "hi"}]},),
            [{"role": "user", "content": [{"type": "input_text", "text": "hi"}], "type": "message"}],
            [SimpleNamespace(role="user", content="hi")],
        ],
    )
    def test_one_question(self, messages: object) -> None:
        """A question reads the same however it is written."""
        assert input_messages(messages) == [{"role": "user", "parts": [TEXT]}]

    def test_anthropic_conversation(self) -> None:
        """A tool call with its result, an image, a document, and the model's own blocks given back as objects."""
        answer = ClaudeMessage.model_validate(ANTHROPIC_MESSAGE)
        messages = [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
                    {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
                    {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
                    {"type": "text", "text": "Look.", "cache_control": {"type": "ephemeral"}},
                ],
            },
            {"role": "assistant", "content": answer.content},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_01", "content": [{"type": "text", "text": "x = 1"}]},
                    {"type": "tool_result", "tool_use_id": "toolu_02", "content": "no such file", "is_error": True},
                ],
            },
        ]

        assert input_messages(messages) == [
            {
                "role": "user",
                "parts": [
                    {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw=="},
                    {"type": "uri", "modality": "image", "uri": "https://a/b.png"},
                    {"type": "file", "modality": "document", "file_id": "file_1"},
                    TEXT,
                    {"type": "text", "content": "Look."},
                ],
            },
            {"role": "assistant", "parts": list(read.ANTHROPIC.output)},
            {
                "role": "user",
                "parts": [
                    {"type": "tool_call_response", "id": "toolu_01", "response": [{"type": "text", "text": "x = 1"}]},
                    {"type": "tool_call_response", "id": "toolu_02", "response": "no such file", "is_error": True},
                ],
            },
        ]

    def test_chat_conversation(self) -> None:
        """Developer and tool roles, names, pictures, sound, files, and the model's message given back as an object."""
        answer = ChatCompletion.model_validate(CHAT_COMPLETION).choices[0].message
        messages: list[Any] = [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
                    {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "mp3"}},
                    {"type": "file", "file": {"file_id": "file_1"}},
                ],
            },
            answer,
            {"role": "tool", "tool_call_id": "call_1", "content": "x = 1"},
            {"role": "assistant", "content": "hi", "reasoning_content": "Hm."},
        ]

        assert input_messages(messages) == [
            {"role": "developer", "parts": [{"type": "text", "content": "Be brief."}]},
            {
                "role": "user",
                "name": "ann",
                "parts": [
                    {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw=="},
                    {"type": "uri", "modality": "image", "uri": "https://a/b.png"},
                    {"type": "blob", "modality": "audio", "mime_type": "audio/mp3", "content": "UklGRg=="},
                    {"type": "file", "modality": "document", "file_id": "file_1"},
                ],
            },
            {"role": "assistant", "parts": list(read.CHAT.output)},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "x = 1"}]},
            {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."}, TEXT]},
        ]

    def test_responses_api_items(self) -> None:
        """Items of an earlier answer given back as objects, outputs of tools, files, and references."""
        answer = ApiResponse.model_validate(API_RESPONSE)
        items: list[Any] = [
            {
                "role": "user",
                "content": [{"type": "input_file", "file_id": "f"}, {"type": "input_image", "image_url": "https://a"}],
            },
            *answer.output,
            {"type": "function_call_output", "call_id": "call_1", "output": "x = 1"},
            {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "opaque"},
            {"type": "item_reference", "id": "msg_0"},
        ]

        assert input_messages(items) == [
            {
                "role": "user",
                "parts": [
                    {"type": "file", "modality": "document", "file_id": "f"},
                    {"type": "uri", "modality": "image", "uri": "https://a"},
                ],
            },
            *({"role": "assistant", "parts": [part]} for part in read.RESPONSES.output),
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "x = 1"}]},
            {"role": "user", "parts": [{"type": "item_reference", "id": "msg_0"}]},
        ]

    def test_leaves_iterators_alone(self) -> None:
        """A generator of messages is not consumed: the client still has to read it."""
        messages = iter([{"role": "user", "content": "hi"}])

        assert input_messages(messages) == []
        assert next(messages)

    def test_nothing_given(self) -> None:
        """No messages are no messages; an empty one keeps its place."""
        assert input_messages(None) == []
        assert input_messages([{"role": "user", "content": ""}]) == [{"role": "user", "parts": []}]


class TestSystemInstructions:
    """Parts without a role."""

    @pytest.mark.parametrize(
        "system",
        [
            "hi",
            ["hi"],
            [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}],
            [{"role": "developer", "content": "hi"}],
            {"type": "text", "text": "hi"},
        ],
    )
    def test_every_way_to_write_it(self, system: object) -> None:
        """A string, blocks and messages give the same parts."""
        assert system_instructions(system) == [TEXT]

    @pytest.mark.parametrize("system", [None, "", [], anthropic.omit, openai.omit])
    def test_nothing_given(self, system: object) -> None:
        """No instructions are no parts, the clients' own word for "not given" included."""
        assert system_instructions(system) == []


class TestToolDefinitions:
    """Functions in full, tools of the provider by name."""

    def test_functions_in_every_form(self) -> None:
        """Anthropic's, chat's, the Responses API's and the old form of the same function."""
        schema = {"type": "object", "properties": {"path": {"type": "string"}}}
        about = {"name": "Read", "description": "Read a file"}
        expected = {"type": "function", **about, "parameters": schema}

        assert (
            tool_definitions(
                [
                    {**about, "input_schema": schema},
                    {"type": "function", "function": {**about, "parameters": schema}},
                    {"type": "function", **about, "parameters": schema},
                    {**about, "parameters": schema},
                    SimpleNamespace(**about, input_schema=schema),
                ]
            )
            == [expected] * 5
        )

    def test_tools_of_the_provider(self) -> None:
        """Only type and name are kept: what else is there may be secret."""
        assert tool_definitions(
            [
                {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
                {"type": "mcp", "server_label": "wiki", "authorization": "secret", "headers": {"x": "secret"}},
                {"type": "file_search", "vector_store_ids": ["v"]},
                {"type": "custom", "custom": {"name": "sql", "format": {"type": "text"}}},
            ]
        ) == [
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "mcp", "name": "wiki"},
            {"type": "file_search", "name": "file_search"},
            {"type": "custom", "name": "sql"},
        ]

    def test_python_functions(self) -> None:
        """A callable is named after itself."""

        def read_file() -> None: ...

        assert tool_definitions([read_file]) == [{"type": "function", "name": "read_file"}]

    @pytest.mark.parametrize("tools", [None, [], anthropic.omit])
    def test_nothing_given(self, tools: object) -> None:
        """No tools are no definitions."""
        assert tool_definitions(tools) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
# fmt: off
KINDS = (
    "text", "thinking", "tool_use", "tool_result", "image", "document", "image_url", "input_audio", "file",
    "input_text", "input_file", "function_call", "reasoning", "function_call_output", "shell_call", "mcp",
    "message", "compaction", "web_search_call", "image_generation_call", "custom_tool_call",
)
FIELDS = (
    "role", "content", "text", "source", "input", "image_url", "file", "tool_calls", "name", "function",
    "summary", "output", "action", "audio", "custom", "data", "url", "file_id", "refusal", "arguments",
    "result", "citations", "parameters", "input_schema",
)
# fmt: on


@st.composite
def near_items(draw: st.DrawFn) -> Json:
    """A mapping with the keys of messages, blocks and tools, and any JSON as values."""
    item: Json = draw(st.dictionaries(st.sampled_from(FIELDS), JSON | near_items(), max_size=4))
    return {**item, "type": draw(st.sampled_from(KINDS) | JSON)} if draw(st.booleans()) else item


@settings(deadline=None)
@given(JSON | near_items() | st.lists(near_items(), max_size=3), st.none() | JSON | st.lists(near_items(), max_size=2))
def test_reads_any_json_without_raising(messages: object, system: object) -> None:
    """Any JSON gives messages, parts and definitions of the right types."""
    for message in input_messages(messages):
        assert isinstance(message["role"], str)
        assert all(isinstance(part["type"], str) for part in message["parts"])
    assert all(isinstance(part["type"], str) for part in system_instructions(system))
    assert all(isinstance(tool["type"], str) and isinstance(tool["name"], str) for tool in tool_definitions(messages))

"""Tables from keys of ``details`` to attributes, each with the function that reads the value.

The type rules of the conventions: an ``int`` attribute must fit 64 bits and not be a bool, a ``double`` must be a float even
where the caller wrote ``temperature=0``. A value of another type is left out of the span; the folder keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.util.types import AttributeValue

from otel_agentlog.export.semconv import names
from otel_agentlog.export.semconv.names import OTHER
from otel_agentlog.vocabulary.coerce import as_integer, as_number, as_text, as_texts
from otel_agentlog.vocabulary.lines import SAME_CALL_AS

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1

Convert = Callable[[Any], AttributeValue]
"""Gives the attribute's value, or ``None`` where there is none."""

Fields = Mapping[str, tuple[str, Convert]]
"""For a key in a line, the attribute and how to convert the value."""


def seconds(value: Any) -> float | None:
    """Milliseconds as seconds."""
    milliseconds = as_number(value)
    return None if milliseconds is None else milliseconds / 1000.0


def several(value: Any) -> int | None:
    """A number of choices; ``None`` for 1, which the convention leaves out."""
    count = as_integer(value)
    return None if count == 1 else count


def copy(source: Mapping[str, Any], fields: Iterable[tuple[str, str, Convert]], target: dict[str, AttributeValue]) -> None:
    """Set the attributes of the fields that are present."""
    for key, attribute, convert in fields:
        # Most are not there.
        if key not in source or (value := source[key]) is None:
            continue
        kind = type(value)
        # As these two do: a call for each value would cost most of all this.
        if convert is as_text and kind is str:
            if value:
                target[attribute] = value
        elif convert is as_integer and kind is int:
            if _LEAST <= value <= _MOST:
                target[attribute] = value
        elif (converted := convert(value)) is not None:
            target[attribute] = converted


ORIGIN = (
    ("logger", names.LOGGER, as_text),
    ("line", names.CODE_LINE_NUMBER, as_integer),
    ("state_before", names.STATE_BEFORE, as_text),
    ("state_after", names.STATE_AFTER, as_text),
    ("reason", names.REASON, as_text),
)
"""Of any line that is a log record; so is its action."""

EVALUATION = (
    ("name", names.EVALUATION_NAME, as_text),
    ("value", names.EVALUATION_VALUE, as_number),
    ("label", names.EVALUATION_LABEL, as_text),
    ("explanation", names.EVALUATION_EXPLANATION, as_text),
    ("response_id", names.RESPONSE_ID, as_text),
)

PARAMETERS: Fields = {
    "temperature": (names.REQUEST_TEMPERATURE, as_number),
    "top_p": (names.REQUEST_TOP_P, as_number),
    "top_k": (names.REQUEST_TOP_K, as_integer),
    "max_tokens": (names.REQUEST_MAX_TOKENS, as_integer),
    "max_completion_tokens": (names.REQUEST_MAX_TOKENS, as_integer),
    "max_output_tokens": (names.REQUEST_MAX_TOKENS, as_integer),
    "seed": (names.REQUEST_SEED, as_integer),
    "stop_sequences": (names.REQUEST_STOP_SEQUENCES, as_texts),
    "stop": (names.REQUEST_STOP_SEQUENCES, as_texts),
    "frequency_penalty": (names.REQUEST_FREQUENCY_PENALTY, as_number),
    "presence_penalty": (names.REQUEST_PRESENCE_PENALTY, as_number),
    "choice_count": (names.REQUEST_CHOICE_COUNT, several),
    "n": (names.REQUEST_CHOICE_COUNT, several),
    "reasoning_level": (names.REQUEST_REASONING_LEVEL, as_text),
    "reasoning_effort": (names.REQUEST_REASONING_LEVEL, as_text),
    "output_type": (names.OUTPUT_TYPE, as_text),
    "previous_response_id": (names.REQUEST_PREVIOUS_RESPONSE_ID, as_text),
    "prompt_name": (names.PROMPT_NAME, as_text),
    "prompt_version": (names.PROMPT_VERSION, as_text),
}
"""Parameters of an inference under the names of the common clients, by the attribute they become."""

OTHER_PARAMETERS: Fields = {
    **PARAMETERS,
    "encoding_formats": (names.REQUEST_ENCODING_FORMATS, as_texts),
    "dimension_count": (names.EMBEDDINGS_DIMENSION_COUNT, as_integer),
    "dimensions": (names.EMBEDDINGS_DIMENSION_COUNT, as_integer),
    "stream_cursor": (names.REQUEST_STREAM_CURSOR, as_text),
    "data_source_id": (names.DATA_SOURCE_ID, as_text),
    "memory_store_id": (names.MEMORY_STORE_ID, as_text),
    "memory_record_id": (names.MEMORY_RECORD_ID, as_text),
    "memory_record_count": (names.MEMORY_RECORD_COUNT, as_integer),
    "agent_id": (names.AGENT_ID, as_text),
    "agent_name": (names.AGENT_NAME, as_text),
    "agent_version": (names.AGENT_VERSION, as_text),
    "agent_description": (names.AGENT_DESCRIPTION, as_text),
    "response_id": (names.RESPONSE_ID, as_text),
}
"""The same for operations that are not inferences; an agent is the one that is created or invoked."""

USAGE = (
    ("input_tokens", names.USAGE_INPUT_TOKENS, as_integer),
    ("output_tokens", names.USAGE_OUTPUT_TOKENS, as_integer),
    ("cache_read_input_tokens", names.USAGE_CACHE_READ, as_integer),
    ("cache_write_input_tokens", names.USAGE_CACHE_WRITE, as_integer),
    ("reasoning_output_tokens", names.USAGE_REASONING, as_integer),
)
"""Counts of tokens; the last three are parts of the first two."""

SAME_CALL = ((SAME_CALL_AS, names.SAME_CALL_AS, as_text),)
"""Of a further view of a request to a model: the span that counts it."""

RESPONSE = (
    ("response_model", names.RESPONSE_MODEL, as_text),
    ("response_id", names.RESPONSE_ID, as_text),
    ("time_to_first_chunk_ms", names.RESPONSE_TIME_TO_FIRST_CHUNK, seconds),
    ("attempts", names.ATTEMPTS, as_integer),
    *SAME_CALL,
)

COUNTED = (
    ("input_tokens", names.OWN_USAGE_INPUT_TOKENS, as_integer),
    ("output_tokens", names.OWN_USAGE_OUTPUT_TOKENS, as_integer),
    ("cache_read_input_tokens", names.OWN_USAGE_CACHE_READ, as_integer),
    ("cache_write_input_tokens", names.OWN_USAGE_CACHE_WRITE, as_integer),
    ("reasoning_output_tokens", names.OWN_USAGE_REASONING, as_integer),
)
"""What is counted of a span of another library: its own attributes have names of many kinds, and may repeat those of others."""

OTHER_RESPONSE = (
    ("response_status", names.RESPONSE_STATUS, as_text),
    ("record_count", names.MEMORY_RECORD_COUNT, as_integer),
)
"""Of operations that are not inferences."""

TASK = (
    ("source", names.TASK_SOURCE, as_text),
    ("provider", names.TASK_PROVIDER, as_text),
    ("workflow", names.TASK_WORKFLOW, as_text),
    ("tags", names.TASK_TAGS, as_texts),
    ("agent_type", names.OWN_AGENT_TYPE, as_text),
    ("agent_version", names.OWN_AGENT_VERSION, as_text),
    ("parent_task_id", names.TASK_PARENT_ID, as_text),
    ("continues", names.TASK_CONTINUES, as_text),
)

HEADER = (
    ("name", names.TASK_NAME, as_text),
    ("source", names.TASK_SOURCE, as_text),
    ("assigned_agent", names.OWN_AGENT_NAME, as_text),
)
"""Of the ``metadata.json`` of a task that was begun for another library's span."""

TASK_AGENT = (
    ("agent_description", names.AGENT_DESCRIPTION, as_text),
    ("model", names.REQUEST_MODEL, as_text),
    ("conversation_id", names.CONVERSATION_ID, as_text),
)

ATTEMPT = (
    ("number", names.ATTEMPT_NUMBER, as_integer),
    ("maximum", names.ATTEMPT_MAXIMUM, as_integer),
    ("wait_ms", names.ATTEMPT_WAIT_MS, as_number),
    ("reason", names.REASON, as_text),
)

EXCEPTION = (
    ("type", names.EXCEPTION_TYPE, as_text),
    ("message", names.EXCEPTION_MESSAGE, as_text),
    ("error_id", names.ERROR_ID, as_text),
    ("category", names.ERROR_CATEGORY, as_text),
)

ERROR = (
    ("error_type", names.ERROR_TYPE, as_text),
    ("error_id", names.ERROR_ID, as_text),
    ("category", names.ERROR_CATEGORY, as_text),
)
"""Of the ``details`` of a line about an error that it does not carry."""

CONVERSATION = TASK_AGENT[-1:]
TASK_WORKFLOW = (TASK_AGENT[0], *CONVERSATION)
"""What the newest convention has of an agent and of a workflow."""

AGENT_END = (*USAGE[:2], ("finish_reasons", names.RESPONSE_FINISH_REASONS, as_texts))
"""What the convention has of an agent's run as a whole."""

TASK_END = (
    ("ai_calls", names.TASK_AI_CALLS, as_integer),
    ("tool_runs", names.TASK_TOOL_RUNS, as_integer),
    ("steps", names.TASK_STEPS, as_integer),
    ("retries", names.TASK_RETRIES, as_integer),
    ("errors", names.TASK_ERRORS, as_integer),
    ("input_tokens", names.TASK_INPUT_TOKENS, as_integer),
    ("output_tokens", names.TASK_OUTPUT_TOKENS, as_integer),
    ("cost_usd", names.TASK_COST_USD, as_number),
)
"""Totals have names of our own: a backend that adds up ``gen_ai.usage.*`` over all spans would count them twice."""

TOOL = (
    ("tool_type", names.TOOL_TYPE, as_text),
    ("call_id", names.TOOL_CALL_ID, as_text),
    ("description", names.TOOL_DESCRIPTION, as_text),
    ("agent", names.AGENT_NAME, as_text),
    ("conversation_id", names.CONVERSATION_ID, as_text),
)

SKILL = (
    ("name", names.SKILL_NAME, as_text),
    ("description", names.SKILL_DESCRIPTION, as_text),
    ("source_uri", names.SKILL_SOURCE_URI, as_text),
    ("resource_name", names.SKILL_RESOURCE_NAME, as_text),
)

COMMAND = (
    ("executable_name", names.PROCESS_EXECUTABLE_NAME, as_text),
    ("executable_path", names.PROCESS_EXECUTABLE_PATH, as_text),
)

TOOL_END = (("exit_code", names.PROCESS_EXIT_CODE, as_integer), ("attempts", names.ATTEMPTS, as_integer))

QUEUE_LATENCY = (("latency_ms", names.QUEUE_LATENCY_MS, as_number),)
"""How long a message waited; at its end, where it was not known before."""

WEBHOOK_END = (("task_id", names.TASK_ID, as_text), ("task_name", names.TASK_NAME, as_text))
"""The task that came of a webhook: its span is the first of the trace, which is what lists of traces show."""

COMMON = (
    ("task_id", names.TASK_ID, as_text),
    ("step_id", names.STEP_ID, as_text),
    ("correlation_id", names.CORRELATION_ID, as_text),
    ("session_id", names.SESSION_ID, as_text),
    ("instance_id", names.INSTANCE_ID, as_text),
    ("component", names.COMPONENT, as_text),
)
"""Keys with a text that lines of every type share."""

_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure_ai_inference": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}


def provider_name(value: Any) -> str:
    """The convention's word for a provider; it is required, so ``_OTHER`` where it is not known."""
    if not isinstance(value, str) or not value:
        return OTHER
    return _PROVIDERS.get(value) or _PROVIDERS.get(value.lower(), value)

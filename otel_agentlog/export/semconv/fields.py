"""From keys of ``details`` to attributes of the right type.

Hides the type rules of the conventions: an ``int`` attribute must fit 64 bits and not be a bool, a ``double`` must be a float
even where the caller wrote ``temperature=0``. A value of another type is left out of the span; the folder keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.util.types import AttributeValue

from otel_agentlog.export.semconv import names
from otel_agentlog.export.semconv.names import OTHER

Convert = Callable[[Any], AttributeValue]
"""Gives the attribute's value, or ``None`` where there is none."""

Fields = Mapping[str, tuple[str, Convert]]
"""For a key in a line, the attribute and how to convert the value."""

_INT64 = 1 << 63
_NONE: Mapping[str, Any] = {}


def text(value: Any) -> str | None:
    """A string that is not empty."""
    return value if isinstance(value, str) and value else None


def integer(value: Any) -> int | None:
    """An integer that OTLP can carry."""
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def number(value: Any) -> float | None:
    """A float, also of an integer."""
    kind = type(value)
    return value if kind is float else float(value) if kind is int and -_INT64 <= value < _INT64 else None


def texts(value: Any) -> list[str] | None:
    """A list of strings; one string is a list of one."""
    if isinstance(value, str):
        return [value] if value else None
    if isinstance(value, (list, tuple)) and value:
        return [item for item in value if isinstance(item, str)] or None
    return None


def seconds(value: Any) -> float | None:
    """Milliseconds as seconds."""
    milliseconds = number(value)
    return None if milliseconds is None else milliseconds / 1000.0


def several(value: Any) -> int | None:
    """A number of choices, which is only told where it is not 1."""
    count = integer(value)
    return None if count == 1 else count


def mapping_in(line: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under a key; an empty one where there is none or, after a processor of the user's, something else."""
    value = line.get(key)
    # The check by type comes first because that of an abstract class costs 0.3 µs.
    return value if type(value) is dict or isinstance(value, Mapping) else _NONE


def copy(source: Mapping[str, Any], fields: Iterable[tuple[str, str, Convert]], target: dict[str, AttributeValue]) -> None:
    """Set the attributes of the fields that are present."""
    for key, attribute, convert in fields:
        value = source.get(key)
        if value is not None and (converted := convert(value)) is not None:
            target[attribute] = converted


PARAMETERS: Fields = {
    "temperature": (names.REQUEST_TEMPERATURE, number),
    "top_p": (names.REQUEST_TOP_P, number),
    "top_k": (names.REQUEST_TOP_K, integer),
    "max_tokens": (names.REQUEST_MAX_TOKENS, integer),
    "max_completion_tokens": (names.REQUEST_MAX_TOKENS, integer),
    "max_output_tokens": (names.REQUEST_MAX_TOKENS, integer),
    "seed": (names.REQUEST_SEED, integer),
    "stop_sequences": (names.REQUEST_STOP_SEQUENCES, texts),
    "stop": (names.REQUEST_STOP_SEQUENCES, texts),
    "frequency_penalty": (names.REQUEST_FREQUENCY_PENALTY, number),
    "presence_penalty": (names.REQUEST_PRESENCE_PENALTY, number),
    "choice_count": (names.REQUEST_CHOICE_COUNT, several),
    "n": (names.REQUEST_CHOICE_COUNT, several),
    "reasoning_level": (names.REQUEST_REASONING_LEVEL, text),
    "reasoning_effort": (names.REQUEST_REASONING_LEVEL, text),
    "output_type": (names.OUTPUT_TYPE, text),
    "previous_response_id": (names.REQUEST_PREVIOUS_RESPONSE_ID, text),
    "prompt_name": (names.PROMPT_NAME, text),
    "prompt_version": (names.PROMPT_VERSION, text),
}
"""Parameters of an inference under the names of the common clients, by the attribute they become."""

OTHER_PARAMETERS: Fields = {
    **PARAMETERS,
    "encoding_formats": (names.REQUEST_ENCODING_FORMATS, texts),
    "dimension_count": (names.EMBEDDINGS_DIMENSION_COUNT, integer),
    "dimensions": (names.EMBEDDINGS_DIMENSION_COUNT, integer),
    "stream_cursor": (names.REQUEST_STREAM_CURSOR, text),
    "data_source_id": (names.DATA_SOURCE_ID, text),
    "memory_store_id": (names.MEMORY_STORE_ID, text),
    "memory_record_id": (names.MEMORY_RECORD_ID, text),
    "response_id": (names.RESPONSE_ID, text),
}
"""The same for operations that are not inferences."""

USAGE = (
    ("input_tokens", names.USAGE_INPUT_TOKENS, integer),
    ("output_tokens", names.USAGE_OUTPUT_TOKENS, integer),
    ("cache_read_input_tokens", names.USAGE_CACHE_READ, integer),
    ("cache_write_input_tokens", names.USAGE_CACHE_WRITE, integer),
    ("reasoning_output_tokens", names.USAGE_REASONING, integer),
)
"""Counts of tokens; the last three are parts of the first two."""

RESPONSE = (
    ("response_model", names.RESPONSE_MODEL, text),
    ("response_id", names.RESPONSE_ID, text),
    ("time_to_first_chunk_ms", names.RESPONSE_TIME_TO_FIRST_CHUNK, seconds),
    ("attempts", names.ATTEMPTS, integer),
)

TASK = (
    ("source", names.TASK_SOURCE, text),
    ("provider", names.TASK_PROVIDER, text),
    ("workflow", names.TASK_WORKFLOW, text),
    ("tags", names.TASK_TAGS, texts),
    ("agent_type", names.OWN_AGENT_TYPE, text),
    ("agent_version", names.OWN_AGENT_VERSION, text),
    ("parent_task_id", names.TASK_PARENT_ID, text),
)

TASK_AGENT = (
    ("agent", names.AGENT_NAME, text),
    ("agent_description", names.AGENT_DESCRIPTION, text),
    ("model", names.REQUEST_MODEL, text),
    ("conversation_id", names.CONVERSATION_ID, text),
)

TASK_END = (
    ("ai_calls", names.TASK_AI_CALLS, integer),
    ("tool_runs", names.TASK_TOOL_RUNS, integer),
    ("input_tokens", names.TASK_INPUT_TOKENS, integer),
    ("output_tokens", names.TASK_OUTPUT_TOKENS, integer),
    ("cost_usd", names.TASK_COST_USD, number),
)
"""Totals have names of our own: a backend that adds up ``gen_ai.usage.*`` over all spans would count them twice."""

TOOL = (
    ("tool_type", names.TOOL_TYPE, text),
    ("call_id", names.TOOL_CALL_ID, text),
    ("description", names.TOOL_DESCRIPTION, text),
    ("agent", names.AGENT_NAME, text),
    ("conversation_id", names.CONVERSATION_ID, text),
)

SKILL = (
    ("name", names.SKILL_NAME, text),
    ("description", names.SKILL_DESCRIPTION, text),
    ("source_uri", names.SKILL_SOURCE_URI, text),
    ("resource_name", names.SKILL_RESOURCE_NAME, text),
)

COMMAND = (
    ("executable_name", names.PROCESS_EXECUTABLE_NAME, text),
    ("executable_path", names.PROCESS_EXECUTABLE_PATH, text),
)

COMMON = (
    ("task_id", names.TASK_ID, text),
    ("step_id", names.STEP_ID, text),
    ("correlation_id", names.CORRELATION_ID, text),
    ("session_id", names.SESSION_ID, text),
    ("instance_id", names.INSTANCE_ID, text),
    ("component", names.COMPONENT, text),
)
"""Keys that lines of every type share."""

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
    """The convention's word for a provider; it is required, so ``_OTHER`` where nobody said one."""
    if not isinstance(value, str) or not value:
        return OTHER
    return _PROVIDERS.get(value) or _PROVIDERS.get(value.lower(), value)

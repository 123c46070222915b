"""Which GenAI operations there are besides inference, how their spans are named, and which attributes they may have.

An operation that is not listed here is taken for an inference (``chat``, ``generate_content``, ``text_completion`` or one of the
user's own): the set of operations is open.
"""

from __future__ import annotations

from otel_agentlog._startup import dataclass
from otel_agentlog.export.semconv import names
from otel_agentlog.export.semconv.names import NEWEST, Profile
from otel_agentlog.vocabulary.lines import NOT_INFERENCE

_CALL = frozenset({names.OPERATION, names.PROVIDER, names.LEGACY_SYSTEM})
_MODEL = _CALL | {names.REQUEST_MODEL}
_MEMORY = (
    _CALL
    | {names.MEMORY_STORE_ID, names.MEMORY_RECORD_ID, names.MEMORY_RECORD_COUNT}
    | {names.MEMORY_QUERY_TEXT, names.MEMORY_RECORDS}
)
_AGENT = _MODEL | {names.AGENT_NAME, names.AGENT_DESCRIPTION, names.AGENT_ID, names.AGENT_VERSION}


@dataclass(frozen=True)
class GenAiOperation:
    """A GenAI operation that is not an inference."""

    subject: str
    """The attribute that follows the operation in the span's name; none for ``""``."""
    allowed: frozenset[str]
    """The ``gen_ai.*`` attributes that the convention defines for its span."""
    is_internal: bool = False
    """Whether the newest convention takes it for work of the program itself: of kind INTERNAL, and named after nothing else."""

    def named_after(self, profile: Profile) -> str:
        """The attribute that follows the operation in the span's name; none for ``""``."""
        return "" if self.kind(profile) == "INTERNAL" else self.subject

    def kind(self, profile: Profile) -> str:
        """The kind of its span."""
        return "INTERNAL" if self.is_internal and profile in NEWEST else "CLIENT"


_MEMORY_OPERATION = GenAiOperation("", _MEMORY)

OPERATIONS: dict[str, GenAiOperation] = {
    "embeddings": GenAiOperation(
        names.REQUEST_MODEL,
        _MODEL
        | {names.REQUEST_ENCODING_FORMATS, names.EMBEDDINGS_DIMENSION_COUNT, names.USAGE_INPUT_TOKENS, names.RESPONSE_MODEL},
    ),
    "retrieval": GenAiOperation(
        names.DATA_SOURCE_ID,
        _MODEL | {names.DATA_SOURCE_ID, names.RETRIEVAL_TOP_K, names.RETRIEVAL_QUERY_TEXT, names.RETRIEVAL_DOCUMENTS},
        is_internal=True,
    ),
    "fetch_response": GenAiOperation(
        "",
        _CALL
        | {names.RESPONSE_ID, names.RESPONSE_MODEL, names.RESPONSE_STATUS, names.RESPONSE_FINISH_REASONS}
        | {names.REQUEST_STREAM_CURSOR, names.SYSTEM_INSTRUCTIONS, names.OUTPUT_MESSAGES, names.TOOL_DEFINITIONS},
    ),
    "create_agent": GenAiOperation(names.AGENT_NAME, _AGENT | {names.SYSTEM_INSTRUCTIONS}),
    "invoke_agent": GenAiOperation(
        names.AGENT_NAME,
        _AGENT
        | {names.CONVERSATION_ID, names.DATA_SOURCE_ID, names.OUTPUT_TYPE, names.REQUEST_CHOICE_COUNT, names.REQUEST_SEED}
        | {names.REQUEST_MAX_TOKENS, names.REQUEST_TEMPERATURE, names.REQUEST_TOP_P, names.REQUEST_STOP_SEQUENCES}
        | {names.REQUEST_FREQUENCY_PENALTY, names.REQUEST_PRESENCE_PENALTY, names.REQUEST_PREVIOUS_RESPONSE_ID}
        | {names.RESPONSE_FINISH_REASONS, names.USAGE_INPUT_TOKENS, names.USAGE_OUTPUT_TOKENS}
        | {names.USAGE_CACHE_READ, names.USAGE_CACHE_WRITE, names.LEGACY_USAGE_CACHE_CREATION}
        | {names.SYSTEM_INSTRUCTIONS, names.INPUT_MESSAGES, names.OUTPUT_MESSAGES, names.TOOL_DEFINITIONS},
    ),
    "create_memory_store": _MEMORY_OPERATION,
    "search_memory": _MEMORY_OPERATION,
    "create_memory": _MEMORY_OPERATION,
    "update_memory": _MEMORY_OPERATION,
    "upsert_memory": _MEMORY_OPERATION,
    "delete_memory": _MEMORY_OPERATION,
    "delete_memory_store": _MEMORY_OPERATION,
}


def is_inference(operation: str) -> bool:
    """Whether an AI call is one request for an answer, the only kind that the inference metrics count."""
    return operation not in NOT_INFERENCE

"""Reads a response of any provider's client into `Response`: usage, finish reasons, ids, output, cost.

Recognized by shape, never by class: Anthropic Messages, OpenAI chat and text completions, Responses API responses, the APIs
that copy these, and by the names of their fields those of others.py. Each may come as the client's typed object, as the ``dict``
of it, as decoded or encoded JSON, or in an HTTP response or the client's wrapper of one. Anything else gives an empty
`Response`, never an error.
"""

from __future__ import annotations

from dataclasses import replace

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.providers.anthropic import is_message, of_an_agent, read_message
from otel_agentlog.record.providers.failures import failure_of
from otel_agentlog.record.providers.fields import decoded, field, has, items, name_of, own_fields, text
from otel_agentlog.record.providers.openai_chat import is_completion, read_completion
from otel_agentlog.record.providers.openai_responses import is_response, read_api_response
from otel_agentlog.record.providers.others import read_other
from otel_agentlog.record.providers.parts import text_part
from otel_agentlog.record.providers.plain import read_plain
from otel_agentlog.record.providers.pricing import Billing
from otel_agentlog.record.providers.usage import billing_of, usage_in
from otel_agentlog.vocabulary.usage import Response


def read_answer(response: object, provider: str | None = None) -> tuple[Response, Billing]:
    """`read_response` and `read_billing`, in one pass where the response is an ordinary one; never raises."""
    try:
        if (found := read_plain(response)) is not None:
            return found
    except Exception:  # noqa: BLE001 - foreign objects may do anything: what they are is found out below
        raise_interrupt()
    return read_response(response, provider), read_billing(response)


def read_response(response: object, provider: str | None = None) -> Response:
    """Read a response of a model; never raises, never consumes a stream.

    ``provider`` only decides how a bare ``usage`` counts cached tokens. A string is the text the model wrote, unless it
    is the JSON of a response.
    """
    if type(response) is Response:
        return response
    try:
        inside = unwrapped(response)
        found = _read(inside, provider)
        if found.failure is None and inside is not response and (failure := failure_of(response)) is not None:
            return replace(found, failure=failure)  # only the status of the HTTP response says it
        return found
    except Exception:  # noqa: BLE001 - the last guard: foreign objects may do anything, and recording must not raise
        raise_interrupt()
        return Response()


def read_billing(response: object) -> Billing:
    """Read the fields of a response that change the price of its tokens; never raises."""
    try:
        inside = _unpacked(response)
        answer = batched(inside)
        return billing_of(inside) if answer is None else replace(billing_of(answer), service_tier="batch")
    except Exception:  # noqa: BLE001 - as in `read_response`
        raise_interrupt()
        return Billing()


def unwrapped(response: object) -> object:
    """The response inside JSON text, a raw-response wrapper, an HTTP response, a line of a batch or what a framework adds.

    Only a body that was already read is used: nothing is fetched, and a stream stays untouched.
    """
    inside = _unpacked(response)
    answer = batched(inside)
    return inside if answer is None else answer


def batched(response: object) -> object:
    """The answer in a line of a batch's results; ``None`` if there is none: errors are read from the whole line."""
    result, inside = field(response, "result"), field(response, "response")
    if text(result, "type") == "succeeded":
        answer = field(result, "message")  # Anthropic
    elif name_of(response, "custom_id") is not None:
        answer = decoded(field(inside, "body"))  # OpenAI and those in its image
    elif items(inside, "candidates") or any(field(inside, name) is not None for name in _GEMINI_USAGE):
        answer = inside
    else:
        answer = decoded(field(response, "modelOutput"))  # Bedrock
    return answer if _has_shape(answer) or (answer is not None and usage_in(answer).known()) else None


def _unpacked(response: object) -> object:
    if isinstance(response, (str, bytes, bytearray)):
        inside = decoded(response)
        return inside if isinstance(inside, dict) else response
    if isinstance(response, (list, tuple)) and len(response) == 1:
        return response[0]
    if (body := _body(field(response, "http_response"))) is not None or (body := _body(response)) is not None:
        return decoded(body)
    return response


def _body(response: object) -> bytes | None:
    """The body of a response of httpx or requests, if it was read: asking requests' for it would read it."""
    if not has(response, "status_code") or not has(response, "headers"):
        return None
    body = field(response, "content") if has(response, "is_stream_consumed") else field(own_fields(response), "_content")
    return body if isinstance(body, bytes) else None


_GEMINI_USAGE = ("usageMetadata", "usage_metadata")

_AROUND = ("raw", "data", "message", "response", "body", "chunk")
"""Fields of events and of frameworks' objects that hold a provider's own response: LlamaIndex, Mistral, claude-agent-sdk."""


def _read(response: object, provider: str | None) -> Response:
    if isinstance(response, str):
        return Response(output=(text_part(response),)) if response else Response()
    found = _read_shape(response, provider)
    failure = failure_of(response) or found.failure
    cancelled = text(response, "status") in ("cancelled", "canceled")
    return replace(found, failure=failure, cancelled=cancelled) if failure or cancelled else found


def _read_shape(response: object, provider: str | None) -> Response:
    if is_message(response):
        return read_message(response)
    if is_completion(response):
        return read_completion(response)
    if is_response(response):
        return read_api_response(response)
    for name in _AROUND:
        if _has_shape(inside := decoded(field(response, name))):
            found = _read(inside, provider)
            cut = found.finish_reasons == ("error",) and of_an_agent(response)
            return replace(found, finish_reasons=()) if cut else found
    return read_other(response, provider)


def _has_shape(value: object) -> bool:
    return value is not None and (is_message(value) or is_completion(value) or is_response(value))

"""Reads a response of any provider's client into `Response`: usage, finish reasons, ids, output, cost.

Recognized by shape, never by class: Anthropic Messages, OpenAI chat and text completions, Responses API responses,
embeddings, the APIs that copy these, and any mapping with ``usage``. Each may come as the client's typed object,
as the ``dict`` of it, as decoded or encoded JSON, or in the client's raw-response wrapper. Anything else gives an
empty `Response`, never an error.
"""

from __future__ import annotations

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.providers.anthropic import is_message, read_message
from otel_agentlog.record.providers.fields import decoded, field, name_of
from otel_agentlog.record.providers.openai_chat import is_completion, read_completion
from otel_agentlog.record.providers.openai_responses import is_response, read_api_response
from otel_agentlog.record.providers.parts import text_part
from otel_agentlog.record.providers.pricing import Billing
from otel_agentlog.record.providers.usage import any_usage, billing_of, reported_cost
from otel_agentlog.vocabulary.usage import Response


def read_response(response: object, provider: str | None = None) -> Response:
    """Read a response of a model; never raises, never consumes a stream.

    ``provider`` only decides how a bare ``usage`` counts cached tokens. A string is the text the model wrote, unless it
    is the JSON of a response.
    """
    if type(response) is Response:
        return response
    try:
        return _read(unwrapped(response), provider)
    except Exception:  # noqa: BLE001 - the last guard: foreign objects may do anything, and recording must not raise
        raise_interrupt()
        return Response()


def read_billing(response: object) -> Billing:
    """Read the fields of a response that change the price of its tokens; never raises."""
    try:
        return billing_of(unwrapped(response))
    except Exception:  # noqa: BLE001 - as in `read_response`
        raise_interrupt()
        return Billing()


def unwrapped(response: object) -> object:
    """The response inside JSON text or a raw-response wrapper of the Anthropic or OpenAI client.

    Of a wrapper only the body that was already read is used: nothing is fetched, and a stream stays untouched.
    """
    if isinstance(response, (str, bytes)):
        inside = decoded(response)
        return inside if isinstance(inside, dict) else response
    body = field(field(response, "http_response"), "content")
    return decoded(body) if isinstance(body, bytes) else response


def _read(response: object, provider: str | None) -> Response:
    if isinstance(response, str):
        return Response(output=(text_part(response),)) if response else Response()
    if is_message(response):
        return read_message(response)
    if is_completion(response):
        return read_completion(response)
    if is_response(response):
        return read_api_response(response)
    return _read_usage(response, provider)


def _read_usage(response: object, provider: str | None) -> Response:
    usage = field(response, "usage")
    if usage is None:
        return Response()
    return Response(
        usage=any_usage(usage, provider),
        response_id=name_of(response, "id"),
        model=name_of(response, "model"),
        cost_usd=reported_cost(usage),
    )

"""Carriers: a ``dict[str, str]`` of W3C headers that continues a task in another process.

``traceparent`` and ``tracestate`` as in W3C Trace Context, ``baggage`` as in W3C Baggage with our ids as members named
``agentlog.<id>``. In environment variables the same headers are upper case (OpenTelemetry, environment carriers).
"""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_agentlog._startup import dataclass
from otel_agentlog.record.sanitize.keys import own_dict, plain_text

HEADERS = ("traceparent", "tracestate", "baggage")
_PREFIX = "agentlog."
_IDS = ("task_id", "correlation_id", "session_id", "instance_id", "conversation_id", "queued_at", "queue", "job")

_trace_context = TraceContextTextMapPropagator()
_baggage = W3CBaggagePropagator()


@dataclass(frozen=True)
class Carried:
    """What a carrier holds."""

    context: Context
    """The context to continue in: remote parent and the sender's own baggage, without ours."""
    ids: Mapping[str, str]
    """Our ids: ``task_id``, ``correlation_id`` …; ``queued_at`` is Unix nanoseconds."""


def write_carrier(context: Context, ids: Mapping[str, str | None]) -> dict[str, str]:
    """A carrier for this context and these ids."""
    for key in _IDS:
        value = ids.get(key)
        if value is not None:
            context = baggage.set_baggage(_PREFIX + key, plain_text(value), context)
    for name, held in baggage.get_all(context).items():
        # What cannot be encoded would make the propagator raise, and lose the rest.
        if isinstance(held, str) and (encodable := _encodable(held)) != held:
            context = baggage.set_baggage(name, encodable, context)
    carrier: dict[str, str] = {}
    _trace_context.inject(carrier, context)
    _baggage.inject(carrier, context)
    return carrier


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def environ(carrier: Mapping[str, str]) -> dict[str, str]:
    """The same carrier as environment variables, to be merged into a copy of ``os.environ``."""
    given = {plain_text(key): value for key, value in own_dict(carrier, "carrier").items()}
    return {key.upper(): plain_text(value) for key, value in given.items() if key.lower() in HEADERS}


def read_carrier(carrier: Mapping[str, str], context: Context) -> Carried:
    """Read a carrier in header or environment spelling; a broken one yields no parent and no ids."""
    given = {plain_text(key).lower(): plain_text(value) for key, value in own_dict(carrier, "carrier").items()}
    headers = {key: value for key, value in given.items() if key in HEADERS}
    context = _baggage.extract(headers, _trace_context.extract(headers, context))
    ids = {}
    for key in _IDS:
        value = baggage.get_baggage(_PREFIX + key, context)
        if isinstance(value, str):
            ids[key] = value
            context = baggage.remove_baggage(_PREFIX + key, context)
    return Carried(context, ids)

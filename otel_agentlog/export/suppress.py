"""Keeps our own sending from being recorded: the context in which instrumentations of HTTP and gRPC clients stay silent."""

from __future__ import annotations

from opentelemetry import context as otel_context
from opentelemetry.context import Context

# The keys that opentelemetry-instrumentation's own suppress_instrumentation() sets; they are plain strings there.
_KEYS = ("suppress_instrumentation", "suppress_http_instrumentation")


def suppressed() -> Context:
    """A context with instrumentation suppressed and nothing else, so that it keeps no operation alive."""
    context = Context()
    for key in _KEYS:
        context = otel_context.set_value(key, True, context)
    return context

"""Keeps our own sending out of what is recorded: no spans of instrumented clients, no lines of encoders."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry.context import Context

# The keys that opentelemetry-instrumentation's own suppress_instrumentation() sets; they are plain strings there.
_KEYS = ("suppress_instrumentation", "suppress_http_instrumentation")

_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.common._internal",
    "opentelemetry.exporter.otlp.proto.common._internal.metrics_encoder",
    "opentelemetry.exporter.otlp.proto.common._internal.trace_encoder",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.util.retry",
)


def uninstrumented_context() -> Context:
    """A context with instrumentation suppressed and nothing else, so that it keeps no operation alive."""
    context = Context()
    for key in _KEYS:
        context = otel_context.set_value(key, True, context)
    return context


class _State(threading.local):
    suppressed = False


_state = _State()


class _SuppressInThread(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _state.suppressed


_filter = _SuppressInThread()


@contextmanager
def suppressed_logging() -> Iterator[None]:
    """Within this block encoders and HTTP client log nothing in this thread: each failure is counted by us already.

    Other threads, and other users of the same loggers, are not affected.
    """
    before, _state.suppressed = _state.suppressed, True
    for name in _LOGGERS:
        # Added again it is not added twice.
        logging.getLogger(name).addFilter(_filter)
    try:
        yield
    finally:
        _state.suppressed = before

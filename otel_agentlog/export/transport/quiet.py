"""Keeps the exporters' own loggers quiet while we send: each failure would be a line or a traceback of theirs, and is one of
our counters already. Other threads, and other users of the same loggers, are not affected.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry.context import Context

# -- Keeps our own sending from being recorded: the context in which instrumentations of HTTP and gRPC clients stay silent.

# The keys that opentelemetry-instrumentation's own suppress_instrumentation() sets; they are plain strings there.
_KEYS = ("suppress_instrumentation", "suppress_http_instrumentation")


def suppressed() -> Context:
    """A context with instrumentation suppressed and nothing else, so that it keeps no operation alive."""
    context = Context()
    for key in _KEYS:
        context = otel_context.set_value(key, True, context)
    return context


_LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.common._internal",
    "opentelemetry.exporter.otlp.proto.common._internal._log_encoder",
    "opentelemetry.exporter.otlp.proto.common._internal.trace_encoder",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http._common",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk.metrics._internal.export",
    "requests",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.util.retry",
)


class _State(threading.local):
    quiet = False


_state = _State()


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _state.quiet


_filter = _Quiet()


@contextmanager
def quiet() -> Iterator[None]:
    """Within this block the loggers of exporters and http clients say nothing in this thread."""
    before = _state.quiet
    _begin()
    try:
        yield
    finally:
        _state.quiet = before


def quieten() -> None:
    """From now on they say nothing in this thread, if it is one that only sends."""
    if threading.current_thread() is not threading.main_thread():
        _begin()


def _begin() -> None:
    if not _state.quiet:
        _state.quiet = True
        for name in _LOGGERS:
            # Added again it would not be added twice.
            logging.getLogger(name).addFilter(_filter)

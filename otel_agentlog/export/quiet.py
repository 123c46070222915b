"""Keeps the exporters' own loggers quiet while we send: each failure would be a line or a traceback of theirs, and is one of
our counters already. Other threads, and other users of the same loggers, are not affected."""

from __future__ import annotations

import logging
import threading

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


def quieten() -> None:
    """From now on, the loggers of exporters and http clients say nothing in this thread; for threads that only send."""
    if not _state.quiet:
        _state.quiet = True
        for name in _LOGGERS:
            # Added again it would not be added twice.
            logging.getLogger(name).addFilter(_filter)

"""Sends one test span and one test log record to see whether a collector takes them."""

from __future__ import annotations

import secrets
import time

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from otel_agentlog._startup import dataclass
from otel_agentlog.export.pipeline.direct import Direct
from otel_agentlog.export.pipeline.items import Item
from otel_agentlog.export.transport.result import Verdict
from otel_agentlog.settings.fields import Settings
from otel_agentlog.settings.version import __version__

NAME = "agentlog doctor"
"""Name of the test span."""


@dataclass(frozen=True)
class Probed:
    """The result of the test of one signal."""

    signal: str
    """``traces`` or ``logs``."""
    taken: bool
    reason: str
    """Why not: ``connection``, ``http_401`` …, with the collector's message."""
    trace_id: str
    """32 hex digits; to be looked up in the trace backend."""
    took_ms: float


def probe(settings: Settings) -> list[Probed]:
    """Send a test span and a test log record by each signal that has an exporter; each waits for the timeout in the settings.

    Raises:
        ConfigurationError: the settings allow no exporter to be made.
    """
    direct = Direct(settings)
    direct.check()
    context = SpanContext(secrets.randbits(128) | 1, secrets.randbits(64) | 1, False, TraceFlags(1))
    try:
        return [_probe(direct, signal, settings, context) for signal in direct.signals]
    finally:
        direct.close()


def _probe(direct: Direct, signal: str, settings: Settings, context: SpanContext) -> Probed:
    resource = Resource({"service.name": settings.service_name})
    scope = InstrumentationScope("otel_agentlog", __version__)
    now_ns, began_s = time.time_ns(), time.monotonic()
    data = _span(context, resource, scope, now_ns) if signal == "traces" else _log(context, resource, scope, now_ns)
    parts = direct(signal, [Item(signal, data)])
    took_ms = (time.monotonic() - began_s) * 1000
    taken = any(result.verdict is Verdict.DELIVERED and not result.rejected for _, result in parts)
    message = "; ".join(f"{result.reason} {result.message}".strip() for _, result in parts)
    return Probed(signal, taken, "" if taken else message or "no answer", f"{context.trace_id:032x}", round(took_ms, 1))


def _span(context: SpanContext, resource: Resource, scope: InstrumentationScope, now_ns: int) -> ReadableSpan:
    return ReadableSpan(
        name=NAME,
        context=context,
        resource=resource,
        attributes={"agentlog.test": True},
        kind=SpanKind.INTERNAL,
        start_time=now_ns - 1_000_000,
        end_time=now_ns,
        instrumentation_scope=scope,
    )


def _log(context: SpanContext, resource: Resource, scope: InstrumentationScope, now_ns: int) -> ReadableLogRecord:
    record = LogRecord(
        timestamp=now_ns,
        observed_timestamp=now_ns,
        context=set_span_in_context(NonRecordingSpan(context), Context()),
        severity_text="INFO",
        severity_number=SeverityNumber.INFO,
        body="agentlog doctor was here",
        attributes={"agentlog.test": True},
    )
    return ReadableLogRecord(record, resource, scope)

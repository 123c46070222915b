"""The settings of what is sent: content, endpoints, queues, and which tasks are sent although the sampler left them out."""

from __future__ import annotations

from dataclasses import dataclass

import otel_agentlog.settings_values as values
from otel_agentlog.settings_values import setting as _setting

_NOT_FAILED = ("completed", "cancelled")
_PROTOCOL = values.one_of("http/protobuf", "grpc")
_EXPORTER = values.one_of("otlp", "console", "none")


@dataclass(frozen=True, kw_only=True)
class Sending:
    """What goes to the collector, where and when; part of `Settings`."""

    content: str | None = _setting(None, "AGENTLOG_CONTENT", read=values.one_of("off", "preview", "full"))
    """How much of prompts, answers, arguments and results goes to OTLP; the folder always has all of it."""
    genai_content: str = _setting(
        "NO_CONTENT",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        read=values.one_of("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"),
    )
    """The convention's own switch: where content goes. It alone means ``content="full"``."""
    profile: str = _setting("latest", "AGENTLOG_SEMCONV_PROFILE", read=values.one_of("latest", "legacy", "both"))
    """Which names of the GenAI conventions are used."""
    endpoint: str | None = _setting(None, "OTEL_EXPORTER_OTLP_ENDPOINT", read=values.endpoint)
    """The collector's base URL. Without it, without an endpoint per signal and without ``otlp`` in ``OTEL_*_EXPORTER``
    nothing is sent."""
    traces_endpoint: str | None = _setting(None, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", read=values.endpoint)
    logs_endpoint: str | None = _setting(None, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", read=values.endpoint)
    metrics_endpoint: str | None = _setting(None, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", read=values.endpoint)
    protocol: str = _setting("http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL", read=_PROTOCOL)
    """``http/protobuf`` or ``grpc`` (extra ``grpc``)."""
    traces_protocol: str | None = _setting(None, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", read=_PROTOCOL)
    logs_protocol: str | None = _setting(None, "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", read=_PROTOCOL)
    metrics_protocol: str | None = _setting(None, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", read=_PROTOCOL)
    traces_exporter: str | None = _setting(None, "OTEL_TRACES_EXPORTER", read=_EXPORTER)
    """``otlp``, ``console`` or ``none``; default ``otlp`` if there is an endpoint."""
    logs_exporter: str | None = _setting(None, "OTEL_LOGS_EXPORTER", read=_EXPORTER)
    metrics_exporter: str | None = _setting(None, "OTEL_METRICS_EXPORTER", read=_EXPORTER)
    queue_size: int = _setting(20_000, "OTEL_BSP_MAX_QUEUE_SIZE", read=values.number(1, whole=True))
    """Items that wait in memory for the collector; past it they stay in the folder and are sent later."""
    batch_size: int = _setting(512, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", read=values.number(1, whole=True))
    """Items of one request."""
    send_delay_s: float = _setting(1.0, "AGENTLOG_SEND_DELAY", read=values.number(0))
    """Longest time, in seconds, that an item waits for company; ``OTEL_BSP_SCHEDULE_DELAY`` (milliseconds) sets it too."""
    shutdown_timeout_s: float = _setting(5.0, "AGENTLOG_SHUTDOWN_TIMEOUT", read=values.number(0))
    """Longest time, in seconds, that the end of the process waits for all signals together."""
    catch_up_days: float = _setting(7.0, "AGENTLOG_CATCH_UP_DAYS", read=values.number(0))
    """How old, in days, tasks of other processes may be that are sent in the background because they still wait; 0: none."""
    keep_failed: bool = _setting(True, "AGENTLOG_KEEP_FAILED", read=values.flag)
    """Whether a task that the sampler left out is sent after all if it did not complete."""
    keep_slow_s: float | None = _setting(None, "AGENTLOG_KEEP_SLOW", read=values.number(0))
    """Duration in seconds from which on it is sent after all."""
    keep_cost_usd: float | None = _setting(None, "AGENTLOG_KEEP_COST", read=values.number(0))
    """Known cost in US dollars from which on it is sent after all."""

    trace_url: str | None = _setting(None, "AGENTLOG_TRACE_URL", read=values.trace_url)
    """Where a trace can be looked at, with ``{trace_id}`` in it, e.g. ``http://localhost:16686/trace/{trace_id}``; the web page
    links there."""

    @property
    def content_policy(self) -> str:
        """``off``, ``preview`` or ``full``."""
        return self.content or ("off" if self.genai_content == "NO_CONTENT" else "full")

    @property
    def content_on(self) -> frozenset[str]:
        """Where content goes: ``span``, ``event``."""
        places = {"SPAN_ONLY": ("span",), "EVENT_ONLY": ("event",), "SPAN_AND_EVENT": ("span", "event")}
        return frozenset(places.get(self.genai_content, ("span",)))

    def reason_to_keep(self, outcome: str | None, seconds: float | None, cost_usd: float | None) -> str | None:
        """Why a task that ended like this is sent although the sampler left it out; ``None`` if it is not."""
        if self.keep_failed and outcome not in _NOT_FAILED:
            return "failed"
        if self.keep_slow_s is not None and seconds is not None and seconds >= self.keep_slow_s:
            return "slow"
        if self.keep_cost_usd is not None and cost_usd is not None and cost_usd >= self.keep_cost_usd:
            return "cost"
        return None

    def exporter(self, signal: str) -> str:
        """``otlp``, ``console`` or ``none`` for ``traces``, ``logs`` or ``metrics``."""
        chosen: str | None = getattr(self, f"{signal}_exporter")
        if chosen is not None:
            return chosen
        return "otlp" if self.endpoint or getattr(self, f"{signal}_endpoint") else "none"

    def protocol_of(self, signal: str) -> str:
        """``http/protobuf`` or ``grpc``."""
        chosen: str | None = getattr(self, f"{signal}_protocol")
        return chosen or self.protocol

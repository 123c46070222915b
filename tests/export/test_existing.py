"""Where exporters of others send is found in whatever a provider holds, and nothing there can harm or hold up `configure`."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

from otel_agentlog.export.existing import MAX_OBJECTS, exporters_of, place, sends_to
from otel_agentlog.export.providers import behind

URL = "http://collector.example:4318"


@pytest.mark.parametrize(
    ("exporter", "there"),
    [
        (lambda: OTLPSpanExporter(f"{URL}/v1/traces"), True),
        (lambda: OTLPSpanExporter("http://collector.example:9999/v1/traces"), False),
        (lambda: GrpcSpanExporter("collector.example:4318", insecure=True), True),
        (lambda: GrpcSpanExporter("other.example:4318", insecure=True), False),
        (ConsoleSpanExporter, False),
    ],
)
@pytest.mark.parametrize("processor", [BatchSpanProcessor, SimpleSpanProcessor])
def test_exporters_behind_processors(exporter: Any, there: bool, processor: Any) -> None:
    """By either protocol, behind a batch processor or a simple one, beside others."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    provider.add_span_processor(processor(exporter()))
    try:
        assert any(sends_to(each, f"{URL}/v1/traces") for each in exporters_of(provider)) is there
    finally:
        provider.shutdown()


def test_exporters_of_log_records() -> None:
    """The same for a provider of loggers."""
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{URL}/v1/logs")))
    try:
        assert [sends_to(each, URL) for each in exporters_of(provider)] == [True]
    finally:
        provider.shutdown()


class Hostile:
    """Its attributes raise; it holds itself."""

    __slots__ = ("me",)

    def __init__(self) -> None:
        self.me = self

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no")


def test_hostile_providers() -> None:
    """Cycles, very many objects, attributes that raise, mocks: nothing is raised, and it takes no time."""
    loop: dict[str, Any] = {"hostile": Hostile(), "mock": MagicMock()}
    loop["loop"] = loop
    loop["many"] = [[object() for _ in range(100)] for _ in range(MAX_OBJECTS)]
    began = time.thread_time()
    assert list(exporters_of(loop)) == []
    assert list(exporters_of(MagicMock(spec=TracerProvider))) == []
    assert time.thread_time() - began < 2


class Proxy(trace.TracerProvider):
    """Of another make."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    @property
    def provider(self) -> Any:
        if self._provider is None:
            raise RuntimeError("not yet")
        return self._provider

    def get_tracer(self, *args: Any, **given: Any) -> Any:
        raise NotImplementedError


def test_the_provider_behind_a_proxy() -> None:
    """Through several, and never round and round."""
    sdk = TracerProvider(shutdown_on_exit=False)
    assert behind(Proxy(Proxy(sdk))) is sdk
    assert behind(sdk) is sdk
    for odd in (Proxy(None), Proxy("no provider")):
        assert behind(odd) is odd
    circle = Proxy(None)
    circle._provider = circle
    assert behind(circle) is circle


@given(st.one_of(st.text(), st.sampled_from(["http://[::1", "//", "@", "http://u:p@h:1/x", "h:1", ""])))
def test_any_address(address: str) -> None:
    """Is a place, without credentials."""
    assert isinstance(place(address), str)
    assert place("http://user:secret@Host:1/v1") == "host:1"

"""Operations are tested with both kinds of span: our own, and those of the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_agentlog.record.recorder import recorder
from otel_agentlog.testing import MemorySink, recording


@pytest.fixture(params=["light", "sdk"])
def recorded(request: pytest.FixtureRequest) -> Iterator[MemorySink]:
    """What is recorded while the test runs."""
    provider = TracerProvider(shutdown_on_exit=False)
    with recording(tracer=provider.get_tracer("test")) as sink:
        if request.param == "light":
            recorder().spans = replace(recorder().spans, light=lambda: True, sampler=provider.sampler)
        yield sink

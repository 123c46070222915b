"""Fixtures for every test."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import hypothesis
import pytest
from opentelemetry.sdk.trace import TracerProvider

import otel_agentlog as agentlog
from otel_agentlog.testing import MemorySink, recording
from otel_agentlog.wiring import alerting

# How long an example takes is no part of what is tested: on a busy machine it may be anything. (Hypothesis itself does the same
# where the variable CI is set.)
_default = hypothesis.settings.get_profile("default")
hypothesis.settings.register_profile("default", _default, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
if not os.environ.get("CI"):
    hypothesis.settings.load_profile("default")

pytest_plugins = ["tests.support.peers"]
if not entry_points(group="pytest11", name="agentlog"):
    # An installation from before there was a plugin.
    pytest_plugins.append("otel_agentlog.testing.pytest_plugin")


def pytest_collection_finish() -> None:
    """The thousands of tests and their modules stay to the end: a collection of garbage need not look at them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def recorded() -> Iterator[MemorySink]:
    """What is recorded while the test runs, with real spans of a provider of its own."""
    with recording(tracer=TracerProvider(shutdown_on_exit=False).get_tracer("test")) as sink:
        yield sink


@pytest.fixture
def tasks_root(tmp_path: Path) -> Iterator[Path]:
    """The root of real task folders, with recording configured to write there and nowhere else."""
    root = tmp_path / "tasks"
    agentlog.configure(service_name="test", directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    yield root
    agentlog.shutdown()


@pytest.fixture(autouse=True)
def _no_alert_callbacks_left() -> Iterator[None]:
    """Functions that a test registered for alerts are not called in tests that follow."""
    before = list(alerting._callbacks)
    yield
    alerting._callbacks[:] = before

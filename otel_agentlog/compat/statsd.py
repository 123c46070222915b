"""What a collector of metrics sends by StatsD, with tags in the form of DogStatsD, over UDP."""

from __future__ import annotations

import atexit
import re
from functools import cache
from typing import TYPE_CHECKING

from otel_agentlog._interrupts import raise_interrupt, suppress_errors
from otel_agentlog.compat.past_runs import PastRun
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.recorder import recorder

if TYPE_CHECKING:
    from datadog.dogstatsd.base import DogStatsd

PREFIX = "metaclaude"
"""What the names of all metrics begin with, unless the setting ``statsd_prefix`` says otherwise."""


MAX_QUEUED = 10_000
"""Most packets that wait to be sent; further ones are dropped."""

FINISH_S = 1.0
"""Longest wait for what is queued, in seconds."""


@cache
def client(host: str, port: int, prefix: str = PREFIX) -> DogStatsd:
    """What sends to this address, under this prefix, the same for all who send there; makes no connection yet.

    Raises:
        ConfigurationError: the package ``datadog`` is not installed.
    """
    try:
        from datadog.dogstatsd.base import DogStatsd
    except ImportError:
        raise_interrupt()
        raise ConfigurationError("statsd_host", host, "the package datadog: pip install 'otel_agentlog[statsd]'") from None
    # Sent by a thread of its own: looking up the host may take seconds.
    found = DogStatsd(
        host=host,
        port=port,
        namespace=prefix,
        disable_telemetry=True,
        origin_detection_enabled=False,
        disable_background_sender=False,
        sender_queue_size=MAX_QUEUED,
    )
    atexit.register(finish, found)
    return found


def finish(statsd: DogStatsd) -> None:
    """Wait for what is queued, at most `FINISH_S` seconds."""
    with suppress_errors(Exception):
        statsd.wait_for_pending(FINISH_S)


_NO_TAG = re.compile(r"[\s|,#:@]+")


def _tag(value: str) -> str:
    """The value of a tag: redacted, and without what has a meaning in the protocol."""
    return _NO_TAG.sub("_", recorder().clean_text(value))[:200]


def send(statsd: DogStatsd, past: PastRun) -> None:
    """Send the figures of one execution; never raises and never waits, as UDP does not."""
    try:
        tags = [
            f"{name}:{_tag(value)}" for name, value in (("script_id", past.script_id), ("specialist", past.specialist)) if value
        ]
        statsd.increment("executions.total", tags=tags)
        if past.success:
            statsd.increment("executions.success", tags=tags)
        else:
            statsd.increment("executions.failure", tags=[*tags, f"error_category:{past.category}"])
        for name, figure in (
            ("execution.duration_seconds", past.duration_s),
            ("resource.memory_peak_mb", past.memory_peak_mb),
            ("resource.cpu_time_seconds", past.cpu_seconds),
        ):
            if figure is not None:
                statsd.histogram(name, figure, tags=tags)
        if past.retries:
            statsd.increment("executions.retries", past.retries, tags=tags)
    except Exception as error:  # noqa: BLE001 - a host that is not known, a socket that cannot be had
        raise_interrupt()
        recorder().failed("statsd", error)

"""Where the exporters of providers send that others have set before us.

OpenTelemetry has no public way to ask a provider for its exporters. They are found by what they are, in what the provider's
objects hold (`vars`), so nothing here depends on a private name; what is not found counts as sending nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.trace.export import SpanExporter

from otel_agentlog._interrupts import raise_interrupt

MAX_OBJECTS = 2_000
"""Objects of a provider that are looked at."""

_NOT_WALKED = (type, ModuleType, FunctionType, MethodType, str, bytes, int, float)


def exporters_of(provider: object) -> Iterator[SpanExporter | LogRecordExporter]:
    """The exporters behind a provider's processors."""
    waiting, seen = [provider], {id(provider)}
    while waiting:
        each = waiting.pop()
        if isinstance(each, (SpanExporter, LogRecordExporter)):
            yield each
        for held in _held_by(each):
            if id(held) not in seen and len(seen) < MAX_OBJECTS and not isinstance(held, _NOT_WALKED):
                seen.add(id(held))
                waiting.append(held)


def _held_by(each: Any) -> list[Any]:
    try:
        if isinstance(each, (list, tuple, set, frozenset)):
            return list(each)
        return list(each.values()) if isinstance(each, dict) else list(vars(each).values())
    except Exception:  # noqa: BLE001 - objects of others: no attributes, or some that raise, or another thread changes them
        raise_interrupt()
        return []


def sends_to(exporter: object, url: str) -> bool:
    """Whether one of an exporter's values is an address on the same host and port."""
    wanted = place(url)
    return any(isinstance(value, str) and place(value) == wanted for value in _held_by(exporter))


def place(address: str) -> str:
    """Host and port of a URL, or of ``host:port``; a URL's credentials are no part of it."""
    try:
        netloc = urlsplit(address).netloc or address.partition("/")[0]
    except ValueError:
        raise_interrupt()
        return address
    return netloc.rpartition("@")[2].lower()

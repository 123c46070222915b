"""`bind`: correlation ids for everything below."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from opentelemetry import context as otel_context

from otel_agentlog.record.context import CORRELATION_IDS, restore, with_bound
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.values_names import plain_text

MAX_ID_CHARS = 1024
"""A longer id is cut: ids stand on every line."""


class Binding:
    """Values bound to the current context; as a ``with`` block they are unbound at its end."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._outer = otel_context.get_current()
        clean = recorder().clean_text
        # These go onto lines as they are; other values are cleaned with the line.
        ids = {key: clean(plain_text(values[key])[:MAX_ID_CHARS]) for key in CORRELATION_IDS if values.get(key) is not None}
        self._attached = with_bound(self._outer, {**values, **ids})
        otel_context.attach(self._attached)

    def __enter__(self) -> Binding:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        restore(self._attached, self._outer)


def bind(**values: Any) -> Binding:
    """Put ids on everything recorded from here on, in this thread or asyncio task and what it starts.

    ``correlation_id``, ``session_id`` and ``instance_id`` become keys of every line; other names become attributes. ``None``
    unbinds. Works as a plain call and as a ``with`` block.
    """
    return Binding(values)

"""What others put on our own span behind our back: ``trace.get_current_span().set_attribute(…)`` and ``add_event(…)``.

Hides that a recording span of the SDK can be read (`ReadableSpan`) while the API's cannot. What is found here goes into the
end line, so that the folder stays lossless.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import Span

from otel_agentlog.model import timestamp


def foreign_attributes(span: Span, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a span that are not, or no longer, what we set on it."""
    attributes = getattr(span, "attributes", None)
    if not isinstance(attributes, Mapping):
        return {}
    return {key: value for key, value in attributes.items() if key not in sent or not _same(value, sent[key])}


def _same(stored: Any, given: Any) -> bool:
    # The SDK keeps sequences as tuples.
    return bool(stored == given) or (isinstance(stored, tuple) and isinstance(given, list) and list(stored) == given)


def foreign_events(span: Span) -> list[dict[str, Any]]:
    """Events that others added to a span, as they stand in a line."""
    # Stages have lines of their own, in 02-webhook-flow.jsonl.
    return [event_line(event) for event in getattr(span, "events", None) or () if not event.name.startswith("webhook.")]


def event_line(event: Any) -> dict[str, Any]:
    """One span event as it stands in a line."""
    return {"timestamp": timestamp(event.timestamp), "name": event.name, "attributes": dict(event.attributes or {})}

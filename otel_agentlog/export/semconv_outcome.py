"""From how something ended to ``error.type`` and span status.

Hides who counts as failed: ``failed`` and ``timed_out`` are errors; ``cancelled`` and ``interrupted`` are neither error nor
success and show in ``agentlog.outcome`` only. A success leaves the status unset, never OK.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.util.types import AttributeValue

from otel_agentlog.export import semconv_names as names
from otel_agentlog.export.semconv_fields import integer, mapping_in, number, text
from otel_agentlog.export.semconv_names import OTHER
from otel_agentlog.model import Line, Outcome

MAX_CONTEXT = 16
"""Keys of an error's context that leave as attributes; the folder has all of them."""
MAX_CONTEXT_CHARACTERS = 1_024
"""Characters of one of their values."""

_ERRORS = (Outcome.FAILED.value, Outcome.TIMED_OUT.value)


def error_type(line: Line) -> str | None:
    """The low-cardinality ``error.type`` of an end line; ``None`` iff it is not an error.

    In this order: ``details.error_type`` (a provider's error code), the exception's class, ``timeout``,
    ``nonzero_exit``, ``_OTHER``.
    """
    outcome = line.get("outcome")
    if outcome not in _ERRORS:
        return None
    details = mapping_in(line, "details")
    given = details.get("error_type")
    if isinstance(given, str) and given:
        return given
    name = mapping_in(line, "exception").get("type")
    if isinstance(name, str) and name:
        return name
    if outcome == Outcome.TIMED_OUT.value:
        return "timeout"
    return "nonzero_exit" if details.get("exit_code") else OTHER


def error_attributes(line: Line) -> dict[str, AttributeValue]:
    """What a failed span says about its error beside ``error.type``: id, category and the scalars of its context."""
    exception = mapping_in(line, "exception")
    if not exception or line.get("outcome") not in _ERRORS:
        return {}
    found: dict[str, AttributeValue] = {}
    for key, name in (("error_id", names.ERROR_ID), ("category", names.ERROR_CATEGORY)):
        if (value := text(exception.get(key))) is not None:
            found[name] = value
    return {**found, **context_attributes(exception)}


def context_attributes(exception: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """The scalars of an error's context, as ``agentlog.error.context.<key>``."""
    scalars = ((key, _scalar(value)) for key, value in mapping_in(exception, "context").items())
    known = [(f"{names.ERROR_CONTEXT}.{key}", value) for key, value in scalars if value is not None]
    return dict(known[:MAX_CONTEXT])


def _scalar(value: Any) -> AttributeValue | None:
    if isinstance(value, str):
        return value if len(value) <= MAX_CONTEXT_CHARACTERS else value[:MAX_CONTEXT_CHARACTERS] + "…"
    if isinstance(value, bool):
        return value
    return integer(value) if isinstance(value, int) else number(value)


def span_status(line: Line) -> tuple[str, str | None]:
    """Code (``ERROR`` or ``UNSET``) and description of an end line's span."""
    if line.get("outcome") not in _ERRORS:
        return "UNSET", None
    description = mapping_in(line, "exception").get("message") or line.get("reason")
    return "ERROR", description if isinstance(description, str) else None

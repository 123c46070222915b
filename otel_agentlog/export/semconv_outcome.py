"""From how something ended to ``error.type`` and span status.

Hides who counts as failed: ``failed`` and ``timed_out`` are errors; ``cancelled`` and ``interrupted`` are neither error nor
success and show in ``agentlog.outcome`` only. A success leaves the status unset, never OK.
"""

from __future__ import annotations

from otel_agentlog.export.semconv_fields import mapping_in
from otel_agentlog.export.semconv_names import OTHER
from otel_agentlog.model import Line, Outcome

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


def span_status(line: Line) -> tuple[str, str | None]:
    """Code (``ERROR`` or ``UNSET``) and description of an end line's span."""
    if line.get("outcome") not in _ERRORS:
        return "UNSET", None
    description = mapping_in(line, "exception").get("message") or line.get("reason")
    return "ERROR", description if isinstance(description, str) else None

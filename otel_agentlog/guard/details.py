"""All about one error in one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_agentlog.errors import AgentlogError
from otel_agentlog.guard.categories import cause_of
from otel_agentlog.guard.categories_look import MAX_TEXT
from otel_agentlog.guard.suggestions import advice
from otel_agentlog.guard.suggestions_words import ErrorCategory
from otel_agentlog.record import recorder, told, was_raised


@dataclass(frozen=True)
class ErrorDetails:
    """What is known about an error. Message, context and stack trace are redacted; still, they are not for users' eyes."""

    category: ErrorCategory
    message: str
    """``Type: text``, of a long text the beginning."""
    context: Mapping[str, Any] = field(default_factory=dict)
    suggestions: tuple[str, ...] = ()
    """What to do about it, at least three; the most likely remedy first."""
    stack_trace: str = ""
    """As Python prints it; empty for an error that was never raised."""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "category": self.category.value,
            "message": self.message,
            "context": dict(self.context),
            "suggestions": list(self.suggestions),
            "stack_trace": self.stack_trace,
        }


def error_details(error: BaseException, **context: Any) -> ErrorDetails:
    """All that is known about an exception; ``context`` is put beside its own. Raises nothing, records nothing."""
    cause = cause_of(error)
    record = recorder()
    own = object.__getattribute__(error, "__dict__").get("context") if issubclass(type(error), AgentlogError) else None
    gathered = {**(own if isinstance(own, dict) else {}), **context}
    cleaned = record.clean_value(gathered)
    message, stack_trace = told(error)
    return ErrorDetails(
        category=cause.category,
        message=record.clean_text(f"{type(error).__name__}: {message[:MAX_TEXT]}"),
        context=cleaned if isinstance(cleaned, dict) else {},
        suggestions=advice(cause.category, cause.suggestions),
        stack_trace=record.clean_text(stack_trace) if was_raised(error) else "",
    )


def classify(error: BaseException) -> dict[str, Any]:
    """Category and suggestions as they stand in the ``exception`` object of a line."""
    cause = cause_of(error)
    return {"category": cause.category.value, "suggestions": list(advice(cause.category, cause.suggestions))}

"""When it goes wrong: categories, suggestions, error ids, messages for users, handling with an audit trail."""

from otel_agentlog.guard.categories import categorize, register_category, suggestions_for
from otel_agentlog.guard.details import ErrorDetails, classify, error_details
from otel_agentlog.guard.suggestions_words import ErrorCategory

__all__ = [
    "ErrorCategory",
    "ErrorDetails",
    "categorize",
    "classify",
    "error_details",
    "register_category",
    "suggestions_for",
]

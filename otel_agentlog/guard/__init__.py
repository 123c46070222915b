"""When it goes wrong: categories, suggestions, error ids, messages for users, handling with an audit trail, retries."""

from otel_agentlog.guard.categories import categorize, register_category, suggestions_for
from otel_agentlog.guard.details import ErrorDetails, classify, error_details
from otel_agentlog.guard.handling import ErrorHandler, Handled, handle_errors
from otel_agentlog.guard.performance import log_performance
from otel_agentlog.guard.retries import Attempt, Retrying, retrying
from otel_agentlog.guard.retries_waits import backoff_s
from otel_agentlog.guard.suggestions_words import ErrorCategory
from otel_agentlog.guard.user_messages import USER_ERROR_TYPES, format_error_for_user, log_and_format_error

__all__ = [
    "USER_ERROR_TYPES",
    "Attempt",
    "ErrorCategory",
    "ErrorDetails",
    "ErrorHandler",
    "Handled",
    "Retrying",
    "backoff_s",
    "categorize",
    "classify",
    "error_details",
    "format_error_for_user",
    "handle_errors",
    "log_and_format_error",
    "log_performance",
    "register_category",
    "retrying",
    "suggestions_for",
]

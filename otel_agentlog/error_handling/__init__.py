"""When it goes wrong: categories, advice, messages for users, handling with an audit trail, retries.

category.py           the seven categories, and what a known cause is
categories.py         exception → category, suggestions, details; rules that users register
known_categories.py   the tables behind that: class names, errno, HTTP status, words
lookup.py             reads what exceptions of other packages carry: status, code, causes, members
advice.py             the texts of suggestions, by cause and by category
handling.py           `handle_errors`: recover, fall back, or raise, with an audit trail
retries.py            `retrying`: what is tried again, how long to wait, the loop
performance.py        `log_performance`: how long functions take
user_messages.py      what a user in a chat reads about an error
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentlog._startup import lazy_names

if TYPE_CHECKING:
    from otel_agentlog.error_handling.categories import ErrorDetails as ErrorDetails
    from otel_agentlog.error_handling.categories import categorize as categorize
    from otel_agentlog.error_handling.categories import error_details as error_details
    from otel_agentlog.error_handling.categories import register_category as register_category
    from otel_agentlog.error_handling.category import ErrorCategory as ErrorCategory
    from otel_agentlog.error_handling.handling import handle_errors as handle_errors
    from otel_agentlog.error_handling.performance import log_performance as log_performance
    from otel_agentlog.error_handling.retries import retrying as retrying
    from otel_agentlog.error_handling.user_messages import format_error_for_user as format_error_for_user
    from otel_agentlog.error_handling.user_messages import log_and_format_error as log_and_format_error

_HOMES = {
    "categories": "ErrorDetails categorize error_details register_category",
    "category": "ErrorCategory",
    "handling": "handle_errors",
    "performance": "log_performance",
    "retries": "retrying",
    "user_messages": "format_error_for_user log_and_format_error",
}
__all__, __getattr__ = lazy_names(__name__, _HOMES)

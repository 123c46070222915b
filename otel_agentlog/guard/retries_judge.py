"""Whether trying again can help, and how long a server asks to wait.

Hides the ways in which HTTP clients carry the response of an error, and the three forms of ``Retry-After``: seconds and HTTP date
(RFC 9110 §10.2.3), and ``retry-after-ms``, milliseconds, which model providers send. ``x-should-retry`` (``true`` or ``false``)
is a provider's own word on it. None of this believes what it reads: headers come from outside.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from email.utils import mktime_tz, parsedate_tz
from typing import Any

from otel_agentlog.guard.categories import categorize
from otel_agentlog.guard.categories_look import attribute, http_status, leaves, service_code
from otel_agentlog.guard.suggestions_words import ErrorCategory
from otel_agentlog.model import Outcome

TRANSIENT_STATUS = frozenset({408, 409, 425, 429})
"""Answers of the kind 4xx after which the same request may succeed."""
FINAL_STATUS = frozenset({501, 505})
"""Answers of the kind 5xx after which it cannot."""

_FINAL_CATEGORIES = frozenset({ErrorCategory.VALIDATION, ErrorCategory.PERMISSION})
_FINAL_CODES = ("insufficient_quota", "billing_hard_limit")
"""Words of a service that send 429 for what waiting does not mend."""
_FINAL_TYPES = (
    *(NameError, AttributeError, TypeError, ImportError, SyntaxError, NotImplementedError, AssertionError, RecursionError),
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError, StopIteration, StopAsyncIteration),
)
"""Faults of the program, and what is missing and does not come by itself."""
_MAX_HEADER = 100
_OVER = (Outcome.CANCELLED, Outcome.INTERRUPTED)


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception means that somebody wants this to end; it is never tried again."""
    # Of the class, not with isinstance: that reads __class__, and an exception's class may raise at any attribute.
    kind = type(error)
    return not issubclass(kind, Exception) or issubclass(kind, CancelledError) or _declared(error) in _OVER


def can_help(error: BaseException) -> bool:
    """Whether trying again may succeed, as far as the error tells. All errors of a group must be such."""
    if is_cancellation(error):
        return False
    inner = leaves(error)
    return all(_can_help(leaf) for leaf in inner) if inner else _can_help(error)


def _can_help(error: BaseException) -> bool:
    if is_cancellation(error) or issubclass(type(error), _FINAL_TYPES):
        return False
    told = _header(error, "x-should-retry")
    if told in ("true", "false"):
        return told == "true"
    if any(code in service_code(error) for code in _FINAL_CODES):
        return False
    status = http_status(error)
    if status is not None:
        return status in TRANSIENT_STATUS or (status >= 500 and status not in FINAL_STATUS)
    return categorize(error) not in _FINAL_CATEGORIES


def asked_wait_s(error: BaseException) -> float | None:
    """Seconds that the server asks to wait before the next attempt; ``None`` if it asks for none. The longest one of a group."""
    asked = [wait for leaf in leaves(error) or [error] if (wait := _asked(leaf)) is not None]
    return max(asked, default=None)


def _asked(error: BaseException) -> float | None:
    milliseconds = _number(_header(error, "retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = _header(error, "retry-after")
    seconds = _number(text)
    return seconds if seconds is not None or text is None else _seconds_until(text)


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    # float() reads "nan", "inf" and "1_0" too.
    return found if math.isfinite(found) and found > 0 and "_" not in (text or "") else None


def _seconds_until(text: str) -> float | None:
    try:
        parsed = parsedate_tz(text)
        seconds = mktime_tz(parsed) - time.time() if parsed is not None else 0.0
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return seconds if seconds > 0 else None


def _header(error: BaseException, name: str) -> str | None:
    """A header of the response an error carries, in lower case; ``None`` where there is none."""
    for headers in _headers(error):
        value = _value(headers, name)
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if isinstance(value, str) and len(value) <= _MAX_HEADER:
            return value.strip().lower()
    return None


def _headers(error: BaseException) -> list[Any]:
    response = attribute(error, "response")
    found = [attribute(response, "headers"), attribute(error, "headers")]
    if isinstance(response, dict):
        # botocore keeps the parsed answer as a dict.
        metadata = response.get("ResponseMetadata")
        found.append(metadata.get("HTTPHeaders") if isinstance(metadata, dict) else None)
    return [headers for headers in found if headers is not None]


def _value(headers: Any, name: str) -> Any:
    try:
        if isinstance(headers, Mapping) and type(headers) is dict:
            return next((value for key, value in headers.items() if isinstance(key, str) and key.lower() == name), None)
        return headers.get(name)
    except Exception:  # noqa: BLE001 - headers are an object of anybody's class
        return None


def _declared(error: BaseException) -> object:
    return attribute(type(error), "agentlog_outcome")

"""An error that was recorded, as the HTTP answer that a client made it of.

The clients of Anthropic and OpenAI write status and body into the message of the exception: ``Error code: 429 - {'error': …}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.vocabulary.coerce import python_literal, text

_CODE = re.compile(r"Error code: (\d{3}) - (.*)", re.DOTALL)
_OF_CLIENTS = frozenset({"anthropic", "openai", "httpx", "httpx2", "httpcore", "httpcore2"})
_STATUSES = {
    "BadRequestError": 400,
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "ConflictError": 409,
    "RequestTooLargeError": 413,
    "UnprocessableEntityError": 422,
    "RateLimitError": 429,
    "InternalServerError": 500,
    "ServiceUnavailableError": 503,
    "DeadlineExceededError": 504,
    "OverloadedError": 529,
}
_MAX_BODY = 200_000


@dataclass(frozen=True)
class Refusal:
    """What a client got in the place of an answer."""

    status: int | None
    """``None``: the connection was lost."""
    body: Any = None


def refusal_of(exception: Mapping[str, Any], provider: str) -> Refusal | None:
    """The answer behind an exception; ``None`` if there is no exception, or none that a client makes of an answer."""
    name, message = text(exception, "type") or "", text(exception, "message") or ""
    package, _, kind = name.rpartition(".")
    if (found := _CODE.fullmatch(message)) is not None:
        return Refusal(int(found[1]), _body(found[2]))
    if kind in _STATUSES and package.partition(".")[0] in _OF_CLIENTS:
        return Refusal(_STATUSES[kind], error_body(provider, _STATUSES[kind], message))
    return Refusal(None) if package.partition(".")[0] in _OF_CLIENTS and kind.endswith(("Error", "Timeout")) else None


def error_body(provider: str, status: int, message: str) -> dict[str, Any]:
    """An error in the words of a provider."""
    if provider == "anthropic":
        kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
        return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def _body(written: str) -> Any:
    if len(written) > _MAX_BODY:
        return {"error": {"message": written[:1000]}}
    return python_literal(written, written)

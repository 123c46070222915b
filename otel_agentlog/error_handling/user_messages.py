"""What a user in a chat reads about an error: fixed texts, and the id by which an operator finds it.

They contain nothing of the exception, its traceback or its context: the only variable parts are the id, if it has the
form of one, and which of the fixed texts it is.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.error_handling.advice import CAUSES
from otel_agentlog.error_handling.categories import categorize, cause_of
from otel_agentlog.error_handling.category import ErrorCategory
from otel_agentlog.error_handling.lookup import attribute, package_of
from otel_agentlog.errors import AgentlogError, ConfigurationError
from otel_agentlog.record.exceptions.error_id import assign_error_id, new_error_id
from otel_agentlog.record.exceptions.error_id import error_id as id_of
from otel_agentlog.record.logs.line import text_of
from otel_agentlog.record.logs.logger import AgentLogger, get_logger
from otel_agentlog.record.sanitize.keys import own_dict, plain_text

_TO_CALLER = 3
"""Frames from `_log` to `log_and_format_error`."""

_ID = re.compile(r"[0-9a-z]{8}", re.ASCII)


@dataclass(frozen=True)
class UserText:
    """What a user reads about one type of error."""

    title: str
    what: str
    """What happened, in general."""
    steps: tuple[str, ...]
    """What the user can do."""

    def markdown(self, identity: str | None) -> str:
        parts = [f"**{self.title}**", self.what, "What you can do:\n" + "\n".join(f"- {step}" for step in self.steps)]
        if identity is not None:
            parts.append(f"Error id: `{identity}`")
        return "\n\n".join(parts)


_REPORT = "If it happens again, tell the people who run this service the error id."

_TEXTS: Mapping[str, UserText] = {
    "timeout": UserText(
        "That took too long",
        "The work did not finish in the time it is given, and was stopped.",
        ("Try again in a few minutes.", "Ask for less at once, or split it into smaller requests.", _REPORT),
    ),
    "claude_error": UserText(
        "The AI service did not answer",
        "The request to the model did not succeed. Nothing was changed.",
        ("Try again in a minute or two.", "Shorten the request if it was very long.", _REPORT),
    ),
    "parse_error": UserText(
        "The answer could not be read",
        "Something came back in a form that could not be understood.",
        ("Try again: the next answer is often well-formed.", "Say more precisely which form you expect.", _REPORT),
    ),
    "config_error": UserText(
        "Something is not set up correctly",
        "A setting is missing or has a value that cannot be used. Trying again will not help.",
        ("Tell the people who run this service the error id.", "Check what was changed last, if you run it yourself."),
    ),
    "permission_error": UserText(
        "That is not allowed",
        "A right that is needed for this is missing. Trying again will not help.",
        ("Check that you have access to what you asked for.", "Ask an administrator for the right, and give the error id."),
    ),
    "session_error": UserText(
        "The conversation could not be continued",
        "What was said before is no longer available here.",
        ("Start a new conversation.", "Repeat the important points in your first message.", _REPORT),
    ),
    "lock_error": UserText(
        "Somebody else is at work here",
        "Another request is being carried out on the same thing at the moment.",
        ("Wait until it is done, then try again.", "If nothing else is running, try again in a few minutes.", _REPORT),
    ),
    "resource_error": UserText(
        "There is too much to do at the moment",
        "A limit was reached, and the work was stopped.",
        ("Try again in a few minutes.", "Ask for less at once.", _REPORT),
    ),
    "dependency_error": UserText(
        "A service that is needed does not answer",
        "The work could not be finished without it.",
        ("Try again in a few minutes.", _REPORT),
    ),
    "validation_error": UserText(
        "That could not be understood",
        "Something in the request has a form that cannot be used.",
        ("Check the request for missing or mistyped parts.", "Say it in another way, with an example.", _REPORT),
    ),
}
_OTHER = UserText("Something went wrong", "The work could not be finished.", ("Try again.", _REPORT))

USER_ERROR_TYPES = tuple(_TEXTS)
"""The types that have a text of their own; any other gets a general one."""

_BY_CATEGORY = {
    ErrorCategory.TIMEOUT: "timeout",
    ErrorCategory.PERMISSION: "permission_error",
    ErrorCategory.RESOURCE: "resource_error",
    ErrorCategory.DEPENDENCY: "dependency_error",
    ErrorCategory.VALIDATION: "validation_error",
}
_BY_CAUSE = {"invalid_json": "parse_error", "invalid_document": "parse_error", "locked": "lock_error"}
_PROVIDERS = {"anthropic", "openai", "claude_agent_sdk", "claude_code_sdk"}


def user_text(error: BaseException | None, error_type: object) -> tuple[str, UserText]:
    """The type of an error, as given or else derived from the exception, and the text for it."""
    kind = plain_text(error_type) if issubclass(type(error_type), str) else _type_of(error)
    return kind, _TEXTS.get(kind, _OTHER)


def format_error_for_user(
    error_or_message: BaseException | str | None = None, error_type: str | None = None, error_id: str | None = None
) -> str:
    """Markdown for a chat: what happened in general, what the user can do, and the error's id.

    Args:
        error_or_message: an exception, of which at most its kind and recorded id are used, or a text, of which nothing is.
        error_type: one of `USER_ERROR_TYPES`; any other word gives the general text. Default: derived from the exception.
        error_id: the id to show, eight of ``0-9a-z``; anything else is not shown. Default: the exception's, if it has one.
    """
    given = exception_of(error_or_message)
    shown = shown_id(error_id if error_id is not None or given is None else id_of(given))
    return user_text(given, None if error_type is None else plain_text(error_type))[1].markdown(shown)


Logger: TypeAlias = "AgentLogger | logging.Logger | logging.LoggerAdapter[Any]"


def log_and_format_error(
    *given: Any,
    error: BaseException | str | None = None,
    error_type: str | None = None,
    logger: Logger | None = None,
    message: str | None = None,
    context: Mapping[str, Any] | None = None,
    stacklevel: int = 1,
    **more: Any,
) -> tuple[str, str]:
    """Log an error with all that is known about it, and return a message for the user without any of that; never raises.

    ``log_and_format_error(error, error_type)``, or with the logger first: ``log_and_format_error(logger, error=error, …)``.

    Args:
        given: the error and its type; or the logger, the type, the message and the error, as far as they have no keyword.
        error: an exception, or a message, which is logged as one.
        error_type: as in `format_error_for_user`.
        logger: where to log it; default a logger of this package's own.
        message: the log line's message.
        context: data for the log line; ``more`` is added to it.
        stacklevel: which caller the line names, as in stdlib ``logging``.

    Returns:
        The error id, the same in the log, the folder, the span and the message; and the message, as Markdown.
    """
    try:
        rest = list(given)
        if rest and _is_logger(rest[0]):
            logger = rest.pop(0)
        if found := [each for each in rest if exception_of(each) is not None]:
            error = found[0]
            rest = [each for each in rest if each is not error]
        elif error is None and rest and not (len(rest) > 1 and plain_text(rest[0]) in _TEXTS):
            error = rest.pop(0)
        error_type = rest.pop(0) if rest else error_type
        message = rest.pop(0) if rest else message
        data = {**own_dict(context, "context"), **more}
        level = stacklevel if type(stacklevel) is int else 1
        return _logged(error, error_type, logger, message, data, level + _TO_CALLER)
    except Exception:  # noqa: BLE001 - it is called where an error is handled, which another one must not hide
        raise_interrupt()
        identity = new_error_id()
        return identity, _OTHER.markdown(identity)


def _is_logger(value: object) -> bool:
    if issubclass(type(value), (str, bytes, BaseException)):
        return False
    known = issubclass(type(value), (AgentLogger, logging.Logger, logging.LoggerAdapter))
    return known or callable(attribute(value, "error"))


def _logged(
    error: object, error_type: object, logger: Logger | None, message: object, context: dict[str, Any], stacklevel: int
) -> tuple[str, str]:
    found = exception_of(error)
    if found is None:
        found = AgentlogError(text_of(message if error is None else error))
    identity = assign_error_id(found)
    kind, text = user_text(found, error_type)
    data: dict[str, Any] = {"error_id": identity, "error_type": kind, "category": categorize(found).value}
    if context:
        data["context"] = context
    line = "error told to the user" if message is None else text_of(message)
    try:
        _log(logger, line, found, data, stacklevel)
    except Exception:  # noqa: BLE001 - a logger of the user's; the line is recorded all the same
        raise_interrupt()
        _log(None, line, found, data, stacklevel)
    return identity, text.markdown(shown_id(identity))


def _log(logger: Logger | None, message: str, error: BaseException, data: dict[str, Any], stacklevel: int) -> None:
    if issubclass(type(logger), (logging.Logger, logging.LoggerAdapter)):
        cast(logging.Logger, logger).error(message, exc_info=error, extra=data, stacklevel=stacklevel)
    else:
        own = get_logger("otel_agentlog.errors") if logger is None else cast(AgentLogger, logger)
        own.error(message, exc_info=error, stacklevel=stacklevel, **data)


def exception_of(value: object) -> BaseException | None:
    """The value if it is an exception."""
    # By the class, as isinstance reads __class__, which is an exception's own code.
    return cast(BaseException, value) if issubclass(type(value), BaseException) else None


def shown_id(identity: object) -> str | None:
    """The text if it has the form of an error id."""
    # The match, not what was given: that may be of a subclass of ``str`` with its own ``__format__``.
    found = _ID.fullmatch(cast(str, identity)) if issubclass(type(identity), str) else None
    return None if found is None else found[0]


def _type_of(error: BaseException | None) -> str:
    if error is None:
        return "other"
    if issubclass(type(error), ConfigurationError):
        return "config_error"
    cause = cause_of(error)
    by_cause = next((kind for name, kind in _BY_CAUSE.items() if CAUSES[name] is cause), None)
    if by_cause is not None:
        return by_cause
    if package_of(error) in _PROVIDERS and cause.category is not ErrorCategory.TIMEOUT:
        return "claude_error"
    return _BY_CATEGORY.get(cause.category, "other")

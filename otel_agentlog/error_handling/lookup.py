"""Reads exceptions that may be anything: attributes that raise, values of any type, chains that go in circles.

Packages of others are recognised by the names of their classes and by the attributes they share; none of them is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otel_agentlog._interrupts import raise_interrupt, traceback_of
from otel_agentlog.record.exceptions.describe import message_of

MAX_CHAIN = 10
"""How many exceptions of a chain of causes are read."""
MAX_LEAVES = 64
"""How many exceptions of a group are read."""
MAX_TEXT = 2_000
"""How many characters of a message are read."""


def attribute(value: object, name: str) -> Any:
    """The attribute, or ``None`` where there is none or reading it fails."""
    try:
        return getattr(value, name, None)
    except Exception:  # noqa: BLE001 - a property may run any code
        raise_interrupt()
        return None


def class_names(error: BaseException) -> Iterator[str]:
    """For each class of the exception, most special first: ``module.Name``, then ``Name``."""
    for kind in type(error).__mro__:
        if kind is object:
            return
        yield f"{kind.__module__}.{kind.__name__}"
        yield kind.__name__


def package_of(error: BaseException) -> str:
    """The package that the exception's class comes from."""
    return str(type(error).__module__).partition(".")[0]


def text_of(error: BaseException) -> str:
    """The beginning of the message, in lower case."""
    return message_of(error)[:MAX_TEXT].lower()


def http_status(error: BaseException) -> int | None:
    """The HTTP status that an exception carries, in whichever attribute its package keeps it."""
    response = attribute(error, "response")
    candidates = [
        attribute(error, "status_code"),
        attribute(response, "status_code"),
        attribute(error, "status"),
        attribute(response, "status"),
        attribute(error, "code"),
    ]
    if isinstance(response, dict):
        # botocore keeps the parsed answer as a dict.
        metadata = response.get("ResponseMetadata")
        candidates.append(metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None)
    return next((found for found in candidates if type(found) is int and 400 <= found <= 599), None)


def service_code(error: BaseException) -> str:
    """The word a service gives its error, in lower case: ``insufficient_quota``, ``throttlingexception``, ``unavailable`` …"""
    response = attribute(error, "response")
    words = [attribute(error, "code"), attribute(error, "type")]
    if isinstance(response, dict) and isinstance(response.get("Error"), dict):
        words.append(response["Error"].get("Code"))
    if callable(words[0]) and hasattr(type(error), "code"):
        words[0] = _grpc_code(words[0])
    return " ".join(word for word in words if isinstance(word, str))[:200].lower()


def _grpc_code(code: Any) -> str | None:
    try:
        return str(code().name)
    except Exception:  # noqa: BLE001 - a method may run any code
        raise_interrupt()
        return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The exceptions behind one, nearest first: explicit causes, and what was being handled if that was not ruled out."""
    seen = {id(error)}
    for _ in range(MAX_CHAIN):
        following = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if following is None or id(following) in seen:
            return
        seen.add(id(following))
        yield following
        error = following


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions within a group, however nested; empty for any other exception.

    A group is recognised by its attribute ``exceptions``: Python 3.10 has no groups of its own, and packages have theirs.
    """
    found: list[BaseException] = []
    waiting = _members(error)
    for _ in range(MAX_LEAVES):
        if not waiting:
            break
        inner = waiting.pop(0)
        members = _members(inner)
        waiting = members + waiting
        found += [] if members else [inner]
    return found


def _members(error: BaseException) -> list[BaseException]:
    given = attribute(error, "exceptions")
    if not isinstance(given, (tuple, list)):
        return []
    return [inner for inner in given[:MAX_LEAVES] if isinstance(inner, BaseException) and inner is not error]


def raised_by_subprocess(error: BaseException) -> bool:
    """Whether an exception was raised by the standard library when it started a program."""
    traceback = traceback_of(error)
    while traceback is not None:
        if traceback.tb_next is None:
            return traceback.tb_frame.f_globals.get("__name__") in ("subprocess", "asyncio.base_events", "asyncio.unix_events")
        traceback = traceback.tb_next
    return False

"""From any exception to what is known about it: a cause, a category, suggestions.

First the rules that users registered; then the exception itself (HTTP status, errno, class); then, where its class
is a general one, its cause, and the words of its message. `error_details` gives all of it in one object. Raises nothing, whatever
an exception does when its attributes are read.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any, TypeAlias

from otel_agentlog._interrupts import args_of, raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.error_handling import known_categories as known
from otel_agentlog.error_handling import lookup
from otel_agentlog.error_handling.advice import CAUSES, advice
from otel_agentlog.error_handling.category import Cause, ErrorCategory
from otel_agentlog.error_handling.lookup import MAX_TEXT
from otel_agentlog.errors import AgentlogError
from otel_agentlog.record.exceptions.class_info import FoundOnce
from otel_agentlog.record.exceptions.describe import is_simple, message_and_traceback, was_raised
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.sanitize.keys import plain_text

Rule: TypeAlias = "type[BaseException] | str | Callable[[BaseException], object]"
"""A class (subclasses too), a class's name (``Name`` or ``module.Name``; subclasses too), or a predicate."""


@dataclass(frozen=True, eq=False)
class _Registered:
    rule: Rule
    cause: Cause

    def fits(self, error: BaseException) -> bool:
        if isinstance(self.rule, type):
            return isinstance(error, self.rule)
        if isinstance(self.rule, str):
            return self.rule in lookup.class_names(error)
        try:
            return bool(self.rule(error))
        except Exception:  # noqa: BLE001 - a user's rule must not cost the record of the error it is applied to
            raise_interrupt()
            return False


_registered: tuple[_Registered, ...] = ()
_lock = threading.Lock()


def register_category(rule: Rule, category: ErrorCategory | str, *, suggestions: Iterable[str] = ()) -> Callable[[], None]:
    """Set the category of a kind of error; the rule registered last is tried first, and all of them before the built-in ones.

    A function among the rules is called with every error that is recorded: it should be quick, and counts as no match where
    it raises. Safe from any thread.

    Returns:
        A function that takes the rule back.

    Raises:
        ValueError: no such category.
        TypeError: the rule is neither an exception's class nor a name nor a function.
    """
    global _registered
    if isinstance(rule, type) and not issubclass(rule, BaseException):
        raise TypeError(f"expected a class of exceptions, found {rule.__name__}")
    if not isinstance(rule, str) and not callable(rule):
        raise TypeError(f"expected a class, a class's name or a function, found {type(rule).__name__}")
    entry = _Registered(rule, Cause(ErrorCategory(category), tuple(suggestions)))
    with _lock:
        # A new tuple each time: a loop over the old one is not disturbed.
        _registered = (entry, *_registered)
    return lambda: _forget(entry)


def _forget(entry: _Registered) -> None:
    global _registered
    with _lock:
        _registered = tuple(other for other in _registered if other is not entry)


def categorize(error: BaseException) -> ErrorCategory:
    """The category of any exception; ``UNKNOWN`` where nothing is known about it."""
    return cause_of(error).category


def cause_of(error: BaseException) -> Cause:
    """What is known about an exception."""
    if not issubclass(type(error), BaseException):
        return CAUSES["unknown"]
    try:
        return _cause_of(error)
    except Exception:  # noqa: BLE001 - the exception's class is foreign code, and a category must not cost its record
        raise_interrupt()
        return CAUSES["unknown"]


def _cause_of(error: BaseException) -> Cause:
    if (found := _by_rules(error)) is not None:
        return found
    if inner := lookup.leaves(error):
        return _most_common([_of_chain(leaf) for leaf in inner])
    return _of_chain(error)


def _most_common(found: list[Cause]) -> Cause:
    category = Counter(cause.category for cause in found).most_common(1)[0][0]
    return next(cause for cause in found if cause.category is category)


def _of_chain(error: BaseException) -> Cause:
    """Of an exception that is no group."""
    if (found := _by_rules(error) or _specific(error)) is not None:
        return found
    for behind in lookup.causes(error):
        if (found := _by_rules(behind) or _specific(behind)) is not None:
            return found
    by_message = _by_message(error)
    return CAUSES[by_message or _by_name(error, known.WEAK) or "unknown"]


def _by_rules(error: BaseException) -> Cause | None:
    return next((entry.cause for entry in _registered if entry.fits(error)), None)


def _specific(error: BaseException) -> Cause | None:
    """The category by the exception itself; ``None`` if its class only means that something failed."""
    for question in (_by_exit_code, _by_service, _by_errno, _by_class, _by_name_end):
        if (name := question(error)) is not None:
            return CAUSES[name]
    return None


def _by_exit_code(error: BaseException) -> str | None:
    code = lookup.attribute(error, "returncode")
    if type(code) is not int or code == 0:
        return None
    return known.EXIT_CODES.get(code, "killed" if code < 0 else "nonzero_exit")


def _by_service(error: BaseException) -> str | None:
    status = lookup.http_status(error)
    word = lookup.service_code(error)
    if word and (cause := next((cause for part, cause in known.SERVICE_WORDS if part in word), None)) is not None:
        return cause
    if status is None:
        return None
    if status == 400 and any(
        words in lookup.text_of(error) for words in ("prompt is too long", "context length", "context window")
    ):
        return "context_window"
    return known.BY_STATUS.get(status, "bad_request" if status < 500 else "service_unavailable")


def _by_errno(error: BaseException) -> str | None:
    if not isinstance(error, OSError) or type(error).__name__ in ("gaierror", "herror"):
        return None
    number = error.errno
    cause = known.BY_ERRNO.get(number) if isinstance(number, int) and lookup.package_of(error) in ("builtins", "socket") else None
    if cause == "missing_file" and lookup.raised_by_subprocess(error):
        return "missing_program"
    if cause == "too_many_processes" and isinstance(error, BlockingIOError) and not lookup.raised_by_subprocess(error):
        return "locked"
    return cause


def _by_class(error: BaseException) -> str | None:
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        return "unknown"
    found = _by_name(error, known.BY_CLASS)
    if found == "database" and "locked" in lookup.text_of(error):
        return "locked"
    return found


def _by_name(error: BaseException, table: Mapping[str, str]) -> str | None:
    """By the most special class that is in the table; a WEAK class ends the search."""
    for name in lookup.class_names(error):
        if name in table:
            return table[name]
        if name in known.WEAK:
            return None
    return None


def _by_name_end(error: BaseException) -> str | None:
    name = type(error).__name__
    return next((cause for ends, cause in known.NAME_ENDS if name.endswith(ends)), None)


def _by_message(error: BaseException) -> str | None:
    text = lookup.text_of(error)
    return next((cause for pattern, cause in known.MESSAGE_WORDS if pattern.search(text)), None)


@dataclass(frozen=True)
class ErrorDetails:
    """What is known about an error. Message, context and stack trace are redacted; still, they are not for users' eyes."""

    category: ErrorCategory
    message: str
    """``Type: text``, of a long text the beginning."""
    context: Mapping[str, Any] = field(default_factory=dict)
    suggestions: tuple[str, ...] = ()
    """What to do about it, at least three; the most likely remedy first. Fixed texts: nothing of the exception is in them."""
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
    if not issubclass(type(error), BaseException):
        error = AgentlogError(plain_text(error))
    cause = cause_of(error)
    record = recorder()
    own = object.__getattribute__(error, "__dict__").get("context") if issubclass(type(error), AgentlogError) else None
    gathered = {**(own if isinstance(own, dict) else {}), **context}
    cleaned = record.clean_value(gathered)
    message, stack_trace = message_and_traceback(error)
    return ErrorDetails(
        category=cause.category,
        message=record.clean_text(f"{type(error).__name__}: {message[:MAX_TEXT]}"),
        context=cleaned if isinstance(cleaned, dict) else {},
        suggestions=advice(cause.category, cause.suggestions),
        stack_trace=record.clean_text(stack_trace) if was_raised(error) else "",
    )


MAX_TEXTS_KEPT = 32
"""Of how many texts of one class the cause is kept."""


def _no_causes(kind: type) -> dict[tuple[Any, ...], Cause]:
    return {}


_causes_by_text = FoundOnce(_no_causes)


def classify(error: BaseException) -> dict[str, Any]:
    """Category and suggestions as in the ``exception`` object of a line."""
    if _registered or not is_simple(error):
        cause = cause_of(error)
    else:
        # The same for all with such a text: many errors of a program are one error many times.
        kept, text = _causes_by_text(type(error)), (str(error), *map(type, args_of(error)))
        found = kept.get(text)
        if found is None:
            if len(kept) >= MAX_TEXTS_KEPT:
                kept.clear()
            found = kept[text] = cause_of(error)
        cause = found
    return {"category": cause.category.value, "suggestions": list(advice(cause.category, cause.suggestions))}

"""Message and traceback of an exception, as Python shows them: in bounded time and size, whatever the exception is made of.

Plain exceptions, which nearly all are, are printed at once, and each place in the code that they passed only once: its printed
lines are kept. Where foreign code has a part in the text it is called on a thread,
for half a second; where it raises, does not return, or the text is too large, one is made without it (docs/decisions/0019).
"""

from __future__ import annotations

import builtins
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import CodeType, TracebackType
from typing import Any, TypeVar

from otel_agentlog._interrupts import args_of, cause_of, context_of, raise_interrupt, traceback_of
from otel_agentlog.record.exceptions.bounded_repr import (
    MAX_CHARACTERS,
    MAX_VALUES,
    BoundedRepr,
    cut,
    has_own_code,
    parts_of,
    text_of_args,
)
from otel_agentlog.record.exceptions.class_info import (
    FoundOnce,
    in_class,
    is_native,
    module_of,
    qualified_name,
    short_name,
    type_name,
)
from otel_agentlog.record.exceptions.error_id import MARK, Mark
from otel_agentlog.record.exceptions.timeout_call import TimedOut, call_apart, timeout_call

MAX_CHAINED = 32
"""How many exceptions of a chain, or of a group, are printed."""
MAX_FRAMES = 64
"""How many frames of one exception are printed."""
MAX_CHARACTERS_INSIDE = 2_000
"""Longest text of a cause, a context, a member or a note, where it is made without foreign code."""
MAX_PRINTED_CHARACTERS = 4 * MAX_CHARACTERS
"""Longest traceback."""

_EXCEPTION: Any = Exception
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)
_WITH_SUGGESTIONS = (AttributeError, NameError, ImportError) if sys.version_info >= (3, 12) else ()
"""When Python prints these it searches for similar names, in objects of any class."""

Result = TypeVar("Result")

_suppresses_context = BaseException.__dict__["__suppress_context__"].__get__
_dict_of = BaseException.__dict__["__dict__"].__get__


def message_of(error: BaseException) -> str:
    """``str(error)``; where that raises, does not return or is longer than 65,536 characters, as much as can be had."""
    if is_simple(error):
        return str(error)
    foreign, large = _foreign_classes([error])
    if large:
        return text_of_args(error)
    try:
        return cut(timeout_call(lambda: str.__str__(str(error)), foreign) if foreign else str(error))
    except TimedOut:
        why = "does not return"
    except Exception:  # noqa: BLE001 - __str__ of an exception is foreign code
        raise_interrupt()
        why = "raises"
    args = text_of_args(error)
    if is_native(in_class(error, "__str__")):
        return args
    return f"<{short_name(type(error))} whose __str__ {why}>{args and ': '}{args}"


def message_and_traceback(error: BaseException) -> tuple[str, str]:
    """`message_of` an exception, and what ``traceback.format_exception`` prints of it, with causes, groups and notes."""
    if is_simple(error):
        message = str(error)
        return message, _printed_frames(error) + _last_line(type(error), message)
    try:
        foreign, large = _foreign_classes(_chain_of(error), with_notes=True)
        made = [] if large else _made_by_python(error, foreign)
        message = made[0] if made else message_of(error)
        if len(made) == 2 and len(made[1]) <= MAX_PRINTED_CHARACTERS:
            return message, made[1]
        return message, _print(_StandIns().of(error, message), error)
    except Exception:  # noqa: BLE001 - groups that contain themselves, hostile frames, no stack left
        raise_interrupt()
        message = message_of(error)
        return message, f"{type_name(type(error))}: {message}"


def is_simple(error: BaseException) -> bool:
    """Whether an exception is one of a class without code of its own, raised with short plain values, and nothing else.

    Then all there is to know follows from its class, these values and its traceback, and none of it is foreign.
    """
    if not _is_simple_class(type(error)):
        return False
    own: dict[str, Any] = _dict_of(error)
    if own and (len(own) > 1 or MARK not in own):
        return False
    if cause_of(error) is not None or (context_of(error) is not None and not _suppresses_context(error)):
        return False
    args = args_of(error)
    for value in args:
        kind = type(value)
        if (kind is str and len(value) <= MAX_SIMPLE_CHARACTERS) or (kind is int and value.bit_length() < 64):
            continue
        if kind not in _SIMPLE:
            return False
    return len(args) <= MAX_SIMPLE_ARGS


MAX_SIMPLE_CHARACTERS = 4_096
MAX_SIMPLE_ARGS = 8
_SIMPLE = frozenset({bool, float, type(None)})


def _has_simple_class(kind: type) -> bool:
    complex_ones = (OSError, SyntaxError, *_WITH_SUGGESTIONS, *(() if _GROUP is None else (_GROUP,)))
    return not issubclass(kind, complex_ones) and not has_own_code(kind, reading=True)


_is_simple_class = FoundOnce(_has_simple_class)


def was_raised(error: BaseException) -> bool:
    """Whether an exception has a traceback of its own."""
    return traceback_of(error) is not None


def with_attributes_of(error: BaseException, read: Callable[[BaseException], Result]) -> Result:
    """``read(error)``, which reads attributes of the exception and of those it is chained to; properties may block as texts do.

    Raises:
        TimedOut: their code did not return in time. What ``read`` raises is raised, too.
    """
    if is_simple(error):
        return read(error)
    foreign: set[type] = set()
    for inner in islice(_chain_of(error), MAX_CHAINED):
        if has_own_code(type(inner), reading=True):
            foreign.add(type(inner))
        own = [value for value in islice(dict.values(_dict_of(inner)), MAX_VALUES) if type(value) is not Mark]
        foreign |= BoundedRepr(*args_of(inner)[:MAX_VALUES], *own).foreign
    return timeout_call(lambda: read(error), frozenset(foreign)) if foreign else read(error)


# -- the answer of a model that it brings ----------------------------------------------------------------------------------

_HOLDING = ("completion", "last_completion", "response", "raw_response", "run_data")
"""Where exceptions have it: openai's of answers that were cut, instructor's, HTTP clients', LiteLLM's, openai-agents'."""
_TAKEN = "__agentlog_answer__"
"""What is noted on an exception whose answer was taken."""
_MAX_RAISED = 8
"""How many exceptions of a chain are looked at."""


def answers_of(error: object) -> Iterator[tuple[BaseException, list[Any]]]:
    """An exception and those it was raised from, with what each has that may be an answer; none whose answer was taken.

    No code of the exceptions is called.
    """
    if not issubclass(type(error), BaseException):
        return
    for each in islice(_chain_of(error, with_contexts=False), _MAX_RAISED):  # type: ignore[arg-type]  # it is one
        own = _dict_of(each)
        held = [value for name in _HOLDING if (value := dict.get(own, name)) is not None]
        if held and dict.get(own, _TAKEN) is None:
            yield each, held


def answer_taken(error: BaseException) -> None:
    """Note that the answer of an exception was taken, so that it is not counted again where the exception is recorded next."""
    try:
        object.__setattr__(error, _TAKEN, True)
    except (AttributeError, TypeError):
        raise_interrupt()  # as with error ids


# -- is it plain? --------------------------------------------------------------------------------------------------------


def _foreign_classes(errors: Iterable[BaseException], *, with_notes: bool = False) -> tuple[frozenset[type], bool]:
    """The foreign classes whose code makes the text of exceptions, and whether the text is too large to be made at all."""
    foreign: set[type] = set()
    for number, error in enumerate(errors):
        kind = type(error)
        own = has_own_code(kind) or (with_notes and issubclass(kind, _WITH_SUGGESTIONS))
        if own:
            foreign.add(kind)
        found = BoundedRepr(*([] if own else parts_of(error)), *(_notes_of(error) if with_notes else ()))
        foreign |= found.foreign
        if found.large or number >= MAX_CHAINED:
            return frozenset(foreign), True
    return frozenset(foreign), False


def _chain_of(error: BaseException, *, with_contexts: bool = True) -> Iterator[BaseException]:
    """An exception and all that Python prints with it, each once; of a large group the first.

    Without contexts: not what was being handled when it was raised.
    """
    waiting, seen = [error], {id(error)}
    while waiting:
        error = waiting.pop(0)
        yield error
        context = context_of(error) if with_contexts and not _suppresses_context(error) else None
        for other in (cause_of(error), context, *_members_of(error)[:MAX_CHAINED]):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)


def _members_of(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions in a group of Python's own (3.11); none of any other exception."""
    if _GROUP is None or not issubclass(type(error), _GROUP):
        return ()
    found: tuple[BaseException, ...] = _GROUP.__dict__["exceptions"].__get__(error)
    return found


def _notes_of(error: BaseException) -> list[Any]:
    """What ``add_note`` put on an exception."""
    notes = dict.get(_dict_of(error), "__notes__")
    return [] if notes is None else notes[: MAX_CHAINED + 1] if type(notes) is list else [notes]


# -- printed by Python ---------------------------------------------------------------------------------------------------


def _made_by_python(error: BaseException, foreign: frozenset[type]) -> list[str]:
    """Message and traceback; one or none of them if foreign code in them does not return, or raises."""
    made: list[str] = []

    def make() -> None:
        made.append(cut(str.__str__(str(error))))
        made.append(_print(error, error))

    try:
        timeout_call(make, foreign) if foreign else make()
    except Exception:  # noqa: BLE001 - not in time, or foreign code raised; what was made before is kept
        raise_interrupt()
    return made.copy()


MAX_PLACES = 4_096
"""Of how many places in the code the printed lines are kept."""
_places: dict[tuple[int, int, int], tuple[CodeType, str]] = {}
"""By the identity of the code, the instruction and the line: the code, which keeps that its own, and what is printed."""


def _printed_frames(error: BaseException) -> str:
    """The traceback of an exception without its last line."""
    at = first = traceback_of(error)
    if at is None:
        return ""
    lines = ["Traceback (most recent call last):\n"]
    while at is not None and len(lines) <= MAX_FRAMES:
        found = _places.get((id(at.tb_frame.f_code), at.tb_lasti, at.tb_lineno))
        if found is None or lines[-1] == found[1]:
            # New, or a recursion, whose frames are printed as one.
            return lines[0] + "".join(call_apart(lambda: _print_places(first)))
        lines.append(found[1])
        at = at.tb_next
    return "".join(lines)


def _print_places(at: TracebackType | None) -> list[str]:
    """What Python prints of the frames; that of each is kept, unless some are printed as one."""
    printed = traceback.format_tb(at, limit=MAX_FRAMES)
    places: list[tuple[CodeType, int, int]] = []
    while at is not None and len(places) < MAX_FRAMES:
        places.append((at.tb_frame.f_code, at.tb_lasti, at.tb_lineno))
        at = at.tb_next
    if len(places) == len(printed):
        if len(_places) > MAX_PLACES:
            _places.clear()
        _places.update({(id(code), *where): (code, text) for (code, *where), text in zip(places, printed, strict=True)})  # type: ignore[misc]  # two numbers
    return printed


def _last_line(kind: type, message: str) -> str:
    module, name = module_of(kind), qualified_name(kind)
    if type(module) is str and module not in ("builtins", "__main__"):
        name = f"{module}.{name}"
    return f"{name}: {message}\n" if message else f"{name}\n"


def _print(shown: BaseException, error: BaseException) -> str:
    lines = call_apart(lambda: traceback.format_exception(type(shown), shown, traceback_of(error), limit=MAX_FRAMES))
    return "".join(lines)


class _StandIns:
    """Harmless exceptions for those that must not be touched, with their names, frames, notes and chain: Python prints these."""

    def __init__(self) -> None:
        self._made: dict[int, BaseException] = {}

    def of(self, error: BaseException, text: str) -> BaseException:
        """What is printed for an exception with this text."""
        name = qualified_name(type(error))
        named = {"__module__": module_of(type(error)), "__qualname__": name, "__str__": lambda _: text}
        members = [found for inner in _members_of(error) if (found := self._inside(inner)) is not None]
        shown: BaseException = type(name, (_GROUP,), named)("group", members) if members else type(name, (_EXCEPTION,), named)()
        self._made[id(error)] = shown
        shown.__cause__, shown.__context__ = self._inside(cause_of(error)), self._inside(context_of(error))
        shown.__suppress_context__ = _suppresses_context(error)
        if notes := _notes_of(error)[:MAX_CHAINED]:
            texts = [cut(note if type(note) is str else BoundedRepr(note).text, MAX_CHARACTERS_INSIDE) for note in notes]
            shown.__notes__ = texts  # type: ignore[attr-defined, unused-ignore]  # Python 3.11
        return shown.with_traceback(traceback_of(error))

    def _inside(self, error: BaseException | None) -> BaseException | None:
        if error is None or id(error) in self._made or len(self._made) >= MAX_CHAINED:
            return None if error is None else self._made.get(id(error))
        return self.of(error, cut(message_of(error), MAX_CHARACTERS_INSIDE))

"""Tells what has a text that can be had at once: builtin values of moderate size, and exceptions of nothing else.

Hides which classes those are and where exceptions keep what their text is made of. Runs no foreign code. What is not plain is
either of foreign classes, whose code may block, or too large: of that a text of bounded size is made here.
"""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import islice
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any
from uuid import UUID

from otel_agentlog.record.exceptions.error_id import Mark
from otel_agentlog.record.sanitize.class_info import MAX_INT_BITS, bases_of, defined_in

MOST_CHARACTERS = 65_536
"""Longest text kept of an exception."""
MOST_VALUES = 2_000
"""How many values are looked at."""
_AROUND = 4
"""Characters around a value in a container: quotes, comma, space."""
MOST_CHAINED = 32
"""How many exceptions of a chain, or of a group, are told with their tracebacks."""

_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)
_BUILTIN = frozenset(found for found in vars(builtins).values() if isinstance(found, type) and issubclass(found, BaseException))
_TEXTS = frozenset(base.__str__ for base in (BaseException, KeyError, OSError, _GROUP) if base is not None)
"""How builtin exceptions make their text; the other ways look at more than is looked at here."""
_TOUCHED = frozenset(
    {
        *("__str__", "__repr__", "__format__", "__class__", "__dict__", "__getattribute__", "__getattr__"),
        *("__cause__", "__context__", "__suppress_context__", "__traceback__", "__notes__", "exceptions"),
        *("__eq__", "__hash__", "__bool__", "__len__"),
    }
)
"""What a class may define that is run when its exceptions are printed."""
_SUGGESTING = (AttributeError, NameError, ImportError) if sys.version_info >= (3, 12) else ()
"""For these Python looks for similar names, in objects of any make, when it prints them."""
_SCALARS = frozenset({int, float, bool, complex, type(None), type(...), UUID, Decimal, date, timedelta})
_STILL = frozenset(
    {str, int, float, bool, type(None), tuple, dict}
    | {types.FunctionType, types.GetSetDescriptorType, types.MemberDescriptorType, staticmethod}
)
"""Of what types the attributes of a class are that are read without running anything."""
_PATHS = frozenset({PosixPath, WindowsPath, PurePosixPath, PureWindowsPath})
_OS_FIELDS = [OSError.__dict__[name] for name in ("errno", "strerror", "filename", "filename2")]

cause_of = BaseException.__dict__["__cause__"].__get__
context_of = BaseException.__dict__["__context__"].__get__
suppresses_context = BaseException.__dict__["__suppress_context__"].__get__
traceback_of = BaseException.__dict__["__traceback__"].__get__
_dict_of = BaseException.__dict__["__dict__"].__get__
args_of = BaseException.__dict__["args"].__get__


@dataclass
class Look:
    """What was found in some values."""

    foreign: set[type]
    """Classes whose code would be run to make a text of them."""
    large: bool = False
    """Whether the text would be longer than is kept, or take long to make."""

    @property
    def plain(self) -> bool:
        """Whether the text can be had at once."""
        return not self.foreign and not self.large


def look_at(values: Iterable[object]) -> Look:
    """Look into values and what they contain."""
    look, left, room = Look(set()), MOST_VALUES, MOST_CHARACTERS
    waiting = list(islice(values, MOST_VALUES))
    while waiting:
        value = waiting.pop()
        left -= 1
        room -= _size(value) + _AROUND
        if left < 0 or room < 0:
            look.large = True
            break
        inner = _inner(value, left)
        if inner is None:
            look.foreign.add(type(value))
        else:
            waiting += inner
    return look


def _size(value: object) -> int:
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value)  # type: ignore[arg-type]  # as the line above found
    if kind is int:
        return MOST_CHARACTERS + 1 if value.bit_length() > MAX_INT_BITS else 0  # type: ignore[attr-defined]  # the same
    return 0


def _inner(value: Any, most: int) -> list[Any] | None:
    """The first values in a builtin container, nothing for a scalar; ``None`` for an object of a foreign class."""
    kind = type(value)
    if kind is str or kind is bytes or kind in _SCALARS or kind in _PATHS:
        return []
    if kind is tuple or kind is list:
        return list(value[: most + 1])
    if kind is dict or kind is set or kind is frozenset:
        return _first(value, most + 1)
    if kind is datetime:
        return [] if value.tzinfo is None or type(value.tzinfo) is timezone else None
    return parts_of(value) if issubclass(kind, BaseException) and is_simple(kind) else None


def _first(value: Any, most: int) -> list[Any] | None:
    try:
        found = list(islice(value.items() if type(value) is dict else value, most))
    except RuntimeError:
        # Another thread is changing it.
        return None
    return [part for pair in found for part in pair] if type(value) is dict else found


def is_simple(kind: type) -> bool:
    """Whether printing exceptions of a class runs no code but Python's own."""
    if type(kind) is not type:
        return False
    for base in bases_of(kind):
        if base in _BUILTIN:
            return base.__str__ in _TEXTS
        if not defined_in(base).keys().isdisjoint(_TOUCHED):
            return False
    return False


def _is_still(kind: type) -> bool:
    """Whether reading attributes of exceptions of a class runs no code: it has no properties and the like."""
    for base in bases_of(kind):
        if base in _BUILTIN:
            return True
        # Of the methods only gRPC's ``code()`` is called.
        defined = defined_in(base)
        if type(defined.get("code")) is types.FunctionType or any(type(value) not in _STILL for value in defined.values()):
            return False
    return False


def parts_of(error: BaseException) -> list[Any]:
    """What the text of an exception of a simple class is made of."""
    if _GROUP is not None and issubclass(type(error), _GROUP):
        return [_GROUP.__dict__["message"].__get__(error)]
    parts = list(args_of(error)[: MOST_VALUES + 1])
    if issubclass(type(error), OSError):
        parts += [field.__get__(error) for field in _OS_FIELDS]
    return parts


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions in a group of Python's own (3.11); none of any other exception."""
    if _GROUP is None or not issubclass(type(error), _GROUP):
        return ()
    found: tuple[BaseException, ...] = _GROUP.__dict__["exceptions"].__get__(error)
    return found


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that Python prints with it, each once; of a long chain or a large group the first."""
    waiting, seen = [error], {id(error)}
    while waiting:
        error = waiting.pop(0)
        yield error
        near = [cause_of(error), None if suppresses_context(error) else context_of(error), *members_of(error)[:MOST_CHAINED]]
        for other in near:
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)


def look_at_text(error: BaseException) -> Look:
    """Look at what the text of one exception is made of."""
    if is_simple(type(error)):
        return look_at(parts_of(error))
    return Look({type(error)})


def look_at_chain(error: BaseException) -> Look:
    """Look at all that Python prints for an exception that was raised."""
    look = Look(set())
    for number, inner in enumerate(chain_of(error)):
        found = look_at_text(inner)
        notes = look_at(notes_of(inner))
        look.foreign |= found.foreign | notes.foreign
        look.large |= found.large or notes.large or number >= MOST_CHAINED
        if issubclass(type(inner), _SUGGESTING):
            look.foreign.add(type(inner))
        if look.large:
            break
    return look


def look_inside(error: BaseException) -> Look:
    """Look at what exceptions and those they are chained to consist of, attributes too."""
    look = Look(set())
    for inner in islice(chain_of(error), MOST_CHAINED):
        if not is_simple(type(inner)) or not _is_still(type(inner)):
            look.foreign.add(type(inner))
        own = [value for value in islice(dict.values(_dict_of(inner)), MOST_VALUES) if type(value) is not Mark]
        look.foreign |= look_at([*args_of(inner)[:MOST_VALUES], *own]).foreign
    return look


def notes_of(error: BaseException) -> list[Any]:
    """What ``add_note`` put on an exception."""
    notes = dict.get(_dict_of(error), "__notes__")
    return [] if notes is None else notes[: MOST_CHAINED + 1] if type(notes) is list else [notes]

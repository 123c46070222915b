"""The ``repr`` of any value: of bounded size, and made without foreign code.

    found = BoundedRepr({"path": Path("a"), "client": client})
    found.text       # "{'path': PosixPath('a'), 'client': <httpx.Client>}"
    found.foreign    # {httpx.Client}

If `BoundedRepr.plain` is true, nothing of a value is foreign or large, and Python's own ``str`` and ``repr`` may be called at
once, which is nearly always. ``reprlib`` does not serve for this: it goes by names of classes, which a metaclass may compute,
sorts the items of sets, and cuts texts in the middle of words.
"""

from __future__ import annotations

import builtins
import types
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import islice
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any
from uuid import UUID

from otel_agentlog._interrupts import args_of, raise_interrupt
from otel_agentlog._startup import lazy_pattern
from otel_agentlog.record.exceptions.class_info import MAX_INT_BITS, big_int, placeholder, short_name

MAX_CHARACTERS = 65_536
"""Longest text of a value or an exception."""
MAX_VALUES = 2_000
"""How many values are written."""
MAX_DEPTH = 32
"""Containers within containers that are written."""

_MARGIN = 4_096
_KEY_BLOCK = "-----BEGIN "
_BETWEEN_WORDS = lazy_pattern(r"[\s\"',;&<>(){}\[\]]")
_SCALARS = frozenset({float, bool, complex, type(None), type(...), UUID, Decimal, date, timedelta})
_PATHS = frozenset({PosixPath, WindowsPath, PurePosixPath, PureWindowsPath})
_ENDS: dict[Any, Any] = {tuple: "()", list: "[]", dict: "{}", set: "{}", frozenset: ("frozenset({", "})")}

_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)
_BUILTIN = frozenset(found for found in vars(builtins).values() if isinstance(found, type) and issubclass(found, BaseException))
_BUILTIN_TEXTS = frozenset(base.__str__ for base in (BaseException, KeyError, OSError, _GROUP) if base is not None)
"""How builtin exceptions make their text out of `parts_of`; the others read more than that."""
_RUN_WHEN_PRINTED = frozenset(
    {
        *("__str__", "__repr__", "__format__", "__class__", "__dict__", "__getattribute__", "__getattr__"),
        *("__cause__", "__context__", "__suppress_context__", "__traceback__", "__notes__", "exceptions"),
        *("__eq__", "__hash__", "__bool__", "__len__"),
    }
)
_AS_THEY_ARE = frozenset(
    {str, int, float, bool, type(None), tuple, dict}
    | {types.FunctionType, types.GetSetDescriptorType, types.MemberDescriptorType, staticmethod}
)
"""Attributes of a class of these types are read without running code."""
_OS_FIELDS = [OSError.__dict__[name] for name in ("errno", "strerror", "filename", "filename2")]


def cut(text: str, most: int = MAX_CHARACTERS, unwritten: int = 0) -> str:
    """The text; of a longer one the first ``most`` characters at most, cut between two words, and how many are missing.

    ``unwritten`` characters are missing already.
    """
    if len(text) <= most:
        return text
    head = text[:most]
    found = [match.start() for match in _BETWEEN_WORDS.finditer(head, max(0, most - _MARGIN))]
    head = head[: found[-1]] if found else head
    block = head.rfind(_KEY_BLOCK)
    if block >= max(0, most - _MARGIN) and "-----END " not in head[block:]:
        head = head[:block]
    whole = len(text) + unwritten
    return f"{head}…[truncated: {whole - len(head)} of {whole} characters left out]"


class BoundedRepr:
    """The ``repr`` of some values, one after the other."""

    def __init__(self, *values: object) -> None:
        self.foreign: set[type] = set()
        """Classes whose code Python's ``repr`` would run; their objects are written as ``<module.Class>``."""
        self.large = False
        """Whether something is left out."""
        self._parts: list[str] = []
        self._characters, self._values, self._unwritten = MAX_CHARACTERS, MAX_VALUES, 0
        self._path: set[int] = set()
        for value in values:
            self._write(value)

    @property
    def plain(self) -> bool:
        """Whether Python's own text is made without foreign code, and is no longer than this one."""
        return not self.foreign and not self.large

    @property
    def text(self) -> str:
        """What was written."""
        return cut("".join(self._parts), unwritten=self._unwritten)

    def _write(self, value: Any) -> None:
        kind = type(value)
        self._values -= 1
        if type(kind) is not type:
            self._foreign(value)  # of a metaclass, which may define even how classes are compared
        elif kind is str or kind is bytes:
            self._unwritten += max(0, len(value) - self._characters - 1)
            self._put(repr(value[: self._characters + 1]))
        elif kind is int:
            self._put(big_int(value))
            self.large |= value.bit_length() > MAX_INT_BITS
        elif kind in _ENDS:
            self._container(value)
        elif kind in _SCALARS or kind in _PATHS or (kind is datetime and type(value.tzinfo) in (type(None), timezone)):
            self._put(repr(value))
        elif issubclass(kind, BaseException) and not has_own_code(kind):
            parts = parts_of(value)
            self._items(value, f"{short_name(kind)}(", parts, ")", len(parts))
        else:
            self._foreign(value)

    def _foreign(self, value: object) -> None:
        self.foreign.add(type(value))
        self._put(placeholder(value))

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._characters = max(0, self._characters - len(text))
        self.large |= not self._characters or self._values < 0

    def _container(self, value: Any) -> None:
        begin, end = _ENDS[type(value)]
        try:
            items = list(islice(value.items() if type(value) is dict else value, self._values + 2))
        except RuntimeError:
            raise_interrupt()
            self._foreign(value)  # another thread is changing it
            return
        if value:
            self._items(value, begin, items, ",)" if type(value) is tuple and len(value) == 1 else end, len(value))
        else:
            self._put(repr(value))

    def _items(self, value: Any, begin: str, items: list[Any], end: str, total: int) -> None:
        if id(value) in self._path or len(self._path) >= MAX_DEPTH:
            self.large |= id(value) not in self._path
            self._put(f"{begin}...{end}")
            return
        self._path.add(id(value))
        self._put(begin)
        for number, item in enumerate(items):
            self._put(", " if number else "")
            if self.large:
                self._put(f"…[truncated: {total - number} of {total} items left out]")
                break
            self._write(item[0] if type(value) is dict else item)
            if type(value) is dict:
                self._put(": ")
                self._write(item[1])
        self._put(end)
        self._path.discard(id(value))


def has_own_code(kind: type, *, reading: bool = False) -> bool:
    """Whether printing exceptions of a class may run code that is not Python's; with ``reading`` also reading attributes."""
    if type(kind) is not type:
        return True
    for base in kind.__mro__:
        if base in _BUILTIN:
            return base.__str__ not in _BUILTIN_TEXTS
        defined = base.__dict__
        if not defined.keys().isdisjoint(_RUN_WHEN_PRINTED):
            return True
        if reading and not _AS_THEY_ARE.issuperset(map(type, defined.values())):
            return True
        if reading and type(defined.get("code")) is types.FunctionType:
            return True  # the one method that is called for a category: gRPC's
    return True


def parts_of(error: BaseException) -> list[Any]:
    """What the text of an exception is made of, where `has_own_code` is false of its class."""
    if _GROUP is not None and issubclass(type(error), _GROUP):
        return [_GROUP.__dict__["message"].__get__(error)]
    parts = list(args_of(error)[: MAX_VALUES + 1])
    if issubclass(type(error), OSError):
        parts += [field.__get__(error) for field in _OS_FIELDS]
    return parts


def text_of_args(error: BaseException) -> str:
    """What an exception was raised with, much as ``str(error)`` has it, without running foreign code."""
    args = args_of(error)
    if issubclass(type(error), OSError) and 2 <= len(args) <= 5:
        number, reason, *names = parts_of(error)[-4:]
        message = f"[Errno {BoundedRepr(number).text}] {reason if type(reason) is str else BoundedRepr(reason).text}"
        named = " -> ".join(BoundedRepr(name).text for name in names if name is not None)
        return cut(f"{message}: {named}" if named else message)
    if len(args) == 1:
        is_text = type(args[0]) is str and not issubclass(type(error), KeyError)
        return cut(args[0]) if is_text else BoundedRepr(args[0]).text
    return BoundedRepr(args).text if args else ""

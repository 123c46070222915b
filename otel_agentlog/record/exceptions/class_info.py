"""Classes, what they define, and an object's own attributes, without running foreign code.

All is read by ``type(x)`` and the descriptors that the interpreter itself made: no ``__getattr__``, property or ``__class__`` of
the object is called, nor anything of a metaclass.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from otel_agentlog._interrupts import KeyedReference, taken_out

Fact = TypeVar("Fact")

MAX_CLASSES = 1_024
"""Of how many classes a fact is kept."""
MAX_NAME_CHARS = 200
MAX_INT_BITS = 4096
"""Integers up to that size are written out, as text beyond 64 bits."""

_mro = type.__dict__["__mro__"].__get__
_class_dict = type.__dict__["__dict__"].__get__
_name = type.__dict__["__name__"].__get__
_qualname = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__
_slot_wrapper = type(object.__init__)


def module_of(cls: type) -> object:
    """A class's ``__module__``: a text, unless the class has put something else there."""
    return _module(cls)


def is_native(found: object) -> bool:
    """Whether a special method is implemented in C."""
    return type(found) is _slot_wrapper


def short_name(cls: type) -> str:
    """``Class`` of a class, whatever its metaclass does."""
    return str.__str__(_name(cls))[-MAX_NAME_CHARS:]


def qualified_name(cls: type) -> str:
    """``Outer.Class`` of a class, whatever its metaclass does."""
    return str.__str__(_qualname(cls))[-MAX_NAME_CHARS:]


def type_name(cls: type) -> str:
    """``package.Class`` of a class, whatever its metaclass does; builtins without their module."""
    module, name = _module(cls), str.__str__(_qualname(cls))
    if type(module) is str and module != "builtins":
        name = f"{module}.{name}"
    return name[-MAX_NAME_CHARS:]


def placeholder(value: object) -> str:
    """The text recorded for an object whose contents are not read: ``<package.Class>``."""
    if type(value) in (types.FunctionType, types.BuiltinFunctionType):
        return f"<function {str.__str__(value.__qualname__)[-MAX_NAME_CHARS:]}>"  # type: ignore[attr-defined]  # both types have it
    if issubclass(type(value), type):
        return f"<class {type_name(value)}>"  # type: ignore[arg-type]  # a class, as the line above found
    return f"<{type_name(type(value))}>"


def bases(value: object) -> tuple[type, ...]:
    """The classes of an object, its own first."""
    found: tuple[type, ...] = _mro(type(value))
    return found


def packages_and_names(cls: type) -> list[tuple[str, str]]:
    """The top package and the name of a class and each of its bases, its own first."""
    return [(str.partition(m, ".")[0] if type(m := _module(base)) is str else "", _name(base)) for base in _mro(cls)]


def in_class(value: object, name: str) -> object:
    """What the classes of an object define under a name, found without running descriptors; ``None`` if nothing."""
    return defined_in(type(value), name)


def defined_in(cls: type, name: str) -> object:
    """The same of a class and its bases."""
    return next((_class_dict(base)[name] for base in _mro(cls) if name in _class_dict(base)), None)


def instance_dict(value: object) -> dict[str, Any]:
    """An object's own attributes; empty where reading them would run code of its class."""
    getter = in_class(value, "__dict__")
    found = getter.__get__(value) if type(getter) is types.GetSetDescriptorType else None
    return found if found is not None and issubclass(type(found), dict) else {}


def attribute(value: object, name: str) -> Any:
    """One attribute from its slot or the object's dict. Raises `LookupError` or `AttributeError` where it is not set."""
    descriptor = in_class(value, name)
    if type(descriptor) is types.MemberDescriptorType:
        return descriptor.__get__(value)
    return instance_dict(value)[name]


def big_int(value: int) -> str:
    """An integer beyond 64 bits as decimal text, or its size if it is larger than 4,096 bits."""
    bits = value.bit_length()
    return str(value) if bits <= MAX_INT_BITS else f"<int of {bits} bits>"


class FoundOnce(Generic[Fact]):
    """A fact about each class, found when it is first asked for. Keeps no class alive. Safe from any thread."""

    def __init__(self, find: Callable[[type], Fact]) -> None:
        self._find = find
        # Not by the class: its metaclass may have a hash of its own.
        self._found: dict[Hashable, tuple[KeyedReference[type], Fact]] = {}
        self._gone: deque[KeyedReference[type]] = deque()

    def __call__(self, cls: type) -> Fact:
        found = self._found.get(id(cls))
        if found is not None and found[0]() is cls:
            return found[1]
        fact = self._find(cls)
        self._forget_gone()
        if len(self._found) >= MAX_CLASSES:
            self._found.clear()
        reference = KeyedReference(cls, self._gone.append)
        reference.key = id(cls)
        self._found[id(cls)] = reference, fact
        return fact

    def _forget_gone(self) -> None:
        for gone in taken_out(self._gone):
            found = self._found.get(gone.key)
            if found is not None and found[0] is gone:
                self._found.pop(gone.key, None)

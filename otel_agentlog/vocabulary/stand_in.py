"""Stand-ins: objects to use in place of others, which offer all that the others offer, and do something more.

    class Timed(StandIn):
        special = {"__next__": timed_next}

    timed = stand_in(Timed, original)

A stand-in has the class, attributes, ``dir()`` and ``repr()`` of its original, and each special method that the original's type
has, and no other: what can be iterated over, awaited, entered, counted or called still can, in whichever way, and what cannot
raises the error it always did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar, SupportsIndex, TypeVar, cast

Made = TypeVar("Made", bound="StandIn")

_OF_EVERY_OBJECT = frozenset(dir(object)) - {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__"}
_NOT_FORWARDED = (
    _OF_EVERY_OBJECT
    | {"__getattr__", "__del__", "__dict__", "__weakref__", "__slots__", "__module__", "__annotations__", "__wrapped__"}
    | {"__set_name__", "__get__", "__set__", "__delete__", "__copy__", "__deepcopy__", "__getstate__", "__setstate__"}
    | {"__class_getitem__", "__prepare__", "__mro_entries__", "__instancecheck__", "__subclasscheck__", "__abstractmethods__"}
    | {"__parameters__", "__orig_bases__", "__firstlineno__", "__static_attributes__", "__annotate__", "__qualname__", "__name__"}
)


class StandIn:
    """Base of stand-ins. A subclass says which special methods and which others it does itself; its own state is in `vars`."""

    special: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    """Special methods that do something more, where the original has them."""
    methods: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    """Other methods that do something more; called with the stand-in, the original's method, and the arguments."""

    def __init__(self, original: Any, **state: Any) -> None:
        vars(self).update(state, _original=original)

    @property  # type: ignore[misc]  # isinstance() as for the original, like a weak proxy
    def __class__(self) -> type:
        return cast(type, self._original.__class__)

    def __getattr__(self, name: str) -> Any:
        if name == "_original":
            raise AttributeError(name)
        found = getattr(self._original, name)
        wrapper = type(self).methods.get(name)
        return partial(wrapper, self, found) if wrapper is not None and callable(found) else found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._original, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._original, name)

    def __dir__(self) -> list[str]:
        return dir(self._original)

    def __repr__(self) -> str:
        return repr(self._original)

    def __str__(self) -> str:
        return str(self._original)

    def __format__(self, how: str) -> str:
        return format(self._original, how)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return self._original.__reduce_ex__(protocol)


def stand_in(base: type[Made], original: Any, **state: Any) -> Made:
    """A stand-in of a kind for an object."""
    kind = type(original)
    found = {
        name: getattr(kind, name, None) is None
        for each in kind.__mro__
        if each is not object
        for name in vars(each)
        if name.startswith("__") and name.endswith("__") and name not in _NOT_FORWARDED
    }
    made = _class_for(
        base,  # type: ignore[arg-type]  # a class can be hashed
        kind.__name__,
        tuple(sorted(found.items())),
    )
    return cast(Made, made(original, **state))


def special_method(original: Any, name: str) -> Callable[..., Any]:
    """A special method as Python finds it: in the type."""
    found = getattr(type(original), name)
    bind = getattr(type(found), "__get__", None)
    return cast("Callable[..., Any]", found if bind is None else bind(found, original, type(original)))


@lru_cache(maxsize=256)
def _class_for(base: type[StandIn], name: str, special: tuple[tuple[str, bool], ...]) -> type[StandIn]:
    """The class of the stand-ins of a type: ``special`` has its special methods, and of each whether it is set to `None`."""
    # Named like the original: the name is in what Python says of an object that cannot be iterated over.
    return type(
        name, (base,), {each: None if absent else base.special.get(each) or _forwarding(each) for each, absent in special}
    )


def _forwarding(name: str) -> Callable[..., Any]:
    def forward(self: StandIn, *args: Any, **kwargs: Any) -> Any:
        return special_method(self._original, name)(*args, **kwargs)

    forward.__name__ = name
    return forward

"""Reads fields of a client's objects; one that is missing, of the wrong type, or raises, reads as ``None``.

A response comes as a typed object, as the ``dict`` of one, or as decoded JSON, so everything here takes objects as well as
mappings (`vocabulary.coerce` takes only lines). Attributes are read, mappings and lists are walked; no method is called.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from decimal import Decimal
from keyword import iskeyword
from numbers import Integral, Real
from typing import Any

import orjson

from otel_agentlog._interrupts import raise_interrupt

MOST_VALUES = 50_000
"""Most values that `plain` copies out of one object; what is beyond is replaced by `CUT`."""

MOST_DEPTH = 40
"""Deepest nesting that `plain` follows."""

MOST_IN_USAGE = 2000
"""Most values that are kept of what one chunk says of its usage."""

CUT = "[cut: too large]"
"""Replaces a value where `plain` stopped."""

LARGEST_COUNT = 2**63 - 1
"""The largest number of tokens that is believed: what OTLP has a form for."""

_MODEL = "__pydantic_fields__"
_MOCK = "mock_add_spec"
"""What mocks of ``unittest.mock`` have, and nothing else."""
_SCALARS = (str, int, float, bool, type(None))
_FLAT = frozenset(_SCALARS)
_TEXT = frozenset({str})


def field(value: object, name: str) -> Any:
    """A key of a mapping or an attribute of an object; ``None`` if there is none or reading it raises."""
    kind = type(value)
    try:
        # Both first tests are for speed: a stream has thousands of chunks, and a model takes 2 µs to raise AttributeError.
        if kind is dict:
            return value.get(name)  # type: ignore[attr-defined]
        if hasattr(kind, _MODEL):
            own = vars(value)
            return own[name] if name in own else (value.__pydantic_extra__ or {}).get(name)  # type: ignore[attr-defined]
        if hasattr(kind, _MOCK):
            return _given_to_mock(value).get(name)
        return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    except Exception:  # noqa: BLE001 - a property of a foreign object may raise anything; the field is unknown then
        raise_interrupt()
        return None


extra_of = operator.attrgetter("__pydantic_extra__")
"""The fields of a pydantic model that its class does not know."""

MODELS: dict[type, bool] = {}
"""Classes that were met, and whether all that is read of their objects is in `model_fields`."""
_MOST_MODELS = 1000
_READ_FIELDS = ("status_code", "content", "stop_reason", "finish_reason")
"""Names that `has` is asked for, which for an object may also be of its class."""


def model_fields(value: object) -> dict[str, Any] | None:
    """All that `field` and `has` find in a pydantic model, to be read and not changed; ``None`` for any other object."""
    kind = type(value)
    known = MODELS.get(kind)
    if known is None:
        if len(MODELS) >= _MOST_MODELS:
            MODELS.clear()
        known = MODELS[kind] = _is_plain_model(kind)
    if not known:
        return None
    extra = extra_of(value)
    return {**extra, **vars(value)} if extra else vars(value)


def _is_plain_model(kind: type) -> bool:
    own = any("__getattribute__" in vars(each) for each in kind.__mro__ if each is not object)
    if own or not hasattr(kind, _MODEL) or hasattr(kind, _MOCK):
        return False
    getter = next((vars(each)["__getattr__"] for each in kind.__mro__ if "__getattr__" in vars(each)), None)
    return getattr(getter, "__module__", None) == "pydantic.main" and not any(hasattr(kind, name) for name in _READ_FIELDS)


def _given_to_mock(mock: object) -> dict[str, Any]:
    """The attributes that a mock was given. It has any other one too, and makes it when it is asked, which is slow."""
    own = vars(mock)
    return {**own.get("_mock_children", {}), **own}


def own_fields(value: object) -> Mapping[str, Any]:
    """What an object itself has in its ``__dict__``; no property is asked."""
    try:
        return vars(value)
    except Exception:  # noqa: BLE001 - as in `field`; most objects without one raise a TypeError
        raise_interrupt()
        return {}


def has(value: object, name: str) -> bool:
    """Whether a mapping has the key or an object the attribute, whatever its value."""
    try:
        if type(value) is dict:
            return name in value
        if hasattr(type(value), _MOCK):
            return name in _given_to_mock(value)
        return name in value if isinstance(value, Mapping) else hasattr(value, name)
    except Exception:  # noqa: BLE001 - as in `field`
        raise_interrupt()
        return False


def text(value: object, name: str) -> str | None:
    """A field that is a string, as a plain ``str`` (the values of string enums too)."""
    found = field(value, name)
    return str.__str__(found) if isinstance(found, str) else None


def name_of(value: object, name: str) -> str | None:
    """A field that is a string and not empty: an id, a name, a model."""
    return text(value, name) or None


def count(value: object, name: str) -> int | None:
    """A field that is a number of tokens (`as_count`)."""
    return as_count(field(value, name))


def as_count(number: object) -> int | None:
    """A number of tokens: a whole number from 0 to 2^63-1, of Python, of `decimal` or of numpy; ``None`` for anything else.

    Text is none, digits or not, and so are truth values and stand-ins that only claim to be numbers.
    """
    if type(number) is int and 0 <= number <= LARGEST_COUNT:
        return number
    return _between(0, number)


def as_whole(number: object) -> int | None:
    """A whole number of 64 bits, which may be negative; else as `as_count`."""
    return _between(-LARGEST_COUNT - 1, number)


def _between(least: int, number: object) -> int | None:
    kind = type(number)
    if number is None or kind is str or kind is dict:  # nearly always, where names are tried
        return None
    try:
        if kind is not int:
            number = _whole(number, kind)
        return number if number is not None and least <= number <= LARGEST_COUNT else None  # type: ignore[operator, return-value]
    except Exception:  # noqa: BLE001 - a foreign number may raise anything when it is asked for its value
        raise_interrupt()
        return None


def _whole(number: Any, kind: type) -> int | None:
    if issubclass(kind, bool):
        return None
    if issubclass(kind, Integral):
        return operator.index(number)
    if issubclass(kind, (Real, Decimal)):
        exact = float(number)
        return int(exact) if exact.is_integer() else None
    return None


def amount(value: object, name: str) -> float | None:
    """A field that is an amount of money (`as_amount`)."""
    return as_amount(field(value, name))


def as_amount(number: Any) -> float | None:
    """An amount of money: a finite number that is not negative; ``None`` for anything else, as in `as_count`."""
    kind = type(number)
    if issubclass(kind, bool) or not issubclass(kind, (Real, Decimal)):
        return None
    try:
        result = float(number)
    except Exception:  # noqa: BLE001 - as in `as_count`; an int that is too large too
        raise_interrupt()
        return None
    return result if math.isfinite(result) and result >= 0 else None


def items(value: object, name: str) -> list[Any]:
    """A field that is a list or tuple; an empty list otherwise."""
    return listed(field(value, name))


def listed(value: object) -> list[Any]:
    """The value as a list if it is a list or tuple; an empty list otherwise. Iterators are never consumed."""
    try:
        return list(value) if isinstance(value, (list, tuple)) else []
    except Exception:  # noqa: BLE001 - a subclass of list may iterate in its own way
        raise_interrupt()
        return []


def plain(value: object) -> Any:
    """Copy a value with the objects in it turned into dicts; ``None`` fields of objects are left out.

    Objects are pydantic models and mappings. Anything else that is not JSON is left as it is, for the encoder.
    """
    return _Copy(opaque=True).of(value, MOST_DEPTH)


def copied(value: object, most: int = MOST_VALUES) -> Any:
    """`plain`, with all objects turned into dicts that have fields of their own, such as those of tests and of dataclasses."""
    return _Copy(opaque=True, objects=True, most=most).of(value, MOST_DEPTH)


def readable(value: object) -> Any:
    """`plain` without the fields that only the provider can read (``encrypted_*``, ``signature``)."""
    if type(value) in _SCALARS:
        return value
    if type(value) is dict:
        # Nearly always the arguments of a tool, which are texts and numbers.
        copy = value.copy()
        flat = _FLAT.issuperset(map(type, copy.values())) and _TEXT.issuperset(map(type, copy))
        if flat and "signature" not in copy and "encrypted_" not in " ".join(copy):
            return copy
    return _Copy(opaque=False).of(value, MOST_DEPTH)


def decoded(value: object) -> Any:
    """JSON text decoded, anything else and text that is not JSON unchanged."""
    if isinstance(value, (str, bytes, bytearray)):
        try:
            return orjson.loads(value)
        except (orjson.JSONDecodeError, RecursionError):
            return value
    return value


class _Copy:
    """One walk through a value, with a budget: shared and cyclic references cannot make it explode."""

    def __init__(self, *, opaque: bool, objects: bool = False, most: int = MOST_VALUES) -> None:
        self._left = most
        self._objects = objects
        self._opaque = opaque

    def of(self, value: object, depth: int) -> Any:
        if type(value) in _SCALARS:
            return value
        self._left -= 1
        if depth <= 0 or self._left < 0:
            return CUT
        try:
            return self._inside(value, depth - 1)
        except Exception:  # noqa: BLE001 - a foreign container may raise anything when it is walked
            raise_interrupt()
            return CUT

    def _inside(self, value: object, depth: int) -> Any:
        if isinstance(value, Mapping):
            return {str(k): self.of(v, depth) for k, v in value.items() if self._kept(k)}
        if isinstance(value, (list, tuple)):
            self._left -= len(value)
            return [self.of(v, depth) for v in value] if self._left >= 0 else CUT
        if (fields := _model_fields(value)) is not None:
            return {k: self.of(v, depth) for k, v in fields.items() if v is not None and self._kept(k)}
        if self._objects and not isinstance(value, (str, type)):
            own = {k: self.of(v, depth) for k, v in own_fields(value).items() if k[:1] != "_"}
            return own or value
        return value

    def _kept(self, key: object) -> bool:
        return self._opaque or not (isinstance(key, str) and (key.startswith("encrypted_") or key == "signature"))


def _model_fields(value: object) -> dict[str, Any] | None:
    """The fields of a pydantic model by their names in JSON, unknown ones too; ``None`` for anything else."""
    if not hasattr(type(value), _MODEL):
        return None
    found = {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}
    return {(k[:-1] if k.endswith("_") and iskeyword(k[:-1]) else k): v for k, v in found.items() if k[:1] != "_"}

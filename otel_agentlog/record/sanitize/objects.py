"""Objects of classes that JSON has no form for: fields of records, text of dates, enums, exceptions and the like.

None of their code is run: no ``__getattr__``, property, ``__repr__``, ``__iter__`` or ``__class__``. The one thing that is: the
``__str__`` that an exception's class defines itself, as for every traceback, within a bounded time.
"""

from __future__ import annotations

import math
import types
from collections import UserDict, UserList, UserString
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.exceptions.class_info import (
    attribute,
    in_class,
    instance_dict,
    is_native,
    module_of,
    placeholder,
    type_name,
)
from otel_agentlog.record.exceptions.describe import message_of

_SAFE_CLOCKS = frozenset({"datetime", "zoneinfo", "dateutil", "pytz", "pandas", "pendulum"})
"""Packages whose time zones may run to give their offset."""


def fields(value: object) -> list[tuple[Any, Any]] | None:
    """Names and values of a dataclass, attrs object, pydantic model, namedtuple or the like; ``None`` for any other object."""
    names = _declared(value)
    if names is not None:
        return list(_set_of(value, names))
    if type(value) is types.SimpleNamespace:
        return list(value.__dict__.items())
    if in_class(value, "__pydantic_core_schema__") is not None:
        extra = in_class(value, "__pydantic_extra__")
        more = extra.__get__(value) if type(extra) is types.MemberDescriptorType else None
        return [*dict.items(instance_dict(value)), *(dict.items(more) if type(more) is dict else ())]
    return None


def _declared(value: object) -> list[str] | None:
    declared = in_class(value, "__dataclass_fields__")
    if type(declared) is dict:
        return [
            name for name, field in declared.items() if type(name) is str and str(getattr(field, "_field_type", "")) == "_FIELD"
        ]
    attrs = in_class(value, "__attrs_attrs__")
    if attrs is not None and issubclass(type(attrs), tuple):
        described: tuple[Any, ...] = attrs  # type: ignore[assignment]  # as the line above found
        return [attr.name for attr in tuple.__iter__(described)]
    struct = in_class(value, "__struct_fields__")
    return list(struct) if type(struct) is tuple else None


def _set_of(value: object, names: list[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        try:
            yield name, attribute(value, name)
        except (LookupError, AttributeError):
            raise_interrupt()
            continue


def namedtuple_fields(value: object) -> list[tuple[str, Any]] | None:
    """Names and values of a namedtuple; ``None`` for an ordinary tuple."""
    names = in_class(value, "_fields")
    if type(names) is not tuple or not all(type(name) is str for name in names):
        return None
    return list(zip(names, tuple.__iter__(value), strict=False))  # type: ignore[arg-type]  # only called with tuples


def exception_text(error: BaseException) -> str:
    """Class and message of an exception: ``ValueError: bad size``."""
    name = type_name(type(error))
    text = _exception_message(error)
    return f"{name}: {text}" if text else name


def _exception_message(error: BaseException) -> str:
    args = BaseException.args.__get__(error)  # type: ignore[attr-defined]  # a getset descriptor
    if is_native(in_class(error, "__str__")) and not all(type(arg) in (str, int, float, bool, type(None)) for arg in args):
        return ", ".join(str(arg) if type(arg) in (str, int, float, bool) else placeholder(arg) for arg in args)
    return message_of(error)


def special_float(value: float) -> dict[str, str]:
    """NaN and the infinities as tagged objects."""
    return {"$float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


_NUMBER_FORMATS = frozenset("?hHiIlLqQefd")


def numbers_of(value: object) -> memoryview | None:
    """The memory of an array of numbers, read without running its code; ``None`` for any other object."""
    giver = in_class(value, "__buffer__")
    if giver is not None and not is_native(giver):
        return None
    try:
        view = memoryview(value)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        raise_interrupt()
        return None
    return view if view.format.lstrip("@=<") in _NUMBER_FORMATS and view.ndim <= 1 else None


def _datetime_text(value: datetime) -> str:
    zone = datetime.tzinfo.__get__(value)
    package = module_of(type(zone)) if zone is not None else "datetime"
    if type(package) is str and package.partition(".")[0] in _SAFE_CLOCKS:
        return datetime.isoformat(value)
    return f"{date.isoformat(value)}T{datetime.time(value).isoformat()}[{type_name(type(zone))}]"


def _time_text(value: time) -> str:
    zone = time.tzinfo.__get__(value)
    return time.isoformat(value) if zone is None or type(zone).__module__ in _SAFE_CLOCKS else placeholder(value)


_uuid_int: Any = UUID.__dict__["int"].__get__


def _uuid_text(value: UUID) -> str:
    digits = f"{_uuid_int(value):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _enum_value(value: Enum) -> object:
    content = instance_dict(value).get("_value_")
    if type(content) in (str, int, float, bool):
        return content
    return f"{type_name(type(value))}.{instance_dict(value).get('_name_')}"


def _plain(value: object, attribute_name: str) -> object:
    return instance_dict(value)[attribute_name]


SIMPLER: Mapping[type, Any] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    Enum: _enum_value,
    datetime: _datetime_text,
    date: date.isoformat,
    time: _time_text,
    timedelta: timedelta.__str__,
    Decimal: Decimal.__str__,
    UUID: _uuid_text,
    PurePath: PurePath.__str__,
    Fraction: Fraction.__str__,
    complex: complex.__repr__,
    BaseException: exception_text,
    UserDict: lambda value: _plain(value, "data"),
    UserList: lambda value: _plain(value, "data"),
    UserString: lambda value: _plain(value, "data"),
    types.MappingProxyType: placeholder,
}
"""Per base class: what makes a simpler value of an object, by the base class's own means."""

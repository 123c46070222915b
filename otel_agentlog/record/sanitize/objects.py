"""Objects of classes that JSON has no form for: fields of records, text of dates, enums, exceptions and the like.

None of their code is run: no ``__getattr__``, property, ``__repr__``, ``__iter__`` or ``__class__``. The one thing that is: the
``__str__`` that an exception's class defines itself, as for every traceback, within a bounded time.
"""

from __future__ import annotations

import gc
import math
import re
import types
from collections import ChainMap, UserDict, UserList, UserString
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from otel_agentlog._interrupts import args_of, raise_interrupt
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
from otel_agentlog.record.exceptions.timeout_call import timeout_call
from otel_agentlog.record.sanitize.arrays import is_not_there
from otel_agentlog.record.sanitize.marks import (
    Hidden,
    hidden_pydantic_fields,
    is_hidden,
    is_hidden_by_annotation,
    serialized_pydantic_fields,
)

_SAFE_CLOCKS = frozenset({"datetime", "zoneinfo", "dateutil", "pytz", "pandas", "pendulum"})
"""Packages whose time zones may run to give their offset."""
_FINER = frozenset({"pandas.Timestamp", "pandas._libs.tslibs.timestamps.Timestamp"})
"""Dates with nanoseconds, which `datetime` itself does not know of."""


def fields(value: object) -> list[tuple[Any, Any]] | None:
    """Names and values of a dataclass, attrs object, pydantic model, msgspec struct or the like; ``None`` for any other object.

    Values that the class keeps out of its own output are `Hidden`.
    """
    declared = _declared(value)
    if declared is not None:
        return _as_written(value, list(_set_of(value, declared)))
    if type(value) is types.SimpleNamespace:
        return list(value.__dict__.items())
    if in_class(value, "__pydantic_core_schema__") is not None:
        extra = in_class(value, "__pydantic_extra__")
        more = extra.__get__(value) if type(extra) is types.MemberDescriptorType else None
        hidden = hidden_pydantic_fields(value)
        own = ((name, Hidden(item) if name in hidden else item) for name, item in dict.items(instance_dict(value)))
        return _as_written(value, [*own, *(dict.items(more) if type(more) is dict else ())])
    return None


_ALL = frozenset({"*"})


def _as_written(value: object, named: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Fields for which a pydantic class has serializers of its own as those write them: masked, where they mask; they are the
    class's code and run on a thread. What fails there is kept out."""
    if not (names := serialized_pydantic_fields(value)):
        return named
    classes = frozenset({type(value)})
    write: Any = getattr(in_class(value, "__pydantic_serializer__"), "to_python", None)
    made: Any = {}
    try:
        if names == _ALL:
            made = timeout_call(lambda: write(value, by_alias=False), classes)
            return list(made.items()) if type(made) is dict else [("value", made)]
        made = timeout_call(lambda: _written(write, value, names), classes)
    except Exception:  # noqa: BLE001 - a serializer may raise anything
        raise_interrupt()
    return [(name, made.get(name, Hidden(item)) if name in names or names == _ALL else item) for name, item in named]


def _written(write: Callable[..., Any], value: object, names: frozenset[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in names:
        try:
            made.update(write(value, include={name}, by_alias=False))
        except Exception:  # noqa: BLE001 - as above; the others may be written
            raise_interrupt()
    return made


_known: WeakKeyDictionary[type, dict[str, bool] | None] = WeakKeyDictionary()


def _declared(value: object) -> dict[str, bool] | None:
    """Names of the fields, each with whether its class keeps it out of its output."""
    kind = type(value)
    if type(kind) is not type:
        return _read_declared(value)  # a metaclass may define how its classes are compared
    if kind not in _known:
        _known[kind] = _read_declared(value)
    return _known[kind]


def _read_declared(value: object) -> dict[str, bool] | None:
    found = in_class(value, "__dataclass_fields__")
    if type(found) is dict:
        hidden = hidden_pydantic_fields(value)
        own = {name: field for name, field in found.items() if str(getattr(field, "_field_type", "")) == "_FIELD"}
        return {name: name in hidden or is_hidden(field) for name, field in own.items() if type(name) is str}
    attrs = in_class(value, "__attrs_attrs__")
    if attrs is not None and issubclass(type(attrs), tuple):
        described: tuple[Any, ...] = attrs  # type: ignore[assignment]  # as the line above found
        return {attr.name: is_hidden(attr) for attr in tuple.__iter__(described)}
    names = _struct_fields(value)
    return None if names is None else {name: is_hidden_by_annotation(value, name) for name in names}


def _struct_fields(value: object) -> tuple[str, ...] | None:
    """Names of the fields of a msgspec struct, which its metaclass keeps, or of a class that has them itself."""
    names = in_class(value, "__struct_fields__")
    of_metaclass = in_class(type(value), "__struct_fields__")
    if type(of_metaclass) is types.MemberDescriptorType:
        names = of_metaclass.__get__(type(value))
    return names if type(names) is tuple else None


def _set_of(value: object, names: dict[str, bool]) -> Iterator[tuple[str, Any]]:
    for name, hidden in names.items():
        try:
            item = attribute(value, name)
        except (LookupError, AttributeError):
            raise_interrupt()
            continue
        yield name, Hidden(item) if hidden else item


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
    args = args_of(error)
    if is_native(in_class(error, "__str__")) and not all(type(arg) in (str, int, float, bool, type(None)) for arg in args):
        return ", ".join(str(arg) if type(arg) in (str, int, float, bool) else placeholder(arg) for arg in args)
    return message_of(error)


def special_float(value: float) -> dict[str, str]:
    """NaN and the infinities as tagged objects."""
    return {"$float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


def _datetime_text(value: datetime) -> str | None:
    if is_not_there(value):
        return None
    zone = datetime.tzinfo.__get__(value)
    package = module_of(type(zone)) if zone is not None else "datetime"
    if type(package) is str and package.partition(".")[0] in _SAFE_CLOCKS:
        return value.isoformat() if type_name(type(value)) in _FINER else datetime.isoformat(value)
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


def _chain(value: object) -> object:
    """A `ChainMap` as one dict; as its first dict where the others are of other classes."""
    maps = instance_dict(value)["maps"]
    together: dict[Any, Any] = {}
    for each in reversed(list(maps)):
        if issubclass(type(each), dict):
            together.update(dict.items(each))
    return together


def _behind(value: types.MappingProxyType[Any, Any]) -> object:
    """What a read-only view of a mapping shows, without a call to the mapping."""
    found = gc.get_referents(value)
    return found[0] if len(found) == 1 else placeholder(value)


def library_text(value: object) -> str | None:
    """Text of an address or a URL, of classes that are known by name because importing them takes time."""
    return str.__str__(str(value)) if type_name(type(value)) in _TEXTS else None


_TEXTS = frozenset(f"ipaddress.IPv{version}{kind}" for version in (4, 6) for kind in ("Address", "Network", "Interface")) | {
    "pydantic_core._pydantic_core.Url",
    "pydantic_core._pydantic_core.MultiHostUrl",
}


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
    ChainMap: _chain,
    types.MappingProxyType: _behind,
    re.Pattern: re.Pattern.pattern.__get__,
}
"""Per base class: what makes a simpler value of an object, by the base class's own means."""

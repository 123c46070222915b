"""Arrays and tables (numpy, pandas, polars, torch, jax and what is like them) as numbers, lists and objects, bounded.

    simpler_array(numpy.uint8(3), 1000, 20_000)             # 3
    simpler_array(numpy.zeros((2, 10**7)), 1000, 20_000)    # Head of 2 rows, each a Head of 1,000 of 10,000,000 numbers

Only the part that is kept is copied, so a large array costs no more than a small one. No library is imported: what is not loaded
has no objects. numpy's and pandas' own compiled code is called as the interpreter's is; what else must be called to read a value
runs on a thread, for half a second at most. Names of columns, fields and index labels become keys, so that the rules for names
see them. A date that is not there (``NaT``, ``NA``, masked items) is ``None``.
"""

from __future__ import annotations

import array
import struct
import sys
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.record.exceptions.class_info import bases, in_class, is_native, module_of, short_name
from otel_agentlog.record.exceptions.timeout_call import timeout_call

_ARRAY_METHODS = ("tolist", "to_list", "__array__")
_NOT_THERE = frozenset({"NaTType", "NAType"})
_PLAIN_TIMES = frozenset({"Timestamp", "Timedelta", "Period", "Interval"})
_NAT = -(1 << 63)
"""A time span that is not there, as a number."""
_NUMBER_FORMATS = frozenset("?bBhHiIlLqQefd")
_BYTES = frozenset("bBc")
_CHARACTERS = frozenset("uw")


@dataclass(frozen=True, slots=True)
class Head:
    """The first items of something longer."""

    items: list[Any]
    length: int
    """How many there are."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names and values, of which one name may be there more than once."""

    items: list[tuple[Any, Any]]
    left_out: int


class NoArray(Exception):
    """Not an array, a table or a part of one."""


def simpler_array(value: object, most: int, most_nodes: int) -> Any:
    """A value of an array library as numbers, texts, `Head`, lists and dicts of them; what holds bytes as `memoryview`.

    ``most`` is how many items of one dimension are read, ``most_nodes`` of all together. Raises `NoArray` for any other object,
    and whatever the library does.
    """
    if type(value) is array.array:
        if value.typecode in _CHARACTERS:
            return value.tounicode()
        # Of bytes one looks for secrets, and not among numbers.
        return memoryview(value) if value.typecode in _BYTES else Head(value[:most].tolist(), len(value))
    package = _package(value)
    if package == "numpy":
        return _of_numpy(value, most, most_nodes)
    if package == "pandas":
        return _of_pandas(value, most, most_nodes)
    if (view := _memory(value)) is not None:
        return view if view.ndim == 1 and view.format in _BYTES else _of_memory(view, most, most_nodes)
    if package == "polars":
        return timeout_call(lambda: _of_polars(value, most), frozenset({type(value)}))
    if in_class(value, "shape") is not None and any(in_class(value, name) is not None for name in _ARRAY_METHODS):
        return timeout_call(lambda: _of_other(value, most, most_nodes), frozenset({type(value)}))
    raise NoArray


def is_not_there(value: object) -> bool:
    """Whether a value stands for a date or number that is not there: ``pandas.NaT``, which is a `datetime`, and ``pandas.NA``."""
    return any(short_name(base) in _NOT_THERE and _root(base) == "pandas" for base in bases(value))


def _root(cls: type) -> str:
    module = module_of(cls)
    return module.partition(".")[0] if type(module) is str else ""


def _package(value: object) -> str | None:
    """The array library that a value's class, or one that it is derived from, belongs to, if it is loaded."""
    roots = (_root(base) for base in bases(value))
    return next((root for root in roots if root in ("numpy", "pandas", "polars") and root in sys.modules), None)


# -- anything that shows its memory -----------------------------------------------------------------------------------------


def _memory(value: object) -> memoryview | None:
    """The memory of an array of numbers, read without running its code."""
    giver = in_class(value, "__buffer__")
    if giver is not None and not is_native(giver):
        return None
    try:
        view = memoryview(value)  # type: ignore[arg-type]  # that is the question
    except (TypeError, ValueError, BufferError):
        raise_interrupt()
        return None
    if view.format[:1] == "<" and sys.byteorder == "little" and view.ndim == 1:  # as ctypes says it
        native = view.format[1:]
        if native not in _NUMBER_FORMATS | _BYTES or struct.calcsize(native) != view.itemsize:
            return None
        view = view.cast("B").cast(native)  # type: ignore[call-overload]  # one of the formats above
    return view if view.format in _NUMBER_FORMATS or view.format in _BYTES else None


def _of_memory(view: memoryview, most: int, most_nodes: int) -> Any:
    if view.ndim == 0:
        return view.tolist()
    shape: tuple[int, ...] = view.shape or ()
    if view.ndim == 1:
        return Head(view[: min(most, most_nodes)].tolist(), shape[0])
    read: Callable[[tuple[int, ...]], Any] = view.__getitem__
    return _nested(shape, _lengths(shape, most, most_nodes), (), read)


def _nested(shape: Sequence[int], kept: Sequence[int], at: tuple[int, ...], item: Callable[[tuple[int, ...]], Any]) -> Any:
    if len(at) == len(shape):
        return item(at)
    count = kept[len(at)]
    return Head([_nested(shape, kept, (*at, number), item) for number in range(count)], shape[len(at)])


def _lengths(shape: Sequence[int], most: int, most_nodes: int) -> list[int]:
    """How much of each dimension is kept: at most ``most``, and ``most_nodes`` items of all together."""
    kept = [min(size, most) for size in shape]
    for axis in range(len(kept)):
        inner = max(1, prod(kept[axis + 1 :]))
        kept[axis] = min(kept[axis], max(1, most_nodes // inner)) if kept[axis] else 0
        most_nodes //= max(1, kept[axis])
    return kept


# -- numpy ------------------------------------------------------------------------------------------------------------------


def _of_numpy(value: Any, most: int, most_nodes: int) -> Any:
    numpy = sys.modules["numpy"]
    kind = type(value)
    if issubclass(kind, numpy.generic) and _root(kind) == "numpy":
        return _plain_numpy(numpy, numpy.asarray(value))
    if not issubclass(kind, numpy.ndarray):
        raise NoArray
    masked = sys.modules.get("numpy.ma")
    mask = None
    if masked is not None and issubclass(kind, masked.MaskedArray):
        mask = numpy.ndarray.view(masked.getmaskarray(value), numpy.ndarray)
    own = numpy.ndarray.view(value, numpy.ndarray)
    kept = _lengths(own.shape, most, most_nodes)
    part = tuple(slice(count) for count in kept)
    plain = _plain_numpy(numpy, own[part])
    if mask is not None:
        plain = _without(plain, mask[part].tolist())
    return _heads(plain, own.shape)


def _plain_numpy(numpy: Any, part: Any) -> Any:
    """Nested lists of Python's own values, of an array of any type; one value of an array without dimensions."""
    kind = part.dtype.kind
    if part.dtype.names is not None:
        return _records(numpy, part)
    if kind == "M":
        texts = numpy.datetime_as_string(part)
        return _mapped(texts.tolist(), lambda text: None if text == "NaT" else text)
    if kind == "m":
        return _spans(part, numpy.datetime_data(part.dtype)[0])
    if part.dtype.char in "gG":
        part = part.astype("complex128" if kind == "c" else "float64")
    return part.tolist()


def _spans(part: Any, unit: str) -> Any:
    if unit not in ("Y", "M", "generic"):
        # Finer than a microsecond has no form in Python.
        return part.astype("timedelta64[us]").tolist()
    return _mapped(part.astype("int64").tolist(), lambda count: None if count == _NAT else f"{count} {unit}")


def _records(numpy: Any, part: Any) -> Any:
    """A structured array: each record as an object, so that names of fields stay with what they name."""
    columns = {name: _plain_numpy(numpy, part[name]) for name in part.dtype.names}
    return _zipped(columns, part.ndim)


def _zipped(columns: dict[str, Any], depth: int) -> Any:
    if depth == 0:
        return columns
    length = min((len(column) for column in columns.values()), default=0)
    return [_zipped({name: column[row] for name, column in columns.items()}, depth - 1) for row in range(length)]


def _mapped(nested: Any, change: Callable[[Any], Any]) -> Any:
    return [_mapped(item, change) for item in nested] if type(nested) is list else change(nested)


def _without(nested: Any, mask: Any) -> Any:
    """Nested lists with ``None`` in the place of masked items."""
    if type(mask) is list:
        return [_without(item, hidden) for item, hidden in zip(nested, mask, strict=False)]
    return None if mask is True else nested


def _heads(nested: Any, shape: Sequence[int]) -> Any:
    """Nested lists, each with the length of what it is the beginning of."""
    if not shape or type(nested) is not list:
        return nested
    items = nested if len(shape) == 1 else [_heads(item, shape[1:]) for item in nested]
    return Head(items, shape[0])


# -- tables -----------------------------------------------------------------------------------------------------------------


def _of_pandas(value: Any, most: int, most_nodes: int) -> Any:
    if is_not_there(value):
        return None
    names = {short_name(base) for base in bases(value) if _root(base) == "pandas"}
    if not names.isdisjoint(_PLAIN_TIMES):
        return str(value) if _root(type(value)) == "pandas" else _called(value, lambda: str(value))
    if "DataFrame" in names:
        return _called(value, lambda: _frame(value, most, most_nodes))
    if "Series" in names:
        return _called(value, lambda: _series(value, most))
    if "Index" in names or in_class(value, "tolist") is not None:
        return _called(value, lambda: _named(value, Head(value[:most].tolist(), len(value))))
    raise NoArray


def _called(value: object, read: Callable[[], Any]) -> Any:
    """pandas' Python code, which may be slow and whose classes may be derived from: in bounded time."""
    return timeout_call(read, frozenset({type(value)}))


def _frame(value: Any, most: int, most_nodes: int) -> Any:
    """By column; the labels of its rows too, unless they are only numbers from 0."""
    columns, rows = _lengths((value.shape[1], value.shape[0]), most, most_nodes)
    part = value.iloc[:rows, :columns]
    length = len(value)
    found: list[tuple[Any, Any]] = [(name, Head(column.tolist(), length)) for name, column in part.items()]
    if not _is_count(value.index):
        found.insert(0, (_name_of(value.index) or "index", Head(part.index.tolist(), length)))
    left_out = value.shape[1] - columns
    return Columns(found, left_out)


def _series(value: Any, most: int) -> Any:
    part = value.iloc[:most]
    if _is_count(value.index):
        return _named(value, Head(part.tolist(), len(value)))
    return _named(value, Columns(list(zip(part.index.tolist(), part.tolist(), strict=False)), len(value) - len(part)))


def _is_count(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex"


def _name_of(value: Any) -> Any:
    return getattr(value, "name", None)


def _named(value: Any, content: Any) -> Any:
    name = _name_of(value)
    return content if name is None else Columns([(name, content)], 0)


def _of_polars(value: Any, most: int) -> Any:
    names = {short_name(base) for base in bases(value)}
    if "DataFrame" in names:
        columns = value.columns[:most]
        part = value.head(most)
        found = [(name, Head(part[name].to_list(), value.height)) for name in columns]
        return Columns(found, len(value.columns) - len(columns))
    if "Series" in names:
        return Columns([(value.name, Head(value.head(most).to_list(), len(value)))], 0)
    raise NoArray


def _of_other(value: Any, most: int, most_nodes: int) -> Any:
    """An array of a library that is not known, by what all of them have: ``shape``, and ``tolist`` or ``__array__``."""
    shape = tuple(int(size) for size in value.shape)
    kept = _lengths(shape, most, most_nodes)
    part = value if list(shape) == kept else value[tuple(slice(count) for count in kept)]
    for name in ("tolist", "to_list"):
        if in_class(value, name) is not None:
            return _heads(getattr(part, name)(), shape)
    numpy = sys.modules.get("numpy")
    if numpy is None:
        raise NoArray
    return _heads(_plain_numpy(numpy, numpy.asarray(part)), shape)

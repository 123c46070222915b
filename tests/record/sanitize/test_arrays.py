"""Numbers, arrays and tables of the scientific libraries are recorded as values, bounded, and by the rules for names."""

from __future__ import annotations

import array
import base64
import ctypes
import io
import ipaddress
import mmap
import re
import sys
import types
from collections import ChainMap, Counter, defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
import numpy
import orjson
import pandas
import pytest

from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner

CLEANER = Cleaner(Redactor())
SCALARS = "int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64 longdouble"
RECORDS = numpy.array([(1, "hunter2")], dtype=[("n", "i4"), ("password", "U10")])
MASK = "[redacted:password]"

VALUES: dict[str, tuple[Any, Any]] = {
    "NaT": (pandas.NaT, None),
    "NA": (pandas.NA, None),
    "Timestamp": (pandas.Timestamp("2024-01-02T03:04:05.123456789"), "2024-01-02T03:04:05.123456789"),
    "Timestamp with a zone": (pandas.Timestamp("2024-01-02", tz="Europe/Berlin"), "2024-01-02T00:00:00+01:00"),
    "Timedelta": (pandas.Timedelta("1D"), "1 day, 0:00:00"),
    "Period": (pandas.Period("2024-01"), "2024-01"),
    "Interval": (pandas.Interval(0, 1), "(0, 1]"),
    "Series": (pandas.Series([1, 2]), [1, 2]),
    "Series with labels": (pandas.Series({"password": "hunter2", "n": 1}), {"password": MASK, "n": 1}),
    "Series with a name": (pandas.Series(["hunter2"], name="password"), {"password": [MASK]}),
    "DataFrame": (
        pandas.DataFrame({"n": [1, 2], "password": ["a1", "b2"], "at": [pandas.NaT, pandas.Timestamp("2024")]}),
        {"n": [1, 2], "password": [MASK, MASK], "at": [None, "2024-01-01T00:00:00"]},
    ),
    "DataFrame with labels": (pandas.DataFrame({"n": [1]}, index=["x"]), {"index": ["x"], "n": [1]}),
    "columns of one name": (pandas.DataFrame([[1, 2]], columns=["a", "a"]), {"a": [1], "a#2": [2]}),
    "Index": (pandas.Index(["a", "b"]), ["a", "b"]),
    "MultiIndex": (pandas.MultiIndex.from_tuples([(1, 2)]), [[1, 2]]),
    "Categorical": (pandas.Categorical(["a", "b", "a"]), ["a", "b", "a"]),
    "nullable integers": (pandas.array([1, None], dtype="Int64"), [1, None]),
    **{name: (getattr(numpy, name)(3), 3) for name in SCALARS.split()},
    "bool_": (numpy.bool_(True), True),
    "str_": (numpy.str_("x"), "x"),
    "bytes_": (numpy.bytes_(b"x"), {"$bytes": "eA=="}),
    "complex64": (numpy.complex64(3), "(3+0j)"),
    "clongdouble": (numpy.clongdouble(3), "(3+0j)"),
    "datetime64": (numpy.datetime64("2024-01-02"), "2024-01-02"),
    "datetime64 NaT": (numpy.datetime64("NaT", "s"), None),
    "timedelta64": (numpy.timedelta64(5, "s"), "0:00:05"),
    "timedelta64 in months": (numpy.timedelta64(5, "M"), "5 M"),
    "timedelta64 NaT": (numpy.timedelta64("NaT", "s"), None),
    "void": (numpy.void(b"abc"), {"$bytes": "YWJj"}),
    "structured": (RECORDS, [{"n": 1, "password": MASK}]),
    "structured scalar": (RECORDS[0], {"n": 1, "password": MASK}),
    "recarray": (numpy.rec.array([(1, 2)], dtype=[("x", "i4"), ("y", "i4")]), [{"x": 1, "y": 2}]),
    "0-d": (numpy.array(5), 5),
    "empty": (numpy.zeros((0, 3)), []),
    "2-d": (numpy.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
    "transposed": (numpy.arange(6).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]]),
    "3-d": (numpy.zeros((1, 2, 1), dtype="u1"), [[[0], [0]]]),
    "objects": (numpy.array([{"password": "hunter2"}, None], dtype=object), [{"password": MASK}, None]),
    "masked": (numpy.ma.array([1, 2], mask=[False, True]), [1, None]),
    "big endian": (numpy.array([1, 2], dtype=">i4"), [1, 2]),
    "dates": (numpy.array(["2024-01-01", "NaT"], dtype="M8[D]"), ["2024-01-01", None]),
    "as names": (
        {numpy.int64(1): 1, numpy.uint8(2): 2, ipaddress.ip_address("::1"): 3, pandas.NaT: 4, numpy.datetime64("2024-01-02"): 5},
        {"1": 1, "2": 2, "::1": 3, "null": 4, "2024-01-02": 5},
    ),
    "NaN": (numpy.array([numpy.nan, 1.0]), [{"$float": "NaN"}, 1.0]),
    "array": (array.array("d", [1, 2]), [1.0, 2.0]),
    "ctypes": ((ctypes.c_int * 3)(1, 2, 3), [1, 2, 3]),
    "ChainMap": (ChainMap({"a": 1}, {"a": 2, "b": 2}), {"a": 1, "b": 2}),
    "MappingProxyType": (types.MappingProxyType({"password": "hunter2"}), {"password": MASK}),
    "defaultdict": (defaultdict(int, a=1), {"a": 1}),
    "Counter": (Counter("aab"), {"a": 2, "b": 1}),
    "pattern": (re.compile("a+"), "a+"),
    "address": (ipaddress.ip_address("::1"), "::1"),
    "network": (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_of_the_scientific_stack_are_values(name: str) -> None:
    """Each is recorded as the number, text, list or object that it is; a date that is not there as null."""
    value, expected = VALUES[name]

    cleaned = CLEANER.clean({"value": value})

    assert cleaned.value == {"value": expected}
    assert cleaned.failed == 0
    orjson.dumps(cleaned.value)


KEY = b"sk-ant-api03-" + b"Zq7" * 20
CHARACTERS: Any = "w" if sys.version_info >= (3, 13) else "u"
HOLDERS_OF_BYTES: dict[str, Callable[[], Any]] = {
    "array of bytes": lambda: array.array("B", KEY),
    "array of signed bytes": lambda: array.array("b", KEY),
    "array of characters": lambda: array.array(CHARACTERS, KEY.decode()),
    "derived array": lambda: type("Derived", (array.array,), {})("B", KEY),
    "ctypes, unsigned": lambda: (ctypes.c_ubyte * len(KEY))(*KEY),
    "ctypes, signed": lambda: (ctypes.c_byte * len(KEY))(*KEY),
    "ctypes, characters": lambda: ctypes.create_string_buffer(KEY),
    "msgspec.Raw": lambda: msgspec.Raw(KEY),
    "mmap": lambda: _mapped(KEY),
    "numpy.void": lambda: numpy.void(KEY),
    "numpy, texts of bytes": lambda: numpy.array([KEY]),
    "buffer of a file": lambda: io.BytesIO(KEY).getbuffer(),
}


def _mapped(data: bytes) -> mmap.mmap:
    memory = mmap.mmap(-1, len(data))
    memory[:] = data
    return memory


@pytest.mark.parametrize("name", HOLDERS_OF_BYTES)
def test_a_secret_in_what_holds_bytes_is_found(name: str) -> None:
    """It is no list of numbers, in which nothing is found."""
    text = orjson.dumps(CLEANER.clean({"value": HOLDERS_OF_BYTES[name]()}).value)
    found = b"".join(base64.b64decode(each) for each in re.findall(rb'"\$bytes":"([^"]*)"', text)) or text

    assert b"[redacted:anthropic-key]" in found
    assert b"115,107,45" not in text


LARGE: dict[str, Any] = {
    "1-d": numpy.zeros(10**7),
    "2-d, long rows": numpy.zeros((2, 5 * 10**6)),
    "2-d, many rows": numpy.zeros((10**6, 5)),
    "strided": numpy.zeros((5, 10**6)).T,
    "3-d": numpy.zeros((300, 300, 300), dtype="u1"),
    "objects": numpy.empty(10**7, dtype=object),
    "Series": pandas.Series(numpy.zeros(10**7)),
    "DataFrame": pandas.DataFrame(numpy.zeros((10**6, 10))),
    "wide": pandas.DataFrame(numpy.zeros((10, 10**4))),
    "memory of an array": memoryview(array.array("d", bytes(8 * 10**7))),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_ones_are_bounded_and_say_so(name: str) -> None:
    """Of ten million items a thousand of each dimension are recorded, and how many are missing."""
    cleaned = Cleaner(Redactor(), bounded()).clean(LARGE[name])

    assert len(orjson.dumps(cleaned.value)) < 200_000
    assert cleaned.truncated > 0
    assert cleaned.failed == 0


def bounded() -> Any:
    """Limits with short bytes."""
    from otel_agentlog.record.sanitize.cleaner import ValueLimits

    return ValueLimits(max_string_bytes=1000)


class Tensor:
    """An array of a library that nobody here knows, as torch and jax have them."""

    def __init__(self, values: list[list[float]]) -> None:
        self.values = values

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return len(self.values), len(self.values[0])

    def __getitem__(self, part: tuple[slice, slice]) -> Tensor:
        return Tensor([row[part[1]] for row in self.values[part[0]]])

    def tolist(self) -> list[list[float]]:
        """All values."""
        assert len(self.values) <= 1000, "more was read than is kept"
        return self.values


def test_arrays_of_unknown_libraries_are_read_by_what_all_arrays_have() -> None:
    """What has ``shape`` and ``tolist`` is a list, of which only the part that is kept is read."""
    assert CLEANER.clean(Tensor([[1.0, 2.0]])).value == [[1.0, 2.0]]
    assert len(CLEANER.clean(Tensor([[1.0]] * 5000)).value) == 1001


class Broken:
    """An array whose code does not do what it should."""

    shape = (3,)

    def tolist(self) -> Any:
        """Raises."""
        raise OSError("device lost")


def test_an_array_that_cannot_be_read_is_a_placeholder() -> None:
    """What a library raises stays within."""
    cleaned = CLEANER.clean({"a": Broken(), "b": 1})

    assert cleaned.value["b"] == 1
    assert "Broken" in cleaned.value["a"]
    assert cleaned.failed == 1

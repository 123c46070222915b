"""Objects that break recorders: each row is what reliability research saw go wrong, or a way to make it so."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import pathlib
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import attrs
import pydantic


class CalledForeignCodeError(Exception):
    """Raised by every method here that must not be called."""


def _forbidden(*_args: object, **_kwargs: object) -> NoReturn:
    raise CalledForeignCodeError


class Untouchable:
    """Raises at whatever one does to it."""

    __str__ = __repr__ = __iter__ = __len__ = __getitem__ = __eq__ = __bool__ = __format__ = __int__ = __float__ = _forbidden
    __hash__ = object.__hash__
    __getattribute__ = __getattr__ = keys = items = values = isoformat = model_dump = to_dict = _forbidden


class Blocking:
    """Never comes back from telling what it is."""

    def __str__(self) -> str:
        time.sleep(3600)
        return ""

    __repr__ = __str__


class Liar:
    """Says that it is a dict."""

    __class__ = dict  # type: ignore[assignment]  # the lie
    items = keys = __iter__ = _forbidden


class LyingDict:
    """Its own attributes are a property that raises."""

    __dict__ = property(_forbidden)  # type: ignore[assignment]  # the trap
    __dataclass_fields__ = types.MappingProxyType({"a": None})


class Meta(type):
    """A metaclass that raises at whatever one asks its classes."""

    __str__ = __repr__ = __subclasscheck__ = __instancecheck__ = _forbidden
    __mro__ = __name__ = __module__ = property(_forbidden)  # type: ignore[assignment]  # the trap


class OfMeta(metaclass=Meta):
    """An object of such a class."""


class RaisingMapping(Mapping[str, int]):
    """A mapping that raises at its second item."""

    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        yield "a"
        raise RuntimeError("no more")

    def __len__(self) -> int:
        return 2


class RaisingSequence(Sequence[int]):
    """A sequence that claims to be endless and raises."""

    def __getitem__(self, index: Any) -> Any:
        raise OSError("disk gone")

    def __len__(self) -> int:
        return 10**9


class Text(str):
    """A string with a mind of its own."""

    __str__ = __repr__ = __len__ = __eq__ = __getitem__ = encode = isascii = startswith = _forbidden
    __hash__ = str.__hash__


class Number(int):
    """An integer with a mind of its own."""

    __str__ = __repr__ = __int__ = __index__ = __lt__ = __ge__ = __eq__ = __neg__ = bit_length = _forbidden
    __hash__ = int.__hash__


class Fraction(float):
    """A float with a mind of its own."""

    __str__ = __repr__ = __float__ = __sub__ = __eq__ = __lt__ = _forbidden
    __hash__ = float.__hash__


class Table(dict[Any, Any]):
    """A dict with a mind of its own."""

    __iter__ = __len__ = __getitem__ = items = keys = values = get = copy = __contains__ = _forbidden


class Items(list[Any]):
    """A list with a mind of its own."""

    __iter__ = __len__ = __getitem__ = copy = _forbidden


class Pair(tuple[Any, ...]):
    """A tuple with a mind of its own."""

    __iter__ = __len__ = __getitem__ = _forbidden


class Bag(set[Any]):
    """A set with a mind of its own."""

    __iter__ = __len__ = copy = _forbidden


class Zone(datetime.tzinfo):
    """A time zone of the user's own."""

    utcoffset = tzname = dst = _forbidden


class BadText(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Color(enum.Enum):
    """An enumeration of values that are no scalars."""

    RED = ("#", "f00")


class Level(enum.IntEnum):
    """An enumeration of integers."""

    HIGH = 3


class Word(str, enum.Enum):
    """An enumeration of strings."""

    GO = "go"


class Point(NamedTuple):
    """A namedtuple."""

    x: int
    y: object


@dataclasses.dataclass
class Plain:
    """A dataclass whose properties and repr must not be asked."""

    name: str
    inner: object = None
    unset: int = dataclasses.field(init=False)

    __repr__ = __eq__ = _forbidden  # type: ignore[assignment]  # forbidden is forbidden


@dataclasses.dataclass(frozen=True)
class Slotted:
    """A dataclass that keeps its fields in slots."""

    __slots__ = ("name",)
    name: str


@attrs.define
class Attrs:
    """An attrs object with slots."""

    name: str
    count: int = 2


class Model(pydantic.BaseModel):
    """A pydantic model that takes further fields."""

    model_config = pydantic.ConfigDict(extra="allow")
    name: str
    token: pydantic.SecretStr = pydantic.SecretStr("hidden")


def cycle() -> dict[str, Any]:
    """A dict and a list that contain each other, twice."""
    inner: list[Any] = []
    outer = {"a": inner, "b": inner}
    inner += [outer, outer]
    return outer


def deep(wrap: Callable[[Any], Any], depth: int = 2000) -> Any:
    """A value within that many others."""
    value: Any = "bottom"
    for _ in range(depth):
        value = wrap(value)
    return value


def _released() -> memoryview:
    view = memoryview(b"gone")
    view.release()
    return view


HOSTILE: dict[str, Callable[[], Any]] = {
    "untouchable": Untouchable,
    "untouchable in a list": lambda: [1, Untouchable(), {"k": Untouchable()}],
    "untouchable key": lambda: {Untouchable(): 1, (Untouchable(), 2): 3},
    "blocking": Blocking,
    "liar": Liar,
    "lying dict": LyingDict,
    "metaclass": OfMeta,
    "class of metaclass": lambda: OfMeta,
    "cycle": cycle,
    "self-containing UserDict": lambda: (d := collections.UserDict(), d.__setitem__("me", d))[0],
    "deep dict": lambda: deep(lambda v: {"k": v}),
    "deep list": lambda: deep(lambda v: [v]),
    "deep tuple": lambda: deep(lambda v: (v,)),
    "deep dataclass": lambda: deep(lambda v: Plain("n", v)),
    "deep exception": lambda: deep(lambda v: ValueError(v), 500),
    "raising mapping": RaisingMapping,
    "raising sequence": RaisingSequence,
    "str subclass": lambda: Text("text"),
    "int subclass": lambda: Number(7),
    "float subclass": lambda: Fraction(1.5),
    "dict subclass": lambda: Table({"a": 1}),
    "list subclass": lambda: Items([1, 2]),
    "tuple subclass": lambda: Pair((1, 2)),
    "set subclass": lambda: Bag({1}),
    "defaultdict": lambda: collections.defaultdict(list, {"a": [1]}),
    "counter": lambda: collections.Counter("aab"),
    "deque": lambda: collections.deque([1, 2], maxlen=5),
    "chain map": lambda: collections.ChainMap({"a": 1}),
    "user list": lambda: collections.UserList([1]),
    "user string": lambda: collections.UserString("s"),
    "proxy": lambda: types.MappingProxyType({"a": 1}),
    "namespace": lambda: types.SimpleNamespace(a=1),
    "dict views": lambda: [{"a": 1}.keys(), {"a": 1}.values(), {"a": 1}.items()],
    "range": lambda: range(10**12),
    "generator": lambda: (i for i in range(3)),
    "iterator": lambda: iter([1, 2]),
    "file": io.StringIO,
    "lock": threading.Lock,
    "thread": lambda: threading.current_thread(),
    "lambda": lambda: lambda: 1,
    "module": lambda: types,
    "class": lambda: int,
    "coroutine type": lambda: types.CoroutineType,
    "decimal": lambda: decimal.Decimal("1.10"),
    "decimal nan": lambda: decimal.Decimal("NaN"),
    "decimal subclass": lambda: type("D", (decimal.Decimal,), {"__str__": _forbidden})("2.5"),
    "fraction": lambda: fractions.Fraction(1, 3),
    "complex": lambda: 1 + 2j,
    "datetime": lambda: datetime.datetime(2026, 11, 21, 5, 22, tzinfo=datetime.timezone.utc),
    "datetime of a foreign zone": lambda: datetime.datetime(2026, 11, 21, 5, 22, tzinfo=Zone()),
    "date": lambda: datetime.date(2026, 11, 21),
    "time": lambda: datetime.time(5, 22),
    "timedelta": lambda: datetime.timedelta(seconds=1.5),
    "uuid": lambda: uuid.UUID(int=5),
    "path": lambda: pathlib.PurePosixPath("/tmp/x"),
    "bytes": lambda: b"\x00\xff",
    "bytearray": lambda: bytearray(b"ab"),
    "memoryview": lambda: memoryview(b"abcd")[::2],
    "released memoryview": _released,
    "array": lambda: array.array("d", [1.5, float("nan")]),
    "big int": lambda: 2**63,
    "small int": lambda: -(2**63) - 1,
    "huge int": lambda: 10**5000,
    "nan": lambda: float("nan"),
    "inf": lambda: [float("inf"), float("-inf")],
    "surrogate": lambda: "a\ud800b",
    "surrogate everywhere": lambda: {"k\udfff": ["\ud83d\ude00 \ud83d", {"\udc00": "\udc00"}]},
    "NUL and escapes": lambda: "\x00\x1b[2J\u202e\u2028\x85",
    "odd keys": lambda: {
        None: 1,
        True: 2,
        1.5: 3,
        b"k": 4,
        (1, ("a",)): 5,
        10**30: 6,
        Color.RED: 7,
        float("nan"): 8,
        frozenset(): 9,
    },
    "keys that become one": lambda: {1: "a", "1": "b", b"1": "c"},
    "enum": lambda: [Color.RED, Level.HIGH, Word.GO],
    "namedtuple": lambda: Point(1, Untouchable()),
    "dataclass": lambda: Plain("n", {1, 2}),
    "slotted dataclass": lambda: Slotted("n"),
    "attrs": lambda: Attrs("n"),
    "pydantic": lambda: Model(name="n", more=[1]),  # type: ignore[call-arg]  # extra="allow"
    "exception": lambda: ValueError("bad size"),
    "exception of objects": lambda: KeyError(Untouchable(), "k"),
    "exception without text": lambda: BadText("x"),
    "os error": lambda: FileNotFoundError(2, "No such file", "/tmp/x"),
    "exception group": lambda: LookupError([ValueError("a")]),
    "set": lambda: {"b", "a"},
    "mixed set": lambda: frozenset({1, "a", (2,)}),
    "10,000 keys": lambda: {f"key-{i}": i for i in range(10_000)},
    "a million ints": lambda: list(range(10**6)),
    "wide and deep": lambda: [[[i] * 50 for i in range(200)] for _ in range(200)],
    "long key": lambda: {"k" * 10**6: 1},
    "20 MB": lambda: "word " * 4_000_000,
    "20 MB of bytes": lambda: b"\x01\x02\x03\x04" * 5_000_000,
}
"""Name → maker of the object."""

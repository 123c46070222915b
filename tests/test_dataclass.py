"""Our `dataclass` gives what the standard library's gives."""

from __future__ import annotations

import ast
import dataclasses
import pickle
from collections.abc import Iterator
from dataclasses import field
from itertools import product
from typing import Any, ClassVar

import pytest

from otel_agentlog._startup import dataclass
from tests.support import sources

PUBLIC = {
    "compat",
    "demo",
    "query/alerts/watch.py",
    "settings/fields.py",
    "testing",
    "tools/scripts/execute.py",
    "wiring/setup.py",
}
"""Files and folders whose classes users get."""


class Point:
    """What both decorate."""

    shared: ClassVar[int] = 7
    x: int
    y: list[int] = field(default_factory=list)
    label: str = field(default="a", compare=False)
    hidden: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        """Frozen ones are set this way, too."""
        object.__setattr__(self, "x", self.x + 1)

    @property
    def twice(self) -> int:
        """Of x."""
        return 2 * self.x


class Empty:
    """A class without fields."""


class Spelt:
    """One that says itself what it is."""

    x: int = 0

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 5

    def __repr__(self) -> str:
        return "spelt"


def both(cls: type, options: dict[str, bool]) -> list[Any]:
    """The class as each makes it."""
    made = []
    for make in (dataclasses.dataclass, dataclass):
        body = {key: value for key, value in vars(cls).items() if key not in ("__dict__", "__weakref__")}
        made.append(make(**options)(type(cls.__name__, (), body)))
    return made


OPTIONS = [
    dict(zip(("frozen", "eq", "repr", "slots", "kw_only"), values, strict=True)) for values in product([True, False], repeat=5)
]


def hash_of(value: object) -> int | str:
    """Its hash, or why it has none."""
    try:
        return hash(value)
    except TypeError as error:
        return str(error)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_is_the_standard_one(options: dict[str, bool]) -> None:
    """What instances look like, equal, hash to, hold and become."""
    for cls, given in (
        (Point, [{"x": 1}, {"x": 1, "label": "b"}, {"x": 1, "hidden": 2}, {"x": 2, "y": [3]}]),
        (Empty, [{}]),
        (Spelt, [{}, {"x": 2}]),
    ):
        theirs, ours = both(cls, options)
        theirs.__qualname__ = ours.__qualname__ = cls.__qualname__
        pairs = [(theirs(**each), ours(**each)) for each in given]
        for their, our in pairs:
            if options["repr"] or cls is Spelt:
                assert repr(our) == repr(their)
            assert dataclasses.asdict(our) == dataclasses.asdict(their)
            assert hasattr(our, "__dict__") == hasattr(their, "__dict__")
            assert [our == other for _, other in pairs] == [their == other for other, _ in pairs]
            assert (our == their, our != our.__class__(**given[0])) == (their == our, their != their.__class__(**given[0]))
            if options["eq"]:
                assert hash_of(our) == hash_of(their)
        assert [f.name for f in dataclasses.fields(ours)] == [f.name for f in dataclasses.fields(theirs)]
        assert ours.__match_args__ == theirs.__match_args__
        assert ours.__doc__ == theirs.__doc__
        assert (ours.__hash__ is None) == (theirs.__hash__ is None)
        if cls is Point:
            assert ours(x=1).twice == 4
            assert dataclasses.replace(ours(x=1), hidden=3).hidden == 3


@dataclass(frozen=True, slots=True)
class Node:
    """One that may hold itself."""

    name: str
    others: list[Node]


def test_one_that_holds_itself_is_shown() -> None:
    """As the standard one is."""
    node = Node("a", [])
    node.others.append(node)

    assert repr(node) == "Node(name='a', others=[...])"


def test_it_can_be_pickled() -> None:
    """With slots, too."""
    assert pickle.loads(pickle.dumps(Node("a", [Node("b", [])]))) == Node("a", [Node("b", [])])


@pytest.fixture(scope="module", autouse=True)
def trees() -> Iterator[None]:
    """Let go of at the end."""
    yield
    sources.modules.cache_clear()


def test_only_classes_of_users_are_standard_ones() -> None:
    """Each of the others would cost each start half a millisecond."""
    found = {
        module.place
        for module in sources.modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "dataclasses" and "dataclass" in {name.name for name in node.names}
    }

    assert {place for place in found if place not in PUBLIC and place.split("/")[0] not in PUBLIC} == {"_startup.py"}

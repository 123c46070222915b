"""Whatever is handed in comes out as plain, bounded JSON, without anybody's code having run."""

from __future__ import annotations

import base64
import sys
import threading
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import CleanedValue, Cleaner, ValueLimits
from tests.record.hostile_values import HOSTILE, Attrs, BadText, Model, Plain, Untouchable, cycle
from tests.record.redaction.secret_corpus import planted

CLEANER = Cleaner(Redactor())


def is_plain(value: object) -> bool:
    """Whether a value is made of exact JSON types, integers of 64 bits and finite floats."""
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if type(value) is list:
        return all(map(is_plain, value))
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return value is None or type(value) in (str, bool) or (type(value) is float and abs(value) < float("inf"))


def check(cleaned: CleanedValue) -> None:
    """Assert that a result can be written and read back."""
    assert is_plain(cleaned.value)
    assert orjson.loads(orjson.dumps(cleaned.value)) == cleaned.value


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("cleaner", [CLEANER, Cleaner(None)], ids=["redacting", "plain"])
def test_hostile_values_come_out_as_json(name: str, cleaner: Cleaner) -> None:
    """Every hostile value is recorded in some form, in a line and alone, as is its neighbour."""
    value = HOSTILE[name]()

    check(cleaner.clean(value))
    line = cleaner.clean_line({"type": "log", "details": {"value": value, "neighbour": "ok"}, "value": value})

    check(line)
    assert line.value["type"] == "log"
    assert line.value["details"]["neighbour"] == "ok"
    assert len(orjson.dumps(line.value)) < 100_000_000


@dataclass
class Recipe:
    """How to make an object that hypothesis itself must not touch."""

    name: str
    parts: tuple[Any, ...] = ()

    def make(self) -> Any:
        """The object."""
        return Plain(self.name, made(self.parts[0])) if self.parts else HOSTILE[self.name]()


def made(value: Any) -> Any:
    """A value with its recipes followed."""
    if isinstance(value, Recipe):
        return value.make()
    if isinstance(value, dict):
        return {key: made(item) for key, item in value.items()}
    return type(value)(map(made, value)) if isinstance(value, list | tuple) else value


ODD = [name for name in HOSTILE if not name.startswith(("20 MB", "a million", "10,000", "wide", "deep", "long"))]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.uuids()
)
LEAVES |= st.characters(categories=["Cs"]) | st.timedeltas() | st.complex_numbers() | st.builds(Recipe, st.sampled_from(ODD))
KEYS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.tuples(st.text(), st.integers())
KEYS |= st.sampled_from(["password", "token", "$bytes", "value", "name"])


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, max_size=6)
            | st.dictionaries(KEYS, inner, max_size=6)
            | st.tuples(inner, inner)
            | st.builds(Recipe, st.text(), st.tuples(inner))
        ),
        max_leaves=25,
    )
)
def test_any_object_comes_out_as_json(recipe: object) -> None:
    """Objects of any make and mixture give no exception and plain JSON."""
    value = made(recipe)

    check(CLEANER.clean(value))
    check(CLEANER.clean_line({"value": value}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("untouchable", "<tests.record.hostile_values.Untouchable>"),
        ("liar", "<tests.record.hostile_values.Liar>"),
        ("metaclass", "<tests.record.hostile_values.OfMeta>"),
        ("class of metaclass", "<class tests.record.hostile_values.OfMeta>"),
        ("raising mapping", "<tests.record.hostile_values.RaisingMapping>"),
        ("str subclass", "text"),
        ("int subclass", 7),
        ("float subclass", 1.5),
        ("dict subclass", {"a": 1}),
        ("list subclass", [1, 2]),
        ("tuple subclass", [1, 2]),
        ("counter", {"a": 2, "b": 1}),
        ("deque", [1, 2]),
        ("user list", [1]),
        ("namespace", {"a": 1}),
        ("dict views", [["a"], [1], [["a", 1]]]),
        ("generator", "<generator>"),
        ("lock", "<_thread.lock>"),
        ("class", "<class int>"),
        ("decimal", "1.10"),
        ("decimal subclass", "2.5"),
        ("fraction", "1/3"),
        ("datetime", "2026-11-21T05:22:00+00:00"),
        ("datetime of a foreign zone", "2026-11-21T05:22:00[tests.record.hostile_values.Zone]"),
        ("timedelta", "0:00:01.500000"),
        ("uuid", "00000000-0000-0000-0000-000000000005"),
        ("path", "/tmp/x"),
        ("bytes", {"$bytes": "AP8="}),
        ("memoryview", {"$bytes": base64.b64encode(b"ac").decode()}),
        ("array", [1.5, {"$float": "NaN"}]),
        ("big int", "9223372036854775808"),
        ("huge int", "<int of 16610 bits>"),
        ("inf", [{"$float": "Infinity"}, {"$float": "-Infinity"}]),
        ("surrogate", "a�b"),
        ("surrogate everywhere", {"k�": ["\U0001f600 �", {"�": "�"}]}),
        ("NUL and escapes", "\x00\x1b[2J\u202e\u2028\x85"),
        ("keys that become one", {"1": "a", "1#2": "b", "1#3": "c"}),
        ("enum", ["tests.record.hostile_values.Color.RED", 3, "go"]),
        ("namedtuple", {"x": 1, "y": "<tests.record.hostile_values.Untouchable>"}),
        ("dataclass", {"name": "n", "inner": [1, 2]}),
        ("slotted dataclass", {"name": "n"}),
        ("attrs", {"name": "n", "count": 2}),
        ("exception", "ValueError: bad size"),
        ("exception of objects", "KeyError: <tests.record.hostile_values.Untouchable>, k"),
        ("exception without text", "tests.record.hostile_values.BadText: <BadText whose __str__ raises>: x"),
        ("os error", "FileNotFoundError: [Errno 2] No such file: '/tmp/x'"),
        ("set", ["a", "b"]),
    ],
)
def test_what_stands_for_what(name: str, expected: object) -> None:
    """Each kind of value has one readable form."""
    assert CLEANER.clean(HOSTILE[name]()).value == expected


def test_models_show_their_fields() -> None:
    """A pydantic model shows fields and extras without being asked; a secret field is masked by its name."""
    cleaned = CLEANER.clean(Model(name="n", more=[1], nested=Attrs("a")))  # type: ignore[call-arg]  # extra="allow"

    assert cleaned.value == {
        "name": "n",
        "token": "<pydantic.types.SecretStr>",
        "more": [1],
        "nested": {"name": "a", "count": 2},
    }


def test_odd_keys_become_names() -> None:
    """Keys of any type become text."""
    value = CLEANER.clean(HOSTILE["odd keys"]()).value

    assert list(value) == [
        *("null", "true", "1.5", "k", "(1, <tuple>)", "1000000000000000000000000000000"),
        *("tests.record.hostile_values.Color.RED", "nan", "<frozenset>"),
    ]


def test_what_is_left_out_is_marked_and_counted() -> None:
    """Every bound leaves a mark that says how much is missing."""
    cleaner = Cleaner(None, ValueLimits(max_depth=2, max_items=3, max_nodes=100, max_string_bytes=10))

    cleaned = cleaner.clean({"list": list(range(5)), "text": "0123456789abc", "deep": {"a": {"b": 1}}, "x": 1, "y": 2})

    assert cleaned.value == {
        "list": [0, 1, 2, "[truncated: 2 of 5 items left out]"],
        "text": "0123456789…[truncated: 3 of 13 characters left out]",
        "deep": {"a": "[truncated: <dict> is below depth 2]"},
        "$truncated": "2 of 5 items left out",
    }
    assert cleaned.truncated == 4


def test_a_long_text_is_cut_after_redaction_between_characters() -> None:
    """No half secret and no half character is left at the cut."""
    secret = next(p for p in planted(0) if p.kind == "github classic").secret
    cleaner = Cleaner(Redactor(), ValueLimits(max_string_bytes=40_001))

    text, redacted, truncated = cleaner.text("é" * 19_990 + f" {secret} " + "é" * 20_000)

    assert text.startswith("é" * 19_990 + " [redacted:github-to")
    assert secret[:10] not in text
    assert (redacted, truncated) == (1, 1)


def test_a_cycle_is_marked_where_it_closes() -> None:
    """A container within itself ends there."""
    assert CLEANER.clean(cycle()).value == {
        "a": ["[truncated: <dict> contains itself]"] * 2,
        "b": ["[truncated: <dict> contains itself]"] * 2,
    }


def test_truncated_bytes_are_no_tag_any_more() -> None:
    """Bytes over the limit say so and cannot be taken for the whole."""
    cleaned = Cleaner(None, ValueLimits(max_string_bytes=4)).clean(b"abcdefgh")

    assert cleaned.value == {"$bytes": "YWJjZA==", "$truncated": "4 of 8 bytes left out"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"$bytes": "x"}, {"$$bytes": "x"}),
        ({"$$float": 1}, {"$$$float": 1}),
        ({"a": [{"$artifact": {}}]}, {"a": [{"$$artifact": {}}]}),
        ({"$ref": "#/x"}, {"$ref": "#/x"}),
        ({"$bytes": "x", "b": 1}, {"$bytes": "x", "b": 1}),
    ],
)
def test_a_users_own_tags_are_told_apart(value: object, expected: object) -> None:
    """An object that only looks like one of our tags gets one more dollar sign."""
    assert CLEANER.clean(value).value == expected


def test_containers_may_change_while_they_are_read() -> None:
    """Other threads that fill and empty what is being read do not disturb."""
    shared: dict[str, Any] = {f"k{i}": [i] for i in range(200)}
    stop = threading.Event()

    def churn() -> None:
        for i in range(10**9):
            shared[f"n{i % 500}"] = {i}
            shared.pop(f"n{(i * 7) % 500}", None)
            if stop.is_set():
                return

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(200):
            cleaned = CLEANER.clean(shared)
            check(cleaned)
            assert cleaned.failed == 0
    finally:
        stop.set()
        thread.join()


def test_generators_are_not_consumed() -> None:
    """What can be read only once is left to its owner."""
    numbers = (i for i in range(3))

    CLEANER.clean({"numbers": numbers})

    assert list(numbers) == [0, 1, 2]


def test_interrupts_pass_through() -> None:
    """A KeyboardInterrupt in an exception's own text is the user's, a MemoryError is not."""

    class Interrupting(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    class Exhausted(Exception):
        def __str__(self) -> str:
            raise MemoryError

    with pytest.raises(KeyboardInterrupt):
        CLEANER.clean(Interrupting())
    assert CLEANER.clean([Exhausted(), "next"]).value[1] == "next"


def test_cleaning_near_the_end_of_the_stack_raises_nothing() -> None:
    """With no stack left a value becomes a placeholder or is cleaned; no RecursionError comes out."""

    def descend(left: int) -> list[CleanedValue]:
        try:
            return descend(left - 1) if left else [CLEANER.clean({"a": [{"b": [1, {"c": Untouchable()}]}]})]
        except RecursionError:
            return []

    limit = sys.getrecursionlimit()
    for spare in range(20, 120, 5):
        for cleaned in descend(limit - spare - 60):
            check(cleaned)


def test_lines_keep_their_keys_in_order() -> None:
    """`clean_line` keeps the keys of a line in their order, so that ``timestamp`` stays first."""
    line = {"timestamp": "2026-11-21T05:22:01.123456789Z", "type": "log", "message": "m", "exception": {"type": BadText("x")}}

    assert list(CLEANER.clean_line(line).value) == list(line)


def test_text_reports_what_it_took() -> None:
    """`text` gives the safe text and both counts."""
    assert CLEANER.text("password=hunter2 and \ud800") == ("password=[redacted:password] and �", 1, 0)

"""The short way through the cleaner gives what the careful way gives, or leaves the value to that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner, ValueLimits
from tests.record.hostile_values import HOSTILE
from tests.record.redaction.near_misses import near_misses
from tests.record.redaction.secret_corpus import planted
from tests.record.sanitize.test_values import KEYS, LEAVES, Recipe, made

CLEANER = Cleaner(Redactor())
CLEANERS = {
    "default": CLEANER,
    "bounds only": Cleaner(None),
    "small": Cleaner(Redactor(), ValueLimits(max_depth=3, max_items=4, max_nodes=12, max_string_bytes=40, max_total_bytes=100)),
    "own rules": Cleaner(Redactor(extra_keys=["internal ref"], extra_patterns={"ticket": r"\bTCK-\d{4}\b"}, personal=["all"])),
    "loose": Cleaner(Redactor(unmask=["password", "jwt"], allow=["re:[a-z]+"])),
}
"""Each is asked again and again, so that names it knows from earlier values are among them."""

SECRETS = [each.text for each in planted(1)]
TEXTS = st.text() | st.sampled_from(SECRETS) | st.sampled_from(near_misses(2, 4000).split("\n"))
NAMES = KEYS | st.sampled_from(["message", "internal ref", "internalRef", "Value", "$x", "auth", "input_tokens"]) | TEXTS
VALUES = st.recursive(
    LEAVES | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(NAMES, inner, max_size=6)
        | st.tuples(inner, inner)
        | st.tuples(st.sampled_from(["authorization", "x-api-key", "accept"]), inner)
        | st.lists(st.floats(), max_size=6)
        | st.builds(Recipe, st.text(), st.tuples(inner))
    ),
    max_leaves=25,
)


def same(cleaner: Cleaner, line: dict[str, Any]) -> bool:
    """Assert that both ways agree on a line; whether the short one took it."""
    plain = cleaner.plain(line)
    careful = cleaner.clean(line)
    if plain is not None:
        assert (careful.redacted, careful.truncated, careful.failed) == (0, 0, 0)
        assert repr(plain) == repr(careful.value)
        assert plain is not line
    return plain is not None


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=6), st.sampled_from(list(CLEANERS)))
def test_both_ways_agree(recipe: dict[Any, Any], name: str) -> None:
    """On objects of any make and mixture, secrets in texts and names among them, with any limits and rules."""
    same(CLEANERS[name], made(recipe))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_are_left_to_the_careful_way_or_come_out_alike(name: str) -> None:
    """Whatever a value is and does, with any limits and rules."""
    for cleaner in CLEANERS.values():
        value = HOSTILE[name]()

        same(cleaner, {"type": "log", "details": {"it": value, "list": [value, 1]}})


@pytest.mark.parametrize("name", CLEANERS)
def test_lone_surrogates_are_repaired(name: str) -> None:
    """In texts and in names, also where no secrets are looked for: UTF-8 has no form for them."""
    for line in ({"a": "x\ud800"}, {"a": ["\udfff"]}, {"\ud800": 1}, {"a": {"b\udc80": 1}}, {"a": ("x", "\ud83d\ude00")}):
        assert not same(CLEANERS[name], line)


@pytest.mark.parametrize("seed", range(3))
def test_no_secret_takes_the_short_way(seed: int) -> None:
    """As a text, a name, within a list, before and behind other texts."""
    for each in planted(seed):
        for line in (
            {"message": each.text},
            {"message": "at work", "details": {"a": ["x", each.text, 1], "n": 1}},
            {"details": {each.text: 1}},
            {"details": {"pair": ("header", each.text)}, "z": "end"},
        ):
            if CLEANER.clean(line).redacted:
                assert not same(CLEANER, line), each


def test_ordinary_lines_take_the_short_way() -> None:
    """What agents record all day: log lines, conversations, embeddings, arguments of tools."""
    for line in (
        {"message": "files read", "details": {"files": 3, "ratio": 0.5, "none": None, "yes": True, "path": "src/a.py"}},
        {"details": {"messages": [{"role": "user", "parts": [{"type": "text", "content": 'Say "hi"\n' * 500}]}] * 20}},
        {"details": {"embedding": [0.25] * 1000, "pair": ("a", "b"), "matrix": [[1, 2], [3, 4]], "tags": ["x", "y", "z"]}},
        {"details": {"input_tokens": 12, "max_tokens": 4096, "cost_usd": 0.1, "arguments": {"query": "cafés in 東京"}}},
    ):
        assert same(CLEANER, line)
        assert same(CLEANER, line)


def test_a_copy_is_independent() -> None:
    """What is recorded stays as it was when the call was made."""
    inner = {"list": [1, [2]], "dict": {"a": "b"}}
    plain = CLEANER.plain({"details": inner})
    inner["list"].append(3)
    inner["list"][1].append(4)  # type: ignore[index,union-attr]
    inner["dict"]["a"] = "c"  # type: ignore[index]

    assert plain == {"details": {"list": [1, [2]], "dict": {"a": "b"}}}


def test_patterns_of_users_may_ask_for_the_edges_of_a_text() -> None:
    """Wherever in a line the text is, and also after it was not alone."""
    cleaner = Cleaner(Redactor(extra_patterns={"ticket": r"^TCK-\d{4}$", "last": r"end-\d+\z"}))
    for line in ({"a": "first", "b": "TCK-1234", "c": "so end-12"}, {"b": "TCK-1234", "c": "so end-12", "d": "last"}) * 5:
        assert cleaner.plain(line) is None
        assert cleaner.clean(line).value == {**line, "b": "[redacted:ticket]", "c": "so [redacted:last]"}
    assert cleaner.text("TCK-1234")[0] == "[redacted:ticket]"
    assert same(cleaner, {"a": "not TCK-1234", "b": "end-12 of it"})

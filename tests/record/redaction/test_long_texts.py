"""A long text is searched for some of the rules after the other; what is found is the same."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random
from types import MappingProxyType

from hypothesis import given, settings

from otel_agentlog.record.redaction import engine, redactor
from otel_agentlog.record.redaction.engine import Hit
from otel_agentlog.record.redaction.redactor import Redactor
from tests.record.redaction.near_misses import near_misses
from tests.record.redaction.secret_corpus import planted
from tests.record.redaction.secret_mixtures import TEXTS

REDACTORS = [
    Redactor(personal=["all"]),
    Redactor(extra_patterns=[r"\Bmid[a-z]+", r"(?m)^line [0-9]+$", r"\bword\b", r"\Afirst|x\z"], allow=["re:[a-z]{3}"]),
]


@contextmanager
def searched(in_parts: bool) -> Iterator[None]:
    """Search all texts in parts, or none."""
    before, size = engine.in_parts, engine.LONG_BYTES
    engine.in_parts = redactor.in_parts = lambda data: in_parts
    engine.LONG_BYTES = -1
    try:
        yield
    finally:
        engine.in_parts = redactor.in_parts = before
        engine.LONG_BYTES = size


def found(data: bytes, in_parts: bool) -> list[tuple[list[Hit], tuple[bytes, int], bool]]:
    """Secrets in the data, the data without them, and whether there are certainly none, by each redactor."""
    with searched(in_parts):
        return [(list(each.hits(data)), each.data(data), each.finds_none(data)) for each in REDACTORS]


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_a_long_text_is_searched_like_a_short_one(text: str) -> None:
    """Whatever secrets, near misses and other text follow each other."""
    data = text.encode("utf-8", "replace")

    assert found(data, True) == found(data, False)


def test_all_kinds_are_found_in_one_long_text() -> None:
    """With nothing between them, with letters, with text that nearly has secrets in it."""
    secrets, random = [each.text for each in planted(0)], Random(7)
    letters = base64.b64encode(random.randbytes(100_000)).decode()
    between = {
        "nothing": "",
        "lines": "\nline 12\nmiddle word xmiddle",
        "letters": letters[:700],
    }
    texts = [filling.join(secrets) for filling in between.values()] + [letters, near_misses(3, 30_000)]
    for text in texts:
        assert found(text.encode(), True) == found(text.encode(), False)


def test_a_long_text_with_many_secrets_takes_time_in_proportion() -> None:
    """No rule searches what is left of the text anew for each secret that another rule finds: counted in searched bytes."""
    counted = {}
    for count in (2_000, 8_000):
        data = b"id AKIA" + b"IOSFODNN7" + b"EXAMPLF of a row\n"
        searched = Counting.bytes = 0
        ahead = engine._Ahead([Counting(rb"AKIA[A-Z0-9]{16}"), Counting(rb"never there")])
        floor, text = 0, data * count
        while (hit := ahead.search(memoryview(text)[floor:], floor, 0)) is not None:
            floor += hit[1]
        counted[count] = Counting.bytes - searched

    assert counted[8_000] < 4.2 * counted[2_000]


def test_only_long_texts_that_are_not_of_words_are_searched_in_parts() -> None:
    """For others one search with all rules costs least."""
    letters = base64.encodebytes(Random(3).randbytes(100_000))

    assert engine.in_parts(letters)
    assert engine.in_parts(Random(4).randbytes(100_000))
    assert not engine.in_parts(letters[: engine.LONG_BYTES])
    assert not engine.in_parts(near_misses(3, 100_000).encode())


class Counting:
    """A compiled pattern that counts the bytes it has searched."""

    bytes = 0
    groupindex: Mapping[bytes, int] = MappingProxyType({})

    def __init__(self, pattern: bytes) -> None:
        self._compiled = engine.compiled(pattern.decode(), utf8=False)

    def search(self, text: bytes | memoryview, pos: int = 0) -> engine.RegexMatch | None:
        """As the pattern does."""
        match = self._compiled.search(text, pos)
        Counting.bytes += (len(text) if match is None else match.end()) - pos
        return match

    def match(self, text: bytes | memoryview, pos: int = 0) -> engine.RegexMatch | None:
        """As the pattern does."""
        return self._compiled.match(text, pos)

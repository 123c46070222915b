"""Rules are searched for in groups, each by a looser pattern first; what is found is what one pattern of all rules finds."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog
from otel_agentlog.record.redaction import engine
from otel_agentlog.record.redaction.engine import Hit
from otel_agentlog.record.redaction.pii import personal_rules
from otel_agentlog.record.redaction.redactor import Redactor, default_rules
from otel_agentlog.record.redaction.rules import SecretRule, first_search, grouped, loosened, may_match
from tests.record.redaction.near_misses import near_misses
from tests.record.redaction.secret_corpus import planted
from tests.record.redaction.secret_mixtures import TEXTS

RULES = [*default_rules(), *personal_rules(["all"])]
PATTERNS = sorted({pattern for rule in RULES for pattern in (rule.pattern, rule.quick or rule.pattern)})
END = re.compile(r"\\z")
"""Python's ``re`` has no ``\\z`` before 3.14."""


def redactors() -> list[Redactor]:
    """One with all rules of the package, one with patterns that ask for edges."""
    edges = [r"\Bmid[a-z]+", r"(?m)^line [0-9]+$", r"\bword\b", r"\Afirst|x\z", r"\Qx{20}\E[0-9]{20,30}y"]
    return [Redactor(personal=["all"]), Redactor(extra_patterns=edges, allow=["re:[a-z]{3}"])]


@contextmanager
def one_group() -> Iterator[None]:
    """Engines that are made meanwhile search with one pattern of all rules, and with nothing before it."""
    before = engine.grouped, engine.first_search
    engine.grouped, engine.first_search = lambda rules: [list(rules)] if rules else [], engine.joined
    try:
        yield
    finally:
        engine.grouped, engine.first_search = before


with one_group():
    JOINED = redactors()
IN_GROUPS = redactors()


Found = list[tuple[list[Hit], tuple[bytes, int], bool]]
"""Secrets in the data, the data without them, and whether there are certainly none, by each redactor."""


def found(data: bytes) -> Found:
    """By groups."""
    return [(list(each.hits(data)), each.data(data), each.finds_none(data)) for each in IN_GROUPS]


def expected(data: bytes) -> Found:
    """By one pattern; what it searches with is made when it is first needed, so here."""
    with one_group():
        return [(list(each.hits(data)), each.data(data), each.finds_none(data)) for each in JOINED]


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_groups_find_what_one_pattern_finds(text: str) -> None:
    """Whatever secrets, near misses and other text follow each other."""
    data = text.encode("utf-8", "replace")

    assert found(data) == expected(data)


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
        assert found(text.encode()) == expected(text.encode())


def test_each_kind_is_found_alone() -> None:
    """A text with one secret: the search that comes first finds its rule's group."""
    for each in planted(0):
        data = each.text.encode()
        assert found(data) == expected(data), each.text


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_what_comes_first_matches_where_the_rule_does(data: st.DataObject) -> None:
    """Texts are made of each rule's own pattern, among other rules of its group."""
    group = data.draw(st.sampled_from(grouped(RULES)))
    rule = data.draw(st.sampled_from(group))
    text = data.draw(st.from_regex(re.compile(END.sub(r"\\Z", rule.pattern).encode()))) if len(rule.pattern) < 3000 else b""
    exact = engine.compiled(rule.pattern, utf8=False)
    if exact.search(text) is not None:
        assert engine.compiled(first_search([rule]), utf8=False).search(text) is not None
        assert engine.compiled(first_search(group), utf8=False).search(text) is not None


LETTERS = frozenset(engine._OF_BASE64.decode())
ELSEWHERE = [rule for rule in RULES if not may_match(rule.pattern, LETTERS)]


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_rules_that_need_other_characters_match_none_of_base64(data: st.DataObject) -> None:
    """Texts are made of each rule's own pattern."""
    rule = data.draw(st.sampled_from([rule for rule in ELSEWHERE if len(rule.pattern) < 3000]))
    text = data.draw(st.from_regex(re.compile(END.sub(r"\\Z", rule.pattern).encode())))
    if found := engine.compiled(rule.pattern, utf8=False).search(text):
        assert text[found.start() : found.end()].translate(None, engine._OF_BASE64)


@given(st.sampled_from(ELSEWHERE), st.sampled_from([each.text for each in planted(2)]))
@settings(max_examples=400, deadline=None)
def test_what_is_left_of_a_secret_is_none_of_theirs(rule: SecretRule, secret: str) -> None:
    """Secrets of all kinds without the characters that base64 has not."""
    other = bytes(set(range(256)) - set(engine._OF_BASE64))
    text = secret.encode("utf-8", "replace").translate(None, other)

    assert engine.compiled(rule.pattern, utf8=False).search(text) is None


@pytest.mark.parametrize(
    ("pattern", "may"),
    [
        ("AKIA[A-Z]{16}", True),
        ("sk-[a-z]{16}", False),
        ("sk-?[a-z]{16}", True),
        ("sk-{0,3}x", True),
        ("sk-{1,3}x", False),
        ("sk-*x|y", True),
        ("sk-+x|y_", False),
        ("(?:sk-|AK)x", True),
        ("(?:sk-|A_)x", False),
        ("(?:sk-|A_)?x", True),
        ("(?:(?:sk-)|A_)+x", False),
        ("(?P<secret>a-)b", False),
        ("(?i:a-)b", False),
        ("(?i)a-b", True),
        (r"\.x", False),
        (r"\\x", False),
        (r"\bx\d", True),
        (r"[^\w]x", True),
        (r"[]_]x", True),
        (r"[]_]-", False),
        (r"[[:alpha:]_]-{2}", False),
        (r"\x{5F}x", True),
        (r"\pLx_", False),
        (r"\Qa-b\E", True),
        (".^$", True),
        ("", True),
        ("a|", True),
        ("a_|", True),
        ("é", False),
    ],
)
def test_which_patterns_may_match_in_base64(pattern: str, may: bool) -> None:
    """One that needs another character in all its alternatives may not."""
    assert may_match(pattern, LETTERS) is may
    engine.compiled(pattern)


OF_LETTERS = [each.text for each in planted(3) if not each.text.encode().translate(None, engine._OF_BASE64)]
"""Secrets that can stand in base64."""


@given(st.lists(st.sampled_from(OF_LETTERS) | st.text("ABCabc019+/=\n:;,", max_size=40), max_size=8), st.integers(0, 40_000))
@settings(max_examples=150, deadline=None)
def test_in_base64_few_rules_find_what_all_find(parts: list[str], size: int) -> None:
    """Secrets between letters, in a text that is long enough to be searched by those that may match there."""
    letters = base64.b64encode(Random(size).randbytes(55_000)).decode()
    data = (letters[:size] + "".join(parts) + letters).encode()

    assert engine._is_base64(data)
    assert IN_GROUPS[0]._engines[0].for_text(data) is not IN_GROUPS[0]._engines[0]
    assert found(data) == expected(data)


def test_pictures_are_searched_by_few_rules() -> None:
    """As base64, in lines, as a ``data:`` URL; not a text with other characters at its end."""
    own = IN_GROUPS[0]._engines[0]
    picture = base64.encodebytes(Random(1).randbytes(80_000))
    few = own.for_text(picture)

    assert own.for_text(b"data:image/png;base64," + picture.replace(b"\n", b"")) is few is not own
    assert own.for_text(picture + b"-") is own.for_text(picture[:65_536]) is own
    assert len(few._rules) < len(own._rules) / 3


@pytest.mark.parametrize("length", [1, 70_000])
def test_texts_of_any_length_are_searched_together(length: int) -> None:
    """Those with a secret are found among others, long ones too; lone surrogates are repaired or refused."""
    redactor = Redactor()
    others, secret = ["word " * length, "x" * length, ""], "a " * length + "password=x1y2z3"
    torn = "x" * 70_000 + "\ud800"

    assert redactor.changes(others) == {}
    assert redactor.finds_none_in(others)
    assert redactor.changes([*others, secret]) == {secret: redactor.text(secret)}
    assert not redactor.finds_none_in([*others, secret])
    assert redactor.changes([*others, torn]) == {torn: ("x" * 70_000 + "\ufffd", 0)}
    with pytest.raises(UnicodeEncodeError):
        redactor.finds_none_in([*others, torn])


NAMED = [rule for rule in RULES if rule.sign]


@given(
    st.sampled_from(NAMED),
    st.lists(st.sampled_from([each.text for each in planted(1)]), min_size=1, max_size=3),
    st.text(max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_a_sign_is_in_what_its_rule_matches(rule: SecretRule, secrets: list[str], between: str) -> None:
    """Rules whose words are too many to make texts of."""
    text = between.join(secrets).encode("utf-8", "replace")
    if engine.compiled(rule.pattern, utf8=False).search(text) is not None:
        assert rule.sign is not None
        assert engine.compiled(rule.sign, utf8=False).search(text) is not None


@pytest.mark.parametrize(
    ("pattern", "looser"),
    [
        ("x{3}", "x{3}"),
        ("x{40}", "x{12,}"),
        ("x{3,}", "x{3,}"),
        ("x{40,}", "x{12,}"),
        ("x{3,8}", "x{3,8}"),
        ("x{3,80}?y", "x{3,}?y"),
        ("x{0,40}", "x{0,}"),
        ("(?:x{20}){30}", "(?:x{12,}){12,}"),
        (r"\x{20AC}{30}", r"\x{20AC}{12,}"),
        (r"\{30}", r"\{30}"),
        (r"[{30}]x", r"[{30}]x"),
        (r"[]{30}]{20}", r"[]{30}]{12,}"),
        (r"[^]\]{30}]{20}", r"[^]\]{30}]{12,}"),
        (r"[[:alpha:]{30}]{20}", r"[[:alpha:]{30}]{12,}"),
        (r"\Qx{30}\E", r"\Qx{30}\E"),
        ("x{,30}", "x{,30}"),
        ("x{a}", "x{a}"),
    ],
)
def test_counts_are_loosened_where_they_are_counts(pattern: str, looser: str) -> None:
    """Not in classes, escapes and what only looks like one."""
    assert loosened(pattern) == looser
    engine.compiled(looser)


@given(st.sampled_from(PATTERNS), TEXTS)
@settings(max_examples=300, deadline=None)
def test_a_loosened_pattern_matches_where_the_pattern_does(pattern: str, text: str) -> None:
    """In texts with secrets."""
    data = text.encode("utf-8", "replace")
    if engine.compiled(pattern, utf8=False).search(data) is not None:
        assert engine.compiled(loosened(pattern), utf8=False).search(data) is not None


MEMORY = """
import sys
from pathlib import Path
from otel_agentlog.record.redaction.redactor import Redactor

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

redactor = Redactor()
redactor.finds_none(b"x")
sources = [path.read_bytes() for path in sorted(Path(sys.argv[1]).rglob("*.py"))]
before = resident_mb()
for source in sources:
    for at in range(0, len(source), 800):
        redactor.finds_none(source[at : at + 800])
print(resident_mb() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_new_texts_need_few_states() -> None:
    """Memory that RE2 takes for its states in 4 MB of texts with new words all the time; one pattern of all rules took 29 MB."""
    command = [sys.executable, "-c", MEMORY, str(Path(otel_agentlog.__file__).parent)]
    taken = float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)

    assert taken < 20


def test_a_long_text_with_many_secrets_takes_time_in_proportion() -> None:
    """No rule searches what is left of the text anew for each secret that another rule finds: counted in searched bytes."""
    counted = {}
    for count in (2_000, 8_000):
        data = b"id AKIA" + b"IOSFODNN7" + b"EXAMPLF of a row\n"
        searched = Counting.bytes = 0
        finders = [Counting(rb"AKIA[A-Z0-9]{16}"), Counting(rb"never there")]
        ahead = engine._Ahead(finders.__getitem__, [True, True])
        floor, text = 0, data * count
        while (hit := ahead.search(memoryview(text)[floor:], floor, 0)) is not None:
            floor += hit[1]
        counted[count] = Counting.bytes - searched

    assert counted[8_000] < 4.2 * counted[2_000]


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


@pytest.mark.parametrize("between", ["few words, ", base64.b64encode(Random(5).randbytes(30_000)).decode(), "é" * 50 + " "])
def test_what_is_far_in_a_long_text_is_found(between: str) -> None:
    """A secret of each group behind 200 KB, of words and not of words."""
    before = between * (200_000 // len(between) + 1)
    for secret in (
        "password=x1y2z3",
        " AKIA" + "IOSFODNN7" + "EXAMPLF ",
        " .A1bC2d.A1b2C3d4E5f6G7h8I9j0K1l2M3n",
        "\n4111 1111 1111 1111\n",
    ):
        data = (before + secret).encode()
        assert found(data) == expected(data)
        assert found(before.encode()) == expected(before.encode())

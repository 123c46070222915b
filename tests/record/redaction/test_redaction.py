"""Secrets are found wherever they stand, nothing else is, and markers tell nothing about them."""

from __future__ import annotations

import re
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.redaction.engine import BYTES_EXAMINED, BYTES_PER_CANDIDATE, MAX_CANDIDATES, compiled
from otel_agentlog.record.redaction.key_rules import KEY_RULE_NAMES, key_rule
from otel_agentlog.record.redaction.redactor import Redactor, default_rules
from otel_agentlog.record.redaction.rules import TOKEN_RULES, joined
from otel_agentlog.record.redaction.rules_in_context import named_rules
from otel_agentlog.record.redaction.rules_on_the_wire import MAX_BLOCK_BYTES
from tests.record.redaction.near_misses import near_misses
from tests.record.redaction.secret_corpus import CARRIED, KIND_COUNT, NAMED, SHAPES, leaks, planted
from tests.record.redaction.secret_mixtures import TEXTS

REDACTOR = Redactor()
PLANTED = [*planted(0), *planted(1)]
MARKER = re.compile(r"\[redacted:([^\]]*)\]")


def test_known_kinds_are_found_wherever_they_stand() -> None:
    """At least 99 % of more than 40 kinds of secrets are gone, in every context."""
    missed = [(p.kind, p.context) for p in PLANTED if leaks(REDACTOR.text(p.text)[0], p.secret)]

    assert KIND_COUNT >= 40
    assert len(missed) <= len(PLANTED) // 100, missed


@pytest.mark.parametrize("kind", [*SHAPES, *CARRIED, *NAMED])
def test_each_kind_is_found_on_its_own(kind: str) -> None:
    """No kind is known in theory only: the plainest context of each is redacted."""
    sample = next(p for p in PLANTED if p.kind == kind)

    redacted, count = REDACTOR.text(sample.text)

    assert not leaks(redacted, sample.secret)
    assert count >= 1


def test_a_text_is_searched_alike_alone_and_among_others() -> None:
    """Texts of a line are joined by NUL for one search: no rule takes that for anything but the edge of a text."""
    pgpass = "db.host:5432:mydb:me:s3cret" + "pw9"
    texts = [*(each.text for each in PLANTED), pgpass, *near_misses(2, 20_000).split("\n")]
    for redactor in (REDACTOR, Redactor(personal=["all"])):
        alone = [redactor.finds_none(text.encode()) for text in texts]
        assert not redactor.finds_none(pgpass.encode())
        assert alone == [redactor.finds_none(f"x\0{text}\0y".encode()) for text in texts]


def test_the_joined_pattern_matches_where_the_rules_do() -> None:
    """That edges stand in it once changes nothing of where candidates begin, and no rule makes RE2 keep its states twice."""
    rules = default_rules()
    plain = compiled("|".join(f"(?:{rule.quick or rule.pattern})" for rule in rules), utf8=False, capture=False)
    shared = compiled(joined(rules), utf8=False, capture=False)
    data = "\n".join([*(each.text for each in PLANTED), near_misses(2, 200_000)]).encode()

    at, found = 0, 0
    while (expected := plain.search(data, at)) is not None:
        match = shared.search(data, at)
        assert match is not None
        assert match.start() == expected.start()
        at, found = match.start() + 1, found + 1
    assert shared.search(data, at) is None
    assert found > len(PLANTED) // 2
    assert [rule.name for rule in rules if (rule.quick or rule.pattern).startswith(r"\B")] == []


def test_near_misses_are_left_alone() -> None:
    """Prose, code and data about tokens, sessions and passwords give at most one false hit per 100 kB."""
    text = near_misses(1, 300_000)

    assert [text[hit.start - 40 : hit.end] for hit in REDACTOR.hits(text.encode())][3:] == []


def test_markers_tell_nothing_about_the_secret() -> None:
    """A marker holds the name of a rule and nothing else."""
    names = {rule.name for rule in default_rules()} | KEY_RULE_NAMES

    for p in PLANTED:
        redacted, count = REDACTOR.text(p.text)
        found = MARKER.findall(redacted)
        assert len(found) == count
        assert set(found) <= names


def test_redacting_twice_changes_nothing() -> None:
    """The redacted corpus has no secrets left for a second pass."""
    for p in PLANTED:
        once = REDACTOR.text(p.text)[0]
        assert REDACTOR.text(once) == (once, 0)


@pytest.mark.parametrize(
    "said", ["the token was rejected.", "Das Passwort ist falsch.", "密码是wrong.", "password=refused.", "--token refused."]
)
def test_a_marker_makes_no_secret_of_the_word_before_it(said: str) -> None:
    """A secret of another kind that follows a word without a blank: the word is no more a secret behind one pass than before."""
    for p in PLANTED:
        once = REDACTOR.text(said + p.text)[0]
        assert REDACTOR.text(once)[0] == once, p.text


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_redacting_any_mixture_twice_changes_nothing(text: str) -> None:
    """Snippets glued together in any way are as clean after one pass as after two."""
    once = REDACTOR.text(text)[0]

    assert REDACTOR.text(once)[0] == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abcdefgh12345678", "Authorization: [redacted:authorization]"),
        ("curl -H 'Authorization: Basic YXBwOnMzY3JldCE=' x", "curl -H 'Authorization: [redacted:authorization]' x"),
        ('Authorization: Digest username="a", response="0f"', "Authorization: [redacted:authorization]"),
        ('curl -H \'Authorization: Digest a="b", c="d"\' http://x', "curl -H 'Authorization: [redacted:authorization]' http://x"),
        ("postgres://user:p4ss/w@rd@host/db", "postgres://user:[redacted:url-password]@rd@host/db"),
        ("postgres://user:p@ss@host/db", "postgres://user:[redacted:url-password]@host/db"),
        ("http://localhost:8080/path?mail=a@b.example", "http://localhost:8080/path?mail=a@b.example"),
        ('{"password": "a \\"b\\" c", "x": 1}', '{"password": "[redacted:password]", "x": 1}'),
        ('{\\"password\\": \\"a b\\", \\"x\\": 1}', '{\\"password\\": \\"[redacted:password]\\", \\"x\\": 1}'),
        ("password='it is', user='me'", "password='[redacted:password]', user='me'"),
        ("db:\n  password: correcthorse\n  port: 1", "db:\n  password: [redacted:password]\n  port: 1"),
        ("user=me;password=x1,y;host=db", "user=me;password=[redacted:password];host=db"),
        ("Cookie: a=b; c=d\r\nHost: x", "Cookie: [redacted:cookie]\r\nHost: x"),
        ("secret: nobody knows it", "secret: nobody knows it"),
        ("password=$PASSWORD token=${TOKEN} secret={{ x }}", "password=$PASSWORD token=${TOKEN} secret={{ x }}"),
        ("api_key = settings.api_key", "api_key = settings.api_key"),
        ("the password is Tr0ub4dor&3.", "the password is [redacted:password]."),
        ("docker run -u 1000:1000 x", "docker run -u 1000:1000 x"),
        ("machine h login me password s3cret\n", "machine h login me password [redacted:netrc-password]\n"),
    ],
)
def test_what_is_not_secret_stays(text: str, expected: str) -> None:
    """Names, schemes, hosts and placeholders around a secret stay readable."""
    assert REDACTOR.text(text)[0] == expected


SECRET_NAMES = """
    password PASSWORD db_password userPassword passwd secret client-secret clientSecret api_key apiKey OPENAI_API_KEY x-api-key
    secret_access_key accessToken refresh_token authorization Authorization Proxy-Authorization cookie Set-Cookie private_key
    DB_PASS credentials connection_string password2 passwordValue webhook.secret sas_token cvv dbpassword
"""
INNOCENT_NAMES = """
    session session_id author authority authentication_method tokens max_tokens input_tokens token_count tokenizer secretary
    passwordless pass passed compass key keys keyboard monkey public_key cache_key primary_key next_page_token pad_token token
    password_policy has_password secret_name api_key_id token_type cookie_policy bypass description code state
"""


@pytest.mark.parametrize("key", SECRET_NAMES.split())
def test_secret_names(key: str) -> None:
    """Names of secrets are known in every way of writing them."""
    assert REDACTOR.is_secret_key(key)


@pytest.mark.parametrize("key", INNOCENT_NAMES.split())
def test_innocent_names(key: str) -> None:
    """Names that merely contain such a word, or speak about a secret, are not a secret's."""
    assert not REDACTOR.is_secret_key(key)


def test_a_bare_token_is_secret_only_if_it_looks_like_one() -> None:
    """The name token is a model's word as well; its value decides."""
    rule = key_rule("token")

    assert rule is not None
    assert REDACTOR.masks(rule, "a1B2c3D4e5F6g7H8i9")
    assert not REDACTOR.masks(rule, "endoftext")


def test_users_add_keys_patterns_and_exceptions() -> None:
    """Own keys and patterns are redacted under their own names; allowed values stay."""
    redactor = Redactor(
        extra_keys=["internal ref"],
        extra_patterns={"badge": r"BADGE-[0-9]{4}", "size": r"größe (?P<secret>\pL+)"},
        allow=["BADGE-0000", "re:hunter[0-9]"],
    )

    text = "internal_ref=abc x-internalRef: a1b2 BADGE-1234 BADGE-0000 größe überall password=hunter2 password=hunter22"

    assert redactor.text(text)[0] == (
        "internal_ref=[redacted:internal-ref] x-internalRef: [redacted:internal-ref] [redacted:badge] BADGE-0000 "
        "größe [redacted:size] password=hunter2 password=[redacted:password]"
    )
    assert redactor.is_secret_key("InternalRef")


def test_rules_can_be_unmasked() -> None:
    """A rule that is switched off leaves its kind alone, in text and under names, and the redactor says so."""
    redactor = Redactor(unmask=["password", "jwt"])
    jwt = next(p for p in PLANTED if p.kind == "jwt").secret

    assert redactor.text(f"password=hunter2 {jwt} secret=x1y2z3") == (f"password=hunter2 {jwt} secret=[redacted:secret]", 1)
    assert not redactor.is_secret_key("password")
    assert redactor.unmasked == {"password", "jwt"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"extra_patterns": ["fine", "(?=look)x"]}, "(?=look)x"),
        ({"extra_patterns": {"empty": "a*"}}, "a*"),
        ({"allow": ["re:("]}, "("),
        ({"unmask": ["no-such-rule"]}, "no-such-rule"),
    ],
)
def test_bad_policies_are_refused_by_name(options: dict[str, object], named: str) -> None:
    """A pattern RE2 does not take, one that matches nothing at all, or an unknown rule is named in the error."""
    with pytest.raises(ConfigurationError, match=re.escape(named)):
        Redactor(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["password" * 40_000 + "_policy=x1", "password_policy=x1 " * 40_000, "password=x1y2 " * 40_000])
def test_the_rest_of_a_text_made_to_be_costly_is_given_up(text: str) -> None:
    """Input built to be looked into again and again costs its own end, not time without bound; nothing behind is shown."""
    redacted, count = REDACTOR.text(text + " password=s3cret")

    assert redacted.endswith("[redacted:too-much]")
    assert "s3cret" not in redacted
    assert count <= MAX_CANDIDATES + len(text) // BYTES_PER_CANDIDATE + 1


def test_keys_without_an_end_are_not_looked_into_without_bound() -> None:
    """Each of them reads ahead for its end: a listing of hundreds is shown, millions are given up."""
    begin = "-----BEGIN RSA PRIVATE KEY-----\n"
    listing = "".join(f"certs/{number}.pem:{begin}" for number in range(500))

    text = begin * 100_000 + "password=s3cret"
    redacted, count = REDACTOR.text(text)

    assert REDACTOR.text(listing) == (listing.replace(begin[:-1], "[redacted:private-key]"), 500)
    assert redacted.endswith("[redacted:too-much]")
    assert count < (MAX_CANDIDATES + len(text) // BYTES_PER_CANDIDATE) * BYTES_EXAMINED // MAX_BLOCK_BYTES


def test_warming_changes_nothing() -> None:
    """A warmed redactor finds what a cold one finds."""
    redactor = Redactor()

    redactor.warm()

    assert redactor.text("password=hunter2") == ("password=[redacted:password]", 1)


def test_every_rule_is_documented() -> None:
    """docs/redaction.md names every rule that can stand in a marker."""
    page = (Path(__file__).parents[3] / "docs" / "redaction.md").read_text()
    carried = {rule.name for rule in default_rules()} - {rule.name for rule in named_rules(key_rule)}

    assert [name for name in sorted(carried | KEY_RULE_NAMES) if f"`{name}`" not in page] == []


def test_the_search_sees_a_token_where_its_whole_pattern_does() -> None:
    """The shorter patterns that are searched for begin at the same places as the patterns they stand for."""
    texts = [p.text.encode() for seed in (21, 22) for p in planted(seed)] + [near_misses(5, 50_000).encode()]
    text = b"\n".join(texts)
    for rule in (rule for rule in TOKEN_RULES if rule.quick != rule.pattern):
        long, short = (compiled(pattern, utf8=False, capture=False) for pattern in (rule.pattern, rule.quick))
        at, found = 0, long.search(text, 0)
        while found is not None:
            same = short.search(text, at)
            assert same is not None, rule.name
            assert same.start() == found.start(), rule.name
            at = found.span()[1]
            found = long.search(text, at)


UNITS = [
    *("RAPIDAPI_KEY=sw", "SONAR_LOGIN=9cb6a", "Client(api_key=byt", "{user:app,apiKey:ILg", "Authorization:"),
    *("authorization:token", "{'apiKey': [b'MfCUoTG", "password = ('tbI", "https://a.blob.core.windo", "basic%20YWJjZGVm"),
    *("bearer+abcdefghijkl", "cookie:a=b", "token=x&", "password_policy=x1 ", "api_key='", "x-passphrase:B_fEr", "redis-cli "),
    *("AKIA", "AKIA4E", "eyJhbGciOi.", "-----BEGIN EC PRIVATE KEY-----"),
]
"""Beginnings of secrets; with nothing between them, each is within the value of those before."""


def _seconds(unit: str, size: int) -> float:
    data = (unit * (size // len(unit) + 1))[:size].encode()
    began = time.thread_time()
    REDACTOR.data(data)
    return time.thread_time() - began


@pytest.mark.parametrize("unit", UNITS)
def test_time_grows_with_the_size_of_the_text(unit: str) -> None:
    """Eight times the text takes about eight times as long; where each candidate read to the end of the text it took 50 times.

    The first ones, of less than 4 ms, say more of the machine than of the text.
    """
    _seconds(unit, 8_000)
    rounds: list[tuple[float, float]] = []
    for _ in range(5):  # a machine may be slow for a while
        rounds.append((_seconds(unit, 8_000), _seconds(unit, 64_000)))
        if any(long < 20 * max(0.004, short) for short, long in rounds):
            return
    raise AssertionError(f"seconds for 8 and 64 KB: {rounds}")


@pytest.mark.parametrize("size", [1_000, 1_024, 1_025, 3_000, 60_000])
@pytest.mark.parametrize(
    ("before", "most"),
    [
        *(("api_key=", 60_000), ("password: ", 60_000), ("token=", 60_000), ("Authorization: ", 60_000)),
        *(("x=Bearer ", 60_000), ("curl -u admin:", 60_000), ("https://app:", 8_000)),
    ],
)
def test_long_secrets_are_replaced_to_their_end(before: str, most: int, size: int) -> None:
    """Also where the beginning alone decides that it is one."""
    secret = "".join(Random(size).choices("abcdefghkmnABCDEFGHKMN23456789", k=min(size, most)))
    after = "@db.example/x" if before.startswith("https") else "\nnext line"

    redacted, count = REDACTOR.text(before + secret + after)

    assert count == 1
    assert MARKER.sub("", redacted) == before + after

"""Personal data is redacted where the setting names its kind, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.redaction.pii import PERSONAL
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.redaction.stream import StreamGuard
from tests.record.redaction.near_misses import near_misses
from tests.record.redaction.secret_corpus import leaks, planted

REDACTOR = Redactor(personal=["all"])

FOUND = {
    "email": (
        *("kim.lee@example.com", "o'neil+tag@mail.example.co.uk", "a_b%c@x-y.museum"),
        *("K@example.de",),
    ),
    "phone-number": (
        *("+49 30 123456-78", "+1 (415) 555-2671", "+442071838750", "0049 89 1234567", "+43/1/5880041"),
        *("(415) 555-2671", "415-555-2671", "415.555.2671"),
    ),
    "iban": ("DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "FR14 2004 1010 0505 0001 3M02 606", "NO9386011117947"),
    "ip-address": (
        "203.0.113.7",
        "2001:db8::8a2e:370:7334",
        "fe80::1ff:fe23:4567:890a",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    ),
}

LEFT = (
    *("git@github.com:org/repo.git", "numpy@1.26.4", "@dataclass", "@types/node", "a @ b.com", "12:34:56", "std::string", "f::g"),
    *("127.0.0.1", "0.0.0.0", "::1", "version 1.2.3", "1.2.3.4.5", "aa:bb:cc:dd:ee:ff", "2026-11-21T05:22:01.123456789Z"),
    *("DE89370400440532013001", "XX89370400440532013000", "+1", "+5 points", "C++ 14", "ISBN 978-3-16-148410-0", "00:00:00"),
    *("a1f3-0", "550e8400-e29b-41d4-a716-446655440000", "https://example.com/a@b", "port 5432", "1,234,567.89"),
)

CONTEXTS = (
    "{}",
    "write to {} please",
    '{{"contact":"{}"}}',
    "contact={}&x=1",
    "line\\n{}\\nline",
    "<{}>",
    "({}).",
    "said: {}, twice",
)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize(("rule", "value"), [(rule, value) for rule, values in FOUND.items() for value in values])
def test_personal_data_is_found(rule: str, value: str, context: str) -> None:
    """Each kind is redacted in each context, and the text around it stays."""
    redacted, count = REDACTOR.text(context.format(value))

    assert redacted == context.format(f"[redacted:{rule}]")
    assert count == 1


@pytest.mark.parametrize("text", LEFT)
def test_what_only_looks_like_it_stays(text: str) -> None:
    """Versions, times, repositories, identifiers and the machine's own addresses are no personal data."""
    assert REDACTOR.text(f"see {text} here") == (f"see {text} here", 0)


def test_nothing_is_redacted_unasked() -> None:
    """Without the setting personal data stays."""
    text = " ".join(value for values in FOUND.values() for value in values)

    assert Redactor().text(text) == (text, 0)


@pytest.mark.parametrize("kind", PERSONAL)
def test_only_what_was_asked_for_goes(kind: str) -> None:
    """One kind does not bring the others with it."""
    text = " | ".join(values[0] for values in FOUND.values())

    assert Redactor(personal=[kind]).text(text)[1] == 1


def test_an_unknown_kind_is_refused_by_name() -> None:
    """A misspelled kind would otherwise redact nothing."""
    with pytest.raises(ConfigurationError, match=r"redaction_pii.*e-mail"):
        Redactor(personal=["e-mail"])


def test_secrets_are_found_all_the_same() -> None:
    """With the rules for personal data on, as many secrets are gone as without."""
    plain, samples = Redactor(), [*planted(31)]
    missed = [p for p in samples if leaks(REDACTOR.text(p.text)[0], p.secret)]

    assert len(missed) <= len([p for p in samples if leaks(plain.text(p.text)[0], p.secret)])


def test_ordinary_text_has_none() -> None:
    """Prose, code and data hold no personal data but the e-mail addresses and telephone numbers that are in there."""
    text = near_misses(3, 200_000).replace("author@example.com", "").replace("session-admin@example.org", "")
    found = [text[hit.start : hit.end] for hit in REDACTOR.hits(text.encode())]

    assert len(found) <= 2, found


ADDRESSES = (
    *("2001:db8::", "::ffff:203.0.113.7", "64:ff9b::198.51.100.1", "[2001:db8::8a2e:370:7334]:443", "[::ffff:203.0.113.7]:80"),
    *("fe80::1ff:fe23:4567:890a%eth0", "203.0.113.7:8080", "2001:db8::8a2e:370:7334/64"),
)
"""Further forms of addresses; of some, only a part is replaced."""


@pytest.mark.parametrize("text", [*(value for values in FOUND.values() for value in values), *ADDRESSES, *LEFT])
@pytest.mark.parametrize("context", ["write to {} please", "{}", "line\\n{}\\nline", "({})."])
def test_no_cut_gives_anything_away(text: str, context: str) -> None:
    """Cut in two or in three at any places, or into characters, a stream comes out as the whole: no half of an address passes."""
    text = context.format(text)
    places = range(1, len(text))
    cuts = [*combinations(places, 1), *combinations(places, 2), tuple(places)]

    assert [each for each in cuts if _streamed(text, each) != REDACTOR.text(text)[0]] == []


def _streamed(text: str, cuts: Sequence[int]) -> str:
    guard = StreamGuard(REDACTOR)
    out = "".join(guard.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))
    return out + guard.flush()


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="0123456789abcdefDEGB+@.:-() /", max_size=60), st.data())
def test_a_stream_of_near_misses_is_redacted_as_the_whole(text: str, data: st.DataObject) -> None:
    """Also where nearly everything looks as if it could become personal data."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))

    assert _streamed(text, cuts) == REDACTOR.text(text)[0]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([value for values in FOUND.values() for value in values]), st.data())
def test_a_stream_is_redacted_as_the_whole(value: str, data: st.DataObject) -> None:
    """However a text is cut into chunks, what comes out is what the whole text gives."""
    text = f"Please ask {value} about it, or {value}; thanks."
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))

    assert _streamed(text, cuts) == REDACTOR.text(text)[0]


@settings(max_examples=100, deadline=None)
@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_any_address_goes(address: IPv4Address | IPv6Address) -> None:
    """Every address but the machine's own is found in the form that Python gives it."""
    ours = address.is_loopback or address.is_unspecified or str(address) == "255.255.255.255"
    mapped = address.version == 6 and address.ipv4_mapped is not None

    assert ours or mapped or REDACTOR.text(f"from {address} again")[0] == "from [redacted:ip-address] again"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789abcdefDEGB+@.:-() /", max_size=120))
def test_redacting_twice_changes_nothing(text: str) -> None:
    """What has been redacted holds nothing more to redact."""
    once = REDACTOR.text(text)[0]

    assert REDACTOR.text(once) == (once, 0)

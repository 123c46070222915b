"""Classifies a value beside a secret name or in a header: is it a password, a credential, code, a placeholder, a card number?

All functions take UTF-8 bytes and are linear in their length.
"""

from __future__ import annotations

import base64
import re

from otel_agentlog._startup import lazy_pattern
from otel_agentlog.record.redaction.key_rules import KeyRule
from otel_agentlog.record.redaction.rules import JUDGED_BYTES

_LETTER = lazy_pattern(rb"[A-Za-z]")
_DIGIT = lazy_pattern(rb"[0-9]")
_ODD = lazy_pattern(rb"[!@#$%^&*+=~]")
_BLANK_OR_WIDE = lazy_pattern(rb"[^!-~]")
_IDENTIFIER = lazy_pattern(rb"[A-Za-z_][A-Za-z_]*\Z")
_DOTTED = lazy_pattern(rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+[,;:)]*\Z")
_CALL = lazy_pattern(rb"(?:await )?[A-Za-z_][\w.]*[(\[]")
_PLACEHOLDER = lazy_pattern(
    rb"(?:\$\{[^}]*\}?|\$\([^)]*\)?|\{\{[^{}]*(?:\}\})?|%\(\w*\)?s?|<[^<>]*>?|"
    rb"(?:[A-Za-z]+ )?(?:%[sdr]|\$?\{[\w.!:\[\]'()-]*\}?|\$[A-Z_][A-Z0-9_]*)(?::(?:%[sdr]|\{[\w.!:]*\}))?|"
    rb"[A-Z][A-Z0-9_]*_(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?))\Z"
)
_AMOUNT = lazy_pattern(rb"[0-9]+-[a-z]+\Z")
_NEXT_PAIR = lazy_pattern(rb"[,;&][ \w.-]{1,40}=")

_NOTHING = frozenset(
    b"""
    - none null nil undefined true false yes no on off required optional string str text bytes int integer number bool boolean
    float any object array dict list empty unset unknown missing invalid redacted masked hidden default ok n/a na tbd todo bearer
    basic digest token negotiate oauth include omit same-origin secretstr enabled disabled enable disable active inactive changed
    unchanged always never auto automatic manual passed failed skipped pending available unavailable
    """.split()
)
"""Words in the place of a secret that are none."""

_SECRET_WORDS = lazy_pattern(rb"(?i)pass|secret|token|key|cred|pwd|auth|cookie|bearer")

MARKER_START = b"[redacted"


def is_nothing(value: bytes) -> bool:
    """Whether a value is no secret at all: empty, a marker of ours, a placeholder, a type's name, asterisks."""
    if not value or value[:1] in b",)" or value.startswith(MARKER_START) or len(set(value)) == 1:
        return True
    return value.lower().strip(b",;.:()[]") in _NOTHING or _PLACEHOLDER.match(value) is not None


_SAMPLE_WORDS = frozenset(
    b"""
    a an the this that is not no here put enter insert your my our some any another other new old first second third last
    change changeme me fake dummy mock test tests testing tester sample example examples demo default placeholder foo bar baz qux
    quux spam eggs ham secret secrets sekrit password passwd passwort pass pw pwd passphrase token tokens key keys api apikey
    access
    private public auth authorization bearer basic credential credentials cred creds user username userid usr login admin
    administrator root guest value values string text real super top very strong secure secured strongpassword client app
    application service session id aws azure openai anthropic github gitlab google bedrock env environment explicit profile
    refresh
    invalid valid wrong bad good expired legacy ambient container trusted untrusted selected unrelated customer database db
    scott tiger postgres postgresql mysql mariadb redis mongo mongodb rabbitmq minio minioadmin elastic airflow grafana jenkins
    hello world something anything whatever goes cat dog thing evil deadbeef cafebabe redacted hidden masked encrypted
    """.split()
)
_MAX_SAMPLE_BYTES = 64
_sample_parts = lazy_pattern(rb"[a-z]+")
_same_again = lazy_pattern(rb"([xX*#.])\1{5}")
_LONGEST_SAMPLE_WORD = max(map(len, _SAMPLE_WORDS))


def is_sample(value: bytes) -> bool:
    """Whether a value in a text is an example of one: ``your-api-key``, ``my secret``, ``tiger``, ``ghp_xxxxxxxx``, ``abc…``.

    It consists of words that documentation uses, with at most one digit, or it is a phrase about secrets (``expected-admin-key``,
    ``token-{number}``), or it is elided.
    """
    if b"{" in value:
        value = _FIELD.sub(b"", value)
    if not value.strip(b"-_:/@.=&? "):
        return True
    if b"..." in value or "…".encode() in value or _same_again.search(value):
        return True
    if _TELLTALE.search(value) and is_phrase(value):
        return True
    if len(value) > _MAX_SAMPLE_BYTES or value[:1].isdigit() or len(_DIGIT.findall(value)) > 1 or _ODD.search(value):
        return False
    words = _sample_parts.findall(value.lower())
    return bool(words) and all(_is_made_of_samples(word) for word in words)


_FIELD = lazy_pattern(rb"\$?\{[A-Za-z_][\w.()\[\]'!: ]*\}")
"""A field of an f-string or a template."""
_TELLTALE = lazy_pattern(
    rb"(?i)(?:\b|_)(?:keys?|tokens?|secrets?|passwords?|bearer|credentials?|auth|access|fake|dummy|mock|example|placeholder)(?:\b|_)"
)
_PHRASE = lazy_pattern(rb"[A-Za-z]?[a-z]*(?:[-_ .,:;!?/]+[A-Za-z]?[a-z]*)+\Z")


def is_phrase(value: bytes) -> bool:
    """Whether a value is two or more words of letters, joined by blanks or signs of prose; issued keys have digits."""
    return len(value) <= MAX_PHRASE_BYTES and _PHRASE.match(value) is not None


MAX_PHRASE_BYTES = 80


def _is_made_of_samples(word: bytes) -> bool:
    """Whether a word is one sample word or several, glued: ``mysecretpassword``."""
    reached = [True] + [False] * len(word)
    for end in range(1, len(word) + 1):
        starts = range(max(0, end - _LONGEST_SAMPLE_WORD), end)
        reached[end] = any(reached[start] and word[start:end] in _SAMPLE_WORDS for start in starts)
    return reached[-1]


def is_prose(value: bytes) -> bool:
    """Whether a text of several lines is written for people, as a template of a mail is; a secret has no blanks in a line."""
    lines = [line for line in value.split(b"\n") if line.strip()]
    return len(lines) > 1 and sum(b" " in line.strip() for line in lines) * 2 >= len(lines)


def looks_like_password(value: bytes) -> bool:
    """Whether a bare word is more than a word: letters mixed with digits or with signs that prose does not use."""
    if len(value) < 4 or not _LETTER.search(value) or _AMOUNT.match(value):
        return False
    return _DIGIT.search(value) is not None or _ODD.search(value) is not None


def looks_like_credential(value: bytes) -> bool:
    """Whether a value looks generated: 16 or more characters without blanks, letters and digits, 8 or more distinct."""
    if len(value) < 16 or _BLANK_OR_WIDE.search(value) or b"://" in value or value[:1] == b"/":
        return False
    return len(set(value)) >= 8 and bool(_LETTER.search(value)) and bool(_DIGIT.search(value))


def fits(rule: KeyRule, value: bytes) -> bool:
    """Whether a value may be a secret of this rule; where the name is not certain, the value must have the form of one."""
    if rule.certain:
        return True
    if rule.form:
        return rule.form(value)
    if rule.name == "password":
        return looks_like_password(value) and not looks_like_path(value)
    if rule.name == "authorization" and is_login(value):
        return True
    return looks_like_credential(value)


def is_login(value: bytes) -> bool:
    """Whether a value is base64 of ``user:password``, as Docker's configuration and ``Basic`` headers have it."""
    if not _BASE64.match(value):
        return False
    pair = base64.b64decode(value.rstrip(b"=") + b"==")
    return b":" in pair[1:] and all(32 <= byte < 127 for byte in pair)


_BASE64 = lazy_pattern(rb"(?:[A-Za-z0-9+/]{4}){3,256}(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?\Z")


def looks_like_code(value: bytes) -> bool:
    """Whether an unquoted value is an expression: ``self.api_key``, ``os.environ[…``, ``get_secret(…``, ``password``."""
    if _CALL.match(value) or (_DOTTED.match(value) and not _DIGIT.search(value)):
        return True
    return _IDENTIFIER.match(value.rstrip(b",;:)")) is not None and _SECRET_WORDS.search(value) is not None


def looks_like_path(value: bytes) -> bool:
    """Whether a value is a working directory, as ``PWD`` has it."""
    return value[:1] in (b"/", b"~", b".") or value[1:3] in (b":\\", b":/")


_CLOSING = tuple(sign.encode() for sign in "”“’»」』）】。、，,;.)}]")


def cut_at_next_pair(value: bytes) -> bytes:
    """The part of an unquoted value before the next ``,name=``, ``;name=`` or ``&name=`` and without closing punctuation."""
    pair = _NEXT_PAIR.search(value)
    end = pair.start() if pair else len(value)
    while value.endswith(_CLOSING, 0, end):
        end -= next(len(sign) for sign in _CLOSING if value.endswith(sign, 0, end))
    return value[:end]


def whole_run(pattern: re.Pattern[bytes], data: bytes, run: re.Match[bytes], limit: int) -> re.Match[bytes]:
    """A run that was judged by its first `JUDGED_BYTES`, to its end; at most up to ``limit``."""
    return run if len(run.group()) < JUDGED_BYTES else pattern.match(data, run.start(), limit) or run


def quoted_end(data: bytes, start: int, opening: bytes, limit: int) -> tuple[int, bool]:
    """Where a quoted value that begins at ``start`` ends, and whether its closing quote or the line's end was found.

    ``opening`` may carry backslashes (JSON inside a string), a prefix letter or three quotes.
    """
    quote = opening[-1:]
    if opening.endswith(quote * 3):
        end = data.find(quote * 3, start, limit)
        return (end, True) if end >= 0 else (min(limit, len(data)), False)
    depth = opening.count(b"\\")
    line_end = data.find(b"\n", start, limit)
    stop = line_end if line_end >= 0 else min(limit, len(data))
    at = data.find(quote, start, stop)
    while at >= 0:
        slashes = _slashes_before(data, at, start)
        if slashes <= depth if depth else slashes % 2 == 0:
            return at - min(slashes, depth), True
        at = data.find(quote, at + 1, stop)
    return stop, line_end >= 0


def _slashes_before(data: bytes, at: int, start: int) -> int:
    window = data[max(start, at - 16) : at]
    return len(window) - len(window.rstrip(b"\\"))


def passes_luhn(digits: bytes) -> bool:
    """Whether the last digit is the check digit that payment cards carry."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = digit - 48
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


_CARD_LENGTHS: tuple[tuple[range, int, tuple[int, ...]], ...] = (
    (range(4, 5), 1, (13, 16, 19)),
    (range(51, 56), 2, (16,)),
    (range(2221, 2721), 4, (16,)),
    (range(34, 38, 3), 2, (15,)),
    (range(6011, 6012), 4, (16, 19)),
    (range(644, 660), 3, (16, 19)),
    (range(3528, 3590), 4, (16, 17, 18, 19)),
    (range(300, 306), 3, (14,)),
    (range(36, 37), 2, (14,)),
    (range(38, 40), 2, (14,)),
    (range(62, 63), 2, (16, 17, 18, 19)),
)
"""First digits, how many of them, and the lengths that the issuers use."""


def is_card_number(digits: bytes) -> bool:
    """Whether digits are a valid payment card number: issuer, length and Luhn digit."""
    fits = any(int(digits[:count]) in prefixes and len(digits) in lengths for prefixes, count, lengths in _CARD_LENGTHS)
    return fits and len(set(digits)) > 1 and passes_luhn(digits)

"""Rules for personal data, off unless the setting ``redaction_pii`` names them: ``email`` ``phone`` ``iban`` ``ip``.

Names of people, postal addresses and dates of birth have no shape of their own and are not found.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import lazy_pattern
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.redaction.rules import SecretRange, SecretRule

_LOCAL_PART = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+'-"
_MAX_LOCAL_PART_BYTES = 64
_GIT_USERS = frozenset([b"git", b"svn", b"hg"])
"""Users of remote repositories: ``git@github.com:org/repo``."""


def _email(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    left = data[max(floor, start - _MAX_LOCAL_PART_BYTES) : start]
    head = len(left.rstrip(_LOCAL_PART))
    if left[head - 1 : head] == b"\\" and left[head : head + 1] in (b"n", b"r", b"t"):
        head += 1
    local_part = left[head:].lstrip(b".%+'-")
    if not local_part or local_part.lower() in _GIT_USERS:
        return None
    return SecretRange(start - len(local_part), end)


_not_digits = lazy_pattern(rb"[^0-9]")
_MOST_DIGITS = 15
"""Of an international telephone number (ITU-T E.164)."""


def _international_phone(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    number = data[start:end].rstrip(b" ().-/")
    digits = _not_digits.sub(b"", number).lstrip(b"0")
    if not 8 <= len(digits) <= _MOST_DIGITS or data[start + len(number) : start + len(number) + 1].isalnum():
        return None
    return SecretRange(start, start + len(number))


def _ends_here(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    return None if data[end : end + 1].isalnum() or data[end : end + 1] in (b"-", b"_") else SecretRange(start, end)


_IBAN_REGISTRY = """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27
    GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27
    MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23
    TN24 TR26 UA29 VA22 VG24 XK20
"""
_IBAN_CHARS = {entry[:2].encode(): int(entry[2:]) for entry in _IBAN_REGISTRY.split()}
"""Lengths by country, from the IBAN registry of SWIFT."""


def _iban(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    wanted, chars = _IBAN_CHARS.get(data[start : start + 2], 0), bytearray()
    for at in range(start, end):
        if data[at : at + 1].isalnum():
            chars.append(data[at])
        if len(chars) == wanted:
            return SecretRange(start, at + 1) if _passes_mod_97(bytes(chars)) else None
    return None


def _passes_mod_97(iban: bytes) -> bool:
    """Whether the two check digits fit (ISO 7064, as ISO 13616 uses it)."""
    return int("".join(str(int(chr(char), 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _address(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    after = data[end : end + 2]
    if after[:1].isalnum() or (after[:1] in (b".", b":") and after[1:].isalnum() and b":" in data[start:end]):
        return None
    if after[:1] == b"." and after[1:].isdigit():
        return None
    text = data[start:end].rstrip(b":") if not data[start:end].endswith(b"::") else data[start:end]
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        raise_interrupt()
        return None
    is_own = address.is_loopback or address.is_unspecified or address == _BROADCAST
    return None if is_own else SecretRange(start, start + len(text))


_BROADCAST = ipaddress.ip_address("255.255.255.255")
_BEFORE = r"(?:\A|[^\w.+:@/-]|\\[nrt]|[=:\"'(\[<]|//)"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

_RULES: dict[str, tuple[SecretRule, ...]] = {
    "email": (
        SecretRule(
            "email",
            "e-mail addresses",
            r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\.[A-Za-z]{2,}",
            check=_email,
        ),
    ),
    "phone": (
        SecretRule(
            "phone-number",
            "telephone numbers with + or 00 and the country",
            rf"{_BEFORE}(?P<secret>(?:\+[1-9]|00[1-9][0-9]{{0,2}}[ /-])[0-9 ()./-]{{6,24}})",
            check=_international_phone,
            unfinished=rf"{_BEFORE}(?:\+|00)[0-9 ()./-]{{0,30}}",
        ),
        SecretRule(
            "phone-number",
            "telephone numbers of North America, in groups of three, three and four digits",
            rf"{_BEFORE}(?P<secret>(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}[ .-])[2-9][0-9]{{2}}[ .-][0-9]{{4}})",
            check=_ends_here,
            unfinished=rf"{_BEFORE}\(?[2-9][0-9 ().-]{{0,16}}",
        ),
    ),
    "iban": (
        SecretRule(
            "iban",
            "bank account numbers: country, length and check digits are right",
            rf"{_BEFORE}(?P<secret>[A-Z]{{2}}[0-9]{{2}}(?:[ -]?[A-Z0-9]){{11,30}})",
            check=_iban,
            unfinished=rf"{_BEFORE}[A-Z]{{2}}[0-9]{{2}}[A-Z0-9 -]{{0,42}}",
        ),
    ),
    "ip": (
        SecretRule(
            "ip-address",
            "IPv4 addresses but for the machine's own",
            rf"{_BEFORE}(?P<secret>(?:{_BYTE}\.){{3}}{_BYTE})",
            check=_address,
        ),
        SecretRule(
            "ip-address",
            "IPv6 addresses but for the machine's own",
            rf"{_BEFORE}(?P<secret>[0-9A-Fa-f]{{0,4}}(?::[0-9A-Fa-f]{{0,4}}){{2,7}})",
            check=_address,
        ),
    ),
}

PERSONAL = tuple(_RULES)
"""The kinds that the setting may name."""


def personal_rules(kinds: Iterable[str]) -> tuple[SecretRule, ...]:
    """The rules of these kinds; ``all`` means every kind.

    Raises:
        ConfigurationError: a kind that does not exist.
    """
    chosen = set(PERSONAL if "all" in (named := list(kinds)) else named)
    for kind in sorted(chosen - _RULES.keys()):
        raise ConfigurationError("redaction_pii", kind, f"all, or some of {', '.join(PERSONAL)}")
    return tuple(rule for kind, rules in _RULES.items() if kind in chosen for rule in rules)

"""Rules for secrets known by the name beside them: ``password=…``, ``"api_key": "…"``, ``--token …``, ``<secret>…</secret>``.

Each rule has a short, bounded RE2 pattern that finds the place, and a check that decides and finds the end of the value. Checks
use Python's ``re`` only for runs of one character class, which cannot backtrack. The table is `named_rules`, at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from otel_agentlog._startup import lazy_pattern
from otel_agentlog.record.redaction.key_rules import LOCAL_TERMS, LOCAL_WORDS, KeyRule, without_accents
from otel_agentlog.record.redaction.rules import JUDGED_BYTES, LOOK_BACK_BYTES, MAX_VALUE_BYTES, SecretRange, SecretRule
from otel_agentlog.record.redaction.rules_by_value import (
    cut_at_next_pair,
    fits,
    is_nothing,
    is_prose,
    is_sample,
    looks_like_code,
    looks_like_credential,
    looks_like_password,
    quoted_end,
    whole_run,
)

KeyLookup: TypeAlias = Callable[[str], KeyRule | None]
"""Returns the rule of a name, as `key_rules.key_rule` does."""

_KEY_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-" + bytes(range(0x80, 0x100))
_OWNERS = (
    r"api|app(?:lication)?|access|private|secret|signing|encryption|ssh|auth|account|master|shared|subscription|licen[sc]e|session|"
    r"service|deploy|hmac|storage|root|admin"
)
_NAMES = (
    rf"pass(?:word|wd|phrase|code)|pwd|[_-]pass|secret|(?:{_OWNERS})[_. -]?key|credential|creds|bearer|authorization|"
    r"conn(?:ection)?[_. -]?str(?:ing)?|cvv|cvc|[_-]otp|totp|[_-]auth|key[_-]?data"
)


def _in_any_case(term: str) -> str:
    """A pattern for a term in any case, its words joined by a blank, ``_``, ``.``, ``-`` or nothing; over UTF-8 bytes.

    To be used within ``(?i:…)``, which is for ASCII: other characters are there twice.
    """
    return "".join(map(_char_in_any_case, term))


def _char_in_any_case(char: str) -> str:
    if char in " '-":
        return "(?:[_. '-]|’)?"
    return char if char.isascii() or char.lower() == char.upper() else f"(?:{char.lower()}|{char.upper()})"


def _beginnings(term: str) -> str:
    """A pattern for any beginning of a term, at least of two characters where it is written in ASCII."""
    pattern = ""
    for char in reversed(term):
        pattern = f"{_char_in_any_case(char)}(?:{pattern})?" if pattern else _char_in_any_case(char)
    return pattern


_LOCAL_TERMS = tuple(
    dict.fromkeys(form for terms in LOCAL_TERMS.values() for term in terms for form in (term, without_accents(term)))
)
_LOCAL_WORDS = tuple(word for words in LOCAL_WORDS.values() for word in words)
_LOCAL = "|".join(sorted(map(_in_any_case, (*_LOCAL_TERMS, *_LOCAL_WORDS))))
_LOCAL_UNFINISHED = "|".join(_beginnings(term) for term in (*_LOCAL_TERMS, *_LOCAL_WORDS) if not term.isascii() or " " in term)
_REST = r"[\w.\x80-\xff-]*"
_SHUT = r"(?:\\{0,7}[\"'`]\]?)?"
_SET = r"[ \t]*(?:={1,3}>?|:=|:|：|\|\||\?=)[ \t]*"
_OPEN = r"(?:[bBrRuUfF]{0,2}\\{0,7}[\"'`]{1,3})"
_HOLDER = r"(?:(?:\[|\(|(?:bytearray|bytes|SecretStr|SecretBytes)\()[ \t]*)"
"""What may stand before quoted values: a list, a tuple, the ``repr`` of classes that hold one."""
_FIRST = r"[^\s\"'`\\,;&<>(){}\[\]|]"
_TOKEN = rf"(?i:token)(?:[_.-]{_REST}|[0-9])?"

# Unfinished values, at the end of what a stream has so far.
_QUOTED_UNFINISHED = r"[bBrRuUfF]{0,2}(?:\"(?:[^\"\\\n]|\\[^\n])*\\?|'(?:[^'\\\n]|\\[^\n])*\\?|`(?:[^`\\\n]|\\[^\n])*\\?)"
_ESCAPED_UNFINISHED = r"[bBrRuUfF]{0,2}\\{1,3}(?:\"(?:[^\"\n]|\\\\\")*|'(?:[^'\n]|\\\\')*|`(?:[^`\n]|\\\\`)*)?"
_TRIPLE_UNFINISHED = r"(?:\"\"\"|''')(?s:.*)"
_HELD_UNFINISHED = rf"{_HOLDER}(?:{_QUOTED_UNFINISHED}|{_ESCAPED_UNFINISHED}|{_TRIPLE_UNFINISHED}|{_OPEN}[^\])\n]*)"
_VALUE_UNFINISHED = rf"(?:{_QUOTED_UNFINISHED}|{_ESCAPED_UNFINISHED}|{_TRIPLE_UNFINISHED}|{_HELD_UNFINISHED}|[^\s\"'`]*[ \t]*)"

_WORD = rb"[\w.\x80-\xff-]"
_MORE = rb"(?:[ '][\w\x80-\xff]" + _WORD + rb"*){0,3}?"
_assigned = lazy_pattern(
    _WORD + rb"*?" + _MORE + rb"(?:\\{0,7}[\"'`]\]?)?[ \t]*(?P<sign>={1,3}>?|:=|:|\xef\xbc\x9a|\|\||\?=)(?P<gap>[ \t]*)"
    rb"(?P<holder>(?:"
    + _HOLDER.encode()
    + rb"(?="
    + _OPEN.encode()
    + rb"))?)(?P<open>(?:[bBrRuUfF]{0,2}\\{0,7}(?:\"\"\"|'''|[\"'`]))?)"
)
_name = lazy_pattern(_WORD + rb"+(?: (?:key|string|str)\b[\w.-]*)?")
_bare = lazy_pattern(rb"[^\s\"'`<>\\]+")
_word = lazy_pattern(rb"[^\s\"'`]+")
_line = lazy_pattern(rb"[^\r\n]*")
_rest_of_line = lazy_pattern(rb"[ \t]*(?:[\r\n]|\\[rn]|#|\Z)")
_before_key = lazy_pattern(rb"(?:\A|[\n\r]|\\n)[ \t]*(?:[-*>#] *|export +|set +|ENV +|const +|var +|let +)?[\"']?\Z")


def _key_start(data: bytes, floor: int, start: int) -> int:
    """Where the name begins that a keyword at ``start`` is part of."""
    left = data[max(floor, start - LOOK_BACK_BYTES // 2) : start]
    begin = start - (len(left) - len(left.rstrip(_KEY_BYTES)))
    if begin < start and begin > floor and data[begin - 1 : begin] == b"\\" and data[begin : begin + 1] in (b"n", b"r", b"t"):
        return begin + 1
    return begin


def _assignment(key_rule: KeyLookup, data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    m = _assigned.match(data, start)
    if m is None:
        return None
    begin = _key_start(data, floor, start)
    name = data[begin : m.start("sign")].rstrip(b" \t\"'`\\]")
    rule = key_rule(name.decode("utf-8", "replace"))
    if rule is None:
        return None
    if m["holder"]:
        return _held(data, m, rule)
    if m["open"]:
        found = _quoted(data, m.end(), m["open"], rule)
        # A comparison with a plain word is a test: ``assert settings["password"] == "swordfish"``.
        compared = found is not None and m["sign"] in (b"==", b"===")
        return None if found and compared and not looks_like_password(data[found.start : found.end]) else found
    return _unquoted(data, m, begin, floor, rule)


def _quoted(data: bytes, start: int, opening: bytes, rule: KeyRule) -> SecretRange | None:
    end, final = quoted_end(data, start, opening, start + MAX_VALUE_BYTES)
    value = data[start:end]
    if is_nothing(value.strip()) or is_sample(value) or not fits(rule, value):
        return None
    if opening[-3:] in (b'"""', b"'''") and is_prose(value):
        return None
    return SecretRange(start, end, rule.name, final)


def _held(data: bytes, m: re.Match[bytes], rule: KeyRule) -> SecretRange | None:
    """The quoted values of a list: all of them, if it ends in the same line and they hold no bracket; else the first one."""
    found = _quoted(data, m.end(), m["open"], rule)
    if found is None or is_prose(data[found.start : found.end]):
        return None
    if not found.final or not {*b"])"}.isdisjoint(data[found.start : found.end]):
        return found
    limit = found.start + MAX_VALUE_BYTES
    closes = [at for sign in (b"]", b")", b"\n") if (at := data.find(sign, found.end, limit)) >= 0]
    if not closes:
        return replace(found, final=False, examined=min(len(data) - found.end, MAX_VALUE_BYTES))
    end = min(closes)
    more = b"" if data[end] == ord("\n") else data[found.end : end].rstrip(b" \t,\"'`\\")
    return replace(found, end=found.end + len(more))


def _unquoted(data: bytes, m: re.Match[bytes], begin: int, floor: int, rule: KeyRule) -> SecretRange | None:
    run = _bare.match(data, m.end(), m.end() + JUDGED_BYTES)
    if run is None:
        return None
    value = cut_at_next_pair(run.group())
    if is_nothing(value) or looks_like_code(run.group()) or is_sample(value) or not fits(rule, value):
        return None
    if not _is_value(data, m, begin, floor, run, value):
        return None
    whole = whole_run(_bare, data, run, m.end() + MAX_VALUE_BYTES)
    return SecretRange(run.start(), run.start() + len(cut_at_next_pair(whole.group())), rule.name)


def _is_value(data: bytes, m: re.Match[bytes], begin: int, floor: int, run: re.Match[bytes], value: bytes) -> bool:
    """Whether a bare word is the value: ``KEY=word`` always, ``key: word`` if it looks like a password or ends its line."""
    sign, spaced = m["sign"], bool(m["gap"])
    if sign in (b"==", b"===") and not looks_like_password(value):
        return False
    if looks_like_password(value) or (not spaced and sign != b":"):
        return True
    alone = _rest_of_line.match(data, run.end()) is not None
    return alone and len(value) >= 4 and _before_key.search(data[max(floor, begin - 24) : begin]) is not None


_flag = lazy_pattern(rb"--(?P<name>[\w-]+)[ \t]+(?P<open>(?:\\{0,7}[\"'`])?)")


def _command_flag(key_rule: KeyLookup, data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    m = _flag.match(data, start)
    rule = key_rule(m["name"].decode("ascii", "replace")) if m else None
    if m is None or rule is None:
        return None
    if m["open"]:
        return _quoted(data, m.end(), m["open"], rule)
    run = _word.match(data, m.end(), m.end() + MAX_VALUE_BYTES)
    if run is None or is_nothing(run.group()) or is_sample(run.group()) or not fits(rule, run.group()):
        return None
    return SecretRange(run.start(), run.end(), rule.name)


_SAYS = (
    r"(?:(?i:is|was|to|as|equals|becomes|ist|war|lautet|lauten|est|était|es|era|son|é|è|são|was|is|luidt|jest|brzmi|to|är|er|on|olarak)|"
    r"это|был|—|–|-|->|=>|→)"
)
_statement = lazy_pattern(rb"(?P<name>[\w\x80-\xff-]+(?:[ '][\w\x80-\xff'-]+){0,2}?)[ \t]+" + _SAYS.encode() + rb"[ \t]+[\"'`]?")


def _named_in_prose(key_rule: KeyLookup, data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    m = _statement.match(data, start)
    rule = key_rule(m["name"].decode("utf-8", "replace").replace(" ", "_")) if m else None
    if m is None or rule is None:
        return None
    run = _word.match(data, m.end(), m.end() + MAX_VALUE_BYTES)
    value = run.group().rstrip(b".,;:!?)]}") if run else b""
    # Where a secret of another kind followed a word without a blank, its marker does not make a secret of both.
    if is_nothing(value) or b"://" in value or b"[redacted:" in value:
        return None
    is_secret = looks_like_password(value) and len(value) >= 6 if rule.name == "password" else looks_like_credential(value)
    return SecretRange(m.end(), m.end() + len(value), rule.name) if is_secret else None


_element = lazy_pattern(rb"[\w.-]*>(?P<value>[^<\n]{1,2048})</")


def _xml_element(key_rule: KeyLookup, data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    begin = _key_start(data, floor, start)
    m = _element.match(data, start)
    if m is None or begin == floor or data[begin - 1 : begin] not in (b"<", b":"):
        return None
    name = _name.match(data, begin)
    rule = key_rule(name.group().decode("utf-8", "replace")) if name else None
    if rule is None or is_nothing(m["value"].strip()) or is_sample(m["value"]) or not fits(rule, m["value"]):
        return None
    return SecretRange(m.start("value"), m.end("value"), rule.name, final=True)


_SPOKEN = r"(?i:pass(?:word|wd|phrase|code)|(?:api|access|secret|private|auth)[ _-]?(?:key|token)|secret|token)"
_LOCAL_SPOKEN = f"(?i:{'|'.join(_in_any_case(term) for term in _LOCAL_TERMS if term.split()[0] not in ('api', 'ключ'))})"
_PASSWORD_WORDS = "(?:" + "|".join(LOCAL_WORDS["password"]) + ")"
_SIGN_UNFINISHED = r"(?:[=:|?]{1,3}>?|：)"
_SHARED = (
    r"(?i:key|login|auth|signature|[^a-z]sig|psk|[^a-z]pat|hmac|clave|chave|chiave|parola|geheim|[^a-z]mdp|schl(?:ü|ue|u)ssel)"
)


def _after_a_word(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    run = _word.match(data, start, start + MAX_VALUE_BYTES)
    value = _ascii_run.match(run.group()).group().rstrip(b".,;:!?)]}") if run else b""  # type: ignore[union-attr]  # it matches empty
    return (
        SecretRange(start, start + len(value))
        if looks_like_password(value) and len(value) >= 6 and not is_nothing(value) and b"[redacted:" not in value
        else None
    )


_ascii_run = lazy_pattern(rb"[!-~]*")
_attribute = lazy_pattern(
    rb"[\w.\x80-\xff-]*\\{0,7}[\"']?[\s,]+\\{0,7}[\"']?[Vv][Aa][Ll][Uu][Ee]\\{0,7}[\"']?[ \t]*[=:][ \t]*"
    rb"(?P<open>[bBrRuUfF]{0,2}\\{0,7}[\"'])"
)
_before_attribute = lazy_pattern(rb"(?i)(?:name|key)\\{0,7}[\"']?[ \t]{0,4}[=:][ \t]{0,4}\\{0,7}[\"']?\Z")


def _value_attribute(key_rule: KeyLookup, data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    """The value beside an attribute or key ``name`` or ``key`` that holds a secret's name."""
    begin = _key_start(data, floor, start)
    m, name = _attribute.match(data, start), _name.match(data, begin)
    rule = key_rule(name.group().decode("utf-8", "replace")) if name else None
    if m is None or rule is None or not _before_attribute.search(data[max(floor, begin - 24) : begin]):
        return None
    return _quoted(data, m.end(), m["open"], rule)


def named_rules(key_rule: KeyLookup, more_names: Iterable[str] = ()) -> tuple[SecretRule, ...]:
    """The rules, with ``key_rule`` for names; ``more_names`` are names that it masks beyond those of `key_rules`."""
    own = "".join("|" + r"[_.-]?".join(re.escape(word) for word in name.split()) for name in more_names)
    names = f"(?i:{_NAMES}{own}|{_LOCAL})"
    return _assignments(key_rule, names) + _other_places(key_rule, names)


def _sign_of_names(names: str) -> str:
    """A name or ``token``, and what follows it in each of the rules for assignments, attributes and elements."""
    value = rf"{_SHUT}{_SET}(?:{_HOLDER}?{_OPEN}[^\n]|{_FIRST})"
    attribute = r"\\{0,7}[\"']?[\s,]{1,8}\\{0,7}[\"']?(?i:value)"
    return rf"(?:{names}|(?i:token)){_REST}(?:{value}|{attribute}|>)"


def _assignments(key_rule: KeyLookup, names: str) -> tuple[SecretRule, ...]:
    any_name = f"(?:{names}{_REST}|{_TOKEN})"
    sign = _sign_of_names(names)
    name_in_two_words = rf"(?i:{_OWNERS}|conn(?:ection)?) [A-Za-z]{{0,6}}"
    return (
        SecretRule(
            "assignment",
            "a secret name and its value in JSON, YAML, env files, code, query strings; the marker names the key rule",
            rf"{names}{_REST}{_SHUT}{_SET}(?:{_HOLDER}?{_OPEN}[^\n]|{_FIRST})",
            check=partial(_assignment, key_rule),
            by_start=True,
            sign=sign,
            unfinished=rf"{any_name}{_SHUT}[ \t]*(?:{_SIGN_UNFINISHED}[ \t]*{_VALUE_UNFINISHED})?|"
            rf"{name_in_two_words}|"
            rf"(?i:{_LOCAL_UNFINISHED})",
        ),
        SecretRule(
            "assignment",
            "the same for names that end in token",
            rf"{_TOKEN}{_SHUT}{_SET}(?:{_HOLDER}?{_OPEN})?[\w./+=~$-]{{6}}",
            check=partial(_assignment, key_rule),
            by_start=True,
        ),
        SecretRule(
            "assignment",
            "the same for names that secrets share with much else, if the value looks generated",
            rf"{_SHARED}[0-9]?{_SHUT}{_SET}(?:{_HOLDER}?{_OPEN})?[\w+/=.~%-]{{16}}",
            check=partial(_assignment, key_rule),
            by_start=True,
            unfinished=rf"{_SHARED}[0-9]?{_SHUT}[ \t]*(?:{_SIGN_UNFINISHED}[ \t]*(?:{_OPEN}?[\w+/=.~%-]*\\{{0,7}}|"
            rf"{_HELD_UNFINISHED}|{_HOLDER}))?",
        ),
        SecretRule(
            "xml-attribute",
            '<add key="password" value="…"/>, name: password, value: …; the marker names the key rule',
            rf"(?:{names}|"
            rf"(?i:token)){_REST}\\{{0,7}}[\"']?[\s,]{{1,8}}\\{{0,7}}[\"']?(?i:value)"
            r"\\{0,7}[\"']?[ \t]{0,4}[=:][ \t]{0,4}[bBrRuUfF]{0,2}\\{0,7}[\"'][^\s\"']",
            check=partial(_value_attribute, key_rule),
            by_start=True,
            sign=sign,
            unfinished=rf"(?:{names}|"
            rf"(?i:token)){_REST}\\{{0,7}}[\"']?(?:[\s,]{{1,8}}\\{{0,7}}[\"']?[A-Za-z]{{0,5}}\\{{0,7}}[\"']?[ \t]{{0,4}}"
            rf"(?:[=:][ \t]{{0,4}}[bBrRuUfF]{{0,2}}\\{{0,7}}(?:[\"'][^\"'\n]*)?)?)?",
        ),
    )


def _other_places(key_rule: KeyLookup, names: str) -> tuple[SecretRule, ...]:
    flag = rf"--[A-Za-z0-9-]*?(?:{names}|(?i:token))[A-Za-z0-9-]*"
    return (
        SecretRule(
            "command-flag",
            "--password value, --api-key 'value'; the marker names the key rule",
            rf"{flag}[ \t]{{1,4}}\\{{0,7}}[\"'`]?[^\s\"'`\\|<\[-]",
            check=partial(_command_flag, key_rule),
            by_start=True,
            sign=rf"{flag}[ \t]",
            unfinished=rf"--[\w-]+[ \t]{{1,4}}(?:{_QUOTED_UNFINISHED}|{_ESCAPED_UNFINISHED}|[^\s\"'`]*)",
        ),
        SecretRule(
            "statement",
            "the password is …, the token was …; the marker names the key rule",
            rf"(?:\b{_SPOKEN}|{_LOCAL_SPOKEN})[ \t]{{1,2}}{_SAYS}[ \t]{{1,2}}[\"'`]?[^\s\"'`]*[0-9!@#$%^&*+=~]",
            check=partial(_named_in_prose, key_rule),
            sign=rf"(?:{_SPOKEN}|{_LOCAL_SPOKEN})[ \t]{{1,2}}{_SAYS}[ \t]",
            unfinished=rf"(?:\b{_SPOKEN}|{_LOCAL_SPOKEN})[ \t]{{1,2}}(?:[A-Za-z\x80-\xff]{{0,12}}|"
            rf"{_SAYS}[ \t]{{1,2}}[\"'`]?[^\s\"'`]*)",
        ),
        SecretRule(
            "password",
            "the same in languages that are written without blanks: 密码是…, パスワードは…, 비밀번호는 …",
            rf"{_PASSWORD_WORDS}[\x80-\xff \t:=\"'`]{{1,16}}?(?P<secret>[!#-&(-_a-~][!-~]{{5}})",
            check=_after_a_word,
            unfinished=rf"{_PASSWORD_WORDS}[\x80-\xff \t:=\"'`]{{0,16}}[!-~]*",
        ),
        SecretRule(
            "xml-element",
            "<password>…</password>; the marker names the key rule",
            rf"(?:{names}|(?i:token)){_REST}>[^<>\s]",
            check=partial(_xml_element, key_rule),
            by_start=True,
            sign=_sign_of_names(names),
            unfinished=rf"(?:{names}|(?i:token)){_REST}>[^<\n]*<?",
        ),
    )

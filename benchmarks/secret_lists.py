"""Kinds of secrets from public rule lists, with values made from each rule's pattern: `public_kinds` reads a list's checkout.

    for kind in public_kinds(Path("gitleaks")):     # or a checkout of trufflehog or detect-secrets
        kind.make(Random(1))                        # ("adafruit_key = 'x…'", "x…")

Nothing of a list is kept in this repository: patterns are read where they are, and only what they say is used.
"""

from __future__ import annotations

import ast
import math
import re
import string
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

# What a pattern is made of has no public name; Python 3.11 moved it.
if sys.version_info >= (3, 11):
    import re._constants as sre  # type: ignore[import-untyped,unused-ignore]
    import re._parser as sre_parser  # type: ignore[import-untyped,unused-ignore]
else:
    import sre_constants as sre
    import sre_parse as sre_parser

_PRINTABLE = string.ascii_letters + string.digits
_CLASSES = {
    sre.CATEGORY_DIGIT: string.digits,
    sre.CATEGORY_WORD: _PRINTABLE + "_",
    sre.CATEGORY_SPACE: " ",
    sre.CATEGORY_NOT_SPACE: _PRINTABLE,
    sre.CATEGORY_NOT_DIGIT: string.ascii_letters,
    sre.CATEGORY_NOT_WORD: "-",
}
_FEWEST_CHARS = 8
"""Of a group that is the secret and no part of its form."""
_MOST_REPEATS = 20
"""Of an endless loop, beyond its least."""


@dataclass(frozen=True)
class PublicKind:
    """One rule of a public list."""

    name: str
    """The list's own name of the rule."""
    words: tuple[str, ...]
    """The words of which one must stand beside the value; empty where the value is known by its own shape."""
    fixed: int
    """How many letters and digits every text of the rule has at the same place; below 3 nothing tells it from a hash or an id."""
    make: Callable[[Random], tuple[str, str]]
    """Makes a text that the rule matches, and the secret in it."""


def public_kinds(checkout: Path) -> Iterator[PublicKind]:
    """The rules of a checkout of gitleaks, trufflehog or detect-secrets.

    Raises:
        FileNotFoundError: the folder is none of these.
    """
    if (rules := checkout / "config" / "gitleaks.toml").exists():
        yield from _gitleaks(rules)
    elif (detectors := checkout / "pkg" / "detectors").exists():
        yield from _trufflehog(detectors)
    elif (plugins := checkout / "detect_secrets" / "plugins").exists():
        yield from _detect_secrets(plugins)
    else:
        raise FileNotFoundError(f"no rules of gitleaks, trufflehog or detect-secrets in {checkout}")


_BESIDE = re.compile(r"\[\\w\.-\]\{0,50\}\?(?:\(\?i:\[\\w\.-\]\{0,50\}\?)?(?P<words>\(\?:.*?)\(\?:\[ \\t\\w\.-\]\{0,20\}\)")


def _gitleaks(path: Path) -> Iterator[PublicKind]:
    import tomllib

    for rule in tomllib.loads(path.read_text())["rules"]:
        pattern = rule.get("regex")
        if pattern is None:
            continue
        beside = _BESIDE.search(pattern)
        words = tuple(sorted(_samples(beside["words"]))) if beside else ()
        yield PublicKind(
            rule["id"], words, fixed_chars(pattern), _maker(pattern, float(rule.get("entropy", 0)), rule.get("secretGroup", 0))
        )


_GO_PATTERN = re.compile(r"(\w+)\s*=\s*regexp\.MustCompile\((.*?)\)\s*$", re.MULTILINE)
_GO_PREFIX = re.compile(r"detectors\.PrefixRegex\(\[\]string\{(?P<words>[^}]*)\}\)\s*\+\s*")
_NO_SECRET = {
    "address, host or path": re.compile(r"(?i)url|uriPat|domain|email|host|path|endpoint|server|region|portal|instance"),
    "name or id of an account, which is public": re.compile(r"(?i)\bid|idPat|user|name|account|project|tenant|publishable"),
    "keyword, version, date or number": re.compile(r"(?i)version|placeholder|keyword|timeValue|s[vpr]Value|sipValue"),
}
_NO_SECRET_THERE = {
    "gcp:keyPat": "whole document, with anything between its braces",
    "gcpapplicationdefaultcredentials:keyPat": "whole document, with anything between its braces",
    "jdbc:keyPat": "connection string that need not hold a password",
    "postgres:uriPattern": "connection string that need not hold a password",
    "couchbase:connectionStringPat": "address, host or path",
    "asana-client-id": "name or id of an account, which is public",
    "discord-client-id": "name or id of an account, which is public",
}


def reason_to_leave_out(name: str) -> str:
    """Why the pattern of this name stands for no secret; empty if it does. trufflehog calls variables by what they find."""
    variable = name.partition(":")[2]
    by_variable = next((reason for reason, names in _NO_SECRET.items() if names.search(variable)), "")
    return _NO_SECRET_THERE.get(name) or by_variable


def _trufflehog(folder: Path) -> Iterator[PublicKind]:
    for path in sorted(folder.rglob("*.go")):
        if path.name.endswith("_test.go"):
            continue
        for match in _GO_PATTERN.finditer(path.read_text()):
            name, expression = match.groups()
            beside = _GO_PREFIX.match(expression)
            pattern = expression[beside.end() :] if beside else expression
            if not re.fullmatch(r"`[^`]*`|\"[^\"]*\"", pattern):
                continue
            words = tuple(re.findall(r'"([^"]+)"', beside["words"])) if beside else ()
            maker = _maker(pattern[1:-1], 3.0 if words else 0.0, 0)
            yield PublicKind(f"{path.relative_to(folder).parent}:{name}", words, fixed_chars(pattern[1:-1]), maker)


def _detect_secrets(folder: Path) -> Iterator[PublicKind]:
    for path in sorted(folder.glob("*.py")):
        for number, call in enumerate(
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile" and isinstance(node.args[0], ast.Constant)
        ):
            pattern = call.args[0].value  # type: ignore[attr-defined]
            yield PublicKind(f"{path.stem}:{number}", (), fixed_chars(pattern), _maker(pattern, 0.0, 0))


def _maker(pattern: str, entropy: float, group: int) -> Callable[[Random], tuple[str, str]]:
    tree: list[Any] = []

    def make(rnd: Random) -> tuple[str, str]:
        if not tree:
            tree.append(sre_parser.parse(python_syntax(pattern)))
        for _ in range(200):
            one = Sample(rnd)
            text = one.of(tree[0])
            secret = one.groups.get(group, "") if group else _secret_among(list(one.groups.values()))
            fewest = max(_FEWEST_CHARS, len("".join(text.split())) // 4)
            secret = secret.strip("\"'") if len(secret) >= fewest else text
            if login := _LOGIN.search(secret):
                secret = login[1]
            if entropy_bits(secret) >= entropy and _is_mixed(secret, text):
                return text, secret
        return text, secret

    return make


_ADDRESS = re.compile(r"(?i)\w+://|[\w.-]+\.[a-z]{2,}(?::[0-9]+)?\Z")

_LOGIN = re.compile(r"://[^\s/:@]*:([^\s@]+)@")


def _secret_among(groups: list[str]) -> str:
    """The longest group that is no address: a connection string has one for the host, one for the user, one for the key."""
    return max((text for text in groups if not _ADDRESS.match(text)), key=len, default="")


def fixed_chars(pattern: str) -> int:
    """Letters and digits that each text of a pattern holds, at least; 0 for a pattern that Python does not take."""
    try:
        return _fixed(sre_parser.parse(python_syntax(pattern)))
    except re.error:
        return 0


def _fixed(tree: Any) -> int:
    total = 0
    for op, value in tree:
        if op is sre.LITERAL:
            total += chr(value).isalnum() or chr(value) in "@_"
        elif op is sre.SUBPATTERN:
            total += _fixed(value[3])
        elif op is sre.BRANCH:
            total += min(_fixed(branch) for branch in value[1])
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            total += value[0] * _fixed(value[2])
    return total


def _is_mixed(secret: str, text: str) -> bool:
    """Whether a made value is one that an issuer could have made too: long ones without a digit are one in a thousand."""
    return len(secret) < 16 or any(char.isdigit() for char in secret)


def entropy_bits(text: str) -> float:
    """Shannon's entropy of a text's characters, in bits a character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values()) if text else 0.0


def python_syntax(pattern: str) -> str:
    """A pattern of Go or RE2 as Python's parser takes it: flags in the middle become groups."""
    pattern = pattern.replace("[[:alnum:]]", "[0-9A-Za-z]").replace("[[:alpha:]]", "[A-Za-z]").replace(r"\z", r"\Z")
    return _with_groups(pattern)


def _with_groups(pattern: str) -> str:
    out: list[str] = []
    open_flags = [0]
    at, in_class = 0, False
    while at < len(pattern):
        flag = re.compile(r"\(\?([a-z]+)\)").match(pattern, at)
        char = pattern[at : at + 2] if pattern[at] == "\\" else pattern[at]
        if flag and not in_class:
            out.append(f"(?{flag[1].replace('m', '') or 's'}:")
            open_flags[-1] += 1
            at = flag.end()
            continue
        if char == "[" and not in_class:
            in_class = True
            if pattern[at + 1 : at + 2] == "]":
                char = "[]"
        elif char == "]":
            in_class = False
        elif char == "(" and not in_class:
            open_flags.append(0)
        elif char == ")" and not in_class:
            out.append(")" * open_flags.pop())
        elif char == "|" and not in_class and open_flags[-1]:
            # A flag holds to the end of its group, over the bars in it.
            pass
        out.append(char)
        at += len(char)
    return "".join(out) + ")" * open_flags[0]


def _samples(pattern: str) -> set[str]:
    """The texts, in lower case, that a pattern of a few words stands for."""
    tree = sre_parser.parse(python_syntax(pattern))
    return {Sample(Random(number)).of(tree).lower() for number in range(40)}


class Sample:
    """One text that a parsed pattern matches."""

    @staticmethod
    def of_pattern(pattern: str, rnd: Random) -> str:
        """A text for a pattern of Go or RE2."""
        return Sample(rnd).of(sre_parser.parse(python_syntax(pattern)))

    def __init__(self, rnd: Random) -> None:
        self._rnd = rnd
        self._lower = rnd.random() < 0.6
        self._size = 0
        self.groups: dict[int, str] = {}

    def of(self, tree: Any, ignore_case: bool = False) -> str:
        return "".join(self._part(op, value, ignore_case) for op, value in tree)

    def _part(self, op: Any, value: Any, ignore_case: bool) -> str:
        if op is sre.LITERAL:
            return self._cased(chr(value), ignore_case)
        if op is sre.NOT_LITERAL:
            return self._rnd.choice([char for char in _PRINTABLE if ord(char) != value])
        if op is sre.ANY:
            return "."  # nearly always a dot that was not escaped
        if op is sre.IN:
            return self._cased(self._rnd.choice(_members(value)), ignore_case)
        if op is sre.BRANCH:
            return self.of(self._rnd.choice(value[1]), ignore_case)
        if op is sre.SUBPATTERN:
            return self._group(value, ignore_case)
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, most, tree = value
            count = self._rnd.randint(least, min(int(most), least + _MOST_REPEATS)) if op is sre.MAX_REPEAT else least
            if len(tree) == 1 and tree[0][0] is sre.ANY:
                return "".join(self._rnd.choice(_PRINTABLE) for _ in range(count))
            return "".join(self.of(tree, ignore_case) for _ in range(count))
        if op is sre.GROUPREF:
            return self.groups.get(value, "")
        return ""  # an anchor or a look-around

    def _group(self, value: Any, ignore_case: bool) -> str:
        number, on, off, tree = value
        flag = int(sre.SRE_FLAG_IGNORECASE)
        text = self.of(tree, (ignore_case or bool(on & flag)) and not off & flag)
        if number is not None:
            self.groups[number] = text
        return text

    def _cased(self, char: str, ignore_case: bool) -> str:
        return char if not ignore_case or self._lower else self._rnd.choice((char.lower(), char.upper()))


def _members(items: Any) -> str:
    chosen: set[str] = set()
    negated = False
    for op, value in items:
        if op is sre.NEGATE:
            negated = True
        elif op is sre.LITERAL:
            chosen.add(chr(value))
        elif op is sre.RANGE:
            chosen.update(map(chr, range(value[0], value[1] + 1)))
        elif op is sre.CATEGORY:
            chosen.update(_CLASSES[value])
    if negated:
        return "".join(sorted(set(_PRINTABLE) - chosen)) or ";"
    plain = chosen - set(" \t\r\n\\\"'`")
    return "".join(sorted(plain or chosen))

"""The key rules: which names belong to a secret. `key_rule` takes a name and returns its rule or ``None``.

A name is cut into words at ``_ - . :``, blanks and camelCase humps, and whole words are compared: ``clientSecret`` and
``DB_PASSWORD`` are secret, ``secretary``, ``author``, ``max_tokens`` and ``password_policy`` are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_KEY_CHARS = 128
"""Of longer names the last 128 characters are checked."""


@dataclass(frozen=True, slots=True)
class KeyRule:
    """The kind of secret that a name announces."""

    name: str
    """Name in the marker and in the setting ``redaction_unmask``."""
    certain: bool = True
    """False: the value is masked only if it has the form of a credential itself."""


_TERMS: dict[str, tuple[str, ...]] = {
    "password": ("password", "passwd", "passphrase", "passcode", "passwords"),
    "secret": ("secret", "secrets"),
    "api-key": ("api key", "apikey", "api keys", "apikeys", "app key", "application key"),
    "access-key": ("access key", "accesskey"),
    "private-key": ("private key", "privatekey", "priv key", "signing key", "encryption key", "decryption key", "ssh key"),
    "secret-key": (
        *("auth key", "account key", "master key", "shared key", "subscription key", "license key", "licence key"),
        *("session key", "service key", "deploy key", "hmac key", "storage key", "secretkey", "root key", "admin key"),
    ),
    "authorization": ("authorization", "bearer"),
    "cookie": ("cookie", "cookies"),
    "credential": ("credential", "credentials", "creds"),
    "connection-string": ("connection string", "connectionstring", "conn str", "connstr", "conn string"),
    "card-number": ("card number", "cardnumber", "credit card", "cc number", "cvv", "cvc", "cvv2"),
    "one-time-code": ("otp", "totp", "otp code", "mfa code", "recovery code", "recovery codes", "backup codes"),
    "social-security-number": ("ssn", "social security number"),
}
_CERTAIN = {tuple(term.split()): KeyRule(name) for name, terms in _TERMS.items() for term in terms}
_LONGEST_TERM = max(len(term) for term in _CERTAIN)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PASS_OWNERS = _words(
    "admin auth bind database db ftp http imap ldap login mail mysql pg postgres proxy redis root smtp ssh user vpn wifi"
)
"""``pass`` alone counts tests; ``db_pass`` is a password."""

_TOKEN_OWNERS = _words("""
    access admin agent api app application auth authenticity bearer bot client csrf deploy deployment device gh git github gitlab
    hf huggingface id identity invite jwt login npm oauth oauth2 personal private publish push pypi refresh registry reset sas
    secret security service session slack sso telegram user vault verification webhook xsrf
""")
_TOKEN_COUNTERS = _words("""
    bos cls continuation cursor eos eot end first image last mask max min n next num pad page pagination per prev previous prompt
    sep special start stop sync total unk
""")
"""Words before ``token`` of a model's vocabulary or of paging."""

_GLUED = re.compile(
    "(password|passwd|passphrase|apikey|secretkey|privatekey|accesskey|authtoken|accesstoken|refreshtoken|sessiontoken|"
    "bearertoken|clientsecret)$"
)
_GLUED_RULES = {"passwd": "password", "passphrase": "password", "clientsecret": "secret", "apikey": "api-key"}
_GLUED_RULES |= {"accesskey": "access-key", "privatekey": "private-key", "secretkey": "secret-key", "password": "password"}

_ABOUT = _words("""
    age alg algorithm arn at banner budget changed consent cost count created date dir disabled domain enabled encoding
    endpoint env expiration expire expires expiry field fields file filename format hint in index jar label len length limit
    limits manager map max mgr min mode model modified name names path policies policy position present price prompt
    provider required requirements reset rotation schema scope scopes size source state status stdin store strength time
    timeout ttl type types updated uri url usage used valid validator verified version versions
""")
"""A name that ends in one of these describes the secret: ``password_policy``, ``token_count``, ``secret_name``."""

_QUESTIONS = _words("has hide invalid is max min missing n needs no num number require required requires show total use uses")
"""A name that begins with one of these is a question or a count: ``has_password``, ``max_token``."""

_WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_HINT = re.compile(
    "pass|pwd|secret|token|key|auth|cookie|cred|bearer|cvv|cvc|otp|ssn|conn|card|cc|code|social|jwt", re.IGNORECASE
)


def words_of(key: str) -> list[str]:
    """The words of a name in lower case, digits left out: ``DB_Password2`` → ``["db", "password"]``."""
    return [word.lower() for word in _WORD.findall(key[-MAX_KEY_CHARS:])]


def key_rule(key: str) -> KeyRule | None:
    """The rule that a name falls under; ``None`` for an ordinary name."""
    if not _HINT.search(key[-MAX_KEY_CHARS:]):
        return None
    words = words_of(key)
    if not words or words[0] in _QUESTIONS:
        return None
    while len(words) > 1 and words[-1] == "value":
        words.pop()
    return _by_terms(words) or _by_token(words) or _by_glue(words)


def _by_terms(words: list[str]) -> KeyRule | None:
    for length in range(_LONGEST_TERM, 0, -1):
        for i in range(len(words) - length + 1):
            rule = _CERTAIN.get(tuple(words[i : i + length]))
            if rule and not _is_about(words, i + length, rule):
                return rule
    if words[-1] == "pwd":
        # PWD is the working directory in every environment; as a password it follows another word, or has a value of that form.
        return KeyRule("password", certain=len(words) > 1)
    if words[-1] == "pass" and len(words) > 1 and words[-2] in _PASS_OWNERS:
        return KeyRule("password")
    return None


def _is_about(words: list[str], after: int, rule: KeyRule) -> bool:
    if after == len(words):
        return False
    last = words[-1]
    return last in _ABOUT or (last in ("id", "ids") and rule.name != "secret")


def _by_token(words: list[str]) -> KeyRule | None:
    last = words[-1]
    if last == "authtoken":
        return KeyRule("token")
    if last == "jwt":
        return KeyRule("token", certain=False)
    if last == "auth":
        return KeyRule("authorization", certain=False)
    if last != "token":
        return None
    owner = words[-2] if len(words) > 1 else ""
    if owner in _TOKEN_COUNTERS:
        return None
    return KeyRule("token", certain=owner in _TOKEN_OWNERS)


def _by_glue(words: list[str]) -> KeyRule | None:
    """Lower-case compounds, as headers and old databases write them: ``dbpassword``, ``userpasswd``."""
    glued = _GLUED.search(words[-1])
    return KeyRule(_GLUED_RULES.get(glued.group(1), "token")) if glued else None


KEY_RULE_NAMES = frozenset(_TERMS) | {"token"}
"""Names of all key rules."""

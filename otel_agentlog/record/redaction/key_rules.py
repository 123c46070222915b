"""The key rules: which names belong to a secret. `key_rule` takes a name and returns its rule or ``None``.

A name is cut into words at ``_ - . :``, blanks and camelCase humps, and whole words are compared: ``clientSecret`` and
``DB_PASSWORD`` are secret, ``secretary``, ``author``, ``max_tokens`` and ``password_policy`` are not. Words of other
languages are
compared without their accents: ``contraseña`` is ``contrasena``.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from otel_agentlog._startup import dataclass
from otel_agentlog.record.redaction.rules_by_service import (
    RULE_NAME,
    Form,
    looks_issued,
    looks_like_number_in_base64,
    looks_random,
    service_form,
)

MAX_KEY_CHARS = 128
"""Of longer names the last 128 characters are checked."""


@dataclass(frozen=True, slots=True)
class KeyRule:
    """The kind of secret that a name announces."""

    name: str
    """Name in the marker and in the setting ``redaction_unmask``."""
    certain: bool = True
    """False: the value is masked only if it has the form of a credential itself."""
    form: Form | None = None
    """The form that a value must have, where the name is not certain; without one, that of a credential or a password."""


_TERMS: dict[str, tuple[str, ...]] = {
    "password": ("password", "passwd", "passphrase", "passcode", "passwords"),
    "secret": ("secret", "secrets"),
    "api-key": ("api key", "apikey", "api keys", "apikeys", "app key", "application key"),
    "access-key": ("access key", "accesskey"),
    "private-key": (
        *("private key", "privatekey", "priv key", "signing key", "encryption key", "decryption key", "ssh key", "key data"),
    ),
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

LOCAL_TERMS: dict[str, tuple[str, ...]] = {
    "password": (
        *(
            "passwort",
            "kennwort",
            "mot de passe",
            "motdepasse",
            "mots de passe",
            "contraseña",
            "contraseñas",
            "contrasenya",
            "senha",
        ),
        *("palavra passe", "palavra-passe", "parola d'ordine", "parola chiave", "wachtwoord", "hasło", "lösenord", "passord"),
        *(
            "adgangskode",
            "kodeord",
            "salasana",
            "şifre",
            "şifresi",
            "şifreniz",
            "jelszó",
            "heslo",
            "lozinka",
            "geslo",
            "slaptažodis",
        ),
        *("zaporka", "pasahitza", "parol", "şifrə", "nenosiri", "cyfrinair"),
        *("parool", "mật khẩu", "kata sandi", "kata laluan", "lykilorð", "fjalëkalim", "пароль", "парола", "лозинка", "κωδικός"),
        *("סיסמה", "كلمة المرور", "كلمة السر", "رمز عبور", "पासवर्ड"),
    ),
    "secret": ("geheimnis", "secreto", "segredo", "segreto", "секрет"),
    "api-key": (
        *("api schlüssel", "apischlüssel", "clé api", "clé d'api", "clave api", "clave de api", "chave api", "chave de api"),
        *("chiave api", "api sleutel", "klucz api", "ключ api", "api ключ", "api nyckel", "api anahtarı"),
    ),
    "access-key": ("zugangsschlüssel", "clé d'accès", "clave de acceso", "chave de acesso", "klucz dostępu"),
    "private-key": ("privater schlüssel", "clé privée", "clave privada", "chave privada", "chiave privata", "закрытый ключ"),
    "token": ("jeton d'accès", "токен", "zugriffstoken", "zugangstoken"),
}
"""Words of other languages than English, as people write them; they are known without their accents, too."""

LOCAL_WORDS: dict[str, tuple[str, ...]] = {
    "password": ("密码", "密碼", "口令", "パスワード", "暗証番号", "비밀번호", "암호", "패스워드", "รหัสผ่าน"),
    "secret-key": ("密钥", "密鑰", "秘钥", "秘密鍵", "비밀키"),
    "api-key": ("apiキー", "api키"),
    "token": ("令牌", "トークン", "토큰"),
}
"""Words of languages that are written without blanks: a name that ends in one is secret."""


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PASS_OWNERS = word_set("""
    account admin amqp app auth bind broker database db email es ftp http imap jenkins key ldap login mail mongo mongodb
    mssql mysql
    my neo4j oracle pg pgsql pop postgres postgresql proxy rabbitmq redis root rpc service sftp sip smtp sql ssh store user
    vpn web wifi
""")
"""``pass`` alone counts tests; ``db_pass`` is a password."""

_TOKEN_OWNERS = word_set("""
    access admin agent api app application auth authenticity bearer bot client csrf deploy deployment device gh git github gitlab
    hf huggingface id identity invite jwt login npm oauth oauth2 personal private publish push pypi refresh registry reset sas
    secret security service session slack sso telegram user vault verification webhook xsrf
""")
_TOKEN_COUNTERS = word_set("""
    bos cls continuation cursor eos eot end first image last mask max min n next num pad page pagination per prev previous prompt
    sep special start stop sync total unk
""")
"""Words before ``token`` of a model's vocabulary or of paging."""

_KEY_OWNERS_WITHOUT_SECRETS = word_set("""
    alt answer arrow attr attribute base batch bucket cache candidate certificate checksum child column composite config
    connection
    content context ctrl data dedup dedupe delete dict dictionary document down duplicate entity enter enum error escape
    event exchange
    external field file filter fingerprint foreign function gpg group grouping hash host hot i18n idempotency image index
    insert issue
    item job json kms known label language left line locale localization lock lookup map match message meta metric named natural
    nonce object option order page parent partition path pgp press primary profile project prop property public pub query queue
    range record redis ref reference registry request resource response right routing row s3 schema search setting shard
    shift shortcut
    sibling sort space state status step stream surrogate tab table tag template tenant thread topic trace tracking
    translation tree
    type unique up update upload uri url value version view widget
""")
"""Words before ``key`` of what is looked up, locked or pressed."""

_GLUED = re.compile(
    "(password|passwd|passphrase|passwort|kennwort|wachtwoord|contrasena|losenord|apikey|secretkey|privatekey|accesskey|authtoken|"
    "accesstoken|refreshtoken|sessiontoken|bearertoken|clientsecret|пароль|"
    + "|".join(word for words in LOCAL_WORDS.values() for word in words)
    + ")$"
)
_GLUED_RULES = {"passwd": "password", "passphrase": "password", "clientsecret": "secret", "apikey": "api-key"}
_GLUED_RULES |= dict.fromkeys(["passwort", "kennwort", "wachtwoord", "contrasena", "losenord", "пароль"], "password")
_GLUED_RULES |= {word: name for name, words in LOCAL_WORDS.items() for word in words}
_GLUED_RULES |= {"accesskey": "access-key", "privatekey": "private-key", "secretkey": "secret-key", "password": "password"}

_ABOUT = word_set("""
    age alg algorithm arn at banner budget changed consent cost count created date dir disabled domain enabled encoding
    endpoint env expiration expire expires expiry field fields file filename format hint in index jar label len length limit
    limits manager map max mgr min mode model modified name names path policies policy position present price prompt
    provider required requirements reset rotation schema scope scopes size source state status stdin store strength time
    timeout ttl type types updated uri url usage used valid validator verified version versions
""")
"""A name that ends in one of these describes the secret: ``password_policy``, ``token_count``, ``secret_name``."""

_QUESTIONS = word_set("""
    check detect find has hide ignore invalid is max min missing n needs no num number prompt require required requires scan
    should
    show skip total use uses
""")
"""A name that begins with one of these is a question or a count: ``has_password``, ``max_token``."""

_WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\\W\\d_A-Za-z]+(?:[\u0900-\u097f]+)?")
_BASIC_LETTERS = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "ı": "i", "İ": "I", "đ": "d", "Đ": "D"})


def without_accents(text: str) -> str:
    """The text with basic letters for those with marks, and blanks between humps: ``hasło`` → ``haslo``."""
    humps = "".join(f" {char}" if char.isupper() and before.islower() else char for before, char in pairwise(f" {text}"))
    parts = unicodedata.normalize("NFKD", humps.translate(_BASIC_LETTERS))
    return unicodedata.normalize("NFC", "".join(char for char in parts if not "\u0300" <= char <= "\u036f"))


def words_of(key: str) -> list[str]:
    """The words of a name in lower case, digits left out: ``DB_Password2`` → ``["db", "password"]``."""
    key = key[-MAX_KEY_CHARS:]
    return [word.lower() for word in _WORD.findall(key if key.isascii() else without_accents(key))]


def key_rule(key: str) -> KeyRule | None:
    """The rule that a name falls under; ``None`` for an ordinary name."""
    words = words_of(key)
    if not words or words[0] in _QUESTIONS:
        return None
    while len(words) > 1 and words[-1] == "value":
        words.pop()
    return _by_terms(words) or _by_token(words) or _by_glue(words) or _by_service(key, words) or _by_form(words)


_CERTAIN = {tuple(term.split()): KeyRule(name) for name, terms in _TERMS.items() for term in terms}
_CERTAIN |= {tuple(words_of(term)): KeyRule(name) for name, terms in LOCAL_TERMS.items() for term in terms}
_CERTAIN |= {tuple(words_of(word)): KeyRule(name) for name, words in LOCAL_WORDS.items() for word in words}
_LONGEST_TERM = max(len(term) for term in _CERTAIN)


def _by_service(key: str, words: list[str]) -> KeyRule | None:
    form = service_form(key[-MAX_KEY_CHARS:])
    if form is None:
        return None
    general = _by_form(words)
    if general is None or general.form is None:
        return KeyRule(RULE_NAME, certain=False, form=form)
    issued, generated = form, general.form
    return KeyRule(RULE_NAME, certain=False, form=lambda value: issued(value) or generated(value))


def _by_form(words: list[str]) -> KeyRule | None:
    """Names that secrets share with much else: the value must look generated."""
    last, owner = words[-1], words[-2] if len(words) > 1 else ""
    if last == "key":
        if owner in _KEY_OWNERS_WITHOUT_SECRETS:
            return None
        return KeyRule("secret-key", certain=False, form=looks_issued if owner else looks_random)
    if not owner and last in _JWK_NUMBERS:
        return KeyRule("private-key", certain=False, form=looks_like_number_in_base64)
    if last in _SHARED_NAMES:
        return KeyRule(_SHARED_NAMES[last], certain=False, form=looks_random)
    return None


_JWK_NUMBERS = word_set("d p q dp dq qi k")
"""The private members of a JSON web key (RFC 7518, section 6)."""

_SHARED_NAMES = {
    **dict.fromkeys(("login", "pat", "psk", "hmac", "webhook"), "credential"),
    **dict.fromkeys(("sig", "signature"), "signature"),
    **dict.fromkeys(("clave", "chave", "chiave", "cle", "schlussel", "ключ"), "secret-key"),
    **dict.fromkeys(("geheim", "parola", "mdp", "pwort", "clau"), "password"),
}
"""Names whose values are secret only if they look generated: rule by last word."""


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


KEY_RULE_NAMES = frozenset(_TERMS) | {"token", "signature", RULE_NAME}
"""Names of all key rules."""

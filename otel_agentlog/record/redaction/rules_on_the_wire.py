"""Rules for secrets known by a protocol or format: headers, cookies, URLs, command lines, key blocks, card numbers.

As in ``rules_in_context.py``, a short, bounded pattern finds the place, and a check decides and finds the end of the value. The
table is `WIRE_RULES`, at the end.
"""

from __future__ import annotations

import base64
import binascii

from otel_agentlog._startup import lazy_pattern
from otel_agentlog.record.redaction.rules import EDGE, JUDGED_BYTES, LOOK_BACK_BYTES, MAX_VALUE_BYTES, SecretRange, SecretRule
from otel_agentlog.record.redaction.rules_by_service import looks_like_number_in_base64
from otel_agentlog.record.redaction.rules_by_value import (
    is_card_number,
    is_nothing,
    is_sample,
    looks_like_code,
    looks_like_credential,
    looks_like_password,
    quoted_end,
    whole_run,
)

MAX_BLOCK_BYTES = 12288
"""How far the end of a key block is searched; an RSA key of 16,384 bits takes 12 kB."""
MAX_AUTHORITY_BYTES = 8192
"""How far the ``@`` behind a password in a URL is searched; tokens of package registries take 2 kB."""

_header = lazy_pattern(rb"[\w-]*(?:\\{0,3}[\"'`]\]?)?[ \t]*(?:=>?|:)[ \t]*(?P<open>(?:[bBrRuUfF]{0,2}\\{0,3}[\"'`])?)")
_scheme = lazy_pattern(rb"(?P<scheme>[A-Za-z][\w-]{1,30})[ \t]+(?P<value>[^\s\"'`\\]+)")
_bare = lazy_pattern(rb"[^\s\"'`\\]+")
_parameters = lazy_pattern(rb"(?:[\w-]+=\"[^\"\n]*\"|[^\r\n\"'`\\])*")
_to_quote_or_line_end = lazy_pattern(rb"[^\r\n\"'`\\]*")

_ONE_WORD_SCHEMES = frozenset(
    b"bearer basic token negotiate apikey api-key ssws splunk genie-key discogs bot key ntlm dpop".split()
)
_LIST_SCHEMES = frozenset(
    b"digest hawk oauth signature aws4-hmac-sha256 aws4-ecdsa-p256-sha256 aws sharedkey mac credential".split()
)


def _authorization(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    m = _header.match(data, start)
    if m is None:
        return None
    if m["open"]:
        stop, final = quoted_end(data, m.end(), m["open"], m.end() + MAX_VALUE_BYTES)
        value = data[m.end() : stop].strip()
        return None if is_nothing(value) or is_sample(value) else SecretRange(m.end(), stop, None, final)
    pair = _scheme.match(data, m.end(), m.end() + MAX_VALUE_BYTES)
    if pair and pair["scheme"].lower() in _LIST_SCHEMES:
        stop = _parameters.match(data, m.end(), m.end() + MAX_VALUE_BYTES).end()  # type: ignore[union-attr]  # matches empty
        return SecretRange(m.end(), stop, None, stop < len(data) and data[stop : stop + 1] != b'"')
    if pair and pair["scheme"].lower() in _ONE_WORD_SCHEMES:
        value = pair["value"].rstrip(b",;)}]")
        return (
            None
            if is_nothing(value) or is_sample(value)
            else SecretRange(m.end(), pair.start("value") + len(value), None, pair.end() < len(data))
        )
    run = _bare.match(data, m.end(), m.end() + JUDGED_BYTES)
    value = run.group().rstrip(b",;)}].") if run else b""
    if run is None or is_nothing(value) or looks_like_code(value) or not (looks_like_password(value) and len(value) >= 8):
        return None
    whole = whole_run(_bare, data, run, m.end() + MAX_VALUE_BYTES)
    return SecretRange(m.end(), m.end() + len(whole.group().rstrip(b",;)}].")), None, whole.end() < len(data))


_credential_run = lazy_pattern(rb"[\w.~+/%-]+=*")


def _bearer(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    run = _credential_run.match(data, start)
    if run is None:
        return None
    value = run.group().rstrip(b".")
    generated = any(48 <= byte <= 57 for byte in value) or len(value) >= 40
    return SecretRange(start, start + len(value)) if generated and not is_nothing(value) and not is_sample(value) else None


def _basic(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    run = _credential_run.match(data, start, start + JUDGED_BYTES)
    if run is None:
        return None
    try:
        pair = base64.b64decode(run.group().rstrip(b"=.") + b"==", validate=False)
    except binascii.Error:
        return None
    is_pair = b":" in pair and all(byte >= 32 for byte in pair)
    return SecretRange(start, whole_run(_credential_run, data, run, len(data)).end()) if is_pair else None


def _cookie(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    m = _header.match(data, start)
    if m is None:
        return None
    if m["open"]:
        stop, final = quoted_end(data, m.end(), m["open"], m.end() + MAX_VALUE_BYTES)
    else:
        stop = _to_quote_or_line_end.match(data, m.end(), m.end() + MAX_VALUE_BYTES).end()  # type: ignore[union-attr]  # matches empty
        final = stop < len(data)
    value = data[m.end() : stop].rstrip()
    return None if is_nothing(value) else SecretRange(m.end(), m.end() + len(value), None, final)


_user = lazy_pattern(rb"://[^\s/?#@:\"'<>\\\[\]]*:")
_authority = lazy_pattern(rb"[^\s\"'<>\\]*")
_port = lazy_pattern(rb"[0-9]{1,5}(?:[/?#]|\Z)")


def _url_password(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    user = _user.match(data, start)
    run = _authority.match(data, user.end(), user.end() + MAX_AUTHORITY_BYTES) if user else None
    if user is None or run is None:
        return None
    text, begin = run.group(), user.end()
    cut = min((at for at in (text.find(mark) for mark in (b"/", b"?", b"#")) if at >= 0), default=len(text))
    at = text.rfind(b"@", 0, cut)
    if at < 0:
        # A password with a slash in it; but host:8080/path@x is no password.
        at = -1 if _port.match(text) else text.find(b"@")
    value = text[:at] if at > 0 else b""
    return None if is_nothing(value) or is_sample(value) else SecretRange(begin, begin + at)


def _url_token(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    return SecretRange(start, end) if looks_like_credential(data[start:end]) else None


_parameter = lazy_pattern(rb"[\w%+/.~=-]+")
_SIGNING = lazy_pattern(rb"(?i)(?:sig|credential|security-token|accessid|accesskeyid|hmac)[a-z]*=\Z")


def _url_parameter(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    run = _parameter.match(data, start, start + MAX_VALUE_BYTES)
    signing = _SIGNING.search(data[max(floor, start - 32) : start])
    if run is None or is_nothing(run.group()) or not (signing or looks_like_credential(run.group())):
        return None
    return SecretRange(start, run.end())


def _login_of_client(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    """``curl -u user:password``; other programs take ``-u`` for users and groups, so the value must have the form of one."""
    run = _bare.match(data, start, start + MAX_VALUE_BYTES)
    value = run.group() if run else b""
    is_curl = b"curl" in data[max(floor, start - LOOK_BACK_BYTES) : start].lower()
    if is_nothing(value) or is_sample(value) or not (is_curl or looks_like_password(value)):
        return None
    return SecretRange(start, start + len(value))


def _bare_word(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    run = _bare.match(data, start, start + MAX_VALUE_BYTES)
    value = run.group() if run else b""
    is_secret = looks_like_password(value) and not is_nothing(value) and not is_sample(value)
    return SecretRange(start, start + len(value)) if is_secret else None


def _unless_sample(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    return None if is_nothing(data[start:end]) or is_sample(data[start:end]) else SecretRange(start, end)


def _jwk_number(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    return SecretRange(start, end) if looks_like_number_in_base64(data[start:end]) else None


_block_begin = lazy_pattern(
    rb"(?i)-----BEGIN[ A-Z0-9_-]{0,100}?PRIVATE KEY(?: BLOCK)?-----|---- BEGIN[ A-Z0-9_]{0,100}?PRIVATE KEY ----|"
    rb"Private-Lines: [0-9]+"
)
_block_end = lazy_pattern(
    rb"(?i)-----END[ A-Z0-9_-]{0,100}?PRIVATE KEY(?: BLOCK)?-----|---- END[ A-Z0-9_]{0,100}?PRIVATE KEY ----|"
    rb"Private-MAC: [0-9a-f]+(?=\s)"
)
_block_body = lazy_pattern(
    rb"(?:(?:[\s\"'+,>|]|\\+[nrt])*(?:(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset|Subject|Private-MAC)[^\n\\]{0,200}|[A-Za-z0-9+/=]{12,}))*"
)


def _private_key(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    begin = _block_begin.match(data, start)
    if begin is None:
        return None
    end = begin.end()
    closing = _block_end.search(data, end, end + MAX_BLOCK_BYTES)
    if closing:
        return SecretRange(start, closing.end(), None, final=True)
    body = _block_body.match(data, end, end + MAX_BLOCK_BYTES)
    return SecretRange(start, body.end() if body else end, examined=min(len(data) - end, MAX_BLOCK_BYTES))


_SEPARATORS = lazy_pattern(rb"%20|[ +-]")
_grouped = lazy_pattern(rb"\d{4}([ +-]|%20)\d{4}\1\d{4}\1\d{4}(?!\d)|\d{4}([ +-]|%20)\d{6}\2\d{4,5}(?!\d)|\d{13,19}(?!\d)")


def _card(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    m = _grouped.match(data, start)
    if m is None:
        return None
    after = data[m.end() : m.end() + 2]
    if after[:1] in (b".", b"-") and after[1:].isdigit():
        return None
    return SecretRange(start, m.end()) if is_card_number(_SEPARATORS.sub(b"", m.group())) else None


_HEADER_SET = r"(?:\\{0,3}[\"'`]\]?)?[ \t]{0,8}(?:=>?|:)[ \t]{0,8}(?:[bBrRuUfF]{0,2}\\{0,3}[\"'`])?"
_HEADER_UNFINISHED = r"(?:\\{0,3}[\"'`]\]?)?[ \t]{0,8}(?:(?:=>?|:)[^\n]*)?"

_BEFORE = r"(?:\A|[^\w./\\%-]|\\[nrtbf]|%[0-9A-Fa-f]{2})"
"""What may precede a card number; floats, paths, ids and dates have more to the left."""

_OF_CARDS = (
    r"(?i:card|(?:\b|\\[nrt])(?:pan|ccn|ccnum|visa|mastercard|amex|american express|discover|diners|maestro|unionpay|"
    r"pay|pays|paid|payment|payer|"
    r"charge[ds]?|checkout|billing|karte|kreditkarte|carte|tarjeta|cartão|kaart|karta)\b)|карт|卡|カード|카드"
)

WIRE_RULES: tuple[SecretRule, ...] = (
    SecretRule(
        "private-key",
        "PEM, OpenSSH, SSH2, PuTTY and PGP private key blocks, also with escaped line ends or without an end",
        r"(?i:-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----|---- BEGIN[ A-Z0-9_]{0,100}PRIVATE KEY ----)|"
        r"Private-Lines: [0-9]+",
        check=_private_key,
        by_start=True,
        unfinished=r"----(?:-| )(?i:BEGIN)(?i:[ A-Z0-9_-]{0,120}|[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?(?:-| )----(?s:.*))|"
        r"---- |Private-Lines:(?: |(?: [0-9]+)(?s:.*))?",
    ),
    SecretRule(
        "authorization",
        "Authorization and Proxy-Authorization headers",
        rf"(?i:authorization){_HEADER_SET}[^\s\"'`\[<]",
        check=_authorization,
        by_start=True,
        unfinished=rf"(?i:authorization){_HEADER_UNFINISHED}",
    ),
    SecretRule(
        "cookie",
        "Cookie and Set-Cookie headers",
        rf"(?i:cookie){_HEADER_SET}[\w!#$%&'*+.^`|~-]+=",
        check=_cookie,
        by_start=True,
        unfinished=rf"(?i:cookie){_HEADER_UNFINISHED}",
    ),
    SecretRule(
        "bearer",
        "Bearer and a token, anywhere",
        rf"{EDGE}(?i:bearer)(?:[ \t]{{1,4}}|%20|\+)(?P<secret>[\w.~+/-]{{12}})",
        check=_bearer,
        unfinished=rf"{EDGE}(?i:bearer)[ \t]{{1,4}}[\w.~+/%=-]*",
    ),
    SecretRule(
        "basic-auth",
        "Basic and base64 of user:password, anywhere",
        rf"{EDGE}(?i:basic)(?:[ \t]{{1,4}}|%20)(?P<secret>[A-Za-z0-9+/]{{6}})",
        check=_basic,
        unfinished=rf"{EDGE}(?i:basic)[ \t]{{1,4}}[\w.~+/%=-]*",
    ),
    SecretRule(
        "url-password",
        "scheme://user:password@host of databases, brokers, proxies, git remotes",
        r"://[^\s/?#@:\"'<>\\\[\]]*:(?:[^\s@/?#\"'<>\\]+|[^\s@/?#0-9\"'<>\\][^\s@\"'<>\\]*)@",
        check=_url_password,
        by_start=True,
        unfinished=r"://[^\s\"'<>\\]*",
    ),
    SecretRule(
        "url-password",
        "scheme://token@host",
        r"://(?P<secret>[\w.~%-]{20,})(?::x-oauth-basic)?@",
        check=_url_token,
    ),
    SecretRule(
        "url-parameter",
        "signatures, codes and keys in the query of a URL",
        r"(?:[?&;]|\\u0026)(?i:sig|signature|x-(?:amz|goog|ms)-(?:signature|credential|security-token)|awsaccesskeyid|googleaccessid|"
        r"key|code|auth|jwt|assertion|hmac|sso|ticket|otp)=(?P<secret>[\w%+/.~-]{6})",
        check=_url_parameter,
    ),
    SecretRule(
        "client-login",
        "curl -u user:password",
        r"(?:\A|\W)(?:-u|-U|--user|--proxy-user)[ \t=]{1,6}[\"']?[\w.@+-]+:(?P<secret>[^\s\"'`\\])",
        check=_login_of_client,
        unfinished=r"(?:\A|\W)(?:-u|-U|--user|--proxy-user)[ \t=]{1,6}[\"']?[^\s\"'`\\]*",
    ),
    SecretRule(
        "client-login",
        "sshpass -p …, mysql -p…",
        rf"{EDGE}(?:sshpass|mysql(?:dump|admin)?|mongo(?:sh|dump|restore)?|docker login|podman login|"
        rf"helm registry login|az login|7z[az]?)"
        r"[^\n|;]*?[ \t]-p[ ]?[\"']?(?P<secret>[^\s\"'`\\])",
        check=_bare_word,
        unfinished=rf"{EDGE}(?:sshpass|mysql(?:dump|admin)?|mongo(?:sh|dump|restore)?|docker login|podman login|"
        rf"helm registry login|az login|7z[az]?)[^\n]*",
    ),
    SecretRule(
        "client-login",
        "redis-cli -a …, ldapsearch -w …, smbclient -U user%…, openssl pass:…",
        rf"{EDGE}(?:redis-cli[^\n|;]*?[ \t]-a|ldap(?:search|add|modify|delete|passwd|whoami)[^\n|;]*?[ \t]-w|"
        rf"smbclient[^\n|;]*?-U ?[\w.\\-]+%|"
        r"openssl[^\n|;]*?[ \t]pass:)[ ]?[\"']?(?P<secret>[^\s\"'`\\])",
        check=_bare_word,
        unfinished=rf"{EDGE}(?:redis-cli|ldap(?:search|add|modify|delete|passwd|whoami)|smbclient|openssl)[^\n]*",
    ),
    SecretRule(
        "url-password",
        "jdbc:oracle:thin:user/password@host",
        r"jdbc:oracle:[a-z]{2,8}:[\w$.-]{1,64}/(?P<secret>[^\s@/\"']{1,64})@",
        check=_unless_sample,
        unfinished=r"jdbc:oracle:[a-z]{2,8}:[\w$.-]{1,64}/[^\s@/\"']{0,64}",
    ),
    SecretRule(
        "azure-key",
        "a storage key after its name, whatever stands between them",
        r"(?i:(?:access|account|storage)[_.-]?key)[^A-Za-z0-9+/\n]{0,8}(?P<secret>[A-Za-z0-9+/-]{86,88}={0,2})",
    ),
    SecretRule(
        "client-login",
        'OpenDSObject("ldap://…", "user", "password", 1)',
        r"OpenDSObject\(\\{0,3}\"(?i:ldaps?)://[^\s\"]+\", ?\\{0,3}\"[^\s\"]+\", ?\\{0,3}\"(?P<secret>[^\s\"\\]+)",
    ),
    SecretRule(
        "private-key",
        "the private numbers of a JSON web key: d, p, q, dp, dq, qi, k",
        r"[\"'](?:d|p|q|dp|dq|qi|k)\\{0,7}[\"'][ \t]*:[ \t]*\\{0,7}[\"'](?P<secret>[\w-]{40,})",
        check=_jwk_number,
        unfinished=r"[\"'](?:d|p|q|dp|dq|qi|k)\\{0,7}[\"'][ \t]*:[ \t]*(?:\\{0,7}[\"']?[\w-]*)?",
        quick=r"[\"'](?:d|p|q|dp|dq|qi|k)\\{0,7}[\"'][ \t]*:[ \t]*\\{0,7}[\"'][\w-]{40}",
    ),
    SecretRule(
        "pgpass-password",
        ".pgpass: host:port:database:user:password",
        r"(?:\A|[\n\x00]|\\n)[\w.*-]{1,255}:(?:[0-9]{2,5}|\*):[\w.*-]+:[\w.*@-]+:(?P<secret>[^\s:\"'`\\]{4})",
        check=_bare_word,
        unfinished=r"(?:\A|[\n\x00]|\\n)[\w.*-]+:(?:[0-9]{2,5}|\*):[\w.*-]+:[\w.*@-]+:[^\s\"'`\\]*",
    ),
    SecretRule(
        "netrc-password",
        ".netrc: login … password …",
        r"(?i:login)[ \t]{1,4}[^\s]+\s{1,8}(?i:password)[ \t]{1,4}(?P<secret>[^\s\"'`\\])",
        check=_bare_word,
        unfinished=r"(?i:login)[ \t]{1,4}[^\s]*\s{0,8}[A-Za-z]{0,8}[ \t]{0,4}[^\s\"'`\\]*",
    ),
    SecretRule(
        "card-number",
        "payment card numbers: issuer, length and Luhn digit are right",
        rf"{_BEFORE}(?P<secret>[2-6][0-9]{{3}}(?:[ +-]|%20)[0-9]{{4}}(?:[0-9]{{2}})?(?:[ +-]|%20)[0-9]{{4}})",
        check=_card,
        unfinished=rf"{_BEFORE}[2-6][0-9 %+-]{{0,30}}[.]?",
    ),
    SecretRule(
        "card-number",
        "the same without groups, after a word of cards and payments: one in forty numbers of 16 digits looks like one",
        rf"(?:{_OF_CARDS})[^0-9\n]{{0,40}}?{_BEFORE}(?P<secret>[2-6][0-9]{{12}})",
        check=_card,
        unfinished=rf"(?:{_OF_CARDS})[^0-9\n]{{0,40}}[0-9]*[.-]?",
    ),
)
"""The rules, in the order in which they are tried at one place."""

"""The rule for credentials that are known by the name of their service beside them, and by the form that service gives them.

    ADAFRUIT_KEY = "…"        a value of 32 characters is a key of Adafruit's, any other is not
    {"linkedinSecret": "…"}   so are values under such names

Without the name these values are as good as a hash or an id. Facts are the services' own: alphabet and length of what they issue.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from otel_agentlog._startup import lazy_pattern
from otel_agentlog.record.redaction.rules import JUDGED_BYTES, SecretRange, SecretRule

Form = Callable[[bytes], bool]
"""Whether a value has the form of a secret."""

RULE_NAME = "service-key"

_UUID = "(?i:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
_ALPHABETS = {
    "s": "[0-9A-Za-z_=.-]",
    "x": "[0-9A-Fa-f]",
    "a": "[0-9A-Za-z]",
    "w": "[0-9A-Za-z_=-]",
    "k": r"[0-9A-Za-z_/=+-]",
    "h": "[0-9A-Ha-h]",
}
_ISSUED = """
    adafruit w32 · adobe x32 · airtable a17 · algolia a32 · alibaba a30 · asana a32 d16 · artifactory a64 a73
    atlassian a24 · beamer w46
    bintray a64 a73 · bitbucket a32 w64 · bittrex a32 · cloudflare w40 x37 · co_api_key a40 · codecov a32 · cohere a40
    coinbase w64
    confluence a24 · confluent a16 a64 · contentful w43 · contribsys x8:x8 · datadog a32 a40 · discord x64 w32 d18
    dnkey w85 · droneci a32
    dropbox a15 w64 s138 · etsy a24 · facebook x32 · fastly w32 · finicity x32 a20 · finnhub a20 · flickr a32
    freshbooks a64 · gitter w40
    gocardless w45 · heroku u · hubspot u · intercom w60 · jfrog a64 a73 · jira a24 · kraken k80-90 · kucoin x24 u
    launchdarkly w40
    linear x32 · linkedin a14 a16 · linked_in a14 a16 · linked-in a14 a16 · lob w40 · looker a20 a24 · mailchimp w36 w37
    mailgun h32-h8-h8
    mattermost a26 · meraki x40 · messagebird a25 u · message_bird a25 u · message-bird a25 u · netlify w40-46 · newrelic a64
    new_relic a64 · new-relic a64 · nytimes w32 · newyorktimes w32 · new-york-times w32 · okta w42 · plaid a24 a30 · privateai a32
    private_ai a32 · private-ai a32 · rapidapi w50 · sendbird u x40 · sentry x64 · snyk u · sonar w40 w44 · squarespace u
    sumo a14 a64
    travis a22 · twitch a30 · twitter a25 a45 a50 d15-25-a20-40 · xray a64 a73 · yandex w40-42 · zendesk a40
"""
"""Service, then the forms of what it issues: alphabet and length; ``u`` is a UUID."""


def _pattern(form: str) -> str:
    """``a20-40`` → ``[0-9A-Za-z]{20,40}``; parts may be joined by ``-`` and ``:``."""
    if form == "u":
        return _UUID
    parts = re.findall(r"([sxawkhd])(\d+)(?:-(\d+))?([-:]?)", form)
    alphabets = {**_ALPHABETS, "d": "[0-9]"}
    return "".join(f"{alphabets[kind]}{{{least},{most or least}}}{sign}" for kind, least, most, sign in parts)


FORMS: dict[str, list[str]] = {
    words[0]: words[1:] for words in (entry.split() for entry in _ISSUED.replace("\n", "·").split("·")) if words
}
"""Service → the forms of what it issues, as above."""


@cache
def pattern_of(service: str) -> re.Pattern[bytes]:
    """What a service issues. Compiled when it is needed: most programs meet none of them."""
    return re.compile(f"(?:{'|'.join(map(_pattern, FORMS[service]))})".encode())


_SERVICE = "|".join(re.escape(name) for name in sorted(FORMS, key=len, reverse=True))
_SIGN = r"(?:=>|:{0,3}=|\|\||\?=|:|>|,)"
_beside = lazy_pattern(
    (
        rf"(?i)(?P<service>{_SERVICE})(?P<rest>[ \t\w.-]{{0,24}}?)[\s'\"\\\])]{{0,5}}{_SIGN}"
        r"[\s'\"`=\\]{0,8}(?P<value>[\w=.%:/+-]+)"
    ).encode()
)
_letter, _digit = lazy_pattern(rb"[A-Za-z]"), lazy_pattern(rb"[0-9]")


_DIGESTS = lazy_pattern(rb"(?:sha[0-9]{1,3}|md5)[-:~]|[0-9A-Fa-f]{24,}\Z|" + _UUID.encode() + rb"\Z")
_TOKEN = lazy_pattern(rb"[\w+/=.~-]{20,512}\Z")
_joint = lazy_pattern(rb"[-_./]")


def looks_random(value: bytes) -> bool:
    """Whether a value is generated and neither a digest nor a UUID: upper and lower case and digits, 12 or more distinct."""
    if not _TOKEN.match(value) or _DIGESTS.match(value) or len(set(value)) < 12:
        return False
    return _is_mixed(value) and value.upper() != value != value.lower()


def looks_issued(value: bytes) -> bool:
    """Whether a value is generated, a digest or a UUID; no path, no words with numbers between them."""
    if _DIGESTS.match(value):
        return value[:3] not in (b"sha", b"md5")
    return _TOKEN.match(value) is not None and len(set(value)) >= 10 and _is_mixed(value)


_BASE64_NUMBER = lazy_pattern(rb"[\w-]{40,2048}\Z")


def looks_like_number_in_base64(value: bytes) -> bool:
    """Whether a value may be a large number of a JSON web key: URL-safe base64 of 30 bytes or more, and no digest."""
    if not _BASE64_NUMBER.match(value) or _DIGESTS.match(value):
        return False
    return value.upper() != value != value.lower() and _digit.search(value) is not None


def _is_mixed(value: bytes) -> bool:
    """Whether a part of a value has eight or more letters and digits, mixed."""
    return any(len(part) >= 8 and _digit.search(part) and _letter.search(part) for part in _joint.split(value))


def service_form(name: str) -> Form | None:
    """The form of values under a name with a service in it; ``None`` for any other name."""
    name = name.lower()
    # The first in the name, of two the longer one. A pattern of all services takes 4 ms to compile, which each start would pay.
    found = min(((name.find(service), -len(service), service) for service in FORMS if service in name), default=None)
    return _form_of(found[2], is_of_client="client" in name) if found else None


def _form_of(service: str, *, is_of_client: bool) -> Form:
    """The form of what a service issues; a number only as the id of a client, since other ids are numbers, too."""
    pattern = pattern_of(service)

    def is_issued(value: bytes) -> bool:
        value = value.replace(b"%3D", b"=").replace(b"%3A", b":").replace(b"%2F", b"/").replace(b"%2B", b"+")
        if not pattern.fullmatch(value) or len(set(value)) < 6:
            return False
        return is_of_client or bool(_digit.search(value) and _letter.search(value))

    return is_issued


def _check(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    m = _beside.match(data, start, start + JUDGED_BYTES)  # what they issue has 138 characters at most
    if m is None:
        return None
    value = m["value"].rstrip(b".:,")
    is_issued = _form_of(m["service"].decode("ascii").lower(), is_of_client=b"client" in m["rest"].lower())
    return SecretRange(m.start("value"), m.start("value") + len(value)) if is_issued(value) else None


SERVICE_RULES: tuple[SecretRule, ...] = (
    SecretRule(
        RULE_NAME,
        "the name of a service, and a value of the form that it issues",
        rf"(?i:{_SERVICE})[ \t\w.-]{{0,24}}[\s'\"\\\])]{{0,5}}{_SIGN}[\s'\"`=\\]{{0,8}}[\w=.%:/+-]{{14}}",
        check=_check,
        by_start=True,
        sign=rf"(?i:{_SERVICE})",
        unfinished=rf"(?i:{_SERVICE})[ \t\w.-]{{0,24}}[\s'\"\\\])]{{0,5}}(?:[=>:|?,]{{1,4}}[\s'\"`=\\]{{0,8}}[\w=.%:/+-]*)?",
    ),
)

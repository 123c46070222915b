"""`SecretRule`, and the table of rules for secrets known by their own shape: vendor tokens, signed tokens, hashes.

Patterns are RE2 syntax over UTF-8 bytes, case-sensitive. Shapes are the issuers' own, from their documentation and from tokens
in use. Secrets known by their surroundings are in ``rules_in_context.py`` and ``rules_on_the_wire.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from otel_agentlog._startup import dataclass


@dataclass(frozen=True, slots=True)
class SecretRange:
    """Result of a check: the bytes ``[start, end)`` are the secret."""

    start: int
    end: int
    name: str | None = None
    """Name for the marker where it is not the rule's own."""
    final: bool = False
    """True: no text that may still follow can move ``end`` (for streams)."""
    examined: int = 0
    """Bytes behind the secret that the check has read in vain, if they may be many."""


Check = Callable[[bytes, int, int, int], SecretRange | None]
"""``(data, floor, start, end)``: checks a match; may read left as far as ``floor`` and right within a bound."""


@dataclass(frozen=True, slots=True)
class SecretRule:
    """One kind of secret."""

    name: str
    """Name in the marker ``[redacted:<name>]``; lower case and hyphens."""
    description: str
    """Issuer or kind of the secret, for people."""
    pattern: str
    """RE2; the group ``secret`` is replaced, else the whole match. Without `check` a match is always a secret."""
    check: Check | None = None
    """Checks each match. Loops are better unbounded than counted: counters multiply the states that RE2 must build."""
    by_start: bool = False
    """True: the check needs to know only where a match starts."""
    unfinished: str | None = None
    """Pattern of an unfinished match, for streams; needed where it may hold blanks or non-ASCII, which else end it."""
    quick: str | None = None
    """Pattern to find candidates with instead of `pattern`: matches at the same places, but as few bytes as possible."""
    sign: str | None = None
    """Pattern of a list of words that a text must have for `pattern` to match in it: those rules are searched for apart."""


LOOK_BACK_BYTES = 96
"""How many bytes a check reads to the left of its match; streams keep that much."""

MAX_VALUE_BYTES = 65_536
"""How far to the right a check follows a value, a header or a cookie."""

JUDGED_BYTES = 1024
"""So many bytes of a bare word decide what it is, as there may be a candidate every few bytes of a long one."""

EDGE = r"(?:\b|\\[nrtbf]|%[0-9A-Fa-f]{2})"
"""Left edge of a short prefix: ``task-…`` is no ``sk-…``, but ``\\nsk-…`` inside a JSON string and ``%20sk-…`` in a URL are."""

APART = r"(?:\A|[^\w+/]|\\[nrtbf]|%[0-9A-Fa-f]{2})"
"""A stricter left edge: not after what base64 is made of."""


def grouped(rules: Sequence[SecretRule]) -> list[list[SecretRule]]:
    """The rules that are searched for together: with a `sign`, those that begin with a letter or digit, the others.

    RE2 makes a state for all that the rules may have begun to match at one place, so that what begins anywhere and goes on for
    long multiplies the states of words: a new text of 900 bytes costs 230 us with one pattern of all rules, 55 us with three.
    """
    groups: dict[int, list[SecretRule]] = {}
    for rule in rules:
        group = 0 if rule.sign else 1 if _word_first.match(rule.quick or rule.pattern) else 2
        groups.setdefault(group, []).append(rule)
    return [groups[group] for group in sorted(groups)]


_word_first = re.compile(r"(?:\((?:\?(?:P<\w+>|[a-z]*:))?)*[A-Za-z0-9]")


def first_search(rules: Sequence[SecretRule]) -> str:
    """One pattern that matches in every text in which any of the rules does, and in few others; not at the same places."""
    signs = dict.fromkeys(rule.sign for rule in rules if rule.sign)
    others = [rule for rule in rules if not rule.sign]
    return "|".join((*(f"(?:{sign})" for sign in signs), *([loosened(joined(others))] if others else ())))


def loosened(pattern: str) -> str:
    """A pattern that matches wherever the given one does, with fewer instructions: what it counts, it counts to twelve."""
    return pattern if r"\Q" in pattern else _parts_and_counts.sub(_loose, pattern)


_ESCAPE_OR_CLASS = r"\\[xpP]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|\[:[^\]]*:\]|[^\]\\])*\]"
_parts_and_counts = re.compile(_ESCAPE_OR_CLASS + r"|\{(\d+)(,?)(\d*)\}", re.DOTALL)
_COUNTED = 12


def _loose(m: re.Match[str]) -> str:
    """A count of another form; what is no count stays."""
    if m[1] is None or (int(m[3] or m[1]) <= _COUNTED and (m[3] or not m[2])):
        return m[0]
    return f"{{{min(int(m[1]), _COUNTED)},}}"


def may_match(pattern: str, letters: frozenset[str]) -> bool:
    """Whether a pattern may match in a text of these ASCII characters alone; also true where that is hard to see.

    It may not if all its alternatives have a literal of another character in a place that is not optional.
    """
    if _no_literals.search(pattern):
        return True
    groups: list[list[list[bool]]] = [[[]]]
    """Of each group that is open: its alternatives; of each of these: which of its parts need another character."""
    for m in _parts.finditer(pattern):
        part, parts = m[0], groups[-1][-1]
        if m["opens"]:
            groups.append([[]])
        elif part == "|":
            groups[-1].append([])
        elif part == ")":
            needs = all(map(any, groups.pop()))
            groups[-1][-1].append(needs)
        elif m["times"]:
            parts[-1] = parts[-1] and not part.startswith(("*", "?", "{0"))
        elif part[0] == "\\":
            parts.append(len(part) == 2 and not part[1].isalnum() and part[1] not in letters)
        else:
            parts.append(len(part) == 1 and part not in ".^$" and part not in letters)
    return not all(map(any, groups[0]))


_no_literals = re.compile(r"\\Q|\(\?[a-zA-Z-]+\)")
"""Quoted text, and flags that hold from here on."""
_parts = re.compile(
    _ESCAPE_OR_CLASS + r"|(?P<opens>\((?:\?(?:P?<\w+>|[a-zA-Z-]*:))?)|(?P<times>(?:[*+?]|\{\d+(?:,\d*)?\})\??)|.",
    re.DOTALL,
)


def joined(rules: Sequence[SecretRule]) -> str:
    """One pattern that matches where any of the rules may, whichever comes first.

    What many begin with is there once, an edge or the same letters: each state of RE2 holds the beginnings of all rules.
    """
    patterns = sorted(rule.quick or rule.pattern for rule in rules)
    found = []
    for edge in (EDGE, APART):
        behind = [pattern.removeprefix(edge) for pattern in patterns if pattern.startswith(edge)]
        found += [f"{edge}(?:{'|'.join(behind)})"] if behind else []
    return "|".join([*found, *(f"(?:{pattern})" for pattern in patterns if not pattern.startswith((EDGE, APART)))])


_DIGITS = b"0123456789"
_HEX = _DIGITS + b"abcdef"
_ALNUM = _DIGITS + b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEX8 = "[0-9a-f]{8}"
_ALNUM_UUID = "[0-9a-z]{8}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{12}"
_KEY_BODY = (
    r"(?:MII[A-Za-z0-9+/]{3}IBA(?:AKC|DANBgkq)|MHcCAQEEI|MIG[A-Z0-9]AgEAM|MC4CAQAw|b3BlbnNzaC1rZXktdjE|"
    r"LS0tLS1CRUdJTiB(?:(?:SU0Eg|EU0Eg|QR1Ag)UFJJ|QUklW|FQyBQ|PUEVO|FTkNS)[A-Za-z0-9+/]{10})[A-Za-z0-9+/=]{40,}"
)
"""The first bytes of private keys as DER has them, and of ``-----BEGIN … PRIVATE KEY``, in base64."""
_OTHER_JWT = r"\be[yw][A-Za-z0-9][\w-]{12,}={0,2}\.e[yw][\w/\\-]{12,}={0,2}(?:\.[\w/\\-]*={0,2})?"
_UUID = f"{_HEX8}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}"

_DISTINCT: tuple[tuple[str, str, str], ...] = (
    ("anthropic-key", "Anthropic", r"sk-ant-[\w-]{16,}"),
    ("openrouter-key", "OpenRouter", r"sk-or-(?:v[0-9]-)?[A-Za-z0-9]{32,}"),
    ("langfuse-key", "Langfuse", rf"sk-lf-{_UUID}"),
    ("openai-key", "OpenAI project, service and admin keys", r"sk-(?:proj|svcacct|admin|service|None)-[\w-]{20,}"),
    ("aws-access-key", "AWS access key id", r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}"),
    ("aws-session-token", "AWS STS", r"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[\w+/=%-]{40,}"),
    ("aws-bedrock-key", "AWS Bedrock", r"(?:ABSKQmVkcm9ja0FQSUtleS|bedrock-api-key-)[A-Za-z0-9+/=%]{20,}"),
    ("aws-mws-key", "Amazon MWS", rf"amzn\.mws\.{_UUID}"),
    ("gcp-api-key", "Google API key", r"AIza[\w-]{35}"),
    ("gcp-client-secret", "Google OAuth client", r"GOCSPX-[\w-]{20,}"),
    ("gcp-access-token", "Google OAuth access token", r"ya29\.[\w.-]{10,}"),
    ("cloudflare-key", "Cloudflare origin CA", r"(?:v1\.0-[0-9A-Za-z-]{120,}|cf(?:[ua]t|k)_[A-Za-z0-9]{40}[0-9a-f]{8})"),
    ("digitalocean-token", "DigitalOcean", r"(?i:do[opr]_v1_[0-9a-f]{64})"),
    ("fly-token", "Fly.io", r"(?:fo1_[\w-]{40,}|fm[0-9]{1,24}[ar]?_[\w+/=%,-]{50,})"),
    ("heroku-key", "Heroku", r"HRKU-[\w-]{30,}"),
    ("netlify-token", "Netlify", r"nfp_\w{36,}"),
    ("supabase-key", "Supabase", r"(?:sbp_[0-9a-z]{40}|sb_secret_[\w-]{20,})"),
    ("planetscale-token", "PlanetScale", r"(?i:pscale_(?:tkn|pw|oauth)_[\w=.-]{32,})"),
    ("neon-key", "Neon", r"napi_[a-z0-9]{40,}"),
    ("vault-token", "HashiCorp Vault", r"hv[sbr]\.[\w-]{24,}"),
    ("doppler-token", "Doppler", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,}"),
    ("onepassword-token", "1Password service account", r"ops_eyJ[A-Za-z0-9+/=%_-]{100,}"),
    ("age-key", "age", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("pulumi-token", "Pulumi", r"pul-[0-9a-z]{40}"),
    ("groq-key", "Groq", r"gsk_[A-Za-z0-9]{40,}"),
    ("huggingface-org-token", "Hugging Face organisation", r"api_org_[A-Za-z0-9]{34}"),
    ("perplexity-key", "Perplexity", r"pplx-[A-Za-z0-9]{40,}"),
    ("logfire-token", "Pydantic Logfire", r"pylf_v[0-9]+_[a-z]{2,12}_[A-Za-z0-9]{30,}"),
    ("cerebras-key", "Cerebras", r"csk-[a-z0-9]{40,}"),
    ("together-key", "Together", r"tgp_v1_[\w-]{40,}"),
    ("nvidia-key", "NVIDIA", r"nvapi-[\w-]{50,}"),
    ("tavily-key", "Tavily", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{20,}"),
    ("langsmith-key", "LangSmith before its second version", r"ls__[0-9a-f]{32}"),
    ("langsmith-key", "LangSmith", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    ("pinecone-key", "Pinecone", r"pcsk_\w{40,}"),
    ("e2b-key", "E2B", r"e2b_[0-9a-f]{40}"),
    ("jina-key", "Jina", r"jina_[\w-]{40,}"),
    ("anyscale-key", "Anyscale", r"esecret_[a-z0-9]{24,}"),
    ("github-token", "GitHub", r"(?:gh[pousr]_[A-Za-z0-9_]{36,}|github_pat_\w{40,})"),
    ("gitlab-token", "GitLab", r"(?:gl(?:pat|dt|rt|cbt|ptt|ft|agent|oas|soat|imt|ffct)-[\w.=-]{20,}|GR1348941[\w-]{20,})"),
    (
        "atlassian-token",
        "Atlassian and Bitbucket",
        r"(?:AT(?:ATT|CTT)3[\w=-]{40,}|AT(?:AT|CT)T[\w+/=-]+=[A-Za-z0-9]{8}|ATBB[A-Za-z0-9]{24,})",
    ),
    ("slack-token", "Slack", r"(?i:xox[abcdeoprs](?:\.xox[a-z])?-[\w-]{9,}|xapp-[0-9]-[\w-]{20,})"),
    ("slack-webhook", "Slack webhook", r"hooks\.slack\.com/(?P<secret>(?:services|workflows|triggers)/[\w+/-]{9,})"),
    ("discord-webhook", "Discord webhook", r"discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/(?P<secret>[0-9]{15,}/[\w-]{40,})"),
    ("teams-webhook", "Microsoft Teams webhook", r"webhook\.office\.com/(?P<secret>webhookb2/[\w@/-]{40,})"),
    ("zapier-webhook", "Zapier webhook", r"hooks\.zapier\.com/hooks/catch/(?P<secret>[0-9A-Za-z/]{10,})"),
    ("softlayer-key", "SoftLayer", r"(?i:api\.softlayer\.com/(?:soap|rest|xmlrpc)/v3(?:\.1)?/(?P<secret>[0-9a-z]{64}))"),
    ("tines-webhook", "Tines webhook", r"\.tines\.com/webhook/(?P<secret>[0-9a-z]{32}/[0-9a-z]{32})"),
    (
        "stripe-key",
        "Stripe",
        r"(?:[sr]k_(?:live|test|prod)_[A-Za-z0-9-]{10,}|whsec_[A-Za-z0-9+/=%]{24,}|pi_[A-Za-z0-9]{24}_secret_[A-Za-z0-9]{25})",
    ),
    ("square-token", "Square", r"sq0[a-z]{3}-[\w-]{22,}"),
    ("shopify-token", "Shopify", r"shp(?:at|ca|pa|ss|ua)_[0-9A-Fa-f]{32}"),
    ("braintree-token", "PayPal Braintree", r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}"),
    ("plaid-token", "Plaid", rf"access-(?:sandbox|development|production)-{_UUID}"),
    ("sendgrid-key", "SendGrid", r"SG\.(?:[\w-]{16,32}\.[\w-]{16,64}|[\w=.-]{66})"),
    ("brevo-key", "Brevo", r"x(?:key|smtp)sib-[\w-]{70,}"),
    ("npm-token", "npm", r"(?i:npm_[a-z0-9]{36})"),
    ("pypi-token", "PyPI", r"pypi-[\w-]{50,}"),
    ("rubygems-key", "RubyGems", r"rubygems_[0-9A-Za-z]{48}"),
    ("docker-token", "Docker Hub", r"dckr_(?:pat|oat)_[\w-]{20,}"),
    ("adafruit-key", "Adafruit IO", r"aio_[A-Za-z0-9]{28}"),
    ("apify-token", "Apify", r"apify_api_[\w-]{36}"),
    (
        "authress-key",
        "Authress",
        r"(?:sc|ext|scauth|authress)_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[\w+/=-]{30,}",
    ),
    ("bannerbear-key", "Bannerbear", r"bb_(?:pr|ma)_[0-9a-f]{30}"),
    ("coinbase-key", "Coinbase", rf"organizations\\*/{_UUID}\\*/apiKeys\\*/{_UUID}"),
    ("deno-token", "Deno Deploy", r"dd[pw]_[A-Za-z0-9]{36}"),
    ("easypost-key", "EasyPost", r"EZ[AT]K[A-Za-z0-9]{54}"),
    ("fleetbase-key", "Fleetbase", r"flb_(?:live|test)_[0-9A-Za-z]{20}"),
    ("flexport-token", "Flexport", r"shltm_[\w-]{40}"),
    ("flutterwave-key", "Flutterwave", r"FLW(?:SEC|PUB)K(?:_TEST)?-[0-9A-Za-z]{12,32}(?:-X)?"),
    ("frameio-token", "Frame.io", r"fio-u-[\w=-]{64}"),
    ("gitlab-session", "GitLab session", r"_gitlab_session=(?P<secret>[0-9a-z]{32})"),
    ("intra42-secret", "42 intra", r"[su]-s4t2(?:ud|af)-[0-9A-Fa-f]{64}"),
    ("lark-app", "Lark and Feishu", r"\bcli_[0-9a-z]{16}\b"),
    ("openshift-token", "OpenShift", r"sha256~[\w-]{43}"),
    ("photoroom-key", "Photoroom", r"sk_pr_[A-Za-z0-9]{1,64}_[0-9A-Fa-f]{40}"),
    ("prefect-key", "Prefect", r"pn[ub]_[A-Za-z0-9]{36}"),
    ("pubnub-key", "PubNub", rf"(?:pub|sub|sec)-c-{_ALNUM_UUID}"),
    ("ramp-key", "Ramp", r"ramp_(?:id|sec)_[A-Za-z0-9]{40,48}"),
    ("razorpay-key", "Razorpay", r"(?i:rzp_(?:live|test)_[a-z0-9]{14})"),
    ("readme-key", "ReadMe", r"rdme_[a-z0-9]{70}"),
    ("robinhood-key", "Robinhood", rf"rh-api-(?i:{_UUID})"),
    ("rootly-key", "Rootly", r"rootly_[0-9a-f]{64}"),
    ("saladcloud-key", "Salad Cloud", r"salad_cloud_[0-9A-Za-z]{1,7}_[0-9A-Za-z]{7,}"),
    ("salesforce-key", "Salesforce", r"(?:3MVG9[\w.+/=]{80,}|(?i:5aep861[\w.=]{80,}))"),
    ("scalingo-token", "Scalingo", r"tk-us-[\w-]{48}"),
    ("scrapfly-key", "Scrapfly", r"scp-(?:live|test)-[0-9a-z]{32}"),
    ("settlemint-token", "SettleMint", r"sm_[aps]at_[A-Za-z0-9]{16}"),
    ("sonar-token", "Sonar", r"sq(?:[uap]_[0-9a-f]{40}|co_[A-Za-z0-9]{59})"),
    ("sourcegraph-token", "Sourcegraph", r"(?:(?i:sgp_(?:(?:[0-9a-f]{16}|local)_)?[0-9a-f]{40})|slk_[0-9a-f]{64})"),
    ("teamwork-token", "Teamwork", r"tkn\.v1_[0-9A-Za-z]{60,}={0,2}"),
    ("trufflehog-key", "TruffleHog", r"thog-(?:key|secret)-[0-9a-f]{16,32}"),
    ("typeform-token", "Typeform", r"(?i:tfp_[\w.=-]{40,})"),
    ("voiceflow-key", "Voiceflow", r"VF\.(?:(?:DM|WS)\.)?[0-9A-Fa-f]{24}\.[A-Za-z0-9]{16}"),
    ("clojars-token", "Clojars", r"(?i:clojars_[a-z0-9]{60})"),
    ("jfrog-key", "JFrog Artifactory", r"AKCp[A-Za-z0-9]{60,}"),
    ("databricks-token", "Databricks", r"(?:dapi|dose)[0-9a-f]{32}(?:-[0-9])?"),
    ("linear-key", "Linear", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    ("notion-token", "Notion", r"(?:ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43})"),
    ("figma-token", "Figma", r"fig[dpuo][rh]?_[\w=-]{40,}"),
    ("postman-key", "Postman", r"PMAK-[0-9A-Za-z-]{59}"),
    ("newrelic-key", "New Relic", r"(?:(?i:nrak-[a-z0-9]{27})|(?i:nri[iq]-[\w-]{25,})|(?i:nr(?:js|br)-[0-9a-f]{19}))"),
    ("sentry-token", "Sentry", r"(?:sntrys_eyJ[\w+/=%]{60,}|sntryu_[0-9a-f]{64})"),
    ("grafana-token", "Grafana", r"(?:(?i:glsa_\w{41})|(?i:glc_[A-Za-z0-9+/=%]{32,})|(?i:eyjrijoi[a-z0-9]{60,}={0,3}))"),
    ("dynatrace-token", "Dynatrace", r"dt0[a-z][0-9]{2}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}"),
    ("posthog-key", "PostHog", r"phx_\w{40,}"),
    ("contentful-token", "Contentful", r"CFPAT-[\w-]{43}"),
    ("hubspot-token", "HubSpot", rf"pat-(?:na|eu|ap)[0-9]-(?i:{_ALNUM_UUID})"),
    ("duffel-token", "Duffel", r"duffel_(?:live|test)_[\w=-]{40,}"),
    ("shippo-token", "Shippo", r"shippo_(?:live|test)_[0-9A-Fa-f]{40}"),
    ("buildkite-token", "Buildkite", r"bkua_[0-9a-z]{40}"),
    ("circleci-token", "CircleCI", r"CCIPAT_\w{20,}_[0-9A-Fa-f]{40}"),
    ("tailscale-key", "Tailscale", r"tskey-[a-z]+-[\w-]{6,}"),
    ("jwt", "signed or encrypted JSON web token", r"eyJ[\w-]{10,}(?:\.[\w-]*){1,4}\.[\w-]{10,}"),
    ("jwt", "the same without its dots", r"eyJhbGciOi[\w.-]{40,}"),
    ("jwt", "the same with padding, blanks in its JSON, or without a signature", _OTHER_JWT),
    ("password-hash", "crypt, bcrypt, argon2", r"(?:\$|%24)(?:2[abxy]?|apr1|[156y]|argon2(?:id|i|d))(?:\$|%24)[\w./$=,+%-]{20,}"),
)
"""Prefixes so long or rare that they need no edge."""

_EDGED: tuple[tuple[str, str, str], ...] = (
    ("openai-key", "OpenAI, any key with its inner mark", r"sk-[\w-]*T3BlbkFJ[\w-]{1,}"),
    ("openai-key", "OpenAI and those who copied its shape", r"sk-[A-Za-z0-9]{20,}"),
    ("jwt", "a token of two parts, or one that is cut", r"eyJ[\w=-]{5,}\.[\w=-]{5,}"),
    ("openai-session", "OpenAI session", r"sess-[A-Za-z0-9]{40}"),
    ("openai-session", "OpenAI, an ephemeral key of the realtime API", r"ek_[0-9A-Za-z]{32,}"),
    ("vercel-token", "Vercel", r"vc[acikpr]_[0-9A-Za-z]{24,}"),
    ("browserbase-key", "Browserbase", r"bb_(?:live|test)_[\w-]{20,}"),
    ("xai-key", "xAI", r"xai-[\w-]{40,}"),
    ("replicate-token", "Replicate", r"r8_[\w-]{30,}"),
    ("huggingface-token", "Hugging Face", r"hf_[A-Za-z0-9]{30,}"),
    ("fireworks-key", "Fireworks", r"fw_[A-Za-z0-9]{20,}"),
    ("elevenlabs-key", "ElevenLabs", r"sk_[0-9a-f]{48}"),
    ("firecrawl-key", "Firecrawl", r"fc-[0-9a-f]{32}"),
    ("voyage-key", "Voyage", r"pa-[\w-]{40,}"),
    ("gcp-refresh-token", "Google OAuth refresh token", r"1(?://|%2F%2F)0[\w-]{30,}"),
    ("gcp-express-key", "Google Vertex express", r"AQ\.A[\w-]{40,}"),
    ("tencent-key", "Tencent Cloud", r"AKID[A-Za-z0-9]{32}"),
    ("render-key", "Render", r"rnd_[A-Za-z0-9]{20,}"),
    ("adobe-secret", "Adobe", r"p8e-[A-Za-z0-9]{32}"),
    ("alibaba-key", "Alibaba Cloud", r"LTAI[A-Za-z0-9]{12,30}"),
    ("harness-key", "Harness", r"[ps]at\.[\w-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),
    ("infracost-key", "Infracost", r"ico-[A-Za-z0-9]{32}"),
    ("bitbucket-token", "Bitbucket Data Center", r"BBDC-[\w+/@-]{40,50}"),
    ("endorlabs-key", "Endor Labs", r"endr\+[A-Za-z0-9-]{16}"),
    ("fullstory-key", "FullStory", r"na1\.[A-Za-z0-9+/]{100}"),
    ("mapbox-token", "Mapbox", r"(?i:[ps]k)\.(?:[A-Za-z0-9-]{60,}\.[\w-]{20,}|[\w.-]{80,})"),
    ("launchdarkly-key", "LaunchDarkly", rf"(?:api|sdk|mob)-{_ALNUM_UUID}"),
    ("octopus-key", "Octopus Deploy", r"API-[A-Z0-9]{26}"),
    ("onepassword-key", "1Password secret key", r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}"),
    ("pagarme-key", "Pagar.me", r"ak_(?:live|test)_[A-Za-z0-9]{30}"),
    ("paystack-key", "Paystack", r"sk_[a-z]{1,24}_[A-Za-z0-9]{40,}"),
    ("clickup-token", "ClickUp", r"pk_[0-9]{7,9}_[0-9A-Z]{32}"),
    ("klaviyo-key", "Klaviyo", r"pk_(?:[A-Za-z0-9]{6}_)?[0-9a-f]{34}"),
    ("nightfall-key", "Nightfall", r"NF-[A-Za-z0-9]{32}"),
    ("ubidots-token", "Ubidots", r"BBFF-[0-9A-Za-z]{30}"),
    ("zoho-token", "Zoho", r"1000\.[0-9a-f]{32}\.[0-9a-f]{32}"),
    ("yandex-token", "Yandex Cloud", r"(?:t1\.[\w-]+={0,2}\.[\w-]{86}={0,2}|AQVN[\w-]{35,38})"),
    ("twilio-key", "Twilio", r"(?:SK|AC)[0-9a-f]{32}"),
    ("mailgun-key", "Mailgun", r"(?i:(?:pub)?key-[0-9a-f]{32})"),
    ("resend-key", "Resend", r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}"),
    ("nuget-key", "NuGet", r"oy2[a-z0-9]{43}"),
    ("airtable-token", "Airtable", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    ("okta-token", "Okta", r"SSWS 00[\w-]{40}"),
)
"""Prefixes short enough to occur inside ordinary words: they must begin at an edge."""

_UNFINISHED = {"okta-token": rf"{EDGE}SSWS 0{{0,2}}[\w-]{{0,40}}"}

_APART: tuple[tuple[str, str, str], ...] = (
    ("facebook-token", "Facebook", r"EAA[A-Z][A-Za-z0-9]{80,}"),
    ("square-token", "Square access token", r"EAAA[\w-]{60}"),
    ("crates-token", "crates.io", r"cio[A-Za-z0-9]{32}"),
    ("aws-bedrock-key", "AWS Bedrock", r"ABSK[A-Za-z0-9+/=]{100,}"),
    ("jfrog-key", "JFrog Artifactory reference", r"cmVmd[A-Za-z0-9]{59}"),
    ("jwt", "a signed token in base64", r"ZXlK[\w+/-]{60,}"),
    ("private-key", "a key in base64 without its header: RSA, EC, Ed25519, OpenSSH, PKCS #8", _KEY_BODY),
)
"""Prefixes that are common in base64: they must not be preceded by its characters."""

_TAILED: tuple[tuple[str, str, str, bytes, int, int], ...] = (
    ("azure-client-secret", "Microsoft Entra client secret", r"[0-9]Q~[\w~.-]{31,34}", _ALNUM + b"_~.", 3, 3),
    ("azure-key", "Azure AI and other keys with Microsoft's common mark", r"JQQJ99[A-Za-z0-9]{15,40}", _ALNUM, 44, 60),
    ("azure-devops-token", "Azure DevOps", r"AZDO[A-Za-z0-9]{4}", _ALNUM, 70, 80),
    ("terraform-token", "Terraform Cloud", r"\.atlasv1\.[\w=-]{60,}", _ALNUM, 14, 14),
    ("mailgun-key", "Mailgun", rf"-{_HEX8}-{_HEX8}", _HEX, 32, 32),
    ("mailchimp-key", "Mailchimp", r"-us[0-9]{1,2}", _ALNUM, 32, 32),
    ("newrelic-key", "New Relic license", r"(?:FFFF)?NRAL", _ALNUM, 32, 36),
    ("telegram-token", "Telegram bot", r"(?::|%3A)A[\w-]{34}", _DIGITS, 5, 16),
    ("azure-key", "Azure Container Registry", r"\+ACR[A-Za-z0-9]{6}", _ALNUM + b"+/", 42, 42),
    ("facebook-token", "Facebook app and its secret", r"(?:\||%7C|%)[\w-]{27,40}", _DIGITS, 15, 16),
    ("maxmind-key", "MaxMind", r"_mmk", _ALNUM + b"_", 36, 36),
    ("newrelic-key", "New Relic mobile", r"-NRMA", _ALNUM, 42, 42),
    ("airtable-token", "Airtable OAuth", r"\.v1\.[\w-]{16,}\.[0-9a-f]{32,}", _ALNUM, 10, 64),
    ("webex-token", "Webex", rf"_[A-Za-z0-9]{{4}}_(?i:{_ALNUM_UUID})", _ALNUM, 64, 64),
    ("tableau-token", "Tableau", r"==:[A-Za-z0-9]{32}", _ALNUM + b"+/", 22, 22),
    ("salesforce-key", "Salesforce session", r"![\w.]{96}", _ALNUM, 15, 15),
    ("discord-token", "Discord bot", r"\.[\w-]{6}\.[\w-]{27,}", _ALNUM + b"_-", 23, 28),
    ("asana-token", "Asana", r":[0-9a-f]{32}", _DIGITS + b"/", 17, 19),
)
"""Secrets with their distinct part in the middle: pattern, then the characters to its left, fewest and most of them."""


def _with_head(chars: bytes, fewest: int, most: int) -> Check:
    """A check that extends the secret by the run of ``chars`` to its left; no secret if the run is too short."""

    def check(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
        left = data[max(floor, start - most) : start]
        head = len(left) - len(left.rstrip(chars))
        return SecretRange(start - head, end) if head >= fewest else None

    return check


_MIXED: tuple[tuple[str, str, str], ...] = (
    ("square-token", "Square", r"EAAA[\w-]{22,60}"),
    ("clickhouse-key", "ClickHouse Cloud", r"4b1d[A-Za-z0-9]{38}"),
    ("vault-token", "HashiCorp Vault before 1.10", r"s\.[A-Za-z0-9]{24}"),
    ("lob-key", "Lob", r"(?:live|test)_(?:pub_)?[0-9a-f]{31,35}"),
    ("column-key", "Column", r"(?:live|test)_[A-Za-z0-9]{27}"),
    ("gocardless-token", "GoCardless", r"live_[\w=-]{40}"),
    ("closecrm-key", "Close", r"api_[A-Za-z0-9.]{45}"),
    ("okta-token", "Okta", r"00[\w-]{40}"),
    ("entra-refresh-token", "Microsoft Entra refresh token", r"[01]\.A[\w-]{50,}(?:\.[\w-]+)*"),
    ("twitter-token", "Twitter and X, bearer", r"A{20,24}[B-Za-z0-9%][A-Za-z0-9%]{79,110}"),
    ("locationiq-key", "LocationIQ", r"pk\.[A-Za-z0-9-]{32}"),
    ("gemini-key", "Gemini exchange", r"(?:master|account)-[0-9A-Za-z]{20}"),
    ("besttime-key", "BestTime", r"pri_[0-9a-f]{32}"),
    ("dfuse-key", "dfuse", r"web_[0-9a-z]{32}"),
    ("iex-key", "IEX and others with sk_", r"sk_[0-9a-z]{32}"),
    ("checkout-key", "Checkout.com", rf"sk_(?:test_|sbox_)?{_UUID}"),
    ("tickettailor-key", "Ticket Tailor", r"sk_[0-9]{4}_[0-9]{6}_[0-9a-f]{32}"),
    ("portainer-token", "Portainer", r"ptr_[\w/+=-]{20,60}"),
    ("checkout-key", "Checkout.com customer", r"cus_[0-9A-Za-z]{26}"),
    ("smooch-key", "Smooch", r"act_[0-9a-z]{24}"),
    ("salesblink-key", "SalesBlink", r"key-[A-Za-z0-9]{64}"),
    ("finage-key", "Finage", r"API_KEY[0-9A-Z]{32}"),
    ("convertapi-key", "ConvertAPI", r"secret_[0-9A-Za-z]{16}"),
    ("telegram-token", "Telegram bot, older", r"[0-9]{8,10}:[\w-]{35}"),
    ("yandex-token", "Yandex storage", r"YC[\w-]{38}"),
    ("jfrog-key", "JFrog Artifactory", r"AKC[A-Za-z0-9]{10,80}"),
    ("twilio-key", "Twilio", r"(?:SK|AC)[0-9A-Za-z]{32}"),
    ("azure-key", "Azure API Management repository", r"git&[0-9]{12}&[A-Za-z0-9/+]{86}=="),
)
"""Prefixes that ordinary text has, too: the whole word must have this form, and digits among its letters."""

_WORD_BYTES = _ALNUM + b"_-"


def _mixed(data: bytes, floor: int, start: int, end: int) -> SecretRange | None:
    """A whole word that looks generated: eight distinct characters, digits among them, two if all letters have one case."""
    if data[end : end + 1] and data[end : end + 1] in _WORD_BYTES:
        return None
    value = data[start:end]
    digits = len(value) - len(value.translate(None, _DIGITS))
    in_both_cases = value.upper() != value != value.lower()
    return SecretRange(start, end) if digits >= (1 if in_both_cases else 2) and len(set(value)) >= 8 else None


_endless = re.compile(r"\{(\d+),\}(?=\)*(?:\||\Z))")


def _token(name: str, description: str, pattern: str, check: Check | None = None) -> SecretRule:
    """A rule whose pattern ends, in every branch, in the characters of a token.

    RE2 searches from the end of a match back to its beginning with all rules at once, and with endless tails it would go back as
    far as there are letters: through all of a base64 text, at each candidate.
    """
    return SecretRule(name, description, pattern, check, unfinished=_UNFINISHED.get(name), quick=_endless.sub(r"{\1}", pattern))


TOKEN_RULES: tuple[SecretRule, ...] = (
    *(_token(name, description, pattern) for name, description, pattern in _DISTINCT),
    *(_token(name, description, f"{EDGE}(?P<secret>{pattern})") for name, description, pattern in _EDGED),
    *(_token(name, description, f"{APART}(?P<secret>{pattern})") for name, description, pattern in _APART),
    *(_token(name, description, f"{APART}(?P<secret>{pattern})", _mixed) for name, description, pattern in _MIXED),
    *(
        _token(name, description, pattern, _with_head(chars, least, most))
        for name, description, pattern, chars, least, most in _TAILED
    ),
)
"""Rules for secrets known by their own shape, in the order in which they are tried at one place."""

"""`SecretRule`, and the table of rules for secrets known by their own shape: vendor tokens, signed tokens, hashes.

Patterns are RE2 syntax over UTF-8 bytes, case-sensitive. Shapes are the issuers' own, from their documentation and from tokens
in use. Secrets known by their surroundings are in ``rules_in_context.py`` and ``rules_on_the_wire.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SecretRange:
    """Result of a check: the bytes ``[start, end)`` are the secret."""

    start: int
    end: int
    name: str | None = None
    """Name for the marker where it is not the rule's own."""
    final: bool = False
    """True: no text that may still follow can move ``end`` (for streams)."""


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


LOOK_BACK_BYTES = 96
"""How many bytes a check reads to the left of its match; streams keep that much."""

MAX_VALUE_BYTES = 65_536
"""How far to the right a check follows a value, a header or a cookie."""

EDGE = r"(?:\b|\\[nrtbf]|%[0-9A-Fa-f]{2})"
"""Left edge of a short prefix: ``task-…`` is no ``sk-…``, but ``\\nsk-…`` inside a JSON string and ``%20sk-…`` in a URL are."""

APART = r"(?:\A|[^\w+/]|\\[nrtbf]|%[0-9A-Fa-f]{2})"
"""A stricter left edge: not after what base64 is made of."""

_DIGITS = b"0123456789"
_HEX = _DIGITS + b"abcdef"
_ALNUM = _DIGITS + b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEX8 = "[0-9a-f]{8}"
_UUID = f"{_HEX8}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}"

_DISTINCT: tuple[tuple[str, str, str], ...] = (
    ("anthropic-key", "Anthropic", r"sk-ant-[\w-]{16,}"),
    ("openrouter-key", "OpenRouter", r"sk-or-(?:v[0-9]-)?[A-Za-z0-9]{32,}"),
    ("langfuse-key", "Langfuse", rf"sk-lf-{_UUID}"),
    ("openai-key", "OpenAI project, service and admin keys", r"sk-(?:proj|svcacct|admin|service|None)-[\w-]{20,}"),
    ("aws-access-key", "AWS access key id", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    ("aws-session-token", "AWS STS", r"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[\w+/=%-]{40,}"),
    ("aws-bedrock-key", "AWS Bedrock", r"(?:ABSKQmVkcm9ja0FQSUtleS|bedrock-api-key-)[A-Za-z0-9+/=%]{20,}"),
    ("aws-mws-key", "Amazon MWS", rf"amzn\.mws\.{_UUID}"),
    ("gcp-api-key", "Google API key", r"AIza[\w-]{35}"),
    ("gcp-client-secret", "Google OAuth client", r"GOCSPX-[\w-]{20,}"),
    ("gcp-access-token", "Google OAuth access token", r"ya29\.[\w.-]{20,}"),
    ("cloudflare-key", "Cloudflare origin CA", r"v1\.0-[0-9a-f]{24}-[0-9a-f]{100,}"),
    ("digitalocean-token", "DigitalOcean", r"do[opr]_v1_[0-9a-f]{64}"),
    ("fly-token", "Fly.io", r"(?:fo1_[\w-]{40,}|fm[12][ar]?_[A-Za-z0-9+/=%]{50,})"),
    ("heroku-key", "Heroku", r"HRKU-[\w-]{30,}"),
    ("netlify-token", "Netlify", r"nfp_[A-Za-z0-9]{36,}"),
    ("supabase-key", "Supabase", r"(?:sbp_[0-9a-f]{40}|sb_secret_[\w-]{20,})"),
    ("planetscale-token", "PlanetScale", r"pscale_(?:tkn|pw|oauth)_[\w.-]{32,}"),
    ("neon-key", "Neon", r"napi_[a-z0-9]{40,}"),
    ("vault-token", "HashiCorp Vault", r"hv[sbr]\.[\w-]{24,}"),
    ("doppler-token", "Doppler", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,}"),
    ("onepassword-token", "1Password service account", r"ops_eyJ[A-Za-z0-9+/=%_-]{100,}"),
    ("age-key", "age", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("pulumi-token", "Pulumi", r"pul-[0-9a-f]{40}"),
    ("groq-key", "Groq", r"gsk_[A-Za-z0-9]{40,}"),
    ("huggingface-org-token", "Hugging Face organisation", r"api_org_[A-Za-z]{34}"),
    ("perplexity-key", "Perplexity", r"pplx-[A-Za-z0-9]{40,}"),
    ("logfire-token", "Pydantic Logfire", r"pylf_v[0-9]+_[a-z]{2,12}_[A-Za-z0-9]{30,}"),
    ("cerebras-key", "Cerebras", r"csk-[a-z0-9]{40,}"),
    ("together-key", "Together", r"tgp_v1_[\w-]{40,}"),
    ("nvidia-key", "NVIDIA", r"nvapi-[\w-]{50,}"),
    ("tavily-key", "Tavily", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{20,}"),
    ("langsmith-key", "LangSmith", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    ("pinecone-key", "Pinecone", r"pcsk_\w{40,}"),
    ("e2b-key", "E2B", r"e2b_[0-9a-f]{40}"),
    ("jina-key", "Jina", r"jina_[\w-]{40,}"),
    ("anyscale-key", "Anyscale", r"esecret_[a-z0-9]{24,}"),
    ("github-token", "GitHub", r"(?:gh[pousr]_[A-Za-z0-9_]{36,}|github_pat_\w{40,})"),
    ("gitlab-token", "GitLab", r"(?:gl(?:pat|dt|rt|cbt|ptt|ft|agent|oas|soat|imt|ffct)-[\w.=-]{20,}|GR1348941[\w-]{20,})"),
    ("atlassian-token", "Atlassian and Bitbucket", r"(?:AT(?:ATT|CTT)3[\w=-]{40,}|ATBB[A-Za-z0-9]{24,})"),
    ("slack-token", "Slack", r"(?:xox[abceoprs](?:\.xox[a-z])?-[\w-]{10,}|xapp-[0-9]-[\w-]{20,})"),
    ("slack-webhook", "Slack webhook", r"hooks\.slack\.com/(?P<secret>(?:services|workflows|triggers)/[\w+/-]{20,})"),
    ("discord-webhook", "Discord webhook", r"discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/(?P<secret>[0-9]{15,}/[\w-]{40,})"),
    ("teams-webhook", "Microsoft Teams webhook", r"webhook\.office\.com/(?P<secret>webhookb2/[\w@/-]{40,})"),
    ("stripe-key", "Stripe", r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=%]{24,})"),
    ("square-token", "Square", r"sq0(?:atp|csp)-[\w-]{22,}"),
    ("shopify-token", "Shopify", r"shp(?:at|ca|pa|ss|ua)_[0-9A-Fa-f]{32}"),
    ("braintree-token", "PayPal Braintree", r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}"),
    ("plaid-token", "Plaid", rf"access-(?:sandbox|development|production)-{_UUID}"),
    ("sendgrid-key", "SendGrid", r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),
    ("brevo-key", "Brevo", r"xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    ("npm-token", "npm", r"npm_[A-Za-z0-9]{36}"),
    ("pypi-token", "PyPI", r"pypi-[\w-]{50,}"),
    ("rubygems-key", "RubyGems", r"rubygems_[0-9a-f]{48}"),
    ("docker-token", "Docker Hub", r"dckr_(?:pat|oat)_[\w-]{20,}"),
    ("clojars-token", "Clojars", r"CLOJARS_[a-z0-9]{60}"),
    ("jfrog-key", "JFrog Artifactory", r"AKCp[A-Za-z0-9]{60,}"),
    ("databricks-token", "Databricks", r"(?:dapi|dose)[0-9a-f]{32}(?:-[0-9])?"),
    ("linear-key", "Linear", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    ("notion-token", "Notion", r"(?:ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43})"),
    ("figma-token", "Figma", r"figd_[\w-]{40,}"),
    ("postman-key", "Postman", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    ("newrelic-key", "New Relic", r"(?:NRAK-[A-Z0-9]{27}|NRII-[\w-]{32})"),
    ("sentry-token", "Sentry", r"(?:sntrys_eyJ[\w+/=%]{60,}|sntryu_[0-9a-f]{64})"),
    ("grafana-token", "Grafana", r"(?:glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/=%]{32,})"),
    ("dynatrace-token", "Dynatrace", r"dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    ("posthog-key", "PostHog", r"phx_[A-Za-z0-9]{40,}"),
    ("contentful-token", "Contentful", r"CFPAT-[\w-]{43}"),
    ("hubspot-token", "HubSpot", rf"pat-(?:na|eu|ap)[0-9]-{_UUID}"),
    ("duffel-token", "Duffel", r"duffel_(?:live|test)_[\w-]{40,}"),
    ("shippo-token", "Shippo", r"shippo_(?:live|test)_[0-9a-f]{40}"),
    ("buildkite-token", "Buildkite", r"bkua_[0-9a-f]{40}"),
    ("circleci-token", "CircleCI", r"CCIPAT_\w{20,}_[0-9a-f]{40}"),
    ("tailscale-key", "Tailscale", r"tskey-[a-z]+-[\w-]{20,}"),
    ("jwt", "signed or encrypted JSON web token", r"eyJ[\w-]{10,}(?:\.[\w-]*){1,4}\.[\w-]{10,}"),
    ("password-hash", "crypt, bcrypt, argon2", r"(?:\$|%24)(?:2[abxy]?|apr1|[156y]|argon2(?:id|i|d))(?:\$|%24)[\w./$=,+%-]{20,}"),
)
"""Prefixes so long or rare that they need no edge."""

_EDGED: tuple[tuple[str, str, str], ...] = (
    ("openai-key", "OpenAI, any key with its inner mark", r"sk-[\w-]*T3BlbkFJ[\w-]{16,}"),
    ("openai-key", "OpenAI and those who copied its shape", r"sk-[A-Za-z0-9]{20,}"),
    ("openai-session", "OpenAI session", r"sess-[A-Za-z0-9]{40}"),
    ("xai-key", "xAI", r"xai-[\w-]{40,}"),
    ("replicate-token", "Replicate", r"r8_[A-Za-z0-9]{30,}"),
    ("huggingface-token", "Hugging Face", r"hf_[A-Za-z0-9]{30,}"),
    ("fireworks-key", "Fireworks", r"fw_[A-Za-z0-9]{20,}"),
    ("elevenlabs-key", "ElevenLabs", r"sk_[0-9a-f]{48}"),
    ("firecrawl-key", "Firecrawl", r"fc-[0-9a-f]{32}"),
    ("voyage-key", "Voyage", r"pa-[\w-]{40,}"),
    ("gcp-refresh-token", "Google OAuth refresh token", r"1(?://|%2F%2F)0[\w-]{30,}"),
    ("gcp-express-key", "Google Vertex express", r"AQ\.A[\w-]{40,}"),
    ("alibaba-key", "Alibaba Cloud", r"LTAI[A-Za-z0-9]{12,30}"),
    ("tencent-key", "Tencent Cloud", r"AKID[A-Za-z0-9]{32}"),
    ("render-key", "Render", r"rnd_[A-Za-z0-9]{20,}"),
    ("twilio-key", "Twilio", r"SK[0-9a-f]{32}"),
    ("mailgun-key", "Mailgun", r"key-[0-9a-f]{32}"),
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
)
"""Prefixes that are common in base64: they must not be preceded by its characters."""

_TAILED: tuple[tuple[str, str, str, bytes, int, int], ...] = (
    ("azure-client-secret", "Microsoft Entra client secret", r"[0-9]Q~[\w~.-]{31,34}", _ALNUM + b"_~.", 3, 3),
    ("azure-key", "Azure AI and other keys with Microsoft's common mark", r"JQQJ99[A-Za-z0-9]{15,40}", _ALNUM, 44, 60),
    ("azure-devops-token", "Azure DevOps", r"AZDO[A-Za-z0-9]{4}", _ALNUM, 70, 80),
    ("terraform-token", "Terraform Cloud", r"\.atlasv1\.[\w=-]{60,}", _ALNUM, 14, 14),
    ("mailgun-key", "Mailgun", rf"-{_HEX8}-{_HEX8}", _HEX, 32, 32),
    ("mailchimp-key", "Mailchimp", r"-us[0-9]{1,2}", _HEX, 32, 32),
    ("newrelic-key", "New Relic license", r"NRAL", _HEX, 36, 36),
    ("telegram-token", "Telegram bot", r"(?::|%3A)AA[\w-]{33}", _DIGITS, 8, 10),
    ("discord-token", "Discord bot", r"\.[GXY][\w-]{5}\.[\w-]{27,}", _ALNUM + b"_-", 23, 28),
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
    *(
        _token(name, description, pattern, _with_head(chars, least, most))
        for name, description, pattern, chars, least, most in _TAILED
    ),
)
"""Rules for secrets known by their own shape, in the order in which they are tried at one place."""

"""Secrets of every kind, made up at run time from pieces, in the places where agents come across them.

Nothing in this file is, or looks like, a secret: prefixes are kept apart from what follows them.
"""

from __future__ import annotations

import base64
import json
import string
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from urllib.parse import quote

ALNUM = string.ascii_letters + string.digits
HEX = string.digits + "abcdef"
WORD = ALNUM + "_-"
UPPER = string.ascii_uppercase + string.digits
LOWER = string.ascii_lowercase + string.digits
BASE64 = ALNUM + "+/"


@dataclass(frozen=True)
class Planted:
    """A text with a secret in it."""

    kind: str
    context: str
    text: str
    secret: str


def _run(rnd: Random, chars: str, count: int) -> str:
    """Random characters, a digit and two letters among them."""
    body = [rnd.choice(chars) for _ in range(count - 3)]
    body += [
        rnd.choice("23456789"),
        rnd.choice("abcdef" if "a" in chars else "ABCDEF"),
        rnd.choice("abcdef" if "a" in chars else "ABCDEF"),
    ]
    rnd.shuffle(body)
    return "".join(body)


def _uuid(rnd: Random) -> str:
    return str(uuid.UUID(int=rnd.getrandbits(128), version=4))


def _jwt(rnd: Random) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": _run(rnd, HEX, 12), "iat": 1700000000})
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{head}.{body}.{_run(rnd, WORD, 43)}"


def _card(rnd: Random, prefix: str, length: int, groups: str = "") -> str:
    body = prefix + "".join(rnd.choice(string.digits) for _ in range(length - len(prefix) - 1))
    doubled = [int(d) * 2 if i % 2 == 0 else int(d) for i, d in enumerate(reversed(body))]
    number = body + str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)
    return groups.join(number[i : i + 4] for i in range(0, length, 4)) if groups else number


def _password(rnd: Random) -> str:
    return _run(rnd, ALNUM + "!$%^*_-", rnd.randint(8, 20)).replace("$", "S", 1)


Maker = Callable[[Random], str]


def _prefixed(prefix: str, chars: str, count: int, suffix: str = "") -> Maker:
    return lambda rnd: prefix + _run(rnd, chars, count) + suffix


SHAPES: dict[str, Maker] = {
    "anthropic": _prefixed("sk-" + "ant-api03-", WORD, 95),
    "anthropic oauth": _prefixed("sk-" + "ant-oat01-", WORD, 95),
    "openai legacy": lambda r: "sk-" + _run(r, ALNUM, 20) + "T3" + "BlbkFJ" + _run(r, ALNUM, 20),
    "openai project": lambda r: "sk-" + "proj-" + _run(r, WORD, 74) + "T3" + "BlbkFJ" + _run(r, WORD, 74),
    "openai service": _prefixed("sk-" + "svcacct-", WORD, 120),
    "openai admin": _prefixed("sk-" + "admin-", WORD, 120),
    "openai shape of others": _prefixed("sk-", HEX, 32),
    "openrouter": _prefixed("sk-" + "or-v1-", HEX, 64),
    "langfuse": lambda r: "sk-" + "lf-" + _uuid(r),
    "groq": _prefixed("gs" + "k_", ALNUM, 52),
    "xai": _prefixed("xa" + "i-", ALNUM, 80),
    "replicate": _prefixed("r" + "8_", ALNUM, 37),
    "hugging face": _prefixed("h" + "f_", ALNUM, 34),
    "perplexity": _prefixed("pp" + "lx-", ALNUM, 48),
    "logfire": _prefixed("pylf_" + "v1_us_", ALNUM, 43),
    "cerebras": _prefixed("cs" + "k-", LOWER, 48),
    "together": _prefixed("tgp_" + "v1_", WORD, 43),
    "nvidia": _prefixed("nv" + "api-", WORD, 64),
    "fireworks": _prefixed("f" + "w_", ALNUM, 24),
    "elevenlabs": _prefixed("sk" + "_", HEX, 48),
    "tavily": _prefixed("tv" + "ly-dev-", ALNUM, 32),
    "firecrawl": _prefixed("f" + "c-", HEX, 32),
    "voyage": _prefixed("p" + "a-", WORD, 43),
    "old langsmith": _prefixed("ls" + "__", HEX, 32),
    "openai ephemeral": _prefixed("ek" + "_", HEX, 32),
    "vercel": _prefixed("vc" + "p_", ALNUM, 56),
    "vercel gateway": _prefixed("vc" + "k_", ALNUM, 56),
    "browserbase": _prefixed("bb" + "_live_", WORD, 27),
    "slack cookie": _prefixed("xo" + "xd-", ALNUM, 60),
    "langsmith": lambda r: "lsv2_" + "pt_" + _run(r, HEX, 32) + "_" + _run(r, HEX, 10),
    "pinecone": _prefixed("pc" + "sk_", ALNUM + "_", 68),
    "jina": _prefixed("ji" + "na_", WORD, 60),
    "e2b": _prefixed("e2" + "b_", HEX, 40),
    "aws access key": _prefixed("AK" + "IA", UPPER, 16),
    "aws temporary key": _prefixed("AS" + "IA", UPPER, 16),
    "aws session token": _prefixed("IQoJ" + "b3JpZ2lu", BASE64, 300),
    "aws bedrock": lambda r: "ABSK" + "QmVkcm9ja0FQSUtleS" + _run(r, BASE64, 90) + "=",
    "gcp api key": _prefixed("AI" + "za", WORD, 35),
    "gcp client secret": _prefixed("GOC" + "SPX-", WORD, 28),
    "gcp access token": _prefixed("ya" + "29.", WORD, 120),
    "gcp refresh token": _prefixed("1/" + "/0", WORD, 64),
    "azure client secret": lambda r: _run(r, ALNUM, 3) + "8" + "Q~" + _run(r, ALNUM + "_~.-", 33) + "x",
    "azure ai key": lambda r: _run(r, ALNUM, 52) + "JQ" + "QJ99" + _run(r, ALNUM, 26),
    "azure devops": lambda r: _run(r, ALNUM, 76) + "AZ" + "DO" + _run(r, ALNUM, 4),
    "digitalocean": _prefixed("do" + "p_v1_", HEX, 64),
    "cloudflare": lambda r: "v1" + ".0-" + _run(r, HEX, 24) + "-" + _run(r, HEX, 146),
    "supabase": _prefixed("sb" + "p_", HEX, 40),
    "vault": _prefixed("hv" + "s.", WORD, 90),
    "terraform": lambda r: _run(r, ALNUM, 14) + ".atlas" + "v1." + _run(r, WORD, 67),
    "doppler": _prefixed("dp." + "st.dev.", ALNUM, 43),
    "github classic": _prefixed("gh" + "p_", ALNUM, 36),
    "github oauth": _prefixed("gh" + "o_", ALNUM, 36),
    "github app": _prefixed("gh" + "s_", ALNUM, 36),
    "github fine-grained": lambda r: "github" + "_pat_" + _run(r, ALNUM, 22) + "_" + _run(r, ALNUM, 59),
    "gitlab": _prefixed("gl" + "pat-", WORD, 20),
    "atlassian": lambda r: "ATA" + "TT3" + _run(r, WORD, 180) + "=" + _run(r, HEX.upper(), 8),
    "bitbucket": _prefixed("AT" + "BB", ALNUM, 32),
    "slack bot": lambda r: "xo" + "xb-" + _run(r, string.digits + "abc", 12) + "-" + _run(r, ALNUM, 24),
    "slack user": lambda r: "xo" + "xp-" + _run(r, string.digits + "abc", 12) + "-" + _run(r, HEX, 32),
    "slack app": lambda r: "xa" + "pp-1-" + _run(r, UPPER, 11) + "-" + _run(r, HEX, 64),
    "stripe live": _prefixed("sk_" + "live_", ALNUM, 99),
    "stripe restricted": _prefixed("rk_" + "test_", ALNUM, 24),
    "stripe webhook": _prefixed("wh" + "sec_", ALNUM, 32),
    "square": _prefixed("sq0" + "atp-", WORD, 22),
    "shopify": _prefixed("shp" + "at_", HEX, 32),
    "plaid": lambda r: "access-" + "production-" + _uuid(r),
    "twilio": _prefixed("S" + "K", HEX, 32),
    "sendgrid": lambda r: "S" + "G." + _run(r, WORD, 22) + "." + _run(r, WORD, 43),
    "mailgun": _prefixed("ke" + "y-", HEX, 32),
    "mailgun new": lambda r: "-".join((_run(r, HEX, 32), _run(r, HEX, 8), _run(r, HEX, 8))),
    "mailchimp": lambda r: _run(r, HEX, 32) + "-us" + "21",
    "resend": lambda r: "r" + "e_" + _run(r, ALNUM, 8) + "_" + _run(r, ALNUM, 24),
    "npm": _prefixed("np" + "m_", ALNUM, 36),
    "pypi": _prefixed("py" + "pi-AgEIcHlwaS5vcmc", WORD, 140),
    "rubygems": _prefixed("ruby" + "gems_", HEX, 48),
    "docker": _prefixed("dckr_" + "pat_", WORD, 27),
    "telegram": lambda r: f"{r.randrange(10**8, 10**10)}:" + "A" + "A" + _run(r, WORD, 33),
    "discord": lambda r: "M" + _run(r, ALNUM, 25) + ".G" + _run(r, ALNUM, 5) + "." + _run(r, WORD, 38),
    "databricks": _prefixed("da" + "pi", HEX, 32),
    "linear": _prefixed("lin_" + "api_", ALNUM, 40),
    "notion": _prefixed("nt" + "n_", ALNUM, 46),
    "figma": _prefixed("fi" + "gd_", WORD, 43),
    "postman": lambda r: "PM" + "AK-" + _run(r, HEX, 24) + "-" + _run(r, HEX, 34),
    "new relic": _prefixed("NR" + "AK-", UPPER, 27),
    "sentry": lambda r: "sntr" + "ys_eyJ" + _run(r, ALNUM, 120) + "_" + _run(r, ALNUM, 43),
    "grafana": lambda r: "gl" + "sa_" + _run(r, ALNUM, 32) + "_" + _run(r, HEX, 8),
    "airtable": lambda r: "pa" + "t" + _run(r, ALNUM, 14) + "." + _run(r, HEX, 64),
    "hubspot": lambda r: "pa" + "t-na1-" + _uuid(r),
    "tailscale": _prefixed("tskey-" + "auth-", ALNUM, 30),
    "jwt": _jwt,
    "bcrypt": lambda r: "$2" + "b$12$" + _run(r, ALNUM + "./", 53),
    "mastercard": lambda r: _card(r, "53", 16, " "),
    "discover": lambda r: _card(r, "6011", 16, "-"),
}
"""Secrets known by their own shape: kind → maker."""


def _key_block(rnd: Random, label: str) -> str:
    lines = "\n".join(_run(rnd, BASE64, 64) for _ in range(12))
    return f"-----BEGIN {label} PRIVATE " + f"KEY-----\n{lines}\n-----END {label} PRIVATE " + "KEY-----"


def _pair(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


CARRIED: dict[str, Callable[[Random], tuple[str, str]]] = {
    "visa without groups": lambda r: (f"card {(c := _card(r, '4', 16))}", c),
    "amex without groups": lambda r: (f"payment with {(c := _card(r, '37', 15))}", c),
    "visa in json": lambda r: (f"cardNumber: {(c := _card(r, '4', 16))}", c),
    "putty key": lambda r: (
        f"PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 2\n{(t := _run(r, BASE64, 64))}\nPrivate-MAC: {_run(r, HEX, 64)}\n",
        t,
    ),
    "ssh2 key": lambda r: (
        f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{(t := _run(r, BASE64, 64))}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
        t,
    ),
    "truncated key": lambda r: (f"-----BEGIN EC PRIVATE KEY-----\n{(t := _run(r, BASE64, 64))}", t),
    "key without its header": lambda r: ((t := "MII" + "EvQ" + "IBADANBgkqhkiG9w0" + _run(r, BASE64, 300)), t),
    "kubeconfig": lambda r: (f"client-key-data: {(t := 'LS0tLS1CRUdJTiB' + 'SU0EgUFJJVkFU' + _run(r, BASE64, 300))}", t),
    "sonar login": lambda r: (f"SONAR_LOGIN={(t := _run(r, HEX, 40))}", t),
    "rapidapi": lambda r: (f"RAPIDAPI_KEY={(t := _run(r, LOWER, 50))}", t),
    "any service's key": lambda r: (f"WEATHER_KEY={(t := _run(r, HEX, 32))}", t),
    "docker auth": lambda r: (f'"auth": "{(t := _pair("app", _run(r, ALNUM, 14)))}"', t),
    "pgpass": lambda r: (f"\ndb.example:5432:app:me:{(p := _password(r))}", p),
    "oracle url": lambda r: (f"jdbc:oracle:thin:me/{(p := _run(r, ALNUM, 12))}@db:1521/x", p),
    "redis-cli": lambda r: (f"redis-cli -h cache -a {(p := _password(r))} ping", p),
    "xml attribute": lambda r: (f'<add key="DbPassword" value="{(p := _password(r))}"/>', p),
    "zapier webhook": lambda r: (
        "https://hooks.zapier" + f".com/hooks/catch/{r.randrange(10**5, 10**6)}/{(t := _run(r, ALNUM, 10))}/",
        t,
    ),
    "sentry dsn": lambda r: (f"https://{(t := _run(r, HEX, 32))}@o1.ingest.sentry.io/2", t),
    "rsa key block": lambda r: ((block := _key_block(r, "RSA")), block.split("\n")[5]),
    "openssh key block": lambda r: ((block := _key_block(r, "OPENSSH")), block.split("\n")[2]),
    "postgres url": lambda r: (f"postgresql://app:{(p := _password(r))}@db.example:5432/app", p),
    "redis url": lambda r: (f"redis://:{(p := _password(r))}@cache:6379/0", p),
    "mongodb url": lambda r: (f"mongodb+srv://app:{(p := _password(r))}@c0.example.net/?w=1", p),
    "amqp url": lambda r: (f"amqps://app:{(p := _password(r))}@mq.example/vhost", p),
    "basic-auth url": lambda r: (f"https://bot:{(p := _run(r, ALNUM, 20))}@git.example/x.git", p),
    "bearer header": lambda r: (f"Authorization: Bearer {(t := _run(r, ALNUM, 40))}", t),
    "basic header": lambda r: (f"Authorization: Basic {(t := _pair('app', _password(r)))}", t),
    "token header": lambda r: (f"authorization: token {(t := _run(r, ALNUM, 40))}", t),
    "proxy header": lambda r: (f"Proxy-Authorization: Basic {(t := _pair('app', _password(r)))}", t),
    "cookie header": lambda r: (f"Cookie: theme=dark; sid={(t := _run(r, ALNUM, 32))}; lang=en", t),
    "set-cookie header": lambda r: (f"Set-Cookie: session={(t := _run(r, ALNUM, 40))}; Path=/; HttpOnly", t),
    "aws signed url": lambda r: (
        f"https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature={(t := _run(r, HEX, 64))}&x=1",
        t,
    ),
    "azure sas": lambda r: (
        f"https://a.blob.core.windows.net/c?sv=2024-01-01&sig={(t := quote(_run(r, BASE64, 43) + '=', safe=''))}",
        t,
    ),
    "slack webhook": lambda r: (
        "https://hooks.slack" + f".com/services/T{_run(r, UPPER, 8)}/B{_run(r, UPPER, 8)}/{(t := _run(r, ALNUM, 24))}",
        t,
    ),
    "discord webhook": lambda r: (
        f"https://discord.com/api/webhooks/{r.randrange(10**17, 10**18)}/{(t := _run(r, WORD, 68))}",
        t,
    ),
    "azure connection string": lambda r: (
        f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={(t := _run(r, BASE64, 86))}==;EndpointSuffix=x",
        t,
    ),
    "datadog env": lambda r: (f"DD_API_KEY={(t := _run(r, HEX, 32))}", t),
    "aws credentials file": lambda r: (f"aws_secret_access_key = {(t := _run(r, BASE64, 40))}", t),
    "npmrc": lambda r: (f"//registry.example/:_authToken={(t := _run(r, ALNUM, 36))}", t),
    "command flag": lambda r: (f"deploy --api-key {(t := _run(r, ALNUM, 32))} --force", t),
    "curl user": lambda r: (f"curl -u admin:{(p := _password(r))} https://api.example/v1", p),
    "xml element": lambda r: (f"<password>{(p := _password(r))}</password>", p),
}
"""Secrets known by what they travel in: kind → (snippet, secret)."""

NAMED: dict[str, tuple[str, Maker]] = {
    "password": ("password", _password),
    "db password": ("DB_PASSWORD", _password),
    "passphrase": ("passphrase", _password),
    "client secret": ("client_secret", _prefixed("", ALNUM, 40)),
    "api key": ("api_key", _prefixed("", ALNUM, 32)),
    "cohere key": ("CO_API_KEY", _prefixed("", ALNUM, 40)),
    "camel api key": ("apiKey", _prefixed("", ALNUM, 32)),
    "access token": ("access_token", _prefixed("", ALNUM, 40)),
    "refresh token": ("refreshToken", _prefixed("", ALNUM, 40)),
    "plain token": ("token", _prefixed("", ALNUM, 40)),
    "webhook secret": ("webhook-secret", _prefixed("", ALNUM, 32)),
    "encryption key": ("encryption_key", _prefixed("", HEX, 64)),
}
"""Secrets known by their name only: kind → (name, maker)."""

AROUND_A_SNIPPET: dict[str, Callable[[str], str]] = {
    "plain": lambda s: s,
    "json": lambda s: json.dumps({"id": 7, "text": s, "ok": True}),
    "json in json": lambda s: json.dumps({"arguments": json.dumps({"body": f"line one\n{s}\nline three"})}),
    "header": lambda s: f"GET /v1/items HTTP/1.1\r\nHost: api.example\r\nX-Custom: {s}\r\nAccept: */*\r\n",
    "prose": lambda s: f"I looked into the file and found {s} near the end, which should not be there.",
    "traceback": lambda s: f'  File "/app/run.py", line 12, in call\n    client.send(x)\nValueError: cannot use {s!r} here\n',
    "shell": lambda s: f"$ echo '{s}' > /tmp/out && cat /tmp/out",
    "log line": lambda s: f"2026-11-21T05:22:01Z INFO worker got value={s} status=200",
    "non-ascii": lambda s: f"Schlüssel für die Prüfung – „{s}“ 鍵です",
}
"""Contexts that any snippet may stand in."""

AROUND_A_NAME: dict[str, Callable[[str, str], str]] = {
    "json": lambda n, s: json.dumps({"user": "app", n: s, "retries": 3}),
    "pretty json": lambda n, s: json.dumps({"user": "app", n: s, "retries": 3}, indent=2),
    "json in json": lambda n, s: json.dumps({"body": json.dumps({"user": "app", n: s})}),
    "python dict": lambda n, s: repr({"user": "app", n: s, "retries": 3}),
    "header": lambda n, s: f"Host: api.example\r\nX-{n}: {s}\r\nAccept: */*\r\n",
    "url": lambda n, s: f"https://api.example/v1/items?page=2&{n}={quote(s, safe='')}&limit=10",
    "env file": lambda n, s: f"# settings\nDEBUG=1\nexport {n}={s}\nPORT=8080\n",
    "yaml": lambda n, s: f"service:\n  host: db\n  {n}: {s}\n  port: 5432\n",
    "code": lambda n, s: f'client = Client({n.replace("-", "_")}="{s}", timeout=3)',
    "traceback": lambda n, s: (
        f"    connect({n.replace('-', '_')}='{s}')\nTypeError: connect() got an unexpected keyword argument"
    ),
    "subscript": lambda n, s: f'os.environ["{n}"] = "{s}"',
    "command": lambda n, s: f"run --{n.replace('_', '-')}={s} --verbose",
    "list": lambda n, s: repr({"user": "app", n: [s, s], "retries": 3}),
    "list in json in json": lambda n, s: json.dumps({"body": json.dumps({"user": "app", n: [s], "page": 3})}),
    "list of bytes": lambda n, s: repr({n: [s.encode()], "retries": 3}),
    "tuple": lambda n, s: f"{n.replace('-', '_')} = ('{s}', 5)\nretries = 3\n",
    "repr of bytes": lambda n, s: f"Client({n.replace('-', '_')}={bytearray(s.encode())!r}, timeout=3)",
    "name beside its value": lambda n, s: repr({"name": n, "value": s.encode()}),
}
"""Contexts that a name and its value stand in."""


def planted(seed: int) -> Iterator[Planted]:
    """Every kind in every context, the same for the same seed."""
    rnd = Random(seed)
    for kind, make in SHAPES.items():
        for context, around in AROUND_A_SNIPPET.items():
            secret = make(rnd)
            yield Planted(kind, context, around(secret), secret)
        secret = make(rnd)
        yield Planted(kind, "url", f"https://api.example/v1?q={quote(secret, safe='')}&page=2", secret)
    for kind, carry in CARRIED.items():
        for context, around in AROUND_A_SNIPPET.items():
            snippet, secret = carry(rnd)
            yield Planted(kind, context, around(snippet), secret)
    for kind, (name, make) in NAMED.items():
        for context, around_name in AROUND_A_NAME.items():
            secret = make(rnd)
            yield Planted(kind, context, around_name(name, secret), secret)


KIND_COUNT = len(SHAPES) + len(CARRIED) + len(NAMED)


def leaks(text: str, secret: str) -> bool:
    """Whether the second half of a secret can still be read; escaped as JSON or a URL has it, too."""
    tail = secret[len(secret) // 2 :]
    return any(form in text for form in (tail, json.dumps(tail)[1:-1], quote(tail, safe="")))

"""Text that talks about secrets without holding any: what a redactor must leave alone."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from random import Random

_SENTENCES = (
    "The session was opened by the author, and the authority of the editor was never in question.",
    "Her secretary asked whether passwordless login would need a new policy for the whole department.",
    "We set max_tokens to {n}, so input_tokens={n} and output_tokens: {n} are well below the limit.",
    "A token is about four characters; the tokenizer counts {n} tokens and the pad_token is ignored.",
    "The password must be changed every ninety days, and the secret of good logging is restraint.",
    "Reset password requests go to the help desk; a password is required and the token was rejected.",
    "Authorization is handled by the gateway; authentication, cookies and sessions are described in chapter {n}.",
    "Basic authentication and bearer tokens are compared in the appendix, see https://docs.example:8443/auth?page={n}.",
    "The key to the city, the monkey, the keyboard and the API keys page have nothing in common.",
    "Commit {sha} fixed it; the image is sha256:{digest} and the build took {n} s.",
    "Request {uuid} was answered with status 200 at 2026-11-21T05:22:01.{n:09d}Z, trace {hex32}.",
    "Version 2.{m}.{m}-rc.{m}+build.{n} replaces 1.{m}.{m}; ISBN 978-3-16-148410-0 and 978-0-306-40615-7 were checked.",
    "Epoch {epoch}, in ms {epoch}123, in us {epoch}123456 and in ns {epoch}123456789; the score was 0.{big}.",
    "The task task-{hex8}{hex8} ran in desk-{hex8}, disk-{hex8} and risk-{hex8}; scikit is imported as sk-learn.",
    "Cookie policy: we use cookies. Secret santa: bring a gift. Password: choose a good one.",
    "The access key is under the mat, the credentials were sent by post, and the pass rate is {n} %.",
    "Write to author@example.com or session-admin@example.org about the secretary's keyboard at 4:3{m} pm.",
    "token_count: {n}, token_limit = {n}, tokens_per_second: 12.5, secret_name: billing, password_policy: strict",
    "if token is None or password is not None: raise ValueError('token expired, session closed')",
    "api_key = os.environ['OPENAI_API_KEY']; password = getpass(); token = response.json()['token']",
    "client = Client(api_key=settings.api_key, token=token, password=password, secret=self._secret)",
    "def connect(password: str, token: str | None = None, api_key: SecretStr = Field(...)) -> Session:",
    "export PASSWORD=$DB_PASSWORD TOKEN=${{TOKEN}} && docker run -u 1000:1000 -e API_KEY={{{{ api_key }}}} image",
    "curl -H \"Authorization: Bearer $TOKEN\" -H 'Cookie: {{cookie}}' https://api.example:8080/v1/items@latest",
    "| --token | the token to use | --password-stdin | read it from stdin | --secret-name | its name |",
    "PWD=/home/user/project OLDPWD=/tmp author=me session=open secretary=Kim tokens=12 keyboard=de",
    "Phone 555-0{m}{m}{m}, order 20{m}6-{n}, invoice 4012-{n}-77, port 5432, serial {hex32}",
    "The login page password field, the passphrase prompt and the API key form share one stylesheet.",
)


def near_misses(seed: int, size_chars: int) -> str:
    """Prose, code and data full of near misses, at least ``size_chars`` long."""
    rnd = Random(seed)
    parts: list[str] = []
    while sum(map(len, parts)) < size_chars:
        parts += [_sentence(rnd) for _ in range(40)]
        parts += [_data(rnd), _image(rnd)]
    return "\n".join(parts)


def _sentence(rnd: Random) -> str:
    return rnd.choice(_SENTENCES).format(
        n=rnd.randrange(100, 10_000),
        m=rnd.randrange(10),
        big=rnd.randrange(10**15, 10**16),
        epoch=rnd.randrange(1_600_000_000, 1_799_999_999),
        uuid=uuid.UUID(int=rnd.getrandbits(128), version=4),
        sha=hashlib.sha1(rnd.randbytes(8)).hexdigest(),
        digest=hashlib.sha256(rnd.randbytes(8)).hexdigest(),
        hex8=f"{rnd.getrandbits(32):08x}",
        hex32=f"{rnd.getrandbits(128):032x}",
    )


def _data(rnd: Random) -> str:
    usage = {
        "input_tokens": rnd.randrange(10**5),
        "output_tokens": rnd.randrange(10**4),
        "token_type": "output",
        "max_tokens": 4096,
    }
    tool = {
        "name": "login",
        "input_schema": {"properties": {"password": {"type": "string", "minLength": 8}}, "required": ["password"]},
    }
    return json.dumps(
        {
            "id": str(uuid.UUID(int=rnd.getrandbits(128))),
            "author": "Kim",
            "session_id": f"s-{rnd.randrange(10**6)}",
            "usage": usage,
            "tools": [tool],
            "embedding": [rnd.uniform(-1, 1) for _ in range(16)],
            "etag": hashlib.md5(rnd.randbytes(4)).hexdigest(),
        }
    )


def _image(rnd: Random) -> str:
    return "data:image/png;base64," + base64.b64encode(rnd.randbytes(600)).decode()

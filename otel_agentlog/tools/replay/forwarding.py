"""Requests that go on to the real provider, with the key of the user in the place of that which the program was given."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError

KEY = "agentlog-replay"
"""The key that the program is given."""

TIMEOUT_S = 600.0
"""Longest wait for more of an answer, in seconds: that of the clients."""

_OWN = frozenset({"host", "connection", "content-length", "accept-encoding", "transfer-encoding", "proxy-connection", "expect"})
"""Headers that are of one connection."""
_BACK = frozenset(
    {"content-type", "request-id", "x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "openai-model"}
)
_DEFAULTS = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}


@dataclass(frozen=True)
class Upstream:
    """Where a provider is, and the headers that say who asks."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


def check_keys(wanted: Iterable[str], found: Mapping[str, Upstream]) -> None:
    """Check that there is a key for each of these providers.

    Raises:
        ConfigurationError: there is none.
    """
    for provider in wanted:
        if provider in found and not found[provider].headers:
            expected = f"a key, as AI calls of {provider} are to go to {found[provider].url}"
            raise ConfigurationError(f"{provider.upper()}_API_KEY", "nothing", expected)


def upstreams(environment: Mapping[str, str]) -> dict[str, Upstream]:
    """The providers, by the variables of their clients.

    Raises:
        ConfigurationError: an address that is none of the web.
    """
    found: dict[str, Upstream] = {}
    for provider, default in _DEFAULTS.items():
        name = f"{provider.upper()}_BASE_URL"
        url = (environment.get(name) or default).rstrip("/")
        if not url.startswith(("https://", "http://")):
            raise ConfigurationError(name, url[:200], "an address that begins with https:// or http://")
        found[provider] = Upstream(url, _headers(provider, environment))
    return found


def _headers(provider: str, environment: Mapping[str, str]) -> dict[str, str]:
    key = environment.get(f"{provider.upper()}_API_KEY")
    if provider == "openai":
        return {"Authorization": f"Bearer {key}"} if key else {}
    token = environment.get("ANTHROPIC_AUTH_TOKEN")
    return {"X-Api-Key": key} if key else {"Authorization": f"Bearer {token}"} if token else {}


@dataclass
class LiveAnswer:
    """What a provider answers."""

    status: int
    headers: dict[str, str]
    body: Any
    """Has ``read1(n)``."""

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes."""
        while chunk := self.body.read1(65536):
            yield chunk


def address(upstream: Upstream, path: str) -> str | None:
    """The URL of a path, with its query, at a provider; ``None`` where it begins without ``/``, as it could name another host."""
    base = urlsplit(upstream.url)
    below, _, query = path.partition("?")
    if not below.startswith("/"):
        return None
    query = "&".join(filter(None, (base.query, query)))
    return base._replace(path=base.path.rstrip("/") + below, query=query, fragment="").geturl()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key is for the address that the user has set alone: a redirect is an answer."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


@contextmanager
def forwarded(upstream: Upstream, url: str, headers: Mapping[str, str], body: bytes) -> Iterator[LiveAnswer]:
    """Send a request on to an `address` of the provider.

    Raises:
        OSError: the provider cannot be reached.
        http.client.HTTPException: what it says is no HTTP.
    """
    kept = {name: value for name, value in headers.items() if name.lower() not in _OWN}
    if any(KEY in value for name, value in kept.items() if name.lower() in ("x-api-key", "authorization")):
        kept = {name: value for name, value in kept.items() if name.lower() not in ("x-api-key", "authorization")}
        kept |= upstream.headers
    request = urllib.request.Request(url, data=body, headers=kept, method="POST")  # noqa: S310 - http(s), checked
    try:
        answer = urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        raise_interrupt()
        answer = error
    with answer:
        back = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() in _BACK or name.lower().startswith("x-ratelimit")
        }
        yield LiveAnswer(answer.status, back, answer)

"""Access checks of HTTP requests (Host, Origin, sizes, bearer token), security headers of answers, and the file of the token.

A page of another site can make a browser send requests here (CSRF), and can make its own name point here (DNS rebinding). The
first shows in ``Origin`` and ``Sec-Fetch-Site``, the second in ``Host``; none of the three can be set by a page's script.
`AccessPolicy` checks a request, `AccessMiddleware` applies it to an application, `HeadAsGet` answers HEAD, `read_or_make_token`
keeps the token.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

import otel_agentlog._platform as system
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.view.server.limits import Limits
from otel_agentlog.view.server.problems import HttpProblem

FILE_NAME = ".server-token"
"""Name of the token's file below the root, where names that begin with a dot are no tasks."""

_TOKEN = re.compile(rb"[A-Za-z0-9_-]{32,128}")
_MAX_BYTES = 256

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""On every answer. ``connect-src 'self'`` includes WebSockets of the same origin."""

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>\d{1,5}))?", re.ASCII)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class AccessPolicy:
    """Which requests are answered."""

    token: str | None = None
    reads_need_token: bool = False
    """Whether the token is needed to read too; it always is to change anything, and for clients of other hosts."""
    hosts: frozenset[str] = LOOPBACK_HOSTS
    """Names, in lower case, that may be in ``Host``."""
    limits: Limits = field(default_factory=Limits)
    reading_methods: frozenset[str] = _SAFE_METHODS
    """HTTP methods by which nothing is changed."""

    def check(self, scope: Scope, *, data: bool = True) -> None:
        """Check the head of a request. The page and its files, which are no `data`, need no token.

        Raises:
            HttpProblem: it is refused.
        """
        headers = _headers(scope)
        host = self._checked_host(headers)
        self._check_origin(headers, host, data)
        self._check_sizes(scope, headers)
        if data and self._needs_token(scope):
            self._check_token(headers)

    def _checked_host(self, headers: Mapping[str, list[str]]) -> str:
        given = [each.lower() for each in headers.get("host", [])]
        match = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        if match is None or match["name"] not in self.hosts:
            expected = f"expected one of {', '.join(sorted(self.hosts))}, found {_quoted(given)}"
            raise HttpProblem(403, f"Host: {expected} (agentlog serve --allow-host adds a name)")
        return given[0]

    def _check_origin(self, headers: Mapping[str, list[str]], host: str, data: bool) -> None:
        for origin in headers.get("origin", []):
            if origin.lower() not in (f"http://{host}", f"https://{host}"):
                raise HttpProblem(403, f"Origin: expected a page of {host}, found {_quoted([origin])}")
        for site in headers.get("sec-fetch-site", []):
            # A link on another site may lead to the page; the page's data are for the page alone.
            if data and site.lower() not in ("same-origin", "none"):
                raise HttpProblem(403, f"Sec-Fetch-Site: expected same-origin, found {_quoted([site])}")

    def _check_sizes(self, scope: Scope, headers: Mapping[str, list[str]]) -> None:
        limits = self.limits
        for what, found, most in (
            ("path", len(scope.get("raw_path") or scope["path"].encode()), limits.path_bytes),
            ("query", len(scope.get("query_string", b"")), limits.query_bytes),
        ):
            if found > most:
                raise HttpProblem(414, f"{what}: expected at most {most} bytes, found {found}")
        for length in headers.get("content-length", []):
            if not length.isascii() or not length.isdigit() or int(length[:20]) > limits.body_bytes:
                raise HttpProblem(413, f"body: expected at most {limits.body_bytes} bytes, found {_quoted([length])}")

    def _needs_token(self, scope: Scope) -> bool:
        changes = scope["type"] == "http" and scope["method"] not in self.reading_methods
        return changes or self.reads_need_token or not _is_local(scope)

    def _check_token(self, headers: Mapping[str, list[str]]) -> None:
        given = headers.get("authorization", [""])[0]
        scheme, _, token = given.partition(" ")
        good = self.token is not None and hmac.compare_digest(token.strip().encode(), self.token.encode())
        if scheme.lower() != "bearer" or not good:
            found = "another token" if scheme.lower() == "bearer" else "no token"
            raise HttpProblem(
                401,
                f"Authorization: expected 'Bearer <token>' as in the token file of agentlog serve, found {found}",
                {"www-authenticate": 'Bearer realm="agentlog"'},
            )


class AccessMiddleware:
    """ASGI middleware: applies an `AccessPolicy`, adds `SECURITY_HEADERS`, and refuses bodies that grow too long."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self._app, self._policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._policy.check(scope, data=not _is_page(scope))
        except HttpProblem as problem:
            await _refuse(problem, scope, receive, _with_headers(send))
            return
        if scope["type"] == "http":
            receive = _limited(receive, self._policy.limits.body_bytes)
        await self._app(scope, receive, _with_headers(send))


class HeadAsGet:
    """ASGI middleware: HEAD is answered as GET is, with the same headers and without a body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; of one of HEAD nothing but the head of the answer."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = asyncio.Event()
        requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receiving() -> Message:
            if requests:
                return requests.pop()
            # A stream of events ends as if its client had left.
            await answered.wait()
            return {"type": "http.disconnect"}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                answered.set()

        # By the version an application knows that it is told of clients that leave, not by an error of `send`.
        asgi = {**scope.get("asgi", {}), "spec_version": "2.3"}
        await self._app({**scope, "method": "GET", "asgi": asgi}, receiving, sending)


async def _refuse(problem: HttpProblem, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        # Before it is accepted, closing a WebSocket answers its request with 403.
        await send({"type": "websocket.close", "code": 1008, "reason": problem.detail[:100]})
        return
    await problem.response()(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            present = {name for name, _ in message.get("headers", [])}
            added = [(n.encode(), v.encode()) for n, v in SECURITY_HEADERS.items() if n.encode() not in present]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return sending


def _limited(receive: Receive, most: int) -> Receive:
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HttpProblem(413, f"body: expected at most {most} bytes, found more")
        return message

    return receiving


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _is_page(scope: Scope) -> bool:
    path, below = str(scope["path"]), str(scope.get("root_path") or "")
    path = path[len(below) :] if below and path.startswith(below) else path
    return scope["type"] == "http" and (path == "/" or path.startswith("/web/"))


def _is_local(scope: Scope) -> bool:
    """Whether the client is on this host; one without an address came by a Unix socket."""
    client: Any = scope.get("client")
    if not client:
        return True
    try:
        return ipaddress.ip_address(client[0].partition("%")[0]).is_loopback
    except ValueError:
        return False


def _quoted(given: list[str]) -> str:
    return repr(", ".join(given))[:120].encode("ascii", "backslashreplace").decode() if given else "none"


def read_or_make_token(path: Path) -> str:
    """Return the token in the file at `path`; makes file, folder and token if there is no file.

    Raises:
        ConfigurationError: the file belongs to another user, others can read it, it is no regular file, or it holds no token.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _make(path)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise ConfigurationError("token-file", str(path), f"a file that can be written ({error.strerror})") from None


def _make(path: Path) -> str:
    """Write a new token; the file has its name only once it is complete. Raises `FileExistsError` if there is one."""
    token = secrets.token_urlsafe(32)
    temp = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    if os.path.lexists(path):
        raise FileExistsError
    fd = system.open(temp, system.UPDATE | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, token.encode() + b"\n")
        # Unlike a rename this does not replace a token that another process has made in the meantime.
        os.link(temp, path)
    finally:
        system.close(fd)
        system.unlink(temp)
    return token


def _read(path: Path) -> str:
    try:
        fd = system.open(path, system.READ)
    except OSError as error:
        raise ConfigurationError("token-file", str(path), f"a file that can be read ({error.strerror})") from None
    try:
        found = os.fstat(fd)
        others = stat.S_IMODE(found.st_mode) & 0o077 if system.HAS_OWNERS else 0
        if not stat.S_ISREG(found.st_mode) or found.st_uid != system.user_id() or others:
            raise ConfigurationError(
                "token-file",
                f"{path} with mode {stat.filemode(found.st_mode)}",
                "a file of your own that only you can read (0600)",
            )
        token = os.read(fd, _MAX_BYTES).strip()
    finally:
        system.close(fd)
    if _TOKEN.fullmatch(token) is None:
        raise ConfigurationError("token-file", str(path), "a file with a token of 32 or more letters, digits, - and _")
    return token.decode()

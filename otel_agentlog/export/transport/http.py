"""Sends OTLP over http with urllib3: one POST for a batch, no retry, no redirect, and never longer than the timeout allows.

A total timeout needs connections of our own: urllib3's read timeout begins anew with every byte, so a server that sends one now
and then would be waited for without end. Of a response at most `MAX_RESPONSE_BYTES` are read. A forked child makes connections
of its own. Connections, headers, certificates and proxies follow the standard variables
(`otel_agentlog.settings.parsers.Connection`).

Imported only when something is to be sent.
"""

from __future__ import annotations

# urllib3 imports it at the first connection: the child of a fork at that moment could never make one.
import encodings.idna  # noqa: F401
import gzip
import http.client
import io
import ipaddress
import logging
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import urllib3
from opentelemetry.exporter.otlp.proto.common.version import __version__ as otlp_version
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.export.transport import otlp
from otel_agentlog.export.transport.headers import HTTP, headers_of
from otel_agentlog.export.transport.result import SendResult, Verdict, http_result, is_not_otlp, readable
from otel_agentlog.export.transport.suppression import suppressed_logging
from otel_agentlog.settings.parsers import DEFAULT_TIMEOUT_S, Connection
from otel_agentlog.settings.version import __version__

_logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Largest request that is sent, before compression, as the official exporters have it."""

MAX_RESPONSE_BYTES = 64 * 1024
"""How much of a response is read; a whole one is a few bytes."""

RESPONSE_WAIT_S = 1.0
"""Longest wait, in seconds, for the body of a response whose status has come: the status is the acknowledgement."""

_SHORTEST_WAIT_S = 0.001

_COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


class HttpSender:
    """Sends batches of one signal, ``traces``, ``logs`` or ``metrics``; for one thread at a time."""

    def __init__(self, signal: str, endpoint: str, connection: Connection) -> None:
        """``endpoint`` is the whole URL, with ``/v1/<signal>``."""
        self._signal, self._endpoint, self._connection = signal, endpoint, connection
        self._headers = _headers(endpoint, connection)
        self._manager = _manager(endpoint, connection)
        self._closed = False
        self.deadline: float | None = None
        """When the last request must be over, on the monotonic clock; ``None`` as long as the process does not end."""
        after_fork_in_child(self._renew_after_fork)

    def _renew_after_fork(self) -> None:
        # Kept alive, so that no destructor writes to a connection that the parent goes on using.
        _of_parents.append(self._manager)
        self._manager = _manager(self._endpoint, self._connection)

    def send(self, batch: Any) -> SendResult:
        """Send a sequence of spans or log records, or one ``MetricsData``, once."""
        if self._closed:
            return SendResult(Verdict.LATER, "stopped")
        with suppressed_logging():
            try:
                body = otlp.encode(self._signal, batch)
            except Exception as error:  # noqa: BLE001 - encoders raise many kinds, and each is about something in the batch
                raise_interrupt()
                return SendResult(Verdict.REJECTED, "encoding", type(error).__name__)
            if len(body) > MAX_REQUEST_BYTES:
                return SendResult(Verdict.REJECTED, "encoding", "too large")
            return self._post(body, self._headers)

    def forward(self, body: bytes, content_type: str) -> SendResult:
        """Send a request that others have encoded, as it is, once."""
        if self._closed:
            return SendResult(Verdict.LATER, "stopped")
        with suppressed_logging():
            return self._post(body, {**self._headers, "content-type": content_type})

    def shutdown(self) -> None:
        """Close the connection."""
        self._closed = True
        self._manager.clear()

    def _post(self, body: bytes, headers: Mapping[str, str]) -> SendResult:
        body = _COMPRESS.get(self._connection.compression, bytes)(body)
        for last in (False, True):
            _exchange.connected, _exchange.reader = False, None
            try:
                return self._result(self._request(body, headers))
            except (HTTPError, OSError) as error:
                raise_interrupt()
                # A refused connection is a timeout to urllib3.
                if isinstance(error, HttpTimeoutError) and not isinstance(error, NewConnectionError):
                    return SendResult(Verdict.LATER, "timeout", type(error).__name__)
                # An open connection that the other side had closed meanwhile is no failure of the server.
                if _exchange.connected or last:
                    return SendResult(Verdict.LATER, "connection", readable(_cause(error).encode()))
        raise AssertionError("the last attempt returns")

    def _request(self, body: bytes, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        seconds = self._connection.timeout_s
        if self.deadline is not None:
            seconds = min(seconds, self.deadline - time.monotonic())
        return self._manager.urlopen(
            "POST",
            self._endpoint,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(total=max(seconds, _SHORTEST_WAIT_S)),
            retries=False,
            redirect=False,
            preload_content=False,
        )

    def _result(self, response: urllib3.BaseHTTPResponse) -> SendResult:
        body = _read(response)
        if not 200 <= response.status < 300:
            return http_result(response.status, response.headers, body, time.time())
        if is_not_otlp(response.headers, body):
            return SendResult(Verdict.REFUSED, "not_otlp", readable(body))
        return otlp.read_response(self._signal, response.headers.get("Content-Type", ""), body)


_of_parents: list[urllib3.PoolManager] = []


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """The beginning of the body, as far as it comes in time."""
    if (reader := _exchange.reader) is not None:
        reader.until = min(reader.until, time.monotonic() + RESPONSE_WAIT_S)
    body = b""
    try:
        body = response.read(MAX_RESPONSE_BYTES + 1, decode_content=True)
    except (HTTPError, OSError, http.client.HTTPException):
        raise_interrupt()  # the status has come; what would have come besides is lost
    if not response.closed:
        # The rest of a response without end must not come, and the connection is of no use before it has.
        response.close()
    return body


def _cause(error: BaseException) -> str:
    """What went wrong in the end, below the layers of libraries that each wrap it."""
    for _ in range(8):
        inner = getattr(error, "reason", None) or next((each for each in error.args if isinstance(each, Exception)), None)
        inner = inner or error.__cause__ or error.__context__
        if not isinstance(inner, Exception):
            break
        error = inner
    return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"


# -- a total timeout for what is read ------------------------------------------------------------------------------------


class _Exchange(threading.local):
    """The request under way in this thread."""

    connected = False
    """Whether a connection was made for it, instead of an open one being used."""
    reader: _TimedReader | None = None


_exchange = _Exchange()


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a moment that does not move with every byte."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        # Holds the connection open for as long as it is read, as http.client expects.
        self._raw = connection.makefile("rb", buffering=0)
        self.until = time.monotonic() + (connection.gettimeout() or DEFAULT_TIMEOUT_S)
        _exchange.reader = self

    def makefile(self, mode: str) -> io.BufferedReader:
        """The file that ``http.client`` reads the response from, as a socket would return it."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self.until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the response took longer than it may")
        self._connection.settimeout(max(left_s, _SHORTEST_WAIT_S))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_TimedReader(sock), *args, **kwargs)  # type: ignore[arg-type]  # it only makes a file of it


class _Connection(HTTPConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        _exchange.connected = True
        super().connect()


class _SecureConnection(HTTPSConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        _exchange.connected = True
        super().connect()


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


# -- headers, certificates, proxies ---------------------------------------------------------------------------------------


def _headers(endpoint: str, connection: Connection) -> dict[str, str]:
    headers = {
        "content-type": "application/x-protobuf",
        "user-agent": f"otel_agentlog/{__version__} OTel-OTLP-Exporter-Python/{otlp_version}",
    }
    if connection.compression in _COMPRESS:
        headers["content-encoding"] = connection.compression
    headers.update(headers_of(connection, HTTP))
    if (user := _user(urlsplit(endpoint))) is not None:
        headers.update(urllib3.make_headers(basic_auth=user))
    return headers


def _user(parts: SplitResult) -> str | None:
    """``name:password`` of a URL that has them."""
    return f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None


def _manager(endpoint: str, connection: Connection) -> urllib3.PoolManager:
    options: dict[str, Any] = {"cert_file": connection.client_certificate, "key_file": connection.client_key}
    trusted = connection.certificate or connection.ca_bundle or certifi.where()
    options["ca_cert_dir" if Path(trusted).is_dir() else "ca_certs"] = trusted
    proxy = proxy_of(endpoint)
    manager = (None if proxy is None else _proxy_manager(proxy, options)) or urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager


def _proxy_manager(proxy: str, options: Mapping[str, Any]) -> urllib3.PoolManager | None:
    """Connections by way of a proxy; ``None``, and a warning, where the variable names one that cannot be used."""
    try:
        parts = urlsplit(proxy)
        if not parts.hostname:
            raise ValueError("no host")
        user = _user(parts)
        return urllib3.ProxyManager(proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=user), **options)
    except (ValueError, HTTPError):
        raise_interrupt()
        _warn_of_proxy(proxy.partition("://")[0])
        return None


@lru_cache
def _warn_of_proxy(scheme: str) -> None:
    # Without the rest, which may have a password.
    _logger.warning("HTTP_PROXY, HTTPS_PROXY, ALL_PROXY: expected http://HOST:PORT or https://…, found %s://…; not used", scheme)


def proxy_of(endpoint: str) -> str | None:
    """The proxy that ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` (or the system) name for a URL."""
    parts, proxies = urlsplit(endpoint), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    host = parts.hostname or ""
    address = f"{host}:{parts.port}" if parts.port else host
    if not proxy or proxy_bypass(address) or _is_in_a_network(host, proxies.get("no", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_in_a_network(host: str, no_proxy: str) -> bool:
    """Whether the host is an address within one of the networks (``10.0.0.0/8``) among the names."""
    try:
        address = ipaddress.ip_address(host)
        return any(address in ipaddress.ip_network(name.strip(), strict=False) for name in no_proxy.split(",") if "/" in name)
    except ValueError:
        raise_interrupt()
        return False

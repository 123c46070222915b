"""A session for the official http exporters that takes no longer than it may and remembers what was really answered.

Hides what `requests` leaves open: its timeout counts anew with every byte, so a server that sends one now and then is waited
for without end; it reads answers of any size; a forked child goes on with its parent's connection. The exporters in turn take
redirects and partial success for success, and try again on their own while our own thread waits. So everything but a clean
success is raised as an error that they do not know, which makes them give up at once, and the truth is kept beside it.

Imported only when something is to be sent.
"""

from __future__ import annotations

import http.client
import io
import netrc  # noqa: F401 - requests imports it with its first request; a child that is forked meanwhile would wait for it for ever
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from otel_agentlog.export.transport import response as outcomes
from otel_agentlog.export.transport.quiet import quieten
from otel_agentlog.export.transport.response import Outcome, Verdict, read_reply
from otel_agentlog.settings.parsers import DEFAULT_TIMEOUT_S

MAX_REPLY_BYTES = 64 * 1024
"""How much of an answer is read; a whole one is a few bytes."""

REPLY_WAIT_S = 1.0
"""Longest wait, in seconds, for the body of an answer whose status has come: the status is the acknowledgement."""

_SHORTEST_WAIT_S = 0.001


class NotDelivered(Exception):
    """Ends the exporter's work on a request; what came of it stands in `ReportingSession.outcome`."""


class _Exchange(threading.local):
    """The request that this thread is at."""

    connected = False
    """Whether a connection was made for it, instead of going on with one that was open."""
    reply: _TimedReply | None = None


_exchange = _Exchange()


class _TimedReply(io.RawIOBase):
    """What a server sends, until a moment that does not move with every byte."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        # Holds the connection open for as long as it is read, as http.client expects.
        self._raw = connection.makefile("rb", buffering=0)
        self.until = time.monotonic() + (connection.gettimeout() or DEFAULT_TIMEOUT_S)
        _exchange.reply = self

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self.until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer took longer than it may")
        self._connection.settimeout(max(left_s, _SHORTEST_WAIT_S))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedSocket:
    """Stands for a socket where ``http.client`` makes a file of it to read from."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReply(self._connection))


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_TimedSocket(sock), *args, **kwargs)  # type: ignore[arg-type]  # it only makes a file of it


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


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    """Makes connections whose answers are read until a moment, not for ever."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class ReportingSession(requests.Session):
    """Give it to an official exporter as ``session``; after each export `take` says what came of it."""

    def __init__(self, signal: str) -> None:
        super().__init__()
        self._signal = signal
        self.until: float | None = None
        """When the last request must be over, on the monotonic clock; ``None`` as long as nobody is in a hurry."""
        self._outcome: Outcome | None = None
        self._pid = os.getpid()
        self._mount()

    def take(self) -> Outcome | None:
        """What came of the request since the last call; ``None`` if there was none."""
        outcome, self._outcome = self._outcome, None
        return outcome

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """As `requests` does it; raises `NotDelivered` for everything but a clean success."""
        if self._signal == "metrics":
            # Exported by a thread of the SDK's, which complains when we have returned, and never asks what came of it.
            quieten()
            self._outcome = None
        if self._outcome is not None:
            # The exporter wants to try again; when is for us to say.
            raise NotDelivered
        self._leave_the_parents_connections()
        kwargs.update(timeout=Timeout(total=self._seconds(kwargs.get("timeout"))), stream=True, allow_redirects=False)
        response = self._attempt(method, url, args, kwargs)
        if response is None:
            raise NotDelivered(self._outcome)
        self._outcome = self._judge(response)
        if self._outcome.verdict is not Verdict.DELIVERED:
            raise NotDelivered(self._outcome)
        return response

    def _seconds(self, allowed: object) -> float:
        seconds = float(allowed) if isinstance(allowed, (int, float)) else DEFAULT_TIMEOUT_S
        if self.until is not None:
            seconds = min(seconds, self.until - time.monotonic())
        return max(seconds, _SHORTEST_WAIT_S)

    def _attempt(self, method: Any, url: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> requests.Response | None:
        for last in (False, True):
            _exchange.connected = False
            try:
                return super().request(method, url, *args, **kwargs)
            except requests.exceptions.Timeout as error:
                self._outcome = Outcome(Verdict.LATER, "timeout", type(error).__name__)
                return None
            except (requests.exceptions.ConnectionError, HTTPError, OSError) as error:
                self._outcome = Outcome(Verdict.LATER, "connection", outcomes.said(_cause(error).encode()))
                # An open connection that the other side had closed meanwhile says nothing about the server.
                if _exchange.connected or last:
                    return None
        raise AssertionError("the last attempt returns")

    def _judge(self, response: requests.Response) -> Outcome:
        body = self._body(response)
        if not 200 <= response.status_code < 300:
            return outcomes.of_http(response.status_code, response.headers, body, time.time())
        if outcomes.is_foreign(response.headers, body):
            return Outcome(Verdict.REFUSED, "not_otlp", outcomes.said(body))
        return read_reply(self._signal, response.headers.get("Content-Type", ""), body)

    def _body(self, response: requests.Response) -> bytes:
        reply = _exchange.reply
        if reply is not None:
            reply.until = min(reply.until, time.monotonic() + REPLY_WAIT_S)
        body = b""
        try:
            body = response.raw.read(MAX_REPLY_BYTES + 1, decode_content=True)
        except (HTTPError, OSError, http.client.HTTPException):
            pass  # the status has come; what it was about to say besides is lost
        if not response.raw.closed and reply is not None:
            # The rest of an answer that has no end must not come, and nobody can use the connection before it has.
            response.close()
        return body

    def _mount(self) -> None:
        self.mount("http://", _Adapter())
        self.mount("https://", _Adapter())

    def _leave_the_parents_connections(self) -> None:
        if self._pid != os.getpid():
            # Kept alive, so that nothing says goodbye on a connection that the parent goes on using.
            _parents.append(dict(self.adapters))
            self._mount()
            self._pid = os.getpid()


def _cause(error: BaseException) -> str:
    """What went wrong in the end, below the layers of libraries that each wrap it."""
    for _ in range(8):
        inner = getattr(error, "reason", None) or next((each for each in error.args if isinstance(each, Exception)), None)
        inner = inner or error.__cause__ or error.__context__
        if not isinstance(inner, Exception):
            break
        error = inner
    return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"


_parents: list[Mapping[str, Any]] = []

"""The side that speaks http: an application of ASGI, run by uvicorn in a thread of its own.

A body is read no further than it may go, and what all requests hold together is bounded. A client that is slow, or says nothing,
is cut off.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.tools.collect.intake import JSON, PROTOBUF, BusyError, Intake, MalformedError, MemoryBudget
from otel_agentlog.view.collect import answers
from otel_agentlog.view.server.limits import Limits
from otel_agentlog.view.server.serving import url_of, uvicorn_with

SIGNALS = {f"/v1/{signal}": signal for signal in ("traces", "logs", "metrics")}

BODY_S = 30.0
"""Longest time, in seconds, in which a body must have come."""

END_S = 5
"""Longest time, in seconds, that the end waits for requests under way."""

KEEP_ALIVE_S = 75
"""Seconds for which a connection stays open without a request: longer than exporters wait between two batches."""

_LIMITS = Limits(header_seconds=10.0)
_RETRY = (b"retry-after", str(answers.RETRY_AFTER_S).encode())

_CLOSE = (b"connection", b"close")

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class _Refusal(Exception):
    def __init__(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers


class HttpSide:
    """Listens on a socket from its making to `stop`."""

    def __init__(
        self, intake: Intake, listener: socket.socket, max_body_bytes: int, budget: MemoryBudget, say: Callable[[str], None]
    ) -> None:
        """``say`` gets what people have to know."""
        self._listener, self._intake = listener, intake
        app = Application(intake, max_body_bytes, budget, say)
        self._server = uvicorn_with(app, _LIMITS, end_seconds=END_S, log_level="critical", timeout_keep_alive=KEEP_ALIVE_S)
        self._thread = threading.Thread(target=self._run, name="agentlog-collect-http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens, as ``OTEL_EXPORTER_OTLP_ENDPOINT`` takes it."""
        return url_of(*self._listener.getsockname()[:2])

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])

    def stop(self) -> None:
        """Take no more requests; those under way are answered."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


class Application:
    """The application, as ASGI has them."""

    def __init__(self, intake: Intake, max_body_bytes: int, budget: MemoryBudget, say: Callable[[str], None]) -> None:
        self._intake, self._max_body_bytes, self._budget, self._say = intake, max_body_bytes, budget, say

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            signal, encoding = self._checked(scope, headers, content_type)
            message = await self._answer(signal, encoding, content_type, receive)
        except _Refusal as refusal:
            self._intake.refuse()
            body = answers.encoded(answers.status(str(refusal)), content_type)
            await _send(send, refusal.status, content_type, body, *refusal.headers)
        else:
            await _send(send, 200, content_type, answers.encoded(message, content_type))

    def _checked(self, scope: Mapping[str, Any], headers: Mapping[str, str], content_type: str) -> tuple[str, str]:
        """The signal of a request and how its body is packed, before any of that is read."""
        signal = SIGNALS.get(scope["path"])
        if signal is None:
            raise _Refusal(404, f"expected one of {', '.join(SIGNALS)}")
        if scope["method"] != "POST":
            raise _Refusal(405, "expected POST", (b"allow", b"POST"))
        if "origin" in headers:
            raise _Refusal(403, "requests of web pages are not taken")
        encoding = headers.get("content-encoding", "").strip().lower()
        if content_type not in (JSON, PROTOBUF) or encoding not in answers.ENCODINGS:
            raise _Refusal(415, f"expected {PROTOBUF} or {JSON}, plain or in gzip or deflate", _CLOSE)
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > self._max_body_bytes:
            raise _Refusal(413, str(answers.TooLargeError(self._max_body_bytes)), _CLOSE)
        return signal, encoding

    async def _answer(self, signal: str, encoding: str, content_type: str, receive: Receive) -> Any:
        try:
            with self._budget.share() as take:
                body = await asyncio.wait_for(_read(receive, self._max_body_bytes, take), BODY_S)
                return await asyncio.to_thread(self._take, signal, content_type, encoding, body, take)
        except asyncio.TimeoutError:
            raise_interrupt()
            raise _Refusal(408, f"expected the body within {BODY_S:g} s", _CLOSE) from None
        except answers.TooLargeError as error:
            raise _Refusal(413, str(error), _CLOSE) from None
        except MalformedError as error:
            raise_interrupt()
            raise _Refusal(400, str(error)) from None
        except BusyError as error:
            raise _Refusal(429, str(error), _RETRY) from None
        except Exception as error:  # noqa: BLE001 - whatever a body is made of: its sender would repeat it for ever, or say nothing
            raise_interrupt()
            self._say(text := answers.unreadable(signal, error))
            raise _Refusal(400, text) from None

    def _take(self, signal: str, content_type: str, encoding: str, body: bytes, take: Callable[[int], None]) -> Any:
        plain = answers.unpacked(body, encoding, self._max_body_bytes, take)
        return answers.response(signal, self._intake.take(signal, content_type, plain))


async def _read(receive: Receive, limit: int, take: Callable[[int], None]) -> bytes:
    pieces, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise MalformedError("the client went away")
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise answers.TooLargeError(limit)
        take(len(piece))
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


async def _send(send: Send, status: int, content_type: str, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    kind = content_type if content_type == JSON else PROTOBUF
    named = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": body})

"""ASGI (Starlette, FastAPI, Quart, Django …): a task, or a webhook, per request.

app.add_middleware(AgentlogMiddleware, webhooks=["/hooks/*"])

or around any application: ``app = AgentlogMiddleware(app)``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.integrations.http_requests import (
    HEALTH,
    Operation,
    RecordedRequests,
    SentAnswer,
    header_map,
    quietly_flush,
    template,
    trace_of,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_NORMAL_CLOSURES = (1000, 1001, 1005)
"""Codes by which a websocket is closed as it should be."""

_DEEPEST = 20


class AgentlogMiddleware:
    """Records each request as a task, from the call to the end of the answer's body; websockets from connect to close.

    Statuses from 500 on and exceptions are failures, a client that goes is a cancellation. The caller's ``traceparent`` is
    continued. Messages pass as they are: no body is read or kept. In the application `otel_agentlog.current_operation` is the
    request, and its ``carrier(hand_over=True)`` gives the task to a job that outlives it.
    """

    def __init__(
        self,
        app: App,
        *,
        only: Iterable[str] = (),
        exclude: Iterable[str] = HEALTH,
        webhooks: Iterable[str] = (),
        agent: str | None = None,
        continue_tasks: bool = False,
    ) -> None:
        """Patterns of paths may have ``*``.

        Args:
            only: record these; else all.
            exclude: record none of these.
            webhooks: requests to these are webhooks, in which the application creates tasks.
            agent: who does the tasks.
            continue_tasks: whether a request whose baggage names a task continues that. Only where all callers are trusted.
        """
        self.app = app
        self._recorded = RecordedRequests(only, exclude, webhooks, agent, continue_tasks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, _flushes(send))
        elif kind not in ("http", "websocket") or (prepared := self._prepared(scope)) is None:
            await self.app(scope, receive, send)
        else:
            operation, headers = prepared
            with trace_of(headers), operation:
                await _run(self.app, scope, receive, send, SentAnswer(operation))

    def _prepared(self, scope: Scope) -> tuple[Operation, dict[str, str]] | None:
        """The operation of a request, and its headers; ``None`` if it is not to be recorded, or is none that we understand."""
        try:
            path = str(scope["path"])
            if path not in self._recorded:
                return None
            headers = header_map(scope["headers"])
            method = "WEBSOCKET" if scope["type"] == "websocket" else str(scope["method"])
            route = template(lambda: _route(scope.get("app", self.app), scope))
            return self._recorded.operation(method, path, route, headers), headers
        except Exception:  # noqa: BLE001 - whatever a server's scope holds, the application is to run
            raise_interrupt()
            return None


async def _run(app: App, scope: Scope, receive: Receive, send: Send, answer: SentAnswer) -> None:
    messages = _Messages(receive, send, answer)
    try:
        await app(scope, messages.receive, messages.send)
    except BaseException as error:
        of_closure = messages.has_closed and type(error).__name__ == "WebSocketDisconnect"
        answer.ends(None if of_closure else error)
        raise
    if scope["type"] == "websocket" and not messages.has_closed:
        answer.is_complete = True  # the server closes it
    answer.ends()


class _Messages:
    """The messages of one connection, passed on as they are."""

    def __init__(self, receive: Receive, send: Send, answer: SentAnswer) -> None:
        self._receive, self._send, self._answer = receive, send, answer
        self.has_closed = False

    async def receive(self) -> Message:
        message = await self._receive()
        kind = message.get("type")
        if kind == "http.disconnect":
            self._answer.is_gone = True
        elif kind == "websocket.disconnect":
            self._closes(message.get("code", 1005))
        return message

    async def send(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            raise_interrupt()
            self._answer.is_gone = True  # ASGI: it is raised where the client has gone
            raise
        kind = message.get("type")
        if kind == "http.response.start":
            self._answer.begins(message.get("status"))
        elif kind == "http.response.body" and not message.get("more_body", False):
            self._complete()
        elif kind == "websocket.close":
            self._closes(1000)
        elif kind == "websocket.http.response.start":
            self._answer.begins(message.get("status"))

    def _closes(self, code: object) -> None:
        self.has_closed = True
        if code in _NORMAL_CLOSURES:
            self._answer.is_complete = True
        else:
            self._answer.is_gone = True

    def _complete(self) -> None:
        self._answer.is_complete = True
        # The server may run background tasks inside the application: they are not of the request.
        self._answer.ends()


def _flushes(send: Send) -> Send:
    async def send_and_flush(message: Message) -> None:
        if message.get("type") == "lifespan.shutdown.complete":
            quietly_flush()
        await send(message)

    return send_and_flush


def _route(app: Any, scope: Scope) -> str | None:
    """The template of the route that will answer, such as ``/orders/{order_id}``, of Starlette and what is made of it."""
    found, seen = "", dict(scope)
    for _ in range(_DEEPEST):
        route, child = _matching(_routes_of(app), seen)
        if route is None:
            break
        found += str(getattr(route, "path", ""))
        seen.update(child)
        app = route
    return found or None


def _routes_of(app: Any) -> list[Any]:
    routes = getattr(app, "routes", None)
    if isinstance(routes, list):
        return routes
    # FastAPI keeps the routes of a router that was included there, with their whole paths.
    included = getattr(app, "effective_candidates", None)
    return list(included()) if callable(included) else []


def _matching(routes: list[Any], scope: Scope) -> tuple[Any, Scope]:
    """The first route that takes the request, else the first that takes its path."""
    partial: tuple[Any, Scope] = None, {}
    for route in routes:
        match, child = route.matches(scope)
        if match.value == 2:
            return route, child
        if match.value == 1 and partial[0] is None:
            partial = route, child
    return partial

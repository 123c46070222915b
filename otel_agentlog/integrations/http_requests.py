"""What the middleware of ASGI and of WSGI have in common: which requests are recorded, as what, and how they ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import translate
from typing import Any, TypeAlias

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otel_agentlog as agentlog
from otel_agentlog._interrupts import raise_interrupt

HEALTH = ("/health", "/health/*", "/healthz", "/livez", "/readyz", "/ready", "/ping", "/metrics", "/favicon.ico")
"""Paths that are not recorded unless ``exclude`` says otherwise."""

GONE = "client disconnected"
"""Reason of a request that is cancelled, as nobody reads the answer."""

_EVENT_HEADERS = {
    "x-github-event": "github",
    "x-gitlab-event": "gitlab",
    "x-gitea-event": "gitea",
    "x-event-key": "bitbucket",
    "x-shopify-topic": "shopify",
    "linear-event": "linear",
}
"""Headers that name the event, and the provider that sends them."""
_OTHER_HEADERS = {"x-slack-signature": "slack", "stripe-signature": "stripe", "x-atlassian-webhook-identifier": "jira"}
"""Headers of providers that name the event in the body, which is not read."""

_trace_context = TraceContextTextMapPropagator()


Operation: TypeAlias = agentlog.Task | agentlog.Webhook


class Paths:
    """Path patterns with ``*``, such as ``/hooks/*``."""

    def __init__(self, patterns: Iterable[str]) -> None:
        given = [patterns] if isinstance(patterns, str) else [str(pattern) for pattern in patterns]
        self._matches = re.compile("|".join(translate(pattern) for pattern in given)).match if given else None

    def __contains__(self, path: object) -> bool:
        return self._matches is not None and self._matches(str(path)) is not None

    def __bool__(self) -> bool:
        return self._matches is not None


class RecordedRequests:
    """Which requests are recorded, and as what."""

    def __init__(
        self, only: Iterable[str], exclude: Iterable[str], webhooks: Iterable[str], agent: str | None, continue_tasks: bool
    ) -> None:
        self._only, self._exclude, self._webhooks = Paths(only), Paths(exclude), Paths(webhooks)
        self._agent, self._continue_tasks = agent, continue_tasks

    def __contains__(self, path: str) -> bool:
        """Whether a request to this path is recorded."""
        return path not in self._exclude and (not self._only or path in self._only)

    def operation(self, method: str, path: str, route: str | None, headers: Mapping[str, str]) -> Operation:
        """The task or webhook of a request, not begun; ``headers`` in lower case.

        Its name has the route's template, never the path: names are few. Neither query nor body are recorded.
        """
        name = f"{method} {route}" if route else method
        attributes = {"http.request.method": method, "url.path": path} | ({"http.route": route} if route else {})
        if path in self._webhooks:
            provider, event = _event_of(headers, name)
            return agentlog.webhook(provider, event, attributes=attributes)
        if self._continue_tasks and "agentlog.task_id" in headers.get("baggage", ""):
            return agentlog.task(resume=headers, attributes=attributes)
        given = {"method": method, "path": path}
        return agentlog.task(name, input=given, agent=self._agent, workflow=name, source="http", attributes=attributes)


def _event_of(headers: Mapping[str, str], otherwise: str) -> tuple[str, str]:
    for header, provider in _EVENT_HEADERS.items():
        if event := headers.get(header):
            return provider, event
    return next((provider for header, provider in _OTHER_HEADERS.items() if header in headers), "http"), otherwise


@contextmanager
def trace_of(headers: Mapping[str, str]) -> Iterator[None]:
    """A block in the trace of the caller, unless a span is current: then an instrumentation around us has seen to that."""
    before = otel_context.get_current()
    if "traceparent" in headers and not trace.get_current_span(before).get_span_context().is_valid:
        otel_context.attach(_trace_context.extract(headers, before))
    try:
        yield
    finally:
        # Not by a token: this may run in another context than it began in. In any case, as the request may have ended elsewhere.
        otel_context.attach(before)


class SentAnswer:
    """How a request goes, and its end."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.status: int | None = None
        self.is_complete = False
        """Whether all of the answer was handed to the server."""
        self.is_gone = False
        """Whether the client was seen to go before that."""

    def begins(self, status: object) -> None:
        """The answer begins; ``status`` is its number, in whatever form."""
        try:
            self.status = int(str(status))
            self.operation.set_attribute("http.response.status_code", self.status)
        except ValueError:
            raise_interrupt()

    def ends(self, error: BaseException | None = None) -> None:
        """End the operation unless it has ended; never raises."""
        if self.operation.ended:
            return
        outcome, reason = self._outcome(error)
        try:
            self.operation.end(outcome, error=error if outcome is None else None, reason=reason)
        except agentlog.StateError:
            raise_interrupt()  # another thread was faster

    def _outcome(self, error: BaseException | None) -> tuple[str | None, str | None]:
        if self.is_gone and not self.is_complete and (error is None or _is_of_the_connection(error)):
            return "cancelled", GONE
        if error is not None:
            return None, None
        if self.status is not None and self.status >= 500:
            return "failed", f"HTTP {self.status}"
        return ("completed", None) if self.is_complete else ("failed", "the answer is not complete")


def _is_of_the_connection(error: BaseException) -> bool:
    return isinstance(error, OSError) or type(error).__name__ in ("ClientDisconnect", "WebSocketDisconnect", "ClientDisconnected")


def template(find: Callable[[], str | None]) -> str | None:
    """What is found of a request's route; ``None`` where a framework's own objects raise."""
    try:
        return find()
    except Exception:  # noqa: BLE001 - no such route, or not to be found so: the application will say
        raise_interrupt()
        return None


def quietly_flush() -> None:
    """Bring everything to the disk and the collector, at the end of a server; never raises."""
    try:
        agentlog.flush()
    except Exception:  # noqa: BLE001 - the server is to end as it would without us
        raise_interrupt()


def header_map(pairs: Iterable[Any]) -> dict[str, str]:
    """Headers as ASGI has them, ``(name, value)`` in bytes, by their names in lower case; of several of one name the first."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(bytes(name).decode("latin-1").lower(), bytes(value).decode("latin-1"))
    return found

"""WSGI (Flask, Django, Pyramid …): a task, or a webhook, per request.

app.wsgi_app = AgentlogWSGIMiddleware(app.wsgi_app)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.integrations.http_requests import HEALTH, Operation, RecordedRequests, SentAnswer, template, trace_of

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

KEY = "agentlog.operation"
"""Key of the request's task or webhook in the WSGI environment."""


class AgentlogWSGIMiddleware:
    """Records each request as a task, from the call until the server has closed the answer; as that for ASGI otherwise.

    Names have the template of the route for Flask and Django, and where ``route`` gives it for a request's environment; else
    the method alone.
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
        route: Callable[[Environ], str | None] | None = None,
    ) -> None:
        """See `otel_agentlog.integrations.asgi.AgentlogMiddleware`."""
        self.app = app
        self._recorded = RecordedRequests(only, exclude, webhooks, agent, continue_tasks)
        self._route = route if route is not None else partial(_route, app)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        prepared = self._prepared(environ)
        if prepared is None:
            return self.app(environ, start_response)
        operation, headers = prepared
        answer = SentAnswer(operation)

        def start(status: str, headers: Any, *more: Any) -> Any:
            answer.begins(str(status)[:3])
            return start_response(status, headers, *more)

        stack = ExitStack()
        stack.enter_context(trace_of(headers))
        environ[KEY] = stack.enter_context(operation)
        answer.is_complete = environ["REQUEST_METHOD"] == "HEAD"
        try:
            return _wrapped(self.app(environ, start), environ, answer, stack)
        except BaseException as error:
            answer.ends(error)
            stack.close()
            raise

    def _prepared(self, environ: Environ) -> tuple[Operation, dict[str, str]] | None:
        try:
            path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
            if path not in self._recorded:
                return None
            headers = {key[5:].replace("_", "-").lower(): str(value) for key, value in environ.items() if key[:5] == "HTTP_"}
            route = template(lambda: self._route(environ))
            return self._recorded.operation(str(environ["REQUEST_METHOD"]), path, route, headers), headers
        except Exception:  # noqa: BLE001 - whatever a server's environment holds, the application is to run
            raise_interrupt()
            return None


def _wrapped(body: Iterable[bytes], environ: Environ, answer: SentAnswer, stack: ExitStack) -> Iterable[bytes]:
    files = environ.get("wsgi.file_wrapper")
    if isinstance(files, type) and isinstance(body, files):
        # The server sends the file by itself, which it does not if this is anything else.
        answer.is_complete = True
        answer.ends()
        stack.close()
        return body
    return (_SizedBody if hasattr(body, "__len__") else _Body)(body, answer, stack)


class _Body:
    """The answer's body as the application gave it; its ``close``, which servers call in any case, ends the request."""

    def __init__(self, body: Iterable[bytes], answer: SentAnswer, stack: ExitStack) -> None:
        self._body, self._answer, self._stack = body, answer, stack
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        try:
            if self._parts is None:
                self._parts = iter(self._body)
            return next(self._parts)
        except StopIteration:
            self._answer.is_complete = True
            raise
        except BaseException as error:
            self._answer.ends(error)
            raise

    def close(self) -> None:
        """Close the application's body, and end the request: as cancelled if the server did not take all of it."""
        try:
            if (close := getattr(self._body, "close", None)) is not None:
                close()
        except BaseException as error:
            self._answer.ends(error)
            raise
        finally:
            self._answer.is_gone = not self._answer.is_complete
            self._answer.ends()
            self._stack.close()


class _SizedBody(_Body):
    """One of which servers find the ``Content-Length`` by the number of its parts."""

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]  # the application's has a length


def _route(app: Any, environ: Environ) -> str | None:
    """The template of the route that will answer; ``None`` where neither Flask nor Django know it."""
    owner: Any = getattr(app, "__self__", app)
    urls = getattr(owner, "url_map", None)
    if urls is not None:
        return str(urls.bind_to_environ(environ).match(return_rule=True)[0].rule)
    if type(owner).__module__.startswith("django."):
        urls = importlib.import_module("django.urls")
        return f"/{urls.resolve(str(environ.get('PATH_INFO', '/'))).route}"
    return None

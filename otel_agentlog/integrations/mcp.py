"""The Model Context Protocol: a client's ``tools/call`` as tool run; a server's handlers inside the task of the caller.

    from otel_agentlog.integrations.mcp import McpMiddleware, instrument_session

    instrument_session(session)                        # client: an `mcp.ClientSession`, or an `mcp.Client`
    server.middleware.append(McpMiddleware())     # server: an `mcp` server from version 2 on
    instrument_server(server)                          # server: of any version, once its tools are there

The task travels in ``_meta`` of the request, as ``traceparent`` and ``baggage`` (MCP, "OpenTelemetry trace context"). Written
for mcp 2.3 and 1.30. Where mcp traces itself, the run counts once. A tool that failed has one error on both sides: its id goes
back in ``_meta`` of the answer.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from types import NoneType, TracebackType
from typing import Any, TypeVar

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator

import otel_agentlog as agentlog
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import StateError
from otel_agentlog.integrations.frameworks import FrameworkError, end, field, items, quietly, text
from otel_agentlog.vocabulary.functions import parameters_of

Session = TypeVar("Session")
Server = TypeVar("Server")

CALL = "tools/call"
ERROR_ID = "agentlog/error_id"
"""In ``_meta`` of an answer with ``isError``: the id under which the server recorded the error."""
_DONE = "__agentlog__"

# -- client ----------------------------------------------------------------------------------------------------------------


def instrument_session(session: Session) -> Session:
    """Record each ``tools/call`` of a client session as a tool run, and hand the task to the server; returns the session."""
    call_tool: Any = field(session, "call_tool")
    if callable(call_tool) and not hasattr(call_tool, _DONE):
        setattr(session, "call_tool", _recorded(call_tool))  # noqa: B010 - of this one object
    return session


def _recorded(call_tool: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    takes_meta = "meta" in (parameters_of(call_tool) or ())

    @functools.wraps(call_tool)
    async def recorded(name: str, arguments: Any = None, *args: Any, **kwargs: Any) -> Any:
        here = agentlog.current_operation()
        if isinstance(here, agentlog.ToolRun) and here.name == name:
            # Of an agent framework, or of the client around this session.
            with _carried(here, kwargs, takes_meta) as given:
                return await call_tool(name, arguments, *args, **given)
        with agentlog.tool(name, arguments=arguments, attributes={"mcp.method.name": CALL}) as run:
            with _carried(run, kwargs, takes_meta) as given:
                result = await call_tool(name, arguments, *args, **given)
            _take(run, result)
            return result

    setattr(recorded, _DONE, True)
    return recorded


@contextmanager
def _carried(run: agentlog.Operation, kwargs: dict[str, Any], takes_meta: bool) -> Iterator[dict[str, Any]]:
    """The arguments of a call with the carrier of a run in ``meta``; what the caller put there stays.

    mcp writes the baggage that is current into ``meta``, so where there is any, ours is in it.
    """
    carrier = run.carrier()
    before = after = otel_context.get_current()
    if baggage.get_all(before):
        after = W3CBaggagePropagator().extract(carrier, before)
        otel_context.attach(after)
    try:
        yield {**kwargs, "meta": {**carrier, **(kwargs.get("meta") or {})}} if takes_meta else kwargs
    finally:
        if after is not before and otel_context.get_current() is after:
            otel_context.attach(before)


@quietly
def _take(run: agentlog.ToolRun, result: Any) -> None:
    """Take what a tool gave back; an answer with ``isError`` is a failure."""
    run.result = _readable(result)
    if _is_error(result):
        error = FrameworkError(_message(result))
        if (known := _in_meta(_meta_of(result), ERROR_ID)) is not None and _ID.fullmatch(known):
            # As of an error that passed out of a span inside: the server has recorded it.
            name = f"{type(error).__module__}.{type(error).__qualname__}"
            run.failures = {**(run.failures or {}), (name, str(error)[:200]): (known, None)}
        end(run, error, agentlog.Outcome.FAILED)


_ID = re.compile("[0-9a-z]{8}")


def _is_error(result: Any) -> bool:
    return field(result, "isError") is True or field(result, "is_error") is True


def _message(result: Any) -> str:
    return _text_of(result) or "the tool failed"


def _text_of(result: Any) -> str:
    return "\n".join(found for part in items(result, "content") if (found := text(part, "text")))


def _readable(result: Any) -> Any:
    """The structured answer, the text where it is nothing but text, else its content."""
    for name in ("structuredContent", "structured_content"):
        if (structured := field(result, name)) is not None:
            return structured
    content = items(result, "content")
    return _text_of(result) if all(text(part, "type") == "text" for part in content) else content


# -- server ----------------------------------------------------------------------------------------------------------------


class McpMiddleware:
    """Middleware of an mcp server (from version 2 on): the handler of a ``tools/call`` runs inside the caller's task.

    Without a carrier in ``_meta``, or where that task has ended, it is a task of its own.
    """

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        """Handle one message."""
        if field(ctx, "method") != CALL:
            return await call_next(ctx)
        params = field(ctx, "params")
        with _Served(params, field(ctx, "meta") or field(params, "_meta")) as served:
            result = await call_next(ctx)
            served.take(result)
            return result


def instrument_server(server: Server) -> Server:
    """Have the tools of an mcp server, high-level or low-level, run inside the caller's task; returns the server.

    Of mcp 1 it is the handler that is registered now that is wrapped.
    """
    chain = field(server, "middleware")
    if isinstance(chain, list):
        if not any(isinstance(each, McpMiddleware) for each in chain):
            chain.append(McpMiddleware())
        return server
    handlers = field(field(server, "_mcp_server") or server, "request_handlers")
    for kind, handler in [*handlers.items()] if isinstance(handlers, dict) else []:
        if field(kind, "__name__") == "CallToolRequest" and not hasattr(handler, _DONE):
            handlers[kind] = _handled(handler)
    return server


def _handled(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(handler)
    async def handled(request: Any, *args: Any) -> Any:
        params = field(request, "params")
        with _Served(params, field(params, "meta")) as served:
            result = await handler(request, *args)
            served.take(field(result, "root") or result)
            return result

    setattr(handled, _DONE, True)
    return handled


class _Served:
    """A ``with`` block inside the caller's task, if that is known and open; else in a task of its own."""

    def __init__(self, params: Any, meta: Any) -> None:
        self._name = f"{CALL} {text(params, 'name') or 'tool'}"
        self._input = field(params, "arguments")
        self._carrier = {key: found for key in ("traceparent", "tracestate", "baggage") if (found := _in_meta(meta, key))}
        self._is_own = "agentlog.task_id" not in self._carrier.get("baggage", "")
        self._task = agentlog.task(self._name, resume=self._carrier, strict=True) if not self._is_own else self._own()

    def _own(self) -> agentlog.Task:
        return agentlog.task(self._name, source="mcp", input=self._input, resume=self._carrier or None)

    def __enter__(self) -> _Served:
        try:
            self._task.__enter__()
        except StateError:  # it has ended
            self._carrier.pop("baggage", None)
            self._is_own, self._task = True, self._own()
            self._task.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._task.__exit__(kind, error, traceback)

    @quietly
    def take(self, result: Any) -> None:
        """Take what the handler gave back."""
        if self._is_own:
            self._task.result = _readable(result)
        if _is_error(result):
            error = FrameworkError(_message(result))
            end(self._task, error, agentlog.Outcome.FAILED)
            _tell(result, agentlog.error_id(error))


def _meta_of(result: Any) -> Any:
    return field(result, "_meta") if isinstance(result, Mapping) else field(result, "meta")


def _tell(result: Any, error_id: str | None) -> None:
    """Put the id of its error into an answer; one that cannot be changed goes as it is."""
    known = _meta_of(result)
    if error_id is None or not isinstance(known, (dict, NoneType)):
        return
    meta = {**(known or {}), ERROR_ID: error_id}
    try:
        if isinstance(result, dict):
            result["_meta"] = meta
        else:
            result.meta = meta
    except Exception:  # noqa: BLE001 - an object of a foreign class
        raise_interrupt()


def _in_meta(meta: Any, key: str) -> str | None:
    return text(meta, key) or text(field(meta, "model_extra"), key)

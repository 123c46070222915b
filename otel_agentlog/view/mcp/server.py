"""The server of the Model Context Protocol: the official SDK's `Server` with our tools and resources.

Answers are made in threads, a few at a time; a request that the client cancels is given up at its next look around. What goes
wrong in a tool is an answer with ``isError`` and one sentence.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from mcp import MCPError
from mcp.server import Server, ServerRequestContext
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    TextContent,
    TextResourceContents,
)
from pydantic import ValidationError

from otel_agentlog.errors import AgentlogError, FilterError
from otel_agentlog.settings.version import __version__
from otel_agentlog.view.mcp import resources
from otel_agentlog.view.mcp.context import McpContext, McpRequest, RefusedQuestion
from otel_agentlog.view.mcp.pages import encoded
from otel_agentlog.view.mcp.quoted import NOTICE, quoted
from otel_agentlog.view.mcp.tools import TOOLS, AgentlogTool
from otel_agentlog.vocabulary.terminal_text import safe

THREADS = 4
"""Answers that are made at a time."""

MAX_ERROR = 600
"""Longest message of an error, in characters."""

INSTRUCTIONS = (
    "What agents did, from the record they left: tasks with their steps, AI calls, tool runs, log lines, errors, cost and scores."
    " Begin with list_tasks or search; show_task has one task, read_log what a part of it said, explain_error why it failed,"
    " compare_tasks where two runs part, statistics what it cost. " + NOTICE
)

Context = ServerRequestContext[Any, Any]
T = TypeVar("T")


def make_server(context: McpContext) -> Server[Any]:
    """Return a server that answers about the tasks of a context; it may be run on any transport."""
    limiter = anyio.CapacityLimiter(THREADS)
    tools = {tool.name: tool for tool in TOOLS}

    async def in_thread(ctx: Context, work: Callable[[McpRequest], T]) -> T:
        request = McpRequest(context, client=_client_of(ctx))
        try:
            return await anyio.to_thread.run_sync(partial(work, request), abandon_on_cancel=True, limiter=limiter)
        finally:
            request.cancelled.set()

    async def list_tools(ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[tool.described() for tool in TOOLS if context.allow_writes or not tool.writes])

    async def call_tool(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"expected one of the tools {', '.join(tools)}, found another name")
        return await _answered(tool, params.arguments or {}, partial(in_thread, ctx))

    async def list_resources(ctx: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        offset = _offset(params.cursor if params is not None else None)
        found, following = await in_thread(ctx, lambda request: resources.listed(request, offset))
        return ListResourcesResult(resources=found, next_cursor=None if following is None else str(following))

    async def list_templates(ctx: Context, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
        return ListResourceTemplatesResult(resource_templates=list(resources.TEMPLATES))

    async def read_resource(ctx: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        uri = str(params.uri)
        try:
            text, mime_type = await in_thread(ctx, lambda request: resources.read(request, uri))
        except (AgentlogError, ValidationError, ValueError, OSError) as error:
            raise MCPError(INVALID_PARAMS, _sentence(error)) from None
        return ReadResourceResult(contents=[TextResourceContents(uri=uri, text=text, mime_type=mime_type)])

    return Server(
        "agentlog",
        title="agentlog",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


async def _answered(
    tool: AgentlogTool,
    given: dict[str, Any],
    in_thread: Callable[[Callable[[McpRequest], dict[str, Any]]], Awaitable[dict[str, Any]]],
) -> CallToolResult:
    try:
        arguments = tool.arguments.model_validate(given)
        found = await in_thread(lambda request: tool.run(request, arguments))
    except (AgentlogError, ValidationError, OSError) as error:
        return _failed(f"{tool.name}: {_sentence(error)}")
    except Exception as error:  # noqa: BLE001 - a defect of ours costs one answer and not the server
        print(f"agentlog mcp: {tool.name}: unexpected {type(error).__name__}: {safe(str(error))[:MAX_ERROR]}", file=sys.stderr)
        return _failed(f"{tool.name}: unexpected {type(error).__name__}, a defect of the server; its standard error has more")
    return CallToolResult(content=[TextContent(text=encoded(found))], structured_content=found)


def _failed(sentence: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=sentence)], is_error=True)


def _sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)[:3])
    elif isinstance(error, (RefusedQuestion, FilterError)):
        said = str(error)
    else:
        # It may name a folder, an id or a path in the words of the record.
        return quoted(str(error), MAX_ERROR)
    return safe(said)[:MAX_ERROR]


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 15:
        raise MCPError(INVALID_PARAMS, "cursor: expected nextCursor of the page before")
    return int(cursor)


def _client_of(ctx: Context) -> str | None:
    params = ctx.session.client_params
    return None if params is None else params.client_info.name

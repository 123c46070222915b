"""Calls tools of `mcp_server.py`: ``mcp_client.py ROOT stdio|URL [plain]``; ``plain`` without our integration on either side."""

from __future__ import annotations

import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
from opentelemetry import baggage, context

import otel_agentlog as agentlog
from otel_agentlog.integrations.mcp import instrument_session

SERVER = Path(__file__).with_name("mcp_server.py")


async def connect(stack: AsyncExitStack, root: str, how: str, plain: bool) -> Any:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    if how == "stdio":
        arguments = [str(SERVER), root, "stdio", *(["plain"] if plain else [])]
        parameters = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
        streams: Any = await stack.enter_async_context(stdio_client(parameters))
    else:
        from mcp.client.streamable_http import streamable_http_client

        streams = await stack.enter_async_context(streamable_http_client(how))
    session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
    await session.initialize()
    return session if plain else instrument_session(instrument_session(session))  # twice is once


async def main(root: str, how: str, plain: bool) -> None:
    context.attach(baggage.set_baggage("customer", "acme"))
    async with AsyncExitStack() as stack:
        with agentlog.task("ask", task_id="ask"):
            session = await connect(stack, root, how, plain)
            good = await session.call_tool("get_weather", {"city": "Rome"})
            print(good.content[0].text)
            await session.call_tool("get_weather", {"city": "nope"})
            with anyio.move_on_after(1) as scope:
                await session.call_tool("get_weather", {"city": "hang"})
            assert scope.cancelled_caught, "the cancellation was swallowed"
            if how == "stdio":
                try:
                    await session.call_tool("get_weather", {"city": "kill"})
                except Exception as error:
                    print(type(error).__name__)


if __name__ == "__main__":
    agentlog.configure(
        service_name="client", directory=sys.argv[1], log_directory=sys.argv[1] + "-logs", console="off", capture_logging=False
    )
    anyio.run(main, sys.argv[1], sys.argv[2], "plain" in sys.argv)
    agentlog.shutdown()

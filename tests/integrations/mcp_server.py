"""An MCP server whose tools record: ``mcp_server.py ROOT stdio|PORT [plain]``; ``plain`` without our middleware. mcp 1 and 2."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import anyio

import otel_agentlog as agentlog
from otel_agentlog.integrations.mcp import instrument_server

try:
    from mcp.server import MCPServer as Server
except ImportError:  # mcp 1
    from mcp.server.fastmcp import FastMCP as Server  # type: ignore[no-redef]

server: Any = Server("weather")


@server.tool()  # type: ignore[untyped-decorator]
async def get_weather(city: str) -> str:
    """The weather in a city."""
    agentlog.get_logger("server").info("looking", city=city)
    if city == "nope":
        raise ValueError("no such city")
    if city == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if city == "hang":
        await anyio.sleep(600)
    with agentlog.step("look up"):
        return f"sunny in {city}, says {agentlog.current_task()}"


def main(root: str, how: str, plain: bool) -> None:
    agentlog.configure(
        service_name="server", directory=root, log_directory=root + "-server", console="off", capture_logging=False
    )
    if not plain:
        instrument_server(server)
        instrument_server(server)  # twice is once
    if how == "stdio":
        server.run("stdio")
    else:
        import uvicorn

        uvicorn.run(server.streamable_http_app(), port=int(how), log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], "plain" in sys.argv)

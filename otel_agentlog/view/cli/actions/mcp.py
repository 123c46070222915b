"""``agentlog mcp``: the record for agents, by the Model Context Protocol."""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.listening import DEFAULT_HOST, listen, port_number, token_file_argument
from otel_agentlog.view.render.screen import Piece
from otel_agentlog.vocabulary.terminal_text import safe

if TYPE_CHECKING:
    from mcp.server import Server

    from otel_agentlog.view.backends.wanted import Wanted
    from otel_agentlog.view.mcp.context import McpContext

DEFAULT_PORT = 8322


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "--http",
        type=port_number,
        nargs="?",
        const=DEFAULT_PORT,
        metavar="PORT",
        help=f"serve streamable HTTP on this host's loopback interface (default port {DEFAULT_PORT}, 0: any free one)"
        " instead of standard input and output",
    )
    parser.add_argument("--allow-writes", action="store_true", help="let clients add notes and scores; over HTTP with the token")
    parser.add_argument("--require-token", action="store_true", help="over HTTP: ask for the token to read too")
    token_file_argument(parser)
    parser.add_argument("--skill", action="store_true", help="print the skill file for coding agents, and do nothing else")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Serve until the client goes away, or Ctrl-C."""
    if options.skill:
        print(skill(), end="")
        return 0
    try:
        from otel_agentlog.view.mcp.server import make_server
        from otel_agentlog.view.mcp.serving import serve_stdio

        server = make_server(_context(options, context))
        if options.http is not None:
            return _serve_http(server, options, context)
    except ImportError as error:
        if (error.name or "").startswith("otel_agentlog"):
            raise
        found = "no package" if isinstance(error, ModuleNotFoundError) else "another version of"
        raise ConfigurationError("mcp", f"{found} {error.name}", "the extra 'mcp': pip install 'otel_agentlog[mcp]'") from None
    if sys.stdin.isatty():
        print("Waiting for a client on standard input; docs/mcp.md has what to configure. Ctrl-C ends it.", file=sys.stderr)
    serve_stdio(server)
    return 0


def skill() -> str:
    """The skill file for coding agents; needs no extra."""
    return files("otel_agentlog.view.mcp").joinpath("SKILL.md").read_text(encoding="utf-8")


def _context(options: argparse.Namespace, context: CliContext) -> McpContext:
    from otel_agentlog.view.mcp.context import McpContext

    if options.source is None:
        root = context.root
        return McpContext(lambda wanted: root, allow_writes=options.allow_writes)
    if options.allow_writes:
        raise ConfigurationError("--allow-writes: expected folders, as nothing is written to a backend, found --from")
    from otel_agentlog.view.backends.clickhouse import ClickHouse
    from otel_agentlog.view.backends.folders import bring
    from otel_agentlog.view.cli.source import cache_folder

    source, cache = ClickHouse(options.source), cache_folder()

    def brought(wanted: Wanted) -> Path:
        return bring(source, cache, wanted)

    return McpContext(brought)


def _serve_http(server: Server[Any], options: argparse.Namespace, context: CliContext) -> int:
    from otel_agentlog.view.mcp.serving import HttpServer
    from otel_agentlog.view.server.access import FILE_NAME, read_or_make_token

    token_file = None
    if options.allow_writes or options.require_token:
        token_file = (options.token_file or context.root / FILE_NAME).absolute()
    token = None if token_file is None else read_or_make_token(token_file)
    http = HttpServer(server, listen(DEFAULT_HOST, options.http, "--http"), token=token)
    if options.json:
        print_json({"url": http.url, "token_file": None if token_file is None else str(token_file)})
    else:
        screen = context.screen()
        screen.line(Piece("MCP at ", "dim"), Piece(http.url, "id"))
        if token_file is not None:
            screen.line(Piece(f"Clients send Authorization: Bearer and the token in {safe(str(token_file))}.", "dim"))
        screen.line(Piece("Ctrl-C ends it.", "dim"))
        screen.flush()
    http.run()
    return 0

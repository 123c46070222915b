"""``agentlog serve``: the REST interface and the web page, by default for this host alone."""

from __future__ import annotations

import argparse
import ipaddress
import sys
import webbrowser
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from otel_agentlog.view.cli.actions.collect import GRPC_PORT, PORT, EndSignals, begin, collect_arguments, end, show, where
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.listening import DEFAULT_HOST, is_loopback, listen, needs_server, port_number, token_file_argument
from otel_agentlog.view.render.screen import Piece
from otel_agentlog.vocabulary.terminal_text import safe

if TYPE_CHECKING:
    from otel_agentlog.view.server.serving import AppServer

DEFAULT_PORT = 8321


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--host", default=DEFAULT_HOST, metavar="ADDRESS", help=f"where to listen (default {DEFAULT_HOST})")
    parser.add_argument(
        "--port",
        "--http-port",
        type=port_number,
        default=DEFAULT_PORT,
        metavar="N",
        help=f"on which port (default {DEFAULT_PORT}, 0: any free one)",
    )
    parser.add_argument(
        "--ws-port", type=port_number, metavar="N", help="taken, and not used: the WebSocket is on the same port as all else"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser of this host")
    token_file_argument(parser)
    parser.add_argument(
        "--require-token", action="store_true", help="ask for the token to read too; always so where other hosts can connect"
    )
    parser.add_argument(
        "--allow-control", action="store_true", help="let holders of the token pause, resume and cancel tasks and add context"
    )
    parser.add_argument("--collect", action="store_true", help="receive and file by OTLP meanwhile, as `agentlog collect` does")
    for name, number in (("port", PORT), ("grpc-port", GRPC_PORT)):
        parser.add_argument(
            f"--collect-{name}", type=port_number, default=number, metavar="N", help=f"of --collect (default {number})"
        )
    collect_arguments(parser)
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which browsers may ask, besides localhost; may be given several times",
    )


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    with needs_server("serve"):
        from otel_agentlog.view.server.serving import AppServer
    server = AppServer(
        context.root,
        listener=listen(options.host, options.port),
        token_file=options.token_file,
        reads_need_token=options.require_token or not is_loopback(options.host),
        allow_control=options.allow_control,
        allow_hosts=[*options.allow_host, *_name_of(options.host)],
        trace_url=context.trace_url,
    )
    if options.collect:
        return _serve_and_collect(server, options, context)
    _serve(server, options, context, {})
    return 0


def _serve_and_collect(server: AppServer, options: argparse.Namespace, context: CliContext) -> int:
    listener = listen(options.host, options.collect_port, "--collect-port")
    with EndSignals():
        receiver = begin(options, context, listener, options.collect_grpc_port, "--collect-grpc-port")
        try:
            if not options.json:
                show(receiver, options, context)
            _serve(server, options, context, {"collect": where(receiver)})
        finally:
            code = end(receiver, options, context)
    return code


def _serve(server: AppServer, options: argparse.Namespace, context: CliContext, more: Mapping[str, Any]) -> None:
    _print(server, options, context, more)
    if options.open:
        _open_page(server.page_url)
    server.run()


def _print(server: AppServer, options: argparse.Namespace, context: CliContext, more: Mapping[str, Any]) -> None:
    if options.json:
        print_json({"url": server.url, "root": str(context.root), "token_file": str(server.token_file), **more})
        return
    screen = context.screen()
    screen.line(Piece("Serving ", "dim"), Piece(safe(str(context.root)), "title"), Piece(" at"))
    screen.line(Piece("  "), Piece(server.page_url if sys.stdout.isatty() else server.url, "id"))
    screen.line(
        Piece(f"The token is in {safe(str(server.token_file))}; behind # in the URL it lets the page do what needs it.", "dim")
    )
    if not options.allow_control:
        screen.line(Piece("Tasks can be looked at, not controlled (--allow-control).", "dim"))
    screen.line(Piece("Ctrl-C ends it.", "dim"))
    screen.flush()


def _open_page(url: str) -> None:
    """Show the page in a browser; the socket listens already, so its first request waits for the server."""
    if not webbrowser.open(url):
        print(f"no browser was found to open {safe(url)} in", file=sys.stderr)


def _name_of(host: str) -> list[str]:
    """The host name that clients use for an address; none for ``0.0.0.0`` and ``::``."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return [host]
    if address.is_unspecified:
        return []
    return [f"[{address}]" if address.version == 6 else str(address)]

"""``agentlog collect``: receive what programs of any language send by OTLP, and file it."""

from __future__ import annotations

import argparse
import signal
import socket
import sqlite3
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import AgentlogError
from otel_agentlog.settings.parsers import size
from otel_agentlog.tools.collect import HOME
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.listening import DEFAULT_HOST, is_loopback, listen, needs_server, port_number
from otel_agentlog.view.cli.options import interval_s
from otel_agentlog.view.cli.values import read_by
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import Piece
from otel_agentlog.vocabulary.terminal_text import safe

if TYPE_CHECKING:
    from otel_agentlog.view.collect.receiver import Receiver

PORT, GRPC_PORT = 4318, 4317
"""Of OTLP."""

_size = read_by(partial(size, "size"))

_ENDS = (signal.SIGINT, signal.SIGTERM)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--host", default=DEFAULT_HOST, metavar="ADDRESS", help=f"where to listen (default {DEFAULT_HOST})")
    parser.add_argument("--port", type=port_number, default=PORT, metavar="N", help=f"for http (default {PORT}, 0: any free one)")
    parser.add_argument("--grpc-port", type=port_number, default=GRPC_PORT, metavar="N", help=f"for gRPC (default {GRPC_PORT})")
    parser.add_argument("--no-grpc", action="store_true", help="do not speak gRPC")
    collect_arguments(parser)


def collect_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `serve` has, too."""
    parser.add_argument("--forward", metavar="URL", help="send on to a further collector what comes, as it comes, not redacted")
    parser.add_argument("--wait", type=interval_s, default=30.0, metavar="S", help="seconds to wait for a root span (30)")
    parser.add_argument("--max-body", type=_size, metavar="SIZE", help="longest body of a request, such as 64MB (16MiB)")
    parser.add_argument("--max-spool", type=_size, metavar="SIZE", help="most that waits on disk; then senders wait (4GiB)")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Receive until Ctrl-C or SIGTERM; 1 if something could not be filed."""
    listener = listen(options.host, options.port)
    grpc_port = None if options.no_grpc else options.grpc_port
    with EndSignals() as ending:
        receiver = begin(options, context, listener, grpc_port)
        if options.json:
            print_json({**where(receiver), "root": str(context.root), "forward": options.forward})
        else:
            show(receiver, options, context)
            print("Ctrl-C ends it.", flush=True)
        ending.wait()
        return end(receiver, options, context)


class EndSignals:
    """A block in which signals that end a program are noted; a second one ends it at once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> EndSignals:
        for number in _ENDS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        signal.signal(number, self._before[number])
        self._event.set()

    def wait(self) -> None:
        """Wait for one."""
        while not self._event.wait(1.0):
            pass


def begin(
    options: argparse.Namespace,
    context: CliContext,
    listener: socket.socket,
    grpc_port: int | None,
    grpc_option: str = "--grpc-port",
) -> Receiver:
    """Begin to receive. Raises `AgentlogError`, `OSError`; ``grpc_option`` is the option that has ``grpc_port``."""
    if grpc_port is not None:
        listen(options.host, grpc_port, grpc_option).close()
    with needs_server("collect"):
        from otel_agentlog.view.collect.filer import settings_of
        from otel_agentlog.view.collect.receiver import Options, Receiver
    limits = {"max_body_bytes": options.max_body, "max_spool_bytes": options.max_spool}
    wanted = Options(
        host=options.host,
        grpc_port=grpc_port,
        forward=options.forward,
        wait_s=options.wait,
        **{key: value for key, value in limits.items() if value is not None},
    )
    try:
        return Receiver(context.root, settings_of(context.root), listener, wanted, say)
    except BaseException as error:
        raise_interrupt()
        listener.close()
        if isinstance(error, sqlite3.Error):
            raise AgentlogError(spool_problem(context.root, error)) from None
        raise


def spool_problem(root: Path, error: sqlite3.Error | OSError) -> str:
    """What is wrong with the spool below a root, and what can be done."""
    if isinstance(error, OSError):
        return str(error)
    advice = f"Where it is damaged move {root / HOME} away, and keep it: it may have parts of tasks"
    return f"{root / HOME / 'spool.db'}: cannot be used ({error}). {advice}"


def say(text: str) -> None:
    """Print a line for people."""
    print(f"agentlog collect: {safe(text)}", file=sys.stderr, flush=True)


def end(receiver: Receiver, options: argparse.Namespace, context: CliContext) -> int:
    """File everything and print what was done; the exit code."""
    filed = receiver.stop()
    if options.json:
        print_json({"root": str(context.root), **_as_json(receiver), "filed": filed})
    else:
        print(_summary(receiver, filed))
    if filed is None:
        say("not everything was filed; the next `agentlog collect` or `agentlog recover` goes on")
        return 1
    for key, problem in filed["problems"].items():
        say(f"{key} is kept in the spool: {problem}")
    return 1 if filed["problems"] else 0


def _as_json(receiver: Receiver) -> dict[str, Any]:
    counts = receiver.counts
    return {
        "requests": counts.requests,
        "spans": counts.items["traces"],
        "log_records": counts.items["logs"],
        "data_points": counts.items["metrics"],
        "doubled": counts.doubled,
        "rejected": counts.rejected,
        "redacted": counts.redacted,
        "refused_requests": counts.refused,
        "forwarded": receiver.forwarding.sent if receiver.forwarding is not None else None,
    }


def _summary(receiver: Receiver, filed: dict[str, Any] | None) -> str:
    items = receiver.counts.items
    said = [
        f"{formats.count(items['traces'], 'span')}, {formats.count(items['logs'], 'log record')}, "
        f"{formats.count(items['metrics'], 'data point')} came"
    ]
    said += [formats.count(filed["tasks"], "task") + " filed"] if filed is not None else []
    counts = receiver.counts
    others = {
        "sent twice": counts.doubled,
        "unusable": counts.rejected,
        "secrets redacted": counts.redacted,
        "requests refused": counts.refused,
    }
    said += [f"{number:,} {what}" for what, number in others.items() if number]
    said += [f"{receiver.forwarding.sent:,} requests forwarded"] if receiver.forwarding is not None else []
    return "; ".join(said)


def where(receiver: Receiver) -> dict[str, Any]:
    """The URLs, for programs."""
    return {"url": receiver.url, "grpc_url": receiver.grpc_url}


def show(receiver: Receiver, options: argparse.Namespace, context: CliContext) -> None:
    """Print where it listens."""
    screen = context.screen()
    screen.line(Piece("Collecting", "title"), Piece(f" below {safe(str(context.root))} what comes to", "dim"))
    screen.line(Piece("  "), Piece(receiver.url, "id"), Piece("  http/protobuf, http/json", "dim"))
    if receiver.grpc_url is not None:
        screen.line(Piece("  "), Piece(receiver.grpc_url, "id"), Piece("  gRPC", "dim"))
    if not is_loopback(options.host):
        screen.line(Piece("Any client that can connect there can send: there is no token.", "bad"))
    if options.forward:
        screen.line(Piece(f"and sending it on to {safe(options.forward)}, as it comes", "dim"))
    screen.flush()

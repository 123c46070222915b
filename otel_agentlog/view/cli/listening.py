"""Where a command listens, and to whom: its options, and the socket."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.vocabulary.terminal_text import given_path

DEFAULT_HOST = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether only this host can connect to an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """A listening socket, made here so that a port in use is an error of the command line, and the port is known if it was 0.

    Raises `ConfigurationError`; ``option`` is the one that has the port.
    """
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except (OSError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            expected = f"a free port at {host}: {option} 0 takes a free one"
            raise ConfigurationError(option.removeprefix("--"), port, expected) from None
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError("host", f"{host} port {port}", f"an address to listen on ({why})") from None
    return listener


def token_file_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where the token is."""
    parser.add_argument(
        "--token-file",
        type=lambda name: Path(given_path(name)),
        metavar="FILE",
        help="keeps the token; made, readable by you alone, if it is not there (default: .server-token below the root)",
    )


@contextmanager
def needs_server(command: str) -> Iterator[None]:
    """A block that imports what is of the extra ``server``; raises `ConfigurationError` where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("otel_agentlog"):
            raise
        found, expected = f"no package {error.name}", "the extra 'server': pip install 'otel_agentlog[server]'"
        raise ConfigurationError(command, found, expected) from None


def port_number(text: str) -> int:
    """A port of TCP; 0 is any free one."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {text!r}")
    return int(text)

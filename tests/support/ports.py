"""Hides where test servers listen: free TCP ports on the loopback interface."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

LOOPBACK = "127.0.0.1"


_BELOW_CLIENTS = range(15_000, 32_000)
"""Below the ports that Linux gives to clients, which could take one before the server that it is meant for listens."""


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago and differ from each other."""
    found: list[int] = []
    choose = random.SystemRandom()  # other workers must not choose the same, however `random` is seeded
    while len(found) < count:
        port = choose.choice(_BELOW_CLIENTS)
        with socket.socket() as listener, suppress(OSError):
            listener.bind((LOOPBACK, port))
            found += [port] if port not in found else []
    return found


def accepts(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex((LOOPBACK, port)) == 0

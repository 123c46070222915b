"""``watched.py FILE PROGRAM …`` runs a program, and writes down each host that it connects to or asks the address of."""

from __future__ import annotations

import runpy
import sys
from typing import Any

HOSTS = open(sys.argv[1], "a", buffering=1)  # noqa: SIM115 - open until the end


def note(event: str, given: tuple[Any, ...]) -> None:
    """An audit hook."""
    if event in ("socket.connect", "socket.sendto"):
        HOSTS.write(f"{given[1][0] if isinstance(given[1], tuple) else given[1]}\n")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        HOSTS.write(f"{given[0]}\n")


sys.addaudithook(note)
sys.argv[:] = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")

"""Hides how a large task that goes on is not read from its first line whenever it has one line more.

Who looks every second would do nothing else. What is known of it is then a little older than its lines; that it ended is seen
at once, as that changes its whole files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from otel_agentlog.store.layout import AGENT_OUTPUT, FINAL_RESULT, METADATA

LARGE_BYTES = 1 << 20
"""Size of a task's lines from which on this matters."""

PAUSE = 10
"""It is read again after so many times the time that reading it took."""

_Mark = tuple[tuple[int, int, int], ...]


class Pace:
    """When which task was read. For one thread at a time."""

    def __init__(self) -> None:
        self._not_before: dict[bytes, tuple[float, _Mark]] = {}

    @contextmanager
    def reading(self, name: bytes, path: str) -> Iterator[None]:
        """Note how long it takes to read a task."""
        mark, began = _mark(path), time.monotonic()
        yield
        now = time.monotonic()
        if _size(path) > LARGE_BYTES:
            self._not_before[name] = (now + PAUSE * (now - began), mark)

    def is_due(self, name: bytes, path: str) -> bool:
        """Whether a task that changed is to be read now."""
        until, mark = self._not_before.get(name, (0.0, ()))
        return time.monotonic() >= until or _mark(path) != mark

    def keep(self, names: Iterable[bytes]) -> None:
        """Forget all but these."""
        if self._not_before:
            known = set(names)
            self._not_before = {name: found for name, found in self._not_before.items() if name in known}


def _mark(path: str) -> _Mark:
    """What changes when a task begins, pauses or ends."""
    return tuple(_status(f"{path}/{name}") for name in (METADATA, FINAL_RESULT))


def _status(path: str) -> tuple[int, int, int]:
    try:
        found = os.lstat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _size(path: str) -> int:
    return _status(f"{path}/{AGENT_OUTPUT}")[1]

"""Whether a task's folder changed, found without opening any file, and when one that always changes is to be read again."""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FINAL_RESULT, GZIP_SUFFIX, INPUT, METADATA, WEBHOOK_FLOW

NO_FOLDER = 0
"""Signature of what is not there or is no folder."""

_FILES = (METADATA, FINAL_RESULT, AGENT_OUTPUT, AGENT_OUTPUT + GZIP_SUFFIX)
_REST = (INPUT, INPUT + GZIP_SUFFIX, WEBHOOK_FLOW, WEBHOOK_FLOW + GZIP_SUFFIX)
_ABSENT = (0, 0, 0)


def signature(path: str, *, live: bool = False) -> int:
    """A number that changes when a task's files do; for a `live` task those that an ended one never changes count, too."""
    values = [value for name in (_FILES + _REST if live else _FILES) for value in _status(f"{path}/{name}")]
    if not any(values):
        return NO_FOLDER
    digest = hashlib.blake2b(struct.pack(f"{len(values)}Q", *(value & (2**64 - 1) for value in values)), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1


def _status(path: str) -> tuple[int, int, int]:
    """Inode, size and time of a file."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return _ABSENT
    except OSError:
        raise_interrupt()
        return _ABSENT
    return found.st_ino, found.st_size, found.st_mtime_ns


LARGE_BYTES = 1 << 20
"""Size of a task's lines from which on reading it is throttled."""

PAUSE = 10
"""Then it is read again after so many times the time that reading it took."""

_Mark = tuple[tuple[int, int, int], ...]


class Throttle:
    """Keeps a large task that goes on from being read from its first line whenever it has one line more.

    Its row is then a little older than its lines; that it paused or ended is found at once, as that changes its
    whole files. For one thread at a time.
    """

    def __init__(self) -> None:
        self._not_before: dict[bytes, tuple[float, _Mark]] = {}

    @contextmanager
    def reading(self, name: bytes, path: str) -> Iterator[None]:
        """Measure how long it takes to read a task."""
        mark, began = _mark(path), time.monotonic()
        yield
        now = time.monotonic()
        if _status(f"{path}/{AGENT_OUTPUT}")[1] > LARGE_BYTES:
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
    """Changes when a task begins, pauses or ends."""
    return tuple(_status(f"{path}/{name}") for name in (METADATA, FINAL_RESULT))

"""Hides how one sees, without opening anything, whether a task's folder says what it said before."""

from __future__ import annotations

import hashlib
import os
import struct

from otel_agentlog.store.layout import AGENT_OUTPUT, FINAL_RESULT, GZIP_SUFFIX, INPUT, METADATA, WEBHOOK_FLOW

_FILES = (METADATA, FINAL_RESULT, AGENT_OUTPUT, AGENT_OUTPUT + GZIP_SUFFIX)
_REST = (INPUT, INPUT + GZIP_SUFFIX, WEBHOOK_FLOW, WEBHOOK_FLOW + GZIP_SUFFIX)
NO_FOLDER = 0
"""Signature of what is not there or is no folder."""


def signature(path: str, *, live: bool = False) -> int:
    """A number that changes when a task's files do; of one that is `live` those that change no more are looked at too."""
    values: list[int] = []
    for name in _FILES + _REST if live else _FILES:
        try:
            found = os.lstat(f"{path}/{name}")
        except OSError:
            values += (0, 0, 0)
        else:
            values += (found.st_ino, found.st_size, found.st_mtime_ns)
    if not any(values):
        return NO_FOLDER
    digest = hashlib.blake2b(struct.pack(f"{len(values)}Q", *(value & (2**64 - 1) for value in values)), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1

"""Which files were imported, as they are now: a small file each below ``<root>/.imports/known/``. It is a cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import orjson

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.folder.layout import FILE_MODE, FOLDER_MODE
from otel_agentlog.tools.imports.readers.rows import Rows

VERSION = 2
"""Of the readers: where they change what they make of a file, it is imported anew."""


class KnownFiles:
    """The files that were imported into one root."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "known"
        self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def is_unchanged(self, path: Path) -> bool:
        """Whether a file is as it was when it was imported. Raises `OSError`."""
        status = os.stat(path)
        try:
            found = orjson.loads(self._note(path).read_bytes())
        except (OSError, ValueError):
            raise_interrupt()
            return False
        return bool(found == _state(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))

    def add(self, rows: Rows) -> None:
        """Note that a file was imported, as it was when it was opened, or looked at last. Raises `OSError`."""
        note = self._note(rows.path)
        new = note.with_suffix(f".{os.getpid()}")
        descriptor = system.open(new, system.UPDATE | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        with open(descriptor, "wb") as file:
            file.write(orjson.dumps(_state(*rows.identity, rows.size_bytes, rows.modified_ns)))
        system.rename(new, note)

    def _note(self, path: Path) -> Path:
        return self._folder / hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]


def _state(*numbers: int) -> dict[str, int]:
    return dict(zip(("device", "inode", "size", "modified_ns"), numbers, strict=True)) | {"version": VERSION}

"""What becomes of rotated application logs: how they are called, when they are compressed, when they are deleted."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from otel_agentlog.store.descriptors import Descriptor
from otel_agentlog.store.layout import FILE_MODE, GZIP_SUFFIX
from otel_agentlog.store.locks import Lock, lock_exclusively

RELEASE_WAIT_S = 3.0
"""Longest time, in seconds, to wait for other writers to leave a rotated file; after that it is compressed another time."""

_CHUNK_BYTES = 256 * 1024


class Archive:
    """The files ``<stem>.<day>.<n>.jsonl`` and ``.jsonl.gz`` of a folder. Safe from any thread, and for several processes."""

    def __init__(self, directory: Path, stem: str, keep_days: int, clock: Callable[[], float]) -> None:
        self._directory, self._stem, self._keep_days, self._clock = directory, stem, keep_days, clock
        self._pattern = re.compile(rf"{re.escape(stem)}\.(\d{{4}}-\d\d-\d\d)\.(\d{{1,9}})\.jsonl(\.gz)?", re.ASCII)
        self._tidying, self._untidy = threading.Lock(), False

    def names(self) -> list[str]:
        """The rotated files there are."""
        try:
            with os.scandir(self._directory) as entries:
                return sorted(e.name for e in entries if self._pattern.fullmatch(e.name) and e.is_file(follow_symlinks=False))
        except OSError:
            return []

    def free_name(self, day: str) -> str:
        """The name of the next file of a day."""
        taken = [int(match[2]) for name in self.names() if (match := self._pattern.fullmatch(name)) and match[1] == day]
        return f"{self._stem}.{day}.{max(taken, default=0) + 1}.jsonl"

    def tidy_later(self) -> None:
        """Tidy in a thread of its own, if there is anything to look at."""
        try:
            if self.names():
                threading.Thread(target=self.tidy, name="agentlog-tidy", daemon=True).start()
        except RuntimeError:
            pass  # no more threads, or the interpreter is ending: the next start tries again

    def tidy(self) -> None:
        """Compress files nobody writes to and delete those that are too old. Raises nothing."""
        self._untidy = True
        while self._untidy and self._tidying.acquire(blocking=False):
            self._untidy = False
            try:
                for name in self.names():
                    self._tidy_one(name)
            finally:
                self._tidying.release()

    def forget(self) -> None:
        """In the child of a fork: the thread that tidies is not here."""
        self._tidying, self._untidy = threading.Lock(), False

    def _tidy_one(self, name: str) -> None:
        path = self._directory / name
        try:
            status = os.stat(path, follow_symlinks=False)
            if status.st_mtime < self._clock() - self._keep_days * 86_400:
                os.unlink(path)
            elif not name.endswith(GZIP_SUFFIX):
                _compress(path)
        except OSError:
            pass  # another process was faster, or the disk is full: nothing is lost, and the next start or rotation tries again


def _compress(path: Path) -> None:
    """Replace a file by its gzip, unless somebody still writes to it.

    At every moment one of the two is complete; if both are there, the plain one is the one to read.
    """
    plain = Descriptor(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
    if lock_exclusively(plain, RELEASE_WAIT_S) is not Lock.OURS or not _is_same(plain, path):
        return
    packed = path.with_name(path.name + GZIP_SUFFIX)
    # One name for all: the lock lets only one of us be here, and what a killed one left is overwritten.
    temp = path.with_name(f".{path.name}.tmp")
    status = os.fstat(plain.fd)
    try:
        _write_gzip(plain, temp)
        os.utime(temp, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.rename(temp, packed)
    except OSError:
        temp.unlink(missing_ok=True)
        raise
    os.unlink(path)


def _is_same(file: Descriptor, path: Path) -> bool:
    status, named = os.fstat(file.fd), os.stat(path, follow_symlinks=False)
    return (status.st_dev, status.st_ino) == (named.st_dev, named.st_ino)


def _write_gzip(plain: Descriptor, temp: Path) -> None:
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(fd, "wb") as raw:
        with open(plain.fd, "rb", closefd=False) as source, gzip.GzipFile(fileobj=raw, mode="wb", filename="") as packed:
            shutil.copyfileobj(source, packed, _CHUNK_BYTES)
        raw.flush()
        os.fsync(raw.fileno())

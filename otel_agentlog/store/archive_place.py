"""Hides one directory in which files are compressed: opening, creating, naming, with nothing followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from otel_agentlog.errors import LayoutError
from otel_agentlog.store.descriptors import Descriptor
from otel_agentlog.store.layout import FILE_MODE, GZIP_SUFFIX, LINE_FILES
from otel_agentlog.store.locks import BRIEF_WAIT_S, Lock, lock_exclusively
from otel_agentlog.store.streams import CHUNK_BYTES, stream

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class InUseError(Exception):
    """Somebody holds the folder; what is done so far is whole."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A file as it was when it was opened."""

    name: str
    file: Descriptor
    status: os.stat_result

    @property
    def size_bytes(self) -> int:
        """Its size, then."""
        return self.status.st_size

    def chunks(self) -> Iterator[bytes]:
        """Its bytes, as many as there were."""
        position = 0
        while chunk := os.pread(self.file.fd, min(CHUNK_BYTES, self.size_bytes - position), position):
            position += len(chunk)
            yield chunk


@dataclass(frozen=True, slots=True)
class Place:
    """A task's folder, or its ``artifacts/``."""

    path: Path
    directory: Descriptor
    task_folder: Descriptor
    """The folder whose lock says who is at work."""
    prefix: str = ""
    """How its files are called seen from the task's folder."""

    def open(self, name: str) -> Plain:
        """Open a plain file of ours. Raises `LayoutError` for anything else, `OSError`."""
        file = Descriptor(os.open(name, _READ, dir_fd=self.directory.fd))
        status = os.fstat(file.fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid != os.geteuid():
            raise LayoutError("changed meanwhile")
        return Plain(name, file, status)

    def is_unchanged(self, plain: Plain) -> bool:
        """Whether the file of that name is still the one that was opened, byte for byte."""
        try:
            now = os.stat(plain.name, dir_fd=self.directory.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return _identity(now) == _identity(plain.status)

    def packed_bytes(self, name: str) -> int | None:
        """Size of the compressed file beside a plain one; ``None`` without one. Raises `LayoutError` for anything odd."""
        try:
            status = os.stat(name + GZIP_SUFFIX, dir_fd=self.directory.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise LayoutError(f"beside a {name}{GZIP_SUFFIX} that is not ours")
        return status.st_size

    def is_whole(self, plain: Plain) -> bool:
        """Whether a plain file says all there is to say; else the compressed one beside it holds earlier lines.

        Raises:
            LayoutError: the compressed one cannot be read to its end.
        """
        if self.packed_bytes(plain.name) is None or plain.name not in LINE_FILES:
            # Whole files and artifacts are replaced, not appended to: the plain one is the latest.
            return True
        return sum(map(len, self.content(plain.name))) == plain.size_bytes

    def content(self, name: str) -> Iterator[bytes]:
        """What readers read under a name: the compressed part and the plain one. Raises like `is_whole`."""
        problems: list[str] = []
        yield from stream(self.path, name, problems.append)
        if problems:
            raise LayoutError(f"cannot be read to its end: {problems[0]}")

    def create(self, temp: str) -> Descriptor:
        """Make an empty file, in the place of one that somebody who was killed left."""
        self.remove(temp)
        file = Descriptor(os.open(temp, _CREATE, FILE_MODE, dir_fd=self.directory.fd))
        os.fchmod(file.fd, FILE_MODE)
        return file

    def rename(self, temp: str, name: str) -> None:
        """Give a file its name, in the place of whatever has it."""
        os.rename(temp, name, src_dir_fd=self.directory.fd, dst_dir_fd=self.directory.fd)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            os.unlink(name, dir_fd=self.directory.fd)
        except FileNotFoundError:
            pass

    def alone(self) -> Descriptor:
        """Have the task to ourselves until the result is closed. Raises `InUseError`."""
        # Opened anew, as a lock belongs to what was opened, and closing it must not close the folder.
        lock = Descriptor(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.task_folder.fd))
        if lock_exclusively(lock, BRIEF_WAIT_S) is not Lock.OURS:
            raise InUseError
        return lock


def finish(file: Descriptor, status: os.stat_result) -> None:
    """Give a new file the times of an old one and wait until the disk has it."""
    os.utime(file.fd, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.fsync(file.fd)


def write_all(file: Descriptor, data: bytes) -> None:
    """Append bytes, all of them. Raises `OSError`."""
    view = memoryview(data)
    while view:
        view = view[os.write(file.fd, view) :]


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_nlink

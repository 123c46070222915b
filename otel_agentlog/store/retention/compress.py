"""Compresses the files of a finished task, without a moment in which neither the plain nor the compressed file is complete.

For each file: write and check ``.<name>.gz.pack.tmp``, wait for the disk, rename it to ``<name>.gz``, wait again, and with the
folder to ourselves delete the plain file if it is still the one that was packed. Readers can read every state between: where
the plain file begins with all that the compressed one holds, they read the plain one.

A line that comes later makes the plain file anew, and readers read the compressed one first. The next compression makes one plain
file of the two before it packs: a compressed file with those lines beside a plain one that has them too would be read as both.

Gzip is deterministic, written in constant memory, and never tighter than readers unpack: a file of one byte repeated would
become a thousandth of its size, which a reader must take for a bomb. Such stretches are stored as they are, in a gzip member of
their own.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from pathlib import Path
from typing import TypeAlias

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import LayoutError
from otel_agentlog.store.folder.files import Descriptor, open_directory
from otel_agentlog.store.folder.layout import ARTIFACTS, FILE_MODE, GZIP_SUFFIX, LINE_FILES, temp_name
from otel_agentlog.store.folder.line_stream import CHUNK_BYTES, FREE_GZIP_BYTES, MAX_GZIP_RATIO, stream
from otel_agentlog.store.folder.locks import BRIEF_WAIT_S, Lock, lock_exclusively
from otel_agentlog.store.retention.survey import list_contents, under_preparation, worth_packing

BATCH = 32
"""How many files are packed before the disk is waited for and their plain ones go."""

LEVEL = 6

# Half of what readers accept, because what is in the compressor's own buffers is not counted yet.
_TIGHTEST = MAX_GZIP_RATIO // 2
_FREE_BYTES = FREE_GZIP_BYTES // 2
_GZIP = 31
"""``wbits`` for gzip with the largest window."""

_CREATE = system.UPDATE | os.O_CREAT | os.O_EXCL

__all__ = ["Compression", "InUseError", "OutOfTimeError", "compress", "measure"]


class InUseError(Exception):
    """A process is at work in the folder; what is done so far is whole."""


class OutOfTimeError(Exception):
    """The time for this run is spent; what is done so far is whole."""


@dataclass(slots=True)
class Compression:
    """What was done with one task's files."""

    files: list[str] = field(default_factory=list)
    """Those that were packed, artifacts with their folder."""
    before_bytes: int = 0
    """Their size, plain and compressed parts together, with what a killed run had prepared."""
    after_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    """What was left as it is, with the reason."""


@dataclass(frozen=True, slots=True)
class _Packed:
    """One file and what it became, or would become."""

    plain: PlainFile
    before_bytes: int
    after_bytes: int
    temp: str | None
    """The new file under its first name; ``None`` if the plain one has nothing that is not compressed already."""


_Work: TypeAlias = "Callable[[TaskDirectory, str, Callable[[], bool]], _Packed]"


def measure(path: Path, folder: Descriptor, spent: Callable[[], bool], done: Compression) -> None:
    """Note in `done` what `compress` would do now, to the byte, without writing anything. Raises `OutOfTimeError`, `OSError`."""
    for place, names, stale in _places(path, folder):
        done.before_bytes += sum(stale.values())
        for name in names:
            packed = _attempt(_measured, place, name, spent, done)
            if packed is not None:
                _note(done, place, packed)


def compress(path: Path, folder: Descriptor, spent: Callable[[], bool], done: Compression) -> None:
    """Compress what is worth it in a task's folder; `done` gets what was compressed, also where this raises.

    ``path`` is where ``folder`` is; ``spent()`` is called between pieces of 256 KiB.

    Raises:
        InUseError: a process is at work in the folder.
        OutOfTimeError: ``spent()`` was true.
        OSError: the folder cannot be read, or the disk did not take it.
    """
    for place, names, stale in _places(path, folder):
        for name, size in stale.items():
            place.remove(name)
            done.before_bytes += size
        for start in range(0, len(names), BATCH):
            _compress_batch(place, names[start : start + BATCH], spent, done)


def _places(path: Path, folder: Descriptor) -> Iterator[tuple[TaskDirectory, list[str], dict[str, int]]]:
    """Each directory of a task with the files to pack and, with their sizes, those that a killed process had begun."""
    files, prefix = list_contents(folder).files, f"{ARTIFACTS}/"
    names, stale = worth_packing(files), {name: files[name].st_size for name in under_preparation(files)}
    yield (
        TaskDirectory(path, folder, folder),
        [name for name in names if not name.startswith(prefix)],
        {name: size for name, size in stale.items() if not name.startswith(prefix)},
    )
    if any(name.startswith(prefix) for name in (*names, *stale)):
        yield (
            TaskDirectory(path / ARTIFACTS, open_directory(ARTIFACTS, folder), folder, prefix),
            [name.removeprefix(prefix) for name in names if name.startswith(prefix)],
            {name.removeprefix(prefix): size for name, size in stale.items() if name.startswith(prefix)},
        )


def _attempt(work: _Work, place: TaskDirectory, name: str, spent: Callable[[], bool], done: Compression) -> _Packed | None:
    try:
        return work(place, name, spent)
    except LayoutError as error:
        done.problems.append(f"{place.prefix}{name}: {error}")
    except OSError as error:
        raise_interrupt()
        done.problems.append(f"{place.prefix}{name}: an error: {error.strerror}")
    return None


def _note(done: Compression, place: TaskDirectory, packed: _Packed) -> None:
    done.files.append(f"{place.prefix}{packed.plain.name}")
    done.before_bytes += packed.before_bytes
    done.after_bytes += packed.after_bytes


def _measured(place: TaskDirectory, name: str, spent: Callable[[], bool]) -> _Packed:
    plain = place.open(name)
    beside = place.packed_bytes(name) or 0
    before = plain.size_bytes + beside
    if plain.size_bytes == 0:
        return _Packed(plain, before, beside, None)
    content = plain.chunks() if place.is_whole(plain) else place.content(name)
    return _Packed(plain, before, pack(_timed(content, spent), len).packed_bytes, None)


def _compress_batch(place: TaskDirectory, names: Sequence[str], spent: Callable[[], bool], done: Compression) -> None:
    batch: list[_Packed] = []
    try:
        for name in names:
            packed = _attempt(_packed, place, name, spent, done)
            if packed is not None:
                batch.append(packed)
    finally:
        # What is packed is worth keeping, even where time is over.
        if batch:
            _replace(place, batch, done)


def _packed(place: TaskDirectory, name: str, spent: Callable[[], bool]) -> _Packed:
    """Write the compressed file, under its first name."""
    plain = place.open(name)
    beside = place.packed_bytes(name) or 0
    before = plain.size_bytes + beside
    if plain.size_bytes == 0:
        return _Packed(plain, before, beside, None)
    if not place.is_whole(plain):
        plain = _made_whole(place, plain, spent)
    temp = temp_name(name + GZIP_SUFFIX, "pack")
    try:
        file = place.create(temp)
        packed = pack(_timed(plain.chunks(), spent), lambda data: write_all(file, data))
        if packed.plain_bytes != plain.size_bytes or packed.sha256 != unpacked_sha256(_from_start(file)):
            raise OSError(errno.EIO, "what was written is not what was read")
        finish(file, plain.status)
    except BaseException:
        place.remove(temp)
        raise
    return _Packed(plain, before, packed.packed_bytes, temp)


def _made_whole(place: TaskDirectory, plain: PlainFile, spent: Callable[[], bool]) -> PlainFile:
    """Put what the compressed file holds in front of the lines of the plain one; the compressed one stays."""
    temp = temp_name(plain.name, "whole")
    try:
        file = place.create(temp)
        for chunk in _timed(place.content(plain.name), spent):
            write_all(file, chunk)
        finish(file, plain.status)
        alone = place.alone()
        if not place.is_unchanged(plain):
            raise InUseError
        place.rename(temp, plain.name)
        alone.close()
        system.sync_folder(place.directory.fd)
    except BaseException:
        place.remove(temp)
        raise
    return place.open(plain.name)


def _replace(place: TaskDirectory, batch: Sequence[_Packed], done: Compression) -> None:
    """Give the compressed files their names, and then delete the plain ones."""
    for packed in batch:
        if packed.temp is not None:
            place.rename(packed.temp, packed.plain.name + GZIP_SUFFIX)
    system.sync_folder(place.directory.fd)
    alone = place.alone()
    for packed in batch:
        # If it was written to meanwhile both are right: the plain file now goes on behind what is packed.
        if place.is_unchanged(packed.plain):
            place.remove(packed.plain.name)
            _note(done, place, packed)
    alone.close()


def _timed(chunks: Iterable[bytes], spent: Callable[[], bool]) -> Iterator[bytes]:
    for chunk in chunks:
        if spent():
            raise OutOfTimeError
        yield chunk


def _from_start(file: Descriptor) -> Iterator[bytes]:
    os.lseek(file.fd, 0, os.SEEK_SET)
    while chunk := os.read(file.fd, CHUNK_BYTES):
        yield chunk


@dataclass(frozen=True, slots=True)
class PlainFile:
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
        while chunk := system.pread(self.file.fd, min(CHUNK_BYTES, self.size_bytes - position), position):
            position += len(chunk)
            yield chunk


@dataclass(frozen=True, slots=True)
class TaskDirectory:
    """A task's folder, or its ``artifacts/``."""

    path: Path
    directory: Descriptor
    task_folder: Descriptor
    """The folder with the lock."""
    prefix: str = ""
    """Path prefix relative to the task's folder."""

    def open(self, name: str) -> PlainFile:
        """Open a plain file of ours. Raises `LayoutError` for anything else, `OSError`."""
        file = Descriptor(system.open(name, system.READ, dir_fd=self.directory.fd))
        status = os.fstat(file.fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid != system.user_id():
            raise LayoutError("changed meanwhile")
        return PlainFile(name, file, status)

    def is_unchanged(self, plain: PlainFile) -> bool:
        """Whether the file of that name is still the one that was opened, byte for byte."""
        try:
            now = system.stat(plain.name, dir_fd=self.directory.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return _identity(now) == _identity(plain.status)

    def packed_bytes(self, name: str) -> int | None:
        """Size of the compressed file beside a plain one; ``None`` without one. Raises `LayoutError` for anything odd."""
        try:
            status = system.stat(name + GZIP_SUFFIX, dir_fd=self.directory.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode) or status.st_uid != system.user_id():
            raise LayoutError(f"beside a {name}{GZIP_SUFFIX} that is not ours")
        return status.st_size

    def is_whole(self, plain: PlainFile) -> bool:
        """Whether a plain file has all lines; else the compressed one beside it holds earlier lines.

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
        """Make an empty file, in the place of one that a killed process left."""
        self.remove(temp)
        file = Descriptor(system.open(temp, _CREATE, FILE_MODE, dir_fd=self.directory.fd))
        system.fchmod(file.fd, FILE_MODE)
        return file

    def rename(self, temp: str, name: str) -> None:
        """Give a file its name, in the place of whatever has it."""
        system.rename(temp, name, src_dir_fd=self.directory.fd, dst_dir_fd=self.directory.fd)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            system.unlink(name, dir_fd=self.directory.fd)
        except FileNotFoundError:
            pass

    def alone(self) -> Descriptor:
        """Have the task to ourselves until the result is closed. Raises `InUseError`."""
        # Opened anew, as a lock belongs to what was opened, and closing it must not close the folder.
        lock = Descriptor(system.open(".", system.READ_FOLDER, dir_fd=self.task_folder.fd))
        if lock_exclusively(lock, BRIEF_WAIT_S) is not Lock.OURS:
            raise InUseError
        return lock


def finish(file: Descriptor, status: os.stat_result) -> None:
    """Give a new file the times of an old one and wait until the disk has it."""
    system.utime(file.fd, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.fsync(file.fd)


def write_all(file: Descriptor, data: bytes) -> None:
    """Append bytes, all of them. Raises `OSError`."""
    view = memoryview(data)
    while view:
        view = view[os.write(file.fd, view) :]


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_nlink


@dataclass(frozen=True, slots=True)
class GzipResult:
    """Sizes before and after, and the hash of the content."""

    plain_bytes: int
    packed_bytes: int
    sha256: str
    """Of the plain bytes, in hex."""


def pack(chunks: Iterable[bytes], write: Callable[[bytes], object]) -> GzipResult:
    """Compress, giving each piece of the result to `write`. The same bytes always give the same result."""
    taken = given = 0
    digest = hashlib.sha256()
    level, member = LEVEL, zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    for chunk in _of_one_size(chunks):
        taken += len(chunk)
        digest.update(chunk)
        wanted = 0 if taken > max(_FREE_BYTES, given * _TIGHTEST) else LEVEL
        if wanted != level:
            given += _written(member.flush(), write)
            level, member = wanted, zlib.compressobj(wanted, zlib.DEFLATED, _GZIP)
        given += _written(member.compress(chunk), write)
    given += _written(member.flush(), write)
    return GzipResult(taken, given, digest.hexdigest())


def unpacked_sha256(chunks: Iterable[bytes]) -> str:
    """The hash, in hex, of what gzip holds; checks every checksum on the way.

    Raises:
        ValueError: it is damaged or ends too early.
    """
    digest, inflater = hashlib.sha256(), zlib.decompressobj(wbits=_GZIP)
    try:
        for raw in chunks:
            while raw:
                if inflater.eof:
                    inflater = zlib.decompressobj(wbits=_GZIP)
                digest.update(inflater.decompress(raw, CHUNK_BYTES))
                raw = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    except zlib.error as error:
        raise ValueError(f"damaged gzip: {error}") from None
    if not inflater.eof:
        raise ValueError("gzip that ends too early")
    return digest.hexdigest()


def _written(data: bytes, write: Callable[[bytes], object]) -> int:
    if data:
        write(data)
    return len(data)


def _of_one_size(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of `CHUNK_BYTES`, however they come: what comes out depends on where chunks end."""
    pending = bytearray()
    for chunk in chunks:
        if not pending and len(chunk) == CHUNK_BYTES:
            yield chunk
            continue
        pending += chunk
        while len(pending) >= CHUNK_BYTES:
            yield bytes(pending[:CHUNK_BYTES])
            del pending[:CHUNK_BYTES]
    if pending:
        yield bytes(pending)

"""Hides how the files of a finished task become gzip without a moment in which neither is complete.

For each file: write and check ``.<name>.gz.pack.tmp``, wait for the disk, rename it to ``<name>.gz``, wait again, and with the
folder to ourselves delete the plain file if it is still the one that was packed. Readers understand every state between: where
the plain file begins with all that the compressed one holds, they read the plain one.

A line that comes later makes the plain file anew, and readers read the compressed one first. The next compression makes one plain
file of the two before it packs: a compressed file with those lines beside a plain one that has them too would be read as both.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from otel_agentlog.errors import LayoutError
from otel_agentlog.store.archive_gzip import pack, unpacked_sha256
from otel_agentlog.store.archive_place import InUseError, Place, Plain, finish, write_all
from otel_agentlog.store.descriptors import Descriptor, open_directory
from otel_agentlog.store.layout import ARTIFACTS, GZIP_SUFFIX, temp_name
from otel_agentlog.store.retention_survey import list_contents, under_preparation, worth_packing
from otel_agentlog.store.streams import CHUNK_BYTES

BATCH = 32
"""How many files are packed before the disk is waited for and their plain ones go."""

__all__ = ["Compression", "InUseError", "OutOfTimeError", "compress", "measure"]


class OutOfTimeError(Exception):
    """The time for this run is spent; what is done so far is whole."""


@dataclass(slots=True)
class Compression:
    """What became of one task's files."""

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

    plain: Plain
    before_bytes: int
    after_bytes: int
    temp: str | None
    """The new file under its first name; ``None`` if the plain one has nothing that is not compressed already."""


_Work = Callable[[Place, str, Callable[[], bool]], _Packed]


def measure(path: Path, folder: Descriptor, spent: Callable[[], bool], done: Compression) -> None:
    """Note in `done` what `compress` would do now, to the byte, without writing anything. Raises `OutOfTimeError`, `OSError`."""
    for place, names, stale in _places(path, folder):
        done.before_bytes += sum(stale.values())
        for name in names:
            packed = _attempt(_measured, place, name, spent, done)
            if packed is not None:
                _note(done, place, packed)


def compress(path: Path, folder: Descriptor, spent: Callable[[], bool], done: Compression) -> None:
    """Compress what is worth it in a task's folder; `done` says what happened, even where this ends early.

    ``path`` is where ``folder`` is; ``spent()`` is asked between pieces of 256 KiB.

    Raises:
        InUseError: somebody holds the folder.
        OutOfTimeError: ``spent()`` was true.
        OSError: the folder cannot be read, or the disk did not take it.
    """
    for place, names, stale in _places(path, folder):
        for name, size in stale.items():
            place.remove(name)
            done.before_bytes += size
        for start in range(0, len(names), BATCH):
            _compress_batch(place, names[start : start + BATCH], spent, done)


def _places(path: Path, folder: Descriptor) -> Iterator[tuple[Place, list[str], dict[str, int]]]:
    """Each directory of a task with the files to pack and, with their sizes, those that somebody who was killed had begun."""
    files, prefix = list_contents(folder).files, f"{ARTIFACTS}/"
    names, stale = worth_packing(files), {name: files[name].st_size for name in under_preparation(files)}
    yield (
        Place(path, folder, folder),
        [name for name in names if not name.startswith(prefix)],
        {name: size for name, size in stale.items() if not name.startswith(prefix)},
    )
    if any(name.startswith(prefix) for name in (*names, *stale)):
        yield (
            Place(path / ARTIFACTS, open_directory(ARTIFACTS, folder), folder, prefix),
            [name.removeprefix(prefix) for name in names if name.startswith(prefix)],
            {name.removeprefix(prefix): size for name, size in stale.items() if name.startswith(prefix)},
        )


def _attempt(work: _Work, place: Place, name: str, spent: Callable[[], bool], done: Compression) -> _Packed | None:
    try:
        return work(place, name, spent)
    except LayoutError as error:
        done.problems.append(f"{place.prefix}{name}: {error}")
    except OSError as error:
        done.problems.append(f"{place.prefix}{name}: an error: {error.strerror}")
    return None


def _note(done: Compression, place: Place, packed: _Packed) -> None:
    done.files.append(f"{place.prefix}{packed.plain.name}")
    done.before_bytes += packed.before_bytes
    done.after_bytes += packed.after_bytes


def _measured(place: Place, name: str, spent: Callable[[], bool]) -> _Packed:
    plain = place.open(name)
    beside = place.packed_bytes(name) or 0
    before = plain.size_bytes + beside
    if plain.size_bytes == 0:
        return _Packed(plain, before, beside, None)
    content = plain.chunks() if place.is_whole(plain) else place.content(name)
    return _Packed(plain, before, pack(_timed(content, spent), len).packed_bytes, None)


# -- writing --------------------------------------------------------------------------------------------------------------


def _compress_batch(place: Place, names: Sequence[str], spent: Callable[[], bool], done: Compression) -> None:
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


def _packed(place: Place, name: str, spent: Callable[[], bool]) -> _Packed:
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


def _made_whole(place: Place, plain: Plain, spent: Callable[[], bool]) -> Plain:
    """Put what the compressed file holds in front of what the plain one says; the compressed one stays."""
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
        os.fsync(place.directory.fd)
    except BaseException:
        place.remove(temp)
        raise
    return place.open(plain.name)


def _replace(place: Place, batch: Sequence[_Packed], done: Compression) -> None:
    """Give the compressed files their names, and then delete the plain ones."""
    for packed in batch:
        if packed.temp is not None:
            place.rename(packed.temp, packed.plain.name + GZIP_SUFFIX)
    os.fsync(place.directory.fd)
    alone = place.alone()
    for packed in batch:
        # Somebody who wrote meanwhile has made both right: the plain file now goes on behind what is packed.
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

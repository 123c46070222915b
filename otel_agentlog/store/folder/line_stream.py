"""The bytes of a file of lines: opened safely, plain or gzip or both, in chunks, from any offset.

Nothing that is planted in a folder is followed, waited for or unpacked without limit: no symlink, no FIFO or device, no hard
link to another user's file, no gzip bomb. Offsets count uncompressed bytes, so they stay good while a file is compressed.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from pathlib import Path

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.store.folder.layout import GZIP_SUFFIX

CHUNK_BYTES = 256 * 1024

MAX_GZIP_RATIO = 200
"""Bytes one compressed byte may become, past the first `FREE_GZIP_BYTES`; JSON lines stay below 50."""
FREE_GZIP_BYTES = 16 * 1024 * 1024

Complain = Callable[[str], None]
"""Called with what keeps the rest of a file from being read."""


def open_folder(folder: Path) -> int:
    """Return a descriptor of a directory that is not itself a symlink; the caller closes it. Raises `OSError`."""
    return system.open(folder, system.READ_FOLDER)


class _Refused(Exception):
    """What was found that is not opened."""


def _open(folder: Path, name: str) -> int:
    folder_fd = open_folder(folder)
    try:
        return _open_in(folder_fd, name)
    finally:
        system.close(folder_fd)


def _open_in(folder_fd: int, name: str) -> int:
    try:
        fd = system.open(name, system.READ, dir_fd=folder_fd)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise_interrupt()
        raise _Refused(f"what cannot be opened: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise _Refused(f"no regular file: {stat.filemode(found.st_mode)}")
        if found.st_nlink > 1 and found.st_uid != os.fstat(folder_fd).st_uid:
            raise _Refused("a hard link to another user's file")
    except BaseException:
        system.close(fd)
        raise
    return fd


def stream(
    folder: Path, name: str, complain: Complain, offset: int = 0, *, replaced: bool = False
) -> Generator[bytes, None, None]:
    """Yield the bytes of a file from `offset` on, whether it is there plain, compressed or both; nothing if there is none.

    Both exist in the middle of a compression (the same bytes twice: read once) and after a compressed task was
    resumed (older and newer lines: read in this order). A file that is `replaced` as a whole is then the plain one.
    """
    plain = _open_or_none(folder, name, complain)
    packed = None if replaced and plain is not None else _open_or_none(folder, name + GZIP_SUFFIX, complain)
    try:
        if packed is not None and plain is not None and _begins_with(plain, packed):
            system.close(packed)
            packed = None
        if packed is not None:
            yield from _skip(_gunzipped(packed, complain), plain, offset)
        elif plain is not None:
            os.lseek(plain, offset, os.SEEK_SET)
            yield from _plain(plain)
    except OSError as error:
        raise_interrupt()
        complain(f"an error while reading: {error.strerror}")
    finally:
        for fd in (plain, packed):
            if fd is not None:
                system.close(fd)


def exists(folder: Path, name: str) -> bool:
    """Whether there is anything of that name, plain or compressed."""
    return any(_status(folder / each) is not None for each in (name, name + GZIP_SUFFIX))


def is_folder(path: Path) -> bool:
    """Whether this is a directory, and no symlink to one."""
    status = _status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def size_key(folder: Path, name: str) -> tuple[tuple[int, int] | None, ...]:
    """Return what changes whenever `stream` has something new to return about a file; cheap, for pollers."""
    found = [_status(folder / each) for each in (name, name + GZIP_SUFFIX)]
    return tuple(status and (status.st_ino, status.st_size) for status in found)


def stamp(folder: Path, name: str) -> str:
    """Return what is another text after every change of a file; empty if there is none. Inodes are used again, hence the time."""
    found = [_status(folder / each) for each in (name, name + GZIP_SUFFIX)]
    return ".".join(f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}" for status in found if status is not None)


def is_shorter(folder: Path, name: str, offset: int) -> bool:
    """Whether a file that is not compressed ends before `offset`: it was emptied or made anew."""
    plain, packed = _status(folder / name), _status(folder / (name + GZIP_SUFFIX))
    return packed is None and plain is not None and plain.st_size < offset


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise_interrupt()
        return None


def _open_or_none(folder: Path, name: str, complain: Complain) -> int | None:
    try:
        return _open(folder, name)
    except FileNotFoundError:
        return None
    except _Refused as refused:
        complain(str(refused))
    except OSError as error:
        raise_interrupt()
        complain(f"a folder that cannot be opened: {error.strerror}")
    return None


def _plain(fd: int) -> Iterator[bytes]:
    while chunk := os.read(fd, CHUNK_BYTES):
        yield chunk


def _skip(packed: Iterator[bytes], plain: int | None, offset: int) -> Iterator[bytes]:
    """Yield the unpacked bytes and then those of the plain file, without the first `offset`."""
    for chunk in chain(packed, _plain(plain) if plain is not None else ()):
        if offset < len(chunk):
            yield chunk[offset:]
        offset = max(0, offset - len(chunk))


def _gunzipped(fd: int, complain: Complain) -> Iterator[bytes]:
    """Yield what a gzip file holds, member by member, at most `CHUNK_BYTES` at a time."""
    inflater, read, given = zlib.decompressobj(wbits=31), 0, 0
    try:
        while raw := os.read(fd, CHUNK_BYTES):
            read += len(raw)
            # Files are padded with NUL where a disk lost power, and tape tools pad on purpose.
            while raw := raw.lstrip(b"\0") if inflater.eof else raw:
                inflater = zlib.decompressobj(wbits=31) if inflater.eof else inflater
                data = inflater.decompress(raw, CHUNK_BYTES)
                raw = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
                given += len(data)
                if given > max(FREE_GZIP_BYTES, read * MAX_GZIP_RATIO):
                    complain(f"gzip that unpacks to more than {MAX_GZIP_RATIO} times its size")
                    return
                yield data
    except zlib.error as error:
        complain(f"damaged gzip: {error}")
    else:
        if not inflater.eof:
            complain("gzip that ends too early")


def _begins_with(plain: int, packed: int) -> bool:
    """Whether the plain file begins with all that the compressed one holds; leaves both at their start."""
    try:
        return all(os.read(plain, len(chunk)) == chunk for chunk in _gunzipped(packed, lambda _: None))
    finally:
        os.lseek(plain, 0, os.SEEK_SET)
        os.lseek(packed, 0, os.SEEK_SET)

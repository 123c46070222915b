r"""Windows, by its own calls and what Python has there.

- Files are opened to be renamed, replaced and deleted by others while they are open, which ``os.open`` there forbids.
- A folder is a descriptor, too; a name in it is looked up below the path by which the folder goes at that moment.
- A file is locked by a byte far behind its end, as such locks keep others from reading and writing what is locked. A folder has
  no bytes: its lock is one more handle, opened for adding files, and where it is exclusive one that shares that with nobody.
- Appending is the kernel's: the handle has no right but to append. What ``os.open`` calls so seeks first, and may write over
  what others have appended meanwhile.
"""

from __future__ import annotations

import errno
import msvcrt
import os
import sys
import time
from collections.abc import Callable
from stat import FILE_ATTRIBUTE_REPARSE_POINT, S_ISDIR

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._platform import kernel32

assert sys.platform == "win32"

_FOLDER, _FOLLOW = 1 << 24, 1 << 25
READ = os.O_RDONLY
UPDATE = os.O_RDWR
APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT
READ_FOLDER = os.O_RDONLY | _FOLDER
READ_LINKED_FOLDER = READ_FOLDER | _FOLLOW
SYNC = UPDATE
"""How a file is opened to be synced."""

SHARED, EXCLUSIVE, UNLOCK = 1, 2, 0
HAS_OWNERS = False

BUSY_WAIT_S = 0.25
"""Longest time, in seconds, to wait where a program that scans files (for viruses, for searching) has one open for itself: a
recording call may be waiting, and who replaces a file tries again later."""

_POLL_S = 0.002
_SHARE_ALL = kernel32.SHARE_READ | kernel32.SHARE_WRITE | kernel32.SHARE_DELETE
_LOCKED_BYTE = 1 << 62
"""Behind the end of any file."""

_held: dict[int, int] = {}
"""By descriptor: the handle that holds a folder; 0 for a file that is locked."""


def _path(path: str | os.PathLike[str], folder: int | None) -> str:
    text = os.fspath(path)
    return text if folder is None else os.path.join(_path_of(folder), "" if text == "." else text)


def _path_of(fd: int) -> str:
    return kernel32.final_path(msvcrt.get_osfhandle(fd))


def open(path: str | os.PathLike[str], flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    """As ``os.open`` of POSIX; ``mode`` is without effect, as the folder's rules hold for what is in it."""
    where = _path(path, dir_fd)
    how = kernel32.BACKUP_SEMANTICS if flags & _FOLDER else 0
    how |= 0 if flags & _FOLLOW else kernel32.OPEN_REPARSE_POINT
    handle = _patiently(lambda: kernel32.create_file(where, _access(flags), _SHARE_ALL, _disposition(flags), how), _BUSY[:1])
    try:
        fd = msvcrt.open_osfhandle(handle, flags & os.O_APPEND)
    except BaseException:
        kernel32.close_handle(handle)
        raise
    try:
        _check(fd, flags, where)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _access(flags: int) -> int:
    if flags & _FOLDER:
        return kernel32.FILE_LIST_DIRECTORY | kernel32.SYNCHRONIZE
    if flags & os.O_APPEND:
        return kernel32.GENERIC_READ | kernel32.FILE_APPEND_DATA | kernel32.FILE_WRITE_ATTRIBUTES
    return kernel32.GENERIC_READ | (kernel32.GENERIC_WRITE if flags & (os.O_RDWR | os.O_WRONLY) else 0)


def _disposition(flags: int) -> int:
    if not flags & os.O_CREAT:
        return kernel32.TRUNCATE_EXISTING if flags & os.O_TRUNC else kernel32.OPEN_EXISTING
    if flags & os.O_EXCL:
        return kernel32.CREATE_NEW
    return kernel32.CREATE_ALWAYS if flags & os.O_TRUNC else kernel32.OPEN_ALWAYS


def _check(fd: int, flags: int, path: str) -> None:
    status = os.fstat(fd)
    if not flags & _FOLLOW and status.st_file_attributes & FILE_ATTRIBUTE_REPARSE_POINT:
        raise OSError(errno.ELOOP, "expected no link", path)
    if flags & _FOLDER and not S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "expected a folder", path)


_BUSY = (kernel32.SHARING_VIOLATION, kernel32.ACCESS_DENIED)


def _patiently(work: Callable[[], int | None], hinders: tuple[int, ...] = _BUSY) -> int:
    """Do what another program may hinder for a moment; ``hinders``: the errors that tell so."""
    deadline = time.monotonic() + BUSY_WAIT_S
    while True:
        try:
            return work() or 0
        except PermissionError as error:
            raise_interrupt()
            if error.winerror not in hinders or time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_S)


def close(fd: int) -> None:
    """As ``os.close``; what was locked by it is not any more."""
    holder = _held.pop(fd, 0)
    try:
        os.close(fd)
    finally:
        if holder:
            kernel32.close_handle(holder)


def lock(fd: int, how: int) -> None:
    """Lock a file or folder `SHARED` or `EXCLUSIVE` in the place of the lock that it has, or `UNLOCK` it. Does not wait."""
    handle, held = msvcrt.get_osfhandle(fd), _held.pop(fd, None)
    is_folder = S_ISDIR(os.fstat(fd).st_mode)
    if held:
        kernel32.close_handle(held)
    elif held == 0 and not is_folder:
        kernel32.unlock_range(handle, _LOCKED_BYTE)
    if how == UNLOCK:
        return
    try:
        if is_folder:
            share = kernel32.SHARE_READ | kernel32.SHARE_DELETE | (kernel32.SHARE_WRITE if how == SHARED else 0)
            _held[fd] = kernel32.reopen(handle, kernel32.FILE_ADD_FILE, share, kernel32.BACKUP_SEMANTICS)
        else:
            kernel32.lock_range(handle, _LOCKED_BYTE, exclusive=how == EXCLUSIVE)
            _held[fd] = 0
    except OSError as error:
        raise_interrupt()
        if error.winerror in (kernel32.SHARING_VIOLATION, kernel32.LOCK_VIOLATION):
            raise BlockingIOError(errno.EAGAIN, "locked by another process") from error
        raise


def stat(path: str | os.PathLike[str], *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
    """As ``os.stat`` of POSIX."""
    return os.stat(_path(path, dir_fd), follow_symlinks=follow_symlinks)


def mkdir(path: str | os.PathLike[str], mode: int = 0o777, *, dir_fd: int | None = None) -> None:
    """As ``os.mkdir`` of POSIX."""
    os.mkdir(_path(path, dir_fd), mode)


def rmdir(path: str | os.PathLike[str], *, dir_fd: int | None = None) -> None:
    """As ``os.rmdir`` of POSIX."""
    where = _path(path, dir_fd)
    _patiently(lambda: os.rmdir(where))


def unlink(path: str | os.PathLike[str], *, dir_fd: int | None = None) -> None:
    """As ``os.unlink`` of POSIX."""
    where = _path(path, dir_fd)
    _patiently(lambda: os.unlink(where))


def rename(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    src_dir_fd: int | None = None,
    dst_dir_fd: int | None = None,
) -> None:
    """As ``os.rename`` of POSIX."""
    before, after = _path(src, src_dir_fd), _path(dst, dst_dir_fd)
    _patiently(lambda: os.replace(before, after))


def listdir(path: int | str | os.PathLike[str]) -> list[str]:
    """As ``os.listdir`` of POSIX."""
    return os.listdir(_path_of(path) if isinstance(path, int) else path)


def entry_stat(entry: os.DirEntry[str]) -> os.stat_result:
    """What ``lstat`` gives for what ``os.scandir`` found, which has neither number nor names of a file, and times of before."""
    return os.lstat(entry.path)


def fchmod(fd: int, mode: int) -> None:
    """Nothing: who may read is said by the folder around it (`docs/platforms.md`)."""


def utime(path: int | str | os.PathLike[str], *, ns: tuple[int, int]) -> None:
    """As ``os.utime`` of POSIX."""
    if isinstance(path, int):
        kernel32.set_times(msvcrt.get_osfhandle(path), *ns)
    else:
        os.utime(path, ns=ns)


def pread(fd: int, length: int, offset: int) -> bytes:
    """As ``os.pread`` of POSIX; where the next ``os.read`` begins is undefined then."""
    return kernel32.read_at(msvcrt.get_osfhandle(fd), length, offset)


def pwrite(fd: int, data: bytes | memoryview, offset: int) -> int:
    """As ``os.pwrite`` of POSIX; where the next ``os.write`` begins is undefined then."""
    return kernel32.write_at(msvcrt.get_osfhandle(fd), bytes(data), offset)


sync = os.fsync


def sync_folder(fd: int) -> None:
    """Nothing: Windows keeps names by a journal of its own, and lets nobody wait for it."""


def sync_file_system(path: str) -> None:
    """What Windows gives to administrators only. Raises `OSError`."""
    raise OSError(errno.ENOTSUP, "Windows syncs a whole disk for administrators only", path)


def user_id() -> int:
    """The ``st_uid`` of all files."""
    return 0


def user_name() -> str:
    """Who this process runs as."""
    return kernel32.user_name()


def process_began(pid: int) -> float | None:
    """When a process began, as Unix seconds; ``None`` where that is not known. Raises `ProcessLookupError`: it has ended."""
    try:
        began = kernel32.process_began(pid)
    except OSError as error:
        raise_interrupt()
        if error.winerror == kernel32.INVALID_PARAMETER:
            raise ProcessLookupError(errno.ESRCH, "no such process") from error
        return None
    if began is None:
        raise ProcessLookupError(errno.ESRCH, "it has ended")
    return began

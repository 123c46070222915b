"""Files as Windows has them: opening says what others may do meanwhile, and what is open is in the way of others.

`Kernel` has the functions of ``otel_agentlog/_platform/kernel32.py`` and of ``msvcrt``, and those of `os` that the same rules
hold for. Locks and the handles that hold folders are Linux' own, so that other processes meet them; sharing is known to one
process only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FILE_LIST_DIRECTORY, FILE_ADD_FILE, FILE_APPEND_DATA, FILE_WRITE_ATTRIBUTES = 0x1, 0x2, 0x4, 0x100
SYNCHRONIZE, GENERIC_READ, GENERIC_WRITE = 0x10_0000, 0x8000_0000, 0x4000_0000
SHARE_READ, SHARE_WRITE, SHARE_DELETE = 0x1, 0x2, 0x4
CREATE_NEW, CREATE_ALWAYS, OPEN_EXISTING, OPEN_ALWAYS, TRUNCATE_EXISTING = 1, 2, 3, 4, 5
BACKUP_SEMANTICS, OPEN_REPARSE_POINT = 0x0200_0000, 0x0020_0000
SHARING_VIOLATION, LOCK_VIOLATION, ACCESS_DENIED, INVALID_PARAMETER, HANDLE_EOF = 32, 33, 5, 87, 38

O_BINARY, O_NOINHERIT, O_TEMPORARY = 0x8000, 0x80, 0x40
_LINUX_FLAGS = {CREATE_NEW: os.O_CREAT | os.O_EXCL, CREATE_ALWAYS: os.O_CREAT | os.O_TRUNC, OPEN_EXISTING: 0}
_LINUX_FLAGS |= {OPEN_ALWAYS: os.O_CREAT, TRUNCATE_EXISTING: os.O_TRUNC}
_FIRST_HANDLE = 1_000_000
_REPARSE_POINT = 0x400


@dataclass
class _Open:
    fd: int
    identity: tuple[int, int]
    access: int
    share: int
    locked: bool = False

    @property
    def wants(self) -> int:
        """The rights that others must share."""
        write = self.access & (GENERIC_WRITE | FILE_APPEND_DATA | FILE_ADD_FILE)
        return (SHARE_READ if self.access & (GENERIC_READ | FILE_LIST_DIRECTORY) else 0) | (SHARE_WRITE if write else 0)


def failed(winerror: int, kind: type[OSError] = PermissionError) -> OSError:
    """The error as Python makes it of one of Windows."""
    error = kind(errno.EACCES if kind is PermissionError else errno.EINVAL, f"WinError {winerror}")
    error.winerror = winerror  # type: ignore[attr-defined]
    return error


class Kernel:
    """One process's view of it."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}

    # -- kernel32.py ------------------------------------------------------------------------------------------------------

    def create_file(self, path: str, access: int, share: int, disposition: int, flags: int) -> int:
        assert isinstance(path, str)
        if os.path.isdir(path) and not os.path.islink(path) and not flags & BACKUP_SEMANTICS:
            raise failed(ACCESS_DENIED)
        self._refuse_unshared(path, access, share)
        if os.path.islink(path) and flags & OPEN_REPARSE_POINT:
            fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        elif flags & BACKUP_SEMANTICS and not _LINUX_FLAGS[disposition]:
            fd = os.open(path, os.O_RDONLY)
        else:
            how = os.O_APPEND if access & FILE_APPEND_DATA and not access & GENERIC_WRITE else 0
            fd = os.open(path, os.O_RDWR | how | _LINUX_FLAGS[disposition], 0o666)
        return self._kept(fd, access, share)

    def _kept(self, fd: int, access: int, share: int) -> int:
        status = os.fstat(fd)
        self._open[_FIRST_HANDLE + fd] = _Open(fd, (status.st_dev, status.st_ino), access, share)
        return _FIRST_HANDLE + fd

    def _refuse_unshared(self, path: str, access: int, share: int) -> None:
        wants = _Open(-1, (0, 0), access, share).wants
        for other in self._others(path):
            if wants & ~other.share or other.wants & ~share:
                raise failed(SHARING_VIOLATION)

    def _others(self, path: str) -> Iterator[_Open]:
        try:
            status = os.lstat(path)
        except OSError:
            return
        yield from (each for each in list(self._open.values()) if each.identity == (status.st_dev, status.st_ino))

    def reopen(self, handle: int, access: int, share: int, flags: int) -> int:
        assert access == FILE_ADD_FILE
        assert flags == BACKUP_SEMANTICS
        fd = os.open(f"/proc/self/fd/{self._open[handle].fd}", os.O_RDONLY)
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if share & SHARE_WRITE else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise failed(SHARING_VIOLATION) from None
        return self._kept(fd, SYNCHRONIZE, SHARE_READ | SHARE_WRITE | SHARE_DELETE)

    def close_handle(self, handle: int) -> None:
        os.close(self._open.pop(handle).fd)

    def final_path(self, handle: int) -> str:
        return os.readlink(f"/proc/self/fd/{self._open[handle].fd}")

    def lock_range(self, handle: int, offset: int, *, exclusive: bool) -> None:
        found = self._open[handle]
        assert offset > os.fstat(found.fd).st_size, "such a lock keeps others from reading and writing"
        # As there, not for the holder either.
        if found.locked or not self._locked(found.fd, fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK, offset):
            raise failed(LOCK_VIOLATION)
        found.locked = True

    @staticmethod
    def _locked(fd: int, kind: int, offset: int) -> bool:
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqhh", kind, os.SEEK_SET, offset, 1, 0, 0))
        except BlockingIOError:
            return False
        return True

    def unlock_range(self, handle: int, offset: int) -> None:
        found = self._open[handle]
        if not found.locked:
            raise failed(158, OSError)
        found.locked = not self._locked(found.fd, fcntl.F_UNLCK, offset)

    def read_at(self, handle: int, size: int, offset: int) -> bytes:
        data = os.pread(self._open[handle].fd, size, offset)
        os.lseek(self._open[handle].fd, offset + len(data), os.SEEK_SET)  # as there
        return data

    def write_at(self, handle: int, data: bytes, offset: int) -> int:
        done = os.pwrite(self._open[handle].fd, data, offset)
        os.lseek(self._open[handle].fd, offset + done, os.SEEK_SET)
        return done

    def set_times(self, handle: int, accessed_ns: int, changed_ns: int) -> None:
        found = self._open[handle]
        if not found.access & (GENERIC_WRITE | FILE_WRITE_ATTRIBUTES):
            raise failed(ACCESS_DENIED)
        os.utime(found.fd, ns=(accessed_ns, changed_ns))

    def process_began(self, pid: int) -> float | None:
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except FileNotFoundError:
            raise failed(INVALID_PARAMETER, OSError) from None
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return None if fields[0] in "ZX" else time.time() - age_s

    def own_memory(self) -> tuple[int, int]:
        with open("/proc/self/statm") as file:
            rss = int(file.read().split()[1]) * 4096
        return rss, rss

    def user_name(self) -> str:
        return "somebody"

    # -- msvcrt -----------------------------------------------------------------------------------------------------------

    def open_osfhandle(self, handle: int, flags: int) -> int:
        assert flags in (0, os.O_APPEND)
        return self._open[handle].fd

    def get_osfhandle(self, fd: int) -> int:
        if _FIRST_HANDLE + fd not in self._open:
            self._kept(fd, GENERIC_READ | GENERIC_WRITE, SHARE_READ | SHARE_WRITE)
        return _FIRST_HANDLE + fd

    # -- os ---------------------------------------------------------------------------------------------------------------

    def os_functions(self) -> dict[str, Any]:
        """Those that are in the way of each other."""
        names = ("open", "close", "fstat", "lstat", "stat", "unlink", "remove", "replace", "rename", "rmdir", "mkdir")
        return {name: getattr(self, f"os_{name}") for name in (*names, "listdir", "scandir", "utime", "kill", "fsync")}

    def os_open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: None = None) -> int:
        if dir_fd is not None:
            raise NotImplementedError("dir_fd unavailable on this platform")
        if os.path.isdir(path):
            raise failed(ACCESS_DENIED)
        assert not flags & ~(os.O_ACCMODE | os.O_CREAT | os.O_EXCL | os.O_TRUNC | os.O_APPEND | O_BINARY), hex(flags)
        fd = os.open(path, flags & ~O_BINARY, mode)
        self._kept(fd, GENERIC_READ | (GENERIC_WRITE if flags & os.O_ACCMODE else 0), SHARE_READ | SHARE_WRITE)
        return fd

    def os_close(self, fd: int) -> None:
        self._open.pop(_FIRST_HANDLE + fd, None)
        os.close(fd)

    def os_fsync(self, fd: int) -> None:
        found = self._open.get(_FIRST_HANDLE + fd)
        if found is not None and not found.access & (GENERIC_WRITE | FILE_APPEND_DATA):
            raise failed(ACCESS_DENIED)
        os.fsync(fd)

    @staticmethod
    def _status(found: os.stat_result) -> Any:
        return Status(found)

    def os_fstat(self, fd: int) -> Any:
        return self._status(os.fstat(fd))

    def os_lstat(self, path: Any) -> Any:
        return self._status(os.lstat(path))

    def os_stat(self, path: Any, *, dir_fd: None = None, follow_symlinks: bool = True) -> Any:
        if dir_fd is not None:
            raise NotImplementedError("dir_fd unavailable on this platform")
        return self._status(os.stat(path, follow_symlinks=follow_symlinks))

    def _refuse_held(self, path: Any) -> None:
        if any(not other.share & SHARE_DELETE for other in self._others(path)):
            raise failed(SHARING_VIOLATION)

    def os_unlink(self, path: Any) -> None:
        self._refuse_held(path)
        os.unlink(path)

    os_remove = os_unlink

    def os_replace(self, src: Any, dst: Any) -> None:
        self._refuse_held(src)
        if os.path.isdir(src):
            self._refuse_open_below(src)
        if any(True for _ in self._others(dst)):
            raise failed(ACCESS_DENIED)
        os.replace(src, dst)

    def _refuse_open_below(self, folder: Any) -> None:
        prefix = os.path.realpath(folder) + "/"
        for other in list(self._open.values()):
            if os.readlink(f"/proc/self/fd/{other.fd}").startswith(prefix):
                raise failed(ACCESS_DENIED)

    def os_rename(self, src: Any, dst: Any) -> None:
        if os.path.lexists(dst):
            raise FileExistsError(errno.EEXIST, "Cannot create a file when that file already exists", src)
        self.os_replace(src, dst)

    def os_rmdir(self, path: Any) -> None:
        self._refuse_held(path)
        os.rmdir(path)

    def os_mkdir(self, path: Any, mode: int = 0o777) -> None:
        os.mkdir(path, mode)

    def os_listdir(self, path: Any = ".") -> Any:
        assert not isinstance(path, int), "no folder has a descriptor there"
        return os.listdir(path)

    def os_scandir(self, path: Any = ".") -> Any:
        assert not isinstance(path, int), "no folder has a descriptor there"
        return os.scandir(path)

    def os_utime(self, path: Any, times: Any = None, *, ns: tuple[int, int]) -> None:
        assert not isinstance(path, int), "not of a descriptor there"
        os.utime(path, ns=ns)

    def os_kill(self, pid: int, number: int) -> None:
        assert pid == os.getpid(), "ends the process there, whatever the number"
        os.kill(pid, number)


class Status:
    """What ``stat`` gives there: no owners, no modes but read-only, and attributes."""

    def __init__(self, found: os.stat_result) -> None:
        self._found = found
        self.st_uid = self.st_gid = 0
        kind = stat.S_IFMT(found.st_mode)
        self.st_mode = kind | (0o777 if kind == stat.S_IFDIR else 0o666 if found.st_mode & 0o200 else 0o444)
        self.st_file_attributes = _REPARSE_POINT if kind == stat.S_IFLNK else 0

    def __getattr__(self, name: str) -> Any:
        if name in ("st_rdev", "st_blocks", "st_blksize"):
            raise AttributeError(name)
        return getattr(self._found, name)

"""Linux and macOS."""

from __future__ import annotations

import fcntl
import os
import pwd
import sys
import time
from builtins import open as open_text
from collections.abc import Callable
from operator import methodcaller

from otel_agentlog._interrupts import raise_interrupt

assert sys.platform != "win32"

SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO must not wait for its other end; for regular files it means nothing.
READ = os.O_RDONLY | SAFELY
UPDATE = os.O_RDWR | SAFELY
APPEND = UPDATE | os.O_APPEND | os.O_CREAT
READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ_LINKED_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
SYNC = READ
"""How a file is opened to be synced."""

SHARED, EXCLUSIVE, UNLOCK = fcntl.LOCK_SH | fcntl.LOCK_NB, fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN
HAS_OWNERS = True

open = os.open
close = os.close
stat = os.stat
mkdir = os.mkdir
rmdir = os.rmdir
unlink = os.unlink
rename = os.rename
listdir = os.listdir
fchmod = os.fchmod
utime = os.utime
pread = os.pread
pwrite = os.pwrite
lock = fcntl.flock
user_id = os.geteuid
sync_folder = os.fsync

entry_stat: Callable[[os.DirEntry[str]], os.stat_result] = methodcaller("stat", follow_symlinks=False)


if sys.platform == "darwin":

    def sync(fd: int) -> None:
        """Wait until the disk has a file. ``fsync`` of macOS leaves it in the disk's own cache."""
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError:
            raise_interrupt()
            os.fsync(fd)
else:
    sync = os.fdatasync


def sync_file_system(path: str) -> None:
    """Wait until the disk has all of the file system of a folder. Raises `OSError`."""
    import ctypes  # seldom needed

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    fd = os.open(path, READ)
    try:
        if syncfs(fd) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), path)
    finally:
        os.close(fd)


def user_name() -> str:
    """Who this process runs as."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise_interrupt()
        return f"uid {uid}"


def process_began(pid: int) -> float | None:
    """When a process began, as Unix seconds; ``None`` where that is not known. Raises `ProcessLookupError`: it has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        raise
    except OSError:
        raise_interrupt()  # another user's
    if sys.platform != "linux":
        return None
    try:
        with open_text(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        state, started_ticks = fields[0], int(fields[19])
    except FileNotFoundError:
        if not os.path.exists("/proc/self/stat"):
            return None
        raise ProcessLookupError from None
    except (OSError, ValueError, IndexError):
        raise_interrupt()
        return None
    if state in "ZX":
        raise ProcessLookupError
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK"))

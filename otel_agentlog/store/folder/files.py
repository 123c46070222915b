"""File descriptors that are safe to share between threads, and the one way a line reaches the kernel.

A descriptor is closed when its last user releases it, never earlier: a thread that still holds it can not write into a
file that other code opened under the same number meanwhile. The child of a fork closes its parent's at once: with a
descriptor it would inherit the lock that belongs to it, and keep it for as long as it lives.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from collections import deque

import otel_agentlog._platform as system
from otel_agentlog._interrupts import in_c, raise_interrupt, take_first
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.store.folder.layout import FILE_MODE, FOLDER_MODE

_RETRIED_SHORT_WRITES = 16

SEARCHED_BYTES = 4 * 1024 * 1024
"""How much may be written by others while one line is written, so that it is still found."""

_open: dict[int, weakref.ref[Descriptor]] = {}
_dropped: deque[Descriptor] = deque()
"""Those that nothing else references any more; `close_dropped` closes them."""


_TEMP_FLAGS = system.UPDATE | os.O_CREAT | os.O_TRUNC


class Descriptor:
    """An open descriptor; closed when the object is no longer referenced.

    Code that closes whatever is open may have closed it, and its number may be another file's by now: that one is not closed.
    """

    # Of the class, and no slots: `close_dropped` sees them, too, where an interrupt comes before `__init__` has done anything.
    fd = -1
    identity = (-1, -1)
    """Which file it is, whatever it is called."""
    _is_trusted = True

    def __init__(self, fd: int) -> None:
        # First, and without a call: an interrupt that comes from here on leaves nothing open.
        self.fd = fd
        if _dropped:
            close_dropped()
        self.status = status = os.fstat(fd)
        """As it was when it was opened."""
        self.identity = (status.st_dev, status.st_ino)
        _open[id(self)] = weakref.ref(self)
        self._is_trusted = False

    @property
    def is_ours(self) -> bool:
        """Whether the number is still that of the file that was opened."""
        return _is_of(self.fd, self.identity)

    def trust(self) -> None:
        """Have it closed without a look at whether it is still that of the file: something just succeeded with it."""
        self._is_trusted = True

    def close(self) -> None:
        """Close it now; for descriptors that no other code has."""
        self._close(look=True)

    def close_at_once(self) -> None:
        """The same for one that was opened a moment ago, without a look at whether it is still that of the file."""
        self._close(look=False)

    def close_unreferenced(self) -> None:
        """Close it, with a look unless it is trusted."""
        self._close(look=not self._is_trusted)

    def _close(self, *, look: bool) -> None:
        is_ours = self.fd >= 0 and (not look or self.is_ours)
        _open.pop(id(self), None)
        fd, self.fd = self.fd, -1
        if is_ours:
            system.close(fd)

    __del__ = in_c(_dropped.append)


def close_dropped() -> None:
    """Close the descriptors that are no longer referenced; done whenever one is opened, and where one held a lock."""
    taken: list[Descriptor] = []
    try:
        while _dropped and take_first(_dropped, taken):
            taken[0].close_unreferenced()
            taken.clear()
    except BaseException:
        _dropped.extendleft(taken)
        raise


def _is_of(fd: int, identity: tuple[int, int]) -> bool:
    try:
        status = os.fstat(fd)
    except OSError:
        raise_interrupt()
        return False
    return (status.st_dev, status.st_ino) == identity


def _renew_after_fork() -> None:
    for reference in list(_open.values()):
        descriptor = reference()
        if descriptor is not None:
            descriptor.close()
    close_dropped()
    _open.clear()


after_fork_in_child(_renew_after_fork)


def open_directory(path: str, parent: Descriptor | None = None) -> Descriptor:
    """Open a directory that is no symlink and that we own."""
    directory = Descriptor(system.open(path, system.READ_FOLDER, dir_fd=None if parent is None else parent.fd))
    if (found := directory.status.st_uid) != (user := system.user_id()):
        raise PermissionError(errno.EPERM, f"expected a folder of user {user}, found one of user {found}", path)
    return directory


def is_named(directory: Descriptor, path: str, parent: Descriptor | None = None) -> bool:
    """Whether an open directory still goes by this name. Raises `OSError` other than that there is none."""
    try:
        named = system.stat(path, dir_fd=None if parent is None else parent.fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return directory.identity == (named.st_dev, named.st_ino)


def make_directory(path: str, parent: Descriptor) -> bool:
    """Make a directory, with no more rights than mode 0700; false if something of that name is there."""
    try:
        system.mkdir(path, FOLDER_MODE, dir_fd=parent.fd)
    except FileExistsError:
        return False
    return True


class LineFile:
    """A file that lines are appended to, each with one ``write()``. Safe from any thread, without a lock."""

    def __init__(self, directory: Descriptor, name: str, *, new: bool = False) -> None:
        """With ``new``, in a folder that was just made, a file that is there already raises `FileExistsError`."""
        flags = system.APPEND | (os.O_EXCL if new else 0)
        self.descriptor = Descriptor(system.open(name, flags, FILE_MODE, dir_fd=directory.fd))
        status = self.descriptor.status
        _refuse_planted(status, name)
        if status.st_mode & 0o777 != FILE_MODE:
            system.fchmod(self.descriptor.fd, FILE_MODE)
        self.name, self.identity = name, self.descriptor.identity
        """Which file it is, whatever it is called."""
        self.size_bytes = status.st_size
        """Bytes that it has at least: those it had, and those written here; others only add."""
        self._is_new, self._seen_bytes, self._named_bytes = new, 0, status.st_size
        # A kill can cut the last line of an earlier writer.
        self._torn = status.st_size > 0 and system.pread(self.descriptor.fd, 1, status.st_size - 1) != b"\n"

    @property
    def intact(self) -> bool:
        """Whether all that was written here is still in a file with a name. Costs one ``fstat``.

        It may have been deleted or cut below us, or the descriptor closed by code that closes whatever is open.
        """
        # Before the call: other threads write meanwhile.
        least = self.size_bytes
        try:
            status = os.fstat(self.descriptor.fd)
        except OSError:
            raise_interrupt()
            return False
        self._seen_bytes = status.st_size
        return (status.st_dev, status.st_ino) == self.identity and status.st_nlink > 0 and status.st_size >= least

    def is_named(self, directory: Descriptor) -> bool:
        """Whether it is what stands under its name in the folder: it may have been renamed, as logrotate does. One ``stat``."""
        try:
            found = system.stat(self.name, dir_fd=directory.fd, follow_symlinks=False)
        except OSError:
            raise_interrupt()
            return False
        if (found.st_dev, found.st_ino) != self.identity:
            return False
        self._named_bytes = found.st_size
        return True

    def since_named(self) -> bytes:
        """What was written to it since it was last seen to have its name. Raises `OSError`."""
        length = max(0, os.fstat(self.descriptor.fd).st_size - self._named_bytes)
        return system.pread(self.descriptor.fd, length, self._named_bytes) if length else b""

    @property
    def is_all_ours(self) -> bool:
        """Whether all of it was written here, as of the last look at `intact`."""
        return self._is_new and self._seen_bytes == self.size_bytes

    def append(self, data: bytes) -> None:
        """Write one line, which ends in a newline. Raises `OSError`; a part that was written is a line of its own."""
        for _ in range(_RETRIED_SHORT_WRITES):
            piece = b"\n" + data if self._torn else data
            size, self._torn = len(piece), False
            try:
                if os.write(self.descriptor.fd, piece) == size:
                    self.size_bytes += size
                    return
            except BaseException:  # a signal handler may raise anything, before or behind the write
                self._torn = True
                raise
            # Others may have appended meanwhile, so the rest must not follow: the whole line again, on a fresh line.
            self._torn = True
        raise OSError(errno.EIO, "the system kept writing less than a line")

    def holds(self, data: bytes) -> bool:
        """Whether this line is among those written last, for one of which it is unknown whether it was written."""
        size = os.fstat(self.descriptor.fd).st_size
        length = min(size, len(data) + SEARCHED_BYTES)
        return data in system.pread(self.descriptor.fd, length, size - length)

    def sync(self) -> None:
        """Wait until the disk has it."""
        system.sync(self.descriptor.fd)


def _refuse_planted(status: os.stat_result, name: str) -> None:
    if status.st_mode & 0o170000 != 0o100000:
        raise OSError(errno.EINVAL, "expected a regular file", name)
    if status.st_nlink > 1:
        raise OSError(errno.EMLINK, "expected a file with one name, found a hard link", name)


def has_file(directory: Descriptor, name: str, size: int) -> bool:
    """Whether there is a file of that name and size in bytes."""
    try:
        found = system.stat(name, dir_fd=directory.fd, follow_symlinks=False)
    except OSError:
        raise_interrupt()
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def _write_all(fd: int, data: bytes) -> None:
    while data and (written := os.write(fd, data)) < len(data):
        data = data[written:]


def replace_file(directory: Descriptor, name: str, temp: str, data: bytes, *, sync: bool, masked: bool = True) -> None:
    """Replace a whole file atomically; with ``sync`` it also survives a power cut.

    ``masked``: whether the umask may take rights from the owner, too.
    """
    fd = -1
    try:
        # No `Descriptor`: no other code comes between.
        fd = system.open(temp, _TEMP_FLAGS, FILE_MODE, dir_fd=directory.fd)
        if masked:
            system.fchmod(fd, FILE_MODE)
        _write_all(fd, data)
        if sync:
            os.fsync(fd)
        system.rename(temp, name, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
        if sync:
            system.sync_folder(directory.fd)
    except BaseException:
        try:
            system.unlink(temp, dir_fd=directory.fd)
        except OSError:
            raise_interrupt()
        raise
    finally:
        if fd >= 0:
            system.close(fd)

"""A task's folder as this process has it open: found or made by name and id, locked, opened again when it was moved or deleted.

Few descriptors are held: where there are none left, the folders that were not used for longest are closed.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import otel_agentlog._platform as system
from otel_agentlog._interrupts import WeakValues, raise_interrupt, suppress_errors, take
from otel_agentlog.store.folder.files import (
    Descriptor,
    LineFile,
    close_dropped,
    is_named,
    make_directory,
    open_directory,
)
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FOLDER_MODE, folder_names
from otel_agentlog.store.folder.locks import BRIEF_WAIT_S, lock_shared, lock_shared_at_once
from otel_agentlog.store.folder.metadata import open_root, read_metadata

LONGEST_PAUSE_S = 1.0
"""Longest time, in seconds, that lines are given up without a try after the folder could not be opened again and again."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that opening a file anew does not cure."""

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_OPEN_WAIT_S = 1.0
_QUICK_TRIES = 3
_FEWEST_CLOSED = 16
_JUST_MADE_S = 1.0
_POLL_S = 0.002

Result = TypeVar("Result")


class Root:
    """The folder around the tasks. It stays open, so that a new task's folder costs few calls."""

    def __init__(self, path: Path) -> None:
        self.path, self.text = path, os.fspath(path)
        self.masked = True
        """Whether the umask may take rights from the owner, as far as the last folder that was made shows it."""
        self._open: Descriptor | None = None

    def make(self, name: str) -> Descriptor | None:
        """Make the folder of a task and open it; ``None`` if something of that name is there. Raises `OSError`."""
        root, made = self._open, False
        if root is None:
            root = self._open = open_root(self.path)
            if not make_directory(name, root):
                return None
            return self._opened(Descriptor(system.open(name, system.READ_FOLDER, dir_fd=root.fd)))
        try:
            made = make_directory(name, root)
            # By its path: it is not there if the root was moved or deleted meanwhile, or its descriptor closed by other code.
            return self._opened(Descriptor(system.open(os.path.join(self.text, name), system.READ_FOLDER))) if made else None
        except OSError:
            raise_interrupt()
            self._open = None
            if made:
                with suppress_errors(OSError):
                    system.rmdir(name, dir_fd=root.fd)
        return self.make(name)

    def _opened(self, directory: Descriptor) -> Descriptor:
        self.masked = directory.status.st_mode & 0o777 != FOLDER_MODE
        if self.masked:
            system.fchmod(directory.fd, FOLDER_MODE)
        return directory

    def find(self, name: str) -> Descriptor:
        """Open the folder of a task that is there. Raises `OSError`."""
        self._open = open_root(self.path)
        return open_directory(name, self._open)


class FolderHandle:
    """One task's folder as this process has it open. Safe from any thread; held by a shared lock while it is open."""

    def __init__(
        self,
        root: Root,
        task_id: str,
        introduce: Callable[[LineFile], None],
        renewed: Callable[[], None],
        released: Callable[[], None],
    ) -> None:
        """`introduce` writes this process's process line into a file that is another than before; `renewed` is called once such
        files can be written to, `released` before descriptors are given to other folders."""
        self.root, self.name = root, ""
        self.files: dict[str, LineFile] = {}
        """Files of lines that are open, by their names."""
        self.names: set[str] = set()
        """Those that were ever open."""
        self._task_id, self._introduce, self._renewed, self._released = task_id, introduce, renewed, released
        self.renew_after_fork()
        _handles.put(id(self), self)

    def renew_after_fork(self) -> None:
        """In the child of a fork: the parent's descriptors are not ours."""
        self.used_at = 0.0
        """When something of it was last opened or replaced, on the monotonic clock."""
        self._directory: Descriptor | None = None
        self._identity: tuple[int, int] | None = None
        """Which folder it is, once it was open."""
        self.files, self.names = {}, set()
        self.is_new = False
        """Whether this process made the folder, and has not written lines there yet."""
        self._new_output: LineFile | None = None
        self._introduced: tuple[int, int] | None = None
        """The file that has our process line."""
        self._size_bytes = 0
        """That it had at least when it was closed."""
        self._moved = False
        """Whether that file is another than before, and `renewed` was not called yet."""
        self._open_lock = threading.RLock()
        self._failures, self._closed_until, self._problem = 0, 0.0, 0

    @property
    def is_open(self) -> bool:
        """Whether something of it is open."""
        return self._directory is not None or bool(self.files)

    @property
    def holds(self) -> bool:
        """Whether it is held by this process: open, and locked."""
        return self._directory is not None

    def let_go(self) -> None:
        """Close the folder, but not its files."""
        self._directory = None
        close_dropped()

    def release_all(self) -> None:
        """Close it for others that need descriptors."""
        self._released()
        self.release()

    def release(self, *, just_used: bool = False) -> None:
        """Close it; the next use opens it again. ``just_used``: something in the folder was replaced a moment ago."""
        if just_used and self._directory is not None:
            self._directory.trust()
        output = self.files.get(AGENT_OUTPUT)
        if output is not None:
            self._size_bytes = output.size_bytes
        self.files, self._directory, self._new_output, self.is_new = {}, None, None, False
        close_dropped()

    def try_again(self) -> None:
        """Have the next use open it, however often that failed a moment ago."""
        self._closed_until = 0.0

    def renew(self) -> None:
        """Close it, since its files are not what they were: those that are opened next are taken for others."""
        self.release()
        self._moved, self._introduced = self._moved or self._introduced is not None, None

    def states(self) -> dict[int, bool]:
        """Whether each open file of lines is intact and still has its name, by its `id`. Costs two system calls each."""
        directory = self._directory
        return {id(file): file.intact and (directory is None or file.is_named(directory)) for file in self.files.values()}

    def renamed(self) -> list[LineFile]:
        """Open files of lines that are intact, and called something else now."""
        directory = self._directory
        return [file for file in self.files.values() if directory is not None and file.intact and not file.is_named(directory)]

    def is_where_it_was(self) -> bool:
        """Whether the lines of a folder that is closed are still found by its name."""
        try:
            status = os.stat(os.path.join(self.root.text, self.name, AGENT_OUTPUT), follow_symlinks=False)
        except OSError:
            raise_interrupt()
            return False
        return (status.st_dev, status.st_ino) == self._introduced and status.st_size >= self._size_bytes

    # -- files of lines ---------------------------------------------------------------------------------------------------

    def file(self, name: str) -> LineFile:
        """A file to append lines to. Raises `OSError`."""
        return self.files.get(name) or self._open_file(name)

    def _open_file(self, name: str) -> LineFile:
        if time.monotonic() < self._closed_until:
            raise OSError(self._problem, "the folder could not be opened a moment ago", self.name)
        # Not for longer than this, and never against its own thread: then two of us open it, and one of the two is closed.
        taken: list[bool] = []
        try:
            take(self._open_lock, _OPEN_WAIT_S, taken)
            known = self.files.get(name)
            return known or self.with_reopening(lambda: self.with_descriptors(lambda: self._open_now(name)))
        except OSError as error:
            raise_interrupt()
            self._pause(error)
            raise
        finally:
            if any(taken):
                self._open_lock.release()

    def _pause(self, error: OSError) -> None:
        self._failures += 1
        pause_s = 0.001 * 4.0 ** min(self._failures, 9) if self._failures >= _QUICK_TRIES else 0.0
        self._problem = error.errno or errno.EIO
        self._closed_until = time.monotonic() + min(LONGEST_PAUSE_S, pause_s)

    def _open_now(self, name: str) -> LineFile:
        directory = self.directory()
        output = self.files.get(AGENT_OUTPUT) or self._output(directory)
        self._failures = 0
        # A file that is smaller than it was is another one by the same number, or was cut.
        if output.identity != self._introduced or output.size_bytes < self._size_bytes:
            self._size_bytes = 0
            self._begin(output)
        files = {**self.files, AGENT_OUTPUT: output}
        if name not in files:
            files[name] = LineFile(directory, name)
        self.files = files
        self.names.update(files)
        if self._moved:
            self._moved = False
            self._renewed()
        return files[name]

    def _output(self, directory: Descriptor) -> LineFile:
        output, self._new_output, self.is_new = self._new_output, None, False
        return output or LineFile(directory, AGENT_OUTPUT)

    def _begin(self, output: LineFile) -> None:
        """Have the process line written into a file that is another than before, or was cut."""
        if self._introduced is not None:
            self._introduced, self._moved = None, True
        self._introduce(output)
        self._introduced = output.identity

    # -- the folder -------------------------------------------------------------------------------------------------------

    def directory(self) -> Descriptor:
        """The folder itself, made if it is not there. Raises `OSError`."""
        directory = self._directory
        if directory is None:
            before = self._identity
            directory = self._directory = self._hold()
            self._identity = directory.identity
            if before not in (None, directory.identity):
                # Files that are open are another folder's.
                self.files = {}
        return directory

    def _hold(self) -> Descriptor:
        directory = None
        for _ in range(_QUICK_TRIES):
            directory = self._again() or self._find()
            if not lock_shared_at_once(directory):
                lock_shared(directory)
            elif self._is_ours_alone(directory):
                return directory
            # While we waited for the lock, retention may have given the folder up.
            self.is_new = False
            if is_named(directory, os.path.join(self.root.text, self.name)):
                break
            self._identity = None
        assert directory is not None
        return directory

    def _is_ours_alone(self, directory: Descriptor) -> bool:
        """Whether this process made the folder, and its file of lines, before any other came."""
        if self.is_new:
            try:
                self._new_output = LineFile(directory, AGENT_OUTPUT, new=True)
            except FileExistsError:
                raise_interrupt()
                self.is_new = False
        return self.is_new

    def _again(self) -> Descriptor | None:
        """The folder that was open before, if its name still leads to it."""
        if self._identity is None:
            return None
        try:
            directory = Descriptor(system.open(os.path.join(self.root.text, self.name), system.READ_FOLDER))
        except FileNotFoundError:
            raise_interrupt()
            return None
        return directory if directory.identity == self._identity else None

    def _find(self) -> Descriptor:
        for name in folder_names(self._task_id):
            directory = self.root.make(name)
            self.is_new = directory is not None
            if directory is None:
                directory = self.root.find(name)
                if _task_id_of(directory) not in (None, self._task_id):
                    continue
            self.name = name
            return directory
        raise FileExistsError(errno.EEXIST, "every folder name of this task id is taken by another task", self._task_id)

    def with_descriptors(self, work: Callable[[], Result]) -> Result:
        """Do work; where no descriptor is left, close the folders that were not used for longest, and try again."""
        self.used_at = time.monotonic()
        try:
            return work()
        except OSError as error:
            raise_interrupt()
            if error.errno not in _NO_DESCRIPTORS:
                raise
        _close_oldest(self)
        return work()

    def with_reopening(self, work: Callable[[], Result]) -> Result:
        """Do work; where it fails for another reason than a full disk, open everything anew and try again.

        Another mount, another server, a folder that was deleted, a descriptor that other code closed.
        """
        try:
            return work()
        except OSError as error:
            raise_interrupt()
            if error.errno in (*FULL, *_NO_DESCRIPTORS):
                raise
        self.release()
        return work()


_handles: WeakValues[FolderHandle] = WeakValues()


def _close_oldest(needs: FolderHandle) -> None:
    """Close what was not used for longest. Folders before their lines' files: with these lines are still written at once, while
    others see by the process line that we are at work."""
    others = sorted((other for other in list(_handles) if other is not needs and other.is_open), key=lambda it: it.used_at)
    held = [other for other in others if other.holds]
    for other in held[: max(_FEWEST_CLOSED, len(held) // 2)]:
        other.let_go()
    if len(held) < _FEWEST_CLOSED:
        for other in others[: max(_FEWEST_CLOSED, len(others) // 2)]:
            other.release_all()


def _task_id_of(directory: Descriptor) -> object:
    """The id in ``metadata.json``; ``None`` if there is none. One that another process makes at this moment is waited for."""
    deadline = time.monotonic() + BRIEF_WAIT_S
    while not (found := read_metadata(directory)) and time.monotonic() < deadline:
        if time.time() - os.fstat(directory.fd).st_mtime > _JUST_MADE_S:
            break
        time.sleep(_POLL_S)
    return found.get("task_id")

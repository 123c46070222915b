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

from otel_agentlog._interrupts import WeakValues, raise_interrupt, take
from otel_agentlog.store.folder.files import Descriptor, LineFile, close_dropped, is_named, make_directory, open_directory
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, folder_names
from otel_agentlog.store.folder.locks import lock_shared
from otel_agentlog.store.folder.metadata import open_root, read_metadata

LONGEST_PAUSE_S = 1.0
"""Longest time, in seconds, that lines are given up without a try after the folder could not be opened again and again."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that opening a file anew does not cure."""

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_OPEN_WAIT_S = 1.0
_QUICK_TRIES = 3

Result = TypeVar("Result")


class FolderHandle:
    """One task's folder as this process has it open. Safe from any thread; held by a shared lock while it is open."""

    def __init__(
        self,
        root: Path,
        task_id: str,
        introduce: Callable[[LineFile], None],
        renewed: Callable[[], None],
        released: Callable[[], None],
    ) -> None:
        """`introduce` writes this process's process line into a file that is another than before; `renewed` is called once such
        files can be written to, `released` before descriptors are given to other folders."""
        self.root, self.name = root, ""
        self._task_id, self._introduce, self._renewed, self._released = task_id, introduce, renewed, released
        self.renew_after_fork()
        _handles.put(id(self), self)

    def renew_after_fork(self) -> None:
        """In the child of a fork: the parent's descriptors are not ours."""
        self.used_at = 0.0
        """When something of it was last opened or replaced, on the monotonic clock."""
        self._directory: Descriptor | None = None
        self._files: dict[str, LineFile] = {}
        self._introduced: tuple[int, int] | None = None
        """The file that has our process line."""
        self._size_bytes = 0
        """That it had at least when it was closed."""
        self._moved = False
        """Whether that file is another than before, and `renewed` was not called yet."""
        self._opening = threading.RLock()
        self._failures, self._closed_until, self._problem = 0, 0.0, 0

    @property
    def is_open(self) -> bool:
        """Whether it is held by this process."""
        return self._directory is not None

    def release(self) -> None:
        """Close it; the next use opens it again."""
        output = self._files.get(AGENT_OUTPUT)
        if output is not None:
            self._size_bytes = output.size_bytes
        self._files, self._directory = {}, None
        close_dropped()

    def try_again(self) -> None:
        """Have the next use open it, however often that failed a moment ago."""
        self._closed_until = 0.0

    def renew(self) -> None:
        """Close it, since its files are not what they were: those that are opened next are taken for others."""
        self.release()
        self._moved, self._introduced = self._moved or self._introduced is not None, None

    def states(self) -> dict[int, bool]:
        """Whether each open file of lines is intact, by its `id`. Costs one ``fstat`` each."""
        return {id(file): file.intact for file in self._files.values()}

    def is_where_it_was(self) -> bool:
        """Whether the lines of a folder that is closed are still found by its name."""
        try:
            status = os.stat(self.root / self.name / AGENT_OUTPUT, follow_symlinks=False)
        except OSError:
            raise_interrupt()
            return False
        return (status.st_dev, status.st_ino) == self._introduced and status.st_size >= self._size_bytes

    # -- files of lines ---------------------------------------------------------------------------------------------------

    def file(self, name: str) -> LineFile:
        """A file to append lines to. Raises `OSError`."""
        return self._files.get(name) or self._open_file(name)

    def _open_file(self, name: str) -> LineFile:
        if time.monotonic() < self._closed_until:
            raise OSError(self._problem, "the folder could not be opened a moment ago", self.name)
        # Not for longer than this, and never against its own thread: then two of us open it, and one of the two is closed.
        taken: list[bool] = []
        try:
            take(self._opening, _OPEN_WAIT_S, taken)
            known = self._files.get(name)
            return known or self.with_reopening(lambda: self.with_descriptors(lambda: self._open_now(name)))
        except OSError as error:
            raise_interrupt()
            self._pause(error)
            raise
        finally:
            if any(taken):
                self._opening.release()

    def _pause(self, error: OSError) -> None:
        self._failures += 1
        pause_s = 0.001 * 4.0 ** min(self._failures, 9) if self._failures >= _QUICK_TRIES else 0.0
        self._problem = error.errno or errno.EIO
        self._closed_until = time.monotonic() + min(LONGEST_PAUSE_S, pause_s)

    def _open_now(self, name: str) -> LineFile:
        directory = self.directory()
        output = self._files.get(AGENT_OUTPUT) or LineFile(directory, AGENT_OUTPUT)
        self._failures = 0
        # A file that is smaller than it was is another one by the same number, or was cut.
        if output.identity != self._introduced or output.size_bytes < self._size_bytes:
            self._size_bytes = 0
            self._begin(output)
        files = {**self._files, AGENT_OUTPUT: output}
        if name not in files:
            files[name] = LineFile(directory, name)
        self._files = files
        if self._moved:
            self._moved = False
            self._renewed()
        return files[name]

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
            directory = self._directory = self._hold(open_root(self.root))
        return directory

    def _hold(self, root: Descriptor) -> Descriptor:
        for _ in range(_QUICK_TRIES):
            directory = self._find(root)
            lock_shared(directory)
            # While we waited for the lock, retention may have given the folder up.
            if is_named(directory, self.name, root):
                break
        return directory

    def _find(self, root: Descriptor) -> Descriptor:
        for name in folder_names(self._task_id):
            created = make_directory(name, root)
            directory = open_directory(name, root)
            if created or read_metadata(directory).get("task_id") in (None, self._task_id):
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
        others = sorted((other for other in list(_handles) if other.is_open and other is not self), key=lambda it: it.used_at)
        for other in others[: max(8, len(others) // 2)]:
            other._released()
            other.release()
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

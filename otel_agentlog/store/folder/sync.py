"""Durability: the levels, and the thread that syncs files so that no recording call has to wait for the disk.

All requests for a file within a few milliseconds share one ``fdatasync``. Where the disk is slower than what is recorded, so that
`MAX_REQUESTS` requests wait, one ``syncfs`` of the root takes the place of all further ones: nothing is left out, and what waits
does not grow. A request takes no lock and does no I/O, so it is safe in signal handlers, ``__del__`` and garbage collection.
"""

from __future__ import annotations

import _thread
import errno
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Protocol, TypeAlias

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt, started_in_try, taken_out
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.store.folder.files import Descriptor, close_dropped

GROUP_S = 0.02
"""How long, in seconds, the first of a group waits for company; with the disk's own time it stays within 50 ms."""

RETRY_S = 1.0
"""How often, in seconds, whole files that could not be written are tried again."""

MAX_HELD = 32
"""Requests that may wait for files to be kept open for them."""

MAX_REQUESTS = 256
"""Requests that may wait; those that come then are served by syncing the whole file system of the root."""

MAX_UNSETTLED = 1_000
"""Folders whose whole files are tried again; past it the oldest are left to recovery, which finds all of it in the lines."""

_IDLE_S = 0.5

FOLDER, ROOT = ".", ".."
"""In place of a file name: the folder itself, and the folder around it."""

_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


class Level(str, Enum):
    """What a recorded line survives once its call has returned."""

    PROCESS = "process"
    """The end of the process, however it ends: the kernel has it."""
    GROUP = "group"
    """A power cut, from 50 ms later on."""
    SYNC = "sync"
    """A power cut."""


class Kept(Protocol):
    """What the syncer works for: a task's folder."""

    waiting: set[str]
    """Names of files that are to be synced and are not yet."""
    held: dict[str, Descriptor]
    """Of those, files that are open."""

    def path_of(self, name: str) -> str: ...
    def settle(self) -> None: ...
    def degrade(self, name: str, error: OSError) -> None: ...


SyncRequest: TypeAlias = "tuple[Kept | threading.Event, str]"
"""A folder and the name of what is to be synced, or an event to be set once everything before it is."""


class Syncer:
    """Brings files to the disk in the background, and tries again what could not be written."""

    def __init__(
        self, level: Level | str = Level.PROCESS, failed: Callable[[str, BaseException], None] = lambda where, error: None
    ) -> None:
        self.level = Level(level)
        self.failed = failed
        """Called with what went wrong: ``sync`` or ``documents``, and the error."""
        self.renew_after_fork()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: the parent syncs what was requested before."""
        self._queue: SimpleQueue[SyncRequest] = SimpleQueue()
        self._idle = [None]
        """Popped by the caller that starts the thread; popping a list is atomic."""
        self._crowded_out: deque[Kept] = deque(maxlen=1)
        """The last folder whose request found no room, if there was one since the whole file system was last synced."""
        self._unsettled: deque[Kept] = deque(maxlen=MAX_UNSETTLED)
        self._retries = True

    # -- any thread -------------------------------------------------------------------------------------------------------

    def ask(self, folder: Kept, *names: str) -> None:
        """Have files of a folder synced soon."""
        for name in names:
            if name in folder.waiting:
                continue
            if self._queue.qsize() >= MAX_REQUESTS:
                self._crowded_out.append(folder)
            else:
                folder.waiting.add(name)
                self._queue.put((folder, name))
        self._wake()

    @property
    def is_quick(self) -> bool:
        """Whether what is requested is done soon: then files may stay open for it, never many."""
        return self._queue.qsize() < MAX_HELD

    def retry(self, folder: Kept) -> None:
        """Have the whole files of a folder written later, as they cannot be now; after `stop_retrying` nothing is done."""
        if self._retries:
            self._keep(folder)
            self._wake()

    def _keep(self, folder: Kept) -> None:
        if folder not in self._unsettled:
            self._unsettled.append(folder)

    def stop_retrying(self) -> None:
        """At the end of a configuration: what could not be written by now is left to recovery, and the thread ends."""
        self._retries = False
        self._unsettled.clear()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was requested is synced; whether that was so in time."""
        if self._idle and self._queue.empty() and not self._crowded_out:
            return True
        done = threading.Event()
        self._queue.put((done, ""))
        self._wake()
        return done.wait(timeout_s)

    def settle(self) -> None:
        """Write now what could not be written before, as the process is about to end."""
        # Those that fail once more are put back, to be tried later.
        for folder in islice(taken_out(self._unsettled), len(self._unsettled)):
            self._settle(folder)

    def _wake(self) -> None:
        if not self._idle:
            return
        # Before the token is taken: an interrupt in between would lose it for good.
        entry = started_in_try(self._run)
        try:
            self._idle.pop()
        except IndexError:
            raise_interrupt()
            return
        try:
            # Not threading.Thread: starting one takes a lock, and a signal handler may have interrupted the code that holds it.
            _thread.start_new_thread(entry, ())
        except RuntimeError:
            raise_interrupt()
            # No threads left, or the interpreter is ending.
            self._sync_all(self._gathered(0.0, 0.0))
            self._idle.append(None)

    # -- own thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        idle = self._idle
        while True:
            try:
                busy = self._turn()
            except Exception as error:  # noqa: BLE001 - whatever a folder may raise must not end this thread
                self.failed("sync", error)
                continue
            if busy:
                continue
            idle.append(None)
            if self._queue.empty() and not self._unsettled and not self._crowded_out:
                return
            # A request came between our last check and this one; the thread that pops the token goes on.
            try:
                idle.pop()
            except IndexError:
                raise_interrupt()
                return

    def _turn(self) -> bool:
        """Do what there is; false if nothing came for a while."""
        idle_s = 0.0 if self._crowded_out else RETRY_S if self._unsettled else _IDLE_S
        gathered = self._gathered(GROUP_S, idle_s)
        busy = bool(gathered or self._crowded_out)
        self._sync_all(gathered)
        if not gathered and self._unsettled:
            self.settle()
            return True
        return busy

    def _gathered(self, group_s: float, idle_s: float) -> list[SyncRequest]:
        try:
            found = [self._queue.get(timeout=idle_s) if idle_s else self._queue.get_nowait()]
        except Empty:
            return []
        if group_s and not isinstance(found[0][0], threading.Event):
            time.sleep(group_s)
        while True:
            try:
                found.append(self._queue.get_nowait())
            except Empty:
                return found

    def _sync_all(self, gathered: list[SyncRequest]) -> None:
        # Files before the folders that name them.
        ordered = sorted(gathered, key=lambda item: (item[1] in (FOLDER, ROOT), item[1] == ROOT))
        files = [(folder, name) for folder, name in reversed(ordered) if not isinstance(folder, threading.Event)]
        synced: set[str] = set()
        last = next(taken_out(self._crowded_out), None)
        while files and last is None:
            folder, name = files.pop()
            # First: what is written from now on needs asking for again.
            folder.waiting.discard(name)
            held, path = folder.held.pop(name, None), folder.path_of(name)
            if path not in synced:
                synced.add(path)
                self._sync(folder, name, path, held)
            last = next(taken_out(self._crowded_out), None)
        if last is not None:
            self._sync_file_system(last, files)
        held = None
        close_dropped()
        for item, _ in gathered:
            if isinstance(item, threading.Event):
                item.set()

    def _sync_file_system(self, last: Kept, files: list[tuple[Kept, str]]) -> None:
        """Sync everything at once: these files and what was asked for when there was no room, ``last`` by this folder."""
        for folder, name in files:
            folder.waiting.discard(name)
            folder.held.pop(name, None)
        try:
            system.sync_file_system(last.path_of(ROOT))
        except FileNotFoundError:
            raise_interrupt()  # the root was deleted meanwhile
        except OSError as error:
            raise_interrupt()
            for folder, name in [*files, (last, ROOT)]:
                self.broken(folder, name, error)

    def _sync(self, folder: Kept, name: str, path: str, held: Descriptor | None) -> None:
        try:
            if held is not None and held.is_ours:
                sync(held.fd)
            else:
                sync_path(path, is_folder=name in (FOLDER, ROOT))
        except FileNotFoundError:
            pass  # deleted or archived meanwhile
        except OSError as error:
            raise_interrupt()
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.ask(folder, name)
            else:
                self.broken(folder, name, error)

    def broken(self, folder: Kept, name: str, error: OSError) -> None:
        """A sync failed: pages may be lost already, and another try would succeed without them."""
        self.failed("sync", error)
        folder.degrade(name, error)

    def _settle(self, folder: Kept) -> None:
        try:
            folder.settle()
        except BaseException as error:
            if self._retries:
                self._keep(folder)
            if not isinstance(error, OSError):
                raise
            raise_interrupt()
            self.failed("documents", error)


def sync_path(path: str, *, is_folder: bool) -> None:
    """Wait until the disk has a file or folder. Raises `OSError`; where syncing is unknown nothing is waited for."""
    fd = system.open(path, system.READ_FOLDER if is_folder else system.SYNC)
    try:
        sync(fd, is_folder=is_folder)
    finally:
        system.close(fd)


def sync(fd: int, *, is_folder: bool = False) -> None:
    """The same with what is open."""
    try:
        (system.sync_folder if is_folder else system.sync)(fd)
    except OSError as error:
        raise_interrupt()
        if error.errno not in _NO_SYNC:
            raise

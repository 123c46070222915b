"""The application log: lines that belong to no task, as JSON lines with rotation by size and day.

Several processes may write to one log without losing a line: each appends with one ``write()`` and holds a shared lock on the
file it has open. A writer that finds the file full or of an earlier day renames it; the others see another file under the name,
at the latest after a second, and open that one. A renamed file is compressed, in the background, once no writer holds it any
more (``docs/decisions/0025-app-log-rotation.md``).

`RotatingLog` writes, `Archive` compresses and deletes what was rotated, `LogNames` says what its files are called,
`choose_directory` picks the folder of a service's log, and `log_files` finds the logs of all services for readers.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path

import otel_agentlog._platform as system
from otel_agentlog._interrupts import OwnThread, raise_interrupt, take
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog._startup import dataclass, lazy_pattern
from otel_agentlog.store.folder import line_stream as streams
from otel_agentlog.store.folder.files import Descriptor, LineFile, close_dropped
from otel_agentlog.store.folder.layout import FILE_MODE, FOLDER_MODE, GZIP_SUFFIX
from otel_agentlog.store.folder.locks import Lock, lock_exclusively, lock_shared
from otel_agentlog.store.folder.recent import MAX_RECENT_BYTES, MAX_RECENT_LINES, RecentLines
from otel_agentlog.vocabulary.event_ids import KEY, EventIds
from otel_agentlog.vocabulary.lines import Line, encode

CHECK_INTERVAL_S = 0.1
"""How often, in seconds, a writer checks whether the file it has open is still the log."""

RELEASE_WAIT_S = 3.0
"""Longest time, in seconds, to wait for other writers to leave a rotated file; after that it is compressed another time."""

_CHUNK_BYTES = 256 * 1024

SYSTEM_LOGS = Path("/var/log")
"""Where services have folders of their own, each with its log in it."""

_CHUNK_OVERLAP_BYTES = 256
_NAME = lazy_pattern(r"(?P<stem>[A-Za-z0-9._-]{1,200}?)(?:\.(?P<day>\d{4}-\d\d-\d\d)\.(?P<number>\d{1,9}))?\.jsonl", re.ASCII)

_TEMP_SUFFIX = ".tmp"
_ATTEMPTS = 50
_UNSAFE = lazy_pattern(r"[^A-Za-z0-9._-]+", re.ASCII)
_FIRST_DAY = lazy_pattern(rb'(?:\{"timestamp":")?(\d{4}-\d\d-\d\d)[T ]')


@dataclass(frozen=True)
class LogNames:
    """What the files of one log are called."""

    current: str
    """The name of the file that is written to."""
    before_day: str
    """What stands before the day in the name of a rotated file."""
    after_number: str = ""
    """What stands after its number, before the ``.gz`` of a compressed one."""
    pattern: re.Pattern[str] = field(init=False, compare=False)
    """Matches the name of a rotated file: day, number, ending."""

    def __post_init__(self) -> None:
        """Make the pattern."""
        parts = rf"{re.escape(self.before_day)}\.(\d{{4}}-\d\d-\d\d)\.(\d{{1,9}}){re.escape(self.after_number)}(\.gz)?"
        object.__setattr__(self, "pattern", re.compile(parts, re.ASCII))

    @classmethod
    def of_service(cls, service: str) -> LogNames:
        """``<service>.jsonl`` and ``<service>.<day>.<n>.jsonl``."""
        stem = file_stem(service)
        return cls(f"{stem}.jsonl", stem, ".jsonl")

    @classmethod
    def of_file(cls, name: str) -> LogNames:
        """The name itself and ``<name>.<day>.<n>``, so that ``<name>*`` are all of them."""
        return cls(name, name)

    def rotated(self, day: str, number: int) -> str:
        """The name of a rotated file."""
        return f"{self.before_day}.{day}.{number}{self.after_number}"

    def age(self, name: str) -> tuple[str, int]:
        """Sort key of the name of a rotated file, the oldest first."""
        match = self.pattern.fullmatch(name)
        return ("", 0) if match is None else (match[1], int(match[2]))


@dataclass(frozen=True, kw_only=True)
class LogLimits:
    """When a log is rotated, and how much of what was rotated is kept."""

    max_bytes: int = 50 * 1024 * 1024
    """Size of a full file."""
    daily: bool = True
    """Whether each UTC day begins a file."""
    keep_days: int | None = 14
    """Days after its last line at which a rotated file is deleted; ``None``: not for its age."""
    backups: int | None = None
    """Most rotated files; ``None``: any number."""
    total_bytes: int | None = None
    """Most bytes of the file and all rotated ones; the file is full at half of it at the latest."""
    compress: bool = True
    """Whether rotated files are compressed."""

    @property
    def full_bytes(self) -> int:
        """Size at which the file is rotated."""
        return self.max_bytes if self.total_bytes is None else min(self.max_bytes, self.total_bytes // 2)


class _HeldFile(LineFile):
    """The log's file, with its lock: it is not compressed while a process has lines of it in memory."""

    def __init__(self, directory: Descriptor, name: str, hold: Descriptor) -> None:
        super().__init__(directory, name)
        self.hold = hold


@dataclass(slots=True)
class _Open:
    """The log as this process has it open."""

    file: LineFile
    hold: Descriptor
    """Holds the shared lock; as long as it is referenced the file is not compressed."""
    identity: tuple[int, int]
    day: str
    """UTC day of its first line."""
    room: int
    """Bytes until it is full, by what this process has read and written."""
    checked_at: float
    stuck: bool = False
    """Whether it should be rotated and could not be; the next regular check tries again."""

    def is_due(self, day: str, now: float) -> bool:
        """Whether to check before a line of this day is written."""
        return now - self.checked_at >= CHECK_INTERVAL_S or (self.is_done(day) and not self.stuck)

    def is_done(self, day: str) -> bool:
        """Whether a line of this day belongs into the next file."""
        return self.room <= 0 or self.day < day


class RotatingLog:
    """A log file and what was rotated. Safe from any thread."""

    def __init__(
        self,
        directory: Path,
        names: LogNames,
        limits: LogLimits = LogLimits(),
        *,
        render: Callable[[Line], bytes] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``render`` makes what stands in the file for a line; by default the line itself, as in a task folder."""
        self.directory, self.path = directory, directory / names.current
        self._limits, self._render = limits, render
        self._archive = Archive(directory, names, limits, clock)
        self._open: _Open | None = None
        self._event_ids = EventIds(first=0)
        self._recent = RecentLines()
        self._checking = threading.Lock()
        after_fork_in_child(self.renew_after_fork)

    def append(self, line: Line, data: bytes = b"") -> None:
        """Write a line; one without an ``event_id`` gets one. ``data`` is the line encoded, where it is. Raises `OSError`."""
        if "event_id" not in line:
            line.update(zip(KEY, self._event_ids.each, strict=False))
            data = b""
        data = (data or encode(line)) if self._render is None else self._render(line)
        size = len(data)
        log, now, day = self._open, time.monotonic(), str(line.get("timestamp", ""))[:10] if self._limits.daily else ""
        recent = self._recent
        if log is None or log.is_due(day, now) or len(recent.lines) >= MAX_RECENT_LINES or recent.size_bytes > MAX_RECENT_BYTES:
            log = self._check(log, now, day)
            close_dropped()  # the file before it, and its lock
        log.room -= size
        log.file.append(data)
        recent.lines.append((log.file, log.file.name, line["event_id"], data))
        recent.size_bytes += size

    def verify(self) -> None:
        """Write again what was written last, if the log was deleted or cut meanwhile. Raises `OSError`."""
        log = self._open
        if log is not None and (self._recent.lines or self._recent.has_lost):
            self._check(log, time.monotonic(), log.day)

    def tidy(self) -> None:
        """Compress what was rotated and delete what is too old; waits a few seconds for other writers. Raises nothing.

        Where another thread is at it, that one does it all, and this call returns at once.
        """
        # A line written while another thread renamed the file holds that file until the next check, which may never come.
        taken: list[bool] = []
        try:
            if take(self._checking, 0, taken):
                self._recent.check({})
        finally:
            if any(taken):
                self._checking.release()
        close_dropped()
        self._archive.tidy()

    def renew_after_fork(self) -> None:
        """In the child of a fork: open the log anew."""
        self._open = None
        self._recent = RecentLines()
        self._checking = threading.Lock()
        self._archive.renew_after_fork()

    def _check(self, log: _Open | None, now: float, day: str) -> _Open:
        """The log to write a line of this day to."""
        taken: list[bool] = []
        try:
            if not take(self._checking, 0, taken):
                # Another thread checks, or a signal handler came in between: the open file will do for a line or two.
                return log if log is not None else self._open_log(now, day)
            # While the open file is held: it is not compressed then.
            self._recent.check({})
            if log is None:
                self._archive.tidy_later()
            if log is None or self._size_if_current(log) is None:
                log = self._open_log(now, day)
            log.checked_at, log.stuck = now, False
            self._write_again(log)
            if log.is_done(day):
                log = self._next(log, now, day)
            self._open = log
            return log
        finally:
            if any(taken):
                self._checking.release()

    def _write_again(self, log: _Open) -> None:
        """Write the lines whose file was deleted or cut below us, but for those that stand in what is there now."""
        lost = self._recent.take_lost()
        end = _end_of(log.hold, 2 * MAX_RECENT_BYTES) if lost else b""
        for line in lost:
            if line[3] not in end:
                log.file.append(line[3])

    def _size_if_current(self, log: _Open) -> int | None:
        """Size of the log, in bytes; ``None`` if what is open is no longer the file of that name."""
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if (status.st_dev, status.st_ino) != log.identity:
            return None
        log.room = self._limits.full_bytes - status.st_size
        return status.st_size

    def _open_log(self, now: float, day: str) -> _Open:
        try:
            directory = Descriptor(system.open(self.directory, system.READ_LINKED_FOLDER))
        except FileNotFoundError:
            # Not each time: it keeps what a signal handler raises where the folder is there already.
            self.directory.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            directory = Descriptor(system.open(self.directory, system.READ_LINKED_FOLDER))
        flags = system.READ | os.O_CREAT
        for _ in range(_ATTEMPTS):
            hold = Descriptor(system.open(self.path.name, flags, FILE_MODE, dir_fd=directory.fd))
            lock_shared(hold)
            status = os.fstat(hold.fd)
            file = _HeldFile(directory, self.path.name, hold)
            log = _Open(file, hold, (status.st_dev, status.st_ino), _day_of(hold, status) or day, 0, now)
            # Renamed or deleted before it was locked: it may be compressed already, and what is written there would be lost.
            if self._size_if_current(log) is not None:
                return log
        raise FileExistsError(errno.EEXIST, "the file kept being replaced by somebody", str(self.path))

    def _next(self, log: _Open, now: float, day: str) -> _Open:
        """The log after this one; this one if it cannot be rotated now, since a large file is better than a lost line."""
        try:
            if self._rotate(log):
                self._archive.tidy_later()
                return self._open_log(now, day)
        except OSError:
            raise_interrupt()
        log.stuck = True
        return log

    def _rotate(self, log: _Open) -> bool:
        """Rename the log; false if another writer is about to."""
        directory = Descriptor(system.open(self.directory, system.READ_LINKED_FOLDER))
        try:
            if lock_exclusively(directory) is Lock.TAKEN:
                return False
            if self._size_if_current(log) is not None:
                day = log.day or time.strftime("%Y-%m-%d", time.gmtime())
                system.rename(self.path.name, self._archive.free_name(day), src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
                # Not left to the thread that tidies: a program may end right behind its last line.
                self._archive.delete_beyond(total=None)
            return True
        finally:
            # At once: dropped, it might be closed by another thread, after the next rotation found the lock taken.
            directory.close()


def rotated_files(directory: Path, log: LogNames) -> list[str]:
    """Names of the rotated files of a log, the oldest first."""
    try:
        with os.scandir(directory) as entries:
            found = [e.name for e in entries if log.pattern.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
    except OSError:
        raise_interrupt()
        return []
    return sorted(found, key=lambda name: (log.age(name), name))


class Archive:
    """The rotated files of a log, plain and compressed. Safe from any thread, and for several processes."""

    def __init__(self, directory: Path, names: LogNames, limits: LogLimits, clock: Callable[[], float]) -> None:
        self._directory, self._log, self._limits, self._clock = directory, names, limits, clock
        self._tidying, self._untidy = threading.Lock(), False

    def names(self) -> list[str]:
        """The rotated files there are, the oldest first."""
        return rotated_files(self._directory, self._log)

    def free_name(self, day: str) -> str:
        """The name of the next file of a day."""
        taken = [number for its_day, number in map(self._log.age, self.names()) if its_day == day]
        return self._log.rotated(day, max(taken, default=0) + 1)

    def tidy_later(self) -> None:
        """Tidy in a thread of its own, if there is anything to do."""
        try:
            if self.names():
                OwnThread(self.tidy, "agentlog-tidy").start()
        except RuntimeError:
            raise_interrupt()  # no more threads, or the interpreter is ending: the next start tries again

    def tidy(self) -> None:
        """Compress files that no process writes to and delete those that are too old. Raises nothing."""
        self._untidy = True
        while self._untidy and self._tidying.acquire(blocking=False):
            self._untidy = False
            try:
                for name in self.names():
                    self._tidy_one(name)
                self.delete_beyond(total=self._limits.total_bytes)
                self._delete_left()
            finally:
                self._tidying.release()

    def renew_after_fork(self) -> None:
        """In the child of a fork, which has no thread that tidies."""
        self._tidying, self._untidy = threading.Lock(), False

    def _delete_left(self) -> None:
        """Delete what a process that ended while it compressed a file left, once that file is gone."""
        plain = {name for name in self.names() if not name.endswith(GZIP_SUFFIX)}
        try:
            with os.scandir(self._directory) as entries:
                temps = [each.name for each in entries if each.name.startswith(".") and each.name.endswith(_TEMP_SUFFIX)]
            for temp in temps:
                name = temp[1:].removesuffix(_TEMP_SUFFIX)
                if self._log.pattern.fullmatch(name) and name not in plain:
                    system.unlink(self._directory / temp)
        except OSError:
            raise_interrupt()  # another process was faster

    def _tidy_one(self, name: str) -> None:
        path = self._directory / name
        try:
            status = os.stat(path, follow_symlinks=False)
            days = self._limits.keep_days
            if days is not None and status.st_mtime < self._clock() - days * 86_400:
                system.unlink(path)
            elif self._limits.compress and not name.endswith(GZIP_SUFFIX):
                _compress(path)
                close_dropped()
        except OSError:
            # Another process was faster, or the disk is full: nothing is lost, and the next start or rotation tries again.
            raise_interrupt()

    def delete_beyond(self, *, total: int | None) -> None:
        """Delete the oldest files that are too many or, with the log, more than ``total`` bytes. Raises nothing."""
        most = self._limits.backups
        if most is None and total is None:
            return
        left = None if total is None else total - self._limits.full_bytes
        kept = set[tuple[str, int]]()
        for name in reversed(self.names()):
            path = self._directory / name
            try:
                if left is not None:
                    left -= os.stat(path, follow_symlinks=False).st_size
                # A file and what it is being compressed to are one.
                kept.add(self._log.age(name))
                if (left is not None and left < 0) or (most is not None and len(kept) > most):
                    system.unlink(path)
            except OSError:
                raise_interrupt()  # another process was faster


def _compress(path: Path) -> None:
    """Replace a file by its gzip, unless a process still writes to it.

    At every moment one of the two is complete; if both are there, the plain one is the one to read.
    """
    plain = Descriptor(system.open(path, system.READ))
    if lock_exclusively(plain, RELEASE_WAIT_S) is not Lock.OURS or not _is_same(plain, path):
        return
    packed = path.with_name(path.name + GZIP_SUFFIX)
    # One name for all: only the holder of the lock comes here, and what a killed process left is overwritten.
    temp = path.with_name(f".{path.name}{_TEMP_SUFFIX}")
    status = os.fstat(plain.fd)
    try:
        _write_gzip(plain, temp)
        system.utime(temp, ns=(status.st_atime_ns, status.st_mtime_ns))
        system.rename(temp, packed)
    except OSError:
        temp.unlink(missing_ok=True)
        raise
    try:
        system.unlink(path)
    except FileNotFoundError:
        # Meanwhile there were too many, and it was the oldest; or somebody did not want it.
        packed.unlink(missing_ok=True)
        raise


def _end_of(file: Descriptor, length: int) -> bytes:
    size = os.fstat(file.fd).st_size
    return system.pread(file.fd, length, max(0, size - length))


def _is_same(file: Descriptor, path: Path) -> bool:
    status, named = os.fstat(file.fd), os.stat(path, follow_symlinks=False)
    return (status.st_dev, status.st_ino) == (named.st_dev, named.st_ino)


def _write_gzip(plain: Descriptor, temp: Path) -> None:
    import gzip  # seldom needed by a process that has just begun

    fd = system.open(temp, system.UPDATE | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(fd, "wb") as raw:
        with open(plain.fd, "rb", closefd=False) as source, gzip.GzipFile(fileobj=raw, mode="wb", filename="") as packed:
            shutil.copyfileobj(source, packed, _CHUNK_BYTES)
        raw.flush()
        os.fsync(raw.fileno())


def file_stem(service: str) -> str:
    """A service's name as the beginning of a file name."""
    return _UNSAFE.sub("-", service).strip("-.")[:100] or "agent"


def _day_of(hold: Descriptor, status: os.stat_result) -> str | None:
    """The UTC day a file begins with; ``None`` for an empty one."""
    if status.st_size == 0:
        return None
    first = _FIRST_DAY.match(system.pread(hold.fd, 32, 0))
    return first[1].decode() if first else time.strftime("%Y-%m-%d", time.gmtime(status.st_mtime))


def choose_directory(service: str, wanted: Path | None, home: Path) -> Path:
    """Where the application log goes; the folder is made.

    ``wanted``, else ``/var/log/<service>``; where that cannot be written to, a folder in the user's home.
    """
    last = home / ".local" / "state" / "agentlog" / "logs"
    for directory in (wanted or SYSTEM_LOGS / file_stem(service), last):
        if is_usable(directory):
            return directory
    return last


def is_usable(directory: Path) -> bool:
    """Whether a log can be in this folder, which is made if it can be."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        effective = os.access in os.supports_effective_ids
        return os.access(directory, os.W_OK | os.X_OK, effective_ids=effective)
    except OSError:
        raise_interrupt()
        return False


def log_directories(wanted: Path | None, home: Path, services: Path = SYSTEM_LOGS) -> list[Path]:
    """Every folder in which services may have put their application log, as `choose_directory` chooses it."""
    last = home / ".local" / "state" / "agentlog" / "logs"
    if wanted is not None:
        return list(dict.fromkeys((wanted, last)))
    return [*_service_folders(services), last]


def _service_folders(services: Path) -> list[Path]:
    try:
        with os.scandir(services) as entries:
            folders = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        raise_interrupt()
        return []
    return sorted(folder for folder in folders if _has_log(folder))


def _has_log(folder: Path) -> bool:
    return any(match["stem"] == folder.name for _, match in _files_in(folder))


def log_files(places: Sequence[Path]) -> list[Path]:
    """The application logs there are, newest first, each by its uncompressed name; on disk it may be ``<name>.gz``.

    A place is a folder of services' logs, or a log whose file has a name of its own.
    """
    found = [
        (match["day"] or "9999", int(match["number"] or 0), folder / name)
        for folder in places
        for name, match in _files_in(folder)
    ]
    found += [each for file in places if not file.is_dir() for each in _files_of(file)]
    return [path for _, _, path in sorted(found, reverse=True)]


def _files_of(file: Path) -> list[tuple[str, int, Path]]:
    names = LogNames.of_file(file.name)
    rotated = {name.removesuffix(GZIP_SUFFIX) for name in rotated_files(file.parent, names)}
    return [*((*names.age(name), file.parent / name) for name in rotated), *([("9999", 0, file)] if file.exists() else [])]


def _files_in(folder: Path) -> list[tuple[str, re.Match[str]]]:
    try:
        with os.scandir(folder) as entries:
            names = {entry.name.removesuffix(GZIP_SUFFIX) for entry in entries if entry.is_file(follow_symlinks=False)}
    except OSError:
        raise_interrupt()
        return []
    return [(name, match) for name in sorted(names) if (match := _NAME.fullmatch(name)) is not None]


def mentions(path: Path, words: bytes) -> bool:
    """Whether a ``.jsonl`` file, plain or compressed, holds these bytes; much faster than reading its lines."""
    end = b""
    for chunk in streams.stream(path.parent, path.name, _ignore):
        if words in end + chunk:
            return True
        end = chunk[-_CHUNK_OVERLAP_BYTES:]
    return False


def newest_change_ns(path: Path) -> int:
    """When a ``.jsonl`` file was last written to, in Unix nanoseconds; 0 if it is not there."""
    newest = 0
    for each in (path, path.with_name(path.name + GZIP_SUFFIX)):
        try:
            newest = max(newest, os.stat(each, follow_symlinks=False).st_mtime_ns)
        except OSError:
            raise_interrupt()
            continue
    return newest


def _ignore(reason: str) -> None:
    """What cannot be read is reported where the lines are read."""

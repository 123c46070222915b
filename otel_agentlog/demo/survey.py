"""Looks at a directory that may be anything: huge, unreadable, full of links and pipes. Changes nothing in it.

Hides how the walk stays bounded and how names that are not UTF-8 are shown. Symbolic links are never followed; what is not a
regular file is never opened; a file may vanish or change at any moment.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_ENTRIES = 20_000
"""Directory entries after which a walk stops."""

LONGEST_WALK_S = 2.0
"""Time after which a walk stops, in seconds."""

LEFT_OUT = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
"""Directories that hold copies, caches and other people's code; not looked into."""


@dataclass(frozen=True)
class FoundFile:
    """A regular file."""

    name: str
    """Path from the directory's top, made printable; unique in a `Survey`."""
    path: str
    size_bytes: int


@dataclass
class Survey:
    """What a directory holds. Files are in the order of their names, directory by directory."""

    top: str
    files: list[FoundFile] = field(default_factory=list)
    directories: int = 0
    links: int = 0
    special: int = 0
    """Pipes, sockets and devices."""
    unreadable: int = 0
    """Directories and entries that could not be looked at."""
    whole: bool = True
    """Whether the walk came to its end."""

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size_bytes for file in self.files)

    def largest(self, count: int) -> list[FoundFile]:
        """The largest files, largest first."""
        return sorted(self.files, key=lambda file: (-file.size_bytes, file.name))[:count]

    def find(self, name: str) -> FoundFile:
        """The file of that printable name.

        Raises:
            FileNotFoundError: the survey has none; so nothing outside the directory can be named.
        """
        for file in self.files:
            if file.name == name:
                return file
        raise FileNotFoundError(f"no such file in the directory: {name}")


def printable(path: str) -> str:
    """A path as text that any terminal and any JSON reader takes: other bytes and characters as escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def look_at(top: str, besides: str | None = None) -> Survey:
    """Walk the directory; ``besides`` is a directory below it that is left out (our own logs, say)."""
    survey = Survey(top)
    deadline = time.monotonic() + LONGEST_WALK_S
    names: set[str] = set()
    waiting, seen = [top], 0
    while waiting:
        directory = waiting.pop()
        below: list[str] = []
        for entry in _entries(directory, survey):
            seen += 1
            if seen > MOST_ENTRIES or time.monotonic() > deadline:
                survey.whole = False
                return survey
            if entry.path == besides:
                continue
            _take(entry, survey, names, below)
        waiting.extend(reversed(below))
    return survey


def _entries(directory: str, survey: Survey) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            # A directory of a million entries is read no further than the walk goes.
            found = [entry for entry, _ in zip(entries, range(MOST_ENTRIES + 1), strict=False)]
    except OSError:
        survey.unreadable += 1
        return
    yield from sorted(found, key=lambda entry: entry.name)


def _take(entry: os.DirEntry[str], survey: Survey, names: set[str], below: list[str]) -> None:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        survey.unreadable += 1
        return
    if stat.S_ISLNK(status.st_mode):
        survey.links += 1
    elif stat.S_ISDIR(status.st_mode):
        if entry.name not in LEFT_OUT:
            survey.directories += 1
            below.append(entry.path)
    elif not stat.S_ISREG(status.st_mode):
        survey.special += 1
    else:
        name = printable(os.path.relpath(entry.path, survey.top))
        if name not in names:
            names.add(name)
            survey.files.append(FoundFile(name, entry.path, status.st_size))


def read_start(path: str, most_bytes: int) -> bytes:
    """The first bytes of a regular file; never waits for a pipe and never follows a link. Raises `OSError`."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{printable(path)} is no regular file any more")
        return file.read(most_bytes) or b""


def is_binary(data: bytes) -> bool:
    """Whether bytes are no text, as ``grep`` judges it."""
    return b"\0" in data[:4096]

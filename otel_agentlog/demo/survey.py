"""Examines a directory that may be anything: huge, unreadable, full of links and pipes. Changes nothing in it.

`take_survey` walks it, within bounds; `count` counts over its texts; `copy_sources`, `compile_sources` and `problems` have a
copy of its Python files compiled. Symbolic links are not followed; only regular files are opened; a file may vanish or change
at any moment.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MOST_ENTRIES = 20_000
"""Directory entries after which a walk stops."""
LONGEST_WALK_S = 2.0
"""Time after which a walk stops, in seconds."""
LEFT_OUT = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
"""Directories of copies, caches and other people's code; not walked."""

MOST_FILES_COUNTED, MOST_BYTES_OF_A_TEXT, MOST_BYTES_COUNTED = 2_000, 256 * 1024, 16 * 1024 * 1024
"""Bounds of a count: files read, bytes of each, bytes of all."""
MOST_SOURCES, MOST_BYTES_OF_A_SOURCE, COMPILER_TIMEOUT_S = 200, 128 * 1024, 30.0
"""Bounds of compiling. Larger files are left out: half a file is no valid Python."""


@dataclass(frozen=True)
class FoundFile:
    """A regular file."""

    name: str
    """Path from the directory's top, made printable; unique in a `Survey`."""
    path: str
    size_bytes: int

    def listed(self) -> dict[str, Any]:
        """As an entry of a list."""
        return {"path": self.name, "size_bytes": self.size_bytes}


@dataclass
class Survey:
    """The content of a directory. Files are in the order of their names, directory by directory."""

    top: str
    files: list[FoundFile] = field(default_factory=list)
    directories: int = 0
    links: int = 0
    special: int = 0
    """Pipes, sockets and devices."""
    unreadable: int = 0
    """Directories and entries that could not be examined."""
    whole: bool = True
    """Whether the walk came to its end."""

    def largest(self, most: int) -> list[FoundFile]:
        """The largest files, largest first."""
        return sorted(self.files, key=lambda file: (-file.size_bytes, file.name))[:most]

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


def take_survey(top: str, besides: str | None = None) -> Survey:
    """Walk the directory; ``besides`` is a directory below it that is left out such as our own logs."""
    survey, names = Survey(top), set[str]()
    deadline = time.monotonic() + LONGEST_WALK_S
    waiting, seen = [top], 0
    while waiting:
        below: list[str] = []
        for entry in _entries(waiting.pop(), survey):
            seen += 1
            if seen > MOST_ENTRIES or time.monotonic() > deadline:
                survey.whole = False
                return survey
            if entry.path != besides:
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
    elif (name := printable(os.path.relpath(entry.path, survey.top))) not in names:
        names.add(name)
        survey.files.append(FoundFile(name, entry.path, status.st_size))


_READ = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
"""Those that the system has."""


def read_start(path: str, most_bytes: int) -> bytes:
    """The first bytes of a regular file; never waits for a pipe and never follows a link. Raises `OSError`."""
    fd = os.open(path, _READ)
    with open(fd, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{printable(path)} is no regular file any more")
        return file.read(most_bytes) or b""


def is_binary(data: bytes) -> bool:
    """Whether bytes are no text, by the rule of ``grep``."""
    return b"\0" in data[:4096]


_TODO = re.compile(rb"(?:#|//|/\*|--|;|<!--)[ \t]*(?:TODO|FIXME|XXX)\b")
"""Only in comments: a text about TODOs is none."""
_TEST = re.compile(rb"^\s*(?:async\s+)?def\s+test_\w*|^\s*(?:it|test)\(", re.MULTILINE)
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.[a-z]+$|(^|/)tests?/", re.IGNORECASE)


def count(survey: Survey) -> dict[str, Any]:
    """Lines, TODOs and tests of the texts, and how many files were texts, binary, unreadable, or left unread."""
    found = dict.fromkeys(("texts", "lines", "todos", "tests", "test_files", "binary", "unreadable", "unread"), 0)
    left_bytes = MOST_BYTES_COUNTED
    for number, file in enumerate(survey.files):
        if number >= MOST_FILES_COUNTED or left_bytes <= 0:
            found["unread"] = len(survey.files) - number
            break
        # A size of 0 means nothing to read; in /proc such a file may be endless.
        left_bytes -= _count_file(file, found) if file.size_bytes else 0
    return found


def _count_file(file: FoundFile, found: dict[str, int]) -> int:
    try:
        data = read_start(file.path, MOST_BYTES_OF_A_TEXT)
    except OSError:
        found["unreadable"] += 1
        return 0
    if is_binary(data):
        found["binary"] += 1
        return len(data)
    found["texts"] += 1
    found["lines"] += data.count(b"\n")
    found["todos"] += len(_TODO.findall(data))
    if _TEST_FILE.search(file.name):
        found["test_files"] += 1
        found["tests"] += len(_TEST.findall(data))
    return len(data)


@dataclass(frozen=True)
class Copy:
    """Python files under plain names in a directory of our own."""

    directory: str
    names: tuple[str, ...]
    """Printable name of each file; the copy of the n-th is ``000n.py``."""
    left_out: int
    """Python files that were too many, too large or unreadable."""

    @property
    def command(self) -> list[str]:
        """The command that compiles them."""
        return [sys.executable, "-m", "compileall", "-q", self.directory]


def copy_sources(survey: Survey, scratch: str) -> Copy:
    """Copy what will be compiled. Raises `OSError` where the scratch directory cannot be written."""
    directory = os.path.join(scratch, "sources")
    os.mkdir(directory)
    sources = [file for file in survey.files if file.name.endswith(".py")]
    names: list[str] = []
    for file in sources:
        if len(names) == MOST_SOURCES or file.size_bytes > MOST_BYTES_OF_A_SOURCE:
            continue
        try:
            data = read_start(file.path, MOST_BYTES_OF_A_SOURCE)
        except OSError:
            continue
        with open(os.path.join(directory, f"{len(names):04d}.py"), "wb") as copy:
            copy.write(data)
        names.append(file.name)
    return Copy(directory, tuple(names), len(sources) - len(names))


def compile_sources(copy: Copy) -> subprocess.CompletedProcess[str]:
    """Run the compiler; its output is kept. Raises `OSError` and `subprocess.TimeoutExpired`.

    It runs in the copy, because Python imports modules from its working directory, and those under review are not ours.
    """
    return subprocess.run(  # noqa: S603 - our own command line, no shell
        copy.command,
        cwd=copy.directory,
        capture_output=True,
        errors="backslashreplace",
        timeout=COMPILER_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


_FAILED = re.compile(r"^\*\*\* Error compiling '.*?(\d{4})\.py'", re.MULTILINE)
_LINE = re.compile(r'^  File ".*?", line (\d+)|\(\d{4}\.py, line (\d+)\)$', re.MULTILINE)
_REASON = re.compile(r"^(?:Sorry: )?(\w*Error: .*?)(?: \(\d{4}\.py, line \d+\))?$", re.MULTILINE)


def problems(copy: Copy, output: str) -> list[str]:
    """The errors in the output of ``compileall -q``, as ``name:line: reason``."""
    starts = list(_FAILED.finditer(output))
    ends = [start.start() for start in starts[1:]] + [len(output)]
    return [
        _problem(copy.names[number], output[start.start() : end])
        for start, end in zip(starts, ends, strict=False)
        if (number := int(start.group(1))) < len(copy.names)
    ]


def _problem(name: str, text: str) -> str:
    line, reason = _LINE.search(text), _REASON.search(text)
    where = f"{name}:{line.group(1) or line.group(2)}" if line else name
    return f"{where}: {reason.group(1) if reason else 'does not compile'}"

"""Compiles the directory's Python files with ``python -m compileall``, in a copy: the directory itself stays as it is.

Hides how a bounded copy is made, and how the compiler's words become a list of problems.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass

from otel_agentlog.demo.survey import FoundFile, Survey, read_start

MOST_FILES = 200
MOST_BYTES_OF_A_FILE = 128 * 1024
"""Bounds of the copy. Larger files are left out: half a file is no valid Python."""

TIMEOUT_S = 30.0

_FAILED = re.compile(r"^\*\*\* Error compiling '.*?(\d{4})\.py'", re.MULTILINE)
_LINE = re.compile(r'^  File ".*?", line (\d+)|\(\d{4}\.py, line (\d+)\)$', re.MULTILINE)
_REASON = re.compile(r"^(?:Sorry: )?(\w*Error: .*?)(?: \(\d{4}\.py, line \d+\))?$", re.MULTILINE)


@dataclass(frozen=True)
class Copy:
    """Python files under plain names in a directory of our own."""

    directory: str
    names: tuple[str, ...]
    """Printable name of each file; the copy of the n-th is ``000n.py``."""
    left_out: int
    """Python files that were too many, too large or unreadable."""


def copy_sources(survey: Survey, scratch: str) -> Copy:
    """Copy what will be compiled. Raises `OSError` where the scratch directory cannot be written."""
    directory = os.path.join(scratch, "sources")
    os.mkdir(directory)
    sources = [file for file in survey.files if file.name.endswith(".py")]
    names: list[str] = []
    for file in sources:
        if len(names) < MOST_FILES and _copied(file, os.path.join(directory, f"{len(names):04d}.py")):
            names.append(file.name)
    return Copy(directory, tuple(names), len(sources) - len(names))


def _copied(file: FoundFile, target: str) -> bool:
    if file.size_bytes > MOST_BYTES_OF_A_FILE:
        return False
    try:
        data = read_start(file.path, MOST_BYTES_OF_A_FILE)
    except OSError:
        return False
    with open(target, "wb") as copy:
        copy.write(data)
    return True


def compile_command(copy: Copy) -> list[str]:
    """The command, ready to run."""
    return [sys.executable, "-m", "compileall", "-q", copy.directory]


def run(command: list[str], directory: str) -> subprocess.CompletedProcess[str]:
    """Run the command; what it prints is kept. Raises `OSError` and `subprocess.TimeoutExpired`.

    It runs in `directory`, because Python imports modules from where it is run, and those under review are not ours.
    """
    return subprocess.run(  # noqa: S603 - our own command line, no shell
        command,
        cwd=directory,
        capture_output=True,
        errors="backslashreplace",
        timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def problems(copy: Copy, printed: str) -> list[str]:
    """What ``compileall -q`` complained about, as ``name:line: reason``."""
    starts = list(_FAILED.finditer(printed))
    ends = [start.start() for start in starts[1:]] + [len(printed)]
    return [
        _problem(copy.names[number], printed[start.start() : end])
        for start, end in zip(starts, ends, strict=False)
        if (number := int(start.group(1))) < len(copy.names)
    ]


def _problem(name: str, said: str) -> str:
    line, reason = _LINE.search(said), _REASON.search(said)
    where = f"{name}:{line.group(1) or line.group(2)}" if line else name
    return f"{where}: {reason.group(1) if reason else 'does not compile'}"

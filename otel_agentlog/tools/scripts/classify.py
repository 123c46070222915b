"""From how a process ended to why it failed: exit codes, signals, errno, and the end of stderr."""

from __future__ import annotations

import errno
import os
import re
import signal

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.tools.process.result import Ending, StartFailure

_LINE_BYTES = 256

_BY_REASON = {
    "timeout": "timed_out",
    "memory": "memory_exceeded",
    "cancelled": "cancelled",
    "abandoned": "cancelled",
    "lost": "lost",
}
_BY_EXEC_ERRNO = {
    errno.EACCES: "not_executable",
    errno.EPERM: "not_executable",
    errno.ENOEXEC: "bad_format",
    errno.E2BIG: "inputs_too_large",
    errno.ENOMEM: "out_of_memory",
    errno.EAGAIN: "too_many",
    errno.EMFILE: "too_many",
    errno.ENFILE: "too_many",
}
_BY_FOLDER_ERRNO = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EROFS: "permission_denied",
    errno.EMFILE: "too_many",
    errno.ENFILE: "too_many",
}
# sysexits.h, and the shell's own; the text is more exact for all others.
_BY_EXIT_CODE = {
    64: "bad_usage",
    65: "bad_usage",
    69: "unreachable",
    75: "temporary",
    77: "permission_denied",
    126: "not_executable",
}
_BY_SIGNAL = {"SIGKILL": "killed", "SIGXCPU": "killed", "SIGTERM": "failed", "SIGINT": "failed"}
_SIGKILL = 9
_MAYBE_USAGE = 2

_BY_TEXT: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (cause, re.compile(words, re.IGNORECASE))
    for cause, words in (
        ("out_of_memory", r"\bMemoryError\b|cannot allocate memory|out of memory|bad_alloc|OutOfMemoryError"),
        ("disk_full", r"no space left on device|disk quota exceeded"),
        ("too_many", r"too many open files|resource temporarily unavailable|can't start new thread"),
        ("missing_package", r"ModuleNotFoundError|No module named|Cannot find module|LoadError.*cannot load such file"),
        ("missing_interpreter", r"env: .*no such file or directory|bad interpreter"),
        ("unreachable", r"connection refused|could not resolve host|name resolution|network is unreachable|no route to host"),
        ("permission_denied", r"permission denied|PermissionError|operation not permitted|access denied"),
    )
)


def cause_of(ending: Ending, stderr: str, *, too_much_output: bool = False) -> str | None:
    """The cause's name in `causes.CAUSES`; ``None`` if it did not fail. ``stderr`` is the end of it."""
    if ending.problem is not None:
        return _of_problem(ending.problem)
    if too_much_output:
        return "too_much_output"
    if ending.reason is not None:
        return _BY_REASON[ending.reason]
    code = ending.exit_code
    if not code:
        return None
    return _of_signal(-code, stderr) if code < 0 else _of_exit_code(code, stderr)


def _of_problem(problem: StartFailure) -> str:
    if problem.stage == "cwd":
        return "missing_cwd" if problem.number != errno.EACCES else "permission_denied"
    if problem.stage == "sandbox":
        return "no_sandbox"
    if problem.stage == "scratch":
        return _BY_FOLDER_ERRNO.get(problem.number, "failed")
    if problem.number in _BY_EXEC_ERRNO:
        return _BY_EXEC_ERRNO[problem.number]
    if problem.number == errno.ENOENT:
        return "missing_interpreter" if os.path.exists(problem.path) else "missing_program"
    return "failed"


def _of_signal(number: int, stderr: str) -> str:
    if number == signal.SIGABRT and (found := _by_text(stderr)) is not None:
        return found
    return _BY_SIGNAL.get(signal.Signals(number).name, "crashed") if number in set(signal.Signals) else "crashed"


def _of_exit_code(code: int, stderr: str) -> str:
    if code in _BY_EXIT_CODE:
        return _BY_EXIT_CODE[code]
    found = _by_text(stderr)
    if code == 127:
        return "missing_interpreter" if found == "missing_interpreter" else "missing_program"
    if found is None and code == _MAYBE_USAGE and re.search(r"^usage:", stderr, re.IGNORECASE | re.MULTILINE):
        return "bad_usage"
    if found is None and code == 128 + _SIGKILL:
        return "killed"
    return found or "failed"


def _by_text(text: str) -> str | None:
    return next((cause for cause, pattern in _BY_TEXT if pattern.search(text)), None)


def interpreter_of(path: str) -> str | None:
    """What the first line of a script names, e.g. ``/usr/bin/perl``; ``None`` if it names nothing."""
    try:
        with open(path, "rb") as file:
            line = file.readline(_LINE_BYTES)
    except OSError:
        raise_interrupt()
        return None
    words = line[2:].split() if line.startswith(b"#!") else []
    return words[0].decode("utf-8", "replace") if words else None


def explain(name: str, cause: str, ending: Ending) -> str:
    """One line about a failure: facts only, nothing of what the process printed."""
    problem = ending.problem
    if cause == "missing_interpreter" and problem is not None:
        return f"{name}: its interpreter {interpreter_of(problem.path) or '?'!r} is not there ({problem.path})"
    if problem is not None:
        return f"{name}: could not be started: {problem}"
    if cause == "timed_out":
        return f"{name}: ended after {ending.usage.wall_s:.1f} s, its time limit"
    if cause == "memory_exceeded":
        return f"{name}: ended at {ending.usage.memory_peak_mb or 0:.0f} MB, beyond its memory limit"
    if cause == "too_much_output":
        return f"{name}: ended because it printed more than it may"
    if cause == "cancelled":
        return f"{name}: cancelled"
    return f"{name}: {_ended(ending)}"


def _ended(ending: Ending) -> str:
    code = ending.exit_code
    if code is None:
        return "how it ended is not known"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"ended by signal {signal.Signals(-code).name}"
    except ValueError:
        raise_interrupt()
        return f"ended by signal {-code}"

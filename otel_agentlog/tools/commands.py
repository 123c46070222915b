"""Runs a command and records it: what was run, how it ended, how much it printed.

    result = command(["git", "status", "--short"], cwd="repo", timeout_s=30)
    result.success, result.exit_code, result.stdout

What is recorded is redacted: options that name a secret (``--password x``, ``--token=x``), secrets by their form, and the values
of secret variables in what the command prints. What the caller gets is not. Everything the command started has ended when this
returns or raises, so nothing can be left running in the background by it.
"""

from __future__ import annotations

import operator
import os
import re
import shlex
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, TypeVar

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.error_handling.categories import ErrorDetails
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.api import tool
from otel_agentlog.record.events import log_event
from otel_agentlog.record.exceptions.class_info import short_name
from otel_agentlog.record.exceptions.error_id import error_id
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.record.sanitize.keys import is_true
from otel_agentlog.settings.fields import inherited
from otel_agentlog.tools.causes import ToolError
from otel_agentlog.tools.control import stoppable
from otel_agentlog.tools.process.mask import MASKED, Mask, is_secret
from otel_agentlog.tools.process.output import Output, failure_details, recorded_output, recorded_result, set_figures
from otel_agentlog.tools.process.result import Cancellation, Ending, ResourceUsage
from otel_agentlog.tools.process.run import Launch, run_process
from otel_agentlog.tools.scripts.classify import cause_of, explain
from otel_agentlog.tools.scripts.prepare import carried
from otel_agentlog.vocabulary.coerce import parse_float
from otel_agentlog.vocabulary.states import Component, Outcome

Given = TypeVar("Given")
Read = TypeVar("Read")

MAX_OUTPUT_BYTES = 16 << 20
"""Default of how much of each stream a result holds, in bytes."""


def command(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    check: bool = False,
    input: str | bytes | None = None,
    ok_codes: Collection[int] = (0,),
    max_output_bytes: int = MAX_OUTPUT_BYTES,
) -> CommandResult:
    """Run a command, wait for it, and record it as a tool run named after the program.

    Args:
        argv: program and arguments; no shell is involved.
        cwd: its working directory; default: this process's.
        env: its whole environment; default: this process's. In a task it also gets what continues the task.
        timeout_s: seconds after which it and everything it started is ended.
        check: raise `CommandError` if it failed.
        input: its standard input; default: none, it reads an end of file.
        ok_codes: exit codes that are no failure, e.g. ``(0, 1)`` for ``grep``.
        max_output_bytes: how much of each stream the result holds; the rest is read and counted.

    Raises:
        ConfigurationError: ``argv`` is empty or one text, or another argument cannot be used.
        CommandError: it failed and ``check`` is set.
    """
    words, folder = _used("argv", argv, "a list of texts, the program first", _words), _used("cwd", cwd, "a path", _folder)
    given = inherited() if env is None else _used("env", env, "a mapping of texts", _variables)
    timeout_s = None if timeout_s is None else _used("timeout_s", timeout_s, "a number of seconds", _seconds)
    text = _used("input", input, "a text or bytes", _input)
    ok_codes = _used("ok_codes", ok_codes, "a collection of whole numbers", _codes)
    max_output_bytes = _used("max_output_bytes", max_output_bytes, "a whole number that is not negative", _limit)
    check = is_true(check)
    mask = Mask([*(value for name, value in given.items() if is_secret(name, value)), *secrets_in(words)])
    with _run_of(words, folder, mask) as run:
        env, execution_id = {**given, **carried()}, uuid.uuid4().hex
        launch = Launch(argv=words, env=env, cwd=folder, execution_id=execution_id, stdin=text, timeout_s=timeout_s)
        result, error = _run(run, launch, mask, ok_codes, max_output_bytes, check=check)
    if check and error is not None:
        error.result = result
        try:
            raise error
        finally:
            del error  # else its traceback, which has this frame, would keep it alive
    return result


@dataclass(frozen=True)
class CommandResult:
    """How a command ended."""

    argv: tuple[str, ...] = field(repr=False)
    exit_code: int | None
    """Negative if a signal ended it; ``None`` if it was never started."""
    success: bool
    outcome: Outcome
    stdout: str = field(repr=False)
    """As it was printed; of more than ``max_output_bytes`` the beginning and the end."""
    stderr: str = field(repr=False)
    stdout_bytes: int
    """How much there was, kept or not."""
    stderr_bytes: int
    duration_s: float
    resource_usage: ResourceUsage
    error_details: ErrorDetails | None = None
    """Why it failed; ``None`` if it did not."""
    error_id: str | None = None


class CommandError(ToolError):
    """A command that failed; raised with ``check=True``."""

    __module__ = "otel_agentlog.tools"

    result: CommandResult
    """How it ended."""


class CommandTimeoutError(CommandError):
    """A command that took longer than it may."""

    __module__ = "otel_agentlog.tools"
    agentlog_outcome = Outcome.TIMED_OUT


class CommandCancelledError(CommandError):
    """A command that was ended because its task was cancelled."""

    __module__ = "otel_agentlog.tools"
    agentlog_outcome = Outcome.CANCELLED


_ERRORS = {"timed_out": CommandTimeoutError, "cancelled": CommandCancelledError}


def _run_of(words: list[str], folder: str, mask: Mask) -> ToolRun:
    name = os.path.basename(words[0]) or words[0]
    named = {"executable_name": name, **({"executable_path": words[0]} if "/" in words[0] else {})}
    arguments = {"argv": shown_argv(words, mask), "cwd": mask.text(folder)}
    return tool(name, arguments=arguments, command=named, component=Component.TERMINAL_INTERACTION)


def _used(name: str, given: Given, expected: str, read: Callable[[Given], Read]) -> Read:
    """What an argument means; the error about it has its class and not its value, in which secrets may be."""
    try:
        return read(given)
    except ConfigurationError:
        raise
    except Exception as error:
        raise_interrupt()
        # Broad, as what is read may be any object.
        raise ConfigurationError(name, _Unshown(short_name(type(given))), expected) from error


class _Unshown(str):
    __repr__ = str.__str__


def _variables(env: Mapping[str, str]) -> dict[str, str]:
    found = {os.fsdecode(name): os.fsdecode(value) for name, value in dict(env).items()}
    for name, value in found.items():
        if not name or "=" in name or "\0" in name + value or not _can_be_encoded(name + value):
            raise ValueError("no environment")
    return found


def _seconds(given: float) -> float:
    seconds = parse_float(given)
    if not seconds >= 0:
        raise ValueError("no time")
    return seconds


def _codes(given: Collection[int]) -> frozenset[int]:
    return frozenset(operator.index(code) for code in given)


def _limit(given: int) -> int:
    limit = operator.index(given)
    if not 0 <= limit < 1 << 63:
        raise ValueError("no size")
    return limit


def _folder(cwd: str | os.PathLike[str] | None) -> str:
    try:
        found = os.fsdecode(Path("" if cwd is None else os.fsdecode(cwd)).absolute())
        if "\0" in found or not _can_be_encoded(found):
            raise ValueError("no path")
        return found
    except OSError:
        raise_interrupt()
        return "/"  # this process's own working directory was deleted


def _words(argv: Sequence[str | os.PathLike[str]]) -> list[str]:
    words = [] if isinstance(argv, (str, bytes)) else [os.fsdecode(word) for word in argv]
    if not words or not words[0] or any("\0" in word or not _can_be_encoded(word) for word in words):
        raise ConfigurationError("argv", type(argv).__name__, "a list of texts, the program first")
    return words


def _can_be_encoded(word: str) -> bool:
    try:
        os.fsencode(word)
    except UnicodeEncodeError:
        return False
    return True


def _input(given: str | bytes | None) -> bytes:
    return b"" if given is None else given.encode("utf-8", "surrogateescape") if isinstance(given, str) else bytes(given)


def _run(
    run: ToolRun, launch: Launch, mask: Mask, ok_codes: Collection[int], limit_bytes: int, *, check: bool
) -> tuple[CommandResult, CommandError | None]:
    output = recorded_output(run, limit_bytes, mask)
    line = shlex.join(shown_argv(launch.argv, mask))
    begun = {"command": line, "arguments": len(launch.argv) - 1, "working_directory": mask.text(launch.cwd)}
    log_event(Component.TERMINAL_INTERACTION, "command_execution_started", run.name, details=begun)
    began = time.monotonic()
    ending = _run_stoppable(launch, output)
    duration_s = time.monotonic() - began
    error, details = _failure(run.name, ending, output, ok_codes, mask, launch.execution_id)
    kept = output.kept
    texts = {name: stream.text() for name, stream in kept.items()}
    sizes = {"stdout_bytes": kept["stdout"].size_bytes, "stderr_bytes": kept["stderr"].size_bytes}
    counts = {f"{name}_char_count": len(text) for name, text in texts.items() if not kept[name].left_out_bytes}
    duration_ms = round(duration_s * 1000, 3)
    completed = {"command": line, "exit_code": ending.exit_code, "duration_ms": duration_ms, **sizes, **counts}
    _log_end(run, completed, error, is_raised=check)
    run.exit_code = ending.exit_code
    run.result = recorded_result(output, ending, mask)
    set_figures(run, ending.usage)
    outcome = error.outcome if error is not None else Outcome.COMPLETED
    run.end(outcome, error=error)
    result = CommandResult(
        argv=tuple(launch.argv),
        exit_code=ending.exit_code,
        success=error is None,
        outcome=outcome,
        stdout=texts["stdout"],
        stderr=texts["stderr"],
        duration_s=duration_s,
        resource_usage=ending.usage,
        error_details=details,
        error_id=error_id(error) if error is not None else None,
        **sizes,
    )
    return result, error


def _run_stoppable(launch: Launch, output: Output) -> Ending:
    cancellation = Cancellation()
    try:
        with stoppable(cancellation.cancel):
            return run_process(launch, output, cancellation)
    finally:
        output.close()
        cancellation.close()


def _failure(
    name: str, ending: Ending, output: Output, ok_codes: Collection[int], mask: Mask, execution_id: str
) -> tuple[CommandError | None, ErrorDetails | None]:
    stderr = output.kept["stderr"].end()
    if ending.problem is None and ending.reason is None and ending.exit_code in ok_codes:
        return None, None
    cause = cause_of(ending, stderr) or "failed"
    error = _ERRORS.get(cause, CommandError)(explain(name, cause, ending), cause, context={"command": name, "cause": cause})
    return error, failure_details(error, stderr, mask, execution_id)


def _log_end(run: ToolRun, completed: Mapping[str, Any], error: ToolError | None, *, is_raised: bool) -> None:
    details = {key: value for key, value in completed.items() if value is not None}
    if error is not None:
        details["outcome"] = error.outcome.value
    # As an error it brings the exception: with its id it counts once, here and at the end of the run.
    raised = error if is_raised and error is not None and error.outcome is not Outcome.CANCELLED else None
    level = "INFO" if error is None else "WARNING" if raised is None else "ERROR"
    log_event(
        Component.TERMINAL_INTERACTION,
        "command_execution_completed",
        run.name,
        level=level,
        details=details,
        error=raised,
        duration_ms=completed["duration_ms"],
    )


# The rules for whatever is recorded see one argument at a time; in a command line a name and its secret are often two arguments.
_OPTION = re.compile(r"--?([A-Za-z][\w.-]*)(=)?(.*)", re.DOTALL)
_ASSIGNED = re.compile(r"(?:[A-Za-z_]\w*)=")
_LOGIN = re.compile(r"([^:\s]+):(.+)", re.DOTALL)
_LOGIN_OPTIONS = ("-u", "--user", "--proxy-user", "-U")


def shown_argv(argv: Sequence[str], mask: Mask | None = None) -> list[str]:
    """The same arguments, each secret replaced; by default those that the command line names, else those of the mask."""
    known = set(secrets_in(argv))
    mask = Mask(known) if mask is None else mask
    return [argv[0], *(MASKED if word in known else mask.text(word) for word in argv[1:])]


def secrets_in(argv: Sequence[str]) -> Iterator[str]:
    """The secrets that a command line names: ``--token=x``, ``--password x``, ``API_KEY=x``, ``-u name:x``."""
    before = ""
    for word in argv[1:]:
        yield from _named(before, word)
        before = word


def _named(before: str, word: str) -> Iterator[str]:
    if _ASSIGNED.match(word):
        name, _, value = word.partition("=")
        yield from _if_secret(name, value)
    if (option := _OPTION.fullmatch(word)) is not None and option[2]:
        yield from _if_secret(option[1], option[3])
    elif option is None and (previous := _OPTION.fullmatch(before)) is not None and not previous[2]:
        yield from _if_secret(previous[1], word)
    if before in _LOGIN_OPTIONS and (login := _LOGIN.fullmatch(word)) is not None:
        yield login[2]


def _if_secret(name: str, value: str) -> Iterator[str]:
    if value and is_secret(name, value):
        yield value

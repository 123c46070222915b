"""Why a process failed: the known causes, each with its category, whether trying again can help, and what to do.

`ToolError` carries the cause, so that category and suggestions are recorded with the error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.error_handling.categories import register_category
from otel_agentlog.error_handling.category import ErrorCategory
from otel_agentlog.errors import AgentlogError
from otel_agentlog.vocabulary.states import Outcome

TIMEOUT, VALIDATION, DEPENDENCY = ErrorCategory.TIMEOUT, ErrorCategory.VALIDATION, ErrorCategory.DEPENDENCY
EXECUTION, PERMISSION, RESOURCE = ErrorCategory.EXECUTION, ErrorCategory.PERMISSION, ErrorCategory.RESOURCE


@dataclass(frozen=True)
class ToolCause:
    """One reason for a failure."""

    category: ErrorCategory
    suggestions: tuple[str, ...]
    transient: bool = False
    """Whether the same run may succeed another time."""


CAUSES: Mapping[str, ToolCause] = {
    "unknown_script": ToolCause(
        VALIDATION,
        (
            "Check the script id: the registry has no such script.",
            "Look whether the right registry was loaded; `service.registry.scripts` lists what it has.",
            "If a model chose the script, give it the list of ids.",
        ),
    ),
    "invalid_inputs": ToolCause(
        VALIDATION,
        (
            "Compare the inputs with the script's `input_schema` in the registry: the message names each place.",
            "If a model made the inputs, return the message to it and let it correct them once.",
            "Do not retry with the same inputs: no process was started, and none will be.",
        ),
    ),
    "inputs_too_large": ToolCause(
        VALIDATION,
        (
            "Give large inputs by standard input (`inputs_by`: `stdin`): the environment holds 128 KiB a variable.",
            "Write large data to a file and give its path.",
            "Send less.",
        ),
    ),
    "bad_usage": ToolCause(
        VALIDATION,
        (
            "Read what the program says about its usage on stderr.",
            "Compare `argv` in the registry with the program's version: options change.",
            "Check that the script reads its inputs the way the registry gives them (`inputs_by`).",
        ),
    ),
    "bad_output": ToolCause(
        VALIDATION,
        (
            "Print nothing but one JSON value to stdout; send everything else to stderr.",
            "Run the script by hand and pipe its output through `jq .`.",
            "Set `output` to `text` in the registry if it is not meant to be JSON.",
        ),
    ),
    "missing_cwd": ToolCause(
        VALIDATION,
        (
            "Check the working directory: it is not there, or is no directory.",
            "A relative `cwd` starts at the registry's folder.",
            "Leave `cwd` out: each run then gets a fresh folder of its own.",
        ),
    ),
    "timed_out": ToolCause(
        TIMEOUT,
        (
            "Raise `timeout_s` of this script if its usual duration comes close to it (`get_execution_stats()`).",
            "Run the script by hand with the same inputs and see where it waits: a lock, the network, more input?",
            "Let the script do less in one run.",
        ),
        transient=True,
    ),
    "memory_exceeded": ToolCause(
        RESOURCE,
        (
            "Raise `memory_limit_mb` of this script if what it needs is right; `resource_usage` says how far it came.",
            "Let it work in pieces: read line by line, page through results.",
            "Count its children too: the limit holds for all of its processes together.",
        ),
    ),
    "out_of_memory": ToolCause(
        RESOURCE,
        (
            "Raise `memory_limit_mb` of this script: an allocation was refused.",
            "Let it work in pieces: read line by line, page through results.",
            "Some runtimes reserve much more than they use: lower their heap (`-Xmx`, `--max-old-space-size`).",
        ),
    ),
    "too_much_output": ToolCause(
        RESOURCE,
        (
            "Let the script print less, or write its result to a file and print the path.",
            "Raise `max_output_bytes` in the registry.",
            "Set `on_too_much_output` to `discard` to let it finish and keep the beginning and the end.",
        ),
    ),
    "disk_full": ToolCause(
        RESOURCE,
        (
            "Free space where the script writes (`df -h`); its own folder lies below the system's temporary folder.",
            "Check inodes too (`df -i`), and the user's quota.",
            "Let the script remove what it no longer needs while it runs.",
        ),
    ),
    "too_many": ToolCause(
        RESOURCE,
        (
            "Run fewer scripts at the same time: files or processes are used up.",
            "Look for what is opened or started and never ends (`ls /proc/PID/fd`, `ps -eLf`).",
            "Raise the limit (`ulimit -n`, `ulimit -u`, the container's pid limit) if the number is right.",
        ),
        transient=True,
    ),
    "killed": ToolCause(
        RESOURCE,
        (
            "Look for the kernel's out-of-memory killer (`dmesg | grep -i oom`): it ends processes by signal 9.",
            "Give the container more memory, or the script a `memory_limit_mb` below it, which says more.",
            "Look for somebody else who ends processes: a supervisor, a cleanup job.",
        ),
    ),
    "missing_program": ToolCause(
        DEPENDENCY,
        (
            "Install the program, or name it with its whole path in `argv`.",
            "Check that `PATH` stands in the script's `environment`, and what it is for this process.",
            "Check the program's name for typing errors.",
        ),
    ),
    "missing_interpreter": ToolCause(
        DEPENDENCY,
        (
            "Install the interpreter that the script's first line (`#!`) names, or correct that line.",
            "Use `#!/usr/bin/env NAME` if it lies elsewhere on this machine.",
            "Check for Windows line ends: with them the interpreter's name ends in a carriage return (`file SCRIPT`).",
        ),
    ),
    "missing_package": ToolCause(
        DEPENDENCY,
        (
            "Install the package for the very interpreter that runs the script.",
            "Let `argv` begin with that interpreter, e.g. `{python}` for the one this process runs in.",
            "Look whether the script needs `PYTHONPATH`, `NODE_PATH` or the like in its `environment`.",
        ),
    ),
    "unreachable": ToolCause(
        DEPENDENCY,
        (
            "Check that the service the script calls is up, and that its address is right.",
            "Check network, proxy and DNS from this machine; proxy variables must stand in the script's `environment`.",
            "Retry later: give the script `retries` in the registry.",
        ),
        transient=True,
    ),
    "no_sandbox": ToolCause(
        DEPENDENCY,
        (
            "Use a kernel with Landlock (Linux 5.13; 6.7 for `network`): this one cannot enforce the script's `sandbox`.",
            "Install libseccomp (package `libseccomp2` or `libseccomp`).",
            "Set `sandbox.best_effort` to true if the script may run without it.",
            "Check whether a container's seccomp profile forbids Landlock or filters of its own.",
        ),
    ),
    "not_executable": ToolCause(
        PERMISSION,
        (
            "Give the script the right to be executed: `chmod +x SCRIPT`.",
            "Check every folder above it (`namei -l SCRIPT`) and whether its disk is mounted `noexec`.",
            "Or name its interpreter in `argv`, so that the file need only be readable.",
        ),
    ),
    "permission_denied": ToolCause(
        PERMISSION,
        (
            "Read on stderr what was refused, and check who may do that.",
            "Check the script's `sandbox` in the registry: what is not listed there is refused.",
            "Check which user this runs as, and that credentials stand in the script's `environment`.",
        ),
    ),
    "bad_format": ToolCause(
        EXECUTION,
        (
            "Begin the script with a line that names its interpreter (`#!/bin/sh`).",
            "Check that a binary was built for this machine (`file SCRIPT`, `uname -m`).",
            "Or name the interpreter in `argv`.",
        ),
    ),
    "temporary": ToolCause(
        EXECUTION,
        (
            "Try again later: the script says that its failure is temporary (exit code 75).",
            "Give the script `retries` in the registry.",
            "Read on stderr what it was waiting for.",
        ),
        transient=True,
    ),
    "crashed": ToolCause(
        EXECUTION,
        (
            "The program crashed by a signal: look for a core dump or its own crash report.",
            "Run it by hand with the same inputs; update it and its native libraries.",
            "Check for corrupt input that it does not expect.",
        ),
    ),
    "failed": ToolCause(
        EXECUTION,
        (
            "Read the last lines of stderr: most programs say there why they end (`result.stderr`).",
            "Run the script by hand with the same inputs.",
            "Look the exit code up in the program's manual.",
        ),
        transient=True,
    ),
    "cancelled": ToolCause(
        EXECUTION,
        (
            "Somebody cancelled it while it ran: ask who did, and why.",
            "Look in the task for what was asked just before (`control.jsonl`).",
            "Start it again if it is still needed.",
        ),
    ),
    "lost": ToolCause(
        EXECUTION,
        (
            "The process that watches the script was killed: by the script itself, or by somebody else (`dmesg`).",
            "Forbid the script to signal others: any `sandbox` does that on Linux 6.12 and up.",
            "What was left of the script was ended; check what it did before it is run again.",
        ),
    ),
}


class ToolError(AgentlogError):
    """A script or a command that failed; ``cause`` is one of the words of this module."""

    # The type that is recorded is where people import it from, not the file it is defined in.
    __module__ = "otel_agentlog.tools"

    # Without a cause it is made only by pickle, which then fills in the one it had.
    def __init__(self, message: str = "", cause: str = "failed", *, context: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, context=context)
        self.cause = cause

    @property
    def category(self) -> ErrorCategory:
        """The category of its cause."""
        return CAUSES[self.cause].category

    @property
    def outcome(self) -> Outcome:
        """The outcome of the run that it ended."""
        if self.cause == "cancelled":
            return Outcome.CANCELLED
        return Outcome.TIMED_OUT if self.category is TIMEOUT else Outcome.FAILED


def _rule(cause: str) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, ToolError) and error.cause == cause


for _name, _cause in CAUSES.items():
    register_category(_rule(_name), _cause.category, suggestions=_cause.suggestions)

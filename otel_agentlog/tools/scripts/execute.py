"""One execution of a script: its attempts, what is recorded of them, and the result they come to."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.error_handling.categories import ErrorDetails
from otel_agentlog.error_handling.retries import backoff_s
from otel_agentlog.errors import TaskCancelled
from otel_agentlog.record.exceptions.error_id import error_id
from otel_agentlog.record.operations.checkpoints import resting
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.record.recorder import recorder
from otel_agentlog.tools.causes import CAUSES, ToolError
from otel_agentlog.tools.process.output import Output, failure_details, recorded_output, recorded_result, set_figures
from otel_agentlog.tools.process.result import Cancellation, Ending, ResourceUsage, StartFailure
from otel_agentlog.tools.process.run import run_process
from otel_agentlog.tools.scripts.classify import cause_of, explain
from otel_agentlog.tools.scripts.prepare import Prepared, fresh_folder, launch_of
from otel_agentlog.tools.scripts.registry import Script
from otel_agentlog.vocabulary.states import Outcome

if sys.platform != "win32":
    from otel_agentlog.tools.process.sandbox import not_enforced

_LONGEST_WAIT_S = 60.0
_JSON_DEPTH_ERRORS = (ValueError, RecursionError)


@dataclass(frozen=True)
class Ids:
    """The ids that the caller gave."""

    session_id: str | None = None
    correlation_id: str | None = None

    def bound(self) -> dict[str, Any]:
        """Those that were given, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class ToolResult:
    """How one execution of a script went; all attempts together."""

    success: bool
    script_id: str
    execution_id: str
    """32 hex digits; in the environment of every process of the execution as ``AGENTLOG_EXECUTION_ID``."""
    outcome: Outcome = Outcome.COMPLETED
    output: str = field(default="", repr=False)
    """Its stdout, as it is: not redacted, it is the caller's. Beyond ``max_output_bytes`` its beginning and its end."""
    data: Any = field(default=None, repr=False)
    """Its stdout as JSON, if the registry has ``"output": "json"``."""
    stderr: str = field(default="", repr=False)
    """Its stderr, likewise."""
    exit_code: int | None = None
    """Negative if a signal ended it; ``None`` if it was never started."""
    error_details: ErrorDetails | None = None
    """Why it failed; ``None`` if it did not."""
    error_id: str | None = None
    """The 8 characters under which the error was recorded."""
    resource_usage: ResourceUsage = field(default_factory=ResourceUsage)
    """All attempts together."""
    attempts: int = 1
    """How many attempts there were, the last one included; 0 if no process was started."""
    earlier_errors: tuple[ErrorDetails, ...] = ()
    """Why the attempts before the last one failed."""
    duration_s: float = 0.0
    """From the call to the result, waits between attempts included."""
    output_bytes: int = 0
    """How much it printed to stdout in the last attempt, kept or not."""
    stderr_bytes: int = 0
    sandboxed: bool = False
    """Whether the last attempt ran with the sandbox of its registry entry enforced."""
    not_enforced: tuple[str, ...] = ()
    """What that sandbox left open on this kernel; where it could not be enforced (``best_effort``), that it was not."""
    session_id: str | None = None
    correlation_id: str | None = None
    recorded: bool = False
    """Whether the execution was recorded when it ran."""


def run_script(
    prepared: Prepared, run: ToolRun, execution_id: str, cancellation: Cancellation, ids: Ids
) -> tuple[ToolResult, ToolError | None]:
    """Run a prepared script inside a tool run that has begun; ends that run. Returns why it failed, too."""
    began = time.monotonic()
    execution = Execution(prepared, run, execution_id, cancellation)
    last = execution.attempts()
    run.exit_code = last.ending.exit_code
    usage = execution.usage
    run.result = recorded_result(last.output, last.ending, prepared.mask)
    set_figures(run, usage)
    outcome = last.error.outcome if last.error is not None else Outcome.COMPLETED
    run.end(outcome, error=last.error)
    kept = last.output.kept
    result = ToolResult(
        success=last.error is None,
        script_id=prepared.script.id,
        execution_id=execution_id,
        outcome=outcome,
        output=kept["stdout"].text(),
        data=last.data,
        stderr=kept["stderr"].text(),
        exit_code=last.ending.exit_code,
        error_details=last.details,
        error_id=error_id(last.error) if last.error is not None else None,
        resource_usage=usage,
        attempts=execution.made,
        earlier_errors=tuple(execution.earlier),
        duration_s=time.monotonic() - began,
        output_bytes=kept["stdout"].size_bytes,
        stderr_bytes=kept["stderr"].size_bytes,
        sandboxed=last.sandboxed,
        not_enforced=last.not_enforced,
        session_id=ids.session_id,
        correlation_id=ids.correlation_id,
        recorded=recorder().active,
    )
    return result, last.error


@dataclass
class ScriptAttempt:
    """How one attempt went."""

    ending: Ending
    output: Output
    error: ToolError | None
    details: ErrorDetails | None
    data: Any
    sandboxed: bool
    not_enforced: tuple[str, ...]


class Execution:
    """All attempts of one execution."""

    def __init__(self, prepared: Prepared, run: ToolRun, execution_id: str, cancellation: Cancellation) -> None:
        self._prepared, self._run, self._id, self._cancellation = prepared, run, execution_id, cancellation
        self._script: Script = prepared.script
        self.usage = ResourceUsage()
        self.earlier: list[ErrorDetails] = []
        self.made = 0

    def attempts(self) -> ScriptAttempt:
        """Try as often as the registry allows and it can help; the last attempt."""
        allowed = self._script.retries + 1
        for number in range(1, allowed + 1):
            self.made = number
            attempt = self._attempt(number)
            self.usage = self.usage + attempt.ending.usage
            if attempt.error is None and number > 1:
                self._run.attempt_succeeded(maximum=allowed)
            # Of what can only be run once, and of what was cancelled, no attempts are recorded.
            if attempt.error is None or allowed == 1 or attempt.error.cause == "cancelled":
                return attempt
            if self._gave_up(attempt.error, number):
                return attempt
            wait_s = backoff_s(number, first_wait_s=self._script.retry_wait_s, max_wait_s=_LONGEST_WAIT_S)
            self._run.attempt_failed(attempt.error, wait_seconds=wait_s, maximum=allowed)
            assert attempt.details is not None
            self.earlier.append(attempt.details)
            if self._is_cancelled_within(wait_s):
                return self._cancelled(attempt)
        raise AssertionError("the last attempt returns")

    def _gave_up(self, error: ToolError, number: int) -> bool:
        """Whether this attempt is the last one; if so, that is recorded."""
        chosen = self._script.retry_on
        may_help = CAUSES[error.cause].transient if chosen is None else error.category.value in chosen
        if may_help and number <= self._script.retries:
            return False
        why = "attempts used up" if may_help else "another attempt cannot help"
        self._run.attempt_failed(error, maximum=number, gave_up=why)
        return True

    def _is_cancelled_within(self, wait_s: float) -> bool:
        """Wait, unless or until the execution or its task is cancelled; returns whether it is."""
        try:
            return any(map(self._cancellation.wait, resting(wait_s)))
        except TaskCancelled:
            return True  # the caller gets it at its own checkpoint

    def _attempt(self, number: int) -> ScriptAttempt:
        ending, output, rights = self._in_fresh_folder()
        sandbox = (bool(rights), _left_open(self._script, rights, ending))
        stderr = output.kept["stderr"].end()
        cause = cause_of(ending, stderr, too_much_output=output.stopped)
        data = None
        if cause is None and self._script.output == "json":
            data, cause = _parsed(output)
        if cause is None:
            return ScriptAttempt(ending, output, None, None, data, *sandbox)
        error = ToolError(self._explained(cause, ending), cause, context=self._context(cause, ending, number))
        return ScriptAttempt(ending, output, error, self._details(error, stderr), None, *sandbox)

    def _in_fresh_folder(self) -> tuple[Ending, Output, Mapping[str, Any]]:
        try:
            scratch = fresh_folder()
        except OSError as error:
            raise_interrupt()
            problem = StartFailure("scratch", error.errno or 0, error.filename or "")
            return Ending(problem=problem), Output(self._script.max_output_bytes), {}
        try:
            return self._run_once(scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _run_once(self, scratch: str) -> tuple[Ending, Output, Mapping[str, Any]]:
        """How it went, and the rights of the sandbox that was enforced; empty where none was."""
        script = self._script
        for sandboxed in (True, False):
            output = recorded_output(
                self._run, script.max_output_bytes, self._prepared.mask, stop_beyond=script.on_too_much_output == "stop"
            )
            launch = launch_of(self._prepared, self._id, scratch, sandboxed=sandboxed)
            try:
                ending = run_process(launch, output, self._cancellation)
            finally:
                output.close()
            refused = ending.problem is not None and ending.problem.stage == "sandbox"
            if not (refused and script.sandbox.get("best_effort")):
                break
        return ending, output, launch.sandbox if ending.problem is None else {}

    def _explained(self, cause: str, ending: Ending) -> str:
        if cause == "bad_output":
            return f"{self._script.id}: what it printed is not the JSON that the registry promises"
        return explain(self._script.id, cause, ending)

    def _context(self, cause: str, ending: Ending, number: int) -> dict[str, Any]:
        known = {**self._script.known, "cause": cause, "attempt": number, "exit_code": ending.exit_code}
        return {key: value for key, value in known.items() if value is not None}

    def _details(self, error: ToolError, stderr: str) -> ErrorDetails:
        return failure_details(error, stderr, self._prepared.mask, self._id)

    def _cancelled(self, attempt: ScriptAttempt) -> ScriptAttempt:
        error = ToolError(f"{self._script.id}: cancelled between two attempts", "cancelled", context=self._script.known)
        return ScriptAttempt(
            attempt.ending, attempt.output, error, self._details(error, ""), None, attempt.sandboxed, attempt.not_enforced
        )


def _left_open(script: Script, rights: Mapping[str, Any], ending: Ending) -> tuple[str, ...]:
    if rights and sys.platform != "win32":
        return not_enforced(rights)
    wanted = not script.sandbox.keys().isdisjoint(("read", "write")) or script.sandbox.get("network") is False
    return ("the whole sandbox: this system cannot enforce it",) if wanted and ending.problem is None else ()


def _parsed(output: Output) -> tuple[Any, str | None]:
    kept = output.kept["stdout"]
    if kept.left_out_bytes:
        return None, "too_much_output"
    try:
        return json.loads(kept.text()), None
    except _JSON_DEPTH_ERRORS:
        return None, "bad_output"

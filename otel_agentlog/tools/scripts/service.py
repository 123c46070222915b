"""Runs the scripts of a registry as real processes, recorded, within their limits.

    service = ToolExecutionService("registry.json")
    result = service.execute("lint", {"path": "src"}, session_id="s-1")
    result.success, result.output, result.error_details, result.resource_usage, result.attempts

Works the same inside a task, where every execution is a tool run with its output in the task's folder, outside one, where it
gets a task of its own, and without any configuration. A script that fails is a result, not an exception; what is raised is what
interrupts the caller: ``KeyboardInterrupt``, ``CancelledError``. Safe from any thread; nothing of a script is left running when
a call ends.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

from otel_agentlog._interrupts import OwnThread, raise_interrupt
from otel_agentlog.error_handling.categories import error_details
from otel_agentlog.record.api import current_task, task, tool
from otel_agentlog.record.exceptions.error_id import error_id
from otel_agentlog.record.operations.context import bind
from otel_agentlog.record.operations.task import UNSET, Task
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.sanitize.keys import plain_text
from otel_agentlog.tools.causes import ToolError
from otel_agentlog.tools.control import stoppable
from otel_agentlog.tools.process.result import Cancellation
from otel_agentlog.tools.scripts.execute import Ids, ToolResult, run_script
from otel_agentlog.tools.scripts.prepare import Prepared, prepare, program_of
from otel_agentlog.tools.scripts.registry import Registry, Script, load_registry
from otel_agentlog.tools.scripts.stats import Stats
from otel_agentlog.vocabulary.states import EXECUTION, Outcome

_UNKNOWN = Script(id="unknown_script", folder=Path())


class ToolExecutionService:
    """The scripts of one registry, ready to be run."""

    def __init__(self, registry: str | os.PathLike[str] | Registry) -> None:
        """Load a registry, or take one that is loaded.

        Raises:
            RegistryError: it cannot be used; lists everything that is wrong with it.
        """
        self.registry = cast(Registry, registry) if issubclass(type(registry), Registry) else load_registry(cast(Any, registry))
        self._stats = Stats()

    def execute(
        self,
        script_id: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        session_id: str | None = None,
        correlation_id: str | None = None,
    ) -> ToolResult:
        """Run a script and wait for it, at most ``timeout_s`` of the registry for each attempt."""
        ids = Ids(session_id, correlation_id)
        try:
            cancellation = Cancellation()
        except OSError as error:
            raise_interrupt()
            return self._too_many(script_id, error, ids)
        try:
            return self._execute(script_id, inputs, cancellation, ids)
        finally:
            cancellation.close()

    async def execute_async(
        self,
        script_id: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        session_id: str | None = None,
        correlation_id: str | None = None,
    ) -> ToolResult:
        """The same without blocking the event loop; cancelled, it ends the script before it passes the cancellation on."""
        ids = Ids(session_id, correlation_id)
        try:
            cancellation = Cancellation()
        except OSError as error:
            raise_interrupt()
            return self._too_many(script_id, error, ids)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[ToolResult] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                outcome: Any = context.run(self._execute, script_id, inputs, cancellation, ids)
                settle = done.set_result
            except BaseException as error:  # noqa: BLE001 - raised where it is awaited
                outcome, settle = error, done.set_exception  # type: ignore[assignment]
            finally:
                cancellation.close()
            _settle_in_loop(loop, done, settle, outcome)

        # A thread of its own: the loop's pool has a handful, and each of them may be needed elsewhere.
        try:
            OwnThread(work, f"agentlog-run-{plain_text(script_id)[:32]}").start()
        except RuntimeError as error:
            raise_interrupt()
            cancellation.close()
            return self._too_many(script_id, error, ids)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            cancellation.cancel()
            await asyncio.wait([done])
            done.exception()  # read, so that asyncio does not warn of it: the cancellation is what counts
            raise

    def _too_many(self, script_id: str, error: Exception, ids: Ids) -> ToolResult:
        """Not even two descriptors or one thread are to be had."""
        script = self._script(script_id)
        with self._stats.running(script) as ended, bind(**ids.bound()):
            result = _refused(
                script, ToolError(f"{script.id}: {getattr(error, 'strerror', None) or error}", "too_many"), uuid.uuid4().hex, ids
            )
            ended(result)
        return result

    def _script(self, script_id: object) -> Script:
        # What a model chose may be anything, also a list, which is in no dict.
        return self.registry.scripts.get(script_id, _UNKNOWN) if type(script_id) is str else _UNKNOWN

    def get_execution_stats(self) -> dict[str, Any]:
        """Counts and figures since this service was made: in total and by script."""
        return self._stats.as_dict()

    def export_prometheus_metrics(self) -> str:
        """The same in Prometheus' text format (version 0.0.4), ready to be served or written for a node exporter."""
        return self._stats.as_prometheus()

    def _execute(self, script_id: str, inputs: Mapping[str, Any] | None, cancellation: Cancellation, ids: Ids) -> ToolResult:
        script = self._script(script_id)
        with bind(**ids.bound()), self._stats.running(script) as ended:
            with stoppable(cancellation.cancel):
                result = self._record(script, script_id, {} if inputs is None else inputs, cancellation, ids)
            ended(result)
        return result

    def _record(self, script: Script, script_id: str, inputs: Any, cancellation: Cancellation, ids: Ids) -> ToolResult:
        execution_id = uuid.uuid4().hex
        try:
            if script is _UNKNOWN:
                raise ToolError(f"no script {plain_text(script_id)[:128]!r} in {self.registry.file.name}", "unknown_script")
            prepared = prepare(script, inputs)
        except ToolError as error:
            return _refused(script, error, execution_id, ids)
        with _execution_task(script.id, script.specialist, prepared.shown) as owner:
            result, failure, shown = self._run(prepared, execution_id, cancellation, ids)
            _end_execution_task(owner, result.outcome, failure, shown)
        return result

    def _run(
        self, prepared: Prepared, execution_id: str, cancellation: Cancellation, ids: Ids
    ) -> tuple[ToolResult, ToolError | None, Any]:
        """Run a script as a tool run: its result, why it failed, and what was recorded of the result."""
        script = prepared.script
        attributes = {"agentlog.tool.execution_id": execution_id}
        attributes.update({"agentlog.tool.specialist": script.specialist} if script.specialist else {})
        with tool(
            script.id,
            arguments=prepared.shown,
            tool_type="function",
            description=script.description or None,
            command=program_of(script),
            specialist=script.specialist or None,
            attributes=attributes,
        ) as run:
            return *run_script(prepared, run, execution_id, cancellation, ids), run.result


def _refused(script: Script, error: ToolError, execution_id: str, ids: Ids) -> ToolResult:
    """Nothing was started: recorded as a failed run without its inputs, of which nothing is known."""
    error.__traceback__ = None  # leads through this package only
    with _execution_task(script.id, script.specialist) as owner:
        with tool(
            script.id, tool_type="function", description=script.description or None, specialist=script.specialist or None
        ) as run:
            run.end(Outcome.FAILED, error=error)
        _end_execution_task(owner, Outcome.FAILED, error)
    return ToolResult(
        success=False,
        script_id=script.id,
        execution_id=execution_id,
        outcome=Outcome.FAILED,
        error_details=error_details(error, **script.known, cause=error.cause),
        error_id=error_id(error),
        attempts=0,
        session_id=ids.session_id,
        correlation_id=ids.correlation_id,
        recorded=recorder().active,
    )


def _execution_task(script_id: str, specialist: str | None, inputs: Any = UNSET) -> AbstractContextManager[Task | None]:
    """A block within a task named after the script, with what is bound here as ids; one that gives ``None`` within another.

    So what runs outside every task is in lists, statistics, alerts and dashboards, too.
    """
    # A block of a generator of ours would not be around what its caller does.
    if current_task() is not None or not recorder().active:
        return nullcontext()
    return task(script_id, input=inputs, source=EXECUTION, attributes={"specialist": specialist} if specialist else None)


def _end_execution_task(owner: Task | None, outcome: Outcome, error: BaseException | None, result: Any = None) -> None:
    """End it like the execution it is of."""
    if owner is not None:
        owner.result = result
        owner.end(outcome, error=error)


def _settle_in_loop(loop: asyncio.AbstractEventLoop, done: asyncio.Future[ToolResult], settle: Any, outcome: Any) -> None:
    def settle_once() -> None:
        if not done.done():
            settle(outcome)

    try:
        loop.call_soon_threadsafe(settle_once)
    except RuntimeError:
        raise_interrupt()  # the loop is closed

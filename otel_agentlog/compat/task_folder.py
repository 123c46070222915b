"""A folder per task that is written by hand, file by file, by a webhook and then by a worker, in one process or two.

from otel_agentlog.compat.task_folder import TaskLogger

logger = TaskLogger("task-abc123", Path("/data/logs/tasks"))
logger.write_metadata({"task_id": "task-abc123", "source": "webhook", "provider": "github", "status": "queued"})
logger.write_input({"message": "review this", "source_metadata": {"provider": "github"}})
logger.append_webhook_event({"stage": "received", "event_type": "issue_comment.created"})
logger.append_agent_output({"type": "output", "content": "Analyzing the code...\n"})
logger.write_final_result({"success": True, "result": "Looks good.", "error": None, "metrics": {"cost_usd": 0.0234}})

What a call is given is written when it returns, and recorded as the public functions record it: with ids, redacted, sent to a
collector. Times are those of the calls. The task is pending until its first output, and has ended with its final result.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import AgentlogError, StateError
from otel_agentlog.record.api import ai_call
from otel_agentlog.record.carrier import write_carrier
from otel_agentlog.record.operations.context import RunningTask, inside
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.operations.task import Task, clean_header, new_task_id
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.record.operations.webhook import Webhook
from otel_agentlog.record.providers.fields import as_amount, as_count
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.sanitize.keys import optional_text, plain_text
from otel_agentlog.settings.fields import Settings
from otel_agentlog.store.folder.layout import folder_name
from otel_agentlog.store.folder.writer import TaskFolder
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.lines import timestamp
from otel_agentlog.vocabulary.states import ENDED, Component, Outcome, State
from otel_agentlog.wiring import configure as configure_all
from otel_agentlog.wiring import ensure_configured, settings_in_force

__all__ = ["TaskLogger", "configure"]

_OF_TASK = ("source", "provider", "agent_type", "model", "correlation_id", "session_id", "instance_id", "name")
_MADE_HERE = ("task_id", "status", "created_at", "started_at", "completed_at", "updated_at", "assigned_agent", "tags", *_OF_TASK)
_TEXTS = frozenset({"output", "thinking", "system", "user"})


def configure(
    task_logs_enabled: bool | None = None,
    task_logs_dir: str | os.PathLike[str] | None = None,
    task_logs_retention_days: float | None = None,
    **settings: Any,
) -> Settings:
    """`otel_agentlog.configure` with ``enabled``, ``directory`` and ``retention_days`` by other names; raises like it."""
    named = {"enabled": task_logs_enabled, "directory": task_logs_dir, "retention_days": task_logs_retention_days}
    return configure_all(**{**{name: value for name, value in named.items() if value is not None}, **settings})


class TaskLogger:
    """Writes one task's folder. Several of them may be made for one task, in any thread or process; no call raises."""

    def __init__(self, task_id: str, logs_base_dir: str | os.PathLike[str] | None = None) -> None:
        """Configure recording unless that is done.

        Args:
            task_id: the task's id; an empty one becomes a new one.
            logs_base_dir: the folder of the task folders, of the whole process from now on; default: ``TASK_LOGS_DIR``, and what
                `configure` says.

        Raises:
            ConfigurationError: a folder that cannot be used.
        """
        self.task_id = "" if task_id is None else plain_text(task_id)
        self.task_id = self.task_id or new_task_id()
        given = {} if logs_base_dir is None else {"directory": logs_base_dir}
        self.logs_base_dir = ensure_configured(**given).directory
        self._files = _files_of(self.logs_base_dir, self.task_id)

    def get_log_dir(self) -> Path:
        """The task's folder; where it is not begun, that which it would have."""
        return self._files.folder or settings_in_force().directory / folder_name(self.task_id)

    def write_metadata(self, data: Mapping[str, Any]) -> None:
        """What is known of the task: ``source provider assigned_agent agent_type model …``; other keys become a line."""
        self._files.safely(self._files.describe, data)

    def write_input(self, data: Any) -> None:
        """What the task is to do: ``message``, ``source_metadata``."""
        self._files.safely(self._files.take_input, data)

    def append_webhook_event(self, event: Mapping[str, Any]) -> None:
        """One stage of the webhook: ``stage`` and any other keys."""
        self._files.safely(self._files.add_stage, event)

    def append_agent_output(self, output: Mapping[str, Any]) -> None:
        """One piece of output: ``type`` (``output thinking system user tool_call tool_result`` …), ``content`` and other keys."""
        self._files.safely(self._files.add_output, output)

    def write_final_result(self, data: Mapping[str, Any]) -> None:
        """How the task ended: ``success``, ``result``, ``error``, ``metrics``; ends it."""
        self._files.safely(self._files.finish, data)


class _Flow(Webhook):
    """A webhook that records no stages of its own, only those it is given."""

    def stage(self, stage: str, *, status: str | None = None, **keys: Any) -> None:
        if keys.pop("from_caller", False):
            super().stage(stage, status=status, **keys)


class _Files:
    """One task in this process."""

    def __init__(self, task_id: str) -> None:
        self._task_id = task_id
        self._turn = threading.RLock()
        self._metadata: dict[str, Any] = {}
        self._input: Any = None
        self._flow: _Flow | None = None
        self._task: Task | None = None
        self._tools: dict[str, list[ToolRun]] = {}

    def safely(self, work: Callable[[Any], None], data: Any) -> None:
        """Do it in turn, if anything is recorded; what it raises is counted."""
        if not recorder().active:
            return
        try:
            with self._turn:
                work(data)
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            recorder().failed("task_logger", error)

    @property
    def folder(self) -> Path | None:
        """Where it is, once it is begun."""
        operation = self._operation
        home = operation.task.home if operation is not None and operation.task is not None else None
        return home.path if isinstance(home, TaskFolder) else None

    # -- what is given ----------------------------------------------------------------------------------------------------

    def describe(self, data: Mapping[str, Any]) -> None:
        given = _own(data)
        self._metadata.update(given)
        if str(given.get("status", "")).strip().lower() in (State.RUNNING.value, "in_progress", "started"):
            self._run()
        else:
            self._create()
        self._rewrite()
        more = {key: value for key, value in given.items() if key not in _MADE_HERE}
        if more:
            line = {"type": "event", "level": "INFO", "component": Component.TASK.value, "action": "metadata_written"}
            self._point({**line, "message": f"metadata of {self._task_id}", "details": more})

    def take_input(self, data: Any) -> None:
        self._input = data
        self._create()
        self._rewrite()

    def add_stage(self, event: Mapping[str, Any]) -> None:
        keys = {key: value for key, value in _own(event).items() if key not in ("timestamp", "from_caller", "status", "stage")}
        stage, status = event.get("stage"), event.get("status")
        event_type = keys.get("event_type")
        self._metadata.setdefault("event_type", event_type)
        self._create()
        flow = self._flow
        if flow is None:
            # Created in another process, or run here.
            task = self._task.task if self._task is not None else None
            known = dict(recorder().tasks.find(self._task_id))
            flow = self._new_flow()
            flow.adopt(task if isinstance(task, RunningTask) else RunningTask(self._task_id, known, owner=False))
            flow.end()
        flow.event_type = plain_text(event_type or flow.event_type)
        keys.pop("event_type", None)
        flow.stage(plain_text(stage) if stage is not None else "event", status=optional_text(status), from_caller=True, **keys)

    def add_output(self, output: Mapping[str, Any]) -> None:
        task = self._run()
        given = _own(output)
        given.pop("timestamp", None)
        kind, content = plain_text(given.pop("type", None) or "output").lower(), given.pop("content", given.pop("message", None))
        if kind in ("tool_call", "tool_use"):
            self._tool_begins(content, given)
        elif kind == "tool_result":
            self._tool_ends(content, given)
        elif kind in _TEXTS:
            getattr(task, kind)("" if content is None else content, **given)
        else:
            task.output("" if content is None else content, **{**given, "kind": kind})

    def finish(self, data: Mapping[str, Any]) -> None:
        task, given = self._run(), _own(data)
        metrics = given.get("metrics")
        with self._inside():
            self._spend(_own(metrics) if isinstance(metrics, Mapping) else {})
        for run in [each for runs in self._tools.values() for each in runs]:
            run.end()
        task.result, error = given.get("result"), given.get("error")
        succeeded = given.get("success") is not False and (given.get("success") is True or not error)
        task.end(Outcome.COMPLETED if succeeded else Outcome.FAILED, error=None if succeeded else _error(error))
        _forget(self)

    # -- what is recorded ------------------------------------------------------------------------------------------------

    @property
    def _operation(self) -> Operation | None:
        return self._task or self._flow

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """A block that is within the task, for what is recorded where it is called."""
        operation = self._operation
        token = None if operation is None else otel_context.attach(inside(operation))
        try:
            yield
        finally:
            if token is not None:
                otel_context.detach(token)

    def _new_flow(self) -> _Flow:
        """The webhook; it ends as soon as its task is known, as there is no call for its end."""
        known = self._metadata
        flow = _Flow(
            plain_text(known.get("provider") or known.get("source") or "unknown"), plain_text(known.get("event_type") or "task")
        )
        self._flow = flow.start()  # type: ignore[assignment]  # itself
        return flow

    def _point(self, line: dict[str, Any]) -> None:
        operation = self._operation
        if operation is None:
            recorder().point({**line, "task_id": self._task_id}, None, {})
        else:
            recorder().point(line, operation.task, operation.ids(), sampled=operation.sampled)

    def _create(self) -> None:
        """Make the folder, with the task pending, unless it is there."""
        if self._operation is not None or recorder().tasks.find(self._task_id).get("status") is not None:
            return
        given = {key: optional_text(self._metadata.get(key)) for key in _OF_TASK if key != "name"}
        given |= {"source": given["source"] or "webhook", "agent": optional_text(self._metadata.get("assigned_agent"))}
        flow = self._new_flow()
        flow.create_task(self._name(), task_id=self._task_id, input=self._input, tags=self._metadata.get("tags") or (), **given)
        if isinstance(flow.task, RunningTask):
            # For the worker's task to be part of the same trace.
            flow.task.header["traceparent"] = f"00-{flow.trace_id}-{flow.span_id}-{'01' if flow.sampled else '00'}"
        flow.end()
        self._rewrite()

    def _name(self) -> str:
        return optional_text(self._metadata.get("name")) or self._task_id

    def _run(self) -> Task:
        """The task, begun with the first call, wherever it was created."""
        if self._task is None:
            self._create()
            known = recorder().tasks.find(self._task_id)
            if text(known, "status") in ENDED - {Outcome.INTERRUPTED.value}:
                raise StateError(f"task {self._task_id} has ended ({known['status']})")
            carrier = write_carrier(Context(), {"task_id": self._task_id})
            if isinstance(known.get("traceparent"), str):
                carrier["traceparent"] = known["traceparent"]
            self._task = Task(self._name(), resume=carrier).start()
        return self._task

    def _rewrite(self) -> None:
        """Bring ``metadata.json`` and ``01-input.json`` up to date."""
        operation = self._operation
        task = operation.task if operation is not None else None
        home = task.home if task is not None else None
        if not isinstance(task, RunningTask) or not isinstance(home, TaskFolder):
            return
        given = {key: optional_text(self._metadata[key]) for key in _OF_TASK if self._metadata.get(key) is not None}
        if self._metadata.get("assigned_agent") is not None:
            given["assigned_agent"] = optional_text(self._metadata["assigned_agent"])
        header = {**task.header, **given}
        payload = {"metadata": header, **({} if self._input is None else {"input": self._input})}
        cleaned = recorder().clean({}, payload).payload
        task.header = clean_header(header, cleaned)
        status = State.RUNNING if self._task is not None else State.PENDING
        home.begin(task.header, cleaned, status, timestamp(time.time_ns()))

    def _tool_begins(self, content: Any, given: dict[str, Any]) -> None:
        name = plain_text(given.get("tool") or given.get("tool_name") or given.get("name") or content or "tool")
        arguments = next((given[key] for key in ("params", "arguments", "input", "tool_input") if key in given), None)
        run = ToolRun(name, arguments=arguments if isinstance(arguments, Mapping) else None, call_id=_call_id(given))
        with self._inside():
            run.start()
        self._tools.setdefault(_call_id(given) or name, []).append(run)

    def _tool_ends(self, content: Any, given: dict[str, Any]) -> None:
        name = plain_text(given.get("tool") or given.get("tool_name") or given.get("name") or "")
        waiting = self._tools.get(_call_id(given) or name) or next(
            (runs for runs in reversed(self._tools.values()) if runs), None
        )
        if not waiting:
            self._tool_begins(name, given)
            waiting = self._tools[_call_id(given) or name or "tool"]
        run = waiting.pop(0)
        run.result = next((given[key] for key in ("result", "output") if key in given), content)
        failed = given.get("error") or given.get("is_error") or given.get("success") is False
        run.end(error=_error(given.get("error") or content) if failed else None)

    def _spend(self, metrics: Mapping[str, Any]) -> None:
        """Tokens and cost of the whole task, which nothing else has, as one call of its model."""
        tokens = {name: as_count(metrics.get(name)) for name in ("input_tokens", "output_tokens")}
        cost_usd = as_amount(metrics.get("cost_usd"))
        known = (
            self._task is not None
            and self._task.task is not None
            and isinstance(self._task.task, RunningTask)
            and self._task.task.ai_calls
        )
        if known or (cost_usd is None and not any(tokens.values())):
            return
        with ai_call(optional_text(self._metadata.get("model")) or "unknown") as call:
            call.usage(input_tokens=tokens["input_tokens"], output_tokens=tokens["output_tokens"], cost_usd=cost_usd)


def _own(data: Any) -> dict[str, Any]:
    """A mapping with texts as keys; anything else as ``content``."""
    if isinstance(data, Mapping):
        return {plain_text(key): value for key, value in data.items()}
    return {"content": data}


def _call_id(given: Mapping[str, Any]) -> str | None:
    return next((plain_text(given[key]) for key in ("call_id", "tool_call_id", "tool_use_id", "id") if given.get(key)), None)


def _error(given: Any) -> BaseException:
    if isinstance(given, BaseException):
        return given
    message = given.get("message") if isinstance(given, Mapping) else given
    return AgentlogError(plain_text(message) if message else "the task failed")


# -- the tasks of this process -------------------------------------------------------------------------------------------------

MAX_OPEN = 10_000
"""Tasks that are remembered until their final result; the oldest are forgotten first."""

_lock = threading.Lock()
_open: dict[tuple[Path, str], _Files] = {}


def _files_of(root: Path, task_id: str) -> _Files:
    with _lock:
        found = _open.get((root, task_id))
        if found is None:
            found = _open[root, task_id] = _Files(task_id)
            if len(_open) > MAX_OPEN:
                del _open[next(iter(_open))]
        return found


def _forget(files: _Files) -> None:
    with _lock:
        for key in [key for key, each in _open.items() if each is files]:
            del _open[key]

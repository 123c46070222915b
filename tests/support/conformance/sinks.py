"""What every sink has to do, whatever it is for: a suite to run on a new one, as Go's ``testing/slogtest`` is for log handlers.

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_sink(check):
        check(MySink())

Each check hands the sink envelopes as the recorder does and raises `AssertionError` where the sink does not keep to the contract
of `otel_agentlog.vocabulary.envelope.Sink`.
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from otel_agentlog.vocabulary.envelope import Envelope, Sink, TaskRef
from otel_agentlog.vocabulary.lines import timestamp

NOW_NS = 1_795_238_521_123_456_789

_TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
_SPAN = {**_TRACE, "name": "a span", "kind": "INTERNAL", "trace_flags": 1, "attributes": {"key": "value"}}
_TASK = {"type": "task", "component": "runner", "message": "job"}
_DONE = {"phase": "end", "outcome": "completed", "duration_ms": 1.5, "state_before": "running", "state_after": "completed"}
_FAILED = {**_DONE, "outcome": "failed", "state_after": "failed", "level": "ERROR"}
_ERROR = {"type": "ValueError", "message": "no", "error_id": "abcd1234", "traceback": ["Traceback …", "ValueError: no"]}
_BEGUN = {"phase": "start", "state_before": "pending", "state_after": "running"}

LINES: list[dict[str, Any]] = [
    {**_TASK, **_SPAN, **_BEGUN, "action": "task_started"},
    {"type": "step", "message": "plan", **_SPAN, **_BEGUN, "action": "step_execution_started"},
    {"type": "log", "logger": "app", "message": "files read", "details": {"files": 3}, **_TRACE},
    {"type": "log", "logger": "app", "message": "without a span", "level": "WARNING"},
    {"type": "output", "component": "agent", "action": "content_recorded", "content": "Hello ☃\n", **_TRACE},
    {"type": "attempt", "action": "attempt_failed", "message": "x", "details": {"number": 1, "maximum": 2}, **_TRACE},
    {"type": "event", "action": "anything", "message": "", "details": {"deep": {"$bytes": "AA=="}}},
    {"type": "state", "action": "task_paused", "message": "job", "state_before": "running", "state_after": "paused", **_TRACE},
    {"type": "ai_request", "message": "m", **_SPAN, **_BEGUN, "details": {"provider": "openai", "model": "m"}},
    {"type": "ai_response", "message": "m", **_SPAN, **_DONE, "details": {"input_tokens": 1, "cost_usd": None}},
    {"type": "tool_call", "content": "Read", "message": "Read", **_SPAN, **_BEGUN},
    {"type": "tool_result", "content": "Read", "message": "Read", **_SPAN, **_FAILED, "exception": _ERROR},
    {"type": "subtask", "action": "subtask_started", "message": "job", "details": {"task_id": "other"}},
    {"type": "of a later version", "what": [1, 2.5, None, True]},
    {"type": "step", "message": "plan", **_SPAN, **_FAILED, "exception": _ERROR},
    {**_TASK, **_SPAN, **_DONE, "action": "task_completed"},
]
"""One line of each kind, without what the recorder adds."""

STAGE = {"stage": "received", "event_type": "push", "provider": "github", **_TRACE}


def envelope(line: dict[str, Any], task: TaskRef | None, **more: Any) -> Envelope:
    """An envelope as the recorder hands it out: the line complete, its ids among it."""
    ids = {} if task is None else {"task_id": task.task_id}
    number = "of-no-task-1" if task is None else task.event_ids.next()
    whole = {"timestamp": timestamp(NOW_NS), "level": "INFO", **line, **ids, "event_id": number}
    return Envelope(whole, task, NOW_NS, items=1, kept=task is not None, **more)


def new_task(task_id: str = "task-1") -> TaskRef:
    """A task of this process."""
    return TaskRef(task_id, {"task_id": task_id, "name": "job", "status": "running"})


def envelopes(task: TaskRef | None) -> Iterator[Envelope]:
    """An envelope with each kind of line, and one of a webhook's stage."""
    for line in LINES:
        payload = {"result": "done"} if line.get("type") == "task" and line.get("phase") == "end" else None
        yield envelope(copy.deepcopy(line), task, payload=payload)
    yield envelope(dict(STAGE), task, webhook=True)


def takes_every_kind_of_line(sink: Sink) -> None:
    """Lines of every type, of a task and of none, and stages: it raises nothing, whether they concern it or not."""
    for task in (new_task(), None):
        for each in envelopes(task):
            sink(each)


def changes_nothing(sink: Sink) -> None:
    """Another sink gets the same envelope: line and payload are as they were, all the way down."""
    for each in envelopes(new_task()):
        line, payload = copy.deepcopy(each.line), copy.deepcopy(each.payload)
        sink(each)
        assert each.line == line
        assert list(each.line) == list(line)
        assert each.payload == payload


def needs_no_order(sink: Sink) -> None:
    """It begins in the middle of a task, gets an end without a start, and a line again: it raises nothing."""
    whole = list(envelopes(new_task()))
    for each in [*reversed(whole), whole[0]]:
        sink(each)


def works_from_many_threads(sink: Sink) -> None:
    """Eight threads at once, in tasks of their own and in one that they share: it raises nothing and returns."""
    errors: list[BaseException] = []
    shared = new_task("shared")

    def work(number: int) -> None:
        try:
            for task in (new_task(f"task-{number}"), shared):
                for each in envelopes(task):
                    sink(each)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []


def works_in_the_child_of_a_fork(sink: Sink) -> None:
    """A child that inherits the sink uses it, in the task of its parent and in one of its own."""
    task = new_task()
    for each in envelopes(task):
        sink(each)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for inherited in (task, new_task("task-of-child")):
                for each in envelopes(inherited):
                    sink(each)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


CHECKS: list[Callable[[Sink], None]] = [
    takes_every_kind_of_line,
    changes_nothing,
    needs_no_order,
    works_from_many_threads,
    works_in_the_child_of_a_fork,
]

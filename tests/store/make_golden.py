"""Writes the golden folders of format version 1: ``python -m tests.store.make_golden``, then look at ``git diff``.

Golden folders stay readable for ever. Add new ones; change those that are there only while version 1 is not released.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

from otel_agentlog.store.folder import layout
from otel_agentlog.vocabulary.lines import encode
from tests.store.golden_writer import Clock, Process, ai_call, document, duration_of_task, hex_id, metadata, new_folder

TRACE_ID = hex_id("webhook task", 32)
SUBTASK = {"task_id": "task-sub-51c2", "name": "Search the docs"}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "brain"}
MODEL = "claude-opus-4-5"


def webhook_task() -> None:
    """A webhook, its worker, AI calls, tools, a retry, a failing step, an adopted span, an artifact, a pause."""
    folder, clock = new_folder("task-7f3a1c9e2b40"), Clock()
    ids = {"task_id": folder.name, "correlation_id": "delivery-8841", "instance_id": "web-1", "trace_id": TRACE_ID}
    created_ns, push = flow(folder, clock, ids)
    ids = {**ids, "instance_id": "worker-3"}
    work = Process(folder, clock, "c09d11e7", 4790, ids, "reviewer-worker")
    work.start(
        *("queue_pickup", "process tasks", "tasks", "runner", "queue_pickup_started"),
        kind="CONSUMER",
        parent_span_id=push,
        parent_remote=True,
        details={"queue": "tasks", "latency_ms": 38.114},
        links=[{"trace_id": TRACE_ID, "span_id": push, "attributes": {"messaging.system": "redis"}}],
    )
    started_ns = clock.ns
    root = work.start(
        *("task", "invoke_agent brain", "Review PR 42", "runner", "task_started"),
        details={"agent": "brain", "agent_type": "planner", "model": MODEL},
        attributes={**AGENT, "agentlog.task.id": folder.name},
    )
    plan(work)
    read(work)
    pause(work)
    check(work)
    answer(work)
    work.end(component="runner", took_ms=3.0, details={"metrics": {"memory_peak_mb": 84.25, "cpu_seconds": 1.5}, "ai_calls": 2})
    completed_at = layout.timestamp(clock.ns)
    work.end(component="runner")
    times = {"created_at": layout.timestamp(created_ns), "started_at": layout.timestamp(started_ns), "completed_at": completed_at}
    webhook_documents(folder, ids, times, root)


def flow(folder: Path, clock: Clock, ids: dict[str, str]) -> tuple[int, str]:
    """The webhook's process; returns when the task was created and the span that pushed it."""
    web = Process(folder, clock, "a1f30b22", 4711, ids, "reviewer-web")
    event = {"event_type": "issue_comment.created", "provider": "github"}
    web.start(
        "webhook", "webhook github", "github issue_comment.created", "web", "webhook_received", kind="SERVER", details=event
    )

    def stage(name: str, **keys: Any) -> None:
        web.write({"stage": name, **keys, **event, **web.here()}, name=layout.WEBHOOK_FLOW)

    stage("received")
    stage("validation", status="passed", signature=True)
    stage("command_matching", command="review", matched=True, score=0.97, candidates=["review", "fix"])
    stage("immediate_response", reaction="eyes", latency_ms=81)
    created_ns = clock.ns
    stage("task_created")
    stage("queue_push", queue="tasks")
    queue = {"queue": "tasks"}
    push = web.start("queue_push", "send tasks", "tasks", "orchestrator", "queue_push_started", kind="PRODUCER", details=queue)
    web.end(component="orchestrator", details=queue)
    web.end(component="web", details=event)
    return created_ns, push


def plan(work: Process) -> None:
    """A step with an AI call that is known to have cost something."""
    work.start("step", "plan", "plan", "execution_engine", "step_execution_started", step_id="plan", details={"index": 1})
    usage = {"input_tokens": 1200, "output_tokens": 850, "cache_read_input_tokens": 1000, "reasoning_output_tokens": 300}
    ai_call(work, MODEL, usage, 0.0234, "I will read a.py first.", 1850.0, "tool_use")
    work.point("thinking", component="agent", action="content_recorded", content="The diff touches a.py — naïve caching? 🤔")
    work.end()


def read(work: Process) -> None:
    """A step with two tools, one of them retried, an adopted span and a log line."""
    work.start("step", "read", "read", "execution_engine", "step_execution_started", step_id="read", details={"index": 2})
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "Read"}
    begun = ("tool", "tool_run_started")
    arguments = {"arguments": {"path": "a.py"}}
    work.start("tool_call", "execute_tool Read", "Read", *begun, content="Read", details=arguments, attributes=tool)
    work.end(component="tool", content="Read", took_ms=12.4, details={"result": "def f():\n    return 1\n", "attempts": 1})
    work.start("tool_call", "execute_tool Bash", "Bash", *begun, content="Bash", details={"arguments": {"command": "make"}})
    failed = {"number": 1, "maximum": 3, "wait_ms": 250.0, "error_type": "TimeoutError", "reason": "no answer"}
    work.point(
        "attempt", component="tool", action="attempt_failed", message="Bash: attempt 1 failed", content="Bash", details=failed
    )
    work.end(component="tool", content="Bash", took_ms=640.0, details={"result": "ok\n", "attempts": 2, "exit_code": 0})
    adopted_span(work)
    log = {"logger": "reviewer.core", "module": "core", "function": "review", "line": 45}
    work.point("log", component="instance", message="files read", **log, details={"files": 3})
    work.end()


def adopted_span(work: Process) -> None:
    """A span of an HTTP client: its own scope, an event, and values that are not JSON."""
    begin_ns = work.clock()
    span = {"span_id": hex_id("adopted", 16)}
    common = {"component": "integration", "message": "POST", **work.ids, "step_id": "read", **span}
    begin = {
        "parent_span_id": work.stack[-1][0],
        "trace_flags": 1,
        "trace_state": "vendor=1",
        "name": "POST",
        "kind": "CLIENT",
        "scope": {"name": "opentelemetry.instrumentation.httpx", "version": "0.66b2"},
        "attributes": {
            "http.request.method": "POST",
            "body": {"$bytes": "AAEC/w=="},
            "ratio": {"$float": "NaN"},
            "tags": ["a", "b"],
        },
    }
    work.write({"type": "span", "level": "INFO", "phase": "start", **common, **begin}, begin_ns)
    event = {"timestamp": layout.timestamp(begin_ns + 500_000), "name": "dns.resolved", "attributes": {"ms": 0.4}}
    end_ns = work.clock(31.0)
    duration = {"duration_ms": round((end_ns - begin_ns) / 1e6, 3)}
    end = {**duration, "attributes": {"http.response.status_code": 200}, "events": [event]}
    work.write({"type": "span", "level": "INFO", "phase": "end", **common, **end}, end_ns)


def pause(work: Process) -> None:
    """Somebody asks for a pause and for going on."""
    said = {"component": "state_management", "message": "Review PR 42"}
    asked = {
        "timestamp": layout.timestamp(work.clock()),
        "request": "pause",
        "request_id": "r1",
        "task_id": work.folder.name,
        "source": "cli",
    }
    resumed = {**asked, "timestamp": layout.timestamp(work.clock.ns + 90_000_000), "request": "resume", "request_id": "r2"}
    (work.folder / layout.CONTROL).write_bytes(encode(asked) + encode(resumed))
    work.point("state", action="task_paused", state_before="running", state_after="paused", **said, reason="asked for")
    work.clock(100)
    work.point("state", action="task_resumed", state_before="paused", state_after="running", **said)


def check(work: Process) -> None:
    """A step that fails because its tool does."""
    work.start("step", "check", "check", "execution_engine", "step_execution_started", step_id="check", details={"index": 3})
    error = {"type": "AssertionError", "message": "1 != 2", "error_id": "abc12345"}
    traceback = ["Traceback (most recent call last):", '  File "check.py", line 3, in check', "AssertionError: 1 != 2"]
    first = {**error, "traceback": traceback, "category": "EXECUTION", "suggestions": ["Look at the assertion in check.py."]}
    failed: dict[str, Any] = {
        "status": {"code": "ERROR", "description": "1 != 2"},
        "attributes": {"error.type": "AssertionError"},
    }
    work.start("tool_call", "execute_tool Test", "Test", "tool", "tool_run_started", content="Test", details={"arguments": {}})
    work.end("failed", component="tool", content="Test", took_ms=870.0, exception=first, **failed)
    work.end("failed", exception=error, **failed)


def answer(work: Process) -> None:
    """A sub-task, an AI call of unknown price, output too large for a line, and the last word."""
    pointer = {"component": "orchestrator", "message": "Search the docs"}
    work.point("subtask", action="subtask_started", **pointer, details=SUBTASK)
    work.point("subtask", action="subtask_ended", **pointer, details={**SUBTASK, "outcome": "cancelled"})
    ai_call(work, "claude-next-preview", {"input_tokens": 2100, "output_tokens": 90}, None, "Looks good.", 610.0, "end_turn")
    data = ("Analyzing the code...\n" * 40_000).encode()
    digest = hashlib.sha256(data).hexdigest()
    (work.folder / layout.ARTIFACTS).mkdir()
    pack(work.folder / layout.ARTIFACTS / digest, data)
    reference = {"sha256": digest, "size_bytes": len(data), "media_type": "text/plain", "preview": "Analyzing the code...\n"}
    work.point("output", component="agent", action="content_recorded", content={"$artifact": reference})
    work.point("output", component="agent", action="content_recorded", content="Looks good.\u2028Merge it.\n")


def pack(path: Path, data: bytes) -> None:
    """A compressed file beside where `path` would be, always with the same bytes."""
    with gzip.GzipFile(f"{path}{layout.GZIP_SUFFIX}", "wb", mtime=0) as packed:
        packed.write(data)


def webhook_documents(folder: Path, ids: dict[str, str], times: dict[str, str], root: str) -> None:
    """The whole files of the webhook task."""
    origin = {"source": "webhook", "provider": "github"}
    asked = {"message": "@brain review", "pull_request": 42}
    document(folder, layout.INPUT, {"task_id": folder.name, "timestamp": times["created_at"], "input": asked, **origin})
    tokens = {"input_tokens": 3300, "output_tokens": 940, "cache_read_input_tokens": 1000, "cache_write_input_tokens": 0}
    counts = {"ai_calls": 2, "tool_runs": 3, "steps": 3, "retries": 1, "errors": 1}
    metrics = {
        "cost_usd": 0.0234,
        **tokens,
        "reasoning_output_tokens": 300,
        "duration_seconds": duration_of_task(folder),
        **counts,
    }
    metrics |= {"memory_peak_mb": 84.25, "cpu_seconds": 1.5}
    final = {"success": True, "outcome": "completed", "result": "Looks good.", "error": None, "metrics": metrics}
    document(folder, layout.FINAL_RESULT, {**final, "completed_at": times["completed_at"], "task_id": folder.name})
    metadata(
        folder,
        ids,
        name="Review PR 42",
        **origin,
        **times,
        updated_at=times["completed_at"],
        status="completed",
        assigned_agent="brain",
        agent_type="planner",
        model=MODEL,
        traceparent=f"00-{TRACE_ID}-{root}-01",
        tags=["review", "github"],
        delivery=(20, 20, 0, 0, 0, 1),
    )


def killed_task() -> None:
    """Killed twice: the first process tore a line and the next one's record stands right behind; the second tore the last."""
    folder, clock = new_folder("task-0badc0ffee11"), Clock()
    trace_id = hex_id("killed task", 32)
    ids = {"task_id": folder.name, "trace_id": trace_id}
    first = Process(folder, clock, "5e5e0001", 100, ids, "reviewer")
    created_at = layout.timestamp(clock.ns)
    attributes = {"agentlog.task.id": folder.name}
    root = first.start("task", "invoke_workflow nightly", "Nightly", "runner", "task_started", attributes=attributes)
    first.start("step", "collect", "collect", "execution_engine", "step_execution_started", step_id="collect")
    ai_call(first, "claude-haiku-4-5", {"input_tokens": 10, "output_tokens": 5}, 0.000035, "ok", 300.0, "end_turn")
    tear(first, "half of this is lost", slice(150))
    second = Process(folder, clock, "5e5e0002", 200, ids, "reviewer")
    second.start("segment", "segment nightly", "Nightly", "runner", "segment_started", parent_span_id=root, parent_remote=True)
    second.start("tool_call", "execute_tool Bash", "Bash", "tool", "tool_run_started", content="Bash", details={"arguments": {}})
    second.point("output", component="agent", action="content_recorded", content="half done…")
    tear(second, "never finished", slice(-40))
    given = {"task_id": folder.name, "timestamp": created_at, "input": "nightly", "source": None, "provider": None}
    document(folder, layout.INPUT, given)
    times = {"created_at": created_at, "started_at": created_at, "updated_at": created_at}
    traceparent = f"00-{trace_id}-{root}-01"
    metadata(folder, ids, name="Nightly", **times, status="running", traceparent=traceparent, delivery=(0, 0, 0, 0, 0, 0))


def tear(process: Process, message: str, part: slice) -> None:
    """Only a part of a log line, as a kill leaves it."""
    log = {"logger": "nightly", "module": "nightly", "function": "main", "line": 7}
    data = process.encode({"type": "log", "level": "INFO", "message": message, **log, **process.here()})
    with (process.folder / layout.AGENT_OUTPUT).open("ab") as file:
        file.write(data[part])


def cancelled_subtask() -> None:
    """A sub-task of the first folder, in its trace, cancelled in the middle of an AI call; its lines are compressed."""
    folder, clock = new_folder(SUBTASK["task_id"]), Clock()
    ids = {"task_id": folder.name, "correlation_id": "delivery-8841", "trace_id": TRACE_ID}
    process = Process(folder, clock, "c09d11e8", 4790, ids, "reviewer-worker")
    created_at = layout.timestamp(clock.ns)
    parent = hex_id("a span of the parent task", 16)
    begun = ("task", "invoke_agent searcher", "Search the docs", "runner", "task_started")
    root = process.start(*begun, parent_span_id=parent, details={"agent": "searcher"})
    process.start("ai_request", "chat claude-haiku-4-5", "claude-haiku-4-5", "ai_service", "api_request_sent", kind="CLIENT")
    process.end("cancelled", component="ai_service", reason="CancelledError", details={"cost_usd": None, "attempts": 1})
    process.end("cancelled", component="runner", reason="CancelledError", took_ms=2.0)
    completed_at = layout.timestamp(clock.ns)
    tokens = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens")
    metrics: dict[str, Any] = {"cost_usd": None, **dict.fromkeys(tokens, 0), "duration_seconds": duration_of_task(folder)}
    metrics |= {"ai_calls": 1, "tool_runs": 0, "steps": 0, "retries": 0, "errors": 0, "memory_peak_mb": None, "cpu_seconds": None}
    result = {"success": False, "outcome": "cancelled", "result": None, "error": None, "metrics": metrics}
    document(folder, layout.FINAL_RESULT, {**result, "completed_at": completed_at, "task_id": folder.name})
    metadata(
        folder,
        ids,
        parent_task_id="task-7f3a1c9e2b40",
        name="Search the docs",
        created_at=created_at,
        started_at=created_at,
        updated_at=completed_at,
        completed_at=completed_at,
        status="cancelled",
        assigned_agent="searcher",
        traceparent=f"00-{TRACE_ID}-{root}-01",
        delivery=(2, 0, 2, 0, 0, 0),
    )
    plain = folder / layout.AGENT_OUTPUT
    pack(plain, plain.read_bytes())
    plain.unlink()


if __name__ == "__main__":
    webhook_task()
    killed_task()
    cancelled_subtask()

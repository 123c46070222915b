"""Writes the golden folders of format version 1, always the same bytes: ``python tests/store/make_golden.py``.

Golden folders stay readable for ever. Add new ones; change those that are there only while version 1 is not released.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
from pathlib import Path
from typing import Any

from otel_agentlog.store import layout

HERE = Path(__file__).parent / "golden" / "v1"
BEGIN_NS = layout.parse_timestamp("2026-11-21T05:22:01.123456789Z")
SCOPE = {"name": "otel_agentlog", "version": "0.1.0", "schema_url": "https://opentelemetry.io/schemas/1.41.0"}


def hex_id(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


class Clock:
    """Moves on by a little, irregularly, with every look at it."""

    def __init__(self) -> None:
        self.ns = BEGIN_NS
        self.looks = 0

    def __call__(self, step_ms: float = 1.0) -> int:
        self.looks += 1
        self.ns += int(step_ms * 1_000_000) + 1009 * self.looks % 100_000
        return self.ns


class Process:
    """One process that writes into a folder; spans nest by a stack."""

    def __init__(self, folder: Path, clock: Clock, tag: str, pid: int, ids: dict[str, str], service: str) -> None:
        self.folder, self.clock, self.tag, self.ids = folder, clock, tag, ids
        self.count = 0
        self.stack: list[tuple[str, str, int, str, dict[str, str]]] = []
        self.raw: list[bytes] = []
        resource = {
            "service.name": service,
            "service.version": "1.4.2",
            "telemetry.sdk.name": "opentelemetry",
            "process.pid": pid,
        }
        self.write(
            {
                "type": "process",
                "level": "INFO",
                "component": "process",
                "action": "process_attached",
                "pid": pid,
                "host": "build-7",
                "resource": resource,
                "scope": SCOPE,
                "content_policy": "preview",
                "format_version": 1,
                "task_id": ids["task_id"],
            }
        )

    def encode(self, line: dict[str, Any], at_ns: int | None = None) -> bytes:
        stamped = {"timestamp": layout.timestamp(at_ns or self.clock()), **line, "event_id": f"{self.tag}-{self.count}"}
        self.count += 1
        return layout.encode(stamped)

    def write(self, line: dict[str, Any], at_ns: int | None = None, name: str = layout.AGENT_OUTPUT) -> None:
        with (self.folder / name).open("ab") as file:
            file.write(self.encode(line, at_ns))

    def here(self) -> dict[str, str]:
        extra = self.stack[-1][4] if self.stack else {}
        span = {"span_id": self.stack[-1][0]} if self.stack else {}
        return {**self.ids, **extra, **span}

    def start(self, line_type: str, name: str, message: str, component: str, action: str, **more: Any) -> str:
        span_id = hex_id(f"{self.ids['task_id']}/{self.tag}/{self.count}", 16)
        parent = {"parent_span_id": self.stack[-1][0]} if self.stack else {}
        extra = {**(self.stack[-1][4] if self.stack else {}), **({"step_id": more.pop("step_id")} if "step_id" in more else {})}
        at_ns = self.clock()
        self.stack.append((span_id, line_type, at_ns, message, extra))
        line = {
            "type": line_type,
            "level": "INFO",
            "phase": "start",
            "component": component,
            "action": action,
            "message": message,
            "state_before": "pending",
            "state_after": "running",
            **self.ids,
            **extra,
            "span_id": span_id,
            **parent,
            "trace_flags": 1,
            "name": name,
            "kind": "INTERNAL",
            **more,
        }
        self.write({key: value for key, value in line.items() if value is not None}, at_ns)
        return span_id

    def end(self, outcome: str = "completed", *, took_ms: float = 5.0, before: str = "running", **more: Any) -> None:
        span_id, start_type, start_ns, message, extra = self.stack.pop()
        end_type = layout.END_TYPE.get(start_type, start_type)
        at_ns = self.clock(took_ms)
        line = {
            "type": end_type,
            "level": {"failed": "ERROR", "timed_out": "ERROR", "cancelled": "WARNING"}.get(outcome, "INFO"),
            "phase": "end",
            "component": more.pop("component", "execution_engine"),
            "action": layout.end_action(start_type, outcome),
            "message": message,
            "state_before": before,
            "state_after": outcome,
            "outcome": outcome,
            "duration_ms": round((at_ns - start_ns) / 1e6, 3),
            **self.ids,
            **extra,
            "span_id": span_id,
            **more,
        }
        self.write({key: value for key, value in line.items() if value is not None}, at_ns)

    def point(self, line_type: str, **line: Any) -> None:
        self.write({"type": line_type, "level": "INFO", **line, **self.here()})


def new_folder(name: str) -> Path:
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def document(folder: Path, name: str, content: dict[str, Any]) -> None:
    (folder / name).write_bytes(layout.encode_document(content))


def metadata(folder: Path, ids: dict[str, str], **known: Any) -> None:
    keys = ("parent_task_id", "name", "source", "provider", "created_at", "started_at", "updated_at", "completed_at", "status")
    keys += ("assigned_agent", "agent_type", "model", "correlation_id", "session_id", "instance_id", "trace_id", "traceparent")
    counts = known.pop("delivery")
    names = ("recorded", "delivered", "pending", "dropped", "redacted", "truncated")
    found = {key: known.get(key, ids.get(key)) for key in keys}
    content = {"format_version": 1, "task_id": ids["task_id"], **found, "tags": known.get("tags", [])}
    document(folder, layout.METADATA, {**content, "delivery": dict(zip(names, counts, strict=True))})


def ai_call(
    process: Process, model: str, usage: dict[str, int], cost: float | None, text: str, took_ms: float, finish: str
) -> None:
    ask = {"provider": "anthropic", "model": model, "operation": "chat", "parameters": {"max_tokens": 1024}}
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": model}
    process.start(
        "ai_request",
        f"chat {model}",
        model,
        "ai_service",
        "api_request_sent",
        kind="CLIENT",
        details={**ask, "messages": [{"role": "user", "parts": [{"type": "text", "content": "Review pull request 42."}]}]},
        attributes=attributes,
    )
    price = {"price": {"source": "genai-prices", "version": "0.2.3"}} if cost is not None else {}
    output = [{"type": "text", "content": text}]
    answer = {**usage, "cost_usd": cost, **price, "finish_reasons": [finish], "response_id": f"msg_{process.count:04d}"}
    process.end(
        took_ms=took_ms,
        component="ai_service",
        details={**answer, "response_model": model, "provider": "anthropic", "model": model, "attempts": 1, "output": output},
        attributes={f"gen_ai.usage.{key}": value for key, value in usage.items()} | {"gen_ai.response.finish_reasons": [finish]},
    )


def webhook_task() -> None:
    """A webhook, its worker, AI calls, tools, a retry, a failing step, an adopted span, an artifact, a pause."""
    folder, clock = new_folder("task-7f3a1c9e2b40"), Clock()
    trace_id = hex_id("webhook task", 32)
    ids = {"task_id": folder.name, "correlation_id": "delivery-8841", "instance_id": "web-1", "trace_id": trace_id}
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
    push = web.start(
        "queue_push", "send tasks", "tasks", "orchestrator", "queue_push_started", kind="PRODUCER", details={"queue": "tasks"}
    )
    web.end(component="orchestrator", details={"queue": "tasks"})
    web.end(component="web", details=event)

    work = Process(folder, clock, "c09d11e7", 4790, {**ids, "instance_id": "worker-3"}, "reviewer-worker")
    work.start(
        "queue_pickup",
        "process tasks",
        "tasks",
        "runner",
        "queue_pickup_started",
        kind="CONSUMER",
        parent_span_id=push,
        parent_remote=True,
        details={"queue": "tasks", "latency_ms": 38.114},
        links=[{"trace_id": trace_id, "span_id": push, "attributes": {"messaging.system": "redis"}}],
    )
    started_ns = clock.ns
    root = work.start(
        "task",
        "invoke_agent brain",
        "Review PR 42",
        "runner",
        "task_started",
        details={"agent": "brain", "agent_type": "planner", "model": "claude-opus-4-5"},
        attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "brain", "agentlog.task.id": folder.name},
    )
    work.start("step", "plan", "plan", "execution_engine", "step_execution_started", step_id="plan", details={"index": 1})
    usage = {"input_tokens": 1200, "output_tokens": 850, "cache_read_input_tokens": 1000, "reasoning_output_tokens": 300}
    ai_call(work, "claude-opus-4-5", usage, 0.0234, "I will read a.py first.", 1850.0, "tool_use")
    work.point("thinking", component="agent", action="content_recorded", content="The diff touches a.py — naïve caching? 🤔")
    work.end()
    work.start("step", "read", "read", "execution_engine", "step_execution_started", step_id="read", details={"index": 2})
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "Read"}
    arguments = {"path": "a.py"}
    work.start(
        "tool_call",
        "execute_tool Read",
        "Read",
        "tool",
        "tool_run_started",
        content="Read",
        details={"arguments": arguments},
        attributes=tool,
    )
    work.end(component="tool", content="Read", took_ms=12.4, details={"result": "def f():\n    return 1\n", "attempts": 1})
    work.start(
        "tool_call",
        "execute_tool Bash",
        "Bash",
        "tool",
        "tool_run_started",
        content="Bash",
        details={"arguments": {"command": "make"}},
    )
    failed = {"number": 1, "maximum": 3, "wait_ms": 250.0, "error_type": "TimeoutError", "reason": "no answer"}
    work.point(
        "attempt", component="tool", action="attempt_failed", message="Bash: attempt 1 failed", content="Bash", details=failed
    )
    work.end(component="tool", content="Bash", took_ms=640.0, details={"result": "ok\n", "attempts": 2, "exit_code": 0})
    adopted_ns = clock()
    http = hex_id("adopted", 16)
    shared = {**ids, "instance_id": "worker-3", "step_id": "read", "span_id": http}
    work.write(
        {
            "type": "span",
            "level": "INFO",
            "phase": "start",
            "component": "integration",
            "message": "POST",
            **shared,
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
        },
        adopted_ns,
    )
    event_line = {"timestamp": layout.timestamp(adopted_ns + 500_000), "name": "dns.resolved", "attributes": {"ms": 0.4}}
    end_ns = clock(31.0)
    work.write(
        {
            "type": "span",
            "level": "INFO",
            "phase": "end",
            "component": "integration",
            "message": "POST",
            **shared,
            "duration_ms": round((end_ns - adopted_ns) / 1e6, 3),
            "attributes": {"http.response.status_code": 200},
            "events": [event_line],
        },
        end_ns,
    )
    log = {"logger": "reviewer.core", "module": "core", "function": "review", "line": 45}
    work.point("log", component="instance", message="files read", **log, details={"files": 3})
    work.end()
    pause = {"component": "state_management", "message": "Review PR 42"}
    asked = {
        "timestamp": layout.timestamp(clock()),
        "request": "pause",
        "request_id": "r1",
        "task_id": folder.name,
        "source": "cli",
    }
    resumed = {**asked, "timestamp": layout.timestamp(clock.ns + 90_000_000), "request": "resume", "request_id": "r2"}
    (folder / layout.CONTROL).write_bytes(layout.encode(asked) + layout.encode(resumed))
    work.point("state", action="task_paused", state_before="running", state_after="paused", **pause, reason="asked for")
    clock(100)
    work.point("state", action="task_resumed", state_before="paused", state_after="running", **pause)
    work.start("step", "check", "check", "execution_engine", "step_execution_started", step_id="check", details={"index": 3})
    exception = {"type": "AssertionError", "message": "1 != 2", "error_id": "abc12345"}
    traceback = ["Traceback (most recent call last):", '  File "check.py", line 3, in check', "AssertionError: 1 != 2"]
    extra = {"category": "EXECUTION", "suggestions": ["Look at the assertion in check.py."]}
    work.start("tool_call", "execute_tool Test", "Test", "tool", "tool_run_started", content="Test", details={"arguments": {}})
    status = {"code": "ERROR", "description": "1 != 2"}
    work.end(
        "failed",
        component="tool",
        content="Test",
        took_ms=870.0,
        exception={**exception, "traceback": traceback, **extra},
        status=status,
        attributes={"error.type": "AssertionError"},
    )
    work.end("failed", exception=exception, status=status, attributes={"error.type": "AssertionError"})
    pointer = {"task_id": "task-sub-51c2", "name": "Search the docs"}
    work.point("subtask", component="orchestrator", action="subtask_started", message="Search the docs", details=pointer)
    done = {**pointer, "outcome": "cancelled"}
    work.point("subtask", component="orchestrator", action="subtask_ended", message="Search the docs", details=done)
    ai_call(work, "claude-next-preview", {"input_tokens": 2100, "output_tokens": 90}, None, "Looks good.", 610.0, "end_turn")
    big = ("Analyzing the code...\n" * 40_000).encode()
    digest = hashlib.sha256(big).hexdigest()
    (folder / layout.ARTIFACTS).mkdir()
    with gzip.GzipFile(folder / layout.ARTIFACTS / f"{digest}.gz", "wb", mtime=0) as packed:
        packed.write(big)
    reference = {"sha256": digest, "size_bytes": len(big), "media_type": "text/plain", "preview": "Analyzing the code...\n"}
    work.point("output", component="agent", action="content_recorded", content={"$artifact": reference})
    work.point("output", component="agent", action="content_recorded", content="Looks good.\u2028Merge it.\n")
    work.end(component="runner", took_ms=3.0, details={"metrics": {"memory_peak_mb": 84.25, "cpu_seconds": 1.5}, "ai_calls": 2})
    completed_at = layout.timestamp(clock.ns)
    work.end(component="runner")

    document(
        folder,
        layout.INPUT,
        {
            "task_id": folder.name,
            "timestamp": layout.timestamp(created_ns),
            "input": {"message": "@brain review", "pull_request": 42},
            "source": "webhook",
            "provider": "github",
        },
    )
    metrics = {
        "cost_usd": 0.0234,
        "input_tokens": 3300,
        "output_tokens": 940,
        "cache_read_input_tokens": 1000,
        "cache_write_input_tokens": 0,
        "reasoning_output_tokens": 300,
        "duration_seconds": duration_of_task(folder),
        "ai_calls": 2,
        "tool_runs": 3,
        "steps": 3,
        "retries": 1,
        "errors": 1,
        "memory_peak_mb": 84.25,
        "cpu_seconds": 1.5,
    }
    final = {"success": True, "outcome": "completed", "result": "Looks good.", "error": None, "metrics": metrics}
    document(folder, layout.FINAL_RESULT, {**final, "completed_at": completed_at, "task_id": folder.name})
    metadata(
        folder,
        {**ids, "instance_id": "worker-3"},
        name="Review PR 42",
        source="webhook",
        provider="github",
        created_at=layout.timestamp(created_ns),
        started_at=layout.timestamp(started_ns),
        updated_at=completed_at,
        completed_at=completed_at,
        status="completed",
        assigned_agent="brain",
        agent_type="planner",
        model="claude-opus-4-5",
        traceparent=f"00-{trace_id}-{root}-01",
        tags=["review", "github"],
        delivery=(20, 20, 0, 0, 0, 1),
    )


def duration_of_task(folder: Path) -> float:
    """Seconds on the task's end line, which the result repeats."""
    import orjson

    lines = [orjson.loads(raw) for raw in (folder / layout.AGENT_OUTPUT).read_bytes().split(b"\n") if raw]
    end = next(line for line in lines if line["type"] == "task" and line["phase"] == "end")
    return round(end["duration_ms"] / 1000, 6)


def killed_task() -> None:
    """Killed twice: the first process tore a line and the next one's record stands right behind; the second tore the last."""
    folder, clock = new_folder("task-0badc0ffee11"), Clock()
    trace_id = hex_id("killed task", 32)
    ids = {"task_id": folder.name, "trace_id": trace_id}
    first = Process(folder, clock, "5e5e0001", 100, ids, "reviewer")
    created_at = layout.timestamp(clock.ns)
    root = first.start(
        "task", "invoke_workflow nightly", "Nightly", "runner", "task_started", attributes={"agentlog.task.id": folder.name}
    )
    first.start("step", "collect", "collect", "execution_engine", "step_execution_started", step_id="collect")
    ai_call(first, "claude-haiku-4-5", {"input_tokens": 10, "output_tokens": 5}, 0.000035, "ok", 300.0, "end_turn")
    log = {"logger": "nightly", "module": "nightly", "function": "main", "line": 7}
    torn = first.encode({"type": "log", "level": "INFO", "message": "half of this is lost", **log, **first.here()})[:150]
    with (folder / layout.AGENT_OUTPUT).open("ab") as file:
        file.write(torn)
    second = Process(folder, clock, "5e5e0002", 200, ids, "reviewer")
    second.start("segment", "segment nightly", "Nightly", "runner", "segment_started", parent_span_id=root, parent_remote=True)
    second.start("tool_call", "execute_tool Bash", "Bash", "tool", "tool_run_started", content="Bash", details={"arguments": {}})
    second.point("output", component="agent", action="content_recorded", content="half done…")
    last = second.encode({"type": "log", "level": "INFO", "message": "never finished", **log, **second.here()})
    with (folder / layout.AGENT_OUTPUT).open("ab") as file:
        file.write(last[:-40])
    given = {"task_id": folder.name, "timestamp": created_at, "input": "nightly", "source": None, "provider": None}
    document(folder, layout.INPUT, given)
    metadata(
        folder,
        ids,
        name="Nightly",
        created_at=created_at,
        started_at=created_at,
        updated_at=created_at,
        status="running",
        traceparent=f"00-{trace_id}-{root}-01",
        delivery=(0, 0, 0, 0, 0, 0),
    )


def cancelled_subtask() -> None:
    """A sub-task of the first folder, in its trace, cancelled in the middle of an AI call; its lines are compressed."""
    folder, clock = new_folder("task-sub-51c2"), Clock()
    trace_id = hex_id("webhook task", 32)
    ids = {"task_id": folder.name, "correlation_id": "delivery-8841", "trace_id": trace_id}
    process = Process(folder, clock, "c09d11e8", 4790, ids, "reviewer-worker")
    created_at = layout.timestamp(clock.ns)
    parent = hex_id("a span of the parent task", 16)
    root = process.start(
        "task",
        "invoke_agent searcher",
        "Search the docs",
        "runner",
        "task_started",
        parent_span_id=parent,
        details={"agent": "searcher"},
    )
    process.start("ai_request", "chat claude-haiku-4-5", "claude-haiku-4-5", "ai_service", "api_request_sent", kind="CLIENT")
    process.end("cancelled", component="ai_service", reason="CancelledError", details={"cost_usd": None, "attempts": 1})
    process.end("cancelled", component="runner", reason="CancelledError", took_ms=2.0)
    completed_at = layout.timestamp(clock.ns)
    metrics = dict.fromkeys(("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens"), 0)
    metrics = {"cost_usd": None, **metrics, "reasoning_output_tokens": 0, "duration_seconds": duration_of_task(folder)}
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
        traceparent=f"00-{trace_id}-{root}-01",
        delivery=(2, 0, 2, 0, 0, 0),
    )
    plain = folder / layout.AGENT_OUTPUT
    with gzip.GzipFile(f"{plain}.gz", "wb", mtime=0) as packed:
        packed.write(plain.read_bytes())
    plain.unlink()


if __name__ == "__main__":
    webhook_task()
    killed_task()
    cancelled_subtask()

"""Writes folders as a writer of format version 1 does, with a clock and ids of its own: always the same bytes."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.store.folder import layout
from otel_agentlog.vocabulary import actions
from otel_agentlog.vocabulary.lines import encode

HERE = Path(__file__).parent / "golden" / "v1"
BEGIN_NS = layout.parse_timestamp("2026-11-21T05:22:01.123456789Z")
SCOPE = {"name": "otel_agentlog", "version": "0.1.0", "schema_url": "https://opentelemetry.io/schemas/1.41.0"}
LEVELS = {"failed": "ERROR", "timed_out": "ERROR", "cancelled": "WARNING"}


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
        return encode(stamped)

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
        end_type = actions.END_TYPE.get(start_type, start_type)
        at_ns = self.clock(took_ms)
        line = {
            "type": end_type,
            "level": LEVELS.get(outcome, "INFO"),
            "phase": "end",
            "component": more.pop("component", "execution_engine"),
            "action": actions.end_action(start_type, outcome),
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
    keys: tuple[str, ...] = (
        "parent_task_id",
        "name",
        "source",
        "provider",
        "created_at",
        "started_at",
        "updated_at",
        "completed_at",
        "status",
    )
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


def duration_of_task(folder: Path) -> float:
    """Seconds on the task's end line, which the result repeats."""
    lines = [orjson.loads(raw) for raw in (folder / layout.AGENT_OUTPUT).read_bytes().split(b"\n") if raw]
    end = next(line for line in lines if line["type"] == "task" and line["phase"] == "end")
    return round(float(end["duration_ms"]) / 1000, 6)

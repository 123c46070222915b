"""Task folders of any length, written line by line as the recorder writes them: turns of a step, an AI call and a tool run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson

LINES_A_TURN = 9
FAILS_EVERY = 25
"""Each turn of this number has a tool run that fails, and with it its step."""

BEGIN = datetime(2026, 11, 21, 5, 0, tzinfo=timezone.utc)

_ANSWER = "Turn **{}**: the `cache` is warm.\n\n- first\n- second\n"


def stamp(seconds: float) -> str:
    """The timestamp of a line, so many seconds after `BEGIN`."""
    return (BEGIN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def _span(number: int) -> str:
    return f"{number + 256:016x}"


def turn(number: int, parent: str = "1" * 16) -> Iterator[dict[str, Any]]:
    """Yield the lines of one turn: three parts of the tree."""
    at = number * 2.0
    step, call, tool = (_span(number * 3 + each) for each in range(3))
    failed = number % FAILS_EVERY == FAILS_EVERY - 1
    ids = {"level": "INFO", "component": "agent", "trace_id": "a" * 32}
    names = iter(range(LINES_A_TURN))

    def line(kind: str, span: str, within: str, after: float, **more: Any) -> dict[str, Any]:
        event = {"event_id": f"t{number}-{next(names)}", "timestamp": stamp(at + after)}
        return {**event, **ids, "type": kind, "span_id": span, "parent_span_id": within, **more}

    yield line("step", step, parent, 0, phase="start", action="step_execution_started", message=f"turn {number}")
    details: dict[str, Any] = {
        "model": "claude-opus-4-5",
        "messages": [{"role": "user", "parts": [{"type": "text", "content": f"question {number}"}]}],
    }
    yield line("ai_request", call, step, 0.1, phase="start", action="api_request_sent", details=details, message="chat")
    text = _ANSWER.format(number)
    yield line("output", call, step, 0.3, action="content_recorded", content=text[: len(text) // 2])
    yield line("output", call, step, 0.4, action="content_recorded", content=text[len(text) // 2 :])
    answered = {"input_tokens": 1200, "output_tokens": 85, "cost_usd": 0.01, "model": "claude-opus-4-5"}
    answered["output"] = [{"type": "text", "content": text}]  # type: ignore[assignment]
    ended = {"phase": "end", "outcome": "completed", "duration_ms": 900.0}
    yield line("ai_response", call, step, 1.0, action="api_response_received", details=answered, message="chat", **ended)
    given = {"path": f"src/part_{number}.py", "pattern": "TODO"}
    yield line(
        "tool_call",
        tool,
        step,
        1.1,
        phase="start",
        action="tool_run_started",
        content="Grep",
        message="Grep",
        details={"arguments": given},
    )
    error = {"type": "OSError", "message": f"disk {number} is busy", "category": "EXECUTION", "error_id": f"e{number:07}"}
    error["suggestions"] = ["Wait, then read it again."]  # type: ignore[assignment]
    bad: dict[str, Any] = {"outcome": "failed", "level": "ERROR", "exception": error} if failed else {}
    result = {**ended, "duration_ms": 400.0, "details": {"result": f"line {number}\n" * 4}, **bad}
    yield line(
        "tool_result",
        tool,
        step,
        1.5,
        action=f"tool_run_{'failed' if failed else 'completed'}",
        content="Grep",
        message="Grep",
        **result,
    )
    yield line("log", step, parent, 1.6, message=f"turn {number} is done", logger="agent.core")
    action = f"step_execution_{'failed' if failed else 'completed'}"
    yield line("step", step, parent, 1.7, action=action, message=f"turn {number}", **{**ended, "duration_ms": 1700.0, **bad})


def write_long(folder: Path, turns: int, *, status: str = "completed", name: str = "Long") -> None:
    """Write a task of so many turns; one that fails does so with the error of its last failed tool run."""
    folder.mkdir(parents=True)
    metadata: dict[str, Any] = {"task_id": folder.name, "name": name, "status": status, "assigned_agent": "worker"}
    metadata |= {"created_at": stamp(0), "started_at": stamp(0), "trace_id": "a" * 32}
    (folder / "metadata.json").write_bytes(orjson.dumps(metadata))
    begun = {"timestamp": stamp(0), "type": "task", "phase": "start", "span_id": "1" * 16, "event_id": "a", "level": "INFO"}
    (folder / "01-input.json").write_bytes(orjson.dumps({"task_id": folder.name, "input": {"message": "do it " * 150}}))
    grow(folder, [{**begun, "action": "task_started", "message": name, "trace_id": "a" * 32}])
    grow(folder, [line for number in range(turns) for line in turn(number)])
    if status in ("running", "paused"):
        return
    last = turns // FAILS_EVERY * FAILS_EVERY - 1
    error = next((line["exception"] for line in turn(last) if "exception" in line), None) if status == "failed" else None
    end = {**begun, "timestamp": stamp(turns * 2), "event_id": "z", "phase": "end", "outcome": status, "duration_ms": turns * 2e3}
    grow(folder, [{**end, "action": f"task_{status}", "message": name, **({"exception": error} if error else {})}])
    final = {"task_id": folder.name, "success": status == "completed", "outcome": status, "error": error, "result": "done"}
    final["metrics"] = {
        "duration_seconds": turns * 2.0,
        "steps": turns,
        "ai_calls": turns,
        "tool_runs": turns,
        "errors": turns // FAILS_EVERY,
    }
    (folder / "04-final-result.json").write_bytes(orjson.dumps({**final, "completed_at": stamp(turns * 2)}))


def grow(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Append lines, all at once."""
    with (folder / "03-agent-output.jsonl").open("ab", buffering=0) as file:
        file.write(b"".join(orjson.dumps(line) + b"\n" for line in lines))

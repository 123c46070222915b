"""A program that uses everything once; run by the tests in a process of its own.

Usage: workload.py ROOT [worker]
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from typing import Any

from opentelemetry import trace

import otel_agentlog as agentlog

ANTHROPIC = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "I will look."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 5},
}

MESSAGES = [{"role": "user", "content": "Please review. " * 200}]


def gateway(root: str) -> None:
    with agentlog.webhook("github", "issue_comment.created", payload={"comment": {"body": "/review"}}) as hook:
        hook.stage("validation", status="passed")
        hook.stage("command_matching", command="review", matched=True)
        hook.stage("immediate_response", reaction="eyes")
        hook.create_task("Review PR 42", input={"message": "please"}, agent="brain", tags=["demo"], session_id="s-1")
        carrier = hook.push("tasks")
    print(json.dumps(carrier), flush=True)
    subprocess.run([sys.executable, __file__, root, "worker"], env={**os.environ, "CARRIER": json.dumps(carrier)}, check=True)


def worker() -> None:
    from otel_agentlog.record.logs.logger import get_logger

    log = get_logger("workload", "agent")
    with agentlog.task(resume=json.loads(os.environ["CARRIER"])) as task:
        with (
            agentlog.step("plan", plan=True),
            agentlog.ai_call("claude-sonnet-4-5", provider="anthropic", max_tokens=100, messages=MESSAGES) as call,
        ):
            call.record(ANTHROPIC)
        try:
            with agentlog.ai_call("claude-sonnet-4-5", provider="anthropic", messages=MESSAGES):
                raise TimeoutError("no answer")
        except TimeoutError:
            log.warning("asked in vain")
        task.thinking("The diff touches …")
        log.info("files read", files=3, ratio=0.5, nested={"a": [1, 2.5, None, "x"]})
        logging.getLogger("workload.std").warning("careful with %s", "this")
        with agentlog.tool("Read", arguments={"path": "a.py"}, call_id="c1") as run:
            run.attempt_failed(OSError("busy"), wait_seconds=0.01, maximum=3)
            run.result = "text"
        try:
            with agentlog.step("fails", attributes={"user.key": "v", "numbers": [1, 2], "flag": True}):
                raise ValueError("boom ☃")
        except ValueError:
            log.exception("handled")
        with agentlog.handle_errors(recovery_strategy=lambda error: 1 // 0, fallback=[], component="worktree"):
            with agentlog.step("fails with a context"):
                raise agentlog.WorktreeError("cannot remove", context={"branch": "main", "n": 2, "deep": {"a": [1]}})
        with agentlog.task("sub job", workflow="summary"):
            trace.get_current_span().set_attribute("vendor.key", 1.5)
            trace.get_current_span().add_event("vendor event", {"n": 1, "names": ["a", "b"]})
        asyncio.run(concurrent())
        task.output("Looks good.\n")
        task.result = {"verdict": "ok"}


async def concurrent() -> None:
    async def one(number: int) -> None:
        async with agentlog.step(f"part {number}"):
            with agentlog.tool("Count", arguments={"n": number}) as run:
                await asyncio.sleep(0.001)
                run.result = number

    async with agentlog.step("all parts"):
        await asyncio.gather(*(one(number) for number in range(10)))


def main(argv: list[str]) -> None:
    settings: dict[str, Any] = {"directory": argv[1], "log_directory": argv[1] + "-logs", "console": "off"}
    agentlog.configure(service_name="workload", **settings)
    if argv[2:] == ["worker"]:
        worker()
    else:
        gateway(argv[1])


if __name__ == "__main__":
    main(sys.argv)

"""The events of a runner that carries out a plan: from blocks, which record their starts and ends, and told one by one.

Run it with ``TASK_LOGS_DIR=/tmp/tasks python examples/runner_events.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import otel_agentlog as agentlog

settings = agentlog.configure(service_name="runner-events")

with agentlog.task("Carry out the plan", task_id="plan-1", agent="runner"):
    # Blocks tell by themselves that they start, and how they end.
    with agentlog.step("ask"), agentlog.ai_call("brain-large", provider="acme") as call:
        for attempt in agentlog.retrying(first_wait_s=0.01):
            with attempt:
                if attempt.number < 3:
                    raise ConnectionError("the model does not answer")
                call.usage(input_tokens=120, output_tokens=30, finish_reasons=["end_turn"])

    # A runner that has no blocks, or sees things from outside, tells them.
    agentlog.events.log_runner_event("step_execution_started", "write the report", {"step": 2})
    Path("report.md").write_text("# Report\n")
    agentlog.events.log_runner_event("file_written", "report.md", {"path": "report.md", "size_bytes": 9})
    try:
        Path("missing.md").read_text()
    except FileNotFoundError as error:
        agentlog.events.log_runner_event("file_read_failed", "missing.md", {"path": "missing.md"}, error=error)
    agentlog.events.log_runner_event("command_execution_started", "make test", {"argv": ["make", "test"]})
    agentlog.events.log_runner_event("command_execution_completed", "make test", {"argv": ["make", "test"], "exit_code": 2})
    agentlog.events.log_runner_event("api_request_sent", "GitHub", {"method": "POST"})
    agentlog.events.log_runner_event("api_response_received", "GitHub", {"status_code": 201})
    agentlog.events.log_runner_event("api_response_failed", "GitHub", {"status_code": 502})
    agentlog.events.log_runner_event("step_execution_failed", "write the report", {"step": 2})

    # What the user asks for.
    agentlog.events.log_runner_event("execution_pause_requested", "by ann")
    agentlog.events.log_runner_event("context_added_by_user", "The tests need Python 3.12.")
    agentlog.events.log_runner_event("execution_resume_requested", "by ann")
    agentlog.events.log_runner_event("step_execution_succeeded", "write the report again", {"step": 3})
    agentlog.events.log_runner_event("execution_cancel_requested", "by ann")

agentlog.shutdown()

for text in (settings.directory / "plan-1" / "03-agent-output.jsonl").read_text().splitlines():
    line = json.loads(text)
    if line["type"] != "process":
        print(f"{line['level']:8}{line['component']:21}{line['action']:29}{line['message']}")
print("retries:", json.loads((settings.directory / "plan-1" / "04-final-result.json").read_bytes())["metrics"]["retries"])

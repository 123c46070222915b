"""Observability for agent code: recorded once, kept in a folder per task and sent by OpenTelemetry.

import otel_agentlog as agentlog

agentlog.configure(service_name="reviewer")

with agentlog.task("Review PR 42", input={"message": "…"}, agent="brain") as task:
    with agentlog.step("plan"):
        with agentlog.ai_call("claude-opus-4-5", provider="anthropic") as call:
            call.record(client.messages.create(...))
    with agentlog.tool("Read", arguments={"path": "a.py"}) as run:
        run.result = open("a.py").read()
    task.result = "Looks good."
"""

from otel_agentlog._version import __version__
from otel_agentlog.errors import AgentlogError, ConfigurationError, LayoutError, StateError, TaskNotFoundError
from otel_agentlog.model import Component, Outcome, State
from otel_agentlog.record import (
    AiCall,
    Operation,
    Step,
    Task,
    ToolRun,
    Webhook,
    ai_call,
    bind,
    current_operation,
    current_task,
    step,
    task,
    tool,
    webhook,
)
from otel_agentlog.settings import Settings
from otel_agentlog.wiring import Receipt, configure, flush, shutdown

__all__ = [
    "AgentlogError",
    "AiCall",
    "Component",
    "ConfigurationError",
    "LayoutError",
    "Operation",
    "Outcome",
    "Receipt",
    "Settings",
    "State",
    "StateError",
    "Step",
    "Task",
    "TaskNotFoundError",
    "ToolRun",
    "Webhook",
    "__version__",
    "ai_call",
    "bind",
    "configure",
    "current_operation",
    "current_task",
    "flush",
    "shutdown",
    "step",
    "task",
    "tool",
    "webhook",
]

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

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentlog._startup import lazy_names
from otel_agentlog.settings.version import __version__ as __version__

if TYPE_CHECKING:
    from otel_agentlog import errors as errors
    from otel_agentlog import events as events
    from otel_agentlog.error_handling.categories import categorize as categorize
    from otel_agentlog.error_handling.handling import handle_errors as handle_errors
    from otel_agentlog.error_handling.retries import retrying as retrying
    from otel_agentlog.error_handling.user_messages import format_error_for_user as format_error_for_user
    from otel_agentlog.error_handling.user_messages import log_and_format_error as log_and_format_error
    from otel_agentlog.errors import AgentlogError as AgentlogError
    from otel_agentlog.errors import ConfigurationError as ConfigurationError
    from otel_agentlog.errors import StateError as StateError
    from otel_agentlog.errors import TaskCancelled as TaskCancelled
    from otel_agentlog.record.api import ai_call as ai_call
    from otel_agentlog.record.api import current_operation as current_operation
    from otel_agentlog.record.api import current_task as current_task
    from otel_agentlog.record.api import step as step
    from otel_agentlog.record.api import task as task
    from otel_agentlog.record.api import tool as tool
    from otel_agentlog.record.api import webhook as webhook
    from otel_agentlog.record.carrier import environ as environ
    from otel_agentlog.record.exceptions.error_id import error_id as error_id
    from otel_agentlog.record.logs.logger import get_logger as get_logger
    from otel_agentlog.record.logs.stdlib_bridge import AgentlogHandler as AgentlogHandler
    from otel_agentlog.record.logs.structlog_bridge import add_ids as add_ids
    from otel_agentlog.record.logs.structlog_bridge import record_event as record_event
    from otel_agentlog.record.logs.structlog_bridge import seed_json as seed_json
    from otel_agentlog.record.operations.ai_call import AiCall as AiCall
    from otel_agentlog.record.operations.checkpoints import checkpoint as checkpoint
    from otel_agentlog.record.operations.context import bind as bind
    from otel_agentlog.record.operations.operation import Operation as Operation
    from otel_agentlog.record.operations.step import Step as Step
    from otel_agentlog.record.operations.task import Task as Task
    from otel_agentlog.record.operations.tool_run import ToolRun as ToolRun
    from otel_agentlog.record.operations.webhook import Webhook as Webhook
    from otel_agentlog.settings.fields import Settings as Settings
    from otel_agentlog.tools import ToolExecutionService as ToolExecutionService
    from otel_agentlog.tools import ToolResult as ToolResult
    from otel_agentlog.tools import command as command
    from otel_agentlog.tools import file_operation as file_operation
    from otel_agentlog.vocabulary.states import Component as Component
    from otel_agentlog.vocabulary.states import Outcome as Outcome
    from otel_agentlog.vocabulary.states import State as State
    from otel_agentlog.wiring import Receipt as Receipt
    from otel_agentlog.wiring import configure as configure
    from otel_agentlog.wiring import flush as flush
    from otel_agentlog.wiring import shutdown as shutdown
    from otel_agentlog.wiring import span_processor as span_processor
    from otel_agentlog.wiring.alerting import Alert as Alert
    from otel_agentlog.wiring.alerting import active_alerts as active_alerts
    from otel_agentlog.wiring.alerting import register_alert_callback as register_alert_callback
    from otel_agentlog.wiring.alerting import set_alert_threshold as set_alert_threshold
    from otel_agentlog.wiring.instrument import instrument as instrument

_HOMES = {
    "error_handling.categories": "categorize",
    "error_handling.handling": "handle_errors",
    "error_handling.retries": "retrying",
    "error_handling.user_messages": "format_error_for_user log_and_format_error",
    "errors": "AgentlogError ConfigurationError StateError TaskCancelled",
    "record.api": "ai_call current_operation current_task step task tool webhook",
    "record.exceptions.error_id": "error_id",
    "record.logs.logger": "get_logger",
    "record.logs.stdlib_bridge": "AgentlogHandler",
    "record.logs.structlog_bridge": "add_ids record_event seed_json",
    "record.operations.ai_call": "AiCall",
    "record.operations.checkpoints": "checkpoint",
    "record.operations.context": "bind",
    "record.operations.operation": "Operation",
    "record.operations.step": "Step",
    "record.carrier": "environ",
    "record.operations.task": "Task",
    "record.operations.tool_run": "ToolRun",
    "record.operations.webhook": "Webhook",
    "settings.fields": "Settings",
    "tools": "ToolExecutionService ToolResult command file_operation",
    "vocabulary.states": "Component Outcome State",
    "wiring": "Receipt configure flush shutdown span_processor",
    "wiring.alerting": "Alert active_alerts register_alert_callback set_alert_threshold",
    "wiring.instrument": "instrument",
}

# These moved to `events`, `errors` and `error_handling`; their old place works for one release.
_MOVED = {
    "error_handling.categories": "ErrorDetails error_details register_category",
    "error_handling.category": "ErrorCategory",
    "error_handling.performance": "log_performance",
    "errors": ("DatabaseError InstanceError IntegrationError LayoutError TaskError TaskNotFoundError TmuxError WorktreeError"),
    "events": (
        "log_authentication log_database_operation log_event log_file_event log_github_call log_instance_lifecycle "
        "log_jira_call log_rate_limit log_resource_usage log_runner_event log_service_status log_task_assignment "
        "log_tmux_session log_web_request log_web_response log_webhook_processing log_websocket_event "
        "log_worktree_operation"
    ),
    "record.logs.logger": "AgentLogger",
}

__all__, __getattr__ = lazy_names(__name__, _HOMES, also=_MOVED, modules=("errors", "events"))
__all__.insert(__all__.index("active_alerts"), "__version__")


def _opentelemetry_is_set_up() -> None:
    """What ``opentelemetry-instrument`` calls when its providers are set, in each program, whether that asks for us or not."""
    import sys

    from otel_agentlog.settings.variables import is_set_to

    # Our exporters wait for this, if it makes one.
    if "otel_agentlog.wiring.zero_code.exporters" in sys.modules or is_set_to("OTEL_PYTHON_CONFIGURATOR", "agentlog"):
        from otel_agentlog.wiring.zero_code.start import begin

        begin()

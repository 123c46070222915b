"""What happened: tasks, steps, AI calls, tool runs, webhooks and log lines, cleaned once and handed to the sinks."""

from otel_agentlog.record.adopted import adopt
from otel_agentlog.record.ai import AiCall
from otel_agentlog.record.attempts import attempt_failed, attempt_succeeded
from otel_agentlog.record.binding import Binding, bind
from otel_agentlog.record.carrier import environ
from otel_agentlog.record.checkpoints import checkpoint, rest, rest_async, resting
from otel_agentlog.record.console import console_sink
from otel_agentlog.record.control import Control, control_here
from otel_agentlog.record.error_ids import assign_error_id, error_id, new_error_id
from otel_agentlog.record.error_texts import message_of, told, was_raised
from otel_agentlog.record.events import log_event
from otel_agentlog.record.exits import at_exit_of_children, interrupt_open
from otel_agentlog.record.front import ai_call, current_operation, current_task, step, task, tool, webhook
from otel_agentlog.record.lifecycle import (
    log_instance_lifecycle,
    log_resource_usage,
    log_service_status,
    log_task_assignment,
    log_tmux_session,
    log_worktree_operation,
)
from otel_agentlog.record.lifecycle_runner import RunnerEvent, log_runner_event
from otel_agentlog.record.lifecycle_services import (
    log_authentication,
    log_database_operation,
    log_file_event,
    log_github_call,
    log_jira_call,
    log_rate_limit,
    log_web_request,
    log_web_response,
    log_webhook_processing,
    log_websocket_event,
)
from otel_agentlog.record.logs import AgentLogger, get_logger
from otel_agentlog.record.logs_install import install_stdlib, uninstall_stdlib
from otel_agentlog.record.logs_levels import configure_logs
from otel_agentlog.record.logs_structlog import add_ids, record_event, seed_json
from otel_agentlog.record.measuring import Measuring
from otel_agentlog.record.operation import Operation
from otel_agentlog.record.pricing import PriceTable
from otel_agentlog.record.recorder import Recorder, recorder, use
from otel_agentlog.record.redaction import Redactor
from otel_agentlog.record.redaction_stream import StreamGuard
from otel_agentlog.record.signals import join_signals, leave_signals
from otel_agentlog.record.stdlib import AgentlogHandler
from otel_agentlog.record.steps import Step
from otel_agentlog.record.tasks import Task
from otel_agentlog.record.threads import propagate, unpropagate
from otel_agentlog.record.tools import ToolRun
from otel_agentlog.record.values import Cleaner
from otel_agentlog.record.webhooks import Webhook

__all__ = [
    "AgentLogger",
    "AgentlogHandler",
    "AiCall",
    "Binding",
    "Cleaner",
    "Control",
    "Measuring",
    "Operation",
    "PriceTable",
    "Recorder",
    "Redactor",
    "RunnerEvent",
    "Step",
    "StreamGuard",
    "Task",
    "ToolRun",
    "Webhook",
    "add_ids",
    "adopt",
    "ai_call",
    "assign_error_id",
    "at_exit_of_children",
    "attempt_failed",
    "attempt_succeeded",
    "bind",
    "checkpoint",
    "configure_logs",
    "console_sink",
    "control_here",
    "current_operation",
    "current_task",
    "environ",
    "error_id",
    "get_logger",
    "install_stdlib",
    "interrupt_open",
    "join_signals",
    "leave_signals",
    "log_authentication",
    "log_database_operation",
    "log_event",
    "log_file_event",
    "log_github_call",
    "log_instance_lifecycle",
    "log_jira_call",
    "log_rate_limit",
    "log_resource_usage",
    "log_runner_event",
    "log_service_status",
    "log_task_assignment",
    "log_tmux_session",
    "log_web_request",
    "log_web_response",
    "log_webhook_processing",
    "log_websocket_event",
    "log_worktree_operation",
    "message_of",
    "new_error_id",
    "propagate",
    "record_event",
    "recorder",
    "rest",
    "rest_async",
    "resting",
    "seed_json",
    "step",
    "task",
    "told",
    "tool",
    "uninstall_stdlib",
    "unpropagate",
    "use",
    "was_raised",
    "webhook",
]

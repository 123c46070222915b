"""What happened: tasks, steps, AI calls, tool runs, webhooks and log lines, cleaned once and handed to the sinks."""

from otel_agentlog.record.ai import AiCall
from otel_agentlog.record.binding import Binding, bind
from otel_agentlog.record.front import ai_call, current_operation, current_task, step, task, tool, webhook
from otel_agentlog.record.operation import Operation
from otel_agentlog.record.pricing import PriceTable
from otel_agentlog.record.recorder import Recorder, recorder, use
from otel_agentlog.record.redaction import Redactor
from otel_agentlog.record.steps import Step
from otel_agentlog.record.tasks import Task
from otel_agentlog.record.tools import ToolRun
from otel_agentlog.record.values import Cleaner
from otel_agentlog.record.webhooks import Webhook

__all__ = [
    "AiCall",
    "Binding",
    "Cleaner",
    "Operation",
    "PriceTable",
    "Recorder",
    "Redactor",
    "Step",
    "Task",
    "ToolRun",
    "Webhook",
    "ai_call",
    "bind",
    "current_operation",
    "current_task",
    "recorder",
    "step",
    "task",
    "tool",
    "use",
    "webhook",
]

"""An orchestrator's logging: structured lines with a category, instance and task ids, recovery of errors, a log file by name.

from otel_agentlog.compat.orchestrator import LogContext, LogLevel, get_logger, setup_logging

setup_logging(log_level=LogLevel.INFO, log_file=Path("logs/orchestrator.log"), enable_structured=True, enable_console=True)
logger = get_logger(__name__, LogContext.INSTANCE)
logger.set_instance_id("claude-001")
logger.info("Starting task execution", task_title="Implement feature X", priority="high")
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

import otel_agentlog as agentlog
from otel_agentlog.compat.env_file import read_env_file
from otel_agentlog.error_handling import log_performance as log_performance
from otel_agentlog.errors import ConfigurationError as ConfigurationError
from otel_agentlog.errors import DatabaseError as DatabaseError
from otel_agentlog.errors import InstanceError as InstanceError
from otel_agentlog.errors import IntegrationError as IntegrationError
from otel_agentlog.errors import TaskError as TaskError
from otel_agentlog.errors import TmuxError as TmuxError
from otel_agentlog.errors import WorktreeError as WorktreeError
from otel_agentlog.events import log_instance_lifecycle as log_instance_lifecycle
from otel_agentlog.events import log_resource_usage as log_resource_usage
from otel_agentlog.events import log_task_assignment as log_task_assignment
from otel_agentlog.record.logs.logger import AgentLogger
from otel_agentlog.settings.fields import Settings
from otel_agentlog.vocabulary.states import Component as LogContext
from otel_agentlog.vocabulary.states import LogLevel

__all__ = [
    "ConfigurationError",
    "DatabaseError",
    "InstanceError",
    "IntegrationError",
    "LogContext",
    "LogLevel",
    "TaskError",
    "TmuxError",
    "WorktreeError",
    "get_logger",
    "handle_errors",
    "log_instance_lifecycle",
    "log_performance",
    "log_resource_usage",
    "log_task_assignment",
    "setup_logging",
]

Function = TypeVar("Function", bound=Callable[..., Any])

KEEP_ALL = 1_000_000_000
"""Number of rotated log files where none is to be deleted."""


def setup_logging(
    log_level: LogLevel | str | int | None = None,
    log_file: str | os.PathLike[str] | None = None,
    enable_structured: bool = True,
    enable_console: bool = True,
    **settings: Any,
) -> Settings:
    """Set up logging for this process: a log file that nothing is deleted of, and the console on stdout. May be called again.

    Args:
        log_level: default: the variable ``LOG_LEVEL``, else INFO.
        log_file: every log line goes there; its folder is made. Without one there is the application log (``log_directory``).
        enable_structured: JSON in file and console, the names given to a call at its top; false: text.
        enable_console: whether lines are shown on stdout, too.
        settings: further settings, as `otel_agentlog.configure` takes them; they win.

    Returns:
        The settings in force.

    Raises:
        ConfigurationError: a value that cannot be used.
    """
    form = "flat" if enable_structured else "text"
    chosen: dict[str, Any] = {
        "log_level": log_level,
        "console": form if enable_console else "off",
        "console_stream": "stdout",
    }
    if log_file is not None:
        chosen |= {"log_file": log_file, "log_format": form, "log_backups": KEEP_ALL, "log_compress": False}
    return set_up({**chosen, **settings})


def set_up(settings: dict[str, Any]) -> Settings:
    """`otel_agentlog.configure`, after ``.env``. The root logger gets the level, so that handlers of your own get what is
    recorded; stdlib shows no warnings on stderr any more."""
    read_env_file()
    found = agentlog.configure(**settings)
    root = logging.getLogger()
    root.setLevel(found.log_level)
    if not root.handlers:
        # As after a set-up with handlers: no `logging.lastResort` where the console is off, and `basicConfig` changes nothing.
        root.addHandler(logging.NullHandler())
    return found


def get_logger(name: str | None = None, context: LogContext | Enum | str | None = None) -> AgentLogger:
    """A logger with a category; ``name`` is the calling module's by default. ``error(…, exception=error)`` logs an exception."""
    if name is None:
        name = str(sys._getframe(1).f_globals.get("__name__", "root"))
    return agentlog.get_logger(name, context)  # type: ignore[arg-type]  # an enum of one's own counts by its value


def handle_errors(
    recovery_strategy: Callable[..., Any] | None = None,
    log_context: LogContext | Enum | str | None = None,
    reraise: bool | None = None,
    **plan: Any,
) -> Callable[[Function], Function]:
    """`otel_agentlog.handle_errors` for functions: ``recovery_strategy(error, *args, **kwargs)`` gives the result instead."""
    component: Any = plan.pop("component", log_context)
    handler: Callable[[Function], Function] = agentlog.handle_errors(
        recovery_strategy=recovery_strategy, reraise=reraise, component=component, **plan
    )
    return handler

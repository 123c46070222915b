"""Running things, recorded: scripts of a registry, commands, file operations; and controlling tasks that run elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentlog.doors import load_when_used

if TYPE_CHECKING:
    from otel_agentlog.run.commands import CommandCancelledError, CommandError, CommandResult, CommandTimeoutError, command
    from otel_agentlog.run.control import Stoppable, add_context, cancel, effect_of, pause, resume, stoppable
    from otel_agentlog.run.files import FileOperation, file_operation
    from otel_agentlog.run.outcome import ToolResult
    from otel_agentlog.run.outcome_causes import ToolError
    from otel_agentlog.run.process_end import ResourceUsage
    from otel_agentlog.run.recost import has_price_table, todays_prices
    from otel_agentlog.run.registry import Registry, RegistryError, Script, load_registry
    from otel_agentlog.run.service import ToolExecutionService

__all__ = [
    "CommandCancelledError",
    "CommandError",
    "CommandResult",
    "CommandTimeoutError",
    "FileOperation",
    "Registry",
    "RegistryError",
    "ResourceUsage",
    "Script",
    "Stoppable",
    "ToolError",
    "ToolExecutionService",
    "ToolResult",
    "add_context",
    "cancel",
    "command",
    "effect_of",
    "file_operation",
    "has_price_table",
    "load_registry",
    "pause",
    "resume",
    "stoppable",
    "todays_prices",
]

load_when_used(
    __name__,
    {
        "commands": ("CommandCancelledError", "CommandError", "CommandResult", "CommandTimeoutError", "command"),
        "files": ("FileOperation", "file_operation"),
        "control": (
            "Stoppable",
            "add_context",
            "cancel",
            "effect_of",
            "pause",
            "resume",
            "stoppable",
        ),
        "outcome": ("ToolResult",),
        "outcome_causes": ("ToolError",),
        "process_end": ("ResourceUsage",),
        "recost": ("has_price_table", "todays_prices"),
        "registry": (
            "Registry",
            "RegistryError",
            "Script",
            "load_registry",
        ),
        "service": ("ToolExecutionService",),
    },
)

"""Running things, recorded: scripts of a registry, commands, file operations."""

from otel_agentlog.run.outcome import ToolResult
from otel_agentlog.run.outcome_causes import ToolError
from otel_agentlog.run.process_end import ResourceUsage
from otel_agentlog.run.registry import Registry, RegistryError, Script, load_registry
from otel_agentlog.run.service import ToolExecutionService
from otel_agentlog.run.service_running import terminate_tools

__all__ = [
    "Registry",
    "RegistryError",
    "ResourceUsage",
    "Script",
    "ToolError",
    "ToolExecutionService",
    "ToolResult",
    "load_registry",
    "terminate_tools",
]

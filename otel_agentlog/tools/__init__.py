"""Runs that are recorded: scripts of a registry, commands, file operations; and controlling tasks that run elsewhere.

scripts/      the scripts of a registry: checked, run with retries, counted
commands.py   one command, run and recorded
files.py      operations on files, recorded
control.py    pause, resume, cancel and inform a task of another process; tools that end with a cancel
notes.py      notes on tasks and scores of them, of another process too
causes.py     why a script or command failed: category, suggestions, whether trying again can help; `ToolError`
imports/      runs that others wrote, as task folders
collect/      what programs send by OTLP, as task folders
datasets/     examples for training and evaluation, made of task folders
replay/       a program once more, with the answers that a task has on record
process/      one process tree: supervisor, limits, sandbox, output, masking of secrets
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentlog._startup import lazy_names

if TYPE_CHECKING:
    from otel_agentlog.tools.causes import ToolError as ToolError
    from otel_agentlog.tools.commands import CommandCancelledError as CommandCancelledError
    from otel_agentlog.tools.commands import CommandError as CommandError
    from otel_agentlog.tools.commands import CommandResult as CommandResult
    from otel_agentlog.tools.commands import CommandTimeoutError as CommandTimeoutError
    from otel_agentlog.tools.commands import command as command
    from otel_agentlog.tools.control import Stoppable as Stoppable
    from otel_agentlog.tools.control import add_context as add_context
    from otel_agentlog.tools.control import cancel as cancel
    from otel_agentlog.tools.control import effect_of as effect_of
    from otel_agentlog.tools.control import pause as pause
    from otel_agentlog.tools.control import resume as resume
    from otel_agentlog.tools.control import stoppable as stoppable
    from otel_agentlog.tools.files import FileOperation as FileOperation
    from otel_agentlog.tools.files import file_operation as file_operation
    from otel_agentlog.tools.notes import Noted as Noted
    from otel_agentlog.tools.notes import add_note as add_note
    from otel_agentlog.tools.process.result import ResourceUsage as ResourceUsage
    from otel_agentlog.tools.scripts.execute import ToolResult as ToolResult
    from otel_agentlog.tools.scripts.registry import Registry as Registry
    from otel_agentlog.tools.scripts.registry import RegistryError as RegistryError
    from otel_agentlog.tools.scripts.registry import Script as Script
    from otel_agentlog.tools.scripts.registry import load_registry as load_registry
    from otel_agentlog.tools.scripts.service import ToolExecutionService as ToolExecutionService

_HOMES = {
    "commands": "CommandCancelledError CommandError CommandResult CommandTimeoutError command",
    "control": "Stoppable add_context cancel effect_of pause resume stoppable",
    "files": "FileOperation file_operation",
    "notes": "Noted add_note",
    "process.result": "ResourceUsage",
    "causes": "ToolError",
    "scripts.execute": "ToolResult",
    "scripts.registry": "Registry RegistryError Script load_registry",
    "scripts.service": "ToolExecutionService",
}
__all__, __getattr__ = lazy_names(__name__, _HOMES)

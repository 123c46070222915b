"""A runner's logging: messages with step, states and duration, components, levels, and logging configured by a YAML file.

from otel_agentlog.compat.runner import ComponentType, LogLevel, LogMessage, log_message, setup_logging

setup_logging("logging_config.yaml")
log_message(LogMessage(
    level=LogLevel.INFO, component=ComponentType.EXECUTION_ENGINE, action="step_execution_started",
    message="Starting execution of step 'generate_initial_code'.", step_id="generate_initial_code_step_001",
    state_before="Pending", state_after="Running",
))
"""

from __future__ import annotations

import logging
import logging.config
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.events import log_event
from otel_agentlog.record.events import details_of
from otel_agentlog.record.logs.levels import number_of, word_of
from otel_agentlog.record.logs.line import component_of
from otel_agentlog.settings.fields import Settings, read_yaml
from otel_agentlog.vocabulary.lines import timestamp as timestamp_of
from otel_agentlog.vocabulary.states import Component as ComponentType
from otel_agentlog.vocabulary.states import LogLevel
from otel_agentlog.wiring import configure

__all__ = ["ComponentType", "LogLevel", "LogMessage", "log_message", "setup_logging"]


@dataclass
class LogMessage:
    """Something that happened in a runner; `log_message` records it, and so does ``logger.info(…, extra=message.to_dict())``."""

    level: LogLevel | str | int
    component: ComponentType | str
    action: str
    """What happened, a word such as ``step_execution_started``."""
    message: str
    """One line for people."""
    step_id: str | None = None
    event_id: str | None = None
    """An id of one's own for this event: ``caller_event_id`` of its line."""
    state_before: str | None = None
    state_after: str | None = None
    duration_ms: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    timestamp: str = field(default_factory=lambda: timestamp_of(time.time_ns()), kw_only=True)
    """When it was made, RFC 3339; the line has the time at which it is recorded."""

    def to_dict(self) -> dict[str, Any]:
        """What ``extra=`` of a stdlib logger takes: what is given, without the message, which stdlib does not allow there."""
        fields = ("step_id", "event_id", "state_before", "state_after", "duration_ms")
        given = {name: getattr(self, name) for name in fields if getattr(self, name) is not None}
        return {"component": component_of(self.component), "action": self.action, **given, "details": details_of(self.details)}


def log_message(message: LogMessage) -> None:
    """Record a message, in the current task or else in the application log; never raises. Levels count as for log lines."""
    log_event(
        message.component,
        message.action,
        message.message,
        level=message.level,
        details=message.details,
        step_id=message.step_id,
        event_id=message.event_id,
        state_before=message.state_before,
        state_after=message.state_after,
        duration_ms=message.duration_ms,
    )


def setup_logging(config: str | os.PathLike[str] | Mapping[str, Any] = "logging_config.yaml", **settings: Any) -> Settings:
    """Set up stdlib logging as a YAML file says (``logging.config.dictConfig``), and recording beside it.

    Handlers, formatters, levels, rotation and files are those of the file. The root logger's level is ``log_level``; with a
    handler for the console ours is off. Loggers that do not propagate are recorded, too. ``levels`` at the top of the file are
    levels by component (``AI_SERVICE: DEBUG``). Loggers that are there already stay on, unless the file says otherwise.

    Args:
        config: the file, or what it has.
        settings: further settings, as `otel_agentlog.configure` takes them; they win.

    Returns:
        The settings in force.

    Raises:
        ConfigurationError: the file cannot be read or used, or PyYAML is not installed.
    """
    found = dict(config) if isinstance(config, Mapping) else dict(read_yaml(Path(config), "config"))
    levels = found.pop("levels", None)
    chosen: dict[str, Any] = {"levels": levels, "log_level": _level_of_root(found)}
    if any(map(_is_for_console, _mappings(found.get("handlers")))):
        chosen["console"] = "off"
    try:
        # Loggers that are there already, ours among them, are switched off only where the file says so.
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **found})
    except Exception as error:
        # Broad: it imports and makes what the file names.
        raise_interrupt()
        reason = f"{error}: {error.__cause__}" if error.__cause__ is not None else str(error)
        raise ConfigurationError("config", _named(config), f"a configuration that logging takes ({reason})") from error
    finally:
        logging.getLogger("otel_agentlog").disabled = False
    return configure(**{**{key: value for key, value in chosen.items() if value is not None}, **settings})


def _named(config: object) -> str:
    return "a mapping" if isinstance(config, Mapping) else str(config)


def _mappings(given: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(given, Mapping):
        yield from (each for each in given.values() if isinstance(each, Mapping))


def _level_of_root(found: Mapping[str, Any]) -> str | None:
    root = found.get("root")
    level = root.get("level") if isinstance(root, Mapping) else None
    return None if level is None else word_of(number_of(level))


_CONSOLES = ("StreamHandler", "RichHandler")


def _is_for_console(handler: Mapping[str, Any]) -> bool:
    return str(handler.get("class", "")).endswith(_CONSOLES)

"""Which log lines are recorded: one level per component or logger, changeable while loggers are in use.

A logger does not compute its level for each line: it holds a `Gate`, and `configure_logs` moves all gates there are. So a line
that is not recorded costs one comparison, and a logger made before `configure_logs` follows it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from otel_agentlog._interrupts import WeakValues
from otel_agentlog._startup import dataclass
from otel_agentlog.record.sanitize.keys import plain_text

NUMBERS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
"""The words of a line's ``level``, and stdlib's numbers for them."""

WORDS = {number: word for word, number in NUMBERS.items()}
"""The other way round."""

_ALIASES = {"WARN": "WARNING", "FATAL": "CRITICAL", "EXCEPTION": "ERROR", "MSG": "INFO", "NOTSET": "DEBUG"}

UNCONFIGURED = "WARNING"
"""Level until `configure_logs` is called: as quiet as stdlib ``logging``."""


@dataclass(frozen=True)
class LogSettings:
    """What `configure_logs` was given."""

    level: str = UNCONFIGURED
    """Level of everything that ``levels`` does not name."""
    levels: Mapping[str, str] = field(default_factory=dict)
    """Level by component, or by logger name with all names below it (``httpx`` covers ``httpx.client``), in any case."""

    def number_for(self, name: str, component: str | None) -> int:
        """Lowest level number recorded: the component's own, else that of the nearest logger name, else the general one."""
        # As people write them: AI_SERVICE and ai-service are ai_service.
        levels = {key.casefold(): level for key, level in self.levels.items()} | dict(self.levels)
        if component is not None:
            words = {key.replace("-", "_"): level for key, level in levels.items()} | levels
            for key in (component, component.casefold(), component.casefold().replace("-", "_")):
                if key in words:
                    return number_of(words[key])
        while name:
            for key in (name, name.casefold()):
                if key in levels:
                    return number_of(levels[key])
            name = name.rpartition(".")[0]
        return number_of(self.level)


class Gate:
    """The lowest level number that one kind of logger lets through."""

    __slots__ = ("__weakref__", "component", "level", "name")

    def __init__(self, name: str, component: str | None, level: int) -> None:
        self.name, self.component, self.level = name, component, level


_lock = threading.RLock()
_settings = LogSettings()
_default = _floor = NUMBERS[UNCONFIGURED]
_gates: WeakValues[Gate] = WeakValues()
"""By name and component of their loggers."""


def configure_logs(level: str = UNCONFIGURED, levels: Mapping[str, str] | None = None) -> LogSettings:
    """Set the levels of all loggers, also of those that exist. Returns what was set before.

    ``levels`` maps a component, or a logger name, to its level. May be called again at any time, from any thread.
    """
    return put_in_use(LogSettings(level, dict(levels or {})))


def put_in_use(settings: LogSettings) -> LogSettings:
    """Use these settings and return those before."""
    global _settings, _default, _floor
    with _lock:
        before, _settings, _default = _settings, settings, number_of(settings.level)
        _floor = min([_default, *map(number_of, settings.levels.values())])
        for gate in _gates:
            gate.level = settings.number_for(gate.name, gate.component)
        return before


def gate_for(name: str, component: str | None) -> Gate:
    """The gate shared by all loggers of this name and component."""
    with _lock:
        gate = _gates.get((name, component))
        if gate is None:
            gate = Gate(name, component, _settings.number_for(name, component))
            _gates.put((name, component), gate)
        return gate


def wanted(number: int, name: str, component: str | None = None) -> bool:
    """Whether a line of this level number is recorded, for events that come without a gate."""
    return number >= (_settings.number_for(name, component) if _settings.levels else _default)


def floor() -> int:
    """Below this level number nothing is recorded."""
    return _floor


def named(name: str) -> str:
    """The nearest logger, the name itself or one above it, that ``levels`` names; ``""`` if there is none."""
    while name and name not in _settings.levels:
        name = name.rpartition(".")[0]
    return name


def number_of(level: object) -> int:
    """The number of a level given as word, in any case, or as number, also in words; INFO where it is neither.

    A member of an enumeration is the level of its name, else of its value.
    """
    if issubclass(type(level), Enum):
        name = Enum.__getattribute__(level, "_name_")
        level = name if type(name) is str and _ALIASES.get(name.upper(), name.upper()) in NUMBERS else plain_text(level)
    if issubclass(type(level), int):
        return int.__add__(level, 0)  # type: ignore[operator]  # of subclasses too, without their own code
    word = plain_text(level).strip().upper()
    if word.isascii() and word.isdigit():
        return int(word[:9])
    return NUMBERS.get(_ALIASES.get(word, word), NUMBERS["INFO"])


def word_of(number: int) -> str:
    """The word for a level number; one between two words gets the lower one, so that NOTICE (25) is INFO."""
    if number >= 30:
        return "WARNING" if number < 40 else "ERROR" if number < 50 else "CRITICAL"
    return "INFO" if number >= 20 else "DEBUG"

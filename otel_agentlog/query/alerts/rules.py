"""What is watched for, and from when on it is too much: the rules of alerts and how users change them. Plain data.

The names and defaults are fixed; thresholds, windows and severities are settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError

SEVERITIES = ("info", "warning", "critical")
ACTIONS = ("warn", "stop")
EXECUTIONS = ("any", "task", "tool_run")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule, by name: a figure, its threshold and window."""

    name: str
    threshold: float
    """From above this value on it is an alert; the unit is the end of the name."""
    window_s: float
    """Length of the window, in seconds; 0 for budgets, which are about one task."""
    severity: str = "warning"
    at_least: int = 1
    """With fewer executions than this in the window no alert begins."""
    at_least_events: int = 1
    """With fewer of what is too much (failures, slow runs) no alert begins, so that one failure of nine is none; never more
    than ``at_least``."""
    ends_at: float | None = None
    """The value down to which an active alert goes on; default: 80 % of the threshold."""
    hold_s: float | None = None
    """For how many seconds the value must be no more than that before the alert ends; default: half the window."""
    of: str = "any"
    """Which executions count: ``task``, ``tool_run`` or ``any``."""
    action: str = "warn"
    """Of a budget: ``stop`` also cancels the task, by a control request."""
    enabled: bool = True

    @property
    def end_value(self) -> float:
        """``ends_at``, or its default; never above the threshold."""
        if self.ends_at is not None:
            return min(self.ends_at, self.threshold)
        return self.threshold if self.is_budget else ENDS_AT * self.threshold

    @property
    def hold_ns(self) -> int:
        """``hold_s``, or its default, in nanoseconds; 0 for a rule that was switched off."""
        seconds = self.window_s / 2 if self.hold_s is None else self.hold_s
        return int(seconds * 1e9) if self.enabled else 0

    @property
    def is_budget(self) -> bool:
        """Whether it is about one task instead of a window."""
        return self.name.startswith("task_")


RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(name="error_rate_percent", threshold=10.0, window_s=300, severity="critical", at_least=5, at_least_events=2),
        Rule(name="p95_duration_seconds", threshold=30.0, window_s=300, at_least=5, at_least_events=2, of="tool_run"),
        Rule(name="memory_peak_mb", threshold=1024.0, window_s=300),
        Rule(name="execution_rate_drop_percent", threshold=50.0, window_s=300, at_least=10),
        Rule(name="errors_per_minute", threshold=5.0, window_s=60, severity="critical"),
        Rule(name="repeated_timeouts", threshold=2.0, window_s=600),
        Rule(name="database_errors", threshold=0.0, window_s=300, severity="critical"),
        Rule(name="session_save_failures", threshold=0.0, window_s=300),
        Rule(name="cost_per_hour_usd", threshold=1.0, window_s=3600),
        Rule(name="task_tokens", threshold=float("inf"), window_s=0, enabled=False),
        Rule(name="task_cost_usd", threshold=float("inf"), window_s=0, enabled=False),
        Rule(name="task_steps", threshold=float("inf"), window_s=0, enabled=False),
    )
}
"""Every rule by name, with its defaults. Budgets are off until they are given."""

ENDS_AT = 0.8
"""An alert goes on while its value is above this share of the threshold."""

BASELINE_WINDOWS = 6
"""A drop of the execution rate is one against the rate of this many windows before."""

_CHECKS: Mapping[str, tuple[str, ...]] = {"severity": SEVERITIES, "action": ACTIONS, "of": EXECUTIONS}


def rules_from(given: Mapping[str, Any]) -> dict[str, Rule]:
    """The rules with what a user gave: name → threshold, ``False`` (off), or a mapping of `Rule`'s fields.

    Raises:
        ConfigurationError: a rule or field that does not exist, or a value that cannot be used.
    """
    rules = dict(RULES)
    for name, value in given.items():
        if name not in rules:
            raise ConfigurationError(f"alerts.{name}", value, f"a rule that exists ({', '.join(rules)})")
        rules[name] = changed(rules[name], value)
    return rules


def changed(rule: Rule, value: Any) -> Rule:
    """A rule with another threshold, switched off (``False``), or with some of its fields changed by a mapping."""
    where = f"alerts.{rule.name}"
    if value is False or value is None:
        return replace(rule, enabled=False)
    if not isinstance(value, Mapping):
        return replace(rule, threshold=_positive(where, value), enabled=True)
    known = {item.name for item in fields(Rule)} - {"name"}
    for field in value:
        if field not in known:
            raise ConfigurationError(f"{where}.{field}", value[field], f"one of {', '.join(sorted(known))}")
    return replace(rule, **{"enabled": True, **{field: _checked(f"{where}.{field}", field, value[field]) for field in value}})


def _checked(where: str, field: str, value: Any) -> Any:
    if field in _CHECKS:
        if value not in _CHECKS[field]:
            raise ConfigurationError(where, value, f"one of {', '.join(_CHECKS[field])}")
        return value
    if field == "enabled":
        if not isinstance(value, bool):
            raise ConfigurationError(where, value, "true or false")
        return value
    number = _positive(where, value)
    return int(number) if field.startswith("at_least") else number


def _positive(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigurationError(where, value, "a number, 0 or more")
    return float(value)

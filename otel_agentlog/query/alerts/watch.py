"""Alerts over sliding windows: observations in, alerts and recovery notices out. Plain data, no thread, no clock of its own.

An alert is returned once when its value passes the threshold and once more, as ``resolved``, when it no longer does; in between
it is in `Watch.active`. The same rule about another tool or task is another alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from otel_agentlog.query.alerts.observations import Observation
from otel_agentlog.query.alerts.rules import BASELINE_WINDOWS, RULES, Rule
from otel_agentlog.query.alerts.windows import Samples, Sums
from otel_agentlog.vocabulary.lines import timestamp
from otel_agentlog.vocabulary.states import FAILED

MAX_TASKS = 10_000
"""Most tasks whose budgets are watched at once; those without lines for longest are dropped first."""

MAX_SOURCES = 1_000
"""Most sources whose timeouts are counted apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something is too much, or is no longer."""

    timestamp: str
    """RFC 3339."""
    type: str
    """The rule's name."""
    severity: str
    message: str
    value: float
    threshold: float
    specialist: str | None = None
    """The tool, specialist or agent it is about; ``None``: all of them."""
    task_id: str | None = None
    resolved: bool = False
    """Whether this notice is that the alert is over."""
    action: str = "warn"

    @property
    def key(self) -> tuple[str, str | None, str | None]:
        """What makes two alerts the same one."""
        return self.type, self.specialist, self.task_id

    def __getitem__(self, name: str) -> Any:
        """``alert["severity"]``, as of `as_json`."""
        return self.as_json()[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The same; the default where there is no such key."""
        return self.as_json().get(name, default)

    def keys(self) -> Iterable[str]:
        """The keys of `as_json`, so that ``dict(alert)`` and ``{**alert}`` are that."""
        return self.as_json().keys()

    def as_json(self) -> dict[str, Any]:
        """One flat object."""
        return asdict(self)


_COUNTED = {
    "database_error": ("database_errors", "database errors"),
    "session_error": ("session_save_failures", "sessions that could not be kept"),
}
"""By kind of observation: the rule that counts it, and what it is called."""
_SAID = dict(_COUNTED.values())


@dataclass
class _Spent:
    tokens: int = 0
    cost_usd: float = 0.0
    steps: int = 0


class Watch:
    """Watches one stream of observations. For one thread at a time."""

    def __init__(self, rules: Mapping[str, Rule] = RULES) -> None:
        self.rules = dict(rules)
        self.active: dict[tuple[str, str | None, str | None], Alert] = {}
        """What is too much right now."""
        self._executions = {name: Sums(rule.window_s) for name, rule in self.rules.items() if not rule.is_budget}
        self._failures = Sums(self.rules["error_rate_percent"].window_s)
        self._baseline = Sums(self.rules["execution_rate_drop_percent"].window_s * (BASELINE_WINDOWS + 1))
        self._durations = Samples(self.rules["p95_duration_seconds"].window_s)
        self._memory: dict[str | None, Samples] = {}
        self._timeouts: dict[str | None, Sums] = {}
        self._tasks: dict[str, _Spent] = {}

    def observe(self, seen: Observation) -> None:
        """Take note of something."""
        if seen.kind == "error":
            self._executions["errors_per_minute"].add(seen.time_ns)
        elif seen.kind in _COUNTED:
            self._executions[_COUNTED[seen.kind][0]].add(seen.time_ns)
        elif seen.kind == "channel_timeout":
            self._note_timeout(seen)
        elif seen.kind in ("task", "tool_run"):
            self._note_execution(seen)
        if seen.kind == "ai_call" and seen.cost_usd is not None:
            self._executions["cost_per_hour_usd"].add(seen.time_ns, seen.cost_usd)
        if seen.task_id is not None:
            self._note_spent(seen.task_id, seen)

    def evaluate(self, now_ns: int) -> list[Alert]:
        """What has become too much since the last call, and what no longer is."""
        found = {alert.key: alert for alert in self._found(now_ns)}
        news = [alert for key, alert in found.items() if key not in self.active]
        over = [alert for key, alert in self.active.items() if key not in found]
        self.active = {key: self.active.get(key, alert) for key, alert in found.items()}
        return news + [_resolved(alert, now_ns) for alert in over]

    # -- taking note ------------------------------------------------------------------------------------------------------

    def _note_execution(self, seen: Observation) -> None:
        if self._counts("error_rate_percent", seen):
            self._executions["error_rate_percent"].add(seen.time_ns)
            if seen.outcome in FAILED:
                self._failures.add(seen.time_ns)
        if self._counts("execution_rate_drop_percent", seen):
            self._executions["execution_rate_drop_percent"].add(seen.time_ns)
            self._baseline.add(seen.time_ns)
        if seen.duration_s is not None and self._counts("p95_duration_seconds", seen):
            self._durations.add(seen.time_ns, seen.duration_s)
        if seen.memory_mb is not None and self._counts("memory_peak_mb", seen):
            window = self.rules["memory_peak_mb"].window_s
            _bounded(self._memory, seen.source, lambda: Samples(window)).add(seen.time_ns, seen.memory_mb)
        if seen.outcome == "timed_out" and self._counts("repeated_timeouts", seen):
            self._note_timeout(seen)

    def _note_timeout(self, seen: Observation) -> None:
        window = self.rules["repeated_timeouts"].window_s
        _bounded(self._timeouts, seen.source, lambda: Sums(window)).add(seen.time_ns)

    def _counts(self, rule: str, seen: Observation) -> bool:
        return self.rules[rule].of in ("any", seen.kind)

    def _note_spent(self, task_id: str, seen: Observation) -> None:
        if seen.kind == "task":
            self._tasks.pop(task_id, None)
            return
        spent = self._tasks.pop(task_id, None) or _Spent()
        self._tasks[task_id] = spent
        spent.tokens += seen.tokens
        spent.cost_usd += seen.cost_usd or 0.0
        spent.steps += seen.kind == "step"
        if len(self._tasks) > MAX_TASKS:
            del self._tasks[next(iter(self._tasks))]

    # -- looking ------------------------------------------------------------------------------------------------------------

    def _found(self, now_ns: int) -> Iterator[Alert]:
        for name, rule in self.rules.items():
            if not rule.enabled:
                continue
            for value, words, source, task_id in self._values(name, rule, now_ns):
                if value > rule.threshold:
                    yield Alert(
                        timestamp=timestamp(now_ns),
                        type=name,
                        severity=rule.severity,
                        message=words,
                        value=round(value, 6),
                        threshold=rule.threshold,
                        specialist=source,
                        task_id=task_id,
                        action=rule.action,
                    )

    def _values(self, name: str, rule: Rule, now_ns: int) -> Iterable[tuple[float, str, str | None, str | None]]:
        """The values of a rule right now, each with words for people and whom it is about."""
        if rule.is_budget:
            return self._budgets(name, rule)
        value, words = 0.0, ""
        if name == "error_rate_percent":
            count, failed = self._executions[name].count(now_ns), self._failures.count(now_ns)
            value = 100.0 * failed / count if count >= max(1, rule.at_least) else 0.0
            words = f"{value:.0f} % of {count} executions failed in {_span(rule)} (limit {rule.threshold:g} %)"
        elif name == "p95_duration_seconds":
            value = self._durations.percentile(95, now_ns) if self._durations.count(now_ns) >= rule.at_least else 0.0
            words = f"p95 of durations is {value:.1f} s in {_span(rule)} (limit {rule.threshold:g} s)"
        elif name == "execution_rate_drop_percent":
            value, words = self._drop(rule, now_ns)
        elif name == "errors_per_minute":
            value = self._executions[name].count(now_ns) * 60.0 / rule.window_s
            words = f"{value:.0f} errors per minute (limit {rule.threshold:g})"
        elif name == "cost_per_hour_usd":
            value = self._executions[name].sum(now_ns) * 3600.0 / rule.window_s
            words = f"${value:.2f} per hour (limit ${rule.threshold:g})"
        elif name in _SAID:
            value = float(self._executions[name].count(now_ns))
            words = f"{value:.0f} {_SAID[name]} in {_span(rule)} (limit {rule.threshold:g})"
        elif name == "memory_peak_mb":
            return self._peaks(rule, now_ns)
        else:
            return self._repeated(rule, now_ns)
        return [(value, words, None, None)]

    def _drop(self, rule: Rule, now_ns: int) -> tuple[float, str]:
        recent = self._executions[rule.name].count(now_ns)
        before = (self._baseline.count(now_ns) - recent) / BASELINE_WINDOWS
        if before * BASELINE_WINDOWS < max(1, rule.at_least):
            return 0.0, ""
        drop = max(0.0, 100.0 * (1.0 - recent / before))
        return drop, f"{drop:.0f} % fewer executions in {_span(rule)} than before (limit {rule.threshold:g} %)"

    def _peaks(self, rule: Rule, now_ns: int) -> Iterator[tuple[float, str, str | None, str | None]]:
        for source, samples in self._memory.items():
            value = samples.maximum(now_ns)
            yield value, f"{source or 'a run'} took {value:.0f} MB of memory (limit {rule.threshold:g} MB)", source, None

    def _repeated(self, rule: Rule, now_ns: int) -> Iterator[tuple[float, str, str | None, str | None]]:
        for source, sums in self._timeouts.items():
            value = float(sums.count(now_ns))
            yield value, f"{source or 'something'} timed out {value:.0f} times in {_span(rule)}", source, None

    def _budgets(self, name: str, rule: Rule) -> Iterator[tuple[float, str, str | None, str | None]]:
        for task_id, spent in list(self._tasks.items()):
            value = float(getattr(spent, name.removeprefix("task_")))
            yield value, f"the task has spent {value:g} {_UNIT[name]} of {rule.threshold:g}", None, task_id


_UNIT = {"task_tokens": "tokens", "task_cost_usd": "US dollars", "task_steps": "steps"}


def _bounded(windows: dict[str | None, Any], source: str | None, new: Any) -> Any:
    found = windows.get(source)
    if found is None:
        if len(windows) >= MAX_SOURCES:
            del windows[next(iter(windows))]
        found = windows[source] = new()
    return found


def _resolved(alert: Alert, now_ns: int) -> Alert:
    return replace(
        alert, timestamp=timestamp(now_ns), severity="info", message=f"over: {alert.message}", resolved=True, action="warn"
    )


def _span(rule: Rule) -> str:
    minutes = rule.window_s / 60
    return f"{minutes:g} min" if minutes >= 1 else f"{rule.window_s:g} s"

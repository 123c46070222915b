"""Alerts over sliding windows: observations in, alerts and recovery notices out. Plain data, no thread, no clock of its own.

An alert is returned once when its value passes the threshold and once more, as ``resolved``, when it has ended; in between it is
in `Watch.active`. It ends when its value was no more than `Rule.end_value` for `Rule.hold_ns`, so that what goes up and down
around the threshold is one alert. The same rule about another tool or task is another alert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from otel_agentlog.query.alerts.observations import Observation
from otel_agentlog.query.alerts.rules import BASELINE_WINDOWS, RULES, Rule
from otel_agentlog.query.alerts.windows import Samples, Sums
from otel_agentlog.vocabulary.lines import timestamp
from otel_agentlog.vocabulary.states import FAILED

MAX_TASKS = 10_000
"""Most tasks whose budgets are watched at once; those without lines for longest are dropped first."""

MAX_SOURCES = 1_000
"""Most sources whose timeouts are counted apart."""


AlertKey: TypeAlias = tuple[str, str | None, str | None]
"""What makes two alerts the same one: rule, specialist, task."""


@dataclass(frozen=True, slots=True)
class RuleValue:
    """The value of a rule right now."""

    rule: Rule
    value: float
    words: str
    specialist: str | None = None
    task_id: str | None = None
    executions: int = 1 << 62
    """How many there are to tell it from."""
    events: int = 1 << 62
    """How many of them are what is too much."""

    @property
    def is_too_much(self) -> bool:
        """Whether an alert begins with it."""
        rule = self.rule
        enough = self.executions >= rule.at_least and self.events >= min(rule.at_least_events, rule.at_least)
        return enough and self.value > rule.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something is too much, or has ended."""

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
    """Whether this notice is that the alert has ended."""
    action: str = "warn"

    @property
    def key(self) -> AlertKey:
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
    has_ended: bool = False
    """It is looked at once more: what a task spends last may be most of it."""


class Watch:
    """Watches one stream of observations. For one thread at a time."""

    def __init__(self, rules: Mapping[str, Rule] = RULES) -> None:
        self.rules = dict(rules)
        self.active: dict[AlertKey, Alert] = {}
        """What is too much right now."""
        self._began: dict[AlertKey, int] = {}
        self._lasted: dict[AlertKey, int] = {}
        """When its value was last too high for it to end."""
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
        """What has become too much since the last call, and what has ended."""
        found = {(each.rule.name, each.specialist, each.task_id): each for each in self.figures(now_ns)}
        for task_id in [task_id for task_id, spent in self._tasks.items() if spent.has_ended]:
            del self._tasks[task_id]
            for key in [key for key in self.active if key[2] == task_id]:
                found.pop(key, None)
        news = [self._begin(key, each, now_ns) for key, each in found.items() if key not in self.active and each.is_too_much]
        ended = [key for key in self.active if self._has_ended(key, found.get(key), now_ns)]
        return news + [self._end(key, now_ns) for key in ended]

    def _begin(self, key: AlertKey, figure: RuleValue, now_ns: int) -> Alert:
        rule = figure.rule
        alert = self.active[key] = Alert(
            timestamp=timestamp(now_ns),
            type=rule.name,
            severity=rule.severity,
            message=figure.words,
            value=round(figure.value, 6),
            threshold=rule.threshold,
            specialist=figure.specialist,
            task_id=figure.task_id,
            action=rule.action,
        )
        self._began[key] = self._lasted[key] = now_ns
        return alert

    def _has_ended(self, key: AlertKey, figure: RuleValue | None, now_ns: int) -> bool:
        rule = self.rules[key[0]]
        goes_on = figure is not None and figure.value > rule.end_value
        # Clocks go backwards, too.
        self._lasted[key] = now_ns if goes_on else min(self._lasted[key], now_ns)
        return not goes_on and now_ns - self._lasted[key] >= rule.hold_ns

    def _end(self, key: AlertKey, now_ns: int) -> Alert:
        alert = self.active.pop(key)
        lasted_s = max(0, self._lasted.pop(key) - self._began.pop(key)) / 1e9
        message = f"ended after {_time_span(lasted_s)}; it began with: {alert.message}"
        return replace(alert, timestamp=timestamp(now_ns), severity="info", message=message, resolved=True, action="warn")

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
            if task_id in self._tasks:
                self._tasks[task_id].has_ended = True
            return
        spent = self._tasks.pop(task_id, None) or _Spent()
        self._tasks[task_id] = spent
        spent.tokens += seen.tokens
        spent.cost_usd += seen.cost_usd or 0.0
        spent.steps += seen.kind == "step"
        if len(self._tasks) > MAX_TASKS:
            del self._tasks[next(iter(self._tasks))]

    # -- looking ------------------------------------------------------------------------------------------------------------

    def figures(self, now_ns: int) -> Iterator[RuleValue]:
        """The values of the rules that are on, right now."""
        for name, rule in self.rules.items():
            if not rule.enabled:
                continue
            if rule.is_budget:
                yield from self._budgets(name, rule)
            elif name == "memory_peak_mb":
                yield from self._peaks(rule, now_ns)
            elif name == "repeated_timeouts":
                yield from self._repeated(rule, now_ns)
            else:
                yield _OF_ALL[name](self, rule, now_ns)

    def _error_rate(self, rule: Rule, now_ns: int) -> RuleValue:
        count, failed = self._executions[rule.name].count(now_ns), self._failures.count(now_ns)
        value = 100.0 * failed / count if count else 0.0
        words = f"{_beside(rule, value, 0)} % of {count} executions failed in {_span(rule)} (limit {rule.threshold:g} %)"
        return RuleValue(rule, value, words, executions=count, events=failed)

    def _p95(self, rule: Rule, now_ns: int) -> RuleValue:
        value, count = self._durations.percentile_95(now_ns), self._durations.count(now_ns)
        words = f"p95 of durations is {_beside(rule, value, 1)} s in {_span(rule)} (limit {rule.threshold:g} s)"
        return RuleValue(rule, value, words, executions=count, events=self._durations.above(rule.threshold, now_ns))

    def _drop(self, rule: Rule, now_ns: int) -> RuleValue:
        recent = self._executions[rule.name].count(now_ns)
        before = self._baseline.count(now_ns) - recent
        drop = max(0.0, 100.0 * (1.0 - recent * BASELINE_WINDOWS / before)) if before >= max(1, rule.at_least) else 0.0
        words = f"{_beside(rule, drop, 0)} % fewer executions in {_span(rule)} than before (limit {rule.threshold:g} %)"
        return RuleValue(rule, drop, words, executions=before)

    def _errors(self, rule: Rule, now_ns: int) -> RuleValue:
        count = self._executions[rule.name].count(now_ns)
        value = count * 60.0 / rule.window_s if rule.window_s else 0.0
        words = f"{_beside(rule, value, 0)} errors per minute (limit {rule.threshold:g})"
        return RuleValue(rule, value, words, executions=count, events=count)

    def _cost(self, rule: Rule, now_ns: int) -> RuleValue:
        sums = self._executions[rule.name]
        value = sums.sum(now_ns) * 3600.0 / rule.window_s if rule.window_s else 0.0
        words = f"${_beside(rule, value, 2)} per hour (limit ${rule.threshold:g})"
        return RuleValue(rule, value, words, executions=(count := sums.count(now_ns)), events=count)

    def _counted(self, rule: Rule, now_ns: int) -> RuleValue:
        count = self._executions[rule.name].count(now_ns)
        words = f"{count} {_SAID[rule.name]} in {_span(rule)} (limit {rule.threshold:g})"
        return RuleValue(rule, float(count), words, events=count)

    def _peaks(self, rule: Rule, now_ns: int) -> Iterator[RuleValue]:
        for source, samples in self._memory.items():
            value = samples.maximum(now_ns)
            words = f"{source or 'a run'} took {_beside(rule, value, 0)} MB of memory (limit {rule.threshold:g} MB)"
            yield RuleValue(rule, value, words, source, events=samples.above(rule.threshold, now_ns))

    def _repeated(self, rule: Rule, now_ns: int) -> Iterator[RuleValue]:
        for source, sums in self._timeouts.items():
            count = sums.count(now_ns)
            yield RuleValue(
                rule, float(count), f"{source or 'something'} timed out {count} times in {_span(rule)}", source, events=count
            )

    def _budgets(self, name: str, rule: Rule) -> Iterator[RuleValue]:
        for task_id, spent in list(self._tasks.items()):
            value = float(getattr(spent, name.removeprefix("task_")))
            words = f"the task has spent {_beside(rule, value)} {_UNIT[name]} of {rule.threshold:g}"
            # There is nothing to stop any more.
            yield RuleValue(replace(rule, action="warn") if spent.has_ended else rule, value, words, None, task_id)


_OF_ALL: Mapping[str, Callable[[Watch, Rule, int], RuleValue]] = {
    "error_rate_percent": Watch._error_rate,
    "p95_duration_seconds": Watch._p95,
    "execution_rate_drop_percent": Watch._drop,
    "errors_per_minute": Watch._errors,
    "cost_per_hour_usd": Watch._cost,
    **dict.fromkeys(_SAID, Watch._counted),
}
_UNIT = {"task_tokens": "tokens", "task_cost_usd": "US dollars", "task_steps": "steps"}


def _bounded(windows: dict[str | None, Any], source: str | None, new: Any) -> Any:
    found = windows.get(source)
    if found is None:
        if len(windows) >= MAX_SOURCES:
            del windows[next(iter(windows))]
        found = windows[source] = new()
    return found


def _beside(rule: Rule, value: float, digits: int | None = None) -> str:
    """A value with so many digits behind the point, or more, until it stands on that side of the threshold where it is."""
    forms = ["g"] if digits is None else [f".{more}f" for more in range(digits, 17)]
    shown = (format(value, form) for form in forms)
    return next((each for each in shown if _side(float(each), rule.threshold) == _side(value, rule.threshold)), repr(value))


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)


def _span(rule: Rule) -> str:
    return _time_span(rule.window_s)


def _time_span(seconds: float) -> str:
    return f"{seconds / 60:.3g} min" if seconds >= 60 else f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds:g} s"

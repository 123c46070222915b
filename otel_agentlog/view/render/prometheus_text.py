"""Hides how figures of the folders become Prometheus text. Gauges, as retention takes tasks away again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from otel_agentlog.query import Filter, Group, statistics
from otel_agentlog.view.render.text import safe
from otel_agentlog.vocabulary.states import State

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MAX_LABELS = 100
"""Most agents, models and tools that are told apart; the rest is left out, so that a scrape stays small."""

MAX_LABEL = 200
"""Characters of a label's value."""


@dataclass
class _Metric:
    name: str
    help: str
    samples: list[tuple[dict[str, str], float]] = field(default_factory=list)

    def add(self, value: float | None, **labels: str) -> None:
        if value is not None:
            self.samples.append((labels, value))

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        for labels, value in self.samples:
            yield f"{self.name}{_labels(labels)} {value:.10g}"


def prometheus_text(root: Path, wanted: Filter | None = None) -> str:
    """Return the figures of the tasks below a root that meet a filter, as Prometheus reads them."""
    metrics = _of_tasks(statistics(root, wanted).groups[0])
    for label in ("agent", "model", "tool"):
        metrics += _of_groups(label, statistics(root, wanted, group_by=label).groups)
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _of_tasks(total: Group) -> list[_Metric]:
    tasks = _Metric("agentlog_folder_tasks", "Task folders below the root, by status.")
    seconds = _Metric("agentlog_folder_task_duration_seconds", "Duration of tasks, by quantile.")
    tokens = _Metric("agentlog_folder_tokens", "Tokens of all AI calls, by type.")
    cost = _Metric("agentlog_folder_cost_usd", "Known cost of all AI calls, in US dollars.")
    errors = _Metric("agentlog_folder_errors", "Errors in all tasks.")
    rate = _Metric("agentlog_folder_success_ratio", "Completed tasks, of those that completed or failed.")
    for state in State:
        tasks.add(total.by_status.get(state.value, 0), status=state.value)
    for quantile, name in (("0.5", "p50"), ("0.9", "p90"), ("0.95", "p95"), ("0.99", "p99")):
        seconds.add(getattr(total.duration_seconds, name), quantile=quantile)
    tokens.add(total.input_tokens, type="input")
    tokens.add(total.output_tokens, type="output")
    cost.add(total.cost_usd)
    errors.add(total.errors)
    rate.add(total.success_rate)
    return [tasks, seconds, tokens, cost, errors, rate]


def _of_groups(label: str, groups: list[Group]) -> list[_Metric]:
    runs = _Metric(f"agentlog_folder_{label}_runs", f"What was counted of each {label}, by status.")
    seconds = _Metric(f"agentlog_folder_{label}_duration_seconds", f"95th percentile of the duration, by {label}.")
    cost = _Metric(f"agentlog_folder_{label}_cost_usd", f"Known cost in US dollars, by {label}.")
    for group in [group for group in groups if group.key is not None][:MAX_LABELS]:
        labels = {label: group.key or ""}
        for status, count in group.by_status.items():
            runs.add(count, **labels, status=status)
        seconds.add(group.duration_seconds.p95, **labels, quantile="0.95")
        cost.add(None if label == "tool" else group.cost_usd, **labels)
    return [runs, seconds, cost] if cost.samples else [runs, seconds]


def _labels(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _escaped(value: str) -> str:
    # Also read on terminals, where nothing of a model's or a stranger's text may act.
    short = safe(value[:MAX_LABEL]).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return short.encode("utf-8", "replace").decode()

"""Figures of the tasks below a root as Prometheus text. Gauges, as retention takes tasks away again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from otel_agentlog.query import Filter, Group, statistics
from otel_agentlog.vocabulary.prometheus_text import metric_lines
from otel_agentlog.vocabulary.states import STATES
from otel_agentlog.vocabulary.terminal_text import safe

MAX_LABELS = 100
"""Most agents, models and tools that have samples of their own; the rest is left out, so that a scrape stays small."""

QUANTILES = {"0.5": "p50", "0.9": "p90", "0.95": "p95", "0.99": "p99"}
"""Each with its field of `Percentiles`."""

MAX_LABEL = 200
"""Characters of a label's value."""


def prometheus_text(root: Path, wanted: Filter | None = None) -> str:
    """Return the figures of the tasks below a root that meet a filter, as Prometheus text."""
    lines = list(_task_lines(statistics(root, wanted).groups[0]))
    for label in ("agent", "model", "tool"):
        lines += _group_lines(label, statistics(root, wanted, group_by=label).groups)
    return "".join(f"{line}\n" for line in lines)


def _task_lines(total: Group) -> Iterator[str]:
    states = [({"status": state}, total.by_status.get(state, 0)) for state in STATES]
    tokens = [({"type": "input"}, total.input_tokens), ({"type": "output"}, total.output_tokens)]
    yield from _gauge("tasks", "Task folders below the root, by status.", states)
    yield from _summary("task_duration_seconds", "Duration of tasks.", [({}, total)], QUANTILES)
    yield from _gauge("tokens", "Tokens of all AI calls, by type.", tokens)
    yield from _gauge("cost_usd", "Known cost of all AI calls, in US dollars.", [({}, total.cost_usd)])
    yield from _gauge("errors", "Errors in all tasks.", [({}, total.errors)])
    yield from _gauge("success_ratio", "Completed tasks, of those that completed or failed.", [({}, total.success_rate)])


def _group_lines(label: str, groups: list[Group]) -> Iterator[str]:
    """The metrics of one kind of group; `label` is ``agent``, ``model`` or ``tool``."""
    named = [({label: _label(group.key)}, group) for group in groups if group.key is not None][:MAX_LABELS]
    runs = [({**labels, "status": status}, count) for labels, group in named for status, count in group.by_status.items()]
    costs = [(labels, group.cost_usd) for labels, group in named if group.cost_usd is not None]
    yield from _gauge(f"{label}_runs", f"What was counted of each {label}, by status.", runs)
    yield from _summary(f"{label}_duration_seconds", f"Duration, by {label}.", named, {"0.95": "p95"})
    if costs and label != "tool":
        yield from _gauge(f"{label}_cost_usd", f"Known cost in US dollars, by {label}.", costs)


def _gauge(name: str, help_text: str, samples: Sequence[tuple[Mapping[str, str], float | None]]) -> Iterator[str]:
    """The lines of one metric; unknown values, which are ``None``, have no sample."""
    known = (("", labels, value) for labels, value in samples if value is not None)
    return metric_lines(f"agentlog_folder_{name}", "gauge", help_text, known)


def _summary(
    name: str, help_text: str, groups: Sequence[tuple[Mapping[str, str], Group]], quantiles: Mapping[str, str]
) -> Iterator[str]:
    """Quantiles, sum and count of the durations of groups, as far as they are known."""
    samples: list[tuple[str, Mapping[str, str], float]] = []
    for labels, group in groups:
        took = group.duration_seconds
        if took.total is None or not took.average:
            continue
        known = {quantile: getattr(took, field) for quantile, field in quantiles.items()}
        samples += [("", {**labels, "quantile": quantile}, value) for quantile, value in known.items() if value is not None]
        samples += [("_sum", labels, took.total), ("_count", labels, round(took.total / took.average))]
    return metric_lines(f"agentlog_folder_{name}", "summary", help_text, samples)


def _label(value: str) -> str:
    # Also read on terminals, where text of models and users must have no effect.
    return safe(value[:MAX_LABEL]).encode("utf-8", "replace").decode()

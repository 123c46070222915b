"""Hides how figures of the folders become Prometheus text. Gauges, as retention takes tasks away again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter
from fastapi.responses import Response

from otel_agentlog.query import Group, statistics
from otel_agentlog.view.server.problems import documented
from otel_agentlog.view.server.source import Source

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MAX_LABELS = 100
"""Most agents, models and tools that are told apart; the rest is left out, so that a scrape stays small."""

_STATES = ("pending", "running", "paused", "completed", "failed", "cancelled", "interrupted", "timed_out")


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


def metrics_router(source: Source) -> APIRouter:
    """``/metrics``."""
    router = APIRouter(tags=["all tasks"])
    text = {"text/plain": {"schema": {"type": "string"}}}

    @router.get(
        "/metrics",
        summary="Figures of all tasks as Prometheus text",
        operation_id="get_metrics",
        response_class=Response,
        responses={200: {"content": text, "description": "The figures"}, **documented()},
    )
    def metrics() -> Response:
        lines = [line for metric in _metrics(source) for line in metric.lines()]
        return Response("\n".join(lines) + "\n", media_type=MEDIA_TYPE, headers={"cache-control": "no-store"})

    return router


def _metrics(source: Source) -> Iterable[_Metric]:
    whole = statistics(source.root).groups
    total = whole[0] if whole else None
    return [
        *_of_tasks(total),
        *_of_groups("agent", statistics(source.root, group_by="agent").groups),
        *_of_groups("model", statistics(source.root, group_by="model").groups),
        *_of_groups("tool", statistics(source.root, group_by="tool").groups),
    ]


def _of_tasks(total: Group | None) -> list[_Metric]:
    tasks = _Metric("agentlog_folder_tasks", "Task folders below the root, by status.")
    seconds = _Metric("agentlog_folder_task_duration_seconds", "Duration of tasks, by quantile.")
    tokens = _Metric("agentlog_folder_tokens", "Tokens of all AI calls, by type.")
    cost = _Metric("agentlog_folder_cost_usd", "Known cost of all AI calls, in US dollars.")
    errors = _Metric("agentlog_folder_errors", "Errors in all tasks.")
    rate = _Metric("agentlog_folder_success_ratio", "Completed tasks, of those that completed or failed.")
    if total is not None:
        for state in _STATES:
            tasks.add(total.by_status.get(state, 0), status=state)
        for quantile, value in (("0.5", "p50"), ("0.9", "p90"), ("0.95", "p95"), ("0.99", "p99")):
            seconds.add(getattr(total.duration_seconds, value), quantile=quantile)
        tokens.add(total.input_tokens, type="input")
        tokens.add(total.output_tokens, type="output")
        cost.add(total.cost_usd)
        errors.add(total.errors)
        rate.add(total.success_rate)
    return [tasks, seconds, tokens, cost, errors, rate]


def _of_groups(label: str, groups: list[Group]) -> list[_Metric]:
    runs = _Metric(f"agentlog_folder_{label}_runs", f"What was counted of each {label}, by status.")
    seconds = _Metric(f"agentlog_folder_{label}_duration_seconds", f"95th percentile of the duration, by {label}.")
    for group in [group for group in groups if group.key is not None][:MAX_LABELS]:
        for status, count in group.by_status.items():
            runs.add(count, **{label: group.key or "", "status": status})
        seconds.add(group.duration_seconds.p95, **{label: group.key or "", "quantile": "0.95"})
    return [runs, seconds]


def _labels(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _escaped(value: str) -> str:
    short = value[:200].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return short.encode("utf-8", "replace").decode()

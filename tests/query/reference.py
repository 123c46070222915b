"""The answers to all questions without an index: every folder is read, and every rule is a plain condition in Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from otel_agentlog.query import Bucket, Filter, Group, Percentiles, Statistics
from otel_agentlog.query.groups import MeanScore
from otel_agentlog.query.index_rows import index_row_of
from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.index.row import IndexRow, RunRow
from otel_agentlog.store.index.words import storable, words_of

UNSUCCESSFUL = ("failed", "timed_out", "interrupted")
NS = 10**9
COUNTS = ("input_tokens", "output_tokens", "ai_calls", "tool_runs", "steps", "retries", "errors")
SAME = ("agent", "agent_type", "source", "parent_task_id", "specialist", "user", "session_id", "correlation_id")
ORDERS: dict[str, Callable[[IndexRow], tuple[float, ...]]] = {
    "newest": lambda row: (-row.created_ns,),
    "oldest": lambda row: (row.created_ns,),
    "slowest": lambda row: (1 if row.duration_us is None else -row.duration_us, -row.created_ns),
    "costliest": lambda row: (1 if row.cost is None else -row.cost, -row.created_ns),
    "fastest": lambda row: (row.duration_us is None, row.duration_us or 0, -row.created_ns),
    "cheapest": lambda row: (row.cost is None, row.cost or 0, -row.created_ns),
    "most_tokens": lambda row: (-row.input_tokens - row.output_tokens, -row.created_ns),
    "most_errors": lambda row: (-row.errors, -row.created_ns),
}


class Reference:
    """All tasks below a root, each as what the index would keep of it."""

    def __init__(self, root: Path) -> None:
        self.rows = {task.folder.name: index_row_of(task) for task in list_tasks(root)}

    def matching(self, wanted: Filter) -> dict[str, IndexRow]:
        """Those that meet a filter, by folder."""
        return {folder: row for folder, row in self.rows.items() if meets(row, wanted)}

    def folders(self, wanted: Filter, order: str, limit: int | None = None, offset: int = 0) -> list[str]:
        """The folders of these in an order."""
        found = sorted(self.matching(wanted).items(), key=lambda entry: (ORDERS[order](entry[1]), entry[0]))
        return [folder for folder, _ in found][offset : None if limit is None else offset + limit]

    def count(self, wanted: Filter) -> tuple[int, int]:
        """How many meet it, and how many there are."""
        return len(self.matching(wanted)), len(self.rows)

    def errors_by_category(self, wanted: Filter) -> dict[str, int]:
        """How many errors of each category these have."""
        rows = self.matching(wanted).values()
        return dict(Counter(category or "UNKNOWN" for row in rows for category in row.error_categories))

    def statistics(self, wanted: Filter, group_by: str | None) -> Statistics:
        """What these sum up to."""
        rows = list(self.matching(wanted).values())
        if group_by is None:
            return Statistics("tasks", [group_of_tasks(None, rows)])
        if group_by in ("model", "provider", "tool"):
            return runs_by(rows, group_by)
        by_key = defaultdict[str | None, list[IndexRow]](list)
        for row in rows:
            by_key[day_of(row) if group_by == "day" else getattr(row, group_by)].append(row)
        groups = [group_of_tasks(key, own) for key, own in by_key.items()]
        if group_by == "day":
            return Statistics("tasks", sorted(groups, key=lambda group: group.key or ""))
        return Statistics("tasks", shown_order(groups))

    def timeline(self, wanted: Filter, bucket_s: int) -> list[Bucket]:
        """What happened in spans of time."""
        rows, width = list(self.matching(wanted).values()), bucket_s * NS
        numbers = [row.created_ns // width for row in rows]
        return [
            bucket(number * width, [row for row, own in zip(rows, numbers, strict=True) if own == number])
            for number in (range(min(numbers), max(numbers) + 1) if numbers else ())
        ]


def meets(row: IndexRow, wanted: Filter) -> bool:
    """Whether a task meets a filter."""
    return meets_names(row, wanted) and meets_numbers(row, wanted) and meets_text(row, wanted)


def meets_names(row: IndexRow, wanted: Filter) -> bool:
    """Whether its names do."""
    states = {*wanted.statuses, *(UNSUCCESSFUL if wanted.failed else ())}
    called = [run for run in row.runs if run.kind == "ai_call"]
    category = wanted.error_category
    return (
        (not states or row.status in states)
        and all(getattr(wanted, key) in (None, getattr(row, key)) for key in SAME)
        and (wanted.tag is None or wanted.tag in row.tags)
        and (wanted.tool is None or any(run.kind == "tool_run" and run.name == wanted.tool for run in row.runs))
        and (wanted.model is None or wanted.model in (row.model, *(run.name for run in called)))
        and (wanted.provider is None or wanted.provider in (row.provider, *(run.provider for run in called)))
        and (category is None or any((own or "").upper() == category.upper() for own in row.error_categories))
    )


def meets_numbers(row: IndexRow, wanted: Filter) -> bool:
    """Whether its numbers do; one that is unknown lies within no bound."""
    bounds = (
        (row.created_ns, wanted.since_ns, None if wanted.until_ns is None else wanted.until_ns - 1),
        (row.cost, scaled(wanted.min_cost_usd, 10**10), scaled(wanted.max_cost_usd, 10**10)),
        (row.duration_us, scaled(wanted.min_duration_s, 10**6), scaled(wanted.max_duration_s, 10**6)),
        (row.input_tokens + row.output_tokens, wanted.min_tokens, None),
    )
    return all(
        (least is None and most is None)
        or (value is not None and (least is None or value >= least) and (most is None or value <= most))
        for value, least, most in bounds
    )


def scaled(value: float | None, scale: int) -> int | None:
    """A bound in the units of the index."""
    return None if value is None else round(min(value * scale, 2.0**80))


def meets_text(row: IndexRow, wanted: Filter) -> bool:
    """Whether each word begins one of the task."""
    text = wanted.text or ""
    words = words_of(storable(text))
    return (bool(words) or not text.strip()) and all(any(known.startswith(word) for known in row.words) for word in words)


def day_of(row: IndexRow) -> str:
    """The local day on which it was created."""
    return f"{datetime.fromtimestamp(row.created_ns // NS).astimezone():%Y-%m-%d}"


def group_of_tasks(key: str | None, rows: Sequence[IndexRow]) -> Group:
    """What tasks sum up to."""
    by_status = Counter(row.status for row in rows)
    return Group(
        key=key,
        tasks=len(rows),
        runs=len(rows),
        by_status=dict(by_status),
        success_rate=rate(by_status["completed"], sum(by_status[status] for status in UNSUCCESSFUL)),
        duration_seconds=percentiles(row.duration_us for row in rows),
        cost_usd=dollars(row.cost for row in rows),
        unpriced=sum(row.unpriced for row in rows),
        **{name: sum(getattr(row, name) for row in rows) for name in COUNTS},
        scores=means(rows),
    )


def means(rows: Iterable[IndexRow]) -> dict[str, MeanScore]:
    """The scores of tasks, by name."""
    found = defaultdict[str, list[float | None]](list)
    for row in rows:
        for score in row.scores:
            found[score.name].append(score.value)
    return {name: MeanScore(len(values), mean(values)) for name, values in found.items()}


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known."""
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None


def runs_by(rows: Sequence[IndexRow], group_by: str) -> Statistics:
    """What AI calls or tool runs sum up to."""
    kind, field = ("tool_run", "name") if group_by == "tool" else ("ai_call", "name" if group_by == "model" else "provider")
    found = defaultdict[str | None, list[tuple[int, RunRow]]](list)
    for number, row in enumerate(rows):
        for run in row.runs:
            if run.kind == kind:
                found[getattr(run, field)].append((number, run))
    groups = [
        replace(group_of_runs(key, kind, entries), scores=means(rows[number] for number in {number for number, _ in entries}))
        for key, entries in found.items()
    ]
    return Statistics(f"{kind}s", shown_order(groups))


def group_of_runs(key: str | None, kind: str, entries: Sequence[tuple[int, RunRow]]) -> Group:
    """What AI calls or tool runs of tasks, each with the task's number, sum up to."""
    runs = [run for _, run in entries]
    words = {**dict.fromkeys(UNSUCCESSFUL, "failed"), "completed": "completed", "running": "running"}
    by_status = Counter(words.get(run.outcome, "cancelled") for run in runs)
    return Group(
        key=key,
        tasks=len({number for number, _ in entries}),
        runs=len(runs),
        by_status=dict(by_status),
        success_rate=rate(by_status["completed"], by_status["failed"]),
        duration_seconds=percentiles(run.duration_us for run in runs),
        cost_usd=dollars(run.cost for run in runs),
        unpriced=sum(kind == "ai_call" and run.cost is None and run.outcome != "running" for run in runs),
        input_tokens=sum(run.input_tokens for run in runs),
        output_tokens=sum(run.output_tokens for run in runs),
        retries=sum(run.retries for run in runs),
        errors=by_status["failed"],
        **{f"{kind}s": len(runs)},
    )


def shown_order(groups: Iterable[Group]) -> list[Group]:
    """The largest first, then by name, those without a name last."""
    return sorted(groups, key=lambda group: (-group.runs, group.key is None, group.key or ""))


def bucket(start_ns: int, rows: Sequence[IndexRow]) -> Bucket:
    """What happened within a span of time."""
    return Bucket(
        start_ns=start_ns,
        tasks=len(rows),
        failed=sum(row.status in UNSUCCESSFUL for row in rows),
        cost_usd=dollars(row.cost for row in rows),
        tokens=sum(row.input_tokens + row.output_tokens for row in rows),
        p95_duration_s=percentiles(row.duration_us for row in rows).p95,
    )


def rate(completed: int, failed: int) -> float | None:
    """The share of completed ones."""
    return round(completed / (completed + failed), 6) if completed + failed else None


def dollars(costs: Iterable[int | None]) -> float | None:
    """The sum of what is known."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) / 10**10 if known else None


def percentiles(durations_us: Iterable[int | None]) -> Percentiles:
    """By nearest rank: the least value that at least so many percent of all do not exceed."""
    known = sorted(value for value in durations_us if value is not None)
    if not known:
        return Percentiles()

    def at(percent: int) -> float:
        return next(value for number, value in enumerate(known, 1) if number * 100 >= percent * len(known)) / 10**6

    total = sum(map(float, known))
    return Percentiles(at(50), at(90), at(95), at(99), round(total / len(known) / 10**6, 6), known[-1] / 10**6, total / 10**6)

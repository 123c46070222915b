"""The rules of retention: which tasks are deleted or compressed, in which order. No I/O: facts in, decisions out.

Oldest end first, always. No task goes that is not finished, that a process is at work on, that changed a moment ago, or that
holds anything which is not ours. What the collector has not acknowledged goes for the quota alone, and only when nothing else
is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from otel_agentlog._startup import dataclass
from otel_agentlog.settings.fields import Settings
from otel_agentlog.vocabulary.states import ENDED, EXECUTION

DAY_NS = 86_400 * 1_000_000_000

QUIET_NS = 5 * 1_000_000_000
"""Nanoseconds. A task whose files changed within this time is left alone. This protects a writer that could not have the
folder's lock: at the latest after a second it checks whether its files are still there."""


class Reason(str, Enum):
    """Why a task was deleted."""

    AGE = "age"
    COUNT = "count"
    QUOTA = "quota"


@dataclass(frozen=True, kw_only=True)
class RetentionLimits:
    """What may be kept; ``None`` is no limit."""

    retention_days: float | None = None
    """Days after its end at which a task is deleted."""
    execution_days: float | None = None
    """The same of a task that is there for one execution only."""
    max_tasks: int | None = None
    """Most task folders to keep, unfinished ones counted."""
    max_bytes: int | None = None
    """Most bytes that all task folders together may have, as the sum of their files' sizes."""
    compress_after_days: float | None = None
    """Days after its end at which a task is compressed."""
    delivers: bool = False
    """Whether a collector is configured: then every pending item is on its way."""

    @property
    def is_set(self) -> bool:
        """Whether there is anything to do."""
        days = (self.retention_days, self.execution_days, self.compress_after_days)
        return any(each is not None for each in (*days, self.max_tasks, self.max_bytes))

    def latest_end_ns(self, task: StoredTask, now_ns: int) -> int | None:
        """When a task ended, at the latest, that is too old now; ``None`` if none of its kind ever is."""
        days = [self.retention_days, self.execution_days if task.source == EXECUTION else None]
        known = [each for each in days if each is not None]
        return now_ns - int(min(known) * DAY_NS) if known else None


def limits_of(settings: Settings) -> RetentionLimits:
    """The limits in the settings."""
    return RetentionLimits(
        retention_days=settings.retention_days,
        execution_days=settings.execution_retention_days,
        max_tasks=settings.max_tasks,
        max_bytes=settings.max_bytes,
        compress_after_days=settings.compress_after_days,
        delivers=any(settings.exporter(signal) == "otlp" for signal in ("traces", "logs")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTask:
    """One task folder, with what the rules need of it."""

    name: str
    """The folder's name."""
    task_id: str
    status: str
    source: str | None = None
    """How it came, as in ``metadata.json``."""
    ended_ns: int | None
    """When it ended, as Unix nanoseconds; ``None`` if that is not recorded."""
    changed_ns: frozenset[int]
    """When its files changed last, each of them."""
    size_bytes: int
    undelivered: int = 0
    """OTLP items that the collector should have and has not."""
    in_use: bool = False
    """Whether a process is at work in the folder, or that is unknown."""
    foreign: tuple[str, ...] = ()
    """What is in it that is not ours, with what was found."""
    unpacked: bool = False
    """Whether anything in it could be compressed."""

    @property
    def is_finished(self) -> bool:
        """Whether it has an outcome; pending, running and paused tasks have none."""
        return self.status in ENDED


def is_free(task: StoredTask, now_ns: int) -> bool:
    """Whether a task may be touched at all."""
    # In both directions: after a jump of the clock a time may lie ahead, for ever.
    is_quiet = all(abs(now_ns - changed_ns) >= QUIET_NS for changed_ns in task.changed_ns)
    return task.is_finished and task.ended_ns is not None and is_quiet and not task.in_use


def too_old(tasks: Iterable[StoredTask], limits: RetentionLimits, now_ns: int) -> list[StoredTask]:
    """The tasks that end their time, oldest first."""
    return [task for task in _deletable(tasks, now_ns) if not task.undelivered and _is_too_old(task, limits, now_ns)]


def _is_too_old(task: StoredTask, limits: RetentionLimits, now_ns: int) -> bool:
    latest = limits.latest_end_ns(task, now_ns)
    return latest is not None and _ended(task) <= latest


def too_many(tasks: Sequence[StoredTask], limits: RetentionLimits, now_ns: int) -> list[StoredTask]:
    """The tasks that are over the number, oldest first."""
    if limits.max_tasks is None:
        return []
    excess = max(0, len(tasks) - limits.max_tasks)
    return [task for task in _deletable(tasks, now_ns) if not task.undelivered][:excess]


def too_large(tasks: Sequence[StoredTask], limits: RetentionLimits, now_ns: int) -> list[StoredTask]:
    """The tasks that must go for the rest to fit the quota: delivered ones, and if that is not enough, the others."""
    if limits.max_bytes is None:
        return []
    chosen, excess = [], sum(task.size_bytes for task in tasks) - limits.max_bytes
    for task in sorted(_deletable(tasks, now_ns), key=lambda task: task.undelivered > 0):
        if excess <= 0:
            break
        chosen.append(task)
        excess -= task.size_bytes
    return chosen


def waiting(tasks: Sequence[StoredTask], limits: RetentionLimits, now_ns: int) -> list[StoredTask]:
    """The tasks that would have to go by age or number, had the collector all of them; oldest first."""
    undelivered = [task for task in _deletable(tasks, now_ns) if task.undelivered]
    excess = max(0, len(tasks) - limits.max_tasks) if limits.max_tasks is not None else 0
    return [task for place, task in enumerate(undelivered) if place < excess or _is_too_old(task, limits, now_ns)]


def ripe(tasks: Iterable[StoredTask], limits: RetentionLimits, now_ns: int) -> list[StoredTask]:
    """The tasks to compress, oldest first."""
    if limits.compress_after_days is None:
        return []
    latest = now_ns - int(limits.compress_after_days * DAY_NS)
    free = [task for task in tasks if task.unpacked and is_free(task, now_ns) and _ended(task) <= latest]
    return sorted(free, key=_age_key)


def _deletable(tasks: Iterable[StoredTask], now_ns: int) -> list[StoredTask]:
    return sorted((task for task in tasks if is_free(task, now_ns) and not task.foreign), key=_age_key)


def _age_key(task: StoredTask) -> tuple[int, str]:
    return _ended(task), task.name


def _ended(task: StoredTask) -> int:
    assert task.ended_ns is not None, "only free tasks have a place in the order"
    return task.ended_ns

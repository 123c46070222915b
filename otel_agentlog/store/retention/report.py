"""What one run of pruning did, or would do."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.store.retention.policy import Reason, StoredTask
from otel_agentlog.store.retention.survey import LeftAlone


@dataclass(frozen=True, slots=True)
class Deleted:
    """A task that was deleted."""

    name: str
    """Its folder's name."""
    task_id: str
    reason: Reason
    ended_ns: int | None
    size_bytes: int
    undelivered: int
    """OTLP items that no collector will see; more than 0 only for the quota."""

    @classmethod
    def of(cls, task: StoredTask, reason: Reason) -> Deleted:
        """The entry of a task."""
        return cls(task.name, task.task_id, reason, task.ended_ns, task.size_bytes, task.undelivered)


@dataclass(frozen=True, slots=True)
class Compressed:
    """A task that was compressed; sizes are those of the files that were."""

    name: str
    task_id: str
    before_bytes: int
    after_bytes: int


@dataclass(kw_only=True)
class PruneReport:
    """What one run did; of a dry run, what it would have done."""

    dry_run: bool
    ran: bool = True
    """Whether there was a run at all: not if another process was pruning, or the last run was a moment ago."""
    complete: bool = True
    """Whether there was time for everything."""
    tasks: int = 0
    """Task folders found."""
    tasks_left: int = 0
    bytes_before: int = 0
    """Size of all task folders."""
    bytes_after: int = 0
    deleted: list[Deleted] = field(default_factory=list)
    compressed: list[Compressed] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    """Folders that an earlier run, killed, had given up and not deleted."""
    left: LeftAlone = field(default_factory=LeftAlone)
    """What was not touched because it is not ours, or could not be."""
    busy: int = 0
    """Tasks that may not be touched now: not finished, in use, or changed a moment ago."""
    waiting: int = 0
    """Tasks whose time is over and that are kept until they are delivered."""
    dropped: int = 0
    """OTLP items deleted before they were delivered, for the quota."""
    tasks_over: int = 0
    """How many tasks too many there still are, none of which may go."""
    bytes_over: int = 0
    """How many bytes too many there still are."""
    totals: dict[str, Any] = field(default_factory=dict)
    """What all runs on this root together did."""

    def in_words(self) -> str:
        """One sentence for a log; empty if nothing was done."""
        did = []
        if self.deleted:
            did.append(f"deleted {len(self.deleted)} tasks of {sum(each.size_bytes for each in self.deleted)} bytes")
        if self.compressed:
            saved = sum(each.before_bytes - each.after_bytes for each in self.compressed)
            did.append(f"compressed {len(self.compressed)} tasks and saved {saved} bytes")
        if self.dropped:
            did.append(f"the quota cost {self.dropped} undelivered items")
        return f"upkeep of the tasks: {', '.join(did)}" if did else ""

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        plain = ("dry_run", "ran", "complete", "tasks", "tasks_left", "bytes_before", "bytes_after", "busy", "waiting")
        return {
            **{key: getattr(self, key) for key in plain},
            "finished": self.finished,
            "dropped": {"quota": self.dropped},
            "tasks_over": self.tasks_over,
            "bytes_over": self.bytes_over,
            "deleted": [_deleted_as_json(each) for each in self.deleted],
            "compressed": [
                {"task_id": each.task_id, "folder": each.name, "before_bytes": each.before_bytes, "after_bytes": each.after_bytes}
                for each in self.compressed
            ],
            "left": [{"name": each.name, "reason": each.reason} for each in self.left.listed],
            "left_count": self.left.count,
            "totals": self.totals,
        }


def _deleted_as_json(deleted: Deleted) -> dict[str, Any]:
    return {
        "task_id": deleted.task_id,
        "folder": deleted.name,
        "reason": deleted.reason.value,
        "completed_ns": deleted.ended_ns,
        "size_bytes": deleted.size_bytes,
        "undelivered": deleted.undelivered,
    }

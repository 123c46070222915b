"""Errors, found in all the places where they are written: end lines, log lines, attempts and audit trails, in task folders and
application logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.query.questions import folders, folders_with_errors
from otel_agentlog.store.app_log import log_files, mentions, newest_change_ns
from otel_agentlog.store.folder.layout import AGENT_OUTPUT
from otel_agentlog.store.folder.reader import list_tasks, read_lines
from otel_agentlog.store.index.filter import Filter
from otel_agentlog.vocabulary.coerce import mapping, text
from otel_agentlog.vocabulary.lines import Line, time_of
from otel_agentlog.vocabulary.shapes import shape_of
from otel_agentlog.vocabulary.states import Outcome

TRAIL_ACTIONS = frozenset(
    {"error_caught", "recovery_attempted", "recovery_succeeded", "recovery_failed", "fallback_used", "error_reraised"}
)
"""Actions of the lines that make an audit trail."""

_SLACK_NS = 60 * 1_000_000_000
"""By how much a file may seem older than its last line: the kernel's clock for files is coarse, and clocks are set."""

_MENTION = b'"error_id":"'


@dataclass(slots=True)
class FoundError:
    """One error in one file. Texts are as they are in that file."""

    error_id: str
    file: Path
    """The file it was found in, by its uncompressed name."""
    line: Line
    """The line with the most about it: the one with the traceback, else the first."""
    task_id: str | None = None
    trail: list[Line] = field(default_factory=list)
    """How it was handled, in order."""
    lines: int = 0
    """How many lines name it."""
    attempt_of: str | None = None
    """The span whose attempt failed with it, where that is all that is known of it."""
    handled_by_retry: bool = False
    """Whether a later attempt did it."""

    @property
    def exception(self) -> Mapping[str, Any]:
        """``type``, ``message``, ``category``, ``suggestions``, ``context``, ``traceback``, as far as they are known."""
        return _exception_of(self.line, self.error_id)

    @property
    def time_ns(self) -> int:
        """When it was first seen, in Unix nanoseconds; 0 if that cannot be read."""
        return time_of(self.line) or 0

    def as_json(self, *, trail: bool) -> dict[str, Any]:
        """One flat object, with the keys of the folder's lines."""
        keys = ("timestamp", "component", "action", "message", "step_id", "trace_id", "span_id", "event_id", "logger")
        known = {key: self.line.get(key) for key in keys}
        found = {
            "error_id": self.error_id,
            "exception": dict(self.exception),
            **known,
            "task_id": self.task_id,
            "file": str(self.file),
            "lines": self.lines,
            "handled_by_retry": self.handled_by_retry,
        }
        return {**found, "trail": self.trail} if trail else found


def find_errors(
    root: Path,
    log_directories: Sequence[Path],
    *,
    error_id: str | None = None,
    category: str | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
    tasks: Filter | None = None,
) -> list[FoundError]:
    """Every error in the folders below `root`, or in those of some `tasks`, and in the application logs, newest first.

    Without `error_id` each error once, from the file with the most about it; with one, that error in each file that names
    it, the one with the most first. Files without any error are passed over without reading their lines.
    """
    with_errors = folders_with_errors(root, error_id)
    if tasks is not None:
        chosen = set(folders(root, tasks))
        with_errors = [folder for folder in with_errors if folder in chosen]
    found = _find(with_errors, log_directories, error_id, since_ns)
    if error_id is not None and not found and tasks is None:
        # Of very many folders not each change is seen at once: what nobody knows is looked for in all of them.
        found = _find((task.folder for task in list_tasks(root)), log_directories, error_id, since_ns)
    wanted = [each for each in found if _is_wanted(each, category, since_ns, until_ns)]
    wanted.sort(key=lambda each: ((False, False) if error_id is None else _rank(each), each.time_ns), reverse=True)
    return wanted


def _find(tasks: Iterable[Path], log_directories: Sequence[Path], error_id: str | None, since_ns: int | None) -> list[FoundError]:
    """Each error once, or the one in each file."""
    needle = _MENTION + error_id.encode("utf-8", "surrogatepass") + b'"' if error_id is not None else _MENTION
    found: dict[tuple[str, ...], FoundError] = {}
    for file in _files(tasks, log_directories):
        if (since_ns is None or newest_change_ns(file) + _SLACK_NS >= since_ns) and mentions(file, needle):
            for each in _errors_in(file, error_id):
                # A log that is renamed meanwhile is read twice.
                key = (each.error_id,) if error_id is None else (each.error_id, each.task_id or "", _event_id(each))
                known = found.get(key)
                if known is None or _rank(each) > _rank(known):
                    found[key] = each
    return list(found.values())


def _rank(each: FoundError) -> tuple[bool, bool]:
    """Sort key of the places that name one error: those with a traceback, then those of a task's folder, are the greatest."""
    return "traceback" in each.exception, each.task_id is not None


def _event_id(each: FoundError) -> str:
    return text(each.line, "event_id") or str(each.file)


def _files(tasks: Iterable[Path], log_directories: Sequence[Path]) -> Iterator[Path]:
    for folder in tasks:
        yield folder / AGENT_OUTPUT
    seen: set[Path] = set()
    # Twice, as a log may be renamed between listing and opening it.
    for _ in range(2):
        for file in log_files(log_directories):
            if file not in seen:
                seen.add(file)
                yield file


def _is_wanted(each: FoundError, category: str | None, since_ns: int | None, until_ns: int | None) -> bool:
    if category is not None and text(each.exception, "category") != category:
        return False
    return (since_ns is None or each.time_ns >= since_ns) and (until_ns is None or each.time_ns <= until_ns)


def _errors_in(file: Path, wanted: str | None) -> Iterable[FoundError]:
    found: dict[str, FoundError] = {}
    outcomes: dict[str, str] = {}
    for line in read_lines(file):
        if line.get("phase") == "end":
            outcomes[text(line, "span_id") or ""] = text(line, "outcome") or ""
        details = _given(line)
        is_trail = text(line, "action") in TRAIL_ACTIONS
        own = text(mapping(line, "exception"), "error_id")
        about = text(details, "error_id")
        # A recovery that failed has an error of its own beside the one it is about.
        for identity in dict.fromkeys(filter(None, (own, about if is_trail or own is None else None))):
            if wanted is None or identity == wanted:
                _note(found, identity, line, file, in_trail=is_trail and identity == about)
    for each in found.values():
        each.handled_by_retry = each.attempt_of is not None and outcomes.get(each.attempt_of) == Outcome.COMPLETED.value
    return found.values()


def _given(line: Line) -> Mapping[str, Any]:
    """What was given to a line: its details; of a flat line (``log_format``) what stands at its top, too."""
    details = mapping(line, "details")
    return {**line, **details} if "error_id" in line else details


def _note(found: dict[str, FoundError], identity: str, line: Line, file: Path, *, in_trail: bool) -> None:
    known = found.get(identity)
    if known is None:
        known = found[identity] = FoundError(identity, file, line, text(line, "task_id"))
    elif "traceback" not in known.exception and "traceback" in _exception_of(line, identity):
        known.line = line
    known.lines += 1
    is_attempt = text(line, "action") == "attempt_failed" and (known.lines == 1 or known.attempt_of is not None)
    known.attempt_of = text(line, "span_id") if is_attempt else None
    if in_trail:
        known.trail.append(line)


def _exception_of(line: Line, identity: str) -> Mapping[str, Any]:
    exception = mapping(line, "exception")
    if text(exception, "error_id") == identity:
        return exception
    # An attempt that failed, or a line of a trail: what is known is in its details.
    details = _given(line)
    fields = {"type": details.get("error_type"), "message": details.get("reason"), "category": details.get("category")}
    return {"error_id": identity, **{key: value for key, value in fields.items() if isinstance(value, str)}}


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors of one kind: of the same class, with messages of the same shape (`shapes.shape_of`)."""

    errors: list[FoundError]
    """The newest first; at least one."""
    handled_by_retry: bool
    """Whether later attempts did what failed with them. Others of the same kind are a group of their own."""

    @property
    def newest(self) -> FoundError:
        """The one that was seen last."""
        return self.errors[0]

    @property
    def task_ids(self) -> list[str]:
        """The tasks they were in, the newest first; none of errors outside of tasks."""
        return list(dict.fromkeys(task for each in self.errors if isinstance(task := each.task_id, str)))

    def as_json(self) -> dict[str, Any]:
        """One flat object."""
        exception = self.newest.exception
        return {
            "count": len(self.errors),
            "type": exception.get("type"),
            "category": exception.get("category"),
            "message": exception.get("message"),
            "first_seen": self.errors[-1].line.get("timestamp"),
            "last_seen": self.newest.line.get("timestamp"),
            "tasks": len(self.task_ids),
            "handled_by_retry": self.handled_by_retry,
            "error_id": self.newest.error_id,
            "task_id": self.newest.task_id,
        }


def error_groups(found: Iterable[FoundError]) -> list[ErrorGroup]:
    """Put errors of one kind together, the one seen last first; those handled by a retry behind the others."""
    kinds: dict[tuple[bool, str, str], list[FoundError]] = {}
    for each in found:
        exception = each.exception
        message = text(exception, "message") or text(each.line, "message") or ""
        kinds.setdefault((each.handled_by_retry, text(exception, "type") or "", shape_of(message)), []).append(each)
    groups = [
        ErrorGroup(sorted(errors, key=lambda each: each.time_ns, reverse=True), handled)
        for (handled, _, _), errors in kinds.items()
    ]
    return sorted(groups, key=lambda group: (group.handled_by_retry, -group.newest.time_ns))

"""Task folders for tests of upkeep, made from tables, with a frozen clock.

A table has one task a line: name, status, age of its end (``10d`` ``3h`` ``7s``), size in bytes, and what else there is to say:
``pending=3`` ``delivered=2`` ``ledger`` ``fresh`` (a file changed this very moment).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.metadata import DELIVERY_KEYS, METADATA_KEYS
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.vocabulary.lines import encode, timestamp

NOW_NS = 1_795_238_521_000_000_000
DAY_NS = 86_400 * 1_000_000_000

_UNITS = {"d": 86_400, "h": 3_600, "s": 1}


def make_tasks(root: Path, table: str) -> None:
    """Make the folders of a table."""
    root.mkdir(mode=0o700, exist_ok=True)
    for row in table.strip().splitlines():
        name, status, age, size, *flags = row.split()
        options = dict(flag.partition("=")[::2] for flag in flags)
        delivery: dict[str, int] = {key: int(options[key]) for key in ("pending", "delivered") if key in options}
        ended_ns = NOW_NS - int(float(age[:-1]) * _UNITS[age[-1]] * 1_000_000_000)
        make_task(root, name, status=status, ended_ns=ended_ns, size_bytes=int(size), delivery=delivery)
        if "ledger" in options:
            write(root / name / ".delivery.jsonl", b"", ended_ns)
        if "fresh" in options:
            os.utime(root / name / layout.METADATA, ns=(NOW_NS, NOW_NS))


def make_task(
    root: Path,
    name: str,
    *,
    status: str = "completed",
    ended_ns: int = NOW_NS - DAY_NS,
    size_bytes: int = 2000,
    delivery: Mapping[str, int] | None = None,
    final: bool = False,
    **metadata: Any,
) -> Path:
    """Make one folder of this size, its files as old as its end; with `final` recovery has nothing to add."""
    folder = root / name
    folder.mkdir(mode=0o700)
    ended = timestamp(ended_ns)
    document: dict[str, Any] = {
        "format_version": 1,
        **dict.fromkeys(METADATA_KEYS),
        "task_id": name,
        "name": name,
        "status": status,
        "tags": [],
    }
    document |= {"created_at": ended, "started_at": ended, "updated_at": ended, "trace_id": None}
    document["completed_at"] = ended if status not in ("pending", "running", "paused") else None
    document["delivery"] = {**dict.fromkeys(DELIVERY_KEYS, 0), **(delivery or {})}
    known = write(folder / layout.METADATA, layout.encode_document(document | metadata), ended_ns)
    if final:
        known += write(folder / layout.FINAL_RESULT, layout.encode_document({"outcome": status, "task_id": name}), ended_ns)
    write(folder / layout.AGENT_OUTPUT, lines(name, ended, size_bytes - known), ended_ns)
    return folder


def lines(name: str, ended: str, size_bytes: int) -> bytes:
    """Lines of a task, so many bytes of them."""
    made, number = b"", 0
    while True:
        line = {"timestamp": ended, "type": "log", "level": "INFO", "task_id": name, "event_id": f"a1-{number}", "message": ""}
        empty = len(encode(line))
        room = size_bytes - len(made)
        assert room >= empty, f"a task of at least {empty - room} bytes more"
        line["message"] = "x" * (room - empty if room < 2 * empty + 200 else 200)
        made += encode(line)
        number += 1
        if len(made) == size_bytes:
            return made


def write(path: Path, data: bytes, time_ns: int = NOW_NS - DAY_NS) -> int:
    """Write a file of mode 0600 and this age; returns its size."""
    path.write_bytes(data)
    path.chmod(0o600)
    os.utime(path, ns=(time_ns, time_ns))
    return len(data)


def names(root: Path) -> list[str]:
    """What readers list below the root."""
    return sorted(name for name in os.listdir(root) if not name.startswith("."))


def tree(root: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below a folder, hidden or not: kind, mode, size, age and bytes."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        if not re.fullmatch(r"\.upkeep\.(lock|json)", path.name):
            found[str(path.relative_to(root))] = (oct(status.st_mode), status.st_mtime_ns if data else None, data)
    return found


def content(folder: Path) -> tuple[Any, ...]:
    """All that a reader reads of a task."""
    task = TaskReader(folder)
    read: list[Any] = [task.metadata(), task.input(), task.final_result()]
    read += [list(task.webhook_flow()), list(task.events()), list(task.control())]
    artifacts = folder / layout.ARTIFACTS
    hashes = (
        sorted({name.removesuffix(".gz") for name in os.listdir(artifacts) if not name.startswith(".")})
        if artifacts.is_dir()
        else []
    )
    read += [(each, b"".join(task.artifact(each))) for each in hashes]
    assert task.problems == []
    return tuple(read)

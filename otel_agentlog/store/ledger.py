"""What is known of the delivery of one task: a file of its own beside the lines, appended to by whoever sends.

Hides the form of ``.delivery.jsonl`` (``docs/format.md``). It is a cache about delivery and never the truth about the task:
without it everything is sent again, with the same ids. One ``write()`` a line, so that a kill costs the line under way at most.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otel_agentlog.store.descriptors import LineFile, open_directory
from otel_agentlog.store.layout import encode, now
from otel_agentlog.store.marks import Marks
from otel_agentlog.store.reader import read_lines

DELIVERY = ".delivery.jsonl"
"""The file's name; hidden, as it is no part of the task."""

SAMPLED = "sampled"
"""Why items are not sent that OpenTelemetry's sampler left out."""


@dataclass
class Ledger:
    """What a folder's file says, taken together."""

    acked: Marks = field(default_factory=Marks)
    """Items that a collector acknowledged."""
    dropped: dict[str, Marks] = field(default_factory=dict)
    """Items that will not be sent, by reason."""
    rejected: int = 0
    """How many of the acknowledged items were rejected; the protocol did not say which."""
    kept: str | None = None
    """Why a task is sent although the sampler left it out."""
    settled: Mapping[str, Any] = field(default_factory=dict)
    """How large the lines' file was, and what was pending, when somebody last looked at all of it."""

    def is_dropped(self, kind: str, event_id: str | None) -> bool:
        """Whether an item will not be sent, for whatever reason."""
        return any(marks.has(kind, event_id) for marks in self.dropped.values())


def read_ledger(folder: Path) -> Ledger:
    """Everything that is known of a task's delivery; nothing, where there is no file or none that can be read."""
    ledger = Ledger()
    for line in read_lines(folder / DELIVERY):
        _add(ledger, line)
    return ledger


def _add(ledger: Ledger, line: Mapping[str, Any]) -> None:
    ledger.acked.update(line.get("acked"))
    rejected, kept, settled = line.get("rejected"), line.get("kept"), line.get("settled")
    if type(rejected) is int and rejected > 0:
        ledger.rejected += rejected
    if "dropped" in line:
        ledger.dropped.setdefault(str(line.get("reason")), Marks()).update(line["dropped"])
    if isinstance(kept, str):
        ledger.kept = kept
    if isinstance(settled, Mapping):
        ledger.settled = settled


def note(folder: Path, **keys: Any) -> None:
    """Add a line. Raises `OSError`; in a folder that is gone nothing is noted.

    ``acked`` and ``dropped`` are `Marks`; ``rejected`` a number beside ``acked``; ``reason`` and ``message`` say why.
    """
    try:
        directory = open_directory(os.fspath(folder))
    except FileNotFoundError:
        return
    line = {"timestamp": now(), **{key: value for key, value in keys.items() if value}}
    for key in ("acked", "dropped"):
        if isinstance(line.get(key), Marks):
            line[key] = line[key].as_json()
    LineFile(directory, DELIVERY).append(encode(line))

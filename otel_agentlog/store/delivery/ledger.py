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

from otel_agentlog.store.delivery.item_set import Marks
from otel_agentlog.store.folder.files import Descriptor, LineFile, open_directory, replace_file
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, METADATA, encode, encode_document, now, temp_name
from otel_agentlog.store.folder.locks import lock_briefly
from otel_agentlog.store.folder.metadata import merged, read_metadata
from otel_agentlog.store.folder.reader import TaskReader, read_lines
from otel_agentlog.vocabulary.coerce import mapping

# -- The receipt in ``metadata.json``: what of a task was recorded, delivered, is pending, or was dropped.
# Hides who may write it how: whoever has the folder to themselves says how things stand, everybody else adds what they did.


@dataclass
class Counts:
    """OTLP items of a task."""

    recorded: int = 0
    delivered: int = 0
    dropped: int = 0

    @property
    def pending(self) -> int:
        """Those that a collector should have and has not."""
        return max(0, self.recorded - self.delivered - self.dropped)


def set_receipt(task: TaskReader, directory: Descriptor, counts: Counts) -> Counts:
    """Say how a task stands that nobody is at work in; returns what was written. Raises `OSError`.

    Where the receipt knows of more items than the lines show, the difference was lost, and counts as dropped.
    """
    found = mapping(task.metadata() or {}, "delivery")
    known = found.get("recorded")
    lost = max(0, known - counts.recorded) if type(known) is int else 0
    wanted = Counts(counts.recorded + lost, counts.delivered, counts.dropped + lost)
    before = {key: value if type(value := found.get(key)) is int else 0 for key in ("recorded", "delivered", "dropped")}
    added = {key: getattr(wanted, key) - before[key] for key in before}
    if any(added.values()) or found.get("pending") != wanted.pending:
        _add_counts(directory, added)
    return wanted


def change_receipt(task: TaskReader, directory: Descriptor, delivered: int, dropped: int) -> None:
    """Add to a receipt that others write too. Raises `OSError`."""
    _add_counts(directory, {"delivered": delivered, "dropped": dropped})


def _add_counts(directory: Descriptor, added: dict[str, int]) -> None:
    with lock_briefly(directory, AGENT_OUTPUT):
        found = read_metadata(directory)
        if not found:
            # What cannot be read must not be replaced by what we happen to know.
            return
        document = encode_document(merged(found, {}, added))
        replace_file(directory, METADATA, temp_name(METADATA, f"{os.urandom(6).hex()}"), document, sync=False)


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

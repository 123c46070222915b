"""What is known of the delivery of one task: the ledger ``.delivery.jsonl`` beside the lines, and counts in ``metadata.json``.

The ledger's form is in ``docs/format.md``; every process that sends appends to it, one ``write()`` a line, so that a kill costs
the line under way at most. It is a cache: without it everything is sent again, with the same ids. The counts are set by a
process that is alone in the folder; others add to them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.store.delivery.item_set import ItemSet
from otel_agentlog.store.folder.files import Descriptor, LineFile, open_directory, replace_file
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, METADATA, encode_document, now, temp_name
from otel_agentlog.store.folder.locks import lock_briefly
from otel_agentlog.store.folder.metadata import is_newer, merged, read_metadata
from otel_agentlog.store.folder.reader import TaskReader, read_lines
from otel_agentlog.vocabulary.coerce import mapping
from otel_agentlog.vocabulary.lines import encode

DELIVERY = ".delivery.jsonl"
"""The file's name; hidden, as it is no part of the task."""

SAMPLED = "sampled"
"""Why items are not sent that OpenTelemetry's sampler left out."""


@dataclass
class Ledger:
    """All lines of a folder's ledger, taken together."""

    acked: ItemSet = field(default_factory=ItemSet)
    """Items that a collector acknowledged."""
    dropped: dict[str, ItemSet] = field(default_factory=dict)
    """Items that will not be sent, by reason."""
    rejected: int = 0
    """How many of the acknowledged items were rejected; the protocol does not carry which."""
    kept: str | None = None
    """Why a task is sent although the sampler left it out."""
    settled: Mapping[str, Any] = field(default_factory=dict)
    """Sizes of the files of lines, signals and pending items when all of it was last sent or found sent."""


def read_ledger(folder: Path) -> Ledger:
    """Read the ledger of a task's folder; it is empty where there is no file, or none that can be read."""
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
        ledger.dropped.setdefault(str(line.get("reason")), ItemSet()).update(line["dropped"])
    if isinstance(kept, str):
        ledger.kept = kept
    if isinstance(settled, Mapping):
        ledger.settled = settled


def note(folder: Path, **keys: Any) -> None:
    """Append a line to the ledger. Raises `OSError`; does nothing where the folder was deleted.

    ``acked`` and ``dropped`` are `ItemSet`s; ``rejected`` is a number beside ``acked``; ``reason`` and ``message`` are why.
    """
    try:
        directory = open_directory(os.fspath(folder))
    except FileNotFoundError:
        return
    line = {"timestamp": now(), **{key: value for key, value in keys.items() if value}}
    for key in ("acked", "dropped"):
        if isinstance(line.get(key), ItemSet):
            line[key] = line[key].as_json()
    file = LineFile(directory, DELIVERY)
    file.append(encode(line))
    file.descriptor.close_at_once()
    directory.close_at_once()


@dataclass
class DeliveryCounts:
    """How many OTLP items of a task there are, as in ``delivery`` of ``metadata.json``."""

    recorded: int = 0
    delivered: int = 0
    dropped: int = 0

    @property
    def pending(self) -> int:
        """Items that a collector should have and has not."""
        return max(0, self.recorded - self.delivered - self.dropped)


def set_counts(task: TaskReader, directory: Descriptor, counts: DeliveryCounts, acked_before: int) -> DeliveryCounts:
    """Set the counts of a task that no process is at work on; returns what was written. Raises `OSError`.

    Where ``metadata.json`` counts more items than the lines show, the lines of the difference are gone: as many of those items as
    ``delivered`` is above ``acked_before``, what the ledger had of the lines, were delivered, and the others count as dropped.
    """
    found = mapping(task.metadata() or {}, "delivery")
    known, delivered = found.get("recorded"), found.get("delivered")
    lost = max(0, known - counts.recorded) if type(known) is int else 0
    taken = min(lost, max(0, delivered - acked_before)) if type(delivered) is int else 0
    wanted = DeliveryCounts(counts.recorded + lost, counts.delivered + taken, counts.dropped + lost - taken)
    before = {key: value if type(value := found.get(key)) is int else 0 for key in ("recorded", "delivered", "dropped")}
    added = {key: getattr(wanted, key) - before[key] for key in before}
    if any(added.values()) or found.get("pending") != wanted.pending:
        add_counts(directory, **added)
    return wanted


def add_counts(directory: Descriptor, **added: int) -> None:
    """Add to ``recorded``, ``delivered`` and ``dropped``, which other processes may change, too. Raises `OSError`."""
    with lock_briefly(directory, AGENT_OUTPUT):
        found = read_metadata(directory)
        if not found or is_newer(found):
            # A file that cannot be read must not be replaced by these counts alone; what was sent is in the ledger.
            return
        document = encode_document(merged(found, {}, added))
        replace_file(directory, METADATA, temp_name(METADATA, os.urandom(6).hex()), document, sync=False)

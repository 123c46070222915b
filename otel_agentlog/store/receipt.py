"""The receipt in ``metadata.json``: what of a task was recorded, delivered, is pending, or was dropped.

Hides who may write it how: whoever has the folder to themselves says how things stand, everybody else adds what they did.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from otel_agentlog.store.descriptors import Descriptor, replace_file
from otel_agentlog.store.fields import mapping
from otel_agentlog.store.layout import AGENT_OUTPUT, METADATA, encode_document, temp_name
from otel_agentlog.store.locks import lock_briefly
from otel_agentlog.store.metadata import merged, read_metadata
from otel_agentlog.store.reader import TaskReader


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
        _add(directory, added)
    return wanted


def change_receipt(task: TaskReader, directory: Descriptor, delivered: int, dropped: int) -> None:
    """Add to a receipt that others write too. Raises `OSError`."""
    _add(directory, {"delivered": delivered, "dropped": dropped})


def _add(directory: Descriptor, added: dict[str, int]) -> None:
    with lock_briefly(directory, AGENT_OUTPUT):
        found = read_metadata(directory)
        if not found:
            # What cannot be read must not be replaced by what we happen to know.
            return
        document = encode_document(merged(found, {}, added))
        replace_file(directory, METADATA, temp_name(METADATA, f"{os.urandom(6).hex()}"), document, sync=False)

"""Hides how a task's new lines are found, from where somebody left off; also in another process, also after a compression."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from otel_agentlog.model import Line
from otel_agentlog.query import row_of
from otel_agentlog.store import AGENT_OUTPUT, CONTROL, FINAL_RESULT, METADATA, WEBHOOK_FLOW, TaskReader
from otel_agentlog.view.server.pages_of_lines import clipped, page_of

FILES = {"webhook-flow": WEBHOOK_FLOW, "agent-output": AGENT_OUTPUT, "control": CONTROL}

_MOST_LINES = 500
_MOST_BYTES = 1024 * 1024
_LOOK_FOR_PROCESS_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Told:
    """One thing to tell whoever follows."""

    event: str
    """``line``, ``status`` or ``end``."""
    data: dict[str, Any]
    position: str | None = None
    """Where to go on after it, where that is known."""


@dataclass
class Follower:
    """One task being followed. For one thread at a time."""

    task: TaskReader
    clip: int = 0
    """Texts are cut to so many characters; 0: never."""
    position: list[int] = field(default_factory=lambda: [0] * len(FILES))
    ended: bool = False
    """Whether nothing more is to be told."""
    _stamps: dict[str, str] = field(default_factory=dict)
    _status: Any = None
    _looked: float = 0.0

    def poll(self) -> list[Told]:
        """Return what is new; bounded, so there may be more at once."""
        over = bool(self.task.stamp(FINAL_RESULT))
        found = [told for number, word in enumerate(FILES) for told in self._lines(number, word)]
        quiet = not found
        found += self._changed_status(quiet)
        if quiet and (over or self._is_gone()):
            self.ended = True
            found.append(Told("end", {"status": row_of(self.task).status}))
        return found

    def _lines(self, number: int, word: str) -> list[Told]:
        name = FILES[word]
        stamp = self.task.stamp(name) + self.task.stamp(FINAL_RESULT)
        if self._stamps.get(name) == stamp:
            return []
        page = page_of(self.task, name, self.position[number], _MOST_LINES, _MOST_BYTES)
        self.position[number] = page.next
        if not page.more:
            self._stamps[name] = stamp
        lines: list[Line] = clipped(page.lines, self.clip) if self.clip else page.lines
        return [
            Told("line", {"file": word, "line": line}, write_position(self.position) if line is lines[-1] else None)
            for line in lines
        ]

    def _changed_status(self, quiet: bool) -> list[Told]:
        stamp = self.task.stamp(METADATA)
        if self._stamps.get(METADATA) == stamp:
            return []
        self._stamps[METADATA] = stamp
        status = (self.task.metadata() or {}).get("status")
        if status == self._status:
            return []
        self._status = status
        return [Told("status", {"status": status})]

    def _is_gone(self) -> bool:
        now = time.monotonic()
        if now - self._looked < _LOOK_FOR_PROCESS_SECONDS:
            return False
        self._looked = now
        return not self.task.folder.is_dir() or row_of(self.task).process_gone


def write_position(position: list[int]) -> str:
    """A position as text: an offset for each of `FILES`."""
    return ".".join(map(str, position))


def read_position(text: str | None) -> list[int] | None:
    """The position in a text of `write_position`; ``None`` if it is none."""
    parts = (text or "").split(".")
    good = len(parts) == len(FILES) and all(part.isascii() and part.isdigit() and len(part) <= 15 for part in parts)
    return [int(part) for part in parts] if good else None

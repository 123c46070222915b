"""What is said in a task, whole or in chunks, and how it moves, as lines.

A whole text is recorded at once. Of a chunk, what could be the beginning of a secret is held back until the next chunks show
what it is, or until the stream ends; so a secret that is split over chunks is never written in pieces. That much, and no more,
is not on disk yet when the call returns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import State


class Guard(Protocol):
    """Redacts one stream of text."""

    redacted: int

    def feed(self, chunk: str) -> str: ...
    def flush(self) -> str: ...


class Streams:
    """The open streams of one task, by kind of content."""

    def __init__(self, new_guard: Callable[[], Guard] | None) -> None:
        self._new_guard = new_guard
        self._guards: dict[str, Guard] = {}
        self._lock = threading.RLock()

    def take(self, kind: str, chunk: str) -> str:
        """What of this chunk, and of those before it, may be recorded now."""
        if self._new_guard is None:
            return chunk
        with self._lock:
            guard = self._guards.get(kind)
            if guard is None:
                guard = self._guards[kind] = self._new_guard()
            return guard.feed(chunk)

    def rest(self, kind: str | None = None) -> dict[str, str]:
        """End the streams of this kind, or all; what was held back of each."""
        if not self._guards:
            return {}
        with self._lock:
            kinds = [kind] if kind is not None else list(self._guards)
            ended = {each: self._guards.pop(each) for each in kinds if each in self._guards}
            return {each: rest for each, guard in ended.items() if (rest := guard.flush())}


def content_line(kind: str, text: str, details: dict[str, Any]) -> Line:
    """One piece of what was said."""
    line: Line = {"type": kind, "level": "INFO", "component": "agent", "action": "content_recorded", "content": text}
    if details:
        line["details"] = details
    return line


def state_line(name: str, before: State, after: State, action: str, reason: str | None) -> Line:
    """A task has moved from one state to another."""
    line: Line = {
        "type": "state",
        "level": "INFO",
        "component": "state_management",
        "action": action,
        "message": f"{name}: {before} → {after}",
        "state_before": before.value,
        "state_after": after.value,
    }
    return {**line, "reason": reason} if reason is not None else line

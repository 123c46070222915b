"""Texts of the agent, its user and the system, recorded whole or in chunks of a stream.

Of a chunk, what could be the beginning of a secret is held back until the next chunks show what it is, or until the stream
ends: so a secret that is split over chunks is never written in pieces. That much, and no more, is not on disk yet when the call
returns. A stream ends with the operation it is recorded in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from otel_agentlog.vocabulary.chunks import CHUNK
from otel_agentlog.vocabulary.envelope import TaskRef
from otel_agentlog.vocabulary.lines import Line


class Guard(Protocol):
    """Redacts one stream of text."""

    def feed(self, chunk: str) -> str: ...
    def flush(self) -> str: ...


class Records(Protocol):
    """Where lines are recorded: the recorder."""

    def point(self, line: Line, task: TaskRef | None, ids: Mapping[str, str], *, sampled: bool = True) -> object: ...


class Speaking(Protocol):
    """Where a text is recorded: an operation."""

    sampled: bool

    @property
    def span_id(self) -> str: ...
    def ids(self) -> dict[str, str]: ...


class _Stream:
    """One text that is recorded in chunks."""

    def __init__(self, place: Speaking, guard: Guard | None) -> None:
        self.ids, self.sampled = place.ids(), place.sampled
        self.guard, self.chunks = guard, 0


class Streams:
    """The open streams of one task, by the span they are recorded in and the kind of content."""

    def __init__(self, new_guard: Callable[[], Guard] | None) -> None:
        self._new_guard = new_guard
        self._open: dict[tuple[str, str], _Stream] = {}
        self._lock = threading.RLock()

    def take(self, kind: str, chunk: str, place: Speaking) -> tuple[str, int]:
        """What of this chunk, and of those before it, may be recorded now, and its number; 0 if that is nothing."""
        key = place.span_id, kind
        with self._lock:
            stream = self._open.get(key)
            if stream is None:
                stream = self._open[key] = _Stream(place, None if self._new_guard is None else self._new_guard())
            ready = chunk if stream.guard is None else stream.guard.feed(chunk)
            stream.chunks += bool(ready)
            return ready, stream.chunks if ready else 0

    def record_rest(self, record: Records, task: TaskRef | None, span_id: str | None = None, kind: str | None = None) -> None:
        """End the streams of this span and kind, or all, and record what was held back of each where it belongs."""
        for line, stream in self._rest(span_id, kind):
            record.point(line, task, stream.ids, sampled=stream.sampled)

    def _rest(self, span_id: str | None, kind: str | None) -> list[tuple[Line, _Stream]]:
        if not self._open:
            return []
        with self._lock:
            ended = [each for each in self._open if span_id in (None, each[0]) and kind in (None, each[1])]
            streams = [(each[1], self._open.pop(each)) for each in ended]
        held = [(each, stream, stream.guard.flush()) for each, stream in streams if stream.guard is not None]
        return [(content_line(each, rest, {}, stream.chunks + 1), stream) for each, stream, rest in held if rest]


def content_line(kind: str, text: str, details: dict[str, Any], chunk: int = 0) -> Line:
    """The line of one text, or of a chunk of one."""
    line: Line = {"type": kind, "level": "INFO", "component": "agent", "action": "content_recorded", "content": text}
    if chunk:
        line[CHUNK] = chunk
    if details:
        line["details"] = details
    return line

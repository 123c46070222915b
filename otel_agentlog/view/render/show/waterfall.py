"""When each part of a task ran, as bars below one axis of time."""

from __future__ import annotations

from collections.abc import Iterable

from otel_agentlog._startup import dataclass
from otel_agentlog.query import Entry
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import Glyphs
from otel_agentlog.vocabulary.terminal_text import width


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The axis: from `start_ns` to `end_ns`, Unix nanoseconds, on so many columns."""

    start_ns: int
    end_ns: int
    columns: int
    glyphs: Glyphs

    def bar(self, entry: Entry) -> str:
        """The bar of an entry, at least one eighth of a column; empty if its time is not known."""
        if entry.start_ns is None:
            return ""
        span_ns = max(1, self.end_ns - self.start_ns)
        parts = len(self.glyphs.parts) + 1
        begins = (entry.start_ns - self.start_ns) / span_ns * self.columns
        length = (end_of(entry) - entry.start_ns) / span_ns * self.columns
        before = min(self.columns - 1, max(0, int(begins)))
        eighths = min(max(1, round(length * parts)), (self.columns - before) * parts)
        full, rest = divmod(eighths, parts)
        return " " * before + self.glyphs.bar * full + (self.glyphs.parts[rest - 1] if rest else "")

    def axis(self) -> str:
        """The line above the bars: the times of the first and the last column."""
        end = formats.duration((self.end_ns - self.start_ns) / 1e6)
        return "0" + " " * max(1, self.columns - 1 - width(end)) + end


def end_of(entry: Entry) -> int:
    """When an entry ended, in Unix nanoseconds; of an open one, as far as is known."""
    start = entry.start_ns or 0
    return max(start, entry.end_ns if entry.end_ns is not None else start + int((entry.duration_ms or 0) * 1e6))


def time_span(entries: Iterable[Entry]) -> tuple[int, int] | None:
    """The first start and the last end in Unix nanoseconds; ``None`` if no time is known."""
    known = [(entry.start_ns, end_of(entry)) for entry in entries if entry.start_ns is not None]
    return (min(start for start, _ in known), max(end for _, end in known)) if known else None

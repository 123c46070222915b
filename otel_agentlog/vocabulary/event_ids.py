"""The ``event_id`` of a line: ``<tag>-<n>``, one tag for each process and task, ``n`` without a gap.

So a reader of a folder sees whether a line is missing. The recorder numbers every line before any sink sees it; a line that
is lost keeps its number, so the gap shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count

from otel_agentlog._platform.fork import after_fork_in_child, random_bits
from otel_agentlog._startup import lazy_pattern

EVENT_ID = lazy_pattern(r"(.+)-(0|[1-9][0-9]{0,17})", re.DOTALL)
"""Tag and number of an id like ``a1f3-12``, with `fullmatch`."""


KEY = ("event_id",)


class EventIds:
    """Gives out the ids of one process's lines in one task. Safe from any thread; the child of a fork has a tag of its own."""

    __slots__ = ("__weakref__", "_first", "each", "next", "tag")

    each: Iterator[str]
    """The ids of the lines to come. Made in C, since every line passes here.

    ``line.update(zip(KEY, ids.each))`` numbers a line in one step: whenever a signal handler raises, a number that was taken is
    on a line, and no other thread gets the same one, wherever a garbage collection lets it in.
    """
    next: Callable[[], str]
    """The id of the next line."""

    def __init__(self, first: int = 1) -> None:
        """``first`` is the number of the first line. In a task folder 0 is the process line's."""
        self._first = first
        self.renew_after_fork()
        after_fork_in_child(self.renew_after_fork)

    def renew_after_fork(self) -> None:
        """In the child of a fork: a tag of its own."""
        tag = f"{random_bits(32):08x}"
        # Floats, which are exact here. To write an int, Python looks for signals, when its number is taken already; and where a
        # tuple is made a garbage collection may come (up to 3.11), in which another thread takes the same number.
        self.each = map(f"{tag}-%.0f".__mod__, count(float(self._first), 1.0))
        self.next = self.each.__next__
        self.tag = tag

    @property
    def of_process_line(self) -> str:
        """The id of the process line."""
        return f"{self.tag}-0"


def split_event_id(event_id: object) -> tuple[str, int] | None:
    """Return the tag and number of an ``event_id`` like ``a1f3-12``; ``None`` if it has another form."""
    match = EVENT_ID.fullmatch(event_id) if isinstance(event_id, str) else None
    return None if match is None else (match[1], int(match[2]))

"""How much one request, one answer and all of them together may take."""

from __future__ import annotations

from otel_agentlog._startup import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """From which size or time on a request is refused, an answer cut, a connection closed."""

    page_rows: int = 500
    """Most tasks of one page of the list."""
    page_lines: int = 2_000
    """Most lines of one page of a file."""
    page_bytes: int = 4 * 1024 * 1024
    """Bytes of lines after which a page ends; it has at least one line, whatever its size."""
    tree_parts: int = 20_000
    """Most parts (steps, AI calls, tool runs …) of one task's tree."""
    path_bytes: int = 2_048
    """Longest path of a request."""
    query_bytes: int = 4_096
    """Longest query string of a request."""
    body_bytes: int = 64 * 1024
    """Longest body of a request."""
    text_characters: int = 16_000
    """Longest text given to a task."""
    streams: int = 64
    """Most live streams at a time."""
    connections: int = 256
    """Most connections at a time."""
    stream_seconds: float = 3_600.0
    """Longest life of a live stream; clients connect again and go on from where it ended."""
    header_seconds: float = 5.0
    """Longest time from the connection to the end of a request's head."""
    stall_seconds: float = 30.0
    """Longest time in which a client reads nothing of its answer."""
    poll_seconds: float = 0.25
    """Seconds between two readings of a followed task."""
    overview_seconds: float = 1.0
    """Least seconds between two readings of the overview."""

"""Hides how much one request, one answer and all of them together may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused, cut or ended, and from where on."""

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
    """Longest life of a live stream; whoever listens begins again from where it ended."""
    header_seconds: float = 5.0
    """Longest time in which a request must have come."""
    stall_seconds: float = 30.0
    """Longest time for which a client may take nothing of its answer."""
    poll_seconds: float = 0.25
    """How often a followed task is looked at."""
    overview_seconds: float = 1.0
    """How often, at most, the overview is made anew."""

"""The only module that touches RE2: gives it types, and options that suit redaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import re2  # type: ignore[import-untyped]  # ships neither stubs nor a marker

MAX_MEM_BYTES = 64 << 20
"""Bound for one program and its state cache; the joined rules use 1 to 4 MB of it on ordinary text."""


class Match(Protocol):
    """What a search found."""

    def start(self, group: int = 0) -> int: ...
    def span(self, group: int = 0) -> tuple[int, int]: ...


class Regexp(Protocol):
    """A compiled pattern. Any thread may use it; searches run without the GIL, in time linear to the text."""

    @property
    def groupindex(self) -> Mapping[bytes, int]: ...
    def search(self, text: bytes | memoryview, pos: int = 0) -> Match | None: ...
    def match(self, text: bytes | memoryview, pos: int = 0) -> Match | None: ...


class Chooser:
    """Says which of many patterns match at the beginning of a text, in one search."""

    def __init__(self, patterns: Sequence[str], *, utf8: bool) -> None:
        self._set = re2.Set.MatchSet(_options(utf8=utf8, capture=False))
        for pattern in patterns:
            self._set.Add(pattern.encode())
        self._set.Compile()

    def matching(self, text: bytes) -> list[int]:
        """Indexes in order; empty also if RE2 ran out of memory."""
        return sorted(self._set.Match(text) or ())


def compiled(pattern: str, *, utf8: bool = True, capture: bool = True, generation: int = 0) -> Regexp:
    """Compile a pattern to be searched in UTF-8 bytes; without ``utf8`` it sees single bytes, which is faster.

    Another ``generation`` gives another program for the same pattern instead of the one that ``re2`` remembers.

    Raises:
        ValueError: RE2 does not accept the pattern; the text is RE2's.
    """
    try:
        regexp: Regexp = re2.compile(pattern.encode(), _options(utf8=utf8, capture=capture, generation=generation))
    except re2.error as error:
        reason = error.args[0] if error.args else b"not accepted"
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    return regexp


def _options(*, utf8: bool, capture: bool, generation: int = 0) -> re2.Options:
    options = re2.Options()
    options.max_mem = MAX_MEM_BYTES + generation
    options.never_capture = not capture
    options.log_errors = False
    if not utf8:
        options.encoding = re2.Options.Encoding.LATIN1
    return options

"""The shape of a text: what it has in common with others that differ in a number, an id or a time alone."""

from __future__ import annotations

import re

PLACE = "#"
"""Stands for what differs."""

_DIFFERS = re.compile(
    r"""
    0x[0-9a-f]+                                    # an address
    | [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}  # a UUID
    | (?<![^\W_])(?=[a-z]*\d)[0-9a-z]{7,}(?![^\W_])    # an id: letters and digits
    | \d+(?:[.,:]\d+)*                             # a number, a time, an address
    """,
    re.IGNORECASE | re.VERBOSE,
)
MAX_LENGTH = 2000
"""Characters that are looked at."""


def shape_of(text: str) -> str:
    """``Review PR 42`` → ``Review PR #``, ``no task-7f3a1c9e2b40`` → ``no task-#``."""
    return _DIFFERS.sub(PLACE, text[:MAX_LENGTH])

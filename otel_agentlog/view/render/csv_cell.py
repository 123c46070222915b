"""One value as a cell of CSV that no spreadsheet runs."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from otel_agentlog.vocabulary.terminal_text import safe_lines

_FORMULA = "=+-@"
_PASSED_OVER = re.compile(r"""[\s"'`\x00-\x1f\x7f-\x9f]*""")
"""What spreadsheets, and what cleans up tables for them, may skip in front of a formula."""


def csv_cell(value: Any) -> str:
    """The text of a cell: numbers as they are, of texts those that begin like a formula behind a quote; empty for the rest."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return "" if isinstance(value, (dict, list)) else _short(value)
    text = "\n".join(safe_lines(value))
    first = text[_PASSED_OVER.match(text).end() :][:1]  # type: ignore[union-attr]
    # A spreadsheet would run what begins like a formula, in wide characters and behind a line break too.
    acts = unicodedata.normalize("NFKC", first)[:1] in _FORMULA if first else False
    return f"'{text}" if acts or value[:1] in ("\t", "\r", "\n") else text


def _short(value: Any) -> str:
    try:
        return str(value)
    except ValueError:
        return ""  # an integer of more digits than Python writes

"""An index of the directory's texts: lines, open TODOs, tests. Made in the background once somebody misses it.

Hides how much is read of how many files. The index is a JSON file in the worker's own scratch directory; until it is there,
reading it fails as reading any missing file does.
"""

from __future__ import annotations

import json
import os
import re
import threading
from typing import Any

from otel_agentlog.demo.survey import FoundFile, Survey, is_binary, read_start

MOST_FILES = 2_000
MOST_BYTES_OF_A_FILE = 256 * 1024
MOST_BYTES = 16 * 1024 * 1024
"""Bounds of one index: files read, bytes of each, bytes of all."""

_TODO = re.compile(rb"(?:#|//|/\*|--|;|<!--)[ \t]*(?:TODO|FIXME|XXX)\b")
"""Only in comments: a text about TODOs is none."""
_TEST = re.compile(rb"^\s*(?:async\s+)?def\s+test_\w*|^\s*(?:it|test)\(", re.MULTILINE)
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.[a-z]+$|(^|/)tests?/", re.IGNORECASE)


class Index:
    """The index file and the thread that makes it."""

    def __init__(self, survey: Survey, scratch: str) -> None:
        self._survey = survey
        self._path = os.path.join(scratch, "index.json")
        self._maker: threading.Thread | None = None

    def read(self) -> dict[str, Any]:
        """The index. The first reader finds none and sets the maker to work.

        Raises:
            FileNotFoundError: it is not there yet.
        """
        try:
            with open(self._path, encoding="utf-8") as file:
                found: dict[str, Any] = json.load(file)
                return found
        except FileNotFoundError:
            if self._maker is None:
                self._maker = threading.Thread(target=self._make, name="indexer", daemon=True)
                self._maker.start()
            raise

    def _make(self) -> None:
        prepared = f"{self._path}.tmp"
        with open(prepared, "w", encoding="utf-8") as file:
            json.dump(count(self._survey), file)
        os.replace(prepared, self._path)


def count(survey: Survey) -> dict[str, Any]:
    """Lines, TODOs and tests of the texts, and how many files were texts, binary, unreadable, or left unread."""
    found = {"texts": 0, "lines": 0, "todos": 0, "tests": 0, "test_files": 0, "binary": 0, "unreadable": 0, "unread": 0}
    left_bytes = MOST_BYTES
    for number, file in enumerate(survey.files):
        if number >= MOST_FILES or left_bytes <= 0:
            found["unread"] = len(survey.files) - number
            break
        left_bytes -= _count_file(file, found)
    return found


def _count_file(file: FoundFile, found: dict[str, int]) -> int:
    # What says it is empty has nothing to read; in /proc it might have no end.
    if file.size_bytes == 0:
        return 0
    try:
        data = read_start(file.path, MOST_BYTES_OF_A_FILE)
    except OSError:
        found["unreadable"] += 1
        return 0
    if is_binary(data):
        found["binary"] += 1
        return len(data)
    found["texts"] += 1
    found["lines"] += data.count(b"\n")
    found["todos"] += len(_TODO.findall(data))
    if _TEST_FILE.search(file.name):
        found["test_files"] += 1
        found["tests"] += len(_TEST.findall(data))
    return len(data)

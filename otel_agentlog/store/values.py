"""Hides how a value that is not JSON, or too large for a line, stands in a line.

Tagged objects with one key: ``{"$bytes": …}``, ``{"$float": …}``, ``{"$artifact": {"sha256": …, "size_bytes": …, …}}``. An object
that looks like one but is not well-formed stays what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from otel_agentlog.model import Line
from otel_agentlog.store.lines import MAX_LINE_BYTES
from otel_agentlog.store.reader import TaskReader
from otel_agentlog.tagged import untagged


def decoded(value: Any) -> Any:
    """Return a value from a line with tagged bytes and floats as such."""
    return untagged(value)


def with_artifacts(value: Any, task: TaskReader) -> Any:
    """Return a value from a line of `task` with artifacts put back in full, where they are there and of bearable size."""
    return _replaced(value, lambda tag, content: _artifact(task, content) if tag == "$artifact" else None)


def whole(line: Line, task: TaskReader) -> Line:
    """Return a line as it was before parts of it were moved to artifacts; cheap where none were, as nearly always."""
    moved = any(isinstance(value, dict) and "$artifact" in value for value in line.values())
    found: Line = with_artifacts(line, task) if moved else line
    return found


def _replaced(value: Any, replacement: Callable[[str, Any], Any]) -> Any:
    """Return `value` with each tagged object replaced, unless its `replacement` is ``None``. Lines are at most 200 deep."""
    if isinstance(value, list):
        return [_replaced(item, replacement) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((tag, content),) = value.items()
        found = replacement(tag, content) if tag[:1] == "$" else None
        if found is not None:
            return found
    return {key: _replaced(item, replacement) for key, item in value.items()}


def _artifact(task: TaskReader, reference: Any) -> Any:
    if not isinstance(reference, Mapping):
        return None
    sha256, size = reference.get("sha256"), reference.get("size_bytes")
    if not isinstance(sha256, str) or not isinstance(size, int) or size > MAX_LINE_BYTES:
        return None
    raw = b"".join(task.artifact(sha256))
    if len(raw) != size:
        return None
    try:
        return orjson.loads(raw) if reference.get("media_type") == "application/json" else raw.decode()
    except ValueError:
        return None

"""Hides in which order a repair is written, so that it can be cut short anywhere and done again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import Any

from otel_agentlog.model import Line, State, count_items
from otel_agentlog.store.descriptors import Descriptor, LineFile, open_directory, replace_file
from otel_agentlog.store.documents import final_result
from otel_agentlog.store.fields import mapping, text
from otel_agentlog.store.layout import (
    AGENT_OUTPUT,
    ARTIFACTS,
    FINAL_RESULT,
    INPUT,
    METADATA,
    encode_document,
    is_temp_name,
    now,
    temp_name,
)
from otel_agentlog.store.metadata import METADATA_KEYS, merged
from otel_agentlog.store.recovery_case import Case, valid_time
from otel_agentlog.store.recovery_lines import Closing

_FROM_DETAILS = (("assigned_agent", "agent"), *((key, key) for key in ("agent_type", "model", "source", "provider", "tags")))
_FROM_LINE = ("trace_id", "correlation_id", "session_id", "instance_id")


def write_closing(directory: Descriptor, case: Case, closing: Closing, *, dry_run: bool = False) -> str | None:
    """Append the lines and bring the whole files up to date; returns the status then, ``None`` if nothing was to do.

    Raises `OSError`; what was written until then stands, and the next repair goes on from there.
    """
    ends = case.has_begun and not (case.is_finished and case.metadata is not None)
    heals = case.metadata is None and case.is_something
    if not (closing.lines or ends or heals):
        return None
    status = case.outcome if case.has_begun else case.status or State.PENDING.value
    if dry_run:
        return status
    if closing.lines:
        output = LineFile(directory, AGENT_OUTPUT)
        output.append(closing.encoded())
        output.sync()
    for line in closing.lines:
        case.tally.add(line)
    _Documents(directory, case, closing).write(status, ends)
    _remove_leftovers(directory)
    return status


class _Documents:
    """The whole files of a case."""

    def __init__(self, directory: Descriptor, case: Case, closing: Closing) -> None:
        self._directory, self._case, self._closing = directory, case, closing
        self._tag = secrets.token_hex(6)

    def write(self, status: str, ends: bool) -> None:
        """``01`` where it was cut off, ``04`` where it is missing, ``metadata.json`` last."""
        if _is_empty(self._directory, INPUT):
            given = {"task_id": self._case.task_id, "timestamp": self._case.tally.first_seen or now(), "input": None}
            self._replace(INPUT, {**given, "source": None, "provider": None})
        changes: dict[str, Any] = {"status": status}
        if ends:
            end = self._end(status)
            changes["completed_at"] = end["timestamp"]
            result = self._case.result
            if result is None or result["outcome"] != status:
                kept = (result or {}).get("result")
                self._replace(FINAL_RESULT, final_result(end, kept, self._case.tally, self._case.task_id))
        self._replace(METADATA, merged(self._known(), changes, self._counts()))

    def _replace(self, name: str, document: Mapping[str, Any]) -> None:
        replace_file(self._directory, name, temp_name(name, self._tag), encode_document(document), sync=True)

    def _end(self, status: str) -> Line:
        """The line that ended the task, or what stands for it where there is no line of it at all."""
        found = self._closing.task_end or self._case.task_end
        if found is not None and text(found, "timestamp"):
            return {**found, "outcome": status, "exception": dict(mapping(found, "exception")) or None}
        known = self._case.metadata or {}
        at = (self._case.result or {}).get("completed_at") or known.get("completed_at") or self._case.tally.last_seen
        return {"timestamp": at or known.get("updated_at") or now(), "outcome": status}

    def _known(self) -> dict[str, Any]:
        """``metadata.json`` as it is, with what it lost put back from the lines."""
        case, found = self._case, dict(self._case.metadata or {})
        start = case.task_start or {}
        details = mapping(start, "details")
        again: dict[str, Any] = {
            "task_id": case.task_id,
            "name": text(start, "message"),
            "created_at": case.tally.first_seen,
            "started_at": valid_time(start),
            **{key: start.get(key) for key in _FROM_LINE},
            **{key: details.get(source) for key, source in _FROM_DETAILS},
        }
        if start.get("trace_id") and start.get("span_id"):
            again["traceparent"] = f"00-{start['trace_id']}-{start['span_id']}-{start.get('trace_flags', 1):02x}"
        if case.metadata is None:
            return again
        return {**again, **{key: value for key, value in found.items() if value is not None or key not in METADATA_KEYS}}

    def _counts(self) -> dict[str, int]:
        """What the dead had recorded and not counted yet."""
        content = text(self._closing.lines[0], "content_policy") or "off" if self._closing.lines else "off"
        items = self._case.items + sum(count_items(line, content) for line in self._closing.lines)
        known = mapping(self._case.metadata or {}, "delivery").get("recorded")
        return {"recorded": max(0, items - (known if isinstance(known, int) else 0))}


def _is_empty(directory: Descriptor, name: str) -> bool:
    try:
        return os.stat(name, dir_fd=directory.fd, follow_symlinks=False).st_size == 0
    except OSError:
        return False


def _remove_leftovers(directory: Descriptor) -> None:
    """Delete files that somebody was preparing when he died."""
    places = [directory]
    try:
        places.append(open_directory(ARTIFACTS, directory))
    except OSError:
        pass
    for place in places:
        for name in os.listdir(place.fd):
            if is_temp_name(name):
                os.unlink(name, dir_fd=place.fd)

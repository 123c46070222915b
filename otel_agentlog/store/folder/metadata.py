"""``metadata.json`` and the root of the tasks: reading them without following anything planted, and merging what several
processes know."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.store.folder.files import Descriptor, open_directory
from otel_agentlog.store.folder.layout import METADATA, folder_names
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.vocabulary.lines import FORMAT_VERSION, timestamp

METADATA_KEYS = (
    *(
        "task_id",
        "parent_task_id",
        "name",
        "source",
        "provider",
        "created_at",
        "started_at",
        "updated_at",
        "completed_at",
        "status",
    ),
    *("assigned_agent", "agent_type", "model", "correlation_id", "session_id", "instance_id", "trace_id", "traceparent", "tags"),
)
DELIVERY_KEYS = ("recorded", "delivered", "pending", "dropped", "redacted", "truncated")


_NO_METADATA: Mapping[str, Any] = {"format_version": FORMAT_VERSION, **dict.fromkeys(METADATA_KEYS), "delivery": None}
_NO_DELIVERY = dict.fromkeys(DELIVERY_KEYS, 0)
_DOCUMENT_KEYS = _NO_METADATA.keys()

MAX_METADATA_BYTES = 1 << 20
USUAL_METADATA_BYTES = 1 << 14
"""What is read first: for a buffer of the most there may be the kernel maps memory, and takes it back."""


def is_newer(metadata: Mapping[str, Any]) -> bool:
    """Whether a later release wrote it, in a format with keys that would be lost if it was written from here."""
    version = metadata.get("format_version")
    return type(version) is int and version > FORMAT_VERSION


def merged(found: Mapping[str, Any], changes: Mapping[str, Any], delivery: Mapping[str, int]) -> dict[str, Any]:
    """The document with these keys changed and these counts added to its receipt."""
    document: dict[str, Any] = {**_NO_METADATA, **found, **changes, "format_version": FORMAT_VERSION}
    for key in document.keys() - _DOCUMENT_KEYS:
        del document[key]
    document["tags"] = document["tags"] or []
    document["updated_at"] = timestamp(time.time_ns())
    before = document["delivery"]
    receipt = {**_NO_DELIVERY, **delivery}
    if isinstance(before, dict):
        for key in DELIVERY_KEYS:
            receipt[key] += _count(before.get(key))
    receipt["pending"] = max(0, receipt["recorded"] - receipt["delivered"] - receipt["dropped"])
    document["delivery"] = receipt
    return document


def open_root(root: Path) -> Descriptor:
    """Open the folder that holds the tasks, made with mode 0700 if it is not there."""
    try:
        return open_directory(os.fspath(root))
    except FileNotFoundError:
        root.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.mkdir(root, 0o700)
        except FileExistsError:
            pass
        return open_directory(os.fspath(root))


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def size_of(path: Path) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except OSError:
        raise_interrupt()
        return 0


def read_metadata(directory: Descriptor) -> dict[str, Any]:
    try:
        # No `Descriptor`: no other code comes between.
        fd = system.open(METADATA, system.READ, dir_fd=directory.fd)
        try:
            data = os.read(fd, USUAL_METADATA_BYTES)
            if len(data) == USUAL_METADATA_BYTES:
                data += os.read(fd, MAX_METADATA_BYTES - USUAL_METADATA_BYTES)
            found = orjson.loads(data)
        finally:
            system.close(fd)
    except (OSError, ValueError):
        raise_interrupt()
        return {}
    return found if isinstance(found, dict) else {}


def find_metadata(root: Path, task_id: str) -> dict[str, Any]:
    """``metadata.json`` of a task id; empty if there is no such task."""
    try:
        parent = open_directory(os.fspath(root))
    except OSError:
        raise_interrupt()
        return {}
    for name in folder_names(task_id):
        try:
            found = read_metadata(open_directory(name, parent))
        except OSError:
            raise_interrupt()
            return {}
        if found.get("task_id") == task_id:
            return found
    return {}


def find_input(root: Path, task_id: str) -> Any:
    """The input of a task, from its ``01-input.json``; ``None`` if there is no such task."""
    try:
        found = find_task(root, task_id).input()
    except (TaskNotFoundError, OSError):
        raise_interrupt()
        return None
    return found.get("input") if found else None

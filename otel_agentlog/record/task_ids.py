"""Task ids: new ones, and those that users give."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from otel_agentlog.record.recorder import Recorder
from otel_agentlog.record.values_names import plain_text


def new_task_id() -> str:
    """A task id that no other task has, e.g. ``task-3f9a0c12be77``."""
    return f"task-{secrets.token_hex(6)}"


def safe_task_id(given: Any, record: Recorder) -> str:
    """A new task id, or the given one without secrets; two ids stay two ids."""
    text = "" if given is None else plain_text(given)
    if not text:
        return new_task_id()
    cleaned = record.clean_text(text)
    if cleaned == text:
        return text
    return f"{cleaned}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"

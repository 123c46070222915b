"""Hides how states and kinds look to people: their signs, styles and names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_agentlog.view.render.screen import Glyphs, Piece
from otel_agentlog.vocabulary.terminal_text import safe

STYLE_OF_STATE = {
    "completed": "ok",
    "failed": "bad",
    "timed_out": "bad",
    "interrupted": "warn",
    "cancelled": "warn",
    "running": "run",
    "paused": "warn",
    "pending": "dim",
}

KIND_NAMES = {
    "ai_call": "ai",
    "tool_run": "tool",
    "subtask": "sub-task",
    "queue_push": "push",
    "queue_pickup": "pickup",
    "segment": "process",
}
"""Short names of kinds, where the kind's own is not one."""

KIND_STYLES = {"ai_call": "ai", "tool_run": "tool"}


def sign(status: str, glyphs: Glyphs) -> Piece:
    """The sign of a state."""
    signs = {
        "completed": glyphs.ok,
        "failed": glyphs.bad,
        "timed_out": glyphs.bad,
        "interrupted": glyphs.warn,
        "cancelled": glyphs.stop,
        "running": glyphs.run,
        "paused": glyphs.pause,
        "pending": glyphs.wait,
    }
    return Piece(signs.get(status, "?"), STYLE_OF_STATE.get(status, ""))


def state_word(status: str) -> str:
    """A state in words: ``timed out``."""
    return safe(status.replace("_", " "))


def error_text(error: Mapping[str, Any]) -> str:
    """``ValueError: boom``, whatever the exception object holds."""
    parts = (safe(part) for key in ("type", "message") if isinstance(part := error.get(key), str) and part)
    return ": ".join(parts) or "an error"


def error_id(error: Mapping[str, Any]) -> str:
    """The id people search for; empty if there is none."""
    found = error.get("error_id")
    return safe(found) if isinstance(found, str) else ""

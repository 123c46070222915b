"""Signs, styles and names of states, kinds and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_agentlog.view.render.screen import Glyphs, Piece
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.terminal_text import safe

STATE_STYLES = {
    "completed": "ok",
    "failed": "bad",
    "timed_out": "bad",
    "interrupted": "warn",
    "cancelled": "warn",
    "running": "run",
    "paused": "warn",
    "pending": "dim",
}
"""The style of each state; a key of `screen.STYLES`."""

KIND_NAMES = {
    "ai_call": "ai",
    "tool_run": "tool",
    "subtask": "sub-task",
    "queue_push": "push",
    "queue_pickup": "pickup",
    "segment": "process",
}
"""Short names of kinds; the others are shown as they are."""

KIND_STYLES = {"ai_call": "ai", "tool_run": "tool"}


def sign(status: str, glyphs: Glyphs) -> Piece:
    """The sign of a state, in its style."""
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
    return Piece(signs.get(status, "?"), STATE_STYLES.get(status, ""))


def state(status: str, before: str = "") -> Piece:
    """A state in words and in its style: ``timed out``; `before` is put in front of it."""
    return Piece(before + state_text(status), STATE_STYLES.get(status, ""))


def state_text(status: str) -> str:
    """A state in words: ``timed out``."""
    return safe(status.replace("_", " "))


def error_text(error: Mapping[str, Any]) -> str:
    """``ValueError: boom``, whatever the exception object holds."""
    return ": ".join(safe(part) for key in ("type", "message") if (part := text(error, key))) or "an error"


def error_id(error: Mapping[str, Any]) -> str:
    """The id to search for with ``agentlog errors ID``; empty if there is none."""
    return safe(text(error, "error_id") or "")

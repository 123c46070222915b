"""How requests and what they came to are put as lines."""

from __future__ import annotations

from typing import Any

from otel_agentlog.model import ControlRequest, Line

COMPONENT = "user_interaction"


def who(asked: ControlRequest) -> str:
    """Who asked, and where."""
    return f"{asked.requested_by} ({asked.source})"


def event(action: str, message: str, *, level: str = "INFO", reason: str | None = None, **details: Any) -> Line:
    """Something that a user did, or that was done because of it."""
    line: Line = {"type": "event", "level": level, "component": COMPONENT, "action": action, "message": message}
    if reason is not None:
        line["reason"] = reason
    return {**line, "details": details} if details else line


def request_event(action: str, asked: ControlRequest, effect: str | None) -> Line:
    """A request was met; ``effect`` is what it changes, if anything. The text of a context stands on a line of its own."""
    details: dict[str, Any] = {"request_id": asked.request_id, "source": asked.source, "requested_by": asked.requested_by}
    details["effect"] = effect or "none"
    details["requested_at"] = asked.timestamp
    if asked.terminate_tools:
        details["terminate_tools"] = True
    if asked.text:
        details["characters"] = len(asked.text)
    what = "context added" if asked.request == "context" else f"{asked.request} requested"
    nothing = "" if effect else ": nothing to do"
    return event(action, f"{what} by {who(asked)}{nothing}", reason=asked.reason, **details)

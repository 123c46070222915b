"""What operations on files are called when they are done, and when they failed."""

from __future__ import annotations

_DONE = {
    "read": "read",
    "write": "written",
    "append": "written",
    "create": "created",
    "edit": "edited",
    "delete": "deleted",
    "copy": "copied",
    "move": "moved",
    "rename": "renamed",
}
_SAME = {"append": "write"}


def done(operation: str) -> str:
    """E.g. ``file_written``; of an unknown operation ``file_<operation>_completed``."""
    return f"file_{_DONE.get(operation, f'{operation}_completed')}"


def failed(operation: str) -> str:
    """E.g. ``file_read_failed``."""
    return f"file_{_SAME.get(operation, operation)}_failed"

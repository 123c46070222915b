"""Records what is done to files: which file, how many bytes, how long, and why it failed.

with file_operation("read", "a.py") as operation:
    text = open("a.py").read()

@file_operation("write")
def save(path, text): ...
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.record.providers.fields import as_count
from otel_agentlog.record.sanitize.keys import own_dict, plain_text
from otel_agentlog.vocabulary.states import Component, Outcome

_PATH_NAMES = ("path", "file_path", "filename", "file", "source", "target")
"""Parameters of a decorated function that may name its file, in this order."""


def file_operation(
    operation: str,
    path: str | os.PathLike[str] | None = None,
    *,
    size_bytes: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> FileOperation:
    """Record an operation on a file: ``with`` or ``async with`` block, decorator, or ``start()`` and ``end()``.

    ``operation`` is ``read``, ``write``, ``append``, ``delete``, ``copy``, ``move`` or any other word. It ends with an event:
    ``file_read``, ``file_written`` …, or if it fails ``file_read_failed``, ``file_write_failed`` …. A decorated function
    without ``path`` takes it from its arguments: the one named ``path`` or ``filename``, else the first text. Exceptions pass.
    """
    return FileOperation(operation, path, size_bytes=size_bytes, details=details)


class FileOperation(ToolRun):
    """One operation on one file; a tool run named ``file_<operation>`` whose result is sizes, never contents."""

    def __init__(
        self,
        operation: str,
        path: str | os.PathLike[str] | None = None,
        *,
        size_bytes: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.operation = plain_text(operation)
        super().__init__(f"file_{self.operation}", component=Component.FILE_OPERATIONS)
        self.path = _path_text(path)
        self.size_bytes = size_bytes
        """Bytes read or written; set it in the block, else it is the size of the file at the end."""
        self.details = own_dict(details, "details")

    @classmethod
    def _named(cls, name: str) -> FileOperation:
        return cls(name.removeprefix("file_"))

    def _copy(self) -> FileOperation:
        return FileOperation(self.operation, self.path, size_bytes=self.size_bytes, details=self.details)

    def called(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Of a decorated function: the argument that is its path."""
        if self.path is None:
            candidates = [kwargs[name] for name in _PATH_NAMES if name in kwargs] + list(args)
            found = next((each for each in candidates if issubclass(type(each), (str, bytes, os.PathLike))), None)
            self.path = _path_text(found)

    def returned(self, result: Any) -> None:
        """Of a decorated function: the size of what it read; contents are not recorded."""
        if self.size_bytes is None and issubclass(type(result), (str, bytes, bytearray)):
            # A subclass has a length of its own.
            self.size_bytes = memoryview(
                str.encode(result, "utf-8", "replace") if issubclass(type(result), str) else result
            ).nbytes

    def _start_fields(self) -> dict[str, Any]:
        self.operation, self.path = plain_text(self.operation), _path_text(self.path)
        self.arguments = {"operation": self.operation, "path": self.path, **own_dict(self.details, "details")}
        return super()._start_fields()

    def _ending(self) -> None:
        self.operation, self.path, self.size_bytes = plain_text(self.operation), _path_text(self.path), as_count(self.size_bytes)
        went_well = self.state.value == Outcome.COMPLETED.value
        if self.size_bytes is None and went_well:
            self.size_bytes = _size_of(self.path)
        details = {"operation": self.operation, "path": self.path, "size_bytes": self.size_bytes}
        details = {key: value for key, value in details.items() if value is not None}
        self.result = {"size_bytes": self.size_bytes} if self.size_bytes is not None else None
        action = done(self.operation) if went_well else failed(self.operation)
        if self._error is not None and not went_well:
            details["error_type"] = type(self._error).__name__
        self.point(
            {
                "type": "event",
                # The error itself is the end of the run: as one of its own level it would count twice.
                "level": "INFO" if went_well else "WARNING",
                "component": Component.FILE_OPERATIONS.value,
                "action": action,
                "message": f"{action.replace('_', ' ')}: {self.path}",
                "details": details,
            }
        )


def _path_text(path: object) -> str | None:
    """A path as a text; of what is none, what it is."""
    try:
        return None if path is None else os.fsdecode(path)  # type: ignore[arg-type]  # what is no path raises
    except Exception:  # noqa: BLE001 - a path may be of any class
        raise_interrupt()
        return plain_text(path)


def _size_of(path: str | None) -> int | None:
    try:
        # Not os.path.isfile, which keeps what a signal handler raises.
        status = None if path is None else os.stat(path)
        return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else None
    except (OSError, ValueError):
        raise_interrupt()
        return None


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

"""An event that passes several of our places is recorded once.

An event of a user's structlog chain may pass `record_event` and then, as a stdlib record, the hook in all loggers; a record
may pass that, then `AgentlogHandler` and, in another handler, a ``ProcessorFormatter`` with `record_event`. These ways lead
through one thread without a break, so each thread remembers the last event only.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import FrameType
from typing import Any

_LOOKED_AT_FRAMES = 16


class _Last(threading.local):
    logger_name: str | None = None
    """stdlib logger to which a structlog chain with `record_event` is about to pass its event."""
    key: tuple[Any, ...] | None = None
    """The stdlib record last recorded, by whatever it was."""


_last = _Last()


def about_to_log(logger: Any) -> None:
    """Note the stdlib logger, if it is one, to which a structlog chain with `record_event` gives the rendered event next."""
    _last.logger_name = logger.name if isinstance(logger, logging.Logger) else None


def seen_in_formatter(record: object) -> bool:
    """Whether the handler has recorded this record; if not, `record_event` is about to."""
    return isinstance(record, logging.LogRecord) and _seen(record)


def seen_in_handler(record: logging.LogRecord) -> bool:
    """Whether `record_event` has recorded this record; if not, the handler is about to."""
    if _last.logger_name == record.name:
        _last.logger_name = None
        if _within_structlog(sys._getframe(1)):
            return True
    return _seen(record)


def _seen(record: logging.LogRecord) -> bool:
    # ProcessorFormatter copies the record but keeps what it is made of.
    key = (record.created, record.name, record.lineno, id(record.msg))
    seen, _last.key = _last.key == key, key
    return seen


def _within_structlog(frame: FrameType | None) -> bool:
    # The chain may have dropped the event after record_event, and this is another record of the same logger.
    for _ in range(_LOOKED_AT_FRAMES):
        if frame is None:
            return False
        if str(frame.f_globals.get("__name__", "")).startswith("structlog."):
            return True
        frame = frame.f_back
    return False

"""An event that passes several of our places is recorded once.

An event of a user's structlog chain may pass `record_event` and then, as a stdlib record, the hook in all loggers; a record
may pass that, then `AgentlogHandler` and, in another handler, a ``ProcessorFormatter`` with `record_event`. A message of loguru
may reach `AgentlogHandler` and be passed on to ``logging``, and a record of ``logging``, or an event of structlog, to loguru.
These ways lead through one thread without a break, so each thread remembers the last event only.
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
    to_loguru = False
    """Whether a structlog chain with `record_event` is about to pass its event to loguru."""
    time: object = None
    """Of the message of loguru last recorded: the object, which loguru makes for each."""
    message: tuple[Any, ...] | None = None
    """The same message, as a record of ``logging`` that loguru makes of it can be known."""
    extra: object = None
    """Its ``extra``, which is kept as long as its ``id`` is in ``message``."""
    passed_on: tuple[Any, ...] | None = None
    """The record last recorded that loguru may have made, and in ``passed_extra`` what is kept for it."""
    passed_extra: object = None


_last = _Last()


def about_to_log(logger: Any) -> None:
    """Note the logger, of stdlib or loguru, to which a structlog chain with `record_event` gives the rendered event next."""
    _last.logger_name = logger.name if isinstance(logger, logging.Logger) else None
    _last.to_loguru = type(logger).__module__.partition(".")[0] == "loguru"


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


def seen_by_loguru(record: logging.LogRecord, extra: object) -> bool:
    """Whether a record is one that loguru made of a message that is recorded; if not, the record is about to be."""
    if type(extra) is not dict:
        return False
    key = id(extra), record.lineno, record.levelno
    if key == _last.message:
        return True
    _last.passed_on, _last.passed_extra = key, extra
    return False


def seen_in_logging(given: dict[str, Any]) -> bool:
    """Whether a message of loguru is recorded, also as what it was before or has become; if not, it is about to be."""
    extra, to_loguru = given["extra"], _last.to_loguru
    key = id(extra), given["line"], given["level"].no
    seen = given["time"] is _last.time or key == _last.passed_on
    _last.to_loguru, _last.passed_on, _last.passed_extra = False, None, None
    _last.time, _last.message, _last.extra = given["time"], key, extra
    return seen or (to_loguru and _within_structlog(sys._getframe(1)))


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

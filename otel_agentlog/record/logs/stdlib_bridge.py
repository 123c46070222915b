"""Records of stdlib ``logging`` are recorded like our own: by a hook where every logger gives its records to its handlers.

A handler on the root logger would miss what the root logger's level (WARNING, unless set) holds back, what loggers that do not
propagate take (Celery's, uvicorn's), and everything once the application assigns its handlers anew. So while installed,
``logging.Logger`` has two methods of ours. ``isEnabledFor`` also lets through what only we want; ``callHandlers`` records the
record, and gives it to its handlers as before if their levels let it through. Levels and handlers are not touched.

`AgentlogHandler` is for those who set up ``logging`` themselves. It may stand behind a ``QueueHandler``: what a record is of, its
task and its exception, is noted in the thread that makes it. It holds no lock while it works and waits for nothing, so it cannot
take part in a deadlock with ``logging``'s own locks.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

from opentelemetry import context as otel_context

from otel_agentlog._interrupts import raise_interrupt, suppress_errors
from otel_agentlog._startup import dataclass
from otel_agentlog.record.exceptions.timeout_call import call_apart, timeout_call
from otel_agentlog.record.logs.console import shown
from otel_agentlog.record.logs.dedupe import seen_by_loguru, seen_in_handler, seen_in_logging
from otel_agentlog.record.logs.levels import NUMBERS, floor, named, number_of, wanted
from otel_agentlog.record.logs.line import (
    OF_EVENTS,
    LinePlace,
    add_error,
    add_origin,
    add_own,
    add_printed_error,
    adopt,
    deliver,
    error_of,
    guarded,
    here,
    interpolated,
    log_line,
    stack_lines,
    text_of,
)
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.vocabulary.lines import Line

SENDERS = frozenset({"opentelemetry", "otel_agentlog", "urllib3", "requests", "grpc", "httpx", "httpcore"})
"""Top-level loggers of what sends telemetry; while it does, their lines would be sent too, and so on for ever."""

_SUPPRESSED = "suppress_instrumentation"
"""How the keys begin that we, the SDK and instrumentations set in the OpenTelemetry context while telemetry is sent."""

_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {
    *("message", "asctime", "taskName"),
    # Put there by opentelemetry-instrumentation-logging and by uvicorn; other keys of the line have the same values.
    *("otelTraceID", "otelSpanID", "otelServiceName", "otelTraceSampled", "color_message"),
}


class AgentlogHandler(logging.Handler):
    """Records the lines of stdlib loggers. Add it to any logger, or behind a ``QueueHandler``; `configure` needs none."""

    def __init__(self, level: int | str = logging.NOTSET, *, last_resort: bool = False) -> None:
        """With ``last_resort`` records that no other handler takes are still shown by ``logging.lastResort``."""
        super().__init__(level)
        self.last_resort = last_resort
        _hook.put(notes=True)

    def handle(self, record: logging.LogRecord) -> Any:
        """Record it, without stdlib's lock: lines of several threads do not get in each other's way here."""
        passed: Any = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Record it; never raises, and never waits."""
        guarded(_record, record, _noted(record) if _notes else None)
        if self.last_resort:
            self._resort(record)

    def write(self, message: Any) -> None:
        """Record a message of loguru, ``logger.add(AgentlogHandler())``, which takes a handler with this for a stream."""
        guarded(_record_loguru, self, getattr(message, "record", None))

    def flush(self) -> None:
        """Nothing to wait for: what was handled is recorded."""

    def _resort(self, record: logging.LogRecord) -> None:
        # With our handler there, stdlib no longer shows warnings that have no other handler.
        resort = logging.lastResort
        if resort is None or record.levelno < resort.level:
            return
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(not isinstance(handler, AgentlogHandler) for handler in logger.handlers):
                return
            logger = logger.parent if logger.propagate else None
        if type(resort) is _LAST_RESORT:
            _write(cast("logging.StreamHandler[Any]", resort), record)
        else:
            resort.handle(record)


_LAST_RESORT = type(logging.lastResort)


def _write(handler: logging.StreamHandler[Any], record: logging.LogRecord) -> None:
    """What ``handler.handle(record)`` does, except that it keeps no exception of a signal handler."""
    try:
        text = call_apart(lambda: handler.format(record) + handler.terminator)
        stream = handler.stream
        stream.write(text)
        stream.flush()
    except Exception:  # noqa: BLE001 - as stdlib does: it prints where a line cannot be shown
        raise_interrupt()
        handler.handleError(record)


# -- one record ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Note:
    """What a record is of, as known where it was made; a handler that keeps it for later or another thread knows none of it."""

    place: LinePlace | None
    """``None``: it is recorded already."""
    message: str | None = None
    error: BaseException | None = None


_RECORDED = _Note(None)
_MAX_NOTES = 1000
_notes: dict[tuple[Any, ...], _Note] = {}
"""The last records that were made, for handlers in other threads."""


def _key(record: logging.LogRecord) -> tuple[Any, ...]:
    # QueueHandler passes on a copy with another message.
    return record.created, record.thread, record.name, record.lineno


def _note(record: Recorder, source: logging.LogRecord, recorded: bool) -> None:
    note = _RECORDED if recorded else _Note(here(), _message(source), error_of(source.exc_info))
    _notes[_key(source)] = note
    if len(_notes) > _MAX_NOTES:
        with suppress_errors(LookupError, RuntimeError, StopIteration):  # changed meanwhile by another thread
            del _notes[next(iter(_notes))]


def _noted(source: logging.LogRecord) -> _Note | None:
    # It may come here more than once: directly, and by way of a handler that keeps it.
    key, note = _key(source), None
    with suppress_errors(TypeError):  # of a record made by hand: a name that is a list
        if (note := _notes.get(key)) is not None:
            _notes[key] = _RECORDED
    return note


def line_of(source: logging.LogRecord) -> tuple[Line, dict[str, Any]]:
    """A record as a line, yet without ids and exception, and its further data."""
    message, details = _message_and_data(source)
    return _line_of(source, message, details), details


def _line_of(source: logging.LogRecord, message: str, details: dict[str, Any]) -> Line:
    line = log_line(source.levelno, message, source.name, details.pop("component", None))
    add_origin(line, source.module, source.funcName, source.lineno)
    return line


def _is_about_sending(record: logging.LogRecord) -> bool:
    if record.name.partition(".")[0] not in SENDERS:
        return False
    return any(value for key, value in otel_context.get_current().items() if key.startswith(_SUPPRESSED))


def _record(record: Recorder, source: logging.LogRecord, note: _Note | None = None, is_new: bool = False) -> None:
    """Record it; ``is_new``: it is known that it was not yet."""
    if not record.active or not wanted(source.levelno, source.name) or _is_about_sending(source):
        return
    if (not is_new and seen_in_handler(source)) or note is _RECORDED:
        return
    message, details = _message_and_data(source)
    if message in shown or ("extra" in details and not is_new and seen_by_loguru(source, details["extra"])):
        return
    printed = None
    if note is None:
        message, printed = _split_printed(source, message)
    elif note.message is not None:
        message = note.message
    line = _line_of(source, message, details)
    place = _placed(line, details, here() if note is None or note.place is None else note.place, record)
    if note is not None and note.error is not None:
        add_error(line, note.error, place.ids.get("trace_id"), record)
    elif printed:
        add_printed_error(line, printed)
    else:
        _add_error(line, source, place.ids.get("trace_id"), record)
    if source.stack_info:
        details["stack_info"] = stack_lines(text_of(source.stack_info))
    if source.levelname not in NUMBERS:
        details["level_name"] = source.levelname
    deliver(record, line, place, details)


def _record_loguru(record: Recorder, handler: logging.Handler, given: Any) -> None:
    """Record what loguru says of a message; without its own format, which has time, level and traceback in the text."""
    if type(given) is not dict:
        return
    error, extra = given["exception"], given["extra"]
    source = logging.LogRecord(
        given["name"] or "loguru",
        given["level"].no,
        given["file"].path,
        given["line"],
        given["message"],
        None,
        tuple(error) if error is not None else None,
        given["function"],
    )
    source.levelname = given["level"].name
    own = {key: value for key, value in extra.items() if type(key) is str and key not in _STANDARD}
    source.__dict__.update(own if len(own) == len(extra) else {"extra": extra})
    if source.levelno < handler.level or not handler.filter(source):
        return
    if not seen_in_logging(given) and not _is_passed_on(given["message"]):
        _record(record, source, is_new=True)


_LOOKED_AT_FRAMES = 40


def _is_passed_on(message: object) -> bool:
    """Whether a record with this text is being handled here, to give it to loguru, and is recorded; if not, it is about to be."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_LOOKED_AT_FRAMES):
        if frame is None:
            return False
        if frame.f_code.co_name == "call_handlers" and frame.f_globals is globals():
            handled = frame.f_locals["record"]
            note = _noted(handled) if _message(handled) == message else None
            return note is _RECORDED
        frame = frame.f_back
    return False


def _placed(line: Line, details: dict[str, Any], place: LinePlace, record: Recorder) -> LinePlace:
    """The place of a line; what ``extra=`` has of an event, which is what has a component and an action, is at its top."""
    if "component" not in line or type(details.get("action")) is not str:
        return adopt(place, details, line)
    line["action"] = details.pop("action")
    own = {key: details.pop(key) for key in ("step_id", *OF_EVENTS) if key in details}
    if type(details.get("details")) is dict:
        details.update(details.pop("details"))
    place = adopt(place, details, line)
    add_own(line, place, own, details, record)
    return place


_PRINTED = "\nTraceback (most recent call last):\n"


def _split_printed(source: logging.LogRecord, message: str) -> tuple[str, str | None]:
    """The message, and the traceback that a ``QueueHandler``, of another process for one, printed behind it."""
    at = message.find(_PRINTED) if source.exc_info is None and source.exc_text is None and not source.args else -1
    return (message, None) if at < 0 else (message[:at], message[at + 1 :])


def _message_and_data(source: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """Message and further data of a record."""
    details = {key: value for key, value in source.__dict__.items() if key not in _STANDARD}
    event = source.msg
    if isinstance(event, dict) and details.pop("_logger", None) is not None and details.pop("_name", None) is not None:
        # structlog's wrap_for_formatter: the record's message is the event.
        details.update(event)
        for key in ("level", "timestamp", "logger", "exc_info"):
            details.pop(key, None)
        return text_of(details.pop("event", "")), details
    message = _message(source)
    if message is None:
        details["args"] = list(source.args) if isinstance(source.args, tuple) else source.args
        return text_of(event), details
    return message, details


def _message(source: logging.LogRecord) -> str | None:
    """The record's text; ``None`` where format and arguments do not fit."""
    kind = type(source)
    if kind.getMessage is logging.LogRecord.getMessage:
        args = source.args or ()
        text, fits = interpolated(source.msg, args if type(args) is tuple else (args,))
        return text if fits else None
    try:
        return timeout_call(lambda: str.__str__(source.getMessage()), frozenset({kind}))
    except Exception:  # noqa: BLE001 - a wrong format string, or foreign code, which may not even return
        raise_interrupt()
        return None


def _add_error(line: Line, source: logging.LogRecord, trace_id: str | None, record: Recorder) -> None:
    error = error_of(source.exc_info)
    if error is None and isinstance(source.msg, dict):
        error = error_of(source.msg.get("exc_info"))
    add_error(line, error, trace_id, record)
    if error is None and source.exc_text:
        # Went through a queue, where exceptions become text.
        add_printed_error(line, source.exc_text)


# -- in all loggers ------------------------------------------------------------------------------------------------------


class _Granted(threading.local):
    """What `isEnabledFor` let through in this thread for us alone: name and level, until the record comes."""

    def __init__(self) -> None:
        self.records: set[tuple[str, int]] = set()


class _Hook:
    """Our two methods of ``logging.Logger``. Where others wrapped them later they stay, and do nothing once removed."""

    def __init__(self) -> None:
        self.records = False
        """Whether every record is recorded."""
        self.notes = False
        """Whether there may be an `AgentlogHandler` in another thread."""
        self.level = logging.NOTSET
        self.last_resort = False
        self._lock = threading.RLock()
        self._granted = _Granted()
        self._enabled: Callable[[logging.Logger, int], bool] | None = None
        self._call: Callable[[logging.Logger, logging.LogRecord], None] | None = None

    def put(self, *, records: bool = False, notes: bool = False) -> None:
        with self._lock:
            self.records, self.notes = self.records or records, self.notes or notes
            if self._call is not None:
                return
            enabled, call = logging.Logger.isEnabledFor, logging.Logger.callHandlers
            self._enabled, self._call = enabled, call

            def is_enabled_for(logger: logging.Logger, level: int) -> bool:
                return enabled(logger, level) or (self.records and level >= floor() and self._grant(logger, level))

            def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
                if self._passes_on(logger, record):
                    call(logger, record)

            self._ours = is_enabled_for, call_handlers
            setattr(logging.Logger, "isEnabledFor", is_enabled_for)  # noqa: B010 - mypy refuses an assignment
            setattr(logging.Logger, "callHandlers", call_handlers)  # noqa: B010

    def remove(self) -> None:
        """Record no more; stdlib's methods are back unless something wrapped ours."""
        with self._lock:
            self.records = False
            if self._call is None or self.notes:
                return
            if (logging.Logger.isEnabledFor, logging.Logger.callHandlers) == self._ours:
                setattr(logging.Logger, "isEnabledFor", self._enabled)  # noqa: B010
                setattr(logging.Logger, "callHandlers", self._call)  # noqa: B010
                self._enabled = self._call = None

    def _grant(self, logger: logging.Logger, level: int) -> bool:
        if level < self.level or logger.disabled or logger.manager.disable >= level or not _is_ours_to_lower(logger):
            return False
        if not wanted(level, logger.name):
            return False
        self._granted.records.add((logger.name, level))
        return True

    def _passes_on(self, logger: logging.Logger, record: logging.LogRecord) -> bool:
        """Record it; whether the logger's handlers get it, too."""
        granted = self._granted.records
        only_ours = bool(granted) and (record.name, record.levelno) in granted
        if only_ours:
            granted.discard((record.name, record.levelno))
            # Meanwhile the levels may have been changed.
            only_ours = record.levelno < logger.getEffectiveLevel()
        recorded = self.records and record.levelno >= self.level and _is_shown_somewhere(logger)
        if recorded:
            guarded(_record, record)
        if self.notes and not only_ours and _may_be_passed_on(logger):
            guarded(_note, record, recorded)
        # Our console shows it, which is no handler: stdlib would show it once more, as it has none.
        return not only_ours and (not recorded or self.last_resort or logger.hasHandlers())


def _is_ours_to_lower(logger: logging.Logger) -> bool:
    """Whether no level holds its records back but the root logger's, which is everybody's, or one that ``levels`` goes before."""
    each: logging.Logger | None = logger
    while each is not None and each.parent is not None:
        if each.level:
            return len(named(logger.name)) >= len(each.name)
        each = each.parent
    return True


_WRITERS = (logging.StreamHandler, logging.NullHandler, AgentlogHandler)


def _may_be_passed_on(logger: logging.Logger) -> bool:
    """Whether a handler may give its records to another one, later or in another thread: ``QueueHandler``, ``MemoryHandler`` and
    whatever people write."""
    each: logging.Logger | None = logger
    while each is not None:
        if not all(isinstance(handler, _WRITERS) for handler in each.handlers):
            return True
        each = each.parent if each.propagate else None
    return False


def _is_shown_somewhere(logger: logging.Logger) -> bool:
    """Whether its records reach the root logger or a handler; one silences a logger by ``NullHandler`` without propagation."""
    each: logging.Logger | None = logger
    while each is not None:
        if any(type(handler) is not logging.NullHandler for handler in each.handlers):
            return True
        if not each.propagate:
            return False
        each = each.parent
    return True


_hook = _Hook()


def install_stdlib(level: str | int = logging.NOTSET, *, last_resort: bool = False) -> None:
    """Record the records of all stdlib loggers from this level on, and from the level that `configure_logs` sets.

    The root logger's level does not count, those of other loggers do. A second call changes ``level`` and ``last_resort``. With
    ``last_resort`` warnings that no handler takes reach stderr by ``logging.lastResort``, as they do without us; leave it off
    where our console shows them.
    """
    _hook.level, _hook.last_resort = number_of(level) if level != logging.NOTSET else logging.NOTSET, last_resort
    _hook.put(records=True)


def uninstall_stdlib() -> None:
    """Record no more of them."""
    _hook.remove()

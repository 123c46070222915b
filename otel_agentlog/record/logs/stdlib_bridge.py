"""Records of stdlib ``logging`` are recorded like our own: the handler, and how it gets onto the root logger.

The handler holds no lock while it works and waits for nothing, so it cannot take part in a deadlock with ``logging``'s own locks.

A root logger that has a handler makes ``logging.basicConfig`` do nothing, and ``logging.config`` removes the handlers it did not
set up. So while ours is installed these functions run as if it were not there, and it is back afterwards; neither the root
logger's level nor other handlers change.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from opentelemetry import context as otel_context

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.exceptions.timeout_call import timeout_call
from otel_agentlog.record.logs.dedupe import seen_in_handler
from otel_agentlog.record.logs.levels import NUMBERS, number_of, wanted
from otel_agentlog.record.logs.line import (
    add_error,
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
    """Records the lines of stdlib loggers. Add it to any logger, or to the root logger with `install_stdlib`."""

    def __init__(self, level: int | str = logging.NOTSET, *, last_resort: bool = False) -> None:
        """With ``last_resort`` records that no other handler takes are still shown by ``logging.lastResort``."""
        super().__init__(level)
        self.last_resort = last_resort

    def handle(self, record: logging.LogRecord) -> Any:
        """Record it, without stdlib's lock: lines of several threads do not get in each other's way here."""
        passed: Any = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Record it; never raises, and never waits."""
        guarded(_record, record)
        if self.last_resort:
            self._resort(record)

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
        resort.handle(record)


def _is_about_sending(record: logging.LogRecord) -> bool:
    if record.name.partition(".")[0] not in SENDERS:
        return False
    return any(value for key, value in otel_context.get_current().items() if key.startswith(_SUPPRESSED))


def _record(record: Recorder, source: logging.LogRecord) -> None:
    if not record.active or not wanted(source.levelno, source.name) or _is_about_sending(source) or seen_in_handler(source):
        return
    message, details = _message_and_data(source)
    line = log_line(source.levelno, message, source.name, details.pop("component", None))
    line["module"], line["function"], line["line"] = source.module, source.funcName, source.lineno
    place = adopt(here(), details, line)
    _add_error(line, source, place.ids.get("trace_id"), record)
    if source.stack_info:
        details["stack_info"] = stack_lines(text_of(source.stack_info))
    if source.levelname not in NUMBERS:
        details["level_name"] = source.levelname
    deliver(record, line, place, details)


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


# -- on the root logger --------------------------------------------------------------------------------------------------

_lock = threading.RLock()
_handler: AgentlogHandler | None = None
_wrapped: list[tuple[ModuleType, str, Callable[..., Any], Callable[..., Any]]] = []


def install_stdlib(level: str | int = logging.NOTSET, *, last_resort: bool = False) -> AgentlogHandler:
    """Record the lines of all stdlib loggers from this level on, as far as their own levels let it through.

    A second call changes ``level`` and ``last_resort``. With ``last_resort`` warnings that no other handler takes still reach
    stderr by ``logging.lastResort``, as they do without us; leave it off where our console shows them.
    """
    global _handler
    with _lock:
        if _handler is None:
            _handler = AgentlogHandler()
        _handler.setLevel(number_of(level) if level != logging.NOTSET else logging.NOTSET)
        _handler.last_resort = last_resort
        _wrap_configuration()
        logging.getLogger().addHandler(_handler)
        return _handler


def uninstall_stdlib() -> None:
    """Take our handler away again."""
    global _handler
    with _lock:
        handler, _handler = _handler, None
        if handler is not None:
            logging.getLogger().removeHandler(handler)
        for module, name, original, ours in _wrapped:
            # What wrapped it after us stays; ours then only passes calls on.
            if getattr(module, name) is ours:
                setattr(module, name, original)
        _wrapped.clear()


def _wrap_configuration() -> None:
    import logging.config  # not at the top: it takes longer to import than this room

    for module, name in ((logging, "basicConfig"), (logging.config, "dictConfig"), (logging.config, "fileConfig")):
        original = getattr(module, name)
        if not any(known_module is module and known == name for known_module, known, _, _ in _wrapped):
            ours = _without_us(original)
            setattr(module, name, ours)
            _wrapped.append((module, name, original, ours))


def _without_us(configure: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(configure)
    def configured(*args: Any, **kwargs: Any) -> Any:
        root = logging.getLogger()
        handler = _handler
        if handler is not None:
            root.removeHandler(handler)
        try:
            return configure(*args, **kwargs)
        finally:
            if handler is not None and handler is _handler:
                root.addHandler(handler)

    return configured

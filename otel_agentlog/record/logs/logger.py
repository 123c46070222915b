"""`get_logger`: structlog loggers whose lines are recorded once, for the task folder and for OTLP.

    log = agentlog.get_logger(__name__, agentlog.Component.INSTANCE)
    log.info("files read", files=3)

They are made by ``structlog.wrap_logger`` with everything given, so no global structlog configuration is read or changed. Before
`configure` they are as quiet as stdlib ``logging``: warnings and worse go to stderr, and nothing is recorded.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, TypeVar

import structlog
from structlog.contextvars import get_contextvars

from otel_agentlog.record.logs.console import ConsoleSink
from otel_agentlog.record.logs.levels import NUMBERS, Gate, gate_for, number_of
from otel_agentlog.record.logs.line import (
    ID_KEYS,
    add_error,
    adopt,
    caller,
    error_of,
    guarded,
    here,
    interpolated,
    known_line,
    log_line,
    stack_of,
)
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.record.sanitize.keys import is_true, optional_text, plain_text
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import Line

Self = TypeVar("Self", bound="AgentLogger")


class Voice:
    """A logger's name, component and level: what structlog calls the wrapped logger."""

    __slots__ = ("component", "gate", "name")

    def __init__(self, name: str, component: str | None) -> None:
        self.name, self.component = name, component
        self.gate: Gate = gate_for(name, component)


class AgentLogger(structlog.BoundLoggerBase):
    """A structlog bound logger. ``bind``, ``unbind``, ``try_unbind`` and ``new`` return a further one; safe from any thread.

    Levels are methods: ``log.info(event, *args, **details)``; ``args`` are put into the event with ``%``. ``exc_info``,
    ``stack_info`` and ``stacklevel`` mean what they mean in stdlib ``logging``. None of them raises. What was bound by
    ``structlog.contextvars`` is on every line; what is bound to the logger or given with the line stands before it.
    """

    def debug(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level DEBUG."""
        if self._logger.gate.level <= 10:
            guarded(_record, self, 10, event, args, details, sys._getframe(1))

    def info(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level INFO."""
        if self._logger.gate.level <= 20:
            guarded(_record, self, 20, event, args, details, sys._getframe(1))

    def warning(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level WARNING."""
        if self._logger.gate.level <= 30:
            guarded(_record, self, 30, event, args, details, sys._getframe(1))

    def error(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level ERROR."""
        if self._logger.gate.level <= 40:
            guarded(_record, self, 40, event, args, details, sys._getframe(1))

    def critical(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level CRITICAL."""
        if self._logger.gate.level <= 50:
            guarded(_record, self, 50, event, args, details, sys._getframe(1))

    def exception(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level ERROR with the exception that is being handled."""
        if self._logger.gate.level <= 40:
            details.setdefault("exc_info", True)
            guarded(_record, self, 40, event, args, details, sys._getframe(1))

    def log(self, level: int | str, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at a level given as number or word."""
        number = number_of(level)
        if self._logger.gate.level <= number:
            guarded(_record, self, number, event, args, details, sys._getframe(1))

    async def adebug(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """`debug` for ``await``, as structlog has it. It does not wait either: a line takes microseconds."""
        if self._logger.gate.level <= 10:
            guarded(_record, self, 10, event, args, details, sys._getframe(1))

    async def ainfo(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """`info` for ``await``."""
        if self._logger.gate.level <= 20:
            guarded(_record, self, 20, event, args, details, sys._getframe(1))

    async def awarning(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """`warning` for ``await``."""
        if self._logger.gate.level <= 30:
            guarded(_record, self, 30, event, args, details, sys._getframe(1))

    async def aerror(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """`error` for ``await``."""
        if self._logger.gate.level <= 40:
            guarded(_record, self, 40, event, args, details, sys._getframe(1))

    async def acritical(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """`critical` for ``await``."""
        if self._logger.gate.level <= 50:
            guarded(_record, self, 50, event, args, details, sys._getframe(1))

    async def aexception(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """`exception` for ``await``."""
        if self._logger.gate.level <= 40:
            details.setdefault("exc_info", True)
            guarded(_record, self, 40, event, args, details, sys._getframe(1))

    async def alog(self, level: int | str, event: object = None, /, *args: Any, **details: Any) -> None:
        """`log` for ``await``."""
        number = number_of(level)
        if self._logger.gate.level <= number:
            guarded(_record, self, number, event, args, details, sys._getframe(1))

    msg, warn, fatal = info, warning, critical
    amsg, awarn, afatal = ainfo, awarning, acritical

    @property
    def name(self) -> str:
        """The logger's name."""
        return str(self._logger.name)

    @property
    def component(self) -> str | None:
        """The part of the system that the lines are about."""
        component: str | None = self._logger.component
        return component

    def set_task_id(self, task_id: str | None) -> None:
        """Put this logger's lines into a task, where they are recorded outside of any; ``None`` takes that back.

        Sticks to this logger and to those bound from it later. A line recorded inside another task stays there, with this id in
        its details.
        """
        self._stick("task_id", task_id)

    def set_instance_id(self, instance_id: str | None) -> None:
        """Put an instance id on this logger's lines; ``None`` takes that back. Sticks like `set_task_id`."""
        self._stick("instance_id", instance_id)

    def is_enabled_for(self, level: int) -> bool:
        """Whether a line of this level number would be recorded."""
        return bool(self._logger.gate.level <= number_of(level))

    def get_effective_level(self) -> int:
        """Lowest level number that is recorded."""
        return int(self._logger.gate.level)

    def new(self: Self, **values: Any) -> Self:
        """A logger with these values bound and no others; unlike structlog's it leaves this one as it is."""
        return type(self)(self._logger, self._processors, values)

    def _stick(self, key: str, value: str | None) -> None:
        # A new dict each time: other threads may be copying the one there is.
        rest = {known: kept for known, kept in self._context.items() if known != key}
        self._context = rest if value is None else {**rest, key: plain_text(value)}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} component={self.component!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.name, self.component, dict(self._context))


def get_logger(name: str | None = None, component: str | None = None) -> AgentLogger:
    """A logger; ``name`` is the calling module's by default, ``component`` a `Component` or any other string."""
    if name is None:
        name = str(sys._getframe(1).f_globals.get("__name__", "root"))
    return _restored(plain_text(name), optional_text(component), {})


def _restored(name: str, component: str | None, context: dict[str, Any]) -> AgentLogger:
    proxy = structlog.wrap_logger(
        Voice(name, component), processors=(), wrapper_class=AgentLogger, context_class=dict, cache_logger_on_first_use=False
    )
    logger: AgentLogger = proxy.bind()
    logger._context = context
    return logger


def _record(
    record: Recorder,
    logger: AgentLogger,
    number: int,
    event: object,
    args: tuple[Any, ...],
    given: dict[str, Any],
    frame: FrameType,
) -> None:
    voice: Voice = logger._logger
    around = get_contextvars()
    data = {**around, **logger._context, **given} if around or logger._context else given
    message = event if type(event) is str and not args else _message(event, args, data)
    if "stacklevel" in data:
        stacklevel = data.pop("stacklevel")
        frame = caller(frame, stacklevel - 1 if type(stacklevel) is int else 0)
    own = known_line(record, number, voice.name, voice.component, frame) if record.active else None
    line: Line = {"message": message} if own else log_line(number, message, voice.name, voice.component, frame)
    exc_info, wants_stack = data.pop("exc_info", None), data.pop("stack_info", False)
    if exc_info is None and "exception" in data and issubclass(type(data["exception"]), BaseException):
        exc_info = data.pop("exception")
    place = here()
    if not ID_KEYS.isdisjoint(data):
        place = adopt(place, data, line)
    if exc_info is not None:
        add_error(line, error_of(exc_info), place.ids.get("trace_id"), record)
    if wants_stack is not False and is_true(wants_stack):
        data["stack_info"] = stack_of(frame)
    if record.active:
        if data:
            line["details"] = data
        if place.attributes:
            line["attributes"] = place.attributes
        record.point(line, place.task, place.ids, sampled=place.sampled, own=own)
    elif number >= NUMBERS["WARNING"]:
        _show(record, {**line, "details": data})


def _message(event: object, args: tuple[Any, ...], data: dict[str, Any]) -> str:
    """The event with its arguments put in; those that do not fit stay among the details."""
    text = data.pop("event", "") if event is None else event
    message, fits = interpolated("" if text is None else text, args)
    if not fits:
        data["args"] = list(args)
    return message


_stderr = ConsoleSink()


def _show(record: Recorder, line: dict[str, Any]) -> None:
    """Before `configure`: nothing is recorded, but a warning is still shown on stderr."""
    # Imported here: compiling the rules takes a while, and a program that is not configured need not pay for it before it warns.
    from otel_agentlog.record.sanitize.cleaner import default_cleaner

    time_ns = record.clock()
    envelope: Envelope = record.clean(default_cleaner().clean_line(line).value)
    envelope.time_ns = time_ns
    _stderr(envelope)

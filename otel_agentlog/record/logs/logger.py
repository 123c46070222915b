"""`get_logger`: structlog loggers whose lines are recorded once, for the task folder and for OTLP.

    log = agentlog.get_logger(__name__, agentlog.Component.INSTANCE)
    log.info("files read", files=3)

They are made by ``structlog.wrap_logger`` with everything given, so no global structlog configuration is read or changed. Before
`configure` they are as quiet as stdlib ``logging``: warnings and worse go to stderr, and nothing is recorded.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any, TypeVar

import structlog

from otel_agentlog.record.logs.console import ConsoleSink
from otel_agentlog.record.logs.levels import NUMBERS, Gate, gate_for, number_of
from otel_agentlog.record.logs.line import add_error, add_origin, caller, error_of, interpolated, log_line, stack_of
from otel_agentlog.record.logs.placement import adopt, deliver, guarded, here
from otel_agentlog.record.logs.stdlib_bridge import AgentlogHandler
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.vocabulary.envelope import Envelope

# -- Adds our handler to stdlib's root logger so that nobody notices: neither the level nor other handlers change.
# A root logger that has a handler makes ``logging.basicConfig`` do nothing, and ``logging.config`` removes the handlers it
# did not
# set up. So while we are installed these functions run as if we were not there, and we are back afterwards.

_lock = threading.RLock()
_handler: AgentlogHandler | None = None
_wrapped: list[tuple[ModuleType, str, Callable[..., Any], Callable[..., Any]]] = []


def install_stdlib(level: str | int = logging.NOTSET, *, last_resort: bool = False) -> AgentlogHandler:
    """Record what all stdlib loggers say from this level on, as far as their own levels let it through.

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
            # Whoever wrapped it after us keeps theirs; ours then only passes calls on.
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


Self = TypeVar("Self", bound="AgentLogger")


class Voice:
    """Who speaks through a logger: the wrapped logger in structlog's words."""

    __slots__ = ("component", "gate", "name")

    def __init__(self, name: str, component: str | None) -> None:
        self.name, self.component = name, component
        self.gate: Gate = gate_for(name, component)


class AgentLogger(structlog.BoundLoggerBase):
    """A structlog bound logger. ``bind``, ``unbind``, ``try_unbind`` and ``new`` return a further one; safe from any thread.

    Levels are methods: ``log.info(event, *args, **details)``; ``args`` are put into the event with ``%``. ``exc_info``,
    ``stack_info`` and ``stacklevel`` mean what they mean in stdlib ``logging``. None of them raises.
    """

    def debug(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level DEBUG."""
        if self._logger.gate.level <= 10:
            _say(self, 10, event, args, details, sys._getframe(1))

    def info(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level INFO."""
        if self._logger.gate.level <= 20:
            _say(self, 20, event, args, details, sys._getframe(1))

    def warning(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level WARNING."""
        if self._logger.gate.level <= 30:
            _say(self, 30, event, args, details, sys._getframe(1))

    def error(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level ERROR."""
        if self._logger.gate.level <= 40:
            _say(self, 40, event, args, details, sys._getframe(1))

    def critical(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level CRITICAL."""
        if self._logger.gate.level <= 50:
            _say(self, 50, event, args, details, sys._getframe(1))

    def exception(self, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at level ERROR with the exception that is being handled."""
        if self._logger.gate.level <= 40:
            details.setdefault("exc_info", True)
            _say(self, 40, event, args, details, sys._getframe(1))

    def log(self, level: int | str, event: object = None, /, *args: Any, **details: Any) -> None:
        """Record at a level given as number or word."""
        number = number_of(level)
        if self._logger.gate.level <= number:
            _say(self, number, event, args, details, sys._getframe(1))

    msg, warn, fatal = info, warning, critical

    @property
    def name(self) -> str:
        """The logger's name."""
        return str(self._logger.name)

    @property
    def component(self) -> str | None:
        """Who speaks."""
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
        return bool(self._logger.gate.level <= level)

    def get_effective_level(self) -> int:
        """Lowest level number that is recorded."""
        return int(self._logger.gate.level)

    def new(self: Self, **values: Any) -> Self:
        """A logger with these values bound and no others; unlike structlog's it leaves this one as it is."""
        return type(self)(self._logger, self._processors, values)

    def _stick(self, key: str, value: str | None) -> None:
        # A new dict each time: other threads may be copying the one there is.
        rest = {known: kept for known, kept in self._context.items() if known != key}
        self._context = rest if value is None else {**rest, key: str(value)}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} component={self.component!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.name, self.component, dict(self._context))


def get_logger(name: str | None = None, component: str | None = None) -> AgentLogger:
    """A logger; ``name`` is the calling module's by default, ``component`` says who speaks (`Component` or any other string)."""
    if name is None:
        name = str(sys._getframe(1).f_globals.get("__name__", "root"))
    return _restored(str(name), None if component is None else str(component), {})


def _restored(name: str, component: str | None, context: dict[str, Any]) -> AgentLogger:
    proxy = structlog.wrap_logger(
        Voice(name, component), processors=(), wrapper_class=AgentLogger, context_class=dict, cache_logger_on_first_use=False
    )
    logger: AgentLogger = proxy.bind()
    logger._context = context
    return logger


def _say(logger: AgentLogger, number: int, event: object, args: tuple[Any, ...], given: dict[str, Any], frame: FrameType) -> None:
    def work(record: Recorder) -> None:
        voice: Voice = logger._logger
        data = {**logger._context, **given}
        text = data.pop("event", None) if event is None else event
        message, fits = interpolated("" if text is None else text, args)
        if not fits:
            data["args"] = list(args)
        line = log_line(number, message, voice.name, voice.component)
        origin = caller(frame, _number(data.pop("stacklevel", 1)) - 1)
        add_origin(line, origin)
        error, wants_stack = error_of(data.pop("exc_info", None)), data.pop("stack_info", False)
        place = adopt(here(), data, line)
        add_error(line, error, place.ids.get("trace_id"), record)
        if wants_stack:
            data["stack_info"] = stack_of(origin)
        if record.active:
            deliver(record, line, place, data)
        elif number >= NUMBERS["WARNING"]:
            _show(record, {**line, "details": data})

    guarded(work)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 1


_stderr = ConsoleSink()


def _show(record: Recorder, line: dict[str, Any]) -> None:
    """Before `configure`: nothing is recorded, but a warning must not be lost on whoever looks at the terminal."""
    time_ns = record.clock()
    envelope: Envelope = record.clean(line)
    envelope.time_ns = time_ns
    _stderr(envelope)

"""Processors for a structlog chain of the user's own: `add_ids`, `record_event` and the renderer `seed_json`.

    structlog.configure(processors=[add_log_level, agentlog.add_ids, agentlog.record_event, …, JSONRenderer()])

What the usual processors leave in an event (levels, times, callers, formatted exceptions, a stdlib record) is taken into account.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from types import FrameType
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.logs.console_format import json_text
from otel_agentlog.record.logs.dedupe import about_to_log, seen_in_formatter
from otel_agentlog.record.logs.levels import number_of, wanted
from otel_agentlog.record.logs.line import (
    LinePlace,
    add_error,
    add_origin,
    add_printed_error,
    adopt,
    deliver,
    error_of,
    guarded,
    here,
    log_line,
    module_of,
    printed_error,
    stack_lines,
    stack_of,
    text_of,
)
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.record.sanitize.keys import is_true, plain_text
from otel_agentlog.vocabulary.lines import Line, timestamp

EventDict = MutableMapping[str, Any]

_DROPPED = ("level", "log_level", "level_number", "timestamp", "logger", "logger_name", "component", "exc_info", "stacklevel")
"""Keys that do not become details: other keys of the line have their values."""

_OF_STRUCTLOG = ("_record", "_from_structlog", "_logger", "_name", "positional_args")

_CALL_SITE = ("module", "func_name", "lineno", "pathname", "filename", "qual_name")


def add_ids(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Put the ids of this place on an event, where known and not there yet.

    ``task_id step_id correlation_id session_id instance_id trace_id span_id``.
    """

    def work(record: Recorder) -> None:
        for key, value in here().ids.items():
            event_dict.setdefault(key, value)

    guarded(work)
    return event_dict


def record_event(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Record an event as `get_logger` would, and return it as it came.

    Goes anywhere before the renderer: in a structlog chain, or among the processors of a structlog ``ProcessorFormatter``.
    An event that later reaches an `AgentlogHandler` too is recorded once.
    """
    frame = sys._getframe(1)

    def work(record: Recorder) -> None:
        if not record.active or seen_in_formatter(event_dict.get("_record")):
            return
        event = _Event(logger, method, event_dict, _outside(frame))
        if not wanted(event.number, event.name, event.component):
            return
        line, place = event.line()
        add_error(line, event.error, place.ids.get("trace_id"), record)
        deliver(record, line, place, event.data)

    guarded(work)
    try:
        if "_record" not in event_dict:
            about_to_log(logger)
    except Exception:  # noqa: BLE001 - an event of a class of the user's own
        raise_interrupt()
    return event_dict


def seed_json(logger: Any, method: str, event_dict: EventDict) -> str:
    """Render an event as JSON with the fields of `seed_fields`, redacted like everything recorded.

    Goes at the end of a chain; the text ends without a newline.
    """
    frame = sys._getframe(1)
    rendered: list[str] = []

    def work(record: Recorder) -> None:
        event = _Event(logger, method, event_dict, _outside(frame))
        line, place = event.line()
        if event.error is not None:
            line["exception"] = printed_error(event.error)
        envelope = record.clean({**line, "details": event.data, "attributes": place.attributes})
        envelope.line.update(place.ids)
        given = event_dict.get("timestamp")
        rendered.append(json_text(envelope.line, given if isinstance(given, str) else timestamp(record.clock())))

    guarded(work)
    return (
        rendered[0].rstrip("\n")
        if rendered
        else json.dumps({"level": plain_text(method), "message": "[event could not be rendered]"})
    )


class _Event:
    """An event of the user's chain: number, name, component, exception, and the rest as ``data``."""

    def __init__(self, logger: Any, method: str, event: EventDict, outside: FrameType | None) -> None:
        record = event.get("_record")
        self._record = record if isinstance(record, logging.LogRecord) else None
        self._outside = outside
        source = self._record or logger
        given = _first(event, "level", "log_level") or method
        self.number = self._record.levelno if self._record is not None else number_of(given)
        self.name = text_of(_first(event, "logger", "logger_name") or _name_of(source) or _module(outside))
        component = event.get("component")
        self.component = None if component is None else text_of(component)
        # Some of structlog's own loggers leave it to the chain to handle .exception().
        self.error = error_of(event.get("exc_info", method == "exception" and "exception" not in event))
        self.data = {key: value for key, value in event.items() if key not in _DROPPED and key not in _OF_STRUCTLOG}
        self._message = text_of(next((self.data.pop(key) for key in ("event", "message", "msg") if key in self.data), ""))

    def line(self) -> tuple[Line, LinePlace]:
        """The line, yet without the exception, and the task, step and span it belongs to."""
        of_record = self._record is not None and bool(self._record.pathname)
        line = log_line(self.number, self._message, self.name, self.component, None if of_record else self._outside)
        self._take_origin(line)
        place = adopt(here(), self.data, line)
        self._take_printed(line)
        return line, place

    def _take_origin(self, line: Line) -> None:
        if self._record is not None and self._record.pathname:
            add_origin(line, self._record.module, self._record.funcName, self._record.lineno)
        if "lineno" not in self.data and "func_name" not in self.data:
            return  # a filename alone is the user's data, not structlog's call site
        site = {key: self.data.pop(key) for key in _CALL_SITE if key in self.data}
        if path := _first(site, "module", "pathname", "filename"):
            line["module"] = module_of(text_of(path))
        add_origin(line, None, site.get("func_name"), site.get("lineno"))

    def _take_printed(self, line: Line) -> None:
        """Exceptions and stacks that an earlier processor has made text."""
        printed = self.data.get("exception")
        if self.error is None and isinstance(printed, str) and "\n" in printed:
            add_printed_error(line, self.data.pop("exception"))
        stack = self.data.pop("stack_info", None)
        if isinstance(text := self.data.get("stack"), str) and text.startswith("Stack (most recent call last)"):
            stack = self.data.pop("stack")
        if is_true(stack):
            self.data["stack_info"] = stack_of(self._outside) if stack is True else stack_lines(text_of(stack))


def _first(values: Mapping[str, Any], *keys: str) -> object:
    """The first of these that is there and not empty."""
    return next((value for key in keys if is_true(value := values.get(key))), None)


def _name_of(source: object) -> object:
    try:
        return getattr(source, "name", None) or None
    except Exception:  # noqa: BLE001 - a logger of any class
        raise_interrupt()
        return None


def _module(outside: FrameType | None) -> object:
    return "root" if outside is None else outside.f_globals.get("__name__", "root")


def _outside(frame: FrameType | None) -> FrameType | None:
    """The code that logs: the first frame that is neither structlog's nor ours; ``None`` in a pool of structlog's."""
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in ("structlog", "otel_agentlog"):
        frame = frame.f_back
    return None if frame is not None and frame.f_globals.get("__name__") == "concurrent.futures.thread" else frame

"""Turns what a logger was given into a line of type ``log``: level, origin, message, exception, details.

Hides the many forms in which exceptions and callers come. Runs user code only where a message or an exception must become
text, and survives whatever that raises, and that it does not come back.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from functools import lru_cache
from types import FrameType
from typing import Any, cast

from otel_agentlog.record.exceptions.bounded_repr import written
from otel_agentlog.record.exceptions.call_with_timeout import Silence, ask
from otel_agentlog.record.exceptions.describe import message_of, told
from otel_agentlog.record.exceptions.inspect import look_at
from otel_agentlog.record.logs.levels import word_of
from otel_agentlog.record.operations.outcome import describe, type_name
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.record.sanitize.class_info import short_name
from otel_agentlog.vocabulary.lines import Line

MAX_STACK_LINES = 200
"""Longest ``stack_info`` kept, in printed lines."""


def log_line(number: int, message: str, logger: str, component: object) -> Line:
    """The beginning of a line; the keys that every log line has."""
    line: Line = {"type": "log", "level": word_of(number)}
    if component is not None:
        line["component"] = str(component)
    line["logger"], line["message"] = logger, message
    return line


def add_origin(line: Line, frame: FrameType | None) -> None:
    """Note the calling code."""
    if frame is not None:
        code = frame.f_code
        line["module"], line["function"], line["line"] = module_of(code.co_filename), code.co_name, frame.f_lineno


@lru_cache(maxsize=1024)
def module_of(path: str) -> str:
    """A source file's name without folder and ending, as stdlib ``logging`` names modules."""
    return os.path.splitext(os.path.basename(path))[0]


def caller(frame: FrameType | None, skip: int) -> FrameType | None:
    """The frame ``skip`` calls further out; the outermost one if there are not that many."""
    while skip > 0 and frame is not None and frame.f_back is not None:
        frame, skip = frame.f_back, skip - 1
    return frame


def text_of(value: object) -> str:
    """``str(value)``, also where that raises, blocks or is too much: then what can be had without the value's help."""
    if type(value) is str:
        return value
    if issubclass(type(value), BaseException):
        return message_of(cast(BaseException, value))
    look = look_at((value,))
    if look.large:
        return written(value)
    try:
        return ask(lambda: str.__str__(str(value)), frozenset(look.foreign)) if look.foreign else str(value)
    except Silence:
        return f"<{short_name(type(value))} whose __str__ does not return>"
    except Exception:  # noqa: BLE001 - __str__ is anybody's code
        return f"<{short_name(type(value))} whose __str__ raises>"


def interpolated(event: object, args: tuple[Any, ...]) -> tuple[str, bool]:
    """``event % args`` as stdlib does it; where that cannot be done the text as it is, and false."""
    text = text_of(event)
    if not args:
        return text, True
    look = look_at(arg for arg in args if type(arg) is not str)
    try:
        if look.plain:
            return _filled(text, args), True
        if not look.large:
            return ask(lambda: _filled(text, args), frozenset(look.foreign)), True
    except Silence:
        pass
    except Exception:  # noqa: BLE001 - a wrong format string, or an argument whose __str__ raises
        return text, False
    try:
        return _filled(text, tuple(map(_without_its_help, args))), True
    except Exception:  # noqa: BLE001 - a format that wants a number, and what has none
        return text, False


def _filled(text: str, args: tuple[Any, ...]) -> str:
    return text % (args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args)


def _without_its_help(arg: Any) -> Any:
    if type(arg) is dict:
        return {key: _without_its_help(value) for key, value in arg.items() if type(key) is str}
    return arg if type(arg) in (str, int, float) else written(arg)


def error_of(exc_info: object) -> BaseException | None:
    """The exception meant by an ``exc_info``: true for the current one, an exception, or stdlib's triple."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) > 1 and isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def add_error(line: Line, error: BaseException | None, trace_id: str | None, record: Recorder) -> None:
    """Note an exception; it is the same error, under the same ``error_id``, wherever this trace meets it again."""
    if error is not None:
        line["exception"] = describe(error, int(trace_id, 16) if trace_id else 0, record)


def printed_error(error: BaseException) -> dict[str, Any]:
    """An exception for showing only: with its traceback each time, and without a mark that it was recorded."""
    message, text = told(error)
    return {"type": type_name(error), "message": message, "traceback": text.rstrip("\n").split("\n")}


def add_printed_error(line: Line, printed: str) -> None:
    """Note an exception of which only the printed traceback is left."""
    lines = printed.rstrip("\n").split("\n")
    kind, _, message = lines[-1].partition(": ")
    line["exception"] = {"type": kind.strip() or "Exception", "message": message, "traceback": lines}


def stack_of(frame: FrameType | None) -> list[str]:
    """The stack above a frame, one string per printed line, outermost call first."""
    printed = "".join(traceback.format_stack(frame, limit=MAX_STACK_LINES // 2)) if frame is not None else ""
    return stack_lines(printed)


def stack_lines(printed: str) -> list[str]:
    """A printed stack as it stands in ``details.stack_info``."""
    return printed.rstrip("\n").split("\n")[-MAX_STACK_LINES:]

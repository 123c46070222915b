"""One log line: from what a logger was given to a line of type ``log`` in the recorder.

Our loggers, stdlib's, structlog's and events are recorded in the same steps, all within `guarded`: `log_line` makes the line with
its calling code, `here` and `adopt` find the task, step and span it belongs to, `add_error` notes an exception, `deliver` gives
it to the recorder. Foreign code runs only where a message or an exception must become text; if it raises or does not return, the
line is recorded all the same.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, NamedTuple, cast

from opentelemetry import context as otel_context
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.record.exceptions.bounded_repr import BoundedRepr
from otel_agentlog.record.exceptions.class_info import short_name
from otel_agentlog.record.exceptions.describe import message_and_traceback, message_of
from otel_agentlog.record.exceptions.fresh_stack import SHALLOW, is_deep, on_fresh_stack
from otel_agentlog.record.exceptions.timeout_call import TimedOut, call_apart, thread_state, timeout_call
from otel_agentlog.record.logs.levels import WORDS, word_of
from otel_agentlog.record.operations.context import BOUND, CORRELATION_IDS, OPERATION, bound, nearest
from otel_agentlog.record.operations.outcome import describe, type_name
from otel_agentlog.record.providers.fields import as_count
from otel_agentlog.record.recorder import OpenTask, Recorder, recorder
from otel_agentlog.record.sanitize.keys import is_true, plain_text
from otel_agentlog.vocabulary.envelope import TaskRef
from otel_agentlog.vocabulary.lines import Line

MAX_NESTED = 2
"""How many log lines a thread may have in the making, one within the other."""
MAX_DEFERRED = 1_000
"""How many lines that came in between a thread keeps until they can be recorded."""
_ROUNDS = 10
"""How often lines are recorded that came in between of those recorded just before: what always logs must end somewhere."""
MAX_KNOWN = 4096
"""Of so many places in the code it is kept what their log lines have in common."""
MAX_STACK_LINES = 200
"""Longest ``stack_info`` kept, in printed lines."""

ID_KEYS = dict.fromkeys(("task_id", "step_id", *CORRELATION_IDS, "trace_id", "span_id")).keys()
"""Keys of an event that are ids of the line, if they name no other place than the one the line is recorded in."""

_NOTHING: Mapping[str, Any] = {}
_PLAIN = frozenset({str, int, float, bool, type(None)})
_HEX = {"trace_id": re.compile(r"(?!0{32})[0-9a-f]{32}"), "span_id": re.compile(r"(?!0{16})[0-9a-f]{16}")}


def guarded(work: Callable[..., None], *args: Any) -> None:
    """Call ``work(recorder, *args)``, which records one log line. Nothing it raises leaves.

    A sink, an exporter or a ``__str__`` may log while a line is being recorded, and so on for ever. One such line is recorded
    too; what is nested deeper is dropped and counted as ``nested_log``, unless it comes from a signal handler or ``__del__`` that
    happened to run just then: those lines are recorded right after the outermost one. What our console writes is no line: its
    stream may lead back here. A line that comes in between of that is one.
    """
    record = recorder()
    if thread_state.on_console and not _comes_in_between(sys._getframe(1)):
        return None
    if (nested := thread_state.log_lines) >= MAX_NESTED:
        if not _defer(work, args):
            record.failed("nested_log", RecursionError())
        return None
    try:
        sys._getframe(SHALLOW)
        deep = is_deep()
    except ValueError as shallow:
        if not shallow.args or (shallow.__traceback__ and shallow.__traceback__.tb_next):
            raise  # not of ours
        deep = False
    except RecursionError:
        deep = True
    if deep:
        return on_fresh_stack(guarded, work, *args)
    thread_state.log_lines = nested + 1
    try:
        work(record, *args)
    except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
        raise_interrupt()
        record.failed("log", error)
    finally:
        thread_state.log_lines = nested
        if not nested and _deferred.lines:
            _record_deferred()


class _Deferred(threading.local):
    """Log lines of this thread that are recorded once the one in the making is."""

    def __init__(self) -> None:
        self.lines: deque[tuple[Callable[..., None], list[Any]]] = deque()
        self.at_work = False


_deferred = _Deferred()


class _Caller(NamedTuple):
    """What is needed of a frame that may have gone on when the line is recorded."""

    f_code: CodeType
    f_lineno: int
    f_lasti: int
    f_back: FrameType | None


def _defer(work: Callable[..., None], args: tuple[Any, ...]) -> bool:
    """Keep a log line for later if it came in between by a signal or a finalizer; false if it did not, or there are too many."""
    if len(_deferred.lines) >= MAX_DEFERRED or not _comes_in_between(sys._getframe(2)):
        return False
    kept: list[Any] = []
    for arg in args:
        if isinstance(arg, FrameType):
            arg = _Caller(arg.f_code, arg.f_lineno, arg.f_lasti, arg.f_back)
        elif type(arg) is dict and arg.get("exc_info") is True:
            arg = {**arg, "exc_info": sys.exc_info()[1]}
        kept.append(arg)
    _deferred.lines.append((work, kept))
    return True


def _comes_in_between(frame: FrameType | None) -> bool:
    """Whether a signal handler or a finalizer is among the calls from the last log line in the making to this one."""
    while frame is not None and frame.f_code is not guarded.__code__:
        if frame.f_code.co_name == "__del__" or _is_signal_handler(frame):
            return True
        frame = frame.f_back
    return False


def _is_signal_handler(frame: FrameType) -> bool:
    """Whether a call was given the frame that it interrupted, as signal handlers are."""
    code, interrupted = frame.f_code, frame.f_back
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARARGS)
    local = frame.f_locals
    for name in code.co_varnames[:count]:
        value = local.get(name)
        if value is interrupted or (type(value) is tuple and any(item is interrupted for item in value)):
            return True
    return False


def _record_deferred() -> None:
    """Record the lines that came in between, and those that come in between of them, in `_ROUNDS`."""
    if _deferred.at_work:
        return
    _deferred.at_work = True
    try:
        for _ in range(_ROUNDS):
            for _ in range(len(_deferred.lines)):
                work, args = _deferred.lines.popleft()
                guarded(work, *args)
        while _deferred.lines:
            _deferred.lines.popleft()
            recorder().failed("nested_log", RecursionError())
    finally:
        _deferred.at_work = False


def deliver(record: Recorder, line: Line, place: LinePlace, details: dict[str, Any]) -> None:
    """Give a complete log line to the recorder."""
    if details:
        line["details"] = details
    if place.attributes:
        line["attributes"] = place.attributes
    record.point(line, place.task, place.ids, sampled=place.sampled)


# -- where it belongs ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class LinePlace:
    """What a log line belongs to."""

    task: TaskRef | None = None
    ids: dict[str, str] = field(default_factory=dict)
    """Not to be changed: they may be the operation's own."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What `bind` put here besides correlation ids."""
    sampled: bool = True
    """Whether the span is sampled that it is recorded in."""


def here() -> LinePlace:
    """The place of a line that is recorded now, in this thread or asyncio task."""
    context = otel_context.get_current()
    around: Any = context.get(OPERATION)
    # Nearly always: an operation is current that has not ended, no other span, and nothing is bound.
    if around is not None and context is around._attached and around._tokens and around.place is None:
        ids = around.own_ids
        if ids is not None and BOUND not in context:
            return LinePlace(around.task, ids, _NOTHING, around.sampled)
    context, operation, is_nearest = nearest()
    if operation is None:
        place = LinePlace()
    else:
        place = LinePlace(operation.task, operation.ids(), {}, operation.sampled)
        if is_nearest:
            return place
    if values := bound(context):
        if operation is None or values is not bound(operation.outer):
            place.ids.update({key: str(values[key]) for key in CORRELATION_IDS if key in values})
        place.attributes = {key: value for key, value in values.items() if key not in CORRELATION_IDS}
    span = get_current_span(context)
    # The span of another library that is current inside the operation, or without any, is nearer than the operation's own.
    if operation is None or (span is not operation.span and span.is_recording()):
        ids = span.get_span_context()
        if ids.is_valid:
            place.ids["trace_id"], place.ids["span_id"] = format_trace_id(ids.trace_id), format_span_id(ids.span_id)
            place.sampled = ids.trace_flags.sampled
    return place


def adopt(place: LinePlace, data: dict[str, Any], line: Line) -> LinePlace:
    """Take ids out of an event's data: where nothing is known here they place the line; other ids than those here stay data.

    A ``task_id`` of a task that is open in this process takes the line there.
    """
    if place.task is not None:
        # Nearly always those of here.
        for key in ID_KEYS & data.keys():
            value = data[key]
            if type(value) is str and value == place.ids.get(key):
                del data[key]
    if ID_KEYS.isdisjoint(data):
        return place
    given = {key: plain_text(data[key]) for key in data if key in ID_KEYS and data[key] is not None}
    if place.task is None and "task_id" in given and (found := _open_task(given["task_id"])) is not None:
        place = LinePlace(found.task, {**place.ids, **found.ids()}, place.attributes)
    foreign_span = "trace_id" in place.ids
    for key, value in given.items():
        known = place.ids.get(key)
        if known == value:
            del data[key]
        elif known is None and _fits(key, value, foreign_span):
            # On the line and not among the ids: given by the user, so it is cleaned with the rest.
            line[key] = value
            del data[key]
    return place


OF_EVENTS = ("event_id", "state_before", "state_after", "duration_ms")
"""What the caller may tell of an event beside the step, and stands at the top of its line."""

_MAX_MS = 2.0**53
"""Longest duration: numbers from there on are not exact, and none that a program measured."""

_MAX_STATE = 64
"""Longest state of a caller's own, in characters; a longer text is no state, and stays data."""


def add_own(line: Line, place: LinePlace, given: Mapping[str, Any], data: dict[str, Any], record: Recorder) -> None:
    """Put at the top of a line what its caller gave with the event; what cannot stand there is added to the event's data.

    The step goes before the one that is current. The caller's ``event_id`` is ``caller_event_id``, as lines are numbered here.
    """
    for key in ("step_id", "event_id"):
        if given.get(key) is not None and (text := plain_text(given[key])):
            line["step_id" if key == "step_id" else "caller_event_id"] = text
    if "step_id" in line:
        place.ids = {key: value for key, value in place.ids.items() if key != "step_id"}
    for key in ("state_before", "state_after"):
        if given.get(key) is None:
            continue
        # Cleaned here: states on a line are ours, and pass the cleaning as they are.
        state = plain_text(given[key])
        if 0 < len(state) <= _MAX_STATE:
            line[key] = record.clean_text(state)
        else:
            data[key] = given[key]
    took: Any = given.get("duration_ms")
    if type(took) in (int, float) and 0 <= took <= _MAX_MS:
        line["duration_ms"] = took
    elif took is not None:
        data["duration_ms"] = took


def component_of(given: object) -> str:
    """A component as text; of a member of any enumeration its value."""
    return plain_text(given) if issubclass(type(given), Enum) else text_of(given)


def _fits(key: str, value: str, foreign_span: bool) -> bool:
    return bool(value) if key not in _HEX else (not foreign_span and _HEX[key].fullmatch(value) is not None)


def _open_task(task_id: str) -> OpenTask | None:
    for _ in range(3):
        try:
            tasks = list(recorder().open_tasks)
        except RuntimeError:
            raise_interrupt()
            continue  # another thread began a task meanwhile
        return next((task for task in tasks if task.task_id == task_id and not task.ended), None)
    return None


# -- its message, and which code logged it -------------------------------------------------------------------------------


def log_line(number: int, message: str, logger: str, component: object, frame: FrameType | None = None) -> Line:
    """The keys that every log line has, and the calling code where its frame is known."""
    line: Line = {"type": "log", "level": WORDS.get(number) or word_of(number)}
    if component is not None:
        line["component"] = component if type(component) is str else plain_text(component)
    line["logger"], line["message"] = logger, message
    if frame is not None:
        code = frame.f_code
        line["module"], line["function"], line["line"] = module_of(code.co_filename), code.co_name, frame.f_lineno
    return line


def known_line(record: Recorder, number: int, logger: str, component: str | None, frame: FrameType) -> Line | None:
    """A new dict with what log lines from this place in the code have in common, which is ours: it was cleaned before.

    ``None`` where cleaning would change it. Level, logger and component are those of each line from there, mostly.
    """
    code = frame.f_code
    key = number, logger, component, id(code), frame.f_lasti
    known = record.log_lines.get(key)
    if known is None:
        line = log_line(number, "", logger, component, frame)
        made = {"timestamp": "", **line} if record.is_clean(line) else None
        if len(record.log_lines) >= MAX_KNOWN:
            record.log_lines.clear()
        # With the code, which no other has the `id` of as long as it is here.
        known = record.log_lines[key] = made, code
    return None if known[0] is None else known[0].copy()


@lru_cache(maxsize=1024)
def module_of(path: str) -> str:
    """A source file's name without folder and ending, as stdlib ``logging`` names modules."""
    return os.path.splitext(os.path.basename(path))[0]


def caller(frame: FrameType, skip: int) -> FrameType:
    """The frame ``skip`` calls further out; the outermost one if there are not that many."""
    while skip > 0 and frame.f_back is not None:
        frame, skip = frame.f_back, skip - 1
    return frame


def add_origin(line: Line, module: object, function: object, number: object) -> None:
    """Where in the code it was logged, as others tell it: as far as they are texts and a number."""
    for key, text in (("module", module), ("function", function)):
        if text is not None:
            line[key] = text_of(text)
    if (counted := as_count(number)) is not None:
        line["line"] = counted


def text_of(value: object) -> str:
    """``str(value)``, also where that raises, blocks or is too much: then what can be had without the value's help."""
    if type(value) is str:
        return value
    if issubclass(type(value), BaseException):
        return message_of(cast(BaseException, value))
    found = BoundedRepr(value)
    if found.large:
        return found.text
    try:
        return timeout_call(lambda: str.__str__(str(value)), frozenset(found.foreign)) if found.foreign else str(value)
    except TimedOut:
        return f"<{short_name(type(value))} whose __str__ does not return>"
    except Exception:  # noqa: BLE001 - __str__ is foreign code
        raise_interrupt()
        return f"<{short_name(type(value))} whose __str__ raises>"


def interpolated(event: object, args: tuple[Any, ...]) -> tuple[str, bool]:
    """``event % args`` as stdlib does it; where that cannot be done the text as it is, and false."""
    text = text_of(event)
    if not args:
        return text, True
    if _PLAIN.issuperset(map(type, args)) and (filled := _filled_plain(text, args)) is not None:
        return filled, True
    found = BoundedRepr(*(arg for arg in args if type(arg) is not str))
    try:
        if found.plain:
            return _filled(text, args), True
        if not found.large:
            return timeout_call(lambda: _filled(text, args), frozenset(found.foreign)), True
    except TimedOut:
        pass
    except Exception:  # noqa: BLE001 - a wrong format string, or an argument whose __str__ raises
        raise_interrupt()
        return text, False
    try:
        return _filled(text, tuple(map(_without_its_code, args))), True
    except Exception:  # noqa: BLE001 - a numeric format for a value that is no number
        raise_interrupt()
        return text, False


def _filled_plain(text: str, args: tuple[Any, ...]) -> str | None:
    try:
        return text % args
    except Exception:  # noqa: BLE001 - a wrong format string, or an integer of more digits than Python makes a text of
        raise_interrupt()
        return None


def _filled(text: str, args: tuple[Any, ...]) -> str:
    return text % (args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args)


def _without_its_code(arg: Any) -> Any:
    if type(arg) is dict:
        return {key: _without_its_code(value) for key, value in arg.items() if type(key) is str}
    return arg if type(arg) in (str, int, float) else BoundedRepr(arg).text


# -- exceptions and stacks -----------------------------------------------------------------------------------------------


def error_of(exc_info: object) -> BaseException | None:
    """The exception meant by an ``exc_info``: true for the current one, an exception, or stdlib's triple."""
    # By the class, as isinstance reads __class__, which is a value's own code.
    if issubclass(type(exc_info), BaseException):
        return cast(BaseException, exc_info)
    if type(exc_info) is tuple:
        return exc_info[1] if len(exc_info) > 1 and issubclass(type(exc_info[1]), BaseException) else None
    return sys.exc_info()[1] if is_true(exc_info) else None


def add_error(line: Line, error: BaseException | None, trace_id: str | None, record: Recorder) -> None:
    """Note an exception; it is the same error, under the same ``error_id``, wherever this trace records it again."""
    if error is not None and issubclass(type(error), BaseException):
        line["exception"] = describe(error, trace_id or "", record)


def printed_error(error: BaseException) -> dict[str, Any]:
    """An exception for showing only: with its traceback each time, and without a mark that it was recorded."""
    message, text = message_and_traceback(error)
    return {"type": type_name(error), "message": message, "traceback": text.rstrip("\n").split("\n")}


def add_printed_error(line: Line, printed: str) -> None:
    """Note an exception of which only the printed traceback is left."""
    lines = printed.rstrip("\n").split("\n")
    kind, _, message = lines[-1].partition(": ")
    line["exception"] = {"type": kind.strip() or "Exception", "message": message, "traceback": lines}


def stack_of(frame: FrameType | None) -> list[str]:
    """The stack above a frame, one string per printed line, outermost call first."""
    printed = ""
    if frame is not None:
        printed = "".join(call_apart(lambda: traceback.format_stack(frame, limit=MAX_STACK_LINES // 2)))
    return stack_lines(printed)


def stack_lines(printed: str) -> list[str]:
    """A printed stack as ``details.stack_info``."""
    return printed.rstrip("\n").split("\n")[-MAX_STACK_LINES:]

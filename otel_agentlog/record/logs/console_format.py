"""Formats a line for the console: as text for people, and as one JSON object with the fields that log pipelines read.

Pure functions from a cleaned line to text. Here it only gets its length and its width, and what a terminal would act on is taken
out (`terminal_text`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass, lazy_pattern
from otel_agentlog.vocabulary.lines import Line
from otel_agentlog.vocabulary.states import ERROR_LEVELS
from otel_agentlog.vocabulary.terminal_text import cut, one_line, pad, safe_lines, width

MAX_VALUE_CHARACTERS = 120
"""Longest value shown; of a longer one the beginning and how much is missing."""

MAX_MESSAGE_CHARACTERS = 2_000
"""Longest message shown."""

MAX_TRACEBACK_LINES = 60
"""Lines of a traceback shown on the console; the middle of a longer one is left out. The folder has all of it."""

MAX_MESSAGE_LINES = 40

_WIDE = 120
"""Columns from which on the origin of a line is shown too."""

_LEVELS = {"DEBUG": "DEBUG", "INFO": "INFO ", "WARNING": "WARN ", "ERROR": "ERROR", "CRITICAL": "CRIT "}
_STYLES = {
    "DEBUG": "2",
    "INFO": "32",
    "WARNING": "33",
    "ERROR": "1;31",
    "CRITICAL": "1;97;41",
    "time": "2",
    "speaker": "36",
    "key": "2",
    "ids": "2",
    "type": "1;31",
    "strong": "1",
}
_LIFECYCLE_FIGURES = ("input_tokens", "output_tokens", "cost_usd", "exit_code")
_OWN_DETAILS = frozenset({"stack_info"})
_BARE = lazy_pattern(r"[^\s\"'=\[\]{},]+")

Piece = tuple[str, str]
"""A word that is not broken, and its style."""


@dataclass(frozen=True)
class Layout:
    """How to render for people."""

    colour: bool = False
    columns: int | None = None
    """Width of the terminal; ``None`` never wraps."""


def human(line: Line, time_ns: int, layout: Layout = Layout()) -> str:
    """One line for people, ending in a newline; exceptions, stacks and further lines of the message below it, indented."""
    level = one_line(str(line.get("level") or "INFO"))
    head = _head(line, time_ns, level, layout)
    message, *further = _message(line)
    strong = level if level in ERROR_LEVELS else "strong"
    pieces: list[Piece] = [(word, strong) for word in message.split(" ")]
    if not further:
        pieces += _tail(line, layout)
    text = _wrapped(head, pieces, layout)
    for row in further:
        text += "\n" + "    " + row
    if further:
        text += _below(_tail(line, layout), layout)
    return text + "".join("\n    " + row for row in _trouble(line, layout)) + "\n"


def _message(line: Line) -> list[str]:
    """The message's lines, bounded; never empty."""
    given = line.get("message")
    text = given if isinstance(given, str) else "" if given is None else value_text(given)
    if line.get("type") not in (None, "log"):
        text = f"{line.get('action') or line.get('type')} {text}"
    rows = safe_lines(shortened(text, MAX_MESSAGE_CHARACTERS))
    if len(rows) > MAX_MESSAGE_LINES:
        rows[MAX_MESSAGE_LINES:] = [f"[{len(rows) - MAX_MESSAGE_LINES} lines more]"]
    return rows


def _head(line: Line, time_ns: int, level: str, layout: Layout) -> list[Piece]:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    clock = time.strftime("%H:%M:%S", time.localtime(seconds)) + f".{rest // 1_000_000:03d}"
    speaker = one_line(str(line.get("component") or line.get("logger") or "-")).strip() or "-"
    roomy = layout.columns is None or layout.columns >= 80
    speaker = cut(speaker, 20 if roomy else 12)
    speaker = pad(speaker, 16) if roomy else speaker
    return [(clock, "time"), (_LEVELS.get(level, level[:5]), level), (speaker, "speaker")]


def _tail(line: Line, layout: Layout) -> list[Piece]:
    """Details, figures of lifecycle lines, short ids and, where there is room, the origin."""
    details = line.get("details")
    pairs = dict(details) if isinstance(details, Mapping) else {}
    if line.get("type") not in (None, "log"):
        pairs = {key: pairs[key] for key in _LIFECYCLE_FIGURES if pairs.get(key) is not None}
    if "duration_ms" in line:
        pairs["duration_ms"] = line["duration_ms"]
    pairs = {key: value for key, value in pairs.items() if key not in _OWN_DETAILS}
    pieces: list[Piece] = [(f"{one_line(shortened(str(key), 60))}=\0{value_text(value)}", "key") for key, value in pairs.items()]
    if ids := _short_ids(line):
        pieces.append((f"[{ids}]", "ids"))
    if layout.columns is not None and layout.columns >= _WIDE and (origin := _origin(line)):
        pieces.append((origin, "ids"))
    return pieces


def _short_ids(line: Line) -> str:
    task = str(line.get("task_id") or "")
    short = one_line(task.removeprefix("task-"))[:8]
    step = cut(one_line(str(line.get("step_id") or "")), 16)
    if short or step:
        return " ".join(part for part in (short, step) if part)
    trace = str(line.get("trace_id") or "")
    return f"trace {one_line(trace)[:8]}" if trace else ""


def _origin(line: Line) -> str:
    name = str(line.get("logger") if line.get("component") else line.get("module") or "")
    return f"{one_line(name)[:40]}:{line['line']}" if name and "line" in line else ""


def _trouble(line: Line, layout: Layout) -> Iterable[str]:
    """The rows below a line: its stack, and its exception."""
    details = line.get("details")
    stack = details.get("stack_info") if isinstance(details, Mapping) else None
    if isinstance(stack, (list, tuple)):
        yield from _bounded(stack)
    exception = line.get("exception")
    if not isinstance(exception, Mapping):
        return
    printed = exception.get("traceback")
    rows = _bounded(printed) if isinstance(printed, (list, tuple)) else []
    yield from rows
    title = one_line(shortened(f"{exception.get('type')}: {exception.get('message')}", MAX_MESSAGE_CHARACTERS))
    notes = [f"error {exception['error_id']}"] if exception.get("error_id") else []
    notes += [str(exception["category"])] if exception.get("category") else []
    notes += [] if rows else ["traceback where it was first seen"]
    note = one_line(", ".join(notes))
    yield (
        _painted(f"[{note}]", "ids", layout)
        if rows
        else f"{_painted(title, 'type', layout)} {_painted(f'[{note}]', 'ids', layout)}"
    )
    suggestions = exception.get("suggestions")
    for suggestion in suggestions[:3] if isinstance(suggestions, (list, tuple)) else ():
        yield _painted(f"→ {one_line(shortened(str(suggestion), 200))}", "strong", layout)


def _bounded(printed: Any) -> list[str]:
    rows = [row for item in printed for row in safe_lines(shortened(str(item), MAX_MESSAGE_CHARACTERS))]
    if len(rows) > MAX_TRACEBACK_LINES:
        head, tail = MAX_TRACEBACK_LINES // 3, MAX_TRACEBACK_LINES * 2 // 3
        rows[head:-tail] = [f"  [{len(rows) - head - tail} lines left out]"]
    return rows


def _wrapped(head: list[Piece], pieces: list[Piece], layout: Layout) -> str:
    """Words side by side; where the terminal ends the next ones go on below, indented."""
    text = " ".join(_painted(word, style, layout) for word, style in head)
    used = sum(width(word) for word, _ in head) + len(head) - 1
    indent = max(4, used + 1) if layout.columns is not None and layout.columns >= 100 else 4
    run, run_style, before = "", "", ""
    for word, style in pieces:
        gap = "  " if style in ("key", "ids") and before not in ("key", "ids") else " "
        shown = len(word) - word.count("\0") if word.isascii() else _shown_width(word)
        if layout.columns is not None:
            if shown >= layout.columns - indent:
                word = _fitted(word, layout.columns - indent)
                shown = _shown_width(word)
            # A row has at least one word, however narrow the terminal is.
            if used > indent and used + len(gap) + shown > layout.columns:
                if not word:
                    continue  # a space at the end of a row
                text, run, used, gap = text + _painted(run, run_style, layout) + "\n" + " " * indent, "", indent, ""
        if run and style == run_style != "key":
            run += gap + word
        else:
            text += _painted(run, run_style, layout) + gap
            run, run_style = word, style
        used += len(gap) + shown
        before = style
    return (text + _painted(run, run_style, layout)).rstrip(" ")


def _below(pieces: list[Piece], layout: Layout) -> str:
    return "\n" + _wrapped([("  ", "")], pieces, layout) if pieces else ""


def _fitted(word: str, columns: int) -> str:
    key, mark, value = word.partition("\0")
    room = columns - width(key)
    return key + mark + cut(value, room) if mark and room > 0 else cut(key, max(1, columns))


def _shown_width(word: str) -> int:
    return width(word) - word.count("\0")


def _painted(word: str, style: str, layout: Layout) -> str:
    key, mark, value = word.partition("\0")
    if not layout.colour or style not in _STYLES or not word:
        return key + value
    painted = f"\x1b[{_STYLES[style]}m{key}\x1b[0m"
    return painted + value if mark else painted


# -- values of details ----------------------------------------------------------------------------------------------------


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning and how many characters are missing."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 1]}…(+{len(text) - longest + 1})"


def value_text(value: object) -> str:
    """A value of ``details`` as written behind ``key=``: quoted where it would not be one word, JSON for containers."""
    # Cut before any other work on it: a value may be megabytes.
    if isinstance(value, str):
        cut = shortened(value, MAX_VALUE_CHARACTERS)
        return _quoted(one_line(cut))
    if value is None or isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return shortened(one_line(_json(value)), MAX_VALUE_CHARACTERS)


def _quoted(text: str) -> str:
    if _BARE.fullmatch(text):
        return text
    return '"' + text.replace('"', "'") + '"'


def _json(value: object) -> str:
    try:
        return orjson.dumps(_head_of_text(value, 4), default=_name_of, option=orjson.OPT_NON_STR_KEYS).decode()
    except Exception:  # noqa: BLE001 - what is no JSON, or a class's own __len__ or __iter__
        raise_interrupt()
        return _name_of(value)


def _name_of(value: object) -> str:
    return f"<{type(value).__name__}>"


def _head_of_text(value: Any, depth: int) -> Any:
    """The beginning of a container: as much of it as a short text can show."""
    if isinstance(value, str):
        return value[:MAX_VALUE_CHARACTERS]
    if isinstance(value, Mapping):
        if depth == 0:
            return "{…}" if value else {}
        return {shortened(str(key), 60): _head_of_text(item, depth - 1) for key, item in _first(value.items())}
    if isinstance(value, (list, tuple)):
        if depth == 0:
            return "[…]" if value else []
        return [_head_of_text(item, depth - 1) for item in _first(value)]
    return value


def _first(items: Iterable[Any]) -> Iterable[Any]:
    return (item for _, item in zip(range(24), items, strict=False))


# -- JSON -----------------------------------------------------------------------------------------------------------------

_FURTHER = ("component", "step_id", "correlation_id", "session_id", "trace_id", "span_id", "event_id")


def seed_fields(line: Line, timestamp: str | None = None) -> dict[str, Any]:
    """A log line with the fields that log pipelines read: ``timestamp level logger message module function line context task_id
    instance_id exception{type,message,traceback[]}``, each always there, ``null`` where unknown; then further ids where known.
    """
    exception = line.get("exception")
    fields: dict[str, Any] = {
        "timestamp": line.get("timestamp") or timestamp,
        "level": line.get("level"),
        "logger": line.get("logger"),
        "message": line.get("message"),
        "module": line.get("module"),
        "function": line.get("function"),
        "line": line.get("line"),
        "context": {**(line.get("attributes") or {}), **(line.get("details") or {})},
        "task_id": line.get("task_id"),
        "instance_id": line.get("instance_id"),
        "exception": {"traceback": [], **exception} if isinstance(exception, Mapping) else None,
    }
    fields.update({key: line[key] for key in _FURTHER if key in line})
    return fields


def json_text(line: Line, timestamp: str | None = None) -> str:
    """`seed_fields` as one line of JSON, ending in a newline.

    Raises:
        TypeError: a value is not JSON (cleaned lines have none such).
    """
    return orjson.dumps(seed_fields(line, timestamp), option=orjson.OPT_APPEND_NEWLINE).decode()

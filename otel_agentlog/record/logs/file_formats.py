"""A line as log files of other systems have it: one flat JSON object, or a row of text. Pure functions of cleaned lines.

{"timestamp":"2026-02-13T19:06:35.545176+00:00","level":"INFO","logger":"bot","message":"…","context":"web","cost_usd":0.05}
2026-02-13 19:06:35,545 - bot - INFO - …
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.vocabulary.lines import Line, parse_timestamp
from otel_agentlog.vocabulary.lines import timestamp as timestamp_of
from otel_agentlog.vocabulary.terminal_text import one_line, safe_json, safe_lines

_FIRST = ("level", "logger", "message", "module", "function", "line")
_IDS = ("instance_id", "task_id", "step_id", "session_id", "correlation_id")
_APART = frozenset({"timestamp", "component", "details", "attributes", "exception"})


def flat(line: Line) -> dict[str, Any]:
    """One object: what was given to the call at its top, ``context`` as the component, exceptions by their short name.

    What was given under a name that the line has itself stays in ``details``. Keys that are not known are absent.
    """
    moment = str(line.get("timestamp") or timestamp_of(time.time_ns()))
    own = {"timestamp": f"{moment[:26]}+00:00", **{key: line[key] for key in (*_FIRST, *_IDS) if key in line}}
    own.setdefault("message", line.get("action") or line.get("stage") or line.get("type"))
    if (component := line.get("component")) is not None:
        own["context"] = component
    apart = _APART | {"type"} if line.get("type") == "log" else _APART
    own.update({key: value for key, value in line.items() if key not in own and key not in apart})
    exception = line.get("exception")
    if isinstance(exception, Mapping):
        own["exception"] = {"traceback": [], **exception, "type": str(exception.get("type")).rpartition(".")[2]}
        if "error_id" in exception:
            own["error_id"] = exception["error_id"]
    given = _given(line)
    clashing = {key: value for key, value in given.items() if key == "details" or (key in own and own[key] != value)}
    own.update({key: value for key, value in given.items() if key not in own and key not in clashing})
    return {**own, "details": clashing} if clashing else own


def _given(line: Line) -> dict[str, Any]:
    """What was given to the call and by `bind`; a mapping called ``context`` counts as given by its own names."""
    given: dict[str, Any] = {}
    for key in ("attributes", "details"):
        if isinstance(found := line.get(key), Mapping):
            given.update(found)
    context = given.get("context")
    if isinstance(context, Mapping):
        del given["context"]
        given = {**context, **given}
    return given


def flat_row(line: Line) -> bytes:
    """`flat` as one line of JSON, ending in a newline."""
    return orjson.dumps(flat(line), option=orjson.OPT_APPEND_NEWLINE)


def text_row(line: Line, *, details: bool = True) -> bytes:
    """``date time,ms - logger - LEVEL - message`` in local time, with ``key=value`` behind it if ``details``.

    Further lines of the message, and the traceback, stand below, indented: only the first one of each record begins with a date.
    """
    message, *further = safe_lines(str(line.get("message") or line.get("action") or line.get("stage") or line.get("type") or ""))
    name = one_line(str(line.get("logger") or line.get("component") or "otel_agentlog"))
    rows = [f"{_local(line)} - {name} - {line.get('level') or 'INFO'} - {message}", *further]
    if details and (pairs := _pairs(line)):
        rows[0] = f"{rows[0]} {pairs}"
    exception = line.get("exception")
    if isinstance(exception, Mapping):
        rows += [row for printed in _printed(exception) for row in safe_lines(printed)]
    return ("\n    ".join(rows) + "\n").encode("utf-8", "replace")


def _pairs(line: Line) -> str:
    ids = {key: line[key] for key in _IDS if key in line}
    return " ".join(
        f"{one_line(key)}={safe_json(orjson.dumps(value).decode())}" for key, value in {**ids, **_given(line)}.items()
    )


def _printed(exception: Mapping[str, Any]) -> list[str]:
    traceback = exception.get("traceback")
    if isinstance(traceback, list) and traceback:
        return [str(row) for row in traceback]
    return [f"{exception.get('type')}: {exception.get('message')}"]


def _local(line: Line) -> str:
    try:
        time_ns = parse_timestamp(str(line.get("timestamp")))
    except ValueError:
        raise_interrupt()
        time_ns = time.time_ns()
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f",{rest // 1_000_000:03d}"


FORMATS: Mapping[str, Callable[[Line], bytes] | None] = {"lines": None, "flat": flat_row, "text": text_row}
"""By the setting ``log_format``, what makes a row of a line; ``None``: the line as it is."""

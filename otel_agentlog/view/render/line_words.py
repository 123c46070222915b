"""Hides how one line of a task folder is put for people, whatever its type and whatever stands in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from otel_agentlog.view.render import human, words
from otel_agentlog.view.render.screen import Piece
from otel_agentlog.view.render.show_header import stage_details
from otel_agentlog.view.render.values import many_lines, one_line
from otel_agentlog.vocabulary.lines import CONTENT_TYPES
from otel_agentlog.vocabulary.terminal_text import cut, safe

LEVEL_STYLES = {"WARNING": "warn", "ERROR": "error", "CRITICAL": "bad", "DEBUG": "dim"}
_DETAILS = 400

Words = list[Piece]


def said(line: Mapping[str, Any], name_columns: int = 48) -> list[Words]:
    """A line as people read it; further lines where a text has several, and for a traceback.

    The name of what started or ended is cut to `name_columns`, so that what became of it is seen.
    """
    if "stage" in line:
        return [[Piece(_text(line, "stage"), "title"), Piece(f"  {stage_details(dict(line), _DETAILS)}", "dim")]]
    kind = _text(line, "type")
    if kind in CONTENT_TYPES:
        return [[Piece(text, "dim" if kind == "thinking" else "")] for text in many_lines(_raw(line, "content"))]
    if line.get("phase") == "start":
        return [_start(line, name_columns)]
    first = _end(line, name_columns) if line.get("phase") == "end" else _OTHERS.get(kind, _message)(line)
    return [first, *_traceback(line.get("exception"))]


def _start(line: Mapping[str, Any], name_columns: int) -> Words:
    details = line.get("details")
    arguments = details.get("arguments") if isinstance(details, Mapping) else None
    latency = details.get("latency_ms") if isinstance(details, Mapping) else None
    aside = one_line(arguments, _DETAILS) if arguments else ""
    if isinstance(latency, (int, float)):
        aside = f"after {human.duration(latency)} in the queue"
    return [Piece(f"{cut(_message_text(line), name_columns)} "), Piece("started", "run"), Piece(f"  {aside}", "dim")]


def _end(line: Mapping[str, Any], name_columns: int) -> Words:
    outcome = _text(line, "outcome") or "ended"
    style = words.STYLE_OF_STATE.get(outcome, "")
    took = line.get("duration_ms")
    time = f" in {human.duration(took)}" if isinstance(took, (int, float)) else ""
    said = [Piece(f"{cut(_message_text(line), name_columns)} "), Piece(words.state_word(outcome), style), Piece(time, "dim")]
    exception = line.get("exception")
    if isinstance(exception, Mapping):
        found = words.error_id(exception)
        return [*said, Piece(f"  {words.error_text(exception)}", "error"), Piece(f"  [{found}]" if found else "", "dim")]
    why = _text(line, "reason") if outcome != "completed" else ""
    return [*said, Piece(f"  {why or _figures(line.get('details'))}", "dim")]


def _figures(details: Any) -> str:
    """What an AI call or tool run came to."""
    if not isinstance(details, Mapping):
        return ""
    parts = []
    if "input_tokens" in details or "output_tokens" in details:
        parts.append(f"{human.tokens(details.get('input_tokens'))} in, {human.tokens(details.get('output_tokens'))} out")
    if "cost_usd" in details:
        cost = human.usd(details["cost_usd"])
        parts.append("price unknown" if cost == human.UNKNOWN else cost)
    if details.get("exit_code"):
        parts.append(f"exit code {safe(str(details['exit_code']))}")
    if "result" in details:
        parts.append(one_line(details["result"], _DETAILS))
    return ", ".join(parts)


def _log(line: Mapping[str, Any]) -> Words:
    level = _text(line, "level") or "INFO"
    details, logger = line.get("details"), _text(line, "logger")
    said = [
        Piece(f"{level} ", LEVEL_STYLES.get(level, "ok")),
        Piece(f"{logger}: " if logger else "", "dim"),
        Piece(_message_text(line), LEVEL_STYLES.get(level, "")),
    ]
    if isinstance(details, Mapping) and details:
        said.append(Piece(f"  {one_line(details, _DETAILS)}", "dim"))
    exception = line.get("exception")
    if isinstance(exception, Mapping):
        said.append(Piece(f"  {words.error_text(exception)}", "error"))
    return said


def _attempt(line: Mapping[str, Any]) -> Words:
    details = line.get("details")
    details = details if isinstance(details, Mapping) else {}
    wait = details.get("wait_ms")
    why = ": ".join(_text(details, key) for key in ("error_type", "reason") if _text(details, key))
    then = f", waiting {human.duration(wait)}" if isinstance(wait, (int, float)) else ""
    return [Piece(_message_text(line), "warn"), Piece(f"  {why}{then}", "dim")]


def _subtask(line: Mapping[str, Any]) -> Words:
    details = line.get("details")
    details = details if isinstance(details, Mapping) else {}
    outcome = _text(details, "outcome")
    state = Piece(words.state_word(outcome), words.STYLE_OF_STATE.get(outcome, "")) if outcome else Piece("started", "run")
    return [Piece(f"sub-task {_message_text(line)} "), state, Piece(f"  {_text(details, 'task_id')}", "id")]


def _process(line: Mapping[str, Any]) -> Words:
    resource = line.get("resource")
    service = _text(resource, "service.name") if isinstance(resource, Mapping) else ""
    host = _text(line, "host")
    return [Piece(_message_text(line)), Piece(f"  {service}{f' on {host}' if host else ''}", "dim")]


def _message(line: Mapping[str, Any]) -> Words:
    style = LEVEL_STYLES.get(_text(line, "level"), "")
    reason = _text(line, "reason")
    return [Piece(_message_text(line), style), Piece(f"  {reason}" if reason else "", "dim")]


_OTHERS: dict[str, Callable[[Mapping[str, Any]], Words]] = {
    "log": _log,
    "attempt": _attempt,
    "subtask": _subtask,
    "process": _process,
}


def _message_text(line: Mapping[str, Any]) -> str:
    return next((found for key in ("message", "name", "content", "action", "request") if (found := _text(line, key))), "")


def _traceback(exception: Any) -> Iterator[Words]:
    printed = exception.get("traceback") if isinstance(exception, Mapping) else None
    for text in printed if isinstance(printed, list) else ():
        if isinstance(text, str):
            yield from ([Piece(line, "dim")] for line in many_lines(text))


def _text(line: Mapping[str, Any], key: str) -> str:
    return safe(_raw(line, key))


def _raw(line: Mapping[str, Any], key: str) -> str:
    value = line.get(key)
    return value if isinstance(value, str) else ""

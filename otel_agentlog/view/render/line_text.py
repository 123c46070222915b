"""One line of a task folder as people read it, whatever its type and whatever it holds; for ``tail``, ``show`` and the monitor.

The console of a process that records has a renderer of its own (`record.logs.console_format`), which wraps words and ends each
line with its ids; `record` does not import `view`. What is safe on a terminal, and its width, both take from the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Piece, Pieces
from otel_agentlog.view.render.values import inline, text_lines
from otel_agentlog.vocabulary.chunks import content_text
from otel_agentlog.vocabulary.coerce import mapping, number, text, texts
from otel_agentlog.vocabulary.lines import CONTENT_TYPES
from otel_agentlog.vocabulary.terminal_text import cut, safe

LEVEL_STYLES = {"WARNING": "warn", "ERROR": "error", "CRITICAL": "bad", "DEBUG": "dim"}
_DETAILS = 400
"""Longest value of arguments, results and details, in characters."""

_STAGE_COMMON = frozenset(
    {"timestamp", "stage", "status", "event_type", "provider", "task_id", "event_id", "trace_id", "span_id", "type", "level"}
    | {"component", "action", "message", "correlation_id", "session_id", "instance_id", "step_id"}
)
"""Keys of a webhook stage that every stage has."""


def line_pieces(line: Mapping[str, Any], name_columns: int = 48) -> list[Pieces]:
    """Return a line's text; more than one where a text has several lines, and for a traceback.

    The name of what started or ended is cut to `name_columns`, so that its outcome is seen on a narrow terminal.
    """
    if "stage" in line:
        return [[Piece(_text(line, "stage"), "title"), Piece(f"  {stage_details(line, _DETAILS)}", "dim")]]
    kind = _text(line, "type")
    if kind in CONTENT_TYPES:
        return [[Piece(row, "dim" if kind == "thinking" else "")] for row in text_lines(content_text(line))]
    if line.get("phase") == "start":
        return [_start(line, name_columns)]
    first = _end(line, name_columns) if line.get("phase") == "end" else _BY_TYPE.get(kind, _message)(line)
    return [first, *_traceback(line)]


def stage_details(line: Mapping[str, Any], limit: int) -> str:
    """A webhook stage beyond its name: its status, then what only this stage has, at most `limit` characters of it."""
    own = {key: value for key, value in line.items() if key not in _STAGE_COMMON}
    return " ".join(filter(None, (_text(line, "status"), inline(own, limit))))


def _start(line: Mapping[str, Any], name_columns: int) -> Pieces:
    details = mapping(line, "details")
    latency = number(details, "latency_ms")
    aside = inline(details["arguments"], _DETAILS) if details.get("arguments") else ""
    if latency is not None:
        aside = f"after {formats.duration(latency)} in the queue"
    return [Piece(f"{cut(_message_text(line), name_columns)} "), Piece("started", "run"), Piece(f"  {aside}", "dim")]


def _end(line: Mapping[str, Any], name_columns: int) -> Pieces:
    outcome, took = _text(line, "outcome") or "ended", number(line, "duration_ms")
    time = "" if took is None else f" in {formats.duration(took)}"
    pieces = [Piece(f"{cut(_message_text(line), name_columns)} "), labels.state(outcome), Piece(time, "dim")]
    exception = line.get("exception")
    if isinstance(exception, Mapping):
        found = labels.error_id(exception)
        return [*pieces, Piece(f"  {labels.error_text(exception)}", "error"), Piece(f"  [{found}]" if found else "", "dim")]
    reason = _text(line, "reason") if outcome != "completed" else ""
    return [*pieces, Piece(f"  {reason or _figures(mapping(line, 'details'))}", "dim")]


def _figures(details: Mapping[str, Any]) -> str:
    """Tokens, cost, exit code and result of an AI call or tool run, those that there are."""
    parts = []
    if "input_tokens" in details or "output_tokens" in details:
        parts.append(f"{formats.tokens(details.get('input_tokens'))} in, {formats.tokens(details.get('output_tokens'))} out")
    if "cost_usd" in details:
        cost = formats.usd(details["cost_usd"])
        parts.append("price unknown" if cost == formats.UNKNOWN else cost)
    if details.get("exit_code"):
        parts.append(f"exit code {safe(str(details['exit_code']))}")
    if "result" in details:
        parts.append(inline(details["result"], _DETAILS))
    return ", ".join(parts)


def _log(line: Mapping[str, Any]) -> Pieces:
    level = _text(line, "level") or "INFO"
    details, logger = mapping(line, "details"), _text(line, "logger")
    pieces = [
        Piece(f"{level} ", LEVEL_STYLES.get(level, "ok")),
        Piece(f"{logger}: " if logger else "", "dim"),
        Piece(_message_text(line), LEVEL_STYLES.get(level, "")),
    ]
    if details:
        pieces.append(Piece(f"  {inline(details, _DETAILS)}", "dim"))
    exception = line.get("exception")
    if isinstance(exception, Mapping):
        pieces.append(Piece(f"  {labels.error_text(exception)}", "error"))
    return pieces


def _attempt(line: Mapping[str, Any]) -> Pieces:
    details = mapping(line, "details")
    wait = number(details, "wait_ms")
    why = ": ".join(_text(details, key) for key in ("error_type", "reason") if _text(details, key))
    then = "" if wait is None else f", waiting {formats.duration(wait)}"
    return [Piece(_message_text(line), "warn"), Piece(f"  {why}{then}", "dim")]


def _subtask(line: Mapping[str, Any]) -> Pieces:
    details = mapping(line, "details")
    outcome = _text(details, "outcome")
    state = labels.state(outcome) if outcome else Piece("started", "run")
    return [Piece(f"sub-task {_message_text(line)} "), state, Piece(f"  {_text(details, 'task_id')}", "id")]


def _process(line: Mapping[str, Any]) -> Pieces:
    service, host = _text(mapping(line, "resource"), "service.name"), _text(line, "host")
    return [Piece(_message_text(line)), Piece(f"  {service}{f' on {host}' if host else ''}", "dim")]


def _message(line: Mapping[str, Any]) -> Pieces:
    style = LEVEL_STYLES.get(_text(line, "level"), "")
    reason = _text(line, "reason")
    return [Piece(_message_text(line), style), Piece(f"  {reason}" if reason else "", "dim")]


_BY_TYPE: dict[str, Callable[[Mapping[str, Any]], Pieces]] = {
    "log": _log,
    "attempt": _attempt,
    "subtask": _subtask,
    "process": _process,
}


def _message_text(line: Mapping[str, Any]) -> str:
    return next((found for key in ("message", "name", "content", "action", "request") if (found := _text(line, key))), "")


def _traceback(line: Mapping[str, Any]) -> Iterator[Pieces]:
    for item in texts(mapping(line, "exception"), "traceback"):
        yield from ([Piece(row, "dim")] for row in text_lines(item))


def _text(line: Mapping[str, Any], key: str) -> str:
    return safe(text(line, key) or "")

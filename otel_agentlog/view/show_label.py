"""Hides how a part of a task is named on its line: state, kind, name, and what is worth knowing at once."""

from __future__ import annotations

from collections.abc import Iterator

from otel_agentlog.query import Entry
from otel_agentlog.view import human, words
from otel_agentlog.view.screen import Glyphs, Piece
from otel_agentlog.view.text import cut, safe
from otel_agentlog.view.values import one_line

_MAX_NAME = 160
_MAX_ARGUMENTS = 60
_USUAL_FINISH = frozenset({"stop", "end_turn", "tool_use", "tool_calls", "stop_sequence", "completed", "tool_call"})


def label(entry: Entry, glyphs: Glyphs) -> list[Piece]:
    """The line of a part without its figures."""
    kind = words.KIND_NAMES.get(entry.kind, entry.kind)
    name = cut(safe(entry.name), _MAX_NAME, glyphs.ellipsis)
    line = [
        words.sign(entry.status, glyphs),
        Piece(f" {safe(kind)} ", words.KIND_STYLES.get(entry.kind, "dim")),
        Piece(name, "title" if entry.kind in ("task", "subtask") else ""),
    ]
    for text, style in _notes(entry, glyphs):
        if text:
            line.append(Piece(f"  {text}", style))
    return line


def _notes(entry: Entry, glyphs: Glyphs) -> Iterator[tuple[str, str]]:
    details = entry.details
    if entry.kind == "subtask":
        yield safe(str(details.get("task_id") or "")), "id"
        yield _subtask_errors(entry), "error"
    if entry.kind == "tool_run" and details.get("arguments"):
        yield cut(one_line(details["arguments"], _MAX_ARGUMENTS * 2), _MAX_ARGUMENTS, glyphs.ellipsis), "dim"
    if entry.status not in ("completed", "failed"):
        yield words.state_word(entry.status), words.STYLE_OF_STATE.get(entry.status, "")
    if entry.reason and entry.status != "timed_out":
        yield f"({safe(entry.reason)})", "dim"
    if details.get("exit_code"):
        yield f"exit code {safe(str(details['exit_code']))}", "warn"
    if attempts := details.get("attempts"):
        yield (f"{attempts} attempts" if isinstance(attempts, int) and attempts > 1 else ""), "warn"
    yield _finish(entry), "warn"


def _subtask_errors(entry: Entry) -> str:
    errors = entry.task.metrics.get("errors") if entry.task is not None else None
    return human.count(errors, "error") if isinstance(errors, int) and errors else ""


def _finish(entry: Entry) -> str:
    """Why a model stopped, where that is not the usual: ``max_tokens``, ``content_filter`` …"""
    reasons = entry.details.get("finish_reasons")
    if not isinstance(reasons, list):
        return ""
    return ", ".join(safe(reason) for reason in reasons if isinstance(reason, str) and reason not in _USUAL_FINISH)

"""``agentlog errors``: the errors in task folders and application logs, or one of them by its id."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from otel_agentlog.errors import AgentlogError
from otel_agentlog.query import FoundError, find_errors, time_of
from otel_agentlog.query.filters.moments import parse_moment
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Column, Piece, Pieces, Screen, table
from otel_agentlog.view.render.values import text_lines
from otel_agentlog.vocabulary.coerce import mapping, text, texts
from otel_agentlog.vocabulary.terminal_text import safe

DEFAULT_LIMIT = 30

_STYLES = {"WARNING": "warn", "ERROR": "error"}
_COLUMNS = (
    Column("ID"),
    Column("WHEN", priority=60),
    Column("CATEGORY", priority=80),
    Column("ERROR", min_width=20),
    Column("TASK", priority=40, min_width=12),
    Column("STEP", priority=20, min_width=8),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("id", metavar="ID", nargs="?", help="the error's id: all about that one")
    parser.add_argument("--audit", action="store_true", help="tell how each was handled: what was tried, and how it went")
    parser.add_argument("--category", type=_category, metavar="C", help="only errors of this category, such as TIMEOUT")
    parser.add_argument("--since", type=_moment, metavar="T", help="only since then: 2h, 3d, yesterday, 2026-11-20T09:30")
    parser.add_argument("--until", type=_moment, metavar="T", help="only until then")
    parser.add_argument(
        "--limit", type=_limit, default=DEFAULT_LIMIT, metavar="N", help=f"show at most N (default {DEFAULT_LIMIT}, 0: all)"
    )


def run(options: argparse.Namespace, context: CliContext) -> int:
    """List errors, or show one; 1 if there is none of that id."""
    found = find_errors(
        context.root,
        context.log_directories,
        error_id=options.id,
        category=options.category,
        since_ns=options.since,
        until_ns=options.until,
    )
    if options.audit and options.id is None:
        found = [each for each in found if each.trail]
    if options.id is not None and not found:
        places = ", ".join(map(str, (context.root, *context.log_directories)))
        raise AgentlogError(f"no error {options.id!r} below {places}")
    listed = found[: options.limit or None]
    if options.json:
        trail = options.audit or options.id is not None
        errors = [each.as_json(trail=trail) for each in listed]
        print_json({"root": str(context.root), "matching": len(found), "errors": errors})
    else:
        _print(context, listed, len(found), options)
    return 0


def _print(context: CliContext, listed: Sequence[FoundError], matching: int, options: argparse.Namespace) -> None:
    screen = context.screen()
    if options.id is not None:
        screen.lines(_details(listed[0], screen))
        for other in listed[1:]:
            screen.line(Piece(f"also in {safe(str(other.file))}", "dim"))
        return
    if not listed:
        screen.line(f"No such errors below {safe(str(context.root))}.")
        return
    if options.audit:
        for each in listed:
            screen.lines([_title(each), *_trail(each, screen)])
    else:
        screen.lines(table(_COLUMNS, map(_row, listed), screen))
    if len(listed) < matching:
        screen.line(Piece(f"{len(listed)} of {matching:,} errors; --limit 0 shows all", "dim"))


def _row(each: FoundError) -> Pieces:
    return [
        Piece(safe(each.error_id), "id"),
        Piece(formats.moment(each.time_ns or None), "dim"),
        Piece(_text(each.exception, "category")),
        Piece(labels.error_text(each.exception), "error"),
        Piece(safe(each.task_id) if isinstance(each.task_id, str) else ""),
        Piece(_text(each.line, "step_id")),
    ]


def _details(each: FoundError, screen: Screen) -> Iterator[Pieces]:
    yield _title(each)
    for name, value in _places(each):
        if value:
            yield [Piece(f"  {name:<10}", "dim"), Piece(value, "id" if name.endswith("id") else "")]
    yield from _context(each)
    if suggestions := texts(each.exception, "suggestions"):
        yield [Piece("What to do", "title")]
        yield from ([Piece(f"  {screen.glyphs.dash} {safe(item)}")] for item in suggestions)
    if traceback := texts(each.exception, "traceback"):
        yield [Piece("Traceback", "title")]
        yield from ([Piece(f"  {row}", "dim")] for item in traceback for row in text_lines(item))
    if each.trail:
        yield [Piece("How it was handled", "title")]
        yield from _trail(each, screen)


def _title(each: FoundError) -> Pieces:
    category = _text(each.exception, "category")
    return [Piece(safe(each.error_id), "id"), Piece(f"  {category}  "), Piece(labels.error_text(each.exception), "error")]


def _places(each: FoundError) -> Iterator[tuple[str, str]]:
    line = each.line
    yield "when", formats.full_moment(each.time_ns or None)
    yield "what", _text(line, "action") or _text(line, "message")
    yield "component", _text(line, "component")
    for key in ("task_id", "step_id", "trace_id", "span_id", "event_id"):
        yield key, _text(line, key)
    yield "logger", _text(line, "logger")
    yield "file", safe(str(each.file))


def _context(each: FoundError) -> Iterator[Pieces]:
    found = mapping(each.exception, "context")
    if found:
        yield [Piece("Context", "title")]
    for key, value in found.items():
        first, *rest = text_lines(value)
        yield [Piece(f"  {safe(str(key))}: ", "dim"), Piece(first)]
        yield from ([Piece(f"    {row}")] for row in rest)


def _trail(each: FoundError, screen: Screen) -> Iterator[Pieces]:
    if not each.trail:
        yield [Piece("  nobody handled it: no audit trail", "dim")]
    for line in each.trail:
        action, message = _text(line, "action"), _text(line, "message")
        level = _text(line, "level")
        clock = formats.clock(time_of(line))
        yield [Piece(f"  {clock}  ", "dim"), Piece(f"{action:<19}", _STYLES.get(level, "")), Piece(f"  {message}")]


def _text(line: Mapping[str, Any], key: str) -> str:
    return safe(text(line, key) or "")


def _limit(given: str) -> int:
    if not given.isascii() or not given.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number of errors, found {given!r}")
    return int(given)


def _category(given: str) -> str:
    return given.strip().upper()


def _moment(given: str) -> int:
    try:
        return int(parse_moment(given) * 1e9)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None

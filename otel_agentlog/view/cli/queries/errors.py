"""``agentlog errors``: the errors there were, or all about one of them by its id."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from otel_agentlog.errors import AgentlogError
from otel_agentlog.query import FoundError, find_errors, time_of
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.render import human, words
from otel_agentlog.view.render.human import moment_s
from otel_agentlog.view.render.screen import Column, Piece, Screen, lay_out
from otel_agentlog.view.render.values import many_lines
from otel_agentlog.vocabulary.terminal_text import safe

DEFAULT_LIMIT = 30

Words = list[Piece]

_STYLES = {"WARNING": "warn", "ERROR": "error"}


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


def run(options: argparse.Namespace, setting: Setting) -> int:
    """List errors, or show one; 1 if there is none of that id."""
    found = find_errors(
        setting.root,
        setting.log_directories,
        error_id=options.id,
        category=options.category,
        since_ns=options.since,
        until_ns=options.until,
    )
    if options.audit and options.id is None:
        found = [each for each in found if each.trail]
    if options.id is not None and not found:
        places = ", ".join(map(str, (setting.root, *setting.log_directories)))
        raise AgentlogError(f"no error {options.id!r} below {places}")
    shown = found[: options.limit or None]
    if options.json:
        trail = options.audit or options.id is not None
        errors = [each.as_json(trail=trail) for each in shown]
        print_json({"root": str(setting.root), "matching": len(found), "errors": errors})
    else:
        _show(setting, shown, len(found), options)
    return 0


def _show(setting: Setting, shown: Sequence[FoundError], matching: int, options: argparse.Namespace) -> None:
    screen = setting.screen()
    if options.id is not None:
        screen.lines(_all_about(shown[0], screen))
        for other in shown[1:]:
            screen.line(Piece(f"also in {safe(str(other.file))}", "dim"))
        return
    if not shown:
        screen.line(f"No such errors below {safe(str(setting.root))}.")
        return
    if options.audit:
        for each in shown:
            screen.lines([_title(each), *_trail(each, screen)])
    else:
        screen.lines(lay_out(_columns(shown), screen.columns, screen.glyphs.ellipsis))
    if len(shown) < matching:
        screen.line(Piece(f"{len(shown)} of {matching:,} errors; --limit 0 shows all", "dim"))


# -- the list -------------------------------------------------------------------------------------------------------------


def _columns(shown: Sequence[FoundError]) -> list[Column]:
    columns = [
        Column("ID"),
        Column("WHEN", worth=60),
        Column("CATEGORY", worth=80),
        Column("ERROR", least=20),
        Column("TASK", worth=40, least=12),
        Column("STEP", worth=20, least=8),
    ]
    for each in shown:
        cells = (
            Piece(safe(each.error_id), "id"),
            Piece(human.moment(each.time_ns or None), "dim"),
            Piece(_text(each.exception.get("category"))),
            Piece(words.error_text(each.exception), "error"),
            Piece(_text(each.task_id)),
            Piece(_text(each.line.get("step_id"))),
        )
        for column, cell in zip(columns, cells, strict=True):
            column.cells.append(cell)
    return columns


# -- one of them ----------------------------------------------------------------------------------------------------------


def _all_about(each: FoundError, screen: Screen) -> Iterator[Words]:
    yield _title(each)
    for name, value in _places(each):
        if value:
            yield [Piece(f"  {name:<10}", "dim"), Piece(value, "id" if name.endswith("id") else "")]
    yield from _context(each)
    suggestions = each.exception.get("suggestions")
    if isinstance(suggestions, list) and suggestions:
        yield [Piece("What to do", "title")]
        yield from ([Piece(f"  {screen.glyphs.dash} {safe(item)}")] for item in suggestions if isinstance(item, str))
    traceback = each.exception.get("traceback")
    if isinstance(traceback, list) and traceback:
        yield [Piece("Traceback", "title")]
        yield from ([Piece(f"  {part}", "dim")] for item in traceback if isinstance(item, str) for part in many_lines(item))
    if each.trail:
        yield [Piece("How it was handled", "title")]
        yield from _trail(each, screen)


def _title(each: FoundError) -> Words:
    category = _text(each.exception.get("category"))
    return [Piece(safe(each.error_id), "id"), Piece(f"  {category}  "), Piece(words.error_text(each.exception), "error")]


def _places(each: FoundError) -> Iterator[tuple[str, str]]:
    line = each.line
    yield "when", human.full_moment(each.time_ns or None)
    yield "what", _text(line.get("action")) or _text(line.get("message"))
    yield "component", _text(line.get("component"))
    for key in ("task_id", "step_id", "trace_id", "span_id", "event_id"):
        yield key, _text(line.get(key))
    yield "logger", _text(line.get("logger"))
    yield "file", safe(str(each.file))


def _context(each: FoundError) -> Iterator[Words]:
    context = each.exception.get("context")
    if isinstance(context, dict) and context:
        yield [Piece("Context", "title")]
        for key, value in context.items():
            first, *rest = many_lines(value) or [""]
            yield [Piece(f"  {safe(str(key))}: ", "dim"), Piece(first)]
            yield from ([Piece(f"    {part}")] for part in rest)


def _trail(each: FoundError, screen: Screen) -> Iterator[Words]:
    if not each.trail:
        yield [Piece("  nobody handled it: no audit trail", "dim")]
    for line in each.trail:
        action, message = _text(line.get("action")), _text(line.get("message"))
        level = _text(line.get("level"))
        clock = human.clock(time_of(line))
        yield [Piece(f"  {clock}  ", "dim"), Piece(f"{action:<19}", _STYLES.get(level, "")), Piece(f"  {message}")]


def _text(value: Any) -> str:
    return safe(value) if isinstance(value, str) else ""


# -- options --------------------------------------------------------------------------------------------------------------


def _limit(given: str) -> int:
    if not given.isascii() or not given.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number of errors, found {given!r}")
    return int(given)


def _category(given: str) -> str:
    return given.strip().upper()


def _moment(given: str) -> int:
    try:
        return int(moment_s(given) * 1e9)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None

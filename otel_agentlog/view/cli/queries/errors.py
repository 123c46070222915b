"""``agentlog errors``: the kinds of errors, the errors in task folders and application logs, or one of them by its id."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from otel_agentlog.errors import AgentlogError
from otel_agentlog.query import ErrorGroup, Filter, FoundError, error_groups, find_errors, narrowed, parse_filter, time_of
from otel_agentlog.query.filters.moments import parse_moment
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.index.condition import Words
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.values import whole_number
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Column, Piece, Pieces, Screen, table
from otel_agentlog.view.render.values import text_lines
from otel_agentlog.vocabulary.coerce import mapping, text, texts
from otel_agentlog.vocabulary.terminal_text import safe

DEFAULT_LIMIT = 30

_limit = whole_number("a number of errors")

_STYLES = {"WARNING": "warn", "ERROR": "error"}
_COLUMNS = (
    Column("ID"),
    Column("WHEN", priority=60),
    Column("CATEGORY", priority=80),
    Column("ERROR", min_width=28),
    Column("TASK", priority=40, min_width=12),
    Column("STEP", priority=20, min_width=8),
    Column("NAME", priority=30, min_width=12),
)
_GROUP_COLUMNS = (
    Column("ID"),
    Column("COUNT", right=True, priority=95),
    Column("LAST", priority=60),
    Column("FIRST", priority=35),
    Column("CATEGORY", priority=80),
    Column("ERROR", min_width=28),
    Column("TASK", priority=40, min_width=12),
    Column("STEP", priority=10, min_width=8),
    Column("NAME", priority=30, min_width=12),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "id",
        metavar="ID|FILTER",
        nargs="?",
        help="an error's id: all about that one; or a filter: only errors of tasks like this",
    )
    parser.add_argument("--where", metavar="FILTER", help="only errors of tasks like this: 'agent:plan* since:2d'")
    parser.add_argument("--each", action="store_true", help="list each error instead of each kind")
    parser.add_argument("--audit", action="store_true", help="tell how each was handled: what was tried, and how it went")
    parser.add_argument("--category", type=_category, metavar="C", help="only errors of this category, such as TIMEOUT")
    parser.add_argument("--since", type=_moment, metavar="T", help="only since then: 2h, 3d, yesterday, 2026-11-20T09:30")
    parser.add_argument("--until", type=_moment, metavar="T", help="only until then")
    parser.add_argument(
        "--limit", type=_limit, default=DEFAULT_LIMIT, metavar="N", help=f"show at most N (default {DEFAULT_LIMIT}, 0: all)"
    )


def run(options: argparse.Namespace, context: CliContext) -> int:
    """List kinds of errors, or errors, or show one; 1 if there is none of that id."""
    filters = [options.where] if options.where else []
    if options.id is not None and not isinstance(parse_filter(options.id), Words):
        filters, options.id = [options.id, *filters], None
    tasks = reduce(narrowed, filters, Filter()) if filters else None
    of_tasks = () if tasks is not None else context.own_log_directories
    found = find_errors(
        context.root,
        context.log_directories if options.id is not None else of_tasks,
        error_id=options.id,
        category=options.category,
        since_ns=options.since,
        until_ns=options.until,
        tasks=tasks,
    )
    if options.audit and options.id is None:
        found = [each for each in found if each.trail]
    if options.id is not None and not found:
        places = ", ".join(map(str, (context.root, *context.log_directories)))
        raise AgentlogError(f"no error {options.id!r} below {places}")
    groups = error_groups(found)
    if options.json:
        _print_json(context, found, groups, options)
    elif options.id is not None:
        _print_one(context.screen(), found)
    elif not found:
        _print_none(context, tasks)
    elif options.each or options.audit or all(_is_single(group) for group in groups):
        _print_each(context, found, options)
    else:
        _print_kinds(context, groups, options.limit)
    return 0


def _is_single(group: ErrorGroup) -> bool:
    """Whether the list of errors says as much as that of kinds."""
    return len(group.errors) == 1 and not group.handled_by_retry


def _print_json(
    context: CliContext, found: Sequence[FoundError], groups: Sequence[ErrorGroup], options: argparse.Namespace
) -> None:
    trail = options.audit or options.id is not None
    errors = [each.as_json(trail=trail) for each in found[: options.limit or None]]
    kinds = [group.as_json() for group in groups[: options.limit or None]]
    print_json({"root": str(context.root), "matching": len(found), "errors": errors, "groups": kinds})


def _print_one(screen: Screen, found: Sequence[FoundError]) -> None:
    screen.lines(_details(found[0], screen))
    for other in found[1:]:
        screen.line(Piece(f"also in {safe(str(other.file))}", "dim"))


def _print_none(context: CliContext, tasks: Filter | None) -> None:
    screen = context.screen()
    screen.line(f"No such errors below {safe(str(context.root))}.")
    if tasks is not None:
        context.print_hints(tasks)


def _print_each(context: CliContext, found: Sequence[FoundError], options: argparse.Namespace) -> None:
    screen, listed = context.screen(), found[: options.limit or None]
    if options.audit:
        for each in listed:
            screen.lines([_title(each), *_trail(each, screen)])
    else:
        names = _Names(context.root, screen, listed)
        screen.lines(table(_COLUMNS, (_row(each, names) for each in listed), screen))
    if len(listed) < len(found):
        screen.line(Piece(f"{len(listed)} of {len(found):,} errors; --limit 0 shows all", "dim"))


def _print_kinds(context: CliContext, groups: Sequence[ErrorGroup], limit: int) -> None:
    screen, listed = context.screen(), groups[: limit or None]
    names = _Names(context.root, screen, [group.newest for group in listed])
    parts = [[group for group in listed if group.handled_by_retry is handled] for handled in (False, True)]
    for part, title in zip(parts, ("", "Handled by a retry"), strict=True):
        if part:
            if title:
                screen.lines([*([[]] if parts[0] else []), [Piece(title, "title")]])
            screen.lines(table(_GROUP_COLUMNS, (_kind_row(group, names) for group in part), screen))
    errors = formats.count(sum(len(group.errors) for group in groups), "error")
    shown = f"{len(listed)} of {len(groups):,} kinds shown, --limit 0 shows all; " if len(listed) < len(groups) else ""
    kinds = formats.count(len(groups), "kind")
    screen.text(Piece(f"{errors} of {kinds}; {shown}agentlog errors ID tells all about one, --each lists each", "dim"))


class _Names:
    """The names of tasks by their ids, each read when it is first asked for, and the ids as they are shown: as `ls` does."""

    def __init__(self, root: Path, screen: Screen, listed: Sequence[FoundError]) -> None:
        self._root, self._known = root, dict[str, str]()
        ids = {each.task_id for each in listed if isinstance(each.task_id, str)}
        self._short = labels.short_ids([*ids], screen.columns)

    def id_of(self, each: FoundError) -> str:
        """The id of its task, short where that is enough to find it."""
        return safe(self._short.get(each.task_id, each.task_id)) if isinstance(each.task_id, str) else ""

    def of(self, each: FoundError) -> str:
        if not isinstance(each.task_id, str):
            return ""
        if each.task_id not in self._known:
            in_folder = each.file.parent.parent == self._root
            task = TaskReader(each.file.parent if in_folder else self._root / each.file.parent.name)
            self._known[each.task_id] = _text(task.metadata() or {}, "name")
        return self._known[each.task_id]


def _kind_row(group: ErrorGroup, names: _Names) -> Pieces:
    newest, tasks = group.newest, group.task_ids
    cells = _row(newest, names)
    first = formats.moment(group.errors[-1].time_ns or None) if len(group.errors) > 1 else ""
    several = len(tasks) > 1
    return [
        cells[0],
        Piece(f"{len(group.errors):,}"),
        cells[1],
        Piece(first, "dim"),
        cells[2],
        cells[3],
        Piece(formats.count(len(tasks), "task")) if several else cells[4],
        Piece("") if several else cells[5],
        cells[6],
    ]


def _row(each: FoundError, names: _Names) -> Pieces:
    return [
        Piece(safe(each.error_id), "id"),
        Piece(formats.moment(each.time_ns or None), "dim"),
        Piece(_text(each.exception, "category")),
        Piece(labels.error_text(each.exception), "error"),
        Piece(names.id_of(each)),
        Piece(_text(each.line, "step_id")),
        Piece(names.of(each), "dim"),
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
        yield [Piece("  not handled: no audit trail", "dim")]
    for line in each.trail:
        action, message = _text(line, "action"), _text(line, "message")
        level = _text(line, "level")
        clock = formats.clock(time_of(line))
        yield [Piece(f"  {clock}  ", "dim"), Piece(f"{action:<19}", _STYLES.get(level, "")), Piece(f"  {message}")]


def _text(line: Mapping[str, Any], key: str) -> str:
    return safe(text(line, key) or "")


def _category(given: str) -> str:
    return given.strip().upper()


def _moment(given: str) -> int:
    try:
        return int(parse_moment(given) * 1e9)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None

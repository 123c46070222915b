"""``agentlog diff``: what differs between two tasks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from otel_agentlog.query import Differences, Figure, Part, differences, report, resolve
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.render import formats, labels
from otel_agentlog.view.render.screen import Column, Glyphs, Piece, Pieces, Screen, fit, table
from otel_agentlog.vocabulary.terminal_text import safe

MAX_TEXT_LINES = 60
"""Lines of a changed input or result that are shown."""

MAX_CALL_LINES = 8
"""Lines of a changed prompt or answer of one AI call that are shown."""

_COLUMNS = (Column(""), Column("LEFT", min_width=8), Column("RIGHT", min_width=8), Column("CHANGE", right=True))
_NAMES = {"duration_seconds": "duration", "cost_usd": "cost", "memory_peak_mb": "memory peak", "cpu_seconds": "CPU"}
_SIGNS = {"same": (" ", "dim"), "changed": ("~", "warn"), "only_left": ("-", "bad"), "only_right": ("+", "ok")}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("left", metavar="TASK", help="a task's id, the beginning of one, or its folder")
    parser.add_argument("right", metavar="TASK", nargs="?", help="the other one (default: last)")
    parser.add_argument("--all", action="store_true", help="also parts that are the same in both")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Compare two tasks; 1 if more than their figures differs."""
    tasks = [resolve(context.root, name) for name in (options.left, options.right)]
    found = differences(*(report(task, with_content=True) for task in tasks))
    if options.json:
        print_json(_as_json(found))
    else:
        screen = context.screen()
        screen.lines(_lines(found, screen, everything=options.all))
    return int(not found.same)


def _as_json(found: Differences) -> dict[str, Any]:
    return {
        "same": found.same,
        "left": found.left.row.as_json(),
        "right": found.right.row.as_json(),
        "figures": [{"name": f.name, "left": f.left, "right": f.right, "change": f.change} for f in found.figures],
        "parts": [
            {"depth": part.depth, "verdict": part.verdict, "kind": part.entry.kind, "name": part.entry.name}
            | {side: _side(getattr(part, side)) for side in ("left", "right")}
            | {name: lines for name in ("prompt", "answer") if (lines := getattr(part, name))}
            for part in found.parts
        ],
        "input": found.input,
        "result": found.result,
    }


def _side(entry: Any) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "name": entry.name,
        "status": entry.status,
        "duration_ms": entry.duration_ms,
        "span_id": entry.span_id,
        "cost_usd": entry.total.cost_usd,
    }


def _lines(found: Differences, screen: Screen, *, everything: bool) -> Iterator[Pieces]:
    yield from table(_COLUMNS, _rows(found), screen)
    parts = [part for part in found.parts if everything or part.verdict != "same"]
    if parts:
        yield [Piece("")]
    for part in parts:
        yield fit(_line(part, screen.glyphs), screen.columns, screen.glyphs.ellipsis)
        for title, lines in (("prompt", part.prompt), ("answer", part.answer)):
            yield from _changed_lines(title, lines, part.depth, screen)
    left_out = len(found.parts) - len(parts)
    if left_out:
        yield [Piece("")]
        yield [Piece(f"{formats.count(left_out, 'part')} the same in both; --all shows them", "dim")]
    for title, lines in (("Input", found.input), ("Result", found.result)):
        yield from _text(title, lines, screen)


def _rows(found: Differences) -> Iterator[Pieces]:
    left, right = found.left.row, found.right.row
    yield [Piece("task", "dim"), Piece(safe(left.task_id), "id"), Piece(safe(right.task_id), "id"), Piece("")]
    yield [Piece("name", "dim"), Piece(safe(left.name)), Piece(safe(right.name)), Piece("")]
    yield [Piece("status", "dim"), labels.state(left.status), labels.state(right.status), Piece("")]
    for figure in found.figures:
        if figure.left or figure.right:
            name = _NAMES.get(figure.name, figure.name.replace("_", " "))
            values = (_value(figure.name, figure.left), _value(figure.name, figure.right), _change(figure))
            yield [Piece(name, "dim"), *map(Piece, values)]


def _value(name: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    if name in ("duration_seconds", "cpu_seconds"):
        return formats.seconds(value)
    if name == "cost_usd":
        return formats.usd(value)
    return f"{value:,.1f} MB" if name == "memory_peak_mb" else f"{value:,.0f}"


def _change(figure: Figure) -> str:
    change = figure.change
    if not change:
        return ""
    share = f" ({100 * change / figure.left:+.0f} %)" if figure.left else ""
    sign = "+" if change > 0 else "-"
    return f"{sign}{_value(figure.name, abs(change))}{share}"


def _line(part: Part, glyphs: Glyphs) -> Pieces:
    sign, style = _SIGNS[part.verdict]
    entry = part.entry
    kind = labels.KIND_NAMES.get(entry.kind, entry.kind)
    line = [
        Piece(f"{sign} ", style),
        Piece("  " * part.depth),
        Piece(f"{safe(kind)} ", labels.KIND_STYLES.get(entry.kind, "dim")),
        Piece(_name(part, glyphs), "" if part.verdict == "same" else style),
    ]
    if part.left is not None and part.right is not None:
        if part.left.status != part.right.status:
            line.append(
                Piece(f"  {labels.state_text(part.left.status)} {glyphs.arrow} {labels.state_text(part.right.status)}", style)
            )
        line.append(
            Piece(f"  {formats.duration(part.left.duration_ms)} {glyphs.arrow} {formats.duration(part.right.duration_ms)}", "dim")
        )
    else:
        line.append(Piece(f"  {labels.state_text(entry.status)}  {formats.duration(entry.duration_ms)}", "dim"))
    if part.verdict != "same" and entry.exception:
        line.append(Piece(f"  {labels.error_text(entry.exception)}", "error"))
    return line


def _name(part: Part, glyphs: Glyphs) -> str:
    if part.left is not None and part.right is not None and part.left.name != part.right.name:
        return f"{safe(part.left.name)} {glyphs.arrow} {safe(part.right.name)}"
    return safe(part.entry.name)


def _changed_lines(title: str, lines: list[str], depth: int, screen: Screen) -> Iterator[Pieces]:
    """What was said otherwise in one call, below it."""
    changed = [line for line in lines[2:] if line[:1] in "+-"]
    before, wide = "  " * (depth + 2), screen.columns
    for line in changed[:MAX_CALL_LINES]:
        yield fit(
            [Piece(f"{before}{title} ", "dim"), Piece(safe(line), "ok" if line[0] == "+" else "bad")],
            wide,
            screen.glyphs.ellipsis,
        )
    if len(changed) > MAX_CALL_LINES:
        left_out = formats.count(len(changed) - MAX_CALL_LINES, "line")
        yield [Piece(f"{before}{title} {screen.glyphs.ellipsis} and {left_out} more; --json has all", "dim")]


def _text(title: str, lines: list[str], screen: Screen) -> Iterator[Pieces]:
    if not lines:
        return
    yield [Piece("")]
    yield [Piece(title, "title")]
    for line in lines[2 : 2 + MAX_TEXT_LINES]:
        style = {"+": "ok", "-": "bad", "@": "dim"}.get(line[:1], "")
        yield fit([Piece(f"  {safe(line)}", style)], screen.columns, screen.glyphs.ellipsis)
    if len(lines) > 2 + MAX_TEXT_LINES:
        yield [Piece(f"  {screen.glyphs.ellipsis} and {formats.count(len(lines) - 2 - MAX_TEXT_LINES, 'line')} more", "dim")]

"""``agentlog validate``: check task folders against ``docs/format.md``, and that no line is missing."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.query import resolve
from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.validation.report import ValidationProblem, ValidationReport
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import Piece, Pieces, Screen
from otel_agentlog.vocabulary.terminal_text import given_path, safe

_PROGRESS_S = 1.0
"""Seconds after which progress is shown on a terminal."""

_CLEAR = "\r\x1b[K"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "tasks", metavar="TASK|PATH", nargs="*", help="tasks, their folders, or folders that hold such (default: every task)"
    )


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Check folders; 1 if there is an error in any of them."""
    folders = list(_folders(context, options.tasks))
    if options.json:
        reports = [validate(folder) for folder in folders]
        print_json({"ok": all(report.ok for report in reports), "tasks": [_as_json(report) for report in reports]})
        return int(not all(report.ok for report in reports))
    return _print(context.screen(), folders, every=bool(options.tasks))


def _folders(context: CliContext, wanted: Sequence[str]) -> Iterator[Path]:
    if not wanted:
        yield from _inside(context.root)
    for name in map(given_path, wanted):
        if os.path.isdir(name):
            path = Path(os.path.abspath(name))
            own = any(task.folder.name == path.name for task in list_tasks(path.parent))
            yield from [path] if own else _inside(path)
        else:
            yield resolve(context.root, name).folder


def _inside(root: Path) -> list[Path]:
    folders = sorted(task.folder for task in list_tasks(root))
    if not folders:
        raise TaskNotFoundError(f"{root}: expected a task folder or folders of tasks, found none")
    return folders


def _print(screen: Screen, folders: Sequence[Path], *, every: bool) -> int:
    """Print what is wrong, folder by folder; valid folders are only counted, unless with `every`. Returns the exit code."""
    began, failed, warned = time.monotonic(), 0, 0
    for number, folder in enumerate(folders, 1):
        report = validate(folder)
        failed += not report.ok
        warned += report.ok and bool(report.warnings)
        _progress(number, len(folders), began)
        if every or report.problems:
            screen.lines(_lines(report, screen))
    if len(folders) > 1 or not every:
        good = len(folders) - failed
        aside = f" ({warned} with warnings)" if warned else ""
        style = "bad" if failed else "ok"
        tasks = formats.count(len(folders), "task")
        screen.line(Piece(f"{tasks}: ", "title"), Piece(f"{good} valid{aside}, {failed} not", style))
    return int(failed > 0)


def _progress(number: int, total: int, began: float) -> None:
    if sys.stderr.isatty() and time.monotonic() - began > _PROGRESS_S:
        sys.stderr.write(_CLEAR + (f"checking {number:,} of {total:,}" if number < total else ""))
        sys.stderr.flush()


def _lines(report: ValidationReport, screen: Screen) -> Iterator[Pieces]:
    glyphs = screen.glyphs
    sign = Piece(glyphs.ok, "ok") if report.ok else Piece(glyphs.bad, "bad")
    findings = [formats.count(report.errors, "error")] if report.errors else []
    findings += [formats.count(report.warnings, "warning")] if report.warnings else []
    summary = ", ".join(findings) or "valid"
    yield [sign, Piece(" "), Piece(safe(report.task_id), "id"), Piece(f"  {summary}, {formats.count(report.lines, 'line')} read")]
    for problem in report.problems:
        yield _problem(report, problem)
    unlisted = report.errors + report.warnings - len(report.problems)
    if unlisted:
        yield [Piece(f"  {glyphs.ellipsis} and {unlisted:,} more", "dim")]


def _problem(report: ValidationReport, problem: ValidationProblem) -> Pieces:
    """As compilers print it, so that editors can jump to it: ``file:line: error: expected …, found …``."""
    severity = str(problem.severity)
    return [
        Piece(f"  {safe(_location(report, problem))}: "),
        Piece(severity, "error" if severity == "error" else "warn"),
        Piece(f": expected {safe(problem.expected)}, found {safe(problem.found)}"),
    ]


def _location(report: ValidationReport, problem: ValidationProblem) -> str:
    return f"{report.folder / problem.file}" + (f":{problem.number}" if problem.number is not None else "")


def _as_json(report: ValidationReport) -> dict[str, Any]:
    return {
        "task_id": report.task_id,
        "folder": str(report.folder),
        "ok": report.ok,
        "lines": report.lines,
        "errors": report.errors,
        "warnings": report.warnings,
        "problems": [
            {
                "severity": str(problem.severity),
                "file": problem.file,
                "line": problem.number,
                "expected": problem.expected,
                "found": problem.found,
            }
            for problem in report.problems
        ],
    }

"""``agentlog validate``: are folders what ``docs/format.md`` says, and is every line there?"""

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
from otel_agentlog.store.validation.report import Problem, Report
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.render import human
from otel_agentlog.view.render.screen import Piece, Screen
from otel_agentlog.vocabulary.terminal_text import safe

_PROGRESS_S = 1.0
"""After this many seconds a terminal is told how far it is."""

_BACK = "\r\x1b[K"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "tasks", metavar="TASK|PATH", nargs="*", help="tasks, their folders, or folders that hold such (default: every task)"
    )


def run(options: argparse.Namespace, setting: Setting) -> int:
    """Check folders; 1 if there is an error in any of them."""
    folders = list(_folders(setting, options.tasks))
    if options.json:
        reports = [validate(folder) for folder in folders]
        print_json({"ok": all(report.ok for report in reports), "tasks": [_as_json(report) for report in reports]})
        return int(not all(report.ok for report in reports))
    return _tell(setting.screen(), folders, every=bool(options.tasks))


def _folders(setting: Setting, wanted: Sequence[str]) -> Iterator[Path]:
    if not wanted:
        yield from _inside(setting.root)
    for name in wanted:
        if os.path.isdir(name):
            path = Path(os.path.abspath(name))
            own = any(task.folder.name == path.name for task in list_tasks(path.parent))
            yield from [path] if own else _inside(path)
        else:
            yield resolve(setting.root, name).folder


def _inside(root: Path) -> list[Path]:
    folders = sorted(task.folder for task in list_tasks(root))
    if not folders:
        raise TaskNotFoundError(f"{root}: expected a task folder or folders of tasks, found none")
    return folders


def _tell(screen: Screen, folders: Sequence[Path], *, every: bool) -> int:
    """Print what is wrong, folder by folder; those without a word to say are only counted, unless they were asked for."""
    began, failed, warned = time.monotonic(), 0, 0
    for number, folder in enumerate(folders, 1):
        report = validate(folder)
        failed += not report.ok
        warned += report.ok and bool(report.warnings)
        _progress(number, len(folders), began)
        if every or report.problems:
            screen.lines(_about(report, screen))
    if len(folders) > 1:
        good = len(folders) - failed
        aside = f" ({warned} with warnings)" if warned else ""
        style = "bad" if failed else "ok"
        screen.line(Piece(f"{human.count(len(folders), 'task')}: ", "title"), Piece(f"{good} valid{aside}, {failed} not", style))
    return int(failed > 0)


def _progress(number: int, total: int, began: float) -> None:
    if sys.stderr.isatty() and time.monotonic() - began > _PROGRESS_S:
        sys.stderr.write(_BACK + (f"checking {number:,} of {total:,}" if number < total else ""))
        sys.stderr.flush()


def _about(report: Report, screen: Screen) -> Iterator[list[Piece]]:
    glyphs = screen.glyphs
    sign = Piece(glyphs.ok, "ok") if report.ok else Piece(glyphs.bad, "bad")
    findings = [human.count(report.errors, "error")] if report.errors else []
    findings += [human.count(report.warnings, "warning")] if report.warnings else []
    verdict = ", ".join(findings) or "valid"
    yield [sign, Piece(" "), Piece(safe(report.task_id), "id"), Piece(f"  {verdict}, {human.count(report.lines, 'line')} read")]
    for problem in report.problems:
        yield _problem(report, problem)
    unlisted = report.errors + report.warnings - len(report.problems)
    if unlisted:
        yield [Piece(f"  {glyphs.ellipsis} and {unlisted:,} more", "dim")]


def _problem(report: Report, problem: Problem) -> list[Piece]:
    """As compilers say it, so that editors jump to it: ``file:line: error: expected …, found …``."""
    severity = str(problem.severity)
    return [
        Piece(f"  {safe(_place(report, problem))}: "),
        Piece(severity, "error" if severity == "error" else "warn"),
        Piece(f": expected {safe(problem.expected)}, found {safe(problem.found)}"),
    ]


def _place(report: Report, problem: Problem) -> str:
    return f"{report.folder / problem.file}" + (f":{problem.number}" if problem.number is not None else "")


def _as_json(report: Report) -> dict[str, Any]:
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

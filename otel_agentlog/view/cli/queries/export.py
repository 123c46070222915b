"""``agentlog export``: tasks as OTLP JSON lines, CSV, JSON lines or one HTML page.

A file is written under another name and renamed when it is complete, so that half an export is never read.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import otel_agentlog._platform as system
from otel_agentlog.errors import ConfigurationError, TaskNotFoundError
from otel_agentlog.query import Filter, folders, resolve, row_of, rows_of
from otel_agentlog.settings.fields import load, read_config_file
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.view.cli.context import CliContext
from otel_agentlog.view.cli.options import filter_arguments, filter_of, output_file, reading_progress, whole
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.csv_cell import csv_cell
from otel_agentlog.view.render.html_page import html_page
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.view.render.screen import Progress
from otel_agentlog.vocabulary.coerce import texts
from otel_agentlog.vocabulary.records import LogRecordLine, UnsentItem
from otel_agentlog.vocabulary.terminal_text import safe

FORMATS = ("otlp", "csv", "json", "html")
_SUFFIXES = {".csv": "csv", ".json": "json", ".html": "html", ".htm": "html"}
_SIGNALS = ("traces", "logs")

CSV_COLUMNS = (
    *("task_id", "parent_task_id", "name", "status", "created_at", "started_at", "completed_at", "duration_seconds"),
    *("source", "provider", "assigned_agent", "agent_type", "model", "input_tokens", "output_tokens", "cache_read_input_tokens"),
    *("cache_write_input_tokens", "reasoning_output_tokens", "cost_usd", "ai_calls", "tool_runs", "steps", "retries", "errors"),
    *("memory_peak_mb", "cpu_seconds", "error_type", "error_message", "error_id", "error_category", "correlation_id"),
    *("session_id", "instance_id", "trace_id", "tags", "folder"),
)
"""The columns of ``--format csv``, in order."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("tasks", metavar="TASK", nargs="*", help="these tasks (default: those that the options choose)")
    parser.add_argument("--format", choices=FORMATS, help="default: what the output's name ends in, else otlp")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: standard output)")
    parser.add_argument(
        "--signals",
        type=_signals,
        default=("traces",),
        metavar="traces,logs",
        help="of otlp: what to write (default: traces, which is all that Jaeger's upload takes)",
    )
    parser.add_argument(
        "--no-subtasks",
        action="store_true",
        help="of tasks that are named, without their sub-tasks (default: with them, at any depth)",
    )
    parser.add_argument("--limit", type=whole, default=0, metavar="N", help="at most N tasks, the newest (default 0: all)")
    filter_arguments(parser, positional=False)


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Write the tasks chosen; 1 if something could not be written."""
    form = options.format or _SUFFIXES.get(Path(options.output or "").suffix.lower(), "otlp")
    tasks = _selected(options, context)
    if form == "html":
        # Of a task that is named its page is meant.
        pages = tasks[: len(options.tasks)] if options.tasks else tasks
        if len(pages) != 1:
            if not pages:
                raise TaskNotFoundError(f"no task like that below {context.root}, so there is no page to write")
            raise ConfigurationError("--format html", f"{len(pages)} tasks", "one task, e.g. last")
    target = None if options.output in (None, "-") else output_file(options.output, "--output")
    with _destination(target) as out, Progress() as progress:
        summary = _WRITERS[form](_Job(tasks, out, progress, options))
    where = f" to {safe(options.output)}" if options.output else ""
    print(f"exported {summary}{where}", file=sys.stderr)
    return 0


def _signals(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not found or not set(found) <= set(_SIGNALS):
        raise argparse.ArgumentTypeError(f"expected traces, logs or traces,logs; found {text!r}")
    return found


@contextmanager
def _destination(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and not path.is_file():
        # A rename would put a file in the place of a device or pipe, such as /dev/null.
        with open(path, "wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))  # what a link leads to is replaced, not the link
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    # As private as the task folder that it is a copy of.
    descriptor = system.open(part, system.UPDATE | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            yield file
        system.rename(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _selected(options: argparse.Namespace, context: CliContext) -> list[TaskReader]:
    if options.tasks:
        named = [resolve(context.root, name) for name in options.tasks]
        return named if options.no_subtasks else _with_subtasks(named)
    with reading_progress() as progress:
        found = folders(context.root, filter_of(options), limit=options.limit or None, progress=progress)
    return [TaskReader(folder) for folder in found]


def _with_subtasks(named: Sequence[TaskReader]) -> list[TaskReader]:
    """Tasks and, behind all of them, their sub-tasks at any depth, each once."""
    found = {task.folder: task for task in named}
    todo = list(named)
    while todo:
        task = todo.pop(0)
        for folder in folders(task.folder.parent, Filter(parent_task_id=task.task_id)):
            if folder not in found:
                found[folder] = TaskReader(folder)
                todo.append(found[folder])
    return list(found.values())


class _Job(NamedTuple):
    """What is to be written, and where to; each writer returns a text about what it wrote."""

    tasks: Sequence[TaskReader]
    out: IO[bytes]
    progress: Progress
    options: argparse.Namespace

    def read(self) -> Iterator[TaskReader]:
        """Yield the tasks, with progress on the terminal."""
        for number, task in enumerate(self.tasks):
            self.progress.show(f"{number:,} of {formats.count(len(self.tasks), 'task')}")
            yield task


def _otlp(job: _Job) -> str:
    # Only here: the OpenTelemetry SDK takes longer to import than all the rest.
    from otel_agentlog.export.otlp_json import Exported, otlp_json_lines

    counts = Exported()
    for line in otlp_json_lines(_items(job.read(), job.options.signals), counts):
        job.out.write(line)
    written = f"{formats.count(counts.spans, 'span')} and {formats.count(counts.log_records, 'log record')}"
    left_out = f"; {formats.count(counts.left_out, 'item')} left out that OTLP has no form for" if counts.left_out else ""
    return f"{written} of {formats.count(len(job.tasks), 'task')}{left_out}"


def _items(tasks: Iterable[TaskReader], signals: Sequence[str]) -> Iterator[UnsentItem]:
    """The items that can be sent: spans that ended, and log records."""
    for task in tasks:
        for record in records(task):
            if isinstance(record, LogRecordLine):
                if "logs" in signals:
                    yield UnsentItem(record.kind, None, record)
            elif record.end_ns is not None and "traces" in signals:
                yield UnsentItem("span", None, record)


def _csv(job: _Job) -> str:
    # A path may have bytes that are no text in this locale; they stay what they are.
    text = io.TextIOWrapper(job.out, encoding="utf-8", errors="surrogateescape", newline="", write_through=True)
    try:
        writer = csv.writer(text)
        writer.writerow(CSV_COLUMNS)
        for task in job.read():
            row = _flat(row_of(task).as_json())
            writer.writerow([csv_cell(row.get(column)) for column in CSV_COLUMNS])
    finally:
        # Otherwise it closes the output, which may be standard output, when it is garbage collected.
        text.detach()
    return formats.count(len(job.tasks), "task")


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    error = row.get("error") or {}
    named = {f"error_{key}": error.get(key) for key in ("type", "message", "category")} | {"error_id": error.get("error_id")}
    return {**row, **named, "tags": " ".join(texts(row, "tags"))}


def _json(job: _Job) -> str:
    for task, row in zip(job.read(), rows_of([task.folder for task in job.tasks]), strict=True):
        final = task.final_result() or {}
        given = (task.input() or {}).get("input")
        job.out.write(json_line({**row.as_json(), "input": given, "result": final.get("result")}))
    return formats.count(len(job.tasks), "task")


def _html(job: _Job) -> str:
    url = load({}, read_config_file()).trace_url
    for piece in html_page(job.tasks[0], url):
        job.out.write(piece)
    left_out = len(job.tasks) - 1
    return f"1 task; {formats.count(left_out, 'sub-task')} left out, of which the page has the figures" if left_out else "1 task"


_WRITERS: dict[str, Callable[[_Job], str]] = {"otlp": _otlp, "csv": _csv, "json": _json, "html": _html}

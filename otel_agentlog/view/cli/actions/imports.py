"""``agentlog import``: runs that others wrote, as task folders."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import otel_agentlog._platform as system
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.settings.fields import load, read_config_file
from otel_agentlog.tools.imports.importer import Importer, ImportReport, WrongLine
from otel_agentlog.tools.imports.readers.formats import FORMATS
from otel_agentlog.tools.imports.staging import Moved
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import interval_s, output_file
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.vocabulary.terminal_text import given_path, safe

LINES_WRONG = 3
"""Exit code: everything was imported but for lines that could not be used."""

MAX_LISTED = 10
"""Most wrong lines, and folders that stay, that are shown; ``--json`` has more of them."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("paths", metavar="PATH", nargs="+", help="files, and folders with .jsonl, .json, .ndjson and .gz files")
    parser.add_argument("--format", choices=tuple(FORMATS), help="the format of all files (default: found by what is in each)")
    parser.add_argument("--watch", action="store_true", help="go on with what comes into the files, until Ctrl-C")
    parser.add_argument("--interval", type=interval_s, default=1.0, metavar="S", help="of --watch: seconds between two looks (1)")
    parser.add_argument(
        "--rejects", metavar="FILE", help="write every line that cannot be used to a file, redacted, as JSON lines"
    )
    parser.add_argument("--replace", action="store_true", help="import anew what was imported, changed or not")
    parser.add_argument("--send", action="store_true", help="have the imported tasks sent to the collector, by `agentlog ship`")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Import; 1 if a file could not be, 3 if lines could not."""
    paths = [Path(given_path(name)) for name in options.paths]
    for path in paths:
        if not os.path.lexists(path):
            raise ConfigurationError("PATH", str(path), "a file or folder that is there")
    with _rejects(options.rejects) as rejected:
        importer = Importer(
            context.root, _recorder_maker(options.send), form=options.format, replace=options.replace, rejected=rejected
        )
        with importer:
            if options.watch:
                from otel_agentlog.tools.imports.watch import FileWatch

                FileWatch(importer, paths, options.interval, say=_say).run()
            else:
                importer.run(paths)
    report = importer.report
    if options.json:
        print_json(_as_json(report, context))
    else:
        for line in _lines(report, context):
            print(line)
    for problem in report.problems:
        print(f"agentlog import: {safe(problem)}", file=sys.stderr)
    return 1 if report.problems else LINES_WRONG if report.wrong else 0


def _recorder_maker(send: bool) -> Callable[..., Any]:
    # Here, because the OpenTelemetry SDK takes longer to import than all the rest.
    from otel_agentlog.wiring.importing import import_recorder

    settings = load({}, read_config_file())
    return lambda make_sink, clock, failures: import_recorder(settings, make_sink, clock, failures, send=send)


def _say(text: str) -> None:
    print(safe(text), file=sys.stderr, flush=True)


@contextmanager
def _rejects(name: str | None) -> Iterator[Callable[[WrongLine], None]]:
    """What writes wrong lines to a file; nothing where none is named."""
    if name is None:
        yield lambda line: None
        return
    # Also a pipe of the shell's, which is named by a link.
    with open(output_file(name, "--rejects"), "wb", opener=partial(system.open, mode=0o600)) as file:
        yield lambda line: _write(file, line)


def _write(file: Any, line: WrongLine) -> None:
    file.write(json_line({"file": str(line.path), "line": line.number, "reason": line.reason, "data": line.data}))
    file.flush()


def _as_json(report: ImportReport, context: CliContext) -> dict[str, Any]:
    return {
        "root": str(context.root),
        "files": report.files,
        "unchanged": report.unchanged,
        "tasks": {what.value.replace(" ", "_"): report.tasks.get(what, 0) for what in Moved},
        "folders": [str(folder) for folder in report.folders],
        "kept": [*report.kept],
        "wrong": report.wrong,
        "wrong_lines": [{"file": str(each.path), "line": each.number, "reason": each.reason} for each in report.wrong_lines],
        "problems": report.problems,
    }


def _lines(report: ImportReport, context: CliContext) -> Iterator[str]:
    new, replaced = (report.tasks.get(what, 0) for what in (Moved.NEW, Moved.REPLACED))
    anew = f", {replaced:,} of them anew" if replaced else ""
    files = f"{formats.count(report.files, 'file')}{f', {report.unchanged:,} unchanged' if report.unchanged else ''}"
    yield f"imported {formats.count(new + replaced, 'task')}{anew} from {files}, below {safe(str(context.root))}"
    for kept in [*report.kept][:MAX_LISTED]:
        yield f"  {safe(kept)}"
    if len(report.kept) > MAX_LISTED:
        yield f"  and {len(report.kept) - MAX_LISTED:,} more that stay as they are"
    if report.wrong:
        yield f"{formats.count(report.wrong, 'line')} could not be used:"
        for each in report.wrong_lines[:MAX_LISTED]:
            yield f"  {safe(f'{each.path}:{each.number}: {each.reason}')}"
        if report.wrong > MAX_LISTED:
            yield f"  and {report.wrong - MAX_LISTED:,} more (--rejects FILE writes all of them)"

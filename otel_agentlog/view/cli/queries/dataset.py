"""``agentlog dataset``: examples for training and evaluation, made of tasks or AI calls."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from otel_agentlog.query import folders, resolve
from otel_agentlog.tools.datasets.build import Choice, ExamplesFound, build, in_order, survey
from otel_agentlog.tools.datasets.examples import OFF, TRUNCATED
from otel_agentlog.tools.datasets.shapes import SHAPES
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import filter_arguments, filter_of, output_folder, reading_progress, whole
from otel_agentlog.view.cli.values import number_from
from otel_agentlog.view.render import formats
from otel_agentlog.vocabulary.terminal_text import safe

_share = number_from(0, 1, "a number from 0 to 1")

_NOUNS = {"calls": "AI call", "tasks": "task"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="the folder to make: train, test, manifest.json (default: only tell)"
    )
    parser.add_argument("--of", choices=tuple(_NOUNS), default="calls", help="what a row is of (default: calls)")
    parser.add_argument("--shape", choices=tuple(SHAPES), default="openai", help="what a row looks like (default: openai)")
    parser.add_argument("--to", choices=("jsonl", "parquet"), default="jsonl", help="the kind of files (default: jsonl)")
    parser.add_argument("--test", type=_share, default=0.0, metavar="SHARE", help="share of tasks in test, 0 to 1 (default: 0)")
    parser.add_argument("--seed", default="", metavar="TEXT", help="another one divides tasks in another way")
    parser.add_argument("--task", metavar="TASK", action="append", default=[], help="this task (instead of a filter)")
    parser.add_argument("--limit", type=whole, default=0, metavar="N", help="at most N tasks, the newest (default 0: all)")
    filter_arguments(parser)


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Tell what there is, then write it; 1 if there is nothing."""
    if options.task:
        chosen = [resolve(context.root, name).folder for name in options.task]
    else:
        with reading_progress() as progress:
            chosen = folders(context.root, filter_of(options), limit=options.limit or None, progress=progress)
    target = None if options.output is None else output_folder(options.output, "--output")
    tasks = in_order(chosen)
    choice = Choice(options.of, options.shape, options.to, options.test, options.seed, _query(options))
    found = survey(tasks, choice)
    print(_summary(found, choice), file=sys.stderr)
    if target is None or not found.examples:
        if options.json:
            print_json({"tasks": found.tasks, "examples": found.examples, "left_out": dict(sorted(found.skipped.items()))})
        return int(target is not None)
    manifest = build(tasks, choice, target)
    if options.json:
        print_json(manifest)
    else:
        counts = manifest["counts"]
        parts = ", ".join(f"{file['rows']:,} in {file['name']}" for file in manifest["files"])
        same = f"; {formats.count(counts['duplicates'], 'row')} left out that were there already" if counts["duplicates"] else ""
        print(f"{formats.count(counts['rows'], 'row')} to {safe(str(target))}: {parts}{same}")
    return 0


_OF_THE_SET = frozenset({"output", "of", "shape", "to", "test", "seed", "command", "json", "no_color", "debug", "root", "filter"})
"""Options that do not choose tasks."""


def _query(options: argparse.Namespace) -> dict[str, Any]:
    """What was given to choose tasks, by the names of the options; times in Unix seconds."""
    given = {name: value for name, value in vars(options).items() if name not in _OF_THE_SET and value not in (None, False, 0)}
    query = {name.removeprefix("only_"): value for name, value in given.items() if value}
    query |= {"filter": " ".join(options.filter)} if options.filter else {}
    return {
        name: query[name] if isinstance(query[name], (int, float, str)) else sorted(map(str, query[name]))
        for name in sorted(query)
    }


_WHY = {OFF: "without content: it was not recorded", TRUNCATED: "with content that was too long to be recorded whole"}


def _summary(found: ExamplesFound, choice: Choice) -> str:
    noun = _NOUNS[choice.of]
    summary = f"{formats.count(found.tasks, 'task')} with {formats.count(found.examples, noun)} to make rows of"
    left_out = "; ".join(f"{count:,} {_WHY.get(why, why)}" for why, count in sorted(found.skipped.items()))
    return f"{summary}; left out: {left_out}" if left_out else summary

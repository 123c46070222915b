"""``--from``: what a command needs is brought from a backend into folders, which it then reads."""

from __future__ import annotations

import argparse
from pathlib import Path

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import LAST, narrowed, parse_filter
from otel_agentlog.settings.fields import cache_home
from otel_agentlog.store.index.condition import Words
from otel_agentlog.view.backends.clickhouse import ClickHouse
from otel_agentlog.view.backends.folders import bring, root_of
from otel_agentlog.view.backends.totals import can_sum, rows_of
from otel_agentlog.view.backends.wanted import Wanted, wanted_of
from otel_agentlog.view.cli.context import CliContext
from otel_agentlog.view.cli.options import filter_of
from otel_agentlog.view.render.screen import Progress

ASKS = frozenset(
    {"ls", "search", "stats", "cost", "recost", "top", "metrics", "show", "tail", "errors", "diff", "compare", "mcp"}
)
"""Commands that can ask a backend; the others are about folders, processes and what is on this machine."""
_ONE_TASK = ("show", "tail")
_SUMS = ("cost", "stats")


def fetch(options: argparse.Namespace, context: CliContext) -> None:
    """Bring what the command asks about, and have it read that.

    Raises:
        ConfigurationError: this command cannot, or the URL is of another form.
    """
    if options.command not in ASKS:
        raise ConfigurationError(f"--from: expected one of {', '.join(sorted(ASKS))}, found {options.command}")
    if context.root_option is not None:
        raise ConfigurationError("expected --from or --root, found both")
    if getattr(options, "follow", False):
        raise ConfigurationError("--from: expected no --follow, as nothing comes by itself from there")
    if options.command == "mcp":
        return  # its clients ask while it runs
    source, cache = ClickHouse(options.source), cache_folder()
    if options.command in _SUMS and can_sum(asked := filter_of(options), options.group_by):
        context.rows = rows_of(source, cache, asked)
        context.root_option = str(root_of(source, cache))
        return
    with Progress() as progress:
        for wanted in _wanted(options):
            root = bring(
                source,
                cache,
                wanted,
                lambda done, of: progress.show(f"fetching traces: {done:,} of {of:,} ({done * 100 // max(1, of)} %)"),
            )
            context.root_option = str(root)


def cache_folder() -> Path:
    """The folder of the roots of tasks that were brought."""
    return cache_home() / "agentlog" / "from"


def _wanted(options: argparse.Namespace) -> list[Wanted]:
    """What is to be brought, one after the other."""
    if options.command in _ONE_TASK:
        return [_named(options.task)]
    if options.command == "diff":
        return [_named(options.left), _named(options.right)]
    if options.command == "compare":
        return [_of_side(options, "" if options.by else text) for text in (options.a, options.b)]
    if getattr(options, "tasks", None):
        return [_named(name) for name in options.tasks]
    return [_of_many(options)]


def _named(name: str | None) -> Wanted:
    return Wanted(newest=True) if name in (None, LAST) else Wanted(task=name)


def _of_side(options: argparse.Namespace, text: str) -> Wanted:
    """The tasks that a side of a comparison may be; a word that is no whole id is looked for in all."""
    is_task = text == LAST or (text.startswith("task-") and isinstance(parse_filter(text), Words))
    return _named(text) if is_task else wanted_of(narrowed(filter_of(options), text))


def _of_many(options: argparse.Namespace) -> Wanted:
    if options.command == "errors":
        return _of_errors(options)
    if not hasattr(options, "since") or not hasattr(options, "only_agent"):
        return Wanted()
    return wanted_of(filter_of(options, " ".join(getattr(options, "text", ())) or None))


def _of_errors(options: argparse.Namespace) -> Wanted:
    is_id = options.id is not None and isinstance(parse_filter(options.id), Words)
    return Wanted(error_id=options.id) if is_id else Wanted(active_since_ns=options.since)

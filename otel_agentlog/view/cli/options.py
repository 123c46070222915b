"""The options that choose tasks, the same for every command that lists or counts them, and types of theirs."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from otel_agentlog.errors import AgentlogError, ConfigurationError
from otel_agentlog.query import Filter, narrowed, score_bound
from otel_agentlog.query.filters.language import state_pattern, with_conditions
from otel_agentlog.query.filters.moments import parse_moment
from otel_agentlog.store.index.condition import Named
from otel_agentlog.view.cli.values import number_from, read_by, whole_number
from otel_agentlog.view.render.screen import Progress
from otel_agentlog.vocabulary.terminal_text import given_path

_NAMES = (
    ("--agent", "AGENT", "agent"),
    ("--model", "MODEL", "model"),
    ("--provider", "PROVIDER", "provider"),
    ("--tool", "TOOL", "tool"),
    ("--tag", "TAG", "tag"),
    ("--user", "USER", "user"),
    ("--specialist", "NAME", "specialist"),
    ("--source", "SOURCE", "source"),
    ("--session", "ID", "session"),
    ("--correlation", "ID", "correlation"),
    ("--parent", "TASK", "parent"),
    ("--error-category", "CATEGORY", "error"),
)
_HELP = {
    "agent": "only tasks of this agent",
    "model": "only tasks of this model, or that called it",
    "provider": "only tasks that came from there (github), or called its models (anthropic)",
    "tool": "only tasks that ran this tool",
    "tag": "only tasks with this tag",
    "user": "only tasks of this user: the tag user:… or the attribute user.id",
    "specialist": "only tasks of this specialist: tag specialist:…, attribute specialist, the agent's type, or that of its tools",
    "source": "only tasks that came this way (webhook)",
    "session": "only tasks of this session",
    "correlation": "only tasks with this correlation id",
    "parent": "only sub-tasks of this task",
    "error": "only tasks with an error of this category",
}
_NS = 1_000_000_000


WHERE_HELP = "'status:failed agent:plan* cost>0.5 dur>30s since:2h \"connection reset\"'"


def filter_arguments(parser: argparse.ArgumentParser, *, positional: bool = True) -> None:
    """Add the options that choose tasks, and a filter in words: as an argument, where nothing else is, and as ``--where``."""
    group = parser.add_argument_group("which tasks")
    if positional:
        group.add_argument("filter", metavar="FILTER", nargs="*", help=f"only tasks like this: {WHERE_HELP}")
    group.add_argument("--where", metavar="FILTER", action="append", default=[], help="only tasks like this, as FILTER")
    group.add_argument(
        "--since",
        "--start-date",
        type=moment,
        metavar="WHEN",
        help="created since then: 2h, 30m, yesterday, today, 2026-11-20T09:30",
    )
    group.add_argument("--until", "--end-date", type=moment, metavar="WHEN", help="created before then")
    group.add_argument("--status", type=statuses, default=frozenset(), metavar="S", help="in these states, separated by commas")
    group.add_argument("--failed", action="store_true", help="that did not do their job: failed, timed out or interrupted")
    for flag, metavar, field in _NAMES:
        group.add_argument(flag, dest=f"only_{field}", metavar=metavar, help=_HELP[field])
    group.add_argument("--min-cost", type=amount, metavar="USD", help="that cost at least so many dollars")
    group.add_argument("--max-cost", type=amount, metavar="USD", help="that cost at most so many dollars")
    group.add_argument("--min-duration", type=amount, metavar="S", help="that took at least so many seconds")
    group.add_argument("--max-duration", type=amount, metavar="S", help="that took at most so many seconds")
    group.add_argument(
        "--score",
        type=score,
        action="append",
        default=[],
        dest="scores",
        metavar="NAME<N",
        help="with such a score: quality<0.5, quality>=0.8, tone=friendly, or quality for any",
    )
    group.add_argument("--min-tokens", type=whole, metavar="N", help="that used at least so many tokens, input and output")


def filter_of(options: argparse.Namespace, text: str | None = None) -> Filter:
    """Return the filter of the options; `text` is one in words besides.

    Raises:
        FilterError: a filter in words cannot be read.
    """
    wanted = Filter(
        statuses=options.status,
        failed=options.failed,
        since_ns=None if options.since is None else round(options.since * _NS),
        until_ns=None if options.until is None else round(options.until * _NS),
        min_cost_usd=options.min_cost,
        max_cost_usd=options.max_cost,
        min_duration_s=options.min_duration,
        max_duration_s=options.max_duration,
        min_tokens=options.min_tokens,
        scores=tuple(options.scores),
    )
    given = [(field, getattr(options, f"only_{field}")) for _, _, field in _NAMES]
    wanted = with_conditions(wanted, [Named(field, (pattern,)) for field, pattern in given if pattern is not None])
    for part in (text, " ".join(getattr(options, "filter", ())), *options.where):
        wanted = narrowed(wanted, part or "")
    return wanted


def statuses(text: str) -> frozenset[str]:
    """States, separated by commas."""
    return frozenset(_status(part) for part in text.split(",") if part.strip())


_status = read_by(state_pattern)

score = read_by(score_bound)
"""A comparison with a score."""

moment = read_by(parse_moment)
"""A moment in the past, in Unix seconds."""


whole = whole_number("a number", 18)
"""A whole number from 0."""


def amount(text: str) -> float:
    """A number from 0; a leading ``$`` and a trailing ``s`` are ignored."""
    try:
        found = float(text.removeprefix("$").removesuffix("s"))
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number from 0, found {text!r}")
    return found


def minutes_ago(text: str) -> float:
    """When a period began that ends now, in Unix seconds: minutes as a number (``60``), or as `moment` takes it (``24h``)."""
    try:
        found = float(text)
    except ValueError:
        try:
            return parse_moment(text)
        except ValueError:
            found = math.nan
    if not 0 <= found < 1e9:
        raise argparse.ArgumentTypeError(f"expected minutes, or a period such as 24h, found {text!r}")
    return time.time() - found * 60


def output_file(name: str, option: str) -> Path:
    """The file that is to be written. Raises `AgentlogError` where there can be none of that name."""
    path = Path(given_path(name))
    if not name or not path.name or name.endswith(os.sep) or path.is_dir():
        what = ", which is a folder" if name and path.is_dir() else ""
        raise AgentlogError(f"{option}: expected the name of a file, found {name!r}{what}")
    _in_a_folder(path, name, option)
    return path


def output_folder(name: str, option: str) -> Path:
    """The folder that is to be made. Raises `AgentlogError` where there can be none of that name."""
    path = Path(given_path(name))
    if not name or os.path.lexists(path):
        raise ConfigurationError(option, name, "a folder that is not there yet")
    _in_a_folder(path, name, option)
    return path


def _in_a_folder(path: Path, name: str, option: str) -> None:
    if not path.parent.is_dir():
        raise AgentlogError(f"{option}: expected a name in a folder that is there, found {name!r}: there is no {path.parent}")


interval_s = number_from(0.1, 3600, "seconds between 0.1 and 3600")
"""Seconds between two readings of the folders."""


@contextmanager
def reading_progress() -> Iterator[Callable[[int, int], None]]:
    """Yield what a query calls with how many folders it has read and of how many; a terminal shows it if that takes a while."""
    with Progress() as progress:
        yield lambda done, of: progress.show(f"reading task folders: {done:,} of {of:,} ({done * 100 // max(1, of)} %)")

"""What every command gets and has: where the tasks and logs are, the screen, JSON output, and the options of all commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.settings.fields import Settings, home, load, read_config_file
from otel_agentlog.store.app_log import log_directories
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.view.render.screen import Piece, Screen, stdout_screen
from otel_agentlog.vocabulary.terminal_text import given_path, safe

if TYPE_CHECKING:
    from otel_agentlog.query import Filter, Statistics
    from otel_agentlog.store.index.row import IndexRow


@dataclass
class CliContext:
    """Folders and screen of one command, from its options and the settings, read when they are first used."""

    root_option: str | None
    colour: bool
    rows: list[tuple[str, IndexRow]] | None = None
    """Of tasks of a backend, where the command needs no folders."""

    def statistics(
        self, wanted: Filter, group_bys: tuple[str | None, ...], progress: Callable[[int, int], None] | None
    ) -> list[Statistics]:
        """Figures of the tasks that meet a filter, for each of several groupings."""
        # Most commands have no such figures.
        from otel_agentlog.query.questions import statistics_by, statistics_of

        if self.rows is not None:
            return statistics_of(self.rows, wanted, group_bys)
        return statistics_by(self.root, wanted, group_bys, progress=progress)

    @cached_property
    def root(self) -> Path:
        """The folder of the task folders: ``--root``, else where the SDK of a program started here would write.

        Raises `ConfigurationError`: something else stands there.
        """
        root = self.wanted_root
        if root.exists() and not root.is_dir():
            raise ConfigurationError(f"{root} is not a folder: expected that of the task folders (--root, TASK_LOGS_DIR)")
        return root

    @property
    def wanted_root(self) -> Path:
        """The same, whatever stands there."""
        return self._settings.directory

    @property
    def has_collector(self) -> bool:
        """Whether a collector is set."""
        return collector_url(self._settings) is not None

    @property
    def trace_url(self) -> str | None:
        """URL of a trace elsewhere, with ``{trace_id}`` in it, as set."""
        return self._settings.trace_url

    @cached_property
    def log_directories(self) -> list[Path]:
        """Where application logs may be: ``AGENTLOG_LOG_DIR``, else the folders of services; and ``AGENTLOG_LOG_FILE``."""
        named = self._settings.log_file
        return [*log_directories(self._settings.log_directory, home()), *([] if named is None else [named])]

    @cached_property
    def own_log_directories(self) -> list[Path]:
        """Where the application logs of the programs are whose tasks are below the root: none where only a root is given."""
        wanted, named = self._settings.log_directory, self._settings.log_file
        if wanted is not None or named is not None:
            return [each for each in (wanted, named) if each is not None]
        return self.log_directories if self.root == Settings().directory else []

    def screen(self) -> Screen:
        """The screen on standard output."""
        return stdout_screen(self._settings.terminal, colour=self.colour)

    def print_hints(self, wanted: Filter) -> None:
        """Print what was perhaps meant by a filter that nothing meets."""
        from otel_agentlog.query import hints

        self.screen().lines([Piece(safe(hint), "warn")] for hint in hints(self.root, wanted))

    @cached_property
    def _settings(self) -> Settings:
        if self.root_option is None:
            return load({}, read_config_file())
        return load({"directory": given_path(self.root_option)})


OWN_FROM = frozenset({"replay"})
"""Commands behind whose name ``--from`` means something else."""


def common_arguments(parser: argparse.ArgumentParser, *, below: bool = False) -> None:
    """Add the options that every command has; they may come before the command's name or, on a parser `below`, after it."""
    group = parser.add_argument_group("everywhere")
    for flag, help_text in (
        ("--json", "print JSON for programs instead of text for people"),
        ("--no-color", "print without colours; NO_COLOR does the same"),
        ("--debug", "show where in the code an error came from"),
    ):
        # Below, an option that is not given must not undo the one before the command's name.
        group.add_argument(flag, action="store_true", default=argparse.SUPPRESS if below else False, help=help_text)
    if parser.prog.rpartition(" ")[2] not in OWN_FROM:
        group.add_argument(
            "--from",
            dest="source",
            metavar="URL",
            default=argparse.SUPPRESS if below else None,
            help="ask ClickHouse instead of folders: clickhouse://USER:PASSWORD@HOST:PORT/DATABASE",
        )
    group.add_argument(
        "--root",
        metavar="DIR",
        default=argparse.SUPPRESS if below else None,
        help="the folder that holds the task folders (default: TASK_LOGS_DIR, as in the SDK)",
    )


def print_json(value: Any) -> None:
    """Print one JSON value on one line, safe on any terminal."""
    sys.stdout.buffer.write(json_line(value))
    sys.stdout.buffer.flush()


def collector_url(settings: Settings) -> str | None:
    """The URL of the collector as set, without a name and password that may be in it; ``None`` if none is set."""
    parts = urlsplit(settings.endpoint or settings.traces_endpoint or settings.logs_endpoint or "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else None

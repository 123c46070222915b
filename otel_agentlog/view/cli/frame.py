"""What every command shares: where the tasks are, where lines go, JSON, and options that mean the same everywhere."""

from __future__ import annotations

import argparse
import difflib
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.settings.fields import Settings, load, read_config_file
from otel_agentlog.store.app_log import log_directories
from otel_agentlog.view.render.screen import Screen, stdout_screen
from otel_agentlog.vocabulary.states import State
from otel_agentlog.vocabulary.terminal_text import safe_json

_STATES = tuple(state.value for state in State)


@dataclass
class Setting:
    """What the command line says about where and how, resolved when it is asked for."""

    root_given: str | None
    colour: bool

    @cached_property
    def root(self) -> Path:
        """The folder that holds the task folders: ``--root``, else where the SDK of a program started here would write."""
        return self._settings.directory

    @property
    def trace_url(self) -> str | None:
        """Where a trace can be looked at, as the settings say."""
        return self._settings.trace_url

    @cached_property
    def log_directories(self) -> list[Path]:
        """Where application logs may be: ``AGENTLOG_LOG_DIR``, else wherever services put them by themselves."""
        return log_directories(self._settings.log_directory, Path.home())

    def screen(self) -> Screen:
        """The screen on standard output."""
        return stdout_screen(self._settings.terminal, colour=self.colour)

    @cached_property
    def _settings(self) -> Settings:
        if self.root_given is None:
            return load({}, read_config_file())
        return load({"directory": self.root_given})


def common_arguments(parser: argparse.ArgumentParser, *, below: bool = False) -> None:
    """Add the options that every command has; they may stand before the command's name or, on a parser `below`, after it."""
    group = parser.add_argument_group("everywhere")
    for flag, help_text in (
        ("--json", "print JSON for programs instead of text for people"),
        ("--no-color", "print without colours; NO_COLOR does the same"),
        ("--debug", "show where in the code an error came from"),
    ):
        # Below, an option that is not given must not undo the one before the command's name.
        group.add_argument(flag, action="store_true", default=argparse.SUPPRESS if below else False, help=help_text)
    group.add_argument(
        "--root",
        metavar="DIR",
        default=argparse.SUPPRESS if below else None,
        help="the folder that holds the task folders (default: TASK_LOGS_DIR, as in the SDK)",
    )


def print_json(value: Any) -> None:
    """Print one JSON value on one line, harmless to any terminal."""
    sys.stdout.buffer.write(json_line(value))
    sys.stdout.buffer.flush()


def json_line(value: Any) -> bytes:
    """One line of JSON; what JSON has no form for, such as a path, as its text."""
    try:
        encoded = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Integers beyond 64 bits and nesting without end: rare, and the standard library does what can be done.
        encoded = _encoded_slowly(value)
    return safe_json(encoded.decode()).encode() + b"\n"


def _encoded_slowly(value: Any) -> bytes:
    import json

    return json.dumps(value, default=str).encode()


def statuses(text: str) -> frozenset[str]:
    """The states named in an option's value, separated by commas."""
    return frozenset(_status(part) for part in text.split(",") if part.strip())


def _status(text: str) -> str:
    word = text.strip().lower().replace("-", "_")
    if word in _STATES:
        return word
    near = difflib.get_close_matches(word, _STATES, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    raise argparse.ArgumentTypeError(f"expected a state ({', '.join(_STATES)}), found {text.strip()!r}{hint}")

"""``docs/cli.md`` knows every command and every option, and shows nothing that is not so."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_agentlog.view.cli.main import COMMANDS, DEMO, make_parser

DOCS = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()


def section(name: str) -> str:
    """The text about one command, or about what all have."""
    found = re.search(rf"^## `?{re.escape(name)}.*?(?=^## |\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section about {name}"
    return found.group()


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The parser of each command."""
    for action in make_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def test_every_command_has_its_section() -> None:
    """The demo too."""
    for name in (*COMMANDS, DEMO):
        section(f"agentlog {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented(name: str) -> None:
    """Each flag and each argument, in the command's section or in that about everywhere."""
    parser = dict(parsers())[name]
    text = section(f"agentlog {name}") + section("Everywhere")
    missing = [
        word
        for action in parser._actions
        for word in (action.option_strings or [str(action.metavar)])
        if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text)
    ]

    assert missing == []


def test_no_option_is_documented_that_does_not_exist() -> None:
    """What people read about can be typed."""
    known = {flag for _, parser in parsers() for action in parser._actions for flag in action.option_strings} | {"--version"}

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", DOCS)) - known == set()


def test_the_examples_are_understood() -> None:
    """Every command in the examples is one the parser takes."""
    for line in re.findall(r"^agentlog ((?:'[^'\n]*'|[^\n|#>'])*)", DOCS, re.MULTILINE):
        if not line.startswith(DEMO):
            make_parser().parse_args(shlex.split(line))

"""What ``docs/queries.md`` promises can be typed, and answers."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.view.cli.terminal import as_wide_as, environment

DOCS = Path(__file__).parents[4] / "docs" / "queries.md"
COMMANDS = sorted(set(re.findall(r"`(agentlog (?!alerts)[^`]+)`", DOCS.read_text().partition("## In code")[0])))


def test_there_are_commands() -> None:
    """The table was read."""
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_table_answers(stories: Path, command: str) -> None:
    """On tasks that the SDK recorded; pipes and files are the shell's."""
    words = shlex.split(command.replace("\\|", "|").partition(" | ")[0].partition(" > ")[0])[1:]
    words = ["boom" if word == "ERROR_ID_OR_WORDS" else word for word in words]

    said = as_wide_as(120, *[word for word in words if word != "--json"], "--root", stories)

    assert said.code == 0
    assert said.out


def test_the_example_in_python_runs(stories: Path) -> None:
    """As it stands there, beside a folder ``tasks``."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-c", example], cwd=stories.parent, env=environment(), capture_output=True, text=True, timeout=90
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "task-review42" in ran.stdout

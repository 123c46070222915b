"""What commands look like at 50, 80, 120 and 200 columns with long, Chinese, Arabic, Hebrew and emoji names."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_agentlog.vocabulary.terminal_text import width
from tests.view.cli.golden_screens import COMMANDS, GOLDEN, WIDTHS, make_root, screen


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """The root of the screens, looked at in UTC."""
    found = make_root()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield found
    time.tzset()
    shutil.rmtree(found.parent)


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_screen_is_as_it_was(root: Path, command: str, columns: int) -> None:
    """Byte for byte; nothing is wider than the terminal but what is there to be copied."""
    shown = screen(root, command, columns)

    assert shown == (GOLDEN / f"{command}-{columns}.txt").read_text(encoding="utf-8")
    wide = [line for line in shown.splitlines() if width(line) > columns]
    assert wide == [] or command == "empty"

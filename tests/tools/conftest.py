"""Fixtures of the tests of room ``run``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.workshop import Workshop, processes_with


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A folder for scripts."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    return Workshop(folder)


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch, workshop: Workshop) -> Iterator[str]:
    """A variable that scripts which allow ``TEST_MARK`` inherit; after the test no process has it."""
    monkeypatch.setenv("TEST_MARK", workshop.mark)
    yield workshop.mark
    # This process has it too by now, but /proc shows the environment it began with.
    assert processes_with("TEST_MARK", workshop.mark) == []

"""One browser for the tests of the page, and a server over long tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.query.folders import held
from tests.support.browser import browser as real_browser
from tests.view.server.served import Served
from tests.view.web.long_tasks import write_long


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; where there is none the tests say how to get it, and in CI they fail."""
    with real_browser() as running:
        yield running


@pytest.fixture(scope="session")
def served(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``agentlog serve`` over one task of every kind; for reading."""
    with Served(stories, tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``agentlog serve`` over a task of 20,000 lines that failed, one that runs, and one of 50 turns; for reading."""
    scratch = tmp_path_factory.mktemp("long")
    root = scratch / "tasks"
    write_long(root / "task-long", 2222, status="failed")
    write_long(root / "task-going", 400, status="running")
    write_long(root / "task-small", 50, status="failed")
    with held(root / "task-going"), Served(root, scratch) as server:
        yield server

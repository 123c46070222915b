"""Real servers over real task folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from otel_agentlog.view.server import create_app
from tests.view.server.served import Served

TOKEN = "t" * 43


@pytest.fixture(scope="session")
def served(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``agentlog serve`` over one task of every kind; for reading."""
    with Served(stories, tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture
def controlled(tmp_path: Path) -> Iterator[Served]:
    """``agentlog serve --allow-control`` over a root of the test's own."""
    with Served(tmp_path / "tasks", tmp_path, "--allow-control") as server:
        yield server


@pytest.fixture(scope="session")
def client(stories: Path) -> TestClient:
    """A client of this host, without a network, that shows no token."""
    return client_of(stories)


def client_of(root: Path, **options: object) -> TestClient:
    """A client of an application over this root."""
    app = create_app(root, token=TOKEN, **options)  # type: ignore[arg-type]
    return TestClient(app, base_url="http://localhost", client=("127.0.0.1", 50000), raise_server_exceptions=True)

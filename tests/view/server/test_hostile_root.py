"""Every route answers about a root with damaged folders: the good tasks are there, and nothing is an error of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from otel_agentlog.view.server.app import create_app
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.cli.damaged import GOOD, damaged_folders, good_tasks

OVER_ALL = (
    *("/api/tasks?limit=200", "/api/tasks?q=broken", "/api/errors", "/api/statistics", "/api/statistics?group_by=model"),
    *("/api/overview", "/api/alerts", "/api/about", "/metrics", "/api/timeline?bucket_s=86400"),
)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A root with three good tasks and folders that are damaged in every way, and the names of these."""
    root = tmp_path_factory.mktemp("damaged") / "tasks"
    good_tasks(root)
    return root, damaged_folders(root)


@pytest.fixture(scope="module")
def client(damaged: tuple[Path, list[str]]) -> Iterator[TestClient]:
    """A client of this host, whose requests are answered in one thread, not each in a new one."""
    with TestClient(create_app(damaged[0]), base_url="http://127.0.0.1", client=("127.0.0.1", 50_000)) as client:
        yield client


def test_routes_over_all_tasks_answer(client: TestClient) -> None:
    """With JSON that a terminal shows as it is; a timeline of ten thousand years is refused, not an error."""
    for path in OVER_ALL:
        answer = client.get(path)

        assert answer.status_code in ((200, 409) if "timeline" in path else (200,)), (path, answer.text[:300])
        assert set(acts_on_a_terminal(answer.text)) <= {"\n"}, path
    found = {row["task_id"] for row in client.get("/api/tasks?limit=200").json()["rows"]}
    assert found >= set(GOOD)


def test_routes_of_one_damaged_task_answer(client: TestClient, damaged: tuple[Path, list[str]]) -> None:
    """Each with what is there, or in a problem of the client's; the document of a damaged file says so."""
    routes = sorted(path for path, methods in client.get("/api/openapi.json").json()["paths"].items() if "get" in methods)
    of_one = [
        path
        for path in routes
        if "{" in path and "live" not in path and "stream" not in path and "error_id" not in path and "sha256" not in path
    ]
    assert len(of_one) > 4
    for name in damaged[1][::3]:
        for path in of_one:
            answer = client.get(path.replace("{task_id}", name).replace("{key}", name))

            assert answer.status_code < 500, (path, name, answer.text[:300])
            assert set(acts_on_a_terminal(answer.text)) <= {"\n"}, (path, name)
            if "json" in answer.headers["content-type"]:
                whole = "ndjson" not in answer.headers["content-type"]
                for line in [answer.text] if whole else answer.text.splitlines():
                    json.loads(line)

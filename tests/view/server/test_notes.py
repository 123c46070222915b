"""Adding notes and scores over REST."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from otel_agentlog.store.folder.reader import TaskReader
from tests.view.server.conftest import TOKEN, client_of

GOOD = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def root(stories: Path, tmp_path: Path) -> Path:
    """A root of the test's own, with one task that has ended."""
    shutil.copytree(stories / "task-well", tmp_path / "tasks" / "task-well")
    (tmp_path / "tasks").chmod(0o700)
    return tmp_path / "tasks"


@pytest.fixture
def client(root: Path) -> TestClient:
    """Of a server that allows control."""
    return client_of(root, allow_control=True)


def _post(client: TestClient, body: object, task: str = "task-well", **headers: str) -> Any:
    return client.post(f"/api/tasks/{task}/notes", json=body, headers=headers or GOOD)


def test_a_note_with_scores_stands_in_the_folder_and_in_the_answers(client: TestClient, root: Path) -> None:
    """Of a task that has ended; lists, figures and the task itself have it at once."""
    answer = _post(client, {"text": "well done", "scores": {"rest": 0.9, "tone": "warm"}, "by": "ann"})
    assert answer.status_code == 201
    lines = [line for line in TaskReader(root / "task-well").events() if line.get("component") == "evaluation"]
    assert [line["event_id"] for line in lines] == answer.json()["event_ids"]
    assert {(line["details"]["by"], line["details"]["source"]) for line in lines} == {("ann", "web")}

    found = client.get("/api/tasks", params={"score": ["rest>0.5", "tone=warm"]}).json()
    assert [row["scores"] for row in found["rows"]] == [{"rest": 0.9, "tone": "warm"}]
    assert client.get("/api/tasks", params={"score": "rest<0.5"}).json()["rows"] == []
    assert client.get("/api/tasks", params={"score": "rest<much"}).status_code == 422
    groups = client.get("/api/statistics", params={"group_by": "agent"}).json()["groups"]
    assert [group["scores"]["rest"] for group in groups] == [{"count": 1, "mean": 0.9}]
    task = client.get("/api/tasks/task-well").json()
    assert task["scores"] == {"rest": 0.9, "tone": None}
    assert [line["event_id"] for line in task["noted"]] == answer.json()["event_ids"]


@pytest.mark.parametrize(
    ("body", "task", "status"),
    [
        ({}, "task-well", 422),
        ({"text": " "}, "task-well", 422),
        ({"scores": {"q": [1]}, "text": "x"}, "task-well", 422),
        ({"text": "x", "on": "nowhere"}, "task-well", 422),
        ({"text": "x", "more": 1}, "task-well", 422),
        ({"text": "x" * 20_000}, "task-well", 422),
        ({"text": "x"}, "task-nothing", 404),
    ],
)
def test_what_cannot_be_noted_is_refused(client: TestClient, root: Path, body: dict[str, object], task: str, status: int) -> None:
    """With a reason, and nothing is written."""
    before = (root / "task-well" / "03-agent-output.jsonl").read_bytes()
    assert _post(client, body, task).status_code == status
    assert (root / "task-well" / "03-agent-output.jsonl").read_bytes() == before
    assert [path.name for path in root.iterdir() if path.name.startswith("task-")] == ["task-well"]


def test_a_note_needs_the_token_and_a_server_that_allows_it(client: TestClient, root: Path) -> None:
    """As control does."""
    assert _post(client, {"text": "x"}, Authorization="Bearer wrong").status_code == 401
    assert _post(client_of(root), {"text": "x"}).status_code == 403

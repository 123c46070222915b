"""Asking something of a running task over REST."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import httpx
import pytest

from otel_agentlog.view.server.problems import HttpProblem, written
from tests.support.waiting import wait_until
from tests.view.server.conftest import TOKEN, client_of
from tests.view.server.served import TIMEOUT_S, Served
from tests.view.server.test_live import writer

GOOD = {"Authorization": f"Bearer {TOKEN}"}


def test_a_request_stands_in_the_folder(controlled: Served) -> None:
    """What is asked is accepted, named, and written where the task's process finds it."""
    with writer(controlled.root):
        answer = httpx.post(
            f"{controlled.url}api/tasks/task-elsewhere/control",
            json={"action": "context", "text": "Look at the tests first.", "reason": "they failed"},
            headers=controlled.headers,
            timeout=TIMEOUT_S,
        )
        found = answer.json()
        line = json.loads((controlled.root / "task-elsewhere" / "control.jsonl").read_text())

    assert answer.status_code == 202
    assert (found["task_id"], found["action"], found["status"], found["at_work"]) == (
        "task-elsewhere",
        "context",
        "running",
        True,
    )
    assert (line["request"], line["request_id"], line["source"]) == ("context", found["request_id"], "web")
    assert (line["text"], line["reason"]) == ("Look at the tests first.", "they failed")


def test_a_task_pauses_goes_on_and_is_cancelled(controlled: Served) -> None:
    """Each request takes effect at the next checkpoint and shows in the task's status; after the end none is taken."""
    url = f"{controlled.url}api/tasks/task-elsewhere"

    def ask(action: str) -> int:
        return httpx.post(f"{url}/control", json={"action": action}, headers=controlled.headers, timeout=TIMEOUT_S).status_code

    def stands(status: str) -> None:
        metadata = f"{url}/logs/metadata"
        wait_until(lambda: httpx.get(metadata, timeout=TIMEOUT_S).json()["status"] == status, status, timeout_s=TIMEOUT_S)

    with writer(controlled.root) as process:
        assert process.stdin is not None
        for action, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
            assert ask(action) == 202
            process.stdin.write("a line, and with it a checkpoint\n")
            stands(status)

    assert ask("pause") == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "stop"}, 422),
        ({"action": "context"}, 422),
        ({"action": "context", "text": "   "}, 422),
        ({"action": "pause", "text": "why"}, 422),
        ({"action": "context", "text": "x" * 16_001}, 422),
        ({"action": "pause", "shell": "rm"}, 422),
        ({}, 422),
        ([], 422),
    ],
)
def test_what_cannot_be_asked_is_refused(stories: Path, body: object, status: int) -> None:
    """A request that is none changes nothing and is told what was expected."""
    client = client_of(stories, allow_control=True)
    answer = client.post("/api/tasks/task-paused/control", json=body, headers=GOOD)

    assert answer.status_code == status
    assert answer.json()["detail"]
    assert not (stories / "task-paused" / "control.jsonl").exists()


def test_a_server_that_allows_no_control_says_how_to_get_it(stories: Path) -> None:
    """The token alone is not enough: whoever started the server decides."""
    answer = client_of(stories).post("/api/tasks/task-paused/control", json={"action": "pause"}, headers=GOOD)

    assert answer.status_code == 403
    assert "--allow-control" in answer.json()["detail"]


def test_nobody_asks_of_a_task_that_is_not_there(stories: Path) -> None:
    """An unknown task is a 404, and no folder is made for it."""
    answer = client_of(stories, allow_control=True).post(
        "/api/tasks/task-nowhere/control", json={"action": "pause"}, headers=GOOD
    )

    assert answer.status_code == 404
    assert not (stories / "task-nowhere").exists()


def test_a_request_that_cannot_be_written_is_not_the_clients_fault() -> None:
    """503, with what the disk says."""
    with pytest.raises(HttpProblem) as refused, written("control.jsonl", "the request"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert refused.value.status_code == 503
    assert refused.value.detail == "control.jsonl: expected to write the request, found No space left on device"

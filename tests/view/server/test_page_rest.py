"""What the page asks for beyond lists and files: places with words, comparisons, exports, images, figures of a chosen time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import orjson
import pytest
from fastapi.testclient import TestClient

from otel_agentlog.query import ORDERS
from otel_agentlog.view.server.line_pages import clipped
from tests.view.server.conftest import client_of


def test_places_with_words_have_the_text_around(client: TestClient) -> None:
    """At most as many as were asked for, the ones with most of the words first; none for words that are nowhere."""
    found = client.get("/api/tasks/task-review42/matches", params={"q": "verdict boom", "limit": 1}).json()["matches"]
    assert len(found) == 1
    assert "boom: the verdict is missing" in found[0]["text"]
    assert client.get("/api/tasks/task-review42/matches", params={"q": "nowhere"}).json() == {"matches": []}
    assert client.get("/api/tasks/nosuch/matches", params={"q": "x"}).status_code == 404


def test_an_export_is_the_page_with_its_answers(client: TestClient) -> None:
    """One file, named after the task, that asks nobody and says how it ended without JavaScript."""
    answer = client.get("/api/tasks/task-review42/export")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-disposition"] == 'attachment; filename="task-review42.html"'
    assert "<noscript><h1>Review PR 42</h1><p>task-review42: failed</p>" in answer.text
    assert 'src="' not in answer.text


def test_a_comparison_has_figures_and_both_sides_of_each_part(client: TestClient) -> None:
    """A task is the same as itself; another one differs."""
    same = client.get("/api/compare", params={"left": "task-review42", "right": "task-review42"}).json()
    assert same["same"]
    assert {part["verdict"] for part in same["parts"]} == {"same"}
    assert all(part["left"]["name"] == part["right"]["name"] for part in same["parts"])
    other = client.get("/api/compare", params={"left": "task-review42", "right": "task-well"}).json()
    assert not other["same"]
    assert {figure["name"] for figure in other["figures"]} >= {"duration_seconds", "cost_usd", "errors"}
    assert client.get("/api/compare", params={"left": "task-review42", "right": "nosuch"}).status_code == 404


def test_two_groups_are_compared(client: TestClient) -> None:
    """By filters, by values of a field, by ids; what cannot be read is refused, and nothing outside the root is looked at."""
    found = client.get("/api/compare/groups", params={"a": "status:completed", "b": "is:unsuccessful"}).json()
    success = next(each for each in found["figures"] if each["name"] == "success")
    assert (success["a"]["value"], success["b"]["value"]) == (1.0, 0.0)
    assert found["intervals"]["confidence"] == 0.95
    assert found["without_intervals"] is None
    assert success["note"].startswith("n = ")
    by = client.get("/api/compare/groups", params={"a": "brain", "b": "*", "by": "agent", "intervals": False}).json()
    assert (by["a"]["said"], by["intervals"]) == ("agent:brain", None)
    two = client.get("/api/compare/groups", params={"a": "task-review42", "b": "task-well"}).json()
    assert two["first_difference"]["verdict"] == "only_left"
    for wrong in ({"a": "cost>much", "b": ""}, {"a": "", "b": "x" * 3000}, {"a": "x", "b": "y", "by": "cost"}, {"a": ""}):
        assert client.get("/api/compare/groups", params=wrong).status_code == 422, wrong
    for outside in ("/etc", "../tasks", ".."):
        side = client.get("/api/compare/groups", params={"a": outside, "b": "", "intervals": False}).json()["a"]
        assert (side["root"], side["task"]) == (by["a"]["root"], None)


def test_without_scipy_groups_have_no_intervals(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the answer says why."""
    monkeypatch.setitem(sys.modules, "scipy", None)
    found = client.get("/api/compare/groups", params={"a": "status:completed", "b": ""}).json()
    assert found["intervals"] is None
    assert "pip install" in found["without_intervals"]


def test_images_of_messages_are_not_cut() -> None:
    """Any other text is, within the same message and beside it."""
    image = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "A" * 9_000}
    sound = {**image, "modality": "audio"}
    found = clipped({"parts": [image, sound], "text": "b" * 9_000}, 100)
    assert found["parts"][0] == image
    assert len(found["parts"][1]["content"]) < 200
    assert len(found["text"]) < 200


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_the_page_is_answered(client: TestClient, order: str) -> None:
    """With all tasks, each once."""
    found = client.get("/api/tasks", params={"order": order, "limit": 500}).json()
    assert len({row["key"] for row in found["rows"]}) == found["tasks"]


def test_the_live_overview_is_of_the_time_that_is_asked_for(tmp_path: Path) -> None:
    """A task of two days ago is among those of a week, not of a day."""
    folder = tmp_path / "tasks" / "task-old"
    folder.mkdir(parents=True)
    created = time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime(time.time() - 2 * 86_400))
    (folder / "metadata.json").write_bytes(orjson.dumps({"task_id": "task-old", "status": "completed", "created_at": created}))
    (folder / "04-final-result.json").write_bytes(orjson.dumps({"outcome": "completed", "metrics": {}}))
    client = client_of(tmp_path / "tasks")
    for window_s, tasks in ((86_400, 0), (604_800, 1)):
        assert client.get("/api/overview", params={"window_s": window_s}).json()["totals"]["tasks"] == tasks
    assert client.get("/api/live", params={"window_s": 1}).status_code == 422

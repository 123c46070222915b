"""Wherever a cost is shown of which a part is not known, there is a plus; and whatever has the price of nothing shows no 0."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import otel_agentlog
from otel_agentlog.query import LiveReport
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.server import create_app
from tests.view.cli.terminal import agentlog, plain
from tests.view.mcp.answers import ask

PRICED, UNPRICED = "claude-opus-4-5", "nobody-knows"


def _call(model: str) -> None:
    with otel_agentlog.ai_call(model, provider="anthropic") as call:
        call.usage(input_tokens=1000, output_tokens=0)


@pytest.fixture
def mixed(tasks_root: Path) -> Path:
    """The folder of a task with one call with a price and one without, in a step each, and a score."""
    with otel_agentlog.task("mixed", session_id="chat") as task:
        for model in (PRICED, UNPRICED):
            with otel_agentlog.step(f"step of {model}"):
                _call(model)
        task.score("quality", 0.5)
        folder = task.folder
    otel_agentlog.flush()
    assert folder is not None
    return folder


COMMANDS = {
    "ls": 1,
    "show last": 2,  # the head, and the task in the tree
    "stats --group-by agent": 1,
    "cost": 1,
    "metrics --current": 1,
    "monitor --once": 2,
    "monitor last --once": 1,
}
"""Commands, each with how many costs of the task, or of more, it shows."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command(mixed: Path, command: str) -> None:
    """Each sum has a plus."""
    said = plain(agentlog(*command.split(), "--root", mixed.parent).out)

    assert said.count("$0.0050+") == COMMANDS[command], said


def _rows(found: Mapping[str, Any], *keys: str) -> list[bool]:
    return [row["unpriced"] for key in keys for row in found[key]]


def test_every_answer(mixed: Path) -> None:
    """REST and MCP, of lists, of the overview and of one task; scores, too, are there wherever rows are."""
    client, root = TestClient(create_app(mixed.parent), base_url="http://127.0.0.1", client=("127.0.0.1", 1)), mixed.parent
    overview, task = client.get("/api/overview").json(), client.get("/api/tasks/last").json()

    assert _rows(client.get("/api/tasks").json(), "rows") == _rows(overview, "recent") == [True]
    assert (overview["totals"]["unpriced"], overview["unpriced_today"], task["unpriced"]) == (1, 1, True)
    assert [part["unpriced"] for part in task["tree"]] == [1, 0, 0, 1, 1]
    assert overview["recent"][0]["scores"] == task["scores"] == {"quality": 0.5}
    assert ask(root, "list_tasks")["tasks"][0]["unpriced"] is True
    shown = ask(root, "show_task", task="last")
    assert [shown["about"].get("unpriced"), *(part.get("unpriced") for part in shown["parts"])] == [
        *(True, True, None, None, True, True)
    ]
    assert '"unpriced":true' in agentlog("export", "last", "--format", "json", "--root", root).out


def test_nothing_known_is_not_nothing(tasks_root: Path) -> None:
    """Of a day on which no call has a price the cost is not known; of one without a task it is 0."""
    asked = ("metrics", "--current", "--root", tasks_root)
    assert "today $0\n" in plain(agentlog(*asked).out).replace("\r", "")
    with otel_agentlog.task("unknown"):
        _call(UNPRICED)
    otel_agentlog.flush()

    assert "today ?\n" in plain(agentlog(*asked).out).replace("\r", "")


def test_a_later_view_of_a_call_may_tell_its_price(tasks_root: Path) -> None:
    """As lines come: a call counts as unpriced from its end until a further view of it tells the price."""
    with otel_agentlog.task("live") as task:
        assert task.folder is not None
        live = LiveReport(TaskReader(task.folder))

        def unpriced() -> tuple[int, bool | None]:
            live.poll()
            return live.report.roots[0].total.unpriced, live.report.row.unpriced

        assert unpriced() == (0, False)
        with otel_agentlog.ai_call(UNPRICED, provider="nobody") as call:
            call.usage(input_tokens=1000, output_tokens=0)
            assert unpriced() == (0, False)
        assert unpriced() == (1, True)
        call.usage(cost_usd=0.5)
        assert unpriced() == (0, False)

"""One record of a program in another language: collected, exported, imported, compared, replayed, asked for by MCP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client

from otel_agentlog.store.folder.reader import TaskReader
from tests.support.providers.server import ProviderServer, Reply
from tests.support.receiving import RunningCollect, node_packages
from tests.support.waiting import wait_until
from tests.tools.replay.replaying import of_clients, said

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "collected_agent.js"


@dataclass
class Recorded:
    """The record of the example of ``docs/collect.md``."""

    root: Path
    task_id: str
    program: list[str]
    env: dict[str, str]

    def agentlog(self, *words: str, root: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "otel_agentlog", "--root", str(root or self.root), *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120)

    def report(self) -> dict[str, Any]:
        """What is counted of the task."""
        metrics = (TaskReader(self.root / self.task_id).final_result() or {})["metrics"]
        return {name: metrics[name] for name in ("ai_calls", "tool_runs", "input_tokens", "output_tokens", "cost_usd")}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """The agent in Node asked a model and sent its spans to `agentlog collect`, which still runs."""
    packages = node_packages()
    if packages is None:
        pytest.skip("npm, or the packages of OpenTelemetry for Node, are not there: NODE IS NOT TRIED")
    # A copy beside the packages, as Node looks for them there; of a name of its own, as others run the example too.
    program = packages / f"agent_{os.getpid()}.js"
    shutil.copy(EXAMPLE, program)
    try:
        with RunningCollect(tmp_path_factory.mktemp("node")) as collect, ProviderServer() as server:
            server.script(Reply(said("I look it up.")), Reply(said("It is dry.")))
            env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collect.url}
            command = ["node", str(program), "proto"]
            done = subprocess.run(
                command, env={**env, **of_clients(server)}, capture_output=True, text=True, timeout=60, check=True
            )
            task_id = f"trace-{done.stdout.strip()}"
            reader = TaskReader(collect.root / task_id)
            wait_until(lambda: reader.final_result() is not None, f"{task_id} in {collect.log()}", timeout_s=60.0)
            yield Recorded(collect.root, task_id, command, env)
    finally:
        program.unlink()


def test_the_record_is_complete(recorded: Recorded) -> None:
    """What the model said and used is in the folder, which is valid."""
    usage = {"ai_calls": 2, "tool_runs": 1, "input_tokens": 4800, "output_tokens": 100}
    assert recorded.report().items() >= usage.items()
    validated = recorded.agentlog("validate", recorded.task_id)
    assert validated.returncode == 0, validated.stdout
    assert "It is dry." in recorded.agentlog("tail", recorded.task_id, "--json").stdout


def test_it_is_exported_and_imported(recorded: Recorded, tmp_path: Path) -> None:
    """As OTLP JSON into another root, where it counts the same; and compared with itself it does not differ."""
    file, other = tmp_path / "task.jsonl", tmp_path / "other"
    assert recorded.agentlog("export", recorded.task_id, "--format", "otlp", "-o", str(file)).returncode == 0
    imported = recorded.agentlog("import", str(file), root=other)
    assert imported.returncode == 0, imported.stderr
    (folder,) = other.glob("*/metadata.json")
    same = Recorded(other, folder.parent.name, recorded.program, recorded.env)
    assert same.report() == recorded.report()

    both = (f"{recorded.root / recorded.task_id}/", f"{folder.parent}/")
    compared = recorded.agentlog("compare", *both, "--no-intervals", "--json", "--fail-if", "cost>+1%")
    assert compared.returncode == 0, compared.stderr
    figures = {figure["name"]: figure["difference"] for figure in json.loads(compared.stdout)["figures"]}
    assert (figures["success"], figures["cost"], figures["tokens"], figures["tool.search.calls"]) == (0, 0, 0, 0)


def test_it_is_replayed(recorded: Recorded) -> None:
    """Node asks the local server in the provider's place; another prompt is found at its call."""
    same = recorded.agentlog("replay", recorded.task_id, "--", *recorded.program)
    assert (same.returncode, "2 of 2 AI calls answered" in same.stderr) == (0, True), same.stderr
    other = recorded.agentlog("replay", recorded.task_id, "--", *recorded.program, "Does it snow?")
    assert (other.returncode, "AI call 1 of 2" in other.stderr, "+user: Does it snow?" in other.stderr) == (1, True, True)


def test_it_is_an_example_to_train_with(recorded: Recorded, tmp_path: Path) -> None:
    """A chat for each of its AI calls, with what was asked and answered."""
    made = recorded.agentlog("dataset", f"id:{recorded.task_id}", "-o", str(tmp_path / "data"))
    assert made.returncode == 0, made.stderr
    chats = [json.loads(line) for line in (tmp_path / "data" / "train.jsonl").read_text().splitlines()]
    answers = [chat["messages"][-1] for chat in chats]
    assert [(answer["role"], answer["content"]) for answer in answers] == [
        ("assistant", "I look it up."),
        ("assistant", "It is dry."),
    ]
    assert all(chat["messages"][-2]["role"] in ("user", "tool") for chat in chats)


async def test_agents_ask_for_it(recorded: Recorded) -> None:
    """The official client of MCP gets the task and its lines."""
    words = ["-m", "otel_agentlog", "mcp", "--root", str(recorded.root)]
    server = StdioServerParameters(command=sys.executable, args=words, env=recorded.env)
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        found = await session.call_tool("show_task", {"task": recorded.task_id})
        content = await session.call_tool("read_log", {"task": recorded.task_id, "whole": True})
    assert (found.is_error, content.is_error) == (False, False)
    assert "researcher" in str(found.structured_content)
    assert "It is dry." in str(content.structured_content)

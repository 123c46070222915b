"""What ClickHouse answers is what the folders answer: the same tasks, sent through the real exporter, asked both ways."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import otel_agentlog as agentlog
from otel_agentlog.view.cli.main import main
from tests.support.clickhouse import DATABASE, ClickHouseServer
from tests.support.gateway import Gateway
from tests.view.stories import STORIES

pytestmark = pytest.mark.collector

UNKNOWABLE = {
    # Where it is, and what is kept about the sending.
    *("root", "folder", "file", "delivery", "traceparent"),
    # Measured in the process, on no span.
    *("cpu_seconds", "memory_peak_mb", "metrics", "resources"),
    # Before the span began: when a task was announced, and with which tags it was put into the queue.
    *("created_at", "tags"),
    # Contents, which leave only if the setting `content` says so, and lines of the folder that are no item.
    *("input", "result", "arguments", "messages", "payload", "said", "output", "thinking", "content"),
    # The number of a line that is no log record.
    "event_id",
}
"""Keys whose values OTLP does not carry (docs/stack/clickhouse.md)."""


class Told(NamedTuple):
    """What a command printed and returned."""

    code: int
    out: str
    err: str


class Asked:
    """The same tasks in folders and in ClickHouse."""

    def __init__(self, root: Path, server: ClickHouseServer, cache: Path) -> None:
        self.root, self.server, self.cache = root, server, cache

    def folders(self, *words: str) -> Any:
        """What a command answers from the folders."""
        return json.loads(self._run("--root", str(self.root), *words, "--json").out)

    def clickhouse(self, *words: str) -> Any:
        """What it answers from ClickHouse."""
        told = self.run(*words, "--json")
        assert told.err == ""
        return json.loads(told.out)

    def run(self, *words: str, url: str | None = None) -> Told:
        """Run a command that asks ClickHouse."""
        return self._run("--from", url or self.server.url, *words)

    def _run(self, *words: str) -> Told:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(self.cache))
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            try:
                code = main(words)
            except SystemExit as ended:
                code = int(ended.code or 0)
        out.flush()
        return Told(code, *(each.buffer.getvalue().decode() for each in (out, err)))  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def asked(
    agent_binary: Path, gateway_binary: Path, clickhouse: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asked]:
    """All stories, recorded once, with the set for many machines between the SDK and ClickHouse."""
    folder = tmp_path_factory.mktemp("clickhouse")
    root = folder / "tasks"
    with (
        ClickHouseServer(folder / "server") as server,
        Gateway(agent_binary, gateway_binary, folder, server) as gateway,
    ):
        agentlog.configure(
            service_name="stories",
            directory=root,
            log_directory=folder / "logs",
            console="off",
            capture_logging=False,
            endpoint=gateway.http_endpoint,
            protocol="http/protobuf",
        )
        for story in STORIES:
            story()
        receipt = agentlog.flush()
        agentlog.shutdown()
        gateway.wait_for_rows(receipt.delivered)
        yield Asked(root, server, folder / "cache")


def _known(value: Any, *, open_task: bool = False) -> Any:
    """A JSON value without what OTLP cannot know."""
    if isinstance(value, list):
        # Of a comparison the figures have names.
        return [_known(each) for each in value if not (isinstance(each, dict) and each.get("name") in UNKNOWABLE)]
    if not isinstance(value, dict):
        return value
    # Of what has not ended nothing is sent but log records.
    left_out = (
        {*UNKNOWABLE, "name", "started_at", "duration_seconds"} if value.get("status") in ("paused", "running") else UNKNOWABLE
    )
    if value.get("kind") == "subtask":
        # A pointer's own times are not sent; those of the sub-task stand in for them.
        left_out = {*left_out, "start_ns", "end_ns", "duration_ms"}
    if "lines" in value and isinstance(value["lines"], list):
        value = {**value, "lines": [line for line in value["lines"] if line.get("type") not in ("output", "thinking")]}
        left_out = left_out if value["lines"] else {*left_out, "lines"}
    kept = {key: _known(each) for key, each in value.items() if key not in left_out}
    # What held only such keys is not there on the other side.
    return {key: each for key, each in kept.items() if each != {}}


COMMANDS = [
    ["ls"],
    ["ls", "--failed"],
    ["ls", "agent:brain"],
    ["ls", "--order", "slowest", "--status", "failed,timed_out"],
    ["ls", "--tool", "Grep"],
    ["ls", "error:TIMEOUT"],
    ["ls", "--parent", "task-review42"],
    ["ls", "--min-cost", "0.01"],
    ["search", "boom"],
    ["search", "verdict", "--failed"],
    ["stats", "--failed"],
    ["stats", "--group-by", "tool"],
    ["stats", "--group-by", "model"],
    ["stats", "--group-by", "agent", "--status", "failed"],
    ["stats", "--group-by", "status", "--failed"],
    ["cost"],
    ["cost", "--group-by", "provider"],
    ["cost", "--group-by", "day", "--failed"],
    ["top", "tool"],
    ["errors"],
    ["errors", "--each"],
    ["errors", "--category", "TIMEOUT"],
    ["errors", "--since", "1h"],
    ["errors", "--each", "--where", "agent:brain"],
    ["diff", "task-well", "task-style"],
    *(["show", f"task-{name}"] for name in ("review42", "style", "parallel", "wide", "hostile", "cancelled", "slow", "well")),
    *(["show", f"task-{name}", "--full"] for name in ("review42", "slow", "hostile")),
    ["show", "review"],
    ["show"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_clickhouse_answers_as_the_folders_do(asked: Asked, words: list[str]) -> None:
    """Every command says the same, but for what OTLP does not carry."""
    assert _known(asked.clickhouse(*words)) == _known(asked.folders(*words))


def test_an_error_is_found_by_its_id(asked: Asked) -> None:
    """One command line leads from an id in a message to the traceback, on a machine that never ran the agent."""
    (found,) = [each for each in asked.folders("errors", "--each")["errors"] if each["exception"]["type"] == "RuntimeError"]
    shutil.rmtree(asked.cache, ignore_errors=True)

    there = asked.clickhouse("errors", found["error_id"])["errors"]

    assert [each["exception"] for each in there] == [
        each["exception"] for each in asked.folders("errors", found["error_id"])["errors"]
    ]
    assert there[0]["exception"]["traceback"]


def test_what_did_not_change_is_not_fetched_again(asked: Asked) -> None:
    """The second command finds the folders as they are; a span more and only its task's folder is written."""
    asked.clickhouse("ls")
    (home,) = (asked.cache / "agentlog" / "from").iterdir()
    before = {path: path.stat().st_ino for path in home.glob("task-*/metadata.json")}

    asked.clickhouse("ls")
    assert {path: path.stat().st_ino for path in home.glob("task-*/metadata.json")} == before
    columns = (
        "TraceId, 'aaaaaaaaaaaaaaaa', SpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, SpanAttributes"
    )
    asked.server.run(
        f"INSERT INTO {DATABASE}.otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName,"
        f" ResourceAttributes, ScopeName, SpanAttributes) SELECT Timestamp, {columns} FROM {DATABASE}.otel_traces"
        " WHERE SpanAttributes['agentlog.task.id'] = 'task-well'"
    )
    asked.clickhouse("ls")

    after = {path: path.stat().st_ino for path in home.glob("task-*/metadata.json")}
    assert {path.parent.name for path in after if after[path] != before[path]} == {"task-well"}
    asked.server.run(f"ALTER TABLE {DATABASE}.otel_traces DELETE WHERE SpanId = 'aaaaaaaaaaaaaaaa' SETTINGS mutations_sync = 1")


def test_folders_are_their_owners_alone(asked: Asked) -> None:
    """What was brought is as private as what was recorded here."""
    asked.clickhouse("ls")
    home = asked.cache / "agentlog" / "from"

    assert {oct(path.stat().st_mode & 0o077) for path in home.rglob("task-*")} == {"0o0"}
    assert {oct(path.stat().st_mode & 0o077) for path in home.iterdir()} == {"0o0"}
    assert {oct(path.stat().st_mode & 0o077) for path in home.rglob("*.json*")} == {"0o0"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("clickhouse://agentlog:secret1@127.0.0.1:{port}/otel", "Authentication failed"),
        ("clickhouse://agentlog:secret1@127.0.0.1:1/otel", "does not answer"),
        ("clickhouse://{user}@127.0.0.1:{port}/nothing", "UNKNOWN_DATABASE"),
        ("mysql://agentlog:secret1@127.0.0.1/otel", "expected clickhouse://"),
        ("clickhouse://agentlog:secret1@:x/otel", "expected clickhouse://"),
        ("clickhouse://", "expected clickhouse://"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line_without_the_password(asked: Asked, url: str, said: str) -> None:
    """Wrong password, nobody there, no such database, another kind of URL."""
    user = asked.server.url.split("//")[1].split("@")[0]
    told = asked.run("ls", url=url.format(port=asked.server.port, user=user))

    assert told.code in (1, 2)
    assert said in told.err
    assert told.err.count("\n") == 1
    assert not re.search("secret1|pass.{1,3}word", told.err)


@pytest.mark.parametrize(
    "words", [["prune"], ["ship"], ["pause", "task-well"], ["tail", "-f"], ["--root", "/tmp", "ls"]], ids=" ".join
)
def test_commands_about_this_machine_refuse(asked: Asked, words: list[str]) -> None:
    """What writes, or is about processes here, says that it cannot ask there; and one place is asked at a time."""
    told = asked.run(*words)

    assert told.code == 2
    assert "--from" in told.err
    assert told.err.count("\n") == 1

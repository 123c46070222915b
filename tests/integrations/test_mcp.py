"""MCP: a client and a server, the real ones, in processes of their own; the tool runs in the caller's folder."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace

import otel_agentlog as agentlog
from otel_agentlog.integrations.mcp import McpMiddleware, instrument_server, instrument_session
from otel_agentlog.store.folder.reader import TaskReader, find_task, list_tasks
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.spans.tree import Node, tree
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink
from tests.support.packages import ROOT, environment
from tests.support.ports import accepts, free_ports
from tests.support.process import ServerProcess

# Packages may have to be installed first.
pytestmark = pytest.mark.timeout(900)

CLIENT = Path(__file__).with_name("mcp_client.py")
SERVER = Path(__file__).with_name("mcp_server.py")
NEW, OLD = "mcp>=2.3,<3", "mcp>=1.30,<2"


@dataclass
class Ran:
    """What a client left behind."""

    root: Path
    said: list[str]

    @property
    def task(self) -> TaskReader:
        return find_task(self.root, "ask")

    def nodes(self) -> list[Node]:
        return [node for _, node in tree(self.task).walk()]

    def runs(self) -> list[Node]:
        return [node for node in self.nodes() if node.type == "tool_call"]

    def parts(self) -> list[Node]:
        return [node for node in self.nodes() if node.type == "segment"]


def ran(root: Path, package: str, *arguments: str) -> Ran:
    command = [sys.executable, str(CLIENT), str(root), *arguments]
    done = subprocess.run(command, env=environment(package), cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    recover(root)  # of the server that was killed
    return Ran(root, done.stdout.splitlines())


@pytest.fixture(scope="module", params=[NEW, OLD])
def by_stdio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The server is a child process of the client, which the last call kills."""
    return ran(tmp_path_factory.mktemp("stdio") / "tasks", request.param, "stdio")


@pytest.mark.slow
def test_the_tool_runs_in_the_callers_task(by_stdio: Ran) -> None:
    """The handler knows the task; what it records lies in the tool run, in the one folder."""
    assert by_stdio.said[0] == "sunny in Rome, says ask"
    assert [task.task_id for task in list_tasks(by_stdio.root)] == ["ask"]
    looked_up = next(node for node in by_stdio.nodes() if node.name == "look up")
    above = {node.span_id: node for node in by_stdio.nodes()}
    names = []
    while looked_up.parent_span_id in above:
        looked_up = above[looked_up.parent_span_id]
        names.append(f"{looked_up.type} {looked_up.name}")
    assert [name for name in names if not name.startswith("span ")] == [
        "segment tools/call get_weather",
        "tool_call get_weather",
        "task ask",
    ]


@pytest.mark.slow
def test_each_call_is_one_tool_run(by_stdio: Ran) -> None:
    """Beside the spans that mcp 2 makes by itself; with arguments and result."""
    runs = by_stdio.runs()

    assert [run.outcome for run in runs] == ["completed", "failed", "cancelled", "failed"]
    assert {run.name for run in runs} == {"get_weather"}
    assert (by_stdio.task.final_result() or {})["metrics"]["tool_runs"] == 4
    lines = [line for line in by_stdio.task.events() if line["type"] in ("tool_call", "tool_result")]
    assert lines[0]["details"]["arguments"] == {"city": "Rome"}
    assert lines[0]["attributes"]["mcp.method.name"] == "tools/call"
    results = [line["details"].get("result") for line in lines if line["type"] == "tool_result"]
    assert "sunny in Rome, says ask" in str(results[0])


@pytest.mark.slow
def test_a_failure_is_seen_on_both_sides(by_stdio: Ran) -> None:
    """``isError`` is no exception anywhere, and a failure all the same; a killed server is an error of the connection."""
    runs, parts = by_stdio.runs(), by_stdio.parts()

    assert "Error executing tool get_weather" in str(runs[1].error)
    assert [part.outcome for part in parts][:2] == ["completed", "failed"]
    assert "losed" in str(runs[3].error)
    ends = [line for line in by_stdio.task.events() if line.get("phase") == "end" and "error_id" in line.get("exception", {})]
    of_tool = [line["exception"]["error_id"] for line in ends if line["span_id"] in (runs[1].span_id, parts[1].span_id)]
    assert of_tool == [of_tool[0]] * 2
    assert parts[3].outcome == "interrupted"
    assert by_stdio.said[1] in ("MCPError", "McpError")
    assert validate(by_stdio.task.folder).errors == 0


@pytest.mark.slow
def test_over_http(tmp_path: Path) -> None:
    """One server for all: each request is part of the task it came from, whatever baggage the caller has besides."""
    root, (port,) = tmp_path / "tasks", free_ports(1)
    command = [sys.executable, SERVER, root, str(port)]
    server = ServerProcess(command, tmp_path / "server.log", {**environment(NEW)})
    server.start(lambda: accepts(port))
    try:
        client = ran(root, NEW, f"http://127.0.0.1:{port}/mcp")
    finally:
        server.stop()

    assert client.said[0] == "sunny in Rome, says ask"
    assert [part.outcome for part in client.parts()][:2] == ["completed", "failed"]
    assert [run.outcome for run in client.runs()] == ["completed", "failed", "cancelled"]


@pytest.mark.slow
def test_mcp_by_itself(tmp_path: Path) -> None:
    """Without our integration the client's own spans are the tool runs."""
    client = ran(tmp_path / "tasks", NEW, "stdio", "plain")

    runs = client.runs()
    assert len(runs) == (client.task.final_result() or {})["metrics"]["tool_runs"] == 4
    contents = [line["content"] for line in client.task.events() if line["type"] == "tool_call"]
    assert contents == ["get_weather"] * 4
    assert validate(client.task.folder).errors == 0


# -- without mcp -----------------------------------------------------------------------------------------------------------


class Session:
    """What a session is to us."""

    def __init__(self, answer: Any, raises: BaseException | None = None) -> None:
        self.answer, self.raises = answer, raises
        self.metas: list[Any] = []

    async def call_tool(self, name: str, arguments: Any = None, *, meta: Any = None) -> Any:
        self.metas.append(meta)
        with trace.get_tracer("mcp-python-sdk").start_as_current_span(f"MCP send tools/call {name}") as span:
            span.set_attribute("mcp.method.name", "tools/call")
            if self.raises is not None:
                raise self.raises
            return self.answer


GOOD = {"content": [{"type": "text", "text": "fine"}]}


async def test_what_the_caller_gives_stays(recorded: MemorySink) -> None:
    """Arguments, ``meta`` and the result pass; the carrier is beside what is in ``meta``."""
    session = instrument_session(Session(GOOD))
    with agentlog.task("t", task_id="t", correlation_id="c-1") as task:
        assert await session.call_tool("f", {"a": 1}, meta={"progressToken": 7, "traceparent": "mine"}) is GOOD
        await session.call_tool("f")

    first, second = session.metas
    assert (first["progressToken"], first["traceparent"]) == (7, "mine")
    assert "agentlog.task_id=t" in second["baggage"]
    assert "agentlog.correlation_id=c-1" in second["baggage"]
    run = recorded.of(type="tool_call")[1]
    assert second["traceparent"].split("-")[1:3] == [task.trace_id, run["span_id"]]


@pytest.mark.parametrize("answer", [None, 7, {}, {"content": None}, {"content": [None, {"type": "image"}]}, SimpleNamespace()])
async def test_any_answer_passes(answer: Any, recorded: MemorySink) -> None:
    """What an answer has is recorded; what it has not is no error."""
    with agentlog.task("t"):
        assert await instrument_session(Session(answer)).call_tool("f") is answer

    assert recorded.of(type="tool_result")[0]["outcome"] == "completed"


async def test_exceptions_pass(recorded: MemorySink) -> None:
    """Also a cancellation."""
    for raised, outcome in ((ValueError("no"), "failed"), (asyncio.CancelledError(), "cancelled")):
        with agentlog.task("t"), pytest.raises(type(raised)):
            await instrument_session(Session(None, raised)).call_tool("f")
        assert recorded.of(type="tool_result")[-1]["outcome"] == outcome


async def test_inside_a_run_of_the_same_tool(recorded: MemorySink) -> None:
    """A framework that records its tools, or a client around the session: one run."""
    session = instrument_session(Session(GOOD))
    with agentlog.task("t"):
        with agentlog.tool("f"):
            await session.call_tool("f")
            await session.call_tool("g")

    assert Counter(line["message"] for line in recorded.of(type="tool_call")) == {"f": 1, "g": 1}
    assert "agentlog.task_id" in session.metas[0]["baggage"]


async def serve(middleware: McpMiddleware, meta: Any, result: Any = GOOD, method: str = "tools/call") -> Any:
    seen: list[str | None] = []

    async def handler(ctx: Any) -> Any:
        seen.append(agentlog.current_task())
        if isinstance(result, BaseException):
            raise result
        return result

    await middleware(SimpleNamespace(method=method, params={"name": "f", "arguments": {"a": 1}}, meta=meta), handler)
    return seen[0]


async def test_a_request_that_is_of_no_open_task(tasks_root: Path) -> None:
    """Without a carrier, with a broken one, and after the caller's task has ended: a task of its own, in the caller's trace."""
    with agentlog.task("over", task_id="over") as over:
        carrier = over.carrier()
    middleware = McpMiddleware()

    for meta in (None, {}, {"traceparent": "nonsense", "baggage": 7}, carrier):
        task_id = await serve(middleware, meta)
        assert task_id not in (None, "over")
        metadata = find_task(tasks_root, str(task_id)).metadata() or {}
        assert (metadata["source"], metadata["name"]) == ("mcp", "tools/call f")
    assert metadata["trace_id"] == over.trace_id


async def test_what_a_handler_raises_passes(recorded: MemorySink) -> None:
    """And other messages than a tool's call are none of ours."""
    middleware = McpMiddleware()
    with pytest.raises(ZeroDivisionError):
        await serve(middleware, None, ZeroDivisionError("no"))
    assert await serve(middleware, None, method="tools/list") is None
    await serve(middleware, None, {"isError": True, "content": [{"type": "text", "text": "bad"}]})

    first, second = recorded.ends()
    assert (first["outcome"], first["exception"]["type"]) == ("failed", "ZeroDivisionError")
    assert (second["outcome"], second["exception"]["message"]) == ("failed", "bad")


@pytest.mark.parametrize(
    "answer",
    [
        {"isError": True, "content": [{"type": "text", "text": "bad"}], "_meta": {"their": 1}},
        SimpleNamespace(is_error=True, content=[{"type": "text", "text": "bad"}], meta=None),
    ],
    ids=["dict", "object"],
)
async def test_a_failure_is_one_error(answer: Any, recorded: MemorySink) -> None:
    """The answer carries its id from the server to the client, beside what was in ``_meta``."""
    middleware = McpMiddleware()

    async def call_tool(name: str, arguments: Any = None, meta: Any = None) -> Any:
        await serve(middleware, meta, answer)
        return answer

    session = instrument_session(SimpleNamespace(call_tool=call_tool))
    with agentlog.task("ask"):
        await session.call_tool("f", {"a": 1})

    failed = [line["exception"] for line in recorded.ends() if "exception" in line]
    assert [error["message"] for error in failed] == ["bad"] * 2
    assert failed[0]["error_id"] == failed[1]["error_id"]
    assert [("traceback" in error) for error in failed] == [True, False]


@pytest.mark.parametrize("meta", [7, {"agentlog/error_id": 7}, {"agentlog/error_id": "../../x"}, {"agentlog/error_id": ""}])
async def test_whatever_an_answer_says_of_its_error(meta: Any, recorded: MemorySink) -> None:
    """What is no id is not taken for one, and an answer that cannot be changed goes as it is."""
    frozen = MappingProxyType({"isError": True, "content": [], "_meta": meta})

    async def call_tool(name: str, arguments: Any = None) -> Any:
        return frozen

    with agentlog.task("ask"):
        assert await instrument_session(SimpleNamespace(call_tool=call_tool)).call_tool("f") is frozen
    await serve(McpMiddleware(), None, frozen)

    ids = [line["exception"]["error_id"] for line in recorded.ends() if "exception" in line]
    assert len(set(ids)) == 2
    assert all(len(each) == 8 and each.isalnum() for each in ids)


def test_a_server_is_instrumented_once() -> None:
    """Of either version; what is no server is left alone."""
    new, old = SimpleNamespace(middleware=[]), SimpleNamespace(request_handlers={str: len})
    for _ in range(2):
        instrument_server(new)
        instrument_server(old)
        instrument_server(None)
        instrument_session(object())

    assert len(new.middleware) == 1
    assert old.request_handlers == {str: len}

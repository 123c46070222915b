"""The server as the official SDK's own clients find it, over standard input and output and over streamable HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import jsonschema
import orjson
import psutil
import pytest
from mcp import Client, ClientSession, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from otel_agentlog.settings.version import __version__
from otel_agentlog.view.mcp.quoted import NOTICE
from tests.support.process import ServerProcess
from tests.support.waiting import wait_until
from tests.view.mcp.answers import check

COMMAND = [sys.executable, "-m", "otel_agentlog", "mcp"]
TIMEOUT_S = 60
READS = {"list_tasks", "search", "show_task", "read_log", "compare_tasks", "list_errors", "explain_error", "statistics"}


@asynccontextmanager
async def on_stdio(root: Path, *options: str, log: Path | None = None) -> AsyncIterator[ClientSession]:
    """A session with a server of its own."""
    server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "--root", str(root), *options], env=dict(os.environ))
    with (log or root.parent / "mcp.err").open("w") as errors:
        async with stdio_client(server, errlog=errors) as (read, write), ClientSession(read, write) as session:
            yield session


class HttpServer:
    """A server over HTTP."""

    def __init__(self, root: Path, log: Path, *options: str) -> None:
        self._log = log
        self.process = ServerProcess([*COMMAND, "--root", str(root), "--http", "0", "--json", *options], log)

    def __enter__(self) -> dict[str, Any]:
        self.process.start(lambda: b"}\n" in self._log.read_bytes(), timeout_s=TIMEOUT_S)
        told: dict[str, Any] = json.loads(self._log.read_bytes().splitlines()[0])
        return told

    def __exit__(self, *error: object) -> None:
        self.process.stop()


async def conforms(session: ClientSession | Client) -> None:
    """Tools, schemas, answers, errors, resources and templates are as the protocol has them."""
    tools = {tool.name: tool for tool in (await session.list_tools()).tools}
    assert set(tools) == READS
    for tool in tools.values():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert tool.output_schema is not None
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)
        assert (tool.input_schema["type"], tool.output_schema["type"]) == ("object", "object")
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is True
        assert tool.description
    given: dict[str, dict[str, Any]] = {
        "list_tasks": {"filter": "status:failed"},
        "search": {"words": "boom"},
        "show_task": {"task": "task-review42"},
        "read_log": {"task": "task-review42", "whole": True},
        "compare_tasks": {"left": "task-review42", "right": "task-well"},
        "list_errors": {},
        "explain_error": {"task": "task-review42"},
        "statistics": {"group_by": "agent"},
    }
    for name, arguments in given.items():
        # The client itself holds the answer against the tool's schema.
        result = await session.call_tool(name, arguments)
        assert not result.is_error, result.content
        check(name, result.structured_content, 16_000)
        [text] = result.content
        assert json.loads(text.text) == result.structured_content  # type: ignore[union-attr]
    for name, arguments, says in (
        ("show_task", {"task": "../../etc/passwd"}, "task: expected the id"),
        ("list_tasks", {"filter": "statu:x"}, "did you mean 'status'"),
        ("list_tasks", {"limit": "many"}, "limit:"),
        ("show_task", {}, "task: Field required"),
        ("add_note", {"task": "task-well", "text": "x"}, "--allow-writes"),
    ):
        result = await session.call_tool(name, arguments)
        assert result.is_error
        assert says in result.content[0].text  # type: ignore[union-attr]
        assert "Traceback" not in result.content[0].text  # type: ignore[union-attr]
    with pytest.raises(MCPError, match="expected one of the tools"):
        await session.call_tool("no_such_tool", {})
    await resources_conform(session)


async def resources_conform(session: ClientSession | Client) -> None:
    """Each that is listed can be read; others are refused."""
    listed = (await session.list_resources()).resources
    assert len(listed) > 6
    for resource in listed[:3]:
        [content] = (await session.read_resource(resource.uri)).contents
        assert NOTICE in content.text  # type: ignore[union-attr]
        assert content.mime_type == resource.mime_type
    templates = (await session.list_resource_templates()).resource_templates
    assert [each.name for each in templates][:2] == ["task", "metadata"]
    for template in templates:
        uri = template.uri_template.replace("{id}", "task-review42").replace("{?after}", "?after=1")
        if template.name != "control":
            assert (await session.read_resource(uri)).contents
    for wrong in ("agentlog://task/..%2F..%2Fetc", "agentlog://task/none-such", "file:///etc/passwd"):
        with pytest.raises(MCPError, match=r"task:|uri:"):
            await session.read_resource(wrong)


async def test_a_client_on_standard_input_and_output(stories: Path) -> None:
    """The handshake, the protocol, and a ping; nothing on standard error."""
    log = stories.parent / "stdio.err"
    async with on_stdio(stories, log=log) as session:
        with anyio.fail_after(TIMEOUT_S):
            told = await session.initialize()
            assert (told.server_info.name, told.server_info.version) == ("agentlog", __version__)
            assert NOTICE in (told.instructions or "")
            assert told.capabilities.tools is not None
            assert told.capabilities.resources is not None
            await session.send_ping()
            await conforms(session)
    assert log.read_text() == ""


async def test_a_client_over_http(stories: Path, tmp_path: Path) -> None:
    """The SDK's newest client, and a session as older clients have it."""
    with HttpServer(stories, tmp_path / "log") as told, anyio.fail_after(TIMEOUT_S):
        assert told["url"].startswith("http://127.0.0.1:")
        assert told["token_file"] is None
        async with Client(told["url"]) as client:
            await conforms(client)
        async with streamable_http_client(told["url"]) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            await session.send_ping()
            assert (await session.call_tool("list_tasks", {"limit": 1})).structured_content["matching"] > 6
        async with httpx2.AsyncClient() as http:
            for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
                refused = await http.post(told["url"], json={}, headers=headers)
                assert refused.status_code == 403
            big = await http.post(told["url"], content=b"x" * 300_000, headers={"content-type": "application/json"})
            assert big.status_code == 413


async def test_writing_over_http_needs_the_token(stories: Path, tmp_path: Path) -> None:
    """It is in a file of the user's own; without it nothing is answered."""
    token_file = tmp_path / "token"
    root = tmp_path / "tasks"
    shutil.copytree(stories / "task-well", root / "task-well")
    with (
        HttpServer(root, tmp_path / "log", "--allow-writes", "--token-file", str(token_file)) as told,
        anyio.fail_after(TIMEOUT_S),
    ):
        assert told["token_file"] == str(token_file)
        async with httpx2.AsyncClient() as http:
            assert (await http.post(told["url"], json={})).status_code == 401
        bearer = {"authorization": f"Bearer {token_file.read_text().strip()}"}
        async with httpx2.AsyncClient(headers=bearer) as http:
            async with (
                streamable_http_client(told["url"], http_client=http) as (read, write),
                ClientSession(read, write) as session,
            ):
                await session.initialize()
                assert {tool.name for tool in (await session.list_tools()).tools} == {*READS, "add_note"}
                done = await session.call_tool("add_note", {"task": "task-well", "text": "well done", "scores": {"quality": 1}})
                assert done.structured_content["lines"] == 1
                shown = await session.call_tool("show_task", {"task": "task-well"})
                assert shown.structured_content["scores"] == [{"name": "«quality»", "value": 1.0}]
    assert b"mcp" in (root / "task-well" / "03-agent-output.jsonl").read_bytes()  # the name of the client


async def test_a_call_that_is_cancelled(tmp_path: Path) -> None:
    """The server goes on with other calls, and gives that one up."""
    folder = tmp_path / "tasks" / "task-long"
    folder.mkdir(parents=True)
    folder.joinpath("metadata.json").write_bytes(b'{"task_id":"task-long","status":"completed"}')
    line = {"timestamp": "2026-11-21T05:22:05.123456789Z", "type": "log", "message": "x" * 100, "span_id": "a" * 16}
    folder.joinpath("03-agent-output.jsonl").write_bytes(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) * 600_000)
    async with on_stdio(tmp_path / "tasks") as session:
        with anyio.fail_after(TIMEOUT_S):
            await session.initialize()
            with anyio.move_on_after(0.3) as scope:
                await session.call_tool("read_log", {"task": "task-long", "part": "none"})
            assert scope.cancelled_caught
            await session.send_ping()
            result = await session.call_tool("read_log", {"task": "task-long", "max_bytes": 8_000})
            assert not result.is_error
            assert result.structured_content["next_cursor"]


def test_lines_that_are_no_messages_end_nothing(stories: Path, tmp_path: Path) -> None:
    """Garbage on standard input is refused; the next message is answered; the end of input ends the server."""
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    }
    sent = b"garbage\n\xff\xfe\0\n[]\n" + json.dumps(hello).encode() + b"\n"
    server = subprocess.Popen(
        [*COMMAND, "--root", str(stories)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(sent)
    server.stdin.flush()
    answers = iter(server.stdout.readline, b"")
    assert next(answer for answer in answers if b'"serverInfo"' in answer)
    server.stdin.close()
    assert server.wait(TIMEOUT_S) == 0
    server.stdout.close()
    if server.stderr is not None:
        server.stderr.close()


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT there")
def test_ctrl_c_ends_it(stories: Path, tmp_path: Path) -> None:
    """Though a thread waits for standard input."""
    log = tmp_path / "err"
    with log.open("wb") as errors:
        server = subprocess.Popen(
            [*COMMAND, "--root", str(stories)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
        )
    wait_until(lambda: threads_of(server.pid) > 1, "it to read", timeout_s=TIMEOUT_S)
    server.send_signal(signal.SIGINT)
    assert server.wait(20) == -signal.SIGINT
    assert "Traceback" not in log.read_text()
    assert server.stdin is not None
    server.stdin.close()


def threads_of(pid: int) -> int:
    """How many threads a process has: the second one reads standard input."""
    return psutil.Process(pid).num_threads()

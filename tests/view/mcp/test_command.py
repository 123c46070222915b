"""The command ``agentlog mcp``, its page in ``docs/``, and the skill for coding agents."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from otel_agentlog.view.cli.main import COMMANDS, main
from otel_agentlog.view.mcp.pages import DEFAULT_BYTES, MAX_BYTES
from otel_agentlog.view.mcp.tools import TOOLS
from tests.support.documents import REPOSITORY, blocks
from tests.view.mcp.test_client import TIMEOUT_S, HttpServer

PAGE = REPOSITORY / "docs" / "mcp.md"
CONFIGURATIONS = [json.loads(block.text) for block in blocks(PAGE, "json")]
WITHOUT = """
import sys
for name in ("mcp", "mcp_types", "fastapi", "uvicorn", "starlette", "pydantic", "anyio", "httpx2", "sse_starlette", "rich"):
    sys.modules[name] = None
from otel_agentlog.view.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""What an environment with the core alone has."""


def without_extras(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where no optional package can be imported."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, timeout=TIMEOUT_S, cwd=REPOSITORY
    )


@pytest.mark.parametrize("more", [(), ("--http", "0")])
def test_without_the_extra_one_line_names_it(tmp_path: Path, more: tuple[str, ...]) -> None:
    """On standard error, with the exit code of a command line that cannot be used."""
    ran = without_extras("mcp", "--root", str(tmp_path), *more)

    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "pip install 'otel_agentlog[mcp]'" in ran.stderr


def test_the_skill_needs_no_extra() -> None:
    """It has the head that agents look for, and speaks of every tool and of commands that there are."""
    ran = without_extras("mcp", "--skill")

    assert ran.returncode == 0, ran.stderr
    head, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", ran.stdout, re.DOTALL).groups()  # type: ignore[union-attr]
    assert [line.partition(": ")[0] for line in head.splitlines()] == ["name", "description"]
    assert len(head) < 1_024
    assert {tool.name for tool in TOOLS} <= set(re.findall(r"`(\w+)`", body))
    assert set(re.findall(r"`agentlog (\w+)", body)) <= set(COMMANDS)


def test_what_the_skill_says_of_tools_can_be_asked() -> None:
    """The arguments beside each tool are ones that it takes."""
    text = without_extras("mcp", "--skill").stdout
    tools = {tool.name: tool for tool in TOOLS}
    shown = re.findall(r"`(\w+)` `(\{.*?\})`(?= [|o])", text)
    assert len(shown) > 8
    for name, arguments in shown:
        tools[name].arguments.model_validate(json.loads(re.sub(r"…|\"<span_id>\"", '"x"', arguments)))


def test_the_skill_is_in_the_wheel(tmp_path: Path) -> None:
    """The build takes it along."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True, timeout=TIMEOUT_S)

    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("otel_agentlog/view/mcp/SKILL.md") == (REPOSITORY / "otel_agentlog/view/mcp/SKILL.md").read_bytes()


@pytest.mark.parametrize(
    "options", [("--allow-writes", "--from", "clickhouse://h/d"), ("--root", "x", "--from", "clickhouse://h/d")]
)
def test_options_that_do_not_go_together(capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    """Told in one line."""
    assert main(["mcp", *options]) == 2
    assert "expected" in capsys.readouterr().err


async def test_a_backend_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Each question says so; the server goes on."""
    args = ["-m", "otel_agentlog", "mcp", "--from", "clickhouse://127.0.0.1:1/otel"]
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    with (tmp_path / "err").open("w") as errors, anyio.fail_after(TIMEOUT_S):
        server = StdioServerParameters(command=sys.executable, args=args, env=env)
        async with stdio_client(server, errlog=errors) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            for tool, arguments in (("list_tasks", {}), ("show_task", {"task": "x"}), ("explain_error", {"error_id": "x"})):
                result = await session.call_tool(tool, arguments)
                assert result.is_error
                assert "127.0.0.1:1" in result.content[0].text  # type: ignore[union-attr]


def servers(configuration: dict[str, Any]) -> dict[str, Any]:
    """The servers of a configuration of the page."""
    found: dict[str, Any] = configuration.get("mcpServers") or configuration["servers"]
    return found


async def asked(session: ClientSession) -> None:
    """Fail where the session does not work."""
    await session.initialize()
    assert len((await session.list_tools()).tools) >= 8
    found = await session.call_tool("list_tasks", {"filter": "id:task-review42"})
    assert found.structured_content["matching"] == 1


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda each: next(iter(each)))
async def test_the_configurations_of_the_page_work(configuration: dict[str, Any], stories: Path, tmp_path: Path) -> None:
    """As they stand there, but for the folder of the tasks and the port."""
    [(name, told)] = servers(configuration).items()
    assert name == "agentlog"
    with anyio.fail_after(TIMEOUT_S):
        if "url" in told:
            with HttpServer(stories, tmp_path / "log") as here:
                assert re.sub(r":\d+/", ":8322/", here["url"]) == told["url"]
                async with streamable_http_client(here["url"]) as (read, write), ClientSession(read, write) as session:
                    await asked(session)
            return
        env = {**os.environ, **told.get("env", {}), "TASK_LOGS_DIR": str(stories)}
        # As it is found on the PATH of whoever installed it.
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        server = StdioServerParameters(command=told["command"], args=told["args"], env=env)
        with (tmp_path / "err").open("w") as errors:
            async with stdio_client(server, errlog=errors) as (read, write), ClientSession(read, write) as session:
                await asked(session)


def test_the_page_has_every_tool() -> None:
    """In its table, with the resources and the limits as they are."""
    text = PAGE.read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == {tool.name for tool in TOOLS}
    assert f"default {DEFAULT_BYTES:,}, at most {MAX_BYTES:,}" in text

"""``docs/collect.md`` and ``docs/import.md`` keep what they promise: every line of a shell runs, in the order of the page."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.documents import REPOSITORY, blocks
from tests.support.ports import accepts, free_ports
from tests.support.programs import programs
from tests.support.providers.server import ProviderServer, Reply
from tests.support.receiving import RunningCollect, node_packages, trace_body
from tests.support.waiting import wait_until
from tests.tools.imports.samples import Claude, Codex, chat, lines, request, span
from tests.tools.replay.replaying import of_clients
from tests.tools.replay.replaying import said as completion
from tests.view.cli.terminal import environment

COLLECT, IMPORT = REPOSITORY / "docs" / "collect.md", REPOSITORY / "docs" / "import.md"
TIMEOUT_S = 110.0
pytestmark = pytest.mark.timeout(400)
_NAMED = ("import traces-*.jsonl", "ls 'not source:import'", "ls source:import", "validate")
"""What the page of imports has in its text, sorted."""
PROMPT = re.compile(r"(?m)^\$ (.*)$")

CLAUDE = f"""#!{sys.executable}
import json, os, urllib.request
assert os.environ["CLAUDE_CODE_ENABLE_TELEMETRY"] == "1" and os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
values = {{"session.id": "of-claude", "event.name": "api_request", "model": "claude-opus-4-6"}}
pairs = [{{"key": key, "value": {{"stringValue": value}}}} for key, value in values.items()]
record = {{"timeUnixNano": "1790000000000000000", "body": {{"stringValue": "claude_code.api_request"}}, "attributes": pairs}}
body = json.dumps({{"resourceLogs": [{{"scopeLogs": [{{"logRecords": [record]}}]}}]}}).encode()
url = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/logs"
urllib.request.urlopen(urllib.request.Request(url, body, {{"Content-Type": "application/json"}}), timeout=60)
"""
"""As much of a coding agent as the page is about: it sends an event where the variables say."""


def _typed(page: Path) -> list[str]:
    """The lines of a page that are typed into a shell, in order, without what is said about them."""
    found: list[str] = []
    for block in sorted(blocks(page, "sh") + blocks(page, "text"), key=lambda block: block.line):
        typed = block.text.splitlines() if block.language == "sh" else PROMPT.findall(block.text)
        found += [line.partition("  #")[0].strip() for line in typed]
    return [line for line in found if line]


def _environment(home: Path) -> dict[str, str]:
    env = environment(
        TASK_LOGS_DIR=str(home / "tasks"), AGENTLOG_LOG_DIR=str(home / "logs"), AGENTLOG_CONSOLE="off", HOME=str(home)
    )
    env["PATH"] = f"{programs(home / 'bin')}{os.pathsep}{env['PATH']}"
    return env


def _run(line: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Type a line into a shell; it must end well."""
    done = subprocess.run(
        ["bash", "-c", line], cwd=cwd, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done


@contextmanager
def _running(line: str, cwd: Path, env: Mapping[str, str]) -> Iterator[None]:
    """Type a line that goes on; Ctrl-C ends it, and well."""
    process = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, (line, told)


@contextmanager
def _receiving(line: str, root: Path, cwd: Path, env: Mapping[str, str], further: str) -> Iterator[RunningCollect]:
    """Type a line that receives, below a root of its own, on ports that are free."""
    port, grpc_port = free_ports(2)
    prefix = "--port 0 --collect-" if " serve " in line else "--"
    line = f"{line.removesuffix(' &')} {prefix}port {port} {prefix.rpartition(' ')[2]}grpc-port {grpc_port}"
    with _running(line.replace("http://collector:4318", further), cwd, {**env, "TASK_LOGS_DIR": str(root)}):
        wait_until(lambda: accepts(port), f"{line} to listen", timeout_s=60.0)
        found = RunningCollect(cwd / root.name)
        found.where = {"url": f"http://localhost:{port}"}
        yield found


def test_what_is_typed_to_collect(tmp_path: Path) -> None:
    """Three ways to receive; an agent in Node, which is shown, replayed, exported, imported, asked for; a coding agent."""
    env, work, root = _environment(tmp_path), tmp_path / "work", tmp_path / "tasks"
    packages = node_packages()
    work.mkdir()
    (tmp_path / "bin" / "claude").write_text(CLAUDE)
    (tmp_path / "bin" / "claude").chmod(0o755)
    typed = _typed(COLLECT)
    receives = [line for line in typed if re.match(r"agentlog (collect|serve)\b", line)]
    rest = [line for line in typed if line not in receives and not line.startswith("npm ")]
    assert (len(receives), len(rest)) == (4, 8), typed

    with OtlpReceiver() as further:
        for number, line in enumerate(receives[:3], 1):
            with _receiving(line, tmp_path / f"root-{number}", work, env, further.http_endpoint) as running:
                assert running.post(trace_body(number))[0] == 200
            assert (tmp_path / f"root-{number}" / f"trace-{number:032x}" / "04-final-result.json").exists()
        assert len(further.spans()) == 3
    with _receiving(receives[3], root, work, env, "") as running, ProviderServer() as server:
        env |= of_clients(server)
        if packages is None:
            assert running.post(trace_body(4))[0] == 200
            rest = [line for line in rest if "node " not in line]
        else:
            (work / "node_modules").symlink_to(packages / "node_modules")
            shutil.copy(REPOSITORY / "examples" / "collected_agent.js", work)
            server.script(Reply(completion("I look it up.")), Reply(completion("It is dry.")))
        said = _type_all([line.replace("localhost:4318", running.url.removeprefix("http://")) for line in rest], work, env, root)

    (listed,) = (text for line, text in said.items() if line.startswith("agentlog ls"))
    assert "trace-" in listed
    assert (work / "elsewhere").is_dir()
    assert (root / "session-of-claude" / "metadata.json").exists()
    assert packages is None or [line for line, text in said.items() if "2 of 2 AI calls answered from the record" in text]


def _type_all(typed: list[str], work: Path, env: dict[str, str], root: Path) -> dict[str, str]:
    """What is said to each line; before the first that is about a task, one is there."""
    said = {}
    for line in typed:
        if line.startswith("export "):
            env |= dict(pair.split("=") for pair in line.split()[1:])
            continue
        if "agentlog" in line:
            wait_until(lambda: list(root.glob("trace-*/04-final-result.json")), "the task", timeout_s=60.0)
        done = _run(line, work, env)
        said[line] = done.stdout + done.stderr
    return said


def test_what_is_typed_to_import(tmp_path: Path) -> None:
    """Sessions of coding agents, files of all formats, a folder that is watched, and what the page names in its text."""
    env, work = _environment(tmp_path), tmp_path / "work"
    sessions = tmp_path / ".claude" / "projects" / "app"
    older = tmp_path / ".codex" / "sessions" / "2026"
    for folder in (sessions, older, work):
        folder.mkdir(parents=True)
    (sessions / "s-1.jsonl").write_text(lines(Claude("s-1").says("hi").rows))
    (older / "rollout-1.jsonl").write_text(lines(Codex("x-1").says("hi").answers("yes").rows))
    (work / "traces.jsonl").write_text(lines([request(span(1), chat(2, 1))]))
    (work / "chats.jsonl").write_text(lines([{"messages": [{"role": "user", "content": "hi"}]}]))
    (work / "export.json").write_text(json.dumps([{"messages": [{"role": "user", "content": "ho"}]}]))
    first, files, watch = _typed(IMPORT)

    for line in (first, files):
        _run(line, work, env)
    with _running(watch, work, env):
        (sessions / "s-2.jsonl").write_text(lines(Claude("s-2").says("live").rows))
        wait_until(lambda: (tmp_path / "tasks" / "claude-s-2" / "metadata.json").exists(), "the watched session", timeout_s=60.0)
    (work / "traces-1.jsonl").write_text(lines([request(span(3, trace=f"{3:032x}"))]))
    named = [code for code in re.findall(r"`(agentlog [^`]+)`", IMPORT.read_text()) if code != "agentlog export"]
    ran = {line: _run(line, work, env).stdout for line in sorted(named)}
    assert list(ran) == [f"agentlog {rest}" for rest in _NAMED]
    others, of_imports = (ran[f"agentlog {rest}"] for rest in _NAMED[1:3])
    for name in ("claude-s-1", "codex-x-1", "claude-s-2", "trace-", f"trace-{3:032x}", "chat-"):
        assert name in of_imports
        assert name not in others

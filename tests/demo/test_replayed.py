"""The demo with a provider, replayed: one agent, two processes, sub-tasks, tools, streams, and no provider any more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.demo.running import environment, make_project, run_demo
from tests.support.providers.server import ProviderServer
from tests.tools.replay.replaying import of_clients

pytestmark = pytest.mark.timeout(400)
_ASKED, _CHANGED = b"Weigh these findings in three sentences", b"Weigh these findings in four sentences"

_DIFF = ("-user: Weigh these findings in four ", "+user: Weigh these findings in three")


def _record(home: Path, provider: str) -> Path:
    """The folder of the demo's task; its provider is gone."""
    with ProviderServer() as server:
        ran = run_demo(home, str(make_project(home / "project")), "--provider", provider, **of_clients(server))
    assert ran.code == 0, ran.err
    return ran.main.path


def _replay(home: Path, task: Path, provider: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and what ``--json`` prints."""
    ours = [sys.executable, "-m", "otel_agentlog", "--root", str(task.parent)]
    program = [
        sys.executable,
        "-m",
        "otel_agentlog",
        "demo",
        str(home / "project"),
        "--root",
        str(task.parent),
        "--provider",
        provider,
    ]
    argv = [*ours, "--json", "replay", str(task), "--", *program]
    done = subprocess.run(argv, env=environment(home), capture_output=True, text=True, timeout=180)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, found


def test_the_demo_does_the_same_again(tmp_path: Path) -> None:
    """Every AI call is answered, and the tree is the same."""
    code, found = _replay(tmp_path, _record(tmp_path, "anthropic"), "anthropic")

    assert (code, found["same"], found["differences"], found["requests"]) == (0, True, [], [])
    assert (found["ai_calls"], found["answered"], found["live"], found["refused"]) == (12, 12, 0, 0)


def test_a_changed_message_is_found_at_its_call(tmp_path: Path) -> None:
    """At that call, and nowhere else."""
    task = _record(tmp_path, "openai")
    lines = task / "03-agent-output.jsonl"
    assert lines.read_bytes().count(_ASKED) == 1
    lines.write_bytes(lines.read_bytes().replace(_ASKED, _CHANGED))
    code, found = _replay(tmp_path, task, "openai")

    (difference,), (request,) = found["differences"], found["requests"]
    assert (code, found["answered"], found["refused"]) == (1, 12, 0)
    assert (difference["call"], request["call"], request["what"]) == (11, 11, "prompt")
    assert [line[:36] for line in request["diff"] if line[0] in "-+" and line[:3] not in ("---", "+++")] == [*_DIFF]

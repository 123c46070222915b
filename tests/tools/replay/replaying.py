"""Records the agent beside it with a provider on 127.0.0.1, and replays what was recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.forking import Python
from tests.support.providers.replies import CHAT_COMPLETION, Json
from tests.support.providers.server import ProviderServer, Refuse, Reply

AGENT = Path(__file__).with_name("agent.py")
STEPS = ("plan", "stream", "openai", "openai stream", "at once", "refused")
CALLS = 12
COMMANDS = Python(environment=(("PYTHONWARNINGS", "ignore"),))
"""For commands; the programs that they run begin as anywhere."""
_OURS = ("OTEL_", "AGENTLOG_", "TASK_LOGS_", "ANTHROPIC_", "OPENAI_")


def environment(root: Path, **more: str) -> dict[str, str]:
    """Variables of a program that records below a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    places = {"TASK_LOGS_DIR": str(root / "tasks"), "AGENTLOG_LOG_DIR": str(root / "logs")}
    return {**kept, **places, "PYTHONWARNINGS": "ignore", **more}


def of_clients(server: ProviderServer, key: str = "key") -> dict[str, str]:
    """Variables by which the clients ask a server."""
    keys = {"ANTHROPIC_API_KEY": key, "OPENAI_API_KEY": key}
    return {"ANTHROPIC_BASE_URL": server.anthropic_url, "OPENAI_BASE_URL": server.openai_url, **keys}


def said(text: str) -> Json:
    """A completion with this text alone."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "finish_reason": "stop"}
    return {**CHAT_COMPLETION, "id": f"chatcmpl-{text}", "choices": [choice]}


def record(root: Path, *steps: str) -> Path:
    """Run the agent; the folder of its task."""
    with ProviderServer() as server:
        answers = [Reply(said(text)) for text in ("one", "two", "three")] if "at once" in steps else []
        before = 2 * len([step for step in steps if step not in ("at once", "refused")])
        server.script(*[Reply()] * before, *answers, Refuse(429, message="too many"))
        env = environment(root, **of_clients(server))
        subprocess.run([sys.executable, str(AGENT), *steps], env=env, check=True, timeout=120, stdout=subprocess.DEVNULL)
    return main_task(root)


def main_task(root: Path) -> Path:
    """The folder of the only task that is no sub-task."""
    (found,) = [
        path.parent for path in (root / "tasks").glob("*/metadata.json") if not json.loads(path.read_text()).get("parent_task_id")
    ]
    return found


@dataclass
class Replayed:
    """How ``agentlog replay`` ended."""

    code: int
    out: str
    err: str

    @property
    def found(self) -> dict[str, Any]:
        """What ``--json`` prints behind the program's own output."""
        return dict(json.loads(self.out.splitlines()[-1]))


def replay(root: Path, task: Path, *options: str, program: tuple[str, ...] = (), **more: str) -> Replayed:
    """Run ``agentlog replay``; without a program the agent with all its steps."""
    command = program or (sys.executable, str(AGENT), *STEPS)
    argv = ["-m", "otel_agentlog", "replay", task, *options, "--", *command]
    done = COMMANDS.run(argv, env=environment(root, **more), text=True, timeout=180)
    return Replayed(done.returncode, done.stdout, done.stderr)

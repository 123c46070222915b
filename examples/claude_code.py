"""A run of Claude Code, read from the lines that it prints: requests, tools and a sub-agent, as a task.

Run it with ``TASK_LOGS_DIR=/tmp/tasks python examples/claude_code.py``. With the real one:
``claude -p "…" --output-format stream-json --verbose | python -c "import sys; …; claude_agent.record_lines(sys.stdin)"``.
"""

from __future__ import annotations

import json
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.integrations import claude_agent

MODEL = "claude-sonnet-4-5"


def assistant(message_id: str, block: dict[str, Any], tokens: tuple[int, int], parent: str | None = None) -> dict[str, Any]:
    """A message as Claude Code prints it: one block, and what was used so far."""
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
    message = {"id": message_id, "role": "assistant", "model": MODEL, "content": [block], "usage": usage}
    return {"type": "assistant", "message": message, "parent_tool_use_id": parent, "session_id": "s1"}


def user(tool_id: str, content: str, parent: str | None = None) -> dict[str, Any]:
    """The result of a tool."""
    block = {"type": "tool_result", "tool_use_id": tool_id, "content": content}
    return {"type": "user", "message": {"content": [block]}, "parent_tool_use_id": parent, "session_id": "s1"}


LINES = [
    {"type": "system", "subtype": "init", "session_id": "s1", "model": MODEL},
    assistant("m1", {"type": "thinking", "thinking": "Somebody else may look."}, (900, 2)),
    assistant("m1", {"type": "tool_use", "id": "t1", "name": "Task", "input": {"prompt": "count the files"}}, (900, 2)),
    assistant("m2", {"type": "tool_use", "id": "t2", "name": "Bash", "input": {"command": "ls"}}, (300, 1), "t1"),
    user("t2", "a.py b.py", "t1"),
    assistant("m3", {"type": "text", "text": "Two."}, (340, 1), "t1"),
    user("t1", "Two."),
    "npm warn deprecated",
    assistant("m4", {"type": "text", "text": "There are two files."}, (1000, 3)),
    {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "num_turns": 3,
        "session_id": "s1",
        "result": "There are two files.",
        "total_cost_usd": 0.0125,
        "usage": {"input_tokens": 2540, "output_tokens": 160},
    },
]

settings = agentlog.configure(service_name="claude-code")

with agentlog.task("Count the files", task_id="files-1"):
    report = claude_agent.record_lines(json.dumps(line) if isinstance(line, dict) else line for line in LINES)

agentlog.shutdown()

print(f"{report.messages} messages; not read: {report.unread}")
folder = settings.directory / "files-1"
for text in (folder / "03-agent-output.jsonl").read_text().splitlines():
    line = json.loads(text)
    if line.get("phase") == "end":
        print(line["type"], line["message"], line["outcome"])
metrics = json.loads((folder / "04-final-result.json").read_text())["metrics"]
print({name: metrics[name] for name in ("ai_calls", "tool_runs", "input_tokens", "output_tokens", "cost_usd")})

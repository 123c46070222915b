"""Tool execution inside a task: each execution is a tool run, with its output, attempts, errors and figures in the task's folder.

Run it with ``TASK_LOGS_DIR=/tmp/tasks python examples/tools_monitored.py`` and look at it with ``agentlog show last``.
"""

from __future__ import annotations

from pathlib import Path

import otel_agentlog as agentlog

settings = agentlog.configure(service_name="tools-monitored")
service = agentlog.ToolExecutionService(Path(__file__).parent / "tools" / "registry.json")

with agentlog.task("Release the text", agent="releaser", task_id="release", session_id="session-1") as task:
    with agentlog.step("check"):
        counted = service.execute("count_words", {"text": "to be or not to be"}, correlation_id="request-1")
        service.execute("unsteady", {"state": str(Path("state").absolute())})
    with agentlog.step("publish"):
        published = service.execute("publish", {"token": "not-a-word-of-this-is-recorded"})
        hung = service.execute("hang")
    with agentlog.step("tidy up"):
        agentlog.command(["sh", "-c", "echo tidy; exit 1"], cwd=Path.cwd(), ok_codes=(0, 1))
        with agentlog.file_operation("write", Path("report.txt").absolute()) as operation:
            operation.size_bytes = Path("report.txt").write_bytes(b"six words\n")
    task.result = {"words": counted.data["words"], "published": published.success, "hung": hung.outcome.value}

agentlog.shutdown()

folder = settings.directory / "release"
recorded = "".join(path.read_text() for path in folder.iterdir() if path.is_file())
print("the caller has what the script printed:", "not-a-word-of-this" in published.output)
print("the folder has it without the token:", "publishing with" in recorded and "not-a-word-of-this" not in recorded)
print("the error of the script that hung is in the folder under its id:", hung.error_id is not None and hung.error_id in recorded)

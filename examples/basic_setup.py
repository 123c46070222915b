"""Basic set-up: configure once, say what the agent does, find it again in the task's folder.

Run it with ``TASK_LOGS_DIR=/tmp/tasks python examples/basic_setup.py`` and look at it with ``agentlog show last``.
"""

from __future__ import annotations

import json

import otel_agentlog as agentlog

TEXT = "to be or not to be"

settings = agentlog.configure(service_name="basic-setup")
log = agentlog.get_logger("orchestrator", agentlog.Component.ORCHESTRATOR)

with agentlog.task("Count the words", input={"text": TEXT}, agent="counter", task_id="count-words") as task:
    log.info("task taken", words_expected=6)
    with agentlog.step("split") as split:
        split.set(separator=" ")
        with agentlog.tool("split_words", arguments={"text": TEXT}) as run:
            run.result = TEXT.split()
    with agentlog.step("count"):
        counted = {word: run.result.count(word) for word in dict.fromkeys(run.result)}
        log.info("words counted", distinct=len(counted))
    task.result = counted

agentlog.shutdown()

final = json.loads((settings.directory / "count-words" / "04-final-result.json").read_bytes())
print("outcome:", final["outcome"])
print("result:", final["result"])
print("steps:", final["metrics"]["steps"], "tool runs:", final["metrics"]["tool_runs"])

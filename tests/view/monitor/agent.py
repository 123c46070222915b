"""An agent in a process of its own that works until it is told to stop. Usage: agent.py ROOT"""

from __future__ import annotations

import sys
import time

import otel_agentlog as agentlog

HOSTILE = "evil \x1b[31mred\x1b]0;owned\x07 \u202ename"


def main(root: str) -> None:
    agentlog.configure(directory=root, log_directory=f"{root}-logs", console="off")
    log = agentlog.get_logger("agent")
    with agentlog.task("Watch me", task_id="watched", agent="brain") as task:
        with agentlog.step("plan"), agentlog.ai_call("model-x", provider="p") as call:
            call.usage(input_tokens=10, output_tokens=5)
        with agentlog.step(HOSTILE), agentlog.tool("Read", arguments={"path": "a.py"}):
            log.info("needle in the log")
        number = 0
        with agentlog.step("work"):
            while True:
                number += 1
                log.info("working", number=number)
                task.checkpoint()
                for text in task.new_context():
                    task.output(f"I was told: {text}")
                time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1])

"""Records after the exit handler of the package: in exit handlers registered before it, in finalizers, in a daemon thread.

`python late_program.py ROOT WAY`: with the thread, whose acknowledged numbers are in ``ROOT-acks``, finalizers do not run.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading


def early() -> None:
    """Registered before the package is imported, so it runs after the package's own handler."""
    log.info("early in no task")
    open_log.info("early in the ended task")
    with agentlog.task("late", task_id="late") as task:
        with agentlog.ai_call("m") as call:
            call.usage(input_tokens=5, output_tokens=1)
        log.info("inside late")
        try:
            raise ValueError("late")
        except ValueError:
            log.exception("error of late")
        task.result = "done"
    logging.getLogger("std").warning("stdlib late")


atexit.register(early)

import logging  # noqa: E402

import otel_agentlog as agentlog  # noqa: E402

root = sys.argv[1]
agentlog.configure(service_name="late", directory=root, log_directory=root + "-logs", console="off")
log = agentlog.get_logger("late")


class Noisy:
    """Records when it is finalized; holds what it needs, as the module's names are gone by then."""

    def __init__(self, name: str) -> None:
        self.name, self.log, self.task = name, log, agentlog.task

    def __del__(self) -> None:
        self.log.info(f"finalized {self.name}")
        with self.task("finalizer", task_id=self.name):
            self.log.info("inside")


def busy(task: agentlog.Task) -> None:
    """Record for ever, and acknowledge each line."""
    acks = os.open(root + "-acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    number = 0
    with task:
        while True:
            task.output(f"busy {number}")
            os.write(acks, f"{number}\n".encode())
            number += 1


first = agentlog.task("first", task_id="first")
first.__enter__()
open_log = log.bind(task_id="first")
if sys.argv[2] == "finalizers":
    plain, circle = Noisy("plain"), Noisy("circle")
    circle.__dict__["self"] = circle
else:
    threading.Thread(target=busy, args=(agentlog.task("busy", task_id="busy"),), daemon=True).start()

"""An agent that does what it is told, line by line, for the state machine of `test_control_states`."""

from __future__ import annotations

import threading
from multiprocessing.connection import Connection
from typing import Any

import otel_agentlog as agentlog
import otel_agentlog.wiring
from otel_agentlog.errors import StateError, TaskCancelled


class Agent:
    """One process at work on the task."""

    def __init__(self, task: agentlog.Task) -> None:
        self._task = task
        self._waiting: threading.Thread | None = None
        self._error: TaskCancelled | None = None

    def checkpoint(self) -> None:
        """Come to a checkpoint, in a thread of its own."""
        self._error = None
        self._waiting = threading.Thread(target=self._meet, daemon=True)
        self._waiting.start()

    def _meet(self) -> None:
        try:
            self._task.checkpoint()
        except TaskCancelled as error:
            self._error = error

    def look(self) -> tuple[str, bool, bool]:
        """State, whether it waits at a checkpoint, whether the last one raised."""
        waiting = self._waiting is not None and self._waiting.is_alive()
        return self._task.state.value, waiting, self._error is not None

    def own(self, move: str) -> str:
        """``pause`` or ``resume`` by the agent's own call."""
        try:
            getattr(self._task, move)()
        except StateError:
            return "illegal"
        return "done"

    def take(self) -> list[str]:
        """What it was told and had not been handed."""
        return self._task.new_context()

    def end(self) -> None:
        """End the task by what the last checkpoint said."""
        self._task.end(error=self._error)


def run(root: str, carrier: dict[str, str] | None, pipe: Connection) -> None:
    """Work on the task until the pipe is closed."""
    agentlog.configure(directory=root, log_directory=f"{root}-logs", console="off", recover_on_start=False, capture_logging=False)
    try:
        task = agentlog.task("job", task_id="t") if carrier is None else agentlog.task(resume=carrier, strict=True)
        task.start()
    except StateError:
        pipe.send("illegal")
        return
    pipe.send(task.carrier())
    agent = Agent(task)
    while True:
        try:
            name, *arguments = pipe.recv()
        except EOFError:
            return
        answer: Any = getattr(agent, name)(*arguments)
        pipe.send(answer)

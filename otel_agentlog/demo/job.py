"""One run of the demo: the message that the worker reads, as from a queue, and the pace of the run's waits."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

import otel_agentlog as agentlog


@dataclass(frozen=True)
class Job:
    """One run."""

    path: str
    """The directory to review, absolute."""
    message: str
    """The text of the comment that came in."""
    provider: str
    model: str
    slow: bool
    seed: int
    root: str | None
    """Where task folders go; ``None`` leaves it to the settings."""

    def write(self, scratch: str) -> None:
        """Put the message where the worker reads it."""
        write_json(scratch, "job.json", asdict(self))

    @classmethod
    def read(cls, scratch: str) -> Job:
        """Read the message."""
        return cls(**read_json(scratch, "job.json"))


def write_json(directory: str, name: str, value: object) -> None:
    """Write a file that both processes read."""
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        # Escapes keep a path that is not UTF-8 as it is.
        json.dump(value, file, ensure_ascii=True)


def read_json(directory: str | os.PathLike[str], name: str) -> dict[str, Any]:
    """Read it. Raises `OSError` and `ValueError`."""
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


@dataclass(frozen=True)
class Pace:
    """The waits of a run; in short pieces, as the task can be paused and cancelled between them."""

    slow: bool

    def show(self, seconds: float) -> None:
        """Wait only with ``--slow``, for people to watch."""
        if self.slow:
            self.wait(seconds)

    def wait(self, seconds: float) -> None:
        """Wait."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(0.1, left))
            agentlog.checkpoint()

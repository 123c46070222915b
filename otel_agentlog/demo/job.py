"""What one run of the demo is about: written by the gateway, read by the worker, as a queue's message would be."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from otel_agentlog.demo.offline import DEMO_PRICES

_FILE = "job.json"


@dataclass(frozen=True)
class Job:
    """One run."""

    path: str
    """The directory to review, absolute."""
    message: str
    """What was asked, in the words of the comment that came in."""
    provider: str
    model: str
    slow: bool
    seed: int
    root: str | None
    """Where task folders go; ``None`` leaves it to the settings."""

    def settings(self) -> dict[str, Any]:
        """What both processes give to ``agentlog.configure``."""
        return {"directory": self.root, "prices": DEMO_PRICES}


def write_job(scratch: str, job: Job) -> None:
    """Put the message where the worker finds it."""
    with open(os.path.join(scratch, _FILE), "w", encoding="utf-8") as file:
        # Escapes keep a path that is not UTF-8 as it is.
        json.dump(asdict(job), file, ensure_ascii=True)


def read_job(scratch: str) -> Job:
    """The message."""
    with open(os.path.join(scratch, _FILE), encoding="utf-8") as file:
        return Job(**json.load(file))

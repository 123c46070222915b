"""What an execution gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from otel_agentlog.guard import ErrorDetails
from otel_agentlog.model import Outcome
from otel_agentlog.run.process_end import ResourceUsage


@dataclass(frozen=True)
class Ids:
    """The ids that the caller gave."""

    session_id: str | None = None
    correlation_id: str | None = None

    def bound(self) -> dict[str, Any]:
        """Those that were given, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class ToolResult:
    """How one execution of a script went; all attempts together."""

    success: bool
    script_id: str
    execution_id: str
    """32 hex digits; in the environment of every process of the execution as ``AGENTLOG_EXECUTION_ID``."""
    outcome: Outcome = Outcome.COMPLETED
    output: str = field(default="", repr=False)
    """Its stdout, as it is: not redacted, it is the caller's. Beyond ``max_output_bytes`` its beginning and its end."""
    data: Any = field(default=None, repr=False)
    """Its stdout as JSON, if the registry says ``"output": "json"``."""
    stderr: str = field(default="", repr=False)
    """Its stderr, likewise."""
    exit_code: int | None = None
    """Negative if a signal ended it; ``None`` if it was never started."""
    error_details: ErrorDetails | None = None
    """Why it failed; ``None`` if it did not."""
    error_id: str | None = None
    """The 8 characters under which the error was recorded."""
    resource_usage: ResourceUsage = field(default_factory=ResourceUsage)
    """All attempts together."""
    attempts: int = 1
    """How many attempts there were, the last one included; 0 if no process was started."""
    earlier_errors: tuple[ErrorDetails, ...] = ()
    """Why the attempts before the last one failed."""
    duration_s: float = 0.0
    """From the call to the result, waits between attempts included."""
    output_bytes: int = 0
    """How much it printed to stdout in the last attempt, kept or not."""
    stderr_bytes: int = 0
    sandboxed: bool = False
    """Whether the last attempt ran with the sandbox of its registry entry enforced."""
    session_id: str | None = None
    correlation_id: str | None = None

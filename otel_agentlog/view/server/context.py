"""What the endpoints share: the root that is served, what clients may do, and the task that a URL names."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from otel_agentlog._startup import dataclass
from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.query import named
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.server.limits import Limits
from otel_agentlog.view.server.live_reports import LiveReports
from otel_agentlog.view.server.problems import HttpProblem


@dataclass(frozen=True)
class ServerContext:
    """The root that is served, and what clients may do."""

    root: Path
    allow_control: bool = False
    trace_url: str | None = None
    """URL of a trace elsewhere, with ``{trace_id}`` in it."""
    limits: Limits = field(default_factory=Limits)
    reports: LiveReports = field(default_factory=LiveReports)
    """Of tasks that go on and are looked at."""

    def check_control(self, what: str) -> None:
        """Refuse with 403 where the server does not allow to change tasks."""
        if not self.allow_control:
            raise HttpProblem(
                403, f"{what}: expected a server that allows it (agentlog serve --allow-control), found one that does not"
            )

    def task(self, wanted: str) -> TaskReader:
        """Return the task of an id, of the beginning of one, or the newest for ``last``.

        Raises:
            HttpProblem: 404, there is none; 400, the id cannot be one.
        """
        if "\0" in wanted or len(wanted) > 512:
            raise HttpProblem(400, f"task_id: expected at most 512 characters without NUL, found {len(wanted)}")
        try:
            return named(self.root, wanted)
        except TaskNotFoundError as error:
            raise HttpProblem(404, str(error)) from None

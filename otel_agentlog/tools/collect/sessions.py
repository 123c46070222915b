"""Log records and data points that belong to no trace, to the events of a task: a session of a coding agent, or of any service.

Events of coding agents are read by `readers/agent_events.py`; any other log record is a log line.
"""

from __future__ import annotations

from collections.abc import Iterator

from otel_agentlog._startup import dataclass
from otel_agentlog.tools.collect.parts import session_of
from otel_agentlog.tools.imports.readers.agent_events import PROMPTS, event_of, known
from otel_agentlog.tools.imports.readers.events import Begin, End, Event, title
from otel_agentlog.tools.imports.readers.spans import TracedLog
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.states import Outcome


@dataclass(frozen=True)
class Session:
    """What is known of the task as a whole."""

    key: str
    begins_ns: int
    name: str
    service: str
    session_id: str | None
    input: str | None


def session_from(key: str, kind: str, service: str, logs: Iterator[TracedLog]) -> Session:
    """The task that log records make; ``kind`` and ``key`` are of the key of the spool. There is at least one record."""
    begins_ns, prompt, session = 0, None, None
    for log in logs:
        begins_ns = begins_ns or log.at_ns
        session = session or session_of(log.details)
        if event_of(log) in PROMPTS:
            prompt = text(log.details, "prompt")
            break
    return Session(key, begins_ns, title(prompt, f"{kind} {key}"), service, session, prompt)


def events_of(session: Session, logs: Iterator[TracedLog]) -> Iterator[Event | TracedLog]:
    """Begin, what happened, end; what is no event of a coding agent as it is."""
    details = {"service": session.service}
    yield Begin(
        session.key,
        session.begins_ns,
        session.name,
        session.service,
        session.input,
        None,
        None,
        session.session_id,
        None,
        details,
    )
    last_ns = session.begins_ns
    for number, log in enumerate(logs):
        last_ns = log.at_ns
        found = [*known(session.key, log, number)]
        yield from found
        if not found:
            yield log
    yield End(session.key, last_ns, Outcome.COMPLETED)

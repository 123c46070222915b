"""States, outcomes and components: the fixed strings of the format."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from otel_agentlog.vocabulary.coerce import text


class _Word(str, Enum):
    """A string that is one of a fixed set; prints and serialises as the plain string."""

    def __str__(self) -> str:
        return str(self.value)


class State(_Word):
    """State of a task, step, AI call or tool run."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"


class Outcome(_Word):
    """How something ended; every outcome is also a state."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"


STATES = tuple(state.value for state in State)
"""All states, as they are written in files."""

FAILED = frozenset({Outcome.FAILED.value, Outcome.TIMED_OUT.value})
"""Outcomes that are an error: span status ERROR, ``error.type``, error rate."""

UNSUCCESSFUL = FAILED | {Outcome.INTERRUPTED.value}
"""Outcomes of what did not do its job and was not stopped on purpose: what ``--failed`` lists and success rates count."""

ENDED = frozenset(outcome.value for outcome in Outcome)
"""All outcomes, as they are written in files."""

_ENDS = frozenset(State(outcome.value) for outcome in Outcome)

STATE_OF: Mapping[Outcome, State] = {outcome: State(outcome.value) for outcome in Outcome}
"""The state that each outcome is."""

LEGAL_MOVES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.RUNNING}) | _ENDS,
    State.RUNNING: frozenset({State.PAUSED}) | _ENDS,
    State.PAUSED: frozenset({State.RUNNING}) | _ENDS,
    **{end: frozenset() for end in _ENDS},
}
"""From each state, the states it may move to."""


EXECUTION = "execution"
"""``source`` of a task that is there for one tool run only: alerts count the tool run."""

IMPORT = "import"
"""``source`` of a task that is made of files which another program wrote."""

COLLECTED = "collect"
"""``source`` of a task that is made of what a program sent by OTLP."""

TRANSCRIPTS = frozenset({"claude", "codex", "chat"})
"""``agent_type`` of those that are made of transcripts, which can be followed while the agent is at work."""


def is_followed(metadata: Mapping[str, object]) -> bool:
    """Whether a task is recorded from another program's transcript: that program knows of no requests to the task."""
    return metadata.get("source") == IMPORT and text(metadata, "agent_type") in TRANSCRIPTS


class LogLevel(_Word):
    """Level of a line."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


ERROR_LEVELS = (LogLevel.ERROR.value, LogLevel.CRITICAL.value)
"""Levels of lines that count as errors."""


class Component(_Word):
    """The component that a line comes from. The set is open: any other string is accepted where a component is expected."""

    RUNNER = "runner"
    EXECUTION_ENGINE = "execution_engine"
    AI_SERVICE = "ai_service"
    FILE_OPERATIONS = "file_operations"
    TERMINAL_INTERACTION = "terminal_interaction"
    STATE_MANAGEMENT = "state_management"
    USER_INTERACTION = "user_interaction"
    ORCHESTRATOR = "orchestrator"
    INSTANCE = "instance"
    TASK = "task"
    WORKTREE = "worktree"
    WEB = "web"
    CLI = "cli"
    TMUX = "tmux"
    INTEGRATION = "integration"
    DATABASE = "database"
    PROCESS = "process"
    AGENT = "agent"
    TOOL = "tool"

"""Writes ``agentlog.yaml``: what telemetry has under names of our own, as a registry for OpenTelemetry's weaver.

``python docs/registry/make.py`` after a name was added; a test fails where that was forgotten. Names come from
``otel_agentlog/export/semconv/names.py``, metrics from the table in ``otel_agentlog/export/metrics.py``; types and meanings are
below.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from otel_agentlog.export.metrics import METRICS
from otel_agentlog.export.semconv import content, names
from otel_agentlog.vocabulary.lines import CONTENT_TYPES

TARGET = Path(__file__).with_name("agentlog.yaml")

ATTRIBUTES: dict[str, tuple[str, str, object]] = {
    names.TASK_ID: ("string", "The task; the name of its folder.", "task-3f9a0c12be77"),
    names.TASK_NAME: ("string", "What the task is called; of high cardinality.", "Review PR 42"),
    names.TASK_SOURCE: ("string", "Where the task came from.", "webhook"),
    names.TASK_PROVIDER: ("string", "The provider of that source.", "github"),
    names.TASK_WORKFLOW: ("string", "The kind of the task; of low cardinality.", "review"),
    names.TASK_TAGS: ("string[]", "Tags of the task.", ["nightly"]),
    names.TASK_PARENT_ID: ("string", "The task that this is a sub-task of.", "task-3f9a0c12be77"),
    names.TASK_CONTINUES: ("string", "The task that had ended when this one was begun by its carrier.", "task-3f9a0c12be77"),
    names.REPLAY_OF: ("string", "The task on record that this one replays; on the link to it, too.", "task-3f9a0c12be77"),
    names.REPLAY_TASK: ("string", "Of a resource: the task of the replay in which the process ran.", "task-3f9a0c12be77"),
    names.TASK_AI_CALLS: ("int", "AI calls of the task, without those of sub-tasks.", 4),
    names.TASK_TOOL_RUNS: ("int", "Tool runs of the same.", 7),
    names.TASK_STEPS: ("int", "Steps of the same.", 3),
    names.TASK_RETRIES: ("int", "Repeated attempts in the same.", 1),
    names.TASK_ERRORS: ("int", "Errors in the same, each once.", 1),
    names.TASK_INPUT_TOKENS: ("int", "Input tokens of the task's AI calls, without those of sub-tasks.", 1200),
    names.TASK_OUTPUT_TOKENS: ("int", "Output tokens of the same.", 850),
    names.TASK_COST_USD: ("double", "Known cost of the same, in US dollars; absent where it is not known.", 0.0234),
    names.OWN_AGENT_NAME: ("string", "The agent whose task makes an AI call.", "reviewer"),
    names.OWN_AGENT_TYPE: ("string", "The type of a task's agent.", "planner"),
    names.OWN_AGENT_VERSION: ("string", "The version of a task's agent.", "2"),
    names.STEP_ID: ("string", "The step; unique in its task.", "plan"),
    names.STEP_NAME: ("string", "What the step is called.", "read files"),
    names.STEP_INDEX: ("int", "Which step of its process it is, from 1.", 1),
    names.STEP_PARENT_ID: ("string", "The step around a step.", "plan"),
    names.CORRELATION_ID: ("string", "What the caller correlates things by.", "pr-42"),
    names.INSTANCE_ID: ("string", "The instance of an agent.", "worker-1"),
    names.COMPONENT: ("string", "Who speaks; an open set.", "runner"),
    names.OUTCOME: ("string", "completed, failed, cancelled, interrupted or timed_out.", "completed"),
    names.REASON: ("string", "Why it ended so, or why an attempt failed.", "deadline"),
    names.ATTEMPTS: ("int", "Attempts that an AI call or tool run took.", 2),
    names.ATTEMPT_NUMBER: ("int", "Which attempt it was, from 1.", 1),
    names.ATTEMPT_MAXIMUM: ("int", "After how many attempts none follows.", 3),
    names.ATTEMPT_WAIT_MS: ("double", "Milliseconds until the next attempt.", 500.0),
    names.LEVEL: ("string", "Level of a line that is a span event, or a failed span of another library.", "WARNING"),
    names.MESSAGE: ("string", "Message of the same.", "files read"),
    names.COST_AMOUNT: ("double", "What an AI call cost.", 0.0234),
    names.COST_CURRENCY: ("string", "In which currency.", "USD"),
    names.COST_SOURCE: ("string", "Who told the cost: provider or local.", "local"),
    names.PRICE_SOURCE: ("string", "The price list, provider or user.", "genai-prices"),
    names.PRICE_VERSION: ("string", "Version of the price list.", "0.2.3"),
    names.OWN_USAGE_INPUT_TOKENS: ("int", "Input tokens that are counted of an AI call another library told of.", 1200),
    names.OWN_USAGE_OUTPUT_TOKENS: ("int", "Output tokens of the same.", 850),
    names.OWN_USAGE_CACHE_READ: ("int", "Its input tokens that came from a cache.", 800),
    names.OWN_USAGE_CACHE_WRITE: ("int", "Its input tokens that went into a cache.", 200),
    names.OWN_USAGE_REASONING: ("int", "Its output tokens that were reasoning.", 300),
    names.SAME_CALL_AS: ("string", "The span that counts the request to a model which this one saw, too.", "00f067aa0ba902b7"),
    names.LINE_TYPE: ("string", "What another library's span is in its task: ai_response, tool_result or span.", "tool_result"),
    names.QUEUE_LATENCY_MS: ("double", "Milliseconds that a message waited in a queue.", 12.5),
    names.ATTRIBUTES_DROPPED: ("int", "Attributes of the user's that are in the folder only.", 3),
    names.EVENT_ID: ("string", "The line in the task's folder.", "1b8a6f2e-17"),
    names.ACTION: ("string", "What happened.", "attempt_failed"),
    names.LOGGER: ("string", "The logger of a log call.", "reviewer.core"),
    names.STATE_BEFORE: ("string", "The state before.", "running"),
    names.STATE_AFTER: ("string", "The state after.", "paused"),
    names.DETAILS: ("any", "What was given to the call, a map.", '{"files":3}'),
    names.DETAILS_TRUNCATED: ("boolean", "Whether a part of it is in the folder only.", True),
    names.CONTENT_TYPE: ("string", "output, thinking, system or user.", "thinking"),
    names.ERROR_ID: ("string", "The error; the same wherever it passes.", "p0lnh8xv"),
    names.ERROR_CATEGORY: ("string", "One of seven categories, or one of the user's own.", "TIMEOUT"),
    names.ERROR_SUGGESTIONS: ("string[]", "What can be done.", ["Try again later."]),
    names.SIGNAL: ("string", "span or log.", "span"),
    names.WEBHOOK_PROVIDER: ("string", "Who sent a webhook.", "github"),
    names.WEBHOOK_EVENT_TYPE: ("string", "Its type.", "issue_comment.created"),
}
"""Type, meaning and an example of each attribute."""

TEMPLATES: dict[str, tuple[str, str]] = {
    names.ERROR_CONTEXT: ("A value of an error's context, by its name.", "branch"),
    names.WEBHOOK.rstrip("."): ("A value of a webhook's stage, by its key, as of a span event.", "command"),
    names.DETAIL: ("A value of the details of a line that is a span event, by its name.", "files"),
}
"""Attributes that begin so and end in a name of the user's: meaning, and an example of the name."""

EVENTS = {
    names.EVENT_EXCEPTION: "An exception that ended a span which is no AI call.",
    names.EVENT_CONTENT: "A text of the agent, the user or the system, where content may leave.",
    names.EVENT_LOG: "A log line, as a span event.",
    "agentlog.attempt_failed": "An attempt that failed.",
    "agentlog.attempt_succeeded": "An attempt after one that failed.",
}
"""Events whose names do not depend on what a program calls them."""


def own_names() -> set[str]:
    """The attributes in the module of names that are ours."""
    found = {value for key, value in vars(names).items() if key.isupper() and not key.startswith(("M_", "EVENT_"))}
    found.add(names.EVENT_ID)
    return {name for name in found if isinstance(name, str) and name.startswith("agentlog.") and not name.endswith(".")}


def _entry(indent: str, entries: Iterable[tuple[str, object]]) -> Iterator[str]:
    first = True
    for key, value in entries:
        yield f"{indent}{'- ' if first else '  '}{key}: {json.dumps(value, ensure_ascii=False)}"
        first = False


def _attributes() -> Iterator[str]:
    yield from _entry("  ", [("id", "registry.agentlog"), ("type", "attribute_group"), ("brief", "Attributes of otel_agentlog.")])
    yield "    attributes:"
    digests = {what for _, _, what, _ in content.START + content.END} | set(CONTENT_TYPES)
    shown = {f"agentlog.content.{what}.sha256": ("string", f"Digest of the whole of {what}.", "9f86d081…") for what in digests}
    sizes = {f"agentlog.content.{what}.size_bytes": ("int", f"Size of the whole of {what}.", 4096) for what in digests}
    for name, (kind, brief, example) in sorted({**ATTRIBUTES, **shown, **sizes}.items()):
        yield from _entry("      ", [("id", name), ("type", kind), *_SAID, ("brief", brief), ("examples", [example])])
    for name, (brief, example) in sorted(TEMPLATES.items()):
        yield from _entry("      ", [("id", name), ("type", "template[any]"), *_SAID, ("brief", brief), ("examples", [example])])


_SAID = (("stability", "development"),)


def text() -> str:
    """The file."""
    lines = ["# Made by make.py from the names that the package sends; not to be edited.", "groups:", *_attributes()]
    for metric in METRICS:
        if metric.name.startswith("agentlog."):
            given = (("id", f"metric.{metric.name}"), ("type", "metric"), ("metric_name", metric.name), *_SAID)
            lines += _entry("  ", [*given, ("brief", metric.description), ("instrument", metric.kind), ("unit", metric.unit)])
    for name, brief in EVENTS.items():
        lines += _entry("  ", [("id", f"event.{name}"), ("type", "event"), ("name", name), *_SAID, ("brief", brief)])
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")

"""Folders of tasks as hypothesis makes them up, and filters that find something in them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
from hypothesis import strategies as st

from otel_agentlog.query import Filter
from otel_agentlog.vocabulary.lines import timestamp
from otel_agentlog.vocabulary.scores import score_line

BASE_NS = 1_795_000_000_000_000_000
_NS = 1_000_000_000

WORDS = ("Review", "fix", "naïve", "検証する", "deploy_all", "reviewer", "42", "ÉCOLE", "it's")
AGENTS = (None, "brain", "coder", "日本", "a'b\"c")
MODELS = ("opus", "mini")
TOOLS = ("Read", "Bash", "R'x")
TAGS = ("user:alice", "user:bob", "specialist:security", "demo")
SCORES, LABELS = ("quality", "Tone"), ("warm", "5")
CATEGORIES = ("NETWORK", "timeout", None)
# No running ones: their time goes on between two questions.
STATUSES = ("completed", "failed", "cancelled", "timed_out", "interrupted")

texts = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
amounts = st.one_of(st.none(), st.integers(0, 5), st.floats(0, 3), st.sampled_from([1e300, -1, "much", True, 2**70]))
moments = st.integers(0, 40).map(lambda hours: BASE_NS + hours * 3600 * _NS)


@st.composite
def tasks(draw: st.DrawFn) -> dict[str, Any]:
    """What stands in one task's files."""
    created, status = draw(moments), draw(st.sampled_from(STATUSES))
    metadata = {
        "name": draw(texts),
        "status": status,
        "created_at": draw(st.one_of(st.just(timestamp(created)), st.sampled_from([timestamp(2**63), "soon"]))),
        "assigned_agent": draw(st.sampled_from(AGENTS)),
        "agent_type": draw(st.sampled_from([None, "planner"])),
        "provider": draw(st.sampled_from([None, "github", "anthropic"])),
        "model": draw(st.sampled_from([None, "opus"])),
        "source": draw(st.sampled_from([None, "webhook"])),
        "parent_task_id": draw(st.sampled_from([None, "task-0"])),
        "session_id": draw(st.sampled_from([None, "s1"])),
        "correlation_id": draw(st.sampled_from([None, "c1", "c2"])),
        "tags": draw(st.one_of(st.lists(st.sampled_from(TAGS), max_size=3), st.just("demo"))),
    }
    figures = {key: draw(amounts) for key in ("cost_usd", "duration_seconds", "input_tokens", "output_tokens", "errors")}
    metadata["created_at"] = metadata["created_at"] if metadata["created_at"] != "soon" else timestamp(created)
    return {
        "metadata": metadata,
        "final": {"outcome": status, "result": draw(texts), "metrics": {"ai_calls": 1, **figures}},
        "input": {"input": {"message": draw(texts)}},
        "lines": draw(st.lists(lines(), max_size=6)),
    }


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Any]:
    """A line of the agent's output: an AI call, a tool run, an error, a score, a text."""
    common = {"timestamp": timestamp(draw(moments)), "event_id": f"a-{draw(st.integers(0, 9))}", "level": "INFO"}
    kind, span = draw(st.sampled_from(["ai", "tool", "error", "output", "score"])), draw(st.sampled_from(["1", "2", "3"]))
    phase = draw(st.sampled_from(["start", "end"]))
    ended = {"span_id": span, "phase": phase, "outcome": draw(st.sampled_from(STATUSES)), "duration_ms": draw(amounts)}
    if kind == "ai":
        details = {"model": draw(st.sampled_from(MODELS)), "provider": "anthropic", "cost_usd": draw(amounts)}
        return {**common, **ended, "type": "ai_request" if phase == "start" else "ai_response", "details": details}
    if kind == "tool":
        name = draw(st.sampled_from(TOOLS))
        return {**common, **ended, "type": "tool_call" if phase == "start" else "tool_result", "content": name}
    if kind == "error":
        exception = {"type": "ValueError", "message": draw(texts), "error_id": draw(st.sampled_from(["e1", "e2"]))}
        return {
            **common,
            "level": "ERROR",
            "type": "log",
            "exception": {**exception, "category": draw(st.sampled_from(CATEGORIES))},
        }
    if kind == "score":
        value = draw(st.sampled_from([None, 0, 0.25, 0.5, 1, -1.5]))
        label = draw(st.sampled_from([None, *LABELS]))
        return {**common, "span_id": span, **score_line(draw(st.sampled_from(SCORES)), value, label=label)}
    return {**common, "type": "output", "content": draw(texts)}


def write(root: Path, name: str, task: dict[str, Any]) -> None:
    """Write a task's folder, in the place of one that is there."""
    folder = root / name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_bytes(orjson.dumps({"task_id": name, **task["metadata"]}, default=str))
    (folder / "04-final-result.json").write_bytes(_dumped(task["final"]))
    (folder / "01-input.json").write_bytes(_dumped(task["input"]))
    (folder / "03-agent-output.jsonl").write_bytes(b"".join(_dumped(line) + b"\n" for line in task["lines"]))


def _dumped(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


filters = st.builds(
    Filter,
    text=st.one_of(st.none(), st.none(), texts, st.sampled_from(["rev", "検", "école", "ÉC", "...", '"', "e1", "deploy"])),
    statuses=st.lists(st.sampled_from(STATUSES), max_size=2),
    failed=st.booleans(),
    since_ns=st.one_of(st.none(), moments),
    until_ns=st.one_of(st.none(), moments, st.just(2**80)),
    agent=st.sampled_from((None, None, None, *AGENTS, "nobody")),
    provider=st.sampled_from([None, None, None, "github", "anthropic"]),
    model=st.sampled_from([None, None, None, *MODELS]),
    tool=st.sampled_from([None, None, None, *TOOLS]),
    tag=st.sampled_from([None, None, None, *TAGS]),
    user=st.sampled_from([None, None, None, "alice"]),
    specialist=st.sampled_from([None, None, None, "security", "planner"]),
    error_category=st.sampled_from([None, None, None, "network", "TIMEOUT"]),
    parent_task_id=st.sampled_from([None, None, None, "task-0"]),
    correlation_id=st.sampled_from([None, None, None, "c1"]),
    min_cost_usd=st.one_of(st.none(), st.none(), st.sampled_from([-1.0, 0.0, 0.5, 1e300])),
    max_cost_usd=st.one_of(st.none(), st.none(), st.sampled_from([0.0, 2.0, 1e300])),
    max_duration_s=st.one_of(st.none(), st.none(), st.sampled_from([-1.0, 0.5, 2.0])),
    min_tokens=st.sampled_from([None, None, 0, 3, 2**70]),
)

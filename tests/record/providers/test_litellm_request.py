"""LiteLLM's callback ``otel`` writes a request on the span around it; each is one AI call of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

import otel_agentlog as agentlog
from otel_agentlog.record.providers.span_content import litellm_request
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.actions import AI_CALL


def request(number: int, *, stream: bool = False, written_over: bool = False) -> None:
    """What the callback does for one request; ``written_over``: that of another request ran at the same time."""
    around, tokens = trace.get_current_span(), 100 * number
    around.set_attributes(
        {
            "gen_ai.operation.name": "acompletion",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.id": f"chatcmpl-{9 if written_over else number}",
            "gen_ai.usage.input_tokens": 9 if written_over else tokens,
            "gen_ai.usage.output_tokens": number,
            "litellm.call_id": str(number),
        }
    )
    with trace.get_tracer("litellm").start_as_current_span("raw_gen_ai_request") as raw:
        if not stream:
            usage = {"completion_tokens": number, "prompt_tokens": tokens, "total_tokens": tokens + number}
            raw.set_attributes(
                {"llm.openai.id": f"chatcmpl-{number}", "llm.openai.model": "gpt-4o", "llm.openai.usage": str(usage)}
            )


def test_each_request_is_one_call(tasks_root: Path) -> None:
    """Also a stream, whose child span says nothing, and one whose attributes were written over; the task stays one."""
    with agentlog.task("t", task_id="t"):
        request(1)
        request(2, stream=True)
        request(3, written_over=True)

    task = find_task(tasks_root, "t")
    lines = list(task.events())
    metrics = (task.final_result() or {})["metrics"]
    calls = [line["details"] for line in lines if line["type"] == AI_CALL.end_type]
    assert [(call["input_tokens"], call["output_tokens"], call["model"], call["operation"]) for call in calls] == [
        (100, 1, "gpt-4o", "chat"),
        (200, 2, "gpt-4o", "chat"),
        (300, 3, "gpt-4o", "chat"),
    ]
    assert (metrics["ai_calls"], metrics["input_tokens"]) == (3, 600)
    assert metrics["cost_usd"] == pytest.approx(600 * 2.5e-6 + 6 * 1e-5)
    assert "gen_ai.operation.name" not in lines[-1]["attributes"]
    assert validate(task.folder).problems == []


def test_in_our_own_call_it_is_a_view_of_that(tasks_root: Path) -> None:
    """The call has its tokens, once."""
    with agentlog.task("t", task_id="t"), agentlog.ai_call("gpt-4o", provider="openai"):
        request(1)

    metrics = (find_task(tasks_root, "t").final_result() or {})["metrics"]
    assert (metrics["ai_calls"], metrics["input_tokens"], metrics["output_tokens"]) == (1, 100, 1)


def test_other_spans_of_it_are_none(tasks_root: Path) -> None:
    """A guardrail below a span that a request was written on."""
    with agentlog.task("t", task_id="t"):
        request(1)
        with trace.get_tracer("litellm").start_as_current_span("guardrail"):
            pass
        with trace.get_tracer("somebody").start_as_current_span("raw_gen_ai_request"):
            pass

    assert (find_task(tasks_root, "t").final_result() or {})["metrics"]["ai_calls"] == 1


_NAMES = [
    "llm.openai.id",
    "llm.openai.usage",
    "llm.",
    "llm..",
    "llm.x",
    "litellm.call_id",
    "gen_ai.response.id",
    "gen_ai.operation.name",
]
_VALUES: Any = st.one_of(
    st.text(max_size=9), st.integers(), st.sampled_from(["{'prompt_tokens': 'x'}", "[1]", "((" * 500, "{", "{1: {}}"])
)


@given(st.sampled_from(["raw_gen_ai_request", "other"]), *[st.dictionaries(st.sampled_from(_NAMES), _VALUES)] * 2)
def test_anything_is_read_or_left(name: str, own: dict[str, Any], around: dict[str, Any]) -> None:
    """Whatever stands there, nothing is raised, and counts are numbers."""
    found = litellm_request(name, own, around)
    assert all(type(value) is int for key, value in found.items() if key.startswith("gen_ai.usage."))

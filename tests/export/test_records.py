"""Lines become log records: event names, severities, bodies, attributes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_agentlog.export.records import (
    MAX_DETAIL_CHARACTERS,
    MAX_DETAILS,
    details_event_fields,
    exception_fields,
    log_fields,
    severity,
)
from otel_agentlog.export.semconv.content import PREVIEW_BYTES
from otel_agentlog.export.semconv.conventions import Conventions
from otel_agentlog.vocabulary.lines import is_details_record
from tests.support.conformance.wire import Wire, end_line, failed, start_line

CONVENTIONS = Conventions()
FULL = Conventions("latest", "full", frozenset({"span", "event"}))


def _line(kind: str = "log", **keys: Any) -> dict[str, Any]:
    return {"timestamp": "t", "type": kind, "level": "INFO", "task_id": "task-1", "event_id": "a1f3-7", **keys}


def test_a_log_line_is_a_plain_record_with_its_origin_and_ids() -> None:
    """Message as body, no event name, code location, details as one map, ids last."""
    line = _line(
        message="files read",
        level="WARNING",
        component="agent",
        logger="reviewer.core",
        module="core",
        function="review",
        line=45,
        step_id="plan",
        details={"files": 3, "paths": ["a", None], "nothing": None},
        attributes={"team": "red"},
    )

    fields = log_fields(line, CONVENTIONS)

    assert fields[:4] == (None, 13, "WARNING", "files read")
    assert list(fields.attributes.items()) == [
        ("team", "red"),
        ("agentlog.logger", "reviewer.core"),
        ("code.line.number", 45),
        ("code.function.name", "core.review"),
        ("agentlog.details", {"files": 3, "paths": ["a"]}),
        ("agentlog.task.id", "task-1"),
        ("agentlog.step.id", "plan"),
        ("agentlog.component", "agent"),
        ("agentlog.event.id", "a1f3-7"),
        ("log.record.uid", "task-1/a1f3-7"),
    ]


@pytest.mark.parametrize(
    ("line", "event_name"),
    [
        (_line("state", action="task_paused"), "agentlog.task_paused"),
        (_line("attempt", action="attempt_failed"), "agentlog.attempt_failed"),
        (_line("event", action="file_edited"), "agentlog.file_edited"),
        (_line("event"), "agentlog.event"),
        (_line("output", action="content_recorded", content="hi"), "agentlog.content"),
    ],
)
def test_everything_but_a_log_line_is_an_event(line: dict[str, Any], event_name: str) -> None:
    """The event's name says what was done."""
    assert log_fields(line, FULL).event_name == event_name


def test_a_move_of_state_tells_both_states_and_the_reason() -> None:
    """Where from, where to, why."""
    line = _line("state", action="task_paused", state_before="running", state_after="paused", reason="lunch")

    attributes = log_fields(line, CONVENTIONS).attributes

    assert attributes["agentlog.state.before"] == "running"
    assert attributes["agentlog.state.after"] == "paused"
    assert attributes["agentlog.reason"] == "lunch"


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("DEBUG", (5, "DEBUG")),
        ("info", (9, "INFO")),
        ("WARNING", (13, "WARNING")),
        ("ERROR", (17, "ERROR")),
        ("CRITICAL", (21, "CRITICAL")),
        ("LOUD", (9, "LOUD")),
        (None, (9, "INFO")),
    ],
)
def test_a_level_is_a_severity(level: str | None, expected: tuple[int, str]) -> None:
    """The number is OTLP's, the text is the word that stands in the folder."""
    assert severity({"level": level}) == expected


def test_an_exception_on_a_log_line_goes_with_it() -> None:
    """Type, message, stack trace as one text, error id, category and suggestions."""
    exception = {**failed()["exception"], "category": "EXECUTION", "suggestions": ["try again"]}

    attributes = log_fields(_line(exception=exception), CONVENTIONS).attributes

    assert attributes["exception.type"] == "ValueError"
    assert attributes["exception.message"] == "boom"
    assert attributes["exception.stacktrace"] == "Traceback (most recent call last):\nValueError: boom"
    assert attributes["agentlog.error.id"] == "abc12345"
    assert attributes["agentlog.error.category"] == "EXECUTION"
    assert attributes["agentlog.error.suggestions"] == ["try again"]


def test_the_exception_of_a_step_is_an_event_of_ours() -> None:
    """At the line's level, readable in the body, marked as the second record of its line."""
    fields = exception_fields(end_line("step", step_id="plan", **failed()), CONVENTIONS)

    assert fields[:4] == ("agentlog.exception", 17, "ERROR", "ValueError: boom")
    assert fields.attributes == {
        "exception.type": "ValueError",
        "exception.message": "boom",
        "exception.stacktrace": "Traceback (most recent call last):\nValueError: boom",
        "agentlog.error.id": "abc12345",
        "error.type": "ValueError",
        "agentlog.task.id": "task-abc123",
        "agentlog.step.id": "plan",
        "agentlog.component": "agent",
        "agentlog.event.id": "a1f3-2",
        "log.record.uid": "task-abc123/a1f3-2#exception",
    }


def test_the_exception_of_an_ai_call_is_the_conventions_event() -> None:
    """At WARN, without a body, with what was called."""
    line = end_line("ai_request", {"provider": "openai", "model": "gpt-5"}, **failed())
    fields = exception_fields(line, CONVENTIONS)

    assert fields[:4] == ("gen_ai.client.inference.exception", 13, "WARN", None)
    assert exception_fields(line, Conventions("2026-10"))[:4] == ("gen_ai.client.operation.exception", 13, "WARN", None)
    assert fields.attributes["gen_ai.operation.name"] == "chat"
    assert fields.attributes["gen_ai.provider.name"] == "openai"
    assert fields.attributes["gen_ai.request.model"] == "gpt-5"


@pytest.mark.parametrize(("policy", "body"), [("off", None), ("preview", "x" * 1996 + "…"), ("full", "x" * 5000)])
def test_what_was_said_leaves_as_far_as_the_policy_says(policy: Any, body: str | None) -> None:
    """Off: nothing. Preview: short, with digest and size. Full: everything."""
    fields = log_fields(_line("thinking", content="x" * 5000), Conventions("latest", policy))

    assert fields.body == body
    assert fields.attributes["agentlog.content.type"] == "thinking"
    assert ("agentlog.content.thinking.size_bytes" in fields.attributes) == (policy == "preview")
    assert policy != "preview" or len((body or "").encode()) < PREVIEW_BYTES


def test_the_details_event_is_the_span_with_structured_content() -> None:
    """Every attribute of the span, content as structure instead of JSON, from two recorded lines alone."""
    messages = [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]
    details = {"provider": "openai", "model": "gpt-5", "messages": messages}
    start, end = start_line("ai_request", details), end_line("ai_request", {**details, "output": "hi", "input_tokens": 3})
    wire = Wire("latest", "full", frozenset({"span", "event"}))

    wire.operation(start, end)

    (span,), (record,) = wire.spans(), wire.records()
    assert record["event_name"] == "gen_ai.client.inference.operation.details"
    assert record["span_id"] == span["span_id"]
    assert {**span["attributes"], **record["attributes"]} == {
        **span["attributes"],
        "gen_ai.input.messages": messages,
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}],
        "agentlog.event.id": "a1f3-2",
        "log.record.uid": "task-abc123/a1f3-2#details",
    }
    assert details_event_fields(start, end, FULL).attributes == record["attributes"]


@pytest.mark.parametrize(
    ("conventions", "line", "expected"),
    [
        (FULL, end_line("ai_request"), True),
        (FULL, end_line("ai_request", {"operation": "embeddings"}), False),
        (FULL, end_line("tool_call"), False),
        (Conventions("latest", "full"), end_line("ai_request"), False),
        (Conventions("latest", "off", frozenset({"event"})), end_line("ai_request"), False),
    ],
)
def test_the_details_event_is_for_inferences_whose_content_may_leave(
    conventions: Conventions, line: dict[str, Any], expected: bool
) -> None:
    """Only where events were asked for, and only for inferences."""
    assert is_details_record(line, conventions.content_policy, conventions.content_on) is expected


def test_huge_details_are_cut_and_marked() -> None:
    """What Loki would refuse is shortened; the folder has the whole."""
    many = log_fields(_line(details={f"k{number}": number for number in range(500)}), CONVENTIONS).attributes
    long = log_fields(_line(details={"text": "x" * 100_000}), CONVENTIONS).attributes

    assert len(many["agentlog.details"]) == MAX_DETAILS  # type: ignore[arg-type]  # a mapping
    assert many["agentlog.details.truncated"] is True
    assert long["agentlog.details"] == {"text": "x" * MAX_DETAIL_CHARACTERS + "…"}
    assert long["agentlog.details.truncated"] is True


_DETAILS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3000),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text("abc", max_size=9), inner, max_size=20),
    max_leaves=80,
)


@given(details=st.dictionaries(st.text("abc", max_size=9), _DETAILS, max_size=80))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_details_can_be_sent(details: dict[str, Any]) -> None:
    """Whatever the user attached, the record reaches the wire, bounded, with its ids."""
    wire = Wire()

    wire.line(_line(message="m", details=details))

    (record,) = wire.records()
    assert record["dropped_attributes_count"] == 0
    assert record["attributes"]["agentlog.task.id"] == "task-1"
    assert _leaves(record["attributes"].get("agentlog.details")) <= MAX_DETAILS


def _leaves(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_leaves, value.values()))
    return sum(map(_leaves, value)) if isinstance(value, list) else 1

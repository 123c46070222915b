"""Which recorded call a request gets, and what is told of those that differ."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools.replay.matching import Matching
from otel_agentlog.tools.replay.prompts import ProgramRequest, read_request, same
from otel_agentlog.tools.replay.recorded import Record, RecordedCall
from otel_agentlog.tools.replay.refusals import Refusal, refusal_of


def said(text: str) -> list[dict[str, Any]]:
    """What a user asks."""
    return [{"role": "user", "parts": [{"type": "text", "content": text}]}]


def call(number: int, text: str | None, *, until: int = 0) -> RecordedCall:
    """A call on record; one after the other, unless told."""
    return RecordedCall(
        number=number,
        task_id="task-1",
        span_id=f"{number:016x}",
        start_ns=number * 10,
        end_ns=until or number * 10 + 5,
        model="m",
        provider="openai",
        operation="chat",
        is_stream=False,
        messages=None if text is None else said(text),
        tools=None,
        parts=[{"type": "text", "content": f"answer {number}"}],
        usage={},
        finish_reasons=[],
        response_id=None,
        response_model=None,
        is_open=False,
        outcome="completed",
        exception={},
    )


def record_of(*calls: RecordedCall, live_from: int | None = None) -> Record:
    """With these calls."""
    return Record(TaskReader.__new__(TaskReader), [], [*calls], [], [], [], live_from)


def matching(*calls: RecordedCall, live_from: int | None = None) -> Matching:
    """With these on record."""
    return Matching(record_of(*calls, live_from=live_from))


def ask(found: Matching, text: str, model: str = "m", *, is_retry: bool = False) -> int | None:
    """The number of the call that a request gets."""
    match = found.match(ProgramRequest(model, said(text), []), f"{model} {text}", is_retry=is_retry)
    return match.call.number if match.call is not None else None


def test_by_content_then_in_order() -> None:
    """Whatever the order in which requests come; equal ones are taken one after the other."""
    found = matching(call(1, "a"), call(2, "b"), call(3, "a"))

    assert [ask(found, text) for text in ("b", "a", "a", "a")] == [2, 1, 3, None]
    assert [each.kind for each in found.differences()] == ["more"]


def test_what_differs_is_told_at_its_call_though_it_came_first() -> None:
    """A request that asks something new takes the answer of the first, and the one that does ask for it gets it, too."""
    found = matching(call(1, "a", until=100), call(2, "b", until=100), call(3, "the long one", until=100))

    assert ask(found, "a long one") == 3
    assert [ask(found, text) for text in ("a", "b")] == [1, 2]
    (difference,) = found.differences()
    assert difference.call is not None
    assert (difference.kind, difference.call.number) == ("prompt", 3)
    assert "-user: the long one" in difference.lines

    found = matching(call(1, "a"), call(2, "b"))
    assert [ask(found, text) for text in ("new", "a")] == [1, 1]
    (difference,) = found.differences()
    assert difference.call is not None
    assert difference.call.number == 2


def test_a_prompt_that_is_not_on_record_is_answered_in_order() -> None:
    """And is no difference, as long as the model is the one that was asked."""
    found = matching(call(1, None), call(2, None))

    assert [ask(found, "whatever"), ask(found, "else", "other model")] == [1, 2]
    assert [each.kind for each in found.differences()] == ["model"]


def test_fewer_calls() -> None:
    """Those that nobody made."""
    found = matching(call(1, "a"), call(2, "b"))
    ask(found, "b")

    assert [(each.kind, each.call.number if each.call else None) for each in found.differences()] == [("fewer", 1)]


def test_retries_get_the_same_and_failed_attempts_their_error() -> None:
    """A client that tries again after a lost connection takes nothing from the calls that follow."""
    first = call(1, "a")
    first.refusals = [Refusal(429)]
    found = matching(first, call(2, "a"))
    request = ProgramRequest("m", said("a"), [])

    refused = found.match(request, "k", is_retry=False)
    again = found.match(request, "k", is_retry=True)
    assert refused is again
    assert (refused.call, refused.refusal) == (first, Refusal(429))
    assert found.match(request, "k", is_retry=False).refusal is None
    assert ask(found, "a") == 2
    assert found.figures.answered == 2


def test_live_from_a_call() -> None:
    """What came before is answered; what is like the later ones goes on, also while an earlier one is left."""
    found = matching(call(1, "a"), call(2, "b"), call(3, "c"), live_from=3)
    matches = [found.match(ProgramRequest("m", said(text), []), text, is_retry=False) for text in ("a", "c", "b", "new")]

    assert [(match.call.number if match.call else None, match.is_live) for match in matches] == [
        (1, False),
        (None, True),
        (2, False),
        (None, True),
    ]
    assert (found.figures.live, found.differences()) == (2, [])


def test_the_same_request_in_the_shapes_of_three_apis() -> None:
    """System prompts, blocks and items read as the record has them."""
    anthropic = {"model": "m", "system": "S", "messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}]}
    chat = {"model": "m", "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]}
    responses = {"model": "m", "instructions": "S", "input": "Q"}

    assert read_request(anthropic).messages == read_request(chat).messages == read_request(responses).messages
    assert read_request({}).messages == []


@given(before=st.text(max_size=9), secret=st.text(max_size=30), after=st.text(max_size=9), other=st.text(min_size=1, max_size=9))
def test_a_mark_matches_what_stood_there(before: str, secret: str, after: str, other: str) -> None:
    """A secret that was taken out, a text that was cut; and nothing else."""
    whole = f"{before}{secret}{after}"
    assert same({"a": [f"{before}[redacted:key]{after}"]}, {"a": [whole]})
    assert same(f"{before}{secret}…[truncated: 9 characters left out]", whole)
    assert not same(f"x{before}[redacted:key]{after}", f"y{whole}")
    assert same("[redacted:key]", 12)
    assert same({"$artifact": {"sha256": "…"}}, other)
    assert not same({"a": 1}, {"a": 1, "b": 2})
    assert not same([1], [1, 2])
    assert not same("a", f"a{other}")


def test_a_decorated_call_that_is_not_on_record_is_no_request_without_an_answer() -> None:
    """Its function runs; the calls of the official clients are left to them."""
    found = matching(call(1, "a"))

    match = found.match(ProgramRequest("m", [], []), "", is_retry=False, by_server=False)

    assert (match.call, match.is_live, found.figures.refused) == (None, False, 0)
    assert ask(found, "a") == 1
    assert found.differences() == []


def test_a_decorated_call_with_attempts_on_record_is_given_once() -> None:
    """Its attempts were made inside of the function, which is not called."""
    calls = call(1, "a"), call(2, "b")
    for each in calls:
        each.provider = "groq"
        each.refusals = [Refusal(429)]
    found = matching(*calls)

    given = [found.match(ProgramRequest("m", [], []), "", is_retry=False, by_server=False) for _ in range(3)]

    assert [(each.call and each.call.number, each.refusal) for each in given] == [(1, None), (2, None), (None, None)]
    assert found.figures.answered == 2


def test_a_hostile_mark_takes_no_time() -> None:
    """Thousands of marks in one text."""
    assert not same("a[redacted:x]" * 5000 + "b", "a" * 200_000)


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (
            {"type": "anthropic.RateLimitError", "message": "Error code: 429 - {'type': 'error', 'error': {'message': 'slow'}}"},
            Refusal(429, {"type": "error", "error": {"message": "slow"}}),
        ),
        ({"type": "openai.InternalServerError", "message": "Error code: 503 - no json"}, Refusal(503, "no json")),
        ({"type": "openai.APIConnectionError", "message": "Connection error."}, Refusal(None)),
        ({"type": "ValueError", "message": "mine"}, None),
        ({}, None),
        ({"type": 5, "message": ["Error code: 429 - {"]}, None),
        ({"type": "a.b", "message": "Error code: 400 - " + "[" * 9000}, Refusal(400, "[" * 9000)),
    ],
)
def test_errors_become_what_the_client_made_them_of(exception: dict[str, Any], expected: Refusal | None) -> None:
    """Status and body, or a lost connection; an error of the program's own code is none."""
    assert refusal_of(exception, "openai") == expected

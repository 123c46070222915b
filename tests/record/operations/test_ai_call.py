"""What an AI call says of its tokens, its cost and its end, whoever told it what."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import copy
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import httpx
import numpy as np
import openai.types.chat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.query.errors import find_errors
from otel_agentlog.record.operations import ai_call
from otel_agentlog.record.operations.ai_call import AiCall
from otel_agentlog.record.providers.pricing import PriceTable
from otel_agentlog.record.recorder import recorder
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink, recording
from otel_agentlog.vocabulary.usage import USAGE_FIELDS
from tests.record.hostile_values import HOSTILE
from tests.record.providers.test_usage import COUNTS, NOT_COUNTS
from tests.support.providers import readings
from tests.support.providers.replies import (
    ANTHROPIC_MESSAGE,
    API_RESPONSE,
    CHAT_COMPLETION,
    anthropic_events,
    chat_events,
    response_events,
)
from tests.support.providers.samples import FAILED, SAMPLES, FailedSample, Sample

FAILURE: dict[str, Any] = {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}
HI: dict[str, Any] = {
    "id": "c1",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
}


@pytest.fixture(autouse=True)
def warned() -> None:
    """Every test begins as a new process does."""
    ai_call._warned.clear()


def ended(sink: MemorySink) -> dict[str, Any]:
    """The end line of the only AI call."""
    (line,) = [line for line in sink.lines if line["type"] == "ai_response"]
    return dict(line)


def priced(call: AiCall) -> None:
    """Use the price table, which `recording` leaves out."""
    recorder().lookups.prices = PriceTable()


class TestByHand:
    """`usage`, `cost` and finish reasons, given by the user's code."""

    @pytest.mark.parametrize("value", NOT_COUNTS, ids=lambda value: type(value).__name__)
    def test_what_is_no_count_is_unknown(self, value: Any, recorded: MemorySink, caplog: pytest.LogCaptureFixture) -> None:
        """It raises nothing, is not on the line, takes nothing from what is known, and is said once."""
        with agentlog.ai_call("m") as call:
            for name in USAGE_FIELDS:
                call.usage(**{name: value})
                call.usage(**{name: value})
            call.usage(input_tokens=3)

        details = ended(recorded)["details"]
        assert {name: details[name] for name in USAGE_FIELDS if name in details} == {"input_tokens": 3}
        told = [record for record in caplog.records if record.levelno == logging.WARNING and "not known" in record.getMessage()]
        assert len(told) == (0 if value is None else len(USAGE_FIELDS))

    @pytest.mark.parametrize("value", COUNTS, ids=lambda value: type(value).__name__)
    def test_whole_numbers_of_any_type_count(self, value: Any, recorded: MemorySink) -> None:
        """Whole numbers are counts, also those of numpy."""
        with agentlog.ai_call("m") as call:
            call.usage(input_tokens=value)

        assert json.dumps(ended(recorded)["details"]["input_tokens"]) == "3"

    @pytest.mark.parametrize("value", [None, "abc", "0.5", -1, True, float("nan"), float("inf"), MagicMock(), [], 10**400, 1j])
    def test_what_is_no_amount_is_unknown(self, value: Any, recorded: MemorySink) -> None:
        """No amount leaves the cost as it was."""
        with agentlog.ai_call("m") as call:
            call.cost(value)
            call.usage(cost_usd=value)
        with agentlog.ai_call("n") as call:
            call.cost(0.25)
            call.cost(value)

        costs = [line["details"]["cost_usd"] for line in recorded.lines if line["type"] == "ai_response"]
        assert costs == [None, 0.25]

    @pytest.mark.parametrize("value", [0.5, Decimal("0.5"), np.float32(0.5)])
    def test_amounts_of_any_type(self, value: Any, recorded: MemorySink) -> None:
        """An amount may be any number."""
        with agentlog.ai_call("m") as call:
            call.cost(value)

        assert ended(recorded)["details"]["cost_usd"] == 0.5

    @pytest.mark.parametrize(
        ("given_reasons", "expected"),
        [
            ("stop", ["stop"]),
            (["stop", "length"], ["stop", "length"]),
            (("stop",), ["stop"]),
            ([], None),
            ("", None),
            (None, None),
            (5, None),
            ([5, "stop"], ["stop"]),
            (MagicMock(), None),
            ({"a": 1}, None),
            (iter(["stop"]), None),
        ],
    )
    def test_finish_reasons(self, given_reasons: Any, expected: list[str] | None, recorded: MemorySink) -> None:
        """One reason is a list of one; what is no text is none."""
        with agentlog.ai_call("m") as call:
            call.usage(finish_reasons=given_reasons)

        assert ended(recorded)["details"].get("finish_reasons") == expected

    def test_counts_told_one_after_the_other_are_one_response(self, recorded: MemorySink) -> None:
        """Input now and output later have one price together; the same count again is one more response."""
        with agentlog.ai_call("gpt-4o", provider="openai") as call:
            priced(call)
            call.usage(input_tokens=1000)
            call.usage(output_tokens=100)
            call.usage(input_tokens=1000, output_tokens=100)

        details = ended(recorded)["details"]
        assert (details["input_tokens"], details["output_tokens"]) == (2000, 200)
        assert details["cost_usd"] == pytest.approx(2 * 0.0035)

    def test_cached_tokens_outside_the_input_are_added(self, recorded: MemorySink) -> None:
        """Anthropic's own numbers, given as they are: more cached than input cannot be a part of it."""
        with agentlog.ai_call("m") as call:
            call.usage(input_tokens=10, cache_read_input_tokens=5000)

        assert ended(recorded)["details"]["input_tokens"] == 5010

    def test_an_interrupt_of_a_number_passes(self, recorded: MemorySink) -> None:
        """Ctrl-C while a foreign number is asked for its value is not swallowed."""

        class Interrupts(float):
            def __float__(self) -> float:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), agentlog.ai_call("m") as call:
            call.cost(Interrupts(1))

    def test_a_mock_as_model_has_no_price(self, recorded: MemorySink) -> None:
        """Tokens of a model that is no text are recorded, without a cost."""
        with agentlog.ai_call(MagicMock(), provider=MagicMock()) as call:
            priced(call)
            call.usage(input_tokens=3, output_tokens=2)

        details = ended(recorded)["details"]
        assert (details["input_tokens"], details["cost_usd"]) == (3, None)


TOLD = st.sampled_from([*USAGE_FIELDS, "cost_usd", "finish_reasons"])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.dictionaries(TOLD, st.sampled_from([*NOT_COUNTS, *COUNTS]))))
def test_anything_by_hand_gives_a_sound_line(told: list[dict[str, Any]]) -> None:
    """Whatever is told in whatever order, the end line is there and its counts are counts."""
    with recording() as sink:
        with agentlog.ai_call("gpt-4o", provider="openai") as call:
            for each in told:
                call.usage(**each)
        details = ended(sink)["details"]

    assert all(type(details[name]) is int and details[name] >= 0 for name in USAGE_FIELDS if name in details)
    assert details["cost_usd"] is None or details["cost_usd"] >= 0


class TestToldTwice:
    """One response counts once, several add up."""

    def test_a_response_given_twice(self, recorded: MemorySink) -> None:
        """The stream's answer and then the same as a whole, known by its id."""
        chunk = {"id": "c1", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}], "usage": HI["usage"]}
        with agentlog.ai_call("gpt-4o", provider="openai") as call:
            priced(call)
            list(call.stream(iter([chunk])))
            call.record(HI)

        details = ended(recorded)["details"]
        assert details["input_tokens"] == 1000
        assert details["output"] == [{"type": "text", "content": "hi"}]
        assert details["cost_usd"] == pytest.approx(0.0035)

    def test_several_responses_add_up(self, recorded: MemorySink) -> None:
        """Responses with other ids, or none, are others."""
        with agentlog.ai_call("gpt-4o", provider="openai") as call:
            call.record(HI)
            call.record({**HI, "id": "c2"})
            call.record({**HI, "id": None})
            call.record({**HI, "id": None})

        assert ended(recorded)["details"]["input_tokens"] == 4000

    def test_an_agents_run(self, recorded: MemorySink) -> None:
        """Messages that repeat their usage, and the result that has the total of all and the cost."""
        (sample,) = [sample for sample in SAMPLES if sample.name == "claude-agent-sdk"]
        with agentlog.ai_call("claude-sonnet-4-5", provider="anthropic") as call:
            for message in sample.chunks:
                call.record(message)

        details = ended(recorded)["details"]
        assert (details["input_tokens"], details["output_tokens"], details["cost_usd"]) == (118, 30, 0.25)
        assert [part["content"] for part in details["output"]] == ["part 1", "part 2", "part 3"]

    def test_an_agents_run_without_its_result(self, recorded: MemorySink) -> None:
        """Cut before the result, each message counts once."""
        (sample,) = [sample for sample in SAMPLES if sample.name == "claude-agent-sdk"]
        with agentlog.ai_call("claude-sonnet-4-5", provider="anthropic") as call:
            for message in sample.chunks[:-1]:
                call.record(message)
        with agentlog.ai_call("claude-sonnet-4-5", provider="anthropic") as call:
            list(call.stream(iter(sample.chunks[:-1])))

        ends = [line["details"] for line in recorded.lines if line["type"] == "ai_response"]
        assert [(details["input_tokens"], details["output_tokens"]) for details in ends] == [(118, 23)] * 2

    def test_a_part_without_a_price_leaves_no_price(self, recorded: MemorySink) -> None:
        """The known part alone would be less than what it cost."""
        with agentlog.ai_call("nobody-knows-it", provider="openai") as call:
            priced(call)
            call.record(HI)
            call.record({**HI, "id": "c2", "model": "nobody-knows-it-either"})

        assert ended(recorded)["details"]["cost_usd"] is None


def renamed(value: Any, name: str) -> Any:
    """Chunks as another response has them: with other ids, in objects of their own."""
    if isinstance(value, dict):
        return {
            key: f"{name}-{inner}" if key in IDS and isinstance(inner, str) and inner else renamed(inner, name)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [renamed(inner, name) for inner in value]
    if isinstance(value, (str, bytes)) and b'"id"' in (value if isinstance(value, bytes) else value.encode()):
        mark: Any = b'"id":"' if isinstance(value, bytes) else '"id":"'
        return value.replace(mark, mark + (name.encode() if isinstance(value, bytes) else name))  # type: ignore[arg-type]
    if isinstance(value, str):
        return "".join([value[:1], value[1:]])
    return bytes(bytearray(value)) if isinstance(value, bytes) else value


IDS = ("id", "responseId", "response_id", "generation_id", "message_id")
STREAMED = [
    *[(sample.name, sample.provider, sample.chunks, sample.usage) for sample in SAMPLES if sample.chunks],
    ("anthropic", "anthropic", [event for _, event in anthropic_events(ANTHROPIC_MESSAGE)], readings.ANTHROPIC.usage),
    ("openai", "openai", [event for _, event in chat_events(CHAT_COMPLETION) if event != "[DONE]"], readings.CHAT.usage),
    ("openai responses", "openai", [event for _, event in response_events(API_RESPONSE)], readings.RESPONSES.usage),
]


def one_after_the_other(call: AiCall, streams: list[list[Any]]) -> None:
    for stream in streams:
        list(call.stream(iter(stream)))


def at_once(call: AiCall, streams: list[list[Any]]) -> None:
    for _ in zip_longest(*[call.stream(iter(stream)) for stream in streams]):
        pass


def async_at_once(call: AiCall, streams: list[list[Any]]) -> None:
    async def source(stream: list[Any]) -> AsyncIterator[Any]:
        for chunk in stream:
            await asyncio.sleep(0)
            yield chunk

    async def read(stream: list[Any]) -> None:
        async for _ in call.stream(source(stream)):
            pass

    async def read_all() -> None:
        await asyncio.gather(*map(read, streams))

    asyncio.run(read_all())


def one_in_the_other(call: AiCall, streams: list[list[Any]]) -> None:
    first = call.stream(iter(streams[0]))
    next(first)
    list(call.stream(iter(streams[1])))
    list(first)


@pytest.mark.parametrize("way", [one_after_the_other, at_once, async_at_once, one_in_the_other], ids=lambda way: way.__name__)
@pytest.mark.parametrize("told", STREAMED, ids=lambda told: told[0])
class TestSeveralStreams:
    """What is told of one call adds up: streams as much as whole answers, whoever's they are."""

    def test_tokens_add_up(self, told: Any, way: Any, recorded: MemorySink) -> None:
        """Two streams in one block, read in whichever order."""
        _, provider, chunks, usage = told
        with agentlog.ai_call("m", provider=provider) as call:
            way(call, [renamed(chunks, name) for name in ("a", "b")])

        details = ended(recorded)["details"]
        assert {name: details[name] for name in USAGE_FIELDS if name in details} == (usage + usage).known()

    def test_after_the_block(self, told: Any, way: Any, recorded: MemorySink) -> None:
        """The same of streams that are first read when the call has ended: its views tell the rest."""
        _, provider, chunks, usage = told
        with agentlog.task("t"):
            with agentlog.ai_call("m", provider=provider) as call:
                pass
            way(call, [renamed(chunks, name) for name in ("a", "b")])

        ends = [line["details"] for line in recorded.lines if line["type"] == "ai_response"]
        assert {name: found for name in USAGE_FIELDS if (found := sum(details.get(name, 0) for details in ends))} == {
            name: count for name, count in (usage + usage).known().items() if count
        }


@pytest.mark.parametrize("told", STREAMED, ids=lambda told: told[0])
def test_what_a_call_says_of_itself_while_a_stream_is_read(told: Any, recorded: MemorySink) -> None:
    """Tokens and cost are known inside the block as soon as the chunks have told them, and are the same after it."""
    _, provider, chunks, usage = told
    with agentlog.ai_call("gpt-4o", provider=provider) as call:
        priced(call)
        list(call.stream(iter(renamed(chunks, "a"))))
        assert call.tokens == usage.known()
        assert call.tokens == usage.known()  # asking changes nothing
        cost = call.cost_usd
        list(call.stream(iter(renamed(chunks, "b"))))
        twice = call.tokens, call.cost_usd

    details = ended(recorded)["details"]
    assert twice == ({name: details[name] for name in USAGE_FIELDS if name in details}, call.cost_usd)
    assert call.tokens == (usage + usage).known()
    assert cost is None or call.cost_usd == pytest.approx(2 * cost)


def test_an_answer_of_no_tokens_costs_nothing(recorded: MemorySink) -> None:
    """A usage of zeros is known, as an answer and as a stream, whoever's it is."""
    zeros = {**HI, "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        priced(call)
        call.record(zeros)
        assert (call.tokens, call.cost_usd) == ({"input_tokens": 0, "output_tokens": 0}, 0.0)


class TestStreamsOfOneResponse:
    """What looks like several streams and is one."""

    @pytest.mark.parametrize("told", STREAMED, ids=lambda told: told[0])
    @pytest.mark.parametrize("inner", ["same", "texts"])
    def test_a_stream_over_a_wrapped_one(self, inner: str, told: Any, recorded: MemorySink) -> None:
        """A generator that passes the chunks on, or makes texts of them, and is wrapped itself."""
        _, provider, chunks, usage = told
        make = (lambda chunk: chunk) if inner == "same" else (lambda chunk: "x")
        with agentlog.ai_call("m", provider=provider) as call:
            list(call.stream(iter(chunks)))
        with agentlog.ai_call("m", provider=provider) as call:
            list(call.stream(make(chunk) for chunk in call.stream(iter(copy.deepcopy(chunks)))))

        once, nested = [line["details"] for line in recorded.lines if line["type"] == "ai_response"]
        assert {name: nested[name] for name in USAGE_FIELDS if name in nested} == usage.known()
        assert nested.get("output") == once.get("output")

    def test_chunks_that_are_given_again_by_hand(self, recorded: MemorySink) -> None:
        """Those of a stream that is watched already."""
        with agentlog.ai_call("m", provider="ollama") as call:
            for chunk in call.stream(iter(OLLAMA)):
                call.chunk(chunk)

        details = ended(recorded)["details"]
        assert (details["input_tokens"], details["output"]) == (26, [{"type": "text", "content": "hi"}])

    def test_chunks_by_hand_are_one_response_until_another_begins(self, recorded: MemorySink) -> None:
        """Single chunks have no stream: their ids and their ends say where a response ends, for every provider that has these."""
        for sample in SAMPLES:
            if sample.name in ("gemini", "ollama", "bedrock converse", "cohere 2"):
                with agentlog.ai_call("m", provider=sample.provider) as call:
                    for chunk in [*renamed(sample.chunks, "a"), *renamed(sample.chunks, "b")]:
                        call.chunk(chunk)
                found = recorded.of(type="ai_response")[-1]["details"]
                assert found["input_tokens"] == 2 * (sample.usage.input_tokens or 0), sample.name

    def test_a_stream_of_an_attempt_that_failed_and_one_of_the_next(self, recorded: MemorySink) -> None:
        """Both were paid for; the answer is the last one's."""
        with agentlog.ai_call("m", provider="ollama") as call:
            list(call.stream(iter(OLLAMA)))
            call.attempt_failed(reason="not good")
            list(call.stream(iter(OLLAMA)))

        details = ended(recorded)["details"]
        assert (details["input_tokens"], details["output"]) == (52, [{"type": "text", "content": "hi"}])

    def test_costs_that_a_stream_of_several_responses_reports(self, recorded: MemorySink) -> None:
        """They add up as its tokens do."""

        def of(name: str) -> list[Any]:
            choice = {"index": 0, "delta": {"content": "h"}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 9, "completion_tokens": 2, "cost": 0.25}
            return [{"id": name, "choices": [choice]}, {"id": name, "choices": [], "usage": usage}]

        with agentlog.ai_call("m", provider="openrouter") as call:
            list(call.stream(iter([*of("a"), *of("b")])))

        assert ended(recorded)["details"]["cost_usd"] == 0.5


class Plain(Exception):
    """An exception of a client, with what it was given."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__("no")
        self.__dict__.update(attributes)


@dataclass(frozen=True, eq=False)
class Frozen(Exception):
    response: Any


def _caused(error: BaseException) -> BaseException:
    outer = ValueError("of ours")
    outer.__cause__ = error
    return outer


def _completion() -> Any:
    return openai.types.chat.ChatCompletion.construct(**copy.deepcopy(HI))


BRINGING: dict[str, Callable[[], BaseException]] = {
    "too long": lambda: openai.LengthFinishReasonError(completion=_completion()),
    "filtered": lambda: openai.ContentFilterFinishReasonError(completion=_completion()),
    "instructor": lambda: Plain(last_completion=HI, total_usage=3),
    "body of an HTTP response": lambda: Plain(response=httpx.Response(422, json=HI)),
    "dict of a class that cannot be changed": lambda: Frozen(HI),
    "twice": lambda: Plain(completion=_completion(), response=httpx.Response(200, json=HI)),
    "openai-agents": lambda: Plain(
        run_data=SimpleNamespace(context_wrapper=SimpleNamespace(usage={"input_tokens": 1000, "output_tokens": 100}))
    ),
    "raised from one": lambda: _caused(openai.LengthFinishReasonError(completion=_completion())),
    "anthropic's answer": lambda: Plain(response={**ANTHROPIC_MESSAGE, "usage": {"input_tokens": 1000, "output_tokens": 100}}),
    "without an id": lambda: Plain(completion={**HI, "id": None}),
}
if sys.version_info >= (3, 11):
    BRINGING["in a group"] = lambda: builtins.ExceptionGroup("g", [BRINGING["too long"]()])  # type: ignore[list-item]


def in_a_block(error: BaseException) -> None:
    with agentlog.ai_call("gpt-4o"):
        raise error


def in_an_async_block(error: BaseException) -> None:
    async def ask() -> None:
        async with agentlog.ai_call("gpt-4o"):
            raise error

    asyncio.run(ask())


def in_a_function(error: BaseException) -> None:
    @agentlog.ai_call("gpt-4o")
    def ask() -> None:
        raise error

    ask()


def in_a_coroutine(error: BaseException) -> None:
    @agentlog.ai_call("gpt-4o")
    async def ask() -> None:
        raise error

    asyncio.run(ask())


def given_at_the_end(error: BaseException) -> None:
    call = agentlog.ai_call("gpt-4o").start()
    call.end(error=error)
    raise error


def after_a_failed_attempt(error: BaseException) -> None:
    with agentlog.ai_call("gpt-4o") as call:
        call.attempt_failed(error)
        raise error


def after_the_last_attempt(error: BaseException) -> None:
    with agentlog.ai_call("gpt-4o") as call:
        call.attempt_failed(error, maximum=1)
        raise error


def after_what_it_brings_was_given(error: BaseException) -> None:
    with agentlog.ai_call("gpt-4o") as call:
        call.attempt_failed(error, response=HI)
        raise error


def after_it_was_recorded(error: BaseException) -> None:
    with agentlog.ai_call("gpt-4o") as call:
        call.record({**HI, "id": "c1"})
        raise error


def through_two_calls(error: BaseException) -> None:
    with agentlog.ai_call("agent", operation="invoke_agent"):
        in_a_block(error)


def in_retries(error: BaseException) -> None:
    with agentlog.ai_call("gpt-4o"):
        for attempt in agentlog.retrying(attempts=1):
            with attempt:
                raise error


@pytest.mark.parametrize("name", BRINGING)
@pytest.mark.parametrize(
    "way",
    [
        *(in_a_block, in_an_async_block, in_a_function, in_a_coroutine, given_at_the_end, after_a_failed_attempt),
        *(after_the_last_attempt, after_what_it_brings_was_given, after_it_was_recorded, through_two_calls, in_retries),
    ],
    ids=lambda way: way.__name__,
)
def test_an_answer_that_an_exception_brings_counts_once(name: str, way: Any, recorded: MemorySink) -> None:
    """It was paid for, wherever the exception is seen first; the call has failed all the same."""
    if way is after_it_was_recorded and name == "anthropic's answer":
        pytest.skip("that is another answer")
    error = BRINGING[name]()
    with contextlib.suppress(type(error)), agentlog.task("t"):
        way(error)

    ends = [line for line in recorded.lines if line["type"] == "ai_response"]
    counted = [line["details"] for line in ends if "same_call_as" not in line["details"]]
    assert sum(details.get("input_tokens", 0) for details in counted) == 1000
    assert sum(details.get("output_tokens", 0) for details in counted) == 100
    assert {line["outcome"] for line in ends} == {"failed"}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_an_exception_brings_may_be_anything(name: str, recorded: MemorySink) -> None:
    """It raises nothing, nothing of it is called that does not come back, and the exception passes."""
    error = Plain()
    error.__dict__["response"] = HOSTILE[name]()
    with pytest.raises(Plain) as raised, agentlog.ai_call("m"):
        raise error

    assert raised.value is error
    assert ended(recorded)["outcome"] == "failed"


(OLLAMA,) = [sample.chunks for sample in SAMPLES if sample.name == "ollama"]


@pytest.mark.parametrize("sample", FAILED, ids=lambda sample: sample.name)
class TestInBandFailures:
    """An error inside the answer is the call's."""

    def test_fails_the_call(self, sample: FailedSample, recorded: MemorySink) -> None:
        """Outcome, level, code and message of a failed call, whether the error is the answer or a part of a stream."""
        ways = 0
        for way in (sample.answer, sample.chunks or None):
            if way is None:
                continue
            ways += 1
            with agentlog.ai_call("m") as call:
                if isinstance(way, list):
                    list(call.stream(iter(way)))
                else:
                    call.record(way)

        ends = [line for line in recorded.lines if line["type"] == "ai_response"]
        assert len(ends) == ways
        for line in ends:
            exception = line["exception"]
            assert (line["outcome"], line["level"]) == ("failed", "ERROR")
            assert (exception["type"], exception["message"]) == (sample.failure.code or "ModelError", sample.failure.message)
            assert exception["error_id"]

    async def test_fails_an_async_call(self, sample: FailedSample, recorded: MemorySink) -> None:
        """The same in an async stream."""
        given_chunks = sample.chunks or [sample.answer]

        async def chunks() -> AsyncIterator[Any]:
            for chunk in given_chunks:
                yield chunk

        async with agentlog.ai_call("m") as call:
            async for _ in call.stream(chunks()):
                pass

        assert ended(recorded)["outcome"] == "failed"


class TestOutcomes:
    """Who decides how a call ended."""

    def test_an_exception_of_the_users_code_goes_first(self, recorded: MemorySink) -> None:
        """What was raised is the error, as the user's code saw it."""

        def work() -> None:
            with agentlog.ai_call("m") as call:
                call.record(FAILURE)
                raise ValueError("mine")

        with pytest.raises(ValueError):
            work()

        assert ended(recorded)["exception"]["type"] == "ValueError"

    def test_a_word_of_the_users_code_goes_first(self, recorded: MemorySink) -> None:
        """An outcome that is given is the outcome."""
        call = agentlog.ai_call("m").start()
        call.record(FAILURE)
        call.end("completed")

        assert ended(recorded)["outcome"] == "completed"

    def test_the_last_answer_counts(self, recorded: MemorySink) -> None:
        """A call that succeeds after an error in the answer is completed; tokens given by hand change nothing."""
        with agentlog.ai_call("m") as call:
            call.record(FAILURE)
            call.record(HI)
        with agentlog.ai_call("m") as call:
            call.record(FAILURE)
            call.usage(input_tokens=3)

        assert [line["outcome"] for line in recorded.lines if line["type"] == "ai_response"] == ["completed", "failed"]

    def test_a_failed_attempt_has_the_providers_words(self, recorded: MemorySink) -> None:
        """An attempt whose answer is an error says why."""
        with agentlog.ai_call("m") as call:
            call.attempt_failed(response=FAILURE, maximum=2)
            call.record(HI)

        (attempt,) = [line for line in recorded.lines if line["type"] == "attempt"]
        assert attempt["details"]["reason"] == "rate_limit_exceeded: slow down"
        assert ended(recorded)["outcome"] == "completed"

    def test_a_cancelled_response_is_cancelled(self, recorded: MemorySink) -> None:
        """A response that was cancelled at the provider is no failure and no success."""
        with agentlog.ai_call("m") as call:
            call.record({"object": "response", "status": "cancelled", "output": []})

        line = ended(recorded)
        assert (line["outcome"], line["reason"]) == ("cancelled", "response cancelled")

    def test_a_decorated_function_that_returns_an_error(self, recorded: MemorySink) -> None:
        """The result of a decorated function is read like any answer."""

        @agentlog.ai_call("m")
        def ask() -> dict[str, Any]:
            return FAILURE

        assert ask() is FAILURE
        assert ended(recorded)["outcome"] == "failed"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_sample_is_on_the_line(sample: Sample, recorded: MemorySink) -> None:
    """Tokens of every provider's answer and stream, as an AI call records them."""
    with agentlog.ai_call("m", provider=sample.provider) as call:
        call.record(sample.answer)
    if sample.chunks:
        with agentlog.ai_call("m", provider=sample.provider) as call:
            list(call.stream(iter(sample.chunks)))

    for line in recorded.lines:
        if line["type"] == "ai_response":
            details = line["details"]
            assert {name: details[name] for name in USAGE_FIELDS if name in details} == sample.usage.known()
            assert line["outcome"] == "completed"


def test_a_failed_call_is_among_the_errors(tasks_root: Path) -> None:
    """Code, message and id are found by the question for errors, and the folder is valid."""
    with agentlog.task("t", task_id="t"), agentlog.ai_call("gpt-5", provider="openai") as call:
        call.record(FAILURE)

    task = find_task(tasks_root, "t")
    (line,) = [line for line in task.events() if line["type"] == "ai_response"]
    (error,) = find_errors(tasks_root, [], error_id=line["exception"]["error_id"])
    assert error.exception["type"] == "rate_limit_exceeded"
    assert [str(problem) for problem in validate(task.folder).problems] == []


@pytest.mark.parametrize(
    ("amount", "recorded"), [(0.1 + 0.2, 0.3), (0.0006510000000000001, 0.000651), (1e-10, 1e-10), (0.0, 0.0)]
)
def test_costs_have_no_noise_of_binary_fractions(amount: float, recorded: float, tmp_path: Path) -> None:
    """In lines, in totals and in what is sent they are what they mean."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off")
    with agentlog.task("t", task_id="t"), agentlog.ai_call("m") as call:
        call.cost(amount)
    agentlog.shutdown()
    task = find_task(tmp_path / "tasks", "t")
    (line,) = [each for each in task.events() if each["type"] == "ai_response"]
    assert repr(line["details"]["cost_usd"]) == repr(recorded)
    assert (task.final_result() or {})["metrics"]["cost_usd"] == recorded


def test_what_is_known_of_a_request_only_at_its_end(recorded: MemorySink) -> None:
    """Model, messages, system and tools are on the end line; the span is named by the model."""
    with agentlog.task("t"), agentlog.ai_call("", provider="openai") as call:
        call.asked(model="gpt-4o", messages=[{"role": "user", "content": "hi"}], system="be brief", tools=[{"name": "f"}])

    start, end = recorded.of(type="ai_request")[0], recorded.of(type="ai_response")[0]
    assert "messages" not in start.get("details", {})
    assert (end["message"], end["name"], end["details"]["model"]) == ("gpt-4o", "chat gpt-4o", "gpt-4o")
    assert end["details"]["messages"] == [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    assert {"system", "tools"} <= end["details"].keys()


def test_what_a_call_says_of_itself(recorded: MemorySink) -> None:
    """Tokens and cost so far; nothing is made up."""
    with agentlog.task("t"), agentlog.ai_call("of nobody") as call:
        assert (call.tokens, call.cost_usd) == ({}, None)
        call.usage(input_tokens=3, cost_usd=0.5)
        assert (call.tokens, call.cost_usd) == ({"input_tokens": 3}, 0.5)


def test_what_is_told_outside_a_task_after_the_end_is_nothing(recorded: MemorySink) -> None:
    """There is no task whose calls are counted: it adds no line, and raises nothing."""
    with agentlog.ai_call("m") as call:
        call.usage(input_tokens=3)
    call.usage(input_tokens=4)
    call.cost(1)
    call.record({"usage": {"input_tokens": 5}})

    assert len(recorded.of(type="ai_response")) == 1

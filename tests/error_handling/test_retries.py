"""Trying again: what is tried again, how long one waits, what is recorded, and what passes untouched."""

from __future__ import annotations

import asyncio
import concurrent.futures
import email.utils
import errno
import os
import signal
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.error_handling.retries import Retrying, can_help, requested_wait_s
from otel_agentlog.record.recorder import recorder
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink, recording
from tests.support.app_logs import whole_log
from tests.support.providers.replies import ANTHROPIC_MESSAGE, CHAT_COMPLETION, Json
from tests.support.providers.server import Break, ProviderServer, Refuse, Reply

MESSAGES = [{"role": "user", "content": "hello"}]


class HttpError(Exception):
    """As HTTP clients raise it."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(f"status {status}")
        self.status_code = status
        self.response = SimpleNamespace(status_code=status, headers={k.replace("_", "-"): v for k, v in headers.items()})


def failing(*errors: BaseException) -> Callable[[], str]:
    """A function that raises these, one in each call, and then returns."""
    left = iter(errors)

    def work() -> str:
        for error in left:
            raise error
        return "done"

    return work


def again(**how: Any) -> Retrying:
    """A policy without waits to speak of."""
    return agentlog.retrying(**{"first_wait_s": 0.0, **how})


def details(sink: MemorySink) -> list[dict[str, Any]]:
    """What the attempts' lines say."""
    return [line["details"] for line in sink.of(type="attempt")]


# -- the loop and the decorator ----------------------------------------------------------------------------------------


def test_a_decorated_function_is_tried_until_it_returns(recorded: MemorySink) -> None:
    """Two failures and a success are three lines of one run, which says how many attempts there were."""
    work = again()(failing(OSError("busy"), ConnectionError("gone")))

    with agentlog.task("job"), agentlog.tool("flaky") as run:
        run.result = work()

    first, second, third = recorded.of(type="attempt")
    assert [line["action"] for line in (first, second, third)] == ["attempt_failed", "attempt_failed", "attempt_succeeded"]
    assert {key: first["details"][key] for key in ("number", "maximum", "error_type", "reason", "wait_ms")} == {
        "number": 1,
        "maximum": 4,
        "error_type": "OSError",
        "reason": "busy",
        "wait_ms": 0.0,
    }
    assert (second["details"]["number"], third["details"]["number"]) == (2, 3)
    assert {line["span_id"] for line in (first, second, third)} == {run.span_id}
    (end,) = recorded.of(type="tool_result")
    assert (end["details"]["attempts"], end["details"]["result"], end["outcome"]) == (3, "done", "completed")


def test_the_last_failure_is_recorded_and_passes(recorded: MemorySink) -> None:
    """When the attempts are used up the exception passes as it is; the run counts as many attempts as there were."""
    errors = [OSError(f"busy {number}") for number in range(3)]

    with pytest.raises(OSError, match="busy 2") as caught, agentlog.tool("flaky"):
        again(attempts=3)(failing(*errors))()

    assert caught.value is errors[2]
    assert [(one["number"], one["maximum"], one.get("gave_up")) for one in details(recorded)] == [
        *((1, 3, None), (2, 3, None)),
        (3, 3, "attempts used up"),
    ]
    assert recorded.ends()[0]["details"]["attempts"] == 3


def test_a_loop_tries_a_block_again(recorded: MemorySink) -> None:
    """``for attempt in retrying(): with attempt:`` runs the block until it succeeds, and then no more."""
    work, numbers = failing(OSError("busy")), []

    with agentlog.tool("flaky"):
        for attempt in again():
            with attempt:
                numbers.append(attempt.number)
                result = work()

    assert (result, numbers) == ("done", [1, 2])


def test_a_loop_whose_block_is_left_alone_ends() -> None:
    """Who never enters the block has nothing to try again; who breaks out of it is let go."""
    assert [attempt.number for attempt in again()] == [1]

    for attempt in again():
        with attempt:
            break


async def test_coroutines_and_async_loops_are_tried_again(recorded: MemorySink) -> None:
    """The same in ``async`` code, with ``with`` and ``async with``."""
    work, other = failing(OSError("busy")), failing(OSError("busy"))

    @again()
    async def decorated() -> str:
        await asyncio.sleep(0)
        return work()

    with agentlog.tool("flaky") as run:
        assert await decorated() == "done"
        async for attempt in again():
            async with attempt:
                assert other() == "done"

    assert run.attempts == 3
    assert [one["number"] for one in details(recorded)] == [1, 2, 1, 2]


def test_methods_and_bare_decorators(recorded: MemorySink) -> None:
    """Methods of every kind keep their receiver and name; the decorator needs no parentheses."""

    class Agent:
        @again()
        def ask(self, text: str) -> str:
            """Ask."""
            return text

        @staticmethod
        @again()
        def static() -> str:
            return "static"

        @agentlog.retrying
        def bare(self) -> str:
            return "bare"

    assert (Agent().ask("x"), Agent.static(), Agent().bare()) == ("x", "static", "bare")
    assert (Agent.ask.__name__, Agent.ask.__doc__) == ("ask", "Ask.")


def test_generators_are_refused() -> None:
    """What a generator has yielded cannot be taken back."""

    def generator() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        again()(generator)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"attempts": 0}, {"attempts": True}, {"attempts": 1.5}, {"first_wait_s": -1}, {"max_wait_s": float("nan")}),
        *({"max_wait_s": float("inf")}, {"budget_s": "1"}, {"retry_on": 5}, {"retry_on": (OSError, "x")}, {"retry_on": int}),
        *({"retry_on": BaseException}, {"retry_on": "OSError"}),
    ],
)
def test_values_that_cannot_be_used_are_refused(wrong: dict[str, Any]) -> None:
    """By name and value, when the policy is made."""
    with pytest.raises(agentlog.ConfigurationError, match=next(iter(wrong))):
        agentlog.retrying(**wrong)


def test_one_policy_serves_many_threads(recorded: MemorySink) -> None:
    """A policy holds no state of a try."""
    policy = again(attempts=3)

    def one(number: int) -> str:
        return policy(failing(OSError("a"), OSError("b")))()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(40))) == ["done"] * 40


# -- what is tried again -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        *(HttpError(status) for status in (408, 409, 425, 429, 500, 502, 503, 529)),
        *(TimeoutError(), ConnectionResetError(), OSError(errno.EAGAIN, "again"), RuntimeError("odd"), EOFError()),
        HttpError(400, x_should_retry="true"),
    ],
    ids=repr,
)
def test_what_may_succeed_is_tried_again(error: Exception) -> None:
    """Timeouts, lost connections, busy servers, and what nothing is known of."""
    assert again()(failing(error))() == "done"


@pytest.mark.parametrize(
    "error",
    [
        *(HttpError(status) for status in (400, 401, 402, 403, 404, 405, 413, 422, 501)),
        *(ValueError("bad"), TypeError("bad"), KeyError("bad"), PermissionError("no"), FileNotFoundError("no")),
        *(NotImplementedError(), AssertionError(), NameError("x"), AttributeError("x"), ImportError("x")),
        *(concurrent.futures.CancelledError(), HttpError(503, x_should_retry="false")),
        urllib.error.HTTPError("http://x", 404, "no", Message(), None),
    ],
    ids=repr,
)
def test_what_cannot_succeed_is_not_tried_again(error: Exception) -> None:
    """Validation, permission, faults of the program, cancellation; the server's own word counts most."""
    with pytest.raises(type(error)):
        again()(failing(error))()


def test_an_error_that_cannot_be_mended_is_one_attempt(recorded: MemorySink) -> None:
    """It is recorded as the last attempt, and counts as no retry."""
    with pytest.raises(HttpError), agentlog.tool("flaky"):
        again()(failing(HttpError(422)))()

    (one,) = details(recorded)
    assert (one["number"], one["maximum"], one["status"], one["category"]) == (1, 1, 422, "VALIDATION")
    assert one["gave_up"] == "another attempt cannot help"
    assert "wait_ms" not in one
    assert recorded.of(type="tool_result")[0]["details"]["attempts"] == 1


def test_a_group_is_tried_again_if_all_of_it_may_succeed() -> None:
    """One member that cannot succeed is enough to give up. Python 3.10 has groups only in packages."""

    class Group(Exception):
        def __init__(self, *exceptions: Exception) -> None:
            super().__init__("a group")
            self.exceptions = exceptions

    assert can_help(Group(OSError("busy"), Group(TimeoutError())))
    assert not can_help(Group(OSError("busy"), Group(ValueError("bad"))))
    assert requested_wait_s(Group(HttpError(429, retry_after="2"), HttpError(429, retry_after="7"))) == 7


def test_the_user_says_what_is_tried_again() -> None:
    """By class, by classes, by a function; where the function raises, the error it looked at passes."""
    assert again(retry_on=ValueError)(failing(ValueError("bad")))() == "done"
    assert again(retry_on=(ValueError, KeyError))(failing(KeyError("bad")))() == "done"
    assert again(retry_on=lambda error: "bad" in str(error))(failing(ValueError("bad")))() == "done"
    with pytest.raises(OSError, match="busy"):
        again(retry_on=ValueError)(failing(OSError("busy")))()
    with pytest.raises(OSError, match="busy"):
        again(retry_on=lambda error: 1 / 0)(failing(OSError("busy")))()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), asyncio.CancelledError()], ids=repr)
def test_ends_pass_at_once_and_unrecorded(recorded: MemorySink, error: BaseException) -> None:
    """Whatever ``retry_on`` says, what is no error is never tried again."""
    with pytest.raises(type(error)):
        again(retry_on=lambda error: True)(failing(error))()

    assert recorded.lines == []


def test_a_declared_cancellation_is_not_tried_again() -> None:
    """An exception whose class says that it stands for a cancellation ends the attempts, whatever ``retry_on`` says."""

    class Stop(Exception):
        agentlog_outcome = agentlog.Outcome.CANCELLED

    with pytest.raises(Stop):
        again(retry_on=Stop)(failing(Stop()))()


# -- waits -------------------------------------------------------------------------------------------------------------


def test_waits_double_and_are_half_by_lot(recorded: MemorySink) -> None:
    """The n-th wait lies between the half and the whole of first_wait_s times 2^(n-1), and never above max_wait_s."""
    for _ in range(20):
        with pytest.raises(OSError, match="busy"):
            again(first_wait_s=0.0008, max_wait_s=0.003, attempts=5)(failing(*[OSError("busy")] * 5))()

    waits: dict[int, set[float]] = {}
    for one in details(recorded):
        if "wait_ms" in one:
            waits.setdefault(one["number"], set()).add(one["wait_ms"])
    for number, whole in ((1, 0.8), (2, 1.6), (3, 3.0), (4, 3.0)):
        assert all(whole / 2 - 0.001 <= wait <= whole + 0.001 for wait in waits[number])
        assert len(waits[number]) > 1


def test_an_attempt_that_would_begin_too_late_is_not_made(recorded: MemorySink) -> None:
    """The budget counts from the first attempt and includes the wait that would follow."""
    began = time.monotonic()
    with pytest.raises(HttpError):
        again(budget_s=60, max_wait_s=3600)(failing(HttpError(429, retry_after="600")))()

    assert details(recorded)[0]["gave_up"] == "time used up"
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        *(({"retry_after": "7"}, 7.0), ({"Retry_After": " 2.5 "}, 2.5), ({"retry_after_ms": "250"}, 0.25)),
        *(({"retry_after_ms": "250", "retry_after": "7"}, 0.25), ({"retry_after_ms": "soon", "retry_after": "7"}, 7.0)),
        *(({"retry_after": value}, None) for value in ("0", "-3", "nan", "inf", "1_0", "soon", "", "9" * 200)),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_what_a_server_asks_for_is_understood(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds; nonsense and times gone by are as if nothing had been said."""
    assert requested_wait_s(HttpError(429, **headers)) == seconds


def test_a_date_to_wait_for_is_understood() -> None:
    """An HTTP date is the time from now until then."""
    asked = requested_wait_s(HttpError(503, retry_after=email.utils.formatdate(time.time() + 3600, usegmt=True)))

    assert asked is not None
    assert 3000 < asked <= 3600


def test_headers_are_found_where_clients_keep_them() -> None:
    """On the error itself (urllib), in botocore's parsed answer, in objects with ``get``."""
    headers = Message()
    headers["Retry-After"] = "4"
    botocore = RuntimeError("throttled")
    botocore.response = {"ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": "5"}}}  # type: ignore[attr-defined]

    assert requested_wait_s(urllib.error.HTTPError("http://x", 429, "no", headers, None)) == 4
    assert requested_wait_s(botocore) == 5


def test_what_is_asked_is_waited_but_not_longer_than_allowed(recorded: MemorySink) -> None:
    """The wait is that of the server and up to a tenth more, and max_wait_s at most."""
    again(max_wait_s=30)(failing(HttpError(429, retry_after="0.01")))()
    again(max_wait_s=0.02)(failing(HttpError(429, retry_after="3600")))()

    (first, _, second, _) = details(recorded)
    assert 10 <= first["wait_ms"] <= 11
    assert (first["retry_after_ms"], second["retry_after_ms"]) == (10.0, 3_600_000.0)
    assert second["wait_ms"] == 20.0


class _Liar:
    """A response whose attributes raise."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.floats(), st.builds(_Liar)), st.sampled_from("ab"))
def test_no_header_breaks_the_judgement(value: Any, where: str) -> None:
    """Whatever a header or response is, the answer is yes or no and a number or none."""
    error = RuntimeError("odd")
    names = ("retry-after", "retry-after-ms", "x-should-retry")
    error.response = SimpleNamespace(headers=dict.fromkeys(names, value)) if where == "a" else value  # type: ignore[attr-defined]

    assert can_help(error) in (True, False)
    asked = requested_wait_s(error)
    assert asked is None or 0 < asked < float("inf")


_ENDS: dict[str, Callable[[], Exception | None]] = {
    "fine": lambda: None,
    "busy": lambda: OSError("busy"),
    "asked": lambda: HttpError(429, retry_after_ms="0.01"),
    "wrong": lambda: ValueError("wrong"),
}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(sorted(_ENDS)), min_size=1, max_size=6), st.integers(1, 5))
def test_every_course_of_attempts_is_recorded_as_it_was(ends: list[str], attempts: int) -> None:
    """As many calls as lines, numbered without a gap; one more follows where a line says so; the end counts them all."""
    ends = [*ends, "fine"]
    stops = [number for number, how in enumerate(ends, 1) if how in ("fine", "wrong") or number == attempts]
    calls, last = stops[0], ends[stops[0] - 1]
    work = iter([_ENDS[how]() for how in ends])

    def step() -> None:
        if (error := next(work)) is not None:
            raise error

    with recording() as sink:
        caught: Exception | None = None
        try:
            with agentlog.tool("t") as run:
                again(attempts=attempts)(step)()
        except Exception as error:
            caught = error

    assert (caught is None) == (last == "fine")
    lines = sink.of(type="attempt")
    failed = [line["details"] for line in lines if line["action"] == "attempt_failed"]
    assert [one["number"] for one in failed] == list(range(1, calls + (last != "fine")))
    assert [one["number"] < one["maximum"] for one in failed] == [number < calls for number in range(1, len(failed) + 1)]
    assert [line["details"]["number"] for line in lines[len(failed) :]] == ([calls] if last == "fine" and calls > 1 else [])
    assert run.attempts == calls


# -- interrupts and cancellation ---------------------------------------------------------------------------------------


async def test_a_cancelled_wait_ends_at_once(recorded: MemorySink) -> None:
    """Cancelling an asyncio task that waits for its next attempt ends the AI call as cancelled."""

    async def work() -> None:
        async with agentlog.ai_call("m"):
            async for attempt in agentlog.retrying(first_wait_s=3600, max_wait_s=3600):
                with attempt:
                    raise OSError("busy")

    task = asyncio.create_task(work())
    while not recorded.of(type="attempt"):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)

    assert recorded.ends()[0]["outcome"] == "cancelled"


def test_ctrl_c_ends_a_wait(recorded: MemorySink) -> None:
    """SIGINT while waiting raises KeyboardInterrupt there and then; the run is interrupted."""
    done = threading.Event()

    def interrupt() -> None:
        # Again and again: the first may come in the moment before the wait begins.
        while not done.wait(0.05):
            if recorded.of(type="attempt"):
                os.kill(os.getpid(), signal.SIGINT)
                return

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt), agentlog.tool("flaky"):
            agentlog.retrying(first_wait_s=3600, max_wait_s=3600)(failing(OSError("busy")))()
    finally:
        done.set()
        thread.join()

    assert recorded.ends()[0]["outcome"] == "interrupted"


# -- where attempts are recorded ---------------------------------------------------------------------------------------


def test_attempts_within_a_step_of_a_run_are_those_of_the_run(recorded: MemorySink) -> None:
    """Steps within a tool run belong to it; a sub-task is a thing of its own."""
    with agentlog.task("job"), agentlog.tool("outer") as run, agentlog.step("inside"):
        again()(failing(OSError("busy")))()
        with agentlog.task("sub"):
            again()(failing(OSError("busy")))()

    assert [line["span_id"] == run.span_id for line in recorded.of(type="attempt")] == [True, True, False, False]
    assert run.attempts == 2


def test_without_a_run_attempts_are_recorded_where_they_happen(tasks_root: Path) -> None:
    """In the current step, where they count as retries of the task; outside of everything in the application log."""
    with agentlog.task("job", task_id="job-1"), agentlog.step("plan"):
        again()(failing(OSError("busy")))()
    again()(failing(OSError("elsewhere")))()
    agentlog.shutdown()

    reader = TaskReader(tasks_root / "job-1")
    attempts = [line for line in reader.events() if line["type"] == "attempt"]
    assert [(line["step_id"], line["action"]) for line in attempts] == [("plan", "attempt_failed"), ("plan", "attempt_succeeded")]
    assert (reader.final_result() or {})["metrics"]["retries"] == 1
    assert "elsewhere" in whole_log(tasks_root.parent / "logs")


def test_without_configuration_retries_work() -> None:
    """Nothing is recorded and everything is tried again."""
    assert again()(failing(OSError("busy")))() == "done"


def test_a_recorder_that_fails_does_not_change_the_attempts() -> None:
    """A sink that raises costs lines, never an attempt."""

    def broken(line: Any) -> None:
        raise OSError("disk full")

    with recording() as sink:
        recorder().sinks = (broken, sink)
        with agentlog.tool("flaky"):
            assert again()(failing(OSError("busy")))() == "done"

    assert len(details(sink)) == 2


# -- tokens and cost ---------------------------------------------------------------------------------------------------


def test_what_failed_attempts_cost_counts(recorded: MemorySink) -> None:
    """A response that was recorded and then could not be used is paid for, but is not the call's answer."""
    answers = iter(["no JSON", '{"fine": true}'])

    with agentlog.ai_call("m", provider="openai") as call:
        for attempt in again(retry_on=ValueError):
            with attempt:
                text = next(answers)
                call.record(_completion(text))
                if not text.startswith("{"):
                    raise ValueError(text)

    (end,) = recorded.ends()
    first = details(recorded)[0]
    assert (first["input_tokens"], first["output_tokens"]) == (10, 5)
    assert (end["details"]["input_tokens"], end["details"]["output_tokens"]) == (20, 10)
    assert [part["content"] for part in end["details"]["output"]] == ['{"fine": true}']


def test_a_completion_on_the_error_counts(recorded: MemorySink) -> None:
    """openai.LengthFinishReasonError brings the completion that was paid for."""
    error = RuntimeError("too long")
    error.completion = _completion("half")  # type: ignore[attr-defined]

    with agentlog.ai_call("m", provider="openai") as call:
        again()(failing(error))()
        call.record(_completion("whole"))

    assert recorded.ends()[0]["details"]["input_tokens"] == 20


def test_costs_of_all_attempts_are_summed(recorded: MemorySink) -> None:
    """Also those that the provider itself reports."""

    def billed(cost: float) -> Json:
        completion = _completion("x")
        completion["usage"]["cost"] = cost
        return completion

    with agentlog.ai_call("m", provider="openrouter") as call:
        call.attempt_failed(OSError("cut"), response=billed(0.25))
        call.record(billed(0.5))

    (end,) = recorded.ends()
    assert (end["details"]["cost_usd"], end["details"]["price"]["source"]) == (0.75, "provider")


def _completion(text: str) -> Json:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {**CHAT_COMPLETION, "choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


# -- with the real clients ---------------------------------------------------------------------------------------------


def _ask_anthropic(server: ProviderServer, max_retries: int) -> Any:
    import anthropic

    with anthropic.Anthropic(base_url=server.anthropic_url, api_key="test", max_retries=max_retries) as client:
        return client.messages.create(model="claude-haiku-4-5", max_tokens=10, messages=MESSAGES)  # type: ignore[arg-type]


def _ask_openai(server: ProviderServer, max_retries: int) -> Any:
    import openai

    with openai.OpenAI(base_url=server.openai_url, api_key="test", max_retries=max_retries) as client:
        return client.chat.completions.create(model="gpt-5", messages=MESSAGES)  # type: ignore[arg-type]


REAL = pytest.mark.parametrize(
    ("provider", "ask", "tokens"),
    [("anthropic", _ask_anthropic, (2400, 50)), ("openai", _ask_openai, (2400, 50))],
    ids=["anthropic", "openai"],
)


@REAL
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_refused_call_is_tried_again_with_the_real_client(
    tasks_root: Path, provider: str, ask: Callable[..., Any], tokens: tuple[int, int]
) -> None:
    """429 twice, then success: three attempts in the folder, one span, right totals, and the waits that the server asked for."""
    with ProviderServer() as server, agentlog.task("job", task_id="job-1"):
        server.script(Refuse(429, (("retry-after", "1"),)), Refuse(429, (("retry-after-ms", "300"),)), Reply())
        with agentlog.ai_call("the-model", provider=provider) as call:
            for attempt in agentlog.retrying(first_wait_s=0.001):
                with attempt:
                    response = ask(server, max_retries=0)
            call.record(response)

    reader = TaskReader(tasks_root / "job-1")
    lines = list(reader.events())
    attempts = [line for line in lines if line["type"] == "attempt"]
    assert [(line["action"], line["details"]["number"]) for line in attempts] == [
        *(("attempt_failed", 1), ("attempt_failed", 2)),
        ("attempt_succeeded", 3),
    ]
    assert [line["details"]["status"] for line in attempts[:2]] == [429, 429]
    assert {line["span_id"] for line in attempts} == {call.span_id}
    assert len([line for line in lines if line["type"] == "ai_request"]) == 1
    (end,) = [line for line in lines if line["type"] == "ai_response"]
    assert (end["details"]["input_tokens"], end["details"]["output_tokens"], end["details"]["attempts"]) == (*tokens, 3)
    metrics = (reader.final_result() or {})["metrics"]
    assert (metrics["ai_calls"], metrics["retries"], metrics["errors"]) == (1, 2, 0)
    assert (metrics["input_tokens"], metrics["output_tokens"]) == tokens
    came = [request.received_s for request in server.requests]
    waited = [line["details"]["wait_ms"] / 1000 for line in attempts[:2]]
    assert waited[0] >= 1
    assert waited[1] >= 0.3
    # The clock of the wait is rounded to a millisecond in the line.
    assert came[1] - came[0] >= waited[0] - 0.002
    assert came[2] - came[1] >= waited[1] - 0.002
    assert validate(tasks_root / "job-1").problems == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_the_anthropic_client_tries_again_by_itself_is_counted(tasks_root: Path) -> None:
    """Its own span says how often it sent the request again."""
    with ProviderServer() as server, agentlog.task("job", task_id="job-1"):
        server.script(Refuse(429), Refuse(429))
        with agentlog.ai_call("the-model", provider="anthropic") as call:
            call.record(_ask_anthropic(server, max_retries=2))

    reader = TaskReader(tasks_root / "job-1")
    (end,) = [line for line in reader.events() if line["type"] == "ai_response"]
    assert end["details"]["attempts"] == 3
    assert (reader.final_result() or {})["metrics"]["retries"] == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tokens_of_a_stream_that_broke_count(tasks_root: Path) -> None:
    """What a cut stream had reported is added to what the next attempt used."""
    import anthropic

    with ProviderServer() as server, agentlog.ai_call("the-model", provider="anthropic") as call:
        server.script(Break(6), Reply())
        client = anthropic.Anthropic(base_url=server.anthropic_url, api_key="test", max_retries=0)
        for attempt in again():
            with attempt, client.messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=True) as stream:  # type: ignore[arg-type]
                list(call.stream(stream))
        client.close()

    whole = ANTHROPIC_MESSAGE["usage"]["output_tokens"]
    assert call.attempts == 2
    assert call.tokens["input_tokens"] == 2 * 2400
    assert call.tokens["output_tokens"] >= whole

"""`testing.replay`: code of a test against a task on record."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

import otel_agentlog as agentlog
from otel_agentlog.errors import AgentlogError
from otel_agentlog.testing import record_in, replay
from otel_agentlog.tools.replay.inside import RecordedError, error_of
from otel_agentlog.vocabulary import functions
from tests.support.providers.server import ProviderServer

MODEL = "claude-opus-4-6"
CALLED: list[str] = []
"""The functions that ran."""


@agentlog.tool("Look up")
def look_up(name: str) -> dict[str, str]:
    """A tool that costs something."""
    CALLED.append(name)
    if name == "nobody":
        raise KeyError(name)
    return {"found": name}


@agentlog.tool("Wait")
async def wait(name: str) -> str:
    """An async one."""
    CALLED.append(name)
    return f"waited for {name}"


@agentlog.ai_call("tiny", provider="home-made")
def tiny(prompt: str) -> str:
    """A model that no client asks."""
    CALLED.append(prompt)
    return f"tiny says {len(CALLED)}"


def agent(prompt: str = "Read a.py.", *, base_url: str | None = None) -> str:
    """What is tested."""
    messages: Any = [{"role": "user", "content": prompt}]
    with agentlog.task("Review", input="go") as task:
        with (
            agentlog.ai_call(MODEL, provider="anthropic", messages=messages) as call,
            anthropic.Anthropic(base_url=base_url) as client,
        ):
            answer = client.messages.create(model=MODEL, max_tokens=9, messages=messages)
            call.record(answer)
        look_up("a.py")
        with pytest.raises(KeyError, match="nobody"):
            look_up("nobody")
        task.output(asyncio.run(wait("b.py")) + tiny("Hm?"))
        task.result = next(block.text for block in answer.content if block.type == "text")
    return str(task.result)


@pytest.fixture(scope="module")
def on_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a task that ran with a provider, which is gone."""
    with (
        pytest.MonkeyPatch.context() as patch,
        record_in(tmp_path_factory.mktemp("production")) as recorded,
        ProviderServer() as server,
    ):
        patch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-production")
        agent(base_url=server.anthropic_url)
    return recorded.task("Review").folder


@pytest.fixture(autouse=True)
def _nothing_called() -> Iterator[None]:
    CALLED.clear()
    yield
    assert functions.IN_PLACE is None


Replaying = Callable[..., Any]


def test_a_task_becomes_a_test(on_record: Path, agentlog_replay: Replaying) -> None:
    """No key, no provider; tools run, and nothing differs."""
    before = dict(os.environ)
    with agentlog_replay(on_record) as replayed:
        assert os.environ["ANTHROPIC_API_KEY"] == "agentlog-replay"
        assert agent().startswith("I will read the file")
        replayed.assert_same()

    replayed.assert_same()
    assert CALLED == ["a.py", "nobody", "b.py"]  # the home-made model is answered
    assert (replayed.answered, replayed.differences) == (2, [])
    assert replayed.recorded.task("Review").cost_usd == 0
    assert dict(os.environ) == before
    assert replayed.notes == [
        "AI call 2: what was asked was not recorded, so it is answered in order and not compared",
        "AI call 2: the local server does not stand in for home-made; decorated functions are answered, anything else runs",
        "AI call 2: tokens were not recorded; to Anthropic's client they are 0",
    ]


def test_tools_are_answered_with_results_and_errors(on_record: Path, agentlog_replay: Replaying) -> None:
    """Of any kind of function; none runs."""
    with agentlog_replay(on_record, tools=True) as replayed:
        agent()

    replayed.assert_same()
    assert CALLED == []


def test_a_changed_prompt_fails_the_test_and_says_where(on_record: Path, agentlog_replay: Replaying) -> None:
    """With the words that differ."""
    with agentlog_replay(on_record) as replayed:
        agent("Read b.py.")

    with pytest.raises(AssertionError) as told:
        replayed.assert_same()
    assert "parts from the record at: task Review › AI call claude-opus-4-6 (AI call 1): other prompt\n" in str(told.value)
    assert "-user: Read a.py.\n+user: Read b.py." in str(told.value)


def test_other_machines_are_out_of_reach(on_record: Path, agentlog_replay: Replaying) -> None:
    """In the block; a client that has an address of its own gets an error, and nobody is asked."""
    with agentlog_replay(on_record):
        with pytest.raises(ConnectionRefusedError, match="agentlog replay refuses"):
            socket.create_connection(("192.0.2.1", 9), 0.01)
        with pytest.raises(anthropic.APIConnectionError), agentlog.task("x"):
            anthropic.Anthropic(base_url="https://api.anthropic.com", max_retries=0).messages.create(
                model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "Hm?"}]
            )
    with pytest.raises(OSError) as refused:
        socket.create_connection(("192.0.2.1", 9), 0.01)
    assert "agentlog" not in str(refused.value)


def test_what_cannot_be_replayed_is_told_at_once(on_record: Path, tmp_path: Path) -> None:
    """A folder that is none, and one without the answers."""
    with pytest.raises(AgentlogError, match="expected the folder of a task, found none"), replay(tmp_path):
        pass
    with record_in(tmp_path / "other") as recorded, agentlog.task("Review"), agentlog.ai_call(MODEL, provider="anthropic"):
        pass
    with pytest.raises(AgentlogError, match=r"cannot be replayed:\n  AI call 1 .*: its answer was not recorded"):
        replay(recorded.task().folder).__enter__()


def test_nothing_recorded_is_told(on_record: Path) -> None:
    """By name."""
    with replay(on_record) as replayed:
        pass
    with pytest.raises(AssertionError, match=r"expected a task as on record in .*, found 0"):
        replayed.assert_same()


@pytest.mark.parametrize(
    "error",
    [
        *(
            KeyError("a"),
            KeyError(("a", 1)),
            ValueError("no"),
            FileNotFoundError(2, "No such file or directory", "x"),
            OSError("odd"),
        ),
        *(TimeoutError(), ZeroDivisionError("division by zero"), UnicodeDecodeError("utf-8", b"a", 0, 1, "bad")),
    ],
    ids=repr,
)
def test_errors_on_record_are_raised_as_what_they_were(error: Exception) -> None:
    """Of their class and with their attributes, where that can be made; else as what says the same."""
    made = error_of({"type": type(error).__name__, "message": str(error)})

    if isinstance(error, UnicodeDecodeError):
        assert isinstance(made, RecordedError)
        assert str(error) in str(made)
    else:
        assert (type(made), str(made), getattr(made, "errno", None)) == (type(error), str(error), getattr(error, "errno", None))

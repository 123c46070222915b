"""Hostile objects at entry points that take more than they look into: ids, names, whole mappings, lists of messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.record.sanitize.keys import own_dict, plain_text
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.validation.validate import validate
from tests.record.hostile_values import HOSTILE, Blocking, Untouchable

SMALL = {name: make for name, make in HOSTILE.items() if "MB" not in name and "million" not in name}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set-up that writes folders there."""
    agentlog.configure(
        service_name="hostile", directory=tmp_path, log_directory=tmp_path / ".logs", console="off", recover_on_start=False
    )
    return tmp_path


def _bound(value: Any) -> None:
    with agentlog.bind(correlation_id=value, session_id=value, instance_id=value, note=value):
        agentlog.get_logger("hostile").info("bound")


def _step_id(value: Any) -> None:
    with agentlog.step("bound", step_id=value):
        pass


def _attributes(value: Any) -> None:
    with agentlog.step("bound", attributes=value):
        pass


def _messages(value: Any) -> None:
    with agentlog.ai_call("bound", provider="hostile", messages=value) as call:
        call.record(value)


@pytest.mark.parametrize("entry", [_bound, _step_id, _attributes, _messages])
def test_every_object_is_recorded_and_none_raises(entry: Callable[[Any], None], root: Path) -> None:
    """Objects that raise, lie or never come back are put where ids, mappings and messages belong; each leaves its record."""
    with agentlog.task("hostile", task_id="hostile"):
        for make in SMALL.values():
            entry(make())
    agentlog.shutdown()
    lines = [line for line in TaskReader(root / "hostile").events() if line.get("message") == "bound" or "bound" in str(line)]

    assert len(lines) >= len(SMALL)
    assert not [found for found in validate(root / "hostile").problems if found.severity == "error"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_task_says_anything(root: Path, stream: bool) -> None:
    """What is said need not be a text."""
    with agentlog.task("says", task_id="says") as task:
        for make in SMALL.values():
            task.output(make(), stream=stream)
            task.thinking(make(), stream=stream)
        task.result = Untouchable()
    agentlog.shutdown()
    said = [line for line in TaskReader(root / "says").events() if line.get("type") in ("output", "thinking")]

    assert len(said) >= (1 if stream else 2 * len(SMALL))
    assert not [found for found in validate(root / "says").problems if found.severity == "error"]


def test_a_task_takes_any_id(root: Path) -> None:
    """An id that raises or blocks when asked for its text still gives a task with a folder."""
    for value in (Untouchable(), Blocking(), 5, b"id", ("a", 1)):
        with agentlog.task("any id", task_id=value):  # type: ignore[arg-type]  # what this is about
            pass
    agentlog.shutdown()

    assert len(list(root.glob("*/04-final-result.json"))) == 5


def test_a_million_messages_are_cut_and_the_cut_is_told(root: Path) -> None:
    """Nothing is done for messages that would be left out anyway."""
    with agentlog.task("many", task_id="many"), agentlog.ai_call("model", provider="hostile", messages=["hi"] * 1_000_000):
        pass
    agentlog.shutdown()
    request = next(line for line in TaskReader(root / "many").events() if line["type"] == "ai_request")

    assert len(request["details"]["messages"]) <= 1000
    assert "of 1000000 messages left out" in str(request["details"]["messages"][-1])


def test_a_message_of_a_million_parts_is_cut_and_the_cut_is_told(root: Path) -> None:
    """The same for what one message holds."""
    messages = [{"role": "user", "content": [1] * 1_000_000}]
    with agentlog.task("many", task_id="many"), agentlog.ai_call("model", provider="hostile", messages=messages):
        pass
    agentlog.shutdown()
    request = next(line for line in TaskReader(root / "many").events() if line["type"] == "ai_request")

    parts = request["details"]["messages"][0]["parts"]
    assert len(parts) <= 1000
    assert "of 1000000 parts left out" in str(parts[-1])


def test_an_id_is_bounded(root: Path) -> None:
    """An id stands on every line, so that it must not be larger than any of them."""
    with agentlog.task("long", task_id="long"), agentlog.bind(correlation_id="c" * 20_000_000):
        agentlog.get_logger("hostile").info("short")
    agentlog.shutdown()

    assert (root / "long" / "03-agent-output.jsonl").stat().st_size < 20_000


@pytest.mark.parametrize("name", SMALL)
def test_any_object_has_a_text_and_is_a_mapping(name: str) -> None:
    """Neither runs the object's code or raises."""
    value = SMALL[name]()

    assert type(plain_text(value)) is str
    assert type(own_dict(value, "given")) is dict

"""loguru by one line: ``logger.add(AgentlogHandler())``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import loguru
import pytest

import otel_agentlog as agentlog
from otel_agentlog.testing import MemorySink


@pytest.fixture
def logger() -> Iterator[Any]:
    """Loguru's logger with our handler alone."""
    loguru.logger.remove()
    loguru.logger.add(agentlog.AgentlogHandler())
    yield loguru.logger
    loguru.logger.remove()


def logged(recorded: MemorySink) -> list[dict[str, Any]]:
    return [line for line in recorded.lines if line["type"] == "log"]


def test_a_message_is_a_line(recorded: MemorySink, logger: Any) -> None:
    """Its text alone, level, place in the code, values, and the task it was logged in."""
    with agentlog.task("job") as task:
        logger.bind(order=7).warning("sent {} of {total}", 3, total=4)
        logger.log(45, "done")
    first, second = logged(recorded)
    assert (first["message"], first["level"], first["logger"], first["task_id"]) == (
        "sent 3 of 4",
        "WARNING",
        __name__,
        task.task_id,
    )
    assert (first["module"], first["function"]) == ("test_loguru", "test_a_message_is_a_line")
    assert first["details"] == {"order": 7, "total": 4}
    assert (second["level"], second["details"]) == ("ERROR", {"level_name": "Level 45"})


def test_an_exception_is_one(recorded: MemorySink, logger: Any) -> None:
    """With type, message and traceback, and not as text of the message."""
    try:
        raise ValueError("out of stock")
    except ValueError as error:
        logger.exception("broke")
        logger.opt(exception=error).error("broke again")

    @logger.catch
    def caught() -> None:
        raise KeyError("x")

    caught()
    lines = logged(recorded)
    assert [line["message"] for line in lines[:2]] == ["broke", "broke again"]
    assert [line["exception"]["type"] for line in lines] == ["ValueError", "ValueError", "KeyError"]
    assert lines[0]["exception"]["message"] == "out of stock"
    assert any("out of stock" in text for text in lines[0]["exception"]["traceback"])
    assert lines[1]["exception"]["error_id"] == lines[0]["exception"]["error_id"]


def test_levels_and_filters_of_the_handler_hold(recorded: MemorySink) -> None:
    """Those that ``logging`` has for handlers."""
    handler = agentlog.AgentlogHandler(logging.ERROR)
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    number = loguru.logger.add(handler)
    loguru.logger.warning("low")
    loguru.logger.error("secret")
    loguru.logger.error("high")
    loguru.logger.remove(number)
    assert [line["message"] for line in logged(recorded)] == ["high"]


class Odd:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


@pytest.mark.parametrize("extra", [{"msg": 1, "args": (2,)}, {"odd": Odd()}, {"name": "x", "exc_info": True}, {"text": "\ud800"}])
def test_any_value_is_taken(extra: dict[str, Any], recorded: MemorySink, logger: Any) -> None:
    """Also under the names that records of ``logging`` have."""
    logger.bind(**extra).warning("noted")
    (line,) = logged(recorded)
    assert line["message"] == "noted"
    assert set(line["details"]) == (set(extra) if set(extra) & {"odd", "text"} else {"extra"})


def test_as_a_plain_stream_it_does_nothing(recorded: MemorySink) -> None:
    """What is no message of loguru is not ours."""
    print("text", file=agentlog.AgentlogHandler())  # type: ignore[call-overload]
    assert logged(recorded) == []

"""loguru by one line: ``logger.add(AgentlogHandler())``."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import loguru
import pytest

import otel_agentlog as agentlog
from otel_agentlog.record.logs.stdlib_bridge import install_stdlib, uninstall_stdlib
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


# -- a message that comes by two ways --------------------------------------------------------------------------------------


class Propagate(logging.Handler):
    """To ``logging``, as loguru's documentation has it."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


class Intercept(logging.Handler):
    """From ``logging``, as loguru's documentation has it."""

    def emit(self, record: logging.LogRecord) -> None:
        loguru.logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())


@pytest.fixture
def watched(recorded: MemorySink) -> Iterator[MemorySink]:
    """All stdlib loggers are recorded, too; loguru has no handler, and what is added to the root logger is taken off."""
    loguru.logger.remove()
    root = logging.getLogger()
    before = [*root.handlers]
    install_stdlib()
    yield recorded
    uninstall_stdlib()
    loguru.logger.remove()
    for handler in [*root.handlers]:
        if handler not in before:
            root.removeHandler(handler)


def messages(recorded: MemorySink) -> list[str]:
    return [line["message"] for line in logged(recorded) if line["message"].startswith("said")]


def say_by_loguru() -> None:
    """Two that are alike, one with an exception, one with values, one whose ``extra`` is that of the last."""
    for _ in range(2):
        loguru.logger.warning("said")
    try:
        raise ValueError("no")
    except ValueError:
        loguru.logger.exception("said: broke")
    shared = {"order": 7}
    for _ in range(2):
        loguru.logger.patch(lambda record: record.update(extra=shared)).error("said with values")


SAID = ["said", "said", "said: broke", "said with values", "said with values"]


@pytest.mark.parametrize("form", ["{message}", "{time} | {message}"])
@pytest.mark.parametrize("first", [True, False], ids=["ours first", "ours last"])
@pytest.mark.parametrize("in_root", [True, False], ids=["and in the root logger", "alone"])
def test_what_loguru_passes_on_is_recorded_once(form: str, first: bool, in_root: bool, watched: MemorySink) -> None:
    """By our handler or by the hook in all loggers, whichever comes first."""
    if in_root:
        logging.getLogger().addHandler(agentlog.AgentlogHandler())
    for ours in (True, False) if first else (False, True):
        loguru.logger.add(agentlog.AgentlogHandler() if ours else Propagate(), format=form)
    say_by_loguru()
    assert len(logged(watched)) == len(SAID)
    if first or form == "{message}":
        assert [each.split("\n")[0] for each in messages(watched)] == SAID


@pytest.mark.parametrize("hooked", [True, False], ids=["all loggers", "our handler only"])
@pytest.mark.parametrize("first", [True, False], ids=["ours first", "ours last"])
def test_what_logging_passes_on_to_loguru_is_recorded_once(hooked: bool, first: bool, watched: MemorySink) -> None:
    """By the hook in all loggers, or by our handler of the root logger, before loguru's or after it."""
    if not hooked:
        uninstall_stdlib()
    own = [] if hooked else [agentlog.AgentlogHandler()]
    for handler in [*own, Intercept()] if first else [Intercept(), *own]:
        logging.getLogger().addHandler(handler)
    loguru.logger.add(agentlog.AgentlogHandler())
    source = logging.getLogger("said.by")
    for _ in range(2):
        source.warning("said %s", "once")
    try:
        raise ValueError("no")
    except ValueError:
        source.exception("said: broke")
    loguru.logger.warning("said by loguru itself")
    assert messages(watched) == ["said once", "said once", "said: broke", "said by loguru itself"]
    assert [line["exception"]["type"] for line in logged(watched) if "exception" in line] == ["ValueError"]


def test_what_loguru_says_of_itself_meanwhile_is_another_line(watched: MemorySink) -> None:
    """A handler of ``logging`` that has something to say by loguru, and one of loguru that says it by ``logging``."""

    class Says(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "said.by":
                loguru.logger.warning("said by a handler")

    for handler in (Says(), Intercept()):
        logging.getLogger().addHandler(handler)
    loguru.logger.add(agentlog.AgentlogHandler())
    sink = logging.getLogger("sink")
    sink.propagate = False  # or it would come back
    sink.addHandler(logging.StreamHandler(io.StringIO()))
    loguru.logger.add(lambda message: sink.warning("said by a sink"), filter=lambda record: record["message"] != "said")
    logging.getLogger("said.by").warning("said")
    assert sorted(messages(watched)) == ["said", "said by a handler", "said by a sink"]


def test_what_our_handler_does_not_take_comes_by_logging(watched: MemorySink) -> None:
    """A level of our handler's holds for our handler only."""
    loguru.logger.add(agentlog.AgentlogHandler(), level="ERROR")
    loguru.logger.add(Propagate(), format="{message}")
    for number in range(20):
        (loguru.logger.error if number % 2 else loguru.logger.warning)("said")
    assert len(messages(watched)) == 20


@pytest.mark.parametrize("in_between", [True, False], ids=["by way of logging", "directly"])
def test_what_structlog_renders_into_loguru_is_recorded_once(in_between: bool, watched: MemorySink) -> None:
    """By `record_event`, before it is text."""
    import structlog

    into: Any = loguru.logger
    if in_between:
        logging.getLogger().addHandler(Intercept())
        into = logging.getLogger("said.by")
    loguru.logger.add(agentlog.AgentlogHandler())
    chain = [agentlog.record_event, structlog.processors.KeyValueRenderer(key_order=["event"])]
    log = structlog.wrap_logger(into, processors=chain, wrapper_class=structlog.BoundLogger)
    log.warning("said", order=7)
    log.warning("said", order=8)
    loguru.logger.warning("said by loguru itself")
    lines = [line for line in logged(watched) if "said" in line["message"]]
    assert [line["message"] for line in lines] == ["said", "said", "said by loguru itself"]
    assert [line["details"] for line in lines[:2]] == [{"order": 7}, {"order": 8}]

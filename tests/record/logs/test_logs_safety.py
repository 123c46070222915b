"""Log lines with exceptions, hostile values and secrets; logging from within logging."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.record.logs.levels import LogSettings, configure_logs, put_in_use
from otel_agentlog.record.logs.logger import get_logger
from otel_agentlog.record.logs.structlog_bridge import record_event
from otel_agentlog.record.recorder import Recorder, recorder, use
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.testing import MemorySink, recording
from otel_agentlog.vocabulary.envelope import Envelope


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """Everything is wanted, and what was set before is set again afterwards."""
    before = configure_logs("DEBUG")
    yield
    put_in_use(before)


class Hostile:
    """An object that cannot be looked at."""

    def __str__(self) -> str:
        raise RuntimeError("no str")

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise RuntimeError("no bool")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no eq")

    __hash__ = None  # type: ignore[assignment]


def _exceptions(recorded: MemorySink) -> list[dict[str, Any]]:
    return [line["exception"] for line in recorded.lines if "exception" in line]


def _fail(log: Any, **details: Any) -> None:
    """Raise an exception that is logged on its way."""
    try:
        raise ValueError("boom")
    except ValueError:
        log.exception("bad", **details)
        raise


def test_an_exception_logged_and_then_raised_is_one_error(recorded: MemorySink) -> None:
    """The log line has the traceback; the step and the task it goes through refer to the same error id."""
    with pytest.raises(ValueError), agentlog.task("job"), agentlog.step("plan"):
        _fail(get_logger("app"))

    logged, step, task = _exceptions(recorded)
    assert (logged["type"], logged["message"]) == ("ValueError", "boom")
    assert logged["traceback"][0] == "Traceback (most recent call last):"
    assert logged["traceback"][-1] == "ValueError: boom"
    assert {logged["error_id"]} == {step["error_id"], task["error_id"]}
    assert "traceback" not in step
    assert "traceback" not in task


def test_forms_of_exc_info(recorded: MemorySink) -> None:
    """True, an exception, stdlib's triple; nothing where there is none."""
    log = get_logger("app")
    error = ValueError("boom")
    try:
        raise error
    except ValueError:
        log.info("true", exc_info=True)
        log.info("triple", exc_info=sys.exc_info())
    log.info("itself", exc_info=error)
    for nothing in (True, False, None, (None, None, None), ()):
        log.info("nothing", exc_info=nothing)
    log.exception("nothing")

    assert len(_exceptions(recorded)) == 3
    assert len({exception["error_id"] for exception in _exceptions(recorded)}) == 1


def test_a_group_that_contains_itself(recorded: MemorySink) -> None:
    """Exceptions that cannot be printed are still recorded by type and message."""
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    get_logger("app").error("x", exc_info=first)

    assert recorded.lines[0]["exception"]["type"] == "ValueError"


def test_hostile_values_reach_nobody() -> None:
    """Objects that raise when looked at cost at most themselves: nothing is raised, and the line is there."""
    with recording(cleaner=Cleaner(Redactor())) as recorded:
        log = get_logger("app")
        log.info(Hostile())
        log.info("%s", Hostile())
        log.info("x", a=Hostile(), b=[Hostile()])
        log.bind(c=Hostile()).info("y")
        log.info("z", task_id=Hostile(), stacklevel=Hostile(), exc_info=1)

    assert [line["message"] for line in recorded.lines][1:4] == ["%s", "x", "y"]
    assert len(recorded.lines) >= 4


@settings(deadline=None)
@given(
    st.text(),
    st.dictionaries(
        st.text(), st.recursive(st.none() | st.text() | st.binary() | st.floats() | st.integers(), st.lists, max_leaves=5)
    ),
)
def test_any_event_is_recorded(event: str, details: dict[str, Any]) -> None:
    """Whatever names and values an event has, our own lines and those of a chain come out as one line each that is JSON."""
    put_in_use(LogSettings("DEBUG"))
    with recording(cleaner=Cleaner(None)) as recorded:
        get_logger("app").info(event, **details)
        event_dict = {**details, "event": event, "level": "info"}
        record_event(None, "info", event_dict)
        assert event_dict == {**details, "event": event, "level": "info"}
        assert recorder().failures == {}

    assert len(recorded.lines) == 2
    for line in recorded.lines:
        assert json.loads(json.dumps(line))["type"] == "log"


def test_nothing_secret_is_recorded() -> None:
    """Message, details, bound values, ids and exceptions are cleaned before any sink sees them."""
    secret = "sk-ant-api03-" + "aB3dE5gH7jK9mN1pQ4sT6vW8xY0zA2cD"
    with recording(cleaner=Cleaner(Redactor())) as recorded, agentlog.task("job"):
        log = get_logger("app").bind(note=f"key {secret}")
        log.set_instance_id(secret)
        try:
            raise ValueError(f"bad key {secret}")
        except ValueError:
            log.exception(f"with {secret}", password="hunter2hunter2", list=[secret])

    assert recorded.of(type="log")
    assert secret not in json.dumps(recorded.lines)
    assert "hunter2hunter2" not in json.dumps(recorded.lines)


def test_a_sink_that_logs_does_not_recurse() -> None:
    """A sink that itself logs, by us and by stdlib, ends after one more line each; what is left out is counted."""
    lines: list[str] = []
    stdlib = agentlog.AgentlogHandler()
    foreign = logging.Logger("foreign")
    foreign.addHandler(stdlib)

    def sink(envelope: Envelope) -> None:
        lines.append(envelope.line["message"])
        get_logger("sink").info("about a line")
        foreign.warning("about a line, by stdlib")

    before = use(Recorder(sinks=[sink]))
    try:
        get_logger("app").info("first")
        failures = dict(recorder().failures)
    finally:
        use(before)

    assert lines == ["first", "about a line", "about a line, by stdlib"]
    assert set(failures) == {"nested_log"}


def test_a_sink_that_raises_costs_only_itself(recorded: MemorySink) -> None:
    """The boundary of the recorder holds for log lines too."""
    kept = MemorySink()

    def broken(envelope: Envelope) -> None:
        raise OSError("disk full")

    before = use(Recorder(sinks=[broken, kept]))
    try:
        get_logger("app").info("x")
        assert recorder().failures == {"sink": 1}
    finally:
        use(before)
    assert len(kept.lines) == 1


def test_a_signal_handler_may_log_while_logging() -> None:
    """A handler that runs in the midst of a log call gets its line through."""
    lines: list[str] = []

    def sink(envelope: Envelope) -> None:
        lines.append(envelope.line["message"])
        if len(lines) == 1:
            signal.raise_signal(signal.SIGUSR1)

    handler = signal.signal(signal.SIGUSR1, lambda *_: get_logger("app").warning("shutting down"))
    before = use(Recorder(sinks=[sink]))
    try:
        get_logger("app").info("at work")
    finally:
        use(before)
        signal.signal(signal.SIGUSR1, handler)

    assert lines == ["at work", "shutting down"]


@pytest.mark.parametrize("logger", [get_logger("app"), logging.getLogger("app")], ids=["ours", "stdlib"])
def test_lines_of_signal_handlers_within_each_other_are_all_recorded(logger: Any) -> None:
    """However deep: those that cannot be recorded within another line follow right after, from the place they were made at."""
    lines: list[dict[str, Any]] = []
    depth = 0

    def sink(envelope: Envelope) -> None:
        lines.append(envelope.line)
        if depth < 7:
            signal.raise_signal(signal.SIGUSR1)

    def handler(*_: object) -> None:
        nonlocal depth
        depth += 1
        try:
            raise ValueError(depth)
        except ValueError:
            logger.exception("in signal %s", depth)

    stdlib = agentlog.AgentlogHandler()
    logging.getLogger("app").addHandler(stdlib)
    kept, before = signal.signal(signal.SIGUSR1, handler), use(Recorder(sinks=[sink]))
    try:
        logger.warning("at work")
        assert recorder().failures == {}
    finally:
        use(before)
        signal.signal(signal.SIGUSR1, kept)
        logging.getLogger("app").removeHandler(stdlib)

    assert sorted(line["message"] for line in lines) == ["at work", *(f"in signal {number}" for number in range(1, 8))]
    for line in lines:
        if line["message"] != "at work":
            assert line["exception"]["message"] == line["message"].rpartition(" ")[2]
            assert line["function"] == "handler"


def test_keyboard_interrupt_passes_and_leaves_nothing_behind() -> None:
    """What must not be swallowed is not, and the guard against recursion is open again."""
    kept = MemorySink()

    def interrupted(envelope: Envelope) -> None:
        if envelope.line["message"] == "stop":
            raise KeyboardInterrupt

    before = use(Recorder(sinks=[interrupted, kept]))
    try:
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                get_logger("app").info("stop")
        get_logger("app").info("go on")
    finally:
        use(before)

    assert [line["message"] for line in kept.lines] == ["go on"]


def test_concurrent_asyncio_tasks_keep_their_lines_apart(recorded: MemorySink) -> None:
    """200 asyncio tasks with nested steps log through one logger: no line in a wrong task, step or span."""
    log = get_logger("app")

    async def one(number: int) -> None:
        async with agentlog.task("job", task_id=f"t-{number}"):
            for name in ("a", "b"):
                async with agentlog.step(f"{name}{number}"):
                    await asyncio.sleep(0)
                    log.info("outer", number=number, step=f"{name}{number}")
                    async with agentlog.step(f"{name}{number}.inner"):
                        await asyncio.sleep(0)
                        log.info("inner", number=number, step=f"{name}{number}.inner")

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(200)))

    asyncio.run(all_of_them())

    lines = recorded.of(type="log")
    spans = {line["span_id"]: line for line in recorded.of(phase="start")}
    assert len(lines) == 800
    for line in lines:
        said = line["details"]
        assert line["task_id"] == f"t-{said['number']}"
        assert line["step_id"] == spans[line["span_id"]]["step_id"] == said["step"]

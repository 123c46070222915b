"""`add_ids`, `record_event` and `seed_json` in structlog chains of a user's own."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.contextvars import bound_contextvars

import otel_agentlog as agentlog
from otel_agentlog.record.logs.levels import configure_logs, put_in_use
from otel_agentlog.record.logs.structlog_bridge import add_ids, record_event, seed_json
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.testing import MemorySink, recording


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


_JSON = structlog.processors.JSONRenderer()


def _chain(*processors: Any, logger: Any = None) -> Any:
    out = io.StringIO()
    wrapped = logger if logger is not None else structlog.PrintLogger(out)
    return structlog.wrap_logger(wrapped, processors=list(processors), wrapper_class=structlog.BoundLogger), out


def test_add_ids(recorded: MemorySink) -> None:
    """All ids of the place are put on the event, and none that is there already is changed."""
    log, out = _chain(add_ids, _JSON)
    with agentlog.task("job", task_id="t-1", correlation_id="c-1") as task, agentlog.step("plan") as step:
        log.info("x", correlation_id="mine")
    log.info("y")

    first, second = (json.loads(row) for row in out.getvalue().splitlines())
    assert first == {
        "event": "x",
        "task_id": "t-1",
        "step_id": "plan",
        "correlation_id": "mine",
        "trace_id": task.trace_id,
        "span_id": step.span_id,
    }
    assert second == {"event": "y"}


def test_record_event_in_a_usual_chain(recorded: MemorySink) -> None:
    """An event is recorded with what the usual processors found out, and the user's renderer says what it always said."""
    processors = structlog.processors
    usual = [
        structlog.stdlib.add_log_level,
        processors.TimeStamper(fmt="iso"),
        processors.CallsiteParameterAdder(
            {processors.CallsiteParameter.MODULE, processors.CallsiteParameter.FUNC_NAME, processors.CallsiteParameter.LINENO}
        ),
        processors.StackInfoRenderer(),
        processors.format_exc_info,
    ]
    log, out = _chain(*usual, add_ids, record_event, _JSON)
    with agentlog.task("job", task_id="t-1"):
        try:
            raise ValueError("boom")
        except ValueError:
            log.bind(a=1).error("bad", exc_info=True, stack_info=True)

    (line,) = recorded.of(type="log")
    assert (line["level"], line["message"], line["task_id"]) == ("ERROR", "bad", "t-1")
    assert (line["module"], line["function"]) == ("test_logs_structlog", "test_record_event_in_a_usual_chain")
    assert line["exception"]["traceback"][-1] == "ValueError: boom"
    assert (line["exception"]["type"], line["exception"]["message"]) == ("ValueError", "boom")
    assert line["details"]["a"] == 1
    assert set(line["details"]) == {"a", "stack_info"}
    rendered = json.loads(out.getvalue())
    assert rendered["exception"].endswith("ValueError: boom")
    assert rendered["stack"].startswith("Stack")


def test_record_event_consumes_nothing(recorded: MemorySink) -> None:
    """It stands before the exception is formatted, and the formatter after it still finds the exception."""
    log, out = _chain(record_event, structlog.dev.set_exc_info, structlog.processors.format_exc_info, _JSON)
    with pytest.raises(ValueError), agentlog.task("job"):
        _fail(log, filename="a.txt")

    logged, task = _exceptions(recorded)
    assert logged["error_id"] == task["error_id"]
    assert logged["traceback"][-1] == "ValueError: boom"
    assert "Traceback" in json.loads(out.getvalue())["exception"]
    (line,) = recorded.of(type="log")
    assert line["details"] == {"filename": "a.txt"}
    assert (line["level"], line["logger"], line["function"]) == ("ERROR", __name__, "_fail")


def test_record_event_keeps_levels(recorded: MemorySink) -> None:
    """What is below our level is not recorded, and still rendered."""
    configure_logs("ERROR", {"loud": "DEBUG"})
    log, out = _chain(record_event, _JSON)
    log.info("a")
    log.info("b", component="loud")

    assert [line["message"] for line in recorded.lines] == ["b"]
    assert len(out.getvalue().splitlines()) == 2


def test_ids_found_out_earlier_place_an_event_that_is_recorded_elsewhere(recorded: MemorySink) -> None:
    """Recorded in a thread without context, ids put on by `add_ids` still bring the event to its task and span."""
    events: list[dict[str, Any]] = []

    def collect(logger: Any, method: str, event_dict: Any) -> Any:
        events.append(dict(event_dict))
        raise structlog.DropEvent

    log, _ = _chain(add_ids, collect)
    with agentlog.task("job", task_id="t-1"), agentlog.step("plan") as step:
        log.info("x")
        thread = threading.Thread(target=record_event, args=(None, "info", events[0]))
        thread.start()
        thread.join()

    (line,) = recorded.of(type="log")
    assert (line["task_id"], line["trace_id"]) == ("t-1", step.trace_id)


def test_ids_that_are_none_stay_data(recorded: MemorySink) -> None:
    """What is called like an id and has not its form does not become one."""
    record_event(None, "info", {"event": "x", "trace_id": "nonsense", "span_id": 7})

    (line,) = recorded.lines
    assert line["details"] == {"trace_id": "nonsense", "span_id": 7}
    assert "trace_id" not in line


def test_async_structlog_logger(recorded: MemorySink) -> None:
    """structlog's own async methods run the chain in a thread, with our context."""
    log = structlog.wrap_logger(
        structlog.PrintLogger(io.StringIO()),
        processors=[record_event, _JSON],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )

    async def main() -> None:
        async with agentlog.task("job", task_id="t-1"):
            await log.ainfo("x")

    asyncio.run(main())

    (line,) = recorded.of(type="log")
    assert line["task_id"] == "t-1"
    assert "function" not in line


def test_seed_json(recorded: MemorySink) -> None:
    """The renderer gives the seed's fields, each always there, with the traceback even if the exception was recorded before."""
    log, out = _chain(structlog.stdlib.add_log_level, record_event, seed_json)
    with agentlog.task("job", task_id="t-1", instance_id="i-1"):
        try:
            raise ValueError("boom")
        except ValueError:
            log.exception("bad", a=1)
    log.info("fine")

    first, second = (json.loads(row) for row in out.getvalue().splitlines())
    fields = [
        "timestamp",
        "level",
        "logger",
        "message",
        "module",
        "function",
        "line",
        "context",
        "task_id",
        "instance_id",
        "exception",
    ]
    assert list(first)[: len(fields)] == list(second)[: len(fields)] == fields
    assert (first["level"], first["message"], first["context"]) == ("ERROR", "bad", {"a": 1})
    assert (first["task_id"], first["instance_id"]) == ("t-1", "i-1")
    assert first["exception"]["type"] == "ValueError"
    assert first["exception"]["traceback"][-1] == "ValueError: boom"
    assert (second["exception"], second["task_id"], second["context"]) == (None, None, {})


def test_seed_json_does_not_take_the_traceback_from_the_folder(recorded: MemorySink) -> None:
    """Rendering alone is no recording: the end of the step still has the traceback."""
    log, _ = _chain(seed_json)
    with pytest.raises(ValueError), agentlog.task("job"):
        _fail(log)

    (task,) = _exceptions(recorded)
    assert task["traceback"][-1] == "ValueError: boom"


def test_seed_json_survives_everything() -> None:
    """It is the end of somebody's chain and must return text, redacted."""
    with recording(cleaner=Cleaner(Redactor())):
        rendered = seed_json(None, "info", {"event": Hostile(), "password": "hunter2hunter2", "x": {1: Hostile()}})
    assert "hunter2hunter2" not in json.dumps(json.loads(rendered))

    with recording():
        assert "could not be rendered" in json.loads(seed_json(None, "info", {"event": "x", "y": object()}))["message"]


async def test_log_calls_can_be_awaited(tasks_root: Path) -> None:
    """All of structlog's names for it, with the place of the ``await``; an exception that is handled comes along."""
    log = agentlog.get_logger("async").bind(who="me")
    with agentlog.task("t", task_id="t"):
        await log.adebug("not recorded at this level")
        for call in (log.ainfo, log.awarning, log.aerror, log.acritical, log.amsg, log.awarn, log.afatal):
            await call("said %s", 1, extra=2)
        await log.alog("warning", "by name")
        try:
            raise ValueError("no")
        except ValueError:
            await log.aexception("failed")
    lines = [line for line in find_task(tasks_root, "t").events() if line["type"] == "log"]
    levels = ["INFO", "WARNING", "ERROR", "CRITICAL", "INFO", "WARNING", "CRITICAL", "WARNING", "ERROR"]
    assert [line["level"] for line in lines] == levels
    assert {line["message"] for line in lines} == {"said 1", "by name", "failed"}
    assert {line["function"] for line in lines} == {"test_log_calls_can_be_awaited"}
    assert lines[0]["details"] == {"who": "me", "extra": 2}
    assert lines[-1]["exception"]["message"] == "no"


def test_what_structlog_binds_to_the_context_is_on_our_lines(tasks_root: Path) -> None:
    """Nearer values stand before it; ids become keys; unbound it is gone."""
    log = agentlog.get_logger("x")
    with agentlog.task("t", task_id="t"):
        with bound_contextvars(request_id="r1", who="all", correlation_id="c1"):
            log.info("one")
            log.bind(who="me").info("two", request_id="r2")
        log.info("three")
    one, two, three = (line for line in find_task(tasks_root, "t").events() if line["type"] == "log")
    assert (one["details"], one["correlation_id"]) == ({"request_id": "r1", "who": "all"}, "c1")
    assert two["details"] == {"request_id": "r2", "who": "me"}
    assert "details" not in three
    assert "correlation_id" not in three

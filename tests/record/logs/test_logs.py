"""`get_logger`: what a log line is, where it belongs, loggers and their levels."""

from __future__ import annotations

import copy
import json
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import otel_agentlog as agentlog
from otel_agentlog.record.logs.levels import LogSettings, configure_logs, number_of, put_in_use, word_of
from otel_agentlog.record.logs.logger import get_logger
from otel_agentlog.record.recorder import Recorder, use
from otel_agentlog.testing import FixedClock, MemorySink, recording


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


def test_a_log_line_whole() -> None:
    """One call is one line with all keys of the format, timestamp first, in the order of the format."""
    clock = FixedClock()
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with (
        recording(clock=clock, tracer=tracer) as recorded,
        agentlog.task("job", task_id="t-1") as task,
        agentlog.step("plan") as step,
    ):
        log = get_logger("reviewer.core", agentlog.Component.INSTANCE)
        log.info("files %s", "read", files=3)
        line_number = sys._getframe().f_lineno - 1

    (line,) = recorded.of(type="log")
    assert line.pop("event_id")
    assert list(line.items()) == [
        ("timestamp", "2026-11-21T05:22:01.123456789Z"),
        ("type", "log"),
        ("level", "INFO"),
        ("component", "instance"),
        ("logger", "reviewer.core"),
        ("message", "files read"),
        ("module", "test_logs"),
        ("function", "test_a_log_line_whole"),
        ("line", line_number),
        ("details", {"files": 3}),
        ("task_id", "t-1"),
        ("step_id", "plan"),
        ("trace_id", task.trace_id),
        ("span_id", step.span_id),
    ]
    assert recorded.envelopes[2].task is task.task
    assert recorded.envelopes[2].items == 1


def test_a_line_outside_every_task_has_the_ids_there_are(recorded: MemorySink) -> None:
    """Outside a task: correlation ids that were bound, other bound values as attributes, and the current span of anybody."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("theirs")
    with agentlog.bind(correlation_id="c-1", session_id="s-1", tenant="acme"), tracer.start_as_current_span("request") as span:
        get_logger("app").warning("careful")
    get_logger("app").info("bare")

    ids = span.get_span_context()
    first, second = recorded.lines
    assert recorded.envelopes[0].task is None
    assert (first["correlation_id"], first["session_id"], first["attributes"]) == ("c-1", "s-1", {"tenant": "acme"})
    assert (first["trace_id"], first["span_id"]) == (trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id))
    assert not {"task_id", "trace_id", "span_id", "correlation_id", "attributes", "component", "details"} & set(second)


def test_lines_find_their_files(tasks_root: Path) -> None:
    """With a real folder: a line of a task stands in the task's file, one outside of any in the application log."""
    configure_logs("DEBUG")
    with agentlog.task("job", task_id="t-1"):
        get_logger("app").info("inside")
    get_logger("app").info("outside")

    (inside,) = [line for line in _lines(tasks_root / "t-1" / "03-agent-output.jsonl") if line["type"] == "log"]
    (outside,) = _lines(tasks_root.parent / "logs" / "test.jsonl")
    assert (inside["message"], inside["task_id"]) == ("inside", "t-1")
    assert (outside["message"], "task_id" in outside) == ("outside", False)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for row in path.read_bytes().splitlines()]


def test_a_line_stands_in_the_innermost_span(recorded: MemorySink) -> None:
    """Inside a span of another library, within a step, the line is that span's and still the step's."""
    provider = TracerProvider(shutdown_on_exit=False)
    with agentlog.task("job"), agentlog.step("plan"), provider.get_tracer("http").start_as_current_span("GET") as span:
        get_logger("app").info("inside")

    (line,) = recorded.of(type="log")
    assert line["span_id"] == trace.format_span_id(span.get_span_context().span_id)
    assert line["step_id"] == "plan"


def test_what_is_bound_inside_an_operation_counts_at_once(recorded: MemorySink) -> None:
    """A correlation id bound within a step stands on the next line, before any further operation starts."""
    with agentlog.task("job", correlation_id="outer"), agentlog.step("plan"):
        get_logger("app").info("before")
        with agentlog.bind(correlation_id="inner"):
            get_logger("app").info("within")
        get_logger("app").info("after")

    assert [line["correlation_id"] for line in recorded.of(type="log")] == ["outer", "inner", "outer"]


def test_a_line_after_the_end_is_not_the_ended_steps(recorded: MemorySink) -> None:
    """What is logged after a step ended belongs to the task around it, also if the step was ended by hand."""
    with agentlog.task("job") as task:
        step = agentlog.step("plan")
        with step:
            step.end()
            get_logger("app").info("late")

    (line,) = recorded.of(type="log")
    assert (line["span_id"], "step_id" in line) == (task.span_id, False)


def test_every_level_has_its_word(recorded: MemorySink) -> None:
    """Methods, aliases and numbers; a number between two words gets the lower one."""
    log = get_logger("app")
    for say in (log.debug, log.info, log.msg, log.warning, log.warn, log.error, log.critical, log.fatal, log.exception):
        say("x")
    for level in (5, 25, 35, 99, "warning", "Fatal", "nonsense"):
        log.log(level, "x")

    words = ["DEBUG", "INFO", "INFO", "WARNING", "WARNING", "ERROR", "CRITICAL", "CRITICAL", "ERROR"]
    by_number = ["INFO", "WARNING", "CRITICAL", "WARNING", "CRITICAL", "INFO"]  # 5 is below DEBUG, the general level
    assert [line["level"] for line in recorded.lines] == words + by_number


@given(st.integers(min_value=-5, max_value=200))
def test_word_and_number_agree(number: int) -> None:
    """The word of a number names a level that is not above it, unless there is none below."""
    assert number_of(word_of(number)) <= max(number, 10)


def test_name_is_the_calling_modules(recorded: MemorySink) -> None:
    """Without a name the logger is called like the module that asked for it."""
    log = get_logger()
    log.info("x")

    assert (log.name, log.component) == (__name__, None)
    assert recorded.lines[0]["logger"] == __name__


def test_stacklevel_and_stack_info(recorded: MemorySink) -> None:
    """A function that logs for others can name its caller, and the stack can be asked for."""

    def helper() -> None:
        get_logger("app").info("x", stacklevel=2, stack_info=True)

    helper()

    (line,) = recorded.lines
    assert line["function"] == "test_stacklevel_and_stack_info"
    assert line["details"]["stack_info"][-1].strip() == "helper()"


def test_message_forms(recorded: MemorySink) -> None:
    """``%`` with positions or a mapping; what does not fit is kept beside the text as it is; ``event=`` works too."""
    log = get_logger("app")
    log.info("%s of %s", 1, 2)
    log.info("%(a)s", {"a": 1})
    log.info("100 %", 1)
    log.info(42)
    log.info(event="named")
    log.info()
    log.info("given", event="twice", self=1, level=2)

    lines = recorded.lines
    assert [line["message"] for line in lines] == ["1 of 2", "1", "100 %", "42", "named", "", "given"]
    assert lines[2]["details"] == {"args": [1]}
    assert lines[6]["details"] == {"event": "twice", "self": 1, "level": 2}


def test_bind_unbind_new(recorded: MemorySink) -> None:
    """Bound values stand on the lines of the logger they were bound to and those bound from it, nowhere else."""
    log = get_logger("app")
    bound = log.bind(a=1, b=2)
    for logger in (bound, bound.unbind("a"), bound.try_unbind("zzz"), bound.new(c=3), bound.bind(a=9), bound, log):
        logger.info("x")

    details = [line.get("details") for line in recorded.lines]
    assert details == [{"a": 1, "b": 2}, {"b": 2}, {"a": 1, "b": 2}, {"c": 3}, {"a": 9, "b": 2}, {"a": 1, "b": 2}, None]
    assert isinstance(bound, structlog.BoundLoggerBase)
    assert (bound.name, bound.component) == ("app", None)


def test_sticky_ids(recorded: MemorySink) -> None:
    """``set_task_id`` and ``set_instance_id`` return nothing, stick to that logger and go over to those bound from it later."""
    log = get_logger("app")
    before = log.bind()
    assert log.set_task_id("t-9") is None  # type: ignore[func-returns-value]
    assert log.set_instance_id("i-9") is None  # type: ignore[func-returns-value]
    for logger in (log, log.bind(a=1), before):
        logger.info("x")
    log.set_task_id(None)
    log.set_instance_id(None)
    log.info("x")

    ids = [(line.get("task_id"), line.get("instance_id")) for line in recorded.lines]
    assert ids == [("t-9", "i-9"), ("t-9", "i-9"), (None, None), (None, None)]
    assert all("task_id" not in line.get("details", {}) for line in recorded.lines)


def test_a_sticky_task_id_leads_into_an_open_task(recorded: MemorySink) -> None:
    """A logger told about a task that is open in this process brings lines there from where there is none: a bare thread."""
    log = get_logger("app")
    with agentlog.task("job", task_id="t-1", correlation_id="c-1") as task:
        log.set_task_id("t-1")
        thread = threading.Thread(target=log.info, args=("from a thread",))
        thread.start()
        thread.join()
    log.info("after its end")

    inside, after = recorded.of(type="log")
    envelopes = {envelope.line["message"]: envelope for envelope in recorded.envelopes if envelope.line["type"] == "log"}
    assert (inside["task_id"], inside["trace_id"], inside["correlation_id"]) == ("t-1", task.trace_id, "c-1")
    assert envelopes["from a thread"].task is task.task
    assert (after["task_id"], envelopes["after its end"].task) == ("t-1", None)


def test_a_sticky_id_does_not_lead_out_of_the_current_task(recorded: MemorySink) -> None:
    """Inside another task the line stays there; the logger's own id is kept as a detail, the same one is not said twice."""
    log = get_logger("app")
    log.set_task_id("t-1")
    with agentlog.task("one", task_id="t-1"), agentlog.task("two", task_id="t-2"):
        log.info("x")
    with agentlog.task("one", task_id="t-1"):
        log.info("y")

    first, second = recorded.of(type="log")
    assert (first["task_id"], first["details"]) == ("t-2", {"task_id": "t-1"})
    assert (second["task_id"], "details" in second) == ("t-1", False)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda log: pickle.loads(pickle.dumps(log))])
def test_a_copied_logger_is_the_same_logger(recorded: MemorySink, again: Any) -> None:
    """Copied, deep-copied or pickled (worker processes): same name, component, bound values, and it follows levels."""
    log = again(get_logger("app", "web").bind(a=1))
    configure_logs("ERROR")
    log.info("dropped")
    configure_logs("INFO")
    log.info("kept")

    (line,) = recorded.lines
    assert (line["message"], line["logger"], line["component"], line["details"]) == ("kept", "app", "web", {"a": 1})


def test_repr_tells_no_values() -> None:
    """A logger that is itself logged, or in a traceback, does not show what was bound to it."""
    assert repr(get_logger("app", "web").bind(password="hunter2")) == "<AgentLogger 'app' component='web'>"


def test_levels_by_component_and_by_name(recorded: MemorySink) -> None:
    """The component's own level wins, then the nearest logger name's, then the general one."""
    configure_logs("WARNING", {"ai_service": "DEBUG", "app.noisy": "ERROR", "app": "INFO"})
    loggers = {
        "component": get_logger("app.noisy.x", "ai_service"),
        "name": get_logger("app.noisy.x"),
        "parent": get_logger("app.quiet"),
        "prefix only": get_logger("apple"),
    }

    enabled = {key: next(number for number in (10, 20, 30, 40, 50) if log.is_enabled_for(number)) for key, log in loggers.items()}

    assert enabled == {"component": 10, "name": 40, "parent": 20, "prefix only": 30}
    assert loggers["name"].get_effective_level() == 40


def test_loggers_made_before_follow(recorded: MemorySink) -> None:
    """Levels can be changed later, for loggers that exist and for those bound from them."""
    log = get_logger("app")
    bound = log.bind(a=1)
    before = configure_logs("ERROR")
    log.warning("no")
    bound.warning("no")
    assert put_in_use(before) == LogSettings("ERROR")
    log.warning("yes")
    bound.debug("yes")

    assert [line["message"] for line in recorded.lines] == ["yes", "yes"]


def test_a_line_that_is_not_wanted_is_not_looked_at(recorded: MemorySink) -> None:
    """Arguments of a dropped line are never touched."""
    configure_logs("INFO")
    get_logger("app").debug(Hostile(), Hostile(), x=Hostile())
    get_logger("app").log(10, Hostile())

    assert recorded.lines == []


def test_unconfigured_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Before `configure` warnings and worse go to stderr for people, nothing else does, and nothing is recorded."""
    before = use(Recorder())
    try:
        put_in_use(LogSettings())
        log = get_logger("app")
        log.info("silence")
        log.warning("careful", a=1)
        try:
            raise ValueError("boom")
        except ValueError:
            log.exception("trouble")
        configure_logs("DEBUG")
        log.info("silence")
    finally:
        use(before)

    out, err = capsys.readouterr()
    assert out == ""
    assert "WARN  app              careful  a=1" in err
    assert "ValueError: boom" in err
    assert "silence" not in err

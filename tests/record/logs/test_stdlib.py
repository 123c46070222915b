"""Records of stdlib ``logging``: what the handler records, and how it is installed without displacing anybody."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import logging.handlers
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import otel_agentlog as agentlog
from otel_agentlog.record.logs.levels import configure_logs, put_in_use
from otel_agentlog.record.logs.stdlib_bridge import AgentlogHandler, install_stdlib, uninstall_stdlib
from otel_agentlog.record.logs.structlog_bridge import record_event
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.testing import MemorySink, recording
from tests.support.otlp.receiver import OtlpReceiver


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """Everything is wanted; afterwards ``logging`` is as it was."""
    before = configure_logs("DEBUG")
    root = logging.getLogger()
    handlers, level, functions = root.handlers[:], root.level, (logging.basicConfig, logging.config.dictConfig)
    yield
    uninstall_stdlib()
    put_in_use(before)
    root.handlers[:] = handlers
    root.setLevel(level)
    assert (logging.basicConfig, logging.config.dictConfig) == functions


@pytest.fixture
def log() -> logging.Logger:
    """A stdlib logger that only our handler listens to."""
    logger = logging.Logger("app.core")
    logger.addHandler(AgentlogHandler())
    return logger


class Hostile:
    """An object that cannot be made text."""

    def __str__(self) -> str:
        raise RuntimeError("no str")

    __repr__ = __str__


# -- what is recorded ----------------------------------------------------------------------------------------------------


def test_a_record_becomes_a_line(recorded: MemorySink, log: logging.Logger) -> None:
    """Logger, origin, message, extra fields and ids stand where the format wants them."""
    with agentlog.task("job", task_id="t-1"), agentlog.step("plan") as step:
        log.warning("%s files", 3, extra={"path": "a.py", "component": "file_operations"})
        number = sys._getframe().f_lineno - 1

    (line,) = recorded.of(type="log")
    assert {key: line[key] for key in line if key not in ("timestamp", "event_id")} == {
        "type": "log",
        "level": "WARNING",
        "component": "file_operations",
        "logger": "app.core",
        "message": "3 files",
        "module": "test_stdlib",
        "function": "test_a_record_becomes_a_line",
        "line": number,
        "details": {"path": "a.py"},
        "task_id": "t-1",
        "step_id": "plan",
        "trace_id": step.trace_id,
        "span_id": step.span_id,
    }


def test_exceptions_are_one_error(recorded: MemorySink, log: logging.Logger) -> None:
    """Logged with stdlib and then raised: the operations around it refer to the same error id."""

    def fail() -> None:
        try:
            raise ValueError("boom")
        except ValueError:
            log.exception("bad")
            raise

    with pytest.raises(ValueError), agentlog.task("job"):
        fail()

    logged, ended = (line["exception"] for line in recorded.lines if "exception" in line)
    assert logged["error_id"] == ended["error_id"]
    assert (logged["traceback"][-1], "traceback" in ended) == ("ValueError: boom", False)


def test_levels_of_its_own(recorded: MemorySink, log: logging.Logger) -> None:
    """Levels that other libraries invent get the next lower word and keep their name."""
    logging.addLevelName(25, "NOTICE")
    log.log(25, "x")
    log.log(15, "y")
    log.critical("z")

    assert [line["level"] for line in recorded.lines] == ["INFO", "DEBUG", "CRITICAL"]
    assert [line.get("details") for line in recorded.lines] == [{"level_name": "NOTICE"}, {"level_name": "Level 15"}, None]


def test_levels_by_logger_name(recorded: MemorySink, log: logging.Logger) -> None:
    """`configure_logs` also names stdlib loggers."""
    configure_logs("INFO", {"app": "ERROR"})
    log.warning("no")
    log.error("yes")

    assert [line["message"] for line in recorded.lines] == ["yes"]


def test_stack_info(recorded: MemorySink, log: logging.Logger) -> None:
    """A stack is kept, one string per line."""
    log.info("x", stack_info=True)

    assert recorded.lines[0]["details"]["stack_info"][-1].strip() == 'log.info("x", stack_info=True)'


def test_messages_that_cannot_be_formatted(recorded: MemorySink, log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """The text stays as it is with its arguments beside it; nothing is raised and nothing printed."""
    log.info("%d files", "three")
    log.info("%s", Hostile())
    log.info(Hostile())

    assert [line["message"] for line in recorded.lines[:2]] == ["%d files", "%s"]
    assert recorded.lines[0]["details"] == {"args": ["three"]}
    assert len(recorded.lines) == 3
    assert capsys.readouterr() == ("", "")


def test_ids_in_extra_place_the_record(recorded: MemorySink, log: logging.Logger) -> None:
    """``extra={"task_id": …}`` brings a record of a bare thread into an open task, and is not a detail then."""
    with agentlog.task("job", task_id="t-1"):
        thread = threading.Thread(target=lambda: log.info("x", extra={"task_id": "t-1"}))
        thread.start()
        thread.join()

    (line,) = recorded.of(type="log")
    assert (line["task_id"], "details" in line) == ("t-1", False)


def test_through_a_socket(recorded: MemorySink) -> None:
    """A record that was sent to another process has its exception as text only; that becomes an exception again."""
    try:
        raise ValueError("boom")
    except ValueError:
        record = logging.Logger("sender").makeRecord("sender", 40, "a.py", 1, "bad", (), sys.exc_info())
    parcel = logging.handlers.SocketHandler("127.0.0.1", 9).makePickle(record)
    AgentlogHandler().handle(logging.makeLogRecord(pickle.loads(parcel[4:])))

    (line,) = recorded.lines
    assert (line["exception"]["type"], line["exception"]["message"]) == ("ValueError", "boom")
    assert line["exception"]["traceback"][0].startswith("Traceback")


@given(
    st.dictionaries(
        st.sampled_from(
            ["levelno", "levelname", "msg", "args", "name", "exc_info", "exc_text", "stack_info", "lineno", "created", "x"]
        ),
        st.none()
        | st.integers()
        | st.text()
        | st.tuples()
        | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.text(), st.text()),
    )
)
def test_any_record_is_survived(attributes: dict[str, Any]) -> None:
    """Records that other programs made by hand cost at most themselves."""
    configure_logs("DEBUG")
    with recording(cleaner=Cleaner(None)) as recorded:
        AgentlogHandler().handle(logging.makeLogRecord(attributes))
        logging.Logger("x").handle(logging.makeLogRecord({"levelno": 20, "msg": "fine"}))

    assert len(recorded.lines) <= 1


# -- once, and not for ever ----------------------------------------------------------------------------------------------


def test_our_own_logger_is_not_heard_twice(recorded: MemorySink) -> None:
    """Lines of `get_logger` do not pass through stdlib at all."""
    install_stdlib()
    agentlog.get_logger("app").warning("x")

    assert len(recorded.lines) == 1


def _structlog_to_stdlib(*processors: Any) -> Any:
    return structlog.wrap_logger(
        logging.getLogger("app.structlog"), processors=processors, wrapper_class=structlog.stdlib.BoundLogger
    )


@pytest.mark.parametrize(
    "ending",
    [
        (structlog.processors.JSONRenderer(),),
        (structlog.stdlib.render_to_log_kwargs,),
        (structlog.stdlib.ProcessorFormatter.wrap_for_formatter,),
        (lambda logger, method, event: str(event["event"]),),
    ],
)
def test_structlog_over_stdlib_is_recorded_once(recorded: MemorySink, ending: tuple[Any, ...]) -> None:
    """With `record_event` in the chain and our handler at the root, an event is one line, whatever the renderer."""
    install_stdlib()
    log = _structlog_to_stdlib(record_event, *ending)
    for number in range(2):
        log.warning("from structlog", number=number)
    logging.getLogger("app.structlog").warning("from stdlib")

    assert [(line["message"], line.get("details")) for line in recorded.lines] == [
        ("from structlog", {"number": 0}),
        ("from structlog", {"number": 1}),
        ("from stdlib", None),
    ]


def test_an_event_dropped_later_in_the_chain_hides_nothing(recorded: MemorySink) -> None:
    """The record that comes next from the same stdlib logger is another one, and is recorded."""
    install_stdlib()

    def drop(logger: Any, method: str, event: Any) -> Any:
        raise structlog.DropEvent

    _structlog_to_stdlib(record_event, drop).warning("dropped from the console only")
    logging.getLogger("app.structlog").warning("another")

    assert [line["message"] for line in recorded.lines] == ["dropped from the console only", "another"]


@pytest.mark.parametrize("handler_first", [True, False])
@pytest.mark.parametrize("through", ["stdlib", "structlog"])
def test_processor_formatter_and_handler_record_once(recorded: MemorySink, handler_first: bool, through: str) -> None:
    """`record_event` in one handler's formatter and `AgentlogHandler` beside it, in either order, for records of both origins."""
    logger = logging.getLogger("app.formatted")
    logger.setLevel(logging.DEBUG)
    stream = io.StringIO()
    shown = logging.StreamHandler(stream)
    shown.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                record_event,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ]
        )
    )
    handlers: list[logging.Handler] = [AgentlogHandler(), shown] if handler_first else [shown, AgentlogHandler()]
    for handler in handlers:
        logger.addHandler(handler)
    wrap = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    chain = structlog.wrap_logger(logger, processors=[wrap], wrapper_class=structlog.stdlib.BoundLogger)
    try:
        for _ in range(3):
            try:
                raise ValueError("boom")
            except ValueError:
                if through == "stdlib":
                    logger.exception("same words")
                else:
                    chain.exception("same words", exc_info=True)
    finally:
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)

    assert [line["message"] for line in recorded.lines] == ["same words"] * 3
    assert all(line["exception"]["type"] == "ValueError" and line["level"] == "ERROR" for line in recorded.lines)
    assert len(stream.getvalue().splitlines()) >= 3


def test_what_senders_say_while_sending_is_ignored(recorded: MemorySink) -> None:
    """A real HTTP client at DEBUG is ignored where telemetry is sent, so that sending cannot feed itself, and heard elsewhere."""
    install_stdlib()
    pool = urllib3.HTTPConnectionPool("127.0.0.1", 9, timeout=1, retries=False)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    try:
        token = otel_context.attach(otel_context.set_value("suppress_instrumentation", True))
        with pytest.raises(urllib3.exceptions.HTTPError):
            pool.request("GET", "/")
        logging.getLogger("app").warning("the user's own line")
        otel_context.detach(token)
        silent = [line["message"] for line in recorded.lines]
        with pytest.raises(urllib3.exceptions.HTTPError):
            pool.request("GET", "/")
    finally:
        logging.getLogger("urllib3").setLevel(logging.NOTSET)

    assert silent == ["the user's own line"]
    assert any(line["logger"].startswith("urllib3") for line in recorded.lines)


def test_the_sdks_own_exporters_do_not_feed_themselves(recorded: MemorySink) -> None:
    """Spans and metrics sent by the SDK's processors, with everything at DEBUG, leave no line of their HTTP client."""
    install_stdlib()
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    with OtlpReceiver() as receiver:
        spans = BatchSpanProcessor(OTLPSpanExporter(f"{receiver.http_endpoint}/v1/traces"))
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(spans)
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{receiver.http_endpoint}/v1/metrics"))
        meters = MeterProvider([reader], shutdown_on_exit=False)
        tracers.get_tracer("x").start_span("x").end()
        meters.get_meter("x").create_counter("x").add(1)
        spans.force_flush()
        meters.force_flush()
        receiver.wait_for(lambda got: got.spans() and got.metrics())
        tracers.shutdown()
        meters.shutdown()

    assert [line["logger"] for line in recorded.lines if line["logger"].startswith(("urllib3", "opentelemetry"))] == []


def test_a_value_that_logs_when_made_text(recorded: MemorySink, log: logging.Logger) -> None:
    """``__str__`` that logs itself, again and again, ends and is counted."""

    class Talkative:
        def __str__(self) -> str:
            log.info("asked %s", self)
            return "talkative"

    log.info("%s", Talkative())

    # From Python 3.14 on, logging itself keeps the inner record back.
    assert [line["message"] for line in recorded.lines] in (["asked talkative", "talkative"], ["talkative"])
    assert recorder().failures.get("nested_log", 0) == len(recorded.lines) - 1


# -- locks ---------------------------------------------------------------------------------------------------------------


def test_it_does_not_need_its_lock(recorded: MemorySink, log: logging.Logger) -> None:
    """While another thread holds the handler's lock, as ``logging.shutdown`` does, lines are recorded."""
    handler = log.handlers[0]
    handler.acquire()
    try:
        thread = threading.Thread(target=log.info, args=("x",))
        thread.start()
        thread.join(10)
    finally:
        handler.release()

    assert [line["message"] for line in recorded.lines] == ["x"]


def test_flush_and_close_do_nothing_that_could_wait(recorded: MemorySink, log: logging.Logger) -> None:
    """Both return, from any thread, and a closed handler still records."""
    handler = log.handlers[0]
    handler.flush()
    handler.close()
    log.info("x")

    assert len(recorded.lines) == 1


def test_filters_count(recorded: MemorySink, log: logging.Logger) -> None:
    """Filters of the handler decide as usual."""
    log.handlers[0].addFilter(lambda record: record.getMessage() != "no")
    log.info("no")
    log.info("yes")

    assert [line["message"] for line in recorded.lines] == ["yes"]


# -- installing ----------------------------------------------------------------------------------------------------------


def test_installing_leaves_the_root_as_it_is(recorded: MemorySink) -> None:
    """Level and other handlers stay; twice is once; uninstalling takes only ours away."""
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    first = install_stdlib("ERROR")
    second = install_stdlib("WARNING")

    assert first is second
    assert first.level == logging.WARNING
    assert (root.level, [handler for handler in root.handlers if handler is not first]) == before
    assert root.handlers.count(first) == 1
    uninstall_stdlib()
    uninstall_stdlib()
    assert (root.level, root.handlers) == before


def test_basic_config_still_works(recorded: MemorySink) -> None:
    """``logging.basicConfig`` after us sets up what the user wants, and we still hear everything."""
    root = logging.getLogger()
    root.handlers.clear()
    handler = install_stdlib()
    stream = io.StringIO()

    logging.basicConfig(stream=stream, level=logging.INFO, format="%(message)s")
    logging.getLogger("app").info("x")
    logging.basicConfig(stream=stream, force=True, format="again %(message)s")
    logging.getLogger("app").info("y")

    assert stream.getvalue() == "x\nagain y\n"
    assert [line["message"] for line in recorded.lines] == ["x", "y"]
    assert root.handlers.count(handler) == 1


def test_dict_config_still_works(recorded: MemorySink) -> None:
    """``dictConfig``, as Django calls it, replaces handlers; ours is there again afterwards."""
    handler = install_stdlib()
    config = {"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO", "handlers": []}}

    logging.config.dictConfig(config)
    logging.getLogger("app").info("x")

    assert [line["message"] for line in recorded.lines] == ["x"]
    assert logging.getLogger().handlers == [handler]


def test_uninstalled_functions_are_the_old_ones(recorded: MemorySink) -> None:
    """Uninstalling puts stdlib's functions back, unless somebody wrapped ours: theirs stays and works."""
    original = logging.basicConfig
    install_stdlib()
    ours = logging.basicConfig

    def theirs(**arguments: Any) -> None:
        ours(**arguments)

    logging.basicConfig = theirs
    try:
        uninstall_stdlib()
        assert logging.basicConfig is theirs
        logging.basicConfig()
        assert not any(isinstance(handler, AgentlogHandler) for handler in logging.getLogger().handlers)
    finally:
        logging.basicConfig = original


_LAST_RESORT = """
import logging, sys
from otel_agentlog.record.logs.stdlib_bridge import install_stdlib
if sys.argv[1] != "without":
    install_stdlib(last_resort=sys.argv[1] == "on")
logging.getLogger("app").warning("nobody else")
logging.getLogger("app").info("silent")
logging.getLogger("app").addHandler(logging.NullHandler())
logging.getLogger("app").warning("somebody else")
"""


@pytest.mark.parametrize(("mode", "shown"), [("without", "nobody else\n"), ("on", "nobody else\n"), ("off", "")])
def test_the_last_resort(mode: str, shown: str) -> None:
    """A warning that no handler takes reaches stderr with us as it does without; off where our own console shows it."""
    done = subprocess.run([sys.executable, "-c", _LAST_RESORT, mode], capture_output=True, text=True, check=True)

    assert done.stderr == shown


def test_nothing_is_recorded_before_configure(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """Without sinks the handler does nothing at all; how stdlib's records are shown is not our affair."""
    with recording() as recorded:
        recorder().sinks = ()
        log.error("x")

    assert recorded.lines == []
    assert capsys.readouterr() == ("", "")


def test_json_of_a_record_is_clean(log: logging.Logger) -> None:
    """Extra fields are cleaned like everything else."""
    with recording(cleaner=Cleaner(None)) as recorded:
        log.info("x", extra={"object": Hostile(), "cycle": recorded, "bytes": b"\xff"})

    assert json.loads(json.dumps(recorded.lines[0]))["details"]["bytes"]

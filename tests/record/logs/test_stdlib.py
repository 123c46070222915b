"""Records of stdlib ``logging``: what the handler records, and how it is installed without displacing anybody."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import logging.handlers
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
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
from otel_agentlog.record.logs.levels import configure_logs, number_of, put_in_use
from otel_agentlog.record.logs.stdlib_bridge import AgentlogHandler, install_stdlib, uninstall_stdlib
from otel_agentlog.record.logs.structlog_bridge import record_event
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.testing import MemorySink, recording
from otel_agentlog.testing.otlp.receiver import OtlpReceiver


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
    pickled = logging.handlers.SocketHandler("127.0.0.1", 9).makePickle(record)
    AgentlogHandler().handle(logging.makeLogRecord(pickle.loads(pickled[4:])))

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


def test_a_record_of_any_name_is_survived_where_others_are_noted(recorded: MemorySink) -> None:
    """A name that is no key: it is looked for among the records that may come from another thread."""
    AgentlogHandler()
    source = logging.getLogger("passes on")
    source.addHandler(logging.handlers.MemoryHandler(10))
    source.warning("noted")
    AgentlogHandler().handle(logging.makeLogRecord({"name": [], "msg": "odd"}))


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


def test_installing_leaves_loggers_as_they_are(recorded: MemorySink) -> None:
    """Levels and handlers stay; twice is once; uninstalling puts stdlib's methods back."""
    root, stdlib = logging.getLogger(), (logging.Logger.isEnabledFor, logging.Logger.callHandlers)
    before = (root.level, root.handlers[:])
    install_stdlib("ERROR")
    install_stdlib("WARNING")

    logging.getLogger("app").info("below")
    logging.getLogger("app").warning("x")
    assert [line["message"] for line in recorded.lines] == ["x"]
    assert (root.level, root.handlers) == before
    uninstall_stdlib()
    uninstall_stdlib()
    assert (root.level, root.handlers) == before
    assert (logging.Logger.isEnabledFor, logging.Logger.callHandlers) == stdlib


def test_basic_config_still_works(recorded: MemorySink) -> None:
    """``logging.basicConfig`` after us sets up what the user wants, and we still hear everything."""
    root = logging.getLogger()
    root.handlers.clear()
    install_stdlib()
    stream = io.StringIO()

    logging.basicConfig(stream=stream, level=logging.INFO, format="%(message)s")
    logging.getLogger("app").info("x")
    logging.basicConfig(stream=stream, force=True, format="again %(message)s")
    logging.getLogger("app").info("y")

    assert stream.getvalue() == "x\nagain y\n"
    assert [line["message"] for line in recorded.lines] == ["x", "y"]


def _by_clearing(root: logging.Logger) -> None:
    root.handlers.clear()


def _by_assignment(root: logging.Logger) -> None:
    root.handlers = []


def _by_slice(root: logging.Logger) -> None:
    root.handlers[:] = [logging.NullHandler()]


def _by_removal(root: logging.Logger) -> None:
    for handler in root.handlers[:]:
        root.removeHandler(handler)


def _by_dict_config(root: logging.Logger) -> None:
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING", "handlers": []}})


@pytest.mark.parametrize("undo", [_by_clearing, _by_assignment, _by_slice, _by_removal, _by_dict_config])
def test_handlers_that_are_taken_away_take_nothing_from_us(recorded: MemorySink, undo: Callable[[logging.Logger], None]) -> None:
    """As Celery and Django do when they set up logging of their own, after us."""
    configure_logs("INFO")
    install_stdlib()
    root = logging.getLogger()
    before = root.handlers[:]
    try:
        undo(root)
        logging.getLogger("app").info("x")
    finally:
        root.handlers = before

    assert [line["message"] for line in recorded.lines] == ["x"]


@pytest.mark.parametrize("root_level", [logging.WARNING, logging.CRITICAL, logging.INFO, logging.DEBUG])
@pytest.mark.parametrize("level", ["DEBUG", "INFO", "ERROR"])
def test_what_is_recorded_is_our_level_and_what_others_get_is_theirs(recorded: MemorySink, root_level: int, level: str) -> None:
    """The root logger's level holds nothing back from us, and ours lets nothing through to other handlers."""
    stream, root = io.StringIO(), logging.getLogger()
    other, before = logging.StreamHandler(stream), root.level
    root.addHandler(other)
    root.setLevel(root_level)
    configure_logs(level)
    install_stdlib()
    try:
        for number in (10, 20, 30, 40, 50):
            logging.getLogger("app.deep").log(number, "%d", number)
            assert logging.getLogger("app.deep").getEffectiveLevel() == root_level
    finally:
        root.removeHandler(other)
        root.setLevel(before)

    assert [int(line["message"]) for line in recorded.lines] == [n for n in (10, 20, 30, 40, 50) if n >= number_of(level)]
    assert list(map(int, stream.getvalue().split())) == [n for n in (10, 20, 30, 40, 50) if n >= root_level]


def test_levels_of_loggers_count_unless_ours_names_them(recorded: MemorySink) -> None:
    """Who silenced one library keeps it silent; who asks for its lines by name gets them; ``logging.disable`` holds for all."""
    configure_logs("INFO", {"loud": "DEBUG"})
    install_stdlib()
    for name in ("quiet", "loud", "loud.but.not.here"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        for name in ("quiet", "quiet.too", "loud", "loud.too", "loud.but.not.here"):
            logging.getLogger(name).debug(name)
            logging.getLogger(name).info(name)
        logging.disable(logging.INFO)
        logging.getLogger("any").info("disabled")
    finally:
        logging.disable(logging.NOTSET)
        for name in ("quiet", "loud", "loud.but.not.here"):
            logging.getLogger(name).setLevel(logging.NOTSET)

    assert [line["message"] for line in recorded.lines] == ["loud", "loud", "loud.too", "loud.too"]


def test_loggers_that_do_not_propagate(recorded: MemorySink) -> None:
    """Their lines are recorded where a handler of their own takes them (Celery, uvicorn); without any they are silenced."""
    configure_logs("INFO")
    install_stdlib()
    own, silent = logging.getLogger("app.own"), logging.getLogger("app.silent")
    own.addHandler(logging.StreamHandler(io.StringIO()))
    silent.addHandler(logging.NullHandler())
    try:
        for logger in (own, silent):
            logger.propagate = False
            logger.info(logger.name)
    finally:
        for logger in (own, silent):
            logger.propagate = True
            logger.handlers.clear()

    assert [line["message"] for line in recorded.lines] == ["app.own"]


class _OwnQueue(logging.Handler):
    """As people write it: a thread of its own gives the records to another handler."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self.waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.target = target
        self.thread = threading.Thread(target=self.pass_on)
        self.thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        self.waiting.put(record)

    def pass_on(self) -> None:
        while (record := self.waiting.get()) is not None:
            self.target.handle(record)

    def stop(self) -> None:
        self.waiting.put(None)
        self.thread.join()


def _by_a_queue() -> tuple[logging.Handler, Callable[[], None]]:
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(waiting, AgentlogHandler())
    listener.start()
    return logging.handlers.QueueHandler(waiting), listener.stop


def _by_a_queue_of_ones_own() -> tuple[logging.Handler, Callable[[], None]]:
    handler = _OwnQueue(AgentlogHandler())
    return handler, handler.stop


def _by_a_memory() -> tuple[logging.Handler, Callable[[], None]]:
    handler = logging.handlers.MemoryHandler(100, flushLevel=logging.CRITICAL, target=AgentlogHandler())
    return handler, handler.flush


@pytest.mark.parametrize("way", [_by_a_queue, _by_a_queue_of_ones_own, _by_a_memory])
@pytest.mark.parametrize("installed", [True, False])
def test_behind_what_keeps_records(
    recorded: MemorySink, installed: bool, way: Callable[[], tuple[logging.Handler, Callable[[], None]]]
) -> None:
    """A line is one line, of the task and with the exception of where it was logged, though it is handled in another thread, or
    when the task has ended."""
    configure_logs("INFO")
    if installed:
        install_stdlib()
    handler, finish = way()
    logger = logging.getLogger("app.queued")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        with agentlog.task("t", task_id="queued"):
            logger.info("in %s", "task", extra={"number": 1})
            try:
                raise ValueError("boom")
            except ValueError:
                logger.exception("err")
    finally:
        finish()
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)

    lines = [line for line in recorded.lines if line["type"] == "log"]
    assert [(line["message"], line["task_id"]) for line in lines] == [("in task", "queued"), ("err", "queued")]
    assert lines[0]["details"] == {"number": 1}
    assert (lines[1]["exception"]["type"], lines[1]["exception"]["message"]) == ("ValueError", "boom")
    assert lines[1]["exception"]["traceback"][0].startswith("Traceback")


@pytest.mark.parametrize("way", [_by_a_queue, _by_a_queue_of_ones_own, _by_a_memory])
@pytest.mark.parametrize("first", [True, False])
def test_a_handler_beside_what_keeps_records(
    recorded: MemorySink, first: bool, way: Callable[[], tuple[logging.Handler, Callable[[], None]]]
) -> None:
    """Each line once, in its task, whichever of the two comes first."""
    configure_logs("INFO")
    handler, finish = way()
    handlers = [AgentlogHandler(), handler] if first else [handler, AgentlogHandler()]
    logger = logging.getLogger("app.beside")
    logger.setLevel(logging.INFO)
    for each in handlers:
        logger.addHandler(each)
    try:
        with agentlog.task("t", task_id="beside"):
            for number in range(3):
                logger.info("line %d", number)
    finally:
        finish()
        for each in handlers:
            logger.removeHandler(each)
        logger.setLevel(logging.NOTSET)

    lines = [(line["message"], line["task_id"]) for line in recorded.lines if line["type"] == "log"]
    assert sorted(lines) == [(f"line {number}", "beside") for number in range(3)]


def test_a_handler_beside_the_hook(recorded: MemorySink) -> None:
    """`AgentlogHandler` on the root logger, on a logger and twice, with the hook: every line once."""
    install_stdlib()
    root, logger = logging.getLogger(), logging.getLogger("app.twice")
    given = [AgentlogHandler(), AgentlogHandler()]
    root.addHandler(given[0])
    for each in given:
        logger.addHandler(each)
    try:
        for number in range(3):
            logger.warning("%d", number)
        logging.getLogger("app").warning("3")
    finally:
        root.removeHandler(given[0])
        logger.handlers.clear()

    assert [line["message"] for line in recorded.lines] == ["0", "1", "2", "3"]


def test_uninstalled_methods_are_the_old_ones(recorded: MemorySink) -> None:
    """Unless something wrapped ours: that stays and works, and nothing is recorded."""
    original = logging.Logger.callHandlers
    install_stdlib()
    ours, seen = logging.Logger.callHandlers, []

    def theirs(logger: logging.Logger, record: logging.LogRecord) -> None:
        seen.append(record.getMessage())
        ours(logger, record)

    setattr(logging.Logger, "callHandlers", theirs)
    try:
        uninstall_stdlib()
        assert logging.Logger.callHandlers is theirs
        logging.getLogger("app").warning("x")
        install_stdlib()
        logging.getLogger("app").warning("y")
    finally:
        setattr(logging.Logger, "callHandlers", ours)
        uninstall_stdlib()

    assert logging.Logger.callHandlers is original
    assert (seen, [line["message"] for line in recorded.lines]) == (["x", "y"], ["y"])


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

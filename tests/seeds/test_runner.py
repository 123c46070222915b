"""The document of a runner's logging and monitoring: its messages, its YAML file and its panels, with other imports."""

from __future__ import annotations

import json
import logging
import os
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.compat.runner import ComponentType, LogLevel, LogMessage, log_message, setup_logging
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.events import log_event, log_runner_event
from otel_agentlog.record.logs.levels import configure_logs
from otel_agentlog.record.logs.stdlib_bridge import install_stdlib, uninstall_stdlib
from otel_agentlog.store.control import ask
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink
from tests.seeds.place import Home

CONFIG = """
version: 1
disable_existing_loggers: False # Important to not disable other loggers

formatters:
  simple_console:
    format: '%(message)s' # RichHandler will add its own timestamp and level
  detailed_file:
    format: '%(asctime)s.%(msecs)03dZ - %(levelname)-8s - [%(name)s:%(module)s:%(funcName)s:%(lineno)d] - %(message)s'
    datefmt: '%Y-%m-%dT%H:%M:%S'
  json_file:
    class: pythonjsonlogger.jsonlogger.JsonFormatter
    format: '%(asctime)s %(levelname)s %(name)s %(module)s %(funcName)s %(lineno)d %(message)s %(step_id)s %(event_id)s %(component)s %(action)s'
    # Ensure custom fields from LogMessage are passed via extra={}

handlers:
  console_rich:
    class: rich.logging.RichHandler
    level: INFO
    formatter: simple_console # Rich handles its own formatting for level and time
    rich_tracebacks: True
    show_path: False # Can be noisy
    markup: True
  file_rotating_text:
    class: logging.handlers.RotatingFileHandler
    level: DEBUG
    formatter: detailed_file
    filename: aiwhisperer_runner.log
    maxBytes: 10485760 # 10MB
    backupCount: 5
    encoding: utf-8
  file_rotating_json:
    class: logging.handlers.RotatingFileHandler
    level: DEBUG
    formatter: json_file # Requires passing 'extra' in logging calls
    filename: aiwhisperer_runner.json.log
    maxBytes: 10485760 # 10MB
    backupCount: 5
    encoding: utf-8

root:
  level: DEBUG # Capture all, handlers will filter
  handlers: [console_rich, file_rotating_text, file_rotating_json]

loggers:
  # Example of component-specific level override
  ai_service_logger: # Corresponds to logger name used in code
    level: DEBUG
    handlers: [console_rich, file_rotating_text, file_rotating_json] # Or specific handlers
    propagate: False # Prevent double logging if root also handles
"""  # noqa: E501 - as the document has it


def messages() -> list[LogMessage]:
    """The fifteen of the document."""
    code, tests = "generate_initial_code_step_001", "run_unit_tests_step_002"
    engine, ai, files = ComponentType.EXECUTION_ENGINE, ComponentType.AI_SERVICE, ComponentType.FILE_OPERATIONS
    return [
        LogMessage(
            level=LogLevel.INFO, component=engine, action="step_execution_started",
            message="Starting execution of step 'generate_initial_code'.", step_id=code,
            state_before="Pending", state_after="Running",
            details={"step_type": "code_generation", "description": "Generate Python function for data processing."},
        ),
        LogMessage(
            level=LogLevel.INFO, component=engine, action="step_execution_succeeded",
            message="Step 'generate_initial_code' completed successfully.", step_id=code,
            state_before="Running", state_after="Completed", duration_ms=2530.7,
            details={"output_artifact_count": 1, "generated_files": ["src/data_processor.py"]},
        ),
        LogMessage(
            level=LogLevel.ERROR, component=engine, action="step_execution_failed",
            message="Step 'run_unit_tests' failed due to assertion error.", step_id=tests,
            state_before="Running", state_after="Failed", duration_ms=875.2,
            details={"error_type": "AssertionError", "traceback_summary": 'File "test_processor.py", line 42'},
        ),
        LogMessage(
            level=LogLevel.DEBUG, component=ai, action="api_request_sent",
            message="Sent request to LLM for code generation.", step_id=code, event_id="ai_call_001_req",
            details={"api_provider": "OpenAI", "model_used": "gpt-4-turbo", "request_payload_summary": {"prompt_tokens": 1200}},
        ),
        LogMessage(
            level=LogLevel.DEBUG, component=ai, action="api_response_received",
            message="Received successful response from LLM.", step_id=code, event_id="ai_call_001_resp", duration_ms=1850.0,
            details={"api_provider": "OpenAI", "status_code": 200, "response_payload_summary": {"completion_tokens": 850}},
        ),
        LogMessage(
            level=LogLevel.DEBUG, component=ai, action="api_request_sent",
            message="Sent request to LLM for code refinement.", step_id=code, event_id="ai_call_002_req",
            details={"api_provider": "OpenAI", "model_used": "gpt-4"},
        ),
        LogMessage(
            level=LogLevel.WARNING, component=ai, action="api_response_failed",
            message="Failed API call to LLM for refinement due to rate limit.", step_id=code, event_id="ai_call_002_resp",
            duration_ms=420.0, details={"api_provider": "OpenAI", "status_code": 429, "error_type": "RateLimitError"},
        ),
        LogMessage(
            level=LogLevel.DEBUG, component=files, action="file_written",
            message="Successfully wrote generated code to 'src/data_processor.py'.", step_id=code,
            details={"file_path": "d:/Projects/AIWhisperer/src/data_processor.py", "bytes_written": 4096, "overwrite": False},
        ),
        LogMessage(
            level=LogLevel.DEBUG, component=files, action="file_read_failed",
            message="Failed to read configuration file 'config/non_existent.yaml'.", step_id="load_config_step_000",
            details={"file_path": "d:/Projects/AIWhisperer/config/non_existent.yaml", "error_type": "FileNotFoundError"},
        ),
        LogMessage(
            level=LogLevel.INFO, component=ComponentType.TERMINAL_INTERACTION, action="command_execution_started",
            message="Executing command: 'pytest -v'.", step_id=tests,
            details={"command": "pytest -v", "working_directory": "d:/Projects/AIWhisperer/tests"},
        ),
        LogMessage(
            level=LogLevel.INFO, component=ComponentType.TERMINAL_INTERACTION, action="command_execution_completed",
            message="Command 'pytest -v' completed.", step_id=tests, duration_ms=3500.0,
            details={"command": "pytest -v", "exit_code": 0, "stdout_char_count": 1500, "stderr_char_count": 0},
        ),
        *(
            LogMessage(
                level=LogLevel.INFO, component=ComponentType.USER_INTERACTION, action=f"execution_{request}_requested",
                message=f"User requested to {request} execution of step 'long_data_analysis'.",
                step_id="long_data_analysis_step_007", state_before=before, state_after=after,
            )
            for request, before, after in (
                ("pause", "Running", "Paused"),
                ("resume", "Paused", "Running"),
                ("cancel", "Paused", "Cancelled"),
            )
        ),
        LogMessage(
            level=LogLevel.INFO, component=ComponentType.USER_INTERACTION, action="context_added_by_user",
            message="User provided additional context for step 'refine_documentation'.", step_id="refine_documentation_step_008",
            details={"context_provided_summary": "User emphasized focusing on the API section."},
        ),
    ]  # fmt: skip


TOP = ("step_id", "state_before", "state_after", "duration_ms")


def in_line(message: LogMessage) -> dict[str, Any]:
    """What its line must have at the top."""
    told = {name: getattr(message, name) for name in TOP if getattr(message, name) is not None}
    caller = {} if message.event_id is None else {"caller_event_id": message.event_id}
    return {"level": LogLevel(message.level).value, "action": message.action, "message": message.message, **told, **caller}


def rows(root: Path) -> list[dict[str, Any]]:
    """Every line below a root."""
    files = sorted(root.glob("*/03-agent-output.jsonl"))
    return [json.loads(row) for file in files for row in file.read_text().splitlines()]


@pytest.mark.parametrize("inside_step", [False, True], ids=["in a task", "in a step"])
def test_every_message_has_its_fields_at_the_top(tasks_root: Path, inside_step: bool) -> None:
    """Step, states and duration as given, whatever step is current; the folder is valid and its states are its own."""
    with agentlog.task("plan") as task:
        for message in messages():
            if inside_step:
                with agentlog.step("another"):
                    log_message(message)
            else:
                log_message(message)
    agentlog.shutdown()

    lines = [line for line in rows(tasks_root) if line["type"] == "event"]
    for line, message in zip(lines, messages(), strict=True):
        assert {name: line.get(name) for name in in_line(message)} == in_line(message)
        assert line["component"] == ComponentType(message.component).value
        assert line.get("details", {}) == dict(message.details)
    assert task.folder is not None
    assert validate(task.folder).problems == []


def test_stdlib_loggers_take_them_as_extra(recorded: MemorySink) -> None:
    """``logger.log(…, extra=message.to_dict())``: the same keys at the top."""
    logger = logging.getLogger("seed.runner")
    logger.setLevel(logging.DEBUG)
    install_stdlib()
    configure_logs("DEBUG")
    try:
        for message in messages():
            logger.log(getattr(logging, LogLevel(message.level).value), message.message, extra=message.to_dict())
    finally:
        uninstall_stdlib()
        configure_logs()

    lines = [line for line in recorded.lines if line.get("logger") == "seed.runner"]
    for line, message in zip(lines, messages(), strict=True):
        assert {name: line.get(name) for name in in_line(message)} == in_line(message)
        assert line.get("details", {}) == dict(message.details)


PANELS = """
from typing import Optional
from rich.layout import Layout
from rich.panel import Panel
from rich.text import Text
from rich.console import Console

from otel_agentlog.compat.runner import ComponentType, LogLevel, LogMessage

def get_current_step_logs_panel_content(step_id: Optional[str], logs: list) -> Panel:
    # logs: list of LogMessage objects filtered for the current step
    log_display_texts = []
    for log_entry in logs:
        # Simplified display, could be more detailed
        log_display_texts.append(
            f"[{log_entry.level.value.lower()}]{log_entry.timestamp} {log_entry.component.value}: {log_entry.message}"
        )
    title = f"[b]Logs for Step: {step_id}[/b]" if step_id else "[b]General Logs[/b]"
    return Panel(Text("\\n").join(map(Text, log_display_texts)), title=title, border_style="green")

logs = [LogMessage(level=LogLevel.DEBUG, component=ComponentType.AI_SERVICE, action="api_request_sent", message="Sent.")]
Console(width=120).print(get_current_step_logs_panel_content("step_001", logs))
"""


def test_the_panel_of_the_document_shows_messages(tmp_path: Path) -> None:
    """``log_entry.level.value``, ``.timestamp``, ``.component.value`` and ``.message``."""
    said = Home(tmp_path).python(PANELS).stdout

    assert "[debug]20" in said
    assert "Z ai_service: Sent." in said


RUN = """
import logging
from otel_agentlog.compat.runner import ComponentType, LogLevel, LogMessage, setup_logging
import otel_agentlog as agentlog

setup_logging("logging_config.yaml")
message = LogMessage(
    level=LogLevel.INFO, component=ComponentType.EXECUTION_ENGINE, action="step_execution_started",
    message="Starting.", step_id="step_001", state_before="Pending", state_after="Running",
)
with agentlog.task("plan", task_id="plan-1"):
    logging.getLogger("runner").info(message.message, extra=message.to_dict())
    logging.getLogger("ai_service_logger").debug("asked", extra={"step_id": "step_001"})
"""


def test_the_yaml_file_of_the_document_sets_up_logging_and_recording(tmp_path: Path) -> None:
    """Text file, JSON file, console and task have each record once, also of the logger that does not propagate."""
    home = Home(tmp_path)
    (tmp_path / "logging_config.yaml").write_text(CONFIG)

    shown = home.python(RUN)

    texts = [line for line in home.lines("plan-1") if line["type"] == "log"]
    assert [(line["message"], line.get("step_id")) for line in texts] == [("Starting.", "step_001"), ("asked", "step_001")]
    assert texts[0]["state_after"] == "Running"
    text = (tmp_path / "aiwhisperer_runner.log").read_text()
    assert text.count("Starting.") == 1
    assert "DEBUG    - [ai_service_logger:" in text
    written = [json.loads(row) for row in (tmp_path / "aiwhisperer_runner.json.log").read_text().splitlines()]
    assert (written[0]["action"], written[0]["step_id"], len(written)) == ("step_execution_started", "step_001", 2)
    assert (shown.stdout + shown.stderr).count("Starting.") == 1


def test_levels_of_components_stand_in_the_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``AI_SERVICE: DEBUG``, in any case; further settings win; no handler for the console leaves ours on."""
    monkeypatch.chdir(tmp_path)
    try:
        found = setup_logging(
            {"levels": {"AI_SERVICE": "DEBUG"}, "root": {"level": "WARNING"}, "disable_existing_loggers": False},
            directory=tmp_path / "tasks",
            log_directory=tmp_path / "logs",
            console="off",
        )
        with agentlog.task("plan"):
            agentlog.get_logger("x", ComponentType.AI_SERVICE).debug("asked")
            agentlog.get_logger("x", ComponentType.RUNNER).info("held back")
    finally:
        agentlog.shutdown()
        logging.getLogger().setLevel(logging.WARNING)

    assert found.log_level == "WARNING"
    assert [line["message"] for line in rows(tmp_path / "tasks") if line["type"] == "log"] == ["asked"]


@pytest.mark.parametrize(
    "text",
    [
        "handlers: {a: {class: no.such.Class}}",
        "root: {level: LOUD}",
        "- 1",
        "{",
        "root: {handlers: [nowhere]}",
        "version: 7",
        None,
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str | None) -> None:
    """As by `configure`: what was found, where."""
    path = tmp_path / "logging_config.yaml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigurationError):
        setup_logging(path)


class Own(Enum):
    """A component of one's own."""

    PLANNER = "planner"


class Numbers(IntEnum):
    """Levels of one's own."""

    ERROR = 40
    LOUD = 35


@pytest.mark.parametrize(
    ("level", "word"),
    [
        (LogLevel.ERROR, "ERROR"),
        (Numbers.ERROR, "ERROR"),
        (Numbers.LOUD, "WARNING"),
        (logging.DEBUG, "DEBUG"),
        ("warn", "WARNING"),
        ("critical", "CRITICAL"),
        (None, "INFO"),
        (object(), "INFO"),
    ],
)
def test_levels_may_be_enums_words_and_numbers(recorded: MemorySink, level: Any, word: str) -> None:
    """By name, else by value."""
    log_event(Own.PLANNER, "planned", level=level)

    (line,) = recorded.lines
    assert (line["level"], line["component"]) == (word, "planner")


class Odd:
    """Neither text nor mapping, and says nothing."""

    def __str__(self) -> str:
        raise RuntimeError

    __eq__ = __repr__ = __str__  # type: ignore[assignment]


def test_messages_of_anything_are_recorded(tasks_root: Path) -> None:
    """By `log_message` and as ``extra=``."""
    odd: list[Any] = [Odd()] * 10
    with agentlog.task("plan"):
        for message in (LogMessage(*odd), LogMessage(*[None] * 10)):  # type: ignore[arg-type]
            log_message(message)
            message.to_dict()

    assert len([line for line in rows(tasks_root) if line["type"] == "event"]) == 2


def test_positional_use() -> None:
    """Level, component, action, message, then what is optional, in the order of the document."""
    message = LogMessage("INFO", "runner", "started", "It began.", "step_1", "e-1", "Pending", "Running", 1.5, {"a": 1})

    assert (message.step_id, message.event_id, message.duration_ms, message.details) == ("step_1", "e-1", 1.5, {"a": 1})
    assert message.timestamp.endswith("Z")


anything = st.one_of(
    st.none(),
    st.text(max_size=80),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.binary(max_size=4),
    st.lists(st.integers(), max_size=2),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(told=st.fixed_dictionaries(dict.fromkeys((*TOP, "event_id"), anything)))
def test_whatever_is_told_of_an_event_is_recorded(recorded: MemorySink, told: dict[str, Any]) -> None:
    """At the top what has the right form, else as data; nothing is lost, nothing raises."""
    before = len(recorded.lines)
    log_event("runner", "happened", **told)
    log_runner_event("happened", **told)

    one, other = recorded.lines[before:]
    assert {key: value for key, value in one.items() if key not in ("timestamp", "event_id")}.keys() == other.keys() - {
        "timestamp",
        "event_id",
    }
    for name in ("state_before", "state_after", "duration_ms"):
        assert told[name] in (None, "", b"", []) or name in one or name in one["details"]
    if "duration_ms" in one:
        assert one["duration_ms"] >= 0


def test_secrets_in_what_is_told_are_redacted(tasks_root: Path) -> None:
    """States stand with what is ours at the top of a line, and are cleaned all the same."""
    with agentlog.task("plan"):
        log_event(
            "runner",
            "happened",
            state_after="password=hunter2-hunter2",
            step_id="token=abcdef1234567890abcdef",
            event_id="api_key=zzz9999zzz",
        )

    text = "".join(file.read_text() for file in tasks_root.glob("*/03-agent-output.jsonl"))
    assert "hunter2" not in text
    assert "abcdef1234567890abcdef" not in text
    assert "zzz9999zzz" not in text


@pytest.fixture
def paused_in_a_step(tasks_root: Path) -> list[dict[str, Any]]:
    """The lines about the requests of a user, met in a step."""
    with agentlog.task("plan", task_id="plan-1") as task:
        assert task.folder is not None
        with agentlog.step("analyse", step_id="long_data_analysis_step_007"):
            for request in ("pause", "resume"):
                ask(task.folder, request, source="test")
            agentlog.checkpoint()
        ask(task.folder, "cancel", source="test")
        with pytest.raises(agentlog.TaskCancelled):
            agentlog.checkpoint()
    return [line for line in rows(tasks_root) if str(line.get("action", "")).startswith("execution_")]


def test_requests_of_a_user_name_the_step_and_the_states(paused_in_a_step: list[dict[str, Any]]) -> None:
    """``execution_pause_requested`` and the like have the step, and the states where they change one."""
    found = [
        (line["action"], line.get("step_id"), line.get("state_before"), line.get("state_after")) for line in paused_in_a_step
    ]

    assert found == [
        ("execution_pause_requested", "long_data_analysis_step_007", "running", "paused"),
        ("execution_resume_requested", "long_data_analysis_step_007", "running", "running"),
        ("execution_cancel_requested", None, "running", "cancelled"),
    ]


def test_blocks_say_the_actions_of_the_document(tasks_root: Path) -> None:
    """A step that went well, an AI call that failed, and a command with its whole line and folder."""
    with agentlog.task("plan"):
        with agentlog.step("generate"):
            pass
        with pytest.raises(TimeoutError), agentlog.ai_call("gpt-4", provider="openai"):
            raise TimeoutError("slow")
        agentlog.command(["sh", "-c", "printf äö; pwd 1>&2"], cwd=tasks_root)

    lines = {line.get("action"): line for line in rows(tasks_root)}
    assert "step_execution_succeeded" in lines
    assert lines["api_request_timed_out" if "api_request_timed_out" in lines else "api_response_failed"]["duration_ms"] > 0
    started, completed = lines["command_execution_started"], lines["command_execution_completed"]
    assert started["details"]["command"] == "sh -c 'printf äö; pwd 1>&2'"
    assert started["details"]["working_directory"] == os.fspath(tasks_root)
    assert completed["details"]["stdout_char_count"] == 2
    assert completed["details"]["stderr_char_count"] == len(os.fspath(tasks_root)) + 1


def test_loggers_that_are_there_stay_on(tmp_path: Path) -> None:
    """A file that is refused switches none off; one that wants them off leaves ours on, which says what cannot be recorded."""
    app, ours, root = logging.getLogger("an.application"), logging.getLogger("otel_agentlog"), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with pytest.raises(ConfigurationError):
            setup_logging({"root": {"level": "NONSENSE"}}, directory=tmp_path)
        assert (app.disabled, ours.disabled) == (False, False)
        with pytest.raises(ConfigurationError):
            setup_logging({"root": {"level": "NONSENSE"}, "disable_existing_loggers": True}, directory=tmp_path)
        assert not ours.disabled
    finally:
        for logger in list(logging.Logger.manager.loggerDict.values()):
            if isinstance(logger, logging.Logger):
                logger.disabled = False
        root.handlers[:] = handlers
        root.setLevel(level)

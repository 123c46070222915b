"""The document of an orchestrator's logging: each of its examples runs with another import, and its JSON comes out."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.seeds.place import Place

SETUP = """
from otel_agentlog.compat.orchestrator import setup_logging, LogLevel
from pathlib import Path

setup_logging(
    log_level=LogLevel.INFO,
    log_file=Path("logs/cc-orchestrator.log"),
    enable_structured=True,
    enable_console=True
)
"""
LOG = "logs/cc-orchestrator.log"

CONTEXT = """
from otel_agentlog.compat.orchestrator import get_logger, LogContext

logger = get_logger(__name__, LogContext.INSTANCE)
logger.set_instance_id("claude-001")
logger.set_task_id("TASK-123")

logger.info("Starting task execution",
            task_title="Implement feature X",
            priority="high")
"""

RECOVERY = """
from otel_agentlog.compat.orchestrator import handle_errors, InstanceError

def restart_instance(instance_id):
    return f"restarted {instance_id}"

def check_port_available():
    return False

def recovery_strategy(error, *args, **kwargs):
    return restart_instance(args[0])

@handle_errors(recovery_strategy=recovery_strategy)
def start_instance(instance_id: str):
    if not check_port_available():
        raise InstanceError("Port already in use",
                          context={"instance_id": instance_id})
"""

COMPONENTS = """
from otel_agentlog.compat.orchestrator import (
    log_instance_lifecycle,
    log_task_assignment,
    log_resource_usage
)

log_instance_lifecycle("claude-001", "create", "success",
                      {"worktree": "/tmp/worktree-001"})

task_details = {"title": "Fix bug", "priority": "high", "source": "github"}
log_task_assignment("TASK-456", "claude-001", task_details)

log_resource_usage("claude-001", cpu_percent=45.2,
                  memory_mb=256.7, disk_usage_mb=1024.0)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty home."""
    return Place(tmp_path)


def test_set_up_makes_the_file_and_writes_to_stdout(place: Place) -> None:
    """The folder of the log file is made; console lines are on stdout, as JSON, and stderr stays empty."""
    done = place.python(f"{SETUP}{CONTEXT}")
    shown = [json.loads(row) for row in done.stdout.splitlines()]

    assert done.stderr == ""
    assert [line["message"] for line in shown] == ["Starting task execution"]
    assert shown == place.lines_of(LOG)


def test_a_line_has_the_fields_of_the_document(place: Place) -> None:
    """Fields of a line, ids from the logger, the category under ``context``, and what was given to the call at the top."""
    place.python(f"{SETUP}{CONTEXT}")
    (line,) = place.lines_of(LOG)

    assert list(line)[:7] == ["timestamp", "level", "logger", "message", "module", "function", "line"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", line["timestamp"])
    assert {key: line[key] for key in ("level", "logger", "message", "context", "instance_id", "task_id")} == {
        "level": "INFO",
        "logger": "__main__",
        "message": "Starting task execution",
        "context": "instance",
        "instance_id": "claude-001",
        "task_id": "TASK-123",
    }
    assert (line["task_title"], line["priority"]) == ("Implement feature X", "high")
    assert place.shell(f"jq -r 'select(.context==\"instance\") | .instance_id' {LOG}") == "claude-001\n"


def test_an_exception_has_its_short_type_its_message_and_its_traceback(place: Place) -> None:
    """The error example of the document; ``exception=`` and ``exc_info=`` both name it."""
    program = """
from otel_agentlog.compat.orchestrator import get_logger, InstanceError, LogContext
logger = get_logger("core.instance_manager", LogContext.INSTANCE)
for name in ("exception", "exc_info"):
    try:
        raise InstanceError("Port already in use")
    except InstanceError as error:
        logger.error("Instance startup failed", **{name: error})
"""
    place.python(f"{SETUP}{program}")

    for line in place.lines_of(LOG):
        assert (line["level"], line["message"], line["context"]) == ("ERROR", "Instance startup failed", "instance")
        assert (line["exception"]["type"], line["exception"]["message"]) == ("InstanceError", "Port already in use")
        assert line["exception"]["traceback"][0] == "Traceback (most recent call last):"
    assert len(place.lines_of(LOG)) == 2


def test_a_recovery_gives_the_result_and_leaves_a_trail(place: Place) -> None:
    """``recovery_strategy(error, *args, **kwargs)``; what was tried is in the log, each move by its action."""
    done = place.python(f"{SETUP}{RECOVERY}print(start_instance('claude-001'))")

    assert done.stdout.splitlines()[-1] == "restarted claude-001"
    actions = [line["action"] for line in place.lines_of(LOG)]
    assert actions == ["error_caught", "recovery_attempted", "recovery_succeeded"]
    audit = place.shell(f"{sys.executable} -m otel_agentlog errors --audit", AGENTLOG_LOG_FILE=LOG)
    assert [row.split()[1] for row in audit.splitlines()[1:]] == actions


def test_an_error_without_recovery_goes_on_and_may_be_kept(place: Place) -> None:
    """As in the document's framework: it is raised again unless ``reraise`` is false; ``log_context`` is the trail's category."""
    program = """
from otel_agentlog.compat.orchestrator import handle_errors, LogContext, TaskError
@handle_errors(log_context=LogContext.TASK, reraise=False)
def kept(): raise TaskError("kept")
@handle_errors()
def raised(): raise TaskError("raised")
kept()
try: raised()
except TaskError as error: print(error)
"""
    done = place.python(f"{SETUP}{program}")

    assert done.stdout.splitlines()[-1] == "raised"
    assert [line["context"] for line in place.lines_of(LOG)][:1] == ["task"]
    assert {line["exception"]["message"] for line in place.lines_of(LOG) if "exception" in line} == {"kept", "raised"}


def test_performance_is_measured(place: Place) -> None:
    """``@log_performance(LogContext.TASK)``."""
    program = """
from otel_agentlog.compat.orchestrator import log_performance, LogContext

@log_performance(LogContext.TASK)
def process_large_task(task_data):
    processed_result = len(task_data)
    return processed_result
print(process_large_task([1, 2]))
"""
    place.python(f"{SETUP}{program}")
    (line,) = place.lines_of(LOG)

    assert (line["context"], line["action"]) == ("task", "performance_measured")
    assert line["duration_ms"] >= 0


def test_component_helpers_record_what_they_are_given(place: Place) -> None:
    """Instance, task and resource helpers, by place and by keyword."""
    place.python(f"{SETUP}{COMPONENTS}")
    created, assigned, used = place.lines_of(LOG)

    assert (created["context"], created["instance_id"], created["worktree"]) == ("instance", "claude-001", "/tmp/worktree-001")
    assert (assigned["context"], assigned["task_id"], assigned["title"]) == ("task", "TASK-456", "Fix bug")
    assert (used["cpu_percent"], used["memory_mb"], used["disk_usage_mb"]) == (45.2, 256.7, 1024.0)


def test_all_categories_levels_and_errors_are_there(place: Place) -> None:
    """Ten categories by their values, five levels, seven exception classes with a context."""
    program = """
from otel_agentlog.compat import orchestrator as o
names = "ORCHESTRATOR INSTANCE TASK WORKTREE WEB CLI TMUX INTEGRATION DATABASE PROCESS".split()
assert [o.LogContext[name].value for name in names] == [name.lower() for name in names]
assert [level.value for level in o.LogLevel] == ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
for name in ("Instance", "Worktree", "Task", "Integration", "Database", "Tmux"):
    error = getattr(o, f"{name}Error")("m", context={"a": 1})
    assert (str(error), error.context) == ("m", {"a": 1})
assert issubclass(o.ConfigurationError, Exception)
"""
    place.python(program)


def test_text_instead_of_json(place: Place) -> None:
    """``enable_structured=False``: rows of text in the file, and the same rows, without what was given, on stdout."""
    program = SETUP.replace("enable_structured=True", "enable_structured=False") + CONTEXT
    done = place.python(program)
    row = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - __main__ - INFO - Starting task execution"

    assert re.fullmatch(f"{row}\n", done.stdout)
    text = (place.path / LOG).read_text()
    assert re.fullmatch(
        rf'{row} instance_id="claude-001" task_id="TASK-123" task_title="Implement feature X" priority="high"\n', text
    )


@pytest.mark.parametrize("level", ["LogLevel.DEBUG", "'debug'", "logging.DEBUG", "'10'", "10"])
def test_levels_in_any_form(place: Place, level: str) -> None:
    """A member of the enumeration, a word in any case, stdlib's number."""
    program = f"""
import logging
from otel_agentlog.compat.orchestrator import *
early = get_logger("early", LogContext.WEB)
setup_logging({level}, "x.log", True, False)
early.debug("seen")
logging.getLogger("of.stdlib").debug("too", extra={{"files": 3}})
setup_logging(log_file="x.log", log_level=LogLevel.WARNING, enable_console=False)
early.info("not")
logging.getLogger("of.stdlib").warning("again")
"""
    done = place.python(program)

    assert (done.stdout, done.stderr) == ("", "")
    assert [line["message"] for line in place.lines_of("x.log")] == ["seen", "too", "again"]
    assert place.lines_of("x.log")[1]["files"] == 3


def test_lines_of_tasks_are_in_the_file_too(place: Place) -> None:
    """Who begins to use tasks loses no line of the log file; the task's folder has it as well."""
    program = f"""{SETUP}
import otel_agentlog as agentlog
from otel_agentlog.compat.orchestrator import get_logger
with agentlog.task("Fix", task_id="t-1"):
    get_logger(__name__).info("inside", files=3)
"""
    place.python(program)
    (line,) = place.lines_of(LOG)

    assert (line["message"], line["files"], line["task_id"]) == ("inside", 3, "t-1")
    assert "inside" in (place.path / "tasks" / "t-1" / "03-agent-output.jsonl").read_text()


def test_an_env_file_is_read(place: Place) -> None:
    """``.env`` in the working directory: what the environment does not have. Code is stronger than both."""
    (place.path / ".env").write_text("LOG_LEVEL=DEBUG\nAGENTLOG_SERVICE_NAME=of-the-file\n")
    program = """
from otel_agentlog.compat.orchestrator import setup_logging
for found in (setup_logging(enable_console=False), setup_logging("ERROR", enable_console=False)):
    print(found.log_level, found.service_name)
"""
    done = place.python(program, AGENTLOG_LOG_DIR="logs")

    assert done.stdout.splitlines() == ["DEBUG ported", "ERROR ported"]


def test_an_env_file_that_cannot_be_read_is_told(place: Place) -> None:
    """Bytes that are no text: an error by its name, not a set-up without it."""
    (place.path / ".env").write_bytes(b"A=\xff\xfe\n")
    done = place.python("from otel_agentlog.compat.orchestrator import setup_logging; setup_logging()", check=False)

    assert "ConfigurationError: setting '.env'" in done.stderr


@pytest.mark.parametrize("given", ["log_level='loud'", "log_file=3", "log_file=''", "log_file='.'", "no_such=1"])
def test_what_cannot_be_used_is_refused(place: Place, given: str) -> None:
    """By name, when it is set up."""
    done = place.python(f"from otel_agentlog.compat.orchestrator import setup_logging; setup_logging({given})", check=False)

    assert f"ConfigurationError: setting '{given.partition('=')[0]}'" in done.stderr


def test_nothing_is_deleted(place: Place) -> None:
    """The file is rotated at ``log_max_bytes`` and every line is still there, plain."""
    program = """
from otel_agentlog.compat.orchestrator import *
setup_logging(log_file="logs/o.log", enable_console=False, log_max_bytes=4096)
for number in range(400):
    get_logger("o").info("line", number=number)
"""
    place.python(program)
    numbers = place.shell("cat logs/o.log* | jq .number | sort -n | uniq | wc -l")

    assert numbers.strip() == "400"
    assert len(list((place.path / "logs").iterdir())) > 10

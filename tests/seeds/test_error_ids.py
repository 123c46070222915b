"""The document of a chat bot's logging: its examples, its command lines and its promises, with another import."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from otel_agentlog.compat.error_ids import format_error_for_discord
from tests.seeds.place import Place
from tests.support.app_logs import whole_log

LOG = "logs/bot.log"
SETUP = """
import asyncio, logging, time
from otel_agentlog.compat.error_ids import *
setup_logging(log_file="logs/bot.log")
logger = logging.getLogger("claude_coordinator.bot")
"""
WORK = """
channel_id = 12345
logger.info(
    "Processing message",
    extra={
        'channel_id': '12345',
        'session_id': 'abc-def',
        'cost_usd': 0.05
    }
)
for duration in (200, 300):
    logger.info("Claude CLI completed", extra={"claude_duration_ms": duration, "cost_usd": 0.1, "session_id": "abc-def"})

class channel:
    async def send(text):
        print(text)

async def operation():
    raise RuntimeError("psql: FATAL in /srv/app/sessions/abc-def")

async def main():
    try:
        result = await operation()
    except Exception as e:
        error_id, discord_msg = log_and_format_error(
            logger,
            error_type="claude_error",
            message="Operation failed",
            error=e,
            channel_id=channel_id
        )
        await channel.send(discord_msg)

asyncio.run(main())
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty home."""
    return Place(tmp_path)


def test_stdlib_records_are_there_with_their_extras_at_the_top(place: Place) -> None:
    """The first example: recorded at INFO by the set-up alone, with the fields of the document."""
    place.python(f"{SETUP}{WORK}")
    first = place.lines_of(LOG)[0]

    assert {"timestamp", "level", "module", "function", "line", "message"} <= first.keys()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", first["timestamp"])
    assert (first["channel_id"], first["session_id"], first["cost_usd"]) == ("12345", "abc-def", 0.05)


def test_the_console_shows_the_line_of_the_document(place: Place) -> None:
    """``date time,ms - logger - LEVEL - message`` on stderr."""
    done = place.python(f"{SETUP}{WORK}")

    row = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - claude_coordinator.bot - INFO - Processing message"
    assert re.fullmatch(row, done.stderr.splitlines()[0])


def test_an_error_is_logged_and_told(place: Place) -> None:
    """The second example: the caller's message and data in the log; for the user five lines, and nothing of the inside."""
    told = place.python(f"{SETUP}{WORK}").stdout
    last = place.lines_of(LOG)[-1]
    identity = last["error_id"]

    assert re.fullmatch("[0-9a-z]{8}", identity)
    assert told.splitlines() == [
        "❌ **Claude Error**",
        "Something went wrong processing your request.",
        "Please try again or rephrase your message.",
        f"_Error ID: `{identity}`_",
        "_Please reference this ID if requesting support._",
    ]
    assert (last["level"], last["message"], last["error_type"], last["channel_id"]) == (
        "ERROR",
        "Operation failed",
        "claude_error",
        12345,
    )
    assert (last["function"], last["exception"]["type"]) == ("main", "RuntimeError")
    assert "operation" in "".join(last["exception"]["traceback"])


def test_the_command_lines_of_the_document(place: Place) -> None:
    """Each jq line as it stands there; the real-time one on what is there already."""
    place.python(f"{SETUP}{WORK}")
    identity = place.lines_of(LOG)[-1]["error_id"]
    at_logs = "cd logs; "

    followed = place.shell(f"{at_logs}timeout 2 tail -f bot.log | jq . ; true")
    assert followed.count('"timestamp"') == 4
    errors = place.shell(f"{at_logs}cat bot.log | jq 'select(.level == \"ERROR\")'")
    assert json.loads(errors)["message"] == "Operation failed"
    assert place.shell(f"{at_logs}timeout 2 tail -f bot.log | jq 'select(.level == \"ERROR\")' ; true") == errors
    found = place.shell(f"{at_logs}cat bot.log* | jq 'select(.error_id == \"{identity}\")'")
    assert json.loads(found)["error_id"] == identity
    average = (
        "cat bot.log | jq 'select(.claude_duration_ms) | .claude_duration_ms' | awk '{sum+=$1; count++} END {print sum/count}'"
    )
    assert place.shell(f"{at_logs}{average}") == "250\n"
    costs = "cat bot.log | jq 'select(.cost_usd) | .cost_usd' | awk '{sum+=$1} END {print \"Total: $\" sum}'"
    assert place.shell(f"{at_logs}{costs}") == "Total: $0.25\n"


def test_our_command_finds_the_error_too(place: Place) -> None:
    """`agentlog errors ID` reads the bot's log where the variable names it."""
    place.python(f"{SETUP}{WORK}")
    identity = place.lines_of(LOG)[-1]["error_id"]
    shown = place.shell(f"{sys.executable} -m otel_agentlog errors {identity}", AGENTLOG_LOG_FILE=LOG)

    assert "Operation failed" in shown
    assert "psql: FATAL" in shown


def test_five_files_of_ten_megabytes_are_kept_plain(place: Place) -> None:
    """Rotation by size, five plain backups, the newest lines; an error in a backup is found by the command line."""
    program = f"""{SETUP}
found = setup_logging(log_file="logs/bot.log", enable_console=False)
assert (found.log_max_bytes, found.log_backups, found.log_days) == (10485760, 5, None)
setup_logging(log_file="logs/bot.log", enable_console=False, max_bytes=4096)
for number in range(600):
    logger.info("line", extra={{"number": number}})
    if number == 550:
        print(ErrorTracker().log_error_with_id(logger, "in between"))
import otel_agentlog
otel_agentlog.shutdown()
"""
    identity = place.python(program).stdout.strip()
    numbers = [int(row) for row in place.shell("cat logs/bot.log* | jq .number | grep -v null | sort -n").split()]

    assert len(list((place.path / "logs").iterdir())) == 6
    assert numbers == list(range(numbers[0], 600))
    assert place.shell(f"cd logs; cat bot.log* | jq -r 'select(.error_id == \"{identity}\") | .message'") == "in between\n"


def test_no_backups_means_that_it_is_never_rotated(place: Place) -> None:
    """As with the standard handler."""
    program = """
import logging
from otel_agentlog.compat.error_ids import setup_logging
setup_logging(log_file="logs/bot.log", enable_console=False, max_bytes=4096, backup_count=0)
for number in range(100):
    logging.getLogger("bot").info("line %d", number)
"""
    place.python(program)

    assert len(place.lines_of(LOG)) == 100


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_the_log_directory_is_that_of_the_system_or_of_the_user(tmp_path: Path) -> None:
    """``/var/log/<name>`` if it can be written to, else ``~/.<name>/logs``, made on the first run, with ``bot.log`` in it."""
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    program = """
import os, sys
from otel_agentlog.compat.error_ids import get_log_directory, setup_logging
setup_logging(log_file="first.log", enable_console=False)  # imports all: another user may not read them
os.setgid(65534); os.setuid(65534)
setup_logging(enable_console=False)
print(get_log_directory())
import logging; logging.getLogger("bot").info("there")
"""
    place = Place(tmp_path)
    done = place.python(program, AGENTLOG_SERVICE_NAME="claude-coordinator")

    assert done.stdout == f"{tmp_path}/.claude-coordinator/logs\n"
    assert [line["message"] for line in place.lines_of(".claude-coordinator/logs/bot.log")] == ["there"]
    assert place.shell("cat ~/.claude-coordinator/logs/bot.log | jq -r .message") == "there\n"


def test_the_level_comes_from_the_variable(place: Place) -> None:
    """``LOG_LEVEL``, also from ``.env``; INFO by default."""
    program = "from otel_agentlog.compat.error_ids import setup_logging; print(setup_logging(log_file='x.log').log_level)"
    assert place.python(program).stdout == "INFO\n"
    assert place.python(program, LOG_LEVEL="WARNING").stdout == "WARNING\n"
    (place.path / ".env").write_text("LOG_LEVEL=DEBUG\n")
    assert place.python(program).stdout == "DEBUG\n"
    assert place.python(program, LOG_LEVEL="ERROR").stdout == "ERROR\n"


FORMATTED = """
import json, logging
from otel_agentlog.compat.error_ids import ErrorTracker, JSONFormatter
record = logging.makeLogRecord({"name": "bot", "levelno": 20, "levelname": "INFO", "msg": "%s files", "args": (3,),
    "pathname": "bot.py", "module": "bot", "lineno": 7, "funcName": "run", "channel_id": "1", "password": "hunter2hunter2"})
print(JSONFormatter().format(record))
try:
    raise ValueError("Test error")
except ValueError:
    import sys
    record.exc_info = sys.exc_info()
print(JSONFormatter().format(record))
record.exc_info, record.msg, record.args = None, "%d", ("no number",)
print(JSONFormatter("%(message)s").format(record))
"""


@pytest.mark.parametrize(
    "before", ["", "from otel_agentlog.compat.error_ids import setup_logging; setup_logging(log_file='x.log')\n"]
)
def test_the_formatter_makes_json_for_handlers(place: Place, before: str) -> None:
    """Valid JSON with the required fields, exception and extras; redacted, configured or not; a wrong format string is no end."""
    plain, failed, odd = map(json.loads, place.python(f"{before}{FORMATTED}").stdout.splitlines())

    assert {key: plain[key] for key in ("level", "module", "function", "line", "message", "channel_id")} == {
        "level": "INFO",
        "module": "bot",
        "function": "run",
        "line": 7,
        "message": "3 files",
        "channel_id": "1",
    }
    assert "hunter2" not in json.dumps(plain)
    assert failed["exception"]["type"] == "ValueError"
    assert failed["exception"]["message"] == "Test error"
    assert odd["message"] == "%d"


def test_the_tracker_gives_ids_and_logs_under_them(place: Place) -> None:
    """Unique ids of eight characters; a call in any order of its arguments is logged under the id it returns."""
    program = f"""{SETUP}
tracker = ErrorTracker()
ids = {{ErrorTracker.generate_error_id() for _ in range(1000)}} | {{tracker.generate_error_id()}}
assert len(ids) == 1001 and all(type(each) is str and len(each) == 8 for each in ids)
one = ErrorTracker.generate_error_id()
error = ValueError("v")
assert tracker.log_error_with_id(logger, "first", error, one, channel_id=1) == one
assert tracker.log_error_with_id(error, "second", logger=None) == one
two = ErrorTracker(logger).log_error_with_id(message="third", error_id=tracker.generate_error_id(), channel_id=3)
ErrorTracker.log_error_with_id(logger, "fourth", error=KeyError("k"))
tracker.log_error_with_id()
tracker.log_error_with_id(None, None, None)
print(one, two)
"""
    one, two = place.python(program).stdout.split()
    lines = place.lines_of(LOG)

    assert [line["message"] for line in lines[:4]] == ["first", "second", "third", "fourth"]
    assert [line["error_id"] for line in lines[:3]] == [one, one, two]
    assert (lines[0]["channel_id"], lines[2]["channel_id"], lines[0]["function"]) == (1, 3, "<module>")
    assert len(lines) == 6


class _Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


TYPES = ("timeout", "claude_error", "parse_error", "config_error", "permission_error", "session_error", "lock_error")


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_of_error_has_a_message_of_its_own(kind: str) -> None:
    """With the id, by place and keyword, in either order; without an id no line of one."""
    told = format_error_for_discord(kind, "abc12345")

    assert told.startswith(f"❌ **{kind.replace('_', ' ').title()}**\n")
    assert "_Error ID: `abc12345`_" in told
    assert told == format_error_for_discord("abc12345", kind) == format_error_for_discord(error_id="abc12345", error_type=kind)
    assert "Error ID" not in format_error_for_discord(kind)
    assert len({format_error_for_discord(each) for each in TYPES}) == len(TYPES)


def test_nothing_of_the_inside_is_told() -> None:
    """Unknown types, exceptions, details and ids without the form of one say nothing."""
    inside = "/srv/app/bot.py", "sqlite3.OperationalError", "../../etc"
    told = [
        format_error_for_discord("no_such_type", "abc12345", inside[0], details=inside[1]),
        format_error_for_discord("timeout", inside[2]),
        format_error_for_discord(OSError(inside[0]), "abc12345", error=inside[1]),
        format_error_for_discord(_Hostile(), "abc12345"),
        format_error_for_discord(None, None),
        format_error_for_discord(),
        format_error_for_discord(3, b"x"),  # type: ignore[arg-type]  # as a port may
    ]

    assert [text for text in told if any(each in text for each in inside) or not text.startswith("❌ **")] == []


CALLS = """
import structlog
class Hostile(Exception):
    def __str__(self): raise RuntimeError("no text")
    def __bool__(self): raise RuntimeError("no truth")
    def __getattribute__(self, name): raise RuntimeError("no attributes")
class Broken(logging.Logger):
    def error(self, *a, **k): raise RuntimeError("no logger")
e = ValueError("x")
calls = [
    lambda f: f(logger, error_type="timeout", message="m", error=e, channel_id=1),
    lambda f: f(logger, "timeout", "m", e),
    lambda f: f(logger, e, "timeout"),
    lambda f: f(e, "timeout", logger=logger, message="m"),
    lambda f: f(error=e, message="m", logger=logger, context={"channel_id": 1}, error_type="timeout"),
    lambda f: f("boom", "timeout"),
    lambda f: f(logger, "timeout", "only words"),
    lambda f: f(None, None, None),
    lambda f: f(None, error_type=None, message=None, error=None),
    lambda f: f(),
    lambda f: f(logger, error=Hostile(), message=3, error_type=7),
    lambda f: f(Broken("b"), error=e, error_type="timeout"),
    lambda f: f(object(), error=e),
    lambda f: f(structlog.get_logger(), error_type="timeout", message="m", error=e, message_length=3),
    lambda f: f(logging.LoggerAdapter(logger, {"a": 1}), error_type="timeout", message="m", error=e, name="n", args=1),
    lambda f: f(logger, error_type="timeout", message="%s %d", error=e, msg="x", level="y", extra={}),
]
import otel_agentlog
for call in calls:
    for function in (log_and_format_error, otel_agentlog.log_and_format_error):
        identity, told = call(function)
        assert len(identity) == 8 and identity in told, told
"""


def test_an_error_path_never_raises(place: Place) -> None:
    """Any order, anything for the logger, the error and the data: an id and a message come back, here and in the main API."""
    place.python(f"{SETUP}{CALLS}")
    texts = [line["message"] for line in place.lines_of(LOG)]

    assert texts[:10] == ["m", "m", "m", "m", "error told to the user", "error told to the user", "m", "m", "m", "m"]
    assert "only words" in json.dumps(place.lines_of(LOG))


SAID = "my secret plan is tea"
PERSON = {
    "user_name": "Ann Example",
    "email": "ann@example.org",
    "phone": "+44 20 7946 0958",
    "author": {"display_name": "Ann Example", "id": 471100471100},
    "message_content": SAID,
}
PRIVATE = f"""
import json, logging, sys
import otel_agentlog as agentlog
import otel_agentlog.tools.control
from otel_agentlog.compat.error_ids import *
PERSON = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {PERSON!r}
SAID = {SAID!r}
found = setup_logging(log_file="logs/bot.log", content="full", console="flat", log_level="DEBUG", processors=[])
logger = logging.getLogger("bot")
logger.info("Processing message of %s, %s: %s", "Ann Example", "ann@example.org", SAID,
    extra={{**PERSON, "message_length": 21, "channel_id": "12345",
    "session_id": "550e8400-e29b-41d4-a716-446655440000", "duration_ms": 12, "cost_usd": 0.05}})
agentlog.get_logger("bot").info("received", prompt=SAID, nested={{"messages": [{{"role": "user", "content": SAID}}]}}, **PERSON)
with agentlog.webhook("discord", "message", {{"content": SAID, **PERSON}}) as hook:
    hook.stage("command_matching", text=SAID, message=SAID, content=SAID, command="review")
    hook.create_task("from a hook", input={{"message": SAID}}, tags=["user:Ann Example", "team:x"])
with agentlog.task("Answer", task_id="t-1", input={{"message": SAID, "source_metadata": PERSON}}, tags=["user:Ann Example"],
    attributes={{"user.name": "Ann Example", "gen_ai.input.messages": SAID}}) as task:
    asked = [{{"role": "user", "content": SAID}}]
    with agentlog.ai_call("claude-opus-4-5", provider="anthropic", messages=asked, system=SAID) as call:
        call.record({{"id": "r", "model": "claude-opus-4-5", "type": "message", "role": "assistant", "stop_reason": "end_turn",
            "content": [{{"type": "text", "text": SAID}}], "usage": {{"input_tokens": 5, "output_tokens": 6}}}})
    with agentlog.tool("Search", arguments={{"query": SAID}}) as run:
        run.result = SAID
    agentlog.command([sys.executable, "-c", "import sys; print(sys.argv[1]); print(sys.argv[1], file=sys.stderr)", SAID])
    task.output(SAID); task.thinking(SAID); task.system(SAID)
    task.output(SAID[:9], stream=True); task.output(SAID[9:], stream=True)
    agentlog.tools.control.add_context(task.folder, "by the way", reason="because", requested_by="Ann Example")
    task.checkpoint()
    with agentlog.task("Part", input=SAID) as part:
        part.result = {{"answer": SAID, "rows": 3}}
        with agentlog.step("look up", attributes={{"db.query.text": SAID}}):
            agentlog.events.log_event("web", "said", "a message came", details={{"message": SAID, "user": "Ann"}})
    try:
        raise agentlog.errors.DatabaseError("locked", context={{"prompt": SAID, "rows": 3}})
    except Exception as error:
        log_and_format_error(logger, error_type="session_error", message="Session save failed", error=error, **PERSON)
    task.result = SAID
from opentelemetry import metrics, trace
from opentelemetry._logs import LogRecord, get_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
import json as dumped
vendor = trace.get_tracer("vendor")
for around in (agentlog.task("Around"), agentlog.bind(session_id="s")):
    given = {{"gen_ai.prompt.0.content": SAID, "enduser.id": "Ann"}}
    with around, vendor.start_as_current_span("chat", attributes=given) as span:
        span.add_event("gen_ai.user.message", {{"content": SAID}})
        span.set_attribute("gen_ai.input.messages", dumped.dumps([{{"role": "user", "content": SAID}}]))
        get_logger_provider().get_logger("vendor").emit(LogRecord(
            body={{"content": SAID}}, attributes={{"user": "Ann"}}, event_name="gen_ai.user.message"))
metrics.get_meter("vendor").create_counter("c").add(1, {{"user.name": "Ann Example"}})
print(agentlog.flush())
agentlog.shutdown()
"""


def test_privacy_leaves_content_and_people_out_everywhere(place: Place) -> None:
    """Folders, log, console and OTLP have ids, lengths, durations, costs, errors; nothing of what was said, and nobody's data."""
    from otel_agentlog.testing.otlp.receiver import OtlpReceiver

    with OtlpReceiver() as receiver:
        done = place.python(PRIVATE, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint)
        sent = {name: repr(getattr(receiver, name)()) for name in ("spans", "log_records", "metrics")}
    files = (path for path in place.path.rglob("*") if path.is_file() and path.name != "control.jsonl")
    ways_out = {str(path): path.read_bytes().decode("utf-8", "replace") for path in files}
    ways_out |= {"stdout": done.stdout, "stderr": done.stderr, **sent}
    # Nothing as short as its "7946", which stands in a timestamp or a trace id now and then.
    people = ("Ann", "ann@", "7946 0958", "79460958", "471100471100", "secret plan", "plan is", "by the way")

    assert {(way, word) for way, text in ways_out.items() for word in people if word in text} == set()
    assert all(len(text) > 100 for text in sent.values())
    first = place.lines_of(LOG)[0]
    assert (first["message_length"], first["channel_id"], first["duration_ms"]) == (21, "12345", 12)
    error = next(line for line in place.lines_of(LOG) if line["message"] == "Session save failed")
    assert (error["exception"]["message"], error["exception"]["traceback"][0]) == ("locked", "Traceback (most recent call last):")
    result = json.loads((place.path / "tasks/t-1/04-final-result.json").read_text())
    assert (result["success"], result["metrics"]["input_tokens"], result["metrics"]["ai_calls"]) == (True, 5, 1)


def test_private_folders_are_valid(place: Place) -> None:
    """Whatever was left out, every folder is of the format."""
    place.python(PRIVATE)
    done = subprocess.run(
        [sys.executable, "-m", "otel_agentlog", "validate", "--root", str(place.path / "tasks")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_privacy_the_same_is_recorded(place: Place) -> None:
    """The test above would find what is there."""
    place.python(PRIVATE.replace('log_level="DEBUG"', "privacy=False"))
    text = whole_log(place.path)

    assert SAID in text
    assert "Ann Example" in text


ALERTS = """
import sqlite3
import otel_agentlog as agentlog
told = []
agentlog.register_alert_callback(lambda alert: told.append(alert))
setup_logging(log_file="logs/bot.log", enable_console=False)
def fail(kind, error, **context):
    try:
        raise error
    except Exception as e:
        log_and_format_error(logger, error_type=kind, message="failed", error=e, **context)
for channel in (1, 1, 1, 2):
    fail("timeout", TimeoutError("no answer"), channel_id=channel)
fail("session_error", OSError("disk"), channel_id=1)
fail("claude_error", sqlite3.OperationalError("database is locked"), channel_id=1)
with agentlog.ai_call("m", provider="p") as call:
    call.usage(input_tokens=1, output_tokens=1, cost_usd=1.5)
agentlog.shutdown()
print(sorted((alert.type, alert.specialist or "") for alert in set(told) if not alert.resolved))
"""


def test_the_alerting_criteria_of_the_document(place: Place) -> None:
    """Error rate, repeated timeouts of one channel, session saves, database errors and costs, all by their defaults."""
    done = place.python(f"{SETUP}{ALERTS}")
    found = ast.literal_eval(done.stdout)

    assert found == [
        ("cost_per_hour_usd", ""),
        ("database_errors", ""),
        ("errors_per_minute", ""),
        ("repeated_timeouts", "channel 1"),
        ("session_save_failures", ""),
    ]
    assert place.shell(f"jq -r 'select(.action==\"alert_raised\") | .message' {LOG} | wc -l") == "5\n"


FOREIGN = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
import atexit
ours = lambda: (span for span in exporter.get_finished_spans() if span.instrumentation_scope.name != "vendor")
atexit.register(lambda: print("\\nSPANS", " ".join(span.to_json() for span in ours())))
"""


def test_privacy_holds_for_what_others_take_from_our_spans(place: Place) -> None:
    """A span processor of the application sees our spans without what is private."""
    done = place.python(FOREIGN + PRIVATE)
    spans = done.stdout.partition("SPANS")[2]

    assert "chat claude-opus-4-5" in spans
    assert [word for word in ("Ann", "ann@", "secret plan") if word in spans] == []


KILLED = """
import os, signal
for number in range(200):
    logger.info("line", extra={"number": number})
if os.fork() == 0:
    logger.info("line", extra={"number": 200})
    os._exit(0)
os.wait()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_logged_is_there_after_kill_9(place: Place) -> None:
    """Every line that a call returned from, a forked child's among them."""
    place.python(f"{SETUP}{KILLED}", check=False)

    assert [line["number"] for line in place.lines_of(LOG)] == list(range(201))


def test_another_place_is_told(place: Place) -> None:
    """Where the folder cannot be written to, the log is in the user's home, and a warning says so."""
    done = place.python("from otel_agentlog.compat.error_ids import setup_logging; setup_logging(log_file='/proc/no/bot.log')")

    assert "/proc/no cannot be written to" in done.stderr
    assert "/.local/state/agentlog/logs/bot.log is used" in done.stderr


@pytest.mark.parametrize(
    "given", ["log_file='/dev/null'", "log_file='bot.log/'", "backup_count=-1", "max_bytes='x'", "privacy=3"]
)
def test_what_cannot_be_used_is_refused(place: Place, given: str) -> None:
    """A device would be renamed; the rest says what it is."""
    done = place.python(f"from otel_agentlog.compat.error_ids import setup_logging; setup_logging({given})", check=False)

    assert "ConfigurationError: setting '" in done.stderr


def test_a_link_is_followed(place: Place) -> None:
    """``bot.log`` may be a link to another disk; a folder may be named instead of a file."""
    (place.path / "elsewhere").mkdir()
    (place.path / "bot.log").symlink_to(place.path / "elsewhere" / "real.log")
    program = """
import logging
from otel_agentlog.compat.error_ids import setup_logging
chosen = {"log_file": "bot.log"}, {"log_file": "elsewhere"}, {"log_dir": "new/logs"}, {"log_dir": "new", "log_file": "x.log"}
for each in chosen:
    print(setup_logging(**each, enable_console=False).log_file)
    logging.getLogger("bot").info("there")
"""
    done = place.python(program)
    found = [Path(row).relative_to(place.path) for row in done.stdout.splitlines()]

    assert list(map(str, found)) == ["elsewhere/real.log", "elsewhere/bot.log", "new/logs/bot.log", "new/x.log"]
    assert all(len(place.lines_of(str(path))) == 1 for path in found)


OWN_HANDLER = """
import json, logging, sys
from otel_agentlog.compat.error_ids import JSONFormatter, setup_logging
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(JSONFormatter())
logging.getLogger().addHandler(handler)
for level in ("DEBUG", "ERROR"):
    setup_logging(level, log_directory="logs", enable_console=False)
    logging.getLogger("bot").debug("of %s", level, extra={"channel_id": "1"})
logging.getLogger("bot").error("last")
"""


def test_handlers_of_ones_own_get_what_is_recorded(place: Place) -> None:
    """As after a set-up of their own: at the level given, each line once, in their form."""
    shown = [json.loads(row)["message"] for row in place.python(OWN_HANDLER).stdout.splitlines()]

    assert shown == [line["message"] for line in place.lines_of(LOG)] == ["of DEBUG", "last"]

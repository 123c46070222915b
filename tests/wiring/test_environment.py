"""`configure` in environments that were made for somebody else, or for nobody: it sets up, warns, and every line is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk import environment_variables as sdk_variables

from otel_agentlog.settings.fields import load
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.app_logs import whole_log
from tests.support.forking import PYTHON

PROGRAM = """
import sys, otel_agentlog as a
settings = a.configure()
with a.task("t", task_id="t"):
    a.get_logger("l").info("important")
    with a.step("s"):
        pass
a.shutdown()
print(settings.service_name.encode("utf-8", "backslashreplace").decode())
"""

OTHERS = (
    *("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "OTEL_EXPORTER_OTLP_INSECURE", "LOG_LEVEL", "OTEL_PROPAGATORS"),
    *("OTEL_PYTHON_CONTEXT", "OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_LOGGER_PROVIDER", "OTEL_EXPORTER_OTLP_LOGS_INSECURE"),
    *("HTTP_PROXY", "NO_PROXY", "NO_COLOR", "FORCE_COLOR", "TERM", "REQUESTS_CA_BUNDLE", "XDG_STATE_HOME"),
)
STANDARD = tuple(sorted({name for name in dir(sdk_variables) if name.startswith("OTEL_")}.union(OTHERS)))


def run(
    root: Path, environment: dict[str, str | bytes | None], *, script: bytes = b"app.py", argv: tuple[bytes, ...] = ()
) -> tuple[str, str]:
    """What the program printed, and what it warned of, with these variables in its environment; ``None`` removes one."""
    path = os.path.join(os.fsencode(root), script)
    Path(os.fsdecode(path)).write_text(PROGRAM)
    variables = {os.fsencode(key): os.fsencode(value) for key, value in os.environ.items() if not key.startswith("OTEL_")}
    variables |= {b"TASK_LOGS_DIR": os.fsencode(root / "tasks"), b"AGENTLOG_LOG_DIR": os.fsencode(root / "logs")}
    variables |= {b"AGENTLOG_SHUTDOWN_TIMEOUT": b"0.5"}
    for key, value in environment.items():
        variables.pop(key.encode(), None)
        if value is not None:
            variables[key.encode()] = os.fsencode(value)
    done = subprocess.run([sys.executable, path, *argv], env=variables, cwd=root, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done.stdout.decode().strip(), done.stderr.decode("utf-8", "replace")


def recorded(root: Path) -> list[dict[str, object]]:
    """The lines of the one task."""
    return [json.loads(line) for line in (root / "tasks" / "t" / "03-agent-output.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize(
    "junk", ["nonsense", "-1", "0", "nan", "1e400", "a,b;=", "localhost:1", "\udce9\udcff", "true", " ", "%zz"]
)
def test_no_standard_variable_keeps_a_program_from_recording(junk: str, tmp_path: Path) -> None:
    """Every variable of the OpenTelemetry specification, and others of general use, with the same nonsense in all of them."""
    run(tmp_path, {**dict.fromkeys(STANDARD, junk), "OTEL_SDK_DISABLED": None})

    assert "important" in [line.get("message") for line in recorded(tmp_path)]
    assert (tmp_path / "tasks" / "t" / "04-final-result.json").exists()


def test_a_time_that_nobody_waits_is_told_and_left_out(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """What is sent arrives as if it were not set; no thread ends of it."""
    times = [name for name in STANDARD if name.startswith(("OTEL_EXPORTER_OTLP", "OTEL_METRIC_EXPORT", "OTEL_BSP_SCHEDULE"))]
    times = [name for name in times if name.endswith(("_TIMEOUT", "_INTERVAL", "_DELAY"))]
    assert len(times) >= 7
    _, told = run(tmp_path, {**dict.fromkeys(times, "1e30"), "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint})

    assert "Traceback" not in told
    assert [name for name in times if name not in told] == []
    assert {span["name"] for span in otlp_receiver.spans()} == {"invoke_workflow", "s"}


@pytest.mark.parametrize("variable", STANDARD)
def test_each_standard_variable_is_read_or_told(variable: str) -> None:
    """Nothing is refused; what cannot be used is a complaint that names the variable."""
    for junk in ("nonsense", "-1", "nan", "1e400", "http://[", "\udce9"):
        found = load({}, environment={variable: junk})

        assert all(variable in complaint for complaint in found.complaints)
        assert load({}, environment={variable: "   "}).complaints == ()


@pytest.mark.parametrize(
    ("environment", "setting", "expected", "is_told"),
    [
        ({"OTEL_TRACES_EXPORTER": "otlp,console"}, "traces_exporter", "otlp", True),
        ({"OTEL_TRACES_EXPORTER": "console, OTLP"}, "traces_exporter", "otlp", True),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "traces_exporter", "none", True),
        ({"OTEL_TRACES_EXPORTER": "zipkin,console"}, "traces_exporter", "console", True),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_http"}, "traces_exporter", "otlp", False),
        ({"OTEL_TRACES_EXPORTER": "None"}, "traces_exporter", "none", False),
        ({"OTEL_TRACES_EXPORTER": "nonsense"}, "traces_exporter", None, True),
        ({"OTEL_LOGS_EXPORTER": "logging"}, "logs_exporter", "console", False),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, "metrics_exporter", "none", True),
        ({"OTEL_METRICS_EXPORTER": "otlp,prometheus"}, "metrics_exporter", "otlp", True),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "protocol", "http/protobuf", True),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "GRPC"}, "protocol", "grpc", False),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}, "protocol", "http/protobuf", True),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "x"}, "traces_protocol", None, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317"}, "endpoint", "http://localhost:4317", True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "[::1]:4317"}, "endpoint", "http://[::1]:4317", True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "otel:4317"}, "endpoint", "https://otel:4317", True),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "otel:4317", "OTEL_EXPORTER_OTLP_INSECURE": "TRUE"},
            "endpoint",
            "http://otel:4317",
            True,
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "otel:4317", "OTEL_EXPORTER_OTLP_TRACES_INSECURE": "true"},
            "traces_endpoint",
            "http://otel:4317",
            True,
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://u:hunter2@otel"}, "endpoint", None, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:hunter2@otel:99999"}, "endpoint", None, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318/"}, "endpoint", "http://otel:4318/", False),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}, "genai_content", "SPAN_AND_EVENT", True),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "false"}, "genai_content", "NO_CONTENT", False),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only"}, "genai_content", "SPAN_ONLY", False),
        ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "some"}, "genai_content", "NO_CONTENT", True),
        ({"LOG_LEVEL": "trace"}, "log_level", "DEBUG", False),
        ({"LOG_LEVEL": "20"}, "log_level", "INFO", False),
        ({"LOG_LEVEL": "silent"}, "log_level", "CRITICAL", False),
        ({"LOG_LEVEL": "loud"}, "log_level", "INFO", True),
        ({"LOG_LEVEL": "ERROR", "AGENTLOG_LOG_LEVEL": "DEBUG"}, "log_level", "DEBUG", False),
        ({"LOG_LEVEL": "loud", "AGENTLOG_LOG_LEVEL": "DEBUG"}, "log_level", "DEBUG", False),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "many"}, "queue_size", 20_000, True),
        ({"OTEL_BSP_SCHEDULE_DELAY": "500"}, "send_delay_s", 0.5, False),
        ({"OTEL_BSP_SCHEDULE_DELAY": "soon"}, "send_delay_s", 1.0, True),
        ({"OTEL_BSP_SCHEDULE_DELAY": "x", "AGENTLOG_SEND_DELAY": "2"}, "send_delay_s", 2.0, False),
        ({"OTEL_SERVICE_NAME": "a", "AGENTLOG_SERVICE_NAME": "b"}, "service_name", "b", False),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team=x, service.name = checkout%20agent"}, "service_name", "checkout agent", False),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"}, "service_name", "b", False),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=caf\udce9"}, "service_name", "caf\ufffd", False),
        ({"OTEL_SERVICE_NAME": "caf\udce9"}, "service_name", "caf\ufffd", False),
        ({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "abc"}, "endpoint", None, True),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "0"}, "endpoint", None, True),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "endpoint", None, True),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, "endpoint", None, True),
    ],
)
def test_what_can_be_used_of_a_standard_variable_is_used(
    environment: dict[str, str], setting: str, expected: object, is_told: bool
) -> None:
    """Lists, older forms, addresses without scheme and words of other software; a secret in one is not told."""
    found = load({}, environment=environment)

    assert getattr(found, setting) == expected
    assert bool(found.complaints) is is_told
    assert "hunter2" not in str(found.complaints)


def test_a_complaint_is_told_once(tmp_path: Path) -> None:
    """Two set-ups in one process, one warning; it has what was expected and what was found, and is in the application log."""
    program = PROGRAM.replace("settings = a.configure()", "a.configure(); settings = a.configure()")
    (tmp_path / "twice.py").write_text(program)
    variables = {"OTEL_BSP_MAX_QUEUE_SIZE": "many", "TASK_LOGS_DIR": f"{tmp_path}/tasks", "AGENTLOG_LOG_DIR": f"{tmp_path}/logs"}
    done = subprocess.run(
        [sys.executable, "twice.py"], env={**os.environ, **variables}, cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stderr.count("'OTEL_BSP_MAX_QUEUE_SIZE': expected a whole number of at least 1, found 'many'; it is ignored") == 1
    assert whole_log(tmp_path / "logs").count("OTEL_BSP_MAX_QUEUE_SIZE") == 1


@pytest.mark.parametrize(
    ("script", "argv", "environment", "service"),
    [
        (b"caf\xe9.py", (), {}, "caf\ufffd"),
        (b"app.py", (b"\xff\xfe",), {"LC_ALL": "C", "PYTHONUTF8": "0"}, "app"),
        (b"app.py", (), {"OTEL_RESOURCE_ATTRIBUTES": b"service.name=caf\xe9", "OTEL_SERVICE_NAME": b" "}, "caf\ufffd"),
        (b"app.py", (), {"HOME": b"/nowhere/caf\xe9", "USER": b"\xff", "PWD": b"\xff"}, "app"),
        (b"app.py", (), {"TASK_LOGS_DIR": b"t\xe9sks/../tasks"}, "app"),
    ],
)
def test_bytes_that_are_no_text_cost_no_line(
    script: bytes, argv: tuple[bytes, ...], environment: dict[str, str | bytes | None], service: str, tmp_path: Path
) -> None:
    """In the script's name, its arguments, the environment and the working directory."""
    folder = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"caf\xe9")))
    folder.mkdir()
    printed, _ = run(folder, environment, script=script, argv=argv)

    assert printed in (service, service.encode("ascii", "backslashreplace").decode())
    assert "important" in [line.get("message") for line in recorded(folder)]


NOBODY = """
import pwd
def no_entry(uid):
    raise KeyError(uid)
pwd.getpwuid = no_entry
"""
NO_HOME = f"""{NOBODY}
import otel_agentlog as a
settings = a.configure(service_name="x")
with a.task("t", task_id="t"): pass
print(settings.directory)
"""
NO_HOME_CLI = f"""{NOBODY}
import sys
from otel_agentlog.view.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def _without_home(root: Path, program: str, *argv: str, **given_: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_STATE_HOME")}
    environment |= {"TMPDIR": str(root / "tmp"), **given_}
    (root / "tmp").mkdir(exist_ok=True)
    return PYTHON.run(["-c", program, *argv], env=environment, cwd=root, text=True, timeout=120)


@pytest.mark.parametrize("given_", [{}, {"TASK_LOGS_DIR": "t", "AGENTLOG_LOG_DIR": "l"}, {"XDG_STATE_HOME": "/proc/nowhere"}])
def test_there_need_be_no_home(given_: dict[str, str], tmp_path: Path) -> None:
    """A user without an entry and without HOME sets up, records, and the command line finds what was recorded."""
    done = _without_home(tmp_path, NO_HOME, **given_)

    assert done.returncode == 0, done.stderr
    assert os.path.isabs(done.stdout.strip())
    assert not (tmp_path / "~").exists()
    listed = _without_home(tmp_path, NO_HOME_CLI, "ls", "--json", **given_)
    assert listed.returncode == 0, listed.stderr
    assert ('"t"' in listed.stdout) is ("XDG_STATE_HOME" not in given_)
    assert "unexpected" not in _without_home(tmp_path, NO_HOME_CLI, "errors", **given_).stderr


def test_a_home_in_which_nothing_can_be_made_is_none(tmp_path: Path) -> None:
    """As in a container that runs as a user of its own (``HOME=/``): it is the temporary folder, also for readers."""
    (tmp_path / "file").touch()
    done = _without_home(tmp_path, NO_HOME, HOME=str(tmp_path / "file"))

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(str(tmp_path / "tmp"))
    assert '"t"' in _without_home(tmp_path, NO_HOME_CLI, "ls", "--json", HOME=str(tmp_path / "file")).stdout


def test_a_folder_of_somebody_else_in_the_temporary_folder_is_not_used(tmp_path: Path) -> None:
    """A link under the name that this user would use there is left alone."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tmp" / f"agentlog-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    done = _without_home(tmp_path, NO_HOME)

    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_working_directory_may_be_gone(tmp_path: Path) -> None:
    """Nothing needs it but a relative path among our own settings, which is refused by name."""
    program = """
import os, sys
gone = sys.argv[1] + "/gone"
os.mkdir(gone); os.chdir(gone); os.rmdir(gone)
import otel_agentlog as a
try:
    a.configure(directory="relative")
except a.ConfigurationError as refused:
    assert "'directory'" in str(refused), refused
a.configure()
with a.task("t", task_id="t"): a.get_logger("l").info("important")
"""
    variables = {"TASK_LOGS_DIR": f"{tmp_path}/tasks", "AGENTLOG_LOG_DIR": f"{tmp_path}/logs", "PYTHONPATH": os.getcwd()}
    # A file: with -c Python 3.13.0 itself cannot import what it needs there.
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path)]
    subprocess.run(command, env={**os.environ, **variables}, check=True, capture_output=True)

    assert "important" in [line.get("message") for line in recorded(tmp_path)]


@pytest.mark.parametrize("argv", [[], None, [None], [5], [b"app.py"], (), [""], ["  "], ["/a/b/\x00\ud800.py"], ["x" * 10_000]])
def test_an_embedded_interpreter_need_have_no_script(argv: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys.argv` may be missing, empty or hold anything; there is a service name all the same."""
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)

    assert load({}, environment={}).service_name.encode()

"""Programs that do not import this package are recorded: by OpenTelemetry's entry points, and by ``agentlog run``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

import otel_agentlog as agentlog
from otel_agentlog.record.foreign_spans import AdoptedSpan
from otel_agentlog.record.operations.context import BY_TRACE
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.validation.report import Severity
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.packages import environment

PROGRAM = Path(__file__).with_name("third_party.py")
BIN = Path(sys.executable).parent
QUIET = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
NO_LIBRARIES = {
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join({each.name for each in entry_points(group="opentelemetry_instrumentor")})
}
"""Instrumenting what is installed imports the clients of all providers: five seconds. A test of each way to begin has it."""


def _env(root: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "AGENTLOG_", "TASK_LOGS_"))}
    places = {"TASK_LOGS_DIR": str(root / "tasks"), "AGENTLOG_LOG_DIR": str(root / "logs")}
    return {**kept, **places, **more}


def _instrumented(root: Path, how: str = "", *, libraries: bool = False, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the program below ``opentelemetry-instrument``, with the libraries instrumented that it does not use, or without."""
    command = [BIN / "opentelemetry-instrument", sys.executable, str(PROGRAM), *([how] if how else [])]
    env = _env(root, **more) if libraries else _env(root, **NO_LIBRARIES, **more)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=90)


def _run(root: Path, *argv: str, options: tuple[str, ...] = (), **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otel_agentlog", "run", *options, "--", *argv]
    return subprocess.run(command, env=_env(root, **more), capture_output=True, text=True, timeout=90)


def _tasks(root: Path) -> list[TaskReader]:
    found = list(list_tasks(root / "tasks"))
    for task in found:
        assert [str(each) for each in validate(task.folder).problems if each.severity is Severity.ERROR] == []
    return found


def _only(root: Path) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    (task,) = _tasks(root)
    return dict(task.metadata() or {}), dict(task.final_result() or {}), list(task.events())


# Entry points -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_EXPORTER": "agentlog", **QUIET},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "agentlog"},
        {"OTEL_PYTHON_CONFIGURATOR": "agentlog", "OTEL_TRACES_EXPORTER": "none", **QUIET},
    ],
    ids=["traces exporter", "logs exporter", "configurator"],
)
def test_a_program_that_knows_opentelemetry_alone_has_a_folder(variables: dict[str, str], tmp_path: Path) -> None:
    """Its root span is a task, with agent, input, result, tokens and cost."""
    done = _instrumented(tmp_path, libraries=True, **variables)
    assert done.returncode == 0, done.stderr
    about, final, lines = _only(tmp_path)
    assert (about["name"], about["assigned_agent"], about["source"]) == ("agent", "planner", "opentelemetry")
    assert (final["outcome"], final["result"]) == ("completed", "done")
    assert (final["metrics"]["ai_calls"], final["metrics"]["input_tokens"]) == (1, 100)
    assert {line["trace_id"] for line in lines if "trace_id" in line} == {about["trace_id"]}


def test_what_fails_is_a_failed_task(tmp_path: Path) -> None:
    """With the error, by the id that the span has."""
    done = _instrumented(tmp_path, "fails", OTEL_TRACES_EXPORTER="agentlog", **QUIET)
    assert done.returncode == 1
    assert "ValueError: it broke" in done.stderr
    _, final, lines = _only(tmp_path)
    assert (final["outcome"], final["error"]["type"], final["error"]["message"]) == ("failed", "ValueError", "it broke")
    exceptions = [line["exception"] for line in lines if "exception" in line]
    assert len({each["error_id"] for each in exceptions}) == 1


@pytest.mark.parametrize("named", ["otlp,agentlog", "agentlog,otlp"])
def test_beside_the_exporter_of_opentelemetry_nothing_is_sent_twice(
    named: str, otlp_receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """``otlp,agentlog``: the SDK's exporter sends the two spans that there are, and we send none."""
    sent = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    done = _instrumented(tmp_path, OTEL_TRACES_EXPORTER=named, **QUIET, **sent)
    assert done.returncode == 0, done.stderr
    assert sorted(span["name"] for span in otlp_receiver.spans()) == ["agent", "chat gpt-4o"]
    about, _, _ = _only(tmp_path)
    assert about["delivery"]["pending"] == 0


def test_that_we_are_installed_changes_nothing(tmp_path: Path) -> None:
    """For those who name us nowhere: nothing is said, nothing is made, and nothing of ours is imported that takes time."""
    program = (
        "import sys, runpy; sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__'); "
        "print([name for name in sys.modules if name.startswith('otel_agentlog.')])"
    )
    command = [BIN / "opentelemetry-instrument", sys.executable, "-c", program, str(PROGRAM)]
    env = _env(tmp_path, OTEL_TRACES_EXPORTER="console", **QUIET)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stderr) == (0, "")
    assert "'otel_agentlog.settings.variables'" in done.stdout
    assert "'otel_agentlog.wiring" not in done.stdout
    assert '"name": "chat gpt-4o"' in done.stdout
    assert not (tmp_path / "tasks").exists()


CONSOLE = "{simple: {exporter: {console: {}}}}"
OURS = "{simple: {exporter: {agentlog: {}}}}"


def _declared(tmp_path: Path, receiver: OtlpReceiver, signals: str, **more: str) -> dict[str, str]:
    """Variables by which a program is set up from a file, where a collector could be reached."""
    file = tmp_path / "otel.yaml"
    file.write_text('file_format: "1.0"\n' + signals)
    needed = environment(f"opentelemetry-configuration=={version('opentelemetry-distro')}", options=("--no-deps",))
    sent = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    return {"PYTHONPATH": needed["PYTHONPATH"], "OTEL_CONFIG_FILE": str(file), **sent, **more}


def _said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """But for what the SDK says whenever ``opentelemetry-instrument`` is given such a file."""
    return [line for line in done.stderr.splitlines() if not line.startswith("OTEL_CONFIG_FILE is set; ignoring")]


@pytest.mark.parametrize("how", ["instrumented", "by the program"])
def test_in_a_declarative_configuration_we_are_one_exporter_among_others(
    how: str, otlp_receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """The provider of the file is kept: its console has the two spans, and there is one folder. Nothing is sent."""
    declared = _declared(tmp_path, otlp_receiver, f"tracer_provider: {{processors: [{CONSOLE}, {OURS}]}}\n")
    if how == "instrumented":
        done = _instrumented(tmp_path, libraries=True, **declared)
    else:
        # Nothing tells when the provider is set: the first trace is recorded from its first end on, the next one is whole.
        program = (
            "import os, runpy, sys\nfrom opentelemetry.configuration import configure_sdk, load_config_file\n"
            "configure_sdk(load_config_file(os.environ['OTEL_CONFIG_FILE']))\n"
            "from opentelemetry import trace\ntrace.get_tracer('x').start_span('first').end()\n"
            "sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')\n"
        )
        env = _env(tmp_path, **declared)
        done = subprocess.run(
            [sys.executable, "-c", program, str(PROGRAM)], env=env, capture_output=True, text=True, timeout=90, check=False
        )
    assert (done.returncode, _said(done)) == (0, [])
    assert done.stdout.count('"name": "agent"') == done.stdout.count('"name": "chat gpt-4o"') == 1
    about, final, _ = _only(tmp_path)
    assert (about["name"], about["source"], final["metrics"]["ai_calls"]) == ("agent", "opentelemetry", 1)
    assert otlp_receiver.requests() == []


def test_a_logs_exporter_of_a_declarative_configuration(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Begins as well, and the provider of log records of the file is kept."""
    signals = f"tracer_provider: {{processors: [{CONSOLE}]}}\nlogger_provider: {{processors: [{OURS}]}}\n"
    done = _instrumented(tmp_path, **_declared(tmp_path, otlp_receiver, signals))
    assert (done.returncode, _said(done)) == (0, [])
    assert done.stdout.count('"name": "chat gpt-4o"') == 1
    about, _, _ = _only(tmp_path)
    assert about["name"] == "agent"
    assert otlp_receiver.requests() == []


def test_what_our_file_says_counts_in_programs_that_do_not_import_us(tmp_path: Path) -> None:
    """Where no variable says it: what is usual here is not."""
    file = tmp_path / "agentlog.yaml"
    file.write_text("implicit_tasks: false\n")
    done = _instrumented(tmp_path, OTEL_TRACES_EXPORTER="agentlog", AGENTLOG_CONFIG=str(file), **QUIET)
    assert (done.returncode, done.stderr) == (0, "")
    assert _tasks(tmp_path) == []


def test_our_own_settings_that_are_wrong_do_not_end_the_program(tmp_path: Path) -> None:
    """It runs as without us, and stderr says in one line why nothing is recorded."""
    done = _instrumented(tmp_path, OTEL_PYTHON_CONFIGURATOR="agentlog", AGENTLOG_DURABILITY="never", **QUIET)
    assert done.returncode == 0
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("agentlog: ")]
    assert "nothing is recorded" in said
    assert "AGENTLOG_DURABILITY" in said
    assert "found 'never'" in said


# agentlog run -------------------------------------------------------------------------------------------------------------------


def test_a_command_is_a_task(tmp_path: Path) -> None:
    """What its Python program records is in the task's folder and trace, also from a thread, and below a shell."""
    done = _run(tmp_path, "sh", "-c", f"{sys.executable} {PROGRAM} threads", options=("--name", "nightly", "--agent", "brain"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    about, final, lines = _only(tmp_path)
    assert (about["name"], about["assigned_agent"], final["outcome"]) == ("nightly", "brain", "completed")
    assert final["metrics"]["input_tokens"] == 100
    begun = [line for line in lines if line.get("phase") == "start"]
    assert sorted(line["type"] for line in begun) == ["ai_request", "segment", "span", "span", "task"]
    starts = {line["message"]: line for line in reversed(begun)}
    assert starts["agent"]["trace_id"] == about["trace_id"]
    assert starts["agent"]["parent_span_id"] == starts["nightly"]["span_id"]


def test_the_exit_code_is_the_commands(tmp_path: Path) -> None:
    """And the task failed, with the exception of which the program died."""
    done = _run(tmp_path, sys.executable, str(PROGRAM), "fails")
    assert done.returncode == 1
    assert "ValueError: it broke" in done.stderr
    _, final, lines = _only(tmp_path)
    assert (final["outcome"], final["result"]) == ("failed", {"exit_code": 1})
    assert "ValueError" in {line["exception"]["type"] for line in lines if "exception" in line}


@pytest.mark.parametrize(
    ("argv", "code", "says"), [(("/nosuch/program",), 127, "No such file"), ((str(PROGRAM),), 126, "ermission")]
)
def test_a_command_that_cannot_be_run(argv: tuple[str, ...], code: int, says: str, tmp_path: Path) -> None:
    """Exit codes as a shell has them, and one line."""
    PROGRAM.chmod(0o644)
    done = _run(tmp_path, *argv)
    assert done.returncode == code
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    _, final, _ = _only(tmp_path)
    assert final["outcome"] == "failed"


def test_a_program_that_records_nothing_leaves_no_trace_in_the_folder(tmp_path: Path) -> None:
    """Only the task is there: many commands are no agents. The program's own ``sitecustomize`` is imported, too."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("print('its own')")
    done = _run(tmp_path, sys.executable, str(PROGRAM), "nothing", PYTHONPATH=str(site))
    # By the command line of ours, and by the program.
    assert (done.returncode, done.stdout) == (0, "its own\n" * 2)
    _, _, lines = _only(tmp_path)
    assert [line["type"] for line in lines] == ["process", "task", "task"]


@pytest.mark.parametrize("order", [1, -1], ids=["replay inside run", "run inside replay"])
def test_the_own_sitecustomize_is_imported_once_behind_ours(order: int, tmp_path: Path) -> None:
    """``agentlog run`` and ``agentlog replay`` within each other: both put a folder of theirs in front."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("print('its own')")
    home = Path(agentlog.__file__).parent
    ours = [home / "wiring" / "zero_code" / "site", home / "tools" / "replay" / "site"][::order]
    env = _env(tmp_path) | {"PYTHONPATH": os.pathsep.join(map(str, [*ours, site]))}
    done = subprocess.run([sys.executable, "-c", ""], env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "its own\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on(number: signal.Signals, tmp_path: Path) -> None:
    """It ends the command, whose exit code says so; nothing stays behind, and the folder is whole. Here is no terminal."""
    command = [sys.executable, "-m", "otel_agentlog", "run", "--", "sh", "-c", "echo on; exec sleep 100"]
    with subprocess.Popen(command, env=_env(tmp_path), stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    _, final, _ = _only(tmp_path)
    assert (final["outcome"], final["result"]) == ("failed", {"exit_code": 128 + number})


def test_options_that_are_missing_say_what_is_expected(tmp_path: Path) -> None:
    """A command line without a command."""
    done = subprocess.run(
        [sys.executable, "-m", "otel_agentlog", "run"], env=_env(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "agentlog run -- python agent.py" in done.stderr


# Implicit tasks -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def implicit(tmp_path: Path) -> Path:
    """Recording with tasks for spans outside every task."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off", implicit_tasks=True)
    return tmp_path


def test_everything_inside_such_a_span_is_in_its_task(implicit: Path) -> None:
    """Log calls, our own operations, other spans, other threads that carry the context; two roots are two tasks."""
    tracer, log = trace.get_tracer("lib"), agentlog.get_logger("app")
    with tracer.start_as_current_span("GET /a"):
        log.info("inside")
        with agentlog.tool("own"), tracer.start_as_current_span("SELECT"):
            pass
        with agentlog.task("a task of ours", task_id="ours"):
            log.info("deeper")
    with tracer.start_as_current_span("GET /b"):
        pass
    log.info("outside")
    agentlog.shutdown()
    tasks = {str((task.metadata() or {})["name"]): task for task in _tasks(implicit)}
    assert set(tasks) == {"GET /a", "a task of ours", "GET /b"}
    outer = tasks["GET /a"]
    assert (tasks["a task of ours"].metadata() or {})["parent_task_id"] == (outer.metadata() or {})["task_id"]
    messages = [line.get("message") for line in outer.events()]
    assert {"inside", "own", "SELECT"} <= set(messages)
    assert "outside" not in messages
    assert (outer.final_result() or {})["metrics"]["tool_runs"] == 1


def test_its_own_span_is_in_the_folder_alone(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """In the trace the other library's span is the root; nothing waits in the end."""
    agentlog.configure(
        directory=tmp_path / "tasks",
        log_directory=tmp_path / "logs",
        console="off",
        implicit_tasks=True,
        endpoint=otlp_receiver.http_endpoint,
    )
    with trace.get_tracer("lib").start_as_current_span("GET /a"), agentlog.step("s"):
        pass
    assert agentlog.flush(20).pending == 0
    agentlog.shutdown()
    sent = {span["name"]: span for span in otlp_receiver.spans()}
    assert set(sent) == {"GET /a", "s"}
    assert not sent["GET /a"].get("parent_span_id")
    assert sent["s"]["parent_span_id"] == sent["GET /a"]["span_id"]
    (task,) = _tasks(tmp_path)
    assert (task.metadata() or {})["delivery"]["pending"] == 0


def _starts_in(task: TaskReader) -> list[str]:
    return [str(line["message"]) for line in task.events() if line.get("phase") == "start" and line["type"] != "task"]


def test_two_requests_of_one_remote_trace_are_two_tasks(implicit: Path) -> None:
    """Each has what is below its span, also after the other one has ended; one failed."""
    remote = SpanContext(int("a" * 32, 16), int("b" * 16, 16), True, TraceFlags(1))
    tracer, far = trace.get_tracer("asgi"), trace.set_span_in_context(NonRecordingSpan(remote))
    first, second = tracer.start_span("GET /a", context=far), tracer.start_span("GET /b", context=far)
    below = trace.set_span_in_context(second)
    tracer.start_span("b 1", context=below).end()
    with trace.use_span(first):
        agentlog.get_logger("app").info("in a")
        tracer.start_span("a 1").end()
    first.end()
    tracer.start_span("b 2", context=below).end()
    with trace.use_span(second):
        agentlog.get_logger("app").info("in b")
    second.set_status(trace.StatusCode.ERROR)
    second.end()
    agentlog.shutdown()

    tasks = {str((task.metadata() or {})["name"]): task for task in _tasks(implicit)}
    assert {name: _starts_in(task) for name, task in tasks.items()} == {
        "GET /a": ["GET /a", "a 1"],
        "GET /b": ["GET /b", "b 1", "b 2"],
    }
    assert [(task.final_result() or {})["outcome"] for task in tasks.values()].count("failed") == 1
    logged = {name: [line["message"] for line in task.events() if line["type"] == "log"] for name, task in tasks.items()}
    assert logged == {"GET /a": ["in a"], "GET /b": ["in b"]}


def test_what_begins_after_its_root_has_ended_makes_no_tasks(implicit: Path) -> None:
    """Background work of a request, a stream that is read late: in the folder of the request, and in its result."""
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 7}
    tracer = trace.get_tracer("lib")
    with tracer.start_as_current_span("GET /a") as root:
        pass
    below = trace.set_span_in_context(root)
    for number in range(3):
        with tracer.start_as_current_span(f"late {number}", context=below):
            tracer.start_span("deeper").end()
    tracer.start_span("chat", context=below, attributes=call).end()
    agentlog.shutdown()

    (task,) = _tasks(implicit)
    assert len(_starts_in(task)) == 1 + 3 * 2 + 1
    metrics = (task.final_result() or {})["metrics"]
    assert (metrics["ai_calls"], metrics["input_tokens"]) == (1, 7)


def test_what_begins_after_another_configuration_is_no_part_of_the_earlier_one(implicit: Path) -> None:
    """Its folder is done with."""
    with trace.get_tracer("lib").start_as_current_span("GET /a") as root:
        pass
    agentlog.configure(directory=implicit / "other", log_directory=implicit / "logs", console="off", implicit_tasks=True)
    trace.get_tracer("lib").start_span("late", context=trace.set_span_in_context(root)).end()
    agentlog.shutdown()
    (task,) = _tasks(implicit)
    assert _starts_in(task) == ["GET /a"]
    assert [_starts_in(each) for each in list_tasks(implicit / "other")] == [["late"]]


def test_spans_that_never_end_are_no_leak(implicit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past a bound the oldest such task is ended."""
    from otel_agentlog.record.operations import task as task_module

    monkeypatch.setattr(task_module, "MAX_IMPLICIT", 5)
    tracer = trace.get_tracer("lib")
    kept = [tracer.start_span(f"span {number}", context=trace.set_span_in_context(trace.INVALID_SPAN)) for number in range(20)]
    assert len(BY_TRACE) == 5
    for span in kept[10:]:
        span.end()
    assert not BY_TRACE
    agentlog.shutdown()
    states = Counter((task.metadata() or {})["status"] for task in _tasks(implicit))
    assert states == {"interrupted": 15, "completed": 5}


def test_a_kill_leaves_a_folder_that_recovery_closes(tmp_path: Path) -> None:
    """As with any task: it was written while the span ran."""
    program = (
        "import time\nfrom opentelemetry import trace\n"
        "with trace.get_tracer('lib').start_as_current_span('long'):\n    print('on', flush=True)\n    time.sleep(100)\n"
    )
    env = _env(tmp_path, OTEL_TRACES_EXPORTER="agentlog", **QUIET, **NO_LIBRARIES)
    command = [str(BIN / "opentelemetry-instrument"), sys.executable, "-c", program]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        (task,) = list_tasks(tmp_path / "tasks")
        assert (task.metadata() or {})["status"] == "running"
        process.kill()
    subprocess.run([sys.executable, "-m", "otel_agentlog", "recover"], env=env, check=True, capture_output=True, timeout=60)
    _, final, _ = _only(tmp_path)
    assert final["outcome"] == "interrupted"


@pytest.mark.parametrize("where", ["_start_line", "_end_line"])
def test_what_cannot_be_recorded_of_a_span_does_not_keep_its_task_open(
    where: str, implicit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library goes on, and the task ends with the span."""

    def fails(*args: Any, **given: Any) -> Any:
        raise ZeroDivisionError("made by the test")

    monkeypatch.setattr(AdoptedSpan, where, fails)
    with trace.get_tracer("lib").start_as_current_span("odd"):
        pass
    assert not BY_TRACE
    agentlog.shutdown()
    (task,) = list_tasks(implicit / "tasks")
    assert (task.metadata() or {})["status"] == "interrupted"

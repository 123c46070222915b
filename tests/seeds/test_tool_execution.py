"""The document of a monitored tool execution service: its examples and command lines run with other imports and base names."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.compat.past_runs import read_result
from otel_agentlog.compat.tool_execution import (
    ErrorCategory,
    ErrorDetails,
    ExecutionLogger,
    MetricsCollector,
    MonitoredToolExecutionService,
    create_monitored_tes,
)
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.store.retention.policy import limits_of
from otel_agentlog.store.retention.prune import prune
from otel_agentlog.wiring import settings_in_force
from tests.seeds.place import Home
from tests.support.waiting import wait_until

REGISTRY = {
    "version": 1,
    "scripts": {
        "validate_api_schema": {
            "argv": ["python3", "-c", "import json, sys; print(len(json.load(sys.stdin)['schema_file']))"],
            "specialist": "api-ui-designer",
        },
        "script_id": {"argv": ["python3", "-c", "import time; time.sleep(60)"], "timeout_s": 0.5, "specialist": "slow-one"},
    },
}

LOG = """
from otel_agentlog.compat.tool_execution import ExecutionLogger, ToolExecutionService

execution_result = ToolExecutionService("registry.json").execute("validate_api_schema", {"schema_file": "api.yaml"})

logger = ExecutionLogger()
logger.log_execution(
    script_id='validate_api_schema',
    specialist='api-ui-designer',
    inputs={'schema_file': 'api.yaml'},
    result=execution_result,
    session_id='session-123',
    correlation_id='request-456'
)
"""
COLLECT = """
from otel_agentlog.compat.tool_execution import MetricsCollector, ToolExecutionService

execution_result = ToolExecutionService("registry.json").execute("validate_api_schema", {"schema_file": "api.yaml"})

collector = MetricsCollector(statsd_host='localhost')
collector.record_execution(
    script_id='validate_api_schema',
    specialist='api-ui-designer',
    result=execution_result
)
"""
MONITORED = """
from otel_agentlog.compat.tool_execution import create_monitored_tes

# Create TES with monitoring enabled
tes = create_monitored_tes(
    enable_logging=True,
    enable_metrics=True,
    statsd_host='localhost'
)

# Execute with automatic monitoring
result = tes.execute(
    'validate_api_schema',
    {'schema_file': 'api.yaml'},
    session_id='session-123'
)

# Get execution statistics
stats = tes.get_execution_stats()

# Export Prometheus metrics
metrics = tes.export_prometheus_metrics()
assert result.success and stats["total"]["executions"] == 1 and "agentlog_tool_executions_total" in metrics
"""
DIRECT = """
from otel_agentlog.compat.tool_execution import ToolExecutionService

tes = ToolExecutionService('registry.json')
result = tes.execute('script_id', {'arg': 'value'})

# Access enhanced error information
if not result.success and result.error_details:
    print(f"Error Category: {result.error_details.category.value}")
    print(f"Suggestions:")
    for suggestion in result.error_details.suggestions:
        print(f"  - {suggestion}")

# Check resource usage
if result.resource_usage:
    print(f"Peak Memory: {result.resource_usage.peak_memory_mb}MB")
    print(f"CPU Time: {result.resource_usage.cpu_time_seconds}s")
print(result.error_details.context)
"""
WITH_MONITORING = """
from otel_agentlog.compat.tool_execution import MonitoredToolExecutionService

# Use monitored version for automatic logging and metrics
tes = MonitoredToolExecutionService('registry.json')
result = tes.execute('script_id', {'arg': 'value'})
"""
ALERTS = """
from otel_agentlog.compat.tool_execution import MetricsCollector

collector = MetricsCollector()

# Set custom thresholds
collector.set_alert_threshold('error_rate_percent', 15.0)
collector.set_alert_threshold('p95_duration_seconds', 60.0)
collector.set_alert_threshold('memory_peak_mb', 2048.0)

# Register alert callback
def on_alert(alerts):
    for alert in alerts:
        print(f"ALERT [{alert['severity']}]: {alert['message']}")
        print(sorted(alert))
        # Send to Slack, PagerDuty, etc.

collector.register_alert_callback(on_alert)
for _ in range(6):
    collector.record_execution("build", "ops", {"success": False, "error": "no compiler"})
"""
RETENTION = """
from otel_agentlog.compat.tool_execution import ExecutionLogger

logger = ExecutionLogger(
    rotation_size_mb=100,      # Rotate at 100MB
    retention_days=30,         # Keep logs for 30 days
    async_logging=True         # Non-blocking writes
)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a registry."""
    (tmp_path / "registry.json").write_text(json.dumps(REGISTRY))
    return Home(tmp_path)


@pytest.fixture
def recording_here(tmp_path: Path) -> Any:
    """Recording in this process, into folders of its own."""
    root = tmp_path / "tasks"
    agentlog.configure(service_name="test", directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    yield root
    agentlog.shutdown()


def ends(root: Path, kind: str) -> list[dict[str, Any]]:
    """The end lines of a type, of all tasks."""
    files = sorted(root.glob("*/03-agent-output.jsonl"))
    lines = [json.loads(row) for file in files for row in file.read_text().splitlines()]
    return [line for line in lines if line["type"] == kind and line.get("phase") == "end"]


def test_error_details_have_the_shape_of_the_document() -> None:
    """``ErrorDetails(category=, message=, context=, suggestions=, stack_trace=)``."""
    details = ErrorDetails(
        category=ErrorCategory.TIMEOUT,
        message="Script execution timed out after 30000ms",
        context={
            "script_id": "validate_api_schema",
            "script_path": "specialists/api-ui-designer/validate-api-schema.py",
            "specialist": "api-ui-designer",
        },
        suggestions=["Increase the timeout value in the script configuration"],
        stack_trace="...",
    )

    assert (details.category.value, details.context["specialist"]) == ("TIMEOUT", "api-ui-designer")
    assert [each.value for each in ErrorCategory] == [
        "TIMEOUT",
        "VALIDATION",
        "DEPENDENCY",
        "EXECUTION",
        "PERMISSION",
        "RESOURCE",
        "UNKNOWN",
    ]


@pytest.mark.parametrize("program", [LOG, COLLECT, MONITORED, WITH_MONITORING], ids=["log", "collect", "monitored", "service"])
def test_each_example_records_its_execution_once(home: Home, program: str) -> None:
    """One task, one tool run, whoever is told of it, in statistics by specialist and tool."""
    home.python(program)

    stats = json.loads(home.shell("agentlog stats --group-by tool --json"))
    assert [(group["runs"], group["tasks"]) for group in stats["groups"]] == [(1, 1)]
    specialist = "slow-one" if "script_id', {'arg'" in program else "api-ui-designer"
    by_specialist = json.loads(home.shell("agentlog stats --group-by specialist --json"))
    assert [group["key"] for group in by_specialist["groups"]] == [specialist]
    home.shell("agentlog validate")


def test_direct_use_tells_category_suggestions_and_resources(home: Home) -> None:
    """The names of the figures, and what the context of the error has."""
    said = home.python(DIRECT).stdout

    assert "Error Category: TIMEOUT\nSuggestions:\n  - " in said
    assert "Peak Memory: " in said
    assert "CPU Time: 0." in said
    assert "'script_id': 'script_id'" in said
    assert "'specialist': 'slow-one'" in said


def test_alerts_come_as_a_list_of_mappings(home: Home) -> None:
    """The callback of the document says what is too much."""
    told = "import threading\ntold = threading.Event()\ncollector.register_alert_callback(lambda alerts: told.set())\n"
    said = home.python(ALERTS + told + "assert told.wait(30)\n").stdout

    assert re.search(r"ALERT \[critical\]: 100 % of [56] executions failed in 5 min \(limit 15 %\)", said)
    for key in ("timestamp", "type", "severity", "message", "value", "threshold"):
        assert f"'{key}'" in said
    assert "error_rate_percent" in home.shell("agentlog alerts --json", status=1)


def test_retention_is_that_of_executions_and_the_log(home: Home) -> None:
    """The arguments reach the settings; tasks of other kinds are kept."""
    program = RETENTION + "from otel_agentlog.wiring import settings_in_force as now\ns = now()\n"
    said = home.python(program + "print(s.log_max_bytes, s.execution_retention_days, s.log_keep_days, s.retention_days)").stdout

    assert said.split() == ["100000000", "30", "30", "None"]


def test_only_executions_are_deleted_by_their_retention(recording_here: Path) -> None:
    """A task of another kind that is as old stays."""
    with agentlog.task("job"):
        ExecutionLogger(retention_days=30).log_execution("inside", result=True)
    ExecutionLogger().log_execution("alone", result=True)
    agentlog.flush()
    limits = limits_of(settings_in_force())

    report = prune(recording_here, limits, now_ns=time.time_ns() + 31 * 86_400 * 10**9)

    assert len(report.deleted) == 1
    assert [task["message"] for task in ends(recording_here, "task")] == ["job"]


COMMANDS = {
    "agentlog ls --failed --limit 20": "script_id",
    "agentlog stats --start-date \"$(date -d '-1 hour' '+%Y-%m-%d %H:%M:%S')\"": "50.0%",
    'agentlog ls --json --specialist "api-ui-designer" > api_logs.json; jq .matching api_logs.json': "1\n",
    "agentlog stats --group-by user": "–",
    "agentlog metrics --prometheus": 'agentlog_folder_tasks{status="completed"} 1',
    "agentlog metrics --report --period 60 --json | jq .total.tasks": "2\n",
    "agentlog metrics --current": "errors: TIMEOUT 1",
    "agentlog monitor --text --once": "validate_api_schema",
}
"""The command lines, with what must stand in the output."""


def test_the_command_lines_find_executions(home: Home) -> None:
    """Each line of the document, with the base name of the program changed."""
    home.python(MONITORED)
    home.python(WITH_MONITORING)

    said = {line: home.shell(line) for line in COMMANDS}

    assert {line: text for line, text in said.items() if COMMANDS[line] not in text and "–" not in COMMANDS[line]} == {}


# -- more than the document shows ---------------------------------------------------------------------------------------------

FOREIGN = [
    None,
    True,
    3,
    "text",
    "",
    [],
    {},
    object(),
    {"success": True, "output": "fine", "execution_time": 1.5},
    {"success": True, "execution_time": "soon", "resource_usage": {"peak_memory_mb": float("nan")}},
    SimpleNamespace(success=True, retry_count=2, resource_usage=SimpleNamespace(peak_memory_mb=12.5, cpu_time_seconds=0.25)),
]
FAILED = [
    False,
    ValueError("no"),
    {"success": False},
    {"error": "no compiler"},
    {"returncode": 2},
    {"success": False, "error_details": {"category": "timeout", "message": "late", "suggestions": ["wait"]}},
    SimpleNamespace(success=False, error_details=ErrorDetails(category=ErrorCategory.RESOURCE, message="no memory")),
    SimpleNamespace(success=False, error_details=SimpleNamespace(category="NOT ONE", message=None)),
]


class Hostile:
    """A result whose every attribute raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("result", [*FOREIGN, *FAILED, Hostile()], ids=lambda result: type(result).__name__)
def test_results_of_any_shape_are_recorded_once(recording_here: Path, result: Any) -> None:
    """Log and collector are told of the same: one task, one run, with what could be read."""
    log, collector = ExecutionLogger(), MetricsCollector()

    log.log_execution("build", "ops", {"target": "all"}, result, "s-1", "r-1")
    collector.record_execution("build", "ops", result)

    (run,), (task,) = ends(recording_here, "tool_result"), ends(recording_here, "task")
    assert (run["outcome"] == "completed") is (result not in FAILED)
    assert (task["session_id"], task["correlation_id"], task["message"]) == ("s-1", "r-1", "build")
    assert run["details"]["specialist"] == "ops"


def test_a_past_execution_began_when_it_began(recording_here: Path) -> None:
    """Duration, resources, attempts and category come from the result."""
    usage = SimpleNamespace(peak_memory_mb=12.5, cpu_time_seconds=0.25)
    details = SimpleNamespace(category="TIMEOUT", message="late", suggestions=["wait"])
    result = SimpleNamespace(success=False, execution_time=2.5, resource_usage=usage, retry_count=2, error_details=details)

    ExecutionLogger().log_execution("build", "ops", None, result)

    (run,), (task,) = ends(recording_here, "tool_result"), ends(recording_here, "task")
    assert run["outcome"] == task["outcome"] == "timed_out"
    assert 2500 <= run["duration_ms"] <= task["duration_ms"] < 4000
    assert run["details"]["resources"] == {"cpu_seconds": 0.25, "memory_peak_mb": 12.5}
    assert run["details"]["attempts"] == 3
    assert run["exception"]["category"] == "TIMEOUT"
    assert run["exception"]["context"]["suggestions"] == ["wait"]


def test_the_same_object_told_twice_is_two_executions(recording_here: Path) -> None:
    """A mapping that is used again for each execution loses none."""
    log, collector, result = ExecutionLogger(), MetricsCollector(), {"success": True}

    for _ in range(3):
        log.log_execution("build", result=result)
        collector.record_execution("build", result=result)

    assert len(ends(recording_here, "tool_result")) == 3


def test_inside_a_task_an_execution_is_part_of_it(recording_here: Path) -> None:
    """No task of its own there, and the service's executions neither."""
    with agentlog.task("job", agent="brain"):
        ExecutionLogger().log_execution("build", "ops", {}, {"success": True})

    assert [task["message"] for task in ends(recording_here, "task")] == ["job"]
    assert len(ends(recording_here, "tool_result")) == 1


def test_an_alert_counts_an_execution_of_its_own_task_once(recording_here: Path) -> None:
    """The task is there for the run alone: 6 executions are 6."""
    found: list[list[dict[str, Any]]] = []
    collector = MetricsCollector()
    take_back = collector.register_alert_callback(found.append)
    try:
        for _ in range(6):
            collector.record_execution("build", "ops", False)
        wait_until(lambda: any(alerts[0]["type"] == "error_rate_percent" for alerts in found), "an alert")
    finally:
        take_back()

    (alert,) = [alert for alerts in found for alert in alerts if alert["type"] == "error_rate_percent"]
    assert re.search("of [56] executions", alert["message"])


def test_a_callback_that_raises_costs_itself_only(recording_here: Path) -> None:
    """The next one is called all the same."""
    found: list[Any] = []
    collector = MetricsCollector()
    collector.register_alert_callback(lambda alerts: alerts[0]["no such key"])
    collector.register_alert_callback(found.append)
    for _ in range(6):
        collector.record_execution("build", "ops", False)

    wait_until(lambda: found, "the second callback")
    collector.shutdown()


def test_alerts_can_be_subscripted(recording_here: Path) -> None:
    """`Alert` itself, too: by key, as a mapping, with a default."""
    found: list[agentlog.Alert] = []
    take_back = agentlog.register_alert_callback(found.append)
    try:
        for _ in range(6):
            MetricsCollector().record_execution("build", "ops", False)
        wait_until(lambda: found, "an alert")
    finally:
        take_back()

    alert = found[0]
    assert (alert["severity"], alert.get("none", 1)) == (alert.severity, 1)
    assert dict(alert) == alert.as_json()
    with pytest.raises(KeyError):
        alert["none"]


def test_statsd_gets_the_metrics_of_the_document(recording_here: Path) -> None:
    """Counters, histograms and tags, by UDP, to the address given and to that of the variables."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        port = receiver.getsockname()[1]
        collector = MetricsCollector(statsd_host="127.0.0.1", statsd_port=port)
        usage = {"peak_memory_mb": 12.5, "cpu_time_seconds": 0.25}
        result = {"success": False, "execution_time": 2.5, "retry_count": 2, "error": "no", "resource_usage": usage}
        collector.record_execution("build|x", "ops", result)
        got = [receiver.recv(4096).decode().strip() for _ in range(6)]

    tags = "#script_id:build_x,specialist:ops"
    assert got == [
        f"metaclaude.executions.total:1|c|{tags}",
        f"metaclaude.executions.failure:1|c|{tags},error_category:EXECUTION",
        f"metaclaude.execution.duration_seconds:2.5|h|{tags}",
        f"metaclaude.resource.memory_peak_mb:12.5|h|{tags}",
        f"metaclaude.resource.cpu_time_seconds:0.25|h|{tags}",
        f"metaclaude.executions.retries:2|c|{tags}",
    ]


def test_the_variables_of_the_document_are_read(home: Home) -> None:
    """Folder, StatsD host and port."""
    said = home.python(
        "import os; del os.environ['TASK_LOGS_DIR']\n"
        "from otel_agentlog.compat.tool_execution import ExecutionLogger\n"
        "ExecutionLogger().log_execution('build', 'ops', {}, None)\n"
        "from otel_agentlog.wiring import settings_in_force\n"
        "s = settings_in_force(); print(s.statsd_host, s.statsd_port)",
        METACLAUDE_LOG_DIR="executions",
        METACLAUDE_METRICS_HOST="metrics.example.com",
        METACLAUDE_METRICS_PORT="9125",
    ).stdout

    assert said.split() == ["metrics.example.com", "9125"]
    assert len(list((home.path / "executions").glob("task-*"))) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"rotation_size_mb": -1},
        {"rotation_size_mb": "big"},
        {"retention_days": 0},
        {"async_logging": "perhaps"},
        {"log_dir": 3},
    ],
)
def test_what_cannot_be_used_is_refused_by_name(recording_here: Path, wrong: dict[str, Any]) -> None:
    """As in `configure`: the name, what was expected, what was found."""
    with pytest.raises(ConfigurationError):
        ExecutionLogger(**wrong)
    assert agentlog.ToolExecutionService is not None


def test_two_services_at_once(home: Home, recording_here: Path) -> None:
    """Both record, each counts its own, and setting one up does not end the other."""
    services = [MonitoredToolExecutionService(home.path / "registry.json") for _ in range(2)]
    inputs = {"schema_file": "api.yaml"}
    threads = [threading.Thread(target=each.execute, args=("validate_api_schema", inputs)) for each in services]
    for thread in threads:
        thread.start()
    third = create_monitored_tes(home.path / "registry.json", True, True)
    for thread in threads:
        thread.join(60)

    assert third.execute("validate_api_schema", inputs).success
    assert [each.get_execution_stats()["total"]["executions"] for each in (*services, third)] == [1, 1, 1]
    assert len(ends(recording_here, "tool_result")) == 3


def test_queries_of_the_log(recording_here: Path) -> None:
    """Filters by name and date; statistics by group; wrong fields and dates are refused."""
    log = ExecutionLogger()
    log.log_execution("build", "ops", {}, {"success": True}, "s-1")
    log.log_execution("test", "qa", {}, {"success": False, "error": "x"}, "s-2")

    assert [row["name"] for row in log.query(failed=True, limit=5)] == ["test"]
    assert [row["name"] for row in log.query(specialist="ops", start_date="1h")] == ["build"]
    assert [row["name"] for row in log.query(session_id="s-2", script_id="test")] == ["test"]
    assert log.query(end_date=0) == [] == log.query(start_date="2999-01-01")
    groups = log.get_statistics(group_by="script_id")["groups"]
    assert sorted(group["key"] for group in groups) == ["build", "test"]
    report = MetricsCollector().generate_report(period_minutes=5)
    assert (report["total"]["tasks"], report["errors_by_category"]) == (2, {"EXECUTION": 1})
    for wrong in ({"start_date": "when"}, {"no_such": 1}, {"start_date": []}):
        with pytest.raises(ConfigurationError):
            log.query(**wrong)  # type: ignore[arg-type]  # on purpose


def test_reading_never_raises() -> None:
    """Whatever the ids are, too."""
    assert read_result(None, None, Hostile()).script_id == "unknown"
    assert read_result(object(), 3, [1]).specialist == "3"

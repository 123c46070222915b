"""What is sent live is made of lines: whoever else looks on, each span and log record comes once and whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from otel_agentlog.export.pipeline.items import Item, ItemRef
from otel_agentlog.export.pipeline.signal_queue import QueueLimits
from otel_agentlog.export.pipeline.worker import DeliveryWorker
from otel_agentlog.export.transport.result import DELIVERED
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.delivered import received_ids, recorded_ids
from tests.support.waiting import wait_until

START = """
import sys
import otel_agentlog as agentlog
from opentelemetry import _logs, trace
def configure(**more):
    agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off", service_name="live", **more)
"""


def _run(program: str, root: Path, **env: str) -> str:
    command = [sys.executable, "-W", "error", "-c", START + program, str(root)]
    done = subprocess.run(
        command,
        env={**os.environ, "AGENTLOG_SHUTDOWN_TIMEOUT": "30", **env},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_others_that_join_our_providers_see_everything_and_we_send_it_once(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A span processor and a log record processor that are added later get our spans and log records from the SDK."""
    program = """
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.trace import SpanProcessor
class Spans(SpanProcessor):
    seen = []
    def on_end(self, span):
        self.seen.append(span.name)
class Logs(LogRecordProcessor):
    seen = []
    def on_emit(self, record):
        self.seen.append(record.log_record.body)
    def shutdown(self):
        pass
    def force_flush(self, timeout_millis=0):
        return True
configure()
with agentlog.task("t"):
    agentlog.get_logger("a").info("before")
agentlog.flush()
trace.get_tracer_provider().add_span_processor(Spans())
_logs.get_logger_provider().add_log_record_processor(Logs())
with agentlog.task("u"), agentlog.step("s"):
    agentlog.get_logger("a").info("after")
print(agentlog.flush().pending, sorted(Spans.seen), Logs.seen)
"""
    said = _run(program, tmp_path / "tasks", OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http_endpoint)

    assert said == "0 ['invoke_workflow', 's'] ['after']\n"
    assert sorted(span["name"] for span in otlp_receiver.spans()) == ["invoke_workflow", "invoke_workflow", "s"]
    assert sorted(record["body"] for record in otlp_receiver.log_records()) == ["after", "before"]


def test_spans_and_log_records_of_others_go_with_ours(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Inside a task as their lines are, outside as the SDK made them; each once."""
    program = """
from opentelemetry._logs import LogRecord
configure()
tracer, logger = trace.get_tracer("their.lib", "2"), _logs.get_logger("their.lib")
with agentlog.task("t"):
    with tracer.start_as_current_span("inside", attributes={"n": 1}) as span:
        span.add_event("seen", {"k": "v"})
        logger.emit(LogRecord(body="their words"))
with tracer.start_as_current_span("outside", attributes={"n": 2}):
    pass
print(agentlog.flush().pending)
"""
    assert _run(program, tmp_path / "tasks", OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http_endpoint) == "0\n"

    spans = {span["name"]: span for span in otlp_receiver.spans()}
    assert sorted(span["name"] for span in otlp_receiver.spans()) == ["inside", "invoke_workflow", "outside"]
    assert spans["inside"]["scope"]["name"] == spans["outside"]["scope"]["name"] == "their.lib"
    assert spans["inside"]["attributes"]["n"] == 1
    assert [event["name"] for event in spans["inside"]["events"]] == ["seen"]
    assert [record["body"] for record in otlp_receiver.log_records()] == ["their words"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_stages_of_a_webhook_are_events_of_its_span(protocol: str, otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Though their lines are in a file of their own; each once, in order."""
    program = """
configure()
with agentlog.webhook("github", "issue_comment.created", {"a": 1}) as hook:
    hook.stage("validation", status="passed")
    hook.create_task("job", task_id="t")
    hook.push("tasks")
print(agentlog.flush().pending)
"""
    endpoint = otlp_receiver.grpc_endpoint if protocol == "grpc" else otlp_receiver.http_endpoint
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    assert _run(program, tmp_path / "tasks", **more) == "0\n"

    (hook,) = [span for span in otlp_receiver.spans() if span["name"] == "webhook github"]
    names = [event["name"] for event in hook["events"]]
    assert names == [f"webhook.{stage}" for stage in ("received", "validation", "task_created", "queue_push")]
    assert hook["events"][1]["attributes"]["agentlog.webhook.status"] == "passed"


def test_spans_past_the_bound_are_sent_from_their_folder(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """More open spans than start lines are kept: nothing is lost, nothing comes twice."""
    program = """
from otel_agentlog.export import sink
sink.MAX_OPEN = 3
configure(send_delay_s=0.0)
with agentlog.task("t", task_id="t"):
    steps = [agentlog.step(f"s{number}").start() for number in range(20)]
    for step in reversed(steps):
        step.end()
print(agentlog.flush(30).pending)
"""
    root = tmp_path / "tasks"
    assert _run(program, root, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http_endpoint) == "0\n"

    assert received_ids(otlp_receiver) == Counter(recorded_ids(root))
    assert len(otlp_receiver.spans()) == 21


def test_the_console_prints_otlp_json(tmp_path: Path) -> None:
    """One line for a batch of spans, one for a batch of log records."""
    program = """
configure()
with agentlog.task("t", task_id="t"):
    agentlog.get_logger("a").info("hello")
agentlog.flush()
"""
    env = {"OTEL_TRACES_EXPORTER": "console", "OTEL_LOGS_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none"}
    said = _run(program, tmp_path / "tasks", **env)

    assert sorted(line[:17] for line in said.splitlines()) == ['{"resourceLogs":[', '{"resourceSpans":']


class _Taking:
    deadline: float | None = None

    def __init__(self) -> None:
        self.taken = 0

    def send(self, batch: object) -> object:
        self.taken += len(batch)  # type: ignore[arg-type]
        return DELIVERED

    def shutdown(self) -> None:
        """Nothing."""


class _Nobody:
    def delivered(self, *_: object) -> None: ...
    def rejected(self, *_: object) -> None: ...
    def set_aside(self, *_: object) -> None: ...
    def left(self, *_: object) -> None: ...
    def unsampled(self, *_: object) -> None: ...
    def ended(self, *_: object) -> None: ...


def test_the_thread_does_not_wake_up_for_each_line() -> None:
    """A thousand recorded things, one by one, are a few turns; a flush waits for none of the pauses between them."""
    sender, turns = _Taking(), 0
    worker = DeliveryWorker(
        {"traces": lambda: sender},  # type: ignore[dict-item,return-value]
        observer=_Nobody(),
        failed=lambda where, error: None,
        limits=QueueLimits(delay_s=600.0),
    )

    def count() -> None:
        nonlocal turns
        turns += 1

    worker.on_taken = count
    for number in range(1_000):
        worker.put(Item("traces", number, ItemRef("home", f"aa-{number}", "span")))  # type: ignore[arg-type]
        if number % 100 == 0:
            wait_until(lambda: not worker._recorded.empty() or turns, "the thread to be at work", timeout_s=30)
    assert worker.flush(30.0)
    assert sender.taken == 1_000
    assert turns < 50
    worker.shutdown(1.0)


def test_a_line_that_waits_takes_little_more_than_its_bytes(tmp_path: Path) -> None:
    """What orjson returns keeps a buffer of 8 kB for as long as it is kept."""
    program = """
import threading, tracemalloc
from otel_agentlog.record.recorder import recorder
configure(endpoint="http://127.0.0.1:1")
(sink,) = [sink for sink in recorder().sinks if getattr(sink, "name", "") == "export"]
busy, done = threading.Event(), threading.Event()
log = agentlog.get_logger("a")
with agentlog.task("t"):
    log.info("at work", number=0)
    sink._worker.do(lambda: (busy.set(), done.wait(30)))
    assert busy.wait(30)
    tracemalloc.start()
    for number in range(500):
        log.info("at work", number=number)
    print(tracemalloc.get_traced_memory()[0] // 500)
    done.set()
agentlog.shutdown(0.1)
"""
    assert int(_run(program, tmp_path / "tasks")) < 3_000

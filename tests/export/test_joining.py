"""Nobody is displaced: providers that are there are joined, those that are not are made; each case in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_agentlog.testing.otlp.answers import Refuse
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.view.cli import main as cli

BEFORE = """
import os, sys
from opentelemetry import trace, metrics, _logs
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.resources import Resource
spans = InMemorySpanExporter()
provider = TracerProvider(resource=Resource({"service.name": "theirs"}))
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
"""

TASK = """
import otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off", service_name="ours", **settings)
with agentlog.task("t", task_id="t"), agentlog.step("s"):
    pass
"""


def _run(program: str, root: Path, **env: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program, str(root)]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_existing_tracer_provider_is_joined(tmp_path: Path) -> None:
    """Our spans go through their provider with their resource; it stays the global one."""
    program = (
        BEFORE
        + "settings = {}\n"
        + TASK
        + """
assert trace.get_tracer_provider() is provider
print(sorted(span.name for span in spans.get_finished_spans()))
print({span.resource.attributes["service.name"] for span in spans.get_finished_spans()})
"""
    )
    assert _run(program, tmp_path / "tasks").splitlines() == ["['invoke_workflow', 's']", "{'theirs'}"]
    assert '"service.name":"theirs"' in (tmp_path / "tasks" / "t" / "03-agent-output.jsonl").read_text()


def test_their_provider_is_not_shut_down(tmp_path: Path) -> None:
    """agentlog.shutdown() ends our work, not theirs."""
    program = (
        BEFORE
        + "settings = {}\n"
        + TASK
        + """
agentlog.shutdown()
with trace.get_tracer("theirs").start_as_current_span("later"):
    pass
print([span.name for span in spans.get_finished_spans()][-1])
"""
    )
    assert _run(program, tmp_path / "tasks") == "later\n"


@pytest.mark.parametrize("given", ["code", "environment"])
@pytest.mark.parametrize("processor", ["SimpleSpanProcessor(spans)", "BatchSpanProcessor(spans)"])
def test_a_joined_provider_that_sends_elsewhere_leaves_the_endpoint_to_us(
    processor: str, given: str, otlp_receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Vendors' set-ups send to themselves only: an endpoint that is set gets the spans all the same, and it is told once."""
    endpoint = otlp_receiver.http_endpoint
    settings = f"settings = {{'endpoint': {endpoint!r}}}\n" if given == "code" else "settings = {}\n"
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if given == "environment" else {}
    before = BEFORE.replace("SimpleSpanProcessor(spans)", processor).replace("import Simple", "import BatchSpanProcessor, Simple")
    after = """
agentlog.shutdown()
provider.force_flush()
print(len(spans.get_finished_spans()))
"""
    log = "import logging; logging.basicConfig(stream=sys.stdout, level='INFO', format='%(name)s %(message)s')\n"

    said = _run(before + settings + log + TASK + after, tmp_path / "tasks", **env)
    assert said.splitlines()[-1] == "2"
    assert len(otlp_receiver.spans()) == 2
    assert said.count("otel_agentlog traces: a provider was set before configure(), with exporters of: opentelemetry") == 1


def test_a_proxy_of_another_make_is_joined_behind_it(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """As logfire's: no SDK provider itself, it hands out the tracers of one."""
    proxy = """
class Proxy(trace.TracerProvider):
    __hash__ = None
    def __init__(self, provider):
        self.provider = provider
    def get_tracer(self, *args, **given):
        return self.provider.get_tracer(*args, **given)
trace.set_tracer_provider(Proxy(provider))
"""
    inside = """
with agentlog.task("u", task_id="u"), trace.get_tracer("theirs").start_as_current_span("of theirs"):
    pass
agentlog.shutdown()
print(len(spans.get_finished_spans()))
"""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint}

    before = BEFORE.replace("trace.set_tracer_provider(provider)", "")
    assert _run(before + proxy + "settings = {}\n" + TASK + inside, tmp_path / "tasks", **env) == "4\n"
    assert '"message":"of theirs"' in (tmp_path / "tasks" / "u" / "03-agent-output.jsonl").read_text()
    assert len(otlp_receiver.spans()) == 4
    delivery = json.loads((tmp_path / "tasks" / "u" / "metadata.json").read_bytes())["delivery"]
    assert (delivery["recorded"], delivery["delivered"], delivery["pending"]) == (2, 2, 0)


def test_handlers_and_levels_of_logging_stay(tmp_path: Path) -> None:
    """The root logger keeps its handlers and level; ours is added and goes with shutdown()."""
    program = (
        """
import logging, sys
settings = {"capture_logging": True}
logging.basicConfig(level=logging.ERROR, stream=sys.stdout, format="theirs %(message)s")
before = list(logging.getLogger().handlers)
"""
        + TASK
        + """
root = logging.getLogger()
assert root.handlers[: len(before)] == before and root.level == logging.ERROR
logging.error("hello")
agentlog.shutdown()
assert root.handlers == before
"""
    )
    assert _run(program, tmp_path / "tasks") == "theirs hello\n"


def test_configure_makes_no_network_call_and_no_thread_waits(tmp_path: Path) -> None:
    """With an endpoint that nobody answers, configure() opens no socket."""
    program = """
import socket, sys
def refuse(*args, **kwargs): raise AssertionError("configure() opened a connection")
socket.socket.connect = refuse
settings = {"endpoint": "http://127.0.0.1:9", "shutdown_timeout_s": 0.2}
import otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off", **settings)
print("configured")
"""
    assert _run(program, tmp_path / "tasks") == "configured\n"


@pytest.mark.parametrize("sampler", ["always_off", "traceidratio"])
def test_what_is_not_sampled_is_in_the_folder_all_the_same(sampler: str, otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The sampler decides what is sent, never what is kept."""
    env = {
        "OTEL_TRACES_SAMPLER": sampler,
        "OTEL_TRACES_SAMPLER_ARG": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint,
    }
    _run("import sys\nsettings = {}\n" + TASK, tmp_path / "tasks", **env)

    assert otlp_receiver.spans() == []
    text = (tmp_path / "tasks" / "t" / "03-agent-output.jsonl").read_text()
    assert text.count('"phase":"end"') == 2
    assert '"success":true' in (tmp_path / "tasks" / "t" / "04-final-result.json").read_text()


def test_two_of_our_processors_on_one_provider_record_and_send_once(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """`span_processor` in a provider that `configure` joins, too, also where it was there first."""
    given = "import otel_agentlog\nprovider.add_span_processor(otel_agentlog.span_processor())\nsettings = {}\n"
    inside = """
with agentlog.task("u", task_id="u"), trace.get_tracer("theirs").start_as_current_span("of theirs"):
    provider.add_span_processor(agentlog.span_processor())
    with trace.get_tracer("theirs").start_as_current_span("also"):
        pass
agentlog.shutdown()
"""
    _run(BEFORE + given + TASK + inside, tmp_path / "tasks", OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http_endpoint)
    assert sorted(str(span["name"]) for span in otlp_receiver.spans()) == [
        *("also", "invoke_workflow", "invoke_workflow", "of theirs", "s")
    ]
    lines = (tmp_path / "tasks" / "u" / "03-agent-output.jsonl").read_text()
    assert lines.count('"message":"of theirs"') == lines.count('"message":"also"') == 2


def test_a_private_provider_is_recorded_by_our_processor(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """What a vendor keeps to itself: in the folder and at the endpoint, made before `configure` or after it."""
    program = """
import sys
import otel_agentlog as agentlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry import trace
private = TracerProvider()
private.add_span_processor(agentlog.span_processor())
settings = {}
"""
    inside = """
with agentlog.task("u", task_id="u"), private.get_tracer("vendor").start_as_current_span("theirs"), agentlog.step("ours"):
    pass
agentlog.shutdown()
"""
    _run(program + TASK + inside, tmp_path / "tasks", OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http_endpoint)
    spans = {str(span["name"]): span for span in otlp_receiver.spans()}
    assert {"theirs", "ours"} <= spans.keys()
    assert spans["ours"]["parent_span_id"] == spans["theirs"]["span_id"]
    assert "parent_elsewhere" not in (tmp_path / "tasks" / "u" / "03-agent-output.jsonl").read_text()


def test_a_disabled_sdk_still_fills_the_folder(tmp_path: Path) -> None:
    """OTEL_SDK_DISABLED switches sending off, not recording."""
    _run("import sys\nsettings = {}\n" + TASK, tmp_path / "tasks", OTEL_SDK_DISABLED="true")

    assert '"success":true' in (tmp_path / "tasks" / "t" / "04-final-result.json").read_text()


def test_what_others_send_is_not_counted_as_pending(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A joined provider that sends to the endpoint of the environment: we count and ship the log record only."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint, "OTEL_METRICS_EXPORTER": "none"}
    program = (
        BEFORE
        + "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n"
        + "provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))\n"
        + "settings = {}\n"
        + TASK
        + """
with agentlog.task("u", task_id="u"):
    agentlog.get_logger("ours").info("hello")
print(agentlog.flush())
"""
    )
    said = _run(program, tmp_path / "tasks", **env)

    assert "recorded=1, delivered=1, pending=0" in said
    delivery = {name: json.loads((tmp_path / "tasks" / name / "metadata.json").read_bytes())["delivery"] for name in "tu"}
    assert (delivery["t"]["recorded"], delivery["t"]["pending"]) == (0, 0)
    assert (delivery["u"]["recorded"], delivery["u"]["delivered"]) == (1, 1)
    root = ["--root", str(tmp_path / "tasks"), "--endpoint", otlp_receiver.http_endpoint]
    assert cli.main(["ship", "--all", *root]) == 0
    assert sorted(str(span["name"]) for span in otlp_receiver.spans()) == ["invoke_workflow", "invoke_workflow", "s"]
    assert sum("hello" in str(record) for record in otlp_receiver.log_records()) == 1


AGAIN = """
import sys
import otel_agentlog as agentlog
from opentelemetry import metrics, trace
def configure(**settings):
    agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off", **settings)
def work(name):
    with agentlog.task(name):
        agentlog.get_logger("again").info("hello")
    return agentlog.flush()
"""


def test_metrics_are_exported_every_time(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Also after an export that failed."""
    program = (
        AGAIN
        + f"""
configure(endpoint={otlp_receiver.http_endpoint!r})
for number in range(3):
    work("t")
"""
    )
    otlp_receiver.answer_next(Refuse(503))
    _run(program, tmp_path / "tasks")

    counts = [
        point["value"] for metric in otlp_receiver.metrics() if metric["name"] == "agentlog.tasks" for point in metric["points"]
    ]
    assert len(otlp_receiver.requests("metrics")) >= 3
    assert max(counts) == 3


def test_a_second_configure_sends_everything_to_its_own_endpoint(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Spans, log records and metrics; what was recorded before stays where it went, and nothing goes to both."""
    with OtlpReceiver() as second:
        program = (
            AGAIN
            + f"""
configure(endpoint={otlp_receiver.http_endpoint!r}, service_name="one")
work("first")
configure(endpoint={second.http_endpoint!r}, service_name="two")
work("second")
configure(service_name="three")
work("third")
provider = trace.get_tracer_provider()
assert provider.force_flush(600_000)
"""
        )
        _run(program, tmp_path / "tasks", OTEL_METRIC_EXPORT_INTERVAL="600000")
        for receiver in (otlp_receiver, second):
            assert len(receiver.spans()) == len(receiver.log_records()) == 1
            assert receiver.metrics()
        names = {metric["resource"]["service.name"] for metric in second.metrics()}
        assert names == {"two"}


def test_who_wants_no_metrics_any_more_sends_none(otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A second configure() without an endpoint counts nothing for the first one."""
    program = (
        AGAIN
        + f"""
configure(endpoint={otlp_receiver.http_endpoint!r})
work("first")
configure()
for number in range(3):
    work("second")
"""
    )
    _run(program, tmp_path / "tasks")

    counts = [
        point["value"] for metric in otlp_receiver.metrics() if metric["name"] == "agentlog.tasks" for point in metric["points"]
    ]
    assert max(counts) == 1

"""``agentlog doctor`` sees what is wrong, says what to do, and really sends a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.view.cli.main import main


def _findings(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    code = main(["doctor", "--json", *options])
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is (code == 0)
    return code, {finding["what"]: finding for finding in found["findings"]}


def test_all_is_well_without_a_collector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that can be made, a disk, a clock; nothing is sent where no collector is set."""
    code, found = _findings(capsys, "--root", str(tmp_path / "tasks"))
    assert code == 0
    assert {"python", "opentelemetry", "extras", "folder", "disk", "clock", "log", "collector"} <= found.keys()
    assert not (tmp_path / "tasks").exists()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_test_trace_arrives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], otlp_receiver: OtlpReceiver, protocol: str
) -> None:
    """A span and a log record in one trace are really taken, and the trace id is told."""
    endpoint = otlp_receiver.grpc_endpoint if protocol == "grpc" else otlp_receiver.http_endpoint
    code, found = _findings(capsys, "--root", str(tmp_path), "--endpoint", endpoint, "--protocol", protocol)
    assert code == 0
    (span,) = otlp_receiver.spans()
    (log,) = otlp_receiver.log_records()
    assert span["name"] == "agentlog doctor"
    assert span["trace_id"] == log["trace_id"]
    assert span["trace_id"] in found["traces"]["words"]


def test_libraries_that_two_would_watch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two instrumentors of OpenAI's client are installed here, and one of Anthropic's, which traces itself."""
    assert main(["doctor", "--json", "--root", str(tmp_path)]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    found = {finding["what"]: finding for finding in findings}
    doubled = [finding["words"] for finding in findings if finding["what"] == "instrumentors"]
    assert "anthropic (its own tracing)" in found["AI libraries"]["words"]
    assert [words.partition(":")[0] for words in doubled] == ["anthropic", "openai"]
    assert "opentelemetry-instrumentation-genai-openai and openinference-instrumentation-openai" in doubled[1]


def test_who_sent_the_last_task(tmp_path: Path, capsys: pytest.CaptureFixture[str], otlp_receiver: OtlpReceiver) -> None:
    """A provider that sends to the endpoint itself is told of; one that does not is not."""
    program = """
import sys, otel_agentlog as agentlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
trace.set_tracer_provider(TracerProvider())
if sys.argv[2] == "theirs":
    trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-l", console="off")
with agentlog.task("t", task_id="t"):
    pass
"""
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http_endpoint}
    for whose in ("theirs", "ours"):
        root = tmp_path / whose
        subprocess.run([sys.executable, "-c", program, str(root), whose], env=env, check=True, timeout=60)
        _, found = _findings(capsys, "--root", str(root), "--endpoint", otlp_receiver.http_endpoint, "--no-send")
        assert ("providers" in found) is (whose == "theirs")
        if whose == "theirs":
            assert found["providers"]["words"].startswith("traces of t were left to exporters")


def test_nobody_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A collector that is not there is a problem with a hint; --no-send leaves it alone."""
    code, found = _findings(capsys, "--root", str(tmp_path), "--endpoint", "http://user:hunter2@127.0.0.1:9")
    assert code == 1
    assert found["traces"]["verdict"] == "bad"
    assert "4317" in found["traces"]["hint"]
    assert "hunter2" not in str(found)
    assert _findings(capsys, "--root", str(tmp_path), "--endpoint", "http://127.0.0.1:9", "--no-send")[0] == 0


def test_a_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The root is in the way of itself."""
    (tmp_path / "tasks").write_text("")
    code, found = _findings(capsys, "--root", str(tmp_path / "tasks"))
    assert (code, found["folder"]["verdict"]) == (1, "bad")


def test_others_may_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A root that others can write to is a warning, with the command that mends it."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks").chmod(0o777)
    main(["doctor", "--json", "--root", str(tmp_path / "tasks")])
    assert "chmod 700" in capsys.readouterr().out


def test_words_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a check, and a sum."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    with agentlog.task("t"):
        pass
    agentlog.shutdown()
    assert main(["doctor", "--root", str(tmp_path / "tasks")]) == 0
    said = capsys.readouterr().out
    assert "1 task, none left open" in said
    assert "no problems" in said

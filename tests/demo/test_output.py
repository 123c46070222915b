"""What the demo prints for people, and what arrives where it sends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.demo.running import make_project, run_demo


def test_people_are_told_what_came_out_and_where_it_is(tmp_path: Path) -> None:
    """Report, tree, figures, the price's nature, the folders, the receipts; no trace to look for: none was sent."""
    ran = run_demo(tmp_path, make_project(tmp_path / "project"))

    assert ran.code == 0, ran.err
    assert f"Reviewing {tmp_path / 'project'} with offline agentlog-offline-demo" in ran.out
    assert "The task completed." in ran.out
    assert ran.main.final["result"] in ran.out
    assert "at a demo price; nobody is charged" in ran.out
    for folder in ran.folders:
        assert str(folder.path) in ran.out
    assert "(Find the last review: failed)" in ran.out
    for step in ("look around", "check syntax", "compare with the last review", "weigh the findings"):
        assert f"step {step}" in ran.out
    assert "no collector is set" in ran.out
    assert "localhost:16686" not in ran.out


def test_a_terminal_of_any_encoding_will_do(tmp_path: Path) -> None:
    """What it cannot show is escaped."""
    place = tmp_path / "caf\u00e9"
    place.mkdir()

    ran = run_demo(tmp_path, place, PYTHONIOENCODING="ascii")

    assert ran.code == 0, ran.err
    assert "# Review of `caf\\xe9`" in ran.out


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_everything_is_delivered_where_there_is_a_collector(tmp_path: Path, protocol: str) -> None:
    """Both processes' receipts say so, the spans that arrived are those of the folders, and the trace can be looked up."""
    with OtlpReceiver() as receiver:
        endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
        there = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        ran = run_demo(tmp_path, make_project(tmp_path / "project"), "--json", **there)
        arrived = {span["span_id"] for span in receiver.spans()}

    said = json.loads(ran.out)
    recorded = {line["span_id"] for folder in ran.folders for line in folder.events if line.get("phase") == "end"}
    assert ran.code == 0, ran.err
    assert arrived == recorded
    assert said["look"]["jaeger"] == f"http://localhost:16686/trace/{said['trace_id']}"
    for receipt in said["receipts"].values():
        assert (receipt["pending"], receipt["dropped"], receipt["in_time"]) == (0, 0, True)
        assert receipt["delivered"] == receipt["recorded"] > 0


def test_the_commands_in_the_page_about_it_work(tmp_path: Path) -> None:
    """Every ``jq`` and ``find`` line of ``docs/demo.md`` prints something when run where the page says."""
    page = (Path(__file__).parents[2] / "docs" / "demo.md").read_text()
    commands = [line.removeprefix("$ ") for line in page.splitlines() if line.startswith(("$ jq ", "$ cd .. && find "))]
    ran = run_demo(tmp_path, make_project(tmp_path / "project"))

    answers = [ran.shell(f"cd {ran.main.path}; {command}") for command in commands]

    assert len(commands) == 7
    assert [command for command, answer in zip(commands, answers, strict=True) if not answer.strip()] == []

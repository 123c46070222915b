"""A score is the convention's event of the span it is about: live, shipped from the folder, and exported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector

PROGRAM = """
import sys
import otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + "-logs", console="off", service_name="evals")
with agentlog.task("t", task_id="t", agent="a") as task:
    with agentlog.ai_call("m", provider="openai") as call:
        call.record({"id": "resp-1", "choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 1}})
    call.score("relevance", 0.25, label="poor", explanation="beside the point", by="judge")
    task.score("passed", True)
agentlog.shutdown()
"""
NAMES = (
    "gen_ai.evaluation.name",
    "gen_ai.evaluation.score.value",
    "gen_ai.evaluation.score.label",
    "gen_ai.evaluation.explanation",
    "gen_ai.response.id",
)
LIVE: list[tuple[Any, ...]] = [("passed", 1.0, "pass", None, None), ("relevance", 0.25, "poor", "beside the point", "resp-1")]
LATER = ("quality", 0.8, None, "read again", None)


def _run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "AGENTLOG_"))}
    return subprocess.run(
        [sys.executable, *words],
        env={**plain, "AGENTLOG_SHUTDOWN_TIMEOUT": "30", **env},
        check=True,
        timeout=90,
        capture_output=True,
        text=True,
    )


def _scores(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    found = [each for each in records if each["event_name"] == "gen_ai.evaluation.result"]
    assert all(each["body"] is None for each in found)
    return sorted(tuple(each["attributes"].get(name) for name in NAMES) for each in found)


@pytest.mark.collector
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_scores_reach_a_real_collector(collector: Collector, tmp_path: Path, protocol: str) -> None:
    """As they are given by the agent, and what is added later by ``ship``; each in the span that it is about."""
    root = tmp_path / "tasks"
    endpoint = collector.grpc_endpoint if protocol == "grpc" else collector.http_endpoint
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    _run("-c", PROGRAM, str(root), **env)
    collector.wait_for(lambda c: len(_scores(c.log_records())) == len(LIVE))
    assert _scores(collector.log_records()) == LIVE

    _run("-m", "otel_agentlog", "note", "t", "read again", "--score", "quality=0.8", "--by", "ann", "--root", str(root))
    _run("-m", "otel_agentlog", "ship", "--root", str(root), **env)
    collector.wait_for(lambda c: len(_scores(c.log_records())) == len(LIVE) + 1)
    assert _scores(collector.log_records()) == sorted([*LIVE, LATER], key=str)

    spans = {span["name"]: (span["trace_id"], span["span_id"]) for span in collector.spans()}
    where = {each["attributes"].get(NAMES[0]): (each["trace_id"], each["span_id"]) for each in collector.log_records()}
    assert where["relevance"] == spans["chat m"]
    assert where["passed"] == where["quality"] == spans["invoke_agent a"]
    delivery = json.loads((root / "t" / "metadata.json").read_text())["delivery"]
    assert (delivery["pending"], delivery["dropped"]) == (0, 0)
    resources = {each["resource"]["service.name"] for each in collector.log_records() if NAMES[0] in each["attributes"]}
    assert resources == {"evals"}


def test_scores_are_exported_from_the_folder(tmp_path: Path) -> None:
    """``export --format otlp``: the same events."""
    root = tmp_path / "tasks"
    _run("-c", PROGRAM, str(root))
    _run("-m", "otel_agentlog", "note", "t", "read again", "--score", "quality=0.8", "--by", "ann", "--root", str(root))
    text = _run("-m", "otel_agentlog", "export", "--format", "otlp", "--signals", "logs", "--root", str(root)).stdout
    records = [
        record
        for line in text.splitlines()
        for resource in json.loads(line)["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]
    named = [each for each in records if each.get("eventName") == "gen_ai.evaluation.result"]
    values: Callable[[dict[str, Any]], dict[str, Any]] = lambda each: {  # noqa: E731
        attribute["key"]: next(iter(attribute["value"].values())) for attribute in each["attributes"]
    }
    assert sorted([tuple(values(each).get(name) for name in NAMES) for each in named], key=str) == sorted([*LIVE, LATER], key=str)

"""What a service says about what it executed."""

from __future__ import annotations

import re

from otel_agentlog.tools import ToolExecutionService
from otel_agentlog.tools.process.result import ResourceUsage
from otel_agentlog.tools.scripts.registry import Script
from otel_agentlog.tools.scripts.stats import Stats
from tests.tools.workshop import Workshop

SAMPLE = re.compile(r'(?P<name>\w+)\{(?P<labels>(?:\w+="(?:[^"\\\n]|\\.)*",?)+)\} (?P<value>[0-9.e+-]+)')


def service_with_history(workshop: Workshop) -> ToolExecutionService:
    """Two good executions, one bad one with a retry."""
    workshop.script("good", "#!/bin/sh\necho hello\n", specialist='say "hi"\\\n')
    workshop.script("bad", "#!/bin/sh\nexit 1\n", retries=1, retry_wait_s=0)
    service = workshop.service()
    for script_id in ("good", "good", "bad"):
        service.execute(script_id)
    return service


def test_stats_in_total_and_by_script(workshop: Workshop) -> None:
    """Executions, outcomes, categories, attempts, times, bytes."""
    stats = service_with_history(workshop).get_execution_stats()

    total, good, bad = stats["total"], stats["scripts"]["good"], stats["scripts"]["bad"]
    assert (total["executions"], total["succeeded"], total["failed"], total["running"]) == (3, 2, 1, 0)
    assert (total["attempts"], total["retries"], total["success_rate"]) == (4, 1, 0.6667)
    assert (good["outcomes"], bad["outcomes"]) == ({"completed": 2}, {"failed": 1})
    assert (good["errors"], bad["errors"]) == ({}, {"EXECUTION": 1})
    assert good["output_bytes"] == 12
    assert 0 < good["duration_mean_s"] <= good["duration_max_s"] <= total["duration_s"]


def test_prometheus_text(workshop: Workshop) -> None:
    """Every line is a comment or a sample, labels are escaped, the histogram adds up."""
    text = service_with_history(workshop).export_prometheus_metrics()

    assert text.endswith("\n")
    samples = []
    for line in text.splitlines():
        if not line.startswith("# "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            samples.append((match["name"], match["labels"], float(match["value"])))
    good = 'script="good",specialist="say \\"hi\\"\\\\\\n"'
    assert ("agentlog_tool_executions_total", f'{good},outcome="completed"', 2.0) in samples
    assert ("agentlog_tool_errors_total", 'script="bad",specialist="",category="EXECUTION"', 1.0) in samples
    assert ("agentlog_tool_duration_seconds_bucket", f'{good},le="+Inf"', 2.0) in samples
    assert ("agentlog_tool_duration_seconds_count", good, 2.0) in samples
    assert ("agentlog_tool_running", good, 0.0) in samples


def test_nothing_was_executed(workshop: Workshop) -> None:
    """Figures that nobody knows are ``None``, and the metrics have no samples."""
    service = workshop.service()

    assert service.get_execution_stats()["total"]["success_rate"] is None
    assert all(line.startswith("# ") for line in service.export_prometheus_metrics().splitlines())


def test_an_execution_that_was_interrupted_counts(workshop: Workshop) -> None:
    """It has no result: its outcome is ``interrupted``."""
    stats = Stats()

    try:
        with stats.running(Script(id="s", folder=workshop.folder)):
            assert stats.as_dict()["total"]["running"] == 1
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass

    assert stats.as_dict()["scripts"]["s"]["outcomes"] == {"interrupted": 1}


def test_usage_of_two_attempts() -> None:
    """Times add up, memory peaks at the higher of both."""
    one = ResourceUsage(wall_s=1, cpu_user_s=0.5, memory_start_mb=1, memory_end_mb=3, memory_peak_mb=9, peak_processes=1)
    two = ResourceUsage(wall_s=2, cpu_system_s=0.25, memory_start_mb=2, memory_peak_mb=4, peak_processes=3)

    assert one + two == ResourceUsage(3, 0.5, 0.25, 1, 3, 9, 3)
    assert (one + two).cpu_s == 0.75

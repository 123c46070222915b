"""The figures of task folders as Prometheus text, as Prometheus' own checker sees them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.view.render.prometheus import prometheus_text


def test_promtool_has_nothing_to_say(promtool: str, tmp_path: Path) -> None:
    """Of a root with agents, models, tools and failures, and of an empty one."""
    root = tmp_path / "tasks"
    agentlog.configure(directory=root, log_directory=tmp_path / "logs", console="off")
    for outcome in ("completed", "failed"):
        task = agentlog.task("t", agent="brain").start()
        with agentlog.ai_call("claude-opus-4-5", provider="anthropic") as call:
            call.usage(input_tokens=10, output_tokens=5)
        with agentlog.tool("Read"):
            pass
        with pytest.raises(ValueError, match="no"), agentlog.tool("Bash"):
            raise ValueError("no")
        task.end(outcome)
    agentlog.shutdown()
    text = prometheus_text(root)
    assert '{quantile="0.95"}' in text
    assert "agentlog_folder_task_duration_seconds_count 2" in text
    for each in (text, prometheus_text(tmp_path / "none")):
        done = subprocess.run([promtool, "check", "metrics"], input=each, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

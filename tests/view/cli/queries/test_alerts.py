"""``agentlog alerts``: the past, the present, the rules, and bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.view.cli.main import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Tasks whose tools failed six times out of seven."""
    # Without figures of this process: what other tests did in it may have taken more memory than a default rule allows.
    directory = tmp_path / "tasks"
    agentlog.configure(directory=directory, log_directory=tmp_path, console="off", endpoint=None, resource_interval_s=0)
    with agentlog.task("t"):
        for number in range(7):
            try:
                with agentlog.tool("fetch"):
                    if number:
                        raise ValueError("no")
            except ValueError:
                pass
    agentlog.shutdown()
    return directory


def test_the_past_is_replayed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was too much in the last hour is told, and what still is decides the exit code."""
    assert main(["alerts", "--root", str(root)]) == 1
    said = capsys.readouterr().out
    assert "error_rate_percent" in said
    assert "errors_per_minute" in said
    assert "2 alerts now" in said

    assert main(["alerts", "--root", str(root), "--rule", "error_rate_percent=off", "--rule", "errors_per_minute=off"]) == 0
    assert "No alert now" in capsys.readouterr().out


def test_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An alert has the fields that were promised."""
    assert main(["alerts", "--json", "--root", str(root)]) == 1
    found = json.loads(capsys.readouterr().out)
    alert = next(alert for alert in found["active"] if alert["type"] == "error_rate_percent")
    assert {"timestamp", "type", "severity", "message", "value", "threshold", "specialist"} <= alert.keys()
    assert (alert["severity"], alert["threshold"]) == ("critical", 10.0)


def test_an_empty_root_has_no_alerts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing there, nothing wrong."""
    assert main(["alerts", "--root", str(tmp_path / "none")]) == 0
    assert "No alert now; 0 notices" in capsys.readouterr().out


def test_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every rule with its threshold, also for programs."""
    assert main(["alerts", "--rules", "--rule", "task_cost_usd=2:stop"]) == 0
    said = capsys.readouterr().out
    assert "cost_per_hour_usd" in said
    assert "stops the task" in said
    assert main(["alerts", "--rules", "--json"]) == 0
    rules = {rule["name"]: rule["threshold"] for rule in json.loads(capsys.readouterr().out)["rules"]}
    assert rules["p95_duration_seconds"] == 30.0
    assert rules["task_steps"] is None


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--rule", "eror_rate=1"], "eror_rate"),
        (["--rule", "error_rate_percent"], "NAME=VALUE"),
        (["--rule", "error_rate_percent=much"], "much"),
        (["--rule", "task_cost_usd=2:explode"], "explode"),
        (["--notify", "json://example.com"], "--watch"),
        (["--watch", "--notify", "nosuch://x"], "Apprise"),
        (["--watch", "--notify", "json://127.0.0.1:9/secret"], "outside of this network"),
        (["--watch", "--interval", "0"], "0.1"),
    ],
)
def test_what_cannot_be_used_is_named(options: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2, and never the secret part of an address."""
    try:
        code = main(["alerts", "--root", str(tmp_path), *options])
    except SystemExit as exit_:
        code = int(str(exit_.code))
    said = capsys.readouterr().err
    assert code == 2
    assert named in said
    assert "secret" not in said

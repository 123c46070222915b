"""The alerts as Prometheus rules: they load, fire at the thresholds of the SDK's own rules, and no earlier."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import yaml

from otel_agentlog.query import RULES
from tests.support.collector import ROOT

ALERTS = ROOT / "docs" / "stack" / "alerts.yml"

SAME = {
    "AgentlogErrorRate": "error_rate_percent",
    "AgentlogToolsSlow": "p95_duration_seconds",
    "AgentlogExecutionsDropped": "execution_rate_drop_percent",
    "AgentlogErrors": "errors_per_minute",
    "AgentlogToolTimesOut": "repeated_timeouts",
    "AgentlogCost": "cost_per_hour_usd",
}


def test_the_rules_do_what_their_unit_tests_say(promtool: str, tmp_path: Path) -> None:
    """`promtool test rules`: each alert just below and just above its threshold."""
    for path in (ALERTS, Path(__file__).with_name("alerts_test.yml")):
        shutil.copy(path, tmp_path)
    done = subprocess.run([promtool, "test", "rules", "alerts_test.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_thresholds_are_those_of_the_sdk() -> None:
    """Prometheus and the SDK agree on what is too much, and how bad it is."""
    rules = {
        rule["alert"]: rule
        for group in yaml.safe_load(ALERTS.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert rules.keys() == SAME.keys()
    for alert, name in SAME.items():
        assert f"> {RULES[name].threshold:g}" in rules[alert]["expr"]
        assert rules[alert]["labels"]["severity"] == RULES[name].severity

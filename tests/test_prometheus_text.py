"""Prometheus' text format: help, type, labels, values; written in one place."""

from __future__ import annotations

from pathlib import Path

from otel_agentlog.vocabulary.prometheus_text import metric_lines

HOME = Path(__file__).resolve().parents[1] / "otel_agentlog"


def test_a_metric_has_help_type_and_samples() -> None:
    """Labels are escaped as the format says; whole numbers stay whole; a sample may have no label, or a suffix."""
    samples = [("", {"tool": 'a "b"\\c\nd', "kind": "x"}, 12_345_678_901), ("_sum", {}, 0.25)]

    assert list(metric_lines("runs", "gauge", "What ran.", samples)) == [
        "# HELP runs What ran.",
        "# TYPE runs gauge",
        r'runs{tool="a \"b\"\\c\nd",kind="x"} 12345678901',
        "runs_sum 0.25",
    ]


def test_the_format_has_one_writer() -> None:
    """No other module writes the lines of a metric."""
    writers = [str(path.relative_to(HOME)) for path in HOME.rglob("*.py") if "# TYPE " in path.read_text()]

    assert writers == ["vocabulary/prometheus_text.py"]

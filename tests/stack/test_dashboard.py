"""The dashboards ask for metrics that exist, and are laid out without gaps in their references."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import yaml

from otel_agentlog.export.metrics import METRICS
from tests.stack.dashboard import DASHBOARDS, expressions, panels, read_dashboard
from tests.support.collector import ROOT
from tests.support.prometheus import prometheus_names

_NAMES = {
    metric.name: prometheus_names(metric.name, metric.kind, metric.unit) for metric in METRICS if "latest" in metric.profiles
}

NOT_SHOWN = {
    "gen_ai.client.inference.time_per_output_chunk",
    "gen_ai.client.operation.duration",
    "gen_ai.client.embeddings.duration",
    "gen_ai.client.embeddings.operation.input_tokens",
    "gen_ai.retrieval.duration",
    "gen_ai.invoke_agent.inference_calls",
    "gen_ai.invoke_agent.tool_calls",
    "agentlog.cost.unknown",
}
"""Metrics that a person asks for in Explore, not at a glance."""


def _names_used() -> set[str]:
    return {name for expression in expressions() for name in re.findall(r"\b((?:agentlog|gen_ai)_\w+)\{", expression.promql)}


def test_every_metric_asked_for_is_one_we_export() -> None:
    """No panel can stay empty because of a name that nobody sends."""
    assert _names_used() - set().union(*_NAMES.values()) == set()


def test_every_metric_we_export_is_shown() -> None:
    """A new metric goes onto the dashboard, or onto the list of those that need not."""
    shown = {name for name, series in _NAMES.items() if series & _names_used()}

    assert set(_NAMES) - shown == NOT_SHOWN


def test_dashboards_have_their_own_names() -> None:
    """Links between them go by these."""
    found = [read_dashboard(path) for path in DASHBOARDS]

    assert {each["title"]: each["uid"] for each in found} == {
        "Agents overview": "agentlog-agents",
        "One task": "agentlog-task",
        "Telemetry health": "agentlog-telemetry",
    }
    assert [each["title"] for each in found if "agentlog" not in each["tags"]] == []


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_their_own_ids_titles_and_places(path: Path) -> None:
    """No two panels share an id or a title or overlap, and none is wider than the grid."""
    everything = read_dashboard(path)["panels"]
    places = [(panel["title"], panel["gridPos"]) for panel in everything]

    assert len({panel["id"] for panel in everything}) == len({panel["title"] for panel in everything}) == len(everything)
    assert [title for title, place in places if place["x"] + place["w"] > 24] == []
    for (one, a), (other, b) in itertools.combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, (one, other)


def test_panels_use_provisioned_data_sources_and_explain_themselves() -> None:
    """Each panel names a data source that is provisioned, and says what it shows."""
    provisioned = yaml.safe_load((ROOT / "docs/stack/grafana/datasources/datasources.yaml").read_text())["datasources"]
    known = {(source["type"], source["uid"]) for source in provisioned}
    used = {(target["datasource"]["type"], target["datasource"]["uid"]) for panel in panels() for target in panel["targets"]}

    assert used == known
    assert [panel["title"] for panel in panels() if not panel["description"].endswith(".")] == []

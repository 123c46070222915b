"""Reads the dashboards: their panels and the PromQL in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.collector import ROOT

GRAFANA = ROOT / "docs" / "stack" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))

_VARIABLES = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "1h", "$instance": ".*"}


class Expression(NamedTuple):
    """One PromQL expression of a panel, Grafana's variables filled in."""

    panel: str
    promql: str


def read_dashboard(path: Path) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    dashboard: dict[str, Any] = json.loads(path.read_text())
    return dashboard


def panels(paths: list[Path] = DASHBOARDS) -> list[dict[str, Any]]:
    """All panels but the rows that divide them."""
    return [panel for path in paths for panel in read_dashboard(path)["panels"] if panel["type"] != "row"]


def expressions(service: str = "reviewer", paths: list[Path] = DASHBOARDS) -> Iterator[Expression]:
    """Every PromQL expression of the dashboards, for one service."""
    for panel in panels(paths):
        for target in panel["targets"]:
            if target["datasource"]["type"] == "prometheus":
                yield Expression(f"{panel['title']} {target['refId']}", _fill(target["expr"].replace("$service", service)))


def span_links(service: str) -> Iterator[Expression]:
    """The PromQL behind the links of a span of a service to its metrics."""
    sources = yaml.safe_load((GRAFANA / "datasources" / "datasources.yaml").read_text())["datasources"]
    (jaeger,) = (source for source in sources if source["type"] == "jaeger")
    for query in jaeger["jsonData"]["tracesToMetrics"]["queries"]:
        yield Expression(query["name"], query["query"].replace("$$__tags", f'service_name="{service}"'))


def _fill(expression: str) -> str:
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, f"a variable that the tests do not know: {expression}"
    return expression

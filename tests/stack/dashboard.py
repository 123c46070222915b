"""Reads the dashboard: its panels and the PromQL in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.support.collector import ROOT

DASHBOARD = ROOT / "docs" / "stack" / "grafana" / "dashboards" / "agents.json"

_VARIABLES = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "1h"}


class Expression(NamedTuple):
    """One PromQL expression of a panel, Grafana's variables filled in."""

    panel: str
    promql: str


def read_dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return dashboard


def panels() -> list[dict[str, Any]]:
    """All panels but the rows that divide them."""
    return [panel for panel in read_dashboard()["panels"] if panel["type"] != "row"]


def expressions(service: str = "reviewer") -> Iterator[Expression]:
    """Every PromQL expression of the dashboard, for one service."""
    for panel in panels():
        for target in panel["targets"]:
            if target["datasource"]["type"] == "prometheus":
                yield Expression(f"{panel['title']} {target['refId']}", _fill(target["expr"].replace("$service", service)))


def _fill(expression: str) -> str:
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, f"a variable that the tests do not know: {expression}"
    return expression

"""The registry of our own names is up to date, whole, and says what is sent."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import yaml

from otel_agentlog.export.metrics import METRICS

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "registry"


def _made() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "make.py"))


def _groups() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load((FOLDER / "agentlog.yaml").read_text(encoding="utf-8"))["groups"]
    return groups


def test_the_registry_is_what_its_script_writes() -> None:
    """After a change of names or metrics: ``python docs/registry/make.py``."""
    assert (FOLDER / "agentlog.yaml").read_text(encoding="utf-8") == _made()["text"]()


def test_every_name_of_ours_is_in_it_and_no_other() -> None:
    """Attributes of the module of names, and metrics of the table, each once."""
    made, groups = _made(), _groups()
    ids = [attribute["id"] for attribute in groups[0]["attributes"]]
    metrics = [group["metric_name"] for group in groups if group["type"] == "metric"]

    assert made["own_names"]() <= set(ids)
    assert len(ids) == len(set(ids))
    assert set(made["ATTRIBUTES"]) <= made["own_names"]()
    assert metrics == [metric.name for metric in METRICS if metric.name.startswith("agentlog.")]


def test_each_entry_is_whole() -> None:
    """What weaver asks for: id, type, stability, meaning and examples of the attribute's own type."""
    kinds: dict[str, Any] = {"string": str, "int": int, "double": float, "boolean": bool, "string[]": list}
    for attribute in _groups()[0]["attributes"]:
        assert set(attribute) == {"id", "type", "stability", "brief", "examples"}
        kind = kinds.get(attribute["type"])
        assert kind is None or type(attribute["examples"][0]) is kind
        assert attribute["brief"].endswith(".")

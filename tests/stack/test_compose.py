"""docker-compose.yml is valid, closed to the network, pinned, and complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.collector import ROOT

COMPOSE = ROOT / "docker-compose.yml"
STACK = ROOT / "docs" / "stack"


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = _read(COMPOSE)["services"]
    return services


def test_valid_by_the_compose_schema() -> None:
    """The compose specification's own schema accepts the file."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_ports_are_bound_to_loopback() -> None:
    """Nothing that the stack publishes can be reached from another machine."""
    ports = [port for service in _services().values() for port in service.get("ports", ())]

    assert len(ports) >= 5
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_images_are_pinned() -> None:
    """Every image has a full version, so the stack is the same tomorrow."""
    images = {name: service["image"] for name, service in _services().items()}

    assert {name: image for name, image in images.items() if not re.search(r":v?\d+\.\d+\.\d+$", image)} == {}


def test_collector_image_is_the_version_under_test() -> None:
    """The collector that production runs is the one that the tests build."""
    version = _read(ROOT / "tests" / "collector" / "builder.yaml")["dist"]["version"]

    assert _services()["collector"]["image"] == f"otel/opentelemetry-collector-contrib:{version}"


def test_services_restart_and_report_their_health() -> None:
    """Every service comes back by itself; every image that can say so reports its health."""
    services = _services()

    assert {service["restart"] for service in services.values()} == {"unless-stopped"}
    # The collector's image has neither a shell nor a command to ask with.
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"collector"}


def test_mounted_files_exist_and_volumes_are_declared() -> None:
    """What is mounted from the checkout is there, and every other mount is a named volume."""
    mounts = [mount.split(":")[0] for service in _services().values() for mount in service.get("volumes", ())]

    assert [mount for mount in mounts if mount.startswith(".") and not (ROOT / mount).exists()] == []
    assert {mount for mount in mounts if not mount.startswith(".")} == set(_read(COMPOSE)["volumes"])


@pytest.mark.parametrize(
    "path",
    [COMPOSE, *sorted(STACK.rglob("*.yaml")), *sorted(STACK.rglob("*.yml"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_urls_name_services_of_the_stack(path: Path) -> None:
    """Every http URL in the stack's files points at a service of the compose file, or at the container itself."""
    text = "\n".join(line.split("#")[0] for line in path.read_text().splitlines())
    hosts = set(re.findall(r"http://([\w.-]+)", text))

    assert hosts - set(_services()) <= {"127.0.0.1"}


def test_prometheus_scrapes_the_collector_where_it_listens() -> None:
    """The targets are the collector's default ports, which the compose file leaves as they are."""
    targets = {
        target
        for job in _read(STACK / "prometheus.yml")["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    }

    assert targets == {"collector:8888", "collector:8889"}
    assert not {key for key in _services()["collector"]["environment"] if key.endswith("_PORT")}


def test_links_between_data_sources_have_an_end() -> None:
    """Metric to trace, trace to logs, trace to metrics and log to trace all name a provisioned data source."""
    sources = {source["uid"]: source for source in _read(STACK / "grafana/datasources/datasources.yaml")["datasources"]}
    jaeger, loki, prometheus = (sources[uid]["jsonData"] for uid in ("jaeger", "loki", "prometheus"))

    assert prometheus["exemplarTraceIdDestinations"][0]["datasourceUid"] == "jaeger"
    assert jaeger["tracesToLogsV2"]["datasourceUid"] == "loki"
    assert jaeger["tracesToMetrics"]["datasourceUid"] == "prometheus"
    assert loki["derivedFields"][0]["datasourceUid"] == "jaeger"

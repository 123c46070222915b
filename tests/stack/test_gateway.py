"""The set for many machines: real collectors accept its files, and the compose file is valid, closed, pinned and bounded."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.collector import ROOT, validate

GATEWAY = ROOT / "docs" / "stack" / "gateway"
COMPOSE = GATEWAY / "docker-compose.yml"


def _services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return services


@pytest.mark.collector
@pytest.mark.parametrize(
    "names", [["agent"], ["agent", "kafka-agent"], ["agent", "kafka-gateway"]], ids=lambda names: "+".join(names)
)
def test_the_collector_accepts_what_runs_beside_agents(names: list[str], agent_binary: Path) -> None:
    """Load balancing and Kafka, validated by the collector that has them; its receiver over what else is built in there."""
    checked = validate(agent_binary, *(GATEWAY / f"{name}.yaml" for name in names))

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.collector
def test_the_collector_accepts_the_gateway(gateway_binary: Path) -> None:
    """Tail sampling, the queue on disk and ClickHouse."""
    checked = validate(gateway_binary, GATEWAY / "gateway.yaml")

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_kafka_replaces_pipelines_that_exist() -> None:
    """What is laid over a file names its pipelines, and topics are written and read by the same names."""
    files = {
        name: yaml.safe_load((GATEWAY / f"{name}.yaml").read_text())
        for name in ("agent", "gateway", "kafka-agent", "kafka-gateway")
    }
    sent, read = files["kafka-agent"]["exporters"]["kafka"], files["kafka-gateway"]["receivers"]["kafka"]

    for base in ("agent", "gateway"):
        assert set(files[f"kafka-{base}"]["service"]["pipelines"]) <= set(files[base]["service"]["pipelines"])
    for signal in ("traces", "logs"):
        assert [sent[signal]["topic"]] == read[signal]["topics"]
        assert sent[signal]["encoding"] == read[signal]["encoding"]


def test_nothing_that_was_acknowledged_is_in_memory_alone() -> None:
    """Every exporter to another machine has its queue on disk and never gives up."""
    files = [yaml.safe_load(path.read_text()) for path in sorted(GATEWAY.glob("*.yaml"))]
    exporters = {name: each for file in files for name, each in file.get("exporters", {}).items() if name != "prometheus"}

    assert set(exporters) == {"load_balancing", "otlp_grpc/gateway", "kafka", "clickhouse"}
    assert {name for name, each in exporters.items() if each["sending_queue"]["storage"] != "file_storage"} == set()
    assert {name for name, each in exporters.items() if each["retry_on_failure"]["max_elapsed_time"] != "0s"} == set()


def test_compose_is_valid_by_its_schema() -> None:
    """The compose specification's own schema accepts the file."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_compose_is_closed_pinned_and_bounded() -> None:
    """Ports on loopback, full versions, a memory limit for each service, and every mount is there."""
    services = _services()
    ports = [port for service in services.values() for port in service.get("ports", ())]
    mounts = [mount.split(":")[0] for service in services.values() for mount in service["volumes"]]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert {name for name, service in services.items() if not re.search(r":v?\d+\.\d+\.\d+$", service["image"])} == set()
    assert {name for name, service in services.items() if "mem_limit" not in service} == set()
    assert [mount for mount in mounts if mount.startswith(".") and not (GATEWAY / mount).exists()] == []


def test_images_are_the_versions_under_test() -> None:
    """The collectors that production runs are those that the tests build."""
    versions = {
        name: yaml.safe_load((ROOT / "tests" / path).read_text())["dist"]["version"]
        for name, path in (("agent", "stack/agent-builder.yaml"), ("gateway-1", "stack/gateway-builder.yaml"))
    }

    assert {name: _services()[name]["image"].rpartition(":")[2] for name in versions} == versions
    assert _services()["gateway-1"]["image"] == _services()["gateway-2"]["image"]

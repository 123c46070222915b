"""Metrics go to StatsD: to a socket packet by packet, and to the real server from npm."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.errors import ConfigurationError
from tests.support.peers import lack
from tests.support.ports import LOOPBACK, free_ports
from tests.support.process import ServerProcess
from tests.support.waiting import wait_until

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel_agentlog"
STATSD = "0.9.0"


def _work(tmp_path: Path, port: int, **settings: Any) -> None:
    agentlog.configure(
        service_name="reviewer",
        directory=tmp_path,
        console="off",
        capture_logging=False,
        metrics_exporter="statsd",
        statsd_host=LOOPBACK,
        statsd_port=port,
        **settings,
    )
    with agentlog.task("Review", agent="brain: a|b"), agentlog.tool("Read"):
        pass
    agentlog.shutdown()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A UDP socket on a free loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((LOOPBACK, 0))
        receiver.settimeout(5)
        yield receiver


def _packets(receiver: socket.socket) -> list[tuple[str, str]]:
    """Name, and value with type and tags, of each packet until nothing comes any more."""
    found: list[tuple[str, str]] = []
    try:
        while True:
            for line in receiver.recv(65_536).decode().splitlines():
                name, _, rest = line.partition(":")
                found.append((name, rest))
            receiver.settimeout(0.5)
    except TimeoutError:
        return found


def test_counters_gauges_and_histograms_are_sent_once(listening: socket.socket, tmp_path: Path) -> None:
    """What was added is sent, under the prefix, with labels as tags that nothing can break out of."""
    _work(tmp_path, listening.getsockname()[1], statsd_prefix="prod.agents")
    packets = _packets(listening)
    found = dict(packets)

    (tasks,) = [rest for name, rest in packets if name == "prod.agents.agentlog.tasks" and not rest.startswith("0|")]
    assert tasks.startswith("1|c|#service.name:reviewer,")
    assert "gen_ai.agent.name:brain_a_b" in tasks
    assert sum(int(rest.partition("|")[0]) for name, rest in packets if name.endswith("execute_tool.duration.count")) == 1
    assert found["prod.agents.gen_ai.execute_tool.duration.max"].partition("|")[2].startswith("g|#")
    assert found["prod.agents.agentlog.tasks.active"].startswith("0|g|#")


def test_without_the_package_configure_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not the first export fails but the setting."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)

    with pytest.raises(ConfigurationError, match=r"otel_agentlog\[statsd\]"):
        agentlog.configure(directory=tmp_path, metrics_exporter="statsd")


def test_nobody_listening_costs_nothing(tmp_path: Path) -> None:
    """UDP to a closed port, and to a host that is not known."""
    (port,) = free_ports(1)
    _work(tmp_path, port)
    agentlog.configure(directory=tmp_path, console="off", metrics_exporter="statsd", statsd_host="no.such.host.invalid")
    with agentlog.task("Review") as task:
        pass
    agentlog.shutdown()

    assert (tmp_path / task.task_id / "04-final-result.json").exists()


@pytest.fixture(scope="module")
def statsd_js() -> Path:
    """The real server from npm, installed once into the cache."""
    found = CACHE / f"statsd-{STATSD}" / "node_modules" / "statsd" / "stats.js"
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        lack("no node: apt-get install nodejs npm")
    if not found.exists():
        home = found.parents[2]
        home.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", home, f"statsd@{STATSD}"]
        if subprocess.run(command, capture_output=True, check=False, timeout=100).returncode:
            lack("npm cannot install statsd")
    return found


def test_the_real_server_counts_what_was_done(statsd_js: Path, tmp_path: Path) -> None:
    """Its own report has our counters, with tags, and no bad line."""
    port, admin = free_ports(2)
    config = tmp_path / "config.js"
    addresses = {"port": port, "address": LOOPBACK, "mgmt_port": admin, "mgmt_address": LOOPBACK}
    config.write_text(json.dumps({**addresses, "backends": [], "flushInterval": 60_000}))
    server = ServerProcess([str(shutil.which("node")), statsd_js, config], tmp_path / "statsd.log")
    server.start(lambda: _asked(admin, "health"))
    try:
        _work(tmp_path / "tasks", port, statsd_prefix="agents")

        def counters_with_all() -> str:
            told = _asked(admin, "counters")
            return told if re.search(r"'agents\.agentlog\.tasks;[^']*': 1\b", told) else ""

        counted = wait_until(counters_with_all, "counters")
        gauge = "agents.gen_ai.execute_tool.duration.max"
        wait_until(lambda: gauge in _asked(admin, "gauges"), "gauges")
    finally:
        server.stop()

    counters = dict(line.strip().rstrip(",").split(": ") for line in counted.splitlines() if ": " in line)
    of_tasks = {name: int(value) for name, value in counters.items() if name.startswith("'agents.agentlog.tasks;")}
    assert sum(of_tasks.values()) == 1
    assert all("service.name=reviewer" in name for name in of_tasks)
    assert counters["'statsd.bad_lines_seen'"] == "0"


def _asked(port: int, question: str) -> str:
    """What the server's administration port answers; nothing while it is not there."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
            connection.sendall(question.encode())
            found = ""
            while not found.startswith("health: ") and "END\n" not in found and (chunk := connection.recv(65_536)):
                found += chunk.decode()
            return found
    except OSError:
        return ""

"""Hides a real Prometheus server, and how OpenTelemetry names look in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.support.ports import LOOPBACK, free_ports
from tests.support.process import ServerProcess

_UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": "ratio"}


def find_prometheus() -> Path | None:
    """The ``prometheus`` binary on ``PATH`` (Debian package ``prometheus``)."""
    found = shutil.which("prometheus")
    return Path(found) if found else None


def prometheus_names(name: str, instrument: str, unit: str) -> set[str]:
    """The series names of a metric behind the collector's prometheus exporter (``UnderscoreEscapingWithSuffixes``).

    Units in braces are annotations and leave no trace; histograms have three series, counters end in ``_total``.
    """
    base = name.replace(".", "_")
    if not unit.startswith("{"):
        base = f"{base}_{_UNITS[unit]}"
    if instrument == "histogram":
        return {f"{base}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return {f"{base}_total"} if instrument == "counter" else {base}


class Prometheus:
    """A running Prometheus on a free loopback port; a context manager.

    It runs with a given configuration file in which host names are replaced: ``targets`` maps ``collector:8889`` to where
    that is in the test. Everything is scraped every second.
    """

    def __init__(self, binary: Path, folder: Path, *, config: Path, targets: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        settings = yaml.safe_load(config.read_text())
        settings["global"]["scrape_interval"] = "1s"
        for job in settings["scrape_configs"]:
            job["static_configs"] = [{"targets": [targets[t] for t in group["targets"]]} for group in job["static_configs"]]
        path = folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(settings))
        [self._port] = free_ports(1)
        command = [
            str(binary),
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self._port}",
            "--enable-feature=exemplar-storage",
        ]
        self._process = ServerProcess(command, folder / "prometheus.log")

    def __enter__(self) -> Prometheus:
        self._process.start(self._ready)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._process.stop()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query, each with ``metric`` (labels) and ``value``.

        Raises:
            ValueError: Prometheus does not understand the expression.
        """
        try:
            answer = self._get("query", query=expression)
        except HTTPError as error:
            raise ValueError(f"{expression}: {error.read().decode()}") from error
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series

    def value(self, expression: str) -> float | None:
        """The one value of an expression that has at most one series."""
        series = self.query(expression)
        assert len(series) <= 1, series
        return float(series[0]["value"][1]) if series else None

    def exemplars(self, expression: str, start_s: float, end_s: float) -> list[dict[str, Any]]:
        """The labels of all exemplars of an expression's series between two Unix times."""
        answer = self._get("query_exemplars", query=expression, start=start_s, end=end_s)
        return [exemplar["labels"] for series in answer["data"] for exemplar in series["exemplars"]]

    def _get(self, what: str, **parameters: object) -> Any:
        with urlopen(f"http://{LOOPBACK}:{self._port}/api/v1/{what}?{urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)

    def _ready(self) -> bool:
        try:
            with urlopen(f"http://{LOOPBACK}:{self._port}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

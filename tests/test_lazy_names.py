"""The public packages whose names are imported when they are first used."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

LAZY = ("otel_agentlog", "otel_agentlog.error_handling", "otel_agentlog.query", "otel_agentlog.testing", "otel_agentlog.tools")


@pytest.mark.parametrize("package", LAZY)
def test_every_name_of_a_lazy_package_is_there(package: str) -> None:
    """Each public name can be had."""
    module = importlib.import_module(package)

    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert list(module.__all__) == sorted(set(module.__all__))


@pytest.mark.parametrize("package", LAZY)
def test_no_module_has_the_name_of_a_public_name(package: str) -> None:
    """The import of a submodule binds its name in the package, where the public name of that name belongs."""
    module = importlib.import_module(package)
    entries = {path.stem for path in Path(str(module.__file__)).parent.iterdir()}
    values = {name: getattr(module, name) for name in entries & set(module.__all__)}

    assert [name for name, value in values.items() if not isinstance(value, ModuleType)] == []


@pytest.mark.parametrize("package", LAZY)
def test_what_is_not_there_is_an_attribute_error(package: str) -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="nonsense"):
        _ = importlib.import_module(package).nonsense


_RUN = """
import sys
import time
import otel_agentlog as agentlog
agentlog.configure(service_name="s")
with agentlog.task("t"), agentlog.step("s"), agentlog.tool("T", arguments={"a": 1}):
    agentlog.get_logger("l").info("hello")
until = time.monotonic() + 50
agentlog.flush()
while sys.argv[1] not in sys.modules and time.monotonic() < until:
    agentlog.flush(0.5)
print(sorted(each for each in sys.argv[2:] if each in sys.modules))
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_packages_of_other_ways_are_not_imported(protocol: str, tmp_path: Path) -> None:
    """Recording and sending import what they use and none of the packages that other commands or protocols need."""
    watched = ["requests", "grpc", "fastapi", "uvicorn", "textual", "yaml", "apprise", "jsonschema_rs", "pydantic", "sqlite3"]
    environment = os.environ | {
        "TASK_LOGS_DIR": str(tmp_path / "tasks"),
        "AGENTLOG_LOG_DIR": str(tmp_path / "log"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "AGENTLOG_SHUTDOWN_TIMEOUT": "0.2",
        "OTEL_METRICS_EXPORTER": "none",
    }
    # On a busy machine the import of the protocol's package may last longer than the flush.
    command = [sys.executable, "-c", _RUN, "grpc" if protocol == "grpc" else "otel_agentlog", *watched]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path, check=True)

    assert ran.stdout.strip() == str(["grpc"] if protocol == "grpc" else [])

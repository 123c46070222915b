"""Nothing reaches a home but through the one cleaning step: secrets and undecodable text everywhere, sought in every way out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from otel_agentlog.testing.otlp.receiver import OtlpReceiver

REPOSITORY = Path(__file__).resolve().parents[2]
CANARY = re.compile(rb"CANARY\w{0,24}")
PLACES = 115
"""At least as many places have text in them."""
FROM_OUTSIDE = {
    b"OTEL_RESOURCE_ATTRIBUTES": b"team=caf\xe9 ghp_CANARYresource2c3D4e5F6g7H8i9J0k1L2m3N4,"
    b"db.password=CANARYdbpass,db.url=postgres://u:CANARYurl1a@h/d",
    b"OTEL_SERVICE_NAME": b"svc ghp_CANARYservicea1B2c3D4e5F6g7H8i9J0k1L2m3 \xe9",
    b"OTEL_EXPORTER_OTLP_HEADERS": b"authorization=Bearer%20ghp_CANARYheaderb2c3D4e5F6g7H8i9J0k1L2m3N4o5P",
}


@pytest.mark.parametrize("mode", ["own", "foreign"])
def test_no_place_is_a_way_around_the_cleaning_step(mode: str, otlp_receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Files, their names, OTLP, console and log hold no secret of any place, all can be decoded, and every line is valid."""
    env = {os.fsencode(key): os.fsencode(value) for key, value in os.environ.items()} | FROM_OUTSIDE
    env[b"AGENTLOG_SHUTDOWN_TIMEOUT"] = b"30"
    env[b"OTEL_EXPORTER_OTLP_ENDPOINT"] = otlp_receiver.http_endpoint.encode()
    program = [sys.executable, "-m", "tests.end_to_end.canary_app", str(tmp_path / "tasks"), str(tmp_path / "logs"), mode]
    done = subprocess.run(program, env=env, cwd=REPOSITORY, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = done.stdout.decode()
    assert int(told.split("places ")[1].split()[0]) >= PLACES
    assert "dropped=0" in told
    assert "could not record" not in done.stderr.decode("utf-8", "replace")

    ways_out = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ways_out["names"] = b"\n".join(os.fsencode(path) for path in tmp_path.rglob("*"))
    ways_out |= {"stdout": done.stdout, "stderr": done.stderr}
    for signal in ("spans", "log_records", "metrics"):
        items = getattr(otlp_receiver, signal)()
        ways_out[f"OTLP {signal}"] = repr(items).encode()
        assert len(items) > 5, signal

    assert {(way, found) for way, data in ways_out.items() for found in CANARY.findall(data)} == set()
    for data in ways_out.values():
        data.decode()
    assert_valid(tmp_path / "tasks")


def assert_valid(root: Path) -> None:
    """Every folder is valid, and the lines of the task that all of it happened in are there."""
    from otel_agentlog.store.validation.validate import validate

    folders = [folder for folder in root.iterdir() if not folder.name.startswith(".")]
    assert len(folders) == 3
    for folder in folders:
        assert validate(folder).errors == 0, folder
    types = {json.loads(line)["type"] for folder in folders for line in lines_of(folder)}
    assert {
        "process",
        "task",
        "step",
        "tool_call",
        "ai_request",
        "span",
        "log",
        "output",
        "thinking",
        "event",
        "attempt",
    } <= types


def lines_of(folder: Path) -> list[bytes]:
    """The lines of a task."""
    return (folder / "03-agent-output.jsonl").read_bytes().splitlines()

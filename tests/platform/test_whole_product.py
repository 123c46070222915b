"""The whole product on a simulated Windows and macOS: recorded, sent, read, killed, recovered, pruned, compressed, served.

With a Python for Windows (``.ci/windows``) on the real one.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from tests.support.forking import Python
from tests.support.systems import on_wine

HOME = Path(__file__).resolve().parents[2]
REAL_WINDOWS = os.name == "nt"
PATIENCE_S = 600 if REAL_WINDOWS else 100
SYSTEMS = ("here",) if REAL_WINDOWS else ("win32", "darwin")


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> str:
    """Which system is simulated."""
    return str(request.param)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """The environment of the programs."""
    none = dict.fromkeys(("OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_METRICS_EXPORTER"), "none")
    kept = {name: value for name, value in os.environ.items() if REAL_WINDOWS or name in ("PATH", "HOME", "TMPDIR")}
    ours = {"TASK_LOGS_DIR": str(tmp_path / "tasks"), "AGENTLOG_LOG_DIR": str(tmp_path / "log"), "PYTHONIOENCODING": "utf-8"}
    ours["PYTHONPATH"] = os.pathsep.join([str(HOME), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, **none, **ours}


def sending_to(address: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp"}


def python(system: str) -> Python:
    """One interpreter for each system: it has begun to simulate it, and each program is a fork of it."""
    begun = () if REAL_WINDOWS else (f"tests.platform.program:{system}",)
    return Python(modules=begun, packages=(), environment=(("PYTHONIOENCODING", "utf-8"),))


def command(system: str, *words: str) -> list[str]:
    return ["-c", "import sys; from tests.platform.program import main; sys.exit(main())", system, *words]


def run(settings: Mapping[str, str], system: str, *words: str, code: int = 0) -> str:
    done = python(system).run(command(system, *words), env=settings, text=True, timeout=PATIENCE_S)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_recorded_sent_and_read(system: str, settings: dict[str, str], tmp_path: Path) -> None:
    """Each line is there, the collector has each item once, and the command line reads what it says of it."""
    with OtlpReceiver() as receiver:
        receipt = run({**settings, **sending_to(receiver.http_endpoint)}, system, "record")
        sent = {"traces": len(receiver.spans()), "logs": len(receiver.log_records())}
    assert "pending=0, dropped=0" in receipt
    # Two tasks, a step, an AI call, a tool run; three log lines, one of them outside any task.
    assert sent == {"traces": 5, "logs": 3}

    listed = json.loads(run(settings, system, "ls", "--json"))
    assert {task["task_id"] for task in listed["tasks"]} == {"con", "second"}
    assert "2 valid, 0 not" in run(settings, system, "validate")
    assert "gpt-5" in run(settings, system, "show", "con")
    assert "files read" in run(settings, system, "search", "files")
    assert "no problems" in run(settings, system, "doctor")
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["platforms.jsonl"]


def test_killed_and_recovered(system: str, settings: dict[str, str]) -> None:
    """What a killed process left open is closed, and not while it runs; nothing that was acknowledged is lost."""
    with python(system).start(command(system, "hang"), env=settings, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"hanging"
        assert "Would close 0 tasks" in run(settings, system, "recover", "--dry-run")
        process.kill()
    assert "Closed 1 task" in run(settings, system, "recover")

    found = {task["task_id"]: task["status"] for task in json.loads(run(settings, system, "ls", "--json"))["tasks"]}
    assert found == {"con": "completed", "second": "interrupted"}
    assert "2 valid, 0 not" in run(settings, system, "validate")
    assert "something failed" in run(settings, system, "search", "failed")


def test_compressed_and_pruned(system: str, settings: dict[str, str], tmp_path: Path) -> None:
    """Folders are packed, read as before, and deleted."""
    run(settings, system, "record")
    before = run(settings, system, "export", "con")
    root = tmp_path / "tasks"
    for path in filter(Path.is_file, root.rglob("*")):
        os.utime(path, (time.time() - 60, time.time() - 60))  # what was just written is left alone
    run(settings, system, "prune", "--compress")
    assert [path.name for path in root.glob("second/*.gz")] == ["03-agent-output.jsonl.gz"]
    assert run(settings, system, "export", "con") == before
    if on_wine():
        return  # a folder that was renamed has its former path there
    run(settings, system, "prune", "--keep-tasks", "1")
    assert len([path for path in root.iterdir() if not path.name.startswith(".")]) == 1
    assert not list(root.glob(".pruned*"))


def test_sent_later(system: str, settings: dict[str, str]) -> None:
    """What no collector was there for is sent by `agentlog ship`."""
    with OtlpReceiver() as receiver:
        gone = sending_to(receiver.http_endpoint)
    assert "delivered=0" in run({**settings, **gone}, system, "record")
    with OtlpReceiver() as receiver:
        run(settings, system, "ship", "--endpoint", receiver.http_endpoint)
        assert len(receiver.spans()) == 5
        assert len(receiver.log_records()) == 2


def test_what_is_refused_says_so_in_one_line(settings: dict[str, str]) -> None:
    """Control by file ownership is one of these on Windows."""
    run(settings, SYSTEMS[0], "record")
    said = run(settings, SYSTEMS[0], "pause", "second", code=1)

    assert "expected Linux or macOS" in said
    assert len(said.splitlines()) == 1


@pytest.mark.skipif(REAL_WINDOWS, reason="the simulated kernel opens a file as another program would")
def test_files_that_another_program_has_open(settings: dict[str, str], tmp_path: Path) -> None:
    """Lines are written meanwhile; what is to be replaced waits, and recording does not wait for it."""
    waited_s, said = run(settings, "win32", "busy").split(maxsplit=1)

    assert float(waited_s) < 10
    assert "could not record everything (documents: 1)" in said
    assert json.loads((tmp_path / "tasks/busy/metadata.json").read_bytes())["status"] == "completed"
    run(settings, "win32", "validate")
    assert "meanwhile" in run(settings, "win32", "search", "meanwhile")

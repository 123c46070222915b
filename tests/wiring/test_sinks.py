"""Sinks are equal peers: each keeps to one contract, and none depends on where it is in the list."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import _internal
from opentelemetry.util._once import Once

import otel_agentlog as agentlog
from otel_agentlog.export import providers
from otel_agentlog.query import RULES
from otel_agentlog.record.logs.console import ConsoleSink
from otel_agentlog.record.logs.file_formats import FORMATS
from otel_agentlog.record.recorder import Recorder, recorder
from otel_agentlog.settings.fields import load
from otel_agentlog.store.app_log import LogNames, RotatingLog
from otel_agentlog.store.folder.reader import TaskReader, find_task
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.testing import MemorySink
from otel_agentlog.vocabulary.envelope import Envelope, Sink, TaskRef
from otel_agentlog.wiring.alerting import Alerting
from otel_agentlog.wiring.setup import LinesOfTasks, Wired
from tests.support.conformance.sinks import CHECKS
from tests.support.ports import free_ports


@pytest.fixture(autouse=True)
def providers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry lets each provider be set once, and what was added to one stays: these tests leave none to the others."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(_internal, "_LOGGER_PROVIDER", None)
    monkeypatch.setattr(_internal, "_LOGGER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(providers, "_made", {})


@pytest.fixture
def folder(tmp_path: Path) -> FolderSink:
    """Task folders and an application log."""
    return FolderSink(
        tmp_path / "tasks",
        lambda: {"type": "process", "pid": os.getpid()},
        RotatingLog(tmp_path / "logs", LogNames.of_service("app")),
    )


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Sink]:
    """What takes lines to a collector, of which there is none."""
    settings = {"directory": tmp_path / "tasks", "log_directory": tmp_path / "logs", "console": "off"}
    wired = Wired(load({**settings, "endpoint": f"http://127.0.0.1:{free_ports(1)[0]}"}, {}))
    yield wired.telemetry.sink
    wired.telemetry.shutdown(0.1)


@pytest.fixture
def alerting() -> Iterator[Sink]:
    """The rules as they are by default."""
    sink = Alerting(RULES, stop_task=lambda alert: None)
    sink.is_on = True
    yield sink
    sink.stop()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Sink]:
    """A console that shows everything, as JSON."""
    with ExitStack() as stack:
        stream = stack.enter_context((tmp_path / "console").open("w"))
        yield ConsoleSink(stream, style="json", lifecycle=True)


@pytest.fixture
def log_file(tmp_path: Path) -> Sink:
    """A log file that has the lines of tasks, too."""
    return LinesOfTasks(RotatingLog(tmp_path / "logs", LogNames.of_file("a.log"), render=FORMATS["flat"]))


@pytest.fixture
def memory() -> Sink:
    """The sink of users' tests."""
    return MemorySink()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["folder", "telemetry", "alerting", "console", "log_file", "memory"])
def test_a_sink_keeps_to_the_contract(name: str, check: Callable[[Sink], None], request: pytest.FixtureRequest) -> None:
    """The same suite for every sink there is."""
    check(request.getfixturevalue(name))


class Seen:
    """A sink that notes the ids it sees and whether the line is kept by then."""

    def __init__(self) -> None:
        self.ids: list[tuple[str, bool]] = []

    def __call__(self, envelope: Envelope) -> None:
        """Note one line."""
        self.ids.append((envelope.line["event_id"], envelope.kept))


def _broken(envelope: Envelope) -> None:
    raise OSError("a sink of somebody's")


def _program(task_id: str) -> None:
    with agentlog.task("job", task_id=task_id, input={"a": 1}) as task:
        agentlog.get_logger("app").info("files read", files=3)
        with agentlog.tool("Read", arguments={"path": "a"}) as run:
            run.result = "text"
        task.result = "done"


def _lines(root: Path, task_id: str = "t") -> list[dict[str, Any]]:
    return list(find_task(root, task_id).events())


def test_the_order_of_sinks_does_not_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folder, telemetry, console, alerts, memory and a broken one, in many orders: each gets the same lines with the same ids."""
    root = tmp_path / "tasks"
    settings: dict[str, Any] = {"directory": root, "log_directory": tmp_path / "logs", "capture_logging": False}
    settings |= {"console": "json", "alerts": {"error_rate_percent": 50}, "recover_on_start": False}
    agentlog.configure(**settings, endpoint=f"http://127.0.0.1:{free_ports(1)[0]}")
    own = [*recorder().sinks]
    assert len(own) == 4
    try:
        for number, order in enumerate(itertools.islice(itertools.permutations(["memory", "broken", *own]), 0, None, 7)):
            memory, seen = MemorySink(), Seen()
            ours: dict[object, Sink] = {"memory": memory, "broken": _broken}
            recorder().sinks = [seen, *(ours.get(each, each) for each in order)]  # type: ignore[list-item]
            capsys.readouterr()
            _program(f"t{number}")

            lines = [line for line in _lines(root, f"t{number}") if line["type"] != "process"]
            event_ids = [line["event_id"] for line in lines]
            assert [event_id.rpartition("-")[2] for event_id in event_ids] == ["1", "2", "3", "4", "5"]
            assert seen.ids == [(event_id, True) for event_id in event_ids]
            assert memory.lines == lines
            shown = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
            assert [line["message"] for line in shown] == ["files read"]
            assert not validate(root / f"t{number}").problems
        found = agentlog.flush(0)
        assert found.recorded == found.pending > 100
    finally:
        agentlog.shutdown(0.1)


def test_a_lost_line_takes_its_number(tmp_path: Path) -> None:
    """What the folder could not write has an id for the other sinks, is not kept, and leaves a gap that the validator finds."""
    folder = FolderSink(tmp_path, lambda: {"type": "process", "pid": os.getpid()})
    seen, task = Seen(), TaskRef("t", {"task_id": "t"})
    record = Recorder([seen, folder])
    (tmp_path / "t").write_text("in the way")
    record.point({"type": "event", "message": "lost"}, task, {"task_id": "t"})
    (tmp_path / "t").unlink()
    record.point({"type": "event", "message": "kept"}, task, {"task_id": "t"})

    assert [kept for _, kept in seen.ids] == [False, True]
    assert record.failures == {"folder": 1}
    assert [line["event_id"].rpartition("-")[2] for line in TaskReader(tmp_path / "t").events()] == ["0", "2"]


def test_a_folder_begun_anew_goes_on_counting(tmp_path: Path) -> None:
    """Deleted below the process: the other sinks see the ids that the new file has, and none is missing."""
    seen = Seen()
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off", capture_logging=False)
    recorder().sinks = [seen, *recorder().sinks]
    try:
        with agentlog.task("job", task_id="t") as task:
            task.output("one")
            shutil.rmtree(tmp_path / "tasks" / "t")
            task.output("two")
            task.output("three")
    finally:
        agentlog.shutdown()

    lines = _lines(tmp_path / "tasks")
    numbers = sorted(int(line["event_id"].rpartition("-")[2]) for line in lines)
    assert numbers == [0, 1, 2, 3, 4, 5]
    assert {event_id for event_id, _ in seen.ids} == {line["event_id"] for line in lines if line["type"] != "process"}

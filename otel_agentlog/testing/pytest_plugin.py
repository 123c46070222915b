"""The pytest plugin: fixtures named ``agentlog_…``, one option, and the tree of what was recorded beside a test that failed.

The only module that imports pytest. Nothing that records is imported before a fixture is used: a run of tests that uses none pays
for this file alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from otel_agentlog.testing.clock import FixedClock
    from otel_agentlog.testing.otlp.receiver import OtlpReceiver
    from otel_agentlog.testing.reading import RecordedTask
    from otel_agentlog.testing.recorded import Recorded
    from otel_agentlog.testing.replaying import Replay

UPDATE = "--agentlog-update-golden"
MAX_SHOWN = 40
"""Lines of the tree beside a test that failed."""

_WRITTEN = pytest.StashKey[list[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our option."""
    group = parser.getgroup("agentlog", "otel_agentlog")
    group.addoption(UPDATE, action="store_true", help="write golden files of agentlog_golden from what is recorded now")


@pytest.fixture
def agentlog_settings() -> dict[str, Any]:
    """Settings for `agentlog_recording`; they go before what is given to `configure`. For you to override."""
    return {}


@pytest.fixture
def agentlog_recording(request: pytest.FixtureRequest, tmp_path: Path, agentlog_settings: dict[str, Any]) -> Iterator[Recorded]:
    """What is recorded while the test runs: in folders of its own, without the network, also where it calls `configure`.

    By the clock of `agentlog_clock` and the ids of `agentlog_ids`, if the test has those.
    """
    from otel_agentlog.testing.recorded import record_in

    if "agentlog_ids" in request.fixturenames:
        request.getfixturevalue("agentlog_ids")
    clock = request.getfixturevalue("agentlog_clock") if "agentlog_clock" in request.fixturenames else None
    with record_in(tmp_path / "agentlog", clock=clock, **agentlog_settings) as recorded:
        yield recorded


@pytest.fixture
def agentlog_clock() -> FixedClock:
    """A clock that stands still until the test moves it: ``agentlog_clock.forward(1.5)``."""
    from otel_agentlog.testing.clock import FixedClock

    return FixedClock()


@pytest.fixture
def agentlog_ids() -> Iterator[None]:
    """Ids of tasks, traces, spans, lines and errors are the same in every run of the test."""
    from otel_agentlog.testing.clock import fixed_ids

    with fixed_ids():
        yield


@pytest.fixture
def agentlog_receiver() -> Iterator[OtlpReceiver]:
    """A collector in this process, whose answers can be set; `Recorded.send_to` sends there."""
    from otel_agentlog.testing.otlp.receiver import OtlpReceiver

    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def agentlog_golden(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """A function that compares a task, or all of `agentlog_recording`, with a committed file.

    ``agentlog_golden(task)`` or ``agentlog_golden(task, "name")``: the file is ``golden/<name>.txt`` beside the test's own,
    by default named after the test. ``--agentlog-update-golden`` writes it. ``before`` and ``places`` are those of `golden_text`.
    """
    from otel_agentlog.testing.golden import assert_golden, file_name

    beside = Path(request.path).parent / "golden"
    update = bool(request.config.getoption(UPDATE))

    def compare(
        found: Recorded | RecordedTask, name: str | None = None, *, before: str = "", places: Mapping[str, str] | None = None
    ) -> None:
        __tracebackhide__ = True
        path = beside / f"{name or file_name(request.node.name)}.txt"
        all_places = {str(tmp_path): "<tmp>", **(places or {})}
        if assert_golden(found, path, update=update, how=f"pytest {UPDATE}", before=before, places=all_places):
            request.config.stash.setdefault(_WRITTEN, []).append(path)

    return compare


@pytest.fixture
def agentlog_kill(tmp_path: Path) -> Callable[..., Recorded]:
    """`run_and_kill` with a folder of the test: runs a script that dies in the middle, and returns what it left."""
    from otel_agentlog.testing.killing import run_and_kill

    numbers = count(1)
    return lambda *args, **kwargs: run_and_kill(*args, **{"folder": tmp_path / f"killed-{next(numbers)}", **kwargs})


@pytest.fixture
def agentlog_replay(tmp_path: Path) -> Callable[..., AbstractContextManager[Replay]]:
    """`replay` with a folder of the test for what it records: ``with agentlog_replay("tests/tasks/task-…") as replayed: …``."""
    from otel_agentlog.testing.replaying import replay

    numbers = count(1)
    return lambda folder, **kwargs: replay(folder, **{"into": tmp_path / f"replay-{next(numbers)}", **kwargs})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Add what was recorded until now to the report of a test that failed."""
    active = getattr(sys.modules.get("otel_agentlog.testing.recorded"), "ACTIVE", [])
    failed = call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception)
    if active and failed and (text := _shown(active[-1])):
        item.add_report_section(call.when, "agentlog", text)
    return (yield)


def _shown(recorded: Recorded) -> str:
    """The trees of its tasks, those that did not complete first."""
    try:
        tasks = sorted(recorded.tasks, key=lambda task: task.outcome == "completed")
        lines = [line for task in tasks for line in (f"{task.folder}", *task.tree().splitlines())]
    except Exception as error:  # noqa: BLE001 - whatever the test did to its folder, its own failure is what is to be shown
        return f"what was recorded cannot be read: {error!r}"
    return "\n".join([*lines[:MAX_SHOWN], *([f"… {len(lines) - MAX_SHOWN} more lines"] if len(lines) > MAX_SHOWN else [])])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which golden files were written."""
    for path in config.stash.get(_WRITTEN, []):
        terminalreporter.write_line(f"agentlog: wrote {path}")

"""A root whose name is a link, as where the tasks have a disk of their own: everything is done as below one that is a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.record.recorder import recorder
from otel_agentlog.store.delivery.process_lock import ProcessLock, is_running
from otel_agentlog.store.folder.metadata import find_metadata
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.retention.policy import RetentionLimits
from otel_agentlog.store.retention.prune import prune
from otel_agentlog.tools.collect.spool import CollectSpool
from otel_agentlog.tools.imports.staging import Staging
from otel_agentlog.view.cli import main as cli
from tests.store.retention.retention_folders import DAY_NS, make_task, names
from tests.support.waiting import wait_until


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """The folder that the link leads to."""
    folder = tmp_path / "disk" / "tasks"
    folder.mkdir(mode=0o700, parents=True)
    return folder


@pytest.fixture(params=["the root", "above the root"])
def root(request: pytest.FixtureRequest, real: Path, tmp_path: Path) -> Path:
    """The root by a name that is a link, or that has one in it."""
    link = tmp_path / "link"
    if request.param == "the root":
        link.symlink_to(real)
        return link
    link.symlink_to(real.parent)
    return link / real.name


@pytest.fixture(params=["process", "group", "sync"])
def recording(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Iterator[Path]:
    """Recording configured to write there, at each level of durability."""
    options = {"log_directory": tmp_path / "logs", "console": "off", "capture_logging": False}
    agentlog.configure(service_name="test", directory=root, durability=request.param, max_tasks=1, **options)
    yield root
    agentlog.shutdown()


def test_all_is_recorded_and_nothing_goes_wrong(recording: Path, real: Path) -> None:
    """The folder is made, synced, resumed and read; the thread for upkeep finds nothing to complain of."""
    with agentlog.task("t", task_id="t") as task:
        task.output("first")
    receipt = agentlog.flush()
    wait_until(lambda: (real / ".upkeep.lock").exists(), "the run of upkeep")

    assert (receipt.dropped, dict(recorder().failures)) == (0, {})
    assert [line["content"] for line in find_task(recording, "t").events() if line["type"] == "output"] == ["first"]
    assert find_metadata(recording, "t")["status"] == "completed"
    assert real.joinpath(find_task(recording, "t").folder.name).is_dir()


def test_what_a_dead_process_left_open_is_closed(root: Path) -> None:
    """By `recover`, which opens the root itself."""
    program = (
        "import os, sys, otel_agentlog as agentlog\n"
        "agentlog.configure(directory=sys.argv[1], console='off', recover_on_start=False)\n"
        "agentlog.task('t', task_id='t').__enter__()\nos._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(root)], timeout=60)

    assert [repair.what for repair in recover(root).repairs] == ["repaired"]
    assert find_task(root, "t").metadata()["status"] == "interrupted"


def test_what_a_process_notes_is_found(root: Path) -> None:
    """Whether it still runs, too."""
    lock = ProcessLock(root)
    name = lock.name()

    assert name is not None
    assert is_running(root, name)
    lock.release()
    assert not is_running(root, name)


def test_old_tasks_go(root: Path, real: Path) -> None:
    """But those that are links themselves stay, with what they lead to."""
    now_ns = time.time_ns()
    for days in (1, 50):
        make_task(real, f"task-{days}", ended_ns=now_ns - days * DAY_NS)
    make_task(real.parent, "task-linked", ended_ns=now_ns - 50 * DAY_NS)
    (real / "task-linked").symlink_to(real.parent / "task-linked")
    limits = RetentionLimits(retention_days=10)

    assert [each.task_id for each in prune(root, limits, dry_run=True).deleted] == ["task-50"]
    assert [each.task_id for each in prune(root, limits).deleted] == ["task-50"]
    assert names(real) == ["task-1", "task-linked"]
    assert (real.parent / "task-linked" / "metadata.json").exists()


def test_what_is_imported_and_collected_has_its_place(root: Path, real: Path) -> None:
    """Both make folders of their own below the root."""
    Staging(root).close()
    CollectSpool(root).close()

    assert len([name for name in os.listdir(real) if name.startswith(".")]) == 2


def test_every_command_takes_it(root: Path, real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is said of tasks is what is said where the root is given by its own name."""
    make_task(real, "task-1", ended_ns=time.time_ns() - 2 * DAY_NS, final=True)
    asked = (
        *(["ls"], ["stats"], ["show"], ["validate"], ["recost"], ["errors"], ["top"], ["export", "--format", "json"]),
        *(["ship", "--dry-run"], ["recover", "--dry-run"], ["prune", "--dry-run", "--keep-days", "1"], ["tail"]),
    )

    def told(place: Path, words: list[str]) -> tuple[int, str]:
        code = cli.main([*words, "--root", str(place), "--json"])
        return code, capsys.readouterr().out.replace(json.dumps(str(place))[1:-1], "")

    for words in asked:
        assert told(root, words) == told(real, words), words

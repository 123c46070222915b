"""A root whose name is a link, as where the tasks have a disk of their own: everything is done as below one that is a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.record.recorder import recorder
from otel_agentlog.store.folder.metadata import find_metadata
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.view.cli import main as cli
from tests.store.retention.retention_folders import DAY_NS, make_task
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
    assert find_metadata(real, "t")["status"] == "completed"
    assert real.joinpath(find_task(recording, "t").folder.name).is_dir()


def test_what_is_put_in_the_place_of_the_link_is_not_followed(real: Path, tmp_path: Path) -> None:
    """It is where the link led to that counts, from `configure` on."""
    link, other = tmp_path / "link", tmp_path / "other"
    link.symlink_to(real)
    other.mkdir()
    agentlog.configure(service_name="test", directory=link, console="off", capture_logging=False)
    link.unlink()
    link.symlink_to(other)

    with agentlog.task("t", task_id="t"):
        pass
    agentlog.shutdown()

    assert (os.listdir(other), find_task(real, "t").metadata()["status"]) == ([], "completed")


@pytest.mark.skipif(not hasattr(os, "lchown") or os.geteuid() != 0, reason="only root can make a link of another user's")
def test_a_link_of_another_user_is_not_followed(real: Path, tmp_path: Path) -> None:
    """In a folder such as ``/tmp`` anybody may have made it."""
    (tmp_path / "link").symlink_to(real)
    os.lchown(tmp_path / "link", 12345, 12345)

    assert agentlog.Settings(directory=tmp_path / "link").directory == tmp_path / "link"


def test_every_command_takes_it(root: Path, real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is said of tasks is what is said where the root is given by its own name."""
    make_task(real, "task-1", ended_ns=time.time_ns() - 2 * DAY_NS, final=True)
    asked = (
        *(["ls"], ["stats"], ["show"], ["validate"], ["recost"], ["errors"], ["top"], ["export", "--format", "json"]),
        *(["ship", "--dry-run"], ["recover", "--dry-run"], ["prune", "--dry-run", "--keep-days", "1"], ["tail"]),
    )

    def told(place: Path, words: list[str]) -> tuple[int, str]:
        code = cli.main([*words, "--root", str(place), "--json"])
        return code, capsys.readouterr().out.replace(str(place), str(real))

    for words in asked:
        assert told(root, words) == told(real, words), words

"""Whether somebody is at work in a folder."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from otel_agentlog.store.folder.files import open_directory
from otel_agentlog.store.folder.locks import is_held


def test_a_shared_lock_is_somebody_at_work(tmp_path: Path) -> None:
    """For as long as the descriptor is open, by its path and by its name below the root."""
    folder = tmp_path / "task-1"
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    root = open_directory(os.fspath(tmp_path))

    assert (is_held(folder), is_held("task-1", root)) == (True, True)
    os.close(descriptor)
    assert (is_held(folder), is_held("task-1", root)) == (False, False)


def test_looking_takes_nothing_for_long(tmp_path: Path) -> None:
    """Who looks leaves no lock behind."""
    assert is_held(tmp_path) is False
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_who_waits_sees_that_it_was_let_go(tmp_path: Path) -> None:
    """Others that only look are not taken for somebody at work."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    timer = threading.Timer(0.05, os.close, [descriptor])
    timer.start()
    try:
        assert is_held(tmp_path, wait_s=60.0) is False
    finally:
        timer.join()


@pytest.mark.parametrize("kind", ["missing", "file", "link", "fifo"])
def test_what_is_no_folder_tells_nothing(tmp_path: Path, kind: str) -> None:
    """Neither held nor free, and nothing hangs."""
    path = tmp_path / "x"
    if kind == "file":
        path.write_bytes(b"")
    elif kind == "link":
        path.symlink_to(tmp_path)
    elif kind == "fifo":
        os.mkfifo(path)

    assert is_held(path) is None

"""Whether a process is at work on a task: by the lock of its folder, and by its process lines."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import otel_agentlog._platform as system
from otel_agentlog.store.folder.files import open_directory
from otel_agentlog.store.liveness import FolderUse, folder_use, may_be_alive, on_network_disk


def test_a_shared_lock_is_a_process_at_work(tmp_path: Path) -> None:
    """For as long as the descriptor is open, by its path and by its name below the root."""
    folder = tmp_path / "task-1"
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    root = open_directory(os.fspath(tmp_path))

    assert (folder_use(folder), folder_use("task-1", root)) == (FolderUse.IN_USE, FolderUse.IN_USE)
    os.close(descriptor)
    assert (folder_use(folder), folder_use("task-1", root)) == (FolderUse.FREE, FolderUse.FREE)


def test_looking_takes_nothing_for_long(tmp_path: Path) -> None:
    """Who looks leaves no lock behind."""
    assert folder_use(tmp_path) is FolderUse.FREE
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_who_waits_sees_that_it_was_let_go(tmp_path: Path) -> None:
    """Others that only look are not taken for a process at work."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    timer = threading.Timer(0.05, os.close, [descriptor])
    timer.start()
    try:
        assert folder_use(tmp_path, wait_s=60.0) is FolderUse.FREE
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

    assert folder_use(path) is FolderUse.UNREADABLE


def test_a_file_system_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in use nor free: each caller decides what that means."""

    def no_locks(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(system, "lock", no_locks)

    assert folder_use(tmp_path) is FolderUse.NO_LOCKS


def test_who_may_be_alive() -> None:
    """This process is, since its start; a number that nobody has is not; another machine's numbers say nothing."""
    own = {"pid": os.getpid(), "host": socket.gethostname(), "timestamp": "2099-01-01T00:00:00.000000000Z"}
    gone = subprocess.Popen([sys.executable, "-c", ""])
    zombie = {**own, "pid": gone.pid}
    os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)

    assert may_be_alive(own)
    assert not may_be_alive({**own, "timestamp": "2001-01-01T00:00:00.000000000Z"})
    assert not may_be_alive({**own, "host": "elsewhere"})
    assert not may_be_alive(zombie)
    gone.wait()
    assert not may_be_alive(zombie)
    assert not any(may_be_alive({**own, "pid": pid}) for pid in (None, "7", 0, -1, True))


def test_only_a_network_disk_is_one(tmp_path: Path) -> None:
    """The disk of these tests is this machine's own."""
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert not on_network_disk(fd)
    finally:
        os.close(fd)

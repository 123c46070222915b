"""What is promised of `otel_agentlog._platform`, on both sides: on POSIX, and on Windows by a kernel that fails as that one does.

With a Python for Windows (``.ci/windows``) it is the real one.
"""

from __future__ import annotations

import builtins
import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import otel_agentlog._platform as own
from tests.support.systems import on_wine

REAL_WINDOWS = os.name == "nt"
with_paths_of_now = pytest.mark.skipif(on_wine(), reason="Wine tells the path by which a folder was opened")


def simulated() -> ModuleType:
    """Windows' side on a kernel that is simulated."""
    from tests.support.systems.modules import KERNEL32, Importer, windows
    from tests.support.systems.windows_kernel import Kernel

    given = windows(Kernel())
    path = Path(own.__file__ or "").with_name("windows.py")
    made = ModuleType("otel_agentlog._platform.windows")
    importer = Importer(given)

    def imported(name: str, globals_: Any = None, locals_: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if name == "otel_agentlog._platform" and tuple(fromlist) == ("kernel32",):
            package = ModuleType(name)
            vars(package)["kernel32"] = given[KERNEL32]
            return package
        return importer(name, globals_, locals_, fromlist, level)

    vars(made)["__builtins__"] = {**vars(builtins), "__import__": imported}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), vars(made))
    return made


@pytest.fixture(params=["here"] if REAL_WINDOWS else ["here", "simulated Windows"])
def system(request: pytest.FixtureRequest) -> Any:
    """One side."""
    return own if request.param == "here" else simulated()


@pytest.fixture
def folder(system: Any, tmp_path: Path) -> Iterator[int]:
    """An open folder."""
    fd = system.open(str(tmp_path), system.READ_FOLDER)
    yield fd
    system.close(fd)


def put(system: Any, folder: int, name: str, data: bytes) -> None:
    fd = system.open(name, system.UPDATE | os.O_CREAT | os.O_TRUNC, 0o600, dir_fd=folder)
    os.write(fd, data)
    system.close(fd)


@with_paths_of_now
def test_names_are_those_in_the_open_folder_wherever_it_goes(system: Any, tmp_path: Path) -> None:
    """A folder that is renamed takes its names along."""
    (tmp_path / "a").mkdir()
    root = system.open(str(tmp_path), system.READ_FOLDER)
    folder = system.open("a", system.READ_FOLDER, dir_fd=root)
    system.rename("a", "b", src_dir_fd=root, dst_dir_fd=root)
    put(system, folder, "file", b"x")

    assert (tmp_path / "b" / "file").read_bytes() == b"x"
    assert system.listdir(folder) == ["file"]
    assert system.stat("file", dir_fd=folder, follow_symlinks=False).st_size == 1
    system.mkdir("c", 0o700, dir_fd=folder)
    system.rmdir("c", dir_fd=folder)
    system.unlink("file", dir_fd=folder)
    assert system.listdir(folder) == []
    system.close(folder)
    system.close(root)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("READ", FileNotFoundError), ("UPDATE", FileNotFoundError), ("READ_FOLDER", FileNotFoundError), ("new", FileExistsError)],
)
def test_what_is_not_there_and_what_is(system: Any, folder: int, flags: str, expected: type[OSError]) -> None:
    """The errors of POSIX, by which the package decides."""
    put(system, folder, "there", b"")
    how = system.APPEND | os.O_EXCL if flags == "new" else getattr(system, flags)

    with pytest.raises(expected):
        system.open("there" if flags == "new" else "not there", how, 0o600, dir_fd=folder)


def test_a_folder_is_no_file_and_a_file_no_folder(system: Any, folder: int) -> None:
    """Neither is opened as the other to be written."""
    put(system, folder, "file", b"")
    system.mkdir("folder", dir_fd=folder)

    with pytest.raises(NotADirectoryError):
        system.open("file", system.READ_FOLDER, dir_fd=folder)
    with pytest.raises(OSError, match=r".") as caught:
        system.open("folder", system.UPDATE, dir_fd=folder)
    assert caught.value.errno in (errno.EISDIR, errno.EACCES)


@pytest.mark.skipif(REAL_WINDOWS, reason="links are for administrators there")
@pytest.mark.parametrize("flags", ["READ", "UPDATE", "APPEND", "READ_FOLDER"])
def test_links_are_not_followed(system: Any, folder: int, tmp_path: Path, flags: str) -> None:
    """But for a folder that is opened as one that may be a link."""
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")

    with pytest.raises(OSError, match=r".") as caught:
        system.open("link", getattr(system, flags), 0o600, dir_fd=folder)
    assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR)
    system.close(system.open("link", system.READ_LINKED_FOLDER, dir_fd=folder))


def test_what_is_appended_lands_at_the_end(system: Any, folder: int) -> None:
    """Of two descriptors neither writes over the other's, also where one has just read."""
    one, two = (system.open("lines", system.APPEND, 0o600, dir_fd=folder) for _ in range(2))
    os.write(one, b"first\n")
    os.write(two, b"second\n")
    assert system.pread(one, 5, 0) == b"first"
    os.write(one, b"third\n")

    assert system.pread(two, 100, 0) == b"first\nsecond\nthird\n"
    assert system.pread(two, 100, 6) == b"second\nthird\n"
    assert system.pread(two, 100, 1000) == b""
    for fd in (one, two):
        system.sync(fd)
        system.close(fd)


def test_writing_and_reading_at_a_place(system: Any, folder: int) -> None:
    """Also from a memoryview."""
    fd = system.open("file", system.UPDATE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    assert system.pwrite(fd, b"hello world", 0) == 11
    assert system.pwrite(fd, memoryview(b"there")[1:], 6) == 4
    assert system.pread(fd, 100, 0) == b"hello hered"
    system.utime(fd, ns=(1_000_000_000, 2_000_000_000))
    assert os.fstat(fd).st_mtime_ns == 2_000_000_000
    system.close(fd)


def test_a_file_that_is_open_is_renamed_and_deleted(system: Any, folder: int) -> None:
    """Who has it open goes on reading."""
    put(system, folder, "file", b"x")
    fd = system.open("file", system.READ, dir_fd=folder)
    system.rename("file", "other", src_dir_fd=folder, dst_dir_fd=folder)
    system.unlink("other", dir_fd=folder)

    assert os.read(fd, 10) == b"x"
    system.close(fd)
    assert system.listdir(folder) == []


def test_rename_replaces(system: Any, folder: int) -> None:
    """A file that has the name already is gone."""
    put(system, folder, "old", b"old")
    put(system, folder, "new", b"new")
    system.rename("new", "old", src_dir_fd=folder, dst_dir_fd=folder)

    assert system.listdir(folder) == ["old"]
    assert system.stat("old", dir_fd=folder, follow_symlinks=False).st_size == 3


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_locks(system: Any, folder: int, kind: str) -> None:
    """Shared ones are for many, an exclusive one is for one; they end with the descriptor; one descriptor's changes."""
    if kind == "folder":
        system.mkdir("it", dir_fd=folder)
    else:
        put(system, folder, "it", b"")
    flags = system.READ_FOLDER if kind == "folder" else system.UPDATE
    one, two, three = (system.open("it", flags, dir_fd=folder) for _ in range(3))

    system.lock(one, system.SHARED)
    system.lock(two, system.SHARED)
    with pytest.raises(BlockingIOError):
        system.lock(three, system.EXCLUSIVE)
    system.close(two)
    with pytest.raises(BlockingIOError):
        system.lock(three, system.EXCLUSIVE)
    system.lock(one, system.EXCLUSIVE)
    with pytest.raises(BlockingIOError):
        system.lock(three, system.SHARED)
    system.lock(one, system.UNLOCK)
    system.lock(three, system.EXCLUSIVE)
    system.lock(three, system.EXCLUSIVE)
    system.close(three)
    system.lock(one, system.EXCLUSIVE)
    system.close(one)


@with_paths_of_now
def test_a_lock_keeps_nobody_from_writing_renaming_and_deleting(system: Any, folder: int) -> None:
    """Whoever does not ask for it does not meet it."""
    system.mkdir("it", dir_fd=folder)
    held = system.open("it", system.READ_FOLDER, dir_fd=folder)
    system.lock(held, system.EXCLUSIVE)
    other = system.open("it", system.READ_FOLDER, dir_fd=folder)
    put(system, other, "file", b"")
    locked = system.open("file", system.UPDATE, dir_fd=other)
    system.lock(locked, system.EXCLUSIVE)
    put(system, other, "file2", b"x")
    writing = system.open("file", system.APPEND, dir_fd=other)
    os.write(writing, b"line\n")
    assert system.pread(writing, 10, 0) == b"line\n"
    for fd in (writing, locked):
        system.close(fd)
    system.rename("it", "other", src_dir_fd=folder, dst_dir_fd=folder)
    for name in system.listdir(other):
        system.unlink(name, dir_fd=other)
    system.close(other)
    system.close(held)
    system.rmdir("other", dir_fd=folder)
    assert system.listdir(folder) == []


def test_what_may_be_synced(system: Any, folder: int, tmp_path: Path) -> None:
    """A file as it is opened for that, and a folder."""
    put(system, folder, "file", b"x")
    fd = system.open(str(tmp_path / "file"), system.SYNC)
    system.sync(fd)
    system.close(fd)
    system.sync_folder(folder)


def test_when_a_process_began(system: Any) -> None:
    """Of one that runs it is known, and is past; one that has ended is none."""
    began = system.process_began(os.getpid())
    assert began is None or time.time() - 86_400 < began <= time.time() + 2
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = system.process_began(child.pid)
    assert began is None or abs(began - time.time()) < 60
    child.communicate(b"\n")
    with pytest.raises(ProcessLookupError):
        system.process_began(child.pid)


def test_who_we_are(system: Any, tmp_path: Path) -> None:
    """A name, and the number that our files have."""
    assert system.user_name()
    with os.scandir(tmp_path.parent) as entries:
        (status,) = [system.entry_stat(entry) for entry in entries if entry.name == tmp_path.name]
    assert status.st_ino == os.stat(tmp_path).st_ino
    if system.HAS_OWNERS:
        assert status.st_uid == system.user_id()

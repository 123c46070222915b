"""The application log: rotation, several processes at once, retention, places and modes."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.store.app_log import LogLimits, LogNames, RotatingLog, choose_directory, file_stem
from tests.support.waiting import wait_until

DAY = "2026-11-21"
_NEVER_LOOK_AGAIN = float("inf")


def _line(number: int, day: str = DAY, text: str = "x") -> dict[str, Any]:
    return {"timestamp": f"{day}T12:00:00.{number % 10**9:09d}Z", "type": "log", "n": number, "message": text}


def _records(directory: Path) -> Iterator[dict[str, Any]]:
    """All lines of a log, rotated or not; fails on a torn one. Where a file stands plain and packed, the plain one counts."""
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or (path.suffix == ".gz" and path.with_suffix("").exists()):
            continue
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert not data or data.endswith(b"\n"), path
        yield from (json.loads(row) for row in data.split(b"\n") if row)


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _is_tidying() -> bool:
    return any(thread.name == "agentlog-tidy" for thread in threading.enumerate())


def _settled(log: RotatingLog) -> None:
    """Wait until everything that was rotated is compressed, by whatever thread."""

    def is_settled() -> bool:
        log.tidy()
        return all(name in (log.path.name,) or (name.endswith(".gz") and name[0] != ".") for name in _names(log.directory))

    wait_until(is_settled, "compression")


def test_lines_stand_in_one_file_as_compact_json(tmp_path: Path) -> None:
    """A line is written at once, timestamp first, with a gapless event id, in a file of mode 0600 in a folder of mode 0700."""
    log = RotatingLog(tmp_path / "logs", LogNames.of_service("web"))

    for number in range(3):
        log.append(_line(number))

    lines = (tmp_path / "logs" / "web.jsonl").read_bytes().splitlines()
    assert all(line.startswith(b'{"timestamp":"2026-11-21T') for line in lines)
    tags, numbers = zip(*(json.loads(line)["event_id"].rsplit("-", 1) for line in lines), strict=True)
    assert (len(set(tags)), numbers) == (1, ("0", "1", "2"))
    assert oct(log.path.stat().st_mode & 0o777) == "0o600"
    assert oct(log.directory.stat().st_mode & 0o777) == "0o700"


def test_mode_does_not_depend_on_umask(tmp_path: Path) -> None:
    """Files are 0600 also where the umask would allow more."""
    before = os.umask(0)
    try:
        log = RotatingLog(tmp_path / "logs", LogNames.of_service("web"), LogLimits(max_bytes=100))
        for number in range(4):
            log.append(_line(number, text="y" * 100))
        _settled(log)
    finally:
        os.umask(before)

    assert {oct(path.stat().st_mode & 0o777) for path in log.directory.iterdir()} == {"0o600"}


def test_a_full_file_is_rotated_and_compressed(tmp_path: Path) -> None:
    """The file never grows past its size and one line; what is rotated becomes gzip, and nothing is lost."""
    log = RotatingLog(tmp_path, LogNames.of_service("web"), LogLimits(max_bytes=1000))

    for number in range(100):
        log.append(_line(number, text="z" * 50))
    _settled(log)

    names = _names(tmp_path)
    assert len(names) > 10
    assert all(name.endswith(".gz") for name in names if name != "web.jsonl"), names
    assert log.path.stat().st_size < 1200
    assert [record["n"] for record in sorted(_records(tmp_path), key=lambda record: record["n"])] == list(range(100))


def test_a_new_day_begins_a_new_file(tmp_path: Path) -> None:
    """The day is that of the line, in UTC; a line that comes late does not turn the day back."""
    log = RotatingLog(tmp_path, LogNames.of_service("web"))

    log.append(_line(1, "2026-11-20"))
    log.append(_line(2, "2026-11-21"))
    log.append(_line(3, "2026-11-20"))
    _settled(log)

    assert _names(tmp_path) == ["web.2026-11-20.1.jsonl.gz", "web.jsonl"]
    assert [json.loads(row)["n"] for row in log.path.read_text().splitlines()] == [2, 3]


def test_a_new_process_rotates_what_an_earlier_day_left(tmp_path: Path) -> None:
    """The day of a file is read from its first line, not from when it was last touched."""
    RotatingLog(tmp_path, LogNames.of_service("web")).append(_line(1, "2026-11-19"))

    RotatingLog(tmp_path, LogNames.of_service("web")).append(_line(2, "2026-11-21"))

    wait_until(lambda: _names(tmp_path) == ["web.2026-11-19.1.jsonl.gz", "web.jsonl"], "the old day to be compressed")


def test_a_clock_that_is_set_back_does_not_rotate(tmp_path: Path) -> None:
    """A file that begins in the future is kept until it is full."""
    RotatingLog(tmp_path, LogNames.of_service("web")).append(_line(1, "2031-01-01"))

    RotatingLog(tmp_path, LogNames.of_service("web")).append(_line(2, "2026-11-21"))

    assert _names(tmp_path) == ["web.jsonl"]


def test_numbers_go_on_where_they_ended(tmp_path: Path) -> None:
    """The next file of a day takes a number higher than all there are, so that order by name is order in time."""
    (tmp_path / "web.2026-11-21.7.jsonl.gz").write_bytes(gzip.compress(b""))
    log = RotatingLog(tmp_path, LogNames.of_service("web"), LogLimits(max_bytes=10))

    log.append(_line(1))
    log.append(_line(2))
    _settled(log)

    assert "web.2026-11-21.8.jsonl.gz" in _names(tmp_path)


def test_old_files_are_deleted_and_only_our_own(tmp_path: Path) -> None:
    """Retention counts from a file's last line and leaves other services', other programs' and folders alone."""
    others = [
        "web.api.2020-01-01.1.jsonl.gz",
        "web.jsonl.bak",
        "web.2020-01-01.jsonl.gz",
        "web.2020-01-01.1.jsonl.gz.old",
        "api.jsonl",
    ]
    ours = ["web.2020-01-01.1.jsonl.gz", "web.2020-01-02.1.jsonl"]
    for name in (*others, *ours):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (1.6e9, 1.6e9))
    (tmp_path / "web.2020-01-03.1.jsonl").mkdir()
    (tmp_path / "web.2020-01-04.1.jsonl.gz").write_bytes(b"")

    RotatingLog(tmp_path, LogNames.of_service("web"), LogLimits(keep_days=14)).tidy()

    assert _names(tmp_path) == sorted([*others, "web.2020-01-03.1.jsonl", "web.2020-01-04.1.jsonl.gz"])


def test_compressing_keeps_the_time_of_the_last_line(tmp_path: Path) -> None:
    """Otherwise files would be kept longer by as long as they waited for compression."""
    (tmp_path / "web.2026-11-01.1.jsonl").write_bytes(b"{}\n")
    os.utime(tmp_path / "web.2026-11-01.1.jsonl", (1.7e9, 1.7e9))

    RotatingLog(tmp_path, LogNames.of_service("web"), clock=lambda: 1.7e9).tidy()

    assert (tmp_path / "web.2026-11-01.1.jsonl.gz").stat().st_mtime == 1.7e9


def test_a_file_somebody_writes_to_is_not_compressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer that has not noticed the rotation yet loses nothing of what it writes meanwhile."""
    monkeypatch.setattr("otel_agentlog.store.app_log.RELEASE_WAIT_S", 0.0)
    monkeypatch.setattr("otel_agentlog.store.app_log.CHECK_INTERVAL_S", _NEVER_LOOK_AGAIN)
    slow = RotatingLog(tmp_path, LogNames.of_service("web"))
    slow.append(_line(1))
    quick = RotatingLog(tmp_path, LogNames.of_service("web"), LogLimits(max_bytes=10))
    quick.append(_line(2))
    wait_until(lambda: not _is_tidying(), "the compressor to give up")
    quick.tidy()

    slow.append(_line(3))

    assert [record["n"] for record in _records(tmp_path)] == [1, 3, 2]
    assert "web.2026-11-21.1.jsonl" in _names(tmp_path)
    slow.renew_after_fork()
    _settled(quick)
    assert _names(tmp_path) == ["web.2026-11-21.1.jsonl.gz", "web.jsonl"]
    assert [record["n"] for record in _records(tmp_path)] == [1, 3, 2]


def test_what_a_killed_compressor_left_is_repaired(tmp_path: Path) -> None:
    """Half a temporary file, or plain and packed side by side: the plain one is compressed again and goes away."""
    (tmp_path / "web.2026-11-21.1.jsonl").write_bytes(b'{"n":1}\n')
    (tmp_path / "web.2026-11-21.1.jsonl.gz").write_bytes(gzip.compress(b'{"n":1}\n'))
    (tmp_path / ".web.2026-11-21.1.jsonl.tmp").write_bytes(b"\x1f\x8b half")

    log = RotatingLog(tmp_path, LogNames.of_service("web"), clock=time.time)
    log.tidy()

    assert _names(tmp_path) == ["web.2026-11-21.1.jsonl.gz"]
    assert [record["n"] for record in _records(tmp_path)] == [1]


def test_deleted_below_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log whose folder was removed is made again at the next look, with the lines of the last moment."""
    monkeypatch.setattr("otel_agentlog.store.app_log.CHECK_INTERVAL_S", 0.0)
    log = RotatingLog(tmp_path / "logs", LogNames.of_service("web"))
    log.append(_line(1))
    log.path.unlink()
    log.directory.rmdir()

    log.append(_line(2))

    assert [record["n"] for record in _records(tmp_path / "logs")] == [1, 2]


def test_renamed_by_logrotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's rotation is noticed too."""
    monkeypatch.setattr("otel_agentlog.store.app_log.CHECK_INTERVAL_S", 0.0)
    log = RotatingLog(tmp_path, LogNames.of_service("web"))
    log.append(_line(1))
    log.path.rename(tmp_path / "web.jsonl.1")

    log.append(_line(2))

    assert json.loads((tmp_path / "web.jsonl").read_text())["n"] == 2


def test_a_log_that_cannot_be_rotated_goes_on_growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename that fails costs no line: here because another writer holds the folder."""
    log = RotatingLog(tmp_path, LogNames.of_service("web"), LogLimits(max_bytes=10))
    blocker = (
        "import fcntl,os,sys; fcntl.flock(os.open(sys.argv[1],os.O_RDONLY),fcntl.LOCK_EX); print(1,flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", blocker, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for number in range(5):
            log.append(_line(number))
        process.communicate()

    assert _names(tmp_path) == ["web.jsonl"]
    assert len(list(_records(tmp_path))) == 5


def test_a_planted_link_or_fifo_is_refused(tmp_path: Path) -> None:
    """Nothing is written through a symbolic link, a hard link or a FIFO under the log's name, and nothing hangs."""
    (tmp_path / "target").write_bytes(b"mine\n")
    for plant in (os.symlink, os.link):
        plant(tmp_path / "target", tmp_path / "web.jsonl")
        with pytest.raises(OSError):
            RotatingLog(tmp_path, LogNames.of_service("web")).append(_line(1))
        (tmp_path / "web.jsonl").unlink()
    os.mkfifo(tmp_path / "web.jsonl")
    with pytest.raises(OSError):
        RotatingLog(tmp_path, LogNames.of_service("web")).append(_line(1))

    assert (tmp_path / "target").read_bytes() == b"mine\n"


def test_threads_share_a_log(tmp_path: Path) -> None:
    """Eight threads rotate and write at once; every line is there once, and event ids have no gap."""
    log = RotatingLog(tmp_path, LogNames.of_service("web"), LogLimits(max_bytes=5000))

    def write(thread: int) -> None:
        for number in range(300):
            log.append(_line(thread * 1000 + number))

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _settled(log)

    records = list(_records(tmp_path))
    assert sorted(record["n"] for record in records) == sorted(t * 1000 + n for t in range(8) for n in range(300))
    assert sorted(int(record["event_id"].rsplit("-", 1)[1]) for record in records) == list(range(2400))


class _Slow(dict[str, Any]):
    """A line whose thread is overtaken, between finding the file and writing, by whatever ``meanwhile`` does."""

    meanwhile: Callable[[], None]

    def get(self, key: str, default: Any = None) -> Any:
        if key == "timestamp":
            thread = threading.Thread(target=self.meanwhile)
            thread.start()
            thread.join()
        return super().get(key, default)


def test_a_file_that_was_renamed_under_a_writer_is_compressed_though_nothing_follows(tmp_path: Path) -> None:
    """A thread finds the file, another renames it, the first writes its line: that last line does not hold the file open."""
    log = RotatingLog(tmp_path, LogNames.of_service("web"), LogLimits(max_bytes=5000))
    log.append(_line(1))
    slow = _Slow(_line(2))
    slow.meanwhile = lambda: log.append(_line(3, day="2026-11-22"))
    log.append(slow)
    assert len(_names(tmp_path)) == 2, "the file was not rotated meanwhile"

    _settled(log)

    assert sorted(record["n"] for record in _records(tmp_path)) == [1, 2, 3]


_WRITER = """
import sys
from pathlib import Path
from otel_agentlog.store.app_log import LogLimits, LogNames, RotatingLog
log = RotatingLog(Path(sys.argv[1]), LogNames.of_service("web"), LogLimits(max_bytes=int(sys.argv[3])))
for n in range(int(sys.argv[4])):
    day = "2026-11-%02d" % (20 + n * 3 // int(sys.argv[4]))
    log.append({"timestamp": f"{day}T12:00:00.{n:09d}Z", "writer": sys.argv[2], "n": n, "text": "t" * (n % 500)})
    if n % 100 == 0:
        print(n, flush=True)
"""


def _writer(directory: Path, name: str, max_bytes: int, lines: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _WRITER, str(directory), name, str(max_bytes), str(lines)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def test_processes_share_a_log(tmp_path: Path) -> None:
    """Four processes write and rotate at once, across three days: no line is lost, none is torn, none is there twice."""
    # So many that it takes several of the moments at which a writer looks whether the file is full.
    lines = 12_000
    writers = [_writer(tmp_path, name, 64 * 1024, lines) for name in "abcd"]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * 4
    before = Counter((record["writer"], record["n"]) for record in _records(tmp_path))

    RotatingLog(tmp_path, LogNames.of_service("web")).tidy()

    after = Counter((record["writer"], record["n"]) for record in _records(tmp_path))
    assert before == after == Counter((name, number) for name in "abcd" for number in range(lines))
    assert len(_names(tmp_path)) > 20
    assert [name for name in _names(tmp_path) if not name.endswith(".gz")] == ["web.jsonl"]


def test_killed_processes_lose_nothing_they_have_written(tmp_path: Path) -> None:
    """``kill -9`` in the midst of writing, rotating and compressing; at most one last line per kill is cut."""
    acknowledged: dict[str, int] = {}
    for round_number in range(3):
        names = [f"{round_number}{letter}" for letter in "ab"]
        writers = {name: _writer(tmp_path, name, 16 * 1024, 200_000) for name in names}
        for name, writer in writers.items():
            assert writer.stdout is not None
            for row in writer.stdout:
                acknowledged[name] = int(row)
                if int(row) >= 500 * (round_number + 1):
                    break
        for writer in writers.values():
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
    RotatingLog(tmp_path, LogNames.of_service("web")).tidy()

    found: dict[str, set[int]] = {name: set() for name in acknowledged}
    torn = 0
    for path in tmp_path.iterdir():
        if path.name.startswith(".") or (path.suffix == ".gz" and path.with_suffix("").exists()):
            continue
        for row in (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).split(b"\n"):
            try:
                record = json.loads(row or b"null")
            except ValueError:
                torn += 1
                continue
            if record is not None:
                found[record["writer"]].add(record["n"])
    assert all(set(range(last + 1)) <= found[name] for name, last in acknowledged.items())
    assert torn <= 6


_FORKS = """
import os, sys
from pathlib import Path
from otel_agentlog.store.app_log import LogNames, RotatingLog
log = RotatingLog(Path(sys.argv[1]), LogNames.of_service("web"))
line = {"timestamp": "2026-11-21T12:00:00.000000000Z"}
log.append({**line, "n": 0})
child = os.fork()
log.append({**line, "n": 1 if child == 0 else 2})
if child: os.waitpid(child, 0)
"""


def test_child_of_a_fork_writes_with_ids_of_its_own(tmp_path: Path) -> None:
    """Parent and child continue with the same object, and no event id is given out twice."""
    subprocess.run([sys.executable, "-c", _FORKS, tmp_path], check=True)

    records = {record["n"]: record["event_id"] for record in _records(tmp_path)}
    assert len(set(records.values())) == 3
    assert records[0].split("-")[0] == records[2].split("-")[0] != records[1].split("-")[0]


@given(st.text(max_size=300))
def test_any_service_name_gives_a_file_in_the_folder(service: str) -> None:
    """No service name leads out of the folder, is hidden, or is empty."""
    stem = file_stem(service)

    assert "/" not in stem
    assert stem
    assert stem[0] not in ".-"
    assert len(stem) <= 100
    assert stem == os.path.basename(stem)


class TestChooseDirectory:
    """`choose_directory` finds a folder that can be written to."""

    def test_as_wanted(self, tmp_path: Path) -> None:
        """A wanted folder is made, for its owner only."""
        chosen = choose_directory("web", tmp_path / "a" / "b", tmp_path)

        assert chosen == tmp_path / "a" / "b"
        assert oct(chosen.stat().st_mode & 0o777) == "0o700"

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        """Where the wanted folder is a file, the folder in the user's home is used."""
        (tmp_path / "file").write_bytes(b"")

        assert choose_directory("web", tmp_path / "file", tmp_path) == tmp_path / ".local" / "state" / "agentlog" / "logs"

    def test_a_file_system_that_refuses(self, tmp_path: Path) -> None:
        """Where the wanted folder cannot be made, not even by root, likewise."""
        assert choose_directory("web", Path("/proc/agentlog"), tmp_path).is_relative_to(tmp_path)

    def test_a_read_only_folder(self, tmp_path: Path) -> None:
        """A folder that may not be written to is passed over; run as another user where the tests run as root."""
        (tmp_path / "ro").mkdir()
        (tmp_path / "ro").chmod(0o555)
        home = tmp_path / "home"
        home.mkdir()
        home.chmod(0o777)
        for folder in (tmp_path, *tmp_path.parents):
            if folder.owner() == tmp_path.owner() and folder != Path("/") and str(folder).startswith("/tmp/"):
                folder.chmod(folder.stat().st_mode | 0o055)
        code = (
            "import os,sys,pathlib as p\n"
            "from otel_agentlog.store.app_log import choose_directory\n"
            "if os.geteuid() == 0: os.setuid(65534)\n"
            "print(choose_directory('web', p.Path(sys.argv[1]), p.Path(sys.argv[2])))"
        )
        done = subprocess.run([sys.executable, "-c", code, tmp_path / "ro", home], capture_output=True, text=True)

        assert (done.stdout.strip(), done.stderr) == (str(home / ".local" / "state" / "agentlog" / "logs"), "")

    def test_nothing_can_be_written_to(self, tmp_path: Path) -> None:
        """Then the folder in the user's home is named all the same; the error comes, and is counted, when lines are written."""
        (tmp_path / "home").write_bytes(b"")

        chosen = choose_directory("web", Path("/proc/agentlog"), tmp_path / "home")

        assert chosen == tmp_path / "home" / ".local" / "state" / "agentlog" / "logs"
        with pytest.raises(OSError):
            RotatingLog(chosen, LogNames.of_service("web")).append(_line(1))


@pytest.mark.parametrize("act", ["delete", "cut", "delete the folder"])
def test_what_was_written_into_a_log_that_is_gone_is_written_again(act: str, tmp_path: Path) -> None:
    """Deleted or cut by somebody: the lines of the last moment are in the new log, each once."""
    log = RotatingLog(tmp_path / "logs", LogNames.of_service("app"))
    log.append({"timestamp": "2026-11-21T05:22:01.123456789Z", "message": "before"})
    if act == "delete":
        log.path.unlink()
    elif act == "cut":
        log.path.write_bytes(b"")
    else:
        log.path.unlink()
        log.directory.rmdir()
    log.append({"timestamp": "2026-11-21T05:22:01.123456789Z", "message": "after"})
    log.verify()

    assert sorted(line["message"] for line in map(json.loads, log.path.read_bytes().splitlines())) == ["after", "before"]


def test_a_log_has_the_name_it_was_given(tmp_path: Path) -> None:
    """``bot.log`` and ``bot.log.<day>.<n>``, so that ``bot.log*`` are all of them, plain if wanted; others stay untouched."""
    (tmp_path / "bot.log.1").write_text("somebody's\n")
    log = RotatingLog(tmp_path, LogNames.of_file("bot.log"), LogLimits(max_bytes=1000, compress=False, backups=3, daily=False))

    for number in range(100):
        log.append(_line(number, day=f"2026-11-{1 + number // 10:02d}", text="z" * 50))
    # While a thread tidies, `tidy` leaves it to that one, and does not wait for it.
    wait_until(lambda: not _is_tidying(), "the thread that tidies to end")
    log.tidy()

    names = [name for name in _names(tmp_path) if name != "bot.log.1"]
    assert len(names) == 4
    assert all(re.fullmatch(r"bot\.log(\.20\d\d-\d\d-\d\d\.\d+)?", name) for name in names)
    kept = sorted(record["n"] for name in names for record in map(json.loads, (tmp_path / name).read_text().splitlines()))
    assert kept == list(range(kept[0], 100))
    assert (tmp_path / "bot.log.1").read_text() == "somebody's\n"


@pytest.mark.parametrize("compress", [True, False])
def test_there_are_never_more_backups_than_wanted(tmp_path: Path, compress: bool) -> None:
    """Whenever the program ends; where they are compressed, one of them may be there again until that is done."""
    limits = LogLimits(max_bytes=1000, compress=compress, backups=3, daily=False)
    log = RotatingLog(tmp_path, LogNames.of_file("bot.log"), limits)
    counts = list[int]()

    def count() -> int:
        return len({name.removesuffix(".gz") for name in _names(tmp_path) if not name.endswith(".tmp")})

    for number in range(200):
        log.append(_line(number, text="z" * 50))
        counts.append(count())

    assert max(counts) <= 4 + compress
    wait_until(lambda: not _is_tidying(), "the thread that tidies to end")
    assert count() == 4


def test_what_a_killed_process_left_is_deleted(tmp_path: Path) -> None:
    """The beginning of a compressed file whose plain one is gone; that of one that is there, and other files, stay."""
    left, made, others = ".bot.log.2026-11-01.1.tmp", ".bot.log.2026-11-01.2.tmp", ".other.log.2026-11-01.1.tmp"
    for name in (left, made, others, "bot.log.2026-11-01.2"):
        (tmp_path / name).write_bytes(b"{}\n")
    RotatingLog(tmp_path, LogNames.of_file("bot.log"), LogLimits(compress=False, keep_days=None)).tidy()

    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([made, others, "bot.log.2026-11-01.2"])


@pytest.mark.parametrize("compress", [True, False])
def test_a_log_takes_no_more_than_its_total(tmp_path: Path, compress: bool) -> None:
    """The file and what was rotated together, once it is tidied, by whatever thread; the newest lines are there."""
    log = RotatingLog(tmp_path, LogNames.of_service("web"), LogLimits(total_bytes=8192, compress=compress))

    def is_small() -> bool:
        log.tidy()
        with suppress(FileNotFoundError):  # deleted meanwhile
            return sum(path.stat().st_size for path in tmp_path.iterdir()) <= 8192 + 200
        return False

    for number in range(400):
        log.append(_line(number, text=os.urandom(30).hex()))
        if number % 50 == 0:
            wait_until(is_small, "the oldest to go")

    wait_until(lambda: not _is_tidying(), "the thread that tidies to end")
    assert max(record["n"] for record in _records(tmp_path)) == 399
    assert log.path.stat().st_size <= 4096 + 200


def test_without_a_number_of_days_nothing_is_deleted_for_its_age(tmp_path: Path) -> None:
    """``keep_days`` of ``None``."""
    old = tmp_path / "bot.log.2001-01-01.1"
    old.write_text("{}\n")
    os.utime(old, (0, 0))
    RotatingLog(tmp_path, LogNames.of_file("bot.log"), LogLimits(keep_days=None, compress=False)).tidy()

    assert old.exists()


def test_a_line_stands_in_the_form_it_is_rendered_in(tmp_path: Path) -> None:
    """Also after the file was deleted below the writer, which writes its last lines again."""
    log = RotatingLog(tmp_path, LogNames.of_file("t.log"), render=lambda line: f"{line['message']}\n".encode())
    log.append(_line(1, text="first"))
    log.path.unlink()
    log.verify()
    log.append(_line(2, text="second"))

    assert log.path.read_text() == "first\nsecond\n"

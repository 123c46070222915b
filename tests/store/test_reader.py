"""Tolerant reading: whatever state a folder is in, what is whole is read and what is not is counted."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.errors import TaskNotFoundError
from otel_agentlog.store import layout, streams
from otel_agentlog.store.lines import MAX_DEPTH, LineReader
from otel_agentlog.store.reader import TaskReader, find_task, follow, list_tasks, read_lines
from tests.store.make_golden import HERE as GOLDEN
from tests.support.waiting import wait_until

TASK = "task-7f3a1c9e2b40"


def record(number: int, **keys: Any) -> dict[str, Any]:
    """A record as a writer makes it."""
    time = layout.timestamp(1_795_238_521_000_000_000 + number)
    return {"timestamp": time, "type": "log", "level": "INFO", "message": f"message {number}", **keys, "event_id": f"a1-{number}"}


def reader_of(data: bytes, chunk: int = 1 << 18, **options: Any) -> LineReader:
    """A reader of bytes in memory, given in chunks of one size."""
    return LineReader(lambda complain: (data[i : i + chunk] for i in range(0, len(data), chunk)), file="x.jsonl", **options)


def numbers(lines: Iterator[dict[str, Any]] | LineReader) -> list[int]:
    """The event numbers of lines."""
    return [int(line["event_id"].split("-")[1]) for line in lines]


ONE, TWO, THREE = (layout.encode(record(number)) for number in (1, 2, 3))


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 18])
def test_whole_lines_are_read_whatever_the_chunks(chunk: int) -> None:
    """Lines may span any number of chunks."""
    reader = reader_of(ONE + TWO + THREE, chunk)

    assert list(reader) == [record(1), record(2), record(3)]
    assert (reader.bad, reader.number, reader.offset) == (0, 3, len(ONE + TWO + THREE))


@pytest.mark.parametrize("chunk", [1, 3, 1 << 18])
@pytest.mark.parametrize(
    ("data", "found", "bad", "recovered"),
    [
        pytest.param(b"", [], 0, 0, id="empty"),
        pytest.param(b"\n\n" + ONE + b"\n \t\r\n" + TWO, [1, 2], 0, 0, id="blank lines"),
        pytest.param(b"\xef\xbb\xbf" + ONE + TWO, [1, 2], 0, 0, id="byte order mark"),
        pytest.param(b"\xef\xbb\xbf", [], 0, 0, id="byte order mark only"),
        pytest.param(ONE.replace(b"\n", b"\r\n") + TWO.replace(b"\n", b"\r\n"), [1, 2], 0, 0, id="CRLF"),
        pytest.param(ONE + TWO[:-1], [1, 2], 0, 0, id="last newline missing"),
        pytest.param(ONE + TWO[:-2], [1], 1, 0, id="torn at the end"),
        pytest.param(ONE + b"\0" * 5000 + b"\n" + TWO, [1, 2], 0, 0, id="NUL block"),
        pytest.param(ONE + b"\0" * 5000 + TWO, [1, 2], 0, 0, id="NUL block before a record"),
        pytest.param(ONE[:-1] + b"\0" * 5000 + TWO, [1, 2], 0, 0, id="NUL block instead of a newline"),
        pytest.param(ONE[:20] + b"\0" * 5000 + TWO, [2], 1, 0, id="NUL block in a record"),
        pytest.param(ONE[:40] + TWO, [2], 1, 1, id="glued behind a torn one"),
        pytest.param(ONE[:40] + TWO[:50] + THREE, [3], 1, 1, id="glued behind two torn ones"),
        pytest.param(ONE[:-1] + TWO, [1, 2], 1, 2, id="two in one line"),
        pytest.param(ONE[:-1] + TWO[:50] + b"\n" + THREE, [1, 3], 1, 1, id="torn behind a whole one"),
        pytest.param(ONE + b"[1,2]\n7\nnull\n" + TWO, [1, 2], 3, 0, id="JSON that is no object"),
        pytest.param(ONE + b'{"a":NaN}\n{"a":1' + b"0" * 400 + b"}\n" + TWO, [1, 2], 2, 0, id="numbers that are none"),
        pytest.param(ONE + b"[" * 100_000 + b"\n" + TWO, [1, 2], 1, 0, id="depth bomb"),
        pytest.param(ONE + b'{"a":' * 900 + b"1" + b"}" * 900 + b"\n" + TWO, [1, 2], 1, 0, id="deeper than can be walked"),
        pytest.param(ONE + b'{"a":"\\ud83d"}\n' + TWO, [1, 2], 1, 0, id="lone surrogate"),
        pytest.param(ONE + b'{"a":"\xff\xfe"}\n' + TWO, [1, 2], 1, 0, id="not UTF-8"),
        pytest.param(b'{"a":1,"a":2,"event_id":"a1-9"}\n', [9], 0, 0, id="a key twice"),
    ],
)
def test_damage_is_passed_over_and_counted(data: bytes, found: list[int], bad: int, recovered: int, chunk: int) -> None:
    """Every whole record is read, however the rest looks."""
    reader = reader_of(data, chunk)

    assert (numbers(reader), reader.bad, reader.recovered) == (found, bad, recovered)
    assert reader.offset == len(data)
    assert len(reader.skipped) == bad


def test_line_separators_of_unicode_do_not_split_lines() -> None:
    """U+2028, U+2029 and U+0085 are text."""
    line = record(1, content="a\u2028b\u2029c\u0085d")

    assert list(reader_of(layout.encode(line) + TWO)) == [line, record(2)]


def test_a_torn_record_does_not_pass_off_what_is_nested_in_it_as_a_record() -> None:
    """A span's events begin with a timestamp too; a line cut right behind one must not become an event of the task."""
    event = {"timestamp": layout.timestamp(5), "name": "dns", "attributes": {}}
    whole = layout.encode(record(1, phase="end", events=[event]))
    cut = whole.index(b"]")

    reader = reader_of(whole[:cut] + b"\n" + TWO)

    assert (numbers(reader), reader.bad) == ([2], 1)


def test_a_record_cut_where_a_value_begins_does_not_swallow_the_next_one() -> None:
    """``…,"details":`` and then a whole record reads as the start of a nested object, and is not."""
    whole = layout.encode(record(1, details={"a": 1}))
    cut = whole.index(b'{"a"')

    reader = reader_of(whole[:cut] + TWO + THREE)

    assert (numbers(reader), reader.bad, reader.recovered) == ([2, 3], 1, 1)


def test_skipped_pieces_say_where_they_are() -> None:
    """A person finds the damaged line."""
    reader = reader_of(ONE + b"garbage\n" + TWO + b'{"timestamp":"', chunk=5)

    assert numbers(reader) == [1, 2]
    first, second = reader.skipped
    assert (first.number, first.offset) == (2, len(ONE))
    assert str(first).startswith("x.jsonl:2: not JSON")
    assert (second.number, second.reason) == (4, "ends within a line")


def test_skipped_pieces_are_counted_without_end_but_listed_up_to_a_hundred() -> None:
    """A file of garbage does not fill the memory."""
    reader = reader_of(b"x\n" * 5000)

    assert list(reader) == []
    assert (reader.bad, len(reader.skipped)) == (5000, 100)


@pytest.mark.parametrize("chunk", [100, 4096])
def test_a_line_over_the_limit_is_skipped_and_the_record_glued_to_it_is_not(chunk: int) -> None:
    """The limit holds memory, not the file."""
    huge = b'{"timestamp":"' + b"x" * 50_000

    reader = reader_of(ONE + huge + b'"}\n' + TWO + huge + THREE, chunk, max_line_bytes=10_000)

    assert (numbers(reader), reader.bad, reader.recovered) == ([1, 2, 3], 2, 1)
    assert "longer than 10000 bytes" in reader.skipped[0].reason


def test_a_line_of_garbage_is_given_up_early() -> None:
    """What does not begin as an object is not held up to the limit."""
    reader = reader_of(b"x" * 3_000_000 + TWO)

    assert (numbers(reader), reader.bad, reader.recovered) == ([2], 1, 1)


def test_a_live_reader_leaves_an_unfinished_line_for_later() -> None:
    """Somebody may still be writing it; the offset is where it begins."""
    reader = reader_of(ONE + TWO[:30], live=True)

    assert numbers(reader) == [1]
    assert (reader.offset, reader.bad) == (len(ONE), 0)


def test_every_truncation_of_a_task_is_readable(tmp_path: Path) -> None:
    """Cut the event file at every byte: all lines before the cut are read, and at most one piece is skipped."""
    data = (GOLDEN / TASK / layout.AGENT_OUTPUT).read_bytes()
    ends = [index + 1 for index, byte in enumerate(data) if byte == 0x0A]
    lines = list(reader_of(data))

    for cut in range(len(data)):
        reader = reader_of(data[:cut])
        found = list(reader)
        whole = sum(end <= cut for end in ends)
        # A record that lacks its newline only is whole.
        assert found == lines[:whole] or (found == lines[: whole + 1] and cut + 1 in ends)
        assert reader.bad == (0 if not data[:cut] or cut in ends or cut + 1 in ends else 1)


def test_every_truncation_of_every_file_is_survived_by_the_task_reader(tmp_path: Path) -> None:
    """A whole file cut short reads as nothing, never as an exception."""
    folder = tmp_path / "task"
    shutil.copytree(GOLDEN / TASK, folder)
    task = TaskReader(folder)

    for name, read in ((layout.METADATA, task.metadata), (layout.INPUT, task.input), (layout.FINAL_RESULT, task.final_result)):
        data = (folder / name).read_bytes()
        for cut in range(len(data)):
            (folder / name).write_bytes(data[:cut])
            assert read() is None or cut == len(data) - 1
            assert bool(task.problems) == (cut < len(data) - 1)
        (folder / name).write_bytes(data)
        assert read() == orjson.loads(data)


def test_bit_flips_cost_at_most_the_lines_they_are_in() -> None:
    """One flipped bit: every other line is read."""
    data = bytearray((GOLDEN / TASK / layout.AGENT_OUTPUT).read_bytes())
    good = [orjson.dumps(line) for line in reader_of(bytes(data))]
    chance = random.Random(7)

    for _ in range(400):
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        data[place] ^= bit
        found = {orjson.dumps(line) for line in reader_of(bytes(data))}
        assert sum(line not in found for line in good) <= 2
        data[place] ^= bit


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_mixture_of_records_and_garbage_gives_the_records_back(data: st.DataObject) -> None:
    """Records on lines of their own are always read, in order, whatever stands between them and in whatever chunks."""
    garbage = st.binary(max_size=60) | st.sampled_from([b"\0" * 40, b"\r\n", b"\xef\xbb\xbf", ONE[:33], b"{", b'{"timestamp":"'])
    pieces = data.draw(st.lists(garbage | st.integers(0, 99), max_size=12))
    chunk = data.draw(st.integers(1, 200))
    raw, wanted = b"", []
    for piece in pieces:
        if isinstance(piece, int):
            raw += b"\n" + layout.encode(record(piece))
            wanted.append(piece)
        else:
            raw += piece.replace(b"event_id", b"").replace(b"request", b"")

    reader = reader_of(raw, chunk)
    found = [line for line in reader if "event_id" in line]

    assert numbers(iter(found)) == wanted
    assert reader.offset == len(raw)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_torn_record_never_costs_the_one_glued_to_it(data: st.DataObject) -> None:
    """Cut a record anywhere and append the next one: the next one is found, byte for byte."""
    values = st.recursive(st.text(max_size=8) | st.integers(0, 9), lambda inner: st.lists(inner, max_size=3), max_leaves=5)
    details = data.draw(st.dictionaries(st.sampled_from(["timestamp", "a", '{"timestamp":"']), values, max_size=3))
    first, second = layout.encode(record(1, details=details)), record(2, details=details)
    cut = data.draw(st.integers(1, len(first) - 1))

    reader = reader_of(first[:cut] + layout.encode(second))
    found = list(reader)

    assert found[-1] == second
    assert len(found) == (2 if cut == len(first) - 1 else 1)
    assert reader.bad == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=500), st.integers(1, 50))
def test_no_bytes_make_the_reader_raise(raw: bytes, chunk: int) -> None:
    """Arbitrary bytes are read to their end."""
    reader = reader_of(raw, chunk)

    assert all(isinstance(line, dict) for line in reader)
    assert reader.offset == len(raw)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"timestamp":"' * 200_000, id="prefixes"),
        pytest.param(b'{"timestamp":"","event_id":' * 100_000, id="nested prefixes"),
        pytest.param(b'{"timestamp":"","a":[' * 100_000, id="nested arrays"),
        pytest.param(b'{"timestamp":"","a":' + b"1" * 5000 + b"," + b'{"timestamp":""' * 50_000, id="endless numbers"),
    ],
)
def test_a_line_made_to_be_slow_is_given_up(raw: bytes) -> None:
    """The search for glued records has a budget; what comes behind is read."""
    reader = reader_of(raw + b"\n" + TWO)

    assert numbers(reader)[-1:] == [2]


def test_a_line_of_a_gigabyte_takes_bounded_memory(tmp_path: Path) -> None:
    """Sparse NULs, NULs inside an object, and a gigabyte of text behind gzip: each is passed over in under 100 MB more."""
    sparse = tmp_path / "sparse.jsonl"
    with sparse.open("wb") as file:
        file.write(ONE + b'{"timestamp":"')
        file.seek(1 << 30, os.SEEK_CUR)
        file.write(b'"}\n' + TWO)
    script = """
import itertools, resource, sys
from pathlib import Path
from otel_agentlog.store.lines import LineReader
from otel_agentlog.store.reader import read_lines

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = peak()
reader = read_lines(Path(sys.argv[1]))
print(len(list(reader)), reader.bad >= 1, peak() - before < 100, peak() - before)
chunk = b"x" * (1 << 20)
for head in (b"", b'{"timestamp":"'):
    chunks = itertools.chain([head], itertools.repeat(chunk, 1 << 10), [b'\\n{"event_id":"a1-2"}\\n'])
    reader = LineReader(lambda complain: chunks)
    print(len(list(reader)), reader.bad, peak() - before < 100, peak() - before)
"""

    run = subprocess.run([sys.executable, "-c", script, str(sparse)], capture_output=True, text=True, check=True, timeout=100)

    rows = [line.split()[:3] for line in run.stdout.splitlines()]
    assert rows == [["2", "True", "True"], ["1", "1", "True"], ["1", "1", "True"]], run.stdout


def test_a_compressed_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    """``.gz`` instead of the plain name changes nothing, from any offset."""
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(ONE + TWO) + gzip.compress(THREE))

    assert numbers(read_lines(tmp_path / "a.jsonl")) == [1, 2, 3]
    assert numbers(read_lines(tmp_path / "a.jsonl", offset=len(ONE))) == [2, 3]


def test_the_same_lines_plain_and_compressed_are_read_once(tmp_path: Path) -> None:
    """As a kill in the middle of compression leaves them."""
    (tmp_path / "a.jsonl").write_bytes(ONE + TWO)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(ONE + TWO))

    assert numbers(read_lines(tmp_path / "a.jsonl")) == [1, 2]


def test_lines_of_a_resumed_task_come_behind_the_compressed_ones(tmp_path: Path) -> None:
    """The compressed file holds the older lines, the plain one what came since."""
    (tmp_path / "a.jsonl").write_bytes(THREE)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(ONE + TWO))

    assert numbers(read_lines(tmp_path / "a.jsonl")) == [1, 2, 3]
    assert numbers(read_lines(tmp_path / "a.jsonl", offset=len(ONE + TWO))) == [3]


def test_every_truncation_of_a_compressed_file_is_survived(tmp_path: Path) -> None:
    """What can be unpacked is read, and that the rest is missing is said."""
    path, packed = tmp_path / "a.jsonl", gzip.compress(ONE + TWO + THREE)

    for cut in range(len(packed)):
        (tmp_path / "a.jsonl.gz").write_bytes(packed[:cut])
        reader = read_lines(path)
        found = list(reader)
        assert found == [record(1), record(2), record(3)][: len(found)]
        assert any("gzip that ends too early" in skipped.reason for skipped in reader.skipped)


@pytest.mark.parametrize("tail", [b"garbage", gzip.compress(TWO)[:-3] + b"abc"])
def test_a_damaged_compressed_file_gives_what_is_before_the_damage(tmp_path: Path, tail: bytes) -> None:
    """Damage in a later member does not cost the first."""
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(ONE) + tail)

    reader = read_lines(tmp_path / "a.jsonl")

    assert numbers(reader)[:1] == [1]
    assert any("damaged gzip" in skipped.reason for skipped in reader.skipped)


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    """Unpacking stops at 200 times the size; nothing of it is held in memory."""
    with gzip.open(tmp_path / "a.jsonl.gz", "wb", compresslevel=9) as file:
        for _ in range(50):
            file.write(b"\n" * (1 << 20))

    reader = read_lines(tmp_path / "a.jsonl")

    assert list(reader) == []
    assert reader.offset <= streams.FREE_GZIP_BYTES + streams.CHUNK_BYTES
    assert "that unpacks to more than 200 times its size" in str(reader.skipped[0])


def test_nothing_planted_is_followed_or_waited_for(tmp_path: Path) -> None:
    """A symlink, a FIFO and a directory in the place of files, and a symlink in the place of the folder."""
    secret = tmp_path / "secret.jsonl"
    secret.write_bytes(ONE)
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / layout.AGENT_OUTPUT).symlink_to(secret)
    os.mkfifo(folder / layout.WEBHOOK_FLOW)
    (folder / layout.METADATA).mkdir()
    (tmp_path / "linked").symlink_to(folder)
    task, linked = TaskReader(folder), TaskReader(tmp_path / "linked")

    assert (list(task.events()), list(task.webhook_flow()), task.metadata()) == ([], [], None)
    assert len(task.problems) == 3
    assert (list(linked.events()), linked.metadata()) == ([], None)
    assert [each.folder for each in list_tasks(tmp_path)] == [folder]


def test_a_hard_link_is_read_only_if_the_file_is_the_folder_owners(tmp_path: Path) -> None:
    """What root may read must not be read out through somebody else's folder; a backup made of hard links stays readable."""
    secret, folder = tmp_path / "secret", tmp_path / "task"
    secret.write_bytes(ONE)
    folder.mkdir()
    os.link(secret, folder / layout.AGENT_OUTPUT)

    assert numbers(TaskReader(folder).events()) == [1]

    if os.geteuid() == 0:
        os.chown(folder, 12345, 12345)
        reader = TaskReader(folder).lines(layout.AGENT_OUTPUT)
        assert list(reader) == []
        assert "hard link" in str(reader.skipped[0])


def test_a_missing_file_reads_as_nothing(tmp_path: Path) -> None:
    """No folder, an empty folder: nothing, and no problem."""
    for folder in (tmp_path, tmp_path / "none"):
        task = TaskReader(folder)

        assert (task.metadata(), task.input(), task.final_result()) == (None, None, None)
        assert list(task.events()) == list(task.webhook_flow()) == list(task.control()) == []
        assert (task.problems, task.bad_lines, task.task_id) == ([], 0, folder.name)


def test_a_task_is_read_from_its_folder() -> None:
    """All files of a golden folder, artifacts among them."""
    task = TaskReader(GOLDEN / TASK)
    stages = [line["stage"] for line in task.webhook_flow()]
    artifact = next(line["content"]["$artifact"] for line in task.events() if isinstance(line.get("content"), dict))

    assert (task.task_id, len(stages), stages[0]) == (TASK, 6, "received")
    assert (task.input() or {})["input"]["pull_request"] == 42
    assert (task.final_result() or {})["success"] is True
    assert [line["request"] for line in task.control()] == ["pause", "resume"]
    assert sum(map(len, task.artifact(artifact["sha256"]))) == artifact["size_bytes"]
    assert list(task.artifact("../../secret")) == list(task.artifact("0" * 64)) == []
    assert task.problems == []


def test_problems_are_those_of_the_last_reading(tmp_path: Path) -> None:
    """Reading a file twice does not count its damage twice."""
    (tmp_path / layout.AGENT_OUTPUT).write_bytes(ONE + b"garbage\n")
    task = TaskReader(tmp_path)

    for _ in range(2):
        assert numbers(task.events()) == [1]

    assert [str(problem) for problem in task.problems] == [f"{layout.AGENT_OUTPUT}:2: {task.problems[0].reason}"]
    assert task.bad_lines == 1


def make_task(root: Path, task_id: str, created_at: str = "2026-11-21T05:22:01.000000000Z", name: str | None = None) -> Path:
    """A folder with only a ``metadata.json``."""
    folder = root / (name or layout.folder_name(task_id))
    folder.mkdir(parents=True)
    (folder / layout.METADATA).write_bytes(layout.encode_document({"task_id": task_id, "created_at": created_at}))
    return folder


def test_tasks_are_listed_newest_first(tmp_path: Path) -> None:
    """By creation time; what is no task folder is left out."""
    for index, name in enumerate(["task-b", "task-c", "task-a"]):
        make_task(tmp_path, name, f"2026-11-2{index}T05:22:01.000000000Z")
    (tmp_path / "not-a-task").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "file").write_text("")

    assert [task.task_id for task in list_tasks(tmp_path, newest_first=True)] == ["task-a", "task-c", "task-b"]
    assert {task.task_id for task in list_tasks(tmp_path)} == {"task-a", "task-b", "task-c"}
    assert list(list_tasks(tmp_path / "none")) == []


def test_a_folder_without_readable_metadata_is_listed_by_its_age(tmp_path: Path) -> None:
    """A kill can come before ``metadata.json`` is there."""
    make_task(tmp_path, "old", "2001-01-01T00:00:00.000000000Z")
    young = tmp_path / "young"
    young.mkdir()
    (young / layout.AGENT_OUTPUT).write_bytes(ONE)

    assert [task.task_id for task in list_tasks(tmp_path, newest_first=True)] == ["young", "old"]


@pytest.mark.parametrize("task_id", ["task-a", "../x", "é", "", "x" * 300, "CON"])
def test_a_task_is_found_by_its_id(tmp_path: Path, task_id: str) -> None:
    """Also where the id is no folder name, and by the folder's name."""
    folder = make_task(tmp_path, task_id)

    assert find_task(tmp_path, task_id).folder == folder
    assert find_task(tmp_path, folder.name).folder == folder


def test_a_task_whose_folder_is_taken_by_another_id_is_found_under_its_next_name(tmp_path: Path) -> None:
    """On a disk that folds case ``Task1`` may sit in the folder ``task1``: ``task1`` is then elsewhere, or not there."""
    make_task(tmp_path, "Task1", name="task1")

    with pytest.raises(TaskNotFoundError):
        find_task(tmp_path, "task1")

    second = make_task(tmp_path, "task1", name=list(layout.folder_names("task1"))[1])
    assert find_task(tmp_path, "task1").folder == second


def test_a_task_that_is_not_there_is_named_with_what_looks_alike(tmp_path: Path) -> None:
    """The error helps to type it right."""
    make_task(tmp_path, "task-abc123")
    make_task(tmp_path, "task-zzz")

    with pytest.raises(TaskNotFoundError, match=r"no task 'task-abc12' below .*; did you mean task-abc123"):
        find_task(tmp_path, "task-abc12")
    with pytest.raises(TaskNotFoundError, match=r"no task '\\x1b\[2J' below .*; there are 2 tasks"):
        find_task(tmp_path, "\x1b[2J")
    with pytest.raises(TaskNotFoundError):
        find_task(tmp_path / "none", "../../etc")


def test_a_task_is_followed_while_it_is_written(tmp_path: Path) -> None:
    """Whole lines only, each once, through a half-written line, compression and resumption, until it is told to stop."""
    folder = make_task(tmp_path, "task-a")
    path, packed = folder / layout.AGENT_OUTPUT, folder / f"{layout.AGENT_OUTPUT}.gz"
    stop, found = threading.Event(), list[int]()
    lines = follow(TaskReader(folder), poll_seconds=0.01, stop=stop)
    thread = threading.Thread(target=lambda: found.extend(line for line in _each(lines)))
    thread.start()

    path.write_bytes(ONE + TWO[:30])
    wait_until(lambda: found == [1], "the first line")
    with path.open("ab") as file:
        file.write(TWO[30:])
    wait_until(lambda: found == [1, 2], "the second line")
    packed.write_bytes(gzip.compress(ONE + TWO))
    path.unlink()
    with path.open("ab") as file:
        file.write(THREE)
    wait_until(lambda: found == [1, 2, 3], "the third line")
    stop.set()
    thread.join(10)

    assert not thread.is_alive()
    assert found == [1, 2, 3]


def _each(lines: Iterator[dict[str, Any]]) -> Iterator[int]:
    for line in lines:
        yield int(line["event_id"].split("-")[1])


def test_following_ends_with_the_task_if_so_wished(tmp_path: Path) -> None:
    """A finished task is read to its end and no further."""
    folder = make_task(tmp_path, "task-a")
    (folder / layout.AGENT_OUTPUT).write_bytes(ONE + TWO)
    (folder / layout.FINAL_RESULT).write_bytes(b"{}\n")

    assert numbers(follow(TaskReader(folder), poll_seconds=0.001, until_ended=True)) == [1, 2]


def test_following_ends_when_the_folder_is_gone(tmp_path: Path) -> None:
    """Retention may delete a task that somebody watches."""
    folder = make_task(tmp_path, "task-a")
    (folder / layout.AGENT_OUTPUT).write_bytes(ONE)
    lines = follow(TaskReader(folder), poll_seconds=0.001)

    first = next(lines)
    shutil.rmtree(folder)

    assert (first, list(lines)) == (record(1), [])


def test_a_file_made_anew_is_followed_from_its_start(tmp_path: Path) -> None:
    """A task of the same id may be made again after retention."""
    folder = make_task(tmp_path, "task-a")
    path = folder / layout.AGENT_OUTPUT
    path.write_bytes(ONE + TWO)
    lines = follow(TaskReader(folder), poll_seconds=0.001)

    before = [next(lines), next(lines)]
    path.write_bytes(THREE)

    assert [*before, next(lines)] == [record(1), record(2), record(3)]


def test_deep_records_up_to_the_limit_are_read() -> None:
    """The limit is exact."""
    for depth, read in ((MAX_DEPTH, 1), (MAX_DEPTH + 1, 0)):
        raw = b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1) + b"\n"
        assert len(list(reader_of(raw))) == read

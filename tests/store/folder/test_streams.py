"""Plain, compressed, both, and what was planted."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder import line_stream as streams
from otel_agentlog.store.folder.reader import TaskReader, list_tasks, read_lines
from tests.store.records import ONE, THREE, TWO, numbers, record


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

"""Telling records apart in damaged bytes: what is whole is read, what is not is counted."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest

from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.lines import MAX_DEPTH
from otel_agentlog.vocabulary.lines import encode
from tests.store.golden_writer import HERE as GOLDEN
from tests.store.records import ONE, TASK, THREE, TWO, numbers, reader_of, record


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

    assert list(reader_of(encode(line) + TWO)) == [line, record(2)]


def test_a_torn_record_does_not_pass_off_what_is_nested_in_it_as_a_record() -> None:
    """A span's events begin with a timestamp too; a line cut right behind one must not become an event of the task."""
    event = {"timestamp": layout.timestamp(5), "name": "dns", "attributes": {}}
    whole = encode(record(1, phase="end", events=[event]))
    cut = whole.index(b"]")

    reader = reader_of(whole[:cut] + b"\n" + TWO)

    assert (numbers(reader), reader.bad) == ([2], 1)


def test_a_record_cut_where_a_value_begins_does_not_swallow_the_next_one() -> None:
    """``…,"details":`` and then a whole record reads as the start of a nested object, and is not."""
    whole = encode(record(1, details={"a": 1}))
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


def test_deep_records_up_to_the_limit_are_read() -> None:
    """The limit is exact."""
    for depth, read in ((MAX_DEPTH, 1), (MAX_DEPTH + 1, 0)):
        raw = b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1) + b"\n"
        assert len(list(reader_of(raw))) == read

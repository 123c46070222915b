"""Bytes nobody foresaw: generated damage, lines made to be slow, lines of a gigabyte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.vocabulary.lines import encode
from tests.store.folder.fuzz_reader import CORPUS, survive
from tests.store.records import ONE, TWO, numbers, reader_of, record
from tests.support.memory import environment


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
            raw += b"\n" + encode(record(piece))
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
    first, second = encode(record(1, details=details)), record(2, details=details)
    cut = data.draw(st.integers(1, len(first) - 1))

    reader = reader_of(first[:cut] + encode(second))
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
import itertools, sys
from pathlib import Path
from otel_agentlog.store.folder.lines import LineReader
from otel_agentlog.store.folder.reader import read_lines
from tests.support.memory import peak_kib

def peak():
    return peak_kib() // 1024

before = peak()
reader = read_lines(Path(sys.argv[1]))
print(len(list(reader)), reader.bad >= 1, peak() - before < 100, peak() - before)
chunk = b"x" * (1 << 20)
for head in (b"", b'{"timestamp":"'):
    chunks = itertools.chain([head], itertools.repeat(chunk, 1 << 10), [b'\\n{"event_id":"a1-2"}\\n'])
    reader = LineReader(lambda complain: chunks)
    print(len(list(reader)), reader.bad, peak() - before < 100, peak() - before)
"""

    command = [sys.executable, "-c", script, str(sparse)]
    run = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True, timeout=100)

    rows = [line.split()[:3] for line in run.stdout.splitlines()]
    assert rows == [["2", "True", "True"], ["1", "1", "True"], ["1", "1", "True"]], run.stdout


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.iterdir()))
def test_the_kept_corpus_is_survived(tmp_path: Path, name: str) -> None:
    """Inputs that were worth keeping when the readers were fuzzed, through every reader."""
    survive((CORPUS / name).read_bytes(), tmp_path)

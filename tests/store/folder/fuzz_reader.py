"""Throws mutated folders at every reader: ``python -m tests.store.folder.fuzz_reader [seconds] [folder for new inputs]``.

With atheris installed the mutations are guided by coverage. `tests/store/corpus` keeps inputs worth keeping; the test run goes
through them every time.
"""

from __future__ import annotations

import contextlib
import gzip
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.lines import LineReader
from otel_agentlog.store.folder.reader import TaskReader, find_task, follow, list_tasks
from otel_agentlog.store.folder.totals import replay
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.store.spans.tree import tree
from otel_agentlog.store.validation.validate import validate

CORPUS = Path(__file__).parent / "corpus"
_STOPPED = threading.Event()
_STOPPED.set()
FILES = (layout.AGENT_OUTPUT, layout.WEBHOOK_FLOW, layout.METADATA, layout.FINAL_RESULT, layout.INPUT, layout.CONTROL)


def survive(data: bytes, root: Path) -> None:
    """Read a folder made of `data` in every way; the first byte says into which file it goes and how.

    Raises:
        AssertionError: a reader contradicts itself.
        Exception: a reader does not survive.
    """
    how, content = (data[0], data[1:]) if data else (0, b"")
    _read_in_chunks(content)
    folder = root / "task-fuzz"
    folder.mkdir(exist_ok=True)
    name = FILES[how % len(FILES)]
    for each in (name, name + layout.GZIP_SUFFIX):
        (folder / each).unlink(missing_ok=True)
    if how & 64:
        (folder / (name + layout.GZIP_SUFFIX)).write_bytes(content if how & 128 else gzip.compress(content, 1))
    else:
        (folder / name).write_bytes(content)
    _read_as_task(root, folder)


def _read_in_chunks(content: bytes) -> None:
    found = []
    for size in (len(content) or 1, 7):
        chunks = [content[i : i + size] for i in range(0, len(content), size)]
        reader = LineReader(lambda complain, chunks=chunks: chunks)  # type: ignore[misc]
        found.append((list(reader), reader.bad, reader.recovered, reader.offset))
    assert found[0] == found[1]
    assert found[0][3] == len(content)


def _read_as_task(root: Path, folder: Path) -> None:
    task = TaskReader(folder)
    for document in (task.metadata, task.input, task.final_result):
        document()
    list(records(task))
    list(tree(task).walk())
    replay(task).metrics()
    list(map(str, validate(folder).problems))
    assert [each.folder for each in list_tasks(root, newest_first=True)] in ([folder], [])
    with contextlib.suppress(LookupError):
        find_task(root, task.task_id)
    next(follow(task, poll_seconds=0, stop=_STOPPED), None)


def seeds() -> list[bytes]:
    """The corpus."""
    return [path.read_bytes() for path in sorted(CORPUS.iterdir())]


def _mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(out) + 1)
        other = chance.choice(others)
        cut = chance.randrange(len(other) + 1)
        match chance.randrange(5):
            case 0 if out:
                out[place % len(out)] ^= 1 << chance.randrange(8)
            case 1:
                del out[place : place + chance.randrange(1, 40)]
            case 2:
                out[place:place] = other[cut : cut + chance.randrange(1, 200)]
            case 3:
                out[place:place] = chance.choice(
                    [b"\0" * 9, b"\n", b'{"timestamp":"', b"\xef\xbb\xbf", b"\xff", b'"', b"{", b"[", b"}", b"\\"]
                )
            case _:
                out += b"\n" + other[1:]
    return bytes(out[:20_000])


def _plain(seconds: float, root: Path) -> None:
    chance, known = random.Random(0), seeds()
    deadline, runs = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        survive(_mutated(chance.choice(known), known, chance), root)
        runs += 1
    print(f"{runs} inputs survived")


def main() -> None:
    seconds = sys.argv[1] if len(sys.argv) > 1 else "600"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            import atheris  # type: ignore[import-untyped]
        except ImportError:
            _plain(float(seconds), root)
            return
        atheris.instrument_all()
        inputs = [sys.argv[2]] if len(sys.argv) > 2 else []
        options = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20", "-rss_limit_mb=1024"]
        atheris.Setup([sys.argv[0], *options, *inputs, str(CORPUS)], lambda data: survive(data, root))
        atheris.Fuzz()


if __name__ == "__main__":
    main()

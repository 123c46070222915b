"""Compressed tasks read as before: every state on the way, late lines, bombs, and what is not touched."""

from __future__ import annotations

import fcntl
import gzip
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.line_stream import stream
from otel_agentlog.store.folder.reader import TaskReader, find_task, read_lines
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.retention.compress import pack, unpacked_sha256
from otel_agentlog.store.retention.policy import RetentionLimits
from otel_agentlog.store.retention.prune import prune
from otel_agentlog.store.retention.report import PruneReport
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.lines import encode
from tests.store.durability.faults import golden
from tests.store.golden_writer import HERE as GOLDEN
from tests.store.records import ONE, THREE, TWO
from tests.store.retention.retention_folders import DAY_NS, NOW_NS, content, make_task, names, tree, write

OUTPUT = layout.AGENT_OUTPUT
COMPRESS = RetentionLimits(compress_after_days=0.5)


def age(root: Path) -> None:
    """Make everything a day old, as the frozen clock sees it."""
    for path in root.rglob("*"):
        os.utime(path, ns=(NOW_NS - DAY_NS, NOW_NS - DAY_NS), follow_symlinks=False)


def compressed(root: Path, limits: RetentionLimits = COMPRESS, now_ns: int = NOW_NS) -> PruneReport:
    """Compress, after a dry run that must have said the same."""
    before = tree(root)
    predicted = prune(root, limits, now_ns=now_ns, dry_run=True)
    assert tree(root) == before
    report = prune(root, limits, now_ns=now_ns)
    assert {**predicted.as_json(), "dry_run": False, "totals": report.totals} == report.as_json()
    assert report.bytes_after == sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and path.parent != root)
    return report


def files(folder: Path) -> list[str]:
    """The files of a folder, artifacts with theirs."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir() if path.is_dir()))
def test_a_compressed_task_reads_as_before(name: str, tmp_path: Path) -> None:
    """Every golden task: the same content, valid as before, found under its id; the files that change stay plain."""
    root = tmp_path / "tasks"
    root.mkdir(mode=0o700)
    folder = golden(root / name, name)
    age(root)
    # One of them was killed, and one was compressed when it was written.
    finished = TaskReader(folder).final_result() is not None
    ripe = finished and (folder / OUTPUT).exists()
    before, problems = content(folder) if finished else tree(folder), [str(problem) for problem in validate(folder).problems]

    report = compressed(root, now_ns=NOW_NS + DAY_NS)

    assert len(report.compressed) == ripe
    assert (content(folder) if finished else tree(folder)) == before
    assert [str(problem) for problem in validate(folder).problems] == problems
    assert not finished or not [each for each in files(folder) if each.endswith(".jsonl")]
    assert not finished or {layout.METADATA, layout.FINAL_RESULT} <= set(files(folder))
    assert find_task(root, TaskReader(folder).task_id).folder == folder
    assert compressed(root, now_ns=NOW_NS + DAY_NS).compressed == []


def test_what_is_compressed_and_what_is_not(tmp_path: Path) -> None:
    """Lines always, whole files and artifacts from 64 KiB; times and modes stay; `gzip` itself reads it."""
    folder = make_task(tmp_path, "task-a", size_bytes=9000)
    (folder / "artifacts").mkdir(mode=0o700)
    small, large, big_input = b"s" * 65535, random.Random(1).randbytes(65536), b'{"input":"' + b"x" * 70000 + b'"}\n'
    write(folder / "artifacts" / ("a" * 64), small)
    write(folder / "artifacts" / ("b" * 64), large)
    write(folder / layout.INPUT, big_input)
    write(folder / layout.FINAL_RESULT, b'{"result":"' + b"x" * 70000 + b'"}\n')
    write(folder / layout.CONTROL, b"")
    plain = (folder / OUTPUT).read_bytes()

    report = compressed(tmp_path)

    assert files(folder) == [
        *("01-input.json.gz", "03-agent-output.jsonl.gz", "04-final-result.json"),
        *(f"artifacts/{'a' * 64}", f"artifacts/{'b' * 64}.gz", "control.jsonl", "metadata.json"),
    ]
    packed = folder / f"{OUTPUT}.gz"
    assert (packed.stat().st_mtime_ns, oct(packed.stat().st_mode)) == (NOW_NS - DAY_NS, "0o100600")
    assert subprocess.run(["gzip", "-dc", packed], capture_output=True, check=True).stdout == plain
    assert gzip.decompress((folder / "artifacts" / f"{'b' * 64}.gz").read_bytes()) == large
    (entry,) = report.compressed
    assert entry.before_bytes == len(plain) + len(large) + len(big_input)
    assert entry.after_bytes < entry.before_bytes


@pytest.mark.parametrize(
    ("table", "packed"),
    [
        ({"ended_ns": NOW_NS - DAY_NS // 2}, True),
        ({"ended_ns": NOW_NS - DAY_NS // 2 + 1}, False),
        ({"status": "running"}, False),
        ({"delivery": {"pending": 3, "delivered": 1}}, True),
    ],
)
def test_only_what_ended_long_enough_ago_is_compressed(table: dict[str, object], packed: bool, tmp_path: Path) -> None:
    """Delivered or not: shipping reads it all the same."""
    folder = make_task(tmp_path, "task-a", **table)  # type: ignore[arg-type]

    compressed(tmp_path)

    assert (folder / f"{OUTPUT}.gz").exists() is packed


def test_the_quota_sees_compressed_sizes(tmp_path: Path) -> None:
    """What fits once it is compressed is not deleted; a dry run knows."""
    for number in range(4):
        make_task(tmp_path, f"task-{number}", size_bytes=50_000)

    assert len(prune(tmp_path, RetentionLimits(max_bytes=10_000), now_ns=NOW_NS, dry_run=True).deleted) == 4
    report = compressed(tmp_path, RetentionLimits(max_bytes=10_000, compress_after_days=0))

    assert (len(report.deleted), len(report.compressed), names(tmp_path)) == (0, 4, [f"task-{number}" for number in range(4)])


# -- every state on the way -----------------------------------------------------------------------------------------------

LINES = b"".join(encode({"timestamp": layout.now(), "event_id": f"a1-{n}", "message": "m" * 50}) for n in range(50))
LATER = b"".join(encode({"timestamp": layout.now(), "event_id": f"b2-{n}", "message": "late"}) for n in range(3))
PACKED = gzip.compress(LINES)

STATES: list[tuple[str, dict[str, bytes], bytes]] = [
    ("plain", {OUTPUT: LINES}, LINES),
    ("half a temporary file", {OUTPUT: LINES, f".{OUTPUT}.gz.pack.tmp": PACKED[:40]}, LINES),
    ("both", {OUTPUT: LINES, f"{OUTPUT}.gz": PACKED}, LINES),
    ("both, and a line meanwhile", {OUTPUT: LINES + LATER, f"{OUTPUT}.gz": PACKED}, LINES + LATER),
    ("compressed", {f"{OUTPUT}.gz": PACKED}, LINES),
    ("compressed, and later lines", {OUTPUT: LATER, f"{OUTPUT}.gz": PACKED}, LINES + LATER),
    ("compressed, and the file of a lock", {OUTPUT: b"", f"{OUTPUT}.gz": PACKED}, LINES),
    ("half a merged file", {OUTPUT: LATER, f"{OUTPUT}.gz": PACKED, f".{OUTPUT}.whole.tmp": LINES[:99]}, LINES + LATER),
    ("merged", {OUTPUT: LINES + LATER, f"{OUTPUT}.gz": PACKED}, LINES + LATER),
    ("an empty compressed file", {OUTPUT: LINES, f"{OUTPUT}.gz": gzip.compress(b"")}, LINES),
    ("damaged, and the plain file has it all", {OUTPUT: LINES, f"{OUTPUT}.gz": PACKED[:-9]}, LINES),
    ("compressed by somebody, in members", {f"{OUTPUT}.gz": PACKED + gzip.compress(LATER)}, LINES + LATER),
]


@pytest.mark.parametrize(("standing", "read"), [state[1:] for state in STATES], ids=[state[0] for state in STATES])
def test_every_state_is_read_and_brought_to_an_end(standing: dict[str, bytes], read: bytes, tmp_path: Path) -> None:
    """Readers read the same before and after; then there is one compressed file and nothing else."""
    folder = make_task(tmp_path, "task-a")
    (folder / OUTPUT).unlink()
    for name, data in standing.items():
        write(folder / name, data)
    assert b"".join(stream(folder, OUTPUT, lambda _: None)) == read

    compressed(tmp_path)

    assert files(folder) == [f"{OUTPUT}.gz", "metadata.json"]
    assert gzip.decompress((folder / f"{OUTPUT}.gz").read_bytes()) == read


def test_a_damaged_archive_with_later_lines_is_left_as_it_is(tmp_path: Path) -> None:
    """What can be read of it is in no other file."""
    folder = make_task(tmp_path, "task-a")
    write(folder / OUTPUT, LATER)
    write(folder / f"{OUTPUT}.gz", PACKED[:-9])
    before = tree(tmp_path)

    report = compressed(tmp_path)

    assert tree(tmp_path) == before
    assert [each.reason for each in report.left.listed] == [f"{OUTPUT}: cannot be read to its end: gzip that ends too early"]


def test_a_document_that_is_written_again_is_the_latest(tmp_path: Path) -> None:
    """Of a plain and a compressed one readers take the plain one, and so does the next compression."""
    folder = make_task(tmp_path, "task-a")
    write(folder / layout.INPUT, b'{"input":"' + b"x" * 70000 + b'"}\n')
    compressed(tmp_path)

    write(folder / layout.INPUT, b'{"input":"new"}\n')
    assert TaskReader(folder).input() == {"input": "new"}

    compressed(tmp_path)
    assert TaskReader(folder).input() == {"input": "new"}
    assert layout.INPUT not in files(folder)


# -- late lines, by the real writer ---------------------------------------------------------------------------------------


def test_lines_that_come_late_are_read_behind_the_compressed_ones(tasks_root: Path) -> None:
    """A carrier resumes the task when it is compressed long since: every line is there once, in order, and stays there."""
    with agentlog.task("job", task_id="task-a", input={"a": 1}) as task:
        carrier = task.carrier()
        task.output("first")
        task.end("interrupted")
    age(tasks_root)
    prune(tasks_root, RetentionLimits(compress_after_days=0))
    folder = tasks_root / "task-a"
    assert f"{OUTPUT}.gz" in files(folder)

    with agentlog.task(resume=carrier) as again:
        again.output("second")
    agentlog.flush()
    said = [line["content"] for line in TaskReader(folder).events() if line["type"] == "output"]
    problems = [str(problem) for problem in validate(folder).problems]
    age(tasks_root)
    before = content(folder)
    prune(tasks_root, RetentionLimits(compress_after_days=0))

    assert (said, problems) == (["first", "second"], [])
    assert content(folder) == before
    assert files(folder) == ["01-input.json", f"{OUTPUT}.gz", "04-final-result.json", "metadata.json"]
    assert [str(problem) for problem in validate(folder).problems] == []


def test_figures_of_a_compressed_task_go_on(tasks_root: Path, tmp_path: Path) -> None:
    """Another process that owns the end counts what was compressed, too."""
    from otel_agentlog.vocabulary.envelope import Envelope, TaskRef

    with agentlog.task("job", task_id="task-a") as task, agentlog.step("one"):
        task.output("x")
    age(tasks_root)
    prune(tasks_root, RetentionLimits(compress_after_days=0))
    sink = FolderSink(tasks_root, lambda: {"type": "process", "pid": 1})
    ref = TaskRef("task-a", {"task_id": "task-a"})
    end = {"timestamp": layout.now(), "type": "task", "phase": "end", "outcome": "completed", "span_id": "a" * 16}

    sink(Envelope(end, ref, 0))

    final = TaskReader(tasks_root / "task-a").final_result()
    assert final is not None
    assert final["metrics"]["steps"] == 1


def test_a_torn_end_does_not_swallow_the_line_after_it(tmp_path: Path) -> None:
    """A killed process left half a line, it was compressed, and another process writes on."""
    folder = make_task(tmp_path, "task-a")
    write(folder / OUTPUT, ONE + TWO[:20])
    compressed(tmp_path)
    write(folder / OUTPUT, THREE)

    reader = read_lines(folder / OUTPUT)

    assert [line["event_id"] for line in reader] == ["a1-1", "a1-3"]
    assert reader.bad == 1
    compressed(tmp_path)
    assert [line["event_id"] for line in read_lines(folder / OUTPUT)] == ["a1-1", "a1-3"]


def test_a_writer_that_begins_while_we_pack_loses_nothing(tmp_path: Path) -> None:
    """The folder is held when the plain file would go: it stays, with the line that came meanwhile."""
    folder = make_task(tmp_path, "task-a")
    before = (folder / OUTPUT).read_bytes()
    holders: list[int] = []

    def begin() -> bool:
        if not holders and (folder / f".{OUTPUT}.gz.pack.tmp").exists():
            holders.append(os.open(folder, os.O_RDONLY))
            fcntl.flock(holders[0], fcntl.LOCK_SH)
            with (folder / OUTPUT).open("ab") as file:
                file.write(LATER)
        return False

    report = prune(tmp_path, COMPRESS, now_ns=NOW_NS, spent=begin)

    assert b"".join(stream(folder, OUTPUT, lambda _: None)) == before + LATER
    assert [each.reason for each in report.left.listed] == ["in use meanwhile"]
    os.close(holders[0])
    age(tmp_path)
    compressed(tmp_path)
    assert gzip.decompress((folder / f"{OUTPUT}.gz").read_bytes()) == before + LATER


def test_a_line_without_a_lock_keeps_the_plain_file(tmp_path: Path) -> None:
    """A writer that could not have the lock: a file that is not the one that was packed is not deleted."""
    folder = make_task(tmp_path, "task-a")
    before = (folder / OUTPUT).read_bytes()
    asked: list[int] = []

    def write_on() -> bool:
        if not asked and (folder / f".{OUTPUT}.gz.pack.tmp").exists():
            asked.append(1)
            with (folder / OUTPUT).open("ab") as file:
                file.write(LATER)
        return False

    prune(tmp_path, COMPRESS, now_ns=NOW_NS, spent=write_on)

    assert (folder / OUTPUT).read_bytes() == before + LATER
    assert b"".join(stream(folder, OUTPUT, lambda _: None)) == before + LATER


def test_a_folder_that_is_replaced_meanwhile_is_not_entered(tmp_path: Path) -> None:
    """A symlink in the place of a folder that was ours a moment ago: reported, and the next task's turn comes."""
    make_task(tmp_path, "task-a", ended_ns=NOW_NS - 2 * DAY_NS)
    make_task(tmp_path, "task-b")
    elsewhere = make_task(tmp_path, "elsewhere", status="running")
    asked: list[int] = []

    def meddle() -> bool:
        asked.append(1)
        if len(asked) == 3:
            shutil.rmtree(tmp_path / "task-a")
            (tmp_path / "task-a").symlink_to(elsewhere)
        return False

    before = tree(elsewhere)
    report = prune(tmp_path, COMPRESS, now_ns=NOW_NS, spent=meddle)

    assert ([each.name for each in report.compressed], tree(elsewhere)) == (["task-b"], before)
    assert [each.reason for each in report.left.listed] == ["no folder but a symlink"]


def test_a_run_without_time_leaves_nothing_half_done(tmp_path: Path) -> None:
    """What was packed stays packed, what was under preparation is gone."""
    for number in range(3):
        make_task(tmp_path, f"task-{number}", ended_ns=NOW_NS - DAY_NS + number)
    answers = iter([False] * 4)

    report = prune(tmp_path, COMPRESS, now_ns=NOW_NS, spent=lambda: next(answers, True))

    assert (report.complete, [each.name for each in report.compressed]) == (False, ["task-0"])
    assert [files(tmp_path / f"task-{number}")[0] for number in range(3)] == [f"{OUTPUT}.gz", OUTPUT, OUTPUT]


# -- what is not ours -----------------------------------------------------------------------------------------------------

SECRET = b"precious"


def _temp_folder(folder: Path) -> object:
    return (folder / f".{OUTPUT}.gz.pack.tmp").mkdir()


PLANTED: list[tuple[str, Callable[[Path, Path], object]]] = [
    ("a symlink for the archive", lambda folder, secret: (folder / f"{OUTPUT}.gz").symlink_to(secret)),
    ("a FIFO for the archive", lambda folder, secret: os.mkfifo(folder / f"{OUTPUT}.gz")),
    ("a folder for the archive", lambda folder, secret: (folder / f"{OUTPUT}.gz").mkdir()),
    ("a folder for the file under preparation", lambda folder, secret: _temp_folder(folder)),
    ("a symlink for the plain file", lambda folder, secret: ((folder / OUTPUT).unlink(), (folder / OUTPUT).symlink_to(secret))),
    ("a hard link for the plain file", lambda folder, secret: ((folder / OUTPUT).unlink(), os.link(secret, folder / OUTPUT))),
    ("a FIFO for the plain file", lambda folder, secret: ((folder / OUTPUT).unlink(), os.mkfifo(folder / OUTPUT))),
]


@pytest.mark.parametrize("plant", [case[1] for case in PLANTED], ids=[case[0] for case in PLANTED])
def test_nothing_planted_is_packed_or_overwritten(plant: Callable[[Path, Path], object], tmp_path: Path) -> None:
    """It stays where it is, and is reported."""
    root, secret = tmp_path / "tasks", tmp_path / "secret"
    root.mkdir(mode=0o700)
    write(secret, SECRET)
    folder = make_task(root, "task-a")
    plant(folder, secret)
    before = tree(root)

    report = prune(root, COMPRESS, now_ns=NOW_NS)

    assert (tree(root), secret.read_bytes()) == (before, SECRET)
    assert (report.compressed, report.left.count > 0) == ([], True)


def test_a_planted_file_under_preparation_is_replaced_not_followed(tmp_path: Path) -> None:
    """A symlink under the temporary name is removed; what it points to stays."""
    root, secret = tmp_path / "tasks", tmp_path / "secret"
    root.mkdir(mode=0o700)
    write(secret, SECRET)
    folder = make_task(root, "task-a")
    (folder / f".{OUTPUT}.gz.pack.tmp").symlink_to(secret)

    prune(root, COMPRESS, now_ns=NOW_NS)

    assert (secret.read_bytes(), files(folder)) == (SECRET, [f"{OUTPUT}.gz", "metadata.json"])


@pytest.mark.parametrize("limit_bytes", [0, 100])
def test_a_full_disk_costs_nothing(limit_bytes: int, tmp_path: Path) -> None:
    """Where the compressed file cannot be written the plain one stays, and nothing is left beside it."""
    folder = make_task(tmp_path, "task-a")
    before = tree(tmp_path)
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from otel_agentlog.store.retention.policy import RetentionLimits\n"
        "from otel_agentlog.store.retention.prune import prune\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))\n"
        f"report = prune(Path({str(tmp_path)!r}), RetentionLimits(compress_after_days=0))\n"
        "print([each.reason for each in report.left.listed if each.name == 'task-a'])\n"
    )
    import sys

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (tree(tmp_path), files(folder)) == (before, [OUTPUT, "metadata.json"]), said
    assert "File too large" in said.stdout + said.stderr


# -- bytes ----------------------------------------------------------------------------------------------------------------


def _chunked(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks, position = [], 0
    for size in sizes:
        chunks.append(data[position : position + size])
        position += size
    return [*chunks, data[position:]]


@given(data=st.binary(max_size=2000), repeat=st.integers(0, 400), sizes=st.lists(st.integers(1, 300_000), max_size=5))
@settings(max_examples=60, deadline=None)
def test_what_is_packed_is_unpacked_again_and_always_the_same(data: bytes, repeat: int, sizes: list[int]) -> None:
    """Any bytes in any chunks: gzip's own reader gives them back, and the packed bytes do not depend on the chunks."""
    data, one, other = data * repeat, bytearray(), bytearray()

    packed = pack([data], one.extend)
    again = pack(_chunked(data, sizes), other.extend)

    assert (gzip.decompress(bytes(one)), one, packed) == (data, other, again)
    assert (packed.plain_bytes, packed.packed_bytes) == (len(data), len(one))
    assert unpacked_sha256([bytes(one)]) == packed.sha256


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_a_damaged_archive_is_noticed_before_the_plain_file_goes(cut: int) -> None:
    """Too short, or with other bytes."""
    packed = bytearray()
    pack([LINES], packed.extend)

    with pytest.raises(ValueError, match="gzip"):
        unpacked_sha256([bytes(packed[:-cut])])
    packed[-cut - 4] ^= 1
    with pytest.raises(ValueError, match="gzip"):
        unpacked_sha256([bytes(packed)])


@pytest.mark.parametrize("pattern", ["zeros", "zeros, then noise", "noise, then zeros", "one line again and again"])
def test_nothing_is_packed_tighter_than_readers_unpack(pattern: str, tmp_path: Path) -> None:
    """Our own archives never look like bombs, wherever the repetition stands."""
    noise, zeros = random.Random(7).randbytes(1 << 20), bytes(1 << 20)
    parts = {
        "zeros": [zeros] * 48,
        "zeros, then noise": [zeros] * 40 + [noise] * 2,
        "noise, then zeros": [noise] * 2 + [zeros] * 40,
        "one line again and again": [LINES[: len(LINES) // 50] * 5000] * 8,
    }[pattern]
    folder = make_task(tmp_path, "task-a")
    (folder / "artifacts").mkdir(mode=0o700)
    path = folder / "artifacts" / ("c" * 64)
    with path.open("wb") as file:
        file.writelines(parts)
    path.chmod(0o600)
    age(tmp_path)

    prune(tmp_path, COMPRESS, now_ns=NOW_NS)

    problems: list[str] = []
    found = stream(folder / "artifacts", "c" * 64, problems.append)
    size = sum(map(len, found))
    assert (problems, size, path.exists()) == ([], sum(map(len, parts)), False)
    assert path.with_name("c" * 64 + ".gz").stat().st_size < size // 10 or "noise" in pattern


# -- property: any life of a file -----------------------------------------------------------------------------------------

STEPS = st.lists(
    st.sampled_from(
        ["append", "append torn", "compress", "lock", "kill before rename", "kill before unlink", "kill after merge"]
    ),
    max_size=12,
)


@given(steps=STEPS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_to_a_file_readers_read_what_was_written(steps: list[str], tmp_path: Path) -> None:
    """Lines, torn lines, compression and kills at its three stages, in any order: the bytes read are the bytes written."""
    root = tmp_path / "tasks"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(mode=0o700)
    folder = make_task(root, "task-a")
    plain, packed = folder / OUTPUT, folder / f"{OUTPUT}.gz"
    written = plain.read_bytes()
    for number, step in enumerate(steps):
        if step.startswith("append"):
            line = encode({"timestamp": layout.now(), "event_id": f"c-{number}"})[: 30 if step.endswith("torn") else None]
            with plain.open("ab") as file:
                file.write(line)
            written += line
        elif step == "lock":
            plain.touch(0o600)
        elif step == "kill before rename":
            write(folder / f".{OUTPUT}.gz.pack.tmp", b"half")
        elif step == "kill before unlink" and plain.exists() and not packed.exists():
            packed.write_bytes(gzip.compress(plain.read_bytes()))
        elif step == "kill after merge" and packed.exists():
            plain.write_bytes(written)
        elif step == "compress":
            age(root)
            if plain.exists():
                plain.chmod(0o600)
            prune(root, COMPRESS, now_ns=NOW_NS)
            assert not plain.exists() or not plain.stat().st_size
        assert b"".join(stream(folder, OUTPUT, lambda _: None)) == written

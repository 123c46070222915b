"""``agentlog export``: every format, filters, files that are whole or not there."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.testing.otlp.decode import decode_json
from otel_agentlog.view.cli.main import main
from otel_agentlog.view.cli.queries.export import CSV_COLUMNS
from otel_agentlog.view.render.csv_cell import csv_cell
from tests.test_terminal_text import acts_on_a_terminal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A task that completed, and one with a hostile name that failed."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    with agentlog.task("good", task_id="good", input="ask", agent="brain") as task, agentlog.step("plan"):
        task.result = {"answer": 42}
    with pytest.raises(ValueError), agentlog.task('=cmd|"/c calc"!A1', task_id="bad"):
        raise ValueError('a,"quoted"\nmessage')
    agentlog.shutdown()
    return tmp_path / "tasks"


def _export(capsysbinary: pytest.CaptureFixture[bytes], *options: str) -> bytes:
    assert main(["export", *options]) == 0
    return capsysbinary.readouterr().out


def test_csv_is_read_back(root: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """One row a task, text quoted, and nothing that a spreadsheet would run."""
    rows = list(csv.DictReader(io.StringIO(_export(capsysbinary, "--root", str(root), "--format", "csv").decode(), newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS
    found = {row["task_id"]: row for row in rows}
    assert found["bad"]["name"].startswith("'=cmd")
    assert found["bad"]["error_message"] == 'a,"quoted"\nmessage'
    assert found["good"]["steps"] == "1"


def test_a_task_that_is_named_twice(root: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """And one that is named by its folder, which need not be below the root."""
    elsewhere = str(root.parent / "nothing")
    folder = str(next(each for each in root.iterdir() if each.name.endswith("bad")))
    for named in (["--root", str(root), "good", "good", "bad"], ["--root", elsewhere, folder, folder, folder]):
        written = _export(capsysbinary, *named, "--no-subtasks", "--format", "json").splitlines()
        assert len(written) == 3
        assert [json.loads(line)["unpriced"] for line in written] == [False] * 3


def test_filtered_json(root: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """The same filters as everywhere; one object a line, with what was asked and what came out."""
    out = _export(capsysbinary, "--root", str(root), "--format", "json", "--failed")
    assert [json.loads(line)["task_id"] for line in out.splitlines()] == ["bad"]
    (good,) = [json.loads(line) for line in _export(capsysbinary, "good", "--root", str(root), "--format", "json").splitlines()]
    assert (good["input"], good["result"]) == ("ask", {"answer": 42})


def test_otlp_has_spans_and_on_request_logs(root: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Spans alone by default, as Jaeger's upload takes nothing else; ids in hex."""
    lines = _export(capsysbinary, "--root", str(root)).splitlines()
    spans = [span for line in lines for span in decode_json("traces", line)]
    assert len(spans) == 3
    assert all(b"resourceSpans" in line for line in lines)
    metadata = json.loads((root / "good" / "metadata.json").read_text())
    assert metadata["trace_id"] in {span["trace_id"] for span in spans}
    both = _export(capsysbinary, "--root", str(root), "--signals", "traces,logs").splitlines()
    assert any(b"resourceLogs" in line for line in both)


def test_a_file_is_private_and_whole(root: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Named by its ending, for nobody else's eyes, and nothing is left of an export that failed."""
    out = tmp_path / "out" / "tasks.csv"
    out.parent.mkdir()
    _export(capsysbinary, "--root", str(root), "-o", str(out))
    assert out.read_text().startswith("task_id,")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert main(["export", "--root", str(root), "-o", str(tmp_path / "missing" / "x.csv")]) == 1
    (tmp_path / "dir.csv").mkdir()
    assert main(["export", "--root", str(root), "-o", str(tmp_path / "dir.csv")]) == 1
    assert [path.name for path in tmp_path.rglob("*.part")] == []


def test_what_is_no_file_is_written_to_and_stays(root: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """A device or pipe, by its name or that of a link, is not replaced by a file; of a link to a file what it leads to is."""
    whole = _export(capsysbinary, "--root", str(root), "--format", "csv")
    fifo, link, file = tmp_path / "fifo", tmp_path / "link", tmp_path / "file"
    os.mkfifo(fifo)
    link.symlink_to(file)
    device = os.stat(os.devnull)
    reader, writer = os.pipe()
    with ThreadPoolExecutor() as pool:
        for name, read in ((fifo, fifo.read_bytes), (Path(f"/dev/fd/{writer}"), lambda: os.read(reader, 1 << 16))):
            found = pool.submit(read)
            _export(capsysbinary, "--root", str(root), "--format", "csv", "-o", str(name))
            assert found.result(30) == whole
    for _ in range(2):
        _export(capsysbinary, "--root", str(root), "--format", "csv", "-o", str(link))
    _export(capsysbinary, "--root", str(root), "-o", os.devnull)
    os.close(reader)
    os.close(writer)

    assert (stat.S_ISFIFO(fifo.stat().st_mode), link.is_symlink(), file.read_bytes()) == (True, True, whole)
    assert (os.stat(os.devnull).st_rdev, os.stat(os.devnull).st_ino) == (device.st_rdev, device.st_ino)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--format", "html"], b"2 tasks"),
        (["--signals", "metrics"], b"traces"),
        (["--format", "xml"], b"xml"),
        (["nosuch"], b"nosuch"),
    ],
)
def test_what_cannot_be_used_is_named(
    root: Path, capsysbinary: pytest.CaptureFixture[bytes], options: list[str], named: bytes
) -> None:
    """One line that says what was found."""
    try:
        code = main(["export", "--root", str(root), *options])
    except SystemExit as exit_:
        code = int(str(exit_.code))
    assert code in (1, 2)
    assert named in capsysbinary.readouterr().err


STARTS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\r\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    "﹢1",
    "﹦1",
    "﹣1",
    "﹫x",
    "⁺1",
    "₌1",
]
STARTS += [
    "  =1",
    "\u00a0=1",
    "\u3000=1",
    '"=1',
    "'=1",
    "\u200b=1",
    "\ufeff=1",
    "\u202e=1",
    "\x00=1",
    "\x1b[31m=1",
    "\u2028=1",
    "`=1",
    "\x85=1",
]


@pytest.mark.parametrize("start", STARTS)
def test_no_cell_begins_like_a_formula(start: str) -> None:
    """However it is written, and whatever stands in front of it."""
    assert csv_cell(start)[:1] == "'"


@pytest.mark.parametrize("text", ["plain", "a=1", "日本語", "a\nb", "(x)", "5", "*bold*", ""])
def test_other_cells_are_as_they_were(text: str) -> None:
    """Nothing is put in front of them."""
    assert csv_cell(text) == text


def test_a_task_comes_with_its_sub_tasks(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """At any depth, in every format; not with ``--no-subtasks``; one page says what it leaves out."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    with agentlog.task("top", task_id="top"), agentlog.task("inner", task_id="inner"), agentlog.task("deep", task_id="deep"):
        pass
    with agentlog.task("other", task_id="other"):
        pass
    agentlog.shutdown()
    root = ("--root", str(tmp_path / "tasks"))

    def ids(*options: str) -> list[str]:
        return sorted(
            json.loads(line)["task_id"] for line in _export(capsysbinary, *options, *root, "--format", "json").splitlines()
        )

    assert ids("top") == ["deep", "inner", "top"]
    assert ids("top", "inner") == ["deep", "inner", "top"]
    assert ids(str(tmp_path / "tasks" / "top")) == ["deep", "inner", "top"]
    assert ids("top", "--no-subtasks") == ["top"]
    spans = [span for line in _export(capsysbinary, "top", *root).splitlines() for span in decode_json("traces", line)]
    assert {span["name"] for span in spans} >= {"top", "inner", "deep"} or len(spans) >= 3
    assert len(_export(capsysbinary, "top", *root, "--format", "csv").splitlines()) == 4
    assert main(["export", "top", *root, "--format", "html", "-o", str(tmp_path / "page.html")]) == 0
    assert b"2 sub-tasks left out" in capsysbinary.readouterr().err


def test_otlp_is_safe_on_a_terminal(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """What a terminal would act on is escaped, and read back as it was."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    name = "x\u009b2J\u007f\u202e\u200b\u2028\x1b]0;t\x07"
    with agentlog.task(name, task_id="acts"), agentlog.step(name):
        pass
    agentlog.shutdown()

    out = _export(capsysbinary, "--root", str(tmp_path / "tasks"), "--signals", "traces,logs").decode()

    assert set(acts_on_a_terminal(out)) == {"\n"}
    page = _export(capsysbinary, "--root", str(tmp_path / "tasks"), "acts", "--format", "html").decode()
    assert set(acts_on_a_terminal(page)) <= {"\n", "\t"}
    assert name in {
        span["name"] for line in out.splitlines() if "resourceSpans" in line for span in decode_json("traces", line.encode())
    }

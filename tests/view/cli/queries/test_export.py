"""``agentlog export``: every format, filters, files that are whole or not there."""

from __future__ import annotations

import csv
import io
import json
import stat
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.view.cli.main import main
from otel_agentlog.view.cli.queries.export import CSV_COLUMNS
from tests.support.otlp.decode import decode_json


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

"""A spool that cannot be used: `agentlog collect` says so and ends, `agentlog recover` does the rest of its work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.cli.main import main
from tests.tools.collect.collecting import Collecting
from tests.tools.imports.samples import request, span

Run = Callable[..., tuple[int, list[str]]]
_DIES = "import os, otel_agentlog as a; a.configure(console='off'); a.task('Left open', task_id='left-open').start(); os._exit(9)"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on a root; the exit code and the lines of stderr."""

    def run_on(root: Path, *words: str) -> tuple[int, list[str]]:
        code = main(["--root", str(root), *words])
        return code, capsys.readouterr().err.splitlines()

    return run_on


COLLECT = ("collect", "--port", "0", "--no-grpc")


def test_tasks_are_recovered_though_the_spool_is_garbage(tmp_path: Path, run: Run) -> None:
    """It is named, in one line, with what to do, and is no success."""
    root = tmp_path / "tasks"
    env = {**os.environ, "TASK_LOGS_DIR": str(root), "AGENTLOG_LOG_DIR": str(tmp_path / "logs")}
    subprocess.run([sys.executable, "-c", _DIES], env=env, timeout=60, check=False)
    spool = root / ".collect" / "spool.db"
    spool.parent.mkdir()
    spool.write_bytes(os.urandom(5000))

    for words in (COLLECT, ("recover",)):
        code, told = run(root, *words)
        assert (code, len(told)) == (1, 1), told
        assert told[0].startswith(f"agentlog {words[0]}: {spool}: cannot be used (file is not a database). Where it is damaged")
    assert (TaskReader(root / "left-open").metadata() or {})["status"] == "interrupted"


def test_what_is_no_file_in_the_place_of_the_spool(tmp_path: Path, run: Run) -> None:
    """One line, by both."""
    root = tmp_path / "tasks"
    (root / ".collect" / "spool.db").mkdir(parents=True)
    for words in (COLLECT, ("recover",)):
        code, told = run(root, *words)
        assert (code, len(told), "spool.db" in told[0]) == (1, 1, True), told
    other = tmp_path / "other"
    other.mkdir()
    (other / ".collect").write_bytes(b"")
    code, told = run(other, *COLLECT)
    assert (code, len(told), ".collect" in told[0]) == (1, 1, True), told


def test_what_cannot_be_filed_is_an_error_of_recover(tmp_path: Path, run: Run) -> None:
    """A folder of somebody else has its name: both stay."""
    root = tmp_path / "tasks"
    trace = f"{5:032x}"
    Collecting(root).take(request(span(1, trace=trace)))
    (root / f"trace-{trace}").write_bytes(b"no folder")
    code, told = run(root, "recover")
    assert (code, len(told)) == (1, 1), told
    assert f"trace-{trace} is kept in the spool" in told[0]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or sys.platform != "linux", reason="needs to mount a file system"
)
def test_a_root_that_cannot_be_written_to(tmp_path: Path, run: Run) -> None:
    """One line."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", mounted], capture_output=True, check=False).returncode:
        pytest.skip("no mounts here")
    try:
        code, told = run(mounted / "tasks", *COLLECT)
    finally:
        subprocess.run(["umount", mounted], check=True)
    assert (code, len(told), "Read-only file system" in told[0]) == (1, 1, True), told

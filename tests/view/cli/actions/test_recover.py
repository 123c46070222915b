"""``agentlog recover`` and what ``agentlog collect`` left to be filed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from otel_agentlog.view.cli.main import main
from tests.tools.collect.collecting import Collecting
from tests.tools.imports.samples import request, span


def test_what_cannot_be_filed_is_named_by_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As with ``agentlog collect`` itself; the rest is filed."""
    collecting = Collecting(tmp_path)
    collecting.take(request(span(1, trace=f"{1:032x}")), request(span(1, trace=f"{2:032x}")))
    database = sqlite3.connect(tmp_path / ".collect" / "spool.db", isolation_level=None)
    (data,) = database.execute("SELECT data FROM part WHERE trace = ? AND kind = 'span'", (f"trace-{1:032x}",)).fetchone()
    database.execute("UPDATE part SET data = '[]' WHERE trace = ? AND kind = 'span'", (f"trace-{1:032x}",))

    assert main(["--root", str(tmp_path), "recover"]) == 1
    assert f"trace-{1:032x} is kept in the spool" in capsys.readouterr().err
    assert list(collecting.tasks()) == [f"trace-{2:032x}"]

    database.execute("UPDATE part SET data = ? WHERE trace = ? AND kind = 'span'", (data, f"trace-{1:032x}"))
    database.close()
    assert main(["--root", str(tmp_path), "recover"]) == 0
    assert len(collecting.tasks()) == 2

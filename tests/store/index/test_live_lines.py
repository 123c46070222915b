"""Of a task that goes on each line is read once, and what comes out is what reading all of them anew gives."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_agentlog.store.folder.layout import AGENT_OUTPUT
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.folder.totals import Tally, replay
from otel_agentlog.store.index.extract import extract_from
from otel_agentlog.store.index.live_lines import LinesRead, LiveLines
from otel_agentlog.store.index.words import words_of
from tests.query.generated_tasks import lines


def append(folder: Path, found: list[dict[str, Any]], torn: bytes = b"") -> None:
    """Write lines, and the beginning of one."""
    with open(folder / AGENT_OUTPUT, "ab") as file:
        file.write(b"".join(json.dumps(line).encode() + b"\n" for line in found) + torn)


def assert_as_anew(read: LinesRead, task: TaskReader) -> None:
    """Reading everything again comes to the same."""
    extract, words = read.extract()
    anew = extract_from(task)
    assert words == list(dict.fromkeys(words_of("\n".join(anew.texts))))
    anew.texts = []
    assert extract == anew
    assert read.tally.metrics() == replay(task).metrics()


@given(st.lists(st.lists(lines(), max_size=5), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_reading_on_is_reading_anew(batches: list[list[dict[str, Any]]]) -> None:
    """Whatever comes in whatever portions."""
    folder = Path(tempfile.mkdtemp(prefix="agentlog-live-"))
    live = LiveLines()
    for batch in batches:
        append(folder, batch)
        task = TaskReader(folder)
        assert_as_anew(live.of(task), task)
    shutil.rmtree(folder)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every line that is counted."""
    seen: list[object] = []
    add = Tally.add
    monkeypatch.setattr(Tally, "add", lambda self, line: (seen.append(line), add(self, line))[1])
    return seen


def test_a_line_is_read_once(tmp_path: Path, counted: list[object]) -> None:
    """A thousand lines and one more are a thousand and one, however often it is asked; a torn one waits for its end."""
    line = {"timestamp": "2026-11-21T05:22:01.000000000Z", "type": "output", "content": "word"}
    live, task = LiveLines(), TaskReader(tmp_path)
    append(tmp_path, [line] * 1000, torn=b'{"timestamp":"')

    for _ in range(3):
        live.of(task)
    assert len(counted) == 1000
    append(tmp_path, [], torn=b'2026-11-21T05:22:01.000000000Z","type":"output","content":"last"}\n')
    _, words = live.of(task).extract()
    assert len(counted) == 1001
    assert words == ["word", "last"]


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    """Nothing of the former one is left."""
    line = {"timestamp": "2026-11-21T05:22:01.000000000Z", "type": "output", "content": "former words"}
    live, task = LiveLines(), TaskReader(tmp_path)
    append(tmp_path, [line] * 3)
    live.of(task)

    os.unlink(tmp_path / AGENT_OUTPUT)
    append(tmp_path, [{**line, "content": "new"}])
    assert live.of(task).extract()[1] == ["new"]
    assert_as_anew(live.of(task), task)


def test_one_task_that_is_read_keeps_no_other_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one thread reads the lines of a task, another one has those of a second task."""
    line = {"timestamp": "2026-11-21T05:22:01.000000000Z", "type": "output", "content": "word"}
    live, begun, go_on = LiveLines(), threading.Event(), threading.Event()
    for name in ("slow", "quick"):
        (tmp_path / name).mkdir()
        append(tmp_path / name, [line])
    add = Tally.add

    def add_slowly(self: Tally, line: dict[str, Any]) -> None:
        if threading.current_thread() is slow:
            begun.set()
            go_on.wait(30)
        add(self, line)

    monkeypatch.setattr(Tally, "add", add_slowly)
    slow = threading.Thread(target=live.of, args=(TaskReader(tmp_path / "slow"),))
    slow.start()
    try:
        assert begun.wait(30)
        done = threading.Thread(target=live.of, args=(TaskReader(tmp_path / "quick"),), daemon=True)
        done.start()
        done.join(30)
        assert not done.is_alive()
    finally:
        go_on.set()
        slow.join()

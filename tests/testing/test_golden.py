"""Golden files: the same text for the same run, and differences people can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.testing import RecordedTask, assert_golden, golden_text, record_in
from otel_agentlog.testing.golden import differences, file_name, normal_json

JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=4), lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
LINES = st.lists(st.dictionaries(st.sampled_from(["type", "message", "details", "span_id"]), JSON, max_size=4), max_size=6)


def text(lines: list[dict[str, Any]]) -> str:
    """As a golden file has it."""
    return "\n".join(["# task t: completed", "## a.jsonl", *(json.dumps(line, ensure_ascii=False) for line in lines)]) + "\n"


@given(LINES, LINES)
def test_what_differs_is_told_and_nothing_else(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """There are differences where the texts differ, and none where they do not."""
    assert list(differences(text(before), text(before))) == []
    assert bool(list(differences(text(before), text(after)))) == (text(before) != text(after))


def test_numbers_of_ids_are_told_only_if_nothing_else_differs() -> None:
    """One more span shifts the numbers of all that follow."""
    one, two = '{"type": "log", "span_id": "<span-1>"}', '{"type": "log", "span_id": "<span-2>"}'

    assert list(differences(f"{one}\n", f"{two}\n")) == ["    log", '      span_id: expected "<span-1>", found "<span-2>"']
    assert list(differences(f"{one}\n", f'{{"type": "new"}}\n{two}\n')) == ["  + new"]


def run(folder: Path, name: str = "a.py") -> RecordedTask:
    """Record a task."""
    with record_in(folder) as recorded, agentlog.task("t"):
        with agentlog.tool("Read", arguments={"path": name}):
            pass
        with pytest.raises(ValueError), agentlog.step("s"):
            raise ValueError("no")
    return recorded.task()


def test_two_runs_give_one_text(tmp_path: Path) -> None:
    """Ids, times and durations do not show; values do."""
    first, second, other = (golden_text(run(tmp_path / name, path)) for name, path in (("1", "a"), ("2", "a"), ("3", "b")))

    assert first == second != other


def test_a_file_is_written_once_and_only_where_it_is_to_be(tmp_path: Path) -> None:
    """Missing, written, equal, changed, written anew."""
    task, path = run(tmp_path / "1"), tmp_path / "golden" / "t.txt"

    with pytest.raises(AssertionError, match=r"found none at .*t\.txt; write it with X"):
        assert_golden(task, path, how="X")
    assert assert_golden(task, path, update=True)
    assert not assert_golden(task, path, update=True)
    assert not assert_golden(run(tmp_path / "2"), path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert not assert_golden(task, path)
    with pytest.raises(AssertionError, match=r'details.arguments.path: expected "a.py", found "b.py"'):
        assert_golden(run(tmp_path / "3", "b.py"), path)


def test_a_folder_that_a_kill_left_has_a_text(tmp_path: Path) -> None:
    """A line that was cut is there as it is."""
    task = run(tmp_path)
    with (task.folder / "03-agent-output.jsonl").open("ab") as file:
        file.write(b'{"timestamp":"2026-01-')

    assert '{"timestamp":"2026-01-' in golden_text(task)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
@example({"type": [], "action": {}})
def test_any_line_is_made_equal_and_stays_so(line: dict[str, Any]) -> None:
    """Once or twice is the same."""
    once = normal_json(line)

    assert once is None or normal_json(once) == once


def test_names_of_files_are_plain() -> None:
    """Of parametrised tests, too."""
    assert file_name("test_it[a/b-../c d]") == "test_it-a-b-..-c-d"
    assert file_name("[]") == "golden"

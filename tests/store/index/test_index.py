"""What the index keeps, and how it sees that a folder changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.index import refresh
from otel_agentlog.store.index.changes import NO_FOLDER, signature
from otel_agentlog.store.index.filter import Filter
from otel_agentlog.store.index.index import TaskIndex
from otel_agentlog.store.index.row import MAX_AMOUNT, IndexRow, amount
from otel_agentlog.store.index.tables import LiveTask
from otel_agentlog.store.index.words import MAX_WORDS, distinct_words, words_of
from tests.store.index.conftest import OpenIndex


def read(task: TaskReader) -> IndexRow:
    """A row with one word."""
    return IndexRow(status="completed", words=frozenset({"word"}))


def freshen(live: LiveTask, task: TaskReader) -> tuple[str, int | None]:
    """Nothing to be freshened."""
    return live.status, live.duration_us


def make(root: Path, *names: str) -> None:
    """Folders that look like tasks."""
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "metadata.json").write_text("{}")


def folders(index: TaskIndex, wanted: Filter | None = None) -> list[str]:
    """The folders that it finds."""
    return index.folders(wanted or Filter(), "newest")


@given(st.text(), st.text())
def test_a_word_is_found_by_its_beginning_and_in_any_case(text: str, more: str) -> None:
    """Words of a text are the same in upper and lower case, and hold nothing but letters, digits and ``_``."""
    words = words_of(f"{text} {more}")

    assert all(word == word.casefold() and '"' not in word and " " not in word for word in words)
    assert set(words_of(text)) <= set(words)


def test_words_of_a_task_are_bounded() -> None:
    """The first ones stay."""
    found = distinct_words(["first", " ".join(f"w{number}" for number in range(MAX_WORDS * 2)), None, 7])

    assert len(found) == MAX_WORDS
    assert "first" in found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.5, 2),
        (0, 0),
        (-1, 0),
        (True, None),
        ("1", None),
        (None, None),
        (float("nan"), None),
        (2**80, MAX_AMOUNT),
        (1e308, MAX_AMOUNT),
    ],
)
def test_amounts_are_whole_and_bounded(value: object, expected: int | None) -> None:
    """Whatever stands in a file has room in 64 bits, and sums of it do."""
    assert amount(value) == expected
    assert amount(1e308, 10**10) == MAX_AMOUNT


def test_a_signature_changes_with_what_is_in_the_folder(tmp_path: Path) -> None:
    """A replaced file, a longer one, a new one; nothing at all is no folder."""
    make(tmp_path, "t")
    folder = os.fspath(tmp_path / "t")
    seen = [signature(folder)]
    (tmp_path / "t" / "new").write_text("{}")
    os.replace(tmp_path / "t" / "new", tmp_path / "t" / "metadata.json")
    seen.append(signature(folder))
    (tmp_path / "t" / "03-agent-output.jsonl").write_text("1")
    seen.append(signature(folder))

    assert len(set(seen)) == 3
    assert signature(folder) == seen[-1]
    assert signature(os.fspath(tmp_path / "none")) == NO_FOLDER


def test_what_it_reads_it_reads_once(tmp_path: Path, open_index: OpenIndex) -> None:
    """A second look opens no folder."""
    make(tmp_path, "a", "b")
    opened: list[str] = []

    def counting(task: TaskReader) -> IndexRow:
        opened.append(task.folder.name)
        return read(task)

    first, second = (open_index(tmp_path, counting, freshen) for _ in range(2))
    first.refresh()
    first.refresh()
    second.refresh()

    assert sorted(opened) == ["a", "b"]
    assert sorted(folders(second)) == ["a", "b"]


def test_words_of_deleted_tasks_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_index: OpenIndex) -> None:
    """When there are too many of them the index asks to be made anew."""
    monkeypatch.setattr(refresh, "MAX_GARBAGE", 1)
    make(tmp_path, "a", "b", "c", "d")
    index = open_index(tmp_path, read, freshen)
    index.refresh()
    for name in ("a", "b", "c"):
        shutil.rmtree(tmp_path / name)

    with pytest.raises(ValueError, match="garbage"):
        index.refresh()


def test_a_change_among_many_is_found_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_index: OpenIndex) -> None:
    """Of more tasks than are all looked at, some others are each time."""
    monkeypatch.setattr(refresh, "SWEPT", 1)
    monkeypatch.setattr(refresh, "SAMPLE", 2)
    monkeypatch.setattr(refresh, "SWEEP_EVERY_S", 0.0)
    make(tmp_path, *(f"t{number}" for number in range(12)))
    seen: dict[str, str] = {}

    def reading(task: TaskReader) -> IndexRow:
        found = read(task)
        found.agent = (task.folder / "metadata.json").read_text()
        seen[task.folder.name] = found.agent
        return found

    index = open_index(tmp_path, reading, freshen)
    index.refresh()
    for number in range(12):
        (tmp_path / f"t{number}" / "metadata.json").write_text("changed")
    for _ in range(500):
        index.refresh()

    assert set(seen.values()) == {"changed"}
    assert len(folders(index, Filter(agent="changed"))) == 12


def test_words_of_a_task_that_goes_on_are_those_it_has_now(tmp_path: Path, open_index: OpenIndex) -> None:
    """Its words of before are taken out, and nothing of them is left."""
    make(tmp_path, "a")
    said = ["before"]
    index = open_index(tmp_path, lambda task: IndexRow(status="running", settled=False, words=frozenset(said)), freshen)
    for word in ("before", "between", "after"):
        said[:] = [word]
        (tmp_path / "a" / "metadata.json").write_text(word * len(word))
        index.refresh()
        assert [words for words in ("before", "between", "after") if folders(index, Filter(text=words))] == [word]


def test_sums_beyond_64_bits_are_about_right(tmp_path: Path, open_index: OpenIndex) -> None:
    """Only damaged folders come to them; they are no reason to fail."""
    make(tmp_path, *(f"t{number}" for number in range(3000)))
    index = open_index(tmp_path, lambda task: IndexRow(status="failed", cost=MAX_AMOUNT, input_tokens=7), freshen)
    index.refresh()

    sums = index.task_sums(Filter())[None]
    assert (sums.cost, sums.input_tokens, sums.by_status) == (3000 * MAX_AMOUNT, 21_000, {"failed": 3000})


def test_states_that_only_damage_makes_are_counted_up_to_a_bound(tmp_path: Path, open_index: OpenIndex) -> None:
    """Those of the format are counted in any case."""
    make(tmp_path, *(f"t{number}" for number in range(80)), "unfinished")
    index = open_index(
        tmp_path, lambda task: IndexRow(status="timed_out" if task.folder.name == "unfinished" else task.folder.name), freshen
    )
    index.refresh()

    sums = index.task_sums(Filter())[None]
    assert (sums.tasks, len(sums.by_status), sums.by_status["timed_out"]) == (81, 50, 1)

"""What the catalogue keeps, and how it sees that a folder changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.index import refresh
from otel_agentlog.store.index.index import Catalogue
from otel_agentlog.store.index.refresh import NO_FOLDER, signature
from otel_agentlog.store.index.row import (
    MAX_AMOUNT,
    MAX_WORDS,
    Card,
    Failure,
    Part,
    amount,
    card_from_bytes,
    card_to_bytes,
    gather,
    words_of,
)
from otel_agentlog.store.index.where import Conditions


def describe(task: TaskReader) -> Card:
    """A card that says where it comes from."""
    return Card(folder=task.folder.name, task_id=task.folder.name, name="n", status="completed", words=frozenset({"word"}))


def freshen(card: Card, task: TaskReader) -> Card:
    """Nothing to be freshened."""
    return card


def make(root: Path, *names: str) -> None:
    """Folders that look like tasks."""
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "metadata.json").write_text("{}")


def folders(catalogue: Catalogue, **conditions: object) -> list[str]:
    """The folders that it finds."""
    return [name for _, name in catalogue.folders(Conditions(**conditions), "newest", None)]  # type: ignore[arg-type]


@given(st.text(), st.text())
def test_a_word_is_found_by_its_beginning_and_in_any_case(text: str, more: str) -> None:
    """Words of a text are the same in upper and lower case, and hold nothing but letters, digits and ``_``."""
    words = words_of(f"{text} {more}")

    assert all(word == word.casefold() and '"' not in word and " " not in word for word in words)
    assert set(words_of(text)) <= set(words)


def test_words_of_a_task_are_bounded() -> None:
    """The first ones stay."""
    found = gather(["first", " ".join(f"w{number}" for number in range(MAX_WORDS * 2)), None, 7])

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


def test_a_card_survives_its_bytes() -> None:
    """As do its parts and failures."""
    part = Part(kind="tool_run", name="Read", outcomes={"completed": 2}, durations_us=[1, 2])
    failure = Failure("e1", "ValueError", None, "no", "tool", 5)
    card = Card(folder="f", task_id="t", name="n", status="running", tags=("a",), parts=[part], failures=[failure])

    assert card_from_bytes(card_to_bytes(card)) == card


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


def test_what_it_reads_it_reads_once(tmp_path: Path) -> None:
    """A second look opens no folder."""
    make(tmp_path, "a", "b")
    read: list[str] = []

    def counting(task: TaskReader) -> Card:
        read.append(task.folder.name)
        return describe(task)

    first, second = (Catalogue(tmp_path, counting, freshen) for _ in range(2))
    first.refresh()
    first.refresh()
    second.refresh()

    assert sorted(read) == ["a", "b"]
    assert sorted(folders(second)) == ["a", "b"]


def test_words_of_deleted_tasks_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there are too many of them the catalogue asks to be made anew."""
    monkeypatch.setattr(refresh, "MAX_GARBAGE", 1)
    make(tmp_path, "a", "b", "c", "d")
    catalogue = Catalogue(tmp_path, describe, freshen)
    catalogue.refresh()
    for name in ("a", "b", "c"):
        shutil.rmtree(tmp_path / name)

    with pytest.raises(ValueError, match="garbage"):
        catalogue.refresh()


def test_a_change_among_many_is_found_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more tasks than are all looked at, some others are each time."""
    monkeypatch.setattr(refresh, "SWEPT", 1)
    monkeypatch.setattr(refresh, "SAMPLE", 2)
    monkeypatch.setattr(refresh, "SWEEP_EVERY_S", 0.0)
    make(tmp_path, *(f"t{number}" for number in range(12)))
    seen: dict[str, str] = {}

    def describing(task: TaskReader) -> Card:
        found = describe(task)
        found.agent = (task.folder / "metadata.json").read_text()
        seen[task.folder.name] = found.agent
        return found

    catalogue = Catalogue(tmp_path, describing, freshen)
    catalogue.refresh()
    for number in range(12):
        (tmp_path / f"t{number}" / "metadata.json").write_text("changed")
    for _ in range(500):
        catalogue.refresh()

    assert set(seen.values()) == {"changed"}
    assert len(folders(catalogue, equal={"agent": "changed"})) == 12

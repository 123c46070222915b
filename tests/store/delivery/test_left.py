"""`LeftItems`: nothing gets lost, and memory does not grow with the number of folders."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.store.delivery import left
from otel_agentlog.store.delivery.item_set import Json
from otel_agentlog.store.delivery.left import MAX_FOLDERS, MAX_UNWRITTEN, LeftItems


def _none(where: str, error: BaseException) -> None:
    raise AssertionError((where, error))


def _add(items: LeftItems, home: str, number: int) -> None:
    items.items_of(home).add("span", f"aa-{number}")


def _all(items: LeftItems, at_once: int = 7) -> dict[str, Json]:
    found: dict[str, Json] = {}
    while taken := items.take(at_once):
        assert len(taken) <= at_once
        found.update({home: each.as_json() for home, each in taken.items()})
    return found


def _in_memory() -> int:
    gc.collect()
    return sum(type(each).__name__ == "ItemSet" for each in gc.get_objects())


def test_what_is_left_comes_back_whole_and_in_turn(tmp_path: Path) -> None:
    """The folders of many thousand tasks, a few at a time."""
    items, before = LeftItems(_none), _in_memory()
    homes = [f"{tmp_path}/{number}" for number in range(20 * MAX_FOLDERS)]
    for number, home in enumerate(homes):
        _add(items, home, number)

    assert _in_memory() - before <= 3 * MAX_FOLDERS
    assert len(items) == len(homes)
    found = _all(items, 64)
    assert list(found) == homes
    assert found[homes[-1]] == {"span": {"aa": [len(homes) - 1]}}
    assert not len(items)
    assert os.listdir(tmp_path) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.tuples(st.just("add"), st.integers(0, 60)), st.tuples(st.just("take"), st.integers(1, 9)))))
def test_any_order_of_giving_and_taking(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]) -> None:
    """What was given and not taken yet is what can be taken."""
    root, items = tmp_path_factory.getbasetemp(), LeftItems(_none)
    expected: dict[str, set[int]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(left, "MAX_FOLDERS", 4)
        patch.setattr(left, "_MAX_READ_BYTES", 64)
        for number, (step, which) in enumerate(steps):
            if step == "add":
                _add(items, f"{root}/{which}", number)
                expected.setdefault(f"{root}/{which}", set()).add(number)
                continue
            for home, taken in items.take(which).items():
                for _, _, first, last in taken.ranges():
                    expected[home] -= set(range(first, last + 1))
        while taken_all := items.take(5):
            for home, taken in taken_all.items():
                for _, _, first, last in taken.ranges():
                    expected[home] -= set(range(first, last + 1))
    assert not any(expected.values())


def test_the_file_does_not_grow_with_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that comes and goes: as much is taken as is given, for ever."""
    monkeypatch.setattr(left, "MAX_FOLDERS", 10)
    monkeypatch.setattr(left, "_MAX_READ_BYTES", 4096)
    items = LeftItems(_none)
    for number in range(100):
        _add(items, f"{tmp_path}/{number}", 1)
    for number in range(100, 3000):
        _add(items, f"{tmp_path}/{number}", 1)
        items.take(1)

    assert len(items) == 100
    assert items._file is not None
    assert os.fstat(items._file._file.fd).st_size < 40_000


def test_a_root_that_takes_no_file_costs_the_oldest_only(tmp_path: Path) -> None:
    """They are kept in memory as far as that goes; what is forgotten is told, and found by the next process."""
    told: list[str] = []
    items = LeftItems(lambda where, error: told.append(where))
    for number in range(MAX_UNWRITTEN + 5):
        _add(items, f"{tmp_path}/gone/{number}", number)

    assert told == ["backlog"] * 5
    assert len(_all(items, 1000)) == MAX_UNWRITTEN


def test_a_root_that_is_deleted_does_not_cost_what_was_written(tmp_path: Path) -> None:
    """The file is open."""
    items = LeftItems(_none)
    (tmp_path / "root").mkdir()
    for number in range(3 * MAX_FOLDERS):
        _add(items, f"{tmp_path}/root/{number}", number)
    shutil.rmtree(tmp_path / "root")

    assert len(_all(items)) == 3 * MAX_FOLDERS


def test_code_that_closes_whatever_is_open_costs_what_was_written_and_no_file_of_others(tmp_path: Path) -> None:
    """The number of the descriptor may be that of another file by now."""
    told: list[str] = []
    items = LeftItems(lambda where, error: told.append(where))
    for number in range(2 * MAX_FOLDERS + 1):
        _add(items, f"{tmp_path}/{number}", number)
    assert items._file is not None
    os.close(items._file._file.fd)
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    for number in range(2 * MAX_FOLDERS + 1, 5 * MAX_FOLDERS):
        _add(items, f"{tmp_path}/{number}", number)

    assert told == ["backlog"]
    assert os.fstat(other).st_size == 0
    assert len(_all(items, 100)) == 3 * MAX_FOLDERS
    os.close(other)

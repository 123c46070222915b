"""The ledger of delivery: a set of items that survives being written, torn, read and written by several."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.store.delivery.item_set import MAX_NUMBER, ItemSet
from otel_agentlog.store.delivery.ledger import DELIVERY, note, read_ledger

KINDS = st.sampled_from(["span", "log", "details", "exception"])
ITEMS = st.sets(st.tuples(KINDS, st.sampled_from(["aa", "b-b", "0c"]), st.integers(0, 300)))


def _item_set(items: set[tuple[str, str, int]]) -> ItemSet:
    item_set = ItemSet()
    for kind, tag, number in items:
        item_set.add(kind, f"{tag}-{number}")
    return item_set


def _items(item_set: ItemSet) -> set[tuple[str, str, int]]:
    return {(kind, tag, number) for kind, tag, first, last in item_set.ranges() for number in range(first, last + 1)}


@given(ITEMS, ITEMS)
def test_an_item_set_is_a_set(items: set[tuple[str, str, int]], gone: set[tuple[str, str, int]]) -> None:
    """Adding, asking, taking out, counting: as a set does."""
    item_set = _item_set(items)
    for kind, tag, number in gone:
        item_set.discard(kind, f"{tag}-{number}")

    assert _items(item_set) == items - gone
    assert len(item_set) == len(items - gone)
    assert bool(item_set) == bool(items - gone)
    assert all(item_set.has(kind, f"{tag}-{number}") for kind, tag, number in items - gone)
    assert not any(item_set.has(kind, f"{tag}-{number}") for kind, tag, number in gone)


@given(ITEMS, ITEMS)
def test_item_sets_survive_json_and_add_up(one: set[tuple[str, str, int]], other: set[tuple[str, str, int]]) -> None:
    """Written and read again, twice into the same set: the union."""
    item_set = ItemSet()
    for items in (one, other, one):
        item_set.update(json.loads(json.dumps(_item_set(items).as_json())))

    assert _items(item_set) == one | other


@settings(deadline=None)  # a busy machine is no fault
@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_junk_adds_nothing_and_raises_nothing(value: Any) -> None:
    """A damaged line costs no memory and no exception."""
    item_set = ItemSet()
    item_set.update(value)
    item_set.update({"span": {"aa": [value, [0, MAX_NUMBER], [5, 3], [-1, 2], MAX_NUMBER, True]}})
    item_set.add("span", str(value))

    kinds = value.values() if isinstance(value, dict) else ()
    lists = [each for tags in kinds if isinstance(tags, dict) for each in tags.values() if isinstance(each, list)]
    # What was added as an id is one more.
    assert len(item_set) <= 1 + sum(map(_size, [value, *(run for each in lists for run in each)]))


def _size(run: Any) -> int:
    """How many numbers a run of them has, or none."""
    first, last = run if isinstance(run, list) and len(run) == 2 else (run, run)
    return last - first + 1 if type(first) is int and type(last) is int and 0 <= first <= last < MAX_NUMBER else 0


def test_runs_are_written_as_ranges() -> None:
    """What jq shows is short."""
    item_set = _item_set({("span", "aa", number) for number in (3, 5, 8, 9, 10)})

    assert item_set.as_json() == {"span": {"aa": [3, 5, [8, 10]]}}


def test_the_ledger_is_the_sum_of_its_lines(tmp_path: Path) -> None:
    """Acknowledged, rejected, dropped, kept: each line adds what it says."""
    note(tmp_path, acked=_item_set({("span", "aa", 1), ("log", "aa", 1)}))
    note(tmp_path, acked=_item_set({("span", "aa", 2)}), rejected=1, message="no")
    note(tmp_path, dropped=_item_set({("span", "aa", 3)}), reason="http_400")
    note(tmp_path, kept="failed")
    note(tmp_path, settled={"output_bytes": 7, "pending": 0})

    ledger = read_ledger(tmp_path)
    assert (len(ledger.acked), ledger.rejected, ledger.kept) == (3, 1, "failed")
    assert {reason: _items(items) for reason, items in ledger.dropped.items()} == {"http_400": {("span", "aa", 3)}}
    assert ledger.settled["output_bytes"] == 7
    assert ((tmp_path / DELIVERY).stat().st_mode & 0o777) == 0o600


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    """Cut at every byte: what was noted before is known, what is noted after too."""
    note(tmp_path, acked=_item_set({("span", "aa", 1)}))
    first = (tmp_path / DELIVERY).read_bytes()
    note(tmp_path, acked=_item_set({("span", "aa", 2)}))
    whole = (tmp_path / DELIVERY).read_bytes()
    for cut in range(len(first), len(whole)):
        (tmp_path / DELIVERY).write_bytes(whole[:cut])
        note(tmp_path, acked=_item_set({("span", "aa", 3)}))
        acked = read_ledger(tmp_path).acked
        assert acked.has("span", "aa-1")
        assert acked.has("span", "aa-3")


def test_nothing_is_noted_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    """A pruned task does not come back because its last batch was acknowledged."""
    note(tmp_path / "gone", acked=_item_set({("span", "aa", 1)}))

    assert list(tmp_path.iterdir()) == []


def _note_many(folder: Path, tag: str) -> None:
    for number in range(200):
        note(folder, acked=_item_set({("span", tag, number)}))


def test_several_processes_note_at_once(tmp_path: Path) -> None:
    """Each line is one write: none is lost or mixed."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_note_many, args=(tmp_path, tag)) for tag in ("aa", "bb")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(read_ledger(tmp_path).acked) == 400


@given(st.lists(st.tuples(st.sampled_from(["aa", "b-b", "a\n"]), st.integers(0, 300))), st.lists(st.none() | st.text(max_size=4)))
def test_many_are_added_as_one_by_one(items: list[tuple[str, int]], junk: list[str | None]) -> None:
    """Ids of several writers in any order, and what is none."""
    event_ids = [
        *(f"{tag}-{number}" for tag, number in items),
        *junk,
        "aa-007",
        "aa-",
        "aa-1-",
        "aa-٣",
        f"aa-{MAX_NUMBER}",
        "aa-1",
    ]
    one_by_one, together, merged = ItemSet(), ItemSet(), ItemSet()
    for event_id in event_ids:
        one_by_one.add("log", event_id)

    together.add_all("log", event_ids)
    merged.merge(together)

    assert _items(together) == _items(merged) == _items(one_by_one)

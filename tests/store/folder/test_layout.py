"""File names, ids, times and bytes."""

from __future__ import annotations

import itertools
import threading
import time
import unicodedata
from datetime import datetime, timezone

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otel_agentlog.store.folder import layout
from otel_agentlog.vocabulary.event_ids import split_event_id
from otel_agentlog.vocabulary.lines import encode
from tests.store.folder.hostile_ids import HOSTILE_IDS


def folded(name: str) -> str:
    """A name as a disk sees it that folds case and normalises."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_safe(name: str) -> bool:
    """Whether a folder of this name stays in its root and means the same everywhere."""
    return layout.TASK_ID.fullmatch(name) is not None and name not in (".", "..") and len(name.encode()) <= 128


@pytest.mark.parametrize("task_id", ["task-abc123", "PROJ-42", "a", "0", "a.b_c-d", "x" * 128, "Task1", "task1", "a-x123"])
def test_a_safe_id_is_its_own_folder_name(task_id: str) -> None:
    """People find the folder under the id they gave."""
    assert layout.folder_name(task_id) == task_id


@pytest.mark.parametrize("task_id", HOSTILE_IDS)
def test_a_hostile_id_becomes_a_safe_name(task_id: str) -> None:
    """No id leads out of the root, hides a folder or takes a name that means something else."""
    name = layout.folder_name(task_id)

    assert is_safe(name)
    assert name != task_id
    assert name.lower() not in {"metadata.json", "artifacts", "con"}


def test_hostile_ids_never_share_a_folder_even_where_case_is_folded() -> None:
    """Every pair of hostile ids, and their names taken as ids, are told apart."""
    ids = set(HOSTILE_IDS) | {layout.folder_name(task_id) for task_id in HOSTILE_IDS}

    names = [folded(layout.folder_name(task_id)) for task_id in ids]

    assert len(set(names)) == len(ids)


@settings(max_examples=300)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=200), unique=True, min_size=2, max_size=20))
@example(["é", "e\u0301"])
@example(["ß.", "ss."])
def test_any_two_ids_have_two_safe_names(ids: list[str]) -> None:
    """Names are safe, and differ under NFC and case folding, but for safe ids that differ in case only."""
    names = {task_id: layout.folder_name(task_id) for task_id in ids}

    for task_id, name in names.items():
        assert is_safe(name)
        assert layout.folder_name(task_id) == name
    for (first, a), (second, b) in itertools.combinations(names.items(), 2):
        assert a != b
        both_plain = a == first and b == second
        assert both_plain or folded(a) != folded(b)


@settings(max_examples=300)
@given(st.from_regex(layout.TASK_ID, fullmatch=True), st.text(max_size=50))
def test_a_safe_looking_id_never_takes_a_mapped_name(safe: str, hostile: str) -> None:
    """An id made to look like the mapped name of another id is mapped itself."""
    mapped = layout.folder_name(f"/{hostile}")

    assert layout.folder_name(mapped) != mapped
    assert folded(layout.folder_name(safe)) != folded(mapped)
    assert layout.folder_name(mapped.upper()) not in (mapped, mapped.upper())


@given(st.text(max_size=50))
def test_every_id_has_further_names_for_a_disk_that_folds_case(task_id: str) -> None:
    """If the folder is taken by another id, the next candidates are free of every other id's."""
    names = list(layout.folder_names(task_id))

    assert names[0] == layout.folder_name(task_id)
    assert len({folded(name) for name in names}) == layout.NAME_CANDIDATES
    assert all(is_safe(name) for name in names)


def test_safe_ids_that_differ_in_case_part_at_the_second_name() -> None:
    """``Task1`` and ``task1`` collide on such a disk at first and nowhere after."""
    first, second = list(layout.folder_names("Task1")), list(layout.folder_names("task1"))

    assert folded(first[0]) == folded(second[0])
    assert not {folded(name) for name in first[1:]} & {folded(name) for name in second[1:]}


def test_new_task_ids_are_safe_and_differ() -> None:
    """A fresh id is ``task-`` and 12 hex digits."""
    ids = {layout.new_task_id() for _ in range(200)}

    assert len(ids) == 200
    assert all(layout.folder_name(task_id) == task_id and len(task_id) == 17 for task_id in ids)


def test_temp_names_are_hidden_and_recognised() -> None:
    """A file under preparation is told from every file of the format."""
    name = layout.temp_name(layout.METADATA, "a1f30b22x3")

    assert name == ".metadata.json.a1f30b22x3.tmp"
    assert layout.is_temp_name(name)
    assert not any(layout.is_temp_name(known) for known in (*layout.DOCUMENTS, *layout.LINE_FILES))


@given(st.integers(min_value=0, max_value=4_102_444_800 * 10**9))
@example(0)
@example(999_999_999)
@example(1_000_000_000)
def test_times_survive_writing_and_parsing(ns: int) -> None:
    """Nanoseconds are kept exactly, and the text is what RFC 3339 says."""
    text = layout.timestamp(ns)

    assert layout.parse_timestamp(text) == ns
    assert len(text) == 30
    assert text[:19] == datetime.fromtimestamp(ns // 10**9, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


@given(st.lists(st.integers(min_value=0, max_value=4_102_444_800 * 10**9), min_size=2))
def test_times_sort_as_text(times: list[int]) -> None:
    """``sort`` and ``max`` on the text order by time."""
    assert [layout.timestamp(ns) for ns in sorted(times)] == sorted(map(layout.timestamp, times))


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-11-21T05:22:01Z", 1795238521 * 10**9),
        ("2026-11-21T05:22:01.5Z", 1795238521_500000000),
        ("2026-11-21T05:22:01.123456+00:00", 1795238521_123456000),
        ("1969-12-31T23:59:59.999999999Z", -1),
    ],
)
def test_other_spellings_of_utc_are_understood(text: str, ns: int) -> None:
    """Fewer decimals and ``+00:00`` mean the same."""
    assert layout.parse_timestamp(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-21",
        "2026-11-21T05:22:01",
        "2026-11-21T05:22:01.1234567890Z",
        "2026-13-21T05:22:01Z",
        "2026-11-21T05:22:01+02:00",
        "2026-W47-6T05:22:01Z",
        "٢٠٢٦-11-21T05:22:01Z",
        "2026-11-21T05:22:01Z\n",
    ],
)
def test_what_is_no_time_in_utc_is_refused(text: str) -> None:
    """The error says what was expected and what was found."""
    with pytest.raises(ValueError, match=r"expected a time|must be in|month"):
        layout.parse_timestamp(text)


def test_threads_get_matching_seconds() -> None:
    """The cached second never mixes with another thread's."""
    wrong: list[str] = []

    def look(second: int) -> None:
        for _ in range(3000):
            text = layout.timestamp(second * 10**9 + 5)
            if layout.parse_timestamp(text) != second * 10**9 + 5:
                wrong.append(text)

    threads = [threading.Thread(target=look, args=(1_700_000_000 + index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_now_is_the_present() -> None:
    """`now` lies between two looks at the clock."""
    before = time.time_ns()
    text = layout.now()
    after = time.time_ns()

    assert before <= layout.parse_timestamp(text) <= after


def test_a_line_is_compact_and_begins_with_its_time() -> None:
    """The prefix by which torn lines are told apart is always there."""
    line = {"type": "log", "timestamp": "2026-11-21T05:22:01.000000000Z", "details": {"a": [1, "é\u2028"]}}

    data = encode(line)

    assert data == '{"timestamp":"2026-11-21T05:22:01.000000000Z","type":"log","details":{"a":[1,"é\u2028"]}}\n'.encode()
    assert data.startswith(layout.RECORD_PREFIX)
    assert next(iter(line)) == "type"


def test_a_line_without_time_gets_one() -> None:
    """No record is written that a reader could not find again."""
    data = encode({"type": "log"})

    assert data.startswith(layout.RECORD_PREFIX)
    assert orjson.loads(data)["type"] == "log"


def test_what_is_not_json_is_refused() -> None:
    """Repairing values is done before; here a stranger is an error."""
    with pytest.raises(TypeError):
        encode({"timestamp": "x", "value": object()})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_lines_survive_encoding(content: dict[str, object]) -> None:
    """What is written is read, in one line."""
    line = {"timestamp": "2026-11-21T05:22:01.000000000Z", **content}

    data = encode(line)

    assert orjson.loads(data) == line
    assert data.count(b"\n") == 1
    assert data.endswith(b"\n")


@pytest.mark.parametrize(
    ("event_id", "parts"),
    [
        ("a1f3-0", ("a1f3", 0)),
        ("a-b-12", ("a-b", 12)),
        ("a1f3-", None),
        ("-1", None),
        ("a1f3", None),
        ("a-01", None),
        ("a-٣", None),
        ("a-1e3", None),
        (7, None),
        (None, None),
        ("a-" + "9" * 40, None),
    ],
)
def test_event_ids_are_taken_apart(event_id: object, parts: tuple[str, int] | None) -> None:
    """A writer tag and a number, or nothing."""
    assert split_event_id(event_id) == parts

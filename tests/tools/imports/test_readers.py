"""Any JSON, and any bytes, in any file: nothing is raised, and no good line is lost."""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.tools.imports.readers.events import moment_ns
from otel_agentlog.tools.imports.readers.formats import FORMATS
from otel_agentlog.tools.imports.readers.rows import MAX_ROW_BYTES, Row, Rows, Wrong
from otel_agentlog.vocabulary.lines import parse_timestamp, timestamp
from otel_agentlog.vocabulary.states import TRANSCRIPTS
from tests.tools.imports.importing import run_import
from tests.tools.imports.samples import SAMPLES, chat, lines, request
from tests.tools.imports.test_sums import sums_of

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8
)
_NAMES = (
    "type message content role model usage id uuid parentUuid sessionId timestamp isSidechain agentId tool_use_id "
    "payload info last_token_usage total_token_usage name arguments call_id output item messages tool_calls function "
    "resourceSpans scopeSpans spans traceId spanId attributes key value stringValue startTimeUnixNano status code "
    "context trace_id span_id span_kind start_time data observations startTime usageDetails events error text"
)
KNOWN = sorted(set(_NAMES.split()))
WORDS = st.sampled_from(
    ["user", "assistant", "system", "text", "tool_use", "tool_result", "response_item", "event_msg", "token_count"]
)
LIKE_ROWS = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KNOWN), inner, max_size=6),
    max_leaves=20,
)


def mutated(row: Any, path: tuple[int, ...], put: Any) -> Any:
    """A row with another value somewhere inside."""
    if not path or not isinstance(row, (dict, list)) or not row:
        return put
    if isinstance(row, list):
        at = path[0] % len(row)
        return [mutated(each, path[1:], put) if number == at else each for number, each in enumerate(row)]
    key = sorted(row)[path[0] % len(row)]
    return {**row, key: mutated(row[key], path[1:], put)}


ROWS = [(form, row) for form, samples in SAMPLES.items() for rows, _ in samples.values() for row in rows if isinstance(row, dict)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([*FORMATS]),
    st.lists(
        LIKE_ROWS
        | st.builds(mutated, st.sampled_from([row for _, row in ROWS]), st.lists(st.integers(0, 9), max_size=5).map(tuple), JSON),
        max_size=6,
    ),
)
def test_no_reader_raises(form: str, rows: list[Any]) -> None:
    """Whatever is where a row should have something else; the folders that come of it are valid."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "f.jsonl").write_text(lines(json.dumps(row) for row in rows))

        report = run_import(folder / "tasks", folder / "f.jsonl", form=form)

        assert report.problems == []
        for task in list_tasks(folder / "tasks"):
            found = validate(task.folder)
            assert not found.problems, (found.problems, rows)


WHOLE = {
    "claude-code": "blocks of one answer",
    "codex": "a tool",
    "messages": "tokens",
    "otlp": "calls and tools",
    "langfuse": "a trace and its observations",
    "phoenix": "an agent with a tool",
}
"""Of each format a sample in which no line is wrong."""


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*SAMPLES]), st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=40)), max_size=5))
def test_garbage_costs_no_good_line(form: str, garbage: list[tuple[int, bytes]]) -> None:
    """Bytes of any kind between the lines: the sums stay, each wrong line is counted."""
    rows, expected = SAMPLES[form][WHOLE[form]]
    text = lines(rows).encode().splitlines(keepends=True)
    # What is JSON by itself may mean something.
    wrong = [(at, b"\x00" + data.replace(b"\n", b"")) for at, data in garbage]
    for at, data in wrong:
        text.insert(at % (len(text) + 1), data + b"\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "f.jsonl").write_bytes(b"".join(text))

        report = run_import(folder / "tasks", folder / "f.jsonl")

        assert report.problems == []
        assert report.wrong == len(wrong)
        assert sums_of(list(list_tasks(folder / "tasks")), 0) == expected


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
@example(b"\x1f\x8b")
@example(gzip.compress(b'{"a": 1}\n')[:-9])
@example(gzip.compress(b'{"a": 1}\n')[:12] + b"\xff" * 20)
def test_any_bytes_are_a_file(data: bytes) -> None:
    """Of no format, or of one: told, never raised."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "f.jsonl").write_bytes(data)
        rows = Rows(folder / "f.jsonl")
        assert all(isinstance(each, (Row, Wrong)) for each in rows.read())
        rows.close()


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON, max_size=5), st.sampled_from([None, 1]), st.booleans())
def test_arrays_are_read_element_by_element(elements: list[Any], indent: int | None, bom: bool) -> None:
    """Over one line or several."""
    plain = json.loads(json.dumps(elements), parse_constant=lambda name: None, parse_int=lambda text: float(text))
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "f.json")
        file.write_bytes((b"\xef\xbb\xbf" if bom else b"") + b"\n" + json.dumps(plain, indent=indent).encode())
        rows = Rows(file)
        found = [each.value for each in rows.read() if isinstance(each, Row)]
        rows.close()

    assert (found == plain) if indent and plain else (found in (plain, [plain]))


def test_a_line_that_is_too_long_costs_itself_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its beginning is kept; what comes after it is read."""
    monkeypatch.setattr("otel_agentlog.tools.imports.readers.rows.MAX_ROW_BYTES", 1000)
    assert MAX_ROW_BYTES > 1000
    (tmp_path / "f.jsonl").write_text('{"a":1}\n{"b":"' + "x" * 3_000_000 + '"}\n{"c":2}\n')

    rows = Rows(tmp_path / "f.jsonl")
    first, second, third = rows.read()
    rows.close()

    assert (first, third) == (Row(1, {"a": 1}), Row(3, {"c": 2}))
    assert isinstance(second, Wrong)
    assert "3,000,0" in second.reason


@given(st.integers(1, 2**63 - 1))
def test_times_are_read_as_they_are_written(time_ns: int) -> None:
    """As RFC 3339 and as digits, to the nanosecond."""
    assert moment_ns(timestamp(time_ns)) == time_ns
    if time_ns >= 10**17:
        assert moment_ns(str(time_ns)) == moment_ns(time_ns) == time_ns


@given(JSON | st.text())
def test_what_is_no_time_is_none(value: Any) -> None:
    """Or it is one that can be written."""
    found = moment_ns(value)
    assert found is None or parse_timestamp(timestamp(found)) == found


def test_times_of_several_programs() -> None:
    """Without a zone, with one, in seconds and milliseconds."""
    expected = parse_timestamp("2026-11-04T10:00:00.500000000Z")
    for each in (
        "2026-11-04T10:00:00.500Z",
        "2026-11-04 10:00:00.500000",
        "2026-11-04T12:00:00.5+02:00",
        "2026-11-04T08:30:00.5-0130",
        1_793_786_400.5,
        1_793_786_400_500,
        "1793786400500000000",
    ):
        assert moment_ns(each) == expected, each


def test_it_is_known_which_tasks_are_of_transcripts() -> None:
    """Wherever it is looked at: in Python and in the page."""
    known = {each.prefix for each in FORMATS.values() if each.transcript is not None}
    page = Path(str(resources.files("otel_agentlog") / "view" / "web" / "control.js")).read_text()
    (named,) = re.findall(r"^const TRANSCRIPTS = (.*);$", page, re.MULTILINE)

    assert set(TRANSCRIPTS) == known
    assert set(json.loads(named)) == known


def test_what_other_languages_write_is_read(tmp_path: Path) -> None:
    """Halves of characters, as JavaScript writes them, NaN, as Python does, integers of any size: no line is lost by them."""
    (tmp_path / "f.jsonl").write_text(
        '{"a": "x\\ud83d"}\n{"a": NaN}\n{"a": 123456789012345678901234567890}\n{"a": "\\ud83d\\ude00"}\n'
    )
    rows = Rows(tmp_path / "f.jsonl")
    found = [each.value for each in rows.read() if isinstance(each, Row)]
    rows.close()
    big = request(chat(1))
    big["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"].append(
        {"key": "n", "value": {"intValue": "99999999999999999999"}}
    )
    (tmp_path / "t.jsonl").write_text(lines([big]))

    assert found == [{"a": "x?"}, {"a": None}, {"a": 1.2345678901234568e29}, {"a": "\U0001f600"}]
    assert run_import(tmp_path / "tasks", tmp_path / "t.jsonl").problems == []

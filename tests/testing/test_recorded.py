"""Recordings: what they see, what they leave alone, and where a text is found."""

from __future__ import annotations

import base64
import errno
import json
import signal
import threading
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

import otel_agentlog as agentlog
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.recorder import recorder
from otel_agentlog.testing import FixedClock, Recorded, a_span, a_task, a_tool, assert_shape, fixed_ids, record_in, recording
from otel_agentlog.testing.places import places_of


def test_recordings_are_nested_and_restored(tmp_path: Path) -> None:
    """Each has what was recorded in its own block; afterwards recorder, signal handlers and metrics are those before."""
    before, handler = recorder(), signal.getsignal(signal.SIGTERM)
    with record_in(tmp_path / "outer") as outer:
        with agentlog.task("one"):
            pass
        with record_in(tmp_path / "inner") as inner, agentlog.task("two"):
            pass
        with agentlog.task("three"):
            pass

        assert [task.name for task in outer.tasks] == ["one", "three"]
        assert [task.name for task in inner.tasks] == ["two"]
        assert len(outer.sent_spans) == 2
    assert recorder() is before
    assert signal.getsignal(signal.SIGTERM) is handler


def test_wrong_settings_are_refused_as_ever(tmp_path: Path) -> None:
    """Of the recording itself, and of a `configure` within it; what was in force before is so again."""
    with record_in(tmp_path) as recorded:
        inside = recorder()
        with pytest.raises(ConfigurationError, match="no_such"), record_in(tmp_path / "x", no_such=1):
            pass
        with pytest.raises(ConfigurationError, match="directory"):
            agentlog.configure(directory=3)
        assert recorder() is inside
        with agentlog.task("t"):
            pass
        assert recorded.task().outcome == "completed"


def test_an_exception_in_the_block_is_the_users(tmp_path: Path) -> None:
    """It comes out as it is, and the recording has ended."""
    before = recorder()
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as raised, record_in(tmp_path) as recorded, agentlog.task("t"):
        raise error

    assert raised.value is error
    assert recorder() is before
    assert recorded.task().outcome == "interrupted"


def test_what_it_was_asked_for_is_told_with_what_is_there(tmp_path: Path) -> None:
    """A task that is not there, or is there twice."""
    with record_in(tmp_path) as recorded:
        with pytest.raises(AssertionError, match=r"expected one task, found 0; recorded were: none"):
            recorded.task()
        for _ in range(2):
            with agentlog.task("Same"):
                pass
        with pytest.raises(AssertionError, match=r"(?s)expected one task 'Same', found 2.*'Same' \(task-.*, completed\)"):
            recorded.task("Same")
        with pytest.raises(AssertionError, match="expected one task 'Other', found 0"):
            recorded.task("Other")


def test_parts_are_in_the_order_of_their_lines(tmp_path: Path) -> None:
    """By a clock that stands still, with a span of another library, which has the time of the day, and a sub-task."""
    with record_in(tmp_path, clock=FixedClock()) as recorded, agentlog.task("t"):
        with agentlog.tool("first"):
            pass
        with trace.get_tracer("lib").start_as_current_span("second"):
            pass
        with agentlog.task("third"):
            pass
        with agentlog.tool("fourth"):
            pass

    assert_shape(recorded.task("t"), [a_tool("first"), a_span("second"), a_task("third"), a_tool("fourth")])


def test_memory_has_spans_of_other_libraries() -> None:
    """`recording` sees those within tasks, and no others."""
    tracer = trace.get_tracer("lib")
    with recording() as recorded:
        with agentlog.task("t"), tracer.start_as_current_span("inside"):
            pass
        with tracer.start_as_current_span("outside"):
            pass

    assert recorded.actions == ["task_started", "span_started", "span_completed", "task_completed"]
    assert recorded.parents() == {"t": None, "inside": "t"}


def test_ids_are_the_same_and_then_others_again(tmp_path: Path) -> None:
    """Twice the same series, another one, and none."""

    def ids(name: str) -> list[str]:
        with record_in(tmp_path / name, clock=FixedClock()) as recorded:
            with agentlog.task("t"), trace.get_tracer("lib").start_as_current_span("s"):
                pass
            keys = ("task_id", "trace_id", "span_id", "event_id")
            return [" ".join(line[key] for key in keys) for line in recorded.lines]

    with fixed_ids():
        first = ids("first")
    with fixed_ids():
        again = ids("again")
    with fixed_ids(1):
        other = ids("other")

    assert first == again
    assert not set(first) & set(other)
    assert not set(first) & set(ids("none"))


def test_time_moves_on_both_clocks_or_on_one() -> None:
    """Unix time may jump, durations do not."""
    clock = FixedClock(1_000)
    clock.forward(1.5)
    clock.now_ns -= 500

    assert (clock(), clock.monotonic()) == (1_500_000_500, 1_500_000_000)


def test_a_full_disk_is_told_and_costs_nothing_else(tmp_path: Path) -> None:
    """Lines are sent, none is kept, and the failures are counted; afterwards all is as before."""
    with record_in(tmp_path) as recorded:
        with recorded.disk_full(errno.EROFS):
            agentlog.configure(service_name="again")
            with agentlog.task("lost"):
                pass
        with agentlog.task("kept"):
            pass

        assert [task.name for task in recorded.tasks] == ["kept"]
        assert len(recorded.sent_spans) == 2


def test_many_threads_record_while_it_is_read(tmp_path: Path) -> None:
    """Whatever is there at a moment can be read."""
    with record_in(tmp_path) as recorded:

        def work(number: int) -> None:
            for _ in range(5):
                with agentlog.task(f"t{number}"), agentlog.tool("x"):
                    pass

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            recorded.tree()
        for thread in threads:
            thread.join()

        assert len(recorded.tasks) == 20
        assert len(recorded.sent_spans) == 40


def test_secrets_are_found_wherever_they_are(tmp_path: Path) -> None:
    """In values and keys, in JSON within JSON, in bytes, on the console, in requests; not where they are not."""
    text = 'say "ü"\n☃'
    with record_in(tmp_path, content="full") as recorded, agentlog.task("t", input={text: [1, text]}):
        agentlog.get_logger("x").info("hello", value=text)
        with agentlog.tool("x", arguments={"raw": text.encode() + b"\xff", "nested": json.dumps(json.dumps({"a": text}))}):
            pass

    with pytest.raises(AssertionError) as raised:
        recorded.assert_not_left(text)
    message = str(raised.value)
    for place in (
        "01-input.json",
        "a key of input",
        "details.value",
        "details.arguments.raw",
        "arguments.nested",
        "OTLP traces",
        "OTLP logs",
    ):
        assert place in message, place
    recorded.assert_not_left("something else", "☃ü")
    with pytest.raises(ValueError, match="an empty one"):
        recorded.assert_not_left("")


@given(st.text(min_size=1, max_size=12), st.integers(0, 2), st.booleans())
def test_any_text_is_found_in_a_line(tmp_path_factory: pytest.TempPathFactory, text: str, depth: int, ascii_only: bool) -> None:
    """However often it is JSON within JSON, in bytes and as a key."""
    folder = tmp_path_factory.mktemp("lines")
    value = text
    for _ in range(depth):
        value = json.dumps({"a": value}, ensure_ascii=ascii_only)
    raw = {"$bytes": base64.b64encode(text.encode()).decode()}
    (folder / "a.jsonl").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in ({"v": [value]}, {"v": raw}, {text: 1})))

    found = list(places_of(text, [folder], [], f"\n{text}\n" if text.isprintable() else ""))

    assert len([place for place in found if place.startswith("a.jsonl")]) >= 3
    assert [place for place in found if place.startswith("console")] or not text.isprintable()


def test_a_text_that_was_cut_into_chunks_is_found(tmp_path: Path) -> None:
    """Half of it in one line and half in the next."""
    folder = tmp_path / "tasks" / "task-1"
    folder.mkdir(parents=True)
    chunk = {"type": "output", "span_id": "1"}
    lines = [{**chunk, "event_id": f"a-{n}", "chunk": n, "content": text} for n, text in ((1, "hunt"), (2, "er2"))]
    (folder / "metadata.json").write_text('{"task_id": "task-1", "name": "t"}')
    (folder / "03-agent-output.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))

    with pytest.raises(AssertionError, match="across its chunks"):
        Recorded(tmp_path).assert_not_left("hunter2")


def test_a_folder_that_is_damaged_or_empty_can_be_read(tmp_path: Path) -> None:
    """Garbage, nothing at all, and a task without lines."""
    assert Recorded(tmp_path / "none").tree() == ""
    folder = tmp_path / "tasks" / "task-1"
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text("{")
    assert Recorded(tmp_path).tree() == "task task-1 · open"
    (folder / "03-agent-output.jsonl").write_bytes(b'{"type":"task"\n\xff\n[]\n{"phase":"end","span_id":7}\n')
    recorded = Recorded(tmp_path)

    assert recorded.task().outcome is None
    assert recorded.tree()
    assert recorded.task().calls == []

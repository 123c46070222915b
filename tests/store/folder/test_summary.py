"""The figures of a task, and what is open in it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.store.folder.layout import encode_document
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.folder.totals import COUNTED, METRICS, OpenSpan, Tally, replay
from otel_agentlog.vocabulary.lines import INSIDE_CALL, SAME_CALL_AS
from tests.store.golden_writer import HERE as GOLDEN

GOLDEN_TASKS = [task.folder.name for task in list_tasks(GOLDEN)]


def start(span_id: str, line_type: str = "step", **keys: Any) -> dict[str, Any]:
    """A start line, with what a tally looks at."""
    return {
        "timestamp": "2026-11-21T05:22:01.000000000Z",
        "type": line_type,
        "phase": "start",
        "span_id": span_id,
        "state_after": "running",
        **keys,
    }


def end(span_id: str, line_type: str = "step", **keys: Any) -> dict[str, Any]:
    """An end line, with what a tally looks at."""
    return {"timestamp": "2026-11-21T05:22:03.500000000Z", "type": line_type, "phase": "end", "span_id": span_id, **keys}


def ai_calls(*details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Start and end lines of one AI call for each details."""
    lines = []
    for number, each in enumerate(details):
        lines += [start(f"ai{number}", "ai_request"), end(f"ai{number}", "ai_response", details=dict(each))]
    return lines


def tallied(lines: list[dict[str, Any]]) -> Tally:
    """A tally of lines."""
    tally = Tally()
    for line in lines:
        tally.add(line)
    return tally


@pytest.mark.parametrize("name", GOLDEN_TASKS)
def test_replaying_a_golden_folder_gives_the_metrics_in_its_result(name: str) -> None:
    """Writer and reader come to the same figures."""
    task = TaskReader(GOLDEN / name)
    tally = replay(task)
    final = task.final_result()

    assert list(tally.metrics()) == list(METRICS)
    if final is not None:
        assert tally.metrics() == final["metrics"]
        assert tally.task_outcome == final["outcome"]


def test_a_killed_task_tells_what_is_open_in_the_order_it_began() -> None:
    """That is what recovery closes, at the time that was seen last."""
    tally = replay(TaskReader(GOLDEN / "task-0badc0ffee11"))

    opened = [(span.type, span.message, span.step_id, span.state_after) for span in tally.open_spans.values()]
    assert opened == [
        ("task", "Nightly", None, "running"),
        ("step", "collect", "collect", "running"),
        ("segment", "Nightly", None, "running"),
        ("tool_call", "Bash", None, "running"),
    ]
    assert tally.writers == {"5e5e0001": 4, "5e5e0002": 3}
    assert tally.last_seen == "2026-11-21T05:22:01.432512284Z"
    assert tally.task_outcome is None
    assert tally.metrics()["duration_seconds"] == pytest.approx(0.307052)


@pytest.mark.parametrize(
    ("costs", "total"),
    [
        ([], 0.0),
        ([None], None),
        ([None, None], None),
        ([0.1, None], 0.1),
        ([0.1, 0.2], 0.3),
        ([0], 0),
        (["0.1"], None),
        ([True], None),
    ],
)
def test_an_unknown_price_is_null_and_never_zero(costs: list[Any], total: float | None) -> None:
    """Null only if a price is unknown and none is known; a task without AI calls cost nothing."""
    tally = tallied(ai_calls(*({"cost_usd": cost} for cost in costs)))

    assert tally.metrics()["cost_usd"] == total
    assert tally.metrics()["ai_calls"] == len(costs)


def test_a_call_that_says_nothing_of_its_price_is_of_unknown_price() -> None:
    """The key may be missing altogether."""
    assert tallied(ai_calls({})).metrics()["cost_usd"] is None


def test_tokens_add_up_and_are_zero_where_nothing_was_said() -> None:
    """Integers always."""
    metrics = tallied(
        ai_calls({"input_tokens": 3, "output_tokens": 4}, {"input_tokens": 5, "cache_read_input_tokens": 2})
    ).metrics()

    assert [metrics[key] for key in METRICS[1:6]] == [8, 4, 2, 0, 0]


@pytest.mark.parametrize(
    ("lines", "retries"),
    [
        pytest.param([end("a", details={"attempts": 3})], 2, id="by the number on the end line"),
        pytest.param([("attempt_failed", 1, 3), ("attempt_failed", 2, 3)], 2, id="by failures that another attempt follows"),
        pytest.param([("attempt_failed", 1, 2), ("attempt_failed", 2, 2)], 1, id="the last failure is followed by none"),
        pytest.param([("attempt_started", 1, 3), ("attempt_started", 2, 3)], 1, id="by starts after the first"),
        pytest.param(
            [("attempt_failed", 1, 3), ("attempt_started", 2, 3), end("a", details={"attempts": 2})], 1, id="told three ways"
        ),
        pytest.param([("attempt_failed", None, None), end("a", details={"attempts": 4})], 3, id="told in part"),
        pytest.param([end("a", details={"attempts": 1})], 0, id="one attempt"),
        pytest.param([end("a", details={"attempts": "x"})], 0, id="no number"),
    ],
)
def test_a_retry_counts_once_however_it_is_told(lines: list[Any], retries: int) -> None:
    """Attempt lines and the number on the end line say the same thing."""
    tally = tallied([start("a", "tool_call")])
    for line in lines:
        if isinstance(line, tuple):
            action, number, maximum = line
            line = {"type": "attempt", "action": action, "span_id": "a", "details": {"number": number, "maximum": maximum}}
        tally.add(line)

    assert tally.metrics()["retries"] == retries


def test_an_error_counts_once_on_its_way_up() -> None:
    """Tool, step and task end with the same error; another error and an error in the log are two more."""
    error: dict[str, Any] = {"level": "ERROR", "exception": {"error_id": "e1"}}
    lines = [end("tool", "tool_result", **error), end("step", **error), end("task", "task", **error)]
    lines += [
        end("other", level="CRITICAL", exception={"error_id": "e2"}),
        {"type": "log", "level": "ERROR"},
        {"type": "log", "level": "WARNING"},
    ]

    assert tallied(lines).metrics()["errors"] == 3


def test_figures_of_processes_that_follow_each_other_are_joined() -> None:
    """Memory is the highest, CPU time the sum."""
    lines = [
        end("a", "segment", details={"metrics": {"memory_peak_mb": 80.5, "cpu_seconds": 1.5}}),
        end("b", "task", details={"metrics": {"memory_peak_mb": 60, "cpu_seconds": 2.25}}, duration_ms=2500.25, outcome="failed"),
    ]
    metrics = tallied(lines).metrics()

    assert (metrics["memory_peak_mb"], metrics["cpu_seconds"], metrics["duration_seconds"]) == (80.5, 3.75, 2.50025)


def test_the_duration_is_the_best_that_is_known() -> None:
    """The task's end line, else the line that ended it in its place, else first to last."""
    running = tallied([start("t", "task"), end("s")])
    other_end = end("x", "segment", duration_ms=1000)

    assert running.metrics()["duration_seconds"] == 2.5
    assert running.metrics(other_end)["duration_seconds"] == 1.0
    running.add(end("t", "task", duration_ms=2600))
    assert running.metrics(other_end)["duration_seconds"] == 2.6
    assert Tally().metrics()["duration_seconds"] is None


def test_an_end_whose_start_was_lost_still_counts() -> None:
    """One lost line is not one lost AI call."""
    assert tallied([end("a", "ai_response"), end("b", "tool_result"), end("c")]).metrics() == {
        **Tally().metrics(),
        "cost_usd": None,
        "duration_seconds": 0.0,
        "ai_calls": 1,
        "tool_runs": 1,
        "steps": 1,
    }


EXTREME = st.sampled_from([2**63 - 1, -(2**63), 2**64, 10**400, -(10**400), 1e290, -1e290, 1e308, float("inf"), True, None])


@settings(max_examples=200)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(("input_tokens", "output_tokens", "cost_usd", "attempts"), EXTREME))))
def test_figures_fit_into_the_file_whatever_was_added_up(details: list[dict[str, Any]]) -> None:
    """A task that is at its end has its result: JSON and OTLP hold integers of 64 bits."""
    tally = tallied(ai_calls(*details))

    for figures in (tally.metrics(), tally.used()):
        assert json.loads(encode_document(figures)) == figures
        assert all(-(2**63) <= figures[key] < 2**63 for key in ("ai_calls", "retries") if key in figures)


def test_an_open_span_moves_with_its_state() -> None:
    """A paused task is closed from paused."""
    tally = tallied([start("t", "task"), {"type": "state", "span_id": "t", "state_before": "running", "state_after": "paused"}])

    assert tally.open_spans["t"].state_after == "paused"


def test_an_open_span_has_what_it_takes_to_close_it() -> None:
    """Values of a wrong kind are left out."""
    tally = tallied([start("t", "task", name="n", message=7, trace_id="abc", task_id="task-a", event_id="a1-1")])

    assert tally.open_spans["t"] == OpenSpan(
        type="task",
        name="n",
        message=None,
        component=None,
        timestamp="2026-11-21T05:22:01.000000000Z",
        trace_id="abc",
        span_id="t",
        parent_span_id=None,
        task_id="task-a",
        step_id=None,
        event_id="a1-1",
        content=None,
        state_after="running",
    )


def test_threads_may_feed_one_tally() -> None:
    """No line is lost between threads."""
    tally = Tally()

    def feed(thread: int) -> None:
        for number in range(500):
            tally.add(start(f"{thread}-{number}", "ai_request", event_id=f"w{thread}-{number}"))
            tally.add(end(f"{thread}-{number}", "ai_response", details={"input_tokens": 1, "cost_usd": 0.5}))

    threads = [threading.Thread(target=feed, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert tally.metrics()["input_tokens"] == tally.metrics()["ai_calls"] == 2000
    assert tally.metrics()["cost_usd"] == 1000.0
    assert (tally.lines, tally.open_spans, tally.writers) == (4000, {}, {f"w{thread}": 499 for thread in range(4)})


scalars = (
    st.none() | st.booleans() | st.integers(-5, 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
anything = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(max_size=4), scalars, max_size=2)
keys = [
    "timestamp",
    "type",
    "phase",
    "span_id",
    "level",
    "details",
    "exception",
    "event_id",
    "state_after",
    "action",
    "outcome",
    "duration_ms",
]
words = st.sampled_from(["start", "end", "task", "ai_response", "tool_call", "attempt", "attempt_failed", "ERROR", "a"])
wild_details = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("attempts", "cost_usd", "input_tokens", "number", "metrics"), anything)
)
wild_lines = st.dictionaries(st.sampled_from(keys), words | anything | wild_details)


@settings(max_examples=150, deadline=None)
@given(st.lists(wild_lines, max_size=15))
def test_no_line_makes_a_tally_raise(lines: list[dict[str, Any]]) -> None:
    """Lines come from damaged files too; the figures keep their types."""
    metrics = tallied(lines).metrics()

    assert all(isinstance(metrics[key], int) for key in METRICS[1:6] + METRICS[7:12])


_DETAILS = st.fixed_dictionaries(
    {},
    optional={
        "attempts": st.sampled_from([0, 1, 1.0, 2, True, "1", None]),
        INSIDE_CALL: st.sampled_from(["a", "b", "c", None, 5]),
        SAME_CALL_AS: st.sampled_from(["a", "b"]),
        "cost_usd": st.sampled_from([0.5, None]),
        "input_tokens": st.integers(0, 9),
    },
)
_LIFECYCLE = st.fixed_dictionaries(
    {
        "timestamp": st.just("2026-11-21T05:22:01.000000000Z"),
        "type": st.sampled_from([*COUNTED, "span", "task", "attempt", None, 5]),
        "phase": st.sampled_from(["start", "end", "end", None]),
        "span_id": st.sampled_from(["a", "b", "c", "d", None, 7]),
    },
    optional={
        "details": _DETAILS | st.sampled_from([None, "text", []]),
        "level": st.sampled_from(["INFO", "ERROR"]),
        "state_after": st.just("paused"),
        "action": st.sampled_from(["attempt_failed", "attempt_started"]),
    },
)


@given(st.lists(_LIFECYCLE, max_size=12))
@settings(max_examples=500, deadline=None)
def test_a_writer_counts_as_a_reader_does(lines: list[dict[str, Any]]) -> None:
    """Though it takes ordinary lines a shorter way: the same figures, and the same spans are open, after each line."""
    writer, reader = Tally(1_000), Tally()
    for line in lines:
        writer.add(line)
        reader.add(line)
        assert writer.metrics() == reader.metrics()
        assert list(writer.open_spans) == list(reader.open_spans)

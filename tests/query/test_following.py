"""A report that grows with its task says what one that is made anew says, and costs the same however long the task is."""

from __future__ import annotations

import gzip
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otel_agentlog.query import Entry, LineStream, LiveReport, TaskReport, report
from otel_agentlog.store.folder.reader import TaskReader, follow
from otel_agentlog.view.monitor.drawing import header, log_lines, plan_lines
from otel_agentlog.view.monitor.watched_task import WatchedTask
from otel_agentlog.view.render.screen import Glyphs
from otel_agentlog.view.server.live_reports import LiveReports, TreeChanges, whole_tree
from otel_agentlog.view.server.streams import Follower, sse
from otel_agentlog.vocabulary.lines import timestamp
from tests.query.folders import held

OUTPUT, STAGES = "03-agent-output.jsonl", "02-webhook-flow.jsonl"
NS = 1_795_238_521_000_000_000

SPANS = st.sampled_from([f"{number:016x}" for number in range(1, 8)])
KINDS = st.sampled_from(["task", "step", "ai_request", "ai_response", "tool_call", "tool_result", "span"])
DETAILS = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": st.integers(0, 9),
        "cost_usd": st.sampled_from([0.1, 0.25, None]),
        "same_call_as": SPANS,
        "inside_call": SPANS,
        "task_id": st.sampled_from(["sub-1", "sub-2", "gone"]),
        "attempts": st.integers(0, 3),
    },
)
LINE = st.fixed_dictionaries(
    {"timestamp": st.integers(0, 20).map(lambda at: timestamp(NS + at * 1000)), "event_id": st.just("a1-1")},
    optional={
        "type": KINDS | st.sampled_from(["log", "output", "attempt", "subtask", "process"]),
        "phase": st.sampled_from(["start", "end", "start", "end", None]),
        "span_id": SPANS,
        "parent_span_id": SPANS,
        "parent_remote": st.booleans(),
        "action": st.sampled_from(["attempt_failed", "subtask_started", "subtask_ended"]),
        "message": st.sampled_from(["one", "two"]),
        "level": st.sampled_from(["INFO", "ERROR"]),
        "outcome": st.sampled_from(["completed", "failed"]),
        "duration_ms": st.sampled_from([1.5, None]),
        "details": DETAILS,
        "exception": st.fixed_dictionaries({"error_id": st.sampled_from(["e1", "e2"]), "type": st.just("ValueError")}),
    },
)


def add(folder: Path, *lines: dict[str, Any], name: str = OUTPUT) -> None:
    """Append lines as a writer does."""
    with (folder / name).open("ab", buffering=0) as file:
        for each in lines:
            file.write(orjson.dumps(each) + b"\n")


def parts(found: TaskReport) -> list[tuple[Any, ...]]:
    """The tree as plain values; the time of what is open goes on and is left out."""
    return list(_parts(found.roots, 0))


def _parts(entries: list[Entry], depth: int) -> Iterator[tuple[Any, ...]]:
    for each in entries:
        names = (depth, each.kind, each.name, each.status, each.span_id, each.step_id, each.component, each.reason)
        times = (each.start_ns, each.end_ns, each.duration_ms if each.end_ns else None)
        yield *names, *times, each.own, each.total, each.details, each.exception, each.attempts, each.task and each.task.task_id
        yield from _parts(each.children, depth + 1)


def same(live: LiveReport, folder: Path) -> None:
    """Assert that a report made anew says the same."""
    new, grown = report(TaskReader(folder)), live.at_present()
    assert parts(grown) == parts(new)
    assert (grown.said, grown.levels, grown.stages) == (new.said, new.levels, new.stages)
    assert set(grown.problems) == set(new.problems)
    own, other = grown.row.as_json(), new.row.as_json()
    assert {**own, "duration_seconds": 0} == {**other, "duration_seconds": 0}


def _begun(span: int, parent: int | None, at: int, **more: Any) -> dict[str, Any]:
    below = {} if parent is None else {"parent_span_id": f"{parent:016x}"}
    return {
        "timestamp": timestamp(NS + at * 1000),
        "event_id": "a1-1",
        "phase": "start",
        "span_id": f"{span:016x}",
        **below,
        **more,
    }


_SUBTASK = {"timestamp": timestamp(NS), "event_id": "a1-1", "type": "subtask"}


@given(chunks=st.lists(st.lists(LINE, max_size=6), min_size=1, max_size=5))
@example(chunks=[[_begun(2, 1, 0, type="task"), _begun(1, 1, 1)], [_SUBTASK]])
@example(chunks=[[_begun(3, None, 0), _begun(1, 1, 0), _begun(2, 1, 0, type="task")], [_SUBTASK]])
@example(chunks=[[_begun(4, 2, 1, type="task"), _begun(2, 4, 1, type="task")], [_begun(1, 2, 0)]])
@settings(max_examples=60, deadline=None)
def test_a_grown_report_says_what_a_new_one_says(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[list[dict[str, Any]]]
) -> None:
    """After any lines in any order, whatever they nest, close twice or never open."""
    root = tmp_path_factory.mktemp("root")
    folder = root / "task-1"
    for name in ("task-1", "sub-1"):
        (root / name).mkdir()
        (root / name / "metadata.json").write_bytes(b'{"status":"running"}')
    (folder / OUTPUT).touch()
    with held(folder), held(root / "sub-1"):
        live = LiveReport(TaskReader(folder))
        for lines in chunks:
            add(folder, *lines)
            live.poll()
            same(live, folder)


def step(number: int) -> list[dict[str, Any]]:
    """Ten lines: a step with an AI call and a tool run, one after another, as an agent writes them."""
    begin, ids = NS + number * 10**9, [f"{number * 4 + each:016x}" for each in range(2, 5)]

    def line(at: int, kind: str, span: int, **more: Any) -> dict[str, Any]:
        common = {"level": "INFO", "span_id": ids[span], "event_id": f"a1-{number * 10 + at}", "task_id": "task-1"}
        return {"timestamp": timestamp(begin + at * 10**6), "type": kind, **common, **more}

    spent = {"model": "m", "provider": "p", "input_tokens": 1, "output_tokens": 1, "cost_usd": 0.5}
    return [
        line(0, "step", 0, phase="start", message=f"step {number:06}", parent_span_id="1" * 16),
        line(1, "log", 0, message="thinking about it"),
        line(2, "ai_request", 1, phase="start", message="m", parent_span_id=ids[0]),
        line(3, "output", 1, content="a word"),
        line(4, "ai_response", 1, phase="end", message="m", outcome="completed", duration_ms=2.0, details=spent),
        line(5, "tool_call", 2, phase="start", message="Read", content="Read", parent_span_id=ids[0]),
        line(6, "log", 2, message="reading the file"),
        line(7, "tool_result", 2, phase="end", message="Read", content="Read", outcome="completed", duration_ms=1.0),
        line(8, "log", 0, message="thought about it"),
        line(9, "step", 0, phase="end", message=f"step {number:06}", outcome="completed", duration_ms=9.0),
    ]


def long_task(root: Path, lines: int) -> Path:
    """A running task that has so many lines."""
    folder = root / f"task-{lines}"
    folder.mkdir()
    started = {"status": "running", "task_id": "task-1", "name": "long", "started_at": timestamp(NS), "created_at": timestamp(NS)}
    (folder / "metadata.json").write_bytes(orjson.dumps(started))
    begin = {"timestamp": timestamp(NS), "type": "task", "phase": "start", "span_id": "1" * 16, "message": "long"}
    add(folder, begin | {"event_id": "a1-0"}, *(line for number in range(lines // 10) for line in step(number)))
    return folder


def cost_of(poll: Callable[[], object]) -> tuple[int, int]:
    """Own functions called, and bytes read."""
    calls = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal calls
        calls += event == "call" and "otel_agentlog" in frame.f_code.co_filename

    before = bytes_read()
    sys.setprofile(count)
    try:
        poll()
    finally:
        sys.setprofile(None)
    return calls, bytes_read() - before


def bytes_read() -> int:
    """What this process has read so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


def by_reading(folder: Path) -> Callable[[], object]:
    """As `agentlog tail -f` follows a file."""
    lines = follow(TaskReader(folder), poll_seconds=0)
    for _ in folder.joinpath(OUTPUT).read_bytes().splitlines():
        next(lines)
    return lambda: next(lines)


def by_report(folder: Path) -> Callable[[], object]:
    """As whoever needs the whole task does."""
    return LiveReport(TaskReader(folder)).poll


def by_monitor(folder: Path) -> Callable[[], object]:
    """As the monitor does: what it draws of header, plan and log."""
    watched, glyphs = WatchedTask(TaskReader(folder)), Glyphs()

    def look() -> list[Any]:
        watched._next = 0.0
        assert watched.poll()
        plan = watched.parts(details=True)
        drawn = [*header(watched, 100, glyphs), *plan_lines(plan, len(plan) - 20, 20, 100, glyphs)]
        return drawn + list(log_lines(watched.since(watched.came - 1, None), 100, glyphs))

    return look


def by_stream(folder: Path) -> Callable[[], object]:
    """As the page does: events of lines and of the tree, as they are sent."""
    shared = LiveReports().of(TaskReader(folder))
    follower = Follower(TaskReader(folder), clip=4000)
    follower.tree = TreeChanges(shared, whole_tree(shared, None)["tree_offset"], 20_000, None)
    while follower.poll():
        pass
    return lambda: sent.append(sum(len(sse(event)) for event in follower.poll()))


sent: list[int] = []
"""Bytes of each answer of `by_stream`."""


@pytest.mark.parametrize("followed", [by_reading, by_report, by_monitor, by_stream])
def test_a_new_line_costs_the_same_in_a_long_task(tmp_path: Path, followed: Callable[[Path], Callable[[], object]]) -> None:
    """Calls, bytes read and bytes sent a line are within a tenth at 100, 2,000 and 20,000 lines."""
    costs = []
    for lines in (100, 2_000, 20_000):
        folder = long_task(tmp_path, lines)
        with held(folder):
            poll = followed(folder)
            sent.clear()
            found = []
            for line in step(lines // 10):
                add(folder, line)
                found.append(cost_of(poll))
            costs.append([sum(each) for each in (*zip(*found, strict=True), sent)])
    for figures in zip(*costs, strict=True):
        assert max(figures) <= 1.1 * min(figures), costs


def _replace_by_a_longer_one(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "metadata.json").write_bytes(b'{"status":"running"}')
    add(folder, *step(7), *step(8), *step(9))


def _empty(folder: Path) -> None:
    (folder / OUTPUT).write_bytes(b"")


def _shorten(folder: Path) -> None:
    (folder / OUTPUT).write_bytes(b"")
    add(folder, *step(5)[:3])


def _compress(folder: Path) -> None:
    (folder / f"{OUTPUT}.gz").write_bytes(gzip.compress((folder / OUTPUT).read_bytes()))
    (folder / OUTPUT).unlink()


def _compress_and_go_on(folder: Path) -> None:
    _compress(folder)
    add(folder, *step(6))


def _tear(folder: Path) -> None:
    with (folder / OUTPUT).open("ab") as file:
        file.write(b'{"timestamp":"2026-11-21T05:22:01.0')


def _delete(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "change",
    [_replace_by_a_longer_one, _empty, _shorten, _compress, _compress_and_go_on, _tear, _delete],
    ids=lambda f: f.__name__,
)
def test_whatever_happens_to_the_files_the_report_is_that_of_the_folder(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """Replaced, emptied, cut, compressed, torn, deleted: the next look has what is there."""
    folder = long_task(tmp_path, 20)
    live = LiveReport(TaskReader(folder))
    change(folder)
    live.poll()
    if folder.is_dir():
        same(live, folder)
        add(folder, *step(11), name=STAGES)
        live.poll()
        same(live, folder)


def test_the_last_line_of_a_tail_is_shown_once(tmp_path: Path) -> None:
    """One that has no newline yet is whole already, and does not come again when the newline does."""
    folder = long_task(tmp_path, 0)
    with held(folder), (folder / OUTPUT).open("ab", buffering=0) as file:
        first, second, third = step(1)[:3]
        file.write(orjson.dumps(first))
        stream = LineStream(TaskReader(folder))
        assert stream.latest(1) == [first]
        file.write(b"\n")
        add(folder, second, third)
        lines = stream.new()
        assert [next(lines), next(lines)] == [second, third]
        lines.close()  # type: ignore[attr-defined]  # a generator

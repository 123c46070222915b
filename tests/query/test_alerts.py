"""Rules over sliding windows: each fires past its threshold, once, and says when it is over."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import RULES, Alert, Observation, Watch, changed, observations, rules_from, says_something
from otel_agentlog.query.alerts import feed
from otel_agentlog.query.alerts.windows import PARTS, Sums

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND


def _run(watch: Watch, at_s: float, count: int = 1, **given_: Any) -> None:
    for _ in range(count):
        watch.observe(Observation(time_ns=START + int(at_s * SECOND), **{"kind": "tool_run", "outcome": "completed", **given_}))


def _fired(watch: Watch, at_s: float) -> list[tuple[str, bool]]:
    return [(alert.type, alert.resolved) for alert in watch.evaluate(START + int(at_s * SECOND))]


def test_a_tenth_of_failures_is_enough_and_one_more_is_too_much() -> None:
    """The error rate fires above 10 %, not at it."""
    watch = Watch()
    _run(watch, 0, 9)
    _run(watch, 0, 1, outcome="failed")
    assert _fired(watch, 1) == []
    _run(watch, 1, 1, outcome="timed_out")
    assert _fired(watch, 2) == [("error_rate_percent", False)]


def test_an_alert_is_told_once_and_once_more_when_it_is_over() -> None:
    """Deduplicated while it lasts; the recovery notice names the same rule."""
    watch = Watch()
    _run(watch, 0, 5, outcome="failed")
    assert _fired(watch, 1) == [("error_rate_percent", False)]
    assert _fired(watch, 2) == []
    assert [alert.type for alert in watch.active.values()] == ["error_rate_percent"]
    assert _fired(watch, 400) == [("error_rate_percent", True)]
    assert watch.active == {}


def test_slow_tools_fire_at_their_95th_percentile() -> None:
    """The p95 of durations above 30 s; tasks may take as long as they like."""
    watch = Watch()
    _run(watch, 0, 20, duration_s=1.0)
    _run(watch, 0, 1, duration_s=31.0)
    _run(watch, 0, 9, kind="task", duration_s=900.0)
    assert _fired(watch, 1) == []
    _run(watch, 1, 1, duration_s=31.0)
    assert _fired(watch, 2) == [("p95_duration_seconds", False)]


def test_a_gigabyte_of_memory_names_who_took_it() -> None:
    """Peak memory above 1,024 MB, by tool."""
    watch = Watch()
    _run(watch, 0, memory_mb=1024.0, source="small")
    _run(watch, 0, memory_mb=1025.0, source="large")
    (alert,) = watch.evaluate(START + SECOND)
    assert (alert.type, alert.specialist, alert.value, alert.threshold) == ("memory_peak_mb", "large", 1025.0, 1024.0)


def test_half_the_executions_is_a_drop() -> None:
    """The rate of the last five minutes against that of the half hour before."""
    watch = Watch()
    for minute in range(30):
        _run(watch, minute * 60, 2)
    for minute in range(30, 35):
        _run(watch, minute * 60, 1)
    assert _fired(watch, 34.9 * 60) == []
    assert ("execution_rate_drop_percent", False) in _fired(watch, 38 * 60)


def test_the_sixth_error_of_a_minute_is_too_much() -> None:
    """Errors per minute above 5."""
    watch = Watch()
    _run(watch, 0, 5, kind="error")
    assert _fired(watch, 1) == []
    _run(watch, 1, 1, kind="error")
    assert _fired(watch, 2) == [("errors_per_minute", False)]


@pytest.mark.parametrize(
    ("rule", "limit", "given_", "count", "said"),
    [
        ("error_rate_percent", 12, {}, 14, "12.5 % of 16 executions failed in 5 min (limit 12 %)"),
        ("error_rate_percent", 12.4, {}, 14, "12.5 % of 16 executions failed in 5 min (limit 12.4 %)"),
        ("p95_duration_seconds", 30, {"duration_s": 30.04}, 20, "p95 of durations is 30.04 s in 5 min (limit 30 s)"),
        ("memory_peak_mb", 1024, {"memory_mb": 1024.25, "source": "a"}, 1, "a took 1024.2 MB of memory (limit 1024 MB)"),
        ("cost_per_hour_usd", 1, {"kind": "ai_call", "cost_usd": 1.001}, 1, "$1.001 per hour (limit $1)"),
        ("errors_per_minute", 0.7, {"kind": "error", "outcome": None}, 1, "1 errors per minute (limit 0.7)"),
        (
            "task_cost_usd",
            1000000,
            {"kind": "ai_call", "task_id": "t", "cost_usd": 1000000.25},
            1,
            "has spent 1000000.25 US dollars of",
        ),
    ],
)
def test_a_value_beside_its_limit_has_the_digits_it_takes(
    rule: str, limit: float, given_: dict[str, Any], count: int, said: str
) -> None:
    """A value that is too much never reads as one that is not."""
    watch = Watch(rules_from({rule: limit}))
    _run(watch, 0, count, **given_)
    if rule == "error_rate_percent":
        _run(watch, 0, 2, outcome="failed")

    told = {figure.rule.name: figure.words for figure in watch.figures(START + SECOND)}
    assert said in told[rule]


def test_the_third_timeout_of_one_tool_counts_not_that_of_another() -> None:
    """Repeated timeouts are counted by source."""
    watch = Watch({**RULES, "error_rate_percent": changed(RULES["error_rate_percent"], False)})
    _run(watch, 0, 2, outcome="timed_out", source="fetch")
    _run(watch, 0, 2, outcome="timed_out", source="parse")
    assert _fired(watch, 1) == []
    _run(watch, 1, 1, outcome="timed_out", source="fetch")
    (alert,) = watch.evaluate(START + 2 * SECOND)
    assert (alert.type, alert.specialist, alert.value) == ("repeated_timeouts", "fetch", 3.0)


def test_a_dollar_an_hour() -> None:
    """The cost of AI calls in the last hour."""
    watch = Watch()
    _run(watch, 0, 10, kind="ai_call", cost_usd=0.1)
    assert _fired(watch, 1) == []
    _run(watch, 1, 1, kind="ai_call", cost_usd=0.01)
    assert _fired(watch, 2) == [("cost_per_hour_usd", False)]
    assert _fired(watch, 3700) == [("cost_per_hour_usd", True)]


@pytest.mark.parametrize(
    ("rule", "spent"),
    [("task_tokens", {"tokens": 60}), ("task_cost_usd", {"cost_usd": 60.0}), ("task_steps", {"kind": "step"})],
)
def test_a_task_has_a_budget(rule: str, spent: dict[str, Any]) -> None:
    """Budgets are per task, off until given, and end with the task."""
    watch = Watch(rules_from({rule: {"threshold": 100, "action": "stop"}} if rule != "task_steps" else {rule: 1}))
    _run(watch, 0, **{"kind": "ai_call", "task_id": "a", **spent})
    _run(watch, 0, **{"kind": "ai_call", "task_id": "b", **spent})
    assert not [alert for alert in watch.evaluate(START + SECOND) if alert.type == rule]
    _run(watch, 1, **{"kind": "ai_call", "task_id": "a", **spent})
    (alert,) = [alert for alert in watch.evaluate(START + 2 * SECOND) if alert.type == rule]
    assert (alert.task_id, alert.action) == ("a", "warn" if rule == "task_steps" else "stop")
    _run(watch, 3, kind="task", task_id="a")
    assert (rule, True) in _fired(watch, 4)


@pytest.mark.parametrize(
    ("rule", "spent"),
    [("task_tokens", {"tokens": 160}), ("task_cost_usd", {"cost_usd": 160.0}), ("task_steps", {"kind": "step"})],
)
def test_what_a_task_spends_just_before_its_end_is_told(rule: str, spent: dict[str, Any]) -> None:
    """Once, with nothing to be stopped; also where the task's end is the next that is seen."""
    watch = Watch(rules_from({rule: {"threshold": 100, "action": "stop"}} if rule != "task_steps" else {rule: 0}))
    _run(watch, 0, **{"kind": "ai_call", "task_id": "a", **spent})
    _run(watch, 0, kind="task", task_id="a")

    (alert,) = [alert for alert in watch.evaluate(START + SECOND) if alert.type == rule]

    assert (alert.task_id, alert.action, alert.resolved) == ("a", "warn", False)
    assert (rule, True) in _fired(watch, 2)
    assert _fired(watch, 3) == []


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ({"eror_rate": 1}, "eror_rate"),
        ({"error_rate_percent": -1}, "-1"),
        ({"error_rate_percent": "10"}, "'10'"),
        ({"error_rate_percent": True}, "True"),
        ({"error_rate_percent": {"treshold": 1}}, "treshold"),
        ({"error_rate_percent": {"severity": "bad"}}, "bad"),
        ({"task_tokens": {"threshold": 1, "action": "explode"}}, "explode"),
    ],
)
def test_a_bad_rule_is_refused_by_name_and_value(given_: dict[str, Any], named: str) -> None:
    """A configuration error says what was expected and what was found."""
    with pytest.raises(ConfigurationError, match=named):
        rules_from(given_)


def test_what_lines_say() -> None:
    """End lines and first-seen errors are observations; starts and log lines are none."""
    time = "2026-11-21T05:22:01.123456789Z"
    end = {"timestamp": time, "type": "ai_response", "phase": "end", "outcome": "completed", "duration_ms": 1500.0}
    details = {"model": "m", "input_tokens": 10, "output_tokens": 5, "cost_usd": 0.5}
    (seen,) = observations({**end, "task_id": "t", "details": details})
    assert (seen.kind, seen.tokens, seen.cost_usd, seen.duration_s, seen.source) == ("ai_call", 15, 0.5, 1.5, "m")
    error = {"timestamp": time, "type": "log", "level": "ERROR", "exception": {"type": "ValueError", "traceback": ["x"]}}
    assert [seen.kind for seen in observations(error)] == ["error"]
    assert not list(observations({**end, "phase": "start"}))
    assert not list(observations({"type": "task", "phase": "end", "timestamp": 7}))


@pytest.mark.parametrize(
    ("more", "kinds"),
    [
        ({"exception": {"type": "sqlite3.OperationalError", "traceback": ["x"]}}, ["error", "database_error"]),
        ({"exception": {"type": "app.store.DatabaseError", "traceback": ["x"]}}, ["error", "database_error"]),
        ({"exception": {"type": "DatabaseError", "traceback": ["x"]}, "component": "database"}, ["error", "database_error"]),
        ({"exception": {"type": "ValueError", "traceback": ["x"]}, "component": "database"}, ["error", "database_error"]),
        ({"component": "database"}, ["database_error"]),
        ({"exception": {"type": "sqlite3.OperationalError"}, "component": "database"}, []),
        ({"exception": {"type": "OSError"}, "details": {"error_type": "session_error"}}, ["session_error"]),
        ({"exception": {"type": "TimeoutError"}, "details": {"error_type": "timeout", "channel_id": 7}}, ["channel_timeout"]),
        ({"exception": {}, "details": {"error_type": "timeout", "context": {"channel_id": "7"}}}, ["channel_timeout"]),
        ({"exception": {}, "details": {"error_type": "timeout"}}, []),
        ({"component": "database", "level": "WARNING"}, []),
        ({"component": 3, "details": 4, "exception": 5}, []),
    ],
)
def test_errors_of_databases_sessions_and_channels(more: dict[str, Any], kinds: list[str]) -> None:
    """By the class or component of an error first seen, and by what a user is told about one."""
    line = {"timestamp": "2026-11-21T05:22:01.123456789Z", "type": "log", "level": "ERROR", **more}

    assert [seen.kind for seen in observations(line)] == kinds
    assert says_something(line) or not kinds


def test_timeouts_of_one_channel_are_counted_apart() -> None:
    """More than two of one channel; two of another are none."""
    watch = Watch()
    for channel in "1112":
        _run(watch, 0, kind="channel_timeout", source=f"channel {channel}")
    _run(watch, 0, kind="database_error")
    found = {(alert.type, alert.specialist, alert.value) for alert in watch.evaluate(START + SECOND)}

    assert found == {("repeated_timeouts", "channel 1", 3.0), ("database_errors", None, 1.0)}


_SEEN = st.builds(
    Observation,
    time_ns=st.integers(START, START + 7200 * SECOND),
    kind=st.sampled_from(["task", "tool_run", "ai_call", "step", "error"]),
    task_id=st.sampled_from([None, "a", "b"]),
    source=st.sampled_from([None, "x", "y"]),
    outcome=st.sampled_from([None, "completed", "failed", "timed_out", "cancelled"]),
    duration_s=st.none() | st.floats(0, 1e6),
    memory_mb=st.none() | st.floats(0, 1e6),
    cost_usd=st.none() | st.floats(0, 1e3),
    tokens=st.integers(0, 10**9),
)


@given(st.lists(_SEEN, max_size=60))
def test_every_alert_that_began_ends(seen: list[Observation]) -> None:
    """Whatever is observed in whatever order: no alert twice without its end between, and in silence all are over but budgets."""
    watch = Watch(rules_from({"task_tokens": 1000, "task_cost_usd": 5, "task_steps": 3}))
    firing: set[tuple[str, str | None, str | None]] = set()

    def check(alerts: list[Alert]) -> None:
        for alert in alerts:
            assert (alert.key in firing) == alert.resolved
            (firing.discard if alert.resolved else firing.add)(alert.key)

    for each in sorted(seen, key=lambda each: each.time_ns):
        watch.observe(each)
        check(watch.evaluate(each.time_ns))
    check(watch.evaluate(START + 10 * 7200 * SECOND))
    assert {key for key in firing if not key[0].startswith("task_")} == set()
    assert firing == watch.active.keys()


@pytest.mark.parametrize("failures", [1, 2])
def test_one_failure_of_a_few_is_no_alert(failures: int) -> None:
    """11 % of nine executions is one failure; it takes two."""
    watch = Watch()
    _run(watch, 0, 9 - failures)
    _run(watch, 0, failures, outcome="failed")
    assert _fired(watch, 1) == ([("error_rate_percent", False)] if failures > 1 else [])


def test_what_goes_up_and_down_around_the_threshold_is_one_alert() -> None:
    """An hour of 9 to 20 % of failures: it begins once, and ends once when it has been calm for half the window."""
    watch, notices = Watch(), list[tuple[int, bool]]()
    for second in range(0, 7200, 10):
        if second < 3600:
            _run(watch, second, 10)
            _run(watch, second, 3 if second % 600 < 300 else 1, outcome="failed")
        elif second % 60 == 0:
            _run(watch, second, 10)
        notices += [(second, resolved) for name, resolved in _fired(watch, second) if name == "error_rate_percent"]
    assert [resolved for _, resolved in notices] == [False, True]
    assert 3600 + 150 <= notices[1][0] <= 3600 + 300 + 150 + 60


_RATES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.integers(0, 12), st.integers(0, 8)), max_size=120)


@given(_RATES, st.sampled_from([30, 60, 300]), st.sampled_from([None, 0.0, 5.0, 10.0, 50.0]), st.sampled_from([None, 0.0, 45.0]))
def test_one_unbroken_condition_has_one_alert(
    history: list[tuple[int, int, int, int]], window_s: int, ends_at: float | None, hold_s: float | None
) -> None:
    """Whatever happens: an alert begins above the threshold alone, and none ends before its value was low for long enough."""
    rule = {"window_s": window_s, "ends_at": ends_at, "hold_s": hold_s}
    changes = {key: value for key, value in rule.items() if value is not None}
    rules = rules_from({"error_rate_percent": changes, "errors_per_minute": changes, "repeated_timeouts": changes})
    watch, at_s, last_high = Watch(rules), 0, dict[tuple[str, str | None, str | None], int]()
    active: set[tuple[str, str | None, str | None]] = set()
    for pause_s, good, bad, errors in history:
        at_s += pause_s
        _run(watch, at_s, good)
        _run(watch, at_s, bad, outcome="timed_out", source="x")
        _run(watch, at_s, errors, kind="error")
        now_ns = START + at_s * SECOND
        figures = {(each.rule.name, each.specialist, each.task_id): each for each in watch.figures(now_ns)}
        last_high |= {key: now_ns for key, each in figures.items() if each.value > each.rule.end_value}
        for alert in watch.evaluate(now_ns):
            if alert.resolved:
                assert now_ns - last_high[alert.key] >= rules[alert.type].hold_ns
                active.remove(alert.key)
            else:
                assert alert.key not in active
                assert figures[alert.key].value > alert.threshold
                assert figures[alert.key].events >= min(rules[alert.type].at_least_events, rules[alert.type].at_least)
                active.add(alert.key)
        assert active == watch.active.keys()
        assert all(key in active for key, each in figures.items() if each.is_too_much)


def test_a_rule_that_is_off_costs_no_memory() -> None:
    """Nobody asks for its sums, so adding moves the window."""
    sums = Sums(60.0)
    for second in range(10_000):
        sums.add(second * 1_000_000_000)

    assert len(sums._parts) <= 2 * PARTS
    assert sums.count(9_999 * 1_000_000_000) == PARTS


@pytest.mark.parametrize("overlap_s", [0, 10])
def test_a_feed_forgets_tasks_that_ended_long_ago(tmp_path: Path, overlap_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And takes no line twice when one of them goes on."""
    monkeypatch.setattr(feed, "KEPT_S", 0)
    monkeypatch.setattr(feed, "OVERLAP_S", overlap_s)
    agentlog.configure(directory=tmp_path, console="off")
    watched = feed.Feed(tmp_path, time.time_ns())
    for number in range(3):
        with agentlog.task("T", task_id=f"task-{number}"), agentlog.tool("Read"):
            pass
    seen = watched.poll()
    for _ in range(3):
        seen += watched.poll()

    assert overlap_s or watched._followed == {}
    assert sum(each.kind == "tool_run" for each in seen) == 3


def test_a_feed_goes_on_in_a_folder_that_was_deleted_and_made_again(tmp_path: Path) -> None:
    """Its file is another one, and shorter; and one whose lines were written again has none that is new."""
    agentlog.configure(directory=tmp_path, console="off")
    watched = feed.Feed(tmp_path, time.time_ns())
    with agentlog.task("T", task_id="again"):
        for _ in range(20):
            with agentlog.tool("Read"):
                pass
    assert sum(each.kind == "tool_run" for each in watched.poll()) == 20

    shutil.rmtree(tmp_path / "again")
    with agentlog.task("T", task_id="again"), agentlog.tool("Write"):
        pass
    assert sum(each.kind == "tool_run" for each in watched.poll()) == 1

    lines = tmp_path / "again" / "03-agent-output.jsonl"
    lines.write_bytes(b"{}\n" + lines.read_bytes())
    assert watched.poll() == []

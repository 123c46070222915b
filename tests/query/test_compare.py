"""Two groups of tasks compared: figures against those by hand and by numpy, intervals, what is left out, where they part."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy import stats

from otel_agentlog.errors import AgentlogError, FilterError
from otel_agentlog.query import Change, GroupComparison, compare, side_of
from otel_agentlog.query.comparison import intervals as intervals_module
from otel_agentlog.query.comparison import samples
from otel_agentlog.query.comparison.paths import ways
from tests.query.compared_tasks import Writer


def compared(root: Path, a: str = "tag:a", b: str = "tag:b", **options: Any) -> GroupComparison:
    """The comparison of two filters."""
    return compare(side_of(root, a), side_of(root, b), **options)


def change(found: GroupComparison, name: str) -> Change:
    """One of the figures."""
    return next(each for each in found.changes if each.name == name)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "tasks")


# Figures ----------------------------------------------------------------------------------------------------------------------


def test_figures_are_those_by_hand(writer: Writer) -> None:
    """Means over the tasks that know, shares of runs, percentiles by nearest rank; unknown is not 0."""
    writer.add("a", cost=0.10, seconds=1.0, tools=(("Read", "completed"), ("Read", "failed")), score=1.0)
    writer.add("a", cost=None, seconds=3.0, status="failed", tools=(("Read", "completed"),), category="TIMEOUT")
    writer.add("a", cost=0.20, seconds=8.0, status="cancelled")
    writer.add("b", cost=0.30, seconds=4.0, score=0.5, tools=(("Bash", "timed_out"),), tokens=(1000, 100))
    found = compared(writer.root, with_intervals=False)

    def figures(name: str) -> tuple[float | None, float | None, float | None]:
        each = change(found, name)
        return each.a.value, each.b.value, each.difference

    assert figures("success") == (0.5, 1.0, 0.5)  # the cancelled one is neither
    assert figures("cost") == (0.15, 0.3, 0.15)
    assert change(found, "cost").a.known == 2
    assert change(found, "cost").relative == pytest.approx(1.0)
    assert figures("duration") == (4.0, 4.0, 0.0)
    assert figures("duration_p50") == (3.0, 4.0, 1.0)
    assert figures("duration_p95") == (8.0, 4.0, -4.0)
    assert figures("tokens") == (110.0, 1100.0, 990.0)
    assert figures("tool.Read.calls") == (1.0, 0.0, -1.0)
    assert figures("tool.Read.failures") == (pytest.approx(1 / 3), None, None)
    assert figures("tool.Bash.failures") == (None, 1.0, None)
    assert figures("error.TIMEOUT") == (pytest.approx(1 / 3), 0.0, pytest.approx(-1 / 3))
    assert figures("score.quality") == (1.0, 0.5, -0.5)
    assert (found.a.tasks, dict(found.a.by_status)) == (3, {"cancelled": 1, "completed": 1, "failed": 1})


def test_what_goes_on_and_what_is_damaged_is_left_out_and_counted(writer: Writer) -> None:
    """Only tasks that ended, in folders that could be read whole."""
    writer.add("a")
    writer.add("a", status="pending", cost=99.0)
    broken = writer.add("a", cost=99.0)
    (broken / "04-final-result.json").write_text('{"outcome": "comp')
    writer.add("b")
    found = compared(writer.root, with_intervals=False)

    assert (found.a.tasks, found.a.going_on, found.a.damaged) == (1, 1, 1)
    assert (found.b.tasks, found.b.going_on, found.b.damaged) == (1, 0, 0)
    assert change(found, "cost").a.value == 0.02


def test_means_are_those_of_numpy_and_intervals_those_of_scipy(writer: Writer) -> None:
    """The difference of two means, as `scipy.stats.bootstrap` has it for the plain values; Wilson and Newcombe for success."""
    draw = np.random.default_rng(3)
    costs = [draw.gamma(2, 0.01, 60).round(6), draw.gamma(2, 0.016, 45).round(6)]
    for tag, each in zip("ab", costs, strict=True):
        for number, cost in enumerate(each):
            writer.add(tag, cost=float(cost), status="failed" if number % (10 if tag == "a" else 3) == 0 else "completed")
    found = compared(writer.root, with_ways=False)
    cost, success = change(found, "cost"), change(found, "success")

    assert cost.a.value == pytest.approx(np.mean(costs[0]), abs=1e-9)
    assert cost.difference == pytest.approx(np.mean(costs[1]) - np.mean(costs[0]), abs=1e-9)
    expected = stats.bootstrap(
        costs,
        lambda x, y, axis: np.mean(y, axis=axis) - np.mean(x, axis=axis),
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert cost.difference_interval == pytest.approx(tuple(expected), abs=0.0006)
    assert cost.is_beyond_chance

    wilson = [stats.binomtest(k, n).proportion_ci(0.95, "wilson") for k, n in ((54, 60), (30, 45))]
    assert success.a.interval == pytest.approx(tuple(wilson[0]), abs=1e-8)
    low = 30 / 45 - 54 / 60 - math.hypot(30 / 45 - wilson[1].low, wilson[0].high - 54 / 60)
    high = 30 / 45 - 54 / 60 + math.hypot(wilson[1].high - 30 / 45, 54 / 60 - wilson[0].low)
    assert success.difference_interval == pytest.approx((low, high), abs=1e-8)


def test_newcombe_gives_the_figures_of_his_paper() -> None:
    """56 of 70 and 48 of 80 (Newcombe 1998, table II, method 10): 0.0524 to 0.3339."""
    a, b = (samples.SideSums(n, 0, 0, 1, ratios={"success": samples.Ratio(1)}) for n in (80, 70))
    a.ratios["success"].add(0, 48, 80)
    b.ratios["success"].add(0, 56, 70)
    found = intervals_module._of_success(a, b).difference
    assert found == pytest.approx((0.0524, 0.3339), abs=0.0001)


def test_small_groups_have_no_interval_and_say_so(writer: Writer) -> None:
    """n = 3: no interval."""
    for _ in range(3):
        writer.add("a")
    for _ in range(20):
        writer.add("b")
    found = change(compared(writer.root, with_ways=False), "cost")
    assert (found.difference_interval, found.note, found.is_beyond_chance) == (None, "n = 3: no interval", None)
    assert found.a.interval is None


def test_the_same_seed_gives_the_same_intervals(writer: Writer) -> None:
    """Another one gives others, which are near."""
    for number in range(24):
        writer.add("ab"[number % 2], cost=number / 100, seconds=float(number))
    one, again, other = (compared(writer.root, seed=seed, with_ways=False) for seed in (1, 1, 2))
    assert one.changes == again.changes
    name = "cost"
    assert change(one, name).difference_interval != change(other, name).difference_interval
    assert change(one, name).difference_interval == pytest.approx(change(other, name).difference_interval, abs=0.01)


def test_of_many_tasks_the_intervals_are_as_wide(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tasks are dealt into units, the figures are the same and the intervals those of the mean all the same."""
    draw = np.random.default_rng(5)
    for number, cost in enumerate(draw.gamma(2, 0.01, 600)):
        writer.add("ab"[number % 2], cost=round(float(cost), 6), tools=(("Read", "completed"),) * (number % 3))
    whole = compared(writer.root, with_ways=False)
    monkeypatch.setattr(samples, "MAX_UNITS", 60)
    dealt = compared(writer.root, with_ways=False)
    for one, other in zip(whole.changes, dealt.changes, strict=True):
        assert (one.a.value, one.b.value, one.a.known) == (other.a.value, other.b.value, other.a.known)
    for name in ("cost", "tool.Read.calls"):
        widths = [high - low for low, high in (change(each, name).difference_interval or (0, 0) for each in (whole, dealt))]
        assert widths[1] == pytest.approx(widths[0], rel=0.35)


def test_without_scipy_it_says_what_to_install(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; without intervals the figures come all the same, and two tasks need none."""
    folders = [writer.add("a"), writer.add("b")]
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(AgentlogError, match=r"pip install 'otel_agentlog\[compare\]'"):
        compared(writer.root)
    assert change(compared(writer.root, with_intervals=False), "cost").difference == 0
    assert compared(writer.root, folders[0].name, folders[1].name).is_of_two_tasks


# Properties -------------------------------------------------------------------------------------------------------------------

COSTS = st.none() | st.integers(0, 10**6).map(lambda units: units / 10**6)
TASKS = st.lists(
    st.tuples(st.sampled_from(["completed", "failed", "cancelled", "timed_out"]), COSTS, st.integers(0, 9)), max_size=14
)


def _write(root: Path, sides: Sequence[Sequence[tuple[str, float | None, int]]]) -> None:
    writer = Writer(root)
    for tag, tasks in zip("ab", sides, strict=True):
        for status, cost, number in tasks:
            tools = (("Read", "failed" if number % 2 else "completed"),) * number
            writer.add(tag, status=status, cost=cost, seconds=float(number), tools=tools, score=number / 9 if number else None)


@given(sides=st.tuples(TASKS, TASKS))
@example(sides=([("completed", 0.1 * each, each % 3) for each in range(9)],) * 2)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_swapping_the_sides_turns_the_signs(tmp_path_factory: pytest.TempPathFactory, sides: Any) -> None:
    """Of differences and of their intervals; and what is compared with itself differs in nothing."""
    root = tmp_path_factory.mktemp("swapped")
    _write(root, sides)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(intervals_module, "RESAMPLES", 200)
        one, other, same = compared(root), compared(root, "tag:b", "tag:a"), compared(root, "tag:a", "tag:a")
    for there, back in zip(one.changes, other.changes, strict=True):
        assert (there.a, there.b) == (back.b, back.a)
        assert there.difference == (None if back.difference is None else pytest.approx(-back.difference))
        if there.difference_interval is None or back.difference_interval is None:
            assert there.difference_interval is back.difference_interval is None
        else:
            low, high = back.difference_interval
            assert there.difference_interval == pytest.approx((-high, -low), abs=2e-9)
            assert there.difference_interval[0] <= there.difference_interval[1]
    for each in same.changes:
        assert each.difference in (None, 0)
        assert not each.is_beyond_chance
    assert same.ways is None or same.ways.parting is None


# Sides ------------------------------------------------------------------------------------------------------------------------


def test_a_side_is_a_filter_a_task_a_root_or_a_value(writer: Writer, tmp_path: Path) -> None:
    """Read in this order: a path, an id or its beginning, a filter; with ``by`` a value."""
    task = writer.add("a")
    writer.add("b")
    other = Writer(tmp_path / "other")
    other.add("a")
    root = writer.root

    assert side_of(root, "tag:a").said == "tag:a"
    assert side_of(root, "task-0001").task is not None
    assert side_of(root, "0001").task is not None
    assert side_of(root, "000").task is None  # too short for the beginning of an id: a word
    assert side_of(root, f"{task}/").task is not None
    assert side_of(root, "last").said == "task-0002"
    assert side_of(root, str(other.root)).root == other.root
    assert side_of(root, "").said == "all tasks"
    assert compare(side_of(root, "a", by="tag"), side_of(root, "*", by="tag"), with_intervals=False).b.tasks == 2
    found = compare(side_of(root, ""), side_of(root, f"{other.root}/"), with_intervals=False)
    assert (found.a.tasks, found.b.tasks) == (2, 1)


@pytest.mark.parametrize("text", ["../other", "..", "/etc", "task-0001/../../other"])
def test_where_paths_are_none_nothing_outside_is_looked_at(writer: Writer, tmp_path: Path, text: str) -> None:
    """Over REST a path is words."""
    writer.add("a")
    Writer(tmp_path / "other").add("a")
    side = side_of(writer.root, text, paths=False)
    assert (side.root, side.task) == (writer.root, None)


def test_wrong_sides_are_told(writer: Writer) -> None:
    """A key that does not exist, an empty value, a filter that cannot be read."""
    with pytest.raises(FilterError, match=r"found 'modle', did you mean 'model'\?"):
        side_of(writer.root, "x", by="modle")
    with pytest.raises(FilterError, match="expected a value, found an empty one"):
        side_of(writer.root, "", by="tag")
    with pytest.raises(FilterError, match="expected a number"):
        side_of(writer.root, "cost>much")


# Where they part --------------------------------------------------------------------------------------------------------------


def test_groups_part_at_the_first_step_that_goes_otherwise(writer: Writer) -> None:
    """An additional step in a few tasks makes the later ones not differ; the step that fails more often is the place."""
    for number in range(30):
        steps = ("fetch", "plan", "act", "report") if number % 6 else ("fetch", "plan", "think", "act", "report")
        writer.add("a", steps=steps)
        writer.add("b", steps=steps, fails="act" if number % 2 else "")
    ways_found = compared(writer.root, with_intervals=False).ways
    assert ways_found is not None
    parting = ways_found.parting
    assert parting is not None
    assert ways_found.way[parting.at].name == "act"
    assert (parting.what, parting.before, parting.beyond_chance) == ("completed", False, True)
    assert (parting.share_a, parting.share_b) == (1.0, 0.5)


def test_groups_part_before_a_step_that_one_does_something_else_first(writer: Writer) -> None:
    """What is done in addition is told, with the step that it comes before; names that differ in a number are one."""
    for number in range(20):
        writer.add("a", steps=(f"fetch {number}", "report"))
        writer.add("b", steps=(f"fetch {number}", "search the web", "report") if number % 4 else (f"fetch {number}", "report"))
    found = compared(writer.root, with_intervals=False).ways
    assert found is not None
    assert found.parting is not None
    assert (found.way[found.parting.at].name, found.parting.what, found.parting.before) == ("report", "step search the web", True)
    assert (found.parting.share_a, found.parting.share_b) == (0.0, 0.75)


def test_few_tasks_part_perhaps_by_chance(writer: Writer) -> None:
    """Of two tasks on each side nothing is beyond chance; a large difference is told with that."""
    for tag in "ab":
        for _ in range(2):
            writer.add(tag, fails="act" if tag == "b" else "")
    found = compared(writer.root).ways
    assert found is not None
    assert found.parting is not None
    assert not found.parting.beyond_chance


def test_folders_that_are_gone_are_not_read(writer: Writer, tmp_path: Path) -> None:
    """Deleted between the question and its answer."""
    found = ways([writer.add("a"), tmp_path / "gone"], [writer.add("b")])
    assert (found.read_a, found.read_b) == (1, 1)


def test_two_tasks_differ_first_in_the_innermost_part(writer: Writer) -> None:
    """Not in the task and step around it, which failed because it did."""
    one = writer.add("a", tools=(("Read", "completed"), ("Bash", "completed")))
    other = writer.add("b", tools=(("Read", "completed"), ("Bash", "failed")), status="failed", fails="plan")
    found = compared(writer.root, one.name, other.name).first
    assert found is not None
    assert (found.part.entry.kind, found.part.entry.name, found.above) == ("tool_run", "Bash", ["t", "plan"])
    assert found.lines == ["- outcome: completed", "+ outcome: failed"]
    assert compared(writer.root, one.name, one.name).first is None

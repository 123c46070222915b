"""`benchmarks/speed.py` in the smallest: what is counted is counted, what is told is told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import speed
from benchmarks.speed import BARS, MARKS, Loads, Results, Runs, grown
from benchmarks.systems.followers import FOLLOWERS
from benchmarks.systems.plots import Line, Panel, svg
from benchmarks.systems.receiver import receiving
from benchmarks.systems.workload import EVENTS_OF_A_TASK, LOGS_OF_A_TASK, SPANS_OF_A_TASK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with receiving() as receiver:
        yield Runs(tmp_path, receiver, dict.fromkeys(("sdk", "product", "structlog"), sys.executable))


@pytest.mark.parametrize("scenario", speed.SCENARIOS)
def test_everything_that_both_record_arrives_and_is_counted_by_its_id(runs: Runs, scenario: str) -> None:
    """The bare SDK and the product, with the same work; the product's is in the folder, too."""
    loads = Loads()

    loads.run(runs, 0, scenario, ["sdk", "product", "structlog"], tasks=3, timed_tasks=3)

    for system in ("sdk", "product"):
        row = loads.rounds[scenario, system][0]
        assert row["received"]["spans"] == row["made_tasks"] * SPANS_OF_A_TASK
        assert row["received"]["logs"] == row["made_tasks"] * LOGS_OF_A_TASK
        assert row["received"]["twice"] == 0
        assert row["app_us_task"] > 0 < row["total_us_task"]
    assert (loads.lost, loads.arrived) == (0, loads.made)
    assert loads.medians(scenario, "sdk")["app_ratio"] == 1.0
    assert loads.medians(scenario, "structlog")["lost"] is None


def test_what_the_receiver_did_not_get_is_shipped_from_the_folders(runs: Runs) -> None:
    """With nobody there nothing arrives, and all of it afterwards."""
    away = runs("load", down=True, tasks=2, timed_tasks=0)

    assert away["received"]["requests"] == 0
    received = runs.ship(Path(away["folder"]))
    assert received["spans"] + received["logs"] == away["made_tasks"] * EVENTS_OF_A_TASK


def test_costs_within_a_process_are_told_by_size(runs: Runs) -> None:
    """Events of a task, and open tasks."""
    lengths = runs("events_of_a_task", sizes=(10, 1000, 2000), rounds=1)["sizes"]
    opened = runs("open_tasks", sizes=(1, 20), rounds=1)

    assert list(lengths) == ["10", "1000", "2000"]
    assert list(opened["one"]) == list(opened["turn"]) == ["1", "20"]
    assert all(cost["app_us"] > 0 for cost in lengths.values())


def test_single_costs_are_of_what_they_say(runs: Runs) -> None:
    """The AI call had a price, the folder five files."""
    assert runs("first_price")["cost_usd"] > 0
    assert runs("task_folder", tasks=3)["files"] == 5


def test_followers_show_what_is_recorded(runs: Runs) -> None:
    """The command line, the page and the monitor; none without taking the processor."""
    found = runs("followed", sizes=(20,))

    assert all(found[kind]["20"] > 0 for kind in FOLLOWERS)


def test_a_system_that_cannot_be_installed_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As without a network."""
    speed.PACKAGES["nobody"] = ("--no-index", "no-such-package")
    try:
        assert speed.environment_of("nobody", tmp_path) is None
    finally:
        del speed.PACKAGES["nobody"]
    assert "nobody is left out, it cannot be installed" in capsys.readouterr().err


def test_growth_is_the_most_that_more_costs() -> None:
    """What gets cheaper with size is no growth."""
    assert grown([10.0, 8.0, 8.8]) == pytest.approx(1.1)
    assert grown([10.0, 9.0]) == pytest.approx(0.9)


def test_figures_are_held_against_their_bars() -> None:
    """At most or at least; what was not measured neither holds nor fails."""
    results = Results()
    for name, value in {"log_p50_us": 7.0, "delivered_percent": 99.9, "lost_lines": 0, "catalogue_ms": None}.items():
        results.set(name, value)

    found = {name: (each["holds"], each["reaches_aim"]) for name, each in results.figures.items()}
    assert found == {
        "log_p50_us": (True, False),
        "delivered_percent": (False, False),
        "lost_lines": (True, True),
        "catalogue_ms": (None, None),
    }
    table = "\n".join(speed.table_of_bars(results))
    assert "| a log call, median | 7 µs | ≤ 10 | ≤ 5 | holds |" in table
    assert "not measured" in table


def test_the_table_of_the_readme_is_replaced_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else."""
    monkeypatch.setattr(speed, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text(f"before\n{MARKS[0]}\noutdated\n{MARKS[1]}\nafter\n")
    results = Results(machine="a machine", rounds=3, short=True)
    results.set("log_p50_us", 7.0)

    speed.rewrite_readme(results)

    text = (tmp_path / "README.md").read_text()
    assert text.startswith(f"before\n{MARKS[0]}\n")
    assert text.endswith(f"\n{MARKS[1]}\nafter\n")
    assert "outdated" not in text
    assert "`python -m benchmarks.speed --short`" in text
    assert all(mark in (Path(__file__).parents[1] / "README.md").read_text() for mark in MARKS)


def test_a_plot_is_a_well_formed_picture_of_its_points() -> None:
    """One point, flat lines and two lines in a chart."""
    lines = [Line("a & b", [(1, 10.0), (1000, 10.0)]), Line("c", [(1, 0.5), (1000, 17.0)])]

    picture = ElementTree.fromstring(svg("a < b", [Panel("x", lines), Panel("y", [Line("d", [(10, 3.0)])])]))

    circles = [each for each in picture.iter() if each.tag.endswith("circle") and each.get("r") == "3.5"]
    assert len(circles) == 5
    assert all(0 <= float(each.get("cy") or -1) <= 210 for each in circles)


def test_every_bar_asks_less_than_its_aim() -> None:
    """An aim is the harder of the two."""
    assert all(bar.holds(bar.aim, bar.bar) for bar in BARS.values())

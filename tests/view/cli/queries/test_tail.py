"""``agentlog tail``: a task's lines as they come."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from otel_agentlog.vocabulary.terminal_text import width
from tests.support.waiting import wait_until
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.cli.terminal import Terminal, agentlog, as_wide_as, on_terminal, plain
from tests.view.stories import Worker


def test_lines_of_both_files_stand_in_the_order_of_time(stories: Path) -> None:
    """Stages, starts, ends, what was said; each with time, type and who speaks."""
    lines = agentlog("tail", "task-review42", "-n", "all", "--root", stories).lines
    times = [line[:12] for line in lines]

    # Times of the day begin anew at midnight.
    assert sum(one > other for one, other in pairwise(times)) <= (times[0] > times[-1])
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3}  \w+", line) for line in lines)
    text = "\n".join(lines)
    for part in (
        "validation  passed",
        "plan started",
        r"claude-opus-4-5 completed in [\d.]+m?s  1\.2k in, 850 out, \$0\.023",
        "Read: attempt 1 failed  OSError: disk is busy, waiting 100ms",
        "sub-task Check style completed  task-style",
        r"judge failed in [\d.]+m?s  ValueError: boom: the verdict is missing  \[[0-9a-z]{8}\]",
        "thinking +agent +The diff touches …",
    ):
        assert re.search(part, text), part


def test_the_last_lines_are_chosen_by_number(stories: Path) -> None:
    """As of ``tail``: the end of the whole."""
    everything, three, none = (agentlog("tail", "task-review42", "-n", n, "--root", stories).lines for n in ("all", 3, 0))

    assert (three, none) == (everything[-3:], [])


def test_json_is_the_lines_themselves(stories: Path) -> None:
    """One JSON object a line, as in the folder, harmless to a terminal."""
    ran = agentlog("tail", "task-hostile", "-n", "all", "--json", "--root", stories)
    found = [json.loads(line) for line in ran.lines]
    file = (stories / "task-hostile" / "03-agent-output.jsonl").read_bytes().split(b"\n")

    assert sorted(found, key=lambda line: line["event_id"]) == sorted(
        (json.loads(line) for line in file if line), key=lambda line: line["event_id"]
    )
    assert set(acts_on_a_terminal(ran.out)) == {"\n"}


def test_following_goes_on_until_the_task_ends(tmp_path: Path) -> None:
    """New lines come by themselves, and the end is said."""
    root = tmp_path / "tasks"
    with Worker(root) as worker:
        terminal = Terminal("tail", "-f", worker.task_id, "--root", root)
        wait_until(lambda: "Bash started" in plain(terminal.shown), "what was there before")
        worker.finish()
        ran = terminal.end()

    text = plain(ran.out)
    assert ran.code == 0
    assert text.count("Bash started") == 1
    assert re.search(
        r"Bash completed in .*\n.*done\n.*long step completed.*\n.*Still at work completed.*\nThe task has ended: completed\n",
        text,
    )


def test_following_ends_when_the_process_is_gone(tmp_path: Path) -> None:
    """Nobody waits for lines that cannot come."""
    root = tmp_path / "tasks"
    with Worker(root) as worker:
        terminal = Terminal("tail", "-f", worker.task_id, "--root", root)
        wait_until(lambda: "Bash started" in plain(terminal.shown), "what was there before")
        worker.kill()
        ran = terminal.end()

    assert ran.code == 0
    assert (
        plain(ran.out).splitlines()[-1] == "interrupted: its process is gone; nothing more comes until it is resumed or recovered"
    )


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_ctrl_c_ends_it_quietly(stories: Path, more: list[str]) -> None:
    """No traceback, and the exit code of an interrupt."""
    terminal = Terminal("tail", "-f", "task-paused", "--root", stories, *more)
    wait_until(lambda: "approval" in terminal.shown, "what was there before")
    terminal.interrupt()
    ran = terminal.end()

    assert ran.code == 130
    assert "Traceback" not in ran.out


@pytest.mark.parametrize("columns", [60, 80, 99, 100, 160])
@pytest.mark.parametrize("task", ["task-review42", "task-wide", "task-hostile"])
def test_lines_fit_the_terminal(stories: Path, task: str, columns: int) -> None:
    """One line each, whatever stands in it, and what became of it is seen."""
    lines = as_wide_as(columns, "tail", task, "--root", stories).lines

    assert [line for line in lines if width(line) > columns] == []
    assert any(re.search(r"(completed|failed) in", line) for line in lines)


def test_full_shows_every_line_of_a_text(stories: Path) -> None:
    """Without it, how many there are; tracebacks too."""
    brief, full = (agentlog("tail", "task-wide", "--root", stories, *more).out for more in ([], ["--full"]))

    assert "one … (+2 lines)\n" in brief
    assert re.search(r"one\n +two    three\n +four\n", full)
    assert "Traceback (most recent call last):" in agentlog("tail", "task-review42", "--full", "--root", stories).out


def test_hostile_texts_stay_text(stories: Path) -> None:
    """Brief and full, on a terminal."""
    for task in ("task-hostile", "task-wide"):
        for more in ([], ["--full"]):
            out = plain(on_terminal("tail", task, "--root", stories, *more, columns=120).out)
            assert set(acts_on_a_terminal(out)) == {"\n"}

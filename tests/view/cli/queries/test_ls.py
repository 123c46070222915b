"""``agentlog ls``: what is there, at a glance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otel_agentlog.view.cli.main import main
from otel_agentlog.vocabulary.terminal_text import width
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.cli.terminal import agentlog, as_wide_as, on_terminal, plain
from tests.view.stories import Worker


def rows(out: str) -> dict[str, str]:
    """The lines of a list by task id."""
    return {line.split()[1]: line for line in plain(out).splitlines()[1:] if len(line.split()) > 1}


def test_every_task_has_its_line(stories: Path) -> None:
    """Sign, id, name, state, agent, start, time, AI calls, tokens, cost, errors."""
    found = rows(agentlog("ls", "--root", stories).out)

    assert len(found) == 10
    assert found["task-review42"].startswith("✗  task-review42   Review PR 42 ")
    assert found["task-review42"].split()[-4:] == ["1", "2.0k", "$0.023", "1"]
    assert "completed" in found["task-parallel"]
    assert "searcher" in found["task-parallel"]


def test_an_unknown_price_is_not_zero(stories: Path) -> None:
    """A model without a price shows a question mark, a task without AI calls nothing."""
    found = rows(agentlog("ls", "--root", stories).out)

    assert found["task-slow"].split()[-4:] == ["1", "11", "?", "1"]
    assert "$" not in found["task-well"]


def test_a_killed_task_is_interrupted(stories: Path) -> None:
    """Nobody has to know that metadata.json still says running."""
    (line,) = (line for task, line in rows(agentlog("ls", "--root", stories).out).items() if task.startswith("task-open"))

    assert line.startswith("!")
    assert "interrupted" in line


def test_a_running_task_is_marked(tmp_path: Path) -> None:
    """While its process lives, and only then."""
    root = tmp_path / "tasks"
    with Worker(root) as worker:
        running = rows(agentlog("ls", "--root", root).out)[worker.task_id]
        worker.kill()
    killed = rows(agentlog("ls", "--root", root).out)[worker.task_id]

    assert (running[0], killed[0]) == ("●", "!")
    assert " running " in running


def test_subtasks_stand_below_their_task(stories: Path) -> None:
    """Marked, directly below, where both are shown; marked also where the task is not."""
    lines = agentlog("ls", "--root", stories).lines
    (number,) = (number for number, line in enumerate(lines) if "task-review42" in line)

    assert "↳ Check style" in lines[number + 1]
    assert "↳ Check style" in agentlog("ls", "--root", stories, "--status", "completed").out


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--failed"], {"task-review42", "task-slow", "task-hostile"}),
        (["--status", "cancelled"], {"task-cancelled"}),
        (["--status", "paused,Timed-Out"], {"task-paused", "task-slow"}),
        (["--failed", "--status", "paused"], {"task-review42", "task-slow", "task-hostile", "task-paused"}),
    ],
)
def test_tasks_can_be_chosen_by_their_state(stories: Path, arguments: list[str], found: set[str]) -> None:
    """``--failed`` is what nobody wanted; ``--status`` takes several, in any case."""
    tasks = {task["task_id"] for task in json.loads(agentlog("ls", "--root", stories, "--json", *arguments).out)["tasks"]}

    assert {task for task in tasks if not task.startswith("task-open")} == found
    assert any(task.startswith("task-open") for task in tasks) == ("--failed" in arguments)


def test_the_limit_says_that_there_are_more(stories: Path) -> None:
    """And how to see them; 0 shows all."""
    limited, everything = (agentlog("ls", "--root", stories, "--limit", limit) for limit in (3, 0))

    assert limited.lines[-1] == "3 of 10 tasks; --limit 0 shows all"
    assert len(limited.lines) == 5
    assert len(everything.lines) == 11


def test_json_is_one_document_in_the_words_of_the_folder(stories: Path) -> None:
    """Metadata, metrics, and what follows from them."""
    found = json.loads(agentlog("ls", "--root", stories, "--json").out)
    review = next(task for task in found["tasks"] if task["task_id"] == "task-review42")

    assert (found["root"], found["matching"]) == (str(stories), 10)
    expected = {"name": "Review PR 42", "status": "failed", "process_gone": False, "assigned_agent": "brain", "source": "webhook"}
    expected |= {"provider": "github", "tags": ["demo"], "ai_calls": 1, "input_tokens": 1200, "cost_usd": 0.0234, "retries": 1}
    expected |= {"parent_task_id": None, "folder": f"{stories}/task-review42"}
    assert expected.items() <= review.items()
    assert review["error"]["type"] == "ValueError"
    assert review["delivery"]["recorded"] > 0


def test_an_empty_root_says_where_it_looked_and_what_to_do(tmp_path: Path) -> None:
    """No table of nothing."""
    there, not_there = agentlog("ls", "--root", tmp_path), agentlog("ls", "--root", tmp_path / "no")

    assert (there.code, not_there.code) == (0, 0)
    assert there.out == (
        f"No tasks below {tmp_path}.\nRecord one with `agentlog demo`, or look elsewhere with --root DIR or TASK_LOGS_DIR.\n"
    )
    assert not_there.lines[0] == f"No tasks below {tmp_path}/no (there is no such folder yet)."
    assert json.loads(agentlog("ls", "--root", tmp_path, "--json").out) == {"root": str(tmp_path), "matching": 0, "tasks": []}


def test_nothing_chosen_is_not_nothing_there(stories: Path) -> None:
    """It says that there are tasks, and that none is so."""
    assert agentlog("ls", "--root", stories, "--status", "pending").out == f"None of the 10 tasks below {stories} is pending.\n"


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120, 200])
def test_lines_fit_the_terminal_and_columns_stand_straight(stories: Path, columns: int) -> None:
    """At any width, with wide characters too, and with the whole of the ids."""
    lines = as_wide_as(columns, "ls", "--root", stories).lines

    assert [line for line in lines if width(line) > columns] == []
    assert "task-review42" in "".join(lines)
    started = [width(line[: line.index(":")]) for line in lines if ":" in line and "検証" not in line]
    assert len(set(started)) <= 1


def test_hostile_names_stay_text(stories: Path) -> None:
    """On a terminal nothing but our own colours is sent."""
    out = on_terminal("ls", "--root", stories, columns=200).out

    assert set(acts_on_a_terminal(plain(out))) == {"\n"}
    assert "evil red gpj.exe" in out
    assert "]0;" not in out


def test_in_process_it_does_the_same(stories: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``main`` can be called by other programs."""
    assert main(["ls", "--root", str(stories), "--limit", "1"]) == 0
    assert "1 of 10 tasks" in capsys.readouterr().out

"""``agentlog search``, ``stats``, ``cost``, ``top`` and ``metrics``, and the options that choose tasks."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog
from otel_agentlog.query import marks
from otel_agentlog.query.filters.moments import parse_moment
from otel_agentlog.vocabulary.terminal_text import width
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.cli.terminal import Output, agentlog, as_wide_as, on_terminal, plain

NOW = datetime(2026, 11, 21, 12, 0).astimezone()


def asked(*arguments: object) -> Any:
    """What a command answers as JSON."""
    return json.loads(agentlog(*arguments, "--json").out)


def found(*arguments: object) -> set[str]:
    """The tasks that ``ls`` lists, without those whose id is another one each time."""
    ids = {task["task_id"] for task in asked("ls", *arguments, "--limit", 0)["tasks"]}
    return {task for task in ids if not task.startswith("task-open")}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--agent", "brain"], {"task-review42", "task-well"}),
        (["--model", "claude-opus-4-5"], {"task-review42"}),
        (["--provider", "github"], {"task-review42"}),
        (["--provider", "openai"], {"task-slow"}),
        (["--tool", "Grep"], {"task-parallel"}),
        (["--tag", "demo", "--source", "webhook"], {"task-review42"}),
        (["--parent", "task-review42"], {"task-style"}),
        (["--min-cost", "0.02", "--max-cost", "$1"], {"task-review42"}),
        (["--min-tokens", "2000"], {"task-review42"}),
        (["--since", "1d", "--failed", "--agent", "brain"], {"task-review42"}),
        (["--until", "1d"], set()),
        (["--user", "nobody"], set()),
    ],
)
def test_tasks_are_chosen_by_what_they_are(stories: Path, arguments: list[str], expected: set[str]) -> None:
    """Every option narrows, and all that are given must hold."""
    assert found("--root", stories, *arguments) == expected


def test_the_order_can_be_chosen(stories: Path) -> None:
    """The dearest first; the slowest first."""
    dearest = [task["task_id"] for task in asked("ls", "--root", stories, "--order", "costliest", "--limit", 1)["tasks"]]
    slowest = [
        task["duration_seconds"]
        for task in asked("ls", "--root", stories, "--order", "slowest", "--status", "completed")["tasks"]
    ]

    assert dearest == ["task-review42"]
    assert slowest == sorted(slowest, reverse=True)


def test_nothing_like_that_is_not_nothing_there(stories: Path) -> None:
    """It says how many there are."""
    said = agentlog("ls", "--root", stories, "--agent", "x")

    assert said.lines == [f"None of the 10 tasks below {stories} is like that.", "No task has the agent 'x'."]


@pytest.mark.parametrize("words", [["--agent", "Brian"], ["agent:BRIAN"], ["--where", "agent:brian"]])
def test_a_miss_says_what_was_meant(stories: Path, words: list[str]) -> None:
    """By the values that exist."""
    said = agentlog("ls", "--root", stories, *words)

    assert [line.lower() for line in said.lines[1:]] == ["no task has the agent 'brian', did you mean 'brain'?"]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["status:failed"], {"task-hostile", "task-review42"}),
        (["AGENT:Brain", "--limit", "5", "status:comp*"], {"task-well"}),
        (["--failed", "cost>0.01"], {"task-review42"}),
        (["-is:subtask", "agent:brain", "-status:failed"], {"task-well"}),
        (["boom or name:*日本*"], {"task-review42", "task-wide"}),
        (["--agent", "BR*", "--where", "tool:read"], {"task-review42"}),
        (["--model", "CLAUDE*", "name:review*"], {"task-review42"}),
    ],
)
def test_a_filter_in_words_chooses_tasks(stories: Path, words: list[str], ids: set[str]) -> None:
    """As an argument, in any place, beside options, or as an option; upper and lower case are alike."""
    assert {task["task_id"] for task in asked("ls", "--root", stories, *words)["tasks"]} == ids


@pytest.mark.parametrize(
    "words",
    [
        *(["stats"], ["cost"], ["metrics", "--report"], ["top"], ["top", "agent"], ["search", "boom"]),
        *(["export", "--format", "json"], ["recost"]),
    ],
)
def test_every_command_over_tasks_takes_a_filter(stories: Path, words: list[str]) -> None:
    """Also those whose argument is something else; one that cannot be read ends with code 2 and says where."""
    assert agentlog(*words, "--root", stories, "--where", "agent:brain status:failed").code == 0
    said = agentlog(*words, "--root", stories, "--where", "agnt:brain")
    assert (said.code, said.err) == (
        2,
        f"agentlog {words[0]}: there is no field 'agnt' (at 1), did you mean 'agent'? Put text in quotes.\n",
    )


def test_search_takes_conditions_beside_words(stories: Path) -> None:
    """The words are shown where they stand."""
    said = agentlog("search", "boom status:failed", "--root", stories)

    assert said.lines[0].split()[1] == "task-review42"
    assert any("boom" in line for line in said.lines[1:])
    assert agentlog("search", "boom status:completed", "--root", stories).code == 1


def test_search_shows_the_line_that_says_why(stories: Path) -> None:
    """Words in any case and order, wherever they stand."""
    said = agentlog("search", "VERDICT", "miss", "--root", stories)

    assert said.code == 0
    assert said.lines[0].split()[:2] == ["✗", "task-review42"]
    assert any("boom: the verdict is missing" in line for line in said.lines[1:4])
    assert agentlog("search", "日本", "--root", stories).lines[0].split()[1] == "task-wide"


def test_search_finds_by_error_id(stories: Path) -> None:
    """What a user reads out leads to the task."""
    (task,) = (task for task in asked("ls", "--root", stories, "--failed")["tasks"] if task["task_id"] == "task-review42")
    answer = asked("search", task["error"]["error_id"], "--root", stories)

    assert [each["task_id"] for each in answer["tasks"]] == ["task-review42"]
    assert any(task["error"]["error_id"] in match["text"] for match in answer["tasks"][0]["matches"])


def test_search_that_finds_nothing_says_so(stories: Path) -> None:
    """Exit code 1, as of grep."""
    said = agentlog("search", "no such word", "--root", stories)

    assert (said.code, said.out) == (1, "Nothing of 'no such word' in 10 tasks.\n")


def test_stats_count_and_measure(stories: Path) -> None:
    """How many, how they ended, how long they took, what they spent."""
    said = agentlog("stats", "--root", stories, "--agent", "brain")
    (group,) = asked("stats", "--root", stories, "--agent", "brain")["groups"]

    assert said.lines[0].startswith("2 tasks  1 ")
    assert said.lines[0].endswith("50.0% successful")
    assert re.search(r"p50 \S+ p90 \S+ p95 \S+ p99 \S+", said.out)
    assert (group["tasks"], group["cost_usd"], group["input_tokens"], group["ai_calls"]) == (2, 0.0234, 1200, 1)
    assert group["duration_seconds"]["p50"] <= group["duration_seconds"]["p99"] == group["duration_seconds"]["maximum"]


@pytest.mark.parametrize("key", ["user", "specialist", "agent", "model", "provider", "day", "status", "tool"])
def test_stats_are_grouped(stories: Path, key: str) -> None:
    """A row for each; the rows together are everything."""
    lines = agentlog("stats", "--root", stories, "--group-by", key).lines
    answer = asked("stats", "--root", stories, "--group-by", key)

    assert lines[0].split()[0] == key.upper()
    assert len(lines) == len(answer["groups"]) + 1
    if answer["counted"] == "tasks":
        assert sum(group["tasks"] for group in answer["groups"]) == 10


def test_cost_names_the_sum_and_what_has_no_price(stories: Path) -> None:
    """By model; an unknown price is not zero."""
    said = agentlog("cost", "--root", stories, "--provider", "anthropic", "--status", "failed")
    unknown = {group["key"]: group for group in asked("cost", "--root", stories)["groups"]}["gpt-unknown"]

    assert said.lines[0] == f"$0.023 for 1 AI call of 1 task below {stories}"
    assert said.lines[2].split() == ["claude-opus-4-5", "1", "1.2k", "850", "$0.023", "100%"]
    assert (unknown["cost_usd"], unknown["unpriced"]) == (None, 1)


def test_every_sum_says_what_has_no_price_beside_what_has(tasks_root: Path) -> None:
    """One call with a price and two without, all of one task: each cost has a plus; counts are of what is counted."""
    with otel_agentlog.task("mixed") as task:
        for model, provider in (("claude-opus-4-5", "anthropic"), ("nobody-knows", "nobody"), ("nobody-knows", "nobody")):
            with otel_agentlog.ai_call(model, provider=provider) as call:
                call.usage(input_tokens=1000, output_tokens=0)
    otel_agentlog.flush()

    said, answer = agentlog("cost", "--root", tasks_root), asked("cost", "--root", tasks_root)

    assert said.lines[0].startswith("$0.0050+ for 3 AI calls of 1 task")
    assert answer["total"]["unpriced"] == sum(group["unpriced"] for group in answer["groups"]) == 2
    for words in (["ls"], ["stats", "--group-by", "agent"], ["cost", "--group-by", "status"]):
        assert "$0.0050+" in agentlog(*words, "--root", tasks_root).out
    assert asked("stats", "--root", tasks_root)["groups"][0]["unpriced"] == 1
    assert "1 task of unknown cost" in agentlog("stats", "--root", tasks_root).out
    assert found("is:unpriced", "--root", tasks_root) == {task.task_id}
    assert [each["unpriced"] for each in asked("ls", "--root", tasks_root)["tasks"]] == [True]


def test_top_names_the_busiest(stories: Path) -> None:
    """Agents, tools and models; or only one kind, in another order."""
    answer = asked("top", "--root", stories)
    failing = agentlog("top", "model", "--by", "failures", "--limit", 1, "--root", stories).lines

    assert answer["tools"][0]["key"] == "Grep"
    assert answer["agents"][0]["key"] == "brain"
    assert failing[1].split()[0] == "gpt-unknown"


def test_metrics_tell_how_it_stands_and_report(stories: Path) -> None:
    """Now, and over a period."""
    now, report = agentlog("metrics", "--root", stories), agentlog("metrics", "--report", "--since", "2d", "--root", stories)
    answer = asked("metrics", "--current", "--root", stories)

    assert now.lines[0].startswith("0 running  1 paused")
    assert "10 tasks" in now.lines[1]
    assert {"DAY", "AGENT", "MODEL", "TOOL"} <= {line.split()[0] for line in report.lines if line.split()}
    assert (answer["paused"], answer["totals"]["tasks"]) == (1, 10)
    assert asked("metrics", "--report", "--root", stories)["total"]["tasks"] == 10


def test_metrics_speak_prometheus(stories: Path) -> None:
    """Every line is a comment or a sample, labels escaped."""
    lines = agentlog("metrics", "--prometheus", "--root", stories).out.split("\n")[:-1]
    sample = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\[\\"n])*",?)*\})? -?[0-9.e+-]+')

    assert [line for line in lines if not line.startswith("# ") and not sample.fullmatch(line)] == []
    assert 'agentlog_folder_tasks{status="completed"} 4' in lines


EVERYTHING = (
    ["ls"],
    ["stats"],
    ["stats", "--group-by", "agent"],
    ["cost"],
    ["top"],
    ["metrics"],
    ["metrics", "--report"],
    ["search", "evil"],
)


@pytest.mark.parametrize("command", EVERYTHING, ids=" ".join)
def test_a_root_that_is_not_there_is_no_error(tmp_path: Path, command: list[str]) -> None:
    """There is nothing to tell, and nothing is written."""
    said = as_wide_as(80, *command, "--root", tmp_path / "no")

    assert (said.code in (0, 1), list(tmp_path.iterdir())) == (True, [])


@pytest.mark.parametrize("command", EVERYTHING, ids=" ".join)
def test_hostile_names_stay_text(stories: Path, command: list[str]) -> None:
    """Nothing in a name acts on a terminal."""
    assert set(acts_on_a_terminal(as_wide_as(200, *command, "--root", stories).out)) <= {"\n"}


def test_on_a_terminal_only_our_own_colours_are_sent(stories: Path) -> None:
    """With rich, and with hostile names of agents."""
    out = on_terminal("stats", "--group-by", "agent", "--root", stories, columns=200).out

    assert set(acts_on_a_terminal(plain(out))) == {"\n"}


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("command", EVERYTHING[1:], ids=" ".join)
def test_tables_fit_the_terminal(stories: Path, command: list[str], columns: int) -> None:
    """Columns leave in the order of their worth."""
    said: Output = as_wide_as(columns, *command, "--root", stories)
    tables = [line for line in said.lines if line.startswith("   ") and "  " in line.strip()]

    assert [line for line in tables if width(line) > max(columns, 60)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("30m", NOW - timedelta(minutes=30)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("3 days ago", NOW - timedelta(days=3)),
        ("1 week", NOW - timedelta(days=7)),
        ("now", NOW),
        ("today", NOW.replace(hour=0)),
        ("Yesterday", NOW.replace(hour=0) - timedelta(days=1)),
        ("09:30", NOW.replace(hour=9, minute=30)),
        ("2026-11-20", datetime(2026, 11, 20).astimezone()),
    ],
)
def test_moments_are_understood_as_people_write_them(text: str, expected: datetime) -> None:
    """Short, long, relative, on the calendar."""
    assert parse_moment(text, NOW) == expected.timestamp()


@pytest.mark.parametrize(
    "option", [["--since", "soon"], ["--min-cost", "-1"], ["--limit", "x"], ["--status", "done"], ["--until", "9" * 400]]
)
def test_what_is_no_value_is_named(stories: Path, option: list[str]) -> None:
    """Exit code 2 and one line that says what was expected."""
    said = agentlog("ls", "--root", stories, *option)

    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "expected" in said.err


def test_search_says_an_error_once(stories: Path) -> None:
    """However many lines speak of it: class, message, id; with what was found marked."""
    (task,) = (task for task in asked("search", "VERDICT", "--root", stories)["tasks"])
    (match,) = task["matches"]
    error_id = task["error"]["error_id"]

    assert match["text"] == f"ValueError: boom: the verdict is missing [{error_id}]"
    assert [match["text"][start:end] for start, end in match["marks"]] == ["verdict"]


def test_what_search_found_is_marked(stories: Path) -> None:
    """On a terminal, by its look."""
    said = agentlog("search", "miss", "VERD", "--root", stories, env={"FORCE_COLOR": "1", "TERM": "xterm"})

    assert re.search(r"\x1b\[[0-9;]*7mverd\x1b\[0m", said.out)
    assert re.search(r"\x1b\[[0-9;]*7mmiss\x1b\[0m", said.out)


@pytest.mark.parametrize(
    ("text", "wanted", "found"),
    [
        ("日本語の本", "本", [(1, 2), (4, 5)]),
        ("restart a start", "start", [(10, 15)]),
        ("start started", "start started", [(0, 5), (6, 13)]),
        ("anything", "...", []),
    ],
)
def test_marks(text: str, wanted: str, found: list[tuple[int, int]]) -> None:
    """Words that begin so, the longer one first; a character of a language without spaces anywhere."""
    assert marks(text, wanted) == found

"""``agentlog show``: one task, from the failure to the line that says why."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from otel_agentlog.vocabulary.terminal_text import width
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.cli.terminal import agentlog, as_wide_as, on_terminal, plain
from tests.view.stories import WIDE, Worker


@pytest.fixture(scope="module")
def review(stories: Path) -> list[str]:
    """What is shown of the failed review, in a pipe."""
    return agentlog("show", "task-review42", "--root", stories).lines


def facts(lines: list[str]) -> dict[str, str]:
    """The facts of the header by their label."""
    found = (re.match(r"  (\w[\w ]{0,8}?)\s{2,}(.*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def test_the_head_says_how_it_stands_and_why(review: list[str]) -> None:
    """Name, state, time; then the error."""
    assert re.fullmatch(r"✗ Review PR 42  failed after [\d.]+m?s", review[0])
    assert review[1] == "  ValueError: boom: the verdict is missing"


def test_the_head_has_what_people_ask_for(review: list[str], stories: Path) -> None:
    """What came in, what it cost, what it did, what was delivered, the trace, the folder."""
    found = facts(review)

    assert found["task"] == "task-review42"
    assert (found["agent"], found["came by"], found["tags"]) == ("brain", "webhook github", "demo")
    assert found["input"] == 'message="please review"'
    assert found["spent"] == "$0.023 · 1.2k in (300 cached) · 850 out"
    did, _, used = found["did"].partition(" · 1 error")
    assert did == "2 steps · 1 AI call · 1 tool run · 1 retry"
    assert re.fullmatch(r" · [\d.]+m?s of CPU · \d+ MB at most", used)
    assert found["said"] == "1 output · 1 thought"
    assert re.fullmatch(r"\d+ recorded, 0 delivered, \d+ pending \(no collector is set here\)", found["delivery"])
    assert re.fullmatch(r"[0-9a-f]{32}", found["trace"])
    assert found["folder"] == f"{stories}/task-review42"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, .* ago", found["started"])


def test_the_webhook_flow_has_six_stages_and_the_pickup(review: list[str]) -> None:
    """Each with the time since the first one."""
    begin = next(number for number, line in enumerate(review) if line.startswith("Webhook github issue_comment.created"))
    flow = [line.split() for line in review[begin + 1 : begin + 8]]

    names = ["received", "validation", "command_matching", "immediate_response", "task_created", "queue_push", "picked"]
    assert [words[1] for words in flow] == names
    assert all(re.fullmatch(r"\+[\d.]+m?s", words[0]) for words in flow)
    assert flow[1][2:] == ["passed"]
    assert flow[2][2:] == ["command=review", "matched=true"]
    assert re.fullmatch(r"after [\d.]+m?s in queue tasks", " ".join(flow[6][3:]))


def test_the_tree_shows_what_ran_inside_what(review: list[str]) -> None:
    """Task, steps, AI call, tool run, sub-task; with time, tokens and cost."""
    begin = next(number for number, line in enumerate(review) if line.startswith("WHAT HAPPENED"))
    tree = review[begin + 1 :]

    assert [re.split(r"\s{2,}[\d.]+m?s", line)[0] for line in tree if re.search(r"[✓✗]", line)] == [
        "✓ webhook github issue_comment.created",
        "└─ ✓ push tasks",
        "   └─ ✗ pickup tasks",
        "      └─ ✗ task Review PR 42",
        "         ├─ ✓ step plan",
        "         │  ├─ ✓ ai claude-opus-4-5",
        "         │  └─ ✓ tool Read  path=src/a.py  2 attempts",
        "         ├─ ✓ sub-task Check style  task-style",
        "         └─ ✗ step judge",
    ]
    assert re.search(r"ai claude-opus-4-5 .*1\.2k→850  \$0\.023$", "\n".join(tree), re.MULTILINE)


def test_the_error_leads_to_the_line_of_code(review: list[str]) -> None:
    """Once, where it was first seen: its id and where it was raised; and the attempt that failed before."""
    text = "\n".join(review)

    assert len(re.findall(r"ValueError: boom: the verdict is missing  \[[0-9a-z]{8}\] VALIDATION", text)) == 1
    assert re.search(r'stories\.py:\d+ in review: raise ValueError\("boom: the verdict is missing"\)', text)
    assert "attempt 1 failed: OSError: disk is busy, then waited 100ms" in text


def test_full_puts_everything_in_its_place(stories: Path) -> None:
    """Messages, arguments, results, output, thoughts, the whole traceback, and what is inside sub-tasks."""
    text = agentlog("show", "task-review42", "--full", "--root", stories).out

    for part in ("user: hi", 'arguments: {"path":"src/a.py"}', "result: content", "thinking: The diff touches …"):
        assert part in text
    assert "output: Analyzing the code..." in text
    assert "Traceback (most recent call last):" in text
    assert re.search(r"│  └─ ✓ task Check style .*\n.*│     └─ ✓ step lint", text)
    assert text.index("output: Analyzing") < text.index("✗ step judge")


def test_many_parts_are_cut_and_failures_are_not(tmp_path: Path) -> None:
    """Past 25 only what completed is left out, and it is said how many."""
    import otel_agentlog as sdk

    root = tmp_path / "tasks"
    sdk.configure(directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    with sdk.task("Many", task_id="task-many"):
        for number in range(60):
            try:
                with sdk.tool(f"Tool{number}"):
                    if number in (0, 59):
                        raise ValueError(f"error {number}")
            except ValueError:
                pass
    sdk.shutdown()
    brief, full = (agentlog("show", "--root", root, *more) for more in ([], ["--full"]))

    assert len(re.findall(r"tool Tool\d+", brief.out)) == 25
    assert "… 35 more, all completed; --full shows them" in brief.out
    assert {"error 0", "error 59"} <= set(re.findall(r"ValueError: (error \d+)", brief.out))
    assert len(re.findall(r"tool Tool\d+", full.out)) == 60


def test_without_a_name_the_newest_is_shown(stories: Path) -> None:
    """The same as ``last``; beginnings of ids do too."""
    bare, last = (agentlog("show", *name, "--root", stories).lines for name in ([], ["last"]))

    assert bare[0] == last[0]
    assert bare[0].startswith("! Still at work  interrupted after ")
    assert bare[1] == "  its process is gone without a word: killed, crashed, or the power went"
    assert agentlog("show", "well", "--root", stories).lines[0].startswith("✓ All is well  completed")


def test_open_parts_run_and_then_are_interrupted(tmp_path: Path) -> None:
    """While the process lives they are running, after a kill interrupted."""
    root = tmp_path / "tasks"
    with Worker(root) as worker:
        running = agentlog("show", worker.task_id, "--root", root).out
        worker.kill()
    killed = agentlog("show", worker.task_id, "--root", root).out

    assert "● tool Bash" in running
    assert 'command="sleep 1000"  running' in running
    assert 'command="sleep 1000"  interrupted' in killed
    assert "✓ ai claude-opus-4-5" in killed


@pytest.mark.parametrize("columns", [40, 60, 80, 99, 100, 140, 200])
@pytest.mark.parametrize("task", ["task-review42", "task-wide", "task-parallel", "task-hostile"])
def test_the_tree_fits_the_terminal(stories: Path, task: str, columns: int) -> None:
    """Only ids, paths and the trace are longer than a narrow terminal, as they are there to be copied."""
    ran = as_wide_as(columns, "show", task, "--root", stories)
    too_wide = [line for line in ran.lines if width(line) > max(columns, 50) and not line.startswith("  folder")]

    assert (ran.code, too_wide) == (0, [])


def test_a_wide_terminal_gets_a_waterfall(stories: Path) -> None:
    """Twenty parallel tools are twenty bars; below 100 columns there are none."""
    wide, narrow = (on_terminal("show", "task-parallel", "--root", stories, columns=columns).out for columns in (120, 90))

    bars = [line for line in plain(wide).splitlines() if "tool Grep" in line]
    assert len(bars) == 20
    assert all("█" in bar or "▏" in bar for bar in bars)
    assert "█" not in narrow


def test_names_in_any_script_keep_the_columns(stories: Path) -> None:
    """The time of a task with a wide name stands where the others stand."""
    lines = plain(on_terminal("show", "task-wide", "--root", stories, columns=90).out).splitlines()
    tree = lines[next(number for number, line in enumerate(lines) if line.startswith("WHAT HAPPENED")) :]

    assert lines[0].startswith(f"✓ {WIDE}")
    assert len({width(line) for line in tree if line.strip()}) == 1


def test_hostile_texts_stay_text(stories: Path) -> None:
    """In names, errors, arguments and results, brief and full."""
    for more in ([], ["--full"]):
        for task in ("task-hostile", "task-wide"):
            out = on_terminal("show", task, "--root", stories, *more, columns=160).out
            assert set(acts_on_a_terminal(plain(out))) == {"\n"}
            assert "evil red gpj.exe" in out


def test_json_holds_all_of_it(stories: Path) -> None:
    """One document: the row, what was asked and came out, the flow, the tree as a flat list with depths."""
    found = json.loads(agentlog("show", "task-review42", "--json", "--root", stories).out)
    parts = {part["name"]: part for part in found["tree"]}

    assert (found["task_id"], found["status"], found["input"]) == ("task-review42", "failed", {"message": "please review"})
    assert len(found["webhook_flow"]) == 6
    assert [part["depth"] for part in found["tree"]][:6] == [0, 1, 2, 3, 4, 5]
    assert (parts["claude-opus-4-5"]["kind"], parts["claude-opus-4-5"]["cost_usd"]) == ("ai_call", 0.0234)
    assert parts["Check style"]["task"]["status"] == "completed"
    assert parts["judge"]["exception"]["traceback"][-1] == "ValueError: boom: the verdict is missing"


def test_the_golden_folders_can_be_shown(stories: Path) -> None:
    """Folders of format version 1, damaged ones too, are shown for ever."""
    golden = Path(__file__).parents[3] / "store" / "golden" / "v1"
    for folder in golden.iterdir():
        ran = agentlog("show", folder, "--full", "--root", golden)
        assert (ran.code, ran.err) == (0, "")
        assert "WHAT HAPPENED" in ran.out


def test_the_head_says_where_it_failed_and_what_can_be_done(review: list[str]) -> None:
    """Id, category, the part that raised it, the line of code, advice: above everything else."""
    assert re.fullmatch(
        r"    \[[0-9a-z]{8}\] VALIDATION, in step judge, \S+stories\.py:\d+ in review: raise ValueError.*", review[2]
    )
    assert all(line.startswith("    try: ") for line in review[3:6])
    assert sum("try:" in line for line in review) == 3


def test_failures_that_are_alike_are_folded(tmp_path: Path) -> None:
    """The advice once, three of them, and how many more; ``--full`` has all."""
    import otel_agentlog as sdk

    root = tmp_path / "tasks"
    sdk.configure(directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    with sdk.task("Many", task_id="task-many"):
        for number in range(20):
            try:
                with sdk.tool("Fetch"):
                    raise TimeoutError(f"no answer within {number} s") if number != 7 else ValueError("another")
            except (TimeoutError, ValueError):
                pass
    sdk.shutdown()

    said = agentlog("show", "task-many", "--root", root)
    assert said.out.count("✗ tool Fetch") == 4
    assert "… 16 more failed alike: tool Fetch; --full shows them" in said.out
    assert "ValueError: another" in said.out
    assert len([line for line in said.lines if "try:" in line]) == 6
    assert agentlog("show", "task-many", "--full", "--root", root).out.count("✗ tool Fetch") == 20

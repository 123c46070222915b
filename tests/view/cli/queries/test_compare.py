"""``agentlog compare``: tables, JSON, CSV and Markdown, exit codes of conditions, hostile names, damaged folders."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from otel_agentlog.view.backends.folders import Wanted
from otel_agentlog.view.cli import source
from otel_agentlog.view.cli.main import main, make_parser
from otel_agentlog.view.render.comparison import CSV_COLUMNS, code, code_in
from tests.query.compared_tasks import Writer
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.stories import HOSTILE

MARKUP = "x`|<img src=x onerror=alert(1)> @maintainers #1 [a](https://evil.example) **b**\n# c"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve tasks before and twelve after, which cost more and fail at a step."""
    writer = Writer(tmp_path / "tasks")
    for number in range(12):
        writer.add("before", cost=0.02 + number / 1000, tools=(("Read", "completed"),), score=0.8)
        failed = {"status": "failed", "fails": "act", "category": "TIMEOUT"}
        writer.add("after", cost=0.03 + number / 1000, tools=(("Read", "completed"),), score=0.7, **failed)  # type: ignore[arg-type]
    return writer.root


def run(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, and what was printed."""
    code = main(["--root", str(root), "compare", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_table_for_people(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both sides, figures with change and interval, where they part, what came of conditions."""
    code, out, err = run(root, capsys, "tag:before", "tag:after", "--fail-if", "cost>+10%", "--fail-if", "tokens>+10%")
    assert (code, err) == (3, "")
    lines = out.splitlines()
    assert lines[0].split() == ["A", "tag:before", "12", "tasks", "12", "completed"]
    cost = next(line for line in lines if line.startswith("cost "))
    assert re.fullmatch(r"cost +\$0\.025 +\$0\.035 +\+\$0\.010 \(\+39 %\) +\+\$0\.00\d\d … \+\$0\.01\d", cost.rstrip())
    assert "They part at step act (part 3 of 4): completed in 100 % of A, 0 % of B" in out
    assert "✗ cost>+10%: it does" in out
    assert "✓ tokens>+10%: it does not" in out


def test_exit_codes_of_conditions(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0: none is met. 3: one is. 4: none is, and one cannot be told. 2: one cannot be read. 1: a side is empty."""
    sides = ("--by", "tag", "before", "after", "--no-steps")
    assert run(root, capsys, *sides, "--fail-if", "cost>+900%")[0] == 0
    assert run(root, capsys, *sides, "--fail-if", "cost>+900%", "--fail-if", "success<-5pp significant")[0] == 3
    assert run(root, capsys, *sides, "--fail-if", "tool.Bash.failures>+1pp")[0] == 4
    assert run(root, capsys, *sides, "--fail-if", "tool.Bash.failures>+1pp", "--fail-if", "errors>+0")[0] == 3
    code, out, err = run(root, capsys, *sides, "--fail-if", "csot>1")
    assert (code, out) == (2, "")
    assert err.startswith("agentlog compare: --fail-if 'csot>1': expected a figure (success, cost")
    assert "did you mean 'cost'? (at 1)" in err
    code, _, err = run(root, capsys, "tag:before", "tag:none", "--no-intervals")
    assert (code, err.splitlines()[0]) == (1, f"No task that ended is like tag:none below {root}.")
    assert run(root, capsys, "tag:before", "tag:none", "--fail-if", "cost>+1%")[0] == 4
    code, _, err = run(root, capsys, *sides, "--no-intervals", "--fail-if", "cost>+1% significant")
    assert code == 2
    assert "needs intervals" in err


def test_json_is_the_same_each_time(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that the table has, and the seed."""
    words = ("tag:before", "tag:after", "--json", "--seed", "7", "--fail-if", "cost>+10%")
    (code, one, _), (_, two, _) = run(root, capsys, *words), run(root, capsys, *words)
    found = json.loads(one)
    assert (code, one) == (3, two)
    assert found["intervals"] == {"confidence": 0.95, "resamples": 5000, "seed": 7}
    cost = next(each for each in found["figures"] if each["name"] == "cost")
    assert cost["a"]["value"] == pytest.approx(0.0255)
    assert cost["difference"] == pytest.approx(0.01)
    assert cost["difference_interval"][0] < 0.01 < cost["difference_interval"][1]
    assert found["ways"]["parting"]["at"] == 2
    assert found["conditions"] == [{"condition": "cost>+10%", "holds": True, "why": "it does"}]


def test_csv_has_a_row_for_each_figure(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The columns are a promise."""
    rows = [*csv.DictReader(io.StringIO(run(root, capsys, "tag:before", "tag:after", "--csv", "--no-intervals")[1]))]
    assert tuple(rows[0]) == CSV_COLUMNS
    assert {row["figure"]: row["b"] for row in rows}["error.TIMEOUT"] == "1.0"


def test_a_report_for_a_pull_request(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Markdown: a headline by the conditions, the sides, the conditions, the table."""
    code, out, _ = run(root, capsys, "tag:before", "tag:after", "--markdown", "--fail-if", "success<-5pp")
    lines = out.splitlines()
    assert (code, lines[0]) == (3, "### ✗ 1 of 1 condition to fail on: met")
    assert "- **A**: `tag:before` (12 tasks; 12 completed)" in lines
    assert "- ✗ `success<-0.05`: it does" in lines
    header = lines.index("| figure | A | B | change | 95 % interval |")
    assert lines[header + 1] == "|---|---:|---:|---:|:---:|"
    assert lines[header + 2].startswith("| `success` | 100% [")
    assert {line.count("|") for line in lines if line.startswith("|")} == {6}


def test_two_tasks_have_their_first_difference(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without scipy, as there are no intervals of one."""
    code, out, err = run(root, capsys, "task-0001", "task-0002")
    assert (code, err) == (0, "")
    assert "They differ first at step act, in t:\n  - outcome: completed\n  + outcome: failed\n" in out
    assert "INTERVAL" not in out
    assert "```diff" not in run(root, capsys, "task-0001", "task-0001", "--markdown")[1]


def test_without_scipy_one_line_says_what_to_install(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with --no-intervals it is not needed."""
    monkeypatch.setitem(sys.modules, "scipy", None)
    code, out, err = run(root, capsys, "tag:before", "tag:after")
    assert (code, out) == (1, "")
    assert err == (
        "agentlog compare: confidence intervals need the package scipy: pip install 'otel_agentlog[compare]'"
        " (--no-intervals compares without them)\n"
    )
    assert run(root, capsys, "tag:before", "tag:after", "--no-intervals")[0] == 0


@pytest.mark.parametrize("name", [HOSTILE, MARKUP, "=cmd|'/c calc'!A1", "{0}", "\ud800" * 3])
def test_names_from_folders_do_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """On a terminal, in Markdown (no mention, link, HTML, further cell), in a spreadsheet."""
    writer = Writer(tmp_path / "tasks")
    name = name.encode("utf-8", "replace").decode()
    for tag in "ab":
        for _ in range(8):
            steps = ("plan", name) if tag == "a" else ("plan",)
            writer.add(tag, tools=((name, "completed"),) * (2 if tag == "a" else 1), category=name, steps=steps)
    for kind in ((), ("--markdown",), ("--csv",), ("--json",)):
        code, out, _ = run(writer.root, capsys, "tag:a", "tag:b", *kind)
        assert code == 0
        assert set(acts_on_a_terminal(out)) <= {"\n", "\r"}
        if "--markdown" in kind:
            outside = re.sub(r"`[^`\n]*`|```diff.*?```", "", out, flags=re.DOTALL)
            assert not re.search(r"<img|@main|\]\(|#1", outside)
            assert {len(re.findall(r"(?<!\\)\|", line)) for line in out.splitlines() if line.startswith("|")} == {6}
        if "--csv" in kind:
            assert not [row for row in csv.reader(io.StringIO(out)) for cell in row if cell[:1] in "=@" and cell]


def test_code_spans_hold_what_is_in_them() -> None:
    """Whatever a text has in it."""
    for text in (MARKUP, "``", "a\\", "|"):
        assert code(text).count("`") in (0, 2)
        assert re.search(r"(?<!\\)\|", code(text)) is None
    assert code_in("They part at step plan.") == "They part at step plan."
    assert code_in("They part at @all.").startswith("`")


def test_damaged_folders_are_left_out_and_said(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the line of the side, and by name on standard error; those of another root, too."""
    other = Writer(tmp_path / "other")
    for _ in range(2):
        (other.add("before") / "04-final-result.json").write_text("{")
    (root / "task-0001" / "04-final-result.json").write_text("{")
    code, out, err = run(root, capsys, "tag:before", f"{other.root}/", "--no-intervals")
    assert code == 1
    assert "11 tasks  11 completed  left out: 1 damaged folder" in out
    assert "left out: 2 damaged folders" in out
    assert "task-0001: 04-final-result.json" in err
    assert "2 folders are damaged" in err


def test_only_the_narrowed_tasks(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The options of all commands that choose tasks narrow both sides."""
    found = json.loads(run(root, capsys, "tag:before", "tag:after", "--failed", "--no-intervals", "--json")[1])
    assert (found["a"]["tasks"], found["b"]["tasks"]) == (0, 12)


def test_what_is_brought_from_a_backend_is_what_the_sides_need() -> None:
    """Of a task that one, of a filter its time, of values all within the time of both."""
    at = 1_795_000_000_000_000_000

    def wanted(*words: str) -> list[Wanted]:
        return source._wanted(make_parser().parse_args(["compare", *words]))

    assert wanted("task-1", "last") == [Wanted(task="task-1"), Wanted(newest=True)]
    found = wanted("agent:a since:2026-11-18T12:26:40Z", "agent:b", "--until", "2026-11-20T00:00Z")
    assert [each.since_ns is not None for each in found] == [True, False]
    assert all(each.until_ns is not None and each.until_ns > at for each in found)
    assert wanted("--by", "agent", "a", "b") == [Wanted(), Wanted()]


DOCS = Path(__file__).parents[4] / "docs" / "compare.md"


@pytest.mark.skipif(sys.platform == "win32", reason="the shell of the workflow is a POSIX one")
@pytest.mark.parametrize(("spent", "code", "headline"), [(0.02, 0, "### ✓ Agents compared"), (0.03, 1, "### ✗ 1 of 2")])
def test_the_workflow_of_the_docs_checks_a_change(tmp_path: Path, spent: float, code: int, headline: str) -> None:
    """Its steps run as a runner runs them, on folders of an evaluation: the change that costs more does not pass, and is told."""
    steps = yaml.safe_load(re.search(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)[1])["jobs"]["compare"]["steps"]  # type: ignore[index]
    scripts = {step["name"]: step["run"] for step in steps if "name" in step}
    for name, cost in (("main", 0.02), ("branch", spent)):
        writer = Writer(tmp_path / "runs" / name)
        for number in range(12):
            writer.add(name, cost=cost + number / 10_000)
    summary = tmp_path / "summary.md"
    env = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(summary)}
    done = {
        name: subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, env={**os.environ, **env}, capture_output=True, timeout=100
        )
        for name, script in scripts.items()
    }
    assert (done["compare"].returncode != 0) == bool(code), done["compare"].stderr
    assert done["compare"].returncode in (0, 3)
    assert summary.read_text().startswith(headline)

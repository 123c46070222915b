"""``docs/recipes.md`` and ``docs/queries.md`` keep what they promise: every line runs, on tasks of the demo and the examples."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.support.app_logs import whole_log
from tests.support.documents import REPOSITORY, blocks, rows
from tests.support.forking import PYTHON
from tests.support.programs import programs
from tests.support.waiting import wait_until
from tests.tools.imports.samples import Claude, lines, said, uses
from tests.view.cli.terminal import environment

RECIPES, QUERIES = REPOSITORY / "docs" / "recipes.md", REPOSITORY / "docs" / "queries.md"
TIMEOUT_S = 110.0
pytestmark = pytest.mark.timeout(400)
README, SERVER = REPOSITORY / "README.md", REPOSITORY / "docs" / "server.md"
SHELL = re.compile(r"(agentlog|curl|jq|find|grep|tail|zcat) ")
ENDLESS = re.compile(
    r"agentlog (serve|monitor|mcp|collect|demo --slow)( .*)?(?<!--once)|tail -f .*|agentlog (pause|context|resume|cancel) .*"
)
"""What goes on until somebody ends it, or needs something that goes on: tested where it belongs."""

LATER = re.compile(r"agentlog (compare|replay|dataset|import) ")
"""What a record is good for later: on tasks of their own, as some make further tasks."""

AGENT = """
import os
import otel_agentlog as agentlog

agentlog.configure(console="off")
ANSWER = {"role": "assistant", "content": "It is fine."}
REPLY = {"choices": [{"message": ANSWER}], "usage": {"prompt_tokens": 90, "completion_tokens": 9}}

@agentlog.ai_call("own-model", provider="own")
def ask(prompt):
    return "Read."

for _ in range(int(os.environ.get("TASKS", "1"))):
    with agentlog.task("Review", tags=os.environ.get("TAG", "").split(), input={"files": 3}) as task:
        ask("Read it.")
        with agentlog.ai_call("gpt-5", provider="openai", messages="Is it fine?") as call:
            call.record(REPLY)
        task.score("quality", 0.9)
"""

EXAMPLES = (
    "basic_setup",
    "contextual_logging",
    "error_ids",
    "lifecycle_helpers",
    "recovery_strategy",
    "runner_events",
    "tools_monitored",
)

ALERTED = re.compile(r"agentlog alerts")
"""Ends with 1 while something is too much."""

SAID = {
    "logs/metadata": r'\A"?completed"?\n\Z',
    "logs/webhook-flow": r"\Areceived\nvalidation\ncommand_matching\nimmediate_response\ntask_created\nqueue_push\n",
    "logs/agent-output": r"Review|Read",
    "logs/final-result": r'"success": true(.|\n)*"cost_usd": 0\.\d+',
    "logs/full": r"\A[1-9]\d+\n\Z",
    "api/tasks?failed": r"(?m)^answer-11\b",
    "/stream": r"event: end\n",
    "8321/metrics": r'agentlog_folder_tasks\{status="failed"\} [1-9]',
    ".stage 02-webhook-flow": r"1 queue_push",
    "| awk": r"\A0\.0\d+\n\Z",
    "jq .total.cost_usd": r"\A0\.0\d+\n\Z",
    '"success":false': r"answer-11/04-final-result.json",
    "total: (.input_tokens": r'"total": [1-9]\d{3}',
    "agentlog show last --json | jq .errors": r"\A1\n\Z",
    '-c \'"level":"ERROR"\'': r"\A[1-9]\n\Z",
    "ls --failed": r"answer-11",
    "ls --agent brain": "",
    "metadata.json | xargs jq -r .status": r"\d+ completed\n +\d+ failed",
    "group-by status": r"completed(.|\n)*failed",
    "group-by agent": r"reviewer",
    "group-by model": r"agentlog-offline-demo",
    "group-by provider": r"offline",
    "group-by specialist": r"code_review",
    "group-by day": r"20\d\d-\d\d-\d\d",
    "{p50, p90, p95, p99}": r'\A\{"p50":\d\.\d+,"p90":\d\.\d+,"p95":\d\.\d+,"p99":\d\.\d+\}\n',
    "{average, p95}": r'\A\{"average":\d\.\d+,"p95":\d\.\d+\}\n',
    ".success_rate": r"\A0\.\d+\n\Z",
    "jq -c .errors_by_category": r'"VALIDATION":[1-9]',
    "{input_tokens, output_tokens}": r'"input_tokens": ?[1-9]\d+',
    "metrics --prometheus": r"(?m)^agentlog_folder_cost_usd 0\.0\d+$",
    "metrics --report": r"\A20\d\d-\d\d-\d\d",
    "metrics --report --since yesterday": r"reviewer(.|\n)*agentlog-offline-demo(.|\n)*count_words",
    "metrics --current": r"(successful|VALIDATION)",
    "top tool": r"Read",
    "top tool --by failures": r"hang",
    "xargs jq -r .metrics.duration_seconds": r"\A\d\.\d+\n\Z",
    "grep -rl": r"03-agent-output\.jsonl",
    'search "connection': r"report-rates",
    "--format json": r'"task_id":"answer-11"',
    "-o it.html": r"<html",
    "agentlog validate": r"1 task: 1 valid|1 valid|valid",
    "agentlog doctor": r"no problems",
    "--format csv": r"\Atask_id,",
    "agentlog alerts": r"error_rate_percent|errors_per_minute|No alert|\A\Z",
    ".active[].type": "",
    "errors $ERROR_ID": r"ContentPolicyError",
    "show last --full": r"thinking(.|\n)*compileall|compileall(.|\n)*thinking",
    "monitor --text": r"Review",
}
"""What must stand in the output of commands that have this in them; an empty text where there may be nothing, by now."""


@dataclass(frozen=True)
class Ground:
    """Where the commands run."""

    root: Path
    folder: Path
    """Of the newest task, which is the demo's."""
    env: Mapping[str, str]
    port: int

    def run(self, command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Type a line into a shell."""
        typed = command.replace("localhost:8321", f"localhost:{self.port}")
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail; {typed}"],
            cwd=cwd,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )


def _example(name: str, home: Path, env: Mapping[str, str]) -> None:
    work = home / name
    work.mkdir()
    PYTHON.run([REPOSITORY / "examples" / f"{name}.py"], cwd=work, env=env, check=True, timeout=TIMEOUT_S)


def _environment(home: Path, root: Path) -> dict[str, str]:
    env = environment(TASK_LOGS_DIR=str(root), AGENTLOG_LOG_DIR=str(home / "logs"), AGENTLOG_CONSOLE="off", HOME=str(home))
    env["PATH"] = f"{programs(home / 'bin')}{os.pathsep}{env['PATH']}"
    return env


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Task folders of the examples and, last, of the demo, with a server before them."""
    if shutil.which("jq") is None:
        pytest.fail("jq is missing (Debian package jq), which the recipes use")
    home = tmp_path_factory.mktemp("recipes")
    root = home / "tasks"
    env = _environment(home, root)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: _example(name, home, env), EXAMPLES))
    told = subprocess.run(
        ["agentlog", "demo", str(REPOSITORY / "examples"), "--json"],
        env=env,
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    folder = Path(json.loads(told.stdout)["folder"])
    found = subprocess.run(["agentlog", "errors", "--category", "PERMISSION", "--json"], env=env, capture_output=True, check=True)
    env["ERROR_ID"] = json.loads(found.stdout)["errors"][0]["error_id"]
    with (home / "serve.err").open("wb") as errors:
        server = subprocess.Popen(
            ["agentlog", "serve", "--port", "0", "--json"], env=env, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line, (home / "serve.err").read_text()
        yield Ground(root, folder, env, int(re.findall(r":(\d+)/", json.loads(line)["url"])[0]))
    finally:
        server.terminate()
        server.communicate(timeout=30)
        wait_until(lambda: server.poll() is not None, "the server to end")


def _recipes() -> list[tuple[str, str]]:
    """Every line of the tables that a shell takes: where it runs (``folder`` or ``root``), and the line."""
    found: list[tuple[str, str]] = []
    for row in rows(RECIPES):
        if row.section.startswith("Logging of"):
            continue  # on logs of their own, in tests/seeds/test_logging_recipes.py
        where = "root" if row.section.endswith("of all tasks") else "folder"
        ours = row.new if not row.section.startswith("The folder") else row.old + row.new
        found += [(where, code) for code in ours if SHELL.match(code)]
    return list(dict.fromkeys(found))


def _questions() -> list[tuple[str, str]]:
    """Every line of the table of questions that is not among the recipes."""
    codes = [code for row in rows(QUERIES) for code in row.new if SHELL.match(code)]
    known = {command for _, command in _recipes()}
    return [("root", code.replace("ERROR_ID_OR_WORDS", "third")) for code in dict.fromkeys(codes) if code not in known]


def _front_page() -> list[tuple[str, str]]:
    """Every line of README's blocks that is typed in a folder with tasks, and of the server's page, if not among the others."""
    text = "".join(block.text.replace("\\\n", "") for page in (README, SERVER) for block in blocks(page, "sh"))
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    known = {command for _, command in _recipes() + _questions()}
    typed = [line for line in lines if SHELL.match(line) and line not in known and "-X POST" not in line]
    return [("folder" if line.startswith("jq") else "root", line) for line in dict.fromkeys(typed)]


TYPED = [line for line in _recipes() + _questions() + _front_page() if not ENDLESS.fullmatch(line[1])]
LINES = [line for line in TYPED if not LATER.match(line[1])]


@pytest.mark.parametrize(("where", "command"), LINES, ids=[command for _, command in LINES])
def test_a_line_does_what_the_page_says(ground: Ground, where: str, command: str, tmp_path: Path) -> None:
    """It ends well, complains about nothing, and says something that is so."""
    cwd, today = ground.folder if where == "folder" else ground.root, date.today()
    # A month of the page's has none of these tasks.
    command = command.replace(
        "--since 2026-11-01 --until 2026-12-01", f"--since {today - timedelta(1)} --until {today + timedelta(2)}"
    )
    ran = ground.run(re.sub(r"(> |-o )(tasks.json|it.html)", rf"\1{tmp_path}/\2", command), cwd)
    out = ran.stdout or "".join(path.read_text() for path in tmp_path.iterdir())

    assert re.sub(r"\Aexported \d+ tasks?(; \d+ sub-tasks? left out, [a-z ]+)?( to \S+)?\n\Z", "", ran.stderr) == ""
    assert ran.returncode == 0 or (ran.returncode == 1 and ALERTED.match(command))
    expected = [pattern for part, pattern in SAID.items() if part in command]
    assert out.strip() not in ("", "null", "[]", "{}") or "" in expected
    assert [pattern for pattern in expected if not re.search(pattern, out)] == []


def test_the_way_into_the_folder_leads_there(ground: Ground) -> None:
    """The first lines of the page end in the folder of the newest task."""
    (begin,) = blocks(RECIPES, "sh")
    way = next(line for line in begin.text.splitlines() if line.startswith("cd ")).partition("  #")[0]

    assert ground.run(f"{way} && pwd -P", Path("/")).stdout.strip() == str(ground.folder.resolve())


def test_the_python_lines_do_what_the_page_says(ground: Ground, tmp_path: Path) -> None:
    """Typed one after the other below the page's own first lines, they run and leave what they are to leave."""
    lines = [code for row in rows(RECIPES) if row.section.startswith("In code") for code in row.new]
    decorated = [f"{line}\ndef decorated():\n    raise error\n\ntry: decorated()\nexcept TimeoutError: pass" for line in lines]
    program = [blocks(RECIPES, "python")[0].text]
    for line, with_function in zip(lines, decorated, strict=True):
        program += [with_function] if line.startswith("@") else [line if " = " in line else f"print(repr({line}))"]
    env = {**ground.env, "TASK_LOGS_DIR": str(tmp_path / "tasks"), "AGENTLOG_LOG_DIR": str(tmp_path / "logs")}
    text = "\n".join([*program, "shutdown()"])
    ran = subprocess.run([sys.executable, "-c", text], cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "success=True" in ran.stdout
    assert "agentlog_tool_executions_total" in ran.stdout
    logged = whole_log(tmp_path / "logs")
    for action in ("instance_start", "task_assigned", "resource_usage", "recovery_succeeded", "fallback_used", "diff read"):
        assert action in logged


OLD = (
    *("/logs/metadata", "/logs/input", "/logs/webhook-flow", "/logs/agent-output", "/logs/final-result", "/logs/full"),
    *("recent failures", "statistics of the last hour", "an export of what was filtered, as JSON"),
    *("by user", "by specialist", "by agent", "by model", "by provider", "by day", "p50, p90, p95, p99"),
    *("metrics --prometheus", "metrics --report", "for a period", "metrics --current"),
    *("total cost", "failed tasks", "token usage"),
    *("success rate", "average and p95 duration", "errors by category", "top scripts", "active alerts"),
    *("set_alert_threshold('error_rate_percent', 15.0)", "register_alert_callback(fn)"),
    *("format_error_for_user(", "log_and_format_error(…) -> (error_id, message)", "@handle_errors(recovery_strategy=…)"),
    *('ToolExecutionService("registry.json")', "get_execution_stats()", "export_prometheus_metrics()"),
    *("get_logger(name, component)", "set_task_id", "set_instance_id", "@log_performance("),
    *("log_instance_lifecycle(", "log_task_assignment(", "log_resource_usage("),
)
"""What people come from."""


def test_nothing_that_people_come_from_is_missing() -> None:
    """Each has a row with something of ours beside it."""
    found = rows(RECIPES)

    assert [old for old in OLD if not any(old in row.left and row.new for row in found)] == []


def test_what_a_record_is_good_for_later(tmp_path: Path) -> None:
    """Two groups are compared, the last task is run again, chats are written, sessions of a coding agent come in."""
    root, work, sessions = tmp_path / "tasks", tmp_path / "work", tmp_path / ".claude/projects/app"
    work.mkdir()
    sessions.mkdir(parents=True)
    (work / "agent.py").write_text(AGENT)
    session = (
        Claude().says("hi").answers("a", uses("t1", command="ls"), usage=(10, 0, 0, 5)).result("t1").answers("b", said("ok"))
    )
    (sessions / "s-1.jsonl").write_text(lines(session.rows))
    env = _environment(tmp_path, root)
    for tag in ("before", "after"):
        subprocess.run(["python", "agent.py"], cwd=work, env={**env, "TAG": tag, "TASKS": "20"}, check=True, timeout=TIMEOUT_S)

    commands = [command for _, command in TYPED if LATER.match(command)]
    ran = {LATER.match(each)[1]: Ground(root, work, env, 0).run(each, work) for each in commands}  # type: ignore[index]

    assert {name: done.returncode for name, done in ran.items()} == dict.fromkeys(("compare", "replay", "dataset", "import"), 0)
    assert re.search(r"cost", ran["compare"].stdout)
    assert "1 of 2 AI calls answered from the record" in ran["replay"].stderr
    assert [path for path in (work / "data").rglob("*") if "It is fine." in path.read_text()]
    assert (root / "claude-s-1" / "metadata.json").exists()

"""``agentlog errors``: the list, one error, the audit trail; harmless whatever stands in the folder."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.view.cli.main import main
from tests.view.cli.terminal import agentlog as run
from tests.view.cli.terminal import on_terminal, plain
from tests.view.cli.test_hostile import VALUES, write
from tests.view.stories import HOSTILE


@agentlog.handle_errors(recovery_strategy=lambda error: 1 // 0, fallback="less", component="web")
def degraded() -> str:
    raise agentlog.IntegrationError("jira is away", context={"issue": "AB-1", "notes": "a\nb"})


@pytest.fixture
def root(tasks_root: Path) -> Path:
    """A task with an error that was handled and one that was not, and an error outside of any task."""
    with suppress(TimeoutError), agentlog.task("Review", task_id="task-review"):
        degraded()
        with agentlog.step("judge"):
            raise TimeoutError("no answer")
    agentlog.get_logger("gateway").error("bad request", exc_info=ValueError(HOSTILE))
    agentlog.shutdown()
    return tasks_root


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"AGENTLOG_LOG_DIR": str(tmp_path / "logs"), "HOME": str(tmp_path), "TZ": "UTC"}


def ids(root: Path, env: dict[str, str]) -> dict[str, str]:
    """By type, the error's id."""
    listed = json.loads(run("errors", "--json", "--root", root, env=env).out)["errors"]
    return {error["exception"]["type"].rpartition(".")[2]: error["error_id"] for error in listed}


def test_the_list_has_every_error_newest_first(root: Path, env: dict[str, str]) -> None:
    """Id, category, what and where; nothing in it acts on a terminal."""
    said = run("errors", "--root", root, env=env)

    assert said.code == 0
    heads = [line.split()[0] for line in said.out.splitlines()]
    known = ids(root, env)
    assert heads == ["ID", *(known[kind] for kind in ("ValueError", "TimeoutError", "ZeroDivisionError", "IntegrationError"))]
    assert re.search(r"TIMEOUT +TimeoutError: no answer +task-review +judge", said.out)
    assert re.search(r"VALIDATION +ValueError: evil red", said.out)
    assert "\x1b" not in said.out
    assert "\u202e" not in said.out


def test_ids_of_tasks_are_as_short_as_in_ls(tasks_root: Path) -> None:
    """Of ids that were made eight digits where columns are few, which find the task; whole ones where there is room."""
    with suppress(TimeoutError), agentlog.task("Review") as task:
        raise TimeoutError("no answer")
    agentlog.shutdown()
    short = task.task_id.removeprefix("task-")[:8]

    for words in (["errors"], ["errors", "--each"]):
        assert re.search(rf"no answer +{short} ", plain(on_terminal(*words, "--root", tasks_root, columns=119).out))
        assert task.task_id in plain(on_terminal(*words, "--root", tasks_root, columns=140).out)
    assert task.task_id in run("errors", "--root", tasks_root).out


@pytest.fixture
def many(tasks_root: Path) -> Path:
    """Two tasks with the same errors but for a number, some of them of attempts that another one made good."""
    for number in range(2):
        with suppress(TimeoutError), agentlog.task(f"Review PR {number}", agent=f"agent-{number}", task_id=f"task-{number}"):
            with agentlog.tool("Read") as run:
                run.attempt_failed(OSError(f"disk {number} is busy"))
            with agentlog.tool("Fetch") as run:
                run.attempt_failed(OSError(f"disk {number} is busy"))
                raise TimeoutError(f"no answer within {30 + number} s")
    agentlog.shutdown()
    return tasks_root


def test_errors_of_one_kind_are_one_row(many: Path, env: dict[str, str]) -> None:
    """With how many, in how many tasks; those that a retry made good apart."""
    said = run("errors", "--root", many, env=env)

    above, below = said.out.split("Handled by a retry")
    assert re.search(r" 2 +\S+ +\S+ +TIMEOUT +TimeoutError: no answer within 31 s +2 tasks +Review PR 1", above)
    assert re.search(r" 2 +\S+ +\S+ +EXECUTION +OSError: disk 1 is busy +2 tasks", above)
    assert re.search(r" 2 +\S+ +\S+ +EXECUTION +OSError: disk 1 is busy +2 tasks", below)
    assert "6 errors of 3 kinds" in below


def test_each_error_and_the_groups_as_json(many: Path, env: dict[str, str]) -> None:
    """``--each`` lists all; JSON has both, and which were made good."""
    assert len(run("errors", "--each", "--root", many, env=env).out.splitlines()) == 7
    found = json.loads(run("errors", "--json", "--root", many, env=env).out)
    assert [(group["count"], group["tasks"], group["handled_by_retry"]) for group in found["groups"]] == [
        (2, 2, False),
        (2, 2, False),
        (2, 2, True),
    ]
    assert sorted(error["handled_by_retry"] for error in found["errors"]) == [False] * 4 + [True] * 2


def test_errors_of_some_tasks(many: Path, env: dict[str, str]) -> None:
    """By a filter, as an argument or an option; a name that does not exist is told."""
    for words in (["agent:agent-0"], ["--where", "agent:AGENT-0"]):
        found = json.loads(run("errors", *words, "--json", "--root", many, env=env).out)
        assert {error["task_id"] for error in found["errors"]} == {"task-0"}
    said = run("errors", "agent:agnet-0", "--root", many, env=env)
    assert said.out.splitlines()[1:] == ["No task has the agent 'agnet-0', did you mean 'agent-0' or 'agent-1'?"]


def test_a_root_that_is_given_shows_its_own_errors_alone(many: Path, tmp_path: Path) -> None:
    """Not those that other programs left in the default folders of logs; by its id any is found."""
    logs = tmp_path / "home" / ".local" / "state" / "agentlog" / "logs"
    logs.mkdir(parents=True)
    exception = {"type": "OSError", "message": "port in use", "error_id": "abcd1234"}
    line = {"timestamp": "2026-11-21T05:22:01.000000000Z", "level": "ERROR", "message": "m", "exception": exception}
    (logs / "logs.jsonl").write_text(json.dumps(line, separators=(",", ":")) + "\n")
    away = {"HOME": str(tmp_path / "home"), "TASK_LOGS_DIR": str(tmp_path / "empty")}

    assert "No such errors" in run("errors", env=away).out
    assert "port in use" in run("errors", "abcd1234", env=away).out


def test_one_error_is_shown_with_all_about_it(root: Path, env: dict[str, str]) -> None:
    """Category, places, context, suggestions, traceback and how it was handled."""
    identity = ids(root, env)["IntegrationError"]

    said = run("errors", identity, "--root", root, env=env)

    lines = said.out.splitlines()
    assert lines[0] == f"{identity}  DEPENDENCY  otel_agentlog.errors.IntegrationError: jira is away"
    assert re.search(r"^  task_id +task-review$", said.out, re.MULTILINE)
    assert re.search(r"^  trace_id +[0-9a-f]{32}$", said.out, re.MULTILINE)
    assert re.search(r"^  file +.*03-agent-output.jsonl$", said.out, re.MULTILINE)
    assert lines[lines.index("Context") + 1 : lines.index("What to do")] == ["  issue: AB-1", "  notes: a", "    b"]
    assert len(lines[lines.index("What to do") + 1 : lines.index("Traceback")]) >= 3
    handled = lines[lines.index("How it was handled") + 1 :]
    trail = ["error_caught", "recovery_attempted", "recovery_failed", "fallback_used"]
    assert [line.split()[1] for line in handled] == trail


def test_the_audit_lists_what_was_handled(root: Path, env: dict[str, str]) -> None:
    """Only errors that somebody handled, each with its trail."""
    said = run("errors", "--audit", "--root", root, env=env)

    assert "fallback_used" in said.out
    assert "degraded is degraded: a fixed str instead of its result" in said.out
    assert "TimeoutError" not in said.out
    (error,) = json.loads(run("errors", "--audit", "--json", "--root", root, env=env).out)["errors"]
    assert [line["action"] for line in error["trail"]][-1] == "fallback_used"


def test_filters(root: Path, env: dict[str, str]) -> None:
    """By category, time and number."""
    found = json.loads(run("errors", "--category", "timeout", "--json", "--root", root, env=env).out)
    assert [error["exception"]["message"] for error in found["errors"]] == ["no answer"]
    assert "No such errors" in run("errors", "--since", "2099-01-01", "--root", root, env=env).out
    assert "No such errors" in run("errors", "--until", "2h", "--root", root, env=env).out
    short = run("errors", "--limit", "1", "--root", root, env=env).out
    assert "1 of 4 errors; --limit 0 shows all" in short


def test_an_id_that_is_not_there_is_an_error(root: Path, env: dict[str, str]) -> None:
    """With the places that were searched; the same for what is no id at all."""
    for identity in ("zzzzzzzz", "../../etc", HOSTILE.replace("\x00", "")):
        said = run("errors", identity, "--root", root, env=env)
        assert said.code == 1
        assert said.err.startswith("agentlog errors: no error")
        assert "\x1b" not in said.err


@pytest.mark.parametrize("wrong", [("--since", "soon"), ("--limit", "-1"), ("--limit", "x"), ("--category",)])
def test_options_that_cannot_be_used(root: Path, env: dict[str, str], wrong: tuple[str, ...]) -> None:
    """Exit code 2 and one line."""
    said = run("errors", *wrong, "--root", root, env=env)

    assert said.code == 2
    assert len(said.err.splitlines()) == 1


def test_it_fits_a_narrow_terminal(root: Path, env: dict[str, str]) -> None:
    """The id and the error stay."""
    identity = ids(root, env)["TimeoutError"]

    shown = plain(on_terminal("errors", "--root", root, columns=60, env=env).out)

    assert identity in shown
    assert all(len(line) <= 60 for line in shown.splitlines())


IDS = st.sampled_from(["abc12345", HOSTILE]) | VALUES
EXCEPTIONS = st.fixed_dictionaries(
    {"error_id": IDS}, optional=dict.fromkeys(("type", "message", "category", "suggestions", "context", "traceback"), VALUES)
)
DETAILS = st.fixed_dictionaries({"error_id": IDS}, optional=dict.fromkeys(("error_type", "reason", "category"), VALUES))
LINES = st.lists(
    st.fixed_dictionaries(
        {"timestamp": st.just("2026-11-21T05:22:05.123456789Z") | VALUES},
        optional={"exception": EXCEPTIONS | VALUES, "details": DETAILS | VALUES}
        | {"action": st.sampled_from(["error_caught", "fallback_used"]) | VALUES}
        | dict.fromkeys(
            ("type", "level", "component", "message", "logger", "task_id", "step_id", "trace_id", "event_id"), VALUES
        ),
    ),
    max_size=6,
)


@given(lines=LINES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_folder_can_be_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[object]) -> None:
    """Whatever stands in the lines: no traceback, nothing that acts on a terminal."""
    write(tmp_path / "task-any", lines, {"task_id": "task-any"}, {})
    for arguments in (["errors"], ["errors", "--audit"], ["errors", "abc12345"]):
        for as_json in ([], ["--json"]):
            with pytest.MonkeyPatch.context() as patch, suppress(agentlog.AgentlogError):
                patch.setenv("AGENTLOG_LOG_DIR", str(tmp_path / "logs"))
                patch.setenv("HOME", str(tmp_path))
                assert main([*arguments, *as_json, "--root", str(tmp_path), "--debug"]) == 0
            assert not re.search("[\x1b\x9b\u202e\x07]", capsys.readouterr().out)

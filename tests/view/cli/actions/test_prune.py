"""``agentlog prune``: what it says before, what it does, and what it refuses."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_agentlog.view.cli import main as cli
from otel_agentlog.view.cli.actions import prune as cli_prune
from tests.store.retention.retention_folders import DAY_NS, make_task, names, tree
from tests.view.cli.terminal import Output, on_terminal, plain
from tests.view.cli.terminal import agentlog as real

Run = Callable[..., Output]


@pytest.fixture
def agentlog(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process, which is faster."""

    def run(*arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None) -> Output:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            if cwd is not None:
                patch.chdir(cwd)
            try:
                code = cli.main([str(argument) for argument in arguments])
            except SystemExit as end:
                code = int(str(end.code))
        return Output(code, *capsys.readouterr())

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three finished tasks of 2 kB, 10, 20 and 400 days old, and one that runs."""
    folder, now_ns = tmp_path / "tasks", time.time_ns()
    folder.mkdir(mode=0o700)
    for days in (10, 20, 400):
        make_task(folder, f"task-{days}", ended_ns=now_ns - days * DAY_NS, delivery={"pending": 4})
    make_task(folder, "task-runs", status="running", ended_ns=now_ns - 500 * DAY_NS)
    return folder


def test_a_dry_run_says_what_would_go_and_changes_nothing(root: Path, agentlog: Run) -> None:
    """The same words as the run, in the conditional; the run then does it."""
    before = tree(root)

    foretold = agentlog("prune", "--dry-run", "--keep-days", 15, "--root", root)
    assert tree(root) == before
    assert not (root / ".upkeep.lock").exists()
    said = real("prune", "--keep-days", 15, "--root", root)

    assert (foretold.code, foretold.err) == (0, "")
    assert foretold.lines[0] == f"Would delete 2 of 4 tasks, 4.0 kB below {root}."
    assert foretold.lines[1].split() == ["TASK", "ENDED", "SIZE", "WHY"]
    assert [line.split()[0] for line in foretold.lines[2:]] == ["task-400", "task-20"]
    assert all(line.endswith("2.0 kB  too old") for line in foretold.lines[2:])
    assert said.lines == [foretold.lines[0].replace("Would delete", "Deleted"), *foretold.lines[1:]]
    assert names(root) == ["task-10", "task-runs"]


def test_limits_come_from_the_settings_and_options_take_their_place(root: Path, agentlog: Run) -> None:
    """Each option the place of its own setting, the others stay in force."""
    limits = {"TASK_LOGS_DIR": str(root), "TASK_LOGS_RETENTION_DAYS": "300", "TASK_LOGS_MAX_TASKS": "3"}

    def gone(*options: object) -> list[tuple[str, str]]:
        told = json.loads(agentlog("prune", "--dry-run", "--json", *options, env=limits).out)
        return [(each["task_id"], each["reason"]) for each in told["deleted"]]

    assert gone() == [("task-400", "age")]
    assert gone("--keep-days", 1000) == [("task-400", "count")]
    assert gone("--keep-tasks", 2) == [("task-400", "age"), ("task-20", "count")]
    assert gone("--keep-days", 0) == [("task-400", "age"), ("task-20", "age"), ("task-10", "age")]
    assert gone("--max-bytes", "5kB") == [("task-400", "age"), ("task-20", "quota")]


def test_a_file_of_settings_counts_where_it_lies(root: Path, tmp_path: Path, agentlog: Run) -> None:
    """As in the SDK; whoever names another root does not prune that by the file."""
    (tmp_path / "agentlog.yaml").write_text(f"directory: {root}\nmax_tasks: 1\n")

    here = json.loads(agentlog("prune", "--dry-run", "--json", cwd=tmp_path).out)
    elsewhere = json.loads(agentlog("prune", "--dry-run", "--json", "--root", root, cwd=tmp_path).out)

    assert (here["root"], len(here["deleted"]), len(elsewhere["deleted"])) == (str(root), 3, 0)


def test_compression_is_told_and_done(root: Path, agentlog: Run) -> None:
    """Every finished task, now; what was said before is what is there then."""
    foretold = agentlog("prune", "--dry-run", "--compress", "--root", root)
    said = agentlog("prune", "--compress", "--root", root)
    again = agentlog("prune", "--compress", "--root", root)

    assert foretold.lines[-1].startswith("Would compress 3 tasks: ")
    assert said.lines[-1] == foretold.lines[-1].replace("Would compress", "Compressed")
    assert again.lines == [f"Deleted 0 of 4 tasks below {root}."]
    assert sorted(path.parent.name for path in root.glob("*/*.gz")) == ["task-10", "task-20", "task-400"]


def test_what_a_quota_costs_is_said(root: Path, agentlog: Run) -> None:
    """Undelivered items by task and in all, and that the quota is not met all the same."""
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}

    kept = agentlog("prune", "--keep-days", 1, "--root", root, env=collector)
    said = agentlog("prune", "--max-bytes", 1000, "--root", root, env=collector)

    assert kept.lines[1:] == ["3 tasks past the limits and kept until the collector has all of it."]
    assert [line.endswith("over the quota  4 items undelivered") for line in said.lines[2:5]] == [True] * 3
    assert said.lines[5:] == [
        "12 items were deleted before the collector had them.",
        "Still 1.0 kB over the limits, which nothing that may go would change.",
        "1 task is unfinished, in use, or changed a moment ago.",
    ]
    assert json.loads(agentlog("prune", "--json", "--root", root).out)["totals"]["dropped"] == {"quota": 12}


def test_what_was_left_alone_is_named_harmlessly(root: Path, agentlog: Run) -> None:
    """Names of strangers reach the terminal without their escape sequences, and are in JSON as they are."""
    hostile = "evil\x1b]0;owned\x07\x1b[31m"
    (root / hostile).mkdir()
    (root / "task-link").symlink_to("/etc")

    said = on_terminal("prune", "--root", root)
    told = json.loads(agentlog("prune", "--json", "--root", root).out)

    assert "\x1b]" not in said.out
    assert [line.strip() for line in plain(said.out).splitlines()[2:]] == [
        "Left alone, 2 findings:",
        "evil: not named like a task",
        "task-link: no folder but a symlink",
    ]
    assert told["left"][0] == {"name": hostile, "reason": "not named like a task"}


def test_without_a_limit_it_says_how_to_set_one(root: Path, agentlog: Run) -> None:
    """And deletes nothing."""
    said = agentlog("prune", "--root", root)

    assert (said.code, said.lines[0].startswith("No limit is set: ")) == (0, True)
    assert len(names(root)) == 4


def test_many_are_listed_in_part(tmp_path: Path, agentlog: Run) -> None:
    """Twenty by name, the rest by number; JSON has all."""
    now_ns = time.time_ns()
    for number in range(25):
        make_task(tmp_path, f"task-{number}", ended_ns=now_ns - (number + 2) * DAY_NS)

    said = agentlog("prune", "--dry-run", "--keep-tasks", 0, "--root", tmp_path)
    told = json.loads(agentlog("prune", "--dry-run", "--keep-tasks", 0, "--root", tmp_path, "--json").out)

    assert (len(said.lines), said.lines[-1].strip()) == (23, "… and 5 more (--json lists all)")
    assert len(told["deleted"]) == 25


def test_a_root_that_is_not_there_has_no_tasks(tmp_path: Path, agentlog: Run) -> None:
    """It is not made, either."""
    said = agentlog("prune", "--keep-days", 1, "--root", tmp_path / "nowhere")

    assert (said.code, said.lines) == (0, [f"Deleted 0 of 0 tasks below {tmp_path / 'nowhere'}."])
    assert os.listdir(tmp_path) == []


def test_who_comes_second_says_so(root: Path, monkeypatch: pytest.MonkeyPatch, agentlog: Run) -> None:
    """Another process is at it for longer than one waits: the exit code is 1."""
    monkeypatch.setattr(cli_prune, "WAIT_S", 0.05)
    lock = os.open(root / ".upkeep.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)

    said = agentlog("prune", "--keep-tasks", 0, "--root", root)

    os.close(lock)
    assert (said.code, said.err, len(names(root))) == (1, "agentlog prune: another process is at it\n", 4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--keep-days", "soon"], "expected a number of days, found 'soon'"),
        (["--keep-days", "-1"], "expected a number of days, found '-1'"),
        (["--keep-days", "nan"], "expected a number of days, found 'nan'"),
        (["--keep-tasks", "1.5"], "expected a number of tasks, found '1.5'"),
        (["--max-bytes", "500M"], "expected a number of bytes, such as 500MB or 2GiB, found '500M'"),
    ],
)
def test_what_cannot_be_understood_deletes_nothing(options: list[str], expected: str, root: Path, agentlog: Run) -> None:
    """The exit code is 2, and what was expected is said."""
    said = agentlog("prune", *options, "--root", root)

    assert (said.code, expected in said.err, len(names(root))) == (2, True, 4)


def test_a_setting_that_cannot_be_used_deletes_nothing(root: Path, agentlog: Run) -> None:
    """It is named."""
    said = agentlog("prune", "--root", root, env={"TASK_LOGS_RETENTION_DAYS": "0"})

    assert (said.code, "TASK_LOGS_RETENTION_DAYS" in said.err, len(names(root))) == (2, True, 4)

"""Whatever stands in a folder, the commands show it, harmless, without an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otel_agentlog.errors import AgentlogError
from otel_agentlog.view.cli.main import COMMANDS, main
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.cli.damaged import GOOD, damaged_folders, good_tasks
from tests.view.stories import HOSTILE

TEXT = st.just(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
TYPES = (
    "task",
    "step",
    "ai_request",
    "ai_response",
    "tool_call",
    "tool_result",
    "subtask",
    "attempt",
    "log",
    "output",
    "state",
    "process",
)
LINE_KEYS = ("message", "level", "component", "duration_ms", "content", "reason", "logger", "resource", "host")
DETAIL_KEYS = (
    *("arguments", "result", "attempts", "exit_code", "finish_reasons", "messages", "system", "output", "latency_ms", "cost_usd"),
    *("input_tokens", "number", "maximum", "reason", "wait_ms", "task_id", "name", "outcome"),
)
DETAILS = st.dictionaries(
    st.sampled_from(DETAIL_KEYS),
    VALUES | st.lists(st.fixed_dictionaries({"role": TEXT, "parts": VALUES, "type": TEXT, "content": VALUES}), max_size=2),
    max_size=6,
)
EXCEPTION = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("type", "message", "error_id", "category", "suggestions"), VALUES)
    | {"traceback": VALUES | st.lists(TEXT)},
)
LINES = st.lists(
    st.fixed_dictionaries(
        {"timestamp": st.just("2026-11-21T05:22:05.123456789Z") | VALUES},
        optional=dict.fromkeys(LINE_KEYS, VALUES)
        | {"type": st.sampled_from(TYPES) | VALUES, "phase": st.sampled_from(["start", "end"]), "details": DETAILS | VALUES}
        | {"span_id": st.sampled_from(["a" * 16, "b" * 16, "c" * 16]), "parent_span_id": st.sampled_from(["a" * 16, "b" * 16])}
        | {"outcome": st.sampled_from(["completed", "failed"]) | VALUES, "exception": EXCEPTION | VALUES, "stage": VALUES},
    ),
    max_size=8,
)
METADATA = st.dictionaries(
    st.sampled_from(
        ["name", "status", "assigned_agent", "tags", "delivery", "trace_id", "source", "started_at", "parent_task_id", "task_id"]
    ),
    VALUES,
)
FINAL = st.dictionaries(st.sampled_from(["outcome", "error", "metrics", "result"]), VALUES)


@pytest.fixture(scope="module", autouse=True)
def _no_translations() -> Iterator[None]:
    """Each parser looks for translations of argparse's own words on the disk, a hundred times: half of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGUAGE", "C")
        yield


def acting(text: str) -> set[str]:
    """What of a text a terminal would act on; of megabytes of text as fast as of its alphabet."""
    return set(acts_on_a_terminal("".join(set(text))))


def write(folder: Path, lines: list[Any], metadata: dict[str, Any], final: dict[str, Any]) -> None:
    """Make a folder of this."""
    folder.mkdir(exist_ok=True)
    folder.joinpath("metadata.json").write_bytes(orjson.dumps(metadata))
    folder.joinpath("04-final-result.json").write_bytes(orjson.dumps(final))
    encoded = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    folder.joinpath("03-agent-output.jsonl").write_bytes(encoded)
    folder.joinpath("02-webhook-flow.jsonl").write_bytes(encoded)


@given(lines=LINES, metadata=METADATA, final=FINAL)
@example(lines=[], metadata={"tags": True}, final={})
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_command_shows_any_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[Any], metadata: dict[str, Any], final: dict[str, Any]
) -> None:
    """No error, and nothing that a terminal would act on, in text and in JSON."""
    folder = tmp_path / "task-any"
    write(folder, lines, metadata, final)

    for arguments in (
        ["ls"],
        ["show", str(folder)],
        ["show", str(folder), "--full"],
        ["tail", str(folder), "--full"],
        ["validate"],
    ):
        for as_json in ([], ["--json"]):
            code = main([*arguments, *as_json, "--root", str(tmp_path), "--debug"])
            said = capsys.readouterr()
            assert code == 0 or arguments == ["validate"]
            assert acting(said.out) <= {"\n"}
            if as_json:
                for line in said.out.splitlines():
                    json.loads(line)


@given(lines=LINES, metadata=METADATA, final=FINAL)
@example(lines=[], metadata={"tags": True}, final={})
@example(lines=[], metadata={"tags": [["x"], {"y": 1}, None]}, final={"error": ["x"]})
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_question_is_answered_about_any_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[Any], metadata: dict[str, Any], final: dict[str, Any]
) -> None:
    """Searching, counting, comparing, exporting and watching bear whatever stands there; 1 only says that nothing was found."""
    folder = tmp_path / "task-any"
    write(folder, lines, metadata, final)

    for arguments in (
        ["search", "a"],
        ["stats", "--group-by", "model"],
        ["cost"],
        ["top"],
        ["errors"],
        ["alerts", "--since", "2026-11-20"],
        ["metrics", "--report"],
        ["metrics", "--prometheus"],
        ["diff", str(folder), str(folder)],
        ["monitor", str(folder), "--once"],
        ["monitor", "--once"],
        ["export", "--format", "csv"],
        ["export", "--format", "json"],
        ["export", "--format", "otlp", "--signals", "traces,logs"],
        ["export", str(folder), "--format", "html"],
    ):
        code = main([*arguments, "--root", str(tmp_path), "--debug"])
        said = capsys.readouterr()
        assert code in (0, 1)
        assert acting(said.out) <= {"\n", "\r"} or arguments[0] == "export"


def test_a_deep_nest_of_steps_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand levels are no reason to fail."""
    lines = []
    for number in range(1500):
        line = {"timestamp": "2026-11-21T05:22:05.000000000Z", "type": "step", "phase": "start", "message": f"s{number}"}
        lines.append({**line, "span_id": f"{number + 1:016x}"} | ({"parent_span_id": f"{number:016x}"} if number else {}))
    write(tmp_path / "task-deep", lines, {"status": "completed"}, {})

    for more in ([], ["--full"], ["--json"]):
        assert main(["show", "--root", str(tmp_path), "--debug", *more]) == 0
        assert "s1499" in capsys.readouterr().out


def test_a_text_of_many_megabytes_is_shown_in_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Enough to recognise it, and how much is left in the folder."""
    line = {"timestamp": "2026-11-21T05:22:05.000000000Z", "type": "output", "content": "x" * 5_000_000, "span_id": "a" * 16}
    write(tmp_path / "task-long", [{**line, "type": "task", "phase": "start", "message": "t", "content": ""}, line], {}, {})

    for arguments in (["tail", "--full"], ["show", "--full"]):
        assert main([*arguments, "--root", str(tmp_path)]) == 0
        out = capsys.readouterr().out
        assert len(out) < 100_000
        assert "more characters in the folder" in out


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A root with three good tasks and folders that are damaged in every way, and the names of these."""
    root = tmp_path_factory.mktemp("damaged") / "tasks"
    good_tasks(root)
    return root, damaged_folders(root)


@pytest.fixture
def damaged_copy(damaged: tuple[Path, list[str]], tmp_path: Path) -> tuple[Path, list[str]]:
    """The same, to be changed."""
    root, names = tmp_path / "tasks", damaged[1]
    good_tasks(root)
    damaged_folders(root)
    return root, names


def run(capsysbinary: pytest.CaptureFixture[bytes], root: Path, *words: str) -> tuple[int, str, str]:
    """Exit code and what was printed; anything raised passes on."""
    code = main([*words, "--root", str(root), "--debug"])
    said = capsysbinary.readouterr()
    return code, said.out.decode(), said.err.decode()


OVER_ALL = {
    "ls": [["--limit", "0"]],
    "search": [["broken", "--limit", "0"]],
    "stats": [
        [],
        *(["--group-by", key] for key in ("user", "specialist", "agent", "model", "provider", "day", "status", "tool")),
    ],
    "cost": [[], ["--group-by", "day"]],
    "recost": [[]],
    "top": [["--by", order, "--limit", "0"] for order in ("count", "cost", "time", "failures")],
    "metrics": [["--current"], ["--report"], ["--prometheus"]],
    "errors": [["--limit", "0"], ["--audit"]],
    "alerts": [["--since", "2020-01-01"]],
    "export": [["--format", "json"], ["--format", "csv"], ["--signals", "traces,logs"]],
    "dataset": [["--of", "calls"], ["--of", "tasks"]],
    "compare": [["", ""], ["", "status:completed", "--fail-if", "cost>+900%"], ["--by", "tag", "*", "*", "--no-intervals"]],
    "monitor": [["--text", "--once"]],
}
SHOWS_TASKS = (["ls"], ["search"], ["export", "--format", "json"], ["export", "--format", "csv"])
OTHERS = {
    "validate": [[]],
    "ship": [["--dry-run"], ["--all", "--dry-run"]],
    "recover": [["--dry-run"], ["--all", "--dry-run"]],
    "prune": [["--dry-run"], ["--dry-run", "--keep-days", "0"], ["--dry-run", "--compress"], ["--dry-run", "--keep-tasks", "1"]],
    "doctor": [["--no-send"]],
    "completion": [["bash"]],
}
OF_ONE = {
    "show": [[], ["--full"]],
    "tail": [["-n", "all", "--full"]],
    "export": [["--format", "html"], ["--format", "json"], ["--format", "csv"], ["--signals", "traces,logs"]],
    "validate": [[]],
    "monitor": [["--text", "--once"]],
    "diff": [[GOOD[0]]],
    "ship": [["--dry-run"]],
    "recost": [[]],
}
CONTROL = ("pause", "resume", "cancel", "context")
ELSEWHERE = {"serve", "mcp", "note", "run", "import", "collect", "replay", *CONTROL}
"""Of these all have tests of their own, below `actions/` or beside what they run."""


def test_every_command_is_tried() -> None:
    """No command is forgotten when one is added."""
    assert set(COMMANDS) == {*OVER_ALL, *OTHERS, *OF_ONE, *ELSEWHERE}


@pytest.mark.parametrize("words", [[name, *more] for name, forms in OVER_ALL.items() for more in forms], ids=" ".join)
def test_commands_over_all_go_on(
    damaged: tuple[Path, list[str]], capsysbinary: pytest.CaptureFixture[bytes], words: list[str]
) -> None:
    """Each shows the good tasks, names the damaged ones on standard error, and ends as if there were none."""
    root, names = damaged
    for as_json in ([], ["--json"]) if words[0] != "monitor" else ([],):
        code, out, err = run(capsysbinary, root, *words, *as_json)

        assert code in ((0, 1) if words[0] == "alerts" else (0,)), err
        assert "damaged" in err
        assert [name for name in names if f"{name}:" in err]
        assert "Traceback" not in err
        assert acting(out) <= {"\n", "\r"}
        if any(words[: len(shows)] == shows for shows in SHOWS_TASKS):
            assert [name for name in GOOD if name not in out] == []
        if as_json and words[0] != "export" and "--prometheus" not in words:
            for line in out.splitlines():
                json.loads(line)


@pytest.mark.parametrize("words", [[name, *more] for name, forms in OTHERS.items() for more in forms], ids=" ".join)
def test_other_commands_go_on(
    damaged: tuple[Path, list[str]], capsysbinary: pytest.CaptureFixture[bytes], words: list[str]
) -> None:
    """None raises; only `validate` fails because of what is in a folder."""
    for as_json in ([], ["--json"]):
        code, out, err = run(capsysbinary, damaged[0], *words, *as_json)

        assert code == (1 if words[0] == "validate" else 0), (out[-500:], err)
        assert "Traceback" not in err
        assert acting(out) <= {"\n", "\r"}


@pytest.mark.parametrize("name", OF_ONE)
def test_commands_about_one_damaged_task(
    damaged: tuple[Path, list[str]], capsysbinary: pytest.CaptureFixture[bytes], name: str
) -> None:
    """None raises, whichever damage it is; a folder in which nothing of a task is left is told to be none."""
    root, names = damaged
    # Every fifth of the exports, which take long, as each asks for sub-tasks.
    for folder in names[:: 5 if name == "export" else 1]:
        for more in OF_ONE[name]:
            words = [name, *more[:1], str(root / folder)] if name == "diff" else [name, str(root / folder), *more]
            code, out, err = run(capsysbinary, root, *words)

            assert code in ((0, 1) if name in ("validate", "diff") else (0,)), (words, err)
            assert "Traceback" not in err, words
            assert "--format" in words or acting(out) <= {"\n"}, words


@pytest.mark.parametrize("name", CONTROL)
def test_requests_to_damaged_tasks(
    damaged: tuple[Path, list[str]], capsysbinary: pytest.CaptureFixture[bytes], name: str
) -> None:
    """Taken, or refused in one sentence."""
    root, names = damaged
    for folder in names:
        try:
            run(capsysbinary, root, name, str(root / folder), *(["more"] if name == "context" else []))
        except (AgentlogError, OSError):
            capsysbinary.readouterr()


def test_commands_that_change_go_on(damaged_copy: tuple[Path, list[str]], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Sending, closing, compressing and deleting reach the good tasks and every folder behind a damaged one."""
    root, _ = damaged_copy
    for words in (
        ["ship", "--endpoint", "http://127.0.0.1:9"],
        ["recover", "--all"],
        ["prune", "--compress"],
        ["ls", "--limit", "0"],
        ["prune", "--keep-tasks", "1"],
    ):
        code, out, err = run(capsysbinary, root, *words)
        assert code in (0, 1), (words, err)
        assert "Traceback" not in err, words
        if words[0] == "ls":
            assert [name for name in GOOD if name not in out] == []


def test_a_clean_root_says_nothing(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Where no folder is damaged standard error stays empty."""
    root = tmp_path / "tasks"
    good_tasks(root)

    for name in OVER_ALL:
        _, _, err = run(capsysbinary, root, name, *OVER_ALL[name][0])
        assert "damaged" not in err, name

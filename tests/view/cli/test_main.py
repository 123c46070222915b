"""The command as a whole: exit codes, one-line errors, pipes, colours, start."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import otel_agentlog
from otel_agentlog.settings.version import __version__
from otel_agentlog.view.cli.main import COMMANDS, main, make_parser
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.cli.terminal import NOTHING, TIMEOUT_S, agentlog, command, environment, on_terminal, plain

READING = (["ls"], ["show", "task-review42"], ["tail", "task-review42"], ["validate"])
HEAVY = ("opentelemetry", "requests", "grpc", "structlog", "rich", "google", "asyncio", "yaml")


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_reading_imports_nothing_that_records(stories: Path, arguments: list[str]) -> None:
    """Who only reads does not pay for the SDK, exporters, gRPC, structlog, or colours in a pipe."""
    program = (
        "import sys\nfrom otel_agentlog.view.cli.main import main\n"
        f"code = main({[*arguments, '--root', str(stories)]!r})\n"
        f"print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)\nsys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=TIMEOUT_S)

    assert (ran.returncode, ran.stderr.strip()) == (0, "[]")


def test_the_public_names_are_those_of_the_parts() -> None:
    """Every public name is found when it is used, in `dir`, and is the part's own."""
    from otel_agentlog import errors, wiring
    from otel_agentlog.record import api
    from otel_agentlog.settings import fields as settings

    assert set(otel_agentlog.__all__) <= set(dir(otel_agentlog))
    assert otel_agentlog.task is api.task
    assert otel_agentlog.configure is wiring.configure
    assert otel_agentlog.Settings is settings.Settings
    assert otel_agentlog.StateError is errors.StateError


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="module 'otel_agentlog' has no attribute 'nonsense'"):
        _ = otel_agentlog.nonsense


def test_importing_the_package_imports_no_part() -> None:
    """The SDK is imported when a name of it is first used."""
    program = (
        "import sys, otel_agentlog; print(sorted(set(sys.modules) & {'opentelemetry', 'structlog', 'otel_agentlog.record'}))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=True)

    assert ran.stdout.strip() == "[]"


IN_UMLAUTS = (
    *(
        ["search", "läuft"],
        ["ls", "--agent", "jürgen"],
        ["ls", "--tag", "größe"],
        ["show", "prüfung"],
        ["show", "{folder}"],
    ),
    *(["validate", "{folder}"], ["validate", "{root}"], ["tail", "prüfung"], ["diff", "prüfung", "prüfung"], ["errors"]),
    *(
        ["export", "prüfung", "-o", "{root}/ü.csv"],
        ["export", "prüfung", "-o", "{root}/ü.html"],
        ["recover", "prüfung"],
        ["context", "prüfung", "schön"],
        ["stats"],
    ),
)


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"LC_ALL": "C", "PYTHONUTF8": "1"}], ids=str)
@pytest.mark.parametrize("arguments", IN_UMLAUTS, ids=" ".join)
def test_what_is_typed_is_understood_in_every_locale(arguments: list[str], locale: dict[str, str], tmp_path: Path) -> None:
    """Texts, ids and paths, where Python hands over what was typed as surrogates."""
    root = tmp_path / "ordner-ü"
    otel_agentlog.configure(directory=root, log_directory=tmp_path / "log", console="off", resource_interval_s=0)
    task = otel_agentlog.task("es läuft", task_id="prüfung", agent="jürgen", tags=["größe"]).start()
    try:
        found = agentlog(*(each.format(root=root, folder=task.folder) for each in arguments), "--root", root, env=locale)
    finally:
        task.end()
        otel_agentlog.shutdown()

    assert (found.code, found.err.partition("Traceback")[1]) == (0, ""), found
    assert "None of" not in found.out
    assert any(path.name[0] == "ü" for path in root.iterdir()) == ("-o" in arguments)


def test_the_version_is_told() -> None:
    """``--version`` names the program and its version."""
    assert agentlog("--version").out == f"agentlog {__version__}\n"


def test_help_names_every_command() -> None:
    """Also without any argument, which is a usage error."""
    asked, bare = agentlog("--help"), agentlog()

    assert (asked.code, bare.code) == (0, 2)
    assert asked.out == bare.out
    for name in (*COMMANDS, "demo"):
        assert re.search(rf"\n    {name}\s", asked.out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shwo"], "agentlog: there is no command 'shwo', did you mean 'show'?; commands: ls, "),
        (["qqqq"], "agentlog: there is no command 'qqqq'; commands:"),
        (["ls", "--fialed"], "agentlog: ls does not take '--fialed', did you mean '--failed'?"),
        (["--rooot", "x", "ls"], "agentlog: "),
        (["ls", "--limit", "many"], "agentlog ls: argument --limit: expected a number, found 'many'"),
        (["ls", "--status", "faild"], "found 'faild', did you mean 'failed'?"),
        (["tail", "-n", "-1"], "agentlog tail: argument -n/--lines: "),
        (["show", "a", "b"], "agentlog: show does not take 'b'"),
        (["\x1b[31mred"], "agentlog: there is no command '"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(arguments: list[str], said: str) -> None:
    """It says what was found, what was expected, and what might have been meant."""
    ran = agentlog(*arguments)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert said in ran.err
    assert acts_on_a_terminal(ran.err) == ["\n"]


@pytest.mark.parametrize("name", ["show", "tail", "validate"])
def test_a_wrong_task_is_one_line_and_exit_code_1(stories: Path, name: str) -> None:
    """It says where it looked and which task might have been meant."""
    ran = agentlog(name, "task-revew42", "--root", stories)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"agentlog {name}: no task 'task-revew42' below {stories}; did you mean task-review42")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("name", ["show", "tail", "validate"])
def test_no_tasks_at_all_is_one_line(tmp_path: Path, name: str) -> None:
    """Where there is nothing to show, it is said where that is."""
    ran = agentlog(name, "--root", tmp_path)

    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert str(tmp_path) in ran.err


def test_a_setting_that_cannot_be_used_is_exit_code_2(tmp_path: Path) -> None:
    """Named with its value, as `configure` names it."""
    ran = agentlog("ls", env={"AGENTLOG_LOG_LEVEL": "LOUD"})

    assert (ran.code, ran.err) == (
        2,
        "agentlog ls: setting 'AGENTLOG_LOG_LEVEL': expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL, found 'LOUD'\n",
    )


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    """Before or behind the command's name."""
    for arguments in (["--debug", "show"], ["show", "--debug"]):
        ran = agentlog(*arguments, "--root", tmp_path)
        assert ran.err.startswith("Traceback (most recent call last)")
        assert "TaskNotFoundError" in ran.err


def test_a_defect_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Something we did not think of is said in one line, with the way to more."""
    from otel_agentlog.view.cli.queries import ls as cli_ls

    def broken(*_: object) -> int:
        raise KeyError("oops")

    monkeypatch.setattr(cli_ls, "run", broken)

    assert main(["ls", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "agentlog ls: unexpected KeyError: 'oops' (--debug shows where)\n"


def test_the_root_is_the_one_of_the_sdk(stories: Path, tmp_path: Path) -> None:
    """``--root`` before or behind the command, else ``agentlog.yaml``, else ``TASK_LOGS_DIR``, else the user's state folder."""
    (tmp_path / "agentlog.yaml").write_text(f"directory: {stories}\n")
    (tmp_path / ".local").mkdir()

    def shown(*arguments: object, env: Mapping[str, str] = NOTHING) -> str:
        found: str = json.loads(agentlog("ls", "--json", *arguments, env=env).out)["root"]
        return found

    assert json.loads(agentlog("--root", stories, "ls", "--json").out)["root"] == str(stories)
    assert shown("--root", stories) == str(stories)
    assert json.loads(agentlog("ls", "--json", cwd=tmp_path).out)["root"] == str(stories)
    assert shown(env={"TASK_LOGS_DIR": str(stories)}) == str(stories)
    assert shown(env={"HOME": str(tmp_path)}) == f"{tmp_path}/.local/state/agentlog/tasks"


@pytest.mark.parametrize(
    "arguments", [["ls"], ["show", "--full"], ["tail", "-n", "all"], ["tail", "--json"], ["ls", "--json"]], ids=" ".join
)
def test_a_reader_that_goes_away_is_no_error(stories: Path, arguments: list[str]) -> None:
    """As in ``agentlog ls | true``: quiet, and the exit code of a broken pipe."""
    ours, theirs = os.pipe()
    os.close(ours)
    line = command(*arguments, "--root", stories)
    ran = subprocess.run(line, stdout=theirs, stderr=subprocess.PIPE, env=environment(PYTHONUNBUFFERED="1"), timeout=TIMEOUT_S)
    os.close(theirs)

    assert (ran.returncode, ran.stderr) == (141, b"")


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_pipe_gets_plain_text(stories: Path, arguments: list[str]) -> None:
    """No escape sequence, and nothing cut, as nobody knows how wide it will be shown."""
    ran = agentlog(*arguments, "--root", stories)

    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert set(acts_on_a_terminal(ran.out)) == {"\n"}


def test_a_terminal_gets_colours_and_the_same_words(stories: Path) -> None:
    """Colour is all that ``--no-color`` and ``NO_COLOR`` take away."""
    arguments = ("show", "task-review42", "--root", stories)
    coloured, asked, told = (
        on_terminal(*arguments),
        on_terminal(*arguments, "--no-color"),
        on_terminal(*arguments, env={"NO_COLOR": "1"}),
    )

    assert "\x1b[" in coloured.out
    assert "\x1b" not in asked.out + told.out
    assert [line.rstrip() for line in plain(coloured.out).splitlines() if "started" not in line] == [
        line for line in asked.lines if "started" not in line
    ]


@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_terminals_without_colours_get_none(stories: Path, more: dict[str, str]) -> None:
    """A dumb terminal is taken at its word."""
    assert "\x1b" not in on_terminal("ls", "--root", stories, env=more).out


def test_force_color_colours_a_pipe(stories: Path) -> None:
    """For those who page it with ``less -R``."""
    assert "\x1b[" in agentlog("ls", "--root", stories, env={"FORCE_COLOR": "1"}).out


def test_without_rich_a_terminal_gets_the_same_words(stories: Path, tmp_path: Path) -> None:
    """The extra ``cli`` adds colours and nothing else."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['rich'] = None\n")
    ran = on_terminal("ls", "--root", stories, env={"PYTHONPATH": str(tmp_path)})

    assert (ran.code, "\x1b" in ran.out) == (0, False)
    assert "task-review42" in ran.out


def test_a_terminal_that_knows_ascii_only_gets_ascii(stories: Path) -> None:
    """Signs and lines have a plain form; names in other scripts are replaced, not fatal."""
    ran = agentlog("show", "task-wide", "--root", stories, env={"PYTHONIOENCODING": "ascii"})

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.isascii()
    assert "`- + step" in ran.out


def test_the_demo_gets_its_own_options() -> None:
    """``agentlog demo`` hands on what follows, unread."""
    ran = agentlog("demo", "--help")

    assert ran.code == 0
    assert ran.out.startswith("usage: agentlog demo")
    assert agentlog("--json", "demo").code == 2
    assert "stand behind the word demo" in agentlog("--root", "x", "demo", "--help").err


def test_words_are_read_as_utf_8_in_every_locale(tmp_path: Path) -> None:
    """Where Python takes the command line for ASCII a word with an umlaut is found, and bytes that are no text are no error."""
    otel_agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    with otel_agentlog.task("es läuft", task_id="runs"):
        pass
    otel_agentlog.shutdown()
    locale = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    def search(word: bytes) -> subprocess.CompletedProcess[bytes]:
        words = [sys.executable, "-m", "otel_agentlog", "search", word, "--json", "--root", str(tmp_path / "tasks")]
        return subprocess.run(words, env=locale, capture_output=True, check=False)

    assert b'"runs"' in search("läuft".encode()).stdout
    odd = search(b"\xff\xfe")
    assert (odd.returncode, b"Traceback" in odd.stderr, b"unexpected" in odd.stderr) == (1, False, False), odd.stderr


@pytest.mark.parametrize(
    "words",
    [
        *(
            ["ls", option, "\udcff"]
            for option in ("--agent", "--tag", "--source", "--model", "--parent", "--session", "--provider")
        ),
        *(
            [name, "\udcff"]
            for name in ("search", "show", "tail", "export", "validate", "diff", "errors", "pause", "ship", "recost")
        ),
        *(["stats", "--user", "\udcff"], ["export", "--format", "csv", "--agent", "\udcff"], ["ls", "--root", "\udcff"]),
    ],
    ids=ascii,
)
def test_words_that_are_no_text_are_no_defect(words: list[str], stories: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are no UTF-8 find nothing, or are refused in one line."""
    try:
        code = main([*words, *([] if "--root" in words else ["--root", str(stories)])])
    except SystemExit as exit_:
        code = int(exit_.code or 0)

    assert code in (0, 1, 2)
    assert "unexpected" not in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_two_examples(name: str) -> None:
    """Which can be typed as they stand; then the usage, on one line."""
    said = agentlog(name, "--help")

    lines = said.out.splitlines()
    assert lines[2] == "examples:"
    for line in lines[3:5]:
        assert line.startswith(f"  agentlog {name}")
        make_parser().parse_args(shlex.split(line)[1:])
    assert lines[6].startswith(f"usage: agentlog {name}")
    assert lines[7] == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["errors", "--kind", "x"], "did you mean '--category'?; see agentlog errors --help"),
        (["cost", "--by", "x"], "did you mean '--group-by'?; see agentlog cost --help"),
        (["ls", "--sort", "x"], "did you mean '--order'?; see agentlog ls --help"),
        (["ls", "--order", "newst"], "found 'newst', did you mean 'newest'?; see agentlog ls --help"),
        (["stats", "--group-by", "agnt"], "did you mean 'agent'?; see agentlog stats --help"),
        (["--hepl"], "did you mean '--help'?; see agentlog --help"),
    ],
)
def test_a_wrong_option_leads_to_the_right_one(words: list[str], says: str) -> None:
    """With the help of that command."""
    said = agentlog(*words)

    assert said.code == 2
    assert said.err.strip().endswith(says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cost"], "No AI calls in 0 tasks below "),
        (["top"], "No agents, tools, models in tasks like that below "),
        (["metrics", "--report"], "No tasks below "),
        (["stats"], "No task below "),
    ],
)
def test_an_empty_root_is_told_in_a_sentence(tmp_path: Path, words: list[str], says: str) -> None:
    """No table of nothing, no question mark for nothing."""
    said = agentlog(*words, "--root", tmp_path / "no")

    assert (said.code, len(said.lines)) == (0, 1)
    assert said.out.startswith(says)


def test_a_page_of_no_task(tmp_path: Path) -> None:
    """It says that there is none."""
    said = agentlog("export", "-o", tmp_path / "x.html", "--root", tmp_path / "no")

    assert said.code == 1
    assert "no task like that below" in said.err


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    """With the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = agentlog("serve", "--port", port, "--root", tmp_path)

    assert said.code == 2
    assert f"--port 0 takes a free one, found {port}" in said.err

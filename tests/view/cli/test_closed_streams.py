"""Standard streams that are closed, as by ``>&-``: every command does what it would do with open ones."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otel_agentlog.view.cli.main import COMMANDS, main
from tests.support.ports import accepts, free_ports
from tests.support.sources import HOME
from tests.support.waiting import wait_until
from tests.view.cli.terminal import TIMEOUT_S, environment

NAMES = ("stdin", "stdout", "stderr")
LISTENING = ("serve", "collect")
"""They end by a signal: tried in processes of their own."""
REAL = ("run", "replay", "demo")
"""What starts other programs is given real descriptors."""
WORDS = {
    "search": [["search", "review"]],
    "metrics": [["metrics"], ["metrics", "--prometheus"], ["metrics", "--json"]],
    "ls": [["ls"], ["ls", "--json"], ["ls", "--ids"], ["ls", "--help"]],
    "show": [["show", "task-review42"], ["show", "task-review42", "--json"]],
    "tail": [["tail", "task-review42"], ["tail", "task-review42", "--json"]],
    "compare": [["compare", "status:completed", "status:failed", *more] for more in ([], ["--csv"], ["--markdown"], ["--json"])],
    "diff": [["diff", "task-review42", "task-parallel"]],
    "export": [["export"], ["export", "--format", "csv"]],
    "import": [["import", "{root}"]],
    "pause": [["pause", "task-review42"]],
    "resume": [["resume", "task-review42"]],
    "cancel": [["cancel", "task-review42"]],
    "context": [["context", "task-review42", "-"]],
    "note": [["note", "task-review42", "-"]],
    "mcp": [["mcp"], ["mcp", "--skill"]],
    "monitor": [["monitor", "--once"]],
    "doctor": [["doctor", "--no-send"]],
    "completion": [["completion", "bash"], ["completion", "tasks"]],
}


@pytest.fixture(scope="module")
def root(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks that may be written to."""
    return Path(shutil.copytree(stories, tmp_path_factory.mktemp("closed") / "tasks"))


def _code(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as end:
        return int(str(end.code))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in (*LISTENING, *REAL)])
def test_every_command_ends_as_with_open_streams(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever are closed; nothing unexpected is told on those that are open."""
    nothing = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - until the end
    monkeypatch.setattr(sys, "stdin", nothing)
    for words in WORDS.get(name, [[name]]):
        line = [*(word.format(root=root) for word in words), "--root", str(root)]
        expected = _code(line)
        capsys.readouterr()
        for which in (["stdin"], ["stdout"], ["stderr"], list(NAMES)):
            with monkeypatch.context() as patch:
                for each in which:
                    patch.setattr(sys, each, None)
                assert _code(line) == expected, (line, which)
                for each in which:
                    getattr(sys, each).close()
            said = capsys.readouterr()
            assert "unexpected" not in said.err + said.out
    nothing.close()


def _with_closed(redirection: str, *words: object) -> subprocess.CompletedProcess[bytes]:
    line = ["sh", "-c", f'exec "$0" "$@" {redirection}', sys.executable, *map(str, words)]
    return subprocess.run(line, capture_output=True, env=environment(), timeout=TIMEOUT_S)


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_the_exit_code_of_a_command_that_is_run_is_kept(redirection: str, tmp_path: Path) -> None:
    """It has its streams closed as it would have them without us."""
    # No Python program: what records in it opens files, which would get the numbers.
    program = f"for n in 0 1 2; do [ -e /dev/fd/$n ] || : > '{tmp_path}'/$n; done; exit 7"
    words = ("-m", "otel_agentlog", "run", "--root", tmp_path / "tasks", "--", "sh", "-c", program)
    ran = _with_closed(redirection, *words)

    assert (ran.returncode, ran.stderr) == (7, b"")
    assert [name for name in sorted(os.listdir(tmp_path)) if name != "tasks"] == [
        number for number, sign in (("0", "<&-"), ("1", " >&-"), ("2", "2>&-")) if sign in f" {redirection}"
    ]


@pytest.mark.parametrize("module", [["otel_agentlog", "demo"], ["otel_agentlog.demo"]], ids=" ".join)
def test_the_demo_records(module: list[str], tmp_path: Path) -> None:
    """Also where it is started by itself."""
    ran = _with_closed("<&- >&- 2>&-", "-m", *module, "--root", tmp_path / "tasks", Path(__file__).parent)

    assert ran.returncode == 0
    assert len(list((tmp_path / "tasks").glob("task-*"))) == 3


@pytest.mark.parametrize("name", LISTENING)
def test_what_listens_listens(name: str, tmp_path: Path) -> None:
    """Until it is told to end."""
    port, grpc = free_ports(2)
    more = ["--grpc-port", str(grpc)] if name == "collect" else []
    words = ["-m", "otel_agentlog", name, "--port", str(port), *more, "--root", str(tmp_path / "tasks")]
    process = subprocess.Popen(["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', sys.executable, *words], env=environment())
    try:
        wait_until(lambda: accepts(port) or process.poll() is not None, "the server", timeout_s=TIMEOUT_S)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) in (0, 130)
    finally:
        process.kill()
        process.wait()


def test_a_program_that_records_without_standard_error_ends_as_without_us(tmp_path: Path) -> None:
    """What could not be kept is told nowhere then."""
    (tmp_path / "tasks").write_text("in the way")
    program = (
        "import sys, otel_agentlog as agentlog\n"
        "agentlog.configure(directory=sys.argv[1], console='json', service_name='closed')\n"
        "with agentlog.task('t'): agentlog.get_logger('x').error('said')\n"
        "sys.exit(5)"
    )

    assert _with_closed(">&- 2>&-", "-c", program, tmp_path / "tasks").returncode == 5


def test_nobody_writes_to_standard_error_of_a_users_program_unasked() -> None:
    """``sys.stderr`` may be None there: what is recorded or run with tells by `tell`."""
    found = []
    for path in sorted(HOME.rglob("*.py")):
        place = path.relative_to(HOME).as_posix()
        if not place.startswith(("view/", "demo/", "_startup.py")):
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            found += [f"{place}:{call.lineno}" for call in calls if ast.unparse(call.func).startswith("sys.stderr.")]

    assert found == []

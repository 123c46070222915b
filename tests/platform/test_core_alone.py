"""With the packages of the core alone everything works but the extras, each of which fails with one line that names it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import metadata, requires
from pathlib import Path

import pytest

from otel_agentlog.view.cli.main import COMMANDS
from tests.support.forking import Python
from tests.support.packages import environment

pytestmark = pytest.mark.timeout(300)
CORE = [each for each in requires("otel_agentlog") or () if "extra ==" not in each]
EXTRAS = {*metadata("otel_agentlog").get_all("Provides-Extra", ())}
NO_FEATURES = {"grpc", "all", "docs", "dev", "test-clickhouse"}
"""An empty name, sums, and what is for us."""
PROGRAM = "import otel_agentlog as a\na.configure()\n"
AGENT = (
    PROGRAM
    + """
asked = [{"role": "user", "content": "hello"}]
answer = {"id": "chatcmpl-12345678", "choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
with a.task("t"), a.ai_call("m", provider="openai", messages=asked) as call:
    call.record({**answer, "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    print(a.current_task())
"""
)

WORK = [
    "ls",
    "search boom",
    "stats --group-by agent",
    "cost",
    "top agent",
    "metrics --current",
    "metrics --report",
    "metrics --prometheus",
    "show last --full",
    "tail last -n all",
    "errors",
    "alerts --since 2020-01-01",
    "compare '' '' --no-intervals",
    "diff last last",
    "export --format json",
    "export --format csv",
    "export --format otlp --signals traces,logs",
    "export last --format html",
    "import chat.jsonl",
    "dataset -o data",
    "run -- {python} agent.py",
    "replay {task} -- {python} agent.py",
    "validate",
    "ship --dry-run",
    "pause last",
    "resume last",
    "cancel last",
    "context last more",
    "note last seen",
    "recover",
    "prune --dry-run",
    "monitor --text --once",
    "doctor --no-send",
]
"""Commands that need none."""

LACK = [
    ("cli", "completion bash", {}),
    ("server", "serve --port 0", {}),
    ("server", "collect --port 0", {}),
    ("mcp", "mcp", {}),
    ("compare", "compare '' ''", {}),
    ("parquet", "dataset --to parquet -o table", {}),
    ("yaml", "doctor --no-send", {"AGENTLOG_CONFIG": "settings.yaml"}),
    ("statsd", "demo", {"OTEL_METRICS_EXPORTER": "statsd"}),
]
"""Commands that need an extra. (The monitor asks for a terminal first: below.)"""

IN_CODE = {
    "run": "a.retrying(attempts=2)(print)()",
    "notify": "from otel_agentlog.view.notify import Notifier\nNotifier(['slack://x'])",
}
"""What raises an error with one line."""


@dataclass
class Core:
    """An interpreter that has the packages of the core alone, and a folder."""

    home: Path
    env: dict[str, str]
    task: str = ""
    """The id of a task with an AI call."""

    python = (str(Path(sys.base_prefix) / "bin" / "python3"), "-S")

    @property
    def forking(self) -> Python:
        """That interpreter with what of the package needs no extra imported."""
        return Python(self.python[0], self.python[1:], environment=(("PYTHONPATH", self.env["PYTHONPATH"]),))

    def run(self, *argv: str, quick: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments."""
        return self.forking.run(argv, cwd=self.home, env={**self.env, **env}, text=True, timeout=120, quick=quick)

    def agentlog(self, line: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command line."""
        words = [word.strip("'") for word in line.format(python="PYTHON", task=self.task).split()]
        words = [part for word in words for part in (self.python if word == "PYTHON" else (word,))]
        return self.run("-m", "otel_agentlog", *words, quick=True, **env)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    """With the tasks of the demo."""
    home = tmp_path_factory.mktemp("core")
    settings = ("OTEL_", "AGENTLOG_", "TASK_LOGS_")
    env = {name: value for name, value in environment(*CORE).items() if not name.startswith(settings)}
    made = Core(home, {**env, "TASK_LOGS_DIR": str(home / "tasks"), "AGENTLOG_LOG_DIR": str(home / "logs"), "HOME": str(home)})
    (home / "chat.jsonl").write_text('{"role":"user","content":"hello"}\n{"role":"assistant","content":"hi"}\n')
    (home / "agent.py").write_text(AGENT)
    (home / "settings.yaml").write_text("log_level: DEBUG\n")
    done = made.agentlog("demo")
    assert done.returncode == 0, done.stderr
    made.task = made.run("agent.py").stdout.strip()
    return made


@pytest.mark.parametrize("line", WORK)
def test_what_needs_no_extra_works(core: Core, line: str) -> None:
    """It says something, or does it, and nothing of a package that is not there."""
    done = core.agentlog(line)

    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert line.startswith("doctor") or "pip install" not in done.stdout + done.stderr
    assert done.returncode == 0 or done.stdout or "it takes no requests" in done.stderr


@pytest.mark.parametrize(("extra", "line", "env"), LACK, ids=[f"{extra}: {line}" for extra, line, _ in LACK])
def test_an_extra_that_is_not_there_is_named_in_one_line(core: Core, extra: str, line: str, env: dict[str, str]) -> None:
    """What to install; and an exit code that is not 0."""
    done = core.agentlog(line, **env)

    assert done.returncode in (1, 2)
    (said,) = [each for each in done.stderr.splitlines() if "pip install" in each]
    assert f"pip install 'otel_agentlog[{extra}]'" in said
    assert "Traceback" not in done.stderr


def test_the_monitor_names_its_extra(core: Core) -> None:
    """On a terminal."""
    main, other = os.openpty()
    command = [*core.python, "-m", "otel_agentlog", "monitor"]
    done = subprocess.run(command, cwd=core.home, env=core.env, stdin=other, stdout=other, stderr=subprocess.PIPE, timeout=120)
    os.close(main)
    os.close(other)

    assert done.returncode == 2
    assert b"pip install 'otel_agentlog[monitor]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("extra", IN_CODE)
def test_a_call_that_needs_an_extra_names_it(core: Core, extra: str) -> None:
    """As an error of settings, which always raises."""
    done = core.run("-c", PROGRAM + IN_CODE[extra])

    assert done.returncode == 1
    assert re.search(rf"ConfigurationError: .*otel_agentlog\[{extra}\]|ConfigurationError: .*the extra {extra}", done.stderr)


def test_without_a_price_table_that_is_said(core: Core) -> None:
    """Costs are those that were recorded, and what providers say."""
    done = core.agentlog("recost")

    assert (done.returncode, done.stderr) == (0, "")
    assert "pip install 'otel_agentlog[prices]'" in done.stdout


def test_an_env_file_that_is_not_read_is_told(core: Core, tmp_path: Path) -> None:
    """As a warning: other variables may be set all the same."""
    (tmp_path / ".env").write_text("A=1\n")
    code = f"import os; os.chdir({str(tmp_path)!r})\nfrom otel_agentlog.compat.env_file import read_env_file\nread_env_file()"

    assert core.run("-c", code).stderr == ".env is not read: pip install 'otel_agentlog[dotenv]'\n"


def test_all_extras_and_commands_are_looked_at() -> None:
    """Whatever is added is added here."""
    extras = {*(extra for extra, _, _ in LACK), *IN_CODE, "monitor", "prices", "dotenv"}
    assert extras == EXTRAS - NO_FEATURES
    lines = [*WORK, *(line for _, line, _ in LACK), "monitor", "recost"]
    assert {*COMMANDS} - {line.split()[0] for line in lines} == set()

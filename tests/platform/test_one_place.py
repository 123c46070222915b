"""What is not the same on all systems is asked in one place: nothing else may use it, and new uses are found here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.systems.modules import POSIX_ONLY, lacks

HOME = Path(__file__).resolve().parents[2] / "otel_agentlog"
OTHER_NAMES = {
    "os": lacks("windows")["os"] | lacks("macos")["os"],
    **{name: lacks("windows")[name] | lacks("macos")[name] for name in ("signal", "time", "select", "socket")},
}
DIFFERENT = {
    # What Windows does under the same name: text mode, no sharing, no replacing, failing where it is open, ending a process.
    "os": {"open", "rename", "replace", "unlink", "remove", "rmdir", "utime", "link", "symlink", "kill", "getppid", "setsid"},
}
ALLOWED = {
    "_platform/posix.py": "the seam",
    "_platform/windows.py": "the seam",
    "tools/process/supervisor.py": "runs on POSIX only: `run_process` refuses before it is started",
    "tools/process/sandbox.py": "the same",
    "_platform/fork.py: os.register_at_fork": "Windows has no fork",
    "record/resources.py: resource": "not imported on Windows",
    "record/resources.py: os.sysconf": "the same",
    "record/resources.py: os.waitid": "Linux only",
    "record/resources.py: os.P_ALL": "Linux only",
    "record/resources.py: os.WEXITED": "Linux only",
    "record/resources.py: os.WNOHANG": "Linux only",
    "record/resources.py: os.WNOWAIT": "Linux only",
    "record/resources.py: os.open": "of files in /proc",
    "record/signals.py: os.kill": "of this process, by a signal that it has",
    "record/logs/console.py: os.open": "of a terminal, which fails where there is no /dev/fd",
    "record/logs/console.py: select.poll": "not on Windows",
    "record/logs/console.py: select.POLLOUT": "not on Windows",
    "record/logs/console.py: select.PIPE_BUF": "not on Windows",
    "store/liveness.py: os.major": "Linux only",
    "store/liveness.py: os.minor": "Linux only",
    "tools/process/result.py: os.kill": "POSIX only, as what it ends was begun by `supervisor`",
    "tools/process/run.py: os.set_blocking": "not on Windows",
    "view/cli/main.py: os.open": "of the null device",
    "view/server/access.py: os.link": "of a file that is closed, on the disk of the home folder",
    "wiring/zero_code/command.py: os.open": "of the terminal",
    "wiring/zero_code/command.py: os.O_NOCTTY": "of the terminal",
    "wiring/zero_code/command.py: os.tcgetpgrp": "of the terminal",
    "wiring/zero_code/command.py: os.getpgrp": "of the terminal",
    "demo/survey.py: os.open": "by flags that the system has",
    "demo/toolbox.py: os.replace": "of a file that only it opens",
    "demo/": "a user of the package",
}


def uses(path: Path) -> Iterator[str]:
    """What a file uses: ``module.name``, ``module`` for one that only POSIX has, and ``dir_fd``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in POSIX_ONLY)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = OTHER_NAMES.get(node.module, frozenset()) | DIFFERENT.get(node.module, set())
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in names)
            if node.module in POSIX_ONLY:
                yield node.module
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = node.value.id
            if node.attr in OTHER_NAMES.get(module, ()) or node.attr in DIFFERENT.get(module, ()):
                yield f"{module}.{node.attr}"
        elif isinstance(node, ast.Call):
            named = {each.arg for each in node.keywords} & {"dir_fd", "src_dir_fd", "dst_dir_fd"}
            callee = ast.unparse(node.func)
            if named and not callee.startswith("system."):
                yield "dir_fd"


@cache
def found() -> set[str]:
    """All uses, by file."""
    return {f"{path.relative_to(HOME)}: {use}" for path in HOME.rglob("*.py") for use in uses(path)}


def test_nothing_else_uses_what_some_systems_lack() -> None:
    """A new use goes into `otel_agentlog._platform`, or has its reason here."""
    files = tuple(name for name in ALLOWED if ":" not in name)

    assert sorted(each for each in found() if each not in ALLOWED and not each.startswith(files)) == []


def test_each_reason_has_its_use() -> None:
    """What is no longer used needs no reason."""
    there = found()

    assert [each for each in ALLOWED if ":" in each and each not in there] == []


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl",
        "from pwd import getpwuid",
        "import os\nos.fork()",
        "from os import fork",
        "import os\nos.stat('x', dir_fd=3)",
        "import signal\nsignal.SIGHUP",
        "import os\nos.kill(1, 0)",
        "import os\nos.fdatasync(1)",
        "import select\nselect.epoll()",
    ],
)
def test_such_a_use_is_found(source: str, tmp_path: Path) -> None:
    """The test sees what it is for."""
    (tmp_path / "x.py").write_text(source)

    assert list(uses(tmp_path / "x.py"))

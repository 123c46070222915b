"""Shell completion works in a real shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.view.cli.main import COMMANDS, main

_ASK = """
source "$1"
COMP_WORDS=({words}); COMP_CWORD={last}; COMP_LINE="{words}"; COMP_POINT=${{#COMP_LINE}}
_shtab_agentlog 2>/dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "agentlog.bash"
    path.write_text(capsys.readouterr().out)
    return path


def _complete(script: Path, words: str, **env: str) -> list[str]:
    bash = shutil.which("bash")
    assert bash is not None
    bin_ = script.parent / "bin"
    bin_.mkdir(exist_ok=True)
    (bin_ / "agentlog").write_text(f'#!/bin/sh\nexec {sys.executable} -m otel_agentlog "$@"\n')
    (bin_ / "agentlog").chmod(0o755)
    program = _ASK.format(words=words, last=len(words.split()) - (not words.endswith("''")))
    env = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", **env}
    done = subprocess.run([bash, "-c", program, "bash", str(script)], capture_output=True, text=True, env=env, timeout=60)
    return done.stdout.split()


def test_commands_are_completed(script: Path) -> None:
    """The beginning of a command gives the command."""
    assert "validate" in _complete(script, "agentlog val")


def test_options_are_completed(script: Path) -> None:
    """Options of the command at hand, and those of all."""
    assert {"--json", "--failed"} <= set(_complete(script, "agentlog ls --"))


def test_tasks_are_completed(script: Path, tmp_path: Path) -> None:
    """Ids of tasks below the root, and nothing a shell could be fooled by."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path, console="off")
    with agentlog.task("t", task_id="alpha-1"):
        pass
    agentlog.shutdown()
    assert _complete(script, "agentlog show alp", TASK_LOGS_DIR=str(tmp_path / "tasks")) == ["alpha-1"]


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command stands in it."""
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)

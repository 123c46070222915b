"""A program that begins as a fork of an interpreter that is there (`tests.support.forking`) is like one that begins by itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.forking import PYTHON, STRICT, Process, default_signals

PROGRAMS = {
    "ends well": "import atexit; atexit.register(print, 'at exit'); print('ü', end='')",
    "a number": "import sys; sys.exit(3)",
    "a text": "raise SystemExit('no')",
    "an error": "import json\ndef f(): json.loads('{')\nf()",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "interrupted": "import signal\nsignal.raise_signal(signal.SIGINT)",
    "ended": "import signal\nsignal.raise_signal(signal.SIGTERM)",
    "left": "import os; print('lost', end=''); os._exit(4)",
    "what it is": "import sys, os; print(sys.argv, __name__, sys.path[0], os.getcwd(), sorted(os.listdir('/proc/self/fd')))",
    "its variables": "import os, time; print(sorted(os.environ.items()), time.tzname, os.path.expanduser('~'))",
    "its signals": "import signal; print([*map(signal.getsignal, sorted(signal.valid_signals()))], signal.set_wakeup_fd(-1))",
    "its streams": "import sys\nfor f in (sys.stdin, sys.stdout, sys.stderr): print(f.encoding, f.errors, f.line_buffering, f)",
    "a thread at the end": "import threading\nthreading.Timer(0.05, print, ['late']).start()",
    "finalizers": "class A:\n    def __del__(self): print('finalized')\nkept = A(); around = A(); around.self = around",
    "an error in a finalizer": "class A:\n    def __del__(self): raise ValueError('x')\nA()",
    "its threads": "import threading as t; print(len(t.enumerate()), t.current_thread() is t.main_thread())",
}


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TZ": "Asia/Tokyo"}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("how", ["-c", "a file"])
def test_it_is_like_one_that_begins_by_itself(name: str, how: str, tmp_path: Path) -> None:
    """Exit code, output, error and how it came to its end."""
    (tmp_path / "program.py").write_text(PROGRAMS[name])
    argv = ["-c", PROGRAMS[name], "x", "\udcff"] if how == "-c" else ["program.py", "x", "\udcff"]
    given: dict[str, Any] = {"cwd": tmp_path, "env": _environment(tmp_path), "text": True, "timeout": 60}
    forked = PYTHON.run(argv, **given)
    command = [sys.executable, *argv]
    begun = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, preexec_fn=default_signals, **given)

    assert (forked.returncode, forked.stdout) == (begun.returncode, begun.stdout)
    said, expected = (re.sub("0x[0-9a-f]+", "0x", each.stderr).splitlines() for each in (forked, begun))
    if how == "-c" and sys.version_info >= (3, 13):
        # The lines of such a program are shown from there on.
        said, expected = said[-1:], expected[-1:]
    assert said == expected


def test_each_has_random_numbers_of_its_own() -> None:
    """Two programs of one interpreter do not draw the same."""
    drawn = {PYTHON.run(["-c", "import random; print(random.getrandbits(64))"], text=True, timeout=60).stdout for _ in range(3)}

    assert len(drawn) == 3


def test_what_needs_an_interpreter_of_its_own_gets_one() -> None:
    """Variables that it heeds when it begins."""
    shown = "import sys; print(sys.flags.utf8_mode, sys.stdout.encoding, flush=True); input()"
    for variables, expected in (({}, Process), ({"PYTHONUTF8": "1"}, subprocess.Popen), ({"LC_ALL": "C"}, subprocess.Popen)):
        env = {**_environment(Path.home()), "PYTHONPATH": str(Path(__file__).parents[1]), **variables}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with PYTHON.start(["-c", shown], env=env, text=True, **pipes) as program:  # type: ignore[arg-type]  # two of one type
            assert type(program) is expected
            assert program.stdout is not None
            assert program.stdout.readline().startswith("1 " if variables else "")
            program.communicate("\n", timeout=60)
        assert program.returncode == 0


def test_warnings_are_errors_where_they_are_to_be() -> None:
    """As with ``-W error``."""
    ran = STRICT.run(["-c", "import warnings; warnings.warn('odd')"], text=True, timeout=60)

    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (1, "UserWarning: odd")


def test_a_command_in_a_shell_passes_on_signals_and_its_end(tmp_path: Path) -> None:
    """It gets input, and ends as the program does."""
    PYTHON.write_command(tmp_path / "program", "-c")
    code = "import sys; print(sys.stdin.read().upper(), end=''); sys.exit(7)"
    piped = subprocess.run(
        ["sh", "-c", 'printf hello | ./program "$0"', code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (piped.returncode, piped.stdout, piped.stderr) == (7, "HELLO", "")

    waits = "import time; print('on', flush=True); time.sleep(100)"
    with subprocess.Popen([tmp_path / "program", waits], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "on\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == -signal.SIGTERM

"""Runs a program and kills it in the middle, to see what it left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from otel_agentlog.settings.fields import inherited
from otel_agentlog.testing.recorded import Recorded

POLL_INTERVAL_S = 0.02
MAX_OUTPUT_CHARACTERS = 4000
_STEERING = ("OTEL_", "AGENTLOG_", "TASK_LOGS_")


def run_and_kill(
    script: Path | str,
    *arguments: str,
    folder: Path,
    until: Callable[[Recorded], object],
    how: signal.Signals | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
) -> Recorded:
    """Run a Python script that records into ``folder``, kill it once ``until`` of what it recorded is true, and return that.

    ``how``: the signal; SIGKILL, or what Windows has for it, unless it says another.

    The script gets this process's environment without the settings of OpenTelemetry and of ours, and then ``env``. What it prints
    is in ``folder/output.txt``. `Recorded.recover` closes what it left open.

    Raises:
        AssertionError: it ended before, or ``until`` was not true within ``timeout_s``; the message has what it printed last.
    """
    __tracebackhide__ = True  # pytest shows the place in the test
    folder.mkdir(parents=True, exist_ok=True)
    recorded, output = Recorded(folder), folder / "output.txt"
    kept = {name: value for name, value in inherited().items() if not name.startswith(_STEERING)}
    with output.open("wb") as printed:
        process = subprocess.Popen(  # noqa: S603 - the test's own script
            [sys.executable, str(script), *arguments],
            env={**kept, **recorded.environ(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
        )
    try:
        _wait(process, lambda: until(recorded), timeout_s, output)
        process.kill() if how is None else process.send_signal(how)
        process.wait(timeout_s)
    finally:
        process.kill()
        process.wait()
    return recorded


def _wait(process: subprocess.Popen[bytes], until: Callable[[], object], timeout_s: float, output: Path) -> None:
    __tracebackhide__ = True
    deadline = time.monotonic() + timeout_s
    while not until():
        if process.poll() is not None:
            raise AssertionError(
                f"expected a program to kill, found one that ended with {process.returncode}:\n{_end_of(output)}"
            )
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s for the moment to kill the program, which printed:\n{_end_of(output)}")
        time.sleep(POLL_INTERVAL_S)


def _end_of(output: Path) -> str:
    return output.read_bytes().decode("utf-8", "replace")[-MAX_OUTPUT_CHARACTERS:]

"""Starts the worker and the tree printer as processes of their own, and ends the worker tidily on Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping

CARRIER_NAMES = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")

LONGEST_GOODBYE_S = 15.0
"""How long a worker may take to end after Ctrl-C, in seconds; it may have things to send."""


_STDERR = 2
"""File descriptor."""


def child_environment(environment: Mapping[str, str], carrier: Mapping[str, str]) -> dict[str, str]:
    """Our environment with the carrier in place of any that we were started with."""
    kept = {name: value for name, value in environment.items() if name not in CARRIER_NAMES}
    return {**kept, **{name.upper(): value for name, value in carrier.items()}}


_PROGRAM = """import sys
sys.path[:] = {path!a}
import runpy
try:
    runpy.run_module({module!a}, {{}}, "__main__", True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def python_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module as ``python -m`` does, but finds modules where we find them.

    ``python -m`` looks into the working directory first, and that may be the very directory under review. Ctrl-C while the
    module's imports run ends it without a traceback.
    """
    return [sys.executable, "-c", _PROGRAM.format(path=sys.path, module=module), *arguments]


def run_worker(scratch: str, environment: dict[str, str], *, quiet: bool) -> tuple[int, int]:
    """Run the worker to its end; returns its exit code and process id. Ctrl-C is passed on to it, once.

    With ``quiet`` what it prints goes to stderr.
    """
    command = python_command("otel_agentlog.demo.worker", scratch)
    # In a session of its own: the terminal's Ctrl-C would reach the worker, and then we would pass it on a second time.
    worker = subprocess.Popen(  # noqa: S603 - our own command line, no shell
        command, env=environment, stdin=subprocess.DEVNULL, stdout=_STDERR if quiet else None, start_new_session=True
    )
    try:
        return worker.wait(), worker.pid
    except KeyboardInterrupt:
        worker.send_signal(signal.SIGINT)
    try:
        return worker.wait(LONGEST_GOODBYE_S), worker.pid
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        worker.kill()
        return worker.wait(), worker.pid


def show_tree(task_id: str, root: str, environment: dict[str, str]) -> int:
    """Have ``agentlog show`` print the task; returns its exit code."""
    command = python_command("otel_agentlog", "show", task_id, "--root", root)
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603 - as above

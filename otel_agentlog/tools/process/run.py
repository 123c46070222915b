"""Runs one process tree to its end: feeds its input, takes its output as it comes, and returns how it ended and what it used.

    ending = run_process(Launch(["/bin/echo", "hi"], env={}, cwd="/"), sink)

The tree runs below a supervisor process (`supervisor`), which gets its orders and reports by a socket. May be called from any
thread; what a ``KeyboardInterrupt``, or
anything else that is raised here, finds running is ended before it passes on.
"""

from __future__ import annotations

import errno
import json
import marshal
import os
import selectors
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.settings.fields import inherited
from otel_agentlog.tools.process.result import Cancellation, Ending, ResourceUsage, StartFailure, end_marked, process_state

MARKER = "AGENTLOG_EXECUTION_ID"
"""Environment variable by which every process of an execution is recognised."""
_READ_BYTES = 65_536
_TICK_S = 0.1
_PATIENCE_S = 10.0
_CONTINUE = getattr(signal, "SIGCONT", 0)
_ROOT = Path(__file__).resolve().parents[3]
# The package's own __init__ files would import everything else: empty modules take their places.
_PROGRAM = """
import sys, types
for name in ("otel_agentlog", "otel_agentlog.tools", "otel_agentlog.tools.process"):
    sys.modules[name] = module = types.ModuleType(name)
    module.__path__ = [sys.argv[1] + "/" + name.replace(".", "/")]
from otel_agentlog.tools.process.supervisor import main
main(int(sys.argv[2]))
"""


class OutputSink(Protocol):
    """Takes what a process prints."""

    def take(self, stream: str, data: bytes) -> bool:
        """A piece of ``stdout`` or ``stderr``; true if the process must end."""

    def tick(self) -> None:
        """Called about ten times a second while the process runs."""


@dataclass(frozen=True)
class Launch:
    """What to run and within which limits."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    execution_id: str
    stdin: bytes = b""
    timeout_s: float | None = None
    grace_s: float = 2.0
    """Seconds between SIGTERM and SIGKILL."""
    memory_bytes: int | None = None
    """Limit for each process (``RLIMIT_DATA``) and for all of them together."""
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    no_new_privileges: bool = False
    core_dumps: bool = True
    scratch: str | None = None
    """A folder that the supervisor removes when the agent has died."""


def find_program(name: str, cwd: str, env: Mapping[str, str]) -> tuple[str, int]:
    """Where a program is, and 0 or why it cannot be run: ``ENOENT`` or ``EACCES``."""
    folders = [""] if "/" in name else env.get("PATH", os.defpath).split(os.pathsep)
    refused = ""
    for folder in folders:
        path = os.path.join(cwd, folder, name)
        kind = _kind_of(path)
        if kind == stat.S_IFREG and os.access(path, os.X_OK):
            return path, 0
        refused = refused or (path if kind else "")
    return (refused, errno.EACCES) if refused else (os.path.join(cwd, name) if "/" in name else name, errno.ENOENT)


def _kind_of(path: str) -> int:
    """The type of a file, as `stat.S_IFMT` has it; 0 if there is none. `os.path` keeps what a signal handler raises."""
    try:
        return stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        raise_interrupt()
        return 0


def run_process(launch: Launch, sink: OutputSink, cancellation: Cancellation | None = None) -> Ending:
    """Run a process tree to its end; nothing of it is left when this returns or raises."""
    if sys.platform == "win32":
        return Ending(problem=StartFailure("start", errno.ENOSYS, "commands: expected Linux or macOS, found Windows"))
    if _kind_of(launch.cwd) != stat.S_IFDIR:
        return Ending(problem=StartFailure("cwd", errno.ENOENT, launch.cwd))
    if not sys.executable:
        return Ending(problem=StartFailure("start", errno.ENOSYS, "sys.executable is not set"))
    path, refused = find_program(launch.argv[0], launch.cwd, launch.env)
    if refused:
        return Ending(problem=StartFailure("exec", refused, path))
    try:
        supervised = _Supervised(launch, path)
    except OSError as error:
        raise_interrupt()
        return Ending(problem=StartFailure("start", error.errno or 0, sys.executable))
    try:
        return supervised.run(sink, cancellation)
    finally:
        supervised.close()


class _Supervised:
    """The parent's side of the supervisor's process."""

    def __init__(self, launch: Launch, path: str) -> None:
        self._launch, self._path = launch, path
        self._selector = selectors.DefaultSelector()
        self._channel, theirs = socket.socketpair()
        try:
            self._process = _start_supervisor(theirs.fileno())
        except BaseException:
            self._channel.close()
            self._selector.close()
            raise
        finally:
            theirs.close()
        self._report = b""
        self._began = time.monotonic()
        self._input = memoryview(launch.stdin)
        self._open_streams = 0
        self._give_up_at: float | None = None
        self._looked = self._began
        self._stopped = 0
        """How often the supervisor was found stopped."""
        self._overdue = False
        """Whether the supervisor was ended, as it had been stopped past the time limit."""

    def run(self, sink: OutputSink, cancellation: Cancellation | None) -> Ending:
        self._begin(cancellation)
        try:
            self._pump(sink)
        except BaseException:
            self._stop(sink)
            raise
        return self._ending()

    def _begin(self, cancellation: Cancellation | None) -> None:
        orders = marshal.dumps(_spec(self._launch, self._path))
        self._send(len(orders).to_bytes(8, "big") + orders)
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for stream, name in ((process.stdout, "stdout"), (process.stderr, "stderr")):
            self._selector.register(stream, selectors.EVENT_READ, name)
        self._open_streams = 2
        if sys.platform != "win32":
            os.set_blocking(process.stdin.fileno(), False)
        self._selector.register(process.stdin, selectors.EVENT_WRITE, "stdin")
        self._selector.register(self._channel, selectors.EVENT_READ, "report")
        if cancellation is not None:
            self._selector.register(cancellation.theirs, selectors.EVENT_READ, "cancel")

    def _send(self, message: bytes) -> None:
        try:
            self._channel.sendall(message)
        except OSError:
            raise_interrupt()  # it has ended, or was killed: its report, or that there is none, shows which

    def _pump(self, sink: OutputSink) -> None:
        launch = self._launch
        limit_s = float("inf") if launch.timeout_s is None else launch.timeout_s + launch.grace_s
        due = time.monotonic() + limit_s + 1.0
        give_up = due + 2 * _PATIENCE_S
        while self._open_streams or self._channel.fileno() in self._selector.get_map():
            for key, _ in self._selector.select(_TICK_S):
                self._serve(key, sink)
            sink.tick()
            self._keep_supervised(time.monotonic(), due)
            if time.monotonic() > min(give_up, self._give_up_at or give_up):
                break

    def _keep_supervised(self, now: float, due: float) -> None:
        """Let a supervisor go on that the program has stopped; one that it stops again and again, or traces, is ended."""
        if now < self._looked + _TICK_S:
            return
        self._looked, is_due = now, now > due
        state = process_state(self._process.pid)
        if state == b"T":
            self._process.send_signal(_CONTINUE)
            self._stopped += 1
        if state == b"t" or (self._stopped and is_due):
            self._overdue = is_due
            self._process.kill()

    def _serve(self, key: selectors.SelectorKey, sink: OutputSink) -> None:
        if key.data == "stdin":
            self._feed(key)
        elif key.data == "report":
            self._listen(key)
        elif key.data == "cancel":
            self._selector.unregister(key.fileobj)
            self._send(b"t")
        elif data := os.read(key.fd, _READ_BYTES):
            if sink.take(key.data, data):
                self._send(b"t")
        else:
            self._selector.unregister(key.fileobj)
            self._open_streams -= 1

    def _feed(self, key: selectors.SelectorKey) -> None:
        try:
            if self._input:
                self._input = self._input[os.write(key.fd, self._input[:_READ_BYTES]) :]
        except BlockingIOError:
            return
        except OSError:
            raise_interrupt()
            self._input = self._input[:0]  # the program has closed its input
        if not self._input:
            self._selector.unregister(key.fileobj)
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _listen(self, key: selectors.SelectorKey) -> None:
        try:
            piece = self._channel.recv(_READ_BYTES)
        except OSError:
            raise_interrupt()
            piece = b""
        self._report += piece
        if not piece:
            self._selector.unregister(key.fileobj)
            # What still holds the other ends of the pipes is not of this tree any more.
            self._give_up_at = time.monotonic() + 1.0

    def _stop(self, sink: OutputSink) -> None:
        """End the tree politely; a second interrupt ends it at once."""
        try:
            self._send(b"t")
            self._give_up_at = time.monotonic() + self._launch.grace_s + _PATIENCE_S
            self._pump(sink)
        except BaseException:
            self._send(b"k")
            raise

    def close(self) -> None:
        """Close everything; the closed socket ends whatever may still run."""
        self._channel.close()
        self._selector.close()
        process = self._process
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if last_message(self._report).keys().isdisjoint(("exit", "problem")):
            end_marked(MARKER, self._launch.execution_id)

    def _ending(self) -> Ending:
        last = last_message(self._report)
        if "problem" in last:
            stage, number = last["problem"]
            return Ending(problem=StartFailure(stage, number or errno.EINVAL, self._launch.cwd if stage == "cwd" else self._path))
        if "exit" not in last:
            return Ending(
                reason="timeout" if self._overdue else "lost", usage=ResourceUsage(wall_s=time.monotonic() - self._began)
            )
        return Ending(
            exit_code=last["exit"],
            reason=last["reason"],
            usage=ResourceUsage.of(last),
            left_behind=last["left_behind"],
            unkillable=tuple(last["unkillable"]),
        )


def last_message(report: bytes) -> dict[str, Any]:
    """What a supervisor said last; a line without a newline was cut off as the supervisor was killed."""
    whole = report.split(b"\n")[:-1]
    return dict(json.loads(whole[-1])) if whole else {}


def _spec(launch: Launch, path: str) -> dict[str, Any]:
    rlimits = {} if launch.core_dumps else {"RLIMIT_CORE": 0}
    if launch.memory_bytes is not None:
        rlimits["RLIMIT_DATA"] = launch.memory_bytes
    return {
        "path": os.fsencode(path),
        "argv": [os.fsencode(word) for word in launch.argv],
        "env": {os.fsencode(k): os.fsencode(v) for k, v in {**launch.env, MARKER: launch.execution_id}.items()},
        "cwd": launch.cwd,
        "rlimits": rlimits,
        "sandbox": dict(launch.sandbox),
        "no_new_privileges": launch.no_new_privileges,
        "memory_bytes": launch.memory_bytes,
        "timeout_s": launch.timeout_s,
        "grace_s": launch.grace_s,
        "scratch": launch.scratch,
    }


def _start_supervisor(fd: int) -> subprocess.Popen[bytes]:
    # The supervisor gets nothing of the agent's environment but what its interpreter needs to start.
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", "-c", _PROGRAM, str(_ROOT), str(fd)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        pass_fds=(fd,),
        env=inherited(("LD_LIBRARY_PATH", "LC_ALL", "LC_CTYPE", "LANG")),
        start_new_session=True,
    )

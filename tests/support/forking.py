"""Keeps a Python that has imported the package once: a program begins as a fork of it, and so without the imports.

Each program is a process of its own all the same: with its arguments, variables, working directory and standard streams, with
its exit code or the signal that ended it, and with the end of an interpreter. `run` and `start` are used like those of
`subprocess`, on ``python FILE``, ``python -m MODULE`` and ``python -c CODE``. What only an interpreter that begins can heed
(another locale, variables of Python itself) begins a new one; what is tested about imports and beginnings needs a new one, too.

As a program this file is that Python, and needs nothing but the standard library.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
RECORDING = (
    "settings",
    "vocabulary",
    "error_handling",
    "record",
    "store",
    "export",
    "query",
    "wiring",
    "compat",
    "tools",
    "view.cli",
)
"""What of the package programs use that record, and those that read."""
_LEFT_OUT = (".site.", ".kernel32", ".windows", ".zero_code", ".replay.", "__main__")
_HARMLESS = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
_STEERING = ("PYTHON", "LANG", "LC_", "MALLOC_", "LD_", "OTEL_PROPAGATORS", "OTEL_PYTHON_")
"""Begin the names of variables that are heeded by an interpreter that begins, or at an import."""
_OF_UTF8, _UTF8 = ("LANG", "LC_CTYPE"), ("", "C.UTF-8", "C.utf8")
_LENGTH, _NUMBER = struct.Struct("!I"), struct.Struct("!i")


# In a test ----------------------------------------------------------------------------------------------------------------------


class Process:
    """A program that was started, as of `subprocess.Popen`."""

    def __init__(self, argv: Sequence[str], connection: socket.socket, streams: Mapping[str, IO[Any] | None]) -> None:
        self.args = argv
        self.returncode: int | None = None
        self._connection = connection
        self.stdin, self.stdout, self.stderr = (streams.get(name) for name in ("stdin", "stdout", "stderr"))
        self.pid = self._number(None)

    def _number(self, timeout: float | None) -> int:
        self._connection.settimeout(timeout)
        try:
            received = self._connection.recv(_NUMBER.size)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
        if len(received) < _NUMBER.size:
            raise RuntimeError("the Python that forks has ended")
        return int(_NUMBER.unpack(received)[0])

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative where a signal ended it."""
        if self.returncode is None:
            self.returncode = self._number(timeout)
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit code, once it has ended."""
        if self.returncode is None:
            ready, _, _ = select.select([self._connection], [], [], 0)
            return self.wait() if ready else None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:
        """Write its input and close that, read what it prints to the end, and wait for it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        writer = threading.Thread(target=self._write, args=(input,), daemon=True)
        writer.start()
        found: dict[str, Any] = {}
        readers = [
            threading.Thread(target=lambda name=name, file=file: found.update({name: file.read()}), daemon=True)
            for name, file in (("stdout", self.stdout), ("stderr", self.stderr))
            if file is not None and not file.closed
        ]
        for reader in readers:
            reader.start()
        for thread in (writer, *readers):
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if deadline is None else max(0.01, deadline - time.monotonic()))
        self._close()
        return found.get("stdout"), found.get("stderr")

    def _write(self, given: Any) -> None:
        if self.stdin is None or self.stdin.closed:
            return
        try:
            if given:
                self.stdin.write(given)
            self.stdin.close()
        except BrokenPipeError:
            pass

    def _close(self) -> None:
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                file.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self.wait()


@dataclass(frozen=True)
class Python:
    """An interpreter that has imported some modules; it begins when it is first used, and ends with the tests."""

    executable: str = sys.executable
    options: tuple[str, ...] = ()
    """Those of Python."""
    modules: tuple[str, ...] = ()
    """Further ones than those of the package that record and read; with ``:NAME`` that function of it is called."""
    packages: tuple[str, ...] = RECORDING
    environment: tuple[tuple[str, str], ...] = ()
    """Variables that it has beside the usual ones."""

    def run(
        self,
        argv: Sequence[str | bytes | Path],
        *,
        timeout: float,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        text: bool = False,
        check: bool = False,
        quick: bool = False,
    ) -> subprocess.CompletedProcess[Any]:
        """Run a program (what stands behind ``python``) to its end, without input, and return what it printed.

        With `quick` it ends as soon as its exit handlers have run and its output is written, and takes no module apart: for
        commands, of which this is not tested.
        """
        began = self.start(
            argv,
            cwd=cwd,
            env=env,
            text=text,
            quick=quick,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            out, err = began.communicate(timeout=timeout)
        except BaseException:
            began.kill()
            began.wait()
            raise
        done = subprocess.CompletedProcess(list(argv), began.returncode or 0, out, err)
        if check:
            done.check_returncode()
        return done

    def start(
        self,
        argv: Sequence[str | bytes | Path],
        *,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        text: bool = False,
        start_new_session: bool = False,
        quick: bool = False,
    ) -> Any:
        """Start a program; a `Process`, or where a new interpreter is needed the `subprocess.Popen` of it."""
        words, variables = [os.fsdecode(each) for each in argv], dict(os.environ if env is None else env)
        if self._needs_a_new_one(variables):
            return subprocess.Popen(
                [self.executable, *self.options, *words],
                cwd=cwd,
                env=variables,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                encoding="utf-8" if text else None,
                start_new_session=start_new_session,
            )
        theirs, ours = _streams({"stdin": stdin, "stdout": stdout, "stderr": stderr}, text)
        where = os.getcwd() if cwd is None else str(cwd)
        request = {"argv": words, "cwd": where, "env": variables, "session": start_new_session, "quick": quick}
        try:
            return Process(words, _request(_address_of(self), request, theirs), ours)
        finally:
            for fd in theirs[3:]:
                os.close(fd)

    def write_command(self, path: Path, *words: str) -> None:
        """Write an executable for shells: what follows its name follows these words behind ``python``. It ends `quick`."""
        names = {"steering": _STEERING, "harmless": _HARMLESS, "of_utf8": _OF_UTF8, "utf8": _UTF8}
        new = [self.executable, *self.options, *words]
        source = _COMMAND.format(python=sys.executable, address=_address_of(self), words=list(words), new=new, **names)
        path.write_text(source)
        path.chmod(0o755)

    def _needs_a_new_one(self, env: Mapping[str, str]) -> bool:
        """Whether variables would make another interpreter of it, or another OpenTelemetry at its import."""
        if not hasattr(os, "fork"):
            return True
        usual = {"PYTHONPATH": str(ROOT), **dict(self.environment)}
        steering = ((name, value) for name, value in env.items() if name.startswith(_STEERING) and name not in _HARMLESS)
        return any(value not in (_UTF8 if name in _OF_UTF8 else (usual.get(name),)) for name, value in steering)


def _streams(given: Mapping[str, int | None], text: bool) -> tuple[list[int], dict[str, IO[Any] | None]]:
    """The descriptors for the program (behind its three those to be closed), and our ends of its pipes."""
    passed: list[int] = []
    opened: list[int] = []
    ours: dict[str, IO[Any] | None] = {}
    for number, (name, what) in enumerate(given.items()):
        if what == subprocess.PIPE:
            reading, writing = os.pipe()
            mine, its = (writing, reading) if name == "stdin" else (reading, writing)
            file: IO[Any] = os.fdopen(mine, "wb" if name == "stdin" else "rb")
            ours[name] = io.TextIOWrapper(file, encoding="utf-8", write_through=True) if text else file
            opened.append(its)
        elif what == subprocess.DEVNULL:
            its = os.open(os.devnull, os.O_RDWR)
            opened.append(its)
        elif what == subprocess.STDOUT:
            its = passed[1]
        else:
            its = number if what is None else what if isinstance(what, int) else what.fileno()
        passed.append(its)
    return [*passed, *opened], ours


def _request(address: str, request: Mapping[str, Any], descriptors: Sequence[int]) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
        body = json.dumps(request).encode()
        socket.send_fds(connection, [_LENGTH.pack(len(body))], list(descriptors[:3]))
        connection.sendall(body)
    except BaseException:
        connection.close()
        raise
    return connection


_COMMAND = """#!{python} -IS
import json, os, signal, socket, struct, sys
for name, value in os.environ.items():
    if name.startswith({steering!r}) and name not in {harmless!r} and not (name in {of_utf8!r} and value in {utf8!r}):
        os.execv({new!r}[0], [*{new!r}, *sys.argv[1:]])
argv = [*{words!r}, *sys.argv[1:]]
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
request = dict(argv=argv, cwd=os.getcwd(), env=dict(os.environ), session=False, quick=True)
body = json.dumps(request).encode()
socket.send_fds(connection, [struct.pack("!I", len(body))], [0, 1, 2])
connection.sendall(body)
(pid,) = struct.unpack("!i", connection.recv(4))
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(pid, number))
for fd in (0, 1, 2):
    os.close(fd)
(code,) = struct.unpack("!i", connection.recv(4))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""

_BEGUN: dict[Python, str] = {}
_ONE_AT_A_TIME = threading.Lock()


def _address_of(python: Python) -> str:
    """Where it listens; begun if it has not been."""
    with _ONE_AT_A_TIME:
        if python not in _BEGUN:
            _BEGUN[python] = _begin(python)
        return _BEGUN[python]


def _begin(python: Python) -> str:
    place = tempfile.mkdtemp(prefix="python-")
    address = os.path.join(place, "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        names = json.dumps([python.modules, python.packages])
        steering = ("PYTHON", "OTEL_", "AGENTLOG_", "TASK_LOGS", "LC_", "LANG")
        env = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
        running = subprocess.Popen(
            [python.executable, *python.options, __file__, str(listener.fileno()), names],
            env={**env, "LANG": "C.UTF-8", **dict(python.environment)},
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
    creator = os.getpid()

    def end() -> None:
        if os.getpid() != creator:
            return
        assert running.stdin is not None
        running.stdin.close()
        running.wait(30)
        shutil.rmtree(place, ignore_errors=True)

    atexit.register(end)
    return address


PYTHON = Python()
"""The interpreter of the tests, for programs that record and for commands."""
STRICT = Python(options=("-W", "error"))
"""With warnings as errors, those of the imports among them."""


# As a program -------------------------------------------------------------------------------------------------------------------


def _import(modules: Sequence[str], packages: Sequence[str]) -> None:
    for name in packages:
        package = importlib.import_module(f"otel_agentlog.{name}")
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part in found.name for part in _LEFT_OUT):
                importlib.import_module(found.name)
    for name in modules:
        module, _, function = name.partition(":")
        found = importlib.import_module(module)
        if function:
            getattr(found, function)()
    importlib.import_module("encodings.idna")


class _Forking:
    """Waits for requests, and for the ends of the programs; `next` returns in each child, once, with what it is to run."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._ended, ends = os.pipe()
        for fd in (self._ended, ends):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ends, warn_on_full_buffer=False)
        self._wake = ends
        self._running: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        for file in (listener, self._ended, 0):
            self._selector.register(file, selectors.EVENT_READ)

    def next(self) -> dict[str, Any]:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == 0:
                    os._exit(0)
                if key.fileobj is self._listener and (found := self._accept()) is not None:
                    return found
            self._reap()

    def _accept(self) -> dict[str, Any] | None:
        connection, _ = self._listener.accept()
        try:
            head, descriptors, _, _ = socket.recv_fds(connection, _LENGTH.size, 3)
            request = json.loads(_received(connection, _LENGTH.unpack(head)[0]))
        except (OSError, ValueError, struct.error):
            connection.close()
            return None
        pid = os.fork()
        if pid == 0:
            self._leave()
            connection.close()
            _begin_as(request, descriptors)
            return request
        for fd in descriptors:
            os.close(fd)
        self._running[pid] = connection
        _tell(connection, pid)
        return None

    def _leave(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._listener.close()
        for connection in self._running.values():
            connection.close()
        for fd in (self._ended, self._wake):
            os.close(fd)

    def _reap(self) -> None:
        try:
            while os.read(self._ended, 4096):
                pass
        except BlockingIOError:
            pass
        for pid, connection in [*self._running.items()]:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                _tell(connection, os.waitstatus_to_exitcode(status))
                connection.close()
                del self._running[pid]


def _received(connection: socket.socket, length: int) -> bytes:
    body = bytearray()
    while len(body) < length:
        piece = connection.recv(length - len(body))
        if not piece:
            raise OSError("cut off")
        body += piece
    return bytes(body)


def _tell(connection: socket.socket, number: int) -> None:
    try:
        connection.sendall(_NUMBER.pack(number))
    except OSError:
        pass  # nobody waits for it any more


def _begin_as(request: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """Become what was requested, as an interpreter is when it begins."""
    if request["session"]:
        os.setsid()
    kept = [os.dup(fd) for fd in descriptors]  # none of them is 0, 1 or 2 itself
    for number, fd in enumerate(kept):
        os.dup2(fd, number)
    for fd in (*kept, *descriptors):
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.stdin = sys.__stdin__ = _stream(0, "<stdin>", "surrogateescape", unbuffered=False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "<stdout>", "surrogateescape", unbuffered=unbuffered)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "<stderr>", "backslashreplace", unbuffered=unbuffered)  # type: ignore[misc]


def _stream(fd: int, name: str, errors: str, *, unbuffered: bool) -> io.TextIOWrapper:
    mode = "w" if fd else "r"
    raw: Any = io.FileIO(fd, mode, closefd=False)
    raw.name = name
    buffered = raw if unbuffered else io.BufferedWriter(raw) if fd else io.BufferedReader(raw)
    at_lines = fd == 2 or raw.isatty()
    newline = "\n" if fd else None
    made: Any = io.TextIOWrapper(buffered, "utf-8", errors, newline, line_buffering=at_lines, write_through=unbuffered)
    made.mode = mode
    return made  # type: ignore[no-any-return]


def _run(argv: list[str]) -> None:
    """Run what stands behind ``python`` as the main program."""
    if argv[0] == "-m":
        sys.argv = argv[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
        return
    main = types.ModuleType("__main__")
    vars(main).update(__builtins__=__builtins__, __spec__=None)
    sys.modules["__main__"] = main
    if argv[0] == "-c":
        sys.argv = ["-c", *argv[2:]]
        sys.path.insert(0, "")
        code = compile(argv[1], "<string>", "exec")
    else:
        sys.argv = argv
        sys.path.insert(0, os.path.dirname(os.path.realpath(argv[0])))
        vars(main)["__file__"] = file = os.path.abspath(argv[0])
        code = compile(Path(file).read_bytes(), file, "exec")
    exec(code, vars(main))


def _run_as_main(argv: list[str]) -> None:
    """As `_run`; an error is shown with the frames of the program alone."""
    try:
        _run(argv)
    except SystemExit:
        raise
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        if isinstance(error, KeyboardInterrupt):
            # As the signal that it was, once all is done.
            sys.excepthook = lambda *_: None
            raise
        sys.exit(1)


def _end_quickly(argv: list[str]) -> NoReturn:
    code: Any = 0
    try:
        _run_as_main(argv)
    except SystemExit as ended:
        code = ended.code
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    for file in (sys.stdout, sys.stderr):
        file.flush()
    os._exit((code or 0) & 0xFF)


def default_signals() -> None:
    """Let signals end this process, without a core: under ``nohup`` and the like some are ignored, and that is inherited."""
    import resource

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _main() -> None:
    del sys.path[0]
    listener = socket.socket(fileno=int(sys.argv[1]))
    modules, packages = json.loads(sys.argv[2])
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    _import(modules, packages)
    default_signals()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.collect()
    gc.freeze()
    request = _Forking(listener).next()
    (_end_quickly if request["quick"] else _run_as_main)(request["argv"])


if __name__ == "__main__":
    _main()

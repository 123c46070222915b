"""What interrupts our work and is not of our work arrives where the user's code is: at every instruction, in every kind of work.

`benchmarks/interrupts.py` has the long form. Here are the rule by which an interrupt is known, and that every ``except`` asks it.
"""

from __future__ import annotations

import _thread
import ast
import contextlib
import contextvars
import ctypes
import functools
import gc
import importlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from opcode import opname
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog._interrupts import OwnThread, interrupt_in, is_interrupt, raise_interrupt, started_in_try, suppress_errors
from otel_agentlog.record.exceptions.fresh_stack import on_fresh_stack
from otel_agentlog.record.exceptions.timeout_call import call_apart, timeout_call
from otel_agentlog.record.recorder import recorder
from otel_agentlog.record.resources import ResourceSampler
from otel_agentlog.store.folder.documents import TURN_WAIT_S
from otel_agentlog.store.folder.files import close_dropped
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.store.folder.writer import TaskFolder
from otel_agentlog.testing import MemorySink
from tests.support.opcodes import every_instruction, set_trace
from tests.support.sources import HOME, modules, nodes

BENCHMARK = HOME.parent / "benchmarks" / "interrupts.py"


@pytest.fixture(autouse=True, scope="module")
def _interrupts_arrive() -> Iterator[None]:
    """A shell starts what it runs in the background with SIGINT ignored, and each process inherits that."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# -- every except asks -----------------------------------------------------------------------------------------------------

PARTS = ("record", "store", "export", "wiring", "error_handling", "tools", "query", "vocabulary", "compat", "integrations")
KEEPS = {"Exception", "OSError", "TimeoutError", "ValueError", "RuntimeError", "TypeError", "LookupError", "ImportError"}
"""Classes of which an interrupt may be one. Of `AttributeError`, `KeyError` and `IndexError` nobody makes one."""
WITHOUT = {
    "record/resources.py:_sample_repeatedly": "a thread of ours",
    "record/signals.py:_end": "the process ends by this signal, whatever else comes",
    "store/folder/sync.py:_run": "a thread of ours",
    "store/recovery/background.py:_work": "a thread of ours",
    "store/retention/background.py:_work": "a thread of ours",
    "wiring/alerting.py:_look": "a thread of ours",
    "wiring/alerting.py:_tell": "a thread of ours",
    "wiring/backlog.py:_ship_own": "a thread of ours",
    "wiring/backlog.py:ship_others": "a thread of ours",
    "record/logs/line.py:guarded": "looks by itself: it is the usual way, and a call costs more",
    "record/operations/context.py:point": "looks by itself",
    "record/operations/operation.py:start": "looks by itself",
    "record/operations/operation.py:_finish": "looks by itself",
    "tools/process/supervisor.py": "a process of ours",
    "tools/process/sandbox.py": "a process of ours",
}
"""Places that need not ask, and why."""


def _names(kind: ast.expr | None) -> set[str]:
    if kind is None:
        return {"BaseException"}
    return {ast.unparse(each) for each in (kind.elts if isinstance(kind, ast.Tuple) else [kind])}


def _asks(handler: ast.ExceptHandler) -> bool:
    """Whether its first act is to ask, or all it does ends in raising the same again."""
    first, last = ast.unparse(handler.body[0]), handler.body[-1]
    leaves = any(isinstance(node, (ast.Return, ast.Continue, ast.Break)) for part in handler.body for node in ast.walk(part))
    return first == "raise_interrupt()" or (isinstance(last, ast.Raise) and last.exc is None and not leaves)


def _handlers() -> Iterator[tuple[str, ast.AST]]:
    """Every ``except`` and ``suppress`` of the parts, with its file and function."""
    for where, node in nodes(*PARTS):
        if isinstance(node, ast.ExceptHandler) or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress")):
            yield where, node


def test_every_except_lets_interrupts_pass() -> None:
    """An ``except`` that could keep one begins with ``raise_interrupt()``; in place of ``suppress`` stands `suppress_errors`."""
    kept = []
    for where, node in _handlers():
        named = _names(node.type) if isinstance(node, ast.ExceptHandler) else {ast.unparse(arg) for arg in node.args}  # type: ignore[attr-defined]
        asked = isinstance(node, ast.ExceptHandler) and _asks(node)
        if named & KEEPS and not asked and where not in WITHOUT and where.partition(":")[0] not in WITHOUT:
            kept.append(f"{where}, line {node.lineno}")  # type: ignore[attr-defined]

    assert kept == []


def test_no_python_code_runs_where_objects_go() -> None:
    """Python drops what is raised in ``__del__`` and in callbacks of weak references, so these are made of no Python code."""
    found = []
    for path in sorted(path for part in PARTS if part != "query" for path in (HOME / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "__del__":
                found.append(f"{path.name}: __del__")
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in ("weakref.ref", "weakref.finalize")
                and len(node.args) > 1
            ):
                found.append(f"{path.name}: {ast.unparse(node)}")

    assert found == []


# -- what is an interrupt --------------------------------------------------------------------------------------------------


class Timeout(Exception):
    """An application's own."""


class WithMessage(Exception):
    """Made without arguments, it has some."""

    def __init__(self) -> None:
        super().__init__("time is up")


class Handlers:
    """Handlers of all shapes."""

    def method(self, signum: int, frame: object) -> None:
        raise Timeout("method")

    def __call__(self, signum: int, frame: object) -> None:
        raise Timeout("object")

    @staticmethod
    def forgetful(signum: Any, frame: Any) -> None:
        signum = signal.Signals(signum).name
        del frame
        raise TimeoutError(f"by {signum}")

    @staticmethod
    def deep(signum: int, frame: object) -> None:
        Handlers().method(signum, None)

    @staticmethod
    def with_more(extra: str, signum: int, frame: object) -> None:
        raise OSError(5, extra)

    @staticmethod
    def restoring(*args: object) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        raise RuntimeError("one shot")


SHAPES: dict[str, Callable[..., Any]] = {
    "method": Handlers().method,
    "object": Handlers(),
    "forgets its arguments": Handlers.forgetful,
    "calls others": Handlers.deep,
    "partial": functools.partial(Handlers.with_more, "more"),
    "restores what was before": Handlers.restoring,
    "lambda": lambda *args: (_ for _ in ()).throw(ValueError("thrown")),
    "Ctrl-C": signal.default_int_handler,
}


@pytest.fixture
def usr1() -> Iterator[None]:
    """Puts the handler of SIGUSR1 back."""
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_handler_raises_passes(shape: str, usr1: None) -> None:
    """Whatever the handler is, and whatever class it raises."""
    signal.signal(signal.SIGUSR1, SHAPES[shape])

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGUSR1)
        except BaseException:
            raise_interrupt()

    with pytest.raises(BaseException) as raised:
        work()
    assert interrupt_in(raised.value) is raised.value


def test_an_interrupt_in_the_place_of_which_a_library_raised_passes(usr1: None) -> None:
    """Also where the library hides it; and also within code of the user's that we call."""
    signal.signal(signal.SIGUSR1, Handlers().method)

    class Interrupted:
        def __repr__(self) -> str:
            signal.raise_signal(signal.SIGUSR1)
            return ""

    def library() -> None:
        try:
            repr(Interrupted())
        except Exception:
            raise LookupError("could not") from None

    with pytest.raises(Timeout), suppress_errors(Exception):
        library()


@pytest.mark.parametrize("kind", [Timeout, WithMessage, TimeoutError, ValueError])
def test_what_another_thread_sets_passes(kind: type[Exception]) -> None:
    """``PyThreadState_SetAsyncExc`` makes it of its class, and raises it at no statement."""
    me = ctypes.c_ulong(threading.get_ident())

    def work() -> None:
        try:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(me, ctypes.py_object(kind))
            for _ in range(1000):
                len("")
        except Exception:
            raise_interrupt()

    with pytest.raises(kind):
        work()


def _raising(error: BaseException) -> Callable[[], object]:
    def work() -> None:
        raise error

    return work


def _fails_while_handling() -> None:
    try:
        raise Timeout("the user's, handled before we were called")
    except Timeout:
        with suppress_errors(OSError):
            os.stat("/no/such/file")


ORDINARY: dict[str, Callable[[], object]] = {
    "without arguments": _raising(ValueError()),
    "own class": _raising(Timeout()),
    "own message": _raising(WithMessage()),
    "C": lambda: os.stat("/no/such/file"),
    "C, stop": lambda: next(iter(())),
    "thrown": lambda: (_ for _ in ()).throw(TimeoutError()),
    "a timeout of a library": _raising(TimeoutError("timed out")),
    "no stack left": lambda: functools.reduce(lambda f, _: lambda: f(), range(100_000), lambda: None)(),
    "while another is handled": _fails_while_handling,
}


@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_errors_are_kept(case: str) -> None:
    """What our work, a library or a value of the user's raises is none."""
    with suppress_errors(Exception):
        ORDINARY[case]()


def _work_on(until: float) -> None:
    """A loop in a function of its own, as since Python 3.12 the jump back of one that stands in a ``with`` may not be in that."""
    while time.monotonic() < until:
        pass


def test_what_meets_a_thread_before_it_runs_is_sent_to_the_one_that_started_it() -> None:
    """The new thread does its work all the same."""
    worked: list[bool] = []
    entries: queue.SimpleQueue[Any] = queue.SimpleQueue()
    arrived = threading.Event()

    def starter() -> None:
        until = time.monotonic() + 10
        with contextlib.suppress(Timeout):
            entries.put(started_in_try(lambda: worked.append(True)))
            _work_on(until)
        arrived.set()

    thread = threading.Thread(target=starter)
    thread.start()
    with pytest.raises(StopIteration):
        entries.get().args[0].throw(Timeout())  # where the interpreter raises it: before the new thread's first instruction
    thread.join()

    assert worked == [True]
    assert arrived.is_set()


def test_what_was_dropped_is_done_though_its_doing_is_interrupted(tasks_root: Path) -> None:
    """At every instruction: the interrupt arrives, and the step that was left open ends with the next line."""
    for at in itertools.count(1):
        with agentlog.task("t", task_id=f"t{at}") as task:
            agentlog.step("left open").start()
            instructions = Instructions(at)
            with contextlib.suppress(KeyboardInterrupt), instructions:
                task.output("next")
            task.output("last")

        lines = list(find_task(tasks_root, f"t{at}").events())
        assert [line["phase"] for line in lines if line["type"] == "step"] == ["start", "end"], at
        if instructions.seen < at:
            break
    assert at > 50


class Interrupt(KeyboardInterrupt):
    """One that a weak reference can refer to."""


class Instructions:
    """A context: at the ``at``-th instruction of ours that may be interrupted a `KeyboardInterrupt` is raised; with ``calls`` at
    the ``at``-th beginning of a function."""

    def __init__(self, at: int, *, calls: bool = False) -> None:
        self._at, self._calls, self.seen = at, calls, 0
        self.raised: Callable[[], BaseException | None] = lambda: None
        """What was raised, as long as something refers to it."""

    def _interrupt(self) -> KeyboardInterrupt:
        made = Interrupt()
        self.raised = weakref.ref(made)
        return made

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        set_trace(self._trace)

    def __exit__(self, *error: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        if not frame.f_code.co_filename.startswith(str(HOME)):
            return None
        operation = opname[frame.f_code.co_code[max(0, frame.f_lasti)]]
        if event == "call" or (event == "opcode" and operation.startswith(("CALL", "JUMP_BACKWARD"))):
            self.seen += 1
            if self.seen == self._at:
                sys.settrace(None)
                raise self._interrupt()
        if self._calls:
            return None
        return every_instruction(frame, self._trace) if event == "call" else self._trace


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What Python can raise nowhere, so that it prints it: by code in which the next interrupt is lost."""
    found: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: found.append(it.exc_value))
    return found


def _with_finalizers() -> Iterator[type]:
    for path in sorted(path for part in PARTS if part != "query" for path in (HOME / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(each).startswith("__del__ =") for each in node.body):
                name = path.relative_to(HOME.parent).with_suffix("").as_posix().replace("/", ".")
                yield getattr(importlib.import_module(name), node.name)


def test_what_an_interrupt_left_half_made_is_dropped_quietly(tasks_root: Path, unraisable: list[BaseException | None]) -> None:
    """It came before `__init__` had done anything."""
    classes = list(_with_finalizers())
    assert {each.__name__ for each in classes} >= {"Descriptor", "Operation"}
    for each in classes:
        each.__new__(each)
    close_dropped()
    with agentlog.task("next"):
        pass

    assert unraisable == []
    assert not recorder().failures


def test_nothing_fails_where_objects_go(tasks_root: Path, unraisable: list[BaseException | None]) -> None:
    """A task is interrupted where any function begins: what is dropped then fails at nothing."""

    def interrupted(at: int) -> int:
        calls = Instructions(at, calls=True)
        with contextlib.suppress(KeyboardInterrupt), calls, agentlog.task("t", task_id=f"t{at}", input={"a": 1}) as task:
            with agentlog.step("s"):
                task.output("x")
        return calls.seen

    for at in itertools.count(1):
        # In a context of its own: one that is interrupted where its end begins stays current.
        if contextvars.copy_context().run(interrupted, at) < at:
            break
    assert at > 300

    # A function may begin where a generator is closed, but none of ours is interrupted there but by this test.
    assert [each for each in unraisable if not isinstance(each, KeyboardInterrupt)] == []


def test_what_arrived_is_let_go_of(tasks_root: Path, unraisable: list[BaseException | None]) -> None:
    """No frame of ours refers to what was raised through it: dropped late by the garbage collector, generators of blocks that it
    left would end then, and what interrupts that is lost."""

    def interrupted(at: int) -> Instructions:
        # Where functions begin: at an instruction it could come between a lock and its release, which none of Python's does.
        calls, log = Instructions(at, calls=True), agentlog.get_logger("app")
        with contextlib.suppress(KeyboardInterrupt), calls, agentlog.task("t", task_id=f"t{at}", input={"a": 1}) as task:
            with agentlog.step("s"), agentlog.tool("read", arguments={"a": "b"}):
                task.output("x")
                log.info("files read", files=3)
        return calls

    gc.collect()
    gc.disable()
    try:
        for at in itertools.count(1):
            calls = contextvars.copy_context().run(interrupted, at)
            unraisable.clear()  # as in the test above: where a generator is closed, nothing of ours is interrupted
            assert calls.raised() is None, at
            if calls.seen < at:
                break
    finally:
        gc.enable()
    assert at > 300


def test_no_function_keeps_what_it_raises() -> None:
    """What is raised by its name, outside of its ``except``, is referred to by this frame, which its traceback has."""
    found = []
    for module in modules():
        for function in module.nodes:
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found += [f"{module.place}:{function.name}" for each in _keeps_raised(function.body, frozenset())]
    modules.cache_clear()

    # It takes the traceback away again.
    assert found == ["record/exceptions/fresh_stack.py:_while_handling"]


def _keeps_raised(body: list[ast.stmt], let_go: frozenset[str]) -> Iterator[ast.Raise]:
    """Where a name is raised that is not let go of: that of a handler is by Python, others by ``del`` in a ``finally``."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id.islower() and node.exc.id not in let_go:
            yield node
        names = set(let_go)
        if isinstance(node, ast.Try):
            deleted = [each for each in node.finalbody if isinstance(each, ast.Delete)]
            names |= {target.id for each in deleted for target in each.targets if isinstance(target, ast.Name)}
            for handler in node.handlers:
                yield from _keeps_raised(handler.body, frozenset(names | ({handler.name} if handler.name else set())))
        for field in ("body", "orelse", "finalbody"):
            yield from _keeps_raised(getattr(node, field, []), frozenset(names))
        for case in getattr(node, "cases", []):
            yield from _keeps_raised(case.body, frozenset(names))


@pytest.mark.parametrize("kind", ["files", "control", "delivery"])
def test_a_turn_that_ends_in_another_thread_leaves_it_free(
    kind: str, tasks_root: Path, unraisable: list[BaseException | None]
) -> None:
    """An interrupt came within the end of the block, and the last reference to it was another thread's."""
    with agentlog.task("t") as task:
        task.output("x")
        assert task.task is not None
        assert isinstance(task.task.home, TaskFolder)
        home, control = task.task.home, task.task.control
        assert control is not None
        turn = {
            "files": functools.partial(home._documents._turn.taken, TURN_WAIT_S),
            "control": control.in_turn,
            "delivery": home.settling,
        }[kind]
        block = turn()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(block.__enter__).result()
            del block
            began = time.monotonic()
            with turn():
                took_s = time.monotonic() - began

    assert unraisable == []
    assert took_s < TURN_WAIT_S / 2


STARTERS: dict[str, Callable[[Callable[[], object]], object]] = {
    "a thread of its own": lambda work: OwnThread(work, "agentlog-test").start(),
    "a call apart": call_apart,
    "a call with a limit": lambda work: timeout_call(work, frozenset()),
    "a fresh stack": on_fresh_stack,
    "samples of resources": lambda work: _sampler(work).begin(exact_cpu=False),
}


def _sampler(work: Callable[[], object]) -> ResourceSampler:
    sampler = ResourceSampler(0.01)
    sampler._sample = work  # type: ignore[method-assign,assignment]
    return sampler


@pytest.mark.parametrize("way", STARTERS)
def test_whatever_starts_a_thread_gets_what_the_thread_met(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither waits for ever for one that never ran, nor loses the interrupt; and the work is done."""
    start, worked, arrived = _thread.start_new_thread, threading.Event(), threading.Event()
    met: list[object] = []

    def meet(entry: Any, args: tuple[object, ...]) -> int:
        def thread() -> None:
            with contextlib.suppress(StopIteration):
                entry.args[0].throw(Timeout())

        if met or not isinstance(entry, functools.partial):
            return start(entry, args)
        met.append(entry)
        return start(thread, ())

    def starter() -> None:
        until = time.monotonic() + 10
        with contextlib.suppress(Timeout):
            STARTERS[way](worked.set)
            _work_on(until)
        arrived.set()

    thread = threading.Thread(target=starter, daemon=True)
    with monkeypatch.context() as patched:
        patched.setattr(_thread, "start_new_thread", meet)
        start(thread.run, ())
        assert arrived.wait(15)

    assert met
    assert worked.wait(10)


def test_threads_are_started_by_what_lets_interrupts_pass() -> None:
    """Outside of what people look at no code calls `threading.Thread`, nor `_thread` without `started_in_try`."""
    found = []
    for path in sorted(path for part in PARTS if part != "query" for path in (HOME / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "threading.Thread":
                found.append(f"{path.name}, line {node.lineno}")
            text = ast.unparse(node) if isinstance(node, ast.FunctionDef) else ""
            if "_thread.start_new_thread" in text and "started_in_try" not in text:
                found.append(f"{path.name}, line {node.lineno}")  # type: ignore[attr-defined]

    assert found == []


def test_a_thread_that_is_not_started_does_nothing() -> None:
    """Where there are no more threads, or another caller was faster; in any thread."""
    worked: list[bool] = []
    entries: queue.SimpleQueue[Any] = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: entries.put(started_in_try(lambda: worked.append(True))))
    thread.start()
    thread.join()

    entries.get()
    gc.collect()

    assert worked == []


# -- in programs -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("way", ["KeyboardInterrupt", "SIGALRM, T", "SoftTimeLimit", "async, own class, in"])
def test_every_interrupt_arrives(way: str) -> None:
    """The short form of the benchmark: real signals, real folders, which stay valid."""
    works = ["log lines", "steps", "tools", "tasks"]
    command = [sys.executable, str(BENCHMARK), "--count", "25", "--ways", way, "--works", *works]

    done = subprocess.run(command, capture_output=True, text=True, timeout=110)

    assert done.returncode == 0, done.stdout + done.stderr


CTRL_C = """
import os, signal, sys, threading, time
import otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1], console="off")
def late():
    while threading.main_thread().is_alive(): time.sleep(0.001)
    exec("pass")
threading.Thread(target=late).start()
with agentlog.task("t"):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
"""


def test_ctrl_c_is_the_death_of_the_process(tmp_path: Path) -> None:
    """The process ends by SIGINT, as shells expect, although text was executed after the interrupt (an import does that)."""
    done = subprocess.run([sys.executable, "-c", CTRL_C, str(tmp_path)], capture_output=True, timeout=60)

    assert done.returncode == -signal.SIGINT


START = """
import signal, sys
import otel_agentlog as agentlog
from otel_agentlog.store.folder.files import LineFile
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1], console="off")
count, append = 0, LineFile.append
def interrupted(self, data):
    global count
    count += 1
    if count == int(sys.argv[2]) and sys.argv[3] == "before":
        signal.raise_signal(signal.SIGINT)
    append(self, data)
    if count == int(sys.argv[2]):
        signal.raise_signal(signal.SIGINT)
LineFile.append = interrupted
try:
    with agentlog.task("t"):
        pass
except KeyboardInterrupt:
    print("arrived")
"""


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_task_is_begun_and_ended_whole(tmp_path: Path, number: int, moment: str) -> None:
    """Wherever its start or its end is interrupted, the folder has both lines, and is valid."""
    done = subprocess.run([sys.executable, "-c", START, str(tmp_path), str(number), moment], capture_output=True, text=True)
    checked = subprocess.run(
        [sys.executable, "-m", "otel_agentlog", "validate", "--root", str(tmp_path)], capture_output=True, text=True
    )

    assert done.stdout == "arrived\n", done.stderr
    assert checked.returncode == 0, checked.stdout
    (folder,) = tmp_path.glob("task*/")
    lines = [json.loads(line) for line in (folder / "03-agent-output.jsonl").read_text().splitlines() if line]
    assert [line["phase"] for line in lines if line["type"] == "task"] == ["start", "end"]


@pytest.mark.parametrize(
    ("code", "outcome", "kept"), [(0, "completed", 0), (None, "completed", 0), (3, "interrupted", 3), ("no", "interrupted", 1)]
)
def test_exit_codes(recorded: MemorySink, code: Any, outcome: str, kept: int) -> None:
    """``sys.exit(0)`` is success; every exit code is kept."""
    with pytest.raises(SystemExit), agentlog.task("t"):
        sys.exit(code)

    (end,) = recorded.ends()
    assert (end["outcome"], end["details"]["exit_code"]) == (outcome, kept)


def test_an_interrupted_timeout_call_is_left_at_once(usr1: None) -> None:
    """Waiting for code on a thread of ours is interrupted like all else."""
    signal.signal(signal.SIGALRM, Handlers().method)

    class Slow:
        def __str__(self) -> str:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            time.sleep(0.4)
            return "slow"

    with pytest.raises(Timeout):
        agentlog.get_logger("app").error("%s", Slow())
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


class _Hostile(type):
    def __getattribute__(cls, name: str) -> Any:
        raise ZeroDivisionError(name)


class _HostileError(Exception, metaclass=_Hostile):
    def __getattribute__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


def test_nothing_of_an_exception_is_asked_by_its_own_code() -> None:
    """Attributes of its class may raise, of the class's class too; looking for interrupts in it is no reason to raise that."""
    for error in (_HostileError(), _HostileError("x")):
        try:
            try:
                raise KeyError("before")
            finally:
                raise error
        except Exception:
            raise_interrupt()
        assert not is_interrupt(error)


def test_what_is_raised_at_a_long_jump_is_an_interrupt() -> None:
    """In 3.10 the place of such a jump is what its argument is longer by."""
    names: dict[str, Any] = {}
    exec("def run(no):\n while True:\n  if no:\n" + "   no = no\n" * 400, names)
    known: list[bool] = []

    def thread() -> None:
        for _ in range(20):
            try:
                entered.put(threading.get_ident())
                names["run"](False)
            except Timeout as error:
                known.append(is_interrupt(error))

    entered: queue.SimpleQueue[int] = queue.SimpleQueue()
    runner = threading.Thread(target=thread)
    runner.start()
    for _ in range(20):
        ident = entered.get()
        time.sleep(0.002)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Timeout))
    runner.join()

    assert known == [True] * 20

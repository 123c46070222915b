"""Runs code of strangers that may never come back, and waits for it only a moment.

Hides how: a thread for each question. What does not answer in time is left behind, and whatever looks the same is not asked
again until it has answered after all, so that it costs its moment once and a process has at most a few such threads.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from otel_agentlog._fork import after_fork_in_child
from otel_agentlog.record.logs.nesting import nesting

PATIENCE_S = 0.5
"""How long an answer is waited for. An ordinary text takes microseconds; the rest is for machines with much else to do."""
MOST_SILENT = 8
"""Of how many kinds questions may be without an answer at one time; then only what needs no asking is told."""

MOST_NESTED = 3
"""How often the code that is asked may ask."""

Answer = TypeVar("Answer")
Kinds = frozenset[type]
"""The foreign classes whose code a question runs."""

_here = threading.local()
# A signal handler may run between any two steps of its holder, and ask as well.
_lock = threading.RLock()
_silent: dict[int, Kinds] = {}


class Silence(Exception):
    """There was no answer in time."""


class _Asking(threading.Thread, Generic[Answer]):
    def __init__(self, question: Callable[[], Answer], kinds: Kinds) -> None:
        super().__init__(name="agentlog-asks", daemon=True)
        self._question: Callable[[], Answer] | None = question
        # Texts may depend on the context: the language of a request, for one.
        self._context: contextvars.Context | None = contextvars.copy_context()
        self._nested = nesting.depth
        self.kinds = kinds
        self.over = threading.Event()
        self.answer: list[Answer] = []
        self.problem: BaseException | None = None

    def run(self) -> None:
        _here.depth = 1
        question, context = self._question, self._context
        self._question = self._context = None
        try:
            if question is not None and context is not None:
                # What is asked for may log as well, and is then within the line that asks.
                nesting.depth = self._nested
                self.answer.append(context.run(question))
        except BaseException as problem:  # noqa: BLE001 - whatever it is, it is raised again where the question was put
            self.problem = problem.with_traceback(None)
        # Nothing of the question may be held on to by a thread that is about to end.
        del question, context
        with _lock:
            _silent.pop(id(self), None)
            self.over.set()


def ask(question: Callable[[], Answer], kinds: Kinds) -> Answer:
    """What ``question`` returns, or raises.

    Raises:
        Silence: not in time; or something of these ``kinds`` has not answered yet, or asks itself again and again.
    """
    depth: int = getattr(_here, "depth", 0)
    if depth:
        return _ask_within(question, depth)
    with _lock:
        known = set(_silent.values())
        if len(known) >= MOST_SILENT or any(silent <= kinds for silent in known):
            raise Silence
    asking = _Asking(question, kinds)
    try:
        asking.start()
    except RuntimeError:
        # No more threads, or the interpreter is about to end.
        raise Silence from None
    if not asking.over.wait(PATIENCE_S) and _is_silent(asking):
        raise Silence
    problem, asking.problem = asking.problem, None
    if problem is not None:
        try:
            raise problem
        finally:
            del problem  # else its traceback, which has this frame, would hold on to it
    return asking.answer.pop()


def _ask_within(question: Callable[[], Answer], depth: int) -> Answer:
    # The code that is asked asks in its turn. It is being waited for as it is; but it must not go round in circles.
    if depth > MOST_NESTED:
        raise Silence
    _here.depth = depth + 1
    try:
        return question()
    finally:
        _here.depth = depth


def _is_silent(asking: _Asking[Any]) -> bool:
    with _lock:
        if asking.over.is_set():
            return False
        _silent[id(asking)] = asking.kinds
        return True


def _renew_after_fork() -> None:
    """In the child of a fork, where those threads are not."""
    global _lock
    _lock = threading.RLock()
    _silent.clear()
    _here.depth = 0


after_fork_in_child(_renew_after_fork)

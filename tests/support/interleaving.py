"""Another thread comes in between: at every place in our code where Python may let it, one after the other."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import otel_agentlog
from tests.support.opcodes import every_instruction, set_trace

HOME = str(Path(otel_agentlog.__file__).parent)

_AFTER = ("CALL", "JUMP_BACKWARD", "JUMP_ABSOLUTE")
"""How the instructions begin behind which the interpreter may go on with another thread."""
_WITHIN = ("BUILD_", "LIST_", "MAKE_FUNCTION", "GET_ITER") if sys.version_info < (3, 12) else ()
"""Those that make something, so that a garbage collection may run in them, and any finalizer in that."""


BLOCKED_S = 0.05
"""After so long, in seconds, the other thread is taken to wait for a lock that is held here."""


class Interleaving:
    """A context: another thread does ``other`` once, at the ``at``-th place at which one may come between, or at the end."""

    def __init__(self, other: Callable[[], object], at: int) -> None:
        self._at = at
        self._thread = threading.Thread(target=other)
        self.places = 0
        """How many there were."""

    def __enter__(self) -> Interleaving:
        self._before = sys.gettrace()
        set_trace(self._called)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        sys.settrace(self._before)
        if self.places < self._at:
            self._thread.start()
        self._thread.join()

    def _called(self, frame: FrameType, event: str, arg: Any) -> Callable[[FrameType, str, Any], Any] | None:
        if not frame.f_code.co_filename.startswith(HOME):
            return None
        self._place()
        return every_instruction(frame, _Instructions(self._place))

    def _place(self) -> None:
        self.places += 1
        if self.places == self._at:
            self._thread.start()
            self._thread.join(BLOCKED_S)


class _Instructions:
    """The instructions of one frame."""

    def __init__(self, place: Callable[[], None]) -> None:
        self._place, self._last, self._at = place, "", 0

    def __call__(self, frame: FrameType, event: str, arg: Any) -> _Instructions:
        if event == "opcode":
            from opcode import opname

            name = opname[frame.f_code.co_code[frame.f_lasti]]
            if self._last.startswith(_AFTER) or name.startswith(_WITHIN) or self._has_jumped(frame.f_lasti):
                self._place()
            self._last, self._at = name, frame.f_lasti
        return self

    def _has_jumped(self, at: int) -> bool:
        """Whether it was a conditional jump that was taken, as far as this Python looks for other threads then."""
        if not self._last.startswith("POP_JUMP"):
            return False
        return at < self._at if sys.version_info >= (3, 11) else at != self._at + 2


def interleaved(
    made: Callable[[], tuple[Callable[[], object], Callable[[], object], Callable[[], object]]], step: int = 1
) -> Iterator[int]:
    """Do one thing with another in between, at each place, or each ``step``-th; gives the places.

    ``made`` gives, anew for each, what is done, what comes in between, and what is checked afterwards.
    """
    at, places = 1 - step, 0
    while at <= places:
        at += step
        work, other, check = made()
        with Interleaving(other, at) as run:
            work()
        places = run.places
        check()
        yield at

"""Prints exceptions that must not be touched: harmless ones take their place, with their names, frames, notes and chain.

Python itself prints these, so that such a traceback looks like any other.
"""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Callable
from typing import Any

from otel_agentlog.record.error_bounded import cut, written
from otel_agentlog.record.error_plain import (
    MOST_CHAINED,
    cause_of,
    context_of,
    members_of,
    notes_of,
    suppresses_context,
    traceback_of,
)
from otel_agentlog.record.values_classes import module_of, qualified_name

MOST_FRAMES = 64
"""How many frames of one exception are printed."""
MOST_CHARACTERS_INSIDE = 2_000
"""Longest text of an exception that another one has as cause, context or member; also the longest note."""

_EXCEPTION: Any = Exception
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)


def printed_by_standins(error: BaseException, text_of: Callable[[BaseException], str]) -> str:
    """An exception with all that belongs to it, as Python prints it; the texts come from ``text_of``."""
    stands = _StandIns(text_of).of(error, text_of(error))
    return "".join(traceback.format_exception(type(stands), stands, traceback_of(error), limit=MOST_FRAMES))


class _StandIns:
    def __init__(self, text_of: Callable[[BaseException], str]) -> None:
        self._text_of = text_of
        self._made: dict[int, BaseException] = {}

    def of(self, error: BaseException, text: str) -> BaseException:
        """What stands for an exception."""
        members = [] if _GROUP is None else [found for inner in members_of(error) if (found := self._inside(inner)) is not None]
        kind = _named_like(type(error), _GROUP if members else _EXCEPTION, text)
        stands: BaseException = kind("group", members) if members else kind()
        self._made[id(error)] = stands
        stands.__cause__ = self._inside(cause_of(error))
        stands.__context__ = self._inside(context_of(error))
        stands.__suppress_context__ = suppresses_context(error)
        if notes := notes_of(error)[:MOST_CHAINED]:
            stands.__notes__ = [  # type: ignore[attr-defined, unused-ignore]  # Python 3.11
                cut(note if type(note) is str else written(note), MOST_CHARACTERS_INSIDE) for note in notes
            ]
        return stands.with_traceback(traceback_of(error))

    def _inside(self, error: BaseException | None) -> BaseException | None:
        if error is None:
            return None
        if id(error) in self._made:
            return self._made[id(error)]
        if len(self._made) >= MOST_CHAINED:
            return None
        return self.of(error, cut(self._text_of(error), MOST_CHARACTERS_INSIDE))


def _named_like(kind: type, base: Any, text: str) -> Any:
    """A class of exceptions with another's name and always the same text."""
    name = qualified_name(kind)
    return type(name, (base,), {"__module__": module_of(kind), "__qualname__": name, "__str__": lambda _: text})

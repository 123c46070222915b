"""The text of an exception and its traceback, as Python shows them: in bounded time and size, whatever the exception is made of.

Plain exceptions are asked at once. Those whose text is the work of foreign code are asked on a thread that is not waited for
longer than a moment; what does not answer, or is too large, gets a text made without its help (docs/decisions/0019).
"""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Callable
from typing import Any

from otel_agentlog.record.exceptions.bounded_repr import cut, text_of_args, written
from otel_agentlog.record.exceptions.call_with_timeout import Silence, ask
from otel_agentlog.record.exceptions.inspect import (
    MOST_CHAINED,
    MOST_CHARACTERS,
    cause_of,
    context_of,
    look_at_chain,
    look_at_text,
    members_of,
    notes_of,
    suppresses_context,
    traceback_of,
)
from otel_agentlog.record.sanitize.class_info import in_class, is_native, module_of, qualified_name, short_name, type_name

# -- Prints exceptions that must not be touched: harmless ones take their place, with their names, frames, notes and chain.
# Python itself prints these, so that such a traceback looks like any other.

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


MOST_PRINTED_CHARACTERS = 4 * MOST_CHARACTERS
"""Longest traceback that is taken as it is."""


def message_of(error: BaseException) -> str:
    """``str(error)``, also where that raises, blocks or would be larger than 65,536 characters: then as much as can be had."""
    look = look_at_text(error)
    if look.large:
        return text_of_args(error)
    try:
        return cut(ask(lambda: str.__str__(str(error)), frozenset(look.foreign)) if look.foreign else str(error))
    except Silence:
        return _without_asking(error, "does not return")
    except Exception:  # noqa: BLE001 - __str__ of an exception is anybody's code
        return _without_asking(error, "raises")


def _without_asking(error: BaseException, why: str) -> str:
    args = text_of_args(error)
    if is_native(in_class(error, "__str__")):
        return args
    return f"<{short_name(type(error))} whose __str__ {why}>{args and ': '}{args}"


def told(error: BaseException) -> tuple[str, str]:
    """`message_of` an exception, and its traceback with causes, groups and notes as ``traceback.format_exception`` prints it."""
    try:
        look = look_at_chain(error)
        heard = [] if look.large else _heard(error, frozenset(look.foreign))
        message = heard[0] if heard else message_of(error)
        if len(heard) == 2 and len(heard[1]) <= MOST_PRINTED_CHARACTERS:
            return message, heard[1]
        return message, printed_by_standins(error, lambda inner: message if inner is error else message_of(inner))
    except Exception:  # noqa: BLE001 - groups that contain themselves, hostile frames, no stack left
        message = message_of(error)
        return message, f"{type_name(type(error))}: {message}"


def was_raised(error: BaseException) -> bool:
    """Whether an exception has a traceback of its own."""
    return traceback_of(error) is not None


def _heard(error: BaseException, kinds: frozenset[type]) -> list[str]:
    """Message and traceback as Python makes them; one or none if the foreign code among them does not answer, or raises."""
    heard: list[str] = []

    def listen() -> None:
        heard.append(cut(str.__str__(str(error))))
        heard.append(_printed(error))

    try:
        ask(listen, kinds) if kinds else listen()
    except Exception:  # noqa: BLE001, S110 - silence, or what is anybody's code; what was heard before is kept
        pass
    return heard.copy()


def _printed(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, traceback_of(error), limit=MOST_FRAMES))

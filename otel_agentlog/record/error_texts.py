"""The text of an exception and its traceback, as Python shows them: in bounded time and size, whatever the exception is made of.

Plain exceptions are asked at once. Those whose text is the work of foreign code are asked on a thread that is not waited for
longer than a moment; what does not answer, or is too large, gets a text made without its help (docs/decisions/0019).
"""

from __future__ import annotations

import traceback

from otel_agentlog.record.error_asking import Silence, ask
from otel_agentlog.record.error_bounded import cut, text_of_args
from otel_agentlog.record.error_plain import MOST_CHARACTERS, look_at_chain, look_at_text, traceback_of
from otel_agentlog.record.error_standins import MOST_FRAMES, printed_by_standins
from otel_agentlog.record.values_classes import in_class, is_native, short_name, type_name

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

"""Adds our handler to stdlib's root logger so that nobody notices: neither the level nor other handlers change.

A root logger that has a handler makes ``logging.basicConfig`` do nothing, and ``logging.config`` removes the handlers it did not
set up. So while we are installed these functions run as if we were not there, and we are back afterwards.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from otel_agentlog.record.logs_levels import number_of
from otel_agentlog.record.stdlib import AgentlogHandler

_lock = threading.RLock()
_handler: AgentlogHandler | None = None
_wrapped: list[tuple[ModuleType, str, Callable[..., Any], Callable[..., Any]]] = []


def install_stdlib(level: str | int = logging.NOTSET, *, last_resort: bool = False) -> AgentlogHandler:
    """Record what all stdlib loggers say from this level on, as far as their own levels let it through.

    A second call changes ``level`` and ``last_resort``. With ``last_resort`` warnings that no other handler takes still reach
    stderr by ``logging.lastResort``, as they do without us; leave it off where our console shows them.
    """
    global _handler
    with _lock:
        if _handler is None:
            _handler = AgentlogHandler()
        _handler.setLevel(number_of(level) if level != logging.NOTSET else logging.NOTSET)
        _handler.last_resort = last_resort
        _wrap_configuration()
        logging.getLogger().addHandler(_handler)
        return _handler


def uninstall_stdlib() -> None:
    """Take our handler away again."""
    global _handler
    with _lock:
        handler, _handler = _handler, None
        if handler is not None:
            logging.getLogger().removeHandler(handler)
        for module, name, original, ours in _wrapped:
            # Whoever wrapped it after us keeps theirs; ours then only passes calls on.
            if getattr(module, name) is ours:
                setattr(module, name, original)
        _wrapped.clear()


def _wrap_configuration() -> None:
    import logging.config  # not at the top: it takes longer to import than this room

    for module, name in ((logging, "basicConfig"), (logging.config, "dictConfig"), (logging.config, "fileConfig")):
        original = getattr(module, name)
        if not any(known_module is module and known == name for known_module, known, _, _ in _wrapped):
            ours = _without_us(original)
            setattr(module, name, ours)
            _wrapped.append((module, name, original, ours))


def _without_us(configure: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(configure)
    def configured(*args: Any, **kwargs: Any) -> Any:
        root = logging.getLogger()
        handler = _handler
        if handler is not None:
            root.removeHandler(handler)
        try:
            return configure(*args, **kwargs)
        finally:
            if handler is not None and handler is _handler:
                root.addHandler(handler)

    return configured

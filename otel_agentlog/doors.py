"""Hides how a room's names are loaded when they are first used, so that a command pays only for what it needs.

A door (``otel_agentlog/store/__init__.py``) says which of its modules is the home of which names. Names that stand in a door
without a home are loaded with it, as ever.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any


class _Door(ModuleType):
    """A package whose names come from its modules."""

    _home_of: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        home = self.__dict__["_home_of"].get(name)
        if home is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{self.__name__}.{home}"), name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # The import of the module ``store.validate`` puts it into the package, where the function of that name belongs.
        if not (isinstance(value, ModuleType) and name in self.__dict__["_home_of"]):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self.__dict__["_home_of"]})


def load_when_used(room: str, homes: Mapping[str, Iterable[str]]) -> None:
    """Make the package `room` load each name from its home, a module of the room, when it is first asked for."""
    module = sys.modules[room]
    module.__dict__["_home_of"] = {name: home for home, names in homes.items() for name in names}
    module.__class__ = _Door

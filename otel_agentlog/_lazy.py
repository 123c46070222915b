"""Names of a package that are imported when they are first used (PEP 562), so that a command pays only for what it needs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from otel_agentlog._platform.fork import forks_wait


def lazy_names(
    package: str, homes: Mapping[str, str], *, also: Mapping[str, str] | None = None, modules: Collection[str] = ()
) -> tuple[list[str], Callable[[str], Any]]:
    """Return ``__all__`` and ``__getattr__`` for the package `package`.

    Args:
        package: its dotted name.
        homes: module, relative to the package → names it has, with spaces between them.
        also: the same, for names that are found but not listed.
        modules: submodules that are names themselves.
    """
    this = sys.modules[package]
    listed, unlisted = _home_of(homes), _home_of(also or {})

    def load(name: str) -> Any:
        module = name if name in modules else listed.get(name) or unlisted.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        # The child of a fork in another thread could never import a module that is half imported now.
        with forks_wait():
            found = importlib.import_module(f"{package}.{module}")
        value = found if name in modules else getattr(found, name)
        setattr(this, name, value)
        return value

    setattr(this, "__dir__", lambda: sorted({*vars(this), *listed, *modules}))  # noqa: B010 - mypy has no such attribute of a module
    return sorted([*listed, *modules]), load


def _home_of(homes: Mapping[str, str]) -> dict[str, str]:
    return {name: module for module, names in homes.items() for name in names.split()}

"""What makes the start of a process cheap: names of a package that are imported when they are first used (PEP 562), patterns that
are compiled when they are first used, and dataclasses that are defined in a quarter of the time.

The standard `dataclass` compiles up to six methods for each class, 0.6 ms for a frozen one on a slow machine; a process that
records has eighty of them. The one here compiles ``__init__`` alone. ``__eq__``, ``__hash__`` and ``__repr__`` are closures over
the names of the fields and give the same results. That nothing is assigned to a frozen one is checked by mypy, not while it runs,
which also makes an instance three times as fast. Classes that users get (`Settings`, `Receipt`, `Alert` …) are the standard ones.

And standard streams that a process starts without (``>&-``, a service, ``pythonw``): they are ``None`` in Python.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, AnyStr

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


def lazy_pattern(source: AnyStr, flags: int | re.RegexFlag = 0) -> re.Pattern[AnyStr]:
    """What `re.compile` gives, for all that is asked of it by name: ``search``, ``match``, ``sub``, ``pattern`` …"""
    return _LazyPattern(source, flags)  # type: ignore[return-value]  # it has the same names


class _LazyPattern:
    def __init__(self, *made_of: Any) -> None:
        self._made_of = made_of
        self.pattern = made_of[0]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)  # what copies or pickles looks for such names before there is anything
        found = getattr(re.compile(*self._made_of), name)
        setattr(self, name, found)  # so that the next call is as quick as that of a pattern
        return found


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, repr=True, **options):
        """A class with fields, by its annotations. Options are those of `dataclasses.dataclass`."""
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, eq=eq, repr=repr, **options)
        own = set(cls.__dict__)
        made = dataclasses.dataclass(cls, eq=False, repr=False, **options)
        compared = [each.name for each in dataclasses.fields(made) if each.compare]
        shown = [each.name for each in dataclasses.fields(made) if each.repr]
        values = attrgetter(*compared) if compared else lambda self: ()

        def __eq__(self, other):
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        def __hash__(self):
            return hash(values(self))

        @recursive_repr()
        def __repr__(self):
            return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

        if eq and "__eq__" not in own:
            made.__eq__ = __eq__
            if "__hash__" not in own:
                made.__hash__ = __hash__ if frozen else None
        if repr and "__repr__" not in own:
            made.__repr__ = __repr__
        return made


def open_closed_streams() -> None:
    """Give a program of ours streams that take everything and hold nothing, so that it does what it would do with open ones.

    The descriptors are taken in their order, which gives each the number that was closed: no file that is opened later has it.
    Programs that are started have them closed, as they would without us.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8", errors="replace"))  # noqa: SIM115 - for good


def tell(text: str) -> None:
    """Write to standard error, where there is one."""
    if sys.stderr is not None:
        sys.stderr.write(text)

"""What ``import`` gives the package's modules on another system: other modules, and none of those that it has not."""

from __future__ import annotations

import builtins
import ctypes
import fcntl
import os
import posixpath
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.systems import windows_kernel

POSIX_ONLY = frozenset({"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "readline", "curses", "syslog"})
KERNEL32 = "otel_agentlog._platform.kernel32"


def lacks(system: str) -> dict[str, frozenset[str]]:
    """By module, what ``windows`` or ``macos`` does not have."""
    rows = Path(__file__).with_name(f"{system}_lacks.txt").read_text().splitlines()
    found = (row.partition(":") for row in rows if not row.startswith("#"))
    return {name: frozenset(names.split()) for name, _, names in found}


class Replaced(ModuleType):
    """A module but for some of its names."""

    def __init__(self, real: ModuleType, without: frozenset[str], instead: Mapping[str, Any]) -> None:
        super().__init__(real.__name__, real.__doc__)
        vars(self).update(instead)
        vars(self)["_real"], vars(self)["_without"] = real, without - {*instead}

    def __getattr__(self, name: str) -> Any:
        if name in vars(self)["_without"]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on this system")
        return getattr(vars(self)["_real"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)["_real"], name, value)


def _replaced(system: str, instead: Mapping[str, Mapping[str, Any]]) -> dict[str, ModuleType]:
    return {name: Replaced(__import__(name), names, instead.get(name, {})) for name, names in lacks(system).items()}


def windows(kernel: windows_kernel.Kernel) -> dict[str, ModuleType]:
    """By name, what ``import`` gives on Windows."""
    numbers = {"O_BINARY": windows_kernel.O_BINARY, "O_NOINHERIT": windows_kernel.O_NOINHERIT}
    signals = {"SIGBREAK": 21, "CTRL_C_EVENT": 0, "CTRL_BREAK_EVENT": 1}
    found = _replaced("windows", {"os": {**numbers, **kernel.os_functions()}, "signal": signals})
    found["sys"] = Replaced(sys, frozenset({"abiflags"}), {"platform": "win32"})
    found["msvcrt"] = ModuleType("msvcrt")
    vars(found["msvcrt"]).update(open_osfhandle=kernel.open_osfhandle, get_osfhandle=kernel.get_osfhandle)
    kernel32 = found[KERNEL32] = ModuleType(KERNEL32)
    vars(kernel32).update({name: value for name, value in vars(windows_kernel).items() if name.isupper()})
    names = ("create_file", "reopen", "close_handle", "final_path", "lock_range", "unlock_range", "read_at", "write_at")
    vars(kernel32).update(
        {name: getattr(kernel, name) for name in (*names, "set_times", "process_began", "own_memory", "user_name")}
    )
    return found


class _Library:
    """A C library without what only Linux' has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._real = ctypes.CDLL(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in ("syncfs", "prctl", "renameat2", "syscall", "capset"):
            raise AttributeError(name)
        return getattr(self._real, name)


def macos() -> dict[str, ModuleType]:
    """By name, what ``import`` gives on macOS, where there is no ``/proc``."""

    def outside(call: Any) -> Any:
        def outside_proc(path: Any, *args: Any, **kwargs: Any) -> Any:
            if str(path).startswith("/proc"):
                raise FileNotFoundError(path)
            return call(path, *args, **kwargs)

        return outside_proc

    path = Replaced(posixpath, frozenset(), {"exists": lambda path: not str(path).startswith("/proc") and posixpath.exists(path)})
    files = {name: outside(getattr(os, name)) for name in ("open", "listdir", "scandir", "stat", "readlink")}
    found = _replaced("macos", {"os": {**files, "path": path}})
    found["sys"] = Replaced(sys, frozenset(), {"platform": "darwin"})
    found["fcntl"] = Replaced(fcntl, frozenset({"F_OFD_SETLK"}), {"F_FULLFSYNC": 51})
    found["ctypes"] = Replaced(ctypes, frozenset(), {"CDLL": _Library})
    return found


class Importer:
    """``__import__`` that gives other modules to the package's own."""

    def __init__(self, given: Mapping[str, ModuleType], missing: frozenset[str] = POSIX_ONLY) -> None:
        self._given, self._missing, self._real = given, missing, builtins.__import__

    def __call__(self, name: str, globals_: Any = None, locals_: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if globals_ is not None and str(globals_.get("__name__", "")).startswith("otel_agentlog"):
            if name in self._missing:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in self._given:
                return self._given[name]
        return self._real(name, globals_, locals_, fromlist, level)


def simulate(system: str) -> windows_kernel.Kernel:
    """Have the package, which must not have been imported yet, run as on ``win32``, with this kernel, or ``darwin``."""
    assert not any(name.startswith("otel_agentlog") for name in sys.modules)
    kernel = windows_kernel.Kernel()
    if system == "darwin":
        builtins.__import__ = Importer(macos(), frozenset())
        return kernel
    given = windows(kernel)
    sys.modules[KERNEL32] = given[KERNEL32]
    builtins.__import__ = Importer(given)
    return kernel

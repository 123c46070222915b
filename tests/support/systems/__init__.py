"""Windows and macOS for the package's code, on Linux: what ``import`` gives it there, and files that behave as there.

    modules.py         what ``import os`` and the like give; `simulate` for the whole package in this process
    windows_kernel.py  the calls of Windows' kernel and C library, and of `os` on files that are open, by those of Linux

``*_lacks.txt`` say which names only Linux' modules have. What none of this can show is how a real kernel behaves: ``.ci/windows``
runs the same tests with a real Python for Windows.
"""

from __future__ import annotations

import ctypes
import sys


def on_wine() -> bool:
    """Whether this Windows is Wine, which tells of a folder the path by which it was opened, whatever it is called now."""
    return sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")

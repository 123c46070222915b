"""Windows and macOS for the package's code, on Linux: what ``import`` gives it there, and files that behave as there.

    modules.py         what ``import os`` and the like give; `simulate` for the whole package in this process
    windows_kernel.py  the calls of Windows' kernel and C library, and of `os` on files that are open, by those of Linux

``*_lacks.txt`` say which names only Linux' modules have. What none of this can show is how a real kernel behaves: ``.ci/windows``
runs the same tests with a real Python for Windows.
"""

"""What the tests do to folders."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MakeTask = Callable[..., Path]
"""Type of the fixture `make_task`."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder as a process at work on its task does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)

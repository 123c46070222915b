"""Hides who may ask something of a task: whoever may write into its folder, which is its owner alone.

Nothing is taken from, or put into, a folder or file that somebody else could have written or planted.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from otel_agentlog.errors import LayoutError, TaskNotFoundError
from otel_agentlog.store.descriptors import Descriptor, open_directory

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_own_folder(folder: Path) -> Descriptor:
    """Open a task's folder that is ours alone.

    Raises:
        TaskNotFoundError: there is none.
        LayoutError: it is a link or no folder, belongs to another user, or others may write into it.
    """
    try:
        directory = open_directory(os.fspath(folder))
    except FileNotFoundError:
        raise TaskNotFoundError(f"no task folder at {folder}") from None
    except OSError as error:
        found = error.strerror if error.errno == errno.EPERM else "a link, or no folder"
        raise LayoutError(f"{folder}: expected a task's folder of ours, found: {found}") from error
    _refuse_writable(os.fstat(directory.fd).st_mode, str(folder))
    return directory


def open_own_file(directory: Descriptor, name: str) -> Descriptor | None:
    """Open a file for reading that nobody else could have written; ``None`` if there is none.

    Raises:
        LayoutError: it is a link, a hard link, no regular file, belongs to another user, or others may write into it.
    """
    try:
        file = Descriptor(os.open(name, _FLAGS, dir_fd=directory.fd))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LayoutError(f"{name}: expected a file, found what cannot be opened: {error.strerror}") from error
    status = os.fstat(file.fd)
    if not stat.S_ISREG(status.st_mode):
        raise LayoutError(f"{name}: expected a regular file, found {stat.filemode(status.st_mode)}")
    if status.st_uid != os.geteuid():
        raise LayoutError(f"{name}: expected a file of user {os.geteuid()}, found one of user {status.st_uid}")
    if status.st_nlink > 1:
        raise LayoutError(f"{name}: expected a file with one name, found a hard link")
    _refuse_writable(status.st_mode, name)
    return file


def _refuse_writable(mode: int, name: str) -> None:
    if mode & _OTHERS_MAY_WRITE:
        raise LayoutError(f"{name}: expected that only its owner may write, found mode {stat.S_IMODE(mode):04o}")

"""Hides where the bearer token is kept: a file that only its owner can read, made when it is missing."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

from otel_agentlog.errors import ConfigurationError

FILE_NAME = ".server-token"
"""Its name below the root, where names with a dot in front are no tasks."""

_TOKEN = re.compile(rb"[A-Za-z0-9_-]{32,128}")
_MAX_BYTES = 256


def read_or_make_token(path: Path) -> str:
    """Return the token in the file at `path`; makes file, folder and token if there is no file.

    Raises:
        ConfigurationError: the file is somebody else's, others can read it, it is no regular file, or it holds no token.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _make(path)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise ConfigurationError("token-file", str(path), f"a file that can be written ({error.strerror})") from None


def _make(path: Path) -> str:
    """Write a new token; it stands under its name only once it is whole."""
    token = secrets.token_urlsafe(32)
    temp = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    if os.path.lexists(path):
        raise FileExistsError
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, token.encode() + b"\n")
        # Unlike a rename this leaves a token alone that another process has made in the meantime.
        os.link(temp, path)
    finally:
        os.close(fd)
        os.unlink(temp)
    return token


def _read(path: Path) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationError("token-file", str(path), f"a file that can be read ({error.strerror})") from None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigurationError(
                "token-file",
                f"{path} with mode {stat.filemode(found.st_mode)}",
                "a file of your own that only you can read (0600)",
            )
        token = os.read(fd, _MAX_BYTES).strip()
    finally:
        os.close(fd)
    if _TOKEN.fullmatch(token) is None:
        raise ConfigurationError("token-file", str(path), "a file with a token of 32 or more letters, digits, - and _")
    return token.decode()

"""Hides where application logs lie and what their files are called, from whoever reads them: also of other services."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from otel_agentlog.store import streams
from otel_agentlog.store.layout import GZIP_SUFFIX

SYSTEM_LOGS = Path("/var/log")
"""Where services have folders of their own, each with its log in it."""

_CHUNK_OVERLAP_BYTES = 256
_NAME = re.compile(r"(?P<stem>[A-Za-z0-9._-]{1,200}?)(?:\.(?P<day>\d{4}-\d\d-\d\d)\.(?P<number>\d{1,9}))?\.jsonl", re.ASCII)


def log_directories(wanted: Path | None, home: Path, system: Path = SYSTEM_LOGS) -> list[Path]:
    """Every folder in which services may have put their application log, as `choose_directory` chooses it."""
    last = home / ".local" / "state" / "agentlog" / "logs"
    if wanted is not None:
        return list(dict.fromkeys((wanted, last)))
    return [*_service_folders(system), last]


def _service_folders(system: Path) -> list[Path]:
    try:
        with os.scandir(system) as entries:
            folders = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(folder for folder in folders if _has_log(folder))


def _has_log(folder: Path) -> bool:
    return any(match["stem"] == folder.name for _, match in _files_in(folder))


def log_files(directories: Iterable[Path]) -> list[Path]:
    """The application logs there are, newest first, each by its uncompressed name: it may stand as ``<name>.gz``."""
    found = [
        (match["day"] or "9999", int(match["number"] or 0), folder / name)
        for folder in directories
        for name, match in _files_in(folder)
    ]
    return [path for _, _, path in sorted(found, reverse=True)]


def _files_in(folder: Path) -> list[tuple[str, re.Match[str]]]:
    try:
        with os.scandir(folder) as entries:
            names = {entry.name.removesuffix(GZIP_SUFFIX) for entry in entries if entry.is_file(follow_symlinks=False)}
    except OSError:
        return []
    return [(name, match) for name in sorted(names) if (match := _NAME.fullmatch(name)) is not None]


def mentions(path: Path, words: bytes) -> bool:
    """Whether a ``.jsonl`` file, plain or compressed, holds these bytes; much faster than reading its lines."""
    end = b""
    for chunk in streams.stream(path.parent, path.name, _ignore):
        if words in end + chunk:
            return True
        end = chunk[-_CHUNK_OVERLAP_BYTES:]
    return False


def newest_change_ns(path: Path) -> int:
    """When a ``.jsonl`` file was last written to, in Unix nanoseconds; 0 if it is not there."""
    newest = 0
    for each in (path, path.with_name(path.name + GZIP_SUFFIX)):
        try:
            newest = max(newest, os.stat(each, follow_symlinks=False).st_mtime_ns)
        except OSError:
            continue
    return newest


def _ignore(reason: str) -> None:
    """What cannot be read is told by whoever reads the lines."""

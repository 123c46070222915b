"""Hides what must hold for the files of a folder as such: which ones there are, their modes, and that artifacts are what they
are named."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from otel_agentlog.store import layout
from otel_agentlog.store.reader import TaskReader
from otel_agentlog.store.validate_report import Report

_KNOWN = frozenset({*layout.DOCUMENTS, *layout.LINE_FILES})


def check_files(task: TaskReader, report: Report) -> None:
    """Check names, kinds and modes of everything in a folder."""
    _check_mode(report, ".", os.stat(task.folder, follow_symlinks=False), layout.FOLDER_MODE)
    for name, status in _entries(task.folder):
        plain = name.removesuffix(layout.GZIP_SUFFIX)
        if plain in _KNOWN:
            _check_regular(report, name, status)
        elif name == layout.ARTIFACTS and stat.S_ISDIR(status.st_mode):
            _check_mode(report, name, status, layout.FOLDER_MODE)
        elif layout.is_temp_name(name):
            report.warning(name, None, "no file under preparation", "one left over")
        elif not name.startswith("."):
            report.warning(name, None, "files of a task folder only", "a foreign one")


def check_artifacts(task: TaskReader, report: Report, wanted: Mapping[str, tuple[str, int]]) -> None:
    """Check that every artifact has the hash it is named by, and that those `wanted` by lines are there."""
    present = set()
    for name, status in _entries(task.folder / layout.ARTIFACTS):
        shown, plain = f"{layout.ARTIFACTS}/{name}", name.removesuffix(layout.GZIP_SUFFIX)
        if layout.is_temp_name(name):
            report.warning(shown, None, "no file under preparation", "one left over")
        elif layout.ARTIFACT_NAME.fullmatch(plain) is None:
            report.warning(shown, None, "a name of 64 hex digits", "a foreign file")
        elif _check_regular(report, shown, status):
            present.add(plain)
            digest = hashlib.sha256()
            for chunk in task.artifact(plain):
                digest.update(chunk)
            if digest.hexdigest() != plain:
                report.error(shown, None, "bytes with the sha256 of the name", digest.hexdigest())
    for name, (file, number) in wanted.items():
        if name not in present:
            report.error(file, number, f"{layout.ARTIFACTS}/{name}", "no such file")


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.stat(follow_symlinks=False)) for entry in entries)
    except FileNotFoundError:
        return iter(())
    return iter(found)


def _check_regular(report: Report, name: str, status: os.stat_result) -> bool:
    if not stat.S_ISREG(status.st_mode):
        report.error(name, None, "a regular file", stat.filemode(status.st_mode))
        return False
    _check_mode(report, name, status, layout.FILE_MODE)
    return True


def _check_mode(report: Report, name: str, status: os.stat_result, wanted: int) -> None:
    found = stat.S_IMODE(status.st_mode)
    if found != wanted:
        report.warning(name, None, f"mode {wanted:04o}", f"{found:04o}")

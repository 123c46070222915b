"""Checks a whole task folder against ``docs/format.md``: schemas, lines, figures, and its files with their names and modes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import otel_agentlog._platform as system
from otel_agentlog.errors import LayoutError
from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder import line_stream as streams
from otel_agentlog.store.folder.reader import TaskReader, is_of_before, whole
from otel_agentlog.store.folder.totals import METRICS, Tally
from otel_agentlog.store.validation.lines import LineChecks
from otel_agentlog.store.validation.report import ValidationReport
from otel_agentlog.store.validation.schema import checker, shown
from otel_agentlog.vocabulary.coerce import mapping, number, text
from otel_agentlog.vocabulary.states import ENDED, Outcome

_KNOWN = frozenset({*layout.DOCUMENTS, *layout.LINE_FILES})
_SCHEMA_OF = {layout.METADATA: "metadata", layout.INPUT: "input", layout.FINAL_RESULT: "final-result"}
_TOLERANCE = 1e-6


def validate(folder: Path) -> ValidationReport:
    """Check one task's folder: schemas, ids, missing and repeated lines, states, spans, times, figures, files.

    Raises:
        LayoutError: `folder` is not a directory.
    """
    if not streams.is_folder(folder):
        raise LayoutError(f"{folder}: expected a task folder, found no directory")
    return _Validation(TaskReader(folder)).run()


class _Validation:
    def __init__(self, task: TaskReader) -> None:
        self._task = task
        self._report = ValidationReport(task.folder)
        self._tally = Tally()
        self._at_end: dict[str, Any] = {}
        """Metrics when the task's own end line had been read."""
        self._damaged = False
        self._whole = True

    def run(self) -> ValidationReport:
        report, task = self._report, self._task
        metadata, final = self._document(layout.METADATA), self._document(layout.FINAL_RESULT)
        self._document(layout.INPUT)
        task_id = text(metadata or {}, "task_id")
        report.task_id = task_id or task.folder.name
        checks = LineChecks(report, task_id, text(metadata or {}, "trace_id"))
        for name in layout.LINE_FILES:
            self._lines(name, checks)
        status = text(metadata or {}, "status")
        outcome = text(final or {}, "outcome") or self._tally.task_outcome or (status if status in ENDED else None)
        crashed = outcome in (None, Outcome.INTERRUPTED.value)
        missing = checks.finish(ended=outcome is not None, crashed=crashed, damaged=self._damaged)
        self._whole = not (missing or self._damaged)
        self._check_existence(metadata, final, status)
        if metadata is not None:
            self._check_delivery(mapping(metadata, "delivery"))
        if final is not None:
            self._check_final(final, status, task_id)
        check_files(task, report)
        check_artifacts(task, report, checks.artifacts)
        return report

    def _document(self, name: str) -> dict[str, Any] | None:
        reader = {
            layout.METADATA: self._task.metadata,
            layout.INPUT: self._task.input,
            layout.FINAL_RESULT: self._task.final_result,
        }
        found = reader[name]()
        if found is None:
            for skipped in self._task.problems:
                if skipped.file == name:
                    self._report.error(name, None, "a file with one JSON object", skipped.reason)
            return None
        for path, expected, value in checker(_SCHEMA_OF[name])(found):
            self._report.error(name, None, f"{path}: {expected}", value)
        return found

    def _lines(self, name: str, checks: LineChecks) -> None:
        reader = self._task.lines(name)
        for line in reader:
            checks.add(name, reader.number, line)
            if name == layout.CONTROL:
                continue
            self._tally.add(whole(line, self._task))
            if line.get("type") == "task" and line.get("phase") == "end":
                self._at_end = self._tally.metrics()
        for skipped in reader.skipped:
            if skipped.number:
                self._report.warning(name, skipped.number, "a whole record", skipped.reason)
            else:
                self._report.error(name, None, "a file that can be read to its end", skipped.reason)
        if reader.nul_bytes:
            self._report.warning(name, None, "no NUL bytes", f"{reader.nul_bytes} of them")
        self._damaged = self._damaged or bool(reader.skipped)

    def _check_existence(self, metadata: dict[str, Any] | None, final: dict[str, Any] | None, status: str | None) -> None:
        report, task = self._report, self._task
        begun = bool(self._tally.first_seen) and self._tally.lines > len(self._tally.writers)
        if metadata is None and not streams.exists(task.folder, layout.METADATA):
            # A process line is written before metadata.json: a kill can come between the two.
            (report.error if begun else report.warning)(layout.METADATA, None, "a file", "none")
        if not streams.exists(task.folder, layout.AGENT_OUTPUT):
            report.error(layout.AGENT_OUTPUT, None, "a file", "none")
        if final is None and status in ENDED and not streams.exists(task.folder, layout.FINAL_RESULT):
            report.error(layout.FINAL_RESULT, None, f"a file, as the task is {status}", "none")
        elif final is None and self._tally.task_outcome is not None:
            report.warning(layout.FINAL_RESULT, None, f"a file, as the task {self._tally.task_outcome}", "none yet")

    def _check_final(self, final: Mapping[str, Any], status: str | None, known_id: str | None) -> None:
        report, name = self._report, layout.FINAL_RESULT
        outcome, on_line = text(final, "outcome"), self._tally.task_outcome
        if is_of_before(final, {"status": status}):
            return
        if status not in ENDED:
            report.warning(layout.METADATA, None, f"status {outcome}, as in {name}", shown(status))
        elif outcome != status:
            report.error(name, None, f"outcome {status}, as in {layout.METADATA}", shown(outcome))
        if on_line is not None and outcome != on_line:
            report.error(name, None, f"outcome {on_line}, as on the task's end line", shown(outcome))
        if known_id is not None and final.get("task_id") != known_id:
            report.error(name, None, f"task_id {shown(known_id)}", shown(final.get("task_id")))
        add = report.error if self._whole else report.warning
        # Others may have written on after the task's end: either count is right.
        metrics, counted = mapping(final, "metrics"), self._tally.metrics()
        for key in METRICS:
            if key in metrics and not (
                _agree(metrics.get(key), counted[key]) or _agree(metrics.get(key), self._at_end.get(key, counted[key]))
            ):
                add(name, None, f"metrics.{key}: {shown(counted[key])}, as the lines say", shown(metrics.get(key)))

    def _check_delivery(self, delivery: Mapping[str, Any]) -> None:
        known = [number(delivery, key) for key in ("recorded", "delivered", "pending", "dropped")]
        recorded, delivered, pending, dropped = (count or 0 for count in known)
        if None not in known and not delivered + pending <= recorded <= delivered + pending + dropped:
            expected = "delivery.recorded to be delivered + pending, and at most dropped more"
            self._report.warning(layout.METADATA, None, expected, f"{recorded} for {delivered} + {pending} and {dropped}")


def _agree(a: Any, b: Any) -> bool:
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return abs(a - b) <= _TOLERANCE * max(1.0, abs(a))
    return bool(a == b)


def check_files(task: TaskReader, report: ValidationReport) -> None:
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


def check_artifacts(task: TaskReader, report: ValidationReport, wanted: Mapping[str, tuple[str, int]]) -> None:
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
    for name, (file, line_number) in wanted.items():
        if name not in present:
            report.error(file, line_number, f"{layout.ARTIFACTS}/{name}", "no such file")


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, system.entry_stat(entry)) for entry in entries)
    except FileNotFoundError:
        return iter(())
    return iter(found)


def _check_regular(report: ValidationReport, name: str, status: os.stat_result) -> bool:
    if not stat.S_ISREG(status.st_mode):
        report.error(name, None, "a regular file", stat.filemode(status.st_mode))
        return False
    _check_mode(report, name, status, layout.FILE_MODE)
    return True


def _check_mode(report: ValidationReport, name: str, status: os.stat_result, wanted: int) -> None:
    found = stat.S_IMODE(status.st_mode)
    if found != wanted and system.HAS_OWNERS:
        report.warning(name, None, f"mode {wanted:04o}", f"{found:04o}")

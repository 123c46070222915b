"""Holding a folder against the format: every kind of fault is found and named, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from otel_agentlog.errors import LayoutError
from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.validation.report import MAX_PROBLEMS_LISTED, ValidationReport
from otel_agentlog.store.validation.validate import validate
from tests.store.durability.faults import (
    EVENTS,
    FAULTS,
    FINAL,
    FLOW,
    GAP,
    KILLED,
    META,
    TASK_END,
    at,
    change,
    golden,
    lose,
    replace_document,
)
from tests.store.records import TASK


def found(report: ValidationReport) -> list[str]:
    """The problems of a report as text."""
    return [str(problem) for problem in report.problems]


@pytest.mark.parametrize("name", [TASK, "task-sub-51c2"])
def test_a_finished_golden_folder_is_without_fault(tmp_path: Path, name: str) -> None:
    """No error, no warning."""
    report = validate(golden(tmp_path / "task", name))

    assert found(report) == []
    assert (report.ok, report.task_id, report.lines > 4) == (True, name, True)


def test_a_killed_golden_folder_has_what_a_kill_leaves(tmp_path: Path) -> None:
    """Two torn lines are warnings; open spans of a running task are none."""
    report = validate(golden(tmp_path / "task", KILLED))

    assert found(report) == [
        f"warning: {EVENTS}:6: expected a whole record, found not JSON: unexpected character, expected ':' after key",
        f"warning: {EVENTS}:10: expected a whole record, found ends within a line",
    ]
    assert (report.ok, report.errors, report.warnings) == (True, 0, 2)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    """A file, a link and nothing."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(golden(tmp_path / "task"))

    for name in ("file", "link", "none"):
        with pytest.raises(LayoutError, match=f"{name}: expected a task folder"):
            validate(tmp_path / name)


def test_a_folder_without_events_is_not_a_task(tmp_path: Path) -> None:
    """The error is there once; what follows from it is no error."""
    folder = golden(tmp_path / "task")
    (folder / EVENTS).unlink()

    report = validate(folder)

    errors = [str(problem) for problem in report.problems if problem.severity.value == "error"]
    assert f"error: {EVENTS}: expected a file, found none" in errors
    assert not any("metrics" in error for error in errors)


@pytest.mark.parametrize(("fault", "expected"), [pytest.param(fault, expected, id=name) for name, fault, expected in FAULTS])
def test_every_kind_of_fault_is_found_and_named(tmp_path: Path, fault: Callable[[Path], object], expected: list[str]) -> None:
    """One fault in a folder without fault: it is said what was expected, what was found, and where."""
    folder = golden(tmp_path / "task")
    fault(folder)

    problems = found(validate(folder))

    assert len(problems) == len(expected), problems
    for problem, part in zip(problems, expected, strict=True):
        assert part in problem


def test_faults_that_follow_from_a_lost_line_are_warnings(tmp_path: Path) -> None:
    """One cause, one error."""
    folder = golden(tmp_path / "task")
    change(folder, EVENTS, lambda lines: lines.remove(at(lines, type="step", phase="start")))

    report = validate(folder)

    assert [str(problem) for problem in report.problems if problem.severity.value == "error"] == [f"{GAP}3 missing"]
    assert report.warnings > 0


@pytest.mark.parametrize(("lost", "severity"), [(3, "warning"), (2, "warning"), (0, "error")])
def test_numbers_that_were_in_flight_when_the_process_died_are_a_warning(tmp_path: Path, lost: int, severity: str) -> None:
    """Other threads held the last numbers; the first of more than 64 cannot have been among them."""
    folder = golden(tmp_path / "task", KILLED)
    raw = (folder / EVENTS).read_bytes().split(b"\n")
    whole = [orjson.loads(line) for line in raw[:5]]
    filler = {**whole[1], "type": "event", "phase": None}
    if severity == "error":
        whole += [
            {key: value for key, value in filler.items() if value is not None} | {"event_id": f"5e5e0001-{n}"}
            for n in range(5, 80)
        ]
    kept = [line for line in whole if line["event_id"] != f"5e5e0001-{lost}"]
    (folder / EVENTS).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in kept))

    gaps = [problem for problem in validate(folder).problems if "missing" in problem.found]

    assert [problem.severity.value for problem in gaps] == [severity]


def test_a_recovered_task_may_miss_what_was_in_flight(tmp_path: Path) -> None:
    """Its outcome is interrupted: a process of it died."""
    folder = golden(tmp_path / "task")
    change(
        folder,
        EVENTS,
        lambda lines: at(lines, **TASK_END).update(action="task_interrupted", outcome="interrupted", state_after="interrupted"),
    )
    replace_document(META, status="interrupted")(folder)
    replace_document(FINAL, outcome="interrupted", success=False)(folder)
    lose(EVENTS, type="log")(folder)

    report = validate(folder)

    assert report.ok, found(report)
    assert any("in flight when the process died" in problem for problem in found(report))


def test_a_folder_that_only_just_began_is_without_error(tmp_path: Path) -> None:
    """A kill between the process line and ``metadata.json``."""
    folder = golden(tmp_path / "task", KILLED)
    (folder / META).unlink()
    (folder / layout.INPUT).unlink()
    (folder / EVENTS).write_bytes((folder / EVENTS).read_bytes().split(b"\n")[0] + b"\n")

    report = validate(folder)

    assert found(report) == [f"warning: {META}: expected a file, found none"]


def test_a_sub_task_begins_in_a_span_of_another_folder(tmp_path: Path) -> None:
    """Its parent is in the folder of the parent task, in the same process."""
    folder = golden(tmp_path / "task", "task-sub-51c2")
    lines = list(TaskReader(folder).events())

    assert lines[1]["parent_span_id"] not in {line.get("span_id") for line in lines}
    assert validate(folder).ok


def test_problems_are_listed_up_to_a_thousand_and_all_counted(tmp_path: Path) -> None:
    """A report of a ruined folder stays small."""
    folder = golden(tmp_path / "task")
    (folder / EVENTS).write_bytes(b"{}\n" * 2000)

    report = validate(folder)

    assert len(report.problems) == MAX_PROBLEMS_LISTED
    assert report.errors > 5000


@pytest.mark.parametrize("name", [EVENTS, FLOW, META, FINAL])
def test_no_truncation_makes_validation_raise(tmp_path: Path, name: str) -> None:
    """Cut anywhere, sampled; a cut in the events of a finished task is always noticed."""
    folder = golden(tmp_path / "task")
    data = (folder / name).read_bytes()

    for cut in range(0, len(data) - 2, 1 + len(data) // 60):
        (folder / name).write_bytes(data[:cut])
        assert validate(folder).problems


def test_no_bit_flip_makes_validation_raise(tmp_path: Path) -> None:
    """Sampled over all files."""
    folder, chance = golden(tmp_path / "task"), random.Random(3)
    files = [path for path in folder.rglob("*") if path.is_file()]

    for _ in range(60):
        path = chance.choice(files)
        data = bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        before = path.read_bytes()
        path.write_bytes(data)
        validate(folder)
        path.write_bytes(before)

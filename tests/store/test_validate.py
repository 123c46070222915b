"""Holding a folder against the format: every kind of fault is found and named, and nothing else."""

from __future__ import annotations

import copy
import itertools
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.errors import LayoutError
from otel_agentlog.store import layout
from otel_agentlog.store.lines import LineReader
from otel_agentlog.store.reader import TaskReader, list_tasks
from otel_agentlog.store.summary import METRICS
from otel_agentlog.store.validate import validate
from otel_agentlog.store.validate_numbers import IN_FLIGHT, Gap, Numbers
from otel_agentlog.store.validate_report import MAX_PROBLEMS_LISTED, Report
from otel_agentlog.store.validate_schema import SCHEMA_NAMES, checker, compiled, schema
from tests.store.make_golden import HERE as GOLDEN

TASK = "task-7f3a1c9e2b40"
KILLED = "task-0badc0ffee11"
EVENTS, FLOW, FINAL, META = layout.AGENT_OUTPUT, layout.WEBHOOK_FLOW, layout.FINAL_RESULT, layout.METADATA


def golden(folder: Path, name: str = TASK) -> Path:
    """A golden folder with the modes it has where it was written; version control keeps none."""
    shutil.copytree(GOLDEN / name, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(layout.FOLDER_MODE if path.is_dir() else layout.FILE_MODE)
    return folder


def found(report: Report) -> list[str]:
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


Lines = list[dict[str, Any]]


def change(folder: Path, name: str, edit: Callable[[Lines], None]) -> None:
    """Edit the lines of a file."""
    lines = [orjson.loads(raw) for raw in (folder / name).read_bytes().splitlines()]
    edit(lines)
    (folder / name).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


def at(lines: Lines, **keys: Any) -> dict[str, Any]:
    """The first line that has these keys."""
    return next(line for line in lines if all(line.get(key) == value for key, value in keys.items()))


def update(name: str, where: dict[str, Any], **keys: Any) -> Callable[[Path], object]:
    """A fault: other values in one line."""
    return lambda folder: change(folder, name, lambda lines: at(lines, **where).update(keys))


def replace_document(name: str, **keys: Any) -> Callable[[Path], object]:
    """A fault: other values in a whole file."""

    def fault(folder: Path) -> None:
        (folder / name).write_bytes(layout.encode_document({**orjson.loads((folder / name).read_bytes()), **keys}))

    return fault


def lose(name: str, **where: Any) -> Callable[[Path], object]:
    """A fault: one line less."""
    return lambda folder: change(folder, name, lambda lines: lines.remove(at(lines, **where)))


def artifact(folder: Path) -> Path:
    """The one artifact of the golden task."""
    (path,) = (folder / layout.ARTIFACTS).iterdir()
    return path


STEP_END = {"type": "step", "phase": "end"}
TASK_START, TASK_END = {"type": "task", "phase": "start"}, {"type": "task", "phase": "end"}

LOG, GAP = {"type": "log"}, f"error: {EVENTS}: expected every event_id up to c09d11e7-31, found c09d11e7-"


def remake_step_end(folder: Path) -> None:
    """A fault: the line that ended a step is another event."""

    def edit(lines: Lines) -> None:
        line = at(lines, **STEP_END)
        line["type"] = "event"
        for key in ("phase", "state_before", "state_after"):
            del line[key]

    change(folder, EVENTS, edit)


def repeat(**where: Any) -> Callable[[Path], object]:
    """A fault: a line again at the end, under a number of its own."""
    return lambda folder: change(folder, EVENTS, lambda lines: lines.append({**at(lines, **where), "event_id": "c09d11e7-32"}))


def link_input(folder: Path) -> None:
    """A fault: a symlink in the place of a file."""
    (folder / layout.INPUT).unlink()
    (folder / layout.INPUT).symlink_to("/etc/hosts")


EMPTY_METRICS = [f"error: {FINAL}: expected metrics.{key}: a value, found nothing" for key in METRICS]
DELIVERY = {"recorded": 9, **dict.fromkeys(["delivered", "pending", "dropped", "redacted", "truncated"], 1)}

FAULTS: list[tuple[str, Callable[[Path], object], list[str]]] = [
    ("a lost line", lose(EVENTS, **LOG), [f"{GAP}16 missing"]),
    (
        "a line twice",
        lambda folder: change(folder, EVENTS, lambda lines: lines.append(at(lines, **LOG))),
        [f"error: {EVENTS}:38: expected an event_id of its own, found c09d11e7-16 a second time"],
    ),
    (
        "a writer that does not say who it is",
        update(EVENTS, LOG, event_id="new-0"),
        [f'error: {EVENTS}:22: expected the process line of writer new, found type "log"', f"{GAP}16 missing"],
    ),
    ("a value of a wrong kind", update(EVENTS, LOG, level=None), [f"error: {EVENTS}:22: expected level: one of DEBUG"]),
    ("an unknown type", update(EVENTS, LOG, type="lgo"), [f"error: {EVENTS}:22: expected type: one of process, task"]),
    (
        "a time with six decimals",
        update(EVENTS, LOG, timestamp="2026-11-21T05:22:01.123456Z"),
        [f"error: {EVENTS}:22: expected timestamp: text that matches"],
    ),
    (
        "another task's line",
        update(EVENTS, LOG, task_id="task-b"),
        [f'error: {EVENTS}:22: expected task_id "{TASK}", found "task-b"'],
    ),
    ("an id that is none", update(EVENTS, LOG, trace_id="ABC"), [f"error: {EVENTS}:22: expected trace_id: text that matches"]),
    (
        "another trace",
        update(EVENTS, TASK_START, trace_id="0" * 32),
        [
            f'error: {EVENTS}:8: expected trace_id 8db237f17e8d3ced2006910134c37c4f of metadata.json, found "{"0" * 32}"',
            f"error: {EVENTS}:36: expected trace_id {'0' * 32} of line 8, found",
        ],
    ),
    (
        "an illegal move",
        update(EVENTS, STEP_END, state_before="failed"),
        [
            f"error: {EVENTS}:13: expected a legal move, found failed to completed",
            f"error: {EVENTS}:13: expected state_before running, found failed",
        ],
    ),
    (
        "a state that is not the outcome",
        update(EVENTS, STEP_END, state_after="failed"),
        [f'error: {EVENTS}:13: expected state_after completed, as the outcome, found "failed"'],
    ),
    (
        "an action that is not the outcome's",
        update(EVENTS, STEP_END, action="step_execution_failed"),
        [f'error: {EVENTS}:13: expected action step_execution_completed, found "step_execution_failed"'],
    ),
    (
        "an end before the start",
        update(EVENTS, STEP_END, timestamp="2026-11-21T05:00:00.000000000Z"),
        [f"error: {EVENTS}:13: expected an end not before the start in line 9"],
    ),
    (
        "an end of another type",
        update(EVENTS, STEP_END, type="segment", action="segment_completed"),
        ["expected type step, to end line 9"],
    ),
    (
        "a second end",
        repeat(**STEP_END),
        ["expected one end of a span, found a second", "expected state_before completed, found running"],
    ),
    (
        "a second start",
        repeat(**TASK_START),
        ["expected one start of a span, found a second", "expected state_before completed, found"],
    ),
    (
        "an unknown parent",
        update(EVENTS, {"type": "step"}, parent_span_id="0" * 16),
        [f"error: {EVENTS}:9: expected parent {'0' * 16} in this folder, or parent_remote, found neither"],
    ),
    (
        "its own parent",
        lambda folder: change(
            folder, EVENTS, lambda lines: at(lines, type="step").update(parent_span_id=at(lines, type="step")["span_id"])
        ),
        [f"error: {EVENTS}:9: expected a parent other than the span itself, found"],
    ),
    ("a step that never ended", remake_step_end, [f"error: {EVENTS}:9: expected an end of step"]),
    (
        "metrics that are not those of the lines",
        lambda folder: replace_document(
            FINAL, metrics={**orjson.loads((folder / FINAL).read_bytes())["metrics"], "tool_runs": 4}
        )(folder),
        [f"error: {FINAL}: expected metrics.tool_runs: 3, as the lines say, found 4"],
    ),
    ("no metrics", replace_document(FINAL, metrics={}), EMPTY_METRICS),
    ("success that is none", replace_document(FINAL, success=False), [f"error: {FINAL}: expected success: true, found false"]),
    (
        "an outcome that is not the status",
        replace_document(META, status="failed"),
        [f'error: {FINAL}: expected outcome failed, as in metadata.json, found "completed"'],
    ),
    (
        "an outcome that is not the line's",
        replace_document(FINAL, outcome="failed", success=False),
        [
            f'error: {FINAL}: expected outcome completed, as in metadata.json, found "failed"',
            f'error: {FINAL}: expected outcome completed, as on the task\'s end line, found "failed"',
        ],
    ),
    ("a result of another task", replace_document(FINAL, task_id="x"), [f'error: {FINAL}: expected task_id "{TASK}", found "x"']),
    (
        "no result",
        lambda folder: (folder / FINAL).unlink(),
        [f"error: {FINAL}: expected a file, as the task is completed, found none"],
    ),
    (
        "a result before the status",
        replace_document(META, status="running"),
        [f"warning: {META}: expected status completed, as in"],
    ),
    (
        "no metadata",
        lambda folder: (folder / META).unlink(),
        [f"error: {META}: expected a file, found none", f"warning: {META}: expected status completed"],
    ),
    (
        "half a file",
        lambda folder: os.truncate(folder / META, 100),
        [f"error: {META}: expected a file with one JSON object, found not JSON", f"warning: {META}: expected status completed"],
    ),
    (
        "an empty file",
        lambda folder: os.truncate(folder / layout.INPUT, 0),
        [f"error: {layout.INPUT}: expected a file with one JSON object, found empty"],
    ),
    ("another format", replace_document(META, format_version=2), [f"error: {META}: expected format_version: 1, found 2"]),
    (
        "counts that do not add up",
        replace_document(META, delivery=DELIVERY),
        [f"warning: {META}: expected delivery.recorded to be"],
    ),
    (
        "an unknown stage",
        update(FLOW, {"stage": "validation"}, stage="x"),
        [f"warning: {FLOW}:2: expected a stage of received, validation"],
    ),
    ("a lost stage", lose(FLOW, stage="validation"), ["expected every event_id up to a1f30b22-10, found a1f30b22-3 missing"]),
    (
        "an unknown request",
        lambda folder: change(folder, layout.CONTROL, lambda lines: lines[0].update(request="stop")),
        [f'error: {layout.CONTROL}:1: expected request: one of pause, resume, cancel, context, found "stop"'],
    ),
    (
        "a foreign file",
        lambda folder: (folder / "notes.txt").touch(0o600),
        ["warning: notes.txt: expected files of a task folder only"],
    ),
    ("a left-over", lambda folder: (folder / layout.temp_name(META, "a1")).touch(0o600), ["expected no file under preparation"]),
    ("a file for all to read", lambda folder: (folder / META).chmod(0o644), [f"warning: {META}: expected mode 0600, found 0644"]),
    ("a folder for all to enter", lambda folder: folder.chmod(0o755), ["warning: .: expected mode 0700, found 0755"]),
    (
        "an artifact that is another",
        lambda folder: artifact(folder).rename(folder / layout.ARTIFACTS / ("0" * 64 + ".gz")),
        ["error: artifacts/0000", f"error: {EVENTS}:34: expected artifacts/b2040b"],
    ),
    (
        "a foreign artifact",
        lambda folder: (folder / layout.ARTIFACTS / "x").touch(0o600),
        ["warning: artifacts/x: expected a name of 64"],
    ),
    ("an artifact lost", lambda folder: artifact(folder).unlink(), [f"error: {EVENTS}:34: expected artifacts/b2040b"]),
    (
        "a reference that is none",
        update(EVENTS, LOG, details={"a": [{"$artifact": {"sha256": "../x"}}]}),
        [f'error: {EVENTS}:22: expected a sha256 of 64 hex digits in $artifact, found "../x"'],
    ),
    (
        "a symlink",
        link_input,
        [
            f"error: {layout.INPUT}: expected a file with one JSON object, found what cannot be opened: Too many levels",
            f"error: {layout.INPUT}: expected a regular file, found l",
        ],
    ),
    (
        "NUL bytes",
        lambda folder: (folder / FLOW).write_bytes((folder / FLOW).read_bytes() + b"\0" * 10),
        [f"warning: {FLOW}: expected no NUL bytes, found 10 of them"],
    ),
]


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


class NumberModel:
    """What `Numbers` must agree with: a set."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def gaps(self) -> list[int]:
        return [number for number in range(max(self.seen, default=-1) + 1) if number not in self.seen]


@given(st.lists(st.integers(0, 40)))
def test_missing_and_repeated_numbers_are_found_in_any_order(numbers: list[int]) -> None:
    """Gaps are what a set would say, and as few as can be."""
    tested, model = Numbers(), NumberModel()

    for number in numbers:
        assert tested.add(number) == (number not in model.seen)
        model.seen.add(number)

    gaps = list(tested.gaps())
    assert [number for gap in gaps for number in range(gap.first, gap.last + 1)] == model.gaps()
    assert all(gap.last + 1 < after.first for gap, after in itertools.pairwise(gaps))


def test_a_number_without_end_takes_no_memory() -> None:
    """A damaged event_id may name any number."""
    numbers = Numbers()

    assert numbers.add(10**17)
    assert list(numbers.gaps()) == [Gap(0, 10**17 - 1)]
    assert not numbers.is_in_flight(Gap(0, 10**17 - 1))
    assert numbers.is_in_flight(Gap(10**17 - IN_FLIGHT + 1, 10**17 - 1))


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_our_schemas_are_json_schemas(name: str) -> None:
    """Of draft 2020-12, in the package, and understood by our own checker."""
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    checker(name)


def test_a_schema_that_says_more_than_we_understand_is_refused() -> None:
    """Never is a schema read more loosely than it says."""
    with pytest.raises(ValueError, match="'oneOf' is not understood"):
        compiled({"type": "object", "properties": {"a": {"oneOf": []}}})


SAMPLES: dict[str, list[Any]] = {
    "metadata": [task.metadata() for task in list_tasks(GOLDEN)],
    "input": [task.input() for task in list_tasks(GOLDEN) if task.input()],
    "final-result": [task.final_result() for task in list_tasks(GOLDEN) if task.final_result()],
    "webhook-line": list(TaskReader(GOLDEN / TASK).webhook_flow()),
    "event-line": [line for task in list_tasks(GOLDEN) for line in task.events()],
    "control-line": list(TaskReader(GOLDEN / TASK).control()),
}

scalars = st.none() | st.booleans() | st.integers(-2, 300) | st.floats(-2, 2) | st.sampled_from([1.0, 0.0]) | st.text(max_size=4)
words = st.sampled_from(
    ["start", "end", "completed", "failed", "task", "log", "process", "ai_response", "0" * 16, "ab" * 16, "a-1", "ERROR"]
)
values = st.recursive(
    scalars | words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@st.composite
def instances(draw: st.DrawFn) -> tuple[str, Any]:
    """A schema's name and a real document with some of its parts dropped, replaced or added; or anything at all."""
    name = draw(st.sampled_from(SCHEMA_NAMES))
    if draw(st.integers(0, 19)) == 0:
        return name, draw(values)
    document = copy.deepcopy(draw(st.sampled_from(SAMPLES[name])))
    for _ in range(draw(st.integers(0, 4))):
        part = document
        while True:
            known = sorted(set(part) | set(schema(name)["properties"])) if isinstance(part, dict) else range(len(part))
            key = draw(st.sampled_from(list(known)))
            below = part.get(key) if isinstance(part, dict) else part[key]
            if isinstance(below, (dict, list)) and below and draw(st.booleans()):
                part = below
                continue
            break
        if isinstance(part, dict) and draw(st.integers(0, 3)) == 0:
            part.pop(key, None)
        else:
            part[key] = draw(values)
    return name, document


VALIDATORS = {name: jsonschema.Draft202012Validator(schema(name)) for name in SCHEMA_NAMES}


@settings(max_examples=600, deadline=None)
@given(instances())
def test_our_checker_agrees_with_jsonschema(instance: tuple[str, Any]) -> None:
    """On whether a document is valid, and on where it is not."""
    name, document = instance

    ours = list(checker(name)(document))
    theirs = list(VALIDATORS[name].iter_errors(document))

    assert bool(ours) == bool(theirs), (ours, theirs)
    assert {mismatch.path for mismatch in ours if mismatch.found != "nothing"} == {
        path_of(error) for error in flat(theirs) if error.validator != "required"
    }


def flat(errors: list[Any]) -> list[Any]:
    """Errors with those inside conditions instead of the conditions."""
    return [inner for error in errors for inner in (flat(error.context) if error.context else [error])]


def path_of(error: Any) -> str:
    """A path in our spelling."""
    path = ""
    for step in error.absolute_path:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path


def test_every_line_of_the_golden_folders_fits_its_schema() -> None:
    """By the real jsonschema too."""
    for name, documents in SAMPLES.items():
        for document in documents:
            VALIDATORS[name].validate(document)
            assert list(checker(name)(document)) == []


def test_validation_needs_nothing_but_the_core() -> None:
    """The checker is our own; jsonschema is for the tests only."""
    sources = Path(__file__).parents[2] / "otel_agentlog" / "store"

    assert all("jsonschema" not in path.read_text() for path in sources.glob("*.py"))


def test_lines_can_be_validated_while_they_are_read() -> None:
    """A schema's check is a function of one value."""
    data = (GOLDEN / TASK / EVENTS).read_bytes()
    check = checker("event-line")

    assert [mismatch for line in LineReader(lambda complain: [data]) for mismatch in check(line)] == []

"""Every kind of fault a folder can have, and what is said about it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.store.folder import layout
from otel_agentlog.store.folder.totals import METRICS
from tests.store.golden_writer import HERE as GOLDEN
from tests.store.records import TASK

KILLED = "task-0badc0ffee11"
EVENTS, FLOW, FINAL, META = layout.AGENT_OUTPUT, layout.WEBHOOK_FLOW, layout.FINAL_RESULT, layout.METADATA


def golden(folder: Path, name: str = TASK) -> Path:
    """A golden folder with the modes it has where it was written; version control keeps none."""
    shutil.copytree(GOLDEN / name, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(layout.FOLDER_MODE if path.is_dir() else layout.FILE_MODE)
    return folder


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
        [f'error: {EVENTS}:13: expected action step_execution_succeeded, found "step_execution_failed"'],
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

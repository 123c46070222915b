"""Repair of any prefix of any task: afterwards the folder is valid and complete, and doing it twice is doing it once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.export.semconv.conventions import Conventions
from otel_agentlog.store.folder.reader import find_task, list_tasks
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.spans.rebuild import records
from otel_agentlog.store.validation.validate import validate
from otel_agentlog.vocabulary.records import SpanRecord

PROGRAM = """
import os, sys, otel_agentlog as agentlog
agentlog.configure(directory=sys.argv[1], log_directory=sys.argv[1] + '-l', console='off', recover_on_start=False)
log = agentlog.get_logger('x')
with agentlog.webhook('github', 'push', payload={'a': [1, 2]}) as hook:
    hook.stage('validation', status='passed')
    hook.create_task('job', task_id='t', input={'a': 1}, agent='brain')
    carrier = hook.push()
with agentlog.task(resume=carrier) as task:
    with agentlog.step('plan'), agentlog.ai_call('gpt-4o', provider='openai') as call:
        call.usage(input_tokens=3, output_tokens=4)
    if (pid := os.fork()) == 0:
        with agentlog.step('in child'), agentlog.tool('Count'):
            log.info('counted')
        os._exit(0)
    task.pause('waiting')
    task.resume()
    task.output('zwölf ☃' * 20)
    os.waitpid(pid, 0)
    with agentlog.step('outer'), agentlog.task('sub', task_id='sub'):
        try:
            with agentlog.tool('Read', arguments={'path': 'x'}) as run:
                run.attempt_failed(OSError('busy'), maximum=2)
                raise ValueError('boom')
        except ValueError:
            log.exception('handled')
    late = agentlog.step('late').start()
late.end()
"""

LINES, METADATA, FINAL = "03-agent-output.jsonl", "metadata.json", "04-final-result.json"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a task that used everything, recorded by a process that is gone."""
    root = tmp_path_factory.mktemp("recorded") / "tasks"
    subprocess.run([sys.executable, "-c", PROGRAM, str(root)], check=True, timeout=60)
    for task in list_tasks(root):
        assert not validate(task.folder).problems
    return root


def _running(metadata: bytes) -> bytes:
    return json.dumps({**json.loads(metadata), "status": "running", "completed_at": None}).encode()


METADATA_STATES = {
    "running": _running,
    "paused": lambda found: _running(found).replace(b'"running"', b'"paused"'),
    "empty": lambda found: b"",
    "cut": lambda found: found[: len(found) // 2],
    "gone": lambda found: None,
}


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_any_prefix_of_a_task_can_be_closed(recorded: Path, data: st.DataObject) -> None:
    """Cut off at any byte, with whole files as a kill or a power cut leaves them: valid, complete, and closed for good."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(shutil.copytree(recorded, Path(scratch) / "tasks"))
        for name in data.draw(st.sampled_from([("t",), ("sub",), ("t", "sub")])):
            folder = root / name
            lines = (folder / LINES).read_bytes()
            (folder / LINES).write_bytes(lines[: data.draw(st.integers(1, len(lines)), label=f"bytes of {name}")])
            state = METADATA_STATES[data.draw(st.sampled_from(sorted(METADATA_STATES)))]((folder / METADATA).read_bytes())
            (folder / METADATA).unlink() if state is None else (folder / METADATA).write_bytes(state)
            final = (folder / FINAL).read_bytes()
            left = data.draw(st.sampled_from([None, 0, len(final) // 2]))
            (folder / FINAL).unlink() if left is None else (folder / FINAL).write_bytes(final[:left])
        _close_and_check(root)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_loss_of_lines_can_be_closed(recorded: Path, data: st.DataObject) -> None:
    """Lines missing anywhere, such as a full disk leaves: every span has an end and a parent, and repair is done once."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(shutil.copytree(recorded, Path(scratch) / "tasks"))
        lines = (root / "t" / LINES).read_bytes().splitlines(keepends=True)
        kept = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1))
        (root / "t" / LINES).write_bytes(b"".join(lines[number] for number in sorted(kept)))
        (root / "t" / METADATA).write_bytes(_running((root / "t" / METADATA).read_bytes()))
        (root / "t" / FINAL).unlink()
        _close_and_check(root, damaged=True)


def _close_and_check(root: Path, *, damaged: bool = False) -> None:
    attributes = Conventions().end_attributes
    assert {repair.what for repair in recover(root, attributes=attributes).repairs} <= {"repaired"}
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert recover(root, attributes=attributes, everything=True).repairs == []
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == after
    for task in list_tasks(root):
        if not damaged:
            assert [str(found) for found in validate(task.folder).problems if found.severity == "error"] == []
        _check_tree(root, task.task_id)


def _check_tree(root: Path, task_id: str) -> None:
    """As a tracing backend sees it: every span has ended, and every parent in this folder is there."""
    spans = {span.span_id: span for span in records(find_task(root, task_id)) if isinstance(span, SpanRecord)}
    for span in spans.values():
        assert span.end_ns is not None
        assert span.end_ns >= span.start_ns
        inside = span.parent_span_id and not span.parent_remote and span.line_type not in ("task", "webhook")
        assert not inside or span.parent_span_id in spans

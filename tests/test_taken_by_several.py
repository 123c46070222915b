"""What several threads take from at the same time: each gets what is there, and none fails because another was faster."""

from __future__ import annotations

import ast
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog._interrupts import taken_out
from otel_agentlog.record.recorder import recorder
from otel_agentlog.store.folder.reader import find_task
from otel_agentlog.store.folder.recent import RecentLines
from otel_agentlog.store.folder.sink import FolderSink
from otel_agentlog.store.folder.writer import TaskFolder
from otel_agentlog.store.validation.validate import validate
from tests.support.sources import nodes

PARTS = ("_platform/fork.py", "_interrupts.py", "record", "store", "export", "error_handling", "tools", "wiring")
GUARDED = {
    "export/pipeline/backlog.py:finish": "one piece of work for each that was asked for, all on the worker's thread",
    "export/pipeline/bisect.py:run": "the worker's thread alone",
    "export/pipeline/signal_queue.py": "under the queue's lock",
    "record/exceptions/describe.py": "a list of the call",
    "record/exceptions/timeout_call.py": "one caller and one thread, each with its own",
    "record/logs/line.py:_record_deferred": "lines of one thread",
    "record/operations/ai_call.py:_take_usage": "under the call's lock",
    "record/redaction/key_rules.py": "a list of the call",
    "store/delivery/tracker.py": "under the tracker's lock",
    "store/index/live_lines.py:_kept": "under the lock of what was read",
    "tools/datasets/examples.py": "the thread of the command alone",
    "tools/imports/readers/claude_code.py": "the thread of the command alone",
    "tools/imports/readers/messages.py": "the thread of the command alone",
    "tools/replay/recorded.py:_call": "a list of the call",
    "wiring/alerting.py:_look": "the thread of the alerts alone",
}
"""Where something is taken without a look at whether another thread was faster, and why it may."""


class Raced(deque[int]):
    """Another thread takes the last one between the question whether there is one and the taking."""

    def __len__(self) -> int:
        return 1


def _takers() -> Iterator[tuple[str, int]]:
    """Every ``pop()`` and ``popleft()`` of an attribute that no ``except IndexError`` is around, with its file and function."""

    def expects_it(node: ast.AST) -> bool:
        return isinstance(node, ast.Try) and any("IndexError" in ast.unparse(each.type or node) for each in node.handlers)

    for where, node in nodes(*PARTS, skip=expects_it):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
            shared = isinstance(node.func.value, ast.Attribute) or ast.unparse(node.func.value).isupper()
            if node.func.attr == "popleft" or (node.func.attr in ("pop", "popitem") and shared):
                yield where, node.lineno


def test_whoever_takes_expects_that_another_was_faster() -> None:
    """By `taken_out`, an ``except IndexError``, or for a reason that stands above."""
    found = [
        f"{where}, line {line}" for where, line in _takers() if where not in GUARDED and where.partition(":")[0] not in GUARDED
    ]

    assert found == []


def test_nothing_is_taken_where_another_thread_was_faster() -> None:
    """`taken_out` ends; it neither raises nor gives something twice."""
    assert list(taken_out(Raced())) == []
    assert list(taken_out(Raced([1, 2]))) == [1, 2]
    assert list(taken_out(deque([1, 2, 3]), 2)) == [1]


def test_eight_threads_that_change_at_every_instruction_lose_nothing(tasks_root: Path) -> None:
    """Tasks begin and end while steps of another do: no fault is counted and no line is missing."""

    def busy() -> None:
        log = agentlog.get_logger("busy")
        for number in range(150):
            with agentlog.task("own"), agentlog.step("of the own"):
                log.info("a line", number=number)
            with agentlog.step("of the shared"):
                log.info("a line", number=number)

    before, usual = dict(recorder().failures), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with agentlog.task("t", task_id="t"):
            threads = [threading.Thread(target=busy) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(usual)

    assert dict(recorder().failures) == before
    assert not validate(tasks_root / "t").problems
    assert len([line for line in find_task(tasks_root, "t").events() if line["message"] == "of the shared"]) == 8 * 150 * 2


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (RecentLines, "forget"),
        (TaskFolder, "_forget_ended"),
        (TaskFolder, "begin"),
        (TaskFolder, "finish"),
        (FolderSink, "_close"),
    ],
)
def test_a_fault_beside_a_line_does_not_cost_the_line(
    owner: type, name: str, tasks_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails in looking after files, and in the whole files, every line is written, and the fault is counted."""

    def fails(*args: object, **more: object) -> None:
        raise LookupError(name)

    monkeypatch.setattr(owner, name, fails)
    with agentlog.task("t", task_id="t") as task:
        for number in range(200):
            task.output(f"{number}")

    lines = list(find_task(tasks_root, "t").events())
    assert [line["content"] for line in lines if line["type"] == "output"] == [f"{number}" for number in range(200)]
    assert [line["phase"] for line in lines if line["type"] == "task"] == ["start", "end"]
    assert sum(recorder().failures.values()) > 0

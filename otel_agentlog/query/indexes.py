"""The open index of each root in this process: questions are answered from it, or from the same tables in memory where the file
cannot be used."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog.query.index_rows import index_row_of, now_of
from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.index.database import MEMORY, discard
from otel_agentlog.store.index.index import INDEX_FAILED, TaskIndex, is_busy
from otel_agentlog.store.index.refresh import Progress
from otel_agentlog.store.index.row import IndexRow

Answer = TypeVar("Answer")

_open: dict[str, TaskIndex] = {}
_parents: list[dict[str, TaskIndex]] = []
_open_lock = threading.Lock()


def _renew_after_fork() -> None:
    # A connection must not be used, not even closed, in the child of a fork.
    global _open_lock
    _open_lock = threading.Lock()
    _parents.append(dict(_open))
    _open.clear()


after_fork_in_child(_renew_after_fork)


def ask(root: Path, question: Callable[[TaskIndex], Answer], progress: Progress | None = None) -> Answer:
    """Return the answer to a question about the tasks below a root, as they are now.

    The first question about a large root reads every folder once; `progress` is called with how many of how many.
    """
    if next(list_tasks(root), None) is None:
        # A root without tasks is not written into, and need not be there.
        with closing(_in_memory(root)) as index:
            return question(index)
    for _ in range(2):
        try:
            with _index(root) as index:
                index.refresh(progress)
                return question(index)
        except INDEX_FAILED as error:
            if is_busy(error):
                break
            _drop(root)
    with closing(_in_memory(root)) as index:
        index.refresh(progress)
        return question(index)


def ask_again(root: Path, question: Callable[[TaskIndex], Answer]) -> Answer:
    """Return an answer that is as old as the last one about this root in this process; the first one is as in `ask`."""
    with _open_lock:
        found = _open.get(os.path.abspath(root))
    if found is not None:
        try:
            with found.lock:
                return question(found)
        except INDEX_FAILED:
            raise_interrupt()
    return ask(root, question)


def ask_rows(rows: Iterable[tuple[str, IndexRow]], question: Callable[[TaskIndex], Answer]) -> Answer:
    """Return the answer to a question about tasks whose rows are given, each by the name that its folder would have."""
    with closing(_in_memory(Path())) as index:
        index.put(rows)
        return question(index)


def _in_memory(root: Path) -> TaskIndex:
    return TaskIndex(root, index_row_of, now_of, path=MEMORY)


@contextmanager
def _index(root: Path) -> Iterator[TaskIndex]:
    """The open index of a root; other threads wait meanwhile."""
    key = os.path.abspath(root)
    while True:
        with _open_lock:
            found = _open.get(key)
            is_new = found is None
            if found is None:
                found = _open[key] = TaskIndex(Path(key), index_row_of, now_of)
        with found.lock:
            # There are file systems on which no file stays the same.
            if is_new or found.is_current:
                yield found
                return
            _forget(key, found)


def _forget(key: str, index: TaskIndex) -> None:
    with _open_lock:
        if _open.get(key) is index:
            del _open[key]
    index.close()  # Windows renames no folder with a file that is open


def _drop(root: Path) -> None:
    """Delete an index that cannot be used: the next question makes a new one."""
    key = os.path.abspath(root)
    with _open_lock:
        found = _open.get(key)
    if found is not None:
        _forget(key, found)
    with _open_lock:
        discard(root)

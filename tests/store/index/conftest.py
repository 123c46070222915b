"""Indexes that are closed after a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeAlias

import pytest

from otel_agentlog.store.index.index import TaskIndex
from otel_agentlog.store.index.refresh import Freshen, ReadRow

OpenIndex: TypeAlias = Callable[[Path, ReadRow, Freshen], TaskIndex]


@pytest.fixture
def open_index() -> Iterator[OpenIndex]:
    """Opens the index of a root."""
    with ExitStack() as stack:
        yield lambda root, read, freshen: stack.enter_context(closing(TaskIndex(root, read, freshen)))

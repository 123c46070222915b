"""Folders of tasks that were brought from a backend, while several threads bring them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_agentlog.view.backends.folders import _replace


def test_two_threads_may_write_the_same_file(tmp_path: Path) -> None:
    """As `agentlog mcp` does, whose clients ask at the same time: the file is that of one of them, whole."""
    path = tmp_path / "metadata.json"

    def while_another_writes() -> Iterator[bytes]:
        yield b"one "
        _replace(path, [b"other ", b"other"])
        yield b"one"

    _replace(path, while_another_writes())

    assert path.read_bytes() == b"one one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither a file nor the one that was to take its place."""

    def fails() -> Iterator[bytes]:
        yield b"one"
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        _replace(tmp_path / "metadata.json", fails())

    assert list(tmp_path.iterdir()) == []

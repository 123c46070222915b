"""The Python in README and in ``docs/`` runs as it stands there."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from tests.support.documents import REPOSITORY, Block, blocks, pages
from tests.support.forking import STRICT

STEERING = ("OTEL_", "AGENTLOG_", "TASK_LOGS", "LOG_LEVEL", "TRACE", "BAGGAGE", "XDG_")
BLOCKS = [block for page in pages() for block in blocks(page, "python")]
PROGRAMS = [block for block in BLOCKS if not block.fragment]

NO_NETWORK = """
import socket as _socket
def _refuse(*_):
    raise OSError("an example of the docs needs the network")
_socket.socket.connect = _socket.getaddrinfo = _refuse
"""
"""Runs before each program."""


def test_the_blocks_were_found() -> None:
    """Most pages with Python have programs."""
    assert len(PROGRAMS) > 10


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.name)
def test_a_program_runs(block: Block, tmp_path: Path) -> None:
    """In an empty folder that has only the examples beside it, without a network, with warnings as errors."""
    for name in ("examples", "pyproject.toml"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    plain = {key: value for key, value in os.environ.items() if not key.startswith(STEERING)}
    env = {**plain, "HOME": str(tmp_path), "AGENTLOG_LOG_DIR": str(tmp_path / "logs")}
    ran = STRICT.run(["-c", NO_NETWORK + block.text], cwd=tmp_path, env=env, text=True, timeout=110)

    assert (ran.returncode, "Exception ignored" in ran.stderr) == (0, False), ran.stderr


def test_fragments_can_be_read() -> None:
    """What is no program is at least Python."""
    for block in BLOCKS:
        ast.parse(block.text, block.name)

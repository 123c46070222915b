"""Real task folders, recorded once for all tests of the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of one task of every kind, recorded by the SDK in processes of their own. Not to be written to."""
    root = tmp_path_factory.mktemp("stories") / "tasks"
    command = [sys.executable, "-m", "tests.view.stories", str(root)]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True, timeout=90)
    return root

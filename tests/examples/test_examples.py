"""The examples run, and print and record what their golden files say.

``pytest tests/examples --agentlog-update-golden`` writes those anew. Read the difference before you commit it: it is the test.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.running import EXAMPLES, REPOSITORY, names, outcome
from tests.support.pytest_run import run_pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", names())
def test_an_example_gives_what_its_golden_file_says(name: str, tmp_path: Path, agentlog_golden: Callable[..., None]) -> None:
    """What is printed and every line of its folders and its application log equal the golden file."""
    home = tmp_path.resolve()
    printed, recorded = outcome(name, home)

    places = {str(home): "<home>", str(REPOSITORY): "<repository>", sys.executable: "<python>"}
    agentlog_golden(recorded, name, before="# printed\n" + printed.rstrip("\n"), places=places)


def test_no_golden_file_is_left_behind() -> None:
    """Each golden file belongs to an example."""
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(names())


def test_the_tests_of_the_example_with_tests_pass(tmp_path: Path) -> None:
    """As a user runs them, in a copy of the folder."""
    shutil.copytree(EXAMPLES / "tests_with_pytest", tmp_path / "project")

    assert "6 passed" in run_pytest(tmp_path / "project")
